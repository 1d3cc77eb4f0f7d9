//! Runs what a runbook tells us to run: commands in their own process group, HTTP calls, file writes; with time limits and
//! capped output.
//!
//! What may be run is [`crate::runbook::action`], pure data. Whether a step has failed because of an outcome is the step's
//! business.

pub mod config_file;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use crate::runbook::action::{Action, Effect, Placeholders, SubstitutionError};

/// Everything that one run needs.
#[derive(Debug)]
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
    /// The kept output.
    pub output_path: PathBuf,
    /// Of the kept output.
    pub output_sha256: String,
    /// Bytes of output that were not kept.
    pub dropped_bytes: u64,
    /// The last lines, made harmless.
    pub tail: Vec<String>,
}

/// Why an action could not even be tried, or not be followed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A placeholder's value does not fit.
    #[error(transparent)]
    Substitution(#[from] SubstitutionError),
}

/// Runs an action to its end, its time limit, or until cancelled. Each line of output goes to `on_line` as it comes.
///
/// # Errors
/// The action could not be started or its output not be kept. An action that ran and failed is an [`Outcome`].
pub async fn run(
    run: Run<'_>,
    on_line: &mut (dyn FnMut(Line) + Send),
    cancel: &CancellationToken,
) -> Result<Outcome, Error> {
    let _ = (&run, on_line, cancel);
    unimplemented!("lands next")
}
