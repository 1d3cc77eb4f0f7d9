//! Runs what a runbook tells us to run: commands in their own process group, HTTP calls, file writes; with time limits and
//! capped output.
//!
//! What may be run is [`crate::runbook::action`], pure data. Whether a step has failed because of an outcome is the step's
//! business.

mod command;
pub mod config_file;
mod environment;
mod file;
pub mod headers;
pub mod http;
mod left;
mod output;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use self::command::{Following, Heard};
pub use self::environment::Environment;
pub use self::left::end_left;
use self::output::Output;
use crate::clock;
pub use crate::runbook::action::{
    Action, Effect, HeadersCommand, Placeholders, Rehearse, SubstitutionError,
};
use crate::secret::{self, Secret};
use crate::text::printable;

/// Characters of an action that a message shows.
const NAME_CHARS: usize = 160;

/// Everything that one run needs. Its `Debug` shows the names of the secrets only.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub action: &'a Action,
    /// The values of its placeholders; commands also see them as `CUTOVER_INSTANCE` and so on.
    pub placeholders: &'a Placeholders,
    /// What the session's actions are run with: its own placeholders, and secrets.
    pub environment: &'a Environment,
    /// Where relative paths and commands start: the runbook's folder.
    pub folder: &'a Path,
    /// Where the output is kept. Replaced if it exists.
    pub output_path: &'a Path,
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("action", self.action)
            .field("placeholders", self.placeholders)
            .field("environment", self.environment)
            .field("folder", &self.folder)
            .field("output_path", &self.output_path)
            .finish()
    }
}

/// One line of output, made harmless, without its line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which stream it came from.
    pub stream: Stream,
    pub text: String,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or the body of an answer.
    Stdout,
    /// Standard error, or what the runner itself has to say.
    Stderr,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether it did what was asked: exit code 0, an expected status, the file written.
    pub ok: bool,
    /// Of a command that ended by itself.
    pub exit_code: Option<i32>,
    /// Of a command that a signal ended.
    pub signal: Option<i32>,
    /// Of a request that was answered.
    pub http_status: Option<u16>,
    /// Ended because of its time limit.
    pub timed_out: bool,
    /// Ended because we were asked to.
    pub cancelled: bool,
    /// How long it took.
    pub seconds: f64,
    /// The kept output: as it came (not made harmless), masked.
    pub output_path: PathBuf,
    /// Of the kept output; empty when it could not be kept.
    pub output_sha256: String,
    /// Bytes of output that were not kept.
    pub dropped_bytes: u64,
    /// Why the output could not be kept, if so. That alone fails no action: a rollback goes on when the journal's disk is full.
    pub output_problem: Option<String>,
    /// The last lines, made harmless.
    pub tail: Vec<String>,
}

impl Outcome {
    /// What happened, in a few words: `exit code 3`, `ended by its time limit of 10 s`.
    pub fn summary(&self) -> String {
        let taken = format!("after {:.1} s", self.seconds);
        match (
            self.timed_out,
            self.cancelled,
            self.exit_code,
            self.signal,
            self.http_status,
        ) {
            (true, ..) => format!("ended by its time limit {taken}"),
            (_, true, ..) => format!("cancelled {taken}"),
            (_, _, Some(code), ..) => format!("exit code {code} {taken}"),
            (_, _, _, Some(signal), _) => format!("ended by signal {signal} {taken}"),
            (.., Some(status)) => format!("HTTP status {status} {taken}"),
            _ if self.ok => format!("done {taken}"),
            _ => format!("failed {taken}"),
        }
    }
}

/// Why an action could not even be tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A placeholder's value does not fit.
    #[error(transparent)]
    Substitution(#[from] SubstitutionError),
    /// A rehearsal was not cleared to run it.
    #[error("it was not run in this rehearsal: {why}")]
    NotRehearsed { why: String },
    /// A rehearsal's action changed production, or it cannot be told whether one did.
    #[error("{why}")]
    Production {
        /// What was found, and while what ran.
        why: String,
    },
    /// A command without a program.
    #[error("the command is empty: its first item names the program")]
    NoProgram,
    /// The program is not there or may not be run.
    #[error(
        "cannot start {program}: {source}. Nothing was run; check the program's name, PATH and its execute right"
    )]
    Spawn {
        /// As in the runbook.
        program: String,
        source: std::io::Error,
    },
    /// A relative path that climbs.
    #[error("{path} leaves the runbook's folder; write an absolute path if that is meant", path = path.display())]
    PathEscapes {
        /// As in the runbook.
        path: PathBuf,
    },
    /// The request cannot be sent as it is written.
    #[error("cannot send the request: {reason}")]
    Request {
        /// What is wrong with it.
        reason: String,
    },
}

/// How an effect ended, before its output is closed.
#[derive(Debug, Default)]
struct Ended {
    ok: bool,
    exit_code: Option<i32>,
    signal: Option<i32>,
    http_status: Option<u16>,
    timed_out: bool,
    cancelled: bool,
}

/// Runs an action to its end, its time limit, or until cancelled. Each line of output goes to `on_line` as it comes; once there
/// has been more output than is kept, a sample of the lines does. In a rehearsal production is looked at before and after it.
///
/// # Errors
/// The action could not be tried, or was not to be; or a rehearsal found that production changed while it ran. One that ran and failed
/// is an [`Outcome`].
pub async fn run(
    run: Run<'_>,
    on_line: &mut (dyn FnMut(Line) + Send),
    cancel: &CancellationToken,
) -> Result<Outcome, Error> {
    run.may_run()?;
    let Some(watch) = run.environment.watch() else {
        return unwatched(run, on_line, cancel).await;
    };
    let changed = |why| Error::Production { why };
    let before = watch.before().await.map_err(changed)?;
    let ran = unwatched(run, on_line, cancel).await;
    let name = printable(&run.action.effect.to_string(), NAME_CHARS);
    watch.after(&name, &before).await.map_err(changed)?;
    ran
}

async fn unwatched(
    run: Run<'_>,
    on_line: &mut (dyn FnMut(Line) + Send),
    cancel: &CancellationToken,
) -> Result<Outcome, Error> {
    let began_ms = clock::now_ms();
    let values = run.values();
    let action = run.action.substituted(&values)?;
    run.learn_secrets();
    let mut output = Output::create(run.output_path, on_line);
    let ended = effect(&run, action, &values, &mut output, cancel).await?;
    let kept = output.finish();
    Ok(Outcome {
        ok: ended.ok,
        exit_code: ended.exit_code,
        signal: ended.signal,
        http_status: ended.http_status,
        timed_out: ended.timed_out,
        cancelled: ended.cancelled,
        seconds: (clock::now_ms() - began_ms) as f64 / 1_000.0,
        output_path: run.output_path.to_path_buf(),
        output_sha256: kept.sha256,
        dropped_bytes: kept.dropped_bytes,
        output_problem: kept.problem,
        tail: kept.tail,
    })
}

/// Does what a filled-in action says.
async fn effect(
    run: &Run<'_>,
    action: Action,
    values: &Placeholders,
    output: &mut Output<'_>,
    cancel: &CancellationToken,
) -> Result<Ended, Error> {
    let time_limit = action.time_limit;
    match action.effect {
        Effect::Command { argv } => {
            let program = Program::new(argv, action.env, action.stdin, values, run);
            command::run(program, time_limit, output, run.output_path, cancel).await
        }
        Effect::Shell { line } => {
            let program = Program::new(sh(line), action.env, action.stdin, values, run);
            command::run(program, time_limit, output, run.output_path, cancel).await
        }
        Effect::Http {
            method,
            url,
            headers,
            body,
            expect_status,
        } => {
            let request = http::Request {
                method: &method,
                url: &url,
                headers: &headers,
                signed: run.headers(),
                body,
                expect_status: &expect_status,
            };
            limited(time_limit, cancel, http::send(request, output)).await
        }
        Effect::WriteFile { path, content } => {
            let path = file::inside(run.folder, &path)?;
            let secret = run.action.reveals(values);
            Ok(file::write(path, content.into_bytes(), secret, output).await)
        }
        Effect::RemoveFile { path } => {
            Ok(file::remove(file::inside(run.folder, &path)?, output).await)
        }
    }
}

/// Starts a command or a shell line that prints for as long as it runs. Its output is not kept, and neither capped nor masked: it is for
/// judging only. `None` for any other effect.
pub fn follow(run: Run<'_>) -> Result<Option<Following>, Error> {
    match run.program()? {
        Some(program) => Following::start(&program).map(Some),
        None => Ok(None),
    }
}

/// Runs a command or a shell line with this text on its standard input, for as long as it takes: the caller's limit is around it. What
/// it prints is not kept.
///
/// # Errors
/// It could not be started or has failed, in a line for people.
pub async fn tell(run: Run<'_>, text: &[u8]) -> Result<(), String> {
    let program = run.program().map_err(|error| error.to_string())?;
    let program = program.ok_or("this is no command")?;
    command::tell(&program, text).await
}

/// Runs a command or a shell line and gives what it prints to its standard output, neither masked nor kept: the caller's limit is around it.
///
/// # Errors
/// It could not be started, has failed or printed more than so many bytes; in a line for people that shows none of it.
pub async fn read(run: Run<'_>, limit_bytes: usize) -> Result<Vec<u8>, String> {
    let program = run.program().map_err(|error| error.to_string())?;
    let program = program.ok_or("this is no command")?;
    command::read(&program, limit_bytes).await
}

/// Runs a command or a shell line and gives what it prints and how it ended, neither masked nor kept: the caller's limit is around it.
///
/// # Errors
/// It could not be started or printed more than so many bytes; in a line for people that shows none of it.
pub async fn hear(run: Run<'_>, limit_bytes: usize) -> Result<Heard, String> {
    let program = run.program().map_err(|error| error.to_string())?;
    let program = program.ok_or("this is no command")?;
    command::hear(&program, limit_bytes).await
}

/// A command as it is started.
struct Program<'a> {
    argv: Vec<String>,
    /// Variables that are set, in this order: a later one wins.
    env: Vec<(String, String)>,
    withheld: &'a [OsString],
    stdin: Option<String>,
    folder: &'a Path,
}

impl<'a> Program<'a> {
    fn new(
        argv: Vec<String>,
        own: Vec<(String, String)>,
        stdin: Option<String>,
        values: &Placeholders,
        run: &Run<'a>,
    ) -> Program<'a> {
        let environment = run.environment;
        let named = values.iter().map(|(name, value)| {
            let name = format!("CUTOVER_{}", name.to_uppercase());
            (name, value.to_owned())
        });
        let rehearsal = if environment.rehearsal { "1" } else { "0" };
        let rehearsal = ("CUTOVER_REHEARSAL".to_owned(), rehearsal.to_owned());
        Program {
            argv,
            env: named
                .chain([rehearsal])
                .chain(environment.secrets.iter().cloned())
                .chain(own)
                .collect(),
            withheld: environment.withheld(),
            stdin,
            folder: run.folder,
        }
    }
}

impl<'a> Run<'a> {
    /// The values at hand, and those that follow the session.
    fn values(&self) -> Placeholders {
        self.placeholders.over(&self.environment.placeholders)
    }

    /// What prints the headers of a request, where something does.
    fn headers(&self) -> Option<headers::Headers> {
        let command = self.action.headers_command.as_ref()?;
        let environment = Arc::new(self.environment.clone());
        Some(headers::Headers::new(command, environment, self.folder))
    }

    /// In a rehearsal only what was cleared for it is run, whoever asks.
    fn may_run(&self) -> Result<(), Error> {
        match not_rehearsed(self.environment, self.action) {
            Some(why) => Err(Error::NotRehearsed { why }),
            None => Ok(()),
        }
    }

    /// What an action is given as a secret may come back in its output.
    fn learn_secrets(&self) {
        let unshown = self.environment.unshown().into_iter();
        let secrets = unshown.map(|(name, value)| Secret::Listed { name, value });
        secret::learn(secrets, []);
    }

    /// What is started; `None` for an effect that is no command.
    fn program(&self) -> Result<Option<Program<'a>>, Error> {
        self.may_run()?;
        self.learn_secrets();
        let values = self.values();
        let action = self.action.substituted(&values)?;
        let argv = match action.effect {
            Effect::Command { argv } => argv,
            Effect::Shell { line } => sh(line),
            Effect::Http { .. } | Effect::WriteFile { .. } | Effect::RemoveFile { .. } => {
                return Ok(None);
            }
        };
        let program = Program::new(argv, action.env, action.stdin, &values, self);
        Ok(Some(program))
    }
}

/// Why a rehearsal does not run an action; `None` where it may be run.
pub fn not_rehearsed(environment: &Environment, action: &Action) -> Option<String> {
    match &action.rehearse {
        _ if !environment.rehearsal => None,
        Rehearse::Same => None,
        Rehearse::Never(why) => Some(why.clone()),
        Rehearse::IfItFollows | Rehearse::Instead(_) => {
            Some("nobody has decided whether it leaves production alone".to_owned())
        }
    }
}

fn sh(line: String) -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned(), line]
}

/// For effects that end when their future is dropped.
async fn limited(
    limit: Duration,
    cancel: &CancellationToken,
    effect: impl Future<Output = Result<Ended, Error>>,
) -> Result<Ended, Error> {
    tokio::select! {
        ended = effect => ended,
        () = tokio::time::sleep(limit) => Ok(Ended { timed_out: true, ..Ended::default() }),
        () = cancel.cancelled() => Ok(Ended { cancelled: true, ..Ended::default() }),
    }
}
