//! What can go wrong while what users write is kept. PostgreSQL and the application's SQLite file are changed by none of these.

use std::io;
use std::path::PathBuf;

use crate::salvage;
use crate::text::printable;

/// An error of the feed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL or the backup cannot be read. What was kept before stays kept.
    #[error(transparent)]
    Salvage(#[from] salvage::Error),
    /// The live file may not be used, or cannot be made.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// SQLite cannot read or write the live file. What it held before it holds still.
    #[error("{}: {source}", printable(.doing, 200))]
    Sqlite {
        /// What was being done.
        doing: String,
        source: rusqlite::Error,
    },
    /// Something else lies where the live file should.
    #[error(
        "{} is not the live file of this session: {}. It was left as it is; PostgreSQL still has everything that users wrote, and \
         `cutover salvage make` finds it there",
        path.display(),
        printable(.why, 200)
    )]
    NotOurs { path: PathBuf, why: String },
    /// The thread that did the work died.
    #[error("the thread that keeps what users write died: {0}. What was kept before stays kept")]
    Died(String),
}

impl Error {
    pub(super) fn sqlite(doing: impl Into<String>) -> impl FnOnce(rusqlite::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Sqlite { doing, source }
    }
}
