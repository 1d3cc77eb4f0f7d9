//! Planned against actual. Not in here: the limits themselves (`session::charter`).

use serde::Serialize;

use super::{real_seconds, seconds};
use crate::session::forecast::rehearsed;
use crate::session::{LineKind, RollbackCause, Session};

/// An agreed limit against what it took.
#[derive(Debug, Clone, Serialize)]
pub struct PlanReport {
    #[serde(skip)]
    pub limit: Limit,
    /// The same in words.
    pub what: &'static str,
    /// The limit in real seconds.
    pub planned_seconds: f64,
    /// What it took, or has taken so far; `None` where it did not happen.
    pub actual_seconds: Option<f64>,
    /// Whether the limit was kept.
    pub kept: Option<bool>,
}

/// What was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// How long writes are frozen.
    Freeze,
    /// How soon after the switch all is verified.
    Verification,
    /// How soon after the rollback's begin the application serves from SQLite.
    Rollback,
    /// How soon after its condition was met something is taken back.
    FirstUndo,
    /// The rollback's, against the rehearsal.
    RehearsedRollback,
}

impl Limit {
    fn words(self) -> &'static str {
        match self {
            Limit::Freeze => "freeze, extensions included",
            Limit::Verification => "verification after the switch",
            Limit::Rollback => "rollback (RTO)",
            Limit::FirstUndo => "condition met to first undo",
            Limit::RehearsedRollback => "rollback, as rehearsed",
        }
    }
}

/// How soon after the countdown, or after a person's word, something is taken back.
const REACTION_SECONDS: f64 = 1.0;

/// Freeze, verification and rollback against what was agreed; the rollback also against its rehearsal.
pub(in crate::report) fn plan(session: &Session) -> Vec<PlanReport> {
    let limits = &session.charter.limits;
    let line = |limit: Limit, planned_seconds: f64, actual: Option<f64>| PlanReport {
        limit,
        what: limit.words(),
        planned_seconds,
        actual_seconds: actual,
        kept: actual.map(|a| a <= planned_seconds),
    };
    let freeze = session
        .freeze()
        .map(|(since, until)| seconds(since, until.unwrap_or(session.at_ms)));
    let mut plan = vec![
        line(
            Limit::Freeze,
            real_seconds(session, session.freeze_limit_ms()),
            freeze,
        ),
        line(
            Limit::Verification,
            real_seconds(session, limits.verify_within_ms),
            verified(session),
        ),
    ];
    let restored = session
        .rollback
        .as_ref()
        .and_then(|r| Some(seconds(r.started_ms, r.restored_ms?)));
    plan.push(line(
        Limit::Rollback,
        real_seconds(session, limits.rto_ms),
        restored,
    ));
    if let Some(after_ms) = session.first_undo_after_ms() {
        let waited = match session.rollback.as_ref().map(|r| &r.cause) {
            Some(RollbackCause::Trigger { .. }) => real_seconds(session, limits.countdown_ms),
            _ => 0.0,
        };
        let actual = Some(seconds(0, after_ms));
        plan.push(line(Limit::FirstUndo, waited + REACTION_SECONDS, actual));
    }
    if let Some(rehearsal) = rehearsed(session) {
        let took = rehearsal.rollback_ms as f64 / 1_000.0;
        let rto = real_seconds(session, limits.rto_ms);
        plan.push(line(Limit::RehearsedRollback, rto, Some(took)));
    }
    plan
}

/// From the switch until the last of V1–V5 was over.
fn verified(session: &Session) -> Option<f64> {
    let switched_ms = session.switched_ms()?;
    let lines = session.lines();
    let mut verify = lines
        .filter(|(line, _)| line.kind == LineKind::Verify)
        .map(|(_, state)| state);
    let last = verify.try_fold(switched_ms, |last, state| {
        Some(last.max(state.ended_ms.filter(|_| state.is_over())?))
    })?;
    Some(seconds(switched_ms, last))
}
