//! A salvage file that takes the place of one of which rows are in SQLite: where users wrote such a row once more since, or took back what they had
//! done to it, it is told against what SQLite has of it, and no longer against the backup. So it is named, and can be brought in.
//!
//! Not in here: noting the rows that SQLite has as they are (`read::carried`).

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};

use super::{Salvaged, SalvagedRow, Writer};
use crate::salvage::cell::Cell;
use crate::salvage::error::Error;
use crate::salvage::search::{Column, Row};
use crate::salvage::{Operation, TableCost};

/// The file before, and which of its rows count.
pub(super) struct Before {
    salvaged: Salvaged,
    /// Those that were brought into this file.
    source: PathBuf,
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
    /// From here on rows of which the file `before` says that they were brought into `source` are told against that.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn against(&mut self, before: &Path, source: &Path) -> Result<(), Error> {
        let index = "CREATE INDEX cutover_rows_by_key ON cutover_rows (table_name, key)";
        let made = self.connection().execute_batch(index);
        made.map_err(self.failed())?;
        self.before = Some(Before {
            salvaged: Salvaged::open(before)?,
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
                let told = self.tell_row(&there, cost);
                told.map_err(self.failed())
            });
        self.before = Some(before);
        told
    }

    /// `there` is how SQLite has got it.
    fn tell_row(&mut self, there: &SalvagedRow, cost: &mut TableCost) -> rusqlite::Result<()> {
        let Some(found) = self.found(there)? else {
            // PostgreSQL has what the backup has.
            let row = taken_back(there);
            cost.count(row.operation);
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

/// What takes a row of SQLite's back to what the backup has.
fn taken_back(there: &SalvagedRow) -> Row<'_> {
    let operation = match there.operation {
        Operation::Inserted => Operation::Deleted,
        Operation::Changed => Operation::Changed,
        Operation::Deleted => Operation::Inserted,
    };
    let keys = there.values.iter().filter(|value| value.is_key);
    let key = keys.map(|value| match operation {
        Operation::Deleted => value.new.clone(),
        Operation::Inserted | Operation::Changed => value.was.clone(),
    });
    let columns = there.values.iter().map(|value| Column {
        name: &value.name,
        new: value.was.clone(),
        was: value.new.clone(),
        target: None,
        changed: value.changed,
        problem: None,
    });
    Row {
        table: &there.table,
        operation,
        key: key.collect(),
        columns: columns.collect(),
    }
}
