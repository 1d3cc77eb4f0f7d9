//! What is left of a table once equal rows have vanished, and what that comes to. It is kept in a temporary table of SQLite's with keys and
//! digests, so that memory does not grow with it; where the key is the rowid, it goes into the delta file as it is met.

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::cell::Cell;
use super::reader::Row;
use crate::delta::error::Error;
use crate::delta::file::{self, Draft};
use crate::delta::snapshot::Sides;
use crate::delta::{Change, Changed, Way};
use crate::sqlite::schema::{Position, Table};

/// Steps of SQLite's between two looks whether to stop: sorting what is left may take long.
const STEPS_BETWEEN_LOOKS: i32 = 100_000;

/// Which file a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Older = 0,
    Newer = 1,
}

/// What is left of a table.
pub(super) struct Left<'d> {
    draft: &'d Draft,
    id: i64,
    table: &'d Table,
    /// The declared key is the rowid: rows that meet under it are rows of one key.
    is_key_rowid: bool,
    /// Made with the first row that is left; within a transaction from then on.
    connection: Option<Connection>,
    stop: &'d CancellationToken,
}

impl<'d> Left<'d> {
    pub(super) fn new(
        draft: &'d Draft,
        id: i64,
        table: &'d Table,
        stop: &'d CancellationToken,
    ) -> Self {
        Self {
            draft,
            id,
            table,
            is_key_rowid: matches!(table.position, Position::Rowid { alias: Some(_), .. }),
            connection: None,
            stop,
        }
    }

    /// A row that the other side does not have at this place.
    pub(super) fn alone(&mut self, side: Side, row: &Row<'_>) -> Result<(), Error> {
        if !self.is_key_rowid {
            return self.remember(side, row);
        }
        match side {
            Side::Older => self.found(Change::Deleted, row.rowid(), None),
            Side::Newer => self.found(Change::Inserted, None, row.rowid()),
        }
    }

    /// Two rows that meet at a place and are not equal.
    pub(super) fn both(&mut self, older: &Row<'_>, newer: &Row<'_>) -> Result<(), Error> {
        if self.is_key_rowid {
            return self.found(Change::Updated, older.rowid(), newer.rowid());
        }
        self.remember(Side::Older, older)?;
        self.remember(Side::Newer, newer)
    }

    /// Writes what is known already.
    fn found(&mut self, change: Change, old: Option<i64>, new: Option<i64>) -> Result<(), Error> {
        let sql = format!("INSERT INTO rows_{} VALUES (?1, ?2, ?3, ?4)", self.id);
        let failed = self.draft.failed();
        let written = self
            .connection()?
            .prepare_cached(&sql)
            .and_then(|mut insert| insert.execute((change.letter(), old, new, new.or(old))));
        written.map(|_| ()).map_err(failed)
    }

    fn remember(&mut self, side: Side, row: &Row<'_>) -> Result<(), Error> {
        let keys = self.keys();
        let names: String = (1..=keys).map(|key| format!(", k{key}, t{key}")).collect();
        let places: String = (5..5 + 2 * keys).map(|at| format!(", ?{at}")).collect();
        let sql = format!(
            "INSERT INTO temp.left_over (side, rid, digest, key{names}) VALUES (?1, ?2, ?3, ?4{places})"
        );
        let failed = self.draft.failed();
        let connection = self.connection()?;
        let write = || -> rusqlite::Result<()> {
            let mut insert = connection.prepare_cached(&sql)?;
            insert.raw_bind_parameter(1, side as i64)?;
            insert.raw_bind_parameter(2, row.rowid())?;
            insert.raw_bind_parameter(3, row.digest())?;
            let (mut name, mut is_whole) = (Vec::new(), keys > 0);
            for (key, cell) in row.key().enumerate() {
                is_whole &= cell != Cell::Null;
                cell.put(|bytes| name.extend_from_slice(bytes));
                // A text goes in as its bytes and comes out as text: what is bound as text is taken for UTF-8.
                insert.raw_bind_parameter(5 + 2 * key, cell.bytes_parameter())?;
                insert.raw_bind_parameter(6 + 2 * key, cell.is_text())?;
            }
            insert.raw_bind_parameter(4, is_whole.then_some(name))?;
            insert.raw_execute()?;
            Ok(())
        };
        write().map_err(failed)
    }

    fn keys(&self) -> usize {
        self.table.primary_key.len()
    }

    fn connection(&mut self) -> Result<&Connection, Error> {
        if self.connection.is_none() {
            let mut connection = self.draft.connect()?;
            let stop = self.stop.clone();
            connection
                .progress_handler(STEPS_BETWEEN_LOOKS, Some(move || stop.is_cancelled()))
                .and_then(|()| self.begin(&connection))
                .map_err(self.draft.failed())?;
            self.connection = Some(connection);
        }
        Ok(self
            .connection
            .as_ref()
            .expect("BUG: the connection was made above"))
    }

    fn begin(&self, connection: &Connection) -> rusqlite::Result<()> {
        if self.is_key_rowid {
            connection.execute_batch("BEGIN")?;
            return file::make_rows(connection, self.id, self.keys());
        }
        let keys: String = (1..=self.keys())
            .map(|key| format!(", k{key}, t{key}"))
            .collect();
        connection.execute_batch(&format!(
            "CREATE TEMP TABLE left_over (at INTEGER PRIMARY KEY, side INTEGER NOT NULL, rid INTEGER, digest BLOB NOT NULL, key BLOB{keys});
             BEGIN"
        ))
    }

    /// What all of it comes to; nothing, where every row has found its like.
    pub(super) fn settle(mut self, sides: &Sides) -> Result<Option<Changed>, Error> {
        let Some(connection) = self.connection.take() else {
            return Ok(None);
        };
        let failed = self.draft.failed();
        if !self.is_key_rowid {
            self.pair(&connection).map_err(&failed)?;
        }
        let [inserted, updated, deleted] = file::count(&connection, self.id).map_err(&failed)?;
        let mut changed = Changed {
            id: self.id,
            table: self.table.name.clone(),
            way: Way::of(self.table),
            inserted,
            updated,
            deleted,
        };
        if inserted + updated + deleted == 0 {
            connection.execute_batch("ROLLBACK").map_err(&failed)?;
            return Ok(None);
        }
        if let Way::Anew(_) = changed.way {
            connection.execute_batch("ROLLBACK").map_err(&failed)?;
            changed.updated = 0;
            changed.inserted = sides.newer.count(&changed.table)?;
            changed.deleted = sides.older.count(&changed.table)?;
            self.draft.anew(&changed)?;
            return Ok(Some(changed));
        }
        let noted = file::note(&connection, &changed);
        noted
            .and_then(|()| connection.execute_batch("COMMIT"))
            .map_err(&failed)?;
        Ok(Some(changed))
    }

    /// Begins a transaction in which the table's rows are in the delta file. The n-th of equal rows cancels the n-th on the other side; of what is
    /// left then, the n-th of a key (it has one, unless an index lies) is paired with the n-th.
    fn pair(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute_batch("COMMIT; BEGIN")?;
        file::make_rows(connection, self.id, self.keys())?;
        let numbers = 1..=self.keys();
        let keys: String = numbers
            .clone()
            .map(|key| format!(", k{key}, t{key}"))
            .collect();
        let values: String = numbers
            .map(|key| format!(", CASE WHEN t{key} THEN CAST(k{key} AS TEXT) ELSE k{key} END"))
            .collect();
        let sql = format!(
            "INSERT INTO main.rows_{id}
             WITH numbered AS (SELECT *, row_number() OVER (PARTITION BY digest, side ORDER BY at) AS n FROM temp.left_over),
               rest AS (SELECT at, side, rid, key{keys} FROM numbered GROUP BY digest, n HAVING count(*) = 1),
               paired AS (SELECT *, row_number() OVER (PARTITION BY key, side ORDER BY at) AS m FROM rest)
             SELECT CASE WHEN count(*) = 2 THEN 'u' WHEN max(side) = 0 THEN 'd' ELSE 'i' END,
               max(CASE side WHEN 0 THEN rid END), max(CASE side WHEN 1 THEN rid END){values}
             FROM paired GROUP BY key, CASE WHEN key IS NULL THEN -at ELSE m END ORDER BY min(at)",
            id = self.id
        );
        connection.execute(&sql, [])?;
        Ok(())
    }
}
