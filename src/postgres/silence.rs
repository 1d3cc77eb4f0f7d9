//! Whoever waits for PostgreSQL is told for whom and since when, and never waits for an answer that will not come: a request without
//! an answer is looked into by a second connection, which asks what the first one's session is doing.
//!
//! Not in here: which request is open ([`exchange`]), what a look means ([`verdict`]).

mod exchange;
mod verdict;

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Client;
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use self::exchange::Exchange;
use self::verdict::{Looks, Seen, Verdict};
use super::{Endpoint, Error};

/// How often the wait is measured.
const BEAT: Duration = Duration::from_secs(1);
/// How long a look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Whom to tell, in a sentence.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// What one connection has sent and heard.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    handshake_begun: AtomicBool,
    state: Mutex<Option<State>>,
}

#[derive(Debug)]
struct State {
    exchange: Exchange,
    /// When a byte last went in either direction.
    moved: Instant,
}

impl Pulse {
    pub(super) fn handshake_begins(&self) {
        self.handshake_begun.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_handshake_begun(&self) -> bool {
        self.handshake_begun.load(Ordering::Relaxed)
    }

    /// The session is up: from here on messages are whole, and nothing is open.
    pub(super) fn begin(&self) {
        *self.state() = Some(State {
            exchange: Exchange::default(),
            moved: Instant::now(),
        });
    }

    /// For how long nothing has moved although an answer is due; `None` where none is due.
    fn silent_for(&self) -> Option<Duration> {
        let state = self.state();
        let state = state.as_ref()?;
        state.exchange.is_open().then(|| state.moved.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn moved(&self, follow: impl FnOnce(&mut Exchange)) {
        if let Some(state) = self.state().as_mut() {
            state.moved = Instant::now();
            follow(&mut state.exchange);
        }
    }
}

/// Bytes on their way to and from PostgreSQL, as messages that can be read: the socket itself or, where the session is encrypted, what
/// goes into the encryption.
pub(super) struct Watched<S> {
    inner: S,
    pulse: Arc<Pulse>,
    is_socket: bool,
}

impl<S> Watched<S> {
    pub(super) fn socket(inner: S, pulse: Arc<Pulse>) -> Self {
        Self {
            inner,
            pulse,
            is_socket: true,
        }
    }

    pub(super) fn within_tls(inner: S, pulse: Arc<Pulse>) -> Self {
        Self {
            inner,
            pulse,
            is_socket: false,
        }
    }

    fn is_readable(&self) -> bool {
        self.is_socket != self.pulse.has_handshake_begun()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        let heard = buffer.filled().get(before..).unwrap_or_default();
        if !heard.is_empty() && self.is_readable() {
            self.pulse.moved(|exchange| exchange.heard(heard));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(n)) = wrote
            && self.is_readable()
        {
            let sent = bytes.get(..n).unwrap_or_default();
            self.pulse.moved(|exchange| exchange.sent(sent));
        }
        wrote
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Watched<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.inner.channel_binding()
    }
}

/// Watches one connection until its answer is lost; then gives why, and the caller drops the connection, so that everybody who waits
/// for it gets an error.
pub(super) async fn until_lost(pulse: &Pulse, endpoint: &Endpoint, pid: i32) -> String {
    let mut looks = Looks::default();
    loop {
        tokio::time::sleep(BEAT).await;
        let Some(silent) = pulse.silent_for() else {
            looks = Looks::default();
            continue;
        };
        if !looks.is_due(silent) {
            continue;
        }
        let seen = look(endpoint, pid).await;
        // Whatever has moved meanwhile is an answer.
        let Some(silent) = pulse.silent_for().filter(|now| *now >= silent) else {
            looks = Looks::default();
            continue;
        };
        match looks.judge(silent, seen) {
            Verdict::Wait => {}
            Verdict::Tell(sentence) => endpoint.tell(&sentence),
            Verdict::Lost(sentence) => {
                endpoint.tell(&sentence);
                return sentence;
            }
        }
    }
}

/// Asks on a connection of its own what the session is doing. Boxed, for connecting is what starts a watch.
fn look(endpoint: &Endpoint, pid: i32) -> Pin<Box<dyn Future<Output = Seen> + Send + '_>> {
    Box::pin(look_at(endpoint, pid))
}

async fn look_at(endpoint: &Endpoint, pid: i32) -> Seen {
    let asked = async {
        let client = endpoint.unwatched().connect().await?;
        ask(&client, pid)
            .await
            .map_err(|error| Error::of_statement("look at a session", &error))
    };
    match tokio::time::timeout(LOOK_LIMIT, asked).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) if error.is_silence() => Seen::NoAnswer(error.to_string()),
        Ok(Err(error)) => Seen::Refused(error.to_string()),
        Err(_) => Seen::NoAnswer(format!(
            "{} did not answer within {} s",
            endpoint.host_label(),
            LOOK_LIMIT.as_secs()
        )),
    }
}

const LOOK: &str = "
    SELECT state, left(query, 200), wait_event,
           (SELECT string_agg(format('session %s (%s as %s, %s since %s s)', b.pid, b.usename, coalesce(nullif(b.application_name, ''), '?'),
                                     coalesce(b.state, '?'), coalesce(extract(epoch FROM now() - b.state_change)::int, 0)), ', ')
              FROM pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(a.pid)))
      FROM pg_stat_activity a WHERE a.pid = $1";

async fn ask(client: &Client, pid: i32) -> Result<Seen, tokio_postgres::Error> {
    let Some(row) = client.query_opt(LOOK, &[&pid]).await? else {
        return Ok(Seen::Gone);
    };
    let state: Option<String> = row.try_get(0)?;
    let query: Option<String> = row.try_get(1)?;
    let wait: Option<String> = row.try_get(2)?;
    let blockers: Option<String> = row.try_get(3)?;
    Ok(match state.as_deref() {
        // Waiting for the client while the client waits for it.
        Some(state) if state != "active" || wait.as_deref() == Some("ClientRead") => Seen::Idle,
        // The answer is longer than whoever asked has read so far.
        _ if wait.as_deref() == Some("ClientWrite") => Seen::Unread,
        _ => Seen::Works {
            statement: query.unwrap_or_default(),
            blockers,
        },
    })
}
