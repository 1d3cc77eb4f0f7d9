//! What has to be remembered of rows while they are brought in, in a scratch file beside the salvage file: which wait for others, which were taken
//! out to be put back, which stay and why, by what others would mean those that stay, which references point nowhere. Memory holds one row.
//!
//! Not in here: what follows from any of it (`whole`).

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{Left, Reason};
use crate::ours::statements::delete_sqlite_rows;
use crate::salvage::backup::scratch_file;
use crate::salvage::cell::Cell;
use crate::salvage::error::Error;
use crate::salvage::file::SalvagedRow;

const SCHEMA: &str = "
CREATE TABLE waiting (row INTEGER PRIMARY KEY, why TEXT NOT NULL);
CREATE TABLE staying (row INTEGER PRIMARY KEY, name TEXT NOT NULL, operation TEXT NOT NULL, has_key INTEGER NOT NULL, reason TEXT NOT NULL,
    why TEXT NOT NULL, is_meant INTEGER NOT NULL);
CREATE INDEX not_meant ON staying (row) WHERE operation = 'inserted' AND is_meant = 0;
CREATE TABLE meant (child TEXT NOT NULL, place INTEGER NOT NULL, cells TEXT NOT NULL, PRIMARY KEY (child, place, cells)) WITHOUT ROWID;
CREATE TABLE dangling (moment INTEGER NOT NULL, child TEXT NOT NULL, parent TEXT NOT NULL, number NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (moment, child, parent, number)) WITHOUT ROWID;
CREATE TABLE lifted (row INTEGER PRIMARY KEY, name TEXT NOT NULL, take_out TEXT NOT NULL, put_back TEXT NOT NULL, is_stuck INTEGER NOT NULL);
CREATE TABLE lifted_cells (row INTEGER NOT NULL, side INTEGER NOT NULL, place INTEGER NOT NULL, value, PRIMARY KEY (row, side, place)) WITHOUT ROWID;
BEGIN;
";

/// Statements that are kept prepared: all there are.
const STATEMENTS: usize = 64;

/// From which end rows that wait are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    First,
    Last,
}

impl Start {
    /// How the next row that waits is asked for, and behind which number there is the first. There is always a number: by one that may be none
    /// SQLite does not seek, and passes by all that wait before it, each time.
    fn next(self) -> (&'static str, i64) {
        match self {
            Self::First => (
                "SELECT row, why FROM waiting WHERE row > ?1 ORDER BY row LIMIT 1",
                i64::MIN,
            ),
            Self::Last => (
                "SELECT row, why FROM waiting WHERE row < ?1 ORDER BY row DESC LIMIT 1",
                i64::MAX,
            ),
        }
    }
}

/// When references were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before anything was brought in.
    Before = 0,
    /// With the rows in.
    After = 1,
}

/// A row as it will be put back: whole, its rowid and columns that did not change included.
pub(super) struct Lifted {
    pub(super) number: i64,
    pub(super) table: String,
    pub(super) take_out: String,
    pub(super) key: Vec<Cell>,
    pub(super) put_back: String,
    pub(super) cells: Vec<Cell>,
}

/// The scratch file; nobody sees it, and it goes with this.
pub(super) struct Scratch {
    connection: Connection,
}

fn failed() -> impl FnOnce(rusqlite::Error) -> Error {
    Error::sqlite("the scratch file")
}

impl Scratch {
    pub(super) fn new(folder: &Path) -> Result<Self, Error> {
        let connection = scratch_file(folder)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.execute_batch(SCHEMA).map_err(failed())?;
        Ok(Self { connection })
    }

    fn run(&self, sql: &str, values: impl Params) -> Result<(), Error> {
        let run = || self.connection.prepare_cached(sql)?.execute(values);
        run().map(drop).map_err(failed())
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let ask = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_row(values, read).optional()
        };
        ask().map_err(failed())
    }

    fn is_there(&self, sql: &str, values: impl Params) -> Result<bool, Error> {
        let found = self.one(sql, values, |_| Ok(()))?;
        Ok(found.is_some())
    }

    fn count(&self, sql: &str) -> Result<u64, Error> {
        let count = self.one(sql, [], |row| row.get::<_, i64>(0))?;
        Ok(count.unwrap_or_default().unsigned_abs())
    }

    fn names(&self, sql: &str) -> Result<BTreeSet<String>, Error> {
        let read = || -> rusqlite::Result<BTreeSet<String>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let names = statement.query_map([], |row| row.get(0))?;
            names.collect()
        };
        read().map_err(failed())
    }

    fn clear(&self, table: &str, condition: &str) -> Result<(), Error> {
        self.run(&delete_sqlite_rows(table, condition), [])
    }

    /// Another row is in the way of this one.
    pub(super) fn wait(&self, row: i64, why: &str) -> Result<(), Error> {
        let sql = "INSERT OR REPLACE INTO waiting VALUES (?1, ?2)";
        self.run(sql, params![row, why])
    }

    pub(super) fn waits_no_more(&self, row: i64) -> Result<(), Error> {
        self.run(&delete_sqlite_rows("waiting", "row = ?1"), [row])
    }

    pub(super) fn nobody_waits(&self) -> Result<(), Error> {
        self.clear("waiting", "TRUE")
    }

    /// The next row that waits, and for what: behind `last`, or the first of them.
    pub(super) fn next_waiting(
        &self,
        from: Start,
        last: Option<i64>,
    ) -> Result<Option<(i64, String)>, Error> {
        let (sql, end) = from.next();
        self.one(sql, [last.unwrap_or(end)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// A row is left in the salvage file. What was said of it first stays said.
    pub(super) fn stay(&self, row: &SalvagedRow, reason: Reason, why: &str) -> Result<(), Error> {
        let has_key = row.values.iter().any(|value| value.is_key);
        let (operation, reason) = (row.operation.word(), reason.word());
        let sql = "INSERT OR IGNORE INTO staying VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)";
        let values = params![row.row, row.table, operation, has_key, reason, why];
        self.run(sql, values)
    }

    pub(super) fn stays(&self, row: i64) -> Result<bool, Error> {
        self.is_there("SELECT 1 FROM staying WHERE row = ?1", [row])
    }

    /// How many rows stay.
    pub(super) fn staying(&self) -> Result<u64, Error> {
        self.count("SELECT count(*) FROM staying")
    }

    /// The next row that stays behind a number.
    pub(super) fn next_staying(&self, after: i64) -> Result<Option<Left>, Error> {
        let sql = "SELECT row, reason, why FROM staying WHERE row > ?1 ORDER BY row LIMIT 1";
        self.one(sql, [after], |row| {
            let word: String = row.get(1)?;
            Ok(Left {
                row: row.get(0)?,
                reason: Reason::named(&word).ok_or(rusqlite::Error::InvalidQuery)?,
                why: row.get(2)?,
            })
        })
    }

    /// The tables without a key of which a row stays.
    pub(super) fn tables_without_key(&self) -> Result<BTreeSet<String>, Error> {
        self.names("SELECT DISTINCT name FROM staying WHERE NOT has_key")
    }

    /// An inserted row that stays, and of which it is not noted yet by what others would mean it.
    pub(super) fn next_not_meant(&self) -> Result<Option<i64>, Error> {
        let sql = "SELECT row FROM staying WHERE operation = 'inserted' AND is_meant = 0 ORDER BY row LIMIT 1";
        self.one(sql, [], |row| row.get(0))
    }

    /// Notes by what others would mean a row that stays: their table, the place of the reference among its own, and what it would hold.
    pub(super) fn mean(&self, row: i64, by: &[(&str, usize, String)]) -> Result<(), Error> {
        for (child, place, cells) in by {
            let sql = "INSERT OR IGNORE INTO meant VALUES (?1, ?2, ?3)";
            self.run(sql, params![child, *place as i64, cells])?;
        }
        self.run("UPDATE staying SET is_meant = 1 WHERE row = ?1", [row])
    }

    /// The tables whose rows could mean one that stays.
    pub(super) fn meaning(&self) -> Result<BTreeSet<String>, Error> {
        self.names("SELECT DISTINCT child FROM meant")
    }

    /// Whether a reference that holds this means a row that stays.
    pub(super) fn means(&self, child: &str, place: usize, cells: &str) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM meant WHERE child = ?1 AND place = ?2 AND cells = ?3";
        self.is_there(sql, params![child, place as i64, cells])
    }

    /// References are looked at, perhaps once more.
    pub(super) fn looks(&self, moment: Moment) -> Result<(), Error> {
        let condition = match moment {
            Moment::Before => "moment = 0",
            Moment::After => "moment = 1",
        };
        self.clear("dangling", condition)
    }

    /// A row of `child`, by its number where it has one, refers to a row of `parent` that is not there.
    pub(super) fn dangles(
        &self,
        moment: Moment,
        child: &str,
        number: Option<i64>,
        parent: &str,
    ) -> Result<(), Error> {
        let number = number.map_or_else(|| Cell::text(""), Cell::Integer);
        let sql =
            "INSERT INTO dangling VALUES (?1, ?2, ?3, ?4, 1) ON CONFLICT DO UPDATE SET n = n + 1";
        self.run(sql, params![moment as i64, child, parent, number])
    }

    /// From which tables to which references point nowhere that did not before.
    pub(super) fn dangling_since(&self) -> Result<BTreeSet<(String, String)>, Error> {
        let sql = "SELECT DISTINCT a.child, a.parent FROM dangling a
             LEFT JOIN dangling b ON b.moment = 0 AND b.child = a.child AND b.parent = a.parent AND b.number = a.number
             WHERE a.moment = 1 AND a.n > coalesce(b.n, 0)";
        let read = || -> rusqlite::Result<BTreeSet<(String, String)>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let pairs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            pairs.collect()
        };
        read().map_err(failed())
    }

    /// A row is to be taken out and put back.
    pub(super) fn lift(&self, lifted: &Lifted) -> Result<(), Error> {
        let sql = "INSERT INTO lifted VALUES (?1, ?2, ?3, ?4, 0)";
        let (number, table) = (lifted.number, &lifted.table);
        let values = params![number, table, lifted.take_out, lifted.put_back];
        self.run(sql, values)?;
        for (side, cells) in [(0, &lifted.key), (1, &lifted.cells)] {
            for (place, cell) in cells.iter().enumerate() {
                let sql = "INSERT INTO lifted_cells VALUES (?1, ?2, ?3, ?4)";
                self.run(sql, params![number, side, place as i64, cell])?;
            }
        }
        Ok(())
    }

    /// The next of those rows behind a number.
    pub(super) fn next_lifted(&self, after: i64) -> Result<Option<Lifted>, Error> {
        let sql =
            "SELECT row, name, take_out, put_back FROM lifted WHERE row > ?1 ORDER BY row LIMIT 1";
        let found = self.one(sql, [after], |row| {
            Ok(Lifted {
                number: row.get(0)?,
                table: row.get(1)?,
                take_out: row.get(2)?,
                put_back: row.get(3)?,
                key: Vec::new(),
                cells: Vec::new(),
            })
        })?;
        let Some(mut lifted) = found else {
            return Ok(None);
        };
        lifted.key = self.cells(lifted.number, 0)?;
        lifted.cells = self.cells(lifted.number, 1)?;
        Ok(Some(lifted))
    }

    fn cells(&self, row: i64, side: i64) -> Result<Vec<Cell>, Error> {
        let sql = "SELECT value FROM lifted_cells WHERE row = ?1 AND side = ?2 ORDER BY place";
        let read = || -> rusqlite::Result<Vec<Cell>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let cells = statement.query_map([row, side], |row| Ok(Cell::of(row.get_ref(0)?)))?;
            cells.collect()
        };
        read().map_err(failed())
    }

    /// How many rows are to be taken out.
    pub(super) fn lifted(&self) -> Result<u64, Error> {
        self.count("SELECT count(*) FROM lifted")
    }

    /// SQLite does not take this one back.
    pub(super) fn is_stuck(&self, row: i64) -> Result<(), Error> {
        self.run("UPDATE lifted SET is_stuck = 1 WHERE row = ?1", [row])
    }

    /// Leaves out the rows that SQLite did not take back; whether there was one.
    pub(super) fn without_stuck(&self) -> Result<bool, Error> {
        let stuck = self.count("SELECT count(*) FROM lifted WHERE is_stuck")?;
        self.clear(
            "lifted_cells",
            "row IN (SELECT row FROM lifted WHERE is_stuck)",
        )?;
        self.clear("lifted", "is_stuck")?;
        Ok(stuck > 0)
    }

    pub(super) fn nobody_is_lifted(&self) -> Result<(), Error> {
        self.clear("lifted_cells", "TRUE")?;
        self.clear("lifted", "TRUE")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_wait_are_sought_and_not_passed_by() {
        let folder = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::new(folder.path()).expect("a scratch file");
        for from in [Start::First, Start::Last] {
            let (sql, end) = from.next();
            let plan: String = scratch
                .connection
                .query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [end], |row| {
                    row.get(3)
                })
                .expect("a plan");
            assert!(plan.starts_with("SEARCH waiting"), "{plan}");
        }
        for row in [3, 1, 2] {
            scratch.wait(row, "why").expect("it waits");
        }
        for (from, order) in [(Start::First, [1, 2, 3]), (Start::Last, [3, 2, 1])] {
            let (mut last, mut met) = (None, Vec::new());
            while let Some((row, _)) = scratch.next_waiting(from, last).expect("read") {
                last = Some(row);
                met.push(row);
            }
            assert_eq!(met, order);
        }
    }
}
