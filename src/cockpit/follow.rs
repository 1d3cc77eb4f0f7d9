//! From the journal to [`News`]: looks again and again, and tells only what has changed. Reads; never writes.
//!
//! Not in here: the thread it runs in (`driver`).

use super::news::{Engine, News, Reading};
use super::replay::Tape;
use crate::clock;
use crate::history::{self, Error};
use crate::journal::{self, EngineState, Follower, OutputLine, Progress};
use crate::session::Recorded;
use crate::session::live::{
    CostView, DetailView, FeedView, InstanceView, ItemView, ParityView, PlanView, Presence,
    TriggerView, key,
};

/// An engine gives a sign of life at least each second; after so long without one it counts as silent, which is within the two
/// seconds in which every cockpit must say so.
const SILENT_MS: i64 = 1_800;

/// Follows a journal and remembers what has been told.
pub struct Follow {
    follower: Follower,
    watched: Option<Watched>,
    told: Told,
    /// [`Follower::changes`] at the last look at everything; `None` where there is something new to look for.
    looked: Option<u64>,
    /// As it was found at the last look at everything: an engine that takes over writes, and so does one that gives a sign of life.
    found: EngineState,
}

/// The step whose output is read.
struct Watched {
    step: String,
    attempt: u32,
    after: i64,
}

/// What has been told last, so that the same is not told twice.
#[derive(Default)]
struct Told {
    progress: Vec<Progress>,
    last_line: Option<OutputLine>,
    triggers: Vec<TriggerView>,
    checklist: Vec<ItemView>,
    fleet: Vec<InstanceView>,
    presence: Vec<Presence>,
    cost: Option<CostView>,
    feed: Option<FeedView>,
    details: Vec<DetailView>,
    parity: ParityView,
    plan: PlanView,
    /// As the board has them.
    loads: String,
    clients: String,
    engine: Option<Engine>,
}

impl Follow {
    pub fn new(follower: Follower) -> Follow {
        Follow {
            follower,
            watched: None,
            told: Told::default(),
            looked: None,
            found: EngineState::Never,
        }
    }

    /// From now on tells what this step prints, from its first line.
    pub fn watch(&mut self, step: String, attempt: u32) {
        self.watched = Some(Watched {
            step,
            attempt,
            after: 0,
        });
        self.looked = None;
    }

    /// The events that have come.
    pub fn entries(&mut self) -> Result<Vec<Recorded>, Error> {
        history::events(&self.follower.poll()?)
    }

    /// What has come since the last look.
    pub fn look(&mut self) -> Result<News, Error> {
        let entries = self.entries()?;
        let changes = self.follower.changes();
        if self.looked == Some(changes) {
            // A cockpit is left open for hours on a session in which nothing happens: then only the engine is looked at, which can die
            // without a word.
            let engine = engine(self.follower.engine_since(&self.found)?);
            return Ok(News {
                entries,
                engine: changed(&mut self.told.engine, Some(Some(engine))).flatten(),
                ..News::default()
            });
        }
        let (watched, told, found) = (&mut self.watched, &mut self.told, &mut self.found);
        let news = self.follower.at_once(|follower| {
            *found = follower.engine()?;
            everything(follower, watched, told, found, entries)
        })?;
        self.looked = Some(changes);
        Ok(news)
    }

    /// Tells everything again at the next look: what was told before may be shown as lost.
    pub fn tell_again(&mut self) {
        self.told.engine = None;
        self.looked = None;
    }

    /// All that has been recorded so far, with every line that a step printed.
    pub fn tape(&mut self) -> Result<Tape, Error> {
        let mut tape = Tape::default();
        tape.extend(News {
            output: self.follower.latest_output(u32::MAX)?,
            ..self.look()?
        });
        Ok(tape)
    }
}

/// All that is not the chain's, beside the entries that are.
fn everything(
    follower: &mut Follower,
    watched: &mut Option<Watched>,
    told: &mut Told,
    found: &EngineState,
    entries: Vec<Recorded>,
) -> Result<News, Error> {
    let samples = follower.poll_samples()?;
    let output = output(follower, watched)?;
    let last_line = follower.latest_output(1)?.pop();
    let last_line = last_line.filter(|l| told.last_line.as_ref() != Some(l));
    told.last_line = last_line.clone().or(told.last_line.take());
    Ok(News {
        entries,
        samples: samples.into_iter().map(reading).collect(),
        output,
        last_line,
        progress: changed(&mut told.progress, Some(follower.progress()?)),
        triggers: changed(&mut told.triggers, follower.board(key::TRIGGERS)?),
        checklist: changed(&mut told.checklist, follower.board(key::CHECKLIST)?),
        fleet: changed(&mut told.fleet, follower.board(key::FLEET)?),
        presence: changed(&mut told.presence, follower.board(key::PRESENCE)?),
        cost: changed(&mut told.cost, follower.board(key::COST)?.map(Some)).flatten(),
        feed: changed(&mut told.feed, follower.board(key::FEED)?.map(Some)).flatten(),
        details: changed(&mut told.details, follower.board(key::DETAILS)?),
        parity: changed(&mut told.parity, follower.board(key::PARITY)?),
        plan: changed(&mut told.plan, follower.board(key::PLAN)?),
        loads: follower.board_if_new(key::LOADS, &mut told.loads)?,
        clients: follower.board_if_new(key::CLIENTS, &mut told.clients)?,
        engine: changed(&mut told.engine, Some(Some(engine(found.clone())))).flatten(),
    })
}

fn output(follower: &Follower, watched: &mut Option<Watched>) -> Result<Vec<OutputLine>, Error> {
    let Some(watched) = watched else {
        return Ok(Vec::new());
    };
    let output = follower.output(&watched.step, watched.attempt, watched.after)?;
    if let Some(last) = output.lines.last() {
        watched.after = last.id;
    }
    Ok(output.lines)
}

/// The value, if it is another than the one that was told last.
fn changed<T: PartialEq + Clone>(told: &mut T, now: Option<T>) -> Option<T> {
    let now = now.filter(|n| n != told)?;
    *told = now.clone();
    Some(now)
}

fn reading(sample: journal::Sample) -> Reading {
    Reading {
        value: sample.reading.value(),
        signal: sample.signal,
        at_ms: sample.at_ms,
    }
}

fn engine(state: EngineState) -> Engine {
    match state {
        EngineState::Never => Engine::Gone { last: None },
        EngineState::Ended { holder } => Engine::Gone {
            last: Some((holder.pid, true)),
        },
        EngineState::Died { holder } => Engine::Gone {
            last: Some((holder.pid, false)),
        },
        EngineState::Alive { holder, beat } => {
            let pid = holder.map_or(0, |h| h.pid);
            let age_ms = beat.and_then(|b| b.age_ms(&clock::boot_id(), clock::now_ms()));
            if age_ms.is_some_and(|age| age > SILENT_MS) {
                Engine::Silent { pid }
            } else {
                Engine::Live { pid }
            }
        }
    }
}
