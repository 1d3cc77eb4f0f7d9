//! Starting the engine as a process of its own, which no terminal can end.
//!
//! The starter spawns this same program with a hidden subcommand; the first thing that does is [`leave_terminal`]. The starter waits
//! until the engine's socket answers, or shows what the engine wrote into its log before it died.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{getpid, getsid, setsid};
use tokio::time::{sleep, timeout};

use super::socket::{self, START_LIMIT};
use crate::journal::{Folder, files, folder, is_engine_alive};
use crate::text::printable;

/// How long its last words are waited for.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// A log that has grown beyond this is put aside as `engine.log.1` when the next engine starts.
const MAX_LOG_BYTES: u64 = 10 * 1024 * 1024;
const TAIL_BYTES: u64 = 16 * 1024;
const TAIL_LINES: usize = 20;
const MAX_LINE_CHARS: usize = 500;

/// Why no engine was started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine ended before it listened.
    #[error(
        "the engine ended at once ({status}), before it took any command; what the session did before stands. {}",
        tail(log, log_tail)
    )]
    Died {
        status: ExitStatus,
        log: PathBuf,
        /// The last lines that it wrote there, made harmless.
        log_tail: Vec<String>,
    },
    /// The engine runs and does not listen.
    #[error(
        "the engine (process {pid}) runs, but does not listen after {limit_ms} ms; it goes on starting. {}",
        tail(log, log_tail)
    )]
    Silent {
        pid: u32,
        /// How long was waited.
        limit_ms: u64,
        log: PathBuf,
        /// The last lines that it wrote there, made harmless.
        log_tail: Vec<String>,
    },
    /// The session is another's, or others could have written what an engine is started with.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// It could not be started, or its log could not be opened.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

fn tail(log: &Path, lines: &[String]) -> String {
    if lines.is_empty() {
        format!("It wrote nothing into {}", log.display())
    } else {
        format!("Its log {} ends with:\n{}", log.display(), lines.join("\n"))
    }
}

/// An engine that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// Its process. Not always the one that was spawned: of two starters at once, one finds the other's engine.
    pub pid: u32,
}

/// Starts an engine for a session: this program with `engine --dir FOLDER` and `args`, in the same working directory and environment.
/// Returns once its socket answers.
///
/// # Errors
/// [`Error::Died`] with the end of its log, [`Error::Silent`] when it does not listen in time, [`Error::Io`].
pub async fn spawn(folder: &Folder, args: &[OsString]) -> Result<Started, Error> {
    let program = std::env::current_exe().map_err(io_error("find", Path::new("this program")))?;
    let mut command = Command::new(program);
    command
        .arg("engine")
        .arg("--dir")
        .arg(folder.dir())
        .args(args);
    spawn_command(folder, command).await
}

/// [`spawn`] with a command of the caller's; its standard streams are set here.
pub async fn spawn_command(folder: &Folder, mut command: Command) -> Result<Started, Error> {
    folder.mine()?;
    let log = folder.log_path();
    put_aside(&log).map_err(io_error("put aside", &log))?;
    let err = match files::append(folder, &files::ENGINE_LOG) {
        // An engine without a log is worth more than none.
        Err(e) if is_no_room(&e) => OpenOptions::new().write(true).open("/dev/null"),
        opened => opened,
    };
    let err = err.map_err(io_error("open", &log))?;
    let log_start = err.metadata().map_or(0, |m| m.len());
    let program = PathBuf::from(command.get_program());
    let mut child = command
        .stdin(Stdio::null())
        // Its last words, where there is no room for them in its log.
        .stdout(Stdio::piped())
        .stderr(err)
        .spawn()
        .map_err(io_error("start", &program))?;
    let pid = child.id();
    let waited = timeout(START_LIMIT, until_it_listens(folder, &mut child)).await;
    match waited {
        Ok(Ok(started)) => {
            bury_when_dead(child);
            Ok(started)
        }
        Ok(Err(Ended(status))) => {
            let mut log_tail = read_tail(&log, log_start);
            for word in last_words(&mut child).await {
                if !log_tail.iter().any(|line| line.contains(&word)) {
                    log_tail.push(word);
                }
            }
            Err(Error::Died {
                status,
                log_tail,
                log,
            })
        }
        Err(_) => {
            bury_when_dead(child);
            Err(Error::Silent {
                pid,
                limit_ms: START_LIMIT.as_millis() as u64,
                log_tail: read_tail(&log, log_start),
                log,
            })
        }
    }
}

struct Ended(ExitStatus);

async fn until_it_listens(folder: &Folder, child: &mut Child) -> Result<Started, Ended> {
    loop {
        // Both looked at before the ping: one that ended because another engine was quicker is no failure, even if that one does not
        // listen yet.
        let ended = child.try_wait().ok().flatten();
        let other_is_starting = is_engine_alive(folder).unwrap_or(false);
        if let Ok(pong) = socket::ping(folder).await {
            return Ok(Started { pid: pong.pid });
        }
        if let (Some(status), false) = (ended, other_is_starting) {
            return Err(Ended(status));
        }
        sleep(ASK_AGAIN).await;
    }
}

/// What an engine that has ended said to whoever started it. A process of its own that it left behind may hold the other end.
async fn last_words(child: &mut Child) -> Vec<String> {
    let Some(mut stdout) = child.stdout.take() else {
        return Vec::new();
    };
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let read = stdout.by_ref().take(TAIL_BYTES).read_to_end(&mut bytes);
        read.map(|_| bytes)
    });
    match timeout(LAST_WORDS_LIMIT, reading).await {
        Ok(Ok(Ok(bytes))) => lines_of(&bytes),
        Ok(Ok(Err(_)) | Err(_)) | Err(_) => Vec::new(),
    }
}

fn is_no_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Leaves no zombie when the engine ends before its starter does.
fn bury_when_dead(mut child: Child) {
    thread::spawn(move || child.wait());
}

/// Gives this process a session of its own, without a terminal: no hang-up and no Ctrl-C reaches it any more. To be called first thing
/// in the engine's `main`.
///
/// # Errors
/// [`Error::Io`] when the process leads a process group, as one does that a shell started in the foreground.
pub fn leave_terminal() -> Result<(), Error> {
    match setsid() {
        Ok(_) => Ok(()),
        Err(Errno::PERM) if getsid(None) == Ok(getpid()) => Ok(()),
        Err(e) => Err(io_error("leave the terminal in", Path::new("the engine"))(
            e.into(),
        )),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the engine's own log, in the session's folder"
)]
fn put_aside(log: &Path) -> io::Result<()> {
    match fs::symlink_metadata(log) {
        Ok(meta) if meta.len() > MAX_LOG_BYTES => fs::rename(log, log.with_extension("log.1")),
        _ => Ok(()),
    }
}

/// The last lines written to the log since `start`, safe for a terminal.
fn read_tail(log: &Path, start: u64) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = files::look_into(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(
            start.max(length.saturating_sub(TAIL_BYTES)),
        ))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    lines_of(&read().unwrap_or_default())
}

/// The last lines of a text, safe for a terminal.
fn lines_of(text: &[u8]) -> Vec<String> {
    let lines: Vec<_> = String::from_utf8_lossy(text)
        .lines()
        .map(|line| printable(line, MAX_LINE_CHARS))
        .collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec()
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}
