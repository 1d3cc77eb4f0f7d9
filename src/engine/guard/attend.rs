//! What a guard does for those who are not the session's owner: it runs as the owner, and starts an engine where the one before is dead and
//! somebody asks who may roll back. Who asks comes from the operating system. What an engine is started with stays the owner's.
//!
//! Not in here: telling of the death (`guard`), and what an engine then does.

use std::ffi::OsString;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::engine::detach;
use crate::engine::socket::{self, Call, Calls};
use crate::history;
use crate::journal::{EngineState, Folder, Follower};
use crate::session::Phase;
use crate::session::roles::may_have_an_engine;

/// How often it is looked whether another engine runs, or nothing is left to run.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many looks one after the other may tell nothing.
const UNKNOWN_LOOKS: u32 = 600;
/// Longer than any caller of a guard waits.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// What is asked of a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// An engine, where none runs.
    Engine,
    /// The same, to roll back: it begins also where the databases are no longer those of the session.
    EngineToRollBack,
}

/// What a guard says to that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// An engine listens.
    Started { pid: u32 },
    /// None was started.
    Refused { why: String },
}

/// A guard that listens.
#[derive(Debug)]
pub struct Attending {
    cancel: CancellationToken,
    answering: JoinHandle<()>,
}

impl Attending {
    /// Listens no more, and returns once everybody who asked has their answer: an engine that a caller asked for holds its lease before it
    /// listens, so a guard sees it run while that caller still waits.
    pub async fn end(self) {
        self.cancel.cancel();
        if timeout(ANSWERED_WITHIN, self.answering).await.is_err() {
            errln!("the guard left while somebody waited for its answer");
        }
    }
}

/// Listens and answers until it is ended; from before the engine's death on, so that nobody meets a gap.
pub fn begin(folder: &Folder) -> Result<Attending, socket::Error> {
    let cancel = CancellationToken::new();
    let (calls, _) = socket::serve_as_guard::<Wish, Said>(folder, cancel.clone())?;
    let folder = folder.clone();
    let answering = tokio::spawn(attend(calls, move |call| answer(folder.clone(), call)));
    Ok(Attending { cancel, answering })
}

/// Answers each call beside the others; ends when the last of those who asked has left.
async fn attend<A>(mut calls: Calls<Wish, Said>, answer: impl Fn(Call<Wish, Said>) -> A)
where
    A: Future<Output = ()> + Send + 'static,
{
    while let Some(call) = calls.recv().await {
        tokio::spawn(answer(call));
    }
}

/// Answers one who asks. Where an engine runs already, that is the one.
async fn answer(folder: Folder, call: Call<Wish, Said>) {
    let arguments: &[OsString] = match call.request {
        Wish::Engine => &[],
        Wish::EngineToRollBack => &["--to-roll-back".into()],
    };
    let said = match may_start(&folder, &call.peer.user_name) {
        Err(why) => Said::Refused { why },
        Ok(()) => match detach::spawn(&folder, arguments).await {
            Ok(started) => Said::Started { pid: started.pid },
            Err(error) => Said::Refused {
                why: error.to_string(),
            },
        },
    };
    call.answer(said);
}

fn may_start(folder: &Folder, user: &str) -> Result<(), String> {
    let session = history::session(folder).map_err(|error| error.to_string())?;
    may_have_an_engine(&session.charter, user)
}

/// Returns once another engine runs, the session is over or its folder is gone, `is_moot` says that nothing is left to run, or nobody has
/// been able to tell for [`UNKNOWN_LOOKS`]: one look that fails is no reason to leave those alone who may need an engine.
pub async fn while_needed(folder: &Folder, is_moot: &impl Fn() -> bool) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut unknown = 0;
    loop {
        look.tick().await;
        let is_needed = needs_an_engine(folder);
        unknown = if is_needed.is_none() { unknown + 1 } else { 0 };
        if is_moot() || is_needed == Some(false) || unknown > UNKNOWN_LOOKS {
            return;
        }
    }
}

/// Whether the session goes on and its engine is dead. `None` where it cannot be read now.
fn needs_an_engine(folder: &Folder) -> Option<bool> {
    if !folder.dir().exists() {
        return Some(false);
    }
    let engine = Follower::open(folder).and_then(|follower| follower.engine());
    match engine.ok()? {
        EngineState::Died { .. } => {
            let phase = history::session(folder).ok()?.phase;
            Some(matches!(phase, Phase::Open | Phase::RollingBack))
        }
        EngineState::Never | EngineState::Alive { .. } | EngineState::Ended { .. } => Some(false),
    }
}

/// Asks the guard of a dead engine for another one. Gives its process.
///
/// # Errors
/// Why there is none, and who can start one: `owner` is the account whose session it is.
pub async fn ask(folder: &Folder, owner: &str, wish: Wish) -> Result<u32, String> {
    let session = folder.session();
    match socket::send_to_guard::<Wish, Said>(folder, &wish).await {
        Ok(Said::Started { pid }) => Ok(pid),
        Ok(Said::Refused { why }) => Err(format!(
            "the guard of session {session} started no engine: {why}"
        )),
        Err(socket::Error::NoEngine) => Err(format!(
            "no engine runs session {session}, and no guard that could start one; only the account {owner}, who opened it, can: \
             `cutover rollback {session}`, run by {owner}"
        )),
        Err(error) => Err(format!(
            "the guard of session {session} was asked for an engine: {error}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use std::sync::Arc;

    use super::*;

    /// The engine that is asked for takes its lease, the guard sees that, and only then the engine listens.
    #[tokio::test]
    async fn a_guard_that_ends_answers_first_whoever_asked() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::create_at(&dir.path().join("tonight")).expect("a session's folder");
        let (asked, listens) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let cancel = CancellationToken::new();
        let served = socket::serve_as_guard::<Wish, Said>(&folder, cancel.clone());
        let (calls, _) = served.expect("a socket");
        let answering = tokio::spawn(attend(calls, {
            let (asked, listens) = (Arc::clone(&asked), Arc::clone(&listens));
            move |call| {
                let (asked, listens) = (Arc::clone(&asked), Arc::clone(&listens));
                async move {
                    asked.notify_one();
                    listens.notified().await;
                    call.answer(Said::Started { pid: 7 });
                }
            }
        }));
        let guard = Attending { cancel, answering };
        let caller = tokio::spawn(async move { ask(&folder, "anna", Wish::Engine).await });
        asked.notified().await;
        let ending = guard.end();
        tokio::pin!(ending);
        // It listens no more, and waits.
        let early = timeout(Duration::from_millis(50), &mut ending).await;
        assert!(early.is_err(), "it left a caller without an answer");
        listens.notify_one();
        ending.await;
        assert_eq!(caller.await.expect("a caller"), Ok(7));
    }
}
