//! The two files: opened for reading alone, each as of one moment, and only where the file by itself is all that it holds.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::Error;
use crate::sqlite::schema::{Schema, TextEncoding, quoted};
use crate::sqlite::{open_read_only, stand_in_for_collations};

/// A file that nobody writes to.
pub(super) struct Snapshot {
    /// As it was named.
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) schema: Schema,
}

/// Both files.
pub(super) struct Sides {
    pub(super) older: Snapshot,
    pub(super) newer: Snapshot,
}

impl Sides {
    pub(super) fn open(older: &Path, newer: &Path) -> Result<Self, Error> {
        let sides = Self {
            older: Snapshot::open(older)?,
            newer: Snapshot::open(newer)?,
        };
        match identity(older).is_some_and(|file| identity(newer) == Some(file)) {
            true => Err(Error::SameFile {
                older: older.to_owned(),
                newer: newer.to_owned(),
            }),
            false => Ok(sides),
        }
    }

    /// How text is stored where both files agree; then it is compared as it is stored.
    pub(super) fn stored_as(&self) -> Option<TextEncoding> {
        let (older, newer) = (self.older.schema.encoding, self.newer.schema.encoding);
        (older == newer).then_some(newer)
    }
}

impl Snapshot {
    fn open(path: &Path) -> Result<Self, Error> {
        if let Ok(real) = path.canonicalize() {
            let mut log = real.into_os_string();
            log.push("-wal");
            let log = PathBuf::from(log);
            let log_bytes = log.metadata().map_or(0, |log| log.len());
            if log_bytes > 0 {
                return Err(Error::HasLog {
                    path: path.to_owned(),
                    log,
                    log_bytes,
                });
            }
        }
        let connection = open_read_only(path)?;
        let failed = |source| Error::Read {
            path: path.to_owned(),
            what: "the schema".to_owned(),
            source,
        };
        stand_in_for_collations(&connection).map_err(failed)?;
        // The first statement of the transaction says as of which moment everything is read.
        let begun = connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;");
        begun.map_err(failed)?;
        let schema = Schema::read(&connection).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            schema,
        })
    }

    /// Wraps what SQLite answers when this table is read.
    pub(super) fn failed(&self, table: &str) -> impl Fn(rusqlite::Error) -> Error + use<> {
        let (path, what) = (self.path.clone(), table.to_owned());
        move |source| Error::Read {
            path: path.clone(),
            what: what.clone(),
            source,
        }
    }

    /// How many rows a table has.
    pub(super) fn count(&self, table: &str) -> Result<u64, Error> {
        let sql = format!("SELECT count(*) FROM {} NOT INDEXED", quoted(table));
        let counted = self
            .connection
            .query_row(&sql, [], |row| row.get::<_, i64>(0));
        counted.map(i64::cast_unsigned).map_err(self.failed(table))
    }
}

/// Device and inode.
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = path.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}
