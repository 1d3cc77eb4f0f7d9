//! Finds PostgreSQL's server programs on this machine. Starting them is [`super::cluster`]'s job, installing them that of
//! `scripts/postgres-programs.sh`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version that counts.
pub const OLDEST_MAJOR: u32 = 14;

/// A folder that holds `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The folder, links resolved.
    pub bin: PathBuf,
    /// The major version, for instance 16.
    pub major: u32,
}

impl Programs {
    /// The path of one program, for instance `initdb`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// Why there is nothing to start.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// No server programs anywhere.
    #[error(
        "no PostgreSQL server programs (initdb, postgres) on this machine; looked in {}. {}",
        list(.searched),
        install_hint()
    )]
    Nowhere {
        /// Every folder that was looked into.
        searched: Vec<PathBuf>,
    },
    /// Only versions that do not count.
    #[error("PostgreSQL {newest} in {} is too old; {OLDEST_MAJOR} or newer is needed. {}", .bin.display(), install_hint())]
    TooOld {
        /// The newest major version found.
        newest: u32,
        /// Where it is.
        bin: PathBuf,
    },
}

/// Names the folder of the server programs to use, whatever else is on this machine.
pub const FOLDER: &str = "CUTOVER_POSTGRES_BIN";

/// The newest server programs on this machine, version 14 or newer; or those of [`FOLDER`].
pub fn find() -> Result<Programs, Missing> {
    let searched = candidates();
    let newest = searched
        .iter()
        .filter_map(|folder| inspect(folder))
        .max_by_key(|found| found.major);
    match newest {
        None => Err(Missing::Nowhere { searched }),
        Some(found) if found.major < OLDEST_MAJOR => Err(Missing::TooOld {
            newest: found.major,
            bin: found.bin,
        }),
        Some(found) => Ok(found),
    }
}

/// What to do where they are missing, in the words of this machine's package manager.
pub fn install_hint() -> &'static str {
    if cfg!(target_os = "macos") {
        "Install them with `brew install postgresql@17`, or run `make postgres`"
    } else if Path::new("/usr/bin/apt-get").exists() {
        "Install them with `apt-get install postgresql`, or run `make postgres`"
    } else if Path::new("/usr/bin/dnf").exists() {
        "Install them with `dnf install postgresql-server`, or run `make postgres`"
    } else {
        "Install your system's PostgreSQL server package, or put its programs on PATH"
    }
}

/// Every folder worth a look: the one that is named, else `PATH`, `pg_config --bindir`, then the usual places.
fn candidates() -> Vec<PathBuf> {
    if let Some(named) = std::env::var_os(FOLDER) {
        return vec![PathBuf::from(named)];
    }
    let mut folders: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    folders.extend(pg_config_bindir());
    for (parent, prefix, below) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ] {
        folders.extend(below_each(Path::new(parent), prefix, below));
    }
    folders.extend(["/usr/local/pgsql/bin", "/usr/libexec/postgresql"].map(PathBuf::from));
    let mut seen = BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

fn pg_config_bindir() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.trim();
    (!line.is_empty()).then(|| PathBuf::from(line))
}

/// `parent/PREFIX*/below` for every entry of `parent`, sorted.
fn below_each(parent: &Path, prefix: &str, below: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(below))
        .collect();
    folders.sort();
    folders
}

/// The programs in this folder, if both are there and `postgres` says its version.
fn inspect(folder: &Path) -> Option<Programs> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    // Debian links /usr/bin/… to the real folder, and initdb looks for its siblings beside itself.
    let real = folder.join("postgres").canonicalize().ok()?;
    let bin = real.parent()?.to_path_buf();
    let output = Command::new(&real).arg("--version").output().ok()?;
    let major = major_version(std::str::from_utf8(&output.stdout).ok()?)?;
    Some(Programs { bin, major })
}

/// The major version in the text that `postgres --version` prints.
fn major_version(text: &str) -> Option<u32> {
    let after = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn list(folders: &[PathBuf]) -> String {
    folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::major_version;

    #[test]
    fn reads_what_distributions_print() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("postgres (PostgreSQL) 9.6.24\n"), Some(9));
        assert_eq!(major_version("something else"), None);
    }
}
