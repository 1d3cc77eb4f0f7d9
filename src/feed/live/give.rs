//! Everything that a live file holds, given to whoever keeps or counts salvaged rows.
//!
//! Not in here: how rows got into it.

use super::{Error, Live};
use crate::salvage::cell::Cell;
use crate::salvage::{Column, Operation, Problem, Row, Sink, TableCost};

/// A table with rows that a rollback leaves in the salvage file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inexact {
    /// Its name in the source.
    pub table: String,
    /// SQLite's column has no form at all for one of their values; else the nearest form of each would do.
    pub has_no_form: bool,
}

/// A value as it is kept.
struct Value {
    name: String,
    changed: bool,
    new: Cell,
    was: Cell,
    target: Option<String>,
    problem: Option<Problem>,
}

impl Value {
    fn column(&self) -> Column<'_> {
        Column {
            name: &self.name,
            new: self.new.clone(),
            was: self.was.clone(),
            target: self.target.clone(),
            changed: self.changed,
            problem: self.problem,
        }
    }
}

impl Live {
    /// Gives every row to `sink`, table by table, as of one moment of the file; comes back with the counts, and what they lack.
    ///
    /// # Errors
    /// `sink` refuses a row, or the file cannot be read.
    pub fn give(&self, sink: &mut dyn Sink) -> Result<Vec<TableCost>, Error> {
        // Dropped at the end: nothing was written.
        let _moment = self
            .connection
            .unchecked_transaction()
            .map_err(self.failed("reading"))?;
        let mut costs = Vec::new();
        for (mut cost, key_columns) in self.tables().map_err(self.failed("reading"))? {
            let table = cost.table.clone();
            self.each_row(&table, |number, operation| {
                let values = self.values(number).map_err(self.failed("reading"))?;
                cost.count(operation);
                sink.row(&row_of(&table, operation, key_columns, &values))?;
                Ok(())
            })?;
            sink.table(&cost)?;
            costs.push(cost);
        }
        Ok(costs)
    }

    /// The tables that are not complete, and why, as sentences.
    pub(in crate::feed) fn lacking(&self) -> Result<Vec<String>, Error> {
        let tables = self.tables().map_err(self.failed("reading"))?;
        let told = |(cost, _): &(TableCost, usize)| {
            Some(format!("{}: {}", cost.table, cost.lacks.as_ref()?))
        };
        Ok(tables.iter().filter_map(told).collect())
    }

    /// The tables that hold values which SQLite's columns have no exact form for. Asked after each read: by the few values, not by all rows.
    pub(in crate::feed) fn inexact(&self) -> Result<Vec<Inexact>, Error> {
        let read = || -> rusqlite::Result<Vec<Inexact>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT r.table_name, max(v.problem = ?1) FROM feed_values v CROSS JOIN feed_rows r ON r.row = v.row
                  WHERE v.problem IS NOT NULL GROUP BY r.table_name",
            )?;
            let tables = statement.query_map([Problem::NoForm.word()], |row| {
                Ok(Inexact {
                    table: row.get(0)?,
                    has_no_form: row.get(1)?,
                })
            })?;
            tables.collect()
        };
        read().map_err(self.failed("reading"))
    }

    /// Each table with how many columns its key has.
    fn tables(&self) -> rusqlite::Result<Vec<(TableCost, usize)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, target, key_columns, lacks, is_whole_due FROM feed_tables ORDER BY name",
        )?;
        let tables = statement.query_map([], |row| {
            let (lacks, is_whole_due): (Option<String>, bool) = (row.get(3)?, row.get(4)?);
            let unread = || "it was not read yet".to_owned();
            let cost = TableCost {
                table: row.get(0)?,
                target: row.get(1)?,
                lacks: lacks.or_else(|| is_whole_due.then(unread)),
                ..TableCost::default()
            };
            let key_columns: i64 = row.get(2)?;
            Ok((cost, key_columns.unsigned_abs() as usize))
        })?;
        tables.collect()
    }

    /// Gives the number of each row of a table to `each`, in the order of their keys, which is that of an index: one after the other, however many.
    fn each_row(
        &self,
        table: &str,
        mut each: impl FnMut(i64, Operation) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT row, operation FROM feed_rows WHERE table_name = ?1 ORDER BY key";
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(self.failed("reading"))?;
        let rows = statement.query_map([table], |row| {
            let word: String = row.get(1)?;
            let operation = Operation::named(&word).ok_or(rusqlite::Error::InvalidQuery)?;
            Ok((row.get(0)?, operation))
        });
        for row in rows.map_err(self.failed("reading"))? {
            let (number, operation) = row.map_err(self.failed("reading"))?;
            each(number, operation)?;
        }
        Ok(())
    }

    fn values(&self, row: i64) -> rusqlite::Result<Vec<Value>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, changed, new, was, target, problem FROM feed_values WHERE row = ?1 ORDER BY place",
        )?;
        let values = statement.query_map([row], |row| {
            let problem: Option<String> = row.get(5)?;
            let problem = match problem.as_deref() {
                None => None,
                Some(word) => Some(Problem::named(word).ok_or(rusqlite::Error::InvalidQuery)?),
            };
            Ok(Value {
                name: row.get(0)?,
                changed: row.get(1)?,
                new: Cell::of(row.get_ref(2)?),
                was: Cell::of(row.get_ref(3)?),
                target: row.get(4)?,
                problem,
            })
        })?;
        values.collect()
    }
}

fn row_of<'a>(
    table: &'a str,
    operation: Operation,
    key_columns: usize,
    values: &'a [Value],
) -> Row<'a> {
    let key = values.iter().take(key_columns);
    let key = key.map(|value| match operation {
        Operation::Deleted => value.was.clone(),
        Operation::Inserted | Operation::Changed => value.new.clone(),
    });
    Row {
        table,
        operation,
        key: key.collect(),
        columns: values.iter().map(Value::column).collect(),
    }
}
