//! Brings chosen rows of a salvage file into the application's SQLite file, all in one transaction or none.
//!
//! A row is brought in only where SQLite still has what the backup had; anything else is a conflict and is shown, never written over.
//! Foreign keys are checked over all tables concerned before the commit; nothing cascades. Whoever asked decides what to leave out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::ffi::{
    SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE,
};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params_from_iter};
use serde::Serialize;

use super::Operation;
use super::cell::Cell;
use super::error::Error;
use super::file::{Salvaged, SalvagedRow, SalvagedValue};
use super::search::Problem;
use crate::ours::statements::delete_sqlite_rows;
use crate::source::schema::{Schema, Table};
use crate::source::{open_read_only, open_read_write};
use crate::target::quoted;

/// Values longer than this are cut in what people read.
const SHOWN: usize = 40;

/// How rows are brought in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Means {
    /// Take everything back at the end.
    pub dry_run: bool,
    /// Leave rows with a conflict out, instead of bringing in none.
    pub skip_conflicts: bool,
    /// Bring in the nearest value where the column's form cannot hold PostgreSQL's.
    pub nearest: bool,
}

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Brought {
    /// Its number in the salvage file.
    pub row: i64,
    /// Its table.
    pub table: String,
    /// What users had done to it.
    pub operation: Operation,
    /// Its key.
    pub key: String,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fate", content = "why")]
pub enum Fate {
    /// It is in SQLite.
    Applied,
    /// SQLite has it already.
    Already,
    /// It is not brought in, and why.
    Conflict(String),
}

/// What came of it all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether SQLite was changed.
    pub committed: bool,
    /// Each chosen row.
    pub rows: Vec<Brought>,
    /// Rows that would point nowhere.
    pub violations: Vec<String>,
}

impl Outcome {
    /// The numbers of the rows that this run has brought in.
    pub fn applied(&self) -> Vec<i64> {
        let rows = self.rows.iter();
        rows.filter(|row| row.fate == Fate::Applied)
            .map(|row| row.row)
            .collect()
    }

    /// How many rows have a conflict.
    pub fn conflicts(&self) -> usize {
        let rows = self.rows.iter();
        rows.filter(|row| matches!(row.fate, Fate::Conflict(_)))
            .count()
    }
}

/// Brings `chosen` rows into `file`. Without a commit the file is as it was.
///
/// # Errors
/// Either file cannot be read or written; nothing was changed then.
pub fn apply(
    salvaged: &Salvaged,
    chosen: &[i64],
    file: &Path,
    means: Means,
) -> Result<Outcome, Error> {
    let failed = || Error::sqlite(format!("writing {}", file.display()));
    let mut connection = open_read_write(file)?;
    let mut touched = BTreeSet::new();
    let mut lots = ORDER.map(|operation| (operation, Vec::new()));
    for number in chosen {
        let (operation, table) = salvaged.kind(*number)?;
        touched.insert(table);
        let mut lots = lots.iter_mut();
        if let Some((_, lot)) = lots.find(|(of, _)| *of == operation) {
            lot.push(*number);
        }
    }
    // Nothing may cascade: what would be left without its parent is found below, and shown.
    connection
        .execute_batch("PRAGMA foreign_keys = OFF")
        .map_err(failed())?;
    // The application waits for whoever holds the write lock: what can be read without it is read before.
    let version = data_version(&connection).map_err(failed())?;
    let schema = Schema::read(&connection).map_err(failed())?;
    let mut before = violations(&connection, &schema, &touched).map_err(failed())?;
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed())?;
    let schema = Schema::read(&transaction).map_err(failed())?;
    let mut outcome = Outcome::default();
    let bringing = Bringing {
        connection: &transaction,
        schema: &schema,
        means,
    };
    for (_, lot) in lots {
        let mut waiting = Vec::new();
        for number in lot {
            let row = salvaged.row(number)?;
            let known = salvaged.applied(number, file)?.is_some();
            match bringing.bring(&row, known).map_err(failed())? {
                // Another row of this lot may be in its way, with a value that has to be unique.
                Fate::Conflict(_) => waiting.push((row, known)),
                fate => outcome.rows.push(brought(&row, fate)),
            }
        }
        bringing.again(waiting, &mut outcome).map_err(failed())?;
    }
    outcome.rows.sort_by_key(|row| row.row);
    let after = violations(&transaction, &schema, &touched).map_err(failed())?;
    if !after.is_empty() && data_version(&transaction).map_err(failed())? != version {
        // Somebody wrote between that look and the lock.
        before = violations(&open_read_only(file)?, &schema, &touched).map_err(failed())?;
    }
    outcome.violations = new_ones(&before, &after);
    let clean = outcome.violations.is_empty() && (outcome.conflicts() == 0 || means.skip_conflicts);
    if clean && !means.dry_run {
        transaction.commit().map_err(failed())?;
        outcome.committed = true;
    } else {
        transaction.rollback().map_err(failed())?;
    }
    Ok(outcome)
}

/// What was deleted makes room for what was changed, and both for what was inserted.
const ORDER: [Operation; 3] = [Operation::Deleted, Operation::Changed, Operation::Inserted];
/// A statement that went well and did nothing.
const NOTHING_TAKEN: &str = "SQLite took nothing: a trigger left it out";

/// Another number whenever another connection has committed.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

fn brought(row: &SalvagedRow, fate: Fate) -> Brought {
    Brought {
        row: row.row,
        table: row.table.clone(),
        operation: row.operation,
        key: row.key.clone(),
        fate,
    }
}

struct Bringing<'a> {
    connection: &'a Connection,
    schema: &'a Schema,
    means: Means,
}

impl Bringing<'_> {
    /// Tries rows that waited for others until none gets through any more.
    fn again(
        &self,
        mut waiting: Vec<(SalvagedRow, bool)>,
        outcome: &mut Outcome,
    ) -> rusqlite::Result<()> {
        loop {
            let before = waiting.len();
            let mut still = Vec::new();
            let mut refusals = Vec::new();
            for (row, known) in waiting {
                match self.bring(&row, known)? {
                    Fate::Conflict(why) => {
                        refusals.push(Fate::Conflict(why));
                        still.push((row, known));
                    }
                    fate => outcome.rows.push(brought(&row, fate)),
                }
            }
            if still.len() == before {
                let given_up = still.iter().zip(refusals);
                outcome
                    .rows
                    .extend(given_up.map(|((row, _), fate)| brought(row, fate)));
                return Ok(());
            }
            waiting = still;
        }
    }

    /// One row; `known` says that it was brought in before.
    fn bring(&self, row: &SalvagedRow, known: bool) -> rusqlite::Result<Fate> {
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
        if !has_key && known {
            return Ok(Fate::Already);
        }
        match row.operation {
            Operation::Inserted => self.insert(table, &values, has_key),
            Operation::Changed => self.change(table, &values),
            Operation::Deleted => self.delete(table, &values, has_key),
        }
    }

    fn unfaithful(&self, values: &[&SalvagedValue]) -> Option<String> {
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
                    "SQLite has another row with this key: its {} is not {}",
                    values[*at].name,
                    values[*at].new.shown(SHOWN)
                )),
            });
        }
        let names: Vec<_> = values.iter().map(|value| quoted(&value.name)).collect();
        let marks: Vec<_> = (1..=names.len()).map(|at| format!("?{at}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({})",
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
        if let Some((at, _)) = as_before.iter().find(|(_, same)| !same) {
            return Ok(Fate::Conflict(format!(
                "changed in SQLite since: {} was {}",
                values[*at].name,
                values[*at].was.shown(SHOWN)
            )));
        }
        let changed: Vec<_> = values.iter().filter(|value| value.changed).collect();
        let sets: Vec<_> = changed
            .iter()
            .enumerate()
            .map(|(at, value)| format!("{} = ?{}", quoted(&value.name), at + 1))
            .collect();
        let (condition, keys) = by_key(values, changed.len(), |value| &value.was);
        let sql = format!(
            "UPDATE {} SET {} WHERE {condition}",
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
        if let Some((at, _)) = there.iter().find(|(_, same)| !same) {
            return Ok(Fate::Conflict(format!(
                "changed in SQLite since: {} was {}",
                values[*at].name,
                values[*at].was.shown(SHOWN)
            )));
        }
        let (condition, keys) = by_key(values, 0, |value| &value.was);
        let sql = delete_sqlite_rows(&table.name, &condition);
        self.execute(&sql, keys.into_iter())
    }

    /// One of several equal rows of a table without a key.
    fn delete_one(&self, table: &Table, values: &[&SalvagedValue]) -> rusqlite::Result<Fate> {
        let crate::source::schema::Position::Rowid { name: rowid, .. } = &table.position else {
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
    fn look(
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

    fn execute<'v>(
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

/// A condition on the key, whose parameters follow `before` others, and their values.
fn by_key<'v>(
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

/// How many rows of which table point nowhere in which other.
type Violations = BTreeMap<(String, Option<i64>, String), u64>;

/// Looks at every table that was touched, and at those that point to one.
fn violations(
    connection: &Connection,
    schema: &Schema,
    touched: &BTreeSet<String>,
) -> rusqlite::Result<Violations> {
    let is_touched = |name: &str| touched.iter().any(|table| table.eq_ignore_ascii_case(name));
    let mut found = Violations::new();
    for table in &schema.tables {
        let mut keys = table.foreign_keys.iter();
        let concerned = is_touched(&table.name) || keys.any(|key| is_touched(&key.references));
        if !concerned || table.foreign_keys.is_empty() {
            continue;
        }
        let mut statement =
            connection.prepare("SELECT rowid, parent FROM pragma_foreign_key_check(?1)")?;
        let mut rows = statement.query([&table.name])?;
        while let Some(row) = rows.next()? {
            let key = (table.name.clone(), row.get(0)?, row.get(1)?);
            *found.entry(key).or_default() += 1;
        }
    }
    Ok(found)
}

fn new_ones(before: &Violations, after: &Violations) -> Vec<String> {
    let more = after
        .iter()
        .filter(|(place, count)| before.get(*place).is_none_or(|was| was < *count));
    more.map(|((table, rowid, parent), _)| {
        let row = rowid.map_or_else(String::new, |rowid| format!(" row {rowid}"));
        format!("{table}{row} points to a row of {parent} that is not there")
    })
    .collect()
}
