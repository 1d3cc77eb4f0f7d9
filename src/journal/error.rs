//! What can go wrong with a journal, by class.

use std::io;
use std::path::{Path, PathBuf};

use super::canonical::FORMAT;
use super::chain::Damage;

/// Why the journal could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chain or its head does not verify. Nothing is resumed from it.
    #[error(
        "the journal {} has been damaged or changed: {damage}. Nothing was done because of it, and what was done before it is not undone. Do not resume from it: keep the folder as evidence, and begin a new session once you know what happened", path.display()
    )]
    Damaged {
        path: PathBuf,
        /// The first place where it does not verify, and how.
        damage: Damage,
    },
    /// There is no journal in the folder.
    #[error("there is no journal at {}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is there and is not a journal of ours.
    #[error("{} is not a cutover journal: {why}", path.display())]
    NotAJournal {
        path: PathBuf,
        /// What it is instead, as far as can be told.
        why: String,
    },
    /// Written by a later cutover.
    #[error("the journal {} has format {found}; this cutover knows formats up to {FORMAT}: use the version that wrote it", path.display())]
    Newer { path: PathBuf, found: i64 },
    /// Another engine has taken the lease since; this one must stop.
    #[error(
        "this engine holds lease {mine}, but lease {current} has been taken since: another engine runs this session now. Nothing was written; this engine must stop"
    )]
    Fenced {
        /// The number this engine writes under.
        mine: u64,
        /// The number that counts.
        current: u64,
    },
    /// The disk did not confirm a write. What reached it is unknown, so this process writes nothing more.
    #[error(
        "the disk did not confirm a write to {}: {why}. Whether the last event is on it is unknown; this engine writes nothing more. Check the disk, then start the engine again: it looks at what is really there", path.display()
    )]
    Poisoned {
        path: PathBuf,
        /// What the operating system or SQLite said, the first time.
        why: String,
    },
    /// No room for the journal. Nothing was written; the same write may be tried again once there is room.
    #[error("no room on the disk that holds {}: nothing was written; free some space and try again", path.display())]
    DiskFull { path: PathBuf },
    /// The disk of the spare folder does not answer, and events of this session may lie there.
    #[error(
        "{}: the disk of the spare folder does not answer, and events for which the session's disk had no room may lie there. Nothing was \
         done. Bring that disk back, or name another folder for this session (`cutover run --spare DIR`) if you know that nothing lies there; \
         `cutover report --sheet --out DIR` says how to roll back by hand", path.display()
    )]
    SpareSilent { path: PathBuf },
    /// An event that the journal does not take.
    #[error("the event “{kind}” was not written: {why}")]
    Entry {
        kind: String,
        /// What is wrong with it.
        why: String,
    },
    /// An artefact that is not there, or no longer what its name says.
    #[error("the artefact {name}: {why}")]
    Artefact {
        /// Its hash or name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file operation failed.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// SQLite failed in a way that says nothing about durability (busy, memory, a statement of ours).
    #[error("cannot {what} {}: {source}", path.display())]
    Sqlite {
        /// What was tried, as a verb.
        what: &'static str,
        path: PathBuf,
        source: rusqlite::Error,
    },
}

impl Error {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { what, path, source },
        }
    }

    pub(super) fn sqlite(what: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(rusqlite::ErrorCode::NotADatabase) => Self::NotAJournal {
                path,
                why: "it is not a SQLite file".to_owned(),
            },
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                damage: Damage::File {
                    why: source.to_string(),
                },
            },
            _ => Self::Sqlite { what, path, source },
        }
    }

    /// Whether the outcome of a write that failed so is unknown, so that the writer may not go on.
    pub(super) fn is_unconfirmed_write(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Damaged { .. } | Self::Poisoned { .. } => true,
            Self::Sqlite { source, .. } => {
                source.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure)
            }
            Self::Missing { .. }
            | Self::NotAJournal { .. }
            | Self::Newer { .. }
            | Self::Fenced { .. }
            | Self::DiskFull { .. }
            | Self::SpareSilent { .. }
            | Self::Entry { .. }
            | Self::Artefact { .. } => false,
        }
    }
}
