//! `cutover join`: another cockpit on the same session.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::bridge::SocketBridge;
use super::{Exit, Looks, Which, asked, asked_to_end, follow, keys, run};
use crate::cockpit::Options;
use crate::journal::{Folder, Follower};

/// Take part in a session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover join
  cutover join tool-catalogue-1 --log
  cutover join --as qa")]
pub struct JoinArgs {
    #[command(flatten)]
    which: Which,
    /// A plain running log instead of the cockpit
    #[arg(long)]
    log: bool,
    #[command(flatten)]
    looks: Looks,
}

/// `cutover join`
pub async fn run(args: JoinArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.which.named)?;
    if args.log || !can_show_a_screen() {
        return follow::until_over(&folder, follow::To::Stdout).await;
    }
    let sandbox = crate::history::session(&folder)?.charter.sandbox;
    let sandbox = sandbox
        .then(|| folder.dir().parent().map(PathBuf::from))
        .flatten();
    cockpit(folder, options(args.which.claim, args.looks), sandbox).await
}

/// Whether there is a terminal to draw on and to read keys from.
pub fn can_show_a_screen() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
}

/// The account under which the engine will know us; its number where the machine has no name for it.
pub fn user_name() -> String {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("#{uid}"), |u| u.name)
}

/// How a cockpit is opened here, by arguments, environment and the person's configuration, in this order; `claim` is whom the person at it
/// plays. A configuration that is wrong keeps nobody from a rollback.
pub fn options(claim: Option<String>, looks: Looks) -> Options {
    let (habits, unread) = keys::for_a_cockpit();
    let mouse = std::env::var_os("CUTOVER_MOUSE").filter(|v| !v.is_empty());
    Options {
        user: user_name(),
        playing: claim,
        theme: asked(looks.theme).or_else(|| habits.theme.clone()),
        glyphs: asked(looks.glyphs).or_else(|| habits.glyphs.clone()),
        silent: std::env::var_os("CUTOVER_SILENT").is_some_and(|v| !v.is_empty()),
        no_mouse: match mouse {
            Some(mouse) => mouse == "off",
            None => habits.mouse == Some(false),
        },
        guide: false,
        habits,
        unread,
    }
}

/// The cockpit, until it is left or the terminal is gone. The exit code is the session's, if that is over; then its engine is waited for, so
/// that whoever goes on finds both databases free. Ctrl-C ends the waiting, and nothing else.
pub async fn cockpit(
    folder: Folder,
    options: Options,
    sandbox: Option<PathBuf>,
) -> anyhow::Result<Exit> {
    let follower = Follower::open(&folder)?;
    let claim = options.playing.clone();
    let bridge = Arc::new(SocketBridge::new(folder.clone(), claim, sandbox));
    let left = tokio::task::spawn_blocking(move || crate::cockpit::run(options, follower, bridge))
        .await??;
    // The terminal may be gone; that is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{left}");
    let session = crate::history::session(&folder)?;
    let Some(exit) = follow::exit_of(&session) else {
        return Ok(Exit::Done);
    };
    tokio::select! {
        let_go = follow::has_let_go(&folder) => {
            if !let_go? {
                errln!("{}", follow::still_there(&folder));
            }
        }
        () = asked_to_end() => {}
    }
    Ok(exit)
}
