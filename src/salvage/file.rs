//! The salvage file: a SQLite database with the rows that a rollback left behind in PostgreSQL.
//!
//! The application's own tables hold the rows as SQLite would have them, for anybody with any tool. Beside them tables of ours
//! hold everything: each row with its operation and key, each value as it would be, as the backup has it and as PostgreSQL writes it.
//! The file gets its name only once it is whole, and its owner alone may read it. What it lacks stands in it.

mod against;
mod read;

pub(super) use read::take_in;
pub use read::{Choice, Salvaged, SalvagedRow, SalvagedValue, Staying};

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params, params_from_iter};

use super::cell::Cell;
use super::error::Error;
use super::search::{Problem, Row, Sink};
use super::{Operation, TableCost};
use crate::ours::{file, temporary};
use crate::postgres::quoted;
use against::Before;

/// How the file is called, in the session's folder.
pub const NAME: &str = "salvage.db";
/// The name of the one before, in whose place another attempt's came.
pub const BEFORE: &str = "salvage.before.db";
/// `PRAGMA application_id`: says what kind of SQLite file this is.
const APPLICATION_ID: i32 = 0x6375_7473;

const SCHEMA: &str = "
CREATE TABLE cutover_salvage (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cutover_tables (name TEXT PRIMARY KEY, target TEXT NOT NULL, inserted INTEGER NOT NULL, changed INTEGER NOT NULL,
    deleted INTEGER NOT NULL, rewritten INTEGER NOT NULL, key_columns TEXT NOT NULL, lacks TEXT) WITHOUT ROWID;
CREATE TABLE cutover_rows (row INTEGER PRIMARY KEY, table_name TEXT NOT NULL, operation TEXT NOT NULL, key TEXT NOT NULL);
CREATE INDEX cutover_rows_by_table ON cutover_rows (table_name, operation);
CREATE TABLE cutover_values (row INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, is_key INTEGER NOT NULL,
    changed INTEGER NOT NULL, new, was, target TEXT, problem TEXT, PRIMARY KEY (row, place)) WITHOUT ROWID;
CREATE TABLE cutover_applied (row INTEGER NOT NULL, file TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (row, file)) WITHOUT ROWID;
CREATE TABLE cutover_staying (row INTEGER PRIMARY KEY, reason TEXT NOT NULL, why TEXT NOT NULL);
";

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The session that was rolled back.
    pub session: String,
    /// The application's file.
    pub source: PathBuf,
    /// The backup that rows were compared with, and its checksum.
    pub backup: PathBuf,
    pub backup_sha256: String,
    /// The snapshot of `F1`.
    pub snapshot: String,
    /// When the file was made, RFC 3339.
    pub made: String,
}

impl About {
    fn pairs(&self) -> [(&'static str, String); 6] {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("session", self.session.clone()),
            ("source", path(&self.source)),
            ("backup", path(&self.backup)),
            ("backup_sha256", self.backup_sha256.clone()),
            ("snapshot", self.snapshot.clone()),
            ("made", self.made.clone()),
        ]
    }
}

/// Writes a salvage file. Dropped before [`Writer::finish`], it leaves nothing behind.
pub struct Writer {
    connection: Option<Connection>,
    partial: PathBuf,
    path: PathBuf,
    is_published: bool,
    /// The file whose place it takes.
    before: Option<Before>,
    /// `CREATE TABLE` by table, of the application's own.
    schemas: Vec<(String, String)>,
    /// The table whose rows are being written, and whether the application's table took all of them.
    current: Option<Current>,
    next_row: i64,
}

struct Current {
    table: String,
    key_columns: Vec<String>,
    own: bool,
    refused: u64,
}

impl Writer {
    /// Begins a file under a temporary name beside `path`, with the application's schema out of the backup.
    ///
    /// # Errors
    /// The folder cannot be written, or the backup not be read.
    pub fn create(path: &Path, about: &About) -> Result<Self, Error> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let partial = folder.unwrap_or(Path::new(".")).join(temporary::name());
        let file_error = |source| Error::File {
            path: partial.clone(),
            source,
        };
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .map_err(file_error)?;
        let begin = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&partial)?;
            // A file that is not whole is thrown away, so nothing needs to be rolled back on disk.
            connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.execute_batch(SCHEMA)?;
            let mut insert = connection.prepare("INSERT INTO cutover_salvage VALUES (?1, ?2)")?;
            for (name, value) in about.pairs() {
                insert.execute(params![name, value])?;
            }
            drop(insert);
            connection.execute_batch("BEGIN")?;
            Ok(connection)
        };
        let begun = begin().map_err(Error::sqlite(format!("{}", partial.display())));
        let connection = begun.inspect_err(|_| drop(file::remove(&partial)))?;
        let mut writer = Self {
            connection: Some(connection),
            partial,
            path: path.to_owned(),
            is_published: false,
            before: None,
            schemas: Vec::new(),
            current: None,
            next_row: 1,
        };
        writer.schemas = schemas(&about.backup)?;
        Ok(writer)
    }

    fn connection(&self) -> &Connection {
        self.connection
            .as_ref()
            .expect("BUG: a writer has its connection until it ends")
    }

    fn failed(&self) -> impl FnOnce(rusqlite::Error) -> Error + use<> {
        Error::sqlite(format!("writing {}", self.partial.display()))
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// The disk is full, or the folder gone.
    pub fn finish(self) -> Result<PathBuf, Error> {
        self.publish(None)
    }

    /// The same where one of the same session has the name already: that one is called `before` from then on, where
    /// there may be none yet. What was brought in of it counts as brought in of this one.
    ///
    /// # Errors
    /// As [`Self::finish`]; also where the file before cannot be read.
    pub fn finish_instead(self, before: &Path) -> Result<PathBuf, Error> {
        self.publish(Some(before))
    }

    fn publish(mut self, before: Option<&Path>) -> Result<PathBuf, Error> {
        drop(self.before.take());
        let end = |connection: &Connection| {
            connection.execute_batch("COMMIT; PRAGMA synchronous = FULL; PRAGMA user_version = 1")
        };
        end(self.connection()).map_err(self.failed())?;
        if let Some(connection) = self.connection.take() {
            connection
                .close()
                .map_err(|(_, error)| error)
                .map_err(self.failed())?;
        }
        if before.is_some() {
            // Before it has its name: whoever brings rows in goes by what is noted.
            Salvaged::open(&self.partial)?.note_as_in(&self.path)?;
        }
        let publish = || {
            let whole = std::fs::File::open(&self.partial)?;
            whole.set_permissions(std::fs::Permissions::from_mode(0o600))?;
            whole.sync_all()?;
            match before {
                Some(before) => file::rename_instead(&self.partial, &self.path, before)?,
                None => file::rename_new(&self.partial, &self.path)?,
            }
            let folder = self.path.parent().unwrap_or(Path::new("."));
            std::fs::File::open(folder)?.sync_all()
        };
        publish().map_err(|source| Error::File {
            path: self.path.clone(),
            source,
        })?;
        self.is_published = true;
        Ok(self.path.clone())
    }

    /// Begins a table with its first row.
    fn begin(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        self.connection().execute_batch("SAVEPOINT one_table")?;
        let own = self.schemas.iter().find(|(name, _)| name == row.table);
        let own = own.is_some_and(|(_, sql)| self.connection().execute_batch(sql).is_ok());
        let keys = row.columns.iter().take(row.key.len());
        self.current = Some(Current {
            table: row.table.to_owned(),
            key_columns: keys.map(|column| column.name.to_owned()).collect(),
            own,
            refused: 0,
        });
        Ok(())
    }

    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        if self.current.is_none() {
            self.begin(row)?;
        }
        let number = self.next_row;
        self.next_row += 1;
        let connection = self.connection();
        let key: Vec<_> = row.key.iter().map(Cell::json).collect();
        connection
            .prepare_cached("INSERT INTO cutover_rows VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                number,
                row.table,
                row.operation.word(),
                serde_json::Value::from(key).to_string()
            ])?;
        let mut insert = connection.prepare_cached(
            "INSERT INTO cutover_values VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for (place, column) in row.columns.iter().enumerate() {
            insert.execute(params![
                number,
                place as i64,
                column.name,
                place < row.key.len(),
                column.changed,
                column.new,
                column.was,
                column.target,
                column.problem.map(Problem::word)
            ])?;
        }
        drop(insert);
        if row.operation == Operation::Deleted {
            return Ok(());
        }
        let names: Vec<_> = row.columns.iter().map(|c| quoted(c.name)).collect();
        let marks: Vec<_> = (1..=names.len()).map(|at| format!("?{at}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            quoted(row.table),
            names.join(", "),
            marks.join(", ")
        );
        let own = self.current.as_ref().is_some_and(|current| current.own);
        let taken = own
            && connection
                .prepare_cached(&sql)
                .and_then(|mut insert| {
                    insert.execute(params_from_iter(row.columns.iter().map(|c| &c.new)))
                })
                .is_ok();
        if let Some(current) = self.current.as_mut().filter(|_| !taken) {
            current.refused += 1;
        }
        Ok(())
    }

    fn end_table(&mut self, cost: &TableCost) -> rusqlite::Result<()> {
        let current = self.current.take();
        let connection = self.connection();
        let mut lacks = cost.lacks.clone();
        let mut keys = Vec::new();
        if let Some(current) = current {
            assert_eq!(
                current.table, cost.table,
                "BUG: tables come one after the other"
            );
            // Half a table would be taken for a whole one.
            let end = match cost.broke_off {
                true => "ROLLBACK TO one_table; RELEASE one_table",
                false => "RELEASE one_table",
            };
            connection.execute_batch(end)?;
            if current.refused > 0 && !cost.broke_off {
                let refused = format!(
                    "{} rows do not fit the application's own table here; they are in cutover_values alone",
                    current.refused
                );
                lacks = Some(match lacks {
                    Some(before) => format!("{before}; {refused}"),
                    None => refused,
                });
            }
            keys = current.key_columns;
        }
        let counted = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let keys = serde_json::Value::from(keys).to_string();
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO cutover_tables VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                cost.table,
                cost.target,
                counted(cost.inserted),
                counted(cost.changed),
                counted(cost.deleted),
                counted(cost.rewritten),
                keys,
                lacks
            ])
            .map(drop)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.connection.take());
        if !self.is_published {
            let _ = file::remove(&self.partial);
        }
    }
}

impl Sink for Writer {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Error> {
        self.add(row).map_err(self.failed())
    }

    fn table(&mut self, cost: &TableCost) -> Result<(), Error> {
        let mut cost = cost.clone();
        if cost.lacks.is_none() {
            self.tell_against(&mut cost)?;
        }
        self.end_table(&cost).map_err(self.failed())
    }
}

/// The application's own tables as they were declared.
fn schemas(backup: &Path) -> Result<Vec<(String, String)>, Error> {
    let connection = crate::sqlite::open_read_only(backup)?;
    let read = || -> rusqlite::Result<Vec<(String, String)>> {
        let mut statement = connection.prepare(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql IS NOT NULL",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    };
    read().map_err(Error::sqlite(format!("reading {}", backup.display())))
}
