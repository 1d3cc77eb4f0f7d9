//! A session's folder: what lies where in it, who may read it, how a session is found by name.
//!
//! Not in here: what is inside the files. `journal.db` and its head belong to [`super::store`], the lease and the socket to the
//! engine.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::text::printable;

/// Where sessions live when nobody says otherwise, relative to the working directory.
pub const DEFAULT_ROOT: &str = ".cutover";

/// Folders: owner and group may enter and write, nobody else may look. The set-group-ID bit makes every file in it belong to the
/// folder's group, so that a `-shm` that one operator's cockpit creates can be written by another operator's engine.
pub const FOLDER_MODE: u32 = 0o2770;
/// Files: owner and group read and write.
pub const FILE_MODE: u32 = 0o660;

/// The part of a mode that is about neither owner nor group.
const OTHERS: u32 = 0o007;

const MAX_NAME_CHARS: usize = 64;

/// One session's folder, known to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    dir: PathBuf,
}

/// A session as [`Folder::list`] finds it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The session's name: its folder's.
    pub session: String,
    /// Its folder.
    pub folder: Folder,
    /// When its journal was last written, by the file system's word.
    pub written: SystemTime,
}

/// Why a session's folder could not be made or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name could leave the root or trouble a shell.
    #[error(
        "“{name}” cannot name a session: use 1 to {MAX_NAME_CHARS} letters, digits, `.`, `_` or `-`, beginning with a letter or digit"
    )]
    Name {
        /// What was given, made harmless.
        name: String,
    },
    /// No session below the root at all.
    #[error("there is no session in {}; start one with `cutover run`, or name its folder with `--dir`", root.display())]
    None {
        /// The root that was searched.
        root: PathBuf,
    },
    /// No session of that name; others exist.
    #[error("there is no session “{name}” in {}; there are: {}", root.display(), existing.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The root that was searched.
        root: PathBuf,
        /// The names that exist, most recently written first.
        existing: Vec<String>,
    },
    /// `--dir` names something that holds no journal.
    #[error("{} holds no session: there is no journal.db in it", dir.display())]
    NotASession {
        /// The folder that was named.
        dir: PathBuf,
    },
    /// Others than owner and group may enter a folder that a session is to be opened in.
    #[error(
        "{} holds other files, and everybody may enter it: name a folder that is not there yet, or `chmod 2770` this one",
        dir.display()
    )]
    OpenToAll {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder of all sessions belongs to another group, whose sessions it holds.
    #[error(
        "{} holds sessions of group #{found}; those of group #{wanted} need a folder of their own: `--dir`, or another working directory",
        root.display()
    )]
    AnothersRoot {
        /// The root.
        root: PathBuf,
        /// Its group.
        found: u32,
        /// The bridge's.
        wanted: u32,
    },
    /// The operating system said no.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Folder {
    /// Makes the folder `root/session` (and the root) where it is missing, with owner-and-group modes, and returns it.
    ///
    /// # Errors
    /// [`Error::Name`] for a name that is no plain file name, [`Error::Io`] from the file system.
    pub fn create(root: &Path, session: &str) -> Result<Self, Error> {
        check_name(session)?;
        Self::create_at(&root.join(session))
    }

    /// Makes the folder `dir` itself (`--dir`) where it is missing.
    ///
    /// # Errors
    /// [`Error::Io`] from the file system.
    pub fn create_at(dir: &Path) -> Result<Self, Error> {
        make_dir(dir)?;
        let dir = fs::canonicalize(dir).map_err(io_error("find", dir))?;
        let folder = Self { dir };
        make_dir(&folder.artefacts_dir())?;
        Ok(folder)
    }

    /// The folder of a session that is about to be opened: lets in its owner and the bridge's group, by number, and nobody else. Without
    /// a group it is the one that the operating system gave the folder. `root` holds this and other sessions, unless the folder was
    /// named by itself.
    ///
    /// # Errors
    /// [`Error::OpenToAll`], [`Error::AnothersRoot`], and [`Error::Io`] where the folder is somebody else's, or this process is not a
    /// member of the group.
    pub fn let_in(&self, group: Option<u32>, root: Option<&Path>) -> Result<(), Error> {
        if mode(&self.dir)? & OTHERS != 0 {
            let others = fs::read_dir(&self.dir).map_err(io_error("list", &self.dir))?;
            let is_ours = |name: &std::ffi::OsStr| self.artefacts_dir().file_name() == Some(name);
            let mut others = others.filter_map(Result::ok);
            if others.any(|entry| !is_ours(&entry.file_name())) {
                return Err(Error::OpenToAll {
                    dir: self.dir.clone(),
                });
            }
            share_dir(&self.dir).map_err(io_error("set the mode of", &self.dir))?;
        }
        let Some(group) = group else { return Ok(()) };
        if let Some(root) = root {
            give_root(root, group)?;
        }
        give(&self.dir, group)?;
        give(&self.artefacts_dir(), group)
    }

    /// The session folder `dir` (`--dir`), which must hold a journal.
    ///
    /// # Errors
    /// [`Error::NotASession`] when there is no `journal.db` in it.
    pub fn open_at(dir: &Path) -> Result<Self, Error> {
        let not_a_session = || Error::NotASession {
            dir: dir.to_owned(),
        };
        let dir = fs::canonicalize(dir).map_err(|_| not_a_session())?;
        let folder = Self { dir };
        if folder.journal_path().is_file() {
            Ok(folder)
        } else {
            Err(not_a_session())
        }
    }

    /// The session called `session` below `root`; without a name the only one, or of several the one written last.
    ///
    /// # Errors
    /// [`Error::None`] or [`Error::Unknown`], which list what exists.
    pub fn find(root: &Path, session: Option<&str>) -> Result<Self, Error> {
        let found = Self::list(root)?;
        let Some(newest) = found.first() else {
            return Err(Error::None {
                root: root.to_owned(),
            });
        };
        match session {
            None => Ok(newest.folder.clone()),
            Some(name) => match found.iter().find(|f| f.session == name) {
                Some(f) => Ok(f.folder.clone()),
                None => Err(Error::Unknown {
                    name: printable(name, MAX_NAME_CHARS),
                    root: root.to_owned(),
                    existing: found.into_iter().map(|f| f.session).collect(),
                }),
            },
        }
    }

    /// Every session below `root`, most recently written first. A root that does not exist has none.
    ///
    /// # Errors
    /// [`Error::Io`] when the root cannot be read.
    pub fn list(root: &Path) -> Result<Vec<Found>, Error> {
        let entries = match fs::read_dir(root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(io_error("list", root)(e)),
        };
        let mut found: Vec<Found> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let session = entry.file_name().into_string().ok()?;
                check_name(&session).ok()?;
                let folder = Self::open_at(&entry.path()).ok()?;
                let written = folder.written()?;
                Some(Found {
                    session,
                    folder,
                    written,
                })
            })
            .collect();
        found.sort_by(|a, b| {
            b.written
                .cmp(&a.written)
                .then_with(|| a.session.cmp(&b.session))
        });
        Ok(found)
    }

    /// When something was last written to the journal. Its head is written with every entry; the journal's own files also by whoever only
    /// reads them.
    fn written(&self) -> Option<SystemTime> {
        let modified = |path: PathBuf| fs::metadata(path).and_then(|m| m.modified()).ok();
        let journal = modified(self.journal_path())?;
        Some(modified(self.head_path()).unwrap_or(journal))
    }

    /// The folder itself, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The session's name: the folder's last component.
    pub fn session(&self) -> String {
        self.dir
            .file_name()
            .map(|name| printable(&name.to_string_lossy(), MAX_NAME_CHARS))
            .unwrap_or_default()
    }

    /// `journal.db`: events, samples, progress, output.
    pub fn journal_path(&self) -> PathBuf {
        self.dir.join("journal.db")
    }

    /// `journal.head`: number and hash of the last event, outside the file that holds the events.
    pub fn head_path(&self) -> PathBuf {
        self.dir.join("journal.head")
    }

    /// `engine.lease`: locked by the engine for as long as it lives.
    pub fn lease_path(&self) -> PathBuf {
        self.dir.join("engine.lease")
    }

    /// `engine.sock`: the engine's socket, where its path is short enough for the operating system.
    pub fn socket_path(&self) -> PathBuf {
        self.dir.join("engine.sock")
    }

    /// `engine.sock.path`: where the socket really is, when [`Self::socket_path`] is too long.
    pub fn socket_pointer_path(&self) -> PathBuf {
        self.dir.join("engine.sock.path")
    }

    /// `engine.log`: the engine's own log, and whatever it or its libraries print.
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("engine.log")
    }

    /// `runbook.yaml`: the runbook as it was when the session opened, to the byte.
    pub fn runbook_path(&self) -> PathBuf {
        self.dir.join("runbook.yaml")
    }

    /// `runbook.values.json`: every `${NAME}` of the runbook and its value, `null` where that is secret.
    pub fn runbook_values_path(&self) -> PathBuf {
        self.dir.join("runbook.values.json")
    }

    /// `artefacts/`: published files, each named by its SHA-256.
    pub fn artefacts_dir(&self) -> PathBuf {
        self.dir.join("artefacts")
    }
}

/// Gives `path` the mode that files of a session have, whatever the process's umask was when it was made.
pub(crate) fn share_file(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(FILE_MODE))
}

/// The same for a folder.
pub(crate) fn share_dir(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE))
}

/// Gives a folder to a group.
fn give(dir: &Path, group: u32) -> Result<(), Error> {
    if fs::metadata(dir).map_err(io_error("look at", dir))?.gid() != group {
        chown(dir, None, Some(group)).map_err(io_error("give the bridge's group", dir))?;
    }
    // After the group: somebody who is not in it would lose the set-group-ID bit.
    share_dir(dir).map_err(io_error("set the mode of", dir))
}

/// Lets a group through the folder of all sessions, unless sessions of another group are in it.
fn give_root(root: &Path, group: u32) -> Result<(), Error> {
    let found = fs::metadata(root).map_err(io_error("look at", root))?.gid();
    if found == group {
        return Ok(());
    }
    if Folder::list(root)?.is_empty() {
        return give(root, group);
    }
    Err(Error::AnothersRoot {
        root: root.to_owned(),
        found,
        wanted: group,
    })
}

fn mode(path: &Path) -> Result<u32, Error> {
    let found = fs::metadata(path).map_err(io_error("look at", path))?;
    Ok(found.permissions().mode())
}

/// Makes the folder of all sessions, or one in it that several people write to; one that is there stays as it is.
///
/// # Errors
/// [`Error::Io`].
pub fn make_root(dir: &Path) -> Result<(), Error> {
    make_dir(dir)
}

/// Makes a directory and its parents; one that this call made gets [`FOLDER_MODE`] whatever the umask, an existing one is left as it is.
fn make_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent()
        && !parent.as_os_str().is_empty()
    {
        make_dir(parent)?;
    }
    match fs::DirBuilder::new().mode(FOLDER_MODE).create(dir) {
        Ok(()) => share_dir(dir).map_err(io_error("set the mode of", dir)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(e) => Err(io_error("make the folder", dir)(e)),
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(plain);
    if fits {
        Ok(())
    } else {
        Err(Error::Name {
            name: printable(name, MAX_NAME_CHARS),
        })
    }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_leave_the_root() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "-rf",
            ".hidden",
            "a b",
            "a\nb",
            &"x".repeat(65),
        ] {
            assert!(
                matches!(check_name(name), Err(Error::Name { .. })),
                "{name:?}"
            );
        }
        for name in ["tonight", "2026-03-01", "v1.2_b"] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }
}
