//! What can go wrong while looking for, keeping or bringing back rows. Neither database is changed by any of these.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::identity::TargetIdentity;
use crate::parity::{self, server_message};
use crate::text::printable;

/// An error of salvage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Either side cannot be opened, or its schema not be read.
    #[error(transparent)]
    Sides(#[from] parity::Error),
    /// The file to bring rows into cannot be opened.
    #[error(transparent)]
    Source(#[from] crate::sqlite::Error),
    /// PostgreSQL refused a statement or went away.
    #[error("{}: {}", printable(.doing, 200), server_message(.source))]
    Server {
        /// What was being done.
        doing: String,
        source: tokio_postgres::Error,
    },
    /// PostgreSQL said nothing for too long.
    #[error("{}: PostgreSQL said nothing for {seconds} s", printable(.doing, 200))]
    Silent {
        /// What was being done.
        doing: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The server is not the one of the switch, or too much happened since.
    #[error("{0}")]
    NotComparable(String),
    /// The database is not the one of that night, whatever its name.
    #[error(
        "`target.url` leads to another database ({now}) than when the session was opened ({was}): it says nothing of what users wrote that night. \
         Nothing of it was kept or counted, and nothing was changed"
    )]
    AnotherTarget {
        /// What it leads to.
        now: TargetIdentity,
        /// What it led to.
        was: TargetIdentity,
    },
    /// SQLite failed, on whichever file.
    #[error("{}: {source}", printable(.doing, 200))]
    Sqlite {
        /// What was being done.
        doing: String,
        source: rusqlite::Error,
    },
    /// What was found cannot be kept where it is to go.
    #[error("keeping what was found: {source}")]
    NotKept { source: rusqlite::Error },
    /// A file of ours cannot be written or read.
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The file is there and is no salvage file.
    #[error("{} is not a salvage file: {why}", path.display())]
    NotASalvageFile { path: PathBuf, why: String },
    /// A full-text index took too long to be made anew: whoever ends that loses the transaction.
    #[error(
        "the full-text index {} was not made anew within {limit_s} s, and SQLite has taken everything back with it",
        printable(.index, 80)
    )]
    IndexLate {
        index: String,
        /// How long it may take.
        limit_s: u64,
        /// Those that were made anew before it.
        made: BTreeSet<String>,
    },
    /// Somebody cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// Whether there was no room, on whichever disk.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } | Self::NotKept { source } => {
                source.sqlite_error_code() == Some(ErrorCode::DiskFull)
            }
            Self::File { source, .. } => {
                let kinds = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
                kinds.contains(&source.kind())
            }
            Self::Sides(_)
            | Self::Source(_)
            | Self::Server { .. }
            | Self::Silent { .. }
            | Self::NotComparable(_)
            | Self::AnotherTarget { .. }
            | Self::NotASalvageFile { .. }
            | Self::IndexLate { .. }
            | Self::Cancelled => false,
        }
    }

    pub(super) fn sqlite(doing: impl Into<String>) -> impl FnOnce(rusqlite::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Sqlite { doing, source }
    }
}
