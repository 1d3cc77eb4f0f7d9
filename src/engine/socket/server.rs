//! The engine's end of the socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::address::Listener;
use super::peer::{PeerIdentity, identify};
use super::places::Places;
use super::{Error, Fault, Line, MAX_REQUEST_BYTES, Pong, Reply, address};
use crate::engine::lease::Lease;
use crate::journal::Folder;

/// Requests that may wait for the engine.
const MAX_WAITING: usize = 64;
/// Speakers without a place who are waited for until they have read so; beyond, they are told and closed at once.
const MAX_FAREWELLS: usize = 256;
/// From connecting to the end of the request's line.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// For the speaker to take the answer.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How long, and how much, an unread rest is read away so that its sender can read why it was not taken.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 16 * 1024 * 1024;
const PAUSE_AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);

/// A request with its speaker, waiting for an answer.
#[derive(Debug)]
pub struct Call<Req, Ans> {
    pub request: Req,
    pub peer: PeerIdentity,
    reply: oneshot::Sender<Ans>,
}

/// Calls in the order in which they were complete.
pub type Calls<Req, Ans> = mpsc::Receiver<Call<Req, Ans>>;

impl<Req, Ans> Call<Req, Ans> {
    /// Answers. A speaker who has gone meanwhile is no matter.
    pub fn answer(self, answer: Ans) {
        let _ = self.reply.send(answer);
    }

    /// Request and speaker, and the way to answer later.
    pub fn split(self) -> (Req, PeerIdentity, oneshot::Sender<Ans>) {
        (self.request, self.peer, self.reply)
    }
}

/// Listens until `cancel`; the requests come out of the channel in the order in which they were complete. A call that is dropped without
/// an answer tells its speaker that the engine is ending. Must be called within a tokio runtime.
///
/// The lease proves that no other engine listens: a socket that a dead one left behind is replaced.
pub fn serve<Req, Ans>(
    folder: &Folder,
    lease: &Lease,
    cancel: CancellationToken,
) -> Result<Calls<Req, Ans>, Error>
where
    Req: DeserializeOwned + Send + 'static,
    Ans: Serialize + Send + 'static,
{
    serve_until_gone(folder, lease, cancel).map(|(calls, _)| calls)
}

/// [`serve`], and a task that has ended once the socket is gone from the file system. Only then may the lease be let go: the next engine's
/// socket has the same name.
pub fn serve_until_gone<Req, Ans>(
    folder: &Folder,
    lease: &Lease,
    cancel: CancellationToken,
) -> Result<(Calls<Req, Ans>, JoinHandle<()>), Error>
where
    Req: DeserializeOwned + Send + 'static,
    Ans: Serialize + Send + 'static,
{
    serve_at(folder, Listener::Engine, lease.fencing(), cancel)
}

/// [`serve_until_gone`] for a guard whose engine is dead, at a socket of its own.
pub fn serve_as_guard<Req, Ans>(
    folder: &Folder,
    cancel: CancellationToken,
) -> Result<(Calls<Req, Ans>, JoinHandle<()>), Error>
where
    Req: DeserializeOwned + Send + 'static,
    Ans: Serialize + Send + 'static,
{
    // It has no lease.
    serve_at(folder, Listener::Guard, 0, cancel)
}

fn serve_at<Req, Ans>(
    folder: &Folder,
    of: Listener,
    fencing: u64,
    cancel: CancellationToken,
) -> Result<(Calls<Req, Ans>, JoinHandle<()>), Error>
where
    Req: DeserializeOwned + Send + 'static,
    Ans: Serialize + Send + 'static,
{
    let failed = |what| {
        let path = address::find(folder, of);
        move |source| Error::Io { what, path, source }
    };
    let path = address::clear(folder, of).map_err(failed("clear the way for"))?;
    let listener = UnixListener::bind(&path).map_err(failed("bind"))?;
    address::share(&path).map_err(failed("share"))?;
    let (calls, receiver) = mpsc::channel(MAX_WAITING);
    let me = Pong {
        pid: std::process::id(),
        fencing,
    };
    let bound = Bound {
        folder: folder.clone(),
        of,
        number: address::number(&path),
        path,
    };
    let task = tokio::spawn(listen(listener, bound, me, calls, cancel));
    Ok((receiver, task))
}

/// A socket in the file system; gone when this is dropped.
struct Bound {
    folder: Folder,
    of: Listener,
    path: PathBuf,
    number: Option<(u64, u64)>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        address::remove(&self.folder, self.of, &self.path, self.number);
    }
}

async fn listen<Req, Ans>(
    listener: UnixListener,
    bound: Bound,
    me: Pong,
    calls: mpsc::Sender<Call<Req, Ans>>,
    cancel: CancellationToken,
) where
    Req: DeserializeOwned + Send + 'static,
    Ans: Serialize + Send + 'static,
{
    let places = Places::default();
    let limit = bound.of.answer_limit();
    let farewells = Arc::new(Semaphore::new(MAX_FAREWELLS));
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let mut stream = match accepted {
            Ok((stream, _)) => stream,
            // Out of file descriptors, or a peer that is gone already: neither ends the listener.
            Err(e) => {
                tracing::warn!("a connection to the engine's socket was lost: {e}");
                sleep(PAUSE_AFTER_ACCEPT_ERROR).await;
                continue;
            }
        };
        // Who has gone already needs no place.
        let Ok(uid) = stream.peer_cred().map(|c| c.uid()) else {
            continue;
        };
        let Some(place) = places.take(uid) else {
            let line = to_line(&fault::<Ans>(Fault::Busy, "too many connections at once"));
            // As much as fits without waiting: a crowd must not be able to hold up the listener.
            let _ = stream.try_write(&line);
            if let Ok(farewell) = Arc::clone(&farewells).try_acquire_owned() {
                tokio::spawn(async move {
                    let _farewell = farewell;
                    let _ = stream.shutdown().await;
                    // Closing over an unread request would take the answer from the speaker's hands.
                    let _ = timeout(DRAIN_LIMIT, drain(&mut stream)).await;
                });
            }
            continue;
        };
        let (calls, me) = (calls.clone(), me.clone());
        tokio::spawn(async move {
            let _place = place;
            converse(stream, me, &calls, limit).await;
        });
    }
    drop(bound);
}

/// The request of a line; none where it asks whether anybody is there.
pub fn understood<Req: DeserializeOwned>(line: &[u8]) -> Result<Option<Req>, serde_json::Error> {
    serde_json::from_slice(line).map(|line| match line {
        Line::Ping => None,
        Line::Request(request) => Some(request),
    })
}

/// One connection: one line in, one line out. It keeps `calls` to its end, so that these end with the last connection.
async fn converse<Req, Ans>(
    mut stream: UnixStream,
    me: Pong,
    calls: &mpsc::Sender<Call<Req, Ans>>,
    limit: Duration,
) where
    Req: DeserializeOwned,
    Ans: Serialize,
{
    let Ok(peer) = identify(&stream).await else {
        return;
    };
    let reply = match timeout(REQUEST_LIMIT, read_line(&mut stream)).await {
        Ok(Ok(line)) if line.is_empty() => return,
        Ok(Ok(line)) => match understood(&line) {
            Ok(None) => Reply::Pong(me),
            Ok(Some(request)) => ask(request, peer, calls, limit).await,
            Err(e) => fault(Fault::NotUnderstood, e.to_string()),
        },
        Ok(Err(Unread::Connection)) => return,
        Ok(Err(Unread::Fault(kind, why))) => fault(kind, why),
        Err(_) => fault(Fault::TooSlow, "the request did not come in time"),
    };
    let line = to_line(&reply);
    let sent = timeout(WRITE_LIMIT, async {
        stream.write_all(&line).await?;
        stream.shutdown().await
    });
    if let Ok(Ok(())) = sent.await {
        // Closing over unread bytes would take the answer from the speaker's hands.
        let _ = timeout(DRAIN_LIMIT, drain(&mut stream)).await;
    }
}

async fn ask<Req, Ans>(
    request: Req,
    peer: PeerIdentity,
    calls: &mpsc::Sender<Call<Req, Ans>>,
    limit: Duration,
) -> Reply<Ans> {
    let (reply, answer) = oneshot::channel();
    let call = Call {
        request,
        peer,
        reply,
    };
    match calls.try_send(call) {
        Ok(()) => {}
        Err(mpsc::error::TrySendError::Full(_)) => {
            return fault(Fault::Busy, "too many requests wait for the engine");
        }
        Err(mpsc::error::TrySendError::Closed(_)) => {
            return fault(Fault::Ending, "the engine is ending; nothing was done");
        }
    }
    match timeout(limit, answer).await {
        Ok(Ok(answer)) => Reply::Answer(answer),
        Ok(Err(_)) => fault(
            Fault::Ending,
            "the engine is ending; whether it acted shows in the journal",
        ),
        Err(_) => fault(
            Fault::Unanswered,
            "the engine is busy with it; whether it acted shows in the journal",
        ),
    }
}

enum Unread {
    Connection,
    Fault(Fault, &'static str),
}

/// The bytes up to the first line end; empty when the speaker left without a word.
async fn read_line(stream: &mut UnixStream) -> Result<Vec<u8>, Unread> {
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream
            .read(&mut chunk)
            .await
            .map_err(|_| Unread::Connection)?;
        if read == 0 && line.is_empty() {
            return Ok(line);
        }
        if read == 0 {
            return Err(Unread::Fault(
                Fault::NotUnderstood,
                "the request ends without a line end",
            ));
        }
        let chunk = &chunk[..read];
        let end = chunk.iter().position(|&byte| byte == b'\n');
        line.extend_from_slice(&chunk[..end.unwrap_or(read)]);
        if line.len() >= MAX_REQUEST_BYTES {
            return Err(Unread::Fault(Fault::TooLong, "the request is too long"));
        }
        if end.is_some() {
            return Ok(line);
        }
    }
}

async fn drain(stream: &mut UnixStream) {
    let mut sink = [0; 4096];
    let mut left = DRAIN_BYTES;
    while let Ok(read) = stream.read(&mut sink).await {
        left = left.saturating_sub(read);
        if read == 0 || left == 0 {
            return;
        }
    }
}

fn fault<Ans>(kind: Fault, why: impl Into<String>) -> Reply<Ans> {
    Reply::Error {
        kind,
        why: why.into(),
    }
}

fn to_line<Ans: Serialize>(reply: &Reply<Ans>) -> Vec<u8> {
    let mut line = serde_json::to_vec(reply).expect("BUG: an answer is not JSON");
    if line.len() >= super::MAX_ANSWER_BYTES {
        let fault = fault::<()>(
            Fault::Unanswered,
            "the answer is too long for the socket; what was done shows in the journal",
        );
        line = serde_json::to_vec(&fault).expect("BUG: a fault is not JSON");
    }
    line.push(b'\n');
    line
}
