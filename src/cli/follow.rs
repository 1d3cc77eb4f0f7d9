//! The running log: a session's events as lines for people, until it is over. The cockpit's plain sister.

use std::time::Duration;

use super::Exit;
use crate::engine::ledger::from_entry;
use crate::journal::{Folder, Follower};
use crate::session::{Event, Found, Phase, Recorded, RollbackCause, Session, TriggerPhase};
use crate::text::printable;

/// Where the lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// For people who asked for the log.
    Stdout,
    /// Beside something else on stdout.
    Stderr,
}

/// Prints events as they come, until the session is over. Its exit code.
///
/// # Errors
/// The journal is damaged, or the engine has died: the message says how to go on.
pub async fn until_over(folder: &Folder, to: To) -> anyhow::Result<Exit> {
    let mut follower = Follower::open(folder)?;
    let mut entries: Vec<Recorded> = Vec::new();
    let mut silent_polls = 0;
    loop {
        let new = follower
            .poll()?
            .iter()
            .map(from_entry)
            .collect::<Result<Vec<_>, _>>()?;
        for entry in &new {
            if let Some(text) = line(entry) {
                say(to, &text);
            }
        }
        entries.extend(new);
        if let Ok(session) = Session::replay(&entries)
            && let Some(exit) = exit_of(&session)
        {
            return Ok(exit);
        }
        silent_polls = if follower.engine()?.is_alive() {
            0
        } else {
            silent_polls + 1
        };
        if silent_polls > 20 {
            anyhow::bail!(
                "the engine of session {} is gone; nothing is being watched. `cutover run` resumes it, `cutover rollback` takes it back",
                folder.session()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn say(to: To, text: &str) {
    match to {
        To::Stdout => println!("{text}"),
        To::Stderr => eprintln!("{text}"),
    }
}

/// The exit code of a session that is over.
pub fn exit_of(session: &Session) -> Option<Exit> {
    match session.phase {
        Phase::Completed => Some(Exit::Done),
        Phase::RolledBack if session.is_no_go() => Some(Exit::NoGo),
        Phase::RolledBack => Some(Exit::RolledBack),
        Phase::Open | Phase::RollingBack => None,
    }
}

/// An event as a line; `None` for what only screens need.
pub fn line(entry: &Recorded) -> Option<String> {
    let time = entry.wall.with_timezone(&chrono::Local).format("%H:%M:%S");
    Some(format!("{time}  {}", printable(&words(&entry.event)?, 400)))
}

/// An event in words.
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
        Event::RehearsalRecorded { rehearsal } => {
            format!("rehearsal {} counts as evidence", rehearsal.session)
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
        Event::TriggerMoved {
            state: TriggerPhase::Clear,
            trigger,
            ..
        } => format!("{trigger:<4} clear"),
        Event::TriggerMoved {
            trigger,
            state,
            reason,
        } => format!("{trigger:<4} {state:?}: {reason}").to_lowercase(),
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
        Event::RolledBack { healthy: true } => {
            "rolled back: the application serves from SQLite".into()
        }
        Event::RolledBack { healthy: false } => {
            "rolled back, but NOT HEALTHY: see the failed rows above and act on them".into()
        }
        Event::SessionCompleted { by } => format!("release completed by {by}"),
        Event::NoteWritten { by, text } => format!("{by}: {text}"),
        Event::AlarmRaised { text } => format!("ALARM: {text}"),
        Event::UndoRecorded { .. } => return None,
    })
}
