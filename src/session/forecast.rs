//! When the freeze will end, and until when a rollback still fits into it: by what every step took in the rehearsal. Pure.
//!
//! What people take to decide and to sign is not counted, and not in here: what a running step reports of its own progress.

use super::charter::LineKind;
use super::event::RehearsalEvidence;
use super::state::{Phase, Session, StepStatus};
use crate::format::span;

/// What the rehearsal says of a freeze that has begun. Real time throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// How long the work takes that is left until writes are reopened.
    pub freeze_left_ms: i64,
    /// Steps of it that the rehearsal has no time for.
    pub unknown_steps: usize,
    /// Session time: a rollback that begins later ends beyond the agreed freeze. The point of no return.
    pub no_return_ms: i64,
}

impl Forecast {
    /// Whether a rollback that began now would end beyond the agreed freeze.
    pub fn is_past(&self, at_ms: i64) -> bool {
        at_ms > self.no_return_ms
    }
}

/// What a step, or a row of the rollback, took in the rehearsal, in real milliseconds.
pub fn rehearsed_ms(session: &Session, id: &str) -> Option<i64> {
    let times = &rehearsed(session)?.took_ms;
    times.iter().find(|(of, _)| of == id).map(|(_, ms)| *ms)
}

/// The rehearsal of this very runbook: the times of another say nothing about it.
pub fn rehearsed(session: &Session) -> Option<&RehearsalEvidence> {
    let same = |r: &&RehearsalEvidence| r.runbook_hash == session.charter.runbook_hash;
    session.rehearsal.as_ref().filter(same)
}

/// The forecast, while writes are stopped and nothing is rolled back; `None` without the times of a rehearsal.
pub fn forecast(session: &Session, at_ms: i64) -> Option<Forecast> {
    let rehearsal = rehearsed(session)?;
    let (since_ms, None) = session.freeze()? else {
        return None;
    };
    if session.phase != Phase::Open || rehearsal.took_ms.is_empty() {
        return None;
    }
    let charter = &session.charter;
    let last = charter.index_of_kind(&LineKind::Reopen)?;
    let (mut freeze_left_ms, mut unknown_steps) = (0_i64, 0);
    for step in session.steps[..=last].iter().filter(|s| !s.is_over()) {
        let Some(took_ms) = rehearsed_ms(session, &step.id) else {
            unknown_steps += 1;
            continue;
        };
        let running = step.status == StepStatus::Running;
        let passed_ms = step
            .started_ms
            .filter(|_| running)
            .map_or(0, |ms| at_ms - ms);
        let left_ms = took_ms.saturating_sub(passed_ms).max(0);
        freeze_left_ms = freeze_left_ms.saturating_add(left_ms);
    }
    let limit_ms = charter.real_ms(session.freeze_limit_ms());
    Some(Forecast {
        freeze_left_ms,
        unknown_steps,
        no_return_ms: since_ms
            .saturating_add(limit_ms)
            .saturating_sub(rehearsal.rollback_ms),
    })
}

/// The forecast in words, in runbook time.
pub fn sentence(session: &Session, at_ms: i64) -> Option<String> {
    let told = forecast(session, at_ms)?;
    let span = |real_ms: i64| span(session.charter.runbook_ms(real_ms));
    let lacking = match told.unknown_steps {
        0 => String::new(),
        n => format!(" (without {n} steps that it has no time for)"),
    };
    let back = match told.no_return_ms.saturating_sub(at_ms) {
        left_ms @ 0.. => format!(
            "a rollback that begins within {} ends within it",
            span(left_ms)
        ),
        late_ms => format!("a rollback now ends {} after it", span(-late_ms)),
    };
    Some(format!(
        "by the rehearsal {} of work are left{lacking}; {back}",
        span(told.freeze_left_ms)
    ))
}
