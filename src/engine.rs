//! The loop: the only caller that starts steps and the only one that appends to the journal.
//!
//! One task owns the journal and the session's state. Everything else (people's requests, a step's news, samples, the clock)
//! reaches it as an [`Input`]; it answers with events, appends them, folds them in, and carries out what they ask for. Not in
//! here: the rules (`session`), the work (`step`), the judging (`trigger`).

pub mod amend;
pub mod aside;
pub mod astray;
pub mod conduct;
pub mod cost;
pub mod detach;
pub mod disks;
pub mod feed;
pub mod figures;
pub mod guard;
pub mod heartbeat;
pub mod input;
pub mod lease;
pub mod ledger;
pub mod muster;
pub mod notify;
pub mod outside;
pub mod patience;
pub mod probes;
pub mod protocol;
pub mod real;
pub mod resume;
pub mod room;
pub mod serve;
pub mod signatures;
pub mod socket;
pub mod take_up;
pub mod tasks;
pub mod upkeep;
pub mod watch;
pub mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::action::Environment;
use crate::journal::Folder;
use crate::runbook::Runbook;
use crate::session::Opening;

pub use input::Input;

/// How long an engine may take to let go of both databases once its session is over: it marks the release, takes away what it put into
/// PostgreSQL, and tells people. Longer than the limits of all of that.
pub const LETS_GO_WITHIN: Duration = Duration::from_secs(60);

/// What an engine is started with.
#[derive(Debug, Clone)]
pub struct Orders {
    pub folder: Folder,
    /// What the operator wrote, every `${NAME}` resolved.
    pub runbook: Arc<Runbook>,
    /// What actions are run with.
    pub environment: Arc<Environment>,
    pub base: PathBuf,
    /// How a new session is opened; an existing one keeps what it has.
    pub opening: Opening,
    /// A folder on another disk, for events for which the session's own has no room; instead of the runbook's.
    pub spare: Option<PathBuf>,
    /// It is started to roll back: where the databases are no longer those of the session, it begins and does nothing else.
    pub to_roll_back: bool,
    /// The newest rehearsal of this runbook, if there is one.
    pub rehearsal: Option<crate::session::RehearsalEvidence>,
}

/// Why an engine ended before its session did.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another engine runs this session, or the lease cannot be taken.
    #[error(transparent)]
    Lease(#[from] lease::Error),
    /// The journal cannot be trusted or written; nothing more was done.
    #[error(transparent)]
    Journal(#[from] crate::journal::Error),
    /// Nobody could reach this engine.
    #[error(transparent)]
    Socket(#[from] socket::Error),
    /// The journal holds something that is not a session.
    #[error("the journal in {folder} does not tell of a session: {why}")]
    NotASession { folder: PathBuf, why: String },
    /// The session is another's, or others could have written what an engine acts on.
    #[error(transparent)]
    Folder(#[from] crate::journal::folder::Error),
    /// Another session has the SQLite file.
    #[error(transparent)]
    Claimed(#[from] crate::claim::source::Error),
    /// A path or a URL leads to another database than when the session was opened.
    #[error(
        "the databases are not those that session {session} was opened on: {what}. No engine was started, and neither database was touched. Put \
         back what was there and start it again; or roll back, which starts an engine that does nothing else: `cutover rollback {session}`"
    )]
    OtherDatabases {
        session: String,
        /// In what they differ.
        what: String,
    },
    /// The runbook is not the one that the session was opened with.
    #[error(
        "the runbook has changed since session {session} was opened (its hash was {was}, and is {is}); put the former one back, or \
         open a new session"
    )]
    RunbookChanged {
        session: String,
        /// Pinned.
        was: String,
        is: String,
    },
}

impl Error {
    /// Whether nothing was done because the record of it found no room.
    pub fn is_no_room(&self) -> bool {
        matches!(self, Error::Journal(crate::journal::Error::DiskFull { .. }))
    }
}

/// Runs a session to its end. Returns when the session is over, or when `stop` asks for an orderly end.
///
/// # Errors
/// See [`Error`]. The journal tells the next engine where this one stopped.
pub async fn run(orders: Orders, stop: CancellationToken) -> Result<(), Error> {
    orders.folder.mine()?;
    let lease = lease::Lease::take(&orders.folder)?;
    let (inputs, mut received) = mpsc::unbounded_channel();
    let offered = orders.runbook.bridge_metrics;
    let mut conduct = resume::begin(orders, &lease, inputs.clone()).await?;
    let _figures = offered.map(|at| figures::offer(at, conduct.folder()));
    let shutdown = CancellationToken::new();
    let verifier = Arc::new(conduct.verifier());
    let listener = serve::listen(conduct.folder(), &lease, verifier, inputs, shutdown.clone())?;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ended = loop {
        let input = tokio::select! {
            () = stop.cancelled() => break Ok(()),
            _ = tick.tick() => Input::Tick,
            Some(input) = received.recv() => input,
        };
        if let Some(ended) = conduct.turn(input, || lease.check()) {
            break ended;
        }
    };
    conduct.mark_release().await?;
    conduct.end_feed().await?;
    if let Err(error) = &ended {
        tracing::error!(%error, "the engine ends");
    }
    conduct.tell_the_last().await;
    while let Ok(input) = received.try_recv() {
        if matches!(input, Input::Untold { .. })
            && ended.is_ok()
            && let Err(error) = conduct.take(input)
        {
            tracing::error!(%error, "it could not be recorded that somebody was not told");
        }
    }
    // Whoever is not there any more while triggers are armed is missed, whatever the reason: only a session that needs no engine has lost
    // none.
    let is_missed = ended.is_err() || !(conduct.is_over() || conduct.session().charter.rehearsal);
    conduct.leave_claims();
    if ended.is_ok() {
        conduct.leave_orders();
    }
    conduct.end().await;
    shutdown.cancel();
    listener.gone().await;
    if is_missed {
        drop(lease);
    } else {
        lease.release()?;
    }
    ended
}
