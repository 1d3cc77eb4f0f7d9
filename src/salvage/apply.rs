//! Brings chosen rows of a salvage file into the application's SQLite file, all in one transaction or none: [`apply`] where a person asks for
//! it, [`whole`] where a rollback does.
//!
//! A row is brought in only where SQLite still has what the backup had; anything else is a conflict and is shown, never written over.
//! Foreign keys are checked over all tables concerned before the commit; nothing cascades. Whoever asked decides what to leave out.

pub mod derived;
mod referrers;
mod reread;
mod row;
mod sides;
mod skipped;
pub mod whole;

pub use sides::{Now, Side};

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;

use super::Operation;
use super::dangling::{new_ones, violations};
use super::error::Error;
use super::file::{Salvaged, SalvagedRow};
use super::renumber::Renumbering;
use crate::sqlite::inspect::may_lack_a_function;
use crate::sqlite::schema::{Schema, Table};
use crate::sqlite::{open_read_only, open_read_write};
use crate::text::printable;

/// How rows are brought in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Means {
    /// Take everything back at the end.
    pub dry_run: bool,
    /// Leave rows with a conflict out, and those that refer to them, instead of bringing in none.
    pub skip_conflicts: bool,
    /// Bring in the nearest value where the column's form cannot hold PostgreSQL's.
    pub nearest: bool,
    /// Give an inserted row another number where SQLite has given its own to another row.
    pub new_ids: bool,
}

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Brought {
    /// Its number in the salvage file.
    pub row: i64,
    pub table: String,
    /// What users had done to it.
    pub operation: Operation,
    pub key: String,
    /// The number that it has in SQLite instead of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_id: Option<i64>,
    /// Where it has a conflict, what each side has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sides: Vec<Side>,
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
    /// It is not brought in because another one is not, which it names.
    Skipped(String),
}

/// What came of it all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether SQLite was changed.
    pub committed: bool,
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

    /// How many rows are skipped because of others.
    pub fn skipped(&self) -> usize {
        let rows = self.rows.iter();
        rows.filter(|row| matches!(row.fate, Fate::Skipped(_)))
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
    let (lots, touched) = sorted(salvaged, chosen)?;
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
        leaves_unwritable: false,
    };
    let renumbering = match means.new_ids {
        true => bringing.renumbering(salvaged, &lots, file)?,
        false => Renumbering::default(),
    };
    outcome.rows = match means.skip_conflicts {
        true => bringing.all_that_can(salvaged, &lots, file, &renumbering)?,
        false => bringing.all(salvaged, &lots, file, &renumbering)?,
    };
    let after = violations(&transaction, &schema, &touched).map_err(failed())?;
    if !after.is_empty() && data_version(&transaction).map_err(failed())? != version {
        // Somebody wrote between that look and the lock.
        before = violations(&open_read_only(file)?, &schema, &touched).map_err(failed())?;
    }
    outcome.violations = new_ones(&before, &after);
    let clean = outcome.violations.is_empty() && (outcome.conflicts() == 0 || means.skip_conflicts);
    if clean && !means.dry_run {
        bringing.show_sides(salvaged, &renumbering, file, &mut outcome.rows)?;
        transaction.commit().map_err(failed())?;
        outcome.committed = true;
    } else {
        transaction.rollback().map_err(failed())?;
        // As SQLite has it without what was taken back.
        let looking = Bringing {
            connection: &connection,
            schema: &schema,
            means,
            leaves_unwritable: false,
        };
        looking.show_sides(salvaged, &renumbering, file, &mut outcome.rows)?;
    }
    Ok(outcome)
}

/// What was deleted makes room for what was changed, and both for what was inserted.
const ORDER: [Operation; 3] = [Operation::Deleted, Operation::Changed, Operation::Inserted];

/// The rows by what was done to them, and the tables that they are of.
fn sorted(salvaged: &Salvaged, chosen: &[i64]) -> Result<(Lots, BTreeSet<String>), Error> {
    let mut touched = BTreeSet::new();
    let mut lots: Lots = ORDER.map(|operation| (operation, Vec::new()));
    for number in chosen {
        let (operation, table) = salvaged.kind(*number)?;
        touched.insert(table);
        let mut lots = lots.iter_mut();
        if let Some((_, lot)) = lots.find(|(of, _)| *of == operation) {
            lot.push(*number);
        }
    }
    Ok((lots, touched))
}

/// Another number whenever another connection has committed.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

/// A row on its way.
struct Waiting {
    row: SalvagedRow,
    /// It was brought in before.
    known: bool,
    new_id: Option<i64>,
}

impl Waiting {
    fn brought(&self, fate: Fate) -> Brought {
        Brought {
            row: self.row.row,
            table: self.row.table.clone(),
            operation: self.row.operation,
            key: self.row.key.clone(),
            new_id: self.new_id,
            sides: Vec::new(),
            fate,
        }
    }
}

/// The numbers of the rows to be brought in, by what was done to them.
type Lots = [(Operation, Vec<i64>); 3];

struct Bringing<'a> {
    connection: &'a Connection,
    schema: &'a Schema,
    means: Means,
    /// A row that SQLite can write from within the application alone has a conflict, and is no error.
    leaves_unwritable: bool,
}

impl Bringing<'_> {
    /// Brings rows in, within a transaction that is open: first what makes room for the others.
    fn all(
        &self,
        salvaged: &Salvaged,
        lots: &Lots,
        file: &Path,
        renumbering: &Renumbering,
    ) -> Result<Vec<Brought>, Error> {
        let failed = || Error::sqlite(format!("writing {}", file.display()));
        let mut brought = Vec::new();
        for (_, lot) in lots {
            let mut waiting = Vec::new();
            for number in lot {
                let mut row = salvaged.row(*number)?;
                let known = salvaged.applied(*number, file)?.is_some();
                let waits = Waiting {
                    new_id: renumbering.rewrite(self.schema, &mut row),
                    row,
                    known,
                };
                match self.attempt(&waits.row, known).map_err(failed())? {
                    // Another row of this lot may be in its way, with a value that has to be unique.
                    Fate::Conflict(_) => waiting.push(waits),
                    fate => brought.push(waits.brought(fate)),
                }
            }
            self.again(waiting, &mut brought).map_err(failed())?;
        }
        brought.sort_by_key(|row| row.row);
        Ok(brought)
    }

    /// One row. In a rollback a table that only the application can read or write, by a collation or a function of its own, keeps the rows of
    /// no other from coming.
    fn attempt(&self, row: &SalvagedRow, known: bool) -> rusqlite::Result<Fate> {
        match self.bring(row, known) {
            Err(error)
                if self.leaves_unwritable
                    && may_lack_a_function(&error)
                    && !self.connection.is_autocommit() =>
            {
                let error = printable(&error.to_string(), 200);
                let why = format!("SQLite can write it from within the application alone: {error}");
                Ok(Fate::Conflict(why))
            }
            done => done,
        }
    }

    /// Tries rows that waited for others until none gets through any more.
    fn again(&self, mut waiting: Vec<Waiting>, brought: &mut Vec<Brought>) -> rusqlite::Result<()> {
        loop {
            let before = waiting.len();
            let mut still = Vec::new();
            let mut refusals = Vec::new();
            for waits in waiting {
                match self.attempt(&waits.row, waits.known)? {
                    Fate::Conflict(why) => {
                        refusals.push(Fate::Conflict(why));
                        still.push(waits);
                    }
                    fate => brought.push(waits.brought(fate)),
                }
            }
            if still.len() == before {
                let refused = still.iter().zip(refusals);
                brought.extend(refused.map(|(waits, refusal)| waits.brought(refusal)));
                return Ok(());
            }
            waiting = still;
        }
    }

    /// New numbers for the rows that need one. A row that was brought in before has its own, or a new one of then.
    fn renumbering(
        &self,
        salvaged: &Salvaged,
        lots: &Lots,
        file: &Path,
    ) -> Result<Renumbering, Error> {
        let mut rows = Vec::new();
        for number in lots.iter().flat_map(|(_, lot)| lot) {
            if salvaged.applied(*number, file)?.is_none() {
                rows.push(salvaged.row(*number)?);
            }
        }
        let is_taken = |table: &Table, row: &SalvagedRow| {
            let values: Vec<_> = row.values.iter().collect();
            let there = self.look(table, &values, |value| &value.new)?;
            Ok(there.is_some_and(|there| there.iter().any(|(_, same)| !same)))
        };
        let planned = Renumbering::plan(self.connection, self.schema, &rows, is_taken);
        planned.map_err(Error::sqlite(format!("reading {}", file.display())))
    }
}
