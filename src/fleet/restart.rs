//! Restarting one instance by the runbook's own action (F2, R3), and running any other action for one instance (B3).

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::action::{self, Environment, Placeholders, Run};
use crate::runbook::{Action, Fleet, Instance};

/// What running a fleet's actions takes.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// The runbook's folder: where relative paths and commands start.
    pub folder: &'a Path,
    /// What the session's actions are run with.
    pub environment: &'a Environment,
    /// Folder for kept outputs: `restart-app-3.log`, replaced by the next restart.
    pub outputs: &'a Path,
}

/// Why an action for an instance did not do what it is for.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// The action could not be started.
    #[error("{instance}: {what} could not be started: {source}")]
    NotStarted {
        instance: String,
        /// `restart`.
        what: &'static str,
        source: action::Error,
    },
    /// The action ran and failed.
    #[error("{instance}: {what} failed {how}; its output is in {}", .output.display())]
    Failed {
        instance: String,
        /// `restart`.
        what: &'static str,
        /// With what, and its last words.
        how: String,
        /// The kept output.
        output: PathBuf,
    },
    #[error("{instance}: {what} was cancelled; the instance may be down")]
    Cancelled {
        instance: String,
        /// `restart`.
        what: &'static str,
    },
}

/// Restarts an instance. Whether it comes up is for [`super::wait_ready`] to say.
///
/// # Errors
/// The action did not do what it is for.
pub async fn restart(
    instance: &Instance,
    fleet: &Fleet,
    means: Means<'_>,
    cancel: &CancellationToken,
) -> Result<action::Outcome, RestartError> {
    run_for("restart", &fleet.restart, instance, means, cancel).await
}

/// Runs an action for one instance, such as the connection test from its host (B3). `what` names it in messages and outputs.
///
/// # Errors
/// The action did not do what it is for.
pub async fn run_for(
    what: &'static str,
    action: &Action,
    instance: &Instance,
    means: Means<'_>,
    cancel: &CancellationToken,
) -> Result<action::Outcome, RestartError> {
    let output = means.outputs.join(format!("{what}-{}.log", instance.id));
    let run = Run {
        action,
        placeholders: &Placeholders::of(instance),
        environment: means.environment,
        folder: means.folder,
        output_path: &output,
    };
    let id = instance.id.clone();
    let outcome = match action::run(run, &mut |_| {}, cancel).await {
        Ok(outcome) => outcome,
        Err(source) => {
            return Err(RestartError::NotStarted {
                instance: id,
                what,
                source,
            });
        }
    };
    if outcome.ok {
        Ok(outcome)
    } else if outcome.cancelled {
        Err(RestartError::Cancelled { instance: id, what })
    } else {
        Err(RestartError::Failed {
            instance: id,
            what,
            how: how(&outcome),
            output: outcome.output_path,
        })
    }
}

fn how(outcome: &action::Outcome) -> String {
    let mut how = match (outcome.exit_code, outcome.signal, outcome.http_status) {
        _ if outcome.timed_out => format!("at its time limit, after {:.0} s", outcome.seconds),
        (Some(code), _, _) => format!("with exit code {code}"),
        (_, Some(signal), _) => format!("by signal {signal}"),
        (_, _, Some(status)) => format!("with status {status}"),
        _ => "without an answer".to_owned(),
    };
    if let Some(last) = outcome.tail.last() {
        how.push_str(&format!(" ({last})"));
    }
    how
}
