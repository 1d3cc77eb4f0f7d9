//! The one place that says whether a person may do a thing now. A command becomes events or a refusal; nothing is done here.

use serde::{Deserialize, Serialize};

use super::charter::LineKind;
use super::event::{Event, Found, Outcome, RollbackCause, Signature};
use super::roles::{Act, Actor, permit};
use super::state::{Phase, Session, StepStatus};
use crate::runbook::Role;

/// What a person asks for, in the imperative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Start the next step, or this one if it is the next.
    StartStep {
        /// Which; the next where absent.
        step: Option<String>,
    },
    /// Confirm being there.
    Confirm {
        /// Which step; the running one where absent.
        step: Option<String>,
    },
    /// Sign a gate.
    Sign {
        /// Which.
        gate: String,
        /// As what, where a person has several roles.
        role: Option<Role>,
        /// What they have to say.
        note: Option<String>,
    },
    /// Withdraw a signature.
    Withdraw {
        /// Which gate.
        gate: String,
        /// As what, where a person has several roles.
        role: Option<Role>,
    },
    /// Let nothing new start.
    Hold {
        /// Why.
        reason: String,
    },
    /// Let things start again.
    Resume,
    /// Skip a step.
    Skip {
        /// Which.
        step: String,
        /// Why.
        reason: String,
    },
    /// Say what an unknown step had done.
    DecideUnknown {
        /// Which.
        step: String,
        /// Whether it counts as done; otherwise it runs again.
        done: bool,
        /// What was looked at.
        reason: String,
    },
    /// Extend the freeze.
    ExtendFreeze {
        /// By how much, in runbook time.
        by_ms: i64,
    },
    /// Roll back.
    RollBack {
        /// Why.
        reason: String,
        /// The session's name, typed; not needed once a trigger has fired.
        confirm: Option<String>,
    },
    /// Complete the release.
    Complete,
    /// Write a note.
    Note {
        /// What.
        text: String,
    },
}

/// Why a command was not carried out. Each says what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
#[allow(missing_docs, reason = "each message says what its fields mean")]
pub enum Refusal {
    #[error(
        "user {user} is not on this bridge: the runbook's `people` list does not name that account"
    )]
    NotOnBridge { user: String },
    #[error("{who} may not {what}: that is for {allowed}")]
    NotAllowed {
        who: String,
        what: String,
        allowed: String,
    },
    #[error("the session is over ({phase}): nothing can change any more")]
    Over { phase: String },
    #[error("rollback is under way or due: nothing else can start")]
    RollingBack,
    #[error("{by} holds the session: {reason} (resume it first)")]
    Held { by: String, reason: String },
    #[error("{step} is still {status}: wait for it, hold, or roll back")]
    Busy { step: String, status: String },
    #[error("there is no step {step}")]
    NoSuchStep { step: String },
    #[error("{step} is not next: {next} is")]
    NotNext { step: String, next: String },
    #[error("every step is done")]
    NothingLeft,
    #[error("{step} needs {needed}, which is not done")]
    Needs { step: String, needed: String },
    #[error("NO-GO: {step} waits for {gates}")]
    NoGo { step: String, gates: String },
    #[error("there is no gate {gate}; the gates are {known}")]
    NoSuchGate { gate: String, known: String },
    #[error("{gate} asks for {roles}; {who} is none of these")]
    NotASigner {
        gate: String,
        roles: String,
        who: String,
    },
    #[error(
        "{who} has already signed {gate} as {role}: one person cannot sign for two roles of a gate"
    )]
    TwoRoles {
        gate: String,
        role: String,
        who: String,
    },
    #[error("{gate} is already signed as {role} by {who}")]
    AlreadySigned {
        gate: String,
        role: String,
        who: String,
    },
    #[error("nobody can sign {gate} over evidence that is not green: {detail}")]
    EvidenceNotGreen { gate: String, detail: String },
    #[error("{gate} is not signed by {who}")]
    NotSigned { gate: String, who: String },
    #[error(
        "{step}, which needed {gate}, has begun: the signature stands. Hold or roll back instead"
    )]
    TooLateToWithdraw { gate: String, step: String },
    #[error("{step} waits for no confirmation")]
    NothingToConfirm { step: String },
    #[error("{step} is already confirmed as {roles}")]
    AlreadyConfirmed { step: String, roles: String },
    #[error("{step} cannot be skipped: the runbook does not allow it")]
    NotSkippable { step: String },
    #[error("{step} is {status}, not unknown: there is nothing to decide")]
    NotUnknown { step: String, status: String },
    #[error("what {step} had done is being found out: a person decides only where no machine can")]
    BeingFoundOut { step: String },
    #[error("the session is not held")]
    NotHeld,
    #[error("a reason is needed")]
    NoReason,
    #[error("the freeze has not begun, or is over")]
    NotFrozen,
    #[error("the freeze can be extended by 1 minute to 24 hours at a time")]
    BadExtension,
    #[error("to roll back, type the session's name: {session}")]
    ConfirmRollback { session: String },
    #[error("the rollback has already begun")]
    AlreadyRollingBack,
    #[error("the release cannot be completed: {why}")]
    NotComplete { why: String },
}

/// The events that a command leads to, or why it does not.
///
/// # Errors
/// See [`Refusal`]; nothing has changed then.
pub fn decide(session: &Session, actor: &Actor, command: &Command) -> Result<Vec<Event>, Refusal> {
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
    if matches!(session.phase, Phase::RolledBack | Phase::Completed) {
        let phase = if session.phase == Phase::Completed {
            "completed"
        } else {
            "rolled back"
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
        Command::StartStep { step } => start_step(session, by, step.as_deref()),
        Command::Confirm { step } => confirm(session, actor, step.as_deref()),
        Command::Sign { gate, role, note } => sign(session, actor, gate, *role, note.clone()),
        Command::Withdraw { gate, role } => withdraw(session, actor, gate, *role),
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
        Command::Note { .. } => unreachable!("BUG: notes were answered above"),
    }
}

impl Command {
    /// Which line of the table of roles it falls under.
    pub fn act(&self) -> Act {
        match self {
            Command::StartStep { .. } => Act::StartStep,
            Command::Confirm { .. } => Act::Confirm,
            Command::Sign { .. } => Act::Sign,
            Command::Withdraw { .. } => Act::Withdraw,
            Command::Hold { .. } => Act::Hold,
            Command::Resume => Act::Resume,
            Command::Skip { .. } => Act::Skip,
            Command::DecideUnknown { .. } => Act::Decide,
            Command::ExtendFreeze { .. } => Act::ExtendFreeze,
            Command::RollBack { .. } => Act::RollBack,
            Command::Complete => Act::Complete,
            Command::Note { .. } => Act::Note,
        }
    }
}

fn start_step(session: &Session, by: String, asked: Option<&str>) -> Result<Vec<Event>, Refusal> {
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
    let attempt = session.step(&step).map_or(0, |s| s.attempt) + 1;
    Ok(vec![Event::StepStarted {
        step,
        attempt,
        by: Some(by),
    }])
}

/// The step that may start now. The same rule holds for people and for the engine.
///
/// # Errors
/// Why none may.
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
        .charter
        .steps
        .iter()
        .zip(&session.steps)
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
        let outcome = Outcome::done(format!("confirmed: {}", who.join(", ")))
            .with_fact("confirmed", &confirmed);
        events.push(Event::StepFinished {
            step: line.id.clone(),
            attempt: state.attempt,
            outcome,
        });
    }
    Ok(events)
}

fn sign(
    session: &Session,
    actor: &Actor,
    gate: &str,
    asked: Option<Role>,
    note: Option<String>,
) -> Result<Vec<Event>, Refusal> {
    let line = find_gate(session, gate)?;
    let view = session.gate(line);
    let who = actor.id.clone();
    // Their own roles come first, so that a deputy signs as themselves where they can.
    let fits = |r: &Role| line.signers.contains(r) && asked.is_none_or(|a| a == *r);
    let mine: Vec<Role> = actor.roles.iter().copied().filter(fits).collect();
    let Some(first) = mine.first() else {
        return Err(Refusal::NotASigner {
            gate: line.id.clone(),
            roles: titles(&line.signers),
            who,
        });
    };
    let missing = view.missing_roles();
    let Some(role) = mine.iter().find(|r| missing.contains(r)) else {
        let signed = view
            .signers
            .iter()
            .find(|(r, _)| r == first)
            .and_then(|(_, s)| s.clone());
        let who = signed.map_or(who, |s| s.by);
        return Err(Refusal::AlreadySigned {
            gate: line.id.clone(),
            role: first.title().into(),
            who,
        });
    };
    if let Some((other, _)) = view
        .signers
        .iter()
        .find(|(r, s)| r != role && s.as_ref().is_some_and(|s| s.by == who))
    {
        return Err(Refusal::TwoRoles {
            gate: line.id.clone(),
            role: other.title().into(),
            who,
        });
    }
    if !view.evidence_is_green() {
        let bad = view
            .evidence
            .iter()
            .find(|e| e.state != super::gates::EvidenceState::Green);
        let detail = bad.map_or_else(String::new, |e| format!("{}: {}", e.name, e.detail));
        return Err(Refusal::EvidenceNotGreen {
            gate: line.id.clone(),
            detail,
        });
    }
    let signature = Signature {
        by: who,
        role: *role,
        runbook_hash: session.charter.runbook_hash.clone(),
        evidence_hash: view.evidence_hash,
        note,
    };
    Ok(vec![Event::GateSigned {
        gate: line.id.clone(),
        signature,
    }])
}

fn withdraw(
    session: &Session,
    actor: &Actor,
    gate: &str,
    asked: Option<Role>,
) -> Result<Vec<Event>, Refusal> {
    let line = find_gate(session, gate)?;
    let who = actor.id.clone();
    let mine = session
        .signatures
        .get(&line.id)
        .and_then(|all| {
            all.iter()
                .find(|s| s.by == who && asked.is_none_or(|r| r == s.role))
        })
        .ok_or_else(|| Refusal::NotSigned {
            gate: line.id.clone(),
            who: who.clone(),
        })?;
    if session
        .step(&line.before)
        .is_some_and(|s| s.started_ms.is_some())
    {
        return Err(Refusal::TooLateToWithdraw {
            gate: line.id.clone(),
            step: line.before.clone(),
        });
    }
    Ok(vec![Event::SignatureWithdrawn {
        gate: line.id.clone(),
        role: mine.role,
        by: who,
    }])
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
        _ => Err(Refusal::NotFrozen),
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

fn find_gate<'a>(session: &'a Session, gate: &str) -> Result<&'a crate::runbook::Gate, Refusal> {
    session
        .charter
        .gates
        .iter()
        .find(|g| g.id.eq_ignore_ascii_case(gate))
        .ok_or_else(|| Refusal::NoSuchGate {
            gate: gate.to_owned(),
            known: session
                .charter
                .gates
                .iter()
                .map(|g| g.id.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
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
    match status {
        StepStatus::Pending => "pending",
        StepStatus::Running => "running",
        StepStatus::Done => "done",
        StepStatus::Failed => "failed",
        StepStatus::Skipped => "skipped",
        StepStatus::Unknown => "unknown",
    }
}
