//! Why two files were not compared. None of these changes either of them.

use std::path::PathBuf;

use crate::text::printable;

/// Why a comparison did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened.
    #[error(transparent)]
    Source(#[from] crate::sqlite::Error),
    /// Both names are of one file.
    #[error("{older} and {newer} are the same file. Name two snapshots, the older one first", older = older.display(), newer = newer.display())]
    SameFile {
        /// As named.
        older: PathBuf,
        /// As named.
        newer: PathBuf,
    },
    /// It is no snapshot: the file alone is not what it holds.
    #[error("{path} is no snapshot: {log} beside it holds {log_bytes} bytes, so that somebody writes to it or died while writing. Take a copy with `sqlite3 FILE \".backup COPY\"` and name that", path = path.display(), log = log.display())]
    HasLog {
        /// The file.
        path: PathBuf,
        /// Its write-ahead log.
        log: PathBuf,
        /// How much that holds.
        log_bytes: u64,
    },
    /// SQLite failed while a table or the schema was read.
    #[error("reading {} of {path}: {source}. Check the file with `PRAGMA integrity_check`", printable(.what, 80), path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The table, or the schema.
        what: String,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// Neither file has a table of that name.
    #[error("there is no table {} in either file. Name it as SQLite has it, letter case included", printable(.table, 80))]
    Unknown {
        /// The name.
        table: String,
    },
    /// A delta file is never overwritten.
    #[error("{path} is already there and is never overwritten. Name another file", path = path.display())]
    AlreadyThere {
        /// Where the delta was to be written.
        path: PathBuf,
    },
    /// The delta file cannot be made.
    #[error("cannot write {path}: {source}", path = path.display())]
    File {
        /// Where the delta was to be written.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite cannot write the delta, or what has to be remembered on the way.
    #[error("SQLite cannot write {path}, or its temporary files: {source}. Nothing was left there; is one of the disks full?", path = path.display())]
    Write {
        /// Where the delta was to be written.
        path: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// Asked to stop.
    #[error("cancelled; nothing was written")]
    Cancelled,
}
