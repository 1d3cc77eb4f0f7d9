//! A session's folder: where it is, whose it is, who is let in, how a session is found by name. It is its owner's, who opened the session:
//! nobody else puts anything in it but into `shared/` and `report/`, where the bridge's group works.
//!
//! Not in here: which files lie in it, and how they are opened ([`super::files`]).

mod rights;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::process::geteuid;

use self::rights::{give, give_root, make_dir, make_sticky, mode, set_mode};
use super::files;
use crate::text::printable;

pub use rights::make_root;
pub(crate) use rights::share_dir;

/// A session's own folder: its owner writes, the group may look. The set-group-ID bit makes every file in it belong to the folder's group.
pub const FOLDER_MODE: u32 = 0o2750;
/// Folders in which the group works: so a `-shm` that one operator's cockpit creates can be written by another operator's engine.
pub const SHARED_MODE: u32 = 0o2770;
/// The folder of all sessions: members of the group open sessions in it, and none removes or renames another's.
pub const ROOT_MODE: u32 = 0o3770;
/// Files that the group writes.
pub const FILE_MODE: u32 = 0o660;

/// The part of a mode that is about neither owner nor group.
const OTHERS: u32 = 0o007;
/// By which somebody else than the owner can write.
const WRITABLE: u32 = 0o022;

const MAX_NAME_CHARS: usize = 64;

/// One session's folder, known to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    dir: PathBuf,
    /// Where the group works; the folder itself in sessions of earlier versions.
    shared: PathBuf,
}

/// A session as [`Folder::list`] finds it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The session's name: its folder's.
    pub session: String,
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
    /// Others than owner and group may enter a folder that a session is to be opened in, or others than the owner write in it.
    #[error(
        "{} holds other files, and everybody may enter it or others than its owner may write in it: name a folder that is not there yet, or \
         `chmod 2750` this one",
        dir.display()
    )]
    OpenToAll { dir: PathBuf },
    /// The folder of all sessions belongs to another group, whose sessions it holds.
    #[error(
        "{} holds sessions of group #{found}; those of group #{wanted} need a folder of their own: `--dir`, or another working directory",
        root.display()
    )]
    AnothersRoot {
        root: PathBuf,
        found: u32,
        /// The bridge's.
        wanted: u32,
    },
    /// This user is neither the owner nor of the bridge's group.
    #[error(
        "{} does not let this account in: it lets in its owner, and the group that the runbook names by `bridge: {{ group: NAME }}`. A session that \
         was opened without it is its owner's alone",
        dir.display()
    )]
    NotLetIn {
        /// The folder of all sessions.
        dir: PathBuf,
    },
    /// The session is another user's.
    #[error(
        "{} is user {owner}'s, who opened the session: its engine runs as that user, and nobody else starts one. Nothing was done; let that \
         user do it",
        dir.display()
    )]
    Anothers {
        dir: PathBuf,
        /// Its owner, by number.
        owner: u32,
    },
    /// Somebody else could have put there what an engine acts on.
    #[error(
        "others than its owner can write in {} (mode {mode:o}), as in sessions of earlier versions: what an engine is started with could have \
         been replaced. Nothing was done, and `status`, `report` and `replay` go on working. Look whether {} still has the session's runbook and \
         databases; then `chmod -R g-w,o-w {}` and start again",
        dir.display(), dir.join("orders.json").display(), dir.display()
    )]
    Writable { dir: PathBuf, mode: u32 },
    /// The operating system said no.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
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
    pub fn create_at(dir: &Path) -> Result<Self, Error> {
        make_dir(dir, FOLDER_MODE)?;
        let dir = fs::canonicalize(dir).map_err(io_error("find", dir))?;
        // A session of an earlier version stays as it is.
        if fs::symlink_metadata(dir.join(files::JOURNAL.name)).is_err() {
            for row in [&files::SHARED, &files::REPORT] {
                make_dir(&dir.join(row.name), row.mode())?;
            }
        }
        make_dir(&dir.join(files::ARTEFACTS.name), files::ARTEFACTS.mode())?;
        Ok(Self::laid_out(dir))
    }

    fn laid_out(dir: PathBuf) -> Self {
        let shared = dir.join(files::SHARED.name);
        let is_there = fs::symlink_metadata(&shared).is_ok_and(|m| m.is_dir());
        let shared = if is_there { shared } else { dir.clone() };
        Self { dir, shared }
    }

    /// That what lies in the folder can be acted on: it is this user's, and nobody else could have put it there.
    ///
    /// # Errors
    /// [`Error::Anothers`], [`Error::Writable`].
    pub fn mine(&self) -> Result<(), Error> {
        let dir = self.dir.clone();
        let found = fs::symlink_metadata(&dir).map_err(io_error("look at", &dir))?;
        let mode = found.mode() & 0o7777;
        match (found.uid() == geteuid().as_raw(), mode & WRITABLE) {
            (false, _) => Err(Error::Anothers {
                dir,
                owner: found.uid(),
            }),
            (true, 0) => Ok(()),
            (true, _) => Err(Error::Writable { dir, mode }),
        }
    }

    /// Whether it is this user who opened the session.
    pub fn is_mine(&self) -> bool {
        fs::symlink_metadata(&self.dir).is_ok_and(|m| m.uid() == geteuid().as_raw())
    }

    /// The folder of a session that is about to be opened: lets in its owner and the bridge's group, by number, and nobody else. Without
    /// a group it is the one that the operating system gave the folder. `root` holds this and other sessions, unless the folder was
    /// named by itself.
    ///
    /// # Errors
    /// [`Error::OpenToAll`], [`Error::AnothersRoot`], and [`Error::Io`] where the folder is somebody else's, or this process is not a
    /// member of the group.
    pub fn let_in(&self, group: Option<u32>, root: Option<&Path>) -> Result<(), Error> {
        if mode(&self.dir)? & (OTHERS | WRITABLE) != 0 {
            let others = fs::read_dir(&self.dir).map_err(io_error("list", &self.dir))?;
            let rows = [&files::ARTEFACTS, &files::SHARED, &files::REPORT];
            let is_ours = |name: &std::ffi::OsStr| rows.iter().any(|row| name == row.name);
            let mut others = others.filter_map(Result::ok);
            if others.any(|entry| !is_ours(&entry.file_name())) {
                return Err(Error::OpenToAll {
                    dir: self.dir.clone(),
                });
            }
            set_mode(&self.dir, FOLDER_MODE)?;
        }
        let root = match root {
            Some(root) => Some(fs::canonicalize(root).map_err(io_error("find", root))?),
            None => None,
        };
        if let Some(root) = &root {
            make_sticky(root)?;
        }
        let Some(group) = group else { return Ok(()) };
        if let Some(root) = root {
            give_root(&root, group)?;
        }
        give(&self.dir, group, FOLDER_MODE)?;
        for row in [&files::ARTEFACTS, &files::SHARED, &files::REPORT] {
            give(&row.path(self), group, row.mode())?;
        }
        Ok(())
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
        let folder = Self::laid_out(dir);
        let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|m| m.is_file());
        if is_file(&folder.journal_path()) {
            Ok(folder)
        } else {
            Err(not_a_session())
        }
    }

    /// The folder `dir` as it lies there, whether or not a journal is in it yet.
    ///
    /// # Errors
    /// [`Error::NotASession`] where there is no such folder.
    pub fn before_its_journal(dir: &Path) -> Result<Self, Error> {
        match fs::canonicalize(dir) {
            Ok(dir) if dir.is_dir() => Ok(Self::laid_out(dir)),
            _ => Err(Error::NotASession {
                dir: dir.to_owned(),
            }),
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
    pub fn list(root: &Path) -> Result<Vec<Found>, Error> {
        let entries = match fs::read_dir(root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Error::NotLetIn {
                    dir: root.to_owned(),
                });
            }
            Err(e) => return Err(io_error("list", root)(e)),
        };
        let mut found: Vec<Found> = entries
            .filter_map(Result::ok)
            // A link would lead to a session of another root, by a name that somebody of the group chose.
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
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

    /// `shared/`: where the group works.
    pub fn shared_dir(&self) -> &Path {
        &self.shared
    }

    /// `journal.db`: events, samples, progress, output.
    pub fn journal_path(&self) -> PathBuf {
        files::JOURNAL.path(self)
    }

    /// `journal.head`: number and hash of the last event, outside the file that holds the events.
    pub fn head_path(&self) -> PathBuf {
        files::HEAD.path(self)
    }

    /// `engine.lease`: locked by the engine for as long as it lives.
    pub fn lease_path(&self) -> PathBuf {
        files::LEASE.path(self)
    }

    /// `engine.sock`: the engine's socket, where its path is short enough for the operating system.
    pub fn socket_path(&self) -> PathBuf {
        files::SOCKET.path(self)
    }

    /// `engine.sock.path`: where the socket really is, when [`Self::socket_path`] is too long.
    pub fn socket_pointer_path(&self) -> PathBuf {
        files::SOCKET_POINTER.path(self)
    }

    /// `engine.log`: the engine's own log, and whatever it or its libraries print.
    pub fn log_path(&self) -> PathBuf {
        files::ENGINE_LOG.path(self)
    }

    /// `runbook.yaml`: the runbook as it was when the session opened, to the byte.
    pub fn runbook_path(&self) -> PathBuf {
        files::RUNBOOK.path(self)
    }

    /// `runbook.values.json`: every `${NAME}` of the runbook and its value, `null` where that is secret.
    pub fn runbook_values_path(&self) -> PathBuf {
        files::RUNBOOK_VALUES.path(self)
    }

    /// `artefacts/`: published files, each named by its SHA-256.
    pub fn artefacts_dir(&self) -> PathBuf {
        files::ARTEFACTS.path(self)
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
