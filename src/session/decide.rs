//! The one place that says whether a person may do a thing now. A command becomes events or a refusal; nothing is done here.

mod gates;

pub use gates::statement;

use super::charter::LineKind;
use super::command::{Command, Refusal};
use super::discard::{self, Rows};
use super::event::{Event, Found, Outcome, RollbackCause, left_to_do};
use super::facts::Confirmed;
use super::retry;
use super::roles::{Actor, permit};
use super::state::{Phase, Session, StepStatus};
use crate::runbook::Role;

/// The events that a command leads to, or why it does not.
///
/// # Errors
/// See [`Refusal`]; nothing has changed then.
pub fn decide(session: &Session, actor: &Actor, command: &Command) -> Result<Vec<Event>, Refusal> {
    let mut events = decide_itself(session, actor, command)?;
    if let Some(deputy) = as_deputy(session, actor, command, &events) {
        events.insert(0, deputy);
    }
    Ok(events)
}

/// Says in whose place somebody does what none of their own roles lets them do.
fn as_deputy(
    session: &Session,
    actor: &Actor,
    command: &Command,
    events: &[Event],
) -> Option<Event> {
    let own = &session.charter.person(&actor.id)?.roles;
    let role = match events.first()? {
        Event::GateSigned { signature, .. } => signature.role,
        Event::StepConfirmed { role, .. } => *role,
        _ => {
            let needed = |roles: &[Role]| permit(command.act(), roles).is_ok();
            let mut mine = actor.roles.iter().copied();
            mine.find(|role| !needed(own) && needed(&[*role]))?
        }
    };
    Some(Event::DeputyActed {
        by: actor.id.clone(),
        absent: session.charter.stands_in_for(&actor.id, role)?,
        role,
    })
}

fn decide_itself(
    session: &Session,
    actor: &Actor,
    command: &Command,
) -> Result<Vec<Event>, Refusal> {
    let act = command.act();
    permit(act, &actor.roles).map_err(|(what, allowed)| Refusal::NotAllowed {
        who: actor.id.clone(),
        what: what.to_owned(),
        allowed: titles(allowed),
    })?;
    if let Command::Note { text } = command {
        return Ok(vec![Event::NoteWritten {
            by: actor.id.clone(),
            text: reason(text)?,
        }]);
    }
    if let Command::Correct {
        what,
        gives_up_rows,
    } = command
    {
        if session.phase != Phase::RolledBack {
            return Err(Refusal::NotRolledBack);
        }
        return Ok(vec![Event::CorrectionRecorded {
            by: actor.id.clone(),
            what: reason(what)?,
            gives_up_rows: *gives_up_rows,
        }]);
    }
    if let Command::Retry { row } = command {
        return Ok(vec![Event::RollbackRetried {
            by: actor.id.clone(),
            rows: retry::rows(session, row.as_deref())?,
        }]);
    }
    let has_ended = matches!(session.phase, Phase::RolledBack | Phase::Completed);
    // A rehearsal that was interrupted comes to no other end than this one.
    let is_over = has_ended || (session.charter.rehearsal && session.is_closed);
    if let Command::Close {
        found,
        accepts_open,
    } = command
    {
        if !has_ended && !session.charter.rehearsal {
            return Err(Refusal::NotOver);
        }
        // A session that was closed before is not opened by this, and one of a rehearsal has nothing that could be tried again.
        let closes = *accepts_open || session.is_closed || session.charter.rehearsal;
        return Ok(vec![Event::SessionClosed {
            by: actor.id.clone(),
            found: found.clone(),
            stays_open: !closes && left_to_do(found) > 0,
        }]);
    }
    if is_over {
        let phase = match session.phase {
            Phase::Completed => "completed",
            Phase::RolledBack => "rolled back",
            Phase::Open | Phase::RollingBack => "interrupted",
        };
        return Err(Refusal::Over {
            phase: phase.into(),
        });
    }
    let by = actor.id.clone();
    match command {
        Command::RollBack {
            reason: why,
            confirm,
        } => roll_back(session, by, why, confirm.as_deref()),
        _ if session.phase == Phase::RollingBack || session.fired.is_some() => {
            Err(Refusal::RollingBack)
        }
        Command::StartStep { step } => start_step(session, by, step.as_deref(), &Rows::new()),
        Command::StartDiscarding { step, rows } => start_step(session, by, Some(step), rows),
        Command::Confirm { step } => confirm(session, actor, step.as_deref()),
        Command::Sign {
            gate,
            role,
            note,
            proof,
        } => gates::sign(session, actor, gate, *role, note.clone(), proof.as_deref()),
        Command::Withdraw { gate, role } => gates::withdraw(session, actor, gate, *role),
        Command::Hold { reason: why } => Ok(vec![Event::SessionHeld {
            by,
            reason: reason(why)?,
        }]),
        Command::Resume if session.held.is_none() => Err(Refusal::NotHeld),
        Command::Resume => Ok(vec![Event::SessionResumed { by }]),
        Command::Skip { step, reason: why } => skip(session, by, step, why),
        Command::DecideUnknown {
            step,
            done,
            reason: why,
        } => decide_unknown(session, by, step, *done, why),
        Command::ExtendFreeze { by_ms } => extend_freeze(session, by, *by_ms),
        Command::Complete => complete(session, by),
        Command::Note { .. }
        | Command::Correct { .. }
        | Command::Close { .. }
        | Command::Retry { .. } => {
            unreachable!("BUG: what may come after the end was answered above")
        }
    }
}

fn start_step(
    session: &Session,
    by: String,
    asked: Option<&str>,
    discard: &Rows,
) -> Result<Vec<Event>, Refusal> {
    if let Some(step) = asked.filter(|s| session.step(s).is_none()) {
        return Err(Refusal::NoSuchStep {
            step: step.to_owned(),
        });
    }
    let step = may_start(session)?;
    if let Some(asked) = asked.filter(|s| *s != step) {
        return Err(Refusal::NotNext {
            step: asked.to_owned(),
            next: step,
        });
    }
    discard::agree(&step, &discard::asked_next(session), discard)?;
    let agreed = (!discard.is_empty()).then(|| Event::DiscardAgreed {
        step: step.clone(),
        by: by.clone(),
        rows: discard.clone(),
    });
    let attempt = session.step(&step).map_or(0, |s| s.attempt) + 1;
    let started = Event::StepStarted {
        step,
        attempt,
        by: Some(by),
    };
    Ok([started].into_iter().chain(agreed).collect())
}

/// The step that may start now. The same rule holds for people and for the engine.
pub fn may_start(session: &Session) -> Result<String, Refusal> {
    if session.phase != Phase::Open || session.fired.is_some() {
        return Err(Refusal::RollingBack);
    }
    if let Some(held) = &session.held {
        return Err(Refusal::Held {
            by: held.by.clone(),
            reason: held.reason.clone(),
        });
    }
    if let Some(current) = session.current_step() {
        return Err(Refusal::Busy {
            step: current.id.clone(),
            status: status(current.status).into(),
        });
    }
    let (line, state) = session.next_step().ok_or(Refusal::NothingLeft)?;
    if let Some(needed) = line
        .needs
        .iter()
        .find(|n| !session.step(n).is_some_and(|s| s.is_over()))
    {
        return Err(Refusal::Needs {
            step: line.id.clone(),
            needed: needed.clone(),
        });
    }
    let index = session
        .charter
        .step_index(&line.id)
        .expect("BUG: a step of the charter");
    let red = session.gates_in_the_way(index);
    if !red.is_empty() {
        let gates: Vec<_> = red.iter().map(|g| g.id.as_str()).collect();
        return Err(Refusal::NoGo {
            step: line.id.clone(),
            gates: gates.join(", "),
        });
    }
    Ok(state.id.clone())
}

fn confirm(session: &Session, actor: &Actor, asked: Option<&str>) -> Result<Vec<Event>, Refusal> {
    let waiting = session
        .lines()
        .find(|(line, s)| {
            s.status == StepStatus::Running
                && matches!(line.kind, LineKind::Confirm(_))
                && asked.is_none_or(|a| a == line.id)
        })
        .ok_or_else(|| Refusal::NothingToConfirm {
            step: asked.unwrap_or("the session").to_owned(),
        })?;
    let (line, state) = waiting;
    let LineKind::Confirm(roles) = &line.kind else {
        unreachable!("BUG: filtered above")
    };
    let (done, open): (Vec<Role>, Vec<Role>) = roles
        .iter()
        .filter(|r| actor.roles.contains(r))
        .partition(|r| state.confirmed.contains_key(r));
    if open.is_empty() {
        let (step, who) = (line.id.clone(), actor.id.clone());
        return Err(match done.as_slice() {
            [] => Refusal::NotASigner {
                gate: step,
                roles: titles(roles),
                who,
            },
            done => Refusal::AlreadyConfirmed {
                step,
                roles: titles(done),
            },
        });
    }
    // Their own roles; those in which they stand in only once these are confirmed, so that nobody's place is taken by accident.
    let person = session.charter.person(&actor.id);
    let own = |r: &Role| person.is_none_or(|p| p.roles.contains(r));
    let mine: Vec<Role> = match open.iter().copied().filter(own).collect::<Vec<_>>() {
        own if own.is_empty() => open,
        own => own,
    };
    let mut confirmed = state.confirmed.clone();
    let mut events = Vec::new();
    for role in mine {
        confirmed.insert(role, actor.id.clone());
        events.push(Event::StepConfirmed {
            step: line.id.clone(),
            role,
            by: actor.id.clone(),
        });
    }
    if roles.iter().all(|r| confirmed.contains_key(r)) {
        let who: Vec<_> = confirmed
            .iter()
            .map(|(r, p)| format!("{} {p}", r.title()))
            .collect();
        let outcome =
            Outcome::done(format!("confirmed: {}", who.join(", "))).with_fact(Confirmed(confirmed));
        events.push(Event::StepFinished {
            step: line.id.clone(),
            attempt: state.attempt,
            outcome,
        });
    }
    Ok(events)
}

fn skip(session: &Session, by: String, step: &str, why: &str) -> Result<Vec<Event>, Refusal> {
    let index = session
        .charter
        .step_index(step)
        .ok_or_else(|| Refusal::NoSuchStep {
            step: step.to_owned(),
        })?;
    if !session.charter.steps[index].may_skip {
        return Err(Refusal::NotSkippable {
            step: step.to_owned(),
        });
    }
    let (next, state) = session.next_step().ok_or(Refusal::NothingLeft)?;
    if next.id != step {
        return Err(Refusal::NotNext {
            step: step.to_owned(),
            next: next.id.clone(),
        });
    }
    if matches!(state.status, StepStatus::Running | StepStatus::Unknown) {
        return Err(Refusal::Busy {
            step: step.to_owned(),
            status: status(state.status).into(),
        });
    }
    Ok(vec![Event::StepSkipped {
        step: step.to_owned(),
        by,
        reason: reason(why)?,
    }])
}

fn decide_unknown(
    session: &Session,
    by: String,
    step: &str,
    done: bool,
    why: &str,
) -> Result<Vec<Event>, Refusal> {
    let state = session.step(step).ok_or_else(|| Refusal::NoSuchStep {
        step: step.to_owned(),
    })?;
    if state.status != StepStatus::Unknown {
        return Err(Refusal::NotUnknown {
            step: step.to_owned(),
            status: status(state.status).into(),
        });
    }
    if state.question.is_none() {
        return Err(Refusal::BeingFoundOut {
            step: step.to_owned(),
        });
    }
    let why = reason(why)?;
    let found = if done {
        Found::Done {
            outcome: Outcome::done(format!("{by} found it done: {why}")),
        }
    } else {
        Found::RunAgain { detail: why }
    };
    Ok(vec![Event::StepFoundOut {
        step: step.to_owned(),
        found,
        by: Some(by),
    }])
}

fn extend_freeze(session: &Session, by: String, by_ms: i64) -> Result<Vec<Event>, Refusal> {
    match session.freeze() {
        Some((_, None)) if (60_000..=86_400_000).contains(&by_ms) => {
            Ok(vec![Event::FreezeExtended { by, by_ms }])
        }
        Some((_, None)) => Err(Refusal::BadExtension),
        Some((_, Some(_))) | None => Err(Refusal::NotFrozen),
    }
}

fn roll_back(
    session: &Session,
    by: String,
    why: &str,
    confirm: Option<&str>,
) -> Result<Vec<Event>, Refusal> {
    if session.phase == Phase::RollingBack {
        return Err(Refusal::AlreadyRollingBack);
    }
    if let Some(fired) = &session.fired {
        let cause = RollbackCause::Trigger {
            trigger: fired.trigger.clone(),
        };
        let reason = format!(
            "{} (started by {by}, before the countdown ended)",
            fired.reason
        );
        return Ok(vec![Event::RollbackStarted { cause, reason }]);
    }
    if confirm != Some(session.charter.session.as_str()) {
        return Err(Refusal::ConfirmRollback {
            session: session.charter.session.clone(),
        });
    }
    Ok(vec![Event::RollbackStarted {
        cause: RollbackCause::Person { by },
        reason: reason(why)?,
    }])
}

fn complete(session: &Session, by: String) -> Result<Vec<Event>, Refusal> {
    if let Some((line, _)) = session.next_step() {
        return Err(Refusal::NotComplete {
            why: format!("{} ({}) is not done", line.id, line.title),
        });
    }
    if let Some(held) = &session.held {
        return Err(Refusal::Held {
            by: held.by.clone(),
            reason: held.reason.clone(),
        });
    }
    Ok(vec![Event::SessionCompleted { by }])
}

fn reason(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        Err(Refusal::NoReason)
    } else {
        Ok(text.to_owned())
    }
}

fn titles(roles: &[Role]) -> String {
    roles
        .iter()
        .map(|r| r.title())
        .collect::<Vec<_>>()
        .join(", ")
}

/// As shown to people.
pub fn status(status: StepStatus) -> &'static str {
    status.into()
}
