//! The process of the guard, which an engine starts beside itself. Like the engine's, it leaves the terminal first.

use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

use super::Exit;
use super::orders::Standing;
use crate::demo::control;
use crate::engine::notify::Desk;
use crate::engine::{detach, guard};
use crate::journal::Folder;
use crate::runbook::Runbook;

/// The guard of an engine, whose end it takes from its standard input.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// The session's folder
    #[arg(long)]
    dir: PathBuf,
}

/// Whether somebody of the bridge may ask it for an engine. In a sandbox everybody is whoever runs it, and a rehearsal is its driver's.
pub fn attends(standing: &Standing, runbook: &Runbook) -> bool {
    !standing.sandbox && !standing.rehearsal && guard::is_needed(&runbook.people)
}

/// `cutover guard`
pub async fn run(args: GuardArgs) -> anyhow::Result<Exit> {
    detach::leave_terminal()?;
    let folder = Folder::create_at(&args.dir)?;
    let standing = Standing::read(&folder)?;
    let orders = standing.orders(folder.clone())?;
    let desk = Desk {
        folder: orders.base,
        environment: Arc::clone(&orders.environment),
    };
    // With its sandbox everything that belongs to it goes.
    let is_moot = || standing.sandbox && !control::is_supervised(&standing.base);
    let engine = tokio::io::stdin();
    let channels = &orders.runbook.notify;
    match attends(&standing, &orders.runbook) {
        true => guard::stand_and_attend(&folder, channels, &desk, engine, is_moot).await?,
        false => guard::stand(&folder, channels, &desk, engine, is_moot).await?,
    }
    Ok(Exit::Done)
}
