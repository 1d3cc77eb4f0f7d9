//! `cutover join`: another cockpit on the same session.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Which, follow, run, status};
use crate::journal::Folder;

/// Take part in a session.
#[derive(Debug, Args)]
pub struct JoinArgs {
    #[command(flatten)]
    which: Which,
    /// A plain running log instead of the cockpit
    #[arg(long)]
    log: bool,
}

/// `cutover join`
pub async fn run(args: JoinArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.which)?;
    if args.log || !can_show_a_screen() {
        return follow::until_over(&folder, follow::To::Stdout).await;
    }
    let sandbox = status::read(&folder)?.charter.sandbox;
    let sandbox = sandbox
        .then(|| folder.dir().parent().map(PathBuf::from))
        .flatten();
    cockpit(folder, args.which.claim, sandbox).await
}

/// Whether there is a terminal to draw on and to read keys from.
pub fn can_show_a_screen() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

/// The cockpit, until it is left or the terminal is gone. The exit code is the session's, if that is over.
pub async fn cockpit(
    folder: Folder,
    claim: Option<String>,
    sandbox: Option<PathBuf>,
) -> anyhow::Result<Exit> {
    let _ = (claim, sandbox);
    follow::until_over(&folder, follow::To::Stdout).await?;
    let session = status::read(&folder)?;
    Ok(follow::exit_of(&session).unwrap_or(Exit::Done))
}
