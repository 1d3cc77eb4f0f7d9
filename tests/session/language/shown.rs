//! What a scenario shows: an event in one line, and where the session stands.

use super::Bridge;
use cutover::session::confidence::confidence;
use cutover::session::{Event, Found, Phase, StepStatus, decide};

/// An event in one line.
pub(super) fn shown(event: &Event) -> String {
    let by = |by: &Option<String>| by.as_ref().map_or("the engine".to_owned(), Clone::clone);
    match event {
        Event::StepStarted {
            step,
            attempt,
            by: who,
        } => {
            format!("{step} started by {}, attempt {attempt}", by(who))
        }
        Event::StepConfirmed { step, role, by } => {
            format!("{step} confirmed as {} by {by}", role.title())
        }
        Event::StepFinished { step, outcome, .. } => {
            let how = if outcome.ok { "done" } else { "failed" };
            format!("{step} {how}: {}", outcome.summary)
        }
        Event::StepLost { step, .. } => format!("{step} lost"),
        Event::StepFoundOut {
            step,
            found,
            by: who,
        } => {
            let what = match found {
                Found::Done { outcome } if outcome.ok => "done",
                Found::Done { .. } => "done badly",
                Found::RunAgain { .. } => "to run again",
                Found::AskPerson { .. } => "for a person to decide",
            };
            format!("{step} found {what} by {}", by(who))
        }
        Event::StepSkipped { step, by, reason } => format!("{step} skipped by {by}: {reason}"),
        Event::GateSigned { gate, signature } => {
            format!(
                "{gate} signed as {} by {}",
                signature.role.title(),
                signature.by
            )
        }
        Event::SignatureWithdrawn { gate, role, by } => {
            format!("{gate}: signature as {} withdrawn by {by}", role.title())
        }
        Event::SignatureVoided {
            gate,
            role,
            by,
            why,
        } => {
            format!("{gate}: signature as {} by {by} void: {why}", role.title())
        }
        Event::DeputyActed { by, absent, role } => {
            format!("{by} for {absent} ({}):", role.title())
        }
        Event::SessionHeld { by, reason } => format!("held by {by}: {reason}"),
        Event::SessionResumed { by } => format!("resumed by {by}"),
        Event::FreezeExtended { by, by_ms } => {
            format!("freeze extended by {by}: {} min", by_ms / 60_000)
        }
        Event::FreezeOverran { limit_ms } => format!("freeze overran {} min", limit_ms / 60_000),
        Event::DriftFound { detail } => format!("drift found: {detail}"),
        Event::WrittenAfterSwitch { detail } => format!("written after the switch: {detail}"),
        Event::TriggerMoved { trigger, state, .. } => format!("{trigger} {state:?}").to_lowercase(),
        Event::TriggerFired { trigger, reason } => format!("{trigger} FIRED: {reason}"),
        Event::RollbackStarted { cause, reason } => {
            format!("rollback started: {reason} ({cause:?})")
        }
        Event::RollbackRowStarted { row } => format!("{row} started"),
        Event::RollbackRowFinished { row, outcome } => {
            format!("{row} {}", if outcome.ok { "done" } else { "failed" })
        }
        Event::RolledBack { healthy } => format!("rolled back, healthy: {healthy}"),
        Event::DiscardAgreed { step, by, rows } => {
            format!("{step}: {by} agrees to lose {rows:?}")
        }
        Event::RollbackRetried { by, rows } => format!("{} again, by {by}", rows.join(" ")),
        Event::SessionCompleted { by } => format!("completed by {by}"),
        Event::NoteWritten { by, text } => format!("note by {by}: {text}"),
        Event::CorrectionRecorded { by, what, .. } => format!("corrected, says {by}: {what}"),
        Event::SourceSeen { shape } => format!("source seen: {} objects", shape.0.len()),
        Event::RehearsalRecorded { .. } => "rehearsal recorded".into(),
        other => format!("{other:?}"),
    }
}

pub(super) fn show(bridge: &Bridge, what: &str) -> Vec<String> {
    let session = &bridge.session;
    match what {
        "steps" => session
            .steps
            .iter()
            .filter(|s| s.status != StepStatus::Pending || s.started_ms.is_some())
            .map(|s| format!("{} {}", s.id, decide::status(s.status)))
            .collect(),
        "gates" => session
            .gates()
            .iter()
            .map(|g| {
                let missing: Vec<_> = g.missing_roles().iter().map(|r| r.title()).collect();
                let evidence: Vec<_> = g
                    .evidence
                    .iter()
                    .map(|e| format!("{} {:?}", e.name, e.state))
                    .collect();
                let state = if g.green { "green" } else { "open" };
                format!(
                    "{} {state}; evidence: {}; not signed by: {}",
                    g.id,
                    evidence.join(", "),
                    missing.join(", ")
                )
                .replace(": ;", ": none;")
            })
            .map(|line| line.trim_end().to_owned())
            .collect(),
        "freeze" => vec![match session.freeze() {
            None => "no freeze".into(),
            Some((since, until)) => format!("frozen since {since} ms, until {until:?}"),
        }],
        "phase" => {
            let how = match (session.phase, session.is_no_go()) {
                (Phase::RolledBack, true) => ", a no-go",
                (Phase::RolledBack, false) => ", rolled back",
                _ => "",
            };
            vec![format!("{:?}{how}", session.phase)]
        }
        "rollback" => session
            .rollback
            .iter()
            .flat_map(|r| {
                let rows = r.rows.iter().map(|s| format!("{} {:?}", s.id, s.status));
                let end = format!(
                    "restored {:?}, ended {:?}, healthy {:?}",
                    r.restored_ms, r.ended_ms, r.healthy
                );
                rows.chain([end]).collect::<Vec<_>>()
            })
            .collect(),
        "confidence" => {
            let x1 = confidence(session);
            let lost = x1.parts.iter().filter(|p| p.points < p.of);
            let lost = lost.map(|p| format!("{} {}/{}: {}", p.id, p.points, p.of, p.why));
            let critical = x1.critical.iter().map(|why| format!("critical: {why}"));
            [format!("{} of 100", x1.score)]
                .into_iter()
                .chain(critical)
                .chain(lost.take(3))
                .collect()
        }
        _ => panic!("nothing to show: {what}"),
    }
}
