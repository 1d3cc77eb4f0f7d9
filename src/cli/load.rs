//! Reads a runbook and the environment that it names. Not in here: what a runbook means (`runbook`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::runbook::{self, Runbook};

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
    parse(&path.to_string_lossy(), text, base, &|name| {
        std::env::var(name).ok()
    })
}

/// The runbook's folder, absolute: where its relative paths begin, and its commands run.
pub fn folder_of(runbook: &Path) -> PathBuf {
    std::path::absolute(runbook)
        .ok()
        .and_then(|p| p.parent().map(Path::to_owned))
        .unwrap_or_else(|| PathBuf::from("/"))
}

/// Parses a runbook with an environment of any kind.
///
/// # Errors
/// See [`Unread`]; all problems at once.
pub fn parse(
    name: &str,
    text: String,
    base: PathBuf,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Unread> {
    let asked = std::cell::RefCell::new(BTreeMap::new());
    let remember = |name: &str| {
        let value = env(name)?;
        asked.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    };
    let reading = runbook::read_in(name, &text, &base, &remember);
    let runbook = reading.runbook.ok_or_else(|| Unread::Invalid {
        rendered: runbook::render(&reading.problems),
    })?;
    Ok(Loaded {
        runbook,
        text,
        base,
        environment: asked.into_inner(),
    })
}
