//! Runs what a runbook tells us to run: commands in their own process group, HTTP calls, file writes; with time limits and
//! capped output.
//!
//! What may be run is [`crate::runbook::action`], pure data. Whether a step has failed because of an outcome is the step's
//! business.

mod command;
pub mod config_file;
mod file;
pub mod http;
mod output;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use self::command::Following;
use self::output::Output;
use crate::clock;
pub use crate::runbook::action::{Action, Effect, Placeholders, SubstitutionError};

/// Everything that one run needs. Its `Debug` shows the names of the secrets only.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// What to do.
    pub action: &'a Action,
    /// The values of its placeholders; commands also see them as `CUTOVER_INSTANCE` and so on.
    pub placeholders: &'a Placeholders,
    /// Environment variables that only commands see: the way for secrets, which are blotted out of the output. Never in `argv`.
    pub secrets: &'a [(String, String)],
    /// Where relative paths and commands start: the runbook's folder.
    pub folder: &'a Path,
    /// Where the output is kept. Replaced if it exists.
    pub output_path: &'a Path,
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets: Vec<&str> = self.secrets.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Run")
            .field("action", self.action)
            .field("placeholders", self.placeholders)
            .field("secrets", &secrets)
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
    /// Its text.
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
    /// The kept output: as it came (not made harmless), secrets blotted out.
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
        /// Why.
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
/// has been more output than is kept, a sample of the lines does.
///
/// # Errors
/// The action could not be tried. One that ran and failed is an [`Outcome`].
pub async fn run(
    run: Run<'_>,
    on_line: &mut (dyn FnMut(Line) + Send),
    cancel: &CancellationToken,
) -> Result<Outcome, Error> {
    let began_ms = clock::now_ms();
    let Action { effect, time_limit } = run.action.substituted(run.placeholders)?;
    let mut output = Output::create(run.output_path, run.secrets, on_line);
    let ended = match effect {
        Effect::Command { argv } => {
            command::run(&argv, &run, time_limit, &mut output, cancel).await?
        }
        Effect::Shell { line } => {
            let argv = ["/bin/sh".to_owned(), "-c".to_owned(), line];
            command::run(&argv, &run, time_limit, &mut output, cancel).await?
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
                body,
                expect_status: &expect_status,
            };
            limited(time_limit, cancel, http::send(request, &mut output)).await?
        }
        Effect::WriteFile { path, content } => {
            let path = file::inside(run.folder, &path)?;
            file::write(path, content.into_bytes(), &mut output).await
        }
        Effect::RemoveFile { path } => {
            file::remove(file::inside(run.folder, &path)?, &mut output).await
        }
    };
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

/// Starts a command or a shell line that prints for as long as it runs. Its output is not kept, and neither capped nor blotted: it is for
/// judging only. `None` for any other effect.
///
/// # Errors
/// The command could not be started.
pub fn follow(run: Run<'_>) -> Result<Option<Following>, Error> {
    let argv = match run.action.substituted(run.placeholders)?.effect {
        Effect::Command { argv } => argv,
        Effect::Shell { line } => vec!["/bin/sh".to_owned(), "-c".to_owned(), line],
        _ => return Ok(None),
    };
    Following::start(&argv, &run).map(Some)
}

/// Runs a command or a shell line with this text on its standard input, for as long as it takes: the caller's limit is around it. What
/// it prints is not kept.
///
/// # Errors
/// It could not be started or has failed, in a line for people, secrets blotted out.
pub async fn tell(run: Run<'_>, text: &[u8]) -> Result<(), String> {
    let action = run.action.substituted(run.placeholders);
    let argv = match action.map_err(|error| error.to_string())?.effect {
        Effect::Command { argv } => argv,
        Effect::Shell { line } => vec!["/bin/sh".to_owned(), "-c".to_owned(), line],
        _ => return Err("this is no command".to_owned()),
    };
    let told = command::tell(&argv, &run, text).await;
    told.map_err(|why| {
        let secrets = run.secrets.iter().filter(|(_, value)| value.len() >= 4);
        secrets.fold(why, |why, (_, secret)| why.replace(secret.as_str(), "***"))
    })
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
