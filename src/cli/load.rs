//! Reads a runbook, the environment that it names and, where it leaves that to a command, its instances; from then on this process shows none of
//! its secrets. Not in here: what a runbook means (`runbook`), and asking for instances (`fleet::discovery`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fleet::discovery::discover;
use crate::runbook::discovery::Discovered;
use crate::runbook::{self, Instance, Problem, Reading, Runbook, Severity};
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
    /// The instances that it does not list, as they were found; `None` where it lists them, or nobody has asked.
    pub instances: Option<Vec<Instance>>,
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

/// The runbook that was read; every problem of one that is wrong goes to standard error, and there is none then.
pub fn or_say(read: Result<Loaded, Unread>) -> anyhow::Result<Option<Loaded>> {
    match read {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error @ Unread::Invalid { .. }) => {
            errln!("{error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the runbook that a session was opened with, which may lie in another folder than this one, and asks for no instances. Its problems go
/// to standard error, and there is none then.
///
/// # Errors
/// The file cannot be read; where there is none, how to name it.
pub fn of_session(path: &Path, session: &str) -> anyhow::Result<Option<Loaded>> {
    anyhow::ensure!(
        path.exists(),
        "there is no {} here. Name the runbook that session {} was opened with, where it lies: `--runbook FILE`. Nothing was looked at",
        path.display(),
        crate::text::printable(session, 80)
    );
    or_say(without_fleet(path))
}

/// Reads a runbook with the environment of this process. Instances that it does not list are asked for.
///
/// # Errors
/// See [`Unread`]; all problems at once.
pub async fn load(path: &Path) -> Result<Loaded, Unread> {
    with_fleet(path, without_fleet(path)?).await
}

/// The same for whoever needs no instances: none is asked for.
///
/// # Errors
/// See [`Unread`]; all problems at once.
pub fn without_fleet(path: &Path) -> Result<Loaded, Unread> {
    of_file(path, &Discovered::NotAsked)
}

/// The same for whoever knows the instances that it does not list, from a session that keeps them. Where that keeps none they are asked for.
///
/// # Errors
/// See [`Unread`]; all problems at once.
pub async fn with_kept(path: &Path, kept: Option<Vec<Instance>>) -> Result<Loaded, Unread> {
    let loaded = of_file(path, &Discovered::kept(kept.as_ref()))?;
    with_fleet(path, loaded).await
}

/// A runbook that was read, with its instances, which are asked for where it does not list them and nobody has asked yet.
///
/// # Errors
/// See [`Unread`]; all problems at once.
pub async fn with_fleet(path: &Path, loaded: Loaded) -> Result<Loaded, Unread> {
    match &loaded.runbook.fleet.discovery {
        Some(discovery) if loaded.runbook.fleet.is_unasked() => {
            let discovered = discover(discovery, &loaded.base).await;
            of_file(path, &discovered)
        }
        Some(_) | None => Ok(loaded),
    }
}

fn of_file(path: &Path, discovered: &Discovered) -> Result<Loaded, Unread> {
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
    take(&path.to_string_lossy(), text, base, &env, discovered, false)
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

/// What a runbook's text comes to, valid or not, with an environment of any kind, and what is known of instances that it does not list.
pub fn reading(
    name: &str,
    text: &str,
    base: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    discovered: &Discovered,
) -> Reading {
    let reading = runbook::read_in(name, text, base, env, discovered);
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
    discovered: &Discovered,
) -> Result<Loaded, Unread> {
    take(name, text, base, env, discovered, true)
}

fn take(
    name: &str,
    text: String,
    base: PathBuf,
    env: &dyn Fn(&str) -> Option<String>,
    discovered: &Discovered,
    by_form_alone: bool,
) -> Result<Loaded, Unread> {
    let asked = std::cell::RefCell::new(BTreeMap::new());
    let remember = |name: &str| {
        let value = env(name)?;
        asked.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    };
    let reading = reading(name, &text, &base, &remember, discovered);
    let invalid = || Unread::Invalid {
        rendered: runbook::render(&reading.problems),
    };
    let runbook = reading
        .runbook
        .clone()
        .filter(|_| by_form_alone || !has_errors(&reading.problems))
        .ok_or_else(invalid)?;
    let is_found = runbook.fleet.discovery.is_some() && !runbook.fleet.is_unasked();
    Ok(Loaded {
        instances: is_found.then(|| runbook.fleet.instances.clone()),
        runbook,
        text,
        base,
        environment: asked.into_inner(),
    })
}
