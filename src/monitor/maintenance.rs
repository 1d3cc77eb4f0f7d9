//! Where maintenance stands, for the probes that count errors: while it is on, its own refusals are no errors of the application, and
//! what was counted until its end says nothing about the time after it. Not in here: which signals that concerns ([`shadow`]).
//!
//! [`shadow`]: crate::trigger::shadow

use std::sync::{Arc, Mutex};

use crate::trigger::Reading;

/// Where maintenance stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// It was never on.
    #[default]
    Usual,
    /// The step that turns it on has begun, the one that lifts it has not ended.
    On,
    /// It was lifted at this session time.
    Over {
        /// When.
        at_ms: i64,
    },
}

impl Stage {
    /// By when the freeze began and ended.
    pub fn of(freeze: Option<(i64, Option<i64>)>) -> Stage {
        match freeze {
            None => Stage::Usual,
            Some((_, None)) => Stage::On,
            Some((_, Some(at_ms))) => Stage::Over { at_ms },
        }
    }

    /// Whether what reaches back so far from this time still touches the maintenance.
    pub fn reaches(self, at_ms: i64, back_ms: i64) -> bool {
        match self {
            Stage::Usual => false,
            Stage::On => true,
            Stage::Over { at_ms: end_ms } => at_ms - back_ms < end_ms,
        }
    }
}

/// The stage as the probes share it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Maintenance(Arc<Mutex<Stage>>);

impl Maintenance {
    pub(super) fn stands(&self, stage: Stage) {
        *self.0.lock().expect("BUG: no holder panics") = stage;
    }

    pub(super) fn stage(&self) -> Stage {
        *self.0.lock().expect("BUG: no holder panics")
    }
}

/// A share of 5xx of which nothing can be said yet: it is over no request, so that the rules find too few. Not *no data*: the probe
/// did ask, and its silence is no fault that somebody has to look after.
pub(super) fn nothing_yet() -> Reading {
    Reading::over(0.0, Some(0))
}
