//! All triggers of a session, judged together. Its verdicts become events; its memory survives the engine.

use serde::{Deserialize, Serialize};

use super::{Cadence, Sample};
use crate::session::live::TriggerView;
use crate::session::{Charter, Event, Recorded, Session, TriggerPhase};

/// Judges samples by the charter's triggers of kind `signal`. Feed it every event ([`Judge::apply`]) and every sample
/// ([`Judge::observe`]) in the order in which they came, and ask it often ([`Judge::tick`]).
#[derive(Debug, Clone)]
pub struct Judge {
    memory: Memory,
}

/// What must survive the engine. Plain data, small.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {}

/// What the judge has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A trigger changed its state, other than by firing.
    Moved {
        /// `T3a`, or `T1a.app-3`.
        trigger: String,
        /// To what.
        phase: TriggerPhase,
        /// In words and numbers.
        reason: String,
    },
    /// A trigger fired. Final; said once.
    Fired {
        /// `T3a`, or `T1a.app-3`.
        trigger: String,
        /// In words and numbers.
        reason: String,
    },
    /// A trigger has been blind for too long. Said once each time it goes blind.
    BlindTooLong {
        /// `T3a`, or `T1a.app-3`.
        trigger: String,
        /// In words and numbers.
        reason: String,
    },
}

impl From<Verdict> for Event {
    fn from(verdict: Verdict) -> Event {
        match verdict {
            Verdict::Moved {
                trigger,
                phase,
                reason,
            } => Event::TriggerMoved {
                trigger,
                state: phase,
                reason,
            },
            Verdict::Fired { trigger, reason } => Event::TriggerFired { trigger, reason },
            Verdict::BlindTooLong { trigger, reason } => Event::AlarmRaised {
                text: format!("{trigger} is blind: {reason}"),
            },
        }
    }
}

impl Judge {
    /// A judge that knows nothing yet, or goes on from what an earlier one knew.
    pub fn new(charter: &Charter, cadence: Cadence, memory: Option<Memory>) -> Judge {
        let _ = (charter, cadence);
        Judge {
            memory: memory.unwrap_or_default(),
        }
    }

    /// What the next engine needs to go on.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Takes note of what an event means here: an instance restarted on purpose, an engine that was away.
    pub fn apply(&mut self, recorded: &Recorded) {
        let _ = recorded;
    }

    /// Judges a sample.
    pub fn observe(&mut self, sample: &Sample, session: &Session) {
        let _ = (sample, session);
    }

    /// What has changed since the last call.
    pub fn tick(&mut self, session: &Session, now_ms: i64) -> Vec<Verdict> {
        let _ = (session, now_ms);
        Vec::new()
    }

    /// Every trigger as a fuse, in the charter's order.
    pub fn views(&self, session: &Session, now_ms: i64) -> Vec<TriggerView> {
        let _ = (session, now_ms);
        Vec::new()
    }
}
