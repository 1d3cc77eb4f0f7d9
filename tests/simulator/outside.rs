//! The world as an engine's loop reaches it: every call is a boundary at which the engine may die, and every effect is judged.
//!
//! Not in here: the rules by which it is judged (`rules`).

use std::panic::resume_unwind;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use cutover::engine::astray::Astray;
use cutover::engine::heartbeat::Wait;
use cutover::engine::outside::{Beside, Compared, Effect, Job, Moment, Outside, Process};
use cutover::journal;
use cutover::session::shape::Shape;
use cutover::session::{Event, RehearsalEvidence, Session};
use cutover::step::backup::Kept;

use super::book::{Crash, Paper};
use super::rules;
use super::steps::Task;
use super::tasks::{self, Version};
use super::world::Shared;

/// One engine's surroundings.
pub struct Sim {
    pub engine: u32,
    /// The lease's number.
    pub fencing: u64,
    /// Session time, less the world's.
    pub offset_ms: i64,
    pub world: Shared,
    pub rehearsal: RehearsalEvidence,
}

/// The wall clock of a world.
pub fn wall(now_ms: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(now_ms)
}

impl Sim {
    fn boundary(&self) {
        let dies = self.world.borrow_mut().dies_here(self.engine);
        if dies {
            resume_unwind(Box::new(Crash));
        }
    }
}

impl Outside for Sim {
    type Book = Paper;

    fn now(&self) -> Moment {
        let now_ms = self.world.borrow().now_ms;
        Moment {
            at_ms: now_ms + self.offset_ms,
            wall: wall(now_ms),
        }
    }

    fn process(&self) -> Process {
        let world = self.world.borrow();
        Process {
            pid: self.engine,
            boot_id: format!("boot-{}", world.boots),
            boot_ms: world.boot_ms(),
        }
    }

    fn carry_out(&mut self, session: &Session, effect: Effect<'_>) {
        if !matches!(effect, Effect::Note(_) | Effect::LookAtMaintenance(_)) {
            self.boundary();
        }
        let world = &mut *self.world.borrow_mut();
        let me = rules::Engine {
            id: self.engine,
            fencing: self.fencing,
        };
        rules::judge(world, me, session, &effect);
        match effect {
            Effect::Start { run, job, after } => {
                let now_ms = world.now_ms;
                let (Job::Step { step: row, .. }
                | Job::FindOut { step: row, .. }
                | Job::Row { row }) = job;
                world.begun_ms.entry(row.to_owned()).or_insert(now_ms);
                let task = Task::new(world, session, self.engine, run, job, after);
                world.tasks.push(task);
            }
            Effect::Cancel { run } => {
                let now_ms = world.now_ms;
                let mut tasks = world.tasks.iter_mut();
                let of = tasks.find(|t| t.run == run && t.engine == self.engine);
                if let Some(task) = of {
                    task.cancelled_ms.get_or_insert(now_ms);
                }
            }
            Effect::DropFence => {
                world.fence.take_if(|fence| fence.engine == self.engine);
            }
            Effect::LookAtMaintenance(true) => {
                world.lookouts.insert(self.engine);
            }
            Effect::LookAtMaintenance(false) => {
                world.lookouts.remove(&self.engine);
            }
            Effect::Note(Beside::Checklist(items)) => {
                let green = !items.is_empty() && items.iter().all(|i| i.green == Some(true));
                let since = world.green_since_ms.or(Some(world.now_ms));
                world.green_since_ms = since.filter(|_| green);
            }
            Effect::Note(Beside::Memory(memory)) => {
                world.memory.0 = Some(serde_json::to_value(memory).expect("JSON"));
            }
            Effect::Happened(recorded) => world.recorded.push(recorded.clone()),
            Effect::Restarting { .. } | Effect::Hold(_) | Effect::Tell(_) | Effect::Note(_) => {}
        }
    }

    fn drift(&mut self) -> Option<String> {
        tasks::drift(&self.world.borrow(), self.engine)
    }

    fn waits(&mut self) -> Vec<Wait> {
        Vec::new()
    }

    fn is_coming_up(&self, instance: &str) -> bool {
        let world = self.world.borrow();
        let n = super::world::FLEET.iter().position(|id| *id == instance);
        n.is_some_and(|n| world.now_ms < world.instances[n].starting_until_ms)
    }

    fn keep_room(&mut self, _at_ms: i64, _has_all: bool) -> Option<String> {
        None
    }

    fn flush(&mut self, _at_ms: i64) -> Result<(), journal::Error> {
        self.boundary();
        let world = &mut *self.world.borrow_mut();
        let (mine, current) = (self.fencing, world.disk.lease);
        if mine != current && !world.is_sabotaged(super::script::Sabotage::Unfenced) {
            return Err(journal::Error::Fenced { mine, current });
        }
        if world.now_ms < world.faults.disk_full_until_ms {
            return Err(journal::Error::DiskFull {
                path: "journal.db".into(),
            });
        }
        world.memory.1 = world.memory.0.clone();
        Ok(())
    }

    fn keep_file(&mut self, _: &str, _: &str, _: &Path, _: i64) -> Result<(), String> {
        Ok(())
    }

    fn untold(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn end_left(&mut self) -> impl Future<Output = Vec<String>> + Send {
        std::future::ready(Vec::new())
    }

    fn rehearsal(&self) -> Option<RehearsalEvidence> {
        Some(self.rehearsal.clone())
    }

    fn astray(&self) -> Astray {
        Astray::default()
    }

    fn source_shape(&mut self) -> impl Future<Output = Option<Shape>> + Send {
        std::future::ready(None)
    }

    /// Every fourth time only the content can tell.
    fn raise_fence(&mut self, session: &Session) -> impl Future<Output = Compared> + Send {
        self.boundary();
        let world = &mut *self.world.borrow_mut();
        let before = session.step("A1").and_then(|s| s.outcome.as_ref());
        let before = before.and_then(|o| o.fact::<Version>("A1").expect("readable"));
        let before = before.map(|Version(version)| version);
        let compared = match tasks::raise_fence(world, self.engine) {
            Err(why) => Compared::Unproven(format!("the fence could not be raised again: {why}")),
            Ok(()) if world.roll(&format!("compare {}", self.engine), 4) == 0 => {
                Compared::Undecided("its log is gone".to_owned())
            }
            Ok(()) if before == Some(world.sqlite.version) => Compared::Same,
            Ok(()) => Compared::Changed("the file was written".to_owned()),
        };
        std::future::ready(compared)
    }

    fn differs(&mut self, kept: Kept) -> impl Future<Output = Option<String>> + Send {
        self.boundary();
        std::future::ready(self.difference(&kept))
    }

    fn differs_later(&mut self, kept: Kept, why: String) {
        let differs = self.difference(&kept);
        let detail = differs.map(|differs| format!("{why}, and {differs}"));
        let world = &mut *self.world.borrow_mut();
        let at_ms = world.now_ms + 1_500;
        world.comparing = Some((self.engine, at_ms, detail.clone()));
        if let Some(detail) = detail {
            let input = cutover::engine::Input::Drifted { detail };
            world.inputs.push_back((at_ms, self.engine, input));
        }
    }

    fn void_signatures(&mut self, _: &Session) -> impl Future<Output = Vec<Event>> + Send {
        std::future::ready(Vec::new())
    }
}

impl Sim {
    fn difference(&self, kept: &Kept) -> Option<String> {
        let world = self.world.borrow();
        let same = kept.sha256 == world.sqlite.version.to_string();
        (!same).then(|| "its content is no longer that of the backup".to_owned())
    }
}
