//! What maintenance does to shares of 5xx: while it is on, and for a while after its end, there may be too few answers to judge.
//! That is expected, and nobody is called because of it.

use super::{Reading, Sample};
use crate::session::Session;

/// How far a share of 5xx reaches back at most where nobody says, in runbook time: the usual window.
pub const REACH_MS: i64 = 5 * 60_000;

/// Whether a signal is a share of 5xx. By its name: where numbers come from a server or a command, nothing else tells.
pub fn is_of_5xx(signal: &str) -> bool {
    signal.contains("5xx")
}

/// Whether a sample says little because maintenance's answers do not count: it is over too few of the others.
pub fn lies_on(session: &Session, sample: &Sample) -> bool {
    let Some((since_ms, end_ms)) = session.freeze() else {
        return false;
    };
    let reach_ms = session.charter.real_ms(REACH_MS);
    let has_begun = sample.at_ms >= since_ms;
    let is_past = end_ms.is_some_and(|end_ms| sample.at_ms >= end_ms + reach_ms);
    // If a part of the fleet did not answer, the trigger is blind as usual.
    let was_asked = matches!(sample.reading, Reading::Value { .. });
    has_begun && !is_past && was_asked && is_of_5xx(&sample.signal)
}
