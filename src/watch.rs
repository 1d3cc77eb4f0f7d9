//! A page of a session for people who are not on the bridge (`cutover watch --http`): it follows the session's folder and can do nothing.
//! Every viewer has a link of their own; what changes is sent to whoever looks, in pieces, and whoever does not read is dropped. It touches
//! no database and no engine's socket.
//!
//! - [`viewers`]: who may look.
//! - `answers`: what is answered to a browser.
//! - `shown`: the page as it is now.
//!
//! Not in here: what stands on the page (`report::live`), HTTP (`listen`).

mod answers;
mod shown;
pub mod viewers;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::history;
use crate::journal::Folder;
use crate::listen::{self, Listening};
use answers::Door;
use shown::{Latest, Maker};
use viewers::{Link, Viewers};

/// How often the journal is looked at, and the clock goes on.
const EVERY: Duration = Duration::from_secs(1);

/// A browser that has not taken a piece in for so long is dropped; it may ask again.
pub const TAKEN_WITHIN: Duration = Duration::from_secs(20);

/// What is offered, and to whom.
#[derive(Debug, Clone)]
pub struct Terms {
    pub at: SocketAddr,
    /// Whether others than this host may reach it, for a proxy of the team's stands before it.
    pub behind_proxy: bool,
    /// Names of those who may look.
    pub viewers: Vec<String>,
    /// For how long the page stays after the session is over.
    pub stays: Duration,
    /// For how long a browser may take to take a piece in.
    pub taken_within: Duration,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever listens on the network's way would have the links.
    #[error(
        "{0} can be reached from other hosts, and the page goes there without TLS, with the links in the clear: name a loopback address \
         (127.0.0.1:8800), or put a proxy with TLS before it and say --behind-proxy; nothing listens"
    )]
    Exposed(SocketAddr),
    /// The names of the viewers.
    #[error(transparent)]
    Viewers(#[from] viewers::Error),
    #[error(transparent)]
    History(#[from] history::Error),
    #[error("cannot listen at {at}: {why}")]
    Listen {
        at: SocketAddr,
        /// What the operating system said.
        why: std::io::Error,
    },
}

/// A page that is offered, until this is dropped.
#[derive(Debug)]
pub struct Offered {
    pub at: SocketAddr,
    making: JoinHandle<Result<(), JoinError>>,
    _listening: Listening,
    _ends: DropGuard,
}

impl Offered {
    /// Waits until the session is over and the page has stayed for as long as it was to.
    ///
    /// # Errors
    /// The page could not be made any more: a bug.
    pub async fn until_over(self) -> Result<(), JoinError> {
        self.making.await?
    }
}

/// Offers the page of a session, and gives each viewer a link.
///
/// # Errors
/// See [`Error`]; then nothing listens.
pub async fn offer(folder: &Folder, terms: Terms) -> Result<(Offered, Vec<Link>), Error> {
    let Terms {
        at,
        stays,
        taken_within,
        ..
    } = terms;
    if !at.ip().is_loopback() && !terms.behind_proxy {
        return Err(Error::Exposed(at));
    }
    let (viewers, links) = Viewers::of(&terms.viewers)?;
    let maker = Maker::open(folder, stays)?;
    let (sender, receiver) = watch::channel(maker.latest());
    let door = Door::new(viewers, maker.session(), receiver, taken_within);
    let listening = listen::at(at, door).await;
    let listening = listening.map_err(|why| Error::Listen { at, why })?;
    let cancel = CancellationToken::new();
    let ends = cancel.clone().drop_guard();
    let making = tokio::spawn(async move {
        let made = cancel.run_until_cancelled(make(maker, sender)).await;
        made.unwrap_or(Ok(()))
    });
    let offered = Offered {
        at: listening.at,
        making,
        _listening: listening,
        _ends: ends,
    };
    Ok((offered, links))
}

/// Makes the page anew as the session goes on, until it has stayed for as long as it was to.
async fn make(mut maker: Maker, latest: watch::Sender<Latest>) -> Result<(), JoinError> {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !maker.has_stayed() {
        tick.tick().await;
        maker = tokio::task::spawn_blocking(move || maker.look()).await?;
        latest.send_replace(maker.latest());
    }
    Ok(())
}
