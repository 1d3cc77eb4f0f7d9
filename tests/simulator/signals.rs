//! What probes, the lookout and the disks tell engines: the truth, late or not at all where a fault is in force.
//!
//! Not in here: what engines make of it.

use cutover::engine::Input;
use cutover::session::maintenance::{Seen, Sight};
use cutover::session::room::{Look, Spot};
use cutover::trigger::{Reading, Sample};

use super::play::Play;
use super::script::Sabotage;
use super::world::{FLEET, World};

impl Play<'_> {
    pub(super) fn samples(&mut self) {
        let now_ms = self.now_ms();
        let truth = truth(&self.world.borrow());
        {
            let world = &mut *self.world.borrow_mut();
            for (signal, value, _) in &truth {
                let bad = match signal.as_str() {
                    "unready_ratio" => *value > 0.2,
                    "http_5xx_ratio" => *value > 0.01,
                    signal if signal.starts_with("ready.") => *value < 1.0,
                    _ => false,
                };
                match bad {
                    true => {
                        world.bad_since_ms.entry(signal.clone()).or_insert(now_ms);
                    }
                    false => {
                        world.bad_since_ms.remove(signal);
                    }
                }
            }
        }
        for at in 0..self.engines.len() {
            let id = self.engines[at].id;
            let offset_ms = self.engines[at].conduct.outside().offset_ms;
            let world = &mut *self.world.borrow_mut();
            let silent = now_ms < world.faults.silent_until_ms;
            let late = now_ms < world.faults.late_until_ms;
            let late_ms = if late { world.faults.late_by_ms } else { 0 };
            // A probe's samples come in their order: a late one keeps those that follow waiting.
            let due_ms = (now_ms + late_ms).max(world.samples_due_ms);
            world.samples_due_ms = due_ms;
            let flatters = world.is_sabotaged(Sabotage::Flatters);
            for (signal, value, good) in &truth {
                let value = if flatters { *good } else { *value };
                // So many that one error alone is within every limit: a good sample clears at once.
                let requests = signal.starts_with("http").then_some(10_000);
                let reading = match silent {
                    true => Reading::no_data("nobody answers"),
                    false => Reading::over(value, requests),
                };
                let sample = Sample::new(signal.clone(), now_ms + offset_ms, reading);
                let input = (due_ms, id, Input::Sampled(sample));
                world.inputs.push_back(input);
            }
            if world.lookouts.contains(&id) {
                let seen = upkeep(world);
                world.inputs.push_back((now_ms, id, Input::Upkeep(seen)));
            }
        }
    }

    pub(super) fn disks(&mut self) {
        let now_ms = self.now_ms();
        for id in self.ids() {
            let world = &mut *self.world.borrow_mut();
            let full = now_ms < world.faults.disk_full_until_ms;
            world.disk_seen_full += u64::from(full);
            let look = Look {
                spot: Spot {
                    name: "session".to_owned(),
                    what: "the journal",
                    path: "/session".into(),
                    until: None,
                },
                free_bytes: Ok(if full { 0 } else { 1 << 40 }),
                device: Some(1),
            };
            let input = Input::Disks {
                looks: vec![look],
                source_bytes: 1,
            };
            world.inputs.push_back((now_ms, id, input));
        }
    }
}

/// What the fleet is like: signal, value, and what would be good.
fn truth(world: &World) -> Vec<(String, f64, f64)> {
    let down = |n: &usize| !world.is_up(*n);
    let wanted = |n: &usize| world.now_ms >= world.instances[*n].starting_until_ms;
    let counted = (0..FLEET.len()).filter(wanted).count().max(1);
    let unready = (0..FLEET.len()).filter(wanted).filter(down).count();
    let ready = (0..FLEET.len()).map(|n| {
        let ready = if world.is_up(n) { 1.0 } else { 0.0 };
        (format!("ready.{}", FLEET[n]), ready, 1.0)
    });
    let errors = world.now_ms < world.faults.errors_until_ms;
    let others = [
        ("unready_ratio", unready as f64 / counted as f64, 0.0),
        ("http_5xx_ratio", if errors { 0.05 } else { 0.0005 }, 0.0005),
        ("latency_p95_ms", 50.0, 50.0),
        ("log_unhandled_exception", 0.0, 0.0),
        ("instances_booted_ratio", 1.0, 1.0),
        ("log_pending_migration", 0.0, 0.0),
        ("log_ddl_exception", 0.0, 0.0),
        ("pool_waiting", 0.0, 0.0),
        ("pool_timeouts", 0.0, 0.0),
        ("pool_used_ratio", 0.2, 0.2),
        ("log_database_exception", 0.0, 0.0),
    ];
    let others = others.map(|(signal, value, good)| (signal.to_owned(), value, good));
    ready.chain(others).collect()
}

fn upkeep(world: &World) -> Vec<Seen> {
    let seen = (0..FLEET.len()).map(|n| {
        let sight = match (world.is_up(n), world.maintenance) {
            (false, _) => Sight::Unknown,
            (true, true) => Sight::On,
            (true, false) => Sight::Off,
        };
        Seen {
            place: FLEET[n].to_owned(),
            sight,
            how: "its page".to_owned(),
        }
    });
    seen.collect()
}
