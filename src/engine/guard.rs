//! The guard: a small process beside the engine that outlives it, so that people hear of an engine that died or hangs while nobody
//! else can tell them. It holds the reading end of a pipe whose other end the engine has: that end closes with the engine, however it
//! ends. It never writes the journal; what it could not tell is left for the next one to say. It starts an engine only where somebody of the
//! bridge asks for one ([`attend`]).
//!
//! Not in here: the words (`session::notice`), and delivering them (`engine::notify`).

pub mod attend;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use super::Input;
use super::notify::{Desk, Notifier};
use super::socket::user_of_this_process;
use crate::clock;
use crate::history;
use crate::journal::{self, EngineState, Folder, Follower, files};
use crate::runbook::{Channel, Means, Occasion, Person};
use crate::session::Phase;
use crate::session::notice::{Notice, engine_gone, engine_silent, folder_lost};

/// How often it is looked whether the engine still works.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An engine that gives no sign of life for so long hangs, or is stopped. It gives ten each second.
const SILENT_MS: i64 = 10_000;
/// A pipe closes a moment before the lock is let go.
const LOCK_GOES_WITHIN: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// Nobody waits for a guard: each channel may use all of its attempts.
const DELIVERED_WITHIN: Duration = Duration::from_secs(120);

/// A guard that was started. It runs for as long as this value is kept: it takes the end of this process for the end of the engine.
#[derive(Debug)]
pub struct Posted {
    _guard: Child,
}

/// Why a guard ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session cannot be read: it is gone with what it was for, or its disk is.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// What could not be told could not be left for the next engine either.
    #[error("cannot write {}: {source}", path.display())]
    Untold {
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Whether a guard could tell anybody.
pub fn is_wanted(channels: &[Channel]) -> bool {
    channels.iter().any(is_reachable)
}

/// Whether somebody of the bridge could need it to start an engine: whoever works under another account than this process cannot.
pub fn is_needed(people: &[Person]) -> bool {
    let own = user_of_this_process();
    people.iter().any(|person| person.user != own)
}

fn is_reachable(channel: &Channel) -> bool {
    channel.events.contains(&Occasion::Engine) && !matches!(channel.means, Means::Terminal(_))
}

/// Starts a guard: this program with `guard --dir FOLDER`. To be called by the engine's own process.
pub fn post(folder: &Folder) -> io::Result<Posted> {
    let guard = Command::new(std::env::current_exe()?)
        .arg("guard")
        .arg("--dir")
        .arg(folder.dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    Ok(Posted { _guard: guard })
}

/// Stands guard until the engine at the other end of `engine` has ended. Tells `channels` where it died or hangs, and where nobody can
/// tell because the session's folder cannot be read; nothing where it ended in order, where another has begun meanwhile, or where
/// `is_moot` says that there is nothing left to run.
pub async fn stand(
    folder: &Folder,
    channels: &[Channel],
    desk: &Desk,
    engine: impl AsyncRead + Unpin,
    is_moot: impl Fn() -> bool,
) -> Result<(), Error> {
    keep_post(folder, channels, desk, engine, is_moot, false).await
}

/// [`stand`], and goes on after the engine's death: whoever of the bridge may roll back gets an engine where they ask for one.
///
/// # Errors
/// See [`Error`]. Where it cannot be asked, that is said on standard error, and it stands all the same.
pub async fn stand_and_attend(
    folder: &Folder,
    channels: &[Channel],
    desk: &Desk,
    engine: impl AsyncRead + Unpin,
    is_moot: impl Fn() -> bool,
) -> Result<(), Error> {
    let attending = attend::begin(folder);
    if let Err(error) = &attending {
        errln!("the guard cannot be asked for an engine: {error}");
    }
    let kept = keep_post(folder, channels, desk, engine, is_moot, attending.is_ok()).await;
    if let Ok(attending) = attending {
        attending.end().await;
    }
    kept
}

async fn keep_post(
    folder: &Folder,
    channels: &[Channel],
    desk: &Desk,
    mut engine: impl AsyncRead + Unpin,
    is_moot: impl Fn() -> bool,
    attends: bool,
) -> Result<(), Error> {
    let mut follower = None;
    let channels: Vec<_> = channels.iter().filter(|c| is_reachable(c)).collect();
    let tell = async |notice: Notice| deliver(folder, &channels, desk, &notice).await;
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut was_silent = false;
    let mut byte = [0];
    loop {
        tokio::select! {
            read = engine.read(&mut byte) => if !matches!(read, Ok(1..)) { break },
            _ = look.tick() => {
                // An engine that has only just begun may have no journal yet.
                follower = follower.or_else(|| Follower::open(folder).ok());
                // One that cannot be read any more is told of at the engine's end, which is near.
                let looked = follower.as_ref().and_then(|follower| follower.engine().ok());
                let silent = looked.as_ref().and_then(silent_engine);
                // One whose session is over gives none while it lets go of both databases.
                let silent = silent.filter(|_| was_silent || !has_ended(folder));
                if let (Some(pid), false) = (silent, was_silent) {
                    tell(engine_silent(&folder.session(), pid)).await?;
                }
                was_silent = silent.is_some();
            }
        }
    }
    let looked = match Follower::open(folder) {
        Ok(follower) => after_the_end(&follower).await,
        Err(error) => Err(error.into()),
    };
    match looked {
        Ok(EngineState::Died { holder }) if !is_moot() => {
            let telling = tell(engine_gone(&folder.session(), holder.pid));
            if !attends {
                return telling.await;
            }
            // Nobody who asks waits for a channel.
            let (told, ()) = tokio::join!(telling, attend::while_needed(folder, &is_moot));
            told
        }
        Ok(
            EngineState::Died { .. }
            | EngineState::Never
            | EngineState::Ended { .. }
            | EngineState::Alive { .. },
        ) => Ok(()),
        Err(why) if !is_moot() => {
            tell(folder_lost(&folder.session(), &why.to_string())).await?;
            Err(why)
        }
        Err(why) => Err(why),
    }
}

/// Whether the session is over. One that cannot be read may go on.
fn has_ended(folder: &Folder) -> bool {
    let session = history::session(folder);
    session.is_ok_and(|s| matches!(s.phase, Phase::RolledBack | Phase::Completed))
}

/// The process of an engine that holds its lease and does nothing.
fn silent_engine(state: &EngineState) -> Option<u32> {
    let EngineState::Alive {
        holder: Some(holder),
        beat: Some(beat),
    } = state
    else {
        return None;
    };
    let age_ms = beat.age_ms(&clock::boot_id(), clock::now_ms());
    age_ms
        .is_some_and(|age| age > SILENT_MS)
        .then_some(holder.pid)
}

/// How things are once the lock is free, or another engine has it.
async fn after_the_end(follower: &Follower) -> Result<EngineState, Error> {
    let look = async {
        loop {
            match follower.engine() {
                Ok(EngineState::Alive { .. }) => tokio::time::sleep(ASK_AGAIN).await,
                known => return Ok(known?),
            }
        }
    };
    let known = tokio::time::timeout(LOCK_GOES_WITHIN, look).await;
    known.unwrap_or_else(|_| Ok(follower.engine()?))
}

/// Tells everybody, and leaves what could not be told for the next engine.
async fn deliver(
    folder: &Folder,
    channels: &[&Channel],
    desk: &Desk,
    notice: &Notice,
) -> Result<(), Error> {
    let (inputs, mut received) = mpsc::unbounded_channel();
    let channels: Vec<Channel> = channels.iter().copied().cloned().collect();
    let mut notifier = Notifier::start(&channels, &folder.session(), desk, inputs);
    notifier.tell(notice);
    notifier.end(DELIVERED_WITHIN).await;
    drop(notifier);
    let mut untold = Vec::new();
    while let Some(input) = received.recv().await {
        if let Input::Untold { text } = input {
            untold.push(text);
        }
    }
    leave(folder, &untold).map_err(|source| Error::Untold {
        path: files::UNTOLD.path(folder),
        source,
    })
}

fn leave(folder: &Folder, lines: &[String]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut file = files::append(folder, &files::UNTOLD)?;
    file.write_all((lines.join("\n") + "\n").as_bytes())
}

/// What guards before this engine could not tell, a line each; they are told once. What no guard can have left is not told: that it lies
/// there is.
pub fn take_untold(folder: &Folder) -> Vec<String> {
    let path = files::UNTOLD.path(folder);
    let text = match files::read(folder, &files::UNTOLD) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let shown = path.display();
            return vec![format!(
                "{shown}, where a guard leaves what it could not tell, {error}. Nothing of it was read"
            )];
        }
    };
    let _ = crate::ours::file::remove(&path);
    let text = String::from_utf8_lossy(&text);
    text.lines().map(str::to_owned).collect()
}
