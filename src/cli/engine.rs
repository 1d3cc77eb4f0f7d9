//! The engine's own process. It leaves the terminal that started it before it does anything else.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::orders::Standing;
use super::rehearse::unfinished::Watched;
use crate::demo::control;
use crate::engine::{self, Orders, detach, guard};
use crate::journal::Folder;
use crate::secret::MaskedError;

/// How often the engine of a sandbox looks whether there still is one.
const LOOK_AT_SANDBOX: Duration = Duration::from_millis(300);

/// The engine of a session.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// The session's folder
    #[arg(long)]
    dir: PathBuf,
    /// It is started to roll back
    #[arg(long)]
    to_roll_back: bool,
}

/// `cutover engine`
pub async fn run(args: EngineArgs) -> anyhow::Result<Exit> {
    let ended = serve(args).await;
    if let Err(error) = &ended {
        // Also to whoever started it: the disk of its log may be full.
        outln!("{error:#}");
    }
    ended
}

async fn serve(args: EngineArgs) -> anyhow::Result<Exit> {
    detach::leave_terminal()?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(|| MaskedError)
        .init();
    // The folder of a session that is about to be opened has orders and no journal yet.
    let folder = Folder::create_at(&args.dir)?;
    let standing = Standing::read(&folder)?;
    let orders = Orders {
        to_roll_back: args.to_roll_back,
        ..standing.orders(folder.clone())?
    };
    match standing.keep_runbook(&folder, &orders.runbook) {
        // It was kept when the session was opened. A full disk is no reason not to roll back.
        Err(error) if folder.runbook_path().exists() => {
            tracing::warn!(%error, "the runbook could not be kept again");
        }
        kept => kept?,
    }
    let is_wanted = guard::is_wanted(&orders.runbook.notify);
    let guard = match is_wanted || super::guard::attends(&standing, &orders.runbook) {
        true => Some(guard::post(&folder).context("the engine's guard cannot be started")?),
        false => None,
    };
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    if standing.sandbox {
        tokio::spawn(stop_with_sandbox(standing.base.clone(), stop.clone()));
    }
    let watched = standing
        .rehearsal
        .then(|| Watched::begin(&folder, &standing, stop.clone()));
    let ended = engine::run(orders, stop).await;
    drop(guard);
    if let Some(watched) = watched {
        watched.end().await;
    }
    ended?;
    Ok(Exit::Done)
}

/// TERM ends the engine in order; the next one resumes. INT and HUP belong to terminals, which the engine has left.
async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut term) = signal(SignalKind::terminate()) {
        term.recv().await;
        stop.cancel();
    }
}

/// With its sandbox everything that belongs to it goes, also when its supervisor was killed.
async fn stop_with_sandbox(dir: PathBuf, stop: CancellationToken) {
    while control::is_supervised(&dir) {
        tokio::time::sleep(LOOK_AT_SANDBOX).await;
    }
    stop.cancel();
}
