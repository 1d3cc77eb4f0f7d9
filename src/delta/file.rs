//! The delta file: a SQLite file of ours that says which rows differ. It has its name once it is whole.
//!
//! `tables(id, name, way, why, inserted, updated, deleted)` has a line for each table with a difference. Of a table that is not anew,
//! `rows_<id>(change, old_rowid, new_rowid, k1, k2, …)` has its rows: `change` is `i`, `u` or `d`, `k1` … are the values of the declared key
//! in its order (the new row's, and the old one's where the row went), and rowids are NULL where the table has none.
//!
//! Its text is stored as that of the snapshots, so that a key in it is the key, half a pair of UTF-16 too, and both can be attached to one
//! connection; where they store text each in its own way, it is UTF-8.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, params};
use tempfile::NamedTempFile;

use super::error::Error;
use super::{Change, Changed};
use crate::ours::temporary;
use crate::sqlite::schema::TextEncoding;

/// Of this form; a later one has another number.
const FORM: i64 = 1;

/// A delta file that is not whole yet. Dropped, it is gone.
pub(super) struct Draft {
    file: NamedTempFile,
    /// Its name later.
    into: PathBuf,
}

impl Draft {
    /// An empty one, which stores text so.
    pub(super) fn create(into: &Path, stored_as: Option<TextEncoding>) -> Result<Self, Error> {
        if into.symlink_metadata().is_ok() {
            return Err(Error::AlreadyThere {
                path: into.to_owned(),
            });
        }
        let file = temporary::file_in(folder_of(into)).map_err(|source| Error::File {
            path: into.to_owned(),
            source,
        })?;
        let draft = Self {
            file,
            into: into.to_owned(),
        };
        let encoding = match stored_as {
            Some(TextEncoding::Utf16Le) => "UTF-16le",
            Some(TextEncoding::Utf16Be) => "UTF-16be",
            Some(TextEncoding::Utf8) | None => "UTF-8",
        };
        let sql = format!(
            "PRAGMA encoding = '{encoding}'; {PREPARED} PRAGMA user_version = {FORM};
             CREATE TABLE tables (id INTEGER PRIMARY KEY, name TEXT NOT NULL, way TEXT NOT NULL, why TEXT, inserted INTEGER NOT NULL,
                 updated INTEGER NOT NULL, deleted INTEGER NOT NULL);"
        );
        let connection = Connection::open(draft.file.path());
        let made = connection.and_then(|connection| connection.execute_batch(&sql));
        made.map_err(draft.failed())?;
        Ok(draft)
    }

    /// Wraps what SQLite answers when the draft, or what is remembered beside it, is written.
    pub(super) fn failed(&self) -> impl Fn(rusqlite::Error) -> Error + use<> {
        let path = self.into.clone();
        move |source| match source.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Error::Cancelled,
            _ => Error::Write {
                path: path.clone(),
                source,
            },
        }
    }

    /// A connection of its own: its temporary tables go with it.
    pub(super) fn connect(&self) -> Result<Connection, Error> {
        let connection = Connection::open(self.file.path());
        let connection = connection.and_then(|connection| {
            connection.execute_batch(PREPARED)?;
            Ok(connection)
        });
        connection.map_err(self.failed())
    }

    /// Notes a table that is another as a whole.
    pub(super) fn anew(&self, changed: &Changed) -> Result<(), Error> {
        note(&self.connect()?, changed).map_err(self.failed())
    }

    /// Gives it its name, where nothing is.
    pub(super) fn publish(self) -> Result<(), Error> {
        let Self { file, into } = self;
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AlreadyExists => Error::AlreadyThere { path: into.clone() },
            _ => Error::File {
                path: into.clone(),
                source,
            },
        };
        file.as_file().sync_all().map_err(failed)?;
        let named = file.persist_noclobber(&into);
        named.map_err(|refused| failed(refused.error))?;
        let folder = std::fs::File::open(folder_of(&into));
        folder.and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

/// What makes writing fast: nobody reads the file before it is whole, and after a crash it is thrown away. A transaction of the file itself can
/// be taken back.
const PREPARED: &str = "PRAGMA temp_store = FILE; PRAGMA temp.journal_mode = OFF; PRAGMA main.journal_mode = MEMORY; PRAGMA main.synchronous = OFF;";

/// Makes the table for the rows of a table whose key has so many columns.
pub(super) fn make_rows(connection: &Connection, id: i64, keys: usize) -> rusqlite::Result<()> {
    let keys: String = (1..=keys).map(|number| format!(", k{number}")).collect();
    connection.execute_batch(&format!(
        "CREATE TABLE rows_{id} (change TEXT NOT NULL CHECK (change IN ('i', 'u', 'd')), old_rowid INTEGER, new_rowid INTEGER{keys})"
    ))
}

/// How many rows came, stayed and are otherwise, and went.
pub(super) fn count(connection: &Connection, id: i64) -> rusqlite::Result<[u64; 3]> {
    let sql = format!("SELECT count(*) FROM rows_{id} WHERE change = ?1");
    let mut statement = connection.prepare(&sql)?;
    let mut counts = [0; 3];
    for (count, change) in counts.iter_mut().zip(Change::ALL) {
        let counted: i64 = statement.query_row([change.letter()], |row| row.get(0))?;
        *count = counted.cast_unsigned();
    }
    Ok(counts)
}

/// Notes a table.
pub(super) fn note(connection: &Connection, changed: &Changed) -> rusqlite::Result<()> {
    let Changed {
        id,
        table,
        way,
        inserted,
        updated,
        deleted,
    } = changed;
    connection.execute(
        "INSERT INTO tables VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            id,
            table,
            way.word(),
            way.why(),
            inserted.cast_signed(),
            updated.cast_signed(),
            deleted.cast_signed()
        ],
    )?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}
