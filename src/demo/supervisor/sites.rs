//! Who listens where in a sandbox, and what each is told about the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::database::Database;
use super::{Arguments, Error, io};
use crate::demo::layout::{Layout, STAGING};
use crate::demo::ports;
use crate::private_file;

/// Who listens where.
pub(super) struct Sites {
    /// Production and staging.
    pub(super) instances: BTreeMap<String, u16>,
    pub(super) chat: u16,
}

impl Sites {
    pub(super) fn choose(arguments: &Arguments) -> Result<Self, Error> {
        let mut names = arguments.production();
        names.push(STAGING.to_string());
        let ports = ports::free(names.len() + 1).map_err(io("looking for free ports"))?;
        let chat = ports[names.len()];
        Ok(Self {
            instances: names.into_iter().zip(ports).collect(),
            chat,
        })
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.instances[name])
    }

    /// The variables of the runbook.
    pub(super) fn environment(
        &self,
        layout: &Layout,
        database: &Database,
        program: &Path,
        token: &str,
    ) -> BTreeMap<String, String> {
        let path = |path: PathBuf| path.display().to_string();
        let mut variables: BTreeMap<String, String> = [
            ("APP_DIR", path(layout.dir.clone())),
            ("APP_SQLITE", path(layout.live())),
            ("TARGET_URL", database.target.clone()),
            ("TARGET_RUNTIME_URL", database.target_runtime.clone()),
            ("SCRATCH_URL", database.scratch.clone()),
            ("SCRATCH_RUNTIME_URL", database.scratch_runtime.clone()),
            ("TARGET_LOG", path(database.log_path())),
            ("BACKUP_DIR", path(layout.backups())),
            ("OFFSITE_DIR", path(layout.offsite())),
            (
                "CHAT_WEBHOOK",
                format!("http://127.0.0.1:{}/chat", self.chat),
            ),
            ("MIGRATIONS_SQL", path(layout.migrations())),
            ("APPCTL", path(program.to_path_buf())),
            ("PROBE_TOKEN", token.to_string()),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .into();
        for name in self.instances.keys() {
            // app-1 becomes APP_1, staging becomes APP_STAGING.
            let number = name.strip_prefix("app-").unwrap_or(name).to_uppercase();
            variables.insert(format!("APP_{number}"), self.url(name));
        }
        variables
    }
}

/// Writes one instance's configuration. Production starts on SQLite; staging points at PostgreSQL, and is ready once the
/// migrations have run. Staging has no faults file: it shows what the release can do.
pub(super) fn configure(
    layout: &Layout,
    name: &str,
    port: u16,
    postgres_url: &str,
    token: &str,
) -> std::io::Result<()> {
    std::fs::create_dir_all(layout.instance(name))?;
    let provider = if name == STAGING {
        "Postgres"
    } else {
        "Sqlite"
    };
    let mut text = format!(
        "# The sample application reads this once, when it starts.\n\
         InstanceName={name}\nDatabaseProvider={provider}\nSqlitePath={}\nPostgresUrl={postgres_url}\nPort={port}\n\
         LogFile={}\nMaintenanceFile={}\nProbeToken={token}\nPoolMax=8\nPoolWaitMs=1500\nSlowQueryMs=500\n",
        layout.live().display(),
        layout.instance_log(name).display(),
        layout.maintenance().display(),
    );
    if name != STAGING {
        text.push_str(&format!("FaultsFile={}\n", layout.app_faults().display()));
    }
    private_file::write(&layout.instance_config(name), text.as_bytes())
}
