//! The people of the bridge: what brings the night on, and what they ask for at cross purposes.
//!
//! Not in here: whether they may, which the engine says.

use cutover::runbook::Role;
use cutover::session::{Command, LineKind, Phase, Session, StepStatus};

const WHY: &str = "because";
/// A step that failed so often is given up.
const PATIENCE: u32 = 4;

pub const NAMES: [&str; 4] = ["robin", "ada", "dan", "quinn"];

fn roll_back() -> Command {
    Command::RollBack {
        reason: WHY.to_owned(),
        confirm: Some("tonight".to_owned()),
    }
}

/// What brings the night on now: who asks for what.
pub fn help(session: &Session) -> Option<(&'static str, Command)> {
    if session.phase != Phase::Open || session.fired.is_some() {
        return None;
    }
    if session.held.is_some() {
        return Some(("robin", Command::Resume));
    }
    if let Some(current) = session.current_step() {
        return with_current(session, &current.id);
    }
    for view in session.gates().iter().filter(|v| v.evidence_is_green()) {
        if let Some(role) = view.missing_roles().first() {
            let sign = Command::Sign {
                gate: view.id.clone(),
                role: Some(*role),
                note: None,
                proof: None,
            };
            return Some((role.key(), sign));
        }
    }
    match session.next_step() {
        None => Some(("robin", Command::Complete)),
        Some((_, s)) if s.status == StepStatus::Failed && s.attempt >= PATIENCE => {
            Some(("robin", roll_back()))
        }
        Some(_) => Some(("robin", Command::StartStep { step: None })),
    }
}

fn with_current(session: &Session, id: &str) -> Option<(&'static str, Command)> {
    let state = session.step(id)?;
    let line = session.charter.steps.iter().find(|l| l.id == id)?;
    if let LineKind::Confirm(roles) = &line.kind {
        let open: Option<&Role> = roles.iter().find(|r| !state.confirmed.contains_key(r));
        return open.map(|r| (r.key(), Command::Confirm { step: None }));
    }
    state.question.as_ref().map(|_| {
        let decide = Command::DecideUnknown {
            step: id.to_owned(),
            done: false,
            reason: WHY.to_owned(),
        };
        ("ada", decide)
    })
}

/// What somebody asks for whatever is so.
pub fn meddle(session: &Session, what: u32) -> Command {
    let current = session.current_step().map(|s| s.id.clone());
    let next = session.next_step().map(|(l, _)| l.id.clone());
    let step = current.or(next).unwrap_or_else(|| "P1".to_owned());
    let reason = || WHY.to_owned();
    match what {
        0 => Command::Hold { reason: reason() },
        1 => roll_back(),
        2 => Command::Withdraw {
            gate: "K8".to_owned(),
            role: None,
        },
        3 => Command::Complete,
        4 => Command::StartStep { step: None },
        5 => Command::Sign {
            gate: "K5".to_owned(),
            role: None,
            note: None,
            proof: None,
        },
        6 => Command::DecideUnknown {
            step,
            done: true,
            reason: reason(),
        },
        7 => Command::ExtendFreeze { by_ms: 600_000 },
        8 => Command::Skip {
            step,
            reason: reason(),
        },
        9 => Command::RollBack {
            reason: reason(),
            confirm: None,
        },
        10 => Command::Resume,
        _ => Command::Note { text: reason() },
    }
}
