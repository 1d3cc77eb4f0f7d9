//! The command line: one file per subcommand, and the exit codes. Scripts rely on both.
//!
//! Exit codes: 0 done and green · 1 it failed, and said why · 2 wrong usage or an invalid runbook · 3 no-go, parity differs, the plan has
//! problems, or `close` leaves something open · 4 rolled back, whether or not every row of the rollback was green · 70 a bug in `cutover`.
//! `diff` has those of diff(1): 0 the same, 1 different, 2 not compared.

pub mod act;
pub mod bridge;
pub mod check;
pub mod close;
pub mod completion;
pub mod copy;
pub mod demo;
pub mod diff;
pub mod engine;
pub mod follow;
pub mod group;
pub mod guard;
pub mod init;
pub mod join;
pub mod keys;
pub mod leftovers;
pub mod load;
pub mod manual;
pub mod operators;
pub mod orders;
pub mod over;
pub mod pair;
pub mod plan;
pub mod problems;
pub mod rehearse;
pub mod replay;
pub mod report;
pub mod run;
pub mod salvage;
pub mod snapshot;
pub mod status;
pub mod verify;
pub mod watch;

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::task::Poll;

use clap::{Args, Parser, Subcommand};
use clap_complete::engine::ArgValueCandidates;

use crate::cockpit::theme::Theme;
use crate::postgres::session_settings;
use crate::secret;

/// What scripts go by, below the commands.
const EXIT_CODES: &str = "Exit codes: 0 done and green · 1 it failed, and said why · 2 wrong usage or an invalid runbook · 3 no-go, parity differs, \
    the plan has problems, or `close` leaves something open · 4 rolled back, whether or not every row of the rollback was green · 70 a bug in `cutover`. \
    `diff` has those of diff(1): 0 the same, 1 different, 2 not compared";

/// Takes an application from SQLite to PostgreSQL, live, with a rollback key.
#[derive(Debug, Parser)]
#[command(name = "cutover", version, about, long_about = None, max_term_width = 120, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommands,
}

/// The contract, and behind it the processes that `cutover` starts of itself.
#[derive(Debug, Subcommand)]
pub enum Subcommands {
    /// A sandbox with everything real: application, traffic, PostgreSQL; then a cutover on it
    Demo(demo::DemoArgs),
    /// A first runbook for your application, by what its SQLite file, its folder and the target tell
    Init(init::InitArgs),
    /// Every problem in a runbook, then in everything that it names
    Check(check::CheckArgs),
    /// Open or resume a session and take part in it
    Run(run::RunArgs),
    /// Take part in a session that runs
    Join(join::JoinArgs),
    /// Where a session stands
    Status(status::StatusArgs),
    /// A read-only page of a session for people who are not on the bridge
    Watch(watch::WatchArgs),
    /// Start the next step
    Start(act::StartArgs),
    /// Confirm being on call (P2)
    Confirm(act::ConfirmArgs),
    /// Sign a gate
    Sign(act::SignArgs),
    /// Withdraw a signature
    Withdraw(act::WithdrawArgs),
    /// Let nothing new start
    Hold(act::HoldArgs),
    /// Let things start again
    Resume(act::ResumeArgs),
    /// Skip a step that the runbook lets you skip
    Skip(act::SkipArgs),
    /// Say what an interrupted step had done, where no machine can
    Decide(act::DecideArgs),
    /// Extend the freeze
    Extend(act::ExtendArgs),
    /// Write a note into the journal
    Note(act::NoteArgs),
    /// Roll back
    Rollback(act::RollbackArgs),
    /// After a rollback, run rows of it again
    Retry(act::RetryArgs),
    /// After a rollback, record what was corrected
    Correct(act::CorrectArgs),
    /// After the end, see what is left and put it on record
    Close(close::CloseArgs),
    /// Complete the release
    Complete(act::CompleteArgs),
    /// What would move, and every value that will not convert
    Plan(plan::PlanArgs),
    /// The import alone
    Copy(copy::CopyArgs),
    /// The whole protocol against scratch targets, rollback included
    Rehearse(rehearse::RehearseArgs),
    /// Compare every row and every value of a SQLite file with PostgreSQL
    Verify(verify::VerifyArgs),
    /// Which rows differ between two snapshots of a SQLite file
    Diff(diff::DiffArgs),
    /// The evidence of a session: a page with pictures, Markdown and JSON; or a check of it
    Report(report::ReportArgs),
    /// The cockpit over what was recorded; or when each trigger of a runbook would have fired over it
    Replay(replay::ReplayArgs),
    /// What a rollback leaves behind in PostgreSQL, and how to bring it back
    Salvage(salvage::SalvageArgs),
    /// What a cockpit shows now, as text or as a picture
    Snapshot(snapshot::SnapshotArgs),
    /// The keys of the cockpit by their names, with what your configuration changes
    Keys(keys::KeysArgs),
    /// What a shell reads to complete arguments: sessions, gates, steps and faults too
    Completions(completion::CompletionsArgs),
    /// The man page, or one per command
    Man(manual::ManArgs),
    /// The manuals, as text
    Docs(manual::DocsArgs),
    /// The engine of a session
    #[command(hide = true)]
    Engine(engine::EngineArgs),
    /// Tells people when an engine dies
    #[command(hide = true)]
    Guard(guard::GuardArgs),
}

/// Which session, for every command that reads of one: whom somebody plays means nothing there.
#[derive(Debug, Clone, Args)]
pub struct Named {
    /// Name of the session; the newest one where absent
    #[arg(add = ArgValueCandidates::new(completion::sessions))]
    pub session: Option<String>,
    /// The session's own folder, instead of .cutover/SESSION
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// Which session, and as whom, for every command that does something in one or shows what somebody may do.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// The session.
    #[command(flatten)]
    pub named: Named,
    /// Whom to play (the sandbox alone)
    #[arg(long = "as", value_name = "PERSON", add = ArgValueCandidates::new(completion::people))]
    pub claim: Option<String>,
}

/// How a cockpit looks, for every command that opens one.
#[derive(Debug, Clone, Args)]
pub struct Looks {
    #[arg(long, value_name = "NAME|FILE", env = "CUTOVER_THEME", hide_env_values = true, help = theme_help())]
    theme: Option<String>,
    /// Glyphs: braille, blocks or ascii; what the terminal can show where absent
    #[arg(
        long,
        value_name = "KIND",
        env = "CUTOVER_GLYPHS",
        hide_env_values = true
    )]
    glyphs: Option<String>,
}

/// What is asked for, if something is; an empty variable asks for nothing.
fn asked(value: Option<String>) -> Option<String> {
    value.filter(|name| !name.is_empty())
}

/// What can be said to `--theme`.
fn theme_help() -> String {
    let names: Vec<_> = Theme::embedded().collect();
    format!("Theme: {}, or a TOML file", names.join(", "))
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done and green.
    Done,
    /// It failed, and said why.
    Failed,
    /// Wrong usage or an invalid runbook.
    Usage,
    /// No-go, parity differs, or the plan has problems.
    NoGo,
    /// Rolled back.
    RolledBack,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NoGo => 3,
            Exit::RolledBack => 4,
        })
    }
}

/// What a panic exits with: a bug of ours.
pub const BUG: u8 = 70;

/// Runs the subcommand that the arguments name. Messages for people go to stderr.
pub fn main() -> ExitCode {
    secret::mask_panics();
    secret::learn_process();
    if completion::answer() {
        return Exit::Done.into();
    }
    // Nobody may be left without a way to TLS because two libraries disagree about who provides it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            // What was typed is quoted, and may hold a password. Without one, clap writes it, with its colours.
            let told = error.render().to_string();
            match secret::masked(&told) {
                Cow::Borrowed(_) => drop(error.print()),
                Cow::Owned(told) => errln!("{}", told.trim_end()),
            }
            return code.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            errln!("cutover: the operating system gives no threads: {error}");
            return Exit::Failed.into();
        }
    };
    let ended = runtime.block_on(async {
        let ended = dispatch(cli.command).await;
        // Sessions on the target that are over have been given up, and not all of them may have been put back yet.
        session_settings::all_put_back().await;
        ended
    });
    // Whatever still runs in the background must not keep a finished command alive, and ends with the process: shut down, the runtime
    // would panic in a thread that waits with a time limit.
    std::mem::forget(runtime);
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            errln!("cutover: {}", words(&error));
            Exit::Failed.into()
        }
    }
}

/// Ctrl-C, a polite kill or a closed terminal: heard from this call on, and not only once it is waited for.
fn asked_to_end() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let heard = kinds.into_iter().filter_map(|kind| signal(kind).ok());
    let mut heard: Vec<_> = heard.collect();
    std::future::poll_fn(move |context| {
        let mut signals = heard.iter_mut();
        match signals.any(|signal| signal.poll_recv(context).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
}

/// An error and its causes in one line; a cause that its error has already told is not told again.
fn words(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

async fn dispatch(command: Subcommands) -> anyhow::Result<Exit> {
    use Subcommands as S;
    match command {
        S::Demo(args) => demo::run(args).await,
        S::Check(args) => check::run(args).await,
        S::Run(args) => run::run(args).await,
        S::Join(args) => join::run(args).await,
        S::Status(args) => status::run(args).await,
        S::Watch(args) => watch::run(args).await,
        S::Start(args) => act::start(args).await,
        S::Confirm(args) => act::confirm(args).await,
        S::Sign(args) => act::sign(args).await,
        S::Withdraw(args) => act::withdraw(args).await,
        S::Hold(args) => act::hold(args).await,
        S::Resume(args) => act::resume(args).await,
        S::Skip(args) => act::skip(args).await,
        S::Decide(args) => act::decide(args).await,
        S::Extend(args) => act::extend(args).await,
        S::Note(args) => act::note(args).await,
        S::Rollback(args) => act::rollback(args).await,
        S::Complete(args) => act::complete(args).await,
        S::Retry(args) => act::retry(args).await,
        S::Correct(args) => act::correct(args).await,
        S::Close(args) => close::run(args).await,
        S::Init(args) => init::run(args).await,
        S::Plan(args) => plan::run(args).await,
        S::Copy(args) => copy::run(args).await,
        S::Rehearse(args) => rehearse::run(args).await,
        S::Verify(args) => verify::run(args).await,
        S::Diff(args) => diff::run(args).await,
        S::Report(args) => report::run(args).await,
        S::Replay(args) => replay::run(args).await,
        S::Salvage(args) => salvage::run(args).await,
        S::Snapshot(args) => snapshot::run(args),
        S::Keys(args) => keys::run(&args),
        S::Completions(args) => completion::run(&args),
        S::Man(args) => manual::man(&args),
        S::Docs(args) => manual::docs(&args),
        S::Engine(args) => engine::run(args).await,
        S::Guard(args) => guard::run(args).await,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    #[test]
    fn a_cause_is_told_once() {
        let io = || std::io::Error::other("the disk is on fire");
        let apart = Err::<(), _>(io()).context("reading a.db").unwrap_err();
        assert_eq!(super::words(&apart), "reading a.db: the disk is on fire");
        let whole = Err::<(), _>(io())
            .context("a.db: the disk is on fire; nothing was written")
            .unwrap_err();
        assert_eq!(
            super::words(&whole),
            "a.db: the disk is on fire; nothing was written"
        );
    }
}
