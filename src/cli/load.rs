//! Reads a runbook and the environment that it names; from then on this process shows none of its secrets. Not in here: what a runbook means (`runbook`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::runbook::{self, Problem, Reading, Runbook, Severity};
use crate::secret;

/// A runbook as it was read, with what it took from the environment.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub runbook: Runbook,
    /// Its bytes.
    pub text: String,
    /// Its folder: where relative paths and commands start.
    pub base: PathBuf,
    /// Every `${NAME}` that it names, and the value that was found.
    pub environment: BTreeMap<String, String>,
}

/// Why there is no runbook.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The file cannot be read.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It can be read and is wrong; every problem has been rendered.
    #[error("{rendered}")]
    Invalid {
        /// All problems, for people.
        rendered: String,
    },
}

/// As [`load`]; every problem of a runbook that can be read and is wrong goes to standard error, and there is none then.
///
/// # Errors
/// The file cannot be read.
pub fn load_or_say(path: &Path) -> anyhow::Result<Option<Loaded>> {
    match load(path) {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error @ Unread::Invalid { .. }) => {
            errln!("{error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads a runbook with the environment of this process.
///
/// # Errors
/// See [`Unread`]; all problems at once.
pub fn load(path: &Path) -> Result<Loaded, Unread> {
    let bytes = std::fs::read(path).map_err(|e| Unread::File {
        path: path.to_owned(),
        why: e.to_string(),
    })?;
    let text = String::from_utf8(bytes).map_err(|e| Unread::File {
        path: path.to_owned(),
        why: format!("not UTF-8 after byte {}", e.utf8_error().valid_up_to()),
    })?;
    let base = folder_of(path);
    let env = |name: &str| std::env::var(name).ok();
    take(&path.to_string_lossy(), text, base, &env, false)
}

/// The runbook's folder, absolute: where its relative paths begin, and its commands run.
pub fn folder_of(runbook: &Path) -> PathBuf {
    std::path::absolute(runbook)
        .ok()
        .and_then(|p| p.parent().map(Path::to_owned))
        .unwrap_or_else(|| PathBuf::from("/"))
}

/// Whether somebody has to change something before the runbook may be run.
pub fn has_errors(problems: &[Problem]) -> bool {
    problems.iter().any(|p| p.severity == Severity::Error)
}

/// What a runbook's text comes to, valid or not, with an environment of any kind.
pub fn reading(
    name: &str,
    text: &str,
    base: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Reading {
    let reading = runbook::read_in(name, text, base, env);
    secret::learn(reading.secrets.clone(), reading.plain.clone());
    reading
}

/// Parses a runbook with an environment of any kind: one that a session was opened with. Whether its secrets can be hidden was asked then.
///
/// # Errors
/// See [`Unread`]; all problems at once.
pub fn parse(
    name: &str,
    text: String,
    base: PathBuf,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Unread> {
    take(name, text, base, env, true)
}

fn take(
    name: &str,
    text: String,
    base: PathBuf,
    env: &dyn Fn(&str) -> Option<String>,
    by_form_alone: bool,
) -> Result<Loaded, Unread> {
    let asked = std::cell::RefCell::new(BTreeMap::new());
    let remember = |name: &str| {
        let value = env(name)?;
        asked.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    };
    let reading = reading(name, &text, &base, &remember);
    let invalid = || Unread::Invalid {
        rendered: runbook::render(&reading.problems),
    };
    Ok(Loaded {
        runbook: reading
            .runbook
            .clone()
            .filter(|_| by_form_alone || !has_errors(&reading.problems))
            .ok_or_else(invalid)?,
        text,
        base,
        environment: asked.into_inner(),
    })
}
