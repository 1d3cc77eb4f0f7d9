//! Work under way: the acts of fake steps are done one after the other, on the world's clock, and what they come to goes to their engine.
//!
//! Not in here: which acts a step has (`steps`).

use std::path::PathBuf;

use cutover::engine::Input;
use cutover::session::facts::{Backup, Fact, Kept, Salvage};
use cutover::session::live::{InstanceState, InstanceView};
use cutover::session::{Check, Found, Outcome, Undo};
use cutover::step::News;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::script::Sabotage;
use super::steps::{Act, Kind, Task, config_undo, restart_undo};
use super::world::{FLEET, Fence, Side, World};

/// What A1 of the model leaves behind in the place of a fingerprint: the file's version.
#[derive(Serialize, Deserialize)]
pub struct Version(pub u64);

impl Fact for Version {
    const NAME: &'static str = "fingerprint";
}

/// So long what was cancelled is waited for, by what begins after it.
const HALT_LIMIT_MS: i64 = 5_000;

enum Next {
    Goes,
    Waits,
    Ended,
}

/// Every task does what it can do now.
pub fn all(world: &mut World) {
    for at in (0..world.tasks.len()).rev() {
        let mut task = world.tasks.swap_remove(at);
        let ended = loop {
            match turn(world, &mut task) {
                Next::Goes => world.check_sides(),
                Next::Waits => break false,
                Next::Ended => break true,
            }
        };
        if !ended {
            world.tasks.push(task);
        }
    }
}

fn turn(world: &mut World, task: &mut Task) -> Next {
    if world.now_ms < task.next_ms {
        let hears = task
            .cancelled_ms
            .is_some_and(|ms| world.now_ms >= ms + task.deaf_ms);
        if !hears {
            return Next::Waits;
        }
    }
    if !has_begun(world, task) {
        return match (task.kind, world.now_ms - task.began_ms >= HALT_LIMIT_MS) {
            (_, false) => Next::Waits,
            (Kind::Step, true) => {
                let why = "what was cancelled before has not ended";
                ends(world, task, Outcome::failed(why))
            }
            (Kind::FindOut | Kind::Row, true) => {
                task.after.clear();
                Next::Goes
            }
        };
    }
    if task
        .cancelled_ms
        .is_some_and(|ms| world.now_ms >= ms + task.deaf_ms)
    {
        return ends(world, task, Outcome::failed("halted before it was done"));
    }
    match task.waits.as_mut().map(oneshot::Receiver::try_recv) {
        None => {}
        Some(Err(TryRecvError::Empty)) => return Next::Waits,
        Some(Ok(())) => task.waits = None,
        Some(Err(TryRecvError::Closed)) => {
            return ends(world, task, Outcome::failed("the engine is ending"));
        }
    }
    match task.acts.pop_front() {
        Some(act) => does(world, task, act),
        None => Next::Ended,
    }
}

/// What was cancelled before has ended.
fn has_begun(world: &World, task: &Task) -> bool {
    let runs = |run: &u64| {
        let mut others = world.tasks.iter();
        others.any(|t| t.run == *run && t.engine == task.engine)
    };
    !task.after.iter().any(runs)
}

fn does(world: &mut World, task: &mut Task, act: Act) -> Next {
    match act {
        Act::Wait(ms) => {
            task.next_ms = world.now_ms + ms;
            return Next::Goes;
        }
        Act::Undo(undo) => {
            if world.is_sabotaged(Sabotage::NoUndo) {
                return Next::Goes;
            }
            let (durable, kept) = oneshot::channel();
            task.waits = Some(kept);
            tells(world, task, News::Undo { undo, durable });
        }
        Act::Maintenance(on) => {
            if on {
                check_undo(world, &Undo::Maintenance);
            }
            world.maintenance = on;
            world.lifts += u64::from(!on);
        }
        Act::RaiseFence => match raise_fence(world, task.engine) {
            Ok(()) => {
                let version = world.sqlite.version;
                replace_end(task, |outcome| outcome.with_fact(Version(version)));
            }
            Err(why) => return ends(world, task, Outcome::failed(why)),
        },
        Act::ReleaseFence => {
            let mine = |fence: &mut Fence| fence.engine == task.engine;
            world.fence.take_if(mine);
        }
        Act::Backup => {
            world.backup = Some(world.sqlite.clone());
            let kept = Kept {
                path: PathBuf::from("/backup.db"),
                sha256: world.sqlite.version.to_string(),
                size_bytes: 1,
                keep_ms: 1,
                frozen_ms: None,
                stamp: None,
            };
            replace_end(task, |outcome| outcome.with_fact(Backup(kept.clone())));
        }
        Act::Schema => world.has_schema = true,
        Act::Import => {
            let mut rows = world.backup.clone().unwrap_or_default().rows;
            if world.is_sabotaged(Sabotage::LosesRow) {
                rows.pop_last();
            }
            world.postgres.rows = rows;
            world.proven = None;
        }
        Act::Compare => {
            if let Err(outcome) = compare(world, &task.row) {
                return ends(world, task, outcome);
            }
        }
        Act::Configure(n, side) => {
            if side == Side::Postgres {
                check_undo(world, &config_undo(n));
            }
            world.instances[n].config = side;
        }
        Act::Restart(n) => {
            check_undo(world, &restart_undo(n));
            restart(world, n);
            let view = InstanceView {
                id: FLEET[n].to_owned(),
                canary: n == 0,
                state: InstanceState::Restarting,
                detail: String::new(),
            };
            tells(world, task, News::Instance(view));
        }
        Act::Ready(n) if world.is_up(n) => {}
        // No further restart once it was cancelled.
        Act::Ready(n) => {
            task.acts.push_front(Act::Ready(n));
            task.next_ms = world.now_ms + 100;
        }
        Act::LookForDrift => {
            let mine = world
                .comparing
                .clone()
                .filter(|(of, ..)| *of == task.engine);
            let found = match mine {
                Some((_, until_ms, _)) if world.now_ms < until_ms => {
                    task.acts.push_front(Act::LookForDrift);
                    task.next_ms = until_ms;
                    return Next::Goes;
                }
                Some((_, _, found)) => found,
                None => None,
            };
            if let Some(drift) = found.or_else(|| drift(world, task.engine)) {
                let check = Check::new("verification", false, drift);
                return ends(
                    world,
                    task,
                    Outcome::failed("SQLite was written").with_check(check),
                );
            }
        }
        Act::Green(ms) => {
            let since = world.green_since_ms;
            if since.is_none_or(|since| world.now_ms - since < ms) {
                task.acts.push_front(Act::Green(ms));
                task.next_ms = world.now_ms + 200;
            }
        }
        Act::BringBack => bring_back(world, task),
        Act::Validate => {
            let on_sqlite = |n: usize| world.instances[n].serves == Side::Sqlite && world.is_up(n);
            let well = (0..FLEET.len()).all(on_sqlite) || world.is_sabotaged(Sabotage::SaysHealthy);
            if !well {
                let check = Check::new("serves", false, "an instance does not serve from SQLite");
                return ends(world, task, Outcome::done("looked").with_check(check));
            }
        }
        Act::FenceTarget => world.is_target_fenced = true,
        Act::BringRows => {
            let only = world.postgres.rows.difference(&world.sqlite.rows);
            let only: Vec<u32> = only.copied().collect();
            if !only.is_empty() {
                world.sqlite.rows.extend(only);
                world.sqlite.version += 1;
            }
        }
        Act::Salvage => {
            let only = world.postgres.rows.difference(&world.sqlite.rows);
            let only: Vec<u32> = only.copied().collect();
            world.salvaged.extend(&only);
            let outcome = Outcome::done("salvaged").with_check(Check::new("salvaged", true, "all"));
            return ends(world, task, outcome.with_fact(Salvage::default()));
        }
        Act::People => {
            task.acts.push_front(Act::People);
            task.next_ms = world.now_ms + 200;
        }
        Act::Fails(outcome) | Act::Ends(outcome) => return ends(world, task, outcome),
        Act::Finds(found) => return finds(world, task, found),
    }
    Next::Goes
}

fn ends(world: &mut World, task: &Task, outcome: Outcome) -> Next {
    let outcome = match task.loses_answer && outcome.ok {
        true => Outcome::failed("the answer was lost").passing(),
        false => outcome,
    };
    let (run, row) = (task.run, task.row.clone());
    let input = match task.kind {
        Kind::Row => Input::RowEnded { row, run, outcome },
        Kind::Step => Input::StepEnded {
            step: row,
            run,
            outcome,
        },
        Kind::FindOut => {
            let found = Found::RunAgain {
                detail: outcome.summary,
            };
            return finds(world, task, found);
        }
    };
    if !(world.is_sabotaged(Sabotage::NeverEnds) && task.kind == Kind::Row) {
        world.inputs.push_back((world.now_ms, task.engine, input));
    }
    Next::Ended
}

fn finds(world: &mut World, task: &Task, found: Found) -> Next {
    let input = Input::FoundOut {
        step: task.row.clone(),
        run: task.run,
        found,
    };
    world.inputs.push_back((world.now_ms, task.engine, input));
    Next::Ended
}

fn tells(world: &mut World, task: &Task, news: News) {
    let input = Input::News {
        row: task.row.clone(),
        attempt: task.attempt,
        run: task.run,
        news,
    };
    world.inputs.push_back((world.now_ms, task.engine, input));
}

fn replace_end(task: &mut Task, with: impl Fn(Outcome) -> Outcome) {
    if let Some(Act::Ends(outcome)) = task.acts.back_mut() {
        *outcome = with(std::mem::replace(outcome, Outcome::done("")));
    }
}

/// Its undo is where it outlives every engine.
fn check_undo(world: &mut World, undo: &Undo) {
    let undo = serde_json::to_value(undo).expect("JSON");
    if !world.disk.undos.contains(&undo) {
        world.broken("undo", format!("nothing is on record for {undo}"));
    }
}

/// Raises the fence, or takes over the one that this engine holds.
pub fn raise_fence(world: &mut World, engine: u32) -> Result<(), String> {
    match world.fence {
        Some(fence) if fence.engine == engine => Ok(()),
        Some(_) => Err("another process holds the file".to_owned()),
        None => {
            let version = world.sqlite.version;
            world.fence = Some(Fence { engine, version });
            Ok(())
        }
    }
}

/// Whether anything got past the fence that this engine holds.
pub fn drift(world: &World, engine: u32) -> Option<String> {
    let fence = world.fence.filter(|fence| fence.engine == engine)?;
    let is_written = fence.version != world.sqlite.version;
    let looks = !world.is_sabotaged(Sabotage::BlindToDrift);
    (is_written && looks).then(|| "the file was written".to_owned())
}

/// E compares with the backup, F1 with what E saw.
fn compare(world: &mut World, row: &str) -> Result<(), Outcome> {
    let blind = world.is_sabotaged(Sabotage::LosesRow);
    if row == "F1" {
        return match world.proven.as_ref() == Some(&world.postgres.rows) {
            true => Ok(()),
            false => Err(Outcome::failed("PostgreSQL is no longer what E has proven")),
        };
    }
    let backup = world.backup.as_ref().map(|b| &b.rows);
    if !blind && backup != Some(&world.postgres.rows) {
        let check = Check::new("row_counts", false, "rows differ");
        return Err(Outcome::done("compared").with_check(check));
    }
    world.proven = Some(world.postgres.rows.clone());
    Ok(())
}

fn restart(world: &mut World, n: usize) {
    let took = 200 + world.roll(&format!("restart {n}"), 400) as i64;
    let until_ms = world.now_ms + took;
    let instance = &mut world.instances[n];
    instance.serves = instance.config;
    instance.starting_until_ms = until_ms;
}

/// R3 restarts what this session has restarted, and what serves from PostgreSQL, and waits for it.
fn bring_back(world: &mut World, task: &mut Task) {
    let keeps_all = world.is_sabotaged(Sabotage::SaysHealthy);
    let mut ready = Vec::new();
    for n in 0..FLEET.len() {
        let undo = serde_json::to_value(restart_undo(n)).expect("JSON");
        let known = world.disk.undos.contains(&undo);
        if keeps_all || !(known || world.instances[n].serves == Side::Postgres) {
            continue;
        }
        restart(world, n);
        ready.push(Act::Ready(n));
    }
    for act in ready {
        task.acts.push_front(act);
    }
}
