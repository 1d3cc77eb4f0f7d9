//! One table of the backup: its rows by key, in the checker's canonical form and as they are stored.
//!
//! A key that is the rowid is looked up; any other is found through a scratch file of canonical keys, because a key may be spelled
//! in several ways. Memory holds one row.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use tokio_util::sync::CancellationToken;

use super::back::{self, Reverse};
use super::cell::Cell;
use super::error::Error;
use crate::parity::{Canonical, TablePair, Taken};
use crate::postgres::quoted;
use crate::sqlite::schema::{Position, Table};

/// Rows at either end of a table from which forms are learned.
const EXAMPLES: u32 = 300;
/// Longer values teach no spelling.
const EXAMPLE_BYTES: usize = 4096;

/// A table of the backup.
pub(crate) struct BackupTable<'a> {
    connection: &'a Connection,
    pair: &'a TablePair,
    table: &'a Table,
    scratch: Option<Scratch>,
    scratch_folder: &'a Path,
    cancel: CancellationToken,
}

/// A row of the backup.
#[derive(Debug, Clone)]
pub(crate) struct BackupRow {
    /// The values as they are stored, in the pair's order.
    pub(crate) cells: Vec<Cell>,
    /// The canonical form of each column.
    pub(crate) canonical: Vec<Vec<u8>>,
    /// The import left it out on purpose.
    pub(crate) aside: bool,
}

/// Canonical keys on disk.
pub(crate) struct Scratch {
    connection: Connection,
}

impl<'a> BackupTable<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        pair: &'a TablePair,
        table: &'a Table,
        scratch_folder: &'a Path,
        cancel: &CancellationToken,
    ) -> Self {
        Self {
            connection,
            pair,
            table,
            scratch: None,
            scratch_folder,
            cancel: cancel.clone(),
        }
    }

    /// With the keys that were found when the same table was looked at before.
    pub(crate) fn knowing(mut self, keys: Option<Scratch>) -> Self {
        self.scratch = keys;
        self
    }

    /// The keys that were found, for whoever looks at the same table again.
    pub(crate) fn into_keys(self) -> Option<Scratch> {
        self.scratch
    }

    /// Makes ready what [`Self::find`] needs, so that the first call need not read the whole table.
    pub(crate) fn prepare(&mut self) -> Result<(), Error> {
        match self.is_rowid_key() {
            true => Ok(()),
            false => self.index(),
        }
    }

    fn failed(&self) -> impl FnOnce(rusqlite::Error) -> Error + use<> {
        Error::sqlite(format!("reading {} from the backup", self.pair.source))
    }

    /// How many rows PostgreSQL got from here; none where only the rows themselves tell.
    pub(crate) fn imported(&self) -> Result<Option<u64>, Error> {
        let aside = match &self.pair.aside {
            Some(aside) => aside.len() as u64,
            None if self.pair.may_put_aside() => return Ok(None),
            None => 0,
        };
        let sql = format!(
            "SELECT count(*) FROM {} NOT INDEXED",
            quoted(&self.pair.source)
        );
        let rows: i64 = self
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(self.failed())?;
        Ok(Some(rows.unsigned_abs().saturating_sub(aside)))
    }

    /// How the values of each column come back, learned from both ends of the table.
    pub(crate) fn reverses(&self) -> Result<Vec<Reverse>, Error> {
        let columns = self.columns();
        let table = quoted(&self.pair.source);
        let mut ends = vec![format!("SELECT {columns} FROM {table} LIMIT {EXAMPLES}")];
        if let Some(rowid) = self.rowid() {
            ends.push(format!(
                "SELECT {columns} FROM {table} ORDER BY {rowid} DESC LIMIT {EXAMPLES}"
            ));
        }
        let mut examples: Vec<Vec<Cell>> = vec![Vec::new(); self.pair.columns.len()];
        for sql in ends {
            let mut statement = self.connection.prepare(&sql).map_err(self.failed())?;
            let mut rows = statement.query([]).map_err(self.failed())?;
            while let Some(row) = rows.next().map_err(self.failed())? {
                for (at, known) in examples.iter_mut().enumerate() {
                    let value = row.get_ref(at).map_err(self.failed())?;
                    let long = matches!(value, ValueRef::Text(b) | ValueRef::Blob(b) if b.len() > EXAMPLE_BYTES);
                    if !long {
                        known.push(Cell::of(value));
                    }
                }
            }
        }
        let reverse = |(at, examples): (usize, Vec<Cell>)| {
            let column = &self.pair.columns[at];
            let declared = self.table.column(&column.source);
            let declared = declared.map_or("", |place| &self.table.columns[place].declared);
            Reverse::of(&column.rule, declared, &examples)
        };
        Ok(examples.into_iter().enumerate().map(reverse).collect())
    }

    fn columns(&self) -> String {
        let columns = self.pair.columns.iter();
        let columns: Vec<_> = columns.map(|column| quoted(&column.source)).collect();
        columns.join(", ")
    }

    fn rowid(&self) -> Option<String> {
        match &self.table.position {
            Position::Rowid { name, .. } => Some(quoted(name)),
            _ => None,
        }
    }

    /// Whether the import made this value of a row NULL.
    fn is_nulled(&self, row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<bool> {
        let (Some(nulled), Some(_)) = (&self.pair.nulled, self.rowid()) else {
            return Ok(false);
        };
        if nulled.is_empty() {
            return Ok(false);
        }
        let rowid: i64 = row.get(self.pair.columns.len())?;
        let column = &self.pair.columns[at].source;
        Ok(nulled
            .get(&rowid.to_string())
            .is_some_and(|lost| lost.contains(column)))
    }

    /// Whether the key is the rowid itself.
    fn is_rowid_key(&self) -> bool {
        let alias = self.table.rowid_column();
        let alias = alias.map(|place| self.table.columns[place].name.as_str());
        self.pair.key_columns == 1 && alias == Some(self.pair.columns[0].source.as_str())
    }

    /// A row of a statement that asks for [`Self::columns`] and, where there is one, the rowid after them.
    fn row(&self, row: &rusqlite::Row<'_>) -> rusqlite::Result<BackupRow> {
        let (mut cells, mut canonical) = (Vec::new(), Vec::new());
        let mut aside = false;
        for (at, column) in self.pair.columns.iter().enumerate() {
            let cell = Cell::of(row.get_ref(at)?);
            let mut form = Canonical::default();
            let taken = back::canonical(&cell, &column.rule, &mut form);
            aside |= taken == Taken::Quarantined;
            if self.is_nulled(row, at)? {
                form.clear();
                back::canonical(&Cell::of(ValueRef::Null), &column.rule, &mut form);
            }
            canonical.push(form.bytes().to_vec());
            cells.push(cell);
        }
        if let Some(recorded) = &self.pair.aside {
            aside = match self.rowid() {
                Some(_) => {
                    let rowid: i64 = row.get(self.pair.columns.len())?;
                    recorded.contains(&rowid.to_string())
                }
                None => false,
            };
        }
        Ok(BackupRow {
            cells,
            canonical,
            aside,
        })
    }

    fn select(&self) -> String {
        let rowid = self.rowid().map(|rowid| format!(", {rowid}"));
        format!(
            "SELECT {}{} FROM {}",
            self.columns(),
            rowid.unwrap_or_default(),
            quoted(&self.pair.source)
        )
    }

    /// The row of a key in canonical form; `spelled` is the same key as the column's form spells it.
    pub(crate) fn find(
        &mut self,
        key: &[u8],
        spelled: &[Cell],
    ) -> Result<Option<BackupRow>, Error> {
        if self.is_rowid_key() {
            let rowid = self.rowid().unwrap_or_else(|| "rowid".to_owned());
            let sql = format!("{} WHERE {rowid} = ?1", self.select());
            let mut statement = self
                .connection
                .prepare_cached(&sql)
                .map_err(self.failed())?;
            return statement
                .query_row([&spelled[0]], |row| self.row(row))
                .optional()
                .map_err(self.failed());
        }
        self.index()?;
        let place = self
            .scratch
            .as_ref()
            .expect("BUG: the index was just made")
            .place(key)?;
        let Some(place) = place else { return Ok(None) };
        self.at(&place).map(Some)
    }

    /// The row at a place that the scratch file knows.
    fn at(&self, place: &[Cell]) -> Result<BackupRow, Error> {
        let condition = match self.rowid() {
            Some(rowid) => format!("{rowid} = ?1"),
            None => {
                let key = self.table.primary_key.iter().enumerate();
                let parts: Vec<_> = key
                    .map(|(at, column)| {
                        format!(
                            "{} IS ?{}",
                            quoted(&self.table.columns[*column].name),
                            at + 1
                        )
                    })
                    .collect();
                parts.join(" AND ")
            }
        };
        let sql = format!("{} WHERE {condition}", self.select());
        let mut statement = self
            .connection
            .prepare_cached(&sql)
            .map_err(self.failed())?;
        statement
            .query_row(rusqlite::params_from_iter(place), |row| self.row(row))
            .map_err(self.failed())
    }

    /// Canonical key and place of every row, once.
    fn index(&mut self) -> Result<(), Error> {
        if self.scratch.is_some() {
            return Ok(());
        }
        let places: Vec<String> = match self.rowid() {
            Some(rowid) => vec![rowid],
            None => {
                let key = self.table.primary_key.iter();
                key.map(|at| quoted(&self.table.columns[*at].name))
                    .collect()
            }
        };
        if places.is_empty() {
            return Err(Error::NotComparable(format!(
                "{} has neither a rowid that can be named nor a key in SQLite: its rows cannot be told apart",
                self.pair.source
            )));
        }
        let scratch = Scratch::new(self.scratch_folder, places.len())?;
        let sql = format!("{}, {}", self.select_head(), places.join(", "));
        let sql = format!("{sql} FROM {}", quoted(&self.pair.source));
        let mut statement = self.connection.prepare(&sql).map_err(self.failed())?;
        let mut rows = statement.query([]).map_err(self.failed())?;
        let first = statement_width(self);
        while let Some(raw) = rows.next().map_err(self.failed())? {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let row = self.row(raw).map_err(self.failed())?;
            let place: Vec<Cell> = (0..places.len())
                .map(|at| raw.get_ref(first + at).map(Cell::of))
                .collect::<Result<_, _>>()
                .map_err(self.failed())?;
            scratch.add(&self.key_of(&row), &place)?;
        }
        scratch.ready()?;
        self.scratch = Some(scratch);
        Ok(())
    }

    fn select_head(&self) -> String {
        let rowid = self.rowid().map(|rowid| format!(", {rowid}"));
        format!("SELECT {}{}", self.columns(), rowid.unwrap_or_default())
    }

    /// The canonical key; the whole row where the table has none.
    pub(crate) fn key_of(&self, row: &BackupRow) -> Vec<u8> {
        let parts = match self.pair.key_columns {
            0 => row.canonical.len(),
            key => key,
        };
        row.canonical[..parts].concat()
    }

    /// Gives every row that was imported to `each`.
    pub(crate) fn rows(
        &self,
        mut each: impl FnMut(BackupRow) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut statement = self
            .connection
            .prepare(&self.select())
            .map_err(self.failed())?;
        let mut rows = statement.query([]).map_err(self.failed())?;
        while let Some(raw) = rows.next().map_err(self.failed())? {
            let row = self.row(raw).map_err(self.failed())?;
            if !row.aside {
                each(row)?;
            }
        }
        Ok(())
    }
}

/// Columns of [`BackupTable::select_head`].
fn statement_width(table: &BackupTable<'_>) -> usize {
    table.pair.columns.len() + usize::from(table.rowid().is_some())
}

impl Scratch {
    fn new(folder: &Path, places: usize) -> Result<Self, Error> {
        let connection = scratch_file(folder)?;
        let columns: Vec<_> = (0..places).map(|at| format!("p{at}")).collect();
        connection
            .execute_batch(&format!(
                "CREATE TABLE keys (key BLOB NOT NULL, {}); BEGIN",
                columns.join(", ")
            ))
            .map_err(Error::sqlite("the scratch file"))?;
        Ok(Self { connection })
    }

    fn add(&self, key: &[u8], place: &[Cell]) -> Result<(), Error> {
        let marks: Vec<_> = (0..place.len()).map(|at| format!("?{}", at + 2)).collect();
        let sql = format!("INSERT INTO keys VALUES (?1, {})", marks.join(", "));
        let mut insert = self
            .connection
            .prepare_cached(&sql)
            .map_err(Error::sqlite("the scratch file"))?;
        let key = Cell::Blob(key.to_vec());
        let values = std::iter::once(&key).chain(place);
        insert
            .execute(rusqlite::params_from_iter(values))
            .map(drop)
            .map_err(Error::sqlite("the scratch file"))
    }

    fn ready(&self) -> Result<(), Error> {
        self.connection
            .execute_batch("COMMIT; CREATE INDEX by_key ON keys (key)")
            .map_err(Error::sqlite("the scratch file"))
    }

    fn place(&self, key: &[u8]) -> Result<Option<Vec<Cell>>, Error> {
        let look = || -> rusqlite::Result<Option<Vec<Cell>>> {
            let mut statement = self
                .connection
                .prepare_cached("SELECT * FROM keys WHERE key = ?1")?;
            let columns = statement.column_count();
            statement
                .query_row([key], |row| {
                    (1..columns)
                        .map(|at| row.get_ref(at).map(Cell::of))
                        .collect()
                })
                .optional()
        };
        look().map_err(Error::sqlite("the scratch file"))
    }
}

/// A file that is gone by its name at once, so that nobody's end leaves it behind.
pub(super) fn scratch_file(folder: &Path) -> Result<Connection, Error> {
    let file = tempfile::Builder::new()
        .prefix("salvage-")
        .suffix(".scratch")
        .tempfile_in(folder)
        .map_err(|source| Error::File {
            path: folder.to_owned(),
            source,
        })?;
    let connection = Connection::open(file.path()).map_err(Error::sqlite("the scratch file"))?;
    connection
        .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        .map_err(Error::sqlite("the scratch file"))?;
    drop(file);
    Ok(connection)
}

/// A bag of keys on disk: how often each is there.
pub(crate) struct Bag {
    connection: Connection,
}

impl Bag {
    pub(crate) fn new(folder: &Path) -> Result<Self, Error> {
        let connection = scratch_file(folder)?;
        connection
            .execute_batch(
                "CREATE TABLE bag (key BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID; BEGIN",
            )
            .map_err(Error::sqlite("the scratch file"))?;
        Ok(Self { connection })
    }

    pub(crate) fn put(&self, key: &[u8]) -> Result<(), Error> {
        let put = || {
            self.connection
                .prepare_cached(
                    "INSERT INTO bag VALUES (?1, 1) ON CONFLICT DO UPDATE SET n = n + 1",
                )?
                .execute(params![key])
        };
        put().map(drop).map_err(Error::sqlite("the scratch file"))
    }

    /// Takes one out; false where there is none.
    pub(crate) fn take(&self, key: &[u8]) -> Result<bool, Error> {
        let take = || {
            self.connection
                .prepare_cached("UPDATE bag SET n = n - 1 WHERE key = ?1 AND n > 0")?
                .execute(params![key])
        };
        take()
            .map(|changed| changed == 1)
            .map_err(Error::sqlite("the scratch file"))
    }
}
