//! The speaker's end of the socket: cockpits, `status`, `sign`, `hold`, `rollback`.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::address::Listener;
use super::{Error, Line, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, Pong, Reply, address};
use crate::journal::{Folder, is_engine_alive};

/// A little more than who listens takes, so that its own word about a late answer arrives.
const BEYOND_ANSWER: Duration = Duration::from_secs(5);
const PING_LIMIT: Duration = Duration::from_secs(2);

/// Sends one request to the engine of a session and waits for its answer.
///
/// # Errors
/// [`Error::NoEngine`], [`Error::NotListening`], [`Error::Denied`] and [`Error::Refused`]: nothing was done (but see [`super::Fault`]).
/// [`Error::NoAnswer`] and [`Error::Lost`]: it may have been done.
pub async fn send<Req: Serialize, Ans: DeserializeOwned>(
    folder: &Folder,
    request: &Req,
) -> Result<Ans, Error> {
    send_to(folder, Listener::Engine, request).await
}

/// The same to the guard of a dead engine. Where none listens it is [`Error::NoEngine`].
pub async fn send_to_guard<Req: Serialize, Ans: DeserializeOwned>(
    folder: &Folder,
    request: &Req,
) -> Result<Ans, Error> {
    send_to(folder, Listener::Guard, request).await
}

async fn send_to<Req: Serialize, Ans: DeserializeOwned>(
    folder: &Folder,
    of: Listener,
    request: &Req,
) -> Result<Ans, Error> {
    let limit = of.answer_limit().saturating_add(BEYOND_ANSWER);
    match exchange(folder, of, &Line::Request(request), limit).await? {
        Reply::Answer(answer) => Ok(answer),
        Reply::Error { kind, why } => Err(Error::Refused {
            kind,
            why: crate::text::printable(&why, 1000),
        }),
        Reply::Pong(_) => Err(Error::Nonsense {
            why: "a pong without a ping".to_owned(),
        }),
    }
}

/// Asks whether an engine listens, without disturbing what it does.
///
/// # Errors
/// As [`send`]; [`Error::NoAnswer`] after two seconds.
pub async fn ping(folder: &Folder) -> Result<Pong, Error> {
    match exchange::<(), ()>(folder, Listener::Engine, &Line::Ping, PING_LIMIT).await? {
        Reply::Pong(pong) => Ok(pong),
        Reply::Error { kind, why } => Err(Error::Refused { kind, why }),
        Reply::Answer(()) => Err(Error::Nonsense {
            why: "an answer to a ping".to_owned(),
        }),
    }
}

async fn exchange<Req: Serialize, Ans: DeserializeOwned>(
    folder: &Folder,
    of: Listener,
    line: &Line<Req>,
    limit: Duration,
) -> Result<Reply<Ans>, Error> {
    let path = address::find(folder, of);
    let mut text = serde_json::to_vec(line).expect("BUG: a request is not JSON");
    text.push(b'\n');
    if text.len() > MAX_REQUEST_BYTES {
        return Err(Error::Refused {
            kind: super::Fault::TooLong,
            why: format!(
                "it has {} bytes, the limit is {MAX_REQUEST_BYTES}",
                text.len()
            ),
        });
    }
    let mut stream = UnixStream::connect(&path)
        .await
        .map_err(|e| unreachable_engine(folder, &path, e))?;
    let answer = timeout(limit, async {
        // An engine that does not take the line may have said why before it closed.
        let written = stream.write_all(&text).await;
        let mut answer = Vec::new();
        let read = (&mut stream)
            .take(MAX_ANSWER_BYTES as u64 + 1)
            .read_to_end(&mut answer)
            .await;
        written.and(read).map(|_| ()).or_else(|e| {
            if answer.ends_with(b"\n") {
                Ok(())
            } else {
                Err(e)
            }
        })?;
        Ok::<_, io::Error>(answer)
    })
    .await;
    match answer {
        Err(_) => Err(Error::NoAnswer {
            limit_ms: limit.as_millis().try_into().unwrap_or(u64::MAX),
        }),
        Ok(Err(_)) => Err(Error::Lost),
        Ok(Ok(answer)) if !answer.ends_with(b"\n") => Err(Error::Lost),
        Ok(Ok(answer)) => {
            serde_json::from_slice(&answer).map_err(|e| Error::Nonsense { why: e.to_string() })
        }
    }
}

fn unreachable_engine(folder: &Folder, path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::InvalidInput => match is_engine_alive(folder) {
            Ok(true) => Error::NotListening { path },
            _ => Error::NoEngine,
        },
        io::ErrorKind::PermissionDenied => Error::Denied { path },
        // A full queue: the engine is stopped, or drowned.
        io::ErrorKind::WouldBlock => Error::NotListening { path },
        _ => Error::Io {
            what: "reach",
            path,
            source,
        },
    }
}
