//! The journal's disk as a model, and a book over it or over the real journal. The model does what `journal::writer` does: it refuses an
//! older lease, and keeps in memory or on the spare folder what finds no room.
//!
//! Not in here: the ledger, which is the real one.

use std::panic::resume_unwind;

use chrono::{DateTime, Utc};
use cutover::engine::ledger::{Book, may_wait};
use cutover::journal::{Entry, Error, Folder, Hash, Journal};
use serde_json::Value;

use super::script::Sabotage;
use super::world::Shared;

/// That an engine dies here.
pub struct Crash;

/// What lies on disks.
#[derive(Debug, Default)]
pub struct Disk {
    /// The journal's entries.
    pub entries: Vec<Entry>,
    /// Those of the spare folder.
    pub spare: Vec<Entry>,
    pub has_spare: bool,
    /// The newest lease.
    pub lease: u64,
    /// What waits in an engine's memory: engine, entries.
    held: Vec<(u32, Entry)>,
    /// Where the real journal lies; none where the model is used.
    pub folder: Option<Folder>,
    /// Undos that are where they outlive an engine.
    pub undos: Vec<Value>,
}

impl Disk {
    /// Everything that the next engine finds.
    pub fn found(&self) -> Vec<Entry> {
        [self.entries.as_slice(), &self.spare].concat()
    }

    /// What was in a process's memory is gone.
    pub fn forget(&mut self, engine: u32) {
        self.held.retain(|(of, _)| *of != engine);
    }

    fn held_by(&self, engine: u32) -> impl Iterator<Item = &Entry> {
        let mine = self.held.iter().filter(move |(of, _)| *of == engine);
        mine.map(|(_, entry)| entry)
    }

    fn take_held(&mut self, engine: u32) -> Vec<Entry> {
        let (mine, others) = std::mem::take(&mut self.held)
            .into_iter()
            .partition::<Vec<_>, _>(|(of, _)| *of == engine);
        self.held = others;
        mine.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The number of the last event that outlives every engine.
    pub fn last_kept(&self) -> u64 {
        self.spare
            .last()
            .or(self.entries.last())
            .map_or(0, |e| e.seq)
    }

    fn undo_kept(&mut self, entry: &Entry) {
        if entry.kind == "undo_recorded" {
            self.undos.push(entry.body["undo"].clone());
        }
    }
}

/// An engine's book.
pub struct Paper {
    pub engine: u32,
    pub fencing: u64,
    pub world: Shared,
    /// The real journal, where the seed is played with it.
    pub journal: Option<Journal>,
}

impl Paper {
    fn boundary(&self) {
        let dies = self.world.borrow_mut().dies_here(self.engine);
        if dies {
            resume_unwind(Box::new(Crash));
        }
    }

    fn check_fencing(&self) -> Result<(), Error> {
        let world = self.world.borrow();
        match world.disk.lease {
            current if current == self.fencing || world.is_sabotaged(Sabotage::Unfenced) => Ok(()),
            current => Err(Error::Fenced {
                mine: self.fencing,
                current,
            }),
        }
    }

    fn is_full(&self) -> bool {
        let world = self.world.borrow();
        world.now_ms < world.faults.disk_full_until_ms
    }

    fn full() -> Error {
        Error::DiskFull {
            path: "journal.db".into(),
        }
    }

    fn entries(&self, at_ms: i64, wall: DateTime<Utc>, events: Vec<(String, Value)>) -> Vec<Entry> {
        let world = self.world.borrow();
        let last = world.disk.held_by(self.engine).last().map(|e| e.seq);
        let mut seq = last.unwrap_or(0).max(world.disk.last_kept());
        let entry = |(kind, body): (String, Value)| {
            seq += 1;
            Entry {
                seq,
                fencing: self.fencing,
                at_ms,
                wall,
                kind,
                hash: Hash::ZERO,
                body,
            }
        };
        events.into_iter().map(entry).collect()
    }

    /// Keeps entries; what may wait may also stay in memory.
    fn keep(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let has_room = !self.is_full();
        let world = &mut *self.world.borrow_mut();
        let may_wait = entries.iter().all(|e| may_wait(&e.kind, &e.body));
        if has_room {
            world.disk.entries.extend_from_slice(entries);
        } else if world.disk.has_spare {
            let held = world.disk.take_held(self.engine);
            world.disk.spare.extend(held);
            world.disk.spare.extend_from_slice(entries);
        } else if may_wait {
            let held = entries.iter().map(|e| (self.engine, e.clone()));
            world.disk.held.extend(held);
            world.count("kept in memory");
            return Ok(());
        } else {
            world.count("no room");
            return Err(Paper::full());
        }
        entries.iter().for_each(|e| world.disk.undo_kept(e));
        Ok(())
    }
}

impl Book for Paper {
    fn append_with<E>(
        &mut self,
        at_ms: i64,
        wall: DateTime<Utc>,
        decide: impl FnOnce() -> Result<Vec<(String, Value)>, E>,
    ) -> Result<Result<Vec<Entry>, E>, Error> {
        self.boundary();
        if let Some(journal) = &mut self.journal {
            let kept = Book::append_with(journal, at_ms, wall, decide)?;
            if let Ok(entries) = &kept {
                let world = &mut *self.world.borrow_mut();
                entries.iter().for_each(|e| world.disk.undo_kept(e));
                world.disk.entries.extend_from_slice(entries);
            }
            self.boundary();
            return Ok(kept);
        }
        self.store_if_room()?;
        self.check_fencing()?;
        let mut events = match decide() {
            Ok(events) if events.is_empty() => return Ok(Ok(Vec::new())),
            Ok(events) => events,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if self.world.borrow().is_sabotaged(Sabotage::DeafToTriggers) {
            events.retain(|(kind, _)| kind != "trigger_fired");
        }
        let entries = self.entries(at_ms, wall, events);
        self.keep(&entries)?;
        self.boundary();
        Ok(Ok(entries))
    }

    fn store_if_room(&mut self) -> Result<bool, Error> {
        if let Some(journal) = &mut self.journal {
            return Book::store_if_room(journal);
        }
        self.check_fencing()?;
        let is_full = self.is_full();
        let disk = &mut self.world.borrow_mut().disk;
        if disk.held_by(self.engine).next().is_none() && disk.spare.is_empty() {
            return Ok(true);
        }
        if is_full {
            return Ok(false);
        }
        let spare = std::mem::take(&mut disk.spare);
        let held = disk.take_held(self.engine);
        disk.entries.extend(spare);
        disk.entries.extend(held);
        Ok(true)
    }

    fn is_kept(&self) -> bool {
        self.journal.as_ref().map_or_else(
            || {
                self.world
                    .borrow()
                    .disk
                    .held_by(self.engine)
                    .next()
                    .is_none()
            },
            Book::is_kept,
        )
    }

    fn unstored(&self) -> usize {
        let disk = &self.world.borrow().disk;
        self.journal.as_ref().map_or_else(
            || disk.held_by(self.engine).count() + disk.spare.len(),
            Book::unstored,
        )
    }
}
