//! The application's configuration file: `KEY=VALUE` lines, read once at the start of the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::format::hex;

/// Where the data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// `DatabaseProvider=Sqlite`
    Sqlite,
    /// `DatabaseProvider=Postgres`
    Postgres,
}

impl Provider {
    /// The word in the configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "Sqlite",
            Self::Postgres => "Postgres",
        }
    }
}

/// What one instance was told.
#[derive(Debug, Clone)]
pub struct Config {
    /// `InstanceName`
    pub instance: String,
    /// `DatabaseProvider`
    pub provider: Provider,
    /// `SqlitePath`: the live file.
    pub sqlite_path: PathBuf,
    /// `PostgresUrl`, password included.
    pub postgres_url: String,
    /// `Port` on 127.0.0.1.
    pub port: u16,
    /// `LogFile`: JSON lines are appended.
    pub log_file: PathBuf,
    /// `MaintenanceFile`: writes are refused while it exists.
    pub maintenance_file: PathBuf,
    /// `ProbeToken`: whoever sends it as `X-Cutover-Probe` may write during maintenance. Empty: nobody may.
    pub probe_token: String,
    /// `PoolMax`: connections, 10 unless told otherwise.
    pub pool_max: usize,
    /// `PoolWaitMs`: how long a request waits for a connection, 1500 unless told otherwise.
    pub pool_wait: Duration,
    /// `SlowQueryMs`: requests that take longer are logged, 500 unless told otherwise.
    pub slow_query: Duration,
    /// `FaultsFile`: what the sandbox wants to go wrong. Absent for an instance that stays sound.
    pub faults_file: Option<PathBuf>,
    /// Twelve hexadecimal digits of the file's SHA-256: which configuration this process runs on.
    pub generation: String,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("reading the application's configuration {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not `KEY=VALUE`.
    #[error("{}:{line}: expected KEY=VALUE", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        line: usize,
    },
    /// A key is missing, or its value makes no sense.
    #[error("{}: {key} should be {expected}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl Config {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(path).map_err(|source| ConfigError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let mut generation = hex(&Sha256::digest(&bytes));
        generation.truncate(12);
        let keys = Keys {
            path,
            values: lines(path, &String::from_utf8_lossy(&bytes))?,
        };
        let provider = match keys.text("DatabaseProvider") {
            Some("Sqlite") => Provider::Sqlite,
            Some("Postgres") => Provider::Postgres,
            _ => return Err(keys.wrong("DatabaseProvider", "Sqlite or Postgres")),
        };
        let path_of = |key| {
            keys.text(key)
                .map(PathBuf::from)
                .ok_or_else(|| keys.wrong(key, "a path"))
        };
        Ok(Self {
            instance: keys
                .text("InstanceName")
                .ok_or_else(|| keys.wrong("InstanceName", "a name"))?
                .to_string(),
            provider,
            sqlite_path: path_of("SqlitePath")?,
            postgres_url: keys.text("PostgresUrl").unwrap_or_default().to_string(),
            port: keys.number("Port", None)?,
            log_file: path_of("LogFile")?,
            maintenance_file: path_of("MaintenanceFile")?,
            probe_token: keys.text("ProbeToken").unwrap_or_default().to_string(),
            pool_max: keys.number("PoolMax", Some(10))?,
            pool_wait: Duration::from_millis(keys.number("PoolWaitMs", Some(1500))?),
            slow_query: Duration::from_millis(keys.number("SlowQueryMs", Some(500))?),
            faults_file: keys.text("FaultsFile").map(PathBuf::from),
            generation,
        })
    }
}

struct Keys<'a> {
    path: &'a Path,
    values: BTreeMap<String, String>,
}

impl Keys<'_> {
    /// The value, unless absent or empty.
    fn text(&self, key: &str) -> Option<&str> {
        self.values
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn number<T: std::str::FromStr>(
        &self,
        key: &'static str,
        default: Option<T>,
    ) -> Result<T, ConfigError> {
        match (self.text(key), default) {
            (None, Some(default)) => Ok(default),
            (text, _) => text
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| self.wrong(key, "a number")),
        }
    }

    fn wrong(&self, key: &'static str, expected: &'static str) -> ConfigError {
        ConfigError::Key {
            path: self.path.to_path_buf(),
            key,
            expected,
        }
    }
}

fn lines(path: &Path, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut values = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(ConfigError::Line {
                path: path.to_path_buf(),
                line: number + 1,
            });
        };
        values.insert(key.trim().to_string(), value.trim().to_string());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Config::read(file.path())
    }

    const LEAST: &str = "InstanceName=app-1\nDatabaseProvider=Sqlite\nSqlitePath=/d/a=b.db\nPort=80\nLogFile=/l\nMaintenanceFile=/m\n";

    #[test]
    fn reads_values_with_equals_signs_and_skips_comments() {
        let config =
            read(&format!("# a comment\n\n{LEAST}PoolMax = 3\n")).expect("a configuration");
        assert_eq!(
            (config.sqlite_path, config.pool_max),
            (PathBuf::from("/d/a=b.db"), 3)
        );
    }

    #[test]
    fn another_file_is_another_generation() {
        let generation = |text: &str| read(text).expect("a configuration").generation;
        assert_eq!(generation(LEAST), generation(LEAST));
        assert_ne!(
            generation(LEAST),
            generation(&LEAST.replace("Sqlite\n", "Postgres\n"))
        );
    }

    #[test]
    fn names_what_is_wrong() {
        let error = read(&LEAST.replace("Sqlite\n", "Oracle\n")).expect_err("no such provider");
        assert!(
            error
                .to_string()
                .ends_with("DatabaseProvider should be Sqlite or Postgres"),
            "{error}"
        );
        assert!(matches!(
            read("Port"),
            Err(ConfigError::Line { line: 1, .. })
        ));
    }
}
