//! What to do next as a command for a shell, in one line of `cutover status`. Not in here: the sentence of the cockpit (`advice`).

use crate::session::command::Refusal;
use crate::session::decide::may_start;
use crate::session::gates::GateView;
use crate::session::state::{Phase, Session, StepStatus};

/// What to do next: the command to type, or what is waited for. Holds text of steps: foreign text.
pub fn next_line(session: &Session) -> String {
    match session.phase {
        Phase::Completed => "complete: nothing is left to do".into(),
        Phase::RolledBack => match session.rollback.as_ref().and_then(|r| r.healthy) {
            Some(true) => "over: the application is on SQLite".into(),
            _ => "over, and NOT HEALTHY: where the application serves from is not proven. `cutover retry` runs what failed again".into(),
        },
        Phase::RollingBack => "rolling back: wait".into(),
        Phase::Open => match may_start(session) {
            Ok(step) => format!("next: cutover start --step {step}"),
            Err(refusal) => not_startable(session, &refusal),
        },
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
