//! What must happen by itself: the next automatic step, another attempt, the end of a countdown, a limit that has passed, the
//! next row of a rollback. Pure: the engine asks with the time, appends the answer and acts on it.

use super::charter::LineKind;
use super::decide::may_start;
use super::event::{Event, Found, Outcome, RollbackCause};
use super::state::{Phase, Session, StepStatus};
use crate::runbook::{Condition, Start, Trigger};

/// The next events that are due at this session time; empty when there is nothing to do. The engine asks again after each.
pub fn due(session: &Session, at_ms: i64) -> Vec<Event> {
    match session.phase {
        Phase::RolledBack | Phase::Completed => Vec::new(),
        Phase::RollingBack => rollback_due(session),
        Phase::Open => fired_due(session, at_ms)
            .or_else(|| overrun_due(session, at_ms))
            .or_else(|| verification_due(session, at_ms))
            .or_else(|| retry_due(session))
            .or_else(|| auto_start_due(session))
            .into_iter()
            .collect(),
    }
}

/// The step that starts by itself next, without anybody doing anything; `None` where a person has to, or something else comes first.
pub fn starts_by_itself(session: &Session) -> Option<String> {
    let starts = retry_due(session).or_else(|| auto_start_due(session));
    if let Some(Event::StepStarted { step, .. }) = starts {
        Some(step)
    } else {
        None
    }
}

/// The events that follow from the end of a step: it is recorded, and triggers of kind `check` judge its final outcome.
pub fn step_ended(session: &Session, step: &str, outcome: Outcome) -> Vec<Event> {
    let Some(state) = session.step(step) else {
        return Vec::new();
    };
    let attempt = state.attempt;
    let mut events = Vec::new();
    if !(outcome.passing && attempt < attempts(session, step)) {
        events.extend(check_triggers(session, &outcome));
    }
    events.insert(
        0,
        Event::StepFinished {
            step: step.to_owned(),
            attempt,
            outcome,
        },
    );
    events
}

/// The events that follow from what was found out about an unknown step. The triggers that its outcome fires are recorded with it, for an
/// engine that died in between would leave an outcome that nobody judges.
pub fn found_out(session: &Session, step: &str, found: Found) -> Vec<Event> {
    let fired = match &found {
        Found::Done { outcome } => check_triggers(session, outcome),
        Found::RunAgain { .. } | Found::AskPerson { .. } => Vec::new(),
    };
    let found = Event::StepFoundOut {
        step: step.to_owned(),
        found,
        by: None,
    };
    [found].into_iter().chain(fired).collect()
}

/// Triggers of kind `check` that an outcome fires while they are armed; a trigger fires once.
pub fn check_triggers(session: &Session, outcome: &Outcome) -> Vec<Event> {
    let fired = |id: &str| session.fired.as_ref().is_some_and(|f| f.trigger == id);
    let armed = |t: &Trigger| session.armed_ms(t).is_some();
    outcome
        .checks
        .iter()
        .filter(|c| !c.ok)
        .flat_map(|check| {
            session
                .charter
                .triggers
                .iter()
                .filter_map(move |t| match &t.when {
                    Condition::Check { check: name }
                        if *name == check.name && armed(t) && !fired(&t.id) =>
                    {
                        Some(Event::TriggerFired {
                            trigger: t.id.clone(),
                            reason: check.detail.clone(),
                        })
                    }
                    Condition::Check { .. } | Condition::Signal { .. } => None,
                })
        })
        .collect()
}

fn attempts(session: &Session, step: &str) -> u32 {
    session
        .charter
        .step_index(step)
        .map_or(1, |i| session.charter.steps[i].attempts)
}

fn fired_due(session: &Session, at_ms: i64) -> Option<Event> {
    let fired = session.fired.as_ref()?;
    let countdown_ms = session.charter.real_ms(session.charter.limits.countdown_ms);
    (at_ms >= fired.at_ms.saturating_add(countdown_ms)).then(|| Event::RollbackStarted {
        cause: RollbackCause::Trigger {
            trigger: fired.trigger.clone(),
        },
        reason: fired.reason.clone(),
    })
}

fn overrun_due(session: &Session, at_ms: i64) -> Option<Event> {
    let (since_ms, None) = session.freeze()? else {
        return None;
    };
    let limit_ms = session.freeze_limit_ms();
    (!session.freeze_overran && at_ms > since_ms.saturating_add(session.charter.real_ms(limit_ms)))
        .then_some(Event::FreezeOverran { limit_ms })
}

/// V1–V5 not finished in time after the switch is V failed.
fn verification_due(session: &Session, at_ms: i64) -> Option<Event> {
    let switched_ms = session.switched_ms()?;
    let limit_ms = session.charter.limits.verify_within_ms;
    let open = session
        .lines()
        .find(|(line, s)| line.kind == LineKind::Verify && !s.is_over())?;
    let late = at_ms > switched_ms.saturating_add(session.charter.real_ms(limit_ms));
    let trigger = session
        .charter
        .triggers
        .iter()
        .find(|t| matches!(&t.when, Condition::Check { check } if check == "verification"))?;
    (late && session.fired.is_none()).then(|| Event::TriggerFired {
        trigger: trigger.id.clone(),
        reason: format!(
            "{} was not done {} minutes after the switch",
            open.0.id,
            limit_ms / 60_000
        ),
    })
}

/// A passing fault gets another attempt while the runbook allows it.
fn retry_due(session: &Session) -> Option<Event> {
    let (line, state) = session.next_step()?;
    let passing =
        state.status == StepStatus::Failed && state.outcome.as_ref().is_some_and(|o| o.passing);
    (passing && state.attempt < line.attempts && may_start(session).is_ok()).then(|| {
        Event::StepStarted {
            step: line.id.clone(),
            attempt: state.attempt.saturating_add(1),
            by: None,
        }
    })
}

fn auto_start_due(session: &Session) -> Option<Event> {
    let (line, state) = session.next_step()?;
    // A step that was found to have done nothing goes on by itself: a person had started it.
    let begun = state.attempt > 0;
    let ready = state.status == StepStatus::Pending && (line.start == Start::Auto || begun);
    (ready && may_start(session).is_ok()).then(|| Event::StepStarted {
        step: line.id.clone(),
        attempt: state.attempt.saturating_add(1),
        by: None,
    })
}

fn rollback_due(session: &Session) -> Vec<Event> {
    let Some(rollback) = &session.rollback else {
        return Vec::new();
    };
    if rollback
        .rows
        .iter()
        .any(|r| r.status == StepStatus::Running)
    {
        return Vec::new();
    }
    match rollback
        .rows
        .iter()
        .find(|r| r.status == StepStatus::Pending)
    {
        Some(row) => vec![Event::RollbackRowStarted {
            row: row.id.clone(),
        }],
        None => {
            let within = |id: &str| {
                session
                    .charter
                    .rollback
                    .iter()
                    .any(|l| l.id == id && l.within_rto && !l.brings)
            };
            let healthy = rollback
                .rows
                .iter()
                .all(|r| r.status == StepStatus::Done || !within(&r.id));
            vec![Event::RolledBack { healthy }]
        }
    }
}
