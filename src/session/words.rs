//! Events in words, one line each. The plain log and the report say the same thing.

use super::event::{Event, Found, RollbackCause, TriggerPhase, written};
use super::membership;

/// An event in words; `None` for what only machines need. Holds foreign text as it came.
pub fn words(event: &Event) -> Option<String> {
    let ended = |ok: bool| if ok { "done" } else { "FAILED" };
    Some(match event {
        Event::SessionOpened { charter } if charter.sandbox => {
            format!(
                "session {} opened in the sandbox, time ×{}",
                charter.session, charter.speed
            )
        }
        Event::SessionOpened { charter } => format!("session {} opened", charter.session),
        Event::EngineStarted { pid, .. } => format!("engine {pid} runs it"),
        Event::SourceSeen { shape } => {
            format!("the source's schema has {} objects", shape.0.len())
        }
        Event::RehearsalRecorded { rehearsal } => {
            format!("rehearsal {} was found", rehearsal.session)
        }
        Event::StepStarted {
            step,
            attempt: 1,
            by: Some(by),
        } => format!("{step:<4} started by {by}"),
        Event::StepStarted {
            step, attempt: 1, ..
        } => format!("{step:<4} started"),
        Event::StepStarted { step, attempt, .. } => format!("{step:<4} started, attempt {attempt}"),
        Event::DiscardAgreed { step, by, rows } => format!(
            "{step:<4} {by} agrees to lose rows that SQLite does not have: {}",
            super::discard::words(rows)
        ),
        Event::StepConfirmed { step, role, by } => {
            format!("{step:<4} confirmed by {by} as {}", role.title())
        }
        Event::StepFinished { step, outcome, .. } => {
            format!("{step:<4} {}: {}", ended(outcome.ok), outcome.summary)
        }
        Event::StepLost { step, .. } => format!("{step:<4} unknown: the engine died while it ran"),
        Event::StepFoundOut { step, found, .. } => match found {
            Found::Done { outcome } => {
                format!("{step:<4} found {}: {}", ended(outcome.ok), outcome.summary)
            }
            Found::RunAgain { detail } => format!("{step:<4} goes on: {detail}"),
            Found::AskPerson { detail } => format!("{step:<4} DECIDE: {detail}"),
        },
        Event::StepSkipped { step, by, reason } => format!("{step:<4} skipped by {by}: {reason}"),
        Event::GateSigned { gate, signature } => {
            format!(
                "{gate:<4} signed by {} as {}",
                signature.by,
                signature.role.title()
            )
        }
        Event::SignatureWithdrawn { gate, by, .. } => {
            format!("{gate:<4} signature withdrawn by {by}")
        }
        Event::SignatureVoided { gate, by, why, .. } => {
            format!("{gate:<4} VOID: the signature of {by}: {why}")
        }
        Event::DeputyActed { by, absent, role } => {
            format!("{by} for {absent} ({}):", role.title())
        }
        Event::SessionHeld { by, reason } => format!("HELD by {by}: {reason}"),
        Event::SessionResumed { by } => format!("resumed by {by}"),
        Event::FreezeExtended { by, by_ms } => {
            format!("freeze extended by {} min by {by}", by_ms / 60_000)
        }
        Event::FreezeOverran { limit_ms } => format!(
            "the freeze has lasted longer than {} min",
            limit_ms / 60_000
        ),
        Event::DriftFound { detail } => {
            format!("DRIFT: {detail}; everything since the freeze is void")
        }
        Event::WrittenAfterSwitch { detail } => format!("ALARM: {}", written(detail)),
        Event::TriggerMoved {
            trigger,
            state,
            reason,
        } => match state {
            TriggerPhase::Clear => format!("{trigger:<4} clear"),
            TriggerPhase::Burning => format!("{trigger:<4} burning: {reason}"),
            TriggerPhase::Blind => format!("{trigger:<4} blind: {reason}"),
            TriggerPhase::Fired => format!("{trigger:<4} fired: {reason}"),
        },
        Event::TriggerFired { trigger, reason } => {
            format!("{trigger:<4} FIRED: {reason}; rollback is mandatory")
        }
        Event::RollbackStarted { cause, reason } => match cause {
            RollbackCause::Person { by } => format!("ROLLBACK by {by}: {reason}"),
            RollbackCause::Trigger { trigger } => format!("ROLLBACK by {trigger}: {reason}"),
        },
        Event::RollbackRowStarted { row } => format!("{row:<4} started"),
        Event::RollbackRowFinished { row, outcome } => {
            format!("{row:<4} {}: {}", ended(outcome.ok), outcome.summary)
        }
        Event::RollbackRetried { by, rows } => {
            format!("{} run again, by {by}", rows.join(", "))
        }
        Event::RolledBack { healthy: true } => {
            "rolled back: the application serves from SQLite".into()
        }
        Event::RolledBack { healthy: false } => {
            "rolled back, but NOT HEALTHY: see the failed rows above and act on them".into()
        }
        Event::SessionCompleted { by } => format!("release completed by {by}"),
        Event::NoteWritten { by, text } => format!("{by}: {text}"),
        Event::CorrectionRecorded {
            by,
            what,
            gives_up_rows,
        } => match gives_up_rows {
            false => format!("corrected, says {by}: {what}"),
            true => format!(
                "corrected, says {by}: {what}; rows on PostgreSQL that are not kept are given up"
            ),
        },
        Event::SessionClosed {
            by,
            found,
            stays_open,
        } => match stays_open {
            false => format!("closed by {by}: {}", found.join("; ")),
            true => format!(
                "not closed, for something is left to do, as {by} found: {}",
                found.join("; ")
            ),
        },
        Event::MembershipChanged { changes } => membership::words(changes),
        Event::AlarmRaised { text, .. } => format!("ALARM: {text}"),
        Event::UndoRecorded { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_keeps_its_name_whatever_it_does() {
        let moved = |state| {
            let event = Event::TriggerMoved {
                trigger: "T3a".to_owned(),
                state,
                reason: "5xx of Tools 2 %".to_owned(),
            };
            words(&event).expect("words")
        };
        assert_eq!(
            moved(TriggerPhase::Burning),
            "T3a  burning: 5xx of Tools 2 %"
        );
        assert_eq!(moved(TriggerPhase::Blind), "T3a  blind: 5xx of Tools 2 %");
        assert_eq!(moved(TriggerPhase::Clear), "T3a  clear");
    }
}
