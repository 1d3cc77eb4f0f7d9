//! One sentence that says what to do next and who must do it. Pure, so that every screen, `status` and the log say the same.
//! Not in here: which key does it (the cockpit knows), and how long a running step will still take (its progress says that).

mod line;
mod signatures;

pub use self::line::next_line;
use self::signatures::{no_go, signable};
use super::charter::{LineKind, StepLine};
use super::decide::may_start;
use super::due::starts_by_itself;
use super::event::{RollbackCause, TriggerPhase, Undo};
use super::live::TriggerView;
use super::roles::Act;
use super::state::{Phase, Rollback, Session, StepState, StepStatus, TriggerState};
use crate::format::{counted, span};
use crate::runbook::{Condition, Role};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// How much it matters that somebody acts now.
    pub urgency: Urgency,
    /// The sentence. Holds names from the runbook and text of steps: foreign text.
    pub sentence: String,
    /// What is to be done, if it is for a person.
    pub act: Option<Act>,
    /// Who can do it; empty where nobody has to.
    pub waits_for: Vec<Role>,
}

/// How much it matters that somebody acts now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nobody has to do anything.
    Calm,
    /// The bridge waits for a person.
    Waiting,
    /// Something is wrong and may end in a rollback.
    Alarm,
    /// A rollback is due or under way.
    Rollback,
}

impl Advice {
    fn calm(sentence: impl Into<String>) -> Advice {
        Advice {
            urgency: Urgency::Calm,
            sentence: sentence.into(),
            act: None,
            waits_for: Vec::new(),
        }
    }

    fn of(urgency: Urgency, act: Act, waits_for: &[Role], sentence: impl Into<String>) -> Advice {
        Advice {
            urgency,
            sentence: sentence.into(),
            act: Some(act),
            waits_for: waits_for.to_vec(),
        }
    }
}

const DRIVER: [Role; 1] = [Role::ReleaseManager];

/// What to do next in this session at this session time, the most urgent thing first.
pub fn next_action(session: &Session, at_ms: i64) -> Advice {
    next_action_seen(session, at_ms, &[])
}

/// The same, for those who see the triggers as they are now: events only say how each stood when it last changed.
pub fn next_action_seen(session: &Session, at_ms: i64, triggers: &[TriggerView]) -> Advice {
    match session.phase {
        Phase::Completed => Advice::calm("The release is complete: nothing is left to do here."),
        Phase::RolledBack => rolled_back(session),
        Phase::RollingBack => rolling_back(session, at_ms),
        Phase::Open => fired(session, at_ms)
            .or_else(|| interrupted(session))
            .or_else(|| failed(session))
            .or_else(|| burning(session, at_ms, triggers))
            .or_else(|| overrun(session))
            .or_else(|| held(session))
            .or_else(|| running(session))
            .unwrap_or_else(|| next(session)),
    }
}

fn rolled_back(session: &Session) -> Advice {
    let Some(rollback) = &session.rollback else {
        return Advice::calm("Rolled back.");
    };
    let took = rollback
        .restored_ms
        .map(|ms| span(session.charter.runbook_ms(ms - rollback.started_ms)))
        .map_or_else(String::new, |t| format!(" after {t}"));
    if rollback.healthy == Some(true) && session.is_no_go() {
        return Advice::calm(format!(
            "No-go: PostgreSQL was not touched, and the application serves from SQLite as before{took}. Another session may be opened at any time."
        ));
    }
    let with = super::brought::clause(session);
    if let Some(why) = super::attempt::unsalvaged(session) {
        let what = match with.is_empty() {
            true => "what users wrote to PostgreSQL",
            false => "what else they wrote",
        };
        let sentence = format!(
            "Rolled back{took}{with}, and {what} is NOT kept: {why}. Before anything else: {}.",
            super::attempt::keeping(session)
        );
        return Advice {
            urgency: Urgency::Rollback,
            sentence,
            act: None,
            waits_for: Vec::new(),
        };
    }
    if rollback.healthy == Some(true) {
        let lacks = match super::attempt::salvaged_rows(session) {
            0 => String::new(),
            rows => format!(
                ". In the salvage file: {} that users wrote to PostgreSQL, which SQLite lacks until they are brought in (`cutover salvage show`, then \
                 `apply`)",
                counted(rows, "row")
            ),
        };
        let red = line::not_done(session);
        let asks = !lacks.is_empty() || !red.is_empty();
        let act =
            (!red.is_empty() && super::retry::rows(session, None).is_ok()).then_some(Act::Retry);
        return Advice {
            urgency: if asks {
                Urgency::Waiting
            } else {
                Urgency::Calm
            },
            sentence: format!(
                "Rolled back: the application serves from SQLite again{took}{with}{lacks}{red}. Before another attempt: `cutover correct`, then a new \
                 rehearsal."
            ),
            waits_for: act.iter().map(|_| Role::Engineer).collect(),
            act,
        };
    }
    let sentence = format!(
        "Rolled back, and NOT healthy: {}. {} must look at the application by hand; what failed can be tried again until the session is closed.",
        failed_rows(session, rollback),
        names(session, &[Role::Engineer])
    );
    Advice {
        urgency: Urgency::Rollback,
        sentence,
        act: super::retry::rows(session, None)
            .is_ok()
            .then_some(Act::Retry),
        waits_for: vec![Role::Engineer],
    }
}

fn rolling_back(session: &Session, at_ms: i64) -> Advice {
    let Some(rollback) = &session.rollback else {
        return Advice::calm("The rollback begins.");
    };
    let row = rollback.rows.iter().position(|r| !is_ended(r));
    let now = row.map_or_else(
        || "its last row has ended".to_owned(),
        |i| {
            let line = &session.charter.rollback[i];
            format!("{}, {}", line.id, line.title)
        },
    );
    let clock = session.charter.runbook_ms(at_ms - rollback.started_ms);
    let why = match &rollback.cause {
        RollbackCause::Person { by } => format!("started by {by}"),
        RollbackCause::Trigger { trigger } => format!("{trigger} fired"),
    };
    Advice {
        urgency: Urgency::Rollback,
        sentence: format!(
            "Rolling back ({why}): {now}; {} of {}. Wait: it goes on by itself.",
            span(clock),
            span(session.charter.limits.rto_ms)
        ),
        act: None,
        waits_for: Vec::new(),
    }
}

fn fired(session: &Session, at_ms: i64) -> Option<Advice> {
    let fired = session.fired.as_ref()?;
    let left_ms = countdown_left_ms(session, at_ms)?;
    let sentence = format!(
        "ROLLBACK in {} s: {} fired: {}. Nobody can stop it; anyone can start it sooner.",
        left_ms.saturating_add(999) / 1000,
        fired.trigger,
        fired.reason
    );
    Some(Advice::of(
        Urgency::Rollback,
        Act::RollBack,
        &Role::ALL,
        sentence,
    ))
}

/// Real milliseconds until the rollback begins by itself; `None` where no trigger has fired or the rollback has begun.
pub fn countdown_left_ms(session: &Session, at_ms: i64) -> Option<i64> {
    let fired = session.fired.as_ref()?;
    if session.phase != Phase::Open {
        return None;
    }
    let countdown_ms = session.charter.real_ms(session.charter.limits.countdown_ms);
    Some(
        fired
            .at_ms
            .saturating_add(countdown_ms)
            .saturating_sub(at_ms)
            .max(0),
    )
}

fn interrupted(session: &Session) -> Option<Advice> {
    let (line, state) = current(session).filter(|(_, s)| s.status == StepStatus::Unknown)?;
    let Some(question) = &state.question else {
        return Some(Advice::calm(format!(
            "{} was interrupted: the engine finds out how far it came.",
            line.id
        )));
    };
    let deciders = [Role::ReleaseManager, Role::Engineer];
    let sentence = format!(
        "{} was interrupted and no machine can tell how far it came ({question}): {} must decide.",
        line.id,
        names(session, &deciders)
    );
    Some(Advice::of(Urgency::Alarm, Act::Decide, &deciders, sentence))
}

fn failed(session: &Session) -> Option<Advice> {
    let (line, state) = session
        .next_step()
        .filter(|(_, s)| s.status == StepStatus::Failed)?;
    let outcome = state.outcome.as_ref()?;
    let why = outcome.summary.trim_end_matches('.');
    if outcome.passing && state.attempt < line.attempts && session.held.is_none() {
        return Some(Advice::calm(format!(
            "{} failed ({why}) and is tried again by itself: attempt {} of {}.",
            line.id,
            state.attempt.saturating_add(1),
            line.attempts
        )));
    }
    let sentence = format!(
        "{} FAILED: {why}. {} removes the cause and starts it again, or anyone rolls back.",
        line.id,
        names(session, &DRIVER)
    );
    Some(Advice::of(
        Urgency::Alarm,
        Act::StartStep,
        &DRIVER,
        sentence,
    ))
}

/// What burns, the one that would fire first before the others.
fn burning(session: &Session, at_ms: i64, triggers: &[TriggerView]) -> Option<Advice> {
    let view = |id: &str| triggers.iter().find(|view| view.id == id);
    let left_ms = |id: &str, state: &TriggerState| {
        if let Some(view) = view(id) {
            return Some(view.full_ms.saturating_sub(view.streak_ms).max(0));
        }
        let burned_ms = session.charter.runbook_ms(at_ms - state.since_ms);
        full_ms(session, id).map(|full_ms| full_ms.saturating_sub(burned_ms).max(0))
    };
    let mut burning: Vec<_> = session
        .triggers
        .iter()
        .filter(|(_, t)| t.phase == TriggerPhase::Burning)
        .filter(|(id, _)| view(id).is_none_or(|v| v.armed && v.phase != TriggerPhase::Clear))
        .map(|(id, t)| (left_ms(id, t), id, t))
        .filter(|(left_ms, id, _)| !is_expected(session, id, *left_ms))
        .collect();
    burning.sort_by_key(|(left_ms, ..)| left_ms.unwrap_or(i64::MAX));
    let ((left_ms, id, state), others) = burning.split_first()?;
    let reason = view(id).map_or(&state.reason, |view| &view.reason);
    let left = left_ms.map_or_else(String::new, |ms| {
        format!(" and fires in about {} unless it clears", span(ms))
    });
    let others = match others.len() {
        0 => String::new(),
        1 => format!(" {} burns too.", others[0].1),
        n => format!(" {n} others burn too."),
    };
    let sentence = format!(
        "{id} burns{left}: {reason}.{others} Find the cause, or roll back now: anyone may."
    );
    Some(Advice::of(
        Urgency::Alarm,
        Act::RollBack,
        &Role::ALL,
        sentence,
    ))
}

/// An instance that the step at work has restarted is not ready for a while. Half way to the end of that trigger it is news again.
fn is_expected(session: &Session, id: &str, left_ms: Option<i64>) -> bool {
    let (Some((_, instance)), Some(step)) = (id.split_once('.'), session.current_step()) else {
        return false;
    };
    let restarts = |(of, undo): &(String, Undo)| {
        *of == step.id
            && matches!(undo, Undo::Restart { instance: restarted } if restarted == instance)
    };
    let full_ms = full_ms(session, id);
    let is_young = left_ms
        .zip(full_ms)
        .is_some_and(|(left_ms, full_ms)| left_ms > full_ms / 2);
    is_young && session.undos.iter().any(restarts)
}

fn overrun(session: &Session) -> Option<Advice> {
    let over = session.freeze_overran && session.freeze().is_some_and(|(_, end)| end.is_none());
    let limit_ms = session.freeze_limit_ms();
    over.then(|| {
        let sentence = format!(
            "The freeze has lasted longer than the agreed {}: {} extends it or rolls back.",
            span(limit_ms),
            names(session, &DRIVER)
        );
        Advice::of(Urgency::Alarm, Act::ExtendFreeze, &DRIVER, sentence)
    })
}

fn held(session: &Session) -> Option<Advice> {
    let held = session.held.as_ref()?;
    let runs = current(session).map_or_else(String::new, |(l, _)| format!(" {} runs on.", l.id));
    let sentence = format!(
        "HELD by {}: {}.{runs} {} resumes it.",
        held.by,
        held.reason.trim_end_matches('.'),
        names(session, &DRIVER)
    );
    Some(Advice::of(Urgency::Waiting, Act::Resume, &DRIVER, sentence))
}

fn running(session: &Session) -> Option<Advice> {
    let (line, state) = current(session)?;
    if let LineKind::Confirm(roles) = &line.kind {
        let missing: Vec<Role> = roles
            .iter()
            .copied()
            .filter(|r| !state.confirmed.contains_key(r))
            .collect();
        let sentence = format!(
            "{} waits for {} to confirm being on call.",
            line.id,
            names(session, &missing)
        );
        return Some(Advice::of(
            Urgency::Waiting,
            Act::Confirm,
            &missing,
            sentence,
        ));
    }
    let running = format!("{} is running: {}.", line.id, line.title);
    let mut advice = match signable(session) {
        Some((roles, signatures)) => Advice::of(
            Urgency::Waiting,
            Act::Sign,
            &roles,
            format!("{running} Meanwhile {signatures}."),
        ),
        None => Advice::calm(format!("{running} Wait for it.")),
    };
    advice.urgency = Urgency::Calm;
    Some(advice)
}

fn next(session: &Session) -> Advice {
    let Some((line, _)) = session.next_step() else {
        return Advice::of(
            Urgency::Waiting,
            Act::Complete,
            &DRIVER,
            format!(
                "Every step is done and within its thresholds: {} completes the release.",
                names(session, &DRIVER)
            ),
        );
    };
    let index = session.charter.step_index(&line.id).unwrap_or_default();
    let red = session.gates_in_the_way(index);
    if !red.is_empty() {
        return no_go(session, line, &red);
    }
    match (starts_by_itself(session), may_start(session)) {
        (_, Err(refusal)) => Advice::calm(format!("{refusal}.")),
        (Some(_), Ok(_)) => Advice::calm(format!(
            "{} ({}) starts by itself.",
            line.id,
            line.title.trim_end_matches('.')
        )),
        (None, Ok(_)) => {
            let ready = if line.kind == LineKind::Switch {
                "GO: every gate is green. "
            } else {
                ""
            };
            let sentence = format!(
                "{ready}{} starts {}: {}.",
                names(session, &DRIVER),
                line.id,
                line.title.trim_end_matches('.')
            );
            Advice::of(Urgency::Waiting, Act::StartStep, &DRIVER, sentence)
        }
    }
}

/// `Ada Lindqvist (engineer), Quinn Sato (QA)`.
fn names(session: &Session, roles: &[Role]) -> String {
    let each = roles.iter().map(|role| {
        let person = session
            .charter
            .people
            .iter()
            .find(|p| p.roles.contains(role));
        match person {
            Some(p) => format!("{} ({})", p.name, role.title()),
            None => format!("the {}", role.title()),
        }
    });
    each.collect::<Vec<_>>().join(", ")
}

fn failed_rows(session: &Session, rollback: &Rollback) -> String {
    let failed = session.charter.rollback.iter().zip(&rollback.rows);
    let lines: Vec<String> = failed
        .filter(|(_, s)| s.status == StepStatus::Failed)
        .map(|(l, s)| {
            let why = s.outcome.as_ref().map_or("", |o| o.summary.as_str());
            format!("{} failed: {}", l.id, why.trim_end_matches('.'))
        })
        .collect();
    if lines.is_empty() {
        "not every row of the rollback is done".to_owned()
    } else {
        lines.join("; ")
    }
}

fn current(session: &Session) -> Option<(&StepLine, &StepState)> {
    let state = session.current_step()?;
    let index = session.charter.step_index(&state.id)?;
    Some((&session.charter.steps[index], state))
}

fn is_ended(row: &StepState) -> bool {
    row.is_over() || row.status == StepStatus::Failed
}

/// How long the condition of a trigger must hold, in runbook time; `T1a.app-3` is an instance of `T1a`.
fn full_ms(session: &Session, id: &str) -> Option<i64> {
    let base = id.split('.').next().unwrap_or(id);
    let trigger = session.charter.triggers.iter().find(|t| t.id == base)?;
    match &trigger.when {
        Condition::Signal { for_ms, .. } => Some(*for_ms),
        Condition::Check { .. } => None,
    }
}
