//! Actions: real commands, real requests, real files; what hangs, floods, fails or leaves children behind.

#[path = "action/command.rs"]
mod command;
#[path = "action/config_file.rs"]
mod config_file;
#[path = "action/files_and_http.rs"]
mod files_and_http;
#[path = "action/surroundings.rs"]
mod surroundings;

use std::path::PathBuf;
use std::time::Duration;

use cutover::action::{self, Action, Effect, Environment, Error, Line, Outcome, Placeholders, Run};
use tokio_util::sync::CancellationToken;

/// A folder to run actions in.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub placeholders: Placeholders,
    pub environment: Environment,
    pub cancel: CancellationToken,
    pub lines: Vec<String>,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            placeholders: Placeholders::new(),
            environment: Environment::default(),
            cancel: CancellationToken::new(),
            lines: Vec::new(),
        }
    }

    pub fn output_path(&self) -> PathBuf {
        self.folder.path().join("output.log")
    }

    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.output_path()).unwrap()).into_owned()
    }

    pub async fn run(&mut self, effect: Effect, limit: Duration) -> Result<Outcome, Error> {
        self.run_with(effect, limit, |_, _| {}).await
    }

    /// `on_line` may cancel.
    pub async fn run_with(
        &mut self,
        effect: Effect,
        limit: Duration,
        on_line: impl Fn(&str, &CancellationToken) + Send + Sync,
    ) -> Result<Outcome, Error> {
        self.run_action(&Action::new(effect, limit), on_line).await
    }

    /// The same, for an action with more than an effect.
    pub async fn run_action(
        &mut self,
        action: &Action,
        on_line: impl Fn(&str, &CancellationToken) + Send + Sync,
    ) -> Result<Outcome, Error> {
        let output_path = self.output_path();
        let run = Run {
            action,
            placeholders: &self.placeholders,
            environment: &self.environment,
            folder: self.folder.path(),
            output_path: &output_path,
        };
        let (lines, cancel) = (&mut self.lines, self.cancel.clone());
        let mut take = |line: Line| {
            on_line(&line.text, &cancel);
            lines.push(line.text);
        };
        action::run(run, &mut take, &self.cancel).await
    }

    pub async fn shell(&mut self, line: &str, limit: Duration) -> Outcome {
        self.run(
            Effect::Shell {
                line: line.to_owned(),
            },
            limit,
        )
        .await
        .unwrap()
    }
}

pub const PLENTY: Duration = Duration::from_secs(60);
