//! One row of a salvage file against the row that SQLite has: brought in, there already, or a conflict. Not in here: which rows, in which
//! order, and the commit.

use rusqlite::ffi::{
    SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE,
};
use rusqlite::{OptionalExtension, params_from_iter};

use crate::ours::statements::delete_sqlite_rows;
use crate::postgres::quoted;
use crate::salvage::Operation;
use crate::salvage::cell::Cell;
use crate::salvage::file::{SalvagedRow, SalvagedValue};
use crate::salvage::search::Problem;
use crate::sqlite::schema::Table;

use super::{Bringing, Fate};

/// Values longer than this are cut in what people read.
const SHOWN: usize = 40;
/// A statement that went well and did nothing.
const NOTHING_TAKEN: &str = "SQLite took nothing: a trigger left it out";

impl Bringing<'_> {
    /// One row; `known` says that it was brought in before.
    pub(super) fn bring(&self, row: &SalvagedRow, known: bool) -> rusqlite::Result<Fate> {
        let conflict = |why: String| Ok(Fate::Conflict(why));
        let Some(table) = self.schema.table(&row.table) else {
            return conflict(format!("SQLite has no table {}", row.table));
        };
        let mut values = Vec::new();
        for value in &row.values {
            match table.column(&value.name) {
                None => return conflict(format!("SQLite has no column {}", value.name)),
                Some(place) if table.columns[place].generated => {}
                Some(_) => values.push(value),
            }
        }
        if let Some(why) = self.unfaithful(&values) {
            return conflict(why);
        }
        let has_key = row.values.iter().any(|value| value.is_key);
        // With another number it is not found by its own, nor by what it pointed to.
        let found_by_key = has_key
            && match row.operation {
                Operation::Inserted | Operation::Changed => !self.means.new_ids,
                Operation::Deleted => true,
            };
        if known && !found_by_key {
            return Ok(Fate::Already);
        }
        match row.operation {
            Operation::Inserted => self.insert(table, &values, has_key),
            Operation::Changed => self.change(table, &values),
            Operation::Deleted => self.delete(table, &values, has_key),
        }
    }

    pub(super) fn unfaithful(&self, values: &[&SalvagedValue]) -> Option<String> {
        let value = values.iter().find(|value| match value.problem {
            None => false,
            Some(Problem::Nearest) => !self.means.nearest,
            Some(Problem::NoForm) => true,
        })?;
        let target = value.target.as_deref().unwrap_or("NULL");
        let target = crate::text::printable(target, SHOWN);
        Some(match value.problem {
            Some(Problem::Nearest) => format!(
                "{}: PostgreSQL has {target}; the nearest that the column's form holds is {} (--nearest takes it)",
                value.name,
                value.new.shown(SHOWN)
            ),
            _ => format!(
                "{}: PostgreSQL has {target}, for which the column has no form",
                value.name
            ),
        })
    }

    fn insert(
        &self,
        table: &Table,
        values: &[&SalvagedValue],
        has_key: bool,
    ) -> rusqlite::Result<Fate> {
        if has_key && let Some(there) = self.look(table, values, |value| &value.new)? {
            return Ok(match there.iter().find(|(_, same)| !same) {
                None => Fate::Already,
                Some((at, _)) => Fate::Conflict(format!(
                    "SQLite has another row with this key (--new-ids gives it another number): its {} is not {}",
                    values[*at].name,
                    values[*at].new.shown(SHOWN)
                )),
            });
        }
        let names: Vec<_> = values.iter().map(|value| quoted(&value.name)).collect();
        let marks: Vec<_> = (1..=names.len()).map(|at| format!("?{at}")).collect();
        let sql = format!(
            "INSERT OR ABORT INTO {} ({}) VALUES ({})",
            quoted(&table.name),
            names.join(", "),
            marks.join(", ")
        );
        self.execute(&sql, values.iter().map(|value| &value.new))
    }

    fn change(&self, table: &Table, values: &[&SalvagedValue]) -> rusqlite::Result<Fate> {
        let Some(as_before) = self.look(table, values, |value| &value.was)? else {
            return Ok(Fate::Conflict("SQLite no longer has this row".to_owned()));
        };
        let as_wanted = self.look(table, values, |value| &value.new)?;
        if as_wanted.is_some_and(|all| all.iter().all(|(_, same)| *same)) {
            return Ok(Fate::Already);
        }
        if let Some(conflict) = changed_since(values, &as_before) {
            return Ok(conflict);
        }
        let changed: Vec<_> = values.iter().filter(|value| value.changed).collect();
        let sets: Vec<_> = changed
            .iter()
            .enumerate()
            .map(|(at, value)| format!("{} = ?{}", quoted(&value.name), at + 1))
            .collect();
        let (condition, keys) = by_key(values, changed.len(), |value| &value.was);
        let sql = format!(
            "UPDATE OR ABORT {} SET {} WHERE {condition}",
            quoted(&table.name),
            sets.join(", ")
        );
        self.execute(&sql, changed.iter().map(|value| &value.new).chain(keys))
    }

    fn delete(
        &self,
        table: &Table,
        values: &[&SalvagedValue],
        has_key: bool,
    ) -> rusqlite::Result<Fate> {
        if !has_key {
            return self.delete_one(table, values);
        }
        let Some(there) = self.look(table, values, |value| &value.was)? else {
            return Ok(Fate::Already);
        };
        if let Some(conflict) = changed_since(values, &there) {
            return Ok(conflict);
        }
        let (condition, keys) = by_key(values, 0, |value| &value.was);
        let sql = delete_sqlite_rows(&table.name, &condition);
        self.execute(&sql, keys.into_iter())
    }

    /// One of several equal rows of a table without a key.
    fn delete_one(&self, table: &Table, values: &[&SalvagedValue]) -> rusqlite::Result<Fate> {
        let crate::sqlite::schema::Position::Rowid { name: rowid, .. } = &table.position else {
            let why = "the row has no key, and SQLite no name for its rowid";
            return Ok(Fate::Conflict(why.to_owned()));
        };
        let parts: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(at, value)| format!("{} COLLATE BINARY IS ?{}", quoted(&value.name), at + 1))
            .collect();
        let (name, rowid) = (quoted(&table.name), quoted(rowid));
        let one = format!(
            "{rowid} = (SELECT {rowid} FROM {name} WHERE {} LIMIT 1)",
            parts.join(" AND ")
        );
        let sql = delete_sqlite_rows(&table.name, &one);
        let deleted = self
            .connection
            .prepare_cached(&sql)?
            .execute(params_from_iter(values.iter().map(|value| &value.was)))?;
        Ok(match deleted {
            0 => {
                Fate::Conflict("SQLite no longer has such a row, or a trigger keeps it".to_owned())
            }
            _ => Fate::Applied,
        })
    }

    /// The row of this key, and for each value, by its place, whether SQLite has it; none where there is no such row.
    pub(super) fn look(
        &self,
        table: &Table,
        values: &[&SalvagedValue],
        of: impl Fn(&SalvagedValue) -> &Cell,
    ) -> rusqlite::Result<Option<Vec<(usize, bool)>>> {
        let same: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(at, value)| format!("{} COLLATE BINARY IS ?{}", quoted(&value.name), at + 1))
            .collect();
        let (condition, keys) = by_key(values, values.len(), &of);
        let sql = format!(
            "SELECT {} FROM {} WHERE {condition}",
            same.join(", "),
            quoted(&table.name)
        );
        let all = values.iter().map(|value| of(value)).chain(keys);
        self.connection
            .prepare_cached(&sql)?
            .query_row(params_from_iter(all), |row| {
                (0..values.len()).map(|at| Ok((at, row.get(at)?))).collect()
            })
            .optional()
    }

    pub(super) fn execute<'v>(
        &self,
        sql: &str,
        values: impl Iterator<Item = &'v Cell>,
    ) -> rusqlite::Result<Fate> {
        let done = self
            .connection
            .prepare_cached(sql)?
            .execute(params_from_iter(values));
        match done {
            Ok(0) => Ok(Fate::Conflict(NOTHING_TAKEN.to_owned())),
            Ok(_) => Ok(Fate::Applied),
            // A trigger that ended the transaction has taken everything back.
            Err(error) if self.connection.is_autocommit() => Err(error),
            Err(rusqlite::Error::SqliteFailure(failure, message))
                if failure.code == rusqlite::ErrorCode::ConstraintViolation =>
            {
                let message = crate::text::printable(&message.unwrap_or_default(), 200);
                let columns = message
                    .rsplit_once(": ")
                    .map_or("key", |(_, columns)| columns);
                Ok(Fate::Conflict(match failure.extended_code {
                    SQLITE_CONSTRAINT_UNIQUE
                    | SQLITE_CONSTRAINT_PRIMARYKEY
                    | SQLITE_CONSTRAINT_ROWID => {
                        format!("another row of SQLite has the same {columns}")
                    }
                    _ => format!("SQLite refuses it: {message}"),
                }))
            }
            Err(error) => Err(error),
        }
    }
}

/// The first value that SQLite no longer has as it was.
fn changed_since(values: &[&SalvagedValue], there: &[(usize, bool)]) -> Option<Fate> {
    let (at, _) = there.iter().find(|(_, same)| !same)?;
    let value = values[*at];
    let was = value.was.shown(SHOWN);
    let why = format!("changed in SQLite since: {} was {was}", value.name);
    Some(Fate::Conflict(why))
}

/// A condition on the key, whose parameters follow `before` others, and their values.
pub(super) fn by_key<'v>(
    values: &[&'v SalvagedValue],
    before: usize,
    of: impl Fn(&'v SalvagedValue) -> &'v Cell,
) -> (String, Vec<&'v Cell>) {
    let keys: Vec<_> = values.iter().filter(|value| value.is_key).collect();
    let parts: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(at, value)| format!("{} IS ?{}", quoted(&value.name), before + at + 1))
        .collect();
    let cells = keys.iter().map(|value| of(value)).collect();
    (parts.join(" AND "), cells)
}
