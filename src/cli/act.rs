//! What people do, without a screen: one command each, the same that the cockpit sends. Not in here: what ends a session (`ending`).

mod ending;

use std::path::PathBuf;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

pub use self::ending::{
    CompleteArgs, CorrectArgs, RetryArgs, RollbackArgs, complete, correct, retry, rollback,
};
use super::bridge::SocketBridge;
use super::completion as candidates;
use super::{Exit, Which};
use crate::cockpit::bridge::{Bridge, BridgeError};
use crate::runbook::Role;
use crate::session::{Command, Refusal};
use crate::ssh::Passphrase;

/// Start the next step.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover start
  cutover start --step B1")]
pub struct StartArgs {
    #[command(flatten)]
    which: Which,
    /// The step that you mean to start; refused if another one is next
    #[arg(long, add = ArgValueCandidates::new(candidates::steps))]
    step: Option<String>,
    /// Delete so many rows of a table of PostgreSQL that SQLite does not have; may be repeated
    #[arg(long, value_name = "TABLE=N", value_parser = discarded, requires = "step")]
    discard_rows: Vec<(String, u64)>,
}

/// Confirm being on call.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover confirm
  cutover confirm tool-catalogue-1")]
pub struct ConfirmArgs {
    #[command(flatten)]
    which: Which,
}

/// Sign a gate.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover sign K5 --note \"regression and bad paths passed on staging\"
  cutover sign K8 --role qa
  cutover sign K6 --key ~/.ssh/id_ed25519")]
pub struct SignArgs {
    /// Which gate, such as K5
    #[arg(add = ArgValueCandidates::new(candidates::gates))]
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
#[command(after_help = "Examples:
  cutover withdraw K5
  cutover withdraw K8 --role engineer")]
pub struct WithdrawArgs {
    /// Which gate, such as K5
    #[arg(add = ArgValueCandidates::new(candidates::gates))]
    gate: String,
    #[command(flatten)]
    which: Which,
    /// As what, if you have several roles
    #[arg(long, value_parser = role)]
    role: Option<Role>,
}

/// Hold.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover hold --reason \"QA looks at /tools once more\"
  cutover hold")]
pub struct HoldArgs {
    #[command(flatten)]
    which: Which,
    /// Why
    #[arg(long, default_value = "no reason given")]
    reason: String,
}

/// Resume.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover resume
  cutover resume tool-catalogue-1")]
pub struct ResumeArgs {
    #[command(flatten)]
    which: Which,
}

/// Skip a step.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover skip A3 --reason \"the second place is down, and the backup is verified\"")]
pub struct SkipArgs {
    /// Which step
    #[arg(add = ArgValueCandidates::new(candidates::steps))]
    step: String,
    #[command(flatten)]
    which: Which,
    /// Why
    #[arg(long)]
    reason: String,
}

/// Decide about an interrupted step.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover decide C1 done --reason \"all four migrations are in __EFMigrationsHistory\"
  cutover decide C1 again --reason \"none of them is\"")]
pub struct DecideArgs {
    /// Which step
    #[arg(add = ArgValueCandidates::new(candidates::steps))]
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
#[command(after_help = "Examples:
  cutover extend 15
  cutover extend 15 tool-catalogue-1")]
pub struct ExtendArgs {
    /// By how many minutes
    minutes: u16,
    #[command(flatten)]
    which: Which,
}

/// Write a note.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover note \"the pool is calm since 22:41\"
  cutover note \"the pool is calm\" tool-catalogue-1")]
pub struct NoteArgs {
    /// What to write
    text: String,
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

async fn send(which: Which, command: Command) -> anyhow::Result<Exit> {
    send_by(which, command, |bridge| bridge).await
}

async fn send_by(
    which: Which,
    command: Command,
    with: impl FnOnce(SocketBridge) -> SocketBridge,
) -> anyhow::Result<Exit> {
    let folder = super::run::find_to_act(&which.named)?;
    let bridge = with(SocketBridge::new(folder.clone(), which.claim, None));
    match tokio::task::spawn_blocking(move || bridge.send(&command, None)).await? {
        Ok(_) => {
            errln!("done");
            Ok(Exit::Done)
        }
        Err(BridgeError::Refused(refusal)) => {
            errln!("refused: {refusal}");
            Ok(if matches!(refusal, Refusal::NoGo { .. }) {
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
