//! Asks a command for its answer: which instances there are, what systemd or compose says of them. Not in here: what an answer comes to
//! (`runbook::discovery`, `cli::check`).

use std::path::Path;
use std::time::Duration;

use crate::action::{self, Action, Environment, Placeholders, Run};
use crate::runbook::Discovery;
use crate::runbook::discovery::{Discovered, Members};
use crate::secret::without_passwords;
use crate::text::printable;

/// Most bytes of an answer that are read.
const ANSWER_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// Characters of what a command printed that a message repeats.
const SHOWN_CHARS: usize = 400;

/// Why a command gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{how}")]
pub struct Unanswered {
    /// How it ended, in a few words.
    pub how: String,
    /// What it printed all the same: as it came, for whoever makes it harmless.
    pub printed: String,
}

/// Asks for the instances that a runbook does not list, with the environment of this process. `folder` is the runbook's.
pub async fn discover(discovery: &Discovery, folder: &Path) -> Discovered {
    let environment = Environment::default();
    match ask(
        &discovery.action,
        &Placeholders::new(),
        &environment,
        folder,
    )
    .await
    {
        Ok(printed) => discovery.read(&printed),
        Err(unanswered) => Discovered::nothing(unanswered.how, &unanswered.printed),
    }
}

/// Asks again while a session runs, with what its actions are run with: who is there, and how many should be.
///
/// # Errors
/// There was no answer within the limit, or none that is to be used; in words.
pub async fn members(
    discovery: &Discovery,
    environment: &Environment,
    folder: &Path,
) -> Result<Members, String> {
    let nothing = Placeholders::new();
    let asked = ask(&discovery.action, &nothing, environment, folder);
    match asked.await {
        Ok(printed) => discovery.members(&printed),
        Err(unanswered) if unanswered.printed.is_empty() => Err(unanswered.how),
        Err(unanswered) => {
            let printed = without_passwords(&unanswered.printed);
            Err(format!(
                "{}; it printed `{}`",
                unanswered.how,
                printable(&printed, SHOWN_CHARS)
            ))
        }
    }
}

/// What a command prints to its standard output, within its time limit.
///
/// # Errors
/// It was not started, did not end in time, failed, or printed too much or no text.
pub async fn ask(
    action: &Action,
    placeholders: &Placeholders,
    environment: &Environment,
    folder: &Path,
) -> Result<String, Unanswered> {
    let run = Run {
        action,
        placeholders,
        environment,
        folder,
        output_path: Path::new("/dev/null"),
    };
    let silent = |how: String| Unanswered {
        how,
        printed: String::new(),
    };
    let heard = tokio::time::timeout(action.time_limit, action::hear(run, ANSWER_LIMIT_BYTES));
    let heard = heard
        .await
        .map_err(|_| silent(too_late(action.time_limit)))?;
    let heard = heard.map_err(silent)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !heard.status.success() {
        let said = [text(&heard.stderr), text(&heard.stdout)];
        let said = said.into_iter().find(|said| !said.is_empty());
        return Err(Unanswered {
            how: format!("a command that failed: {}", heard.status),
            printed: said.unwrap_or_default(),
        });
    }
    String::from_utf8(heard.stdout).map_err(|error| Unanswered {
        how: "an answer that is no UTF-8".to_owned(),
        printed: text(error.as_bytes()),
    })
}

fn too_late(limit: Duration) -> String {
    format!(
        "no answer within {:.0} s, after which the command was ended",
        limit.as_secs_f64()
    )
}
