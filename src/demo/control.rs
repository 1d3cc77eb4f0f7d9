//! How others speak to a running sandbox: one JSON object per line over a Unix socket, one answer per question.
//!
//! This side asks and blocks; the supervisor answers in `supervisor/server.rs`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::faults::Fault;

/// The file in the sandbox's folder that says where its supervisor listens.
pub const STATE_FILE: &str = "sandbox.json";

/// Longer than any answer takes: stopping an instance may need a kill.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// What can be asked of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// Start an instance that is stopped.
    Start {
        /// For instance `app-1`.
        name: String,
    },
    /// Stop an instance; it stays down.
    Stop {
        /// For instance `app-1`.
        name: String,
    },
    /// Stop and start it; returns once the new process runs, which is before it is ready.
    Restart {
        /// For instance `app-1`.
        name: String,
        /// Without waiting for its requests.
        #[serde(default)]
        now: bool,
    },
    /// Make something go wrong.
    Fault {
        /// What.
        fault: Fault,
    },
    /// Take back what can be taken back.
    Heal,
    /// Empty the scratch database and put staging onto the rehearsal's copy.
    BeginRehearsal,
    /// Give staging its own configuration back.
    EndRehearsal,
    /// A process group that is to end with the sandbox.
    Adopt {
        /// The number of its leader.
        leader: u32,
    },
    /// How the instances and the traffic are.
    Status,
    /// Somebody is there for as long as this connection stays open.
    Attend,
    /// End everything.
    Shutdown,
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    Done(Value),
    Failed(String),
}

/// What a supervisor writes into [`STATE_FILE`] once everything runs. Only its owner can read the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// The supervisor's process number.
    pub pid: u32,
    /// Where it listens.
    pub socket: PathBuf,
    /// How many times faster than a clock the runbook's minutes pass.
    pub speed: u32,
    /// Rows in the sample file at the start.
    pub rows: u32,
    /// The seed of data and traffic.
    pub seed: u64,
    /// The target database for whoever damages it, password included: the superuser, on a server that is not the sandbox's own the owner.
    pub damage_url: String,
    /// PostgreSQL's own log; of a server that is not the sandbox's own, a file that says so.
    pub postgres_log: PathBuf,
    /// The server on which the sandbox is a guest, by host and port; `None` where it has one of its own.
    #[serde(default)]
    pub foreign_server: Option<String>,
}

/// Why a sandbox did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none in this folder.
    #[error("no sandbox runs in {}: {reason}", .dir.display())]
    NotRunning {
        /// The folder.
        dir: PathBuf,
        /// How we know.
        reason: String,
    },
    /// It went away while it was asked.
    #[error("the sandbox in {} did not answer: {source}", .dir.display())]
    Lost {
        /// The folder.
        dir: PathBuf,
        /// What happened to the connection.
        source: std::io::Error,
    },
    /// It tried and failed, or refused.
    #[error("{0}")]
    Refused(String),
}

/// What the supervisor of this folder wrote about itself.
pub fn state(dir: &Path) -> Result<State, Error> {
    let path = dir.join(STATE_FILE);
    let not_running = |reason: String| Error::NotRunning {
        dir: dir.to_path_buf(),
        reason,
    };
    let bytes = std::fs::read(&path)
        .map_err(|error| not_running(format!("{}: {error}", path.display())))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| not_running(format!("{}: {error}", path.display())))
}

/// Whether the supervisor of this folder lives.
pub fn is_supervised(dir: &Path) -> bool {
    let pid = state(dir).map(|state| Pid::from_raw(state.pid.cast_signed()));
    pid.is_ok_and(|pid| pid.is_some_and(|pid| test_kill_process(pid).is_ok()))
}

/// Asks the supervisor of this folder and waits for its answer.
pub fn ask(dir: &Path, request: &Request) -> Result<Value, Error> {
    let stream = connect(dir)?;
    let lost = |source| Error::Lost {
        dir: dir.to_path_buf(),
        source,
    };
    converse(&stream, request)
        .map_err(lost)?
        .map_err(Error::Refused)
}

/// Tells the sandbox that somebody is there, until the connection is dropped.
pub fn attend(dir: &Path) -> Result<UnixStream, Error> {
    let stream = connect(dir)?;
    let lost = |source| Error::Lost {
        dir: dir.to_path_buf(),
        source,
    };
    converse(&stream, &Request::Attend)
        .map_err(lost)?
        .map_err(Error::Refused)?;
    Ok(stream)
}

fn connect(dir: &Path) -> Result<UnixStream, Error> {
    let socket = state(dir)?.socket;
    UnixStream::connect(&socket).map_err(|error| Error::NotRunning {
        dir: dir.to_path_buf(),
        reason: format!("{}: {error}", socket.display()),
    })
}

fn converse(mut stream: &UnixStream, request: &Request) -> std::io::Result<Result<Value, String>> {
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(format!("{}\n", serde_json::to_string(request)?).as_bytes())?;
    let mut line = String::new();
    if BufReader::new(stream).read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(match serde_json::from_str(&line)? {
        Answer::Done(value) => Ok(value),
        Answer::Failed(reason) => Err(reason),
    })
}
