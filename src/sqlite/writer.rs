//! The connection through which a rollback writes rows into the application's file: it holds the write lock from before the first look until the
//! commit, and on it nothing follows from a row that is written (no trigger fires, no foreign key cascades).
//!
//! It is the fence's own connection, with the transaction that keeps writers out, or one of its own where no fence is held. Not in here: which
//! rows, and whether to commit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::error::Error;
use super::fence::{Fence, Held};
use super::open::open_read_write_within;

/// A write transaction that is open. Dropping it takes everything back, as [`Writer::undo`] does.
pub struct Writer {
    /// Declared, and so dropped, before `held`.
    connection: Connection,
    held: Option<Held>,
    path: PathBuf,
}

impl Writer {
    /// The fence's transaction, in which nobody else has written since the fence was raised. The fence is over with it: after the commit, or
    /// what was done is undone, others may write.
    ///
    /// # Errors
    /// The lock was lost and cannot be taken again, or SQLite refuses the settings; the fence is gone then.
    pub fn of(fence: Fence, busy_limit: Duration) -> Result<Self, Error> {
        let (connection, held, path) = fence.into_parts();
        let writer = Self::quiet(connection, Some(held), path, busy_limit)?;
        match writer.connection.is_autocommit() {
            true => writer.begun(),
            false => Ok(writer),
        }
    }

    /// A transaction of its own; waits so long for other writers.
    ///
    /// # Errors
    /// The file cannot be opened, or somebody else keeps the write lock.
    pub fn begin(path: &Path, busy_limit: Duration) -> Result<Self, Error> {
        let connection = open_read_write_within(path, busy_limit)?;
        Self::quiet(connection, None, path.to_path_buf(), busy_limit)?.begun()
    }

    fn begun(self) -> Result<Self, Error> {
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
        begun.map_err(|source| self.failed("lock", source))?;
        Ok(self)
    }

    fn quiet(
        connection: Connection,
        held: Option<Held>,
        path: PathBuf,
        busy_limit: Duration,
    ) -> Result<Self, Error> {
        let writer = Self {
            connection,
            held,
            path,
        };
        let set = || -> rusqlite::Result<()> {
            let connection = &writer.connection;
            connection.busy_timeout(busy_limit)?;
            // Unlike the pragma, this works within a transaction too.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
            Ok(())
        };
        set().map_err(|source| writer.failed("prepare", source))?;
        Ok(writer)
    }

    /// Begins anew, where SQLite has taken everything back by itself: what others have written since is there then. Waits for them as at first.
    ///
    /// # Errors
    /// Somebody else keeps the write lock.
    pub fn again(self) -> Result<Self, Error> {
        if !self.connection.is_autocommit() {
            let undone = self.connection.execute_batch("ROLLBACK");
            undone.map_err(|source| self.failed("undo", source))?;
        }
        self.begun()
    }

    /// To read and write through.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Keeps what was done.
    ///
    /// # Errors
    /// The disk is full, or a reader kept the file for too long: everything is taken back then.
    pub fn commit(self) -> Result<(), Error> {
        let done = self.connection.execute_batch("COMMIT");
        done.map_err(|source| self.failed("commit to", source))
    }

    /// Takes everything back. Where that fails in order, it ends with the connection all the same.
    pub fn undo(self) {
        if let Err(error) = self.connection.execute_batch("ROLLBACK") {
            tracing::debug!(%error, fenced = self.held.is_some(), "the transaction had ended before");
        }
    }

    fn failed(&self, doing: &'static str, source: rusqlite::Error) -> Error {
        Error::Sqlite {
            doing,
            path: self.path.clone(),
            source,
        }
    }
}
