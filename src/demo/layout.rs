//! Where things are in a sandbox's folder, and the environment that its runbook reads.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The instance that no user reaches.
pub const STAGING: &str = "staging";
const ENVIRONMENT_FILE: &str = "sandbox.env";

/// Folders that hold nothing but what the sandbox puts there.
const OURS: [&str; 5] = ["data", "migrations", "traffic", "instances", "logs"];

/// The folder of one sandbox.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The folder itself, absolute.
    pub dir: PathBuf,
}

impl Layout {
    /// The live SQLite file.
    pub fn live(&self) -> PathBuf {
        self.dir.join("data/tools.db")
    }

    /// Where A2 puts its copy.
    pub fn backups(&self) -> PathBuf {
        self.dir.join("backups")
    }

    /// The second place of A3.
    pub fn offsite(&self) -> PathBuf {
        self.dir.join("offsite")
    }

    /// The script that C1 runs.
    pub fn migrations(&self) -> PathBuf {
        self.dir.join("migrations/postgres.sql")
    }

    /// The application refuses writes while this file exists.
    pub fn maintenance(&self) -> PathBuf {
        self.dir.join("maintenance")
    }

    /// What is wrong with the fleet's processes on PostgreSQL.
    pub(super) fn app_faults(&self) -> PathBuf {
        self.dir.join("app-faults.json")
    }

    /// What came in at the chat webhook, one JSON object per line.
    pub fn chat(&self) -> PathBuf {
        self.dir.join("chat.jsonl")
    }

    /// The writes that the application acknowledged, one JSON object per line.
    pub fn acknowledged(&self) -> PathBuf {
        self.dir.join("traffic/acknowledged.jsonl")
    }

    /// Where a rehearsal keeps its copy of the data.
    pub fn rehearsal(&self) -> PathBuf {
        self.dir.join("rehearsal")
    }

    /// The folder of one instance.
    pub fn instance(&self, name: &str) -> PathBuf {
        self.dir.join("instances").join(name)
    }

    /// The configuration file of one instance.
    pub fn instance_config(&self, name: &str) -> PathBuf {
        self.instance(name).join("app.env")
    }

    /// The log of one instance, one JSON object per line.
    pub fn instance_log(&self, name: &str) -> PathBuf {
        self.instance(name).join("app.log")
    }

    /// What stands for the log of a server that is not the sandbox's own.
    pub(super) fn foreign_log(&self) -> PathBuf {
        self.dir.join("logs/postgresql.log")
    }

    /// The variables of the runbook, by name.
    pub fn environment_file(&self) -> PathBuf {
        self.dir.join(ENVIRONMENT_FILE)
    }

    /// Makes every folder.
    pub(super) fn make(&self) -> std::io::Result<()> {
        for path in [self.backups(), self.offsite()]
            .into_iter()
            .chain(OURS.map(|name| self.dir.join(name)))
        {
            std::fs::create_dir_all(path)?;
        }
        Ok(())
    }

    /// Takes back what a start that failed has made; the two places for backups only where nothing is in them.
    pub(super) fn unmake(&self) {
        for name in OURS {
            let _ = std::fs::remove_dir_all(self.dir.join(name));
        }
        for path in [self.backups(), self.offsite()] {
            let _ = std::fs::remove_dir(path);
        }
        let _ = std::fs::remove_file(self.environment_file());
    }

    /// Writes the variables so that a shell can source them.
    pub(super) fn write_environment(
        &self,
        variables: &BTreeMap<String, String>,
    ) -> std::io::Result<()> {
        let lines: String = variables
            .iter()
            .map(|(name, value)| format!("{name}={}\n", shell_quoted(value)))
            .collect();
        crate::private_file::write(&self.environment_file(), lines.as_bytes())
    }

    /// Reads back what was written.
    pub fn environment(&self) -> std::io::Result<BTreeMap<String, String>> {
        let text = std::fs::read_to_string(self.environment_file())?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(pairs
            .map(|(name, value)| (name.to_string(), unquoted(value)))
            .collect())
    }
}

fn shell_quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn unquoted(value: &str) -> String {
    value
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
        .unwrap_or(value)
        .replace(r"'\''", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout {
            dir: folder.path().to_path_buf(),
        };
        let variables: BTreeMap<String, String> = [("A", "it's = fine"), ("B", "")]
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .into();
        layout.write_environment(&variables).expect("written");
        assert_eq!(layout.environment().expect("read"), variables);
    }
}
