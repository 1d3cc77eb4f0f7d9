//! What a session's folder keeps so that any shell can start its engine again: the runbook as it was when the session opened, and
//! the values that it took from the environment, and the instances that were found. The file can be read by its owner alone and goes when the release is complete, or
//! when a session that was rolled back is closed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::load::{self, Loaded};
use crate::action::Environment;
use crate::engine::Orders;
use crate::journal::{Folder, files};
use crate::postgres::Endpoint;
use crate::runbook::discovery::Discovered;
use crate::runbook::{Instance, Runbook};
use crate::session::{Opening, RehearsalEvidence};

/// The file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Standing {
    /// As the operator named it.
    pub runbook_path: PathBuf,
    /// The runbook's text.
    pub runbook: String,
    /// The runbook's folder.
    pub base: PathBuf,
    /// Every `${NAME}` and its value, secrets included.
    pub environment: BTreeMap<String, String>,
    /// The instances that the runbook does not list, as they were found when the session opened: no engine asks anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Vec<Instance>>,
    /// See `Charter`.
    pub sandbox: bool,
    /// See `Charter`.
    pub rehearsal: bool,
    /// See `Charter`.
    pub speed: f64,
    /// See `Charter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    /// Where events go for which the session's disk has no room, instead of the runbook's `bridge.spare`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare: Option<PathBuf>,
    /// See `Opening`.
    pub wait_before: Vec<String>,
    /// The newest rehearsal when the session opened.
    pub evidence: Option<RehearsalEvidence>,
}

impl Standing {
    /// Standing orders for a runbook.
    pub fn new(path: &Path, loaded: &Loaded) -> Standing {
        Standing {
            runbook_path: path.to_owned(),
            runbook: loaded.text.clone(),
            base: loaded.base.clone(),
            environment: loaded.environment.clone(),
            instances: loaded.instances.clone(),
            sandbox: false,
            rehearsal: false,
            speed: 1.0,
            again: None,
            spare: None,
            wait_before: Vec::new(),
            evidence: None,
        }
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, folder: &Folder) -> anyhow::Result<()> {
        folder.mine()?;
        files::replace(folder, &files::ORDERS, &serde_json::to_vec_pretty(self)?)
            .with_context(|| files::ORDERS.path(folder).display().to_string())
    }

    /// Keeps the runbook in the folder beyond the session's end, without secrets, so that anyone can check what signatures covered. One
    /// with a password written in it is not kept.
    pub fn keep_runbook(&self, folder: &Folder, runbook: &Runbook) -> anyhow::Result<()> {
        if runbook.shows_password {
            return Ok(());
        }
        let values = serde_json::to_vec_pretty(&runbook.values)?;
        for (row, bytes) in [
            (&files::RUNBOOK, self.runbook.as_bytes()),
            (&files::RUNBOOK_VALUES, &values),
        ] {
            files::replace(folder, row, bytes)
                .with_context(|| row.path(folder).display().to_string())?;
        }
        Ok(())
    }

    /// Reads the file of a session.
    ///
    /// # Errors
    /// It is not there (the session is over, or was never opened), not legible, or could be somebody else's.
    pub fn read(folder: &Folder) -> anyhow::Result<Standing> {
        let path = files::ORDERS.path(folder);
        if path.symlink_metadata().is_ok() {
            folder.mine()?;
        }
        let bytes = files::read(folder, &files::ORDERS).with_context(|| {
            format!(
                "{}: no engine can be started for this session (it is over, or is another user's)",
                path.display()
            )
        })?;
        serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
    }

    /// Reads the file of a session that somebody names.
    ///
    /// # Errors
    /// As [`Standing::read`]; of a session that is over, what it is and what can still be done.
    pub fn of(folder: &Folder) -> anyhow::Result<Standing> {
        match (Standing::read(folder), super::over::sentence(folder)) {
            (Ok(standing), _) => Ok(standing),
            (Err(_), Some(over)) => anyhow::bail!("{over}"),
            (Err(error), None) => Err(error),
        }
    }

    /// Removes the file: the session is over, and its secrets need not lie about.
    pub fn remove(folder: &Folder) {
        let _ = crate::ours::file::remove(&files::ORDERS.path(folder));
    }

    /// Where the file is in a session's folder.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join(files::ORDERS.name)
    }

    /// Whether a session's folder has the file.
    pub fn is_in(dir: &Path) -> bool {
        Self::path(dir)
            .symlink_metadata()
            .is_ok_and(|m| m.is_file())
    }

    /// The runbook that it keeps, as it was read when the session opened.
    ///
    /// # Errors
    /// The runbook no longer parses, which a newer `cutover` may cause.
    pub fn loaded(&self) -> anyhow::Result<Loaded> {
        let name = self.runbook_path.to_string_lossy();
        let env = |n: &str| {
            self.environment
                .get(n)
                .cloned()
                .or_else(|| std::env::var(n).ok())
        };
        Ok(load::parse(
            &name,
            self.runbook.clone(),
            self.base.clone(),
            &env,
            &Discovered::kept(self.instances.as_ref()),
        )?)
    }

    /// What the engine is started with.
    ///
    /// # Errors
    /// The runbook no longer parses, which a newer `cutover` may cause.
    pub fn orders(&self, folder: Folder) -> anyhow::Result<Orders> {
        let loaded = self.loaded()?;
        let secrets: Vec<(String, String)> = loaded
            .runbook
            .secrets
            .iter()
            .filter_map(|n| Some((n.clone(), loaded.environment.get(n)?.clone())))
            .collect();
        let written = loaded.runbook;
        let (mut runbook, environment) = if self.rehearsal {
            let rehearsed = crate::runbook::rehearsal::at_speed(&written, self.speed)
                .context("the runbook has no `rehearsal` section")?;
            let inherited = std::env::vars_os();
            let environment =
                Environment::of_rehearsal(&written, &rehearsed, &self.base, secrets, inherited);
            (rehearsed, environment)
        } else {
            let environment = Environment::of_night(&written, &self.base, secrets);
            (written, environment)
        };
        runbook.fill_switch(&environment.placeholders);
        Ok(Orders {
            opening: Opening {
                session: folder.session(),
                target: Endpoint::parse(&runbook.target.url)?.identity(),
                production: crate::session::Production::default(),
                again: self.again.clone(),
                sandbox: self.sandbox,
                rehearsal: self.rehearsal,
                speed: self.speed,
                wait_before: self.wait_before.clone(),
            },
            folder,
            runbook: Arc::new(runbook),
            environment: Arc::new(environment),
            base: self.base.clone(),
            spare: self.spare.clone(),
            to_roll_back: false,
            rehearsal: self.evidence.clone(),
        })
    }
}
