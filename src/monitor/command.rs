//! A command of the runbook's own that prints numbers, one per line, in the order of its signals.
//!
//! A line that is no number, is missing or is too much says nothing; a command that fails says nothing at all.

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Context;
use super::maintenance::nothing_yet;
use super::schedule::Take;
use crate::action::{self, Action, Line, Placeholders, Run, Stream};
use crate::text::printable;
use crate::trigger::Reading;
use crate::trigger::cadence::Rhythm;
use crate::trigger::shadow::is_of_5xx;

/// Characters of a line that a reason quotes.
const QUOTE_CHARS: usize = 80;

pub(super) struct Command {
    context: Context,
    limit: Duration,
    action: Action,
    signals: Vec<String>,
}

impl Command {
    pub(super) fn new(
        context: Context,
        rhythm: Rhythm,
        action: &Action,
        signals: &[String],
    ) -> Command {
        Command {
            context,
            limit: rhythm.limit(),
            action: action.clone(),
            signals: signals.to_vec(),
        }
    }

    /// What the command prints, at most one line more than there are signals.
    async fn lines(&self) -> Result<Vec<String>, String> {
        let (placeholders, enough) = (Placeholders::new(), self.signals.len() + 1);
        let mut lines = Vec::new();
        let mut keep = |line: Line| {
            if line.stream == Stream::Stdout && lines.len() < enough {
                lines.push(line.text);
            }
        };
        let run = Run {
            action: &self.action,
            placeholders: &placeholders,
            environment: &self.context.ground.environment,
            folder: &self.context.ground.folder,
            // What it says is judged and forgotten.
            output_path: Path::new("/dev/null"),
        };
        let never = CancellationToken::new();
        // Dropped at the limit, it takes its whole process group along.
        let ran = tokio::time::timeout(self.limit, action::run(run, &mut keep, &never)).await;
        let outcome = match ran {
            Ok(outcome) => outcome.map_err(|error| error.to_string())?,
            Err(_) => {
                let limit_ms = self.limit.as_millis();
                return Err(format!("the command did not end within {limit_ms} ms"));
            }
        };
        if outcome.ok {
            return Ok(lines);
        }
        let said = outcome.tail.last().map_or(String::new(), |last| {
            format!(": {}", printable(last, QUOTE_CHARS))
        });
        Err(format!("the command failed: {}{said}", outcome.summary()))
    }

    fn readings(&self, lines: &[String]) -> Vec<Reading> {
        if lines.len() > self.signals.len() {
            let expected = self.signals.len();
            let reading = Reading::no_data(format!(
                "the command printed more than {expected} lines, one for each signal"
            ));
            return vec![reading; expected];
        }
        let number = |n: usize| match lines.get(n) {
            None => Reading::no_data(format!("the command printed only {} lines", lines.len())),
            Some(line) => match line.trim().parse() {
                Ok(value) => Reading::value(value),
                Err(_) => Reading::no_data(format!(
                    "line {} is not a number: `{}`",
                    n + 1,
                    printable(line, QUOTE_CHARS)
                )),
            },
        };
        (0..self.signals.len()).map(number).collect()
    }
}

impl Take for Command {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        // It counts what it counts, from whenever it does; only while maintenance is on its answers are no figures of the application.
        let in_shadow = self.context.maintenance.stage().reaches(at_ms, 0);
        let readings = match self.lines().await {
            Ok(lines) => self.readings(&lines),
            Err(why) => vec![Reading::no_data(why); self.signals.len()],
        };
        let signals = self.signals.iter().cloned().zip(readings);
        signals
            .map(|(signal, reading)| match reading {
                Reading::Value { .. } if in_shadow && is_of_5xx(&signal) => (signal, nothing_yet()),
                reading => (signal, reading),
            })
            .collect()
    }
}
