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
        advice()
    )]
    Nowhere {
        /// Every folder that was looked into.
        searched: Vec<PathBuf>,
    },
    /// Only versions that do not count.
    #[error("PostgreSQL {newest} in {} is too old; {OLDEST_MAJOR} or newer is needed. {}", .bin.display(), advice())]
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

/// How a system installs PostgreSQL's server programs: what tells that it does, and the command.
const MANAGERS: [(&str, &str); 7] = [
    ("/usr/bin/apt-get", "apt-get install postgresql"),
    ("/usr/bin/dnf", "dnf install postgresql-server"),
    ("/usr/bin/zypper", "zypper install postgresql-server"),
    ("/usr/bin/pacman", "pacman -S postgresql"),
    ("/sbin/apk", "apk add postgresql"),
    ("/opt/homebrew/bin/brew", BREW),
    ("/usr/local/bin/brew", BREW),
];
const BREW: &str = "brew install postgresql@17";

/// What decides what a person can do here about programs that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Here {
    /// The command of this system's package manager.
    install: Option<&'static str>,
    is_root: bool,
    has_sudo: bool,
    /// Whether `make` of our sources is in reach.
    is_checkout: bool,
}

impl Here {
    fn look() -> Here {
        let manager = MANAGERS.iter().find(|(path, _)| Path::new(path).exists());
        let on_path = |name: &str| {
            std::env::var_os("PATH").is_some_and(|path| {
                std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
            })
        };
        Here {
            install: manager.map(|(_, command)| *command),
            is_root: rustix::process::geteuid().is_root(),
            has_sudo: on_path("sudo"),
            is_checkout: std::env::current_exe()
                .is_ok_and(|program| program.ancestors().any(is_our_source)),
        }
    }

    fn advice(self) -> String {
        let make = match self.is_checkout {
            true => ", or run `make postgres`",
            false => "",
        };
        let install = match self.install {
            Some(BREW) => format!("Install them with `{BREW}`{make}"),
            Some(command) if self.is_root => format!("Install them with `{command}`{make}"),
            Some(command) if self.has_sudo => format!("Install them with `sudo {command}`{make}"),
            Some(command) => {
                format!("Whoever may install here does it with `{command}`, as root")
            }
            None => format!(
                "Install your system's package of the PostgreSQL server, or name the folder of its programs by {FOLDER}"
            ),
        };
        format!(
            "{install}. Where nobody may install anything, as in many containers, or no server is to run here: `cutover demo --postgres URL` \
             uses a server that is there, by a role with CREATEDB and CREATEROLE"
        )
    }
}

fn is_our_source(folder: &Path) -> bool {
    [
        "Makefile",
        "scripts/postgres-programs.sh",
        "src/demo/programs.rs",
    ]
    .iter()
    .all(|file| folder.join(file).is_file())
}

/// What to do where they are missing, on this system and with the rights of whoever asks.
fn advice() -> String {
    Here::look().advice()
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
    use super::{BREW, Here, major_version};

    #[test]
    fn what_to_do_is_what_can_be_done_here() {
        let here = Here {
            install: Some("apt-get install postgresql"),
            is_root: false,
            has_sudo: true,
            is_checkout: false,
        };
        let said = here.advice();
        assert!(said.contains("`sudo apt-get install postgresql`"), "{said}");
        let no_sudo = Here {
            has_sudo: false,
            ..here
        };
        assert!(no_sudo.advice().starts_with("Whoever may install here"));
        let root = Here {
            is_root: true,
            install: Some("apk add postgresql"),
            ..no_sudo
        };
        assert!(root.advice().contains("with `apk add postgresql`"));
        let brew = Here {
            install: Some(BREW),
            ..here
        };
        assert!(brew.advice().contains("with `brew install"));
        let none = Here {
            install: None,
            ..here
        };
        assert!(none.advice().contains("CUTOVER_POSTGRES_BIN"));
        for somewhere in [here, no_sudo, root, brew, none] {
            let said = somewhere.advice();
            assert!(said.contains("cutover demo --postgres URL"), "{said}");
            assert!(!said.contains("make"), "there is no checkout: {said}");
        }
        let checkout = Here {
            is_checkout: true,
            ..here
        };
        assert!(checkout.advice().contains("`make postgres`"));
    }

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
