//! The engine's socket: one request, one answer, as JSON lines over a Unix socket. Who speaks is told by the operating system
//! (`SO_PEERCRED`), never by the message.
//!
//! One connection carries one request. Whatever comes over it (garbage, a line without end, a byte a minute, half a connection)
//! costs its sender an error and the engine nothing: every connection is bounded in bytes and in time, and so is their number.
//!
//! The line is `{"request": …}` or `"ping"`; the answer `{"answer": …}`, `{"pong": …}` or `{"error": …}`. What a request means is not
//! in here: see `protocol`.

mod address;
mod client;
mod peer;
mod places;
mod server;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use client::{ping, send, send_to_guard};
pub use peer::{PeerIdentity, user_called, user_of_this_process};
pub use server::{Call, Calls, serve, serve_as_guard, serve_until_gone, understood};

/// The longest request, with its line end.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// The longest answer, with its line end.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// How long an engine may take until it listens: it verifies the journal before that, and may compare two whole files.
pub const START_LIMIT: Duration = Duration::from_secs(60);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No engine runs this session.
    #[error(
        "no engine runs this session, so nothing was done; `cutover run` starts one, and `cutover rollback` does too"
    )]
    NoEngine,
    /// An engine holds the lease and does not listen: it is starting, or ending.
    #[error("the engine is starting or ending and does not listen on {}; nothing was done, try again in a moment", path.display())]
    NotListening { path: PathBuf },
    /// The socket is somebody else's.
    #[error("{} may not be used by you: ask its owner to put you into the folder's group; nothing was done", path.display())]
    Denied { path: PathBuf },
    /// The request went out and no answer came.
    #[error(
        "the engine took the request and did not answer within {limit_ms} ms: it may be stopped, and may still act on it. Look at `cutover status` before you try again"
    )]
    NoAnswer {
        /// How long was waited.
        limit_ms: u64,
    },
    /// The connection ended before the answer had come.
    #[error("the engine ended before it answered: whether it acted shows in `cutover status`")]
    Lost,
    /// The engine did not take the request.
    #[error("the engine did not take the request: {why}")]
    Refused { kind: Fault, why: String },
    /// What came back is no answer of this protocol: another version.
    #[error(
        "the engine's answer makes no sense to this program ({why}): they may be of different versions"
    )]
    Nonsense {
        /// What the parser said.
        why: String,
    },
    /// The socket could not be made or used.
    #[error("cannot {what} the socket {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why the server did not take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is not a request of this protocol.
    NotUnderstood,
    /// It is longer than [`MAX_REQUEST_BYTES`].
    TooLong,
    /// It did not come in time.
    TooSlow,
    /// Too many at once.
    Busy,
    /// The engine took it and has not answered in time.
    Unanswered,
    /// The engine is ending.
    Ending,
}

/// Who answers a ping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    pub pid: u32,
    /// The number of its lease.
    pub fencing: u64,
}

/// A line to the engine.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<R> {
    Ping,
    Request(R),
}

/// A line from the engine.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply<A> {
    Pong(Pong),
    Answer(A),
    Error { kind: Fault, why: String },
}
