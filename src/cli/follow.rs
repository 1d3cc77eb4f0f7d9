//! The running log: a session's events as lines for people, until it is over. The cockpit's plain sister.

use std::time::{Duration, Instant};

use super::Exit;
use crate::engine::LETS_GO_WITHIN;
use crate::format::lasting;
use crate::history::{self, History};
use crate::journal::{Folder, Follower};
use crate::session::advice::next_action;
pub use crate::session::words::words;
use crate::session::{Event, Phase, Recorded, Session, StepStatus};
use crate::text::printable;

/// How often it looks.
const POLL: Duration = Duration::from_millis(100);
/// Whoever waits longer than this reads what for.
const MOMENT: Duration = Duration::from_secs(1);

/// Where the lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// For people who asked for the log.
    Stdout,
    /// Beside something else on stdout.
    Stderr,
}

/// Prints events as they come, until the session is over and its engine has ended, so that whoever waits for this command finds both
/// databases free. Its exit code.
///
/// # Errors
/// The journal is damaged, or the engine has died: the message says how to go on.
pub async fn until_over(folder: &Folder, to: To) -> anyhow::Result<Exit> {
    until_over_from(folder, to, 0).await
}

/// The same from this entry on, for whoever asked for what comes and not for what was.
pub async fn until_over_from(folder: &Folder, to: To, first: u64) -> anyhow::Result<Exit> {
    let mut history = History::open(folder)?;
    let mut silent_polls = 0;
    let mut over_since: Option<Instant> = None;
    loop {
        // Looked at before its last lines are read: what an engine that is gone has written is all there.
        let is_alive = history.follower().engine()?.is_alive();
        for entry in history.read_on()?.iter().filter(|e| e.seq >= first) {
            if let Some(text) = line(entry) {
                say(to, &text);
            }
        }
        if let Ok(session) = history.session()
            && let Some(exit) = exit_of(&session)
        {
            let waited = over_since.get_or_insert_with(Instant::now).elapsed();
            if is_alive && waited > LETS_GO_WITHIN {
                errln!("{}", still_there(folder));
            }
            if !is_alive || waited > LETS_GO_WITHIN {
                return Ok(exit);
            }
        }
        silent_polls = if is_alive { 0 } else { silent_polls + 1 };
        if silent_polls > 20 {
            anyhow::bail!(
                "the engine of session {} is gone; nothing is being watched. `cutover run` resumes it, `cutover rollback` takes it back",
                folder.session()
            );
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Whether the engine of a session that is over has let go of both databases, so that whatever comes next finds them free. It is waited for;
/// where that takes more than a moment, it is said.
pub async fn has_let_go(folder: &Folder) -> anyhow::Result<bool> {
    let follower = Follower::open(folder)?;
    let began = Instant::now();
    let mut is_said = false;
    while follower.engine()?.is_alive() {
        let waited = began.elapsed();
        if waited > LETS_GO_WITHIN {
            return Ok(false);
        }
        if waited > MOMENT && !is_said {
            is_said = true;
            errln!(
                "session {} is over, and its engine still lets go of both databases: waiting for its end",
                folder.session()
            );
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(true)
}

/// What is said of an engine that has not let go in time.
pub fn still_there(folder: &Folder) -> String {
    format!(
        "session {} is over, and its engine is still there after {} s: it may hold either database, and nothing else should begin there. The end of \
         {} may say why; `cutover status` says when it has ended",
        folder.session(),
        LETS_GO_WITHIN.as_secs(),
        folder.log_path().display()
    )
}

fn say(to: To, text: &str) {
    match to {
        To::Stdout => outln!("{text}"),
        To::Stderr => errln!("{text}"),
    }
}

/// The number of the entry with which the rollback began, as far as it has.
pub fn rollback_began(folder: &Folder) -> anyhow::Result<u64> {
    let (history, session) = history::of(folder)?;
    let mut events = history.events().iter().rev();
    let began = events.find(|entry| matches!(entry.event, Event::RollbackStarted { .. }));
    Ok(began.map_or(session.seq, |entry| entry.seq))
}

/// What a rollback came to: its rows in a line, each that is red in one of its own, and last what is to be done now.
pub fn summary(session: &Session) -> Option<String> {
    let rollback = session.rollback.as_ref()?;
    let name = printable(&session.charter.session, 80);
    let ids: Vec<&str> = rollback.red().map(|row| row.id.as_str()).collect();
    let failed = match ids.as_slice() {
        [] => String::new(),
        ids => format!(", FAILED: {}", printable(&ids.join(", "), 200)),
    };
    let why = rollback.red().map(|row| {
        let outcome = row.outcome.as_ref();
        let summary = outcome.map_or("", |outcome| outcome.summary.as_str());
        format!(
            "{} FAILED: {}\n",
            printable(&row.id, 40),
            printable(summary, 600)
        )
    });
    let why: String = why.collect();
    let done = rollback.rows.iter();
    let done = done.filter(|row| row.status == StepStatus::Done).count();
    let took = rollback.ended_ms.map_or_else(String::new, |ended_ms| {
        format!(" in {}", lasting(ended_ms - rollback.started_ms))
    });
    let advice = next_action(session, session.at_ms).sentence;
    Some(format!(
        "rollback of {name}: {done} of {} rows done{took}{failed}\n{why}{}",
        rollback.rows.len(),
        printable(&advice, 2_000)
    ))
}

/// The exit code of rows of a rollback that were run again: green where none of the whole list is red any more.
pub fn exit_of_retry(session: &Session) -> Exit {
    let rollback = session.rollback.as_ref();
    let is_green = rollback.is_some_and(|r| r.healthy == Some(true) && r.red().next().is_none());
    match is_green {
        true => Exit::Done,
        false => Exit::Failed,
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
