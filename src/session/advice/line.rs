//! What to do next as a command for a shell, in one line of `cutover status`. Not in here: the sentence of the cockpit (`advice`).

use crate::session::command::Refusal;
use crate::session::decide::may_start;
use crate::session::due::starts_by_itself;
use crate::session::gates::GateView;
use crate::session::state::{Phase, Rollback, Session, StepStatus};

/// What to do next: the command to type, or what is waited for. Holds text of steps: foreign text.
pub fn next_line(session: &Session) -> String {
    match session.phase {
        Phase::Completed if session.is_closed => {
            "complete and closed: nothing is left to do".into()
        }
        Phase::Completed => "next: cutover close".into(),
        Phase::RolledBack => match session.rollback.as_ref().and_then(|r| r.healthy) {
            Some(true) => format!("over: the application is on SQLite{}", not_done(session)),
            _ => format!(
                "over, and NOT HEALTHY: where the application serves from is not proven{}",
                not_done(session)
            ),
        },
        Phase::RollingBack => "rolling back: wait".into(),
        Phase::Open if session.fired.is_some() => {
            "nothing to do: the rollback begins by itself; `cutover rollback` begins it now".into()
        }
        Phase::Open => match (starts_by_itself(session), may_start(session)) {
            (Some(id), _) => {
                let line = session.charter.steps.iter().find(|line| line.id == id);
                let title = line.map_or("", |line| line.title.trim_end_matches('.'));
                format!("nothing to do: {id} ({title}) starts by itself")
            }
            (None, Ok(step)) => format!("next: cutover start --step {step}"),
            (None, Err(refusal)) => not_startable(session, &refusal),
        },
    }
}

/// `. Not done: R2+, R6; `cutover retry` runs them again`, behind a sentence; empty where every row of the rollback was done.
pub(super) fn not_done(session: &Session) -> String {
    let red = session.rollback.iter().flat_map(Rollback::red);
    let red: Vec<&str> = red.map(|row| row.id.as_str()).collect();
    match (red.as_slice(), session.is_closed) {
        ([], _) => String::new(),
        (ids, true) => format!(". Not done: {}", ids.join(", ")),
        ([id], false) => format!(". Not done: {id}; `cutover retry` runs it again"),
        (ids, false) => format!(
            ". Not done: {}; `cutover retry` runs them again",
            ids.join(", ")
        ),
    }
}

fn not_startable(session: &Session, refusal: &Refusal) -> String {
    if let Some(running) = session.current_step()
        && running.status == StepStatus::Running
    {
        return format!("running: {}", running.id);
    }
    if *refusal == Refusal::NothingLeft {
        let name = &session.charter.session;
        return format!("next: cutover complete --confirm {name}");
    }
    let waits_for_gates = matches!(refusal, Refusal::NoGo { .. });
    let to_sign = signatures(session).filter(|_| waits_for_gates);
    to_sign.unwrap_or_else(|| format!("next: {refusal}"))
}

/// The gates that only signatures are lacking, as commands; `None` where it is not signatures that are waited for.
fn signatures(session: &Session) -> Option<String> {
    let (line, _) = session.next_step()?;
    let red = session.gates_in_the_way(session.charter.step_index(&line.id)?);
    let (open, lacking): (Vec<GateView>, Vec<GateView>) =
        red.into_iter().partition(GateView::evidence_is_green);
    let sign = |gate: &GateView| {
        let roles = gate.missing_roles();
        let roles: Vec<&str> = roles.iter().map(|role| role.title()).collect();
        format!("cutover sign {} ({})", gate.id, roles.join(", "))
    };
    let commands: Vec<String> = open.iter().map(sign).collect();
    let lacking: Vec<&str> = lacking.iter().map(|gate| gate.id.as_str()).collect();
    let evidence = match lacking.as_slice() {
        [] => String::new(),
        ids => format!(
            "; {} also waits for evidence of {}",
            line.id,
            ids.join(", ")
        ),
    };
    (!commands.is_empty()).then(|| format!("next: {}{evidence}", commands.join(", ")))
}
