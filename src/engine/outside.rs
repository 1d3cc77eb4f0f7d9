//! The seam between the engine's loop and everything that is not the loop: time, work, probes, people, disks, both databases. The loop
//! asks and tells through [`Outside`] and in no other way, so that what runs at night can also be played against models, on any clock.
//!
//! Not in here: what production does about it (`real`), and the journal, which the ledger writes through a [`super::ledger::Book`].

use std::path::Path;

use chrono::{DateTime, Utc};

use super::astray::Astray;
use super::heartbeat::Wait;
use super::ledger::Book;
use crate::journal::{self, Notes, Progress, Stream};
use crate::session::live::{self, InstanceView, ItemView, ParityView, PlanView, Presence};
use crate::session::notice::Notice;
use crate::session::shape::Shape;
use crate::session::{Event, Recorded, RehearsalEvidence, Session};
use crate::step::backup::Kept;
use crate::trigger::Memory;

/// The two clocks of the loop, read at the same time.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Session time.
    pub at_ms: i64,
    /// Wall clock, for people.
    pub wall: DateTime<Utc>,
}

/// By what an engine's process is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// Boot of the machine.
    pub boot_id: String,
    /// The boot clock.
    pub boot_ms: i64,
}

/// Work of its own, beside the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job<'a> {
    Step {
        step: &'a str,
        /// From 1.
        attempt: u32,
    },
    /// It is found out what a step had done when an engine died.
    FindOut {
        step: &'a str,
        /// From 1.
        attempt: u32,
    },
    /// A row of the rollback runs.
    Row { row: &'a str },
}

/// What the loop wants done. Whatever asks for it was recorded before.
#[derive(Debug)]
pub enum Effect<'a> {
    /// Work begins.
    Start {
        /// By this number it is known: that of the event that asks for it.
        run: u64,
        job: Job<'a>,
        /// Work that was cancelled and may not have ended yet; its end is waited for first.
        after: &'a [u64],
    },
    /// Work is to end early.
    Cancel { run: u64 },
    /// The fence no longer proves anything: writers got past it.
    DropFence,
    /// Something has happened: who watches and who counts has to know.
    Happened(&'a Recorded),
    /// An instance is about to be restarted on purpose.
    Restarting { instance: &'a str },
    /// Whether instances are to be asked if maintenance is on.
    LookAtMaintenance(bool),
    /// Whether the session is held.
    Hold(bool),
    /// People are told.
    Tell(&'a Notice),
    /// Something is noted beside the chain.
    Note(Beside<'a>),
}

/// What lies beside the chain. It may be lost.
#[derive(Debug)]
pub enum Beside<'a> {
    Sample(journal::Sample),
    /// How far a part of a step has come.
    Progress(Progress),
    /// A line of a step's output.
    Line {
        /// Which step or row.
        row: &'a str,
        /// From 1.
        attempt: u32,
        /// Session time.
        at_ms: i64,
        /// Foreign text.
        text: &'a str,
    },
    /// Every trigger as it stands.
    Triggers(&'a [live::TriggerView]),
    /// The checklist as it stands.
    Checklist(&'a [ItemView]),
    /// What the judge has to know after a crash.
    Memory(&'a Memory),
    /// Who is on the bridge.
    Presence(&'a [Presence]),
    /// How a comparison goes.
    Parity(&'a ParityView),
    /// What moves, in which order.
    Plan(&'a PlanView),
}

impl Beside<'_> {
    /// Notes it where followers of the journal read it.
    pub fn put(self, notes: &Notes) {
        match self {
            Beside::Sample(sample) => notes.sample(sample),
            Beside::Progress(progress) => notes.progress(progress),
            Beside::Line {
                row,
                attempt,
                at_ms,
                text,
            } => notes.output(row, attempt, Stream::Step, at_ms, text),
            Beside::Triggers(views) => notes.board(live::key::TRIGGERS, &views),
            Beside::Checklist(items) => notes.board(live::key::CHECKLIST, &items),
            Beside::Memory(memory) => notes.board(super::watch::MEMORY, memory),
            Beside::Presence(present) => notes.board(live::key::PRESENCE, &present),
            Beside::Parity(view) => notes.board(live::key::PARITY, view),
            Beside::Plan(plan) => notes.board(live::key::PLAN, plan),
        }
    }
}

/// How the source compares with what it was when it was frozen, after the fence was raised again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// It is as it was.
    Same,
    /// It is not, in words.
    Changed(String),
    /// Nobody can say, for the fence could not be raised, or there is nothing to compare with; why.
    Unproven(String),
    /// Only its content can tell; why.
    Undecided(String),
}

/// Everything that the loop reaches. One thread calls it, one call after the other.
pub trait Outside: Sized {
    /// Where the events are kept.
    type Book: Book;

    /// What time it is.
    fn now(&self) -> Moment;

    fn process(&self) -> Process;

    /// Does what the loop wants done, or lets it be done beside the loop. `session` is the state that it is wanted in.
    fn carry_out(&mut self, session: &Session, effect: Effect<'_>);

    /// Whether anything got past the fence, in words; `None` also where no fence is held.
    fn drift(&mut self) -> Option<String>;

    /// What this process waits for just now.
    fn waits(&mut self) -> Vec<Wait>;

    /// Whether an instance was restarted on purpose so short a time ago that it may still be coming up.
    fn is_coming_up(&self, instance: &str) -> bool;

    /// Looks after the room that is kept for the journal; gives what people are to be told. `has_all`: no event waits for room.
    fn keep_room(&mut self, at_ms: i64, has_all: bool) -> Option<String>;

    /// Writes what was noted, and the sign of life.
    ///
    /// # Errors
    /// The journal's disk is full, or this engine must end.
    fn flush(&mut self, at_ms: i64) -> Result<(), journal::Error>;

    /// Keeps a file with the session.
    fn keep_file(&mut self, name: &str, kind: &str, path: &Path, at_ms: i64) -> Result<(), String>;

    /// What could not be told while no engine ran.
    fn untold(&mut self) -> Vec<String>;

    /// Ends what an engine that is gone left running. A sentence for each.
    fn end_left(&mut self) -> impl Future<Output = Vec<String>> + Send;

    /// The newest rehearsal that this machine knows.
    fn rehearsal(&self) -> Option<RehearsalEvidence>;

    /// In what paths and URLs lead elsewhere than when the session was opened, as it was seen when this engine began.
    fn astray(&self) -> Astray;

    /// The source's schema; `None` where it cannot be read now.
    fn source_shape(&mut self) -> impl Future<Output = Option<Shape>> + Send;

    /// Raises the fence again and compares.
    fn raise_fence(&mut self, session: &Session) -> impl Future<Output = Compared> + Send;

    /// In what the source differs from its backup, in words. Reads both whole.
    fn differs(&mut self, kept: Kept) -> impl Future<Output = Option<String>> + Send;

    /// The same beside the loop: a difference comes back as an input, after the words of `why`. Until it is known, F4 waits.
    fn differs_later(&mut self, kept: Kept, why: String);

    /// Signatures that do not hold any more, as events.
    fn void_signatures(&mut self, session: &Session) -> impl Future<Output = Vec<Event>> + Send;
}

/// A view of an instance means something outside only while it is being restarted.
pub(super) fn is_restarting(view: &InstanceView) -> bool {
    view.state == live::InstanceState::Restarting
}
