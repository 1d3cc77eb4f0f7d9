//! What people do, without a screen: one command each, the same that the cockpit sends.

use std::path::PathBuf;

use clap::Args;

use super::bridge::SocketBridge;
use super::{Exit, Which};
use crate::cockpit::bridge::{Bridge, BridgeError};
use crate::journal::Folder;
use crate::runbook::Role;
use crate::session::{Command, attempt};
use crate::ssh::Passphrase;
use crate::step::salvage::{has_whole_file, later_attempt};
use crate::text::printable;

/// Start the next step.
#[derive(Debug, Args)]
pub struct StartArgs {
    #[command(flatten)]
    which: Which,
    /// The step that you mean to start; refused if another one is next
    #[arg(long)]
    step: Option<String>,
    /// Delete so many rows of a table of PostgreSQL that SQLite does not have; may be repeated
    #[arg(long, value_name = "TABLE=N", value_parser = discarded, requires = "step")]
    discard_rows: Vec<(String, u64)>,
}

/// Confirm being on call.
#[derive(Debug, Args)]
pub struct ConfirmArgs {
    #[command(flatten)]
    which: Which,
}

/// Sign a gate.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// Which gate, such as K5
    gate: String,
    #[command(flatten)]
    which: Which,
    /// As what, if you have several roles
    #[arg(long, value_parser = role)]
    role: Option<Role>,
    /// What you have to say
    #[arg(long)]
    note: Option<String>,
    /// Your SSH key, where the gate asks for one: a key file, or a public key whose private one your agent holds
    #[arg(long, value_name = "FILE", env = crate::ssh::KEY_VARIABLE)]
    key: Option<PathBuf>,
}

/// Withdraw a signature.
#[derive(Debug, Args)]
pub struct WithdrawArgs {
    /// Which gate, such as K5
    gate: String,
    #[command(flatten)]
    which: Which,
    /// As what, if you have several roles
    #[arg(long, value_parser = role)]
    role: Option<Role>,
}

/// Hold.
#[derive(Debug, Args)]
pub struct HoldArgs {
    #[command(flatten)]
    which: Which,
    /// Why
    #[arg(long, default_value = "no reason given")]
    reason: String,
}

/// Resume.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    which: Which,
}

/// Skip a step.
#[derive(Debug, Args)]
pub struct SkipArgs {
    /// Which step
    step: String,
    #[command(flatten)]
    which: Which,
    /// Why
    #[arg(long)]
    reason: String,
}

/// Decide about an interrupted step.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// Which step
    step: String,
    /// What you found: `done`, or `again` to run it once more
    #[arg(value_parser = ["done", "again"])]
    found: String,
    #[command(flatten)]
    which: Which,
    /// What you looked at
    #[arg(long)]
    reason: String,
}

/// Extend the freeze.
#[derive(Debug, Args)]
pub struct ExtendArgs {
    /// By how many minutes
    minutes: u16,
    #[command(flatten)]
    which: Which,
}

/// Write a note.
#[derive(Debug, Args)]
pub struct NoteArgs {
    /// What to write
    text: String,
    #[command(flatten)]
    which: Which,
}

/// Record what was corrected after a rollback.
#[derive(Debug, Args)]
pub struct CorrectArgs {
    #[command(flatten)]
    which: Which,
    /// What was corrected
    #[arg(long)]
    what: String,
    /// Give up what users wrote to PostgreSQL where no salvage file holds it
    #[arg(long)]
    give_up_rows: bool,
}

/// Roll back.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    which: Which,
    /// The session's name, to confirm; not needed once a trigger has fired
    #[arg(long, value_name = "SESSION")]
    confirm: Option<String>,
    /// Why
    #[arg(long, default_value = "asked for from a shell")]
    reason: String,
}

/// Run rows of a rollback again.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// The row to begin with, such as R2; the first that failed where absent
    #[arg(long, value_name = "ROW")]
    row: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Complete the release.
#[derive(Debug, Args)]
pub struct CompleteArgs {
    /// The session's name, typed: a release cannot be taken back by the rollback key
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    which: Which,
}

fn discarded(text: &str) -> Result<(String, u64), String> {
    let wrong = || "TABLE=N, N being a number of rows".to_owned();
    let (table, rows) = text.rsplit_once('=').ok_or_else(wrong)?;
    Ok((table.to_owned(), rows.parse().map_err(|_| wrong())?))
}

fn role(text: &str) -> Result<Role, String> {
    Role::ALL
        .into_iter()
        .find(|r| r.key() == text)
        .ok_or_else(|| format!("one of {}", Role::ALL.map(Role::key).join(", ")))
}

/// `cutover start`
pub async fn start(args: StartArgs) -> anyhow::Result<Exit> {
    let command = match args.step {
        Some(step) if !args.discard_rows.is_empty() => Command::StartDiscarding {
            step,
            rows: args.discard_rows.into_iter().collect(),
        },
        step => Command::StartStep { step },
    };
    send(args.which, command).await
}

/// `cutover confirm`
pub async fn confirm(args: ConfirmArgs) -> anyhow::Result<Exit> {
    send(args.which, Command::Confirm { step: None }).await
}

/// `cutover sign`
pub async fn sign(args: SignArgs) -> anyhow::Result<Exit> {
    let command = Command::Sign {
        gate: args.gate,
        role: args.role,
        note: args.note,
        proof: None,
    };
    let signing = |bridge: SocketBridge| bridge.signing(args.key, Passphrase::OnTerminal);
    send_by(args.which, command, signing).await
}

/// `cutover withdraw`
pub async fn withdraw(args: WithdrawArgs) -> anyhow::Result<Exit> {
    send(
        args.which,
        Command::Withdraw {
            gate: args.gate,
            role: args.role,
        },
    )
    .await
}

/// `cutover hold`
pub async fn hold(args: HoldArgs) -> anyhow::Result<Exit> {
    send(
        args.which,
        Command::Hold {
            reason: args.reason,
        },
    )
    .await
}

/// `cutover resume`
pub async fn resume(args: ResumeArgs) -> anyhow::Result<Exit> {
    send(args.which, Command::Resume).await
}

/// `cutover skip`
pub async fn skip(args: SkipArgs) -> anyhow::Result<Exit> {
    send(
        args.which,
        Command::Skip {
            step: args.step,
            reason: args.reason,
        },
    )
    .await
}

/// `cutover decide`
pub async fn decide(args: DecideArgs) -> anyhow::Result<Exit> {
    let done = args.found == "done";
    send(
        args.which,
        Command::DecideUnknown {
            step: args.step,
            done,
            reason: args.reason,
        },
    )
    .await
}

/// `cutover extend`
pub async fn extend(args: ExtendArgs) -> anyhow::Result<Exit> {
    send(
        args.which,
        Command::ExtendFreeze {
            by_ms: i64::from(args.minutes) * 60_000,
        },
    )
    .await
}

/// `cutover note`
pub async fn note(args: NoteArgs) -> anyhow::Result<Exit> {
    send(args.which, Command::Note { text: args.text }).await
}

/// `cutover complete`
pub async fn complete(args: CompleteArgs) -> anyhow::Result<Exit> {
    let folder = super::run::find(&args.which)?;
    let name = crate::history::session(&folder)?.charter.session;
    let what = format!(
        "This completes {}: SQLite is history then, and the rollback key is gone.",
        printable(&name, 80)
    );
    let confirm = args.confirm.or_else(|| ask_for_name(&what));
    if confirm.as_ref() != Some(&name) {
        errln!(
            "refused: {what} Say so by its name: `cutover complete --confirm {}`. Nothing was done",
            printable(&name, 80)
        );
        return Ok(Exit::Failed);
    }
    send(args.which, Command::Complete).await
}

/// `cutover rollback`: starts an engine when none runs.
pub async fn rollback(args: RollbackArgs) -> anyhow::Result<Exit> {
    let folder = super::run::find_night(&args.which)?;
    if let Some(over) = super::over::sentence(&folder) {
        anyhow::bail!("{over}");
    }
    let confirm = args.confirm.or_else(|| ask_for_confirmation(&folder));
    let command = Command::RollBack {
        reason: args.reason,
        confirm,
    };
    let bridge = SocketBridge::new(folder.clone(), args.which.claim.clone(), None);
    let sent = tokio::task::spawn_blocking(move || match bridge.send(&command, None) {
        Err(BridgeError::NoEngine) => {
            errln!("no engine runs; starting one");
            bridge.start_engine()?;
            bridge.send(&command, None)
        }
        other => other,
    })
    .await?;
    if let Err(error) = sent {
        // Whoever cannot have an engine needs the way on foot, on a disk that can be written to.
        if matches!(error, BridgeError::Failed { .. }) {
            anyhow::bail!(
                "{error}\nWithout an engine: `cutover report --sheet --out DIR {}` writes how to roll back by hand, DIR being on a disk that \
                 can be written to",
                printable(&folder.session(), 80)
            );
        }
        anyhow::bail!("{error}");
    }
    super::follow::until_over(&folder, super::follow::To::Stderr).await
}

/// `cutover retry`: rows of a rollback that has ended, by an engine that is started for them.
pub async fn retry(args: RetryArgs) -> anyhow::Result<Exit> {
    let folder = super::run::find_night(&args.which)?;
    // What its rows would take back or keep is the later session's by now.
    if let Some(later) = later_attempt(&folder, &crate::history::session(&folder)?) {
        errln!(
            "refused: session {later} was opened for the same target after {}, so nothing of its rollback is run again. Nothing was changed",
            folder.session()
        );
        return Ok(Exit::Failed);
    }
    let bridge = SocketBridge::new(folder.clone(), args.which.claim, None);
    let command = Command::Retry { row: args.row };
    match tokio::task::spawn_blocking(move || bridge.send(&command, None)).await? {
        Ok(_) => {}
        Err(BridgeError::Refused(refusal)) => {
            errln!("refused by session {}: {refusal}", folder.session());
            return Ok(Exit::Failed);
        }
        Err(error) => anyhow::bail!("{error}"),
    }
    super::follow::until_over(&folder, super::follow::To::Stderr).await?;
    let session = crate::history::session(&folder)?;
    let is_healthy = session.rollback.is_some_and(|r| r.healthy == Some(true));
    Ok(if is_healthy { Exit::Done } else { Exit::Failed })
}

/// `cutover correct`: the session is over and has no engine any more.
pub async fn correct(args: CorrectArgs) -> anyhow::Result<Exit> {
    let folder = super::run::find_night(&args.which)?;
    let session = folder.session();
    let known = crate::history::session(&folder)?;
    if !args.give_up_rows
        && let Err(not_yet) = attempt::rows_are_kept(&known, has_whole_file(&folder))
    {
        errln!("refused: {not_yet}");
        return Ok(Exit::Failed);
    }
    let command = Command::Correct {
        what: args.what,
        gives_up_rows: args.give_up_rows,
    };
    let claim = args.which.claim;
    let written = tokio::task::spawn_blocking(move || {
        crate::engine::amend::amend(&folder, claim.as_deref(), &command)
    });
    match written.await?? {
        Ok(()) => {
            errln!(
                "recorded in {session}; a rehearsal newer than this opens the way to the next attempt"
            );
            Ok(Exit::Done)
        }
        Err(refusal) => {
            errln!("refused: {refusal}");
            Ok(Exit::Failed)
        }
    }
}

/// On a terminal, the name is asked for; in a script it must be an argument.
fn ask_for_confirmation(folder: &Folder) -> Option<String> {
    let session = crate::history::session(folder).ok()?;
    if session.fired.is_some() {
        return None;
    }
    ask_for_name(&format!(
        "This takes {} back to SQLite.",
        printable(&session.charter.session, 80)
    ))
}

/// What somebody at a terminal types; nothing without one.
fn ask_for_name(what: &str) -> Option<String> {
    use std::io::{IsTerminal, Write};
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let mut terminal = std::io::stderr();
    write!(terminal, "{what} Type its name to go on: ")
        .and_then(|()| terminal.flush())
        .ok()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}

async fn send(which: Which, command: Command) -> anyhow::Result<Exit> {
    send_by(which, command, |bridge| bridge).await
}

async fn send_by(
    which: Which,
    command: Command,
    with: impl FnOnce(SocketBridge) -> SocketBridge,
) -> anyhow::Result<Exit> {
    let folder = super::run::find(&which)?;
    let bridge = with(SocketBridge::new(folder.clone(), which.claim, None));
    match tokio::task::spawn_blocking(move || bridge.send(&command, None)).await? {
        Ok(_) => {
            errln!("done");
            Ok(Exit::Done)
        }
        Err(BridgeError::Refused(refusal)) => {
            errln!("refused: {refusal}");
            Ok(if matches!(refusal, crate::session::Refusal::NoGo { .. }) {
                Exit::NoGo
            } else {
                Exit::Failed
            })
        }
        Err(BridgeError::NoEngine) => match super::over::sentence(&folder) {
            Some(over) => anyhow::bail!("{over}"),
            None => anyhow::bail!(
                "no engine runs session {}: `cutover run` resumes it, `cutover rollback` takes it back",
                folder.session()
            ),
        },
        Err(error) => anyhow::bail!("{error}"),
    }
}
