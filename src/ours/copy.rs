//! The copy of the live file that a rehearsal works on (`rehearsal.copy`), and the rehearsal's own folder beside it. The copy is replaced
//! only where it is the very file that an earlier rehearsal made; everything else at that place is refused, and stays.
//!
//! The own folder (`rehearsal.copy` with `.rehearsal` appended) carries our mark, which also knows the copy. The copy is made in it and
//! gets its name when the mark is durable, so that no moment leaves a file of ours that nobody knows.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::folder::{self, OwnFolder, io_error};
use super::mark::Mark;
use super::{file, temporary};
use crate::runbook::rehearsal;
use crate::sqlite::{self, backup, digest, open_read_only};

/// The copy while it is made, in the own folder.
const UNFINISHED: &str = "copying.db";
/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];
/// The rehearsed application writes to it.
const COPY_MODE: u32 = 0o660;

/// Why no copy was made. The live file was only read, and nothing that is not ours was touched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place leads to the live file, or to what SQLite keeps beside it.
    #[error(
        "`rehearsal.copy` ({}) is {what}: a rehearsal writes to its copy. Nothing was touched; name a file that is not there yet",
        path.display()
    )]
    IsLive {
        path: PathBuf,
        /// Which file of the live database.
        what: String,
    },
    /// Something is there that no rehearsal made.
    #[error(
        "{} is there already and was not made by a rehearsal ({what}); it was not touched. Move it away, or name another file as \
         `rehearsal.copy`",
        path.display()
    )]
    NotOurs { path: PathBuf, what: String },
    /// The rehearsal's own folder is not ours, or cannot be written.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The live file could not be copied.
    #[error(transparent)]
    Source(#[from] sqlite::Error),
    /// The live file has no identity.
    #[error("cannot look at the live file {}: {source}; nothing was touched", path.display())]
    Live {
        /// The live file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// SQLite could not give the copy the journal mode of the live file.
    #[error("cannot read or set the journal mode of {}: {source}", path.display())]
    Mode {
        /// The live file or the copy.
        path: PathBuf,
        source: rusqlite::Error,
    },
    /// Somebody asked for an end.
    #[error("interrupted while the copy was made; what is unfinished goes with the next rehearsal")]
    Stopped,
}

/// The stages of making a copy; between any two the process may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was done yet; everything has been looked at.
    Looked,
    /// The own folder is there and marked.
    Marked,
    /// The former copy is gone.
    Removed,
    /// What an earlier rehearsal left in the own folder is gone.
    Cleared,
    /// The copy is whole, in the own folder.
    Copied,
    /// The mark knows the copy.
    Recorded,
    /// The copy has its name.
    Placed,
}

/// A copy that was made.
#[derive(Debug)]
pub struct Made {
    /// The rehearsal's own folder.
    pub folder: PathBuf,
    /// What lies in it that we did not make: it stays.
    pub strangers: Vec<PathBuf>,
}

/// Looks whether a copy may be made at `copy`; touches nothing. Both paths are absolute.
pub fn look(live: &Path, copy: &Path) -> Result<(), Error> {
    let name = copy.file_name().ok_or_else(|| Error::NotOurs {
        path: copy.to_owned(),
        what: "it names no file".to_owned(),
    })?;
    // The folder may be reached by another name.
    let copy = match copy.parent().map(Path::canonicalize) {
        Some(Ok(above)) => above.join(name),
        _ => copy.to_owned(),
    };
    refuse_live(live, &copy)?;
    let own = OwnFolder::find(&rehearsal::own_folder(&copy))?;
    let is_there = refuse_stranger(&copy, own.as_ref())?;
    for at in BESIDE.map(|suffix| with_suffix(&copy, suffix)) {
        // SQLite would take it for a part of the new copy.
        if let (Ok(found), false) = (fs::symlink_metadata(&at), is_there) {
            return Err(Error::NotOurs {
                what: what_it_is(&found).to_owned(),
                path: at,
            });
        }
    }
    Ok(())
}

/// The place must lead to nothing of the live database, by name or by inode.
fn refuse_live(live: &Path, copy: &Path) -> Result<(), Error> {
    let real = live.canonicalize().map_err(|source| Error::Live {
        path: live.to_owned(),
        source,
    })?;
    let mut lives: Vec<(String, PathBuf)> = Vec::new();
    for base in [live, &real] {
        lives.push(("the live file".to_owned(), base.to_owned()));
        lives.extend(BESIDE.map(|suffix| {
            let what = format!("the live file's `{suffix}`");
            (what, with_suffix(base, suffix))
        }));
    }
    let ours = BESIDE.map(|suffix| with_suffix(copy, suffix));
    for place in std::iter::once(&copy.to_owned()).chain(&ours) {
        let found = fs::metadata(place).map(|m| (m.dev(), m.ino())).ok();
        let is_same = |at: &Path| {
            let there = fs::metadata(at).map(|m| (m.dev(), m.ino())).ok();
            at == place || (there.is_some() && there == found)
        };
        if let Some((what, _)) = lives.iter().find(|(_, at)| is_same(at)) {
            return Err(Error::IsLive {
                path: place.clone(),
                what: what.clone(),
            });
        }
    }
    Ok(())
}

/// Whether our former copy is at the place. Anything else there is refused.
fn refuse_stranger(copy: &Path, own: Option<&OwnFolder>) -> Result<bool, Error> {
    let found = match fs::symlink_metadata(copy) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io_error("look at", copy)(error).into()),
    };
    let mark = Mark::of(copy).map_err(io_error("look at", copy))?;
    let what = match own {
        _ if !found.is_file() => what_it_is(&found),
        _ if found.nlink() > 1 => "a file with another name beside this one",
        Some(own) if own.made_beside(&mark) => return Ok(true),
        _ => what_it_is(&found),
    };
    Err(Error::NotOurs {
        path: copy.to_owned(),
        what: what.to_owned(),
    })
}

fn what_it_is(found: &fs::Metadata) -> &'static str {
    match found.file_type() {
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_dir() => "a folder",
        kind if kind.is_file() => "a file that carries no mark of ours",
        _ => "no regular file",
    }
}

/// Makes the copy by SQLite's own backup, while the application goes on writing, in place of the one that an earlier rehearsal made. `stage` is told of every
/// stage and may end it there. Blocks.
///
/// # Errors
/// See [`Error`]. The next call goes on from whatever this one left.
pub fn make(
    live: &Path,
    copy: &Path,
    session: &str,
    cancel: &CancellationToken,
    stage: &mut dyn FnMut(Stage) -> Result<(), Error>,
) -> Result<Made, Error> {
    look(live, copy)?;
    stage(Stage::Looked)?;
    if let Some(above) = copy.parent() {
        fs::create_dir_all(above).map_err(io_error("make", above))?;
    }
    // The folder above may have become reachable only now.
    look(live, copy)?;
    let mut own = OwnFolder::make(&rehearsal::own_folder(copy), session)?;
    stage(Stage::Marked)?;
    if refuse_stranger(copy, Some(&own))? {
        // The copy last: as long as it is there, what is beside it is known to be its.
        for at in BESIDE.map(|suffix| with_suffix(copy, suffix)) {
            remove_if_there(&at)?;
        }
        remove_if_there(copy)?;
    }
    stage(Stage::Removed)?;
    let strangers = own.clear(&|inner| is_of_a_rehearsal(inner, own.sessions()))?;
    stage(Stage::Cleared)?;
    let unfinished = own.path().join(UNFINISHED);
    copy_into(live, &unfinished, cancel)?;
    stage(Stage::Copied)?;
    own.record_beside(Mark::of(&unfinished).map_err(io_error("look at", &unfinished))?)?;
    stage(Stage::Recorded)?;
    place(&unfinished, copy)?;
    stage(Stage::Placed)?;
    Ok(Made {
        folder: own.path().to_owned(),
        strangers,
    })
}

fn copy_into(live: &Path, to: &Path, cancel: &CancellationToken) -> Result<(), Error> {
    backup::take(live, to, &mut |_| {}, cancel)?;
    fs::set_permissions(to, fs::Permissions::from_mode(COPY_MODE))
        .map_err(io_error("set the mode of", to))?;
    remove_if_there(&digest::file_beside(to))?;
    // A backup is laid to rest in one file; the application finds its database as it left it.
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Mode { path, source }
    };
    let mode: String = open_read_only(live)?
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .map_err(fail(live))?;
    rusqlite::Connection::open(to)
        .and_then(|copy| copy.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(())))
        .map_err(fail(to))
}

/// Gives the finished copy its name, where nothing is.
fn place(from: &Path, to: &Path) -> Result<(), Error> {
    match file::rename_new(from, to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Error::NotOurs {
            path: to.to_owned(),
            what: "it came while the copy was made".to_owned(),
        }),
        other => Ok(other.map_err(io_error("write", to))?),
    }
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    Ok(file::remove(path).map_err(io_error("remove", path))?)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether a path within the own folder is one that a rehearsal makes.
fn is_of_a_rehearsal(inner: &Path, sessions: &[String]) -> bool {
    let Some(text) = inner.to_str() else {
        return false;
    };
    let copying = text.strip_prefix(UNFINISHED);
    let of_copying = ["", ".sha256"].iter().chain(&BESIDE);
    let is_copying = copying.is_some_and(|rest| of_copying.into_iter().any(|s| *s == rest));
    match text.split_once('/') {
        None => is_copying || rehearsal::OWN_NAMES.contains(&text) || is_unfinished_backup(text),
        Some((rehearsal::BACKUP | rehearsal::SECOND, name)) => {
            is_unfinished_backup(name) || sessions.iter().any(|s| is_backup_of(name, s))
        }
        Some(_) => false,
    }
}

/// `SESSION-MILLISECONDS.db`, and what is beside it.
fn is_backup_of(name: &str, session: &str) -> bool {
    let rest = name.strip_prefix(session).and_then(|r| r.strip_prefix('-'));
    let Some((number, ending)) = rest.and_then(|r| r.split_once('.')) else {
        return false;
    };
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    is_number && ["db", "db.sha256", "db-wal", "db-shm", "db-journal"].contains(&ending)
}

/// A backup that was cut off with the process that took it.
fn is_unfinished_backup(name: &str) -> bool {
    temporary::is_left(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_rehearsal_makes_is_known() {
        let sessions = ["app-rehearsal-1".to_owned()];
        let known = |text: &str| is_of_a_rehearsal(Path::new(text), &sessions);
        for text in [
            "copying.db",
            "copying.db-wal",
            "maintenance",
            "incident.md",
            "backup",
            "backup/app-rehearsal-1-61000.db",
            "second/app-rehearsal-1-61000.db.sha256",
        ] {
            assert!(known(text), "{text}");
        }
        for text in [
            "copying.db2",
            "app.db",
            "backup/app.db",
            "backup/app-rehearsal-1-x.db",
            "backup/app-rehearsal-12-5.db",
            "third/app-rehearsal-1-61000.db",
            "backup/deep/app-rehearsal-1-61000.db",
        ] {
            assert!(!known(text), "{text}");
        }
    }
}
