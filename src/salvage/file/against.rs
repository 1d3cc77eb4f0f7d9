//! A salvage file that takes the place of one of which rows are in SQLite: where users wrote such a row once more since, or took back what they had
//! done to it, it is told against what SQLite has of it, and no longer against the backup. So it is named, and can be brought in.
//!
//! Not in here: noting the rows that SQLite has as they are (`read::carried`).

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::read::TOLD_AGAINST;
use super::{Salvaged, SalvagedRow, SalvagedValue, Writer};
use crate::postgres::quoted;
use crate::salvage::cell::Cell;
use crate::salvage::error::Error;
use crate::salvage::search::{Column, Row};
use crate::salvage::{Operation, TableCost};
use crate::sqlite::inspect::may_lack_a_function;
use crate::sqlite::open_read_only;

/// The file before, and which of its rows count.
pub(super) struct Before {
    salvaged: Salvaged,
    /// Those that were brought into this file.
    source: PathBuf,
    /// What PostgreSQL has where nothing is found.
    backup: Connection,
}

/// A row of the file that is being made.
struct Found {
    row: i64,
    operation: Operation,
    values: Vec<Value>,
}

struct Value {
    place: i64,
    name: String,
    new: Cell,
}

impl Writer {
    /// From now on, rows are told against what `source` has of them, if the file `before` says that they were brought into it.
    pub fn against(&mut self, before: &Path, source: &Path) -> Result<(), Error> {
        let index = "CREATE INDEX cutover_rows_by_key ON cutover_rows (table_name, key)";
        let made = self.connection().execute_batch(index);
        made.map_err(self.failed())?;
        let salvaged = Salvaged::open(before)?;
        self.before = Some(Before {
            backup: open_read_only(&salvaged.about()?.backup)?,
            salvaged,
            source: source.to_owned(),
        });
        Ok(())
    }

    /// Once all rows of a table are written, and none is lacking.
    pub(super) fn tell_against(&mut self, cost: &mut TableCost) -> Result<(), Error> {
        let Some(before) = self.before.take() else {
            return Ok(());
        };
        let table = cost.table.clone();
        let told = before
            .salvaged
            .each_brought(&before.source, &table, |number| {
                let there = before.salvaged.row(number)?;
                let told = self.tell_row(&there, &before.backup, cost);
                told.map_err(self.failed())
            });
        self.before = Some(before);
        told
    }

    /// `there` is how SQLite has got it.
    fn tell_row(
        &mut self,
        there: &SalvagedRow,
        backup: &Connection,
        cost: &mut TableCost,
    ) -> rusqlite::Result<()> {
        let Some(found) = self.found(there)? else {
            // PostgreSQL has what the backup has.
            let Some(row) = taken_back(there, in_backup(backup, there)?) else {
                return Ok(());
            };
            cost.count(row.operation);
            self.note_told()?;
            return self.add(&row);
        };
        let is_in_sqlite = there.operation != Operation::Deleted;
        let is_in_target = found.operation != Operation::Deleted;
        let operation = match (is_in_sqlite, is_in_target) {
            (false, false) => return Ok(()),
            (true, false) => Operation::Deleted,
            (false, true) => Operation::Inserted,
            (true, true) if found.is_as(there) => return Ok(()),
            (true, true) => Operation::Changed,
        };
        self.note_told()?;
        cost.count_no_more(found.operation);
        cost.count(operation);
        let connection = self.connection();
        connection
            .prepare_cached("UPDATE cutover_rows SET operation = ?2 WHERE row = ?1")?
            .execute(params![found.row, operation.word()])?;
        let mut update = connection.prepare_cached(
            "UPDATE cutover_values SET was = ?3, changed = ?4 WHERE row = ?1 AND place = ?2",
        )?;
        let none = Cell::Null;
        for value in &found.values {
            // Of a row that was deleted everything is NULL.
            let was = value.of(there).unwrap_or(&none);
            let is_changed = operation != Operation::Changed || !value.new.is_same(was);
            update.execute(params![found.row, value.place, was, is_changed])?;
        }
        Ok(())
    }

    /// From now on, the file holds rows that do not say what the backup has ([`Salvaged::is_told_against`]).
    fn note_told(&self) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO cutover_salvage VALUES (?1, 'sqlite')";
        let mut note = self.connection().prepare_cached(sql)?;
        note.execute([TOLD_AGAINST]).map(drop)
    }

    /// The row of the same key, as it is being made.
    fn found(&self, there: &SalvagedRow) -> rusqlite::Result<Option<Found>> {
        let connection = self.connection();
        let sql = "SELECT row, operation FROM cutover_rows WHERE table_name = ?1 AND key = ?2";
        let found = connection
            .prepare_cached(sql)?
            .query_row(params![there.table, there.key], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        let Some((row, word)) = found else {
            return Ok(None);
        };
        let mut statement = connection.prepare_cached(
            "SELECT place, name, new FROM cutover_values WHERE row = ?1 ORDER BY place",
        )?;
        let values = statement.query_map([row], |row| {
            Ok(Value {
                place: row.get(0)?,
                name: row.get(1)?,
                new: Cell::of(row.get_ref(2)?),
            })
        })?;
        Ok(Some(Found {
            row,
            operation: Operation::named(&word).ok_or(rusqlite::Error::InvalidQuery)?,
            values: values.collect::<rusqlite::Result<_>>()?,
        }))
    }
}

impl Found {
    /// Whether SQLite has every value already.
    fn is_as(&self, there: &SalvagedRow) -> bool {
        let mut values = self.values.iter();
        values.all(|value| value.of(there).is_some_and(|has| has.is_same(&value.new)))
    }
}

impl Value {
    /// What SQLite has of it.
    fn of<'r>(&self, there: &'r SalvagedRow) -> Option<&'r Cell> {
        let mut values = there.values.iter();
        let value = values.find(|value| value.name == self.name)?;
        Some(&value.new)
    }
}

/// What SQLite has of a value; NULL where it has the row no more.
fn of_sqlite(there: &SalvagedRow, value: &SalvagedValue) -> Cell {
    match there.operation {
        Operation::Deleted => Cell::Null,
        Operation::Inserted | Operation::Changed => value.new.clone(),
    }
}

/// What the backup has of a row, value by value; `None` where it has no such row. What the file before says of it is not that: it may itself have
/// been told against SQLite.
fn in_backup(backup: &Connection, there: &SalvagedRow) -> rusqlite::Result<Option<Vec<Cell>>> {
    let names: Vec<_> = there.values.iter().map(|v| quoted(&v.name)).collect();
    let keys: Vec<_> = there.values.iter().filter(|v| v.is_key).collect();
    let parts = keys.iter().enumerate();
    let parts = parts.map(|(at, value)| format!("{} IS ?{}", quoted(&value.name), at + 1));
    let parts: Vec<_> = parts.collect();
    let sql = format!(
        "SELECT {} FROM {} WHERE {}",
        names.join(", "),
        quoted(&there.table),
        parts.join(" AND ")
    );
    let cells = keys.iter().map(|value| match there.operation {
        Operation::Deleted => &value.was,
        Operation::Inserted | Operation::Changed => &value.new,
    });
    let look = || {
        backup
            .prepare_cached(&sql)?
            .query_row(params_from_iter(cells), |row| {
                let cells = (0..names.len()).map(|at| Ok(Cell::of(row.get_ref(at)?)));
                cells.collect::<rusqlite::Result<Vec<Cell>>>()
            })
            .optional()
    };
    match look() {
        // A key that sorts as only the application knows: then what the file before says has to do.
        Err(error) if may_lack_a_function(&error) => {
            let was = there.values.iter().map(|value| value.was.clone());
            Ok((there.operation != Operation::Inserted).then(|| was.collect()))
        }
        found => found,
    }
}

/// What takes a row of SQLite's back to what the backup has; `None` where SQLite has it so.
fn taken_back(there: &SalvagedRow, backup: Option<Vec<Cell>>) -> Option<Row<'_>> {
    let operation = match (there.operation, &backup) {
        (Operation::Deleted, None) => return None,
        (Operation::Deleted, Some(_)) => Operation::Inserted,
        (Operation::Inserted | Operation::Changed, None) => Operation::Deleted,
        (Operation::Inserted | Operation::Changed, Some(_)) => Operation::Changed,
    };
    let backup = backup.unwrap_or_else(|| vec![Cell::Null; there.values.len()]);
    let both = || there.values.iter().zip(&backup);
    let key = both().filter(|(value, _)| value.is_key);
    let key = key.map(|(value, had)| match operation {
        Operation::Deleted => of_sqlite(there, value),
        Operation::Inserted | Operation::Changed => had.clone(),
    });
    let key = key.collect();
    let columns = both().map(|(value, had)| {
        let was = of_sqlite(there, value);
        Column {
            name: &value.name,
            changed: operation != Operation::Changed || !had.is_same(&was),
            new: had.clone(),
            was,
            target: None,
            problem: None,
        }
    });
    let columns: Vec<_> = columns.collect();
    columns.iter().any(|column| column.changed).then(|| Row {
        table: &there.table,
        operation,
        key,
        columns,
    })
}
