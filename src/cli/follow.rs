//! The running log: a session's events as lines for people, until it is over. The cockpit's plain sister.

use std::time::Duration;

use super::Exit;
use crate::history::History;
use crate::journal::Folder;
pub use crate::session::words::words;
use crate::session::{Phase, Recorded, Session};
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
    let mut history = History::open(folder)?;
    let mut silent_polls = 0;
    loop {
        for entry in history.read_on()? {
            if let Some(text) = line(entry) {
                say(to, &text);
            }
        }
        if let Ok(session) = history.session()
            && let Some(exit) = exit_of(&session)
        {
            return Ok(exit);
        }
        silent_polls = if history.follower().engine()?.is_alive() {
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
        To::Stdout => outln!("{text}"),
        To::Stderr => errln!("{text}"),
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
