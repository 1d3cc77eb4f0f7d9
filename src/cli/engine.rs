//! The engine's own process. It leaves the terminal that started it before it does anything else.

use std::path::PathBuf;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::orders::Standing;
use crate::engine::{self, detach};
use crate::journal::Folder;
use crate::session::Phase;

/// The engine of a session.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// The session's folder
    #[arg(long)]
    dir: PathBuf,
}

/// `cutover engine`
pub async fn run(args: EngineArgs) -> anyhow::Result<Exit> {
    detach::leave_terminal()?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    // The folder of a session that is about to be opened has orders and no journal yet.
    let folder = Folder::create_at(&args.dir)?;
    let orders = Standing::read(&folder)?.orders(folder.clone())?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    engine::run(orders, stop).await?;
    let over = super::status::read(&folder)
        .is_ok_and(|s| matches!(s.phase, Phase::RolledBack | Phase::Completed));
    if over {
        Standing::remove(&folder);
    }
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
