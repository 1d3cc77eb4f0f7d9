//! Brings in all that a rollback can: every row, but for those that something is in the way of, and those that refer to them. Each row is whole in
//! SQLite or not there at all.
//!
//! It works in a transaction that is open ([`crate::sqlite::writer`]), and whoever opened it decides what becomes of it. What is left out makes
//! other rows point nowhere, so it goes in rounds until nothing more has to be left out. Not in here: rows that a person chooses (`apply`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::derived::{self, Anew, Touched, Unfilled};
use super::{Bringing, Brought, Fate, Means, sorted};
use crate::format;
use crate::salvage::Operation;
use crate::salvage::dangling::{Violations, more_than, violations};
use crate::salvage::error::Error;
use crate::salvage::file::Salvaged;
use crate::salvage::renumber::Renumbering;
use crate::sqlite::schema::Schema;

/// So often at most rows are left out because of others that were.
const ROUNDS: usize = 100;

/// Why a row stays in the salvage file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A column has no exact form for a value of it.
    NotExact,
    /// SQLite no longer has what the backup had.
    Conflict,
    /// A row that stays is referred to by it, or refers to it.
    Reference,
}

/// A row that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Its number in the salvage file.
    pub row: i64,
    /// Of which kind the reason is.
    pub reason: Reason,
    /// Why, in words.
    pub why: String,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    /// The numbers of the rows that SQLite has now, those included that it had already.
    pub brought: Vec<i64>,
    /// The rows that stay in the salvage file.
    pub left: Vec<Left>,
    /// What SQLite's triggers would have filled and is as before.
    pub unfilled: Unfilled,
}

/// Brings `chosen` rows in, within the transaction that is open on `connection`, where nothing cascades and no trigger fires. After an error the
/// transaction has to be undone. `file` is the application's, as the salvage file notes it. What may take long is told to `say` before it is done.
///
/// # Errors
/// Either file cannot be read or written, or a reference points nowhere for another reason than these rows. After [`Error::IndexLate`] the
/// transaction is gone.
pub fn bring(
    connection: &Connection,
    salvaged: &Salvaged,
    chosen: &[i64],
    file: &Path,
    nearest: bool,
    anew: &Anew,
    say: &dyn Fn(&str),
) -> Result<Whole, Error> {
    let failed = || Error::sqlite(format!("writing {}", file.display()));
    let schema = Schema::read(connection).map_err(failed())?;
    let (_, tables) = sorted(salvaged, chosen)?;
    let rounds = Rounds {
        bringing: Bringing {
            connection,
            schema: &schema,
            means: Means {
                nearest,
                ..Means::default()
            },
            lifts: true,
        },
        salvaged,
        file,
        tables,
        say,
    };
    let mut left = BTreeMap::new();
    let brought = rounds.all(chosen, &mut left)?;
    let refreshed = derived::refresh(connection, &schema, &touched(&brought), anew, say);
    let unfilled = refreshed
        .map_err(failed())?
        .map_err(|late| Error::IndexLate {
            index: late.index,
            limit_s: anew.limit.as_secs(),
            made: late.made,
        })?;
    Ok(Whole {
        brought: brought.iter().map(|row| row.row).collect(),
        left: left.into_values().collect(),
        unfilled,
    })
}

/// What was done to which table by this run.
fn touched(brought: &[Brought]) -> Touched {
    let mut touched = Touched::new();
    for row in brought.iter().filter(|row| row.fate == Fate::Applied) {
        let operations = touched.entry(row.table.clone()).or_default();
        operations.insert(row.operation);
    }
    touched
}

/// Rows that stay, by their numbers.
type Staying = BTreeMap<i64, Left>;

fn stay(left: &mut Staying, row: i64, reason: Reason, why: String) {
    left.insert(row, Left { row, reason, why });
}

struct Rounds<'a> {
    bringing: Bringing<'a>,
    salvaged: &'a Salvaged,
    file: &'a Path,
    /// All tables that may be written.
    tables: BTreeSet<String>,
    say: &'a dyn Fn(&str),
}

/// What a round has come to.
enum Round {
    /// All that is not left out is in.
    Done(Vec<Brought>),
    /// More has to be left out, or more to be known: nothing of it may stay.
    Again,
}

impl Rounds<'_> {
    /// Rounds until nothing more has to be left out.
    fn all(&self, chosen: &[i64], left: &mut Staying) -> Result<Vec<Brought>, Error> {
        let connection = self.bringing.connection;
        let run = |sql: &str| {
            let doing = format!("writing {}", self.file.display());
            connection.execute_batch(sql).map_err(Error::sqlite(doing))
        };
        let mut before = None;
        for _ in 0..ROUNDS {
            run("SAVEPOINT round")?;
            match self.one(chosen, left, before.as_ref())? {
                Round::Done(brought) => {
                    run("RELEASE round")?;
                    return Ok(brought);
                }
                Round::Again => run("ROLLBACK TO round; RELEASE round")?,
            }
            if before.is_none() {
                before = Some(self.violations()?);
            }
        }
        Err(Error::NotComparable(format!(
            "{} rows stand in the way of one another in {ROUNDS} rounds: nothing was brought in, all of them are in the salvage file",
            left.len()
        )))
    }

    fn violations(&self) -> Result<Violations, Error> {
        let Bringing {
            connection, schema, ..
        } = &self.bringing;
        (self.say)("looking whether every reference of the tables that are written leads to a row");
        let found = violations(connection, schema, &self.tables);
        found.map_err(Error::sqlite(format!("reading {}", self.file.display())))
    }

    /// One round; `before` is what pointed nowhere before anything was brought in, once that was looked at.
    fn one(
        &self,
        chosen: &[i64],
        left: &mut Staying,
        before: Option<&Violations>,
    ) -> Result<Round, Error> {
        let rest: Vec<i64> = chosen
            .iter()
            .copied()
            .filter(|number| !left.contains_key(number))
            .collect();
        (self.say)(&format!(
            "{} go into SQLite, all of them or none, and are read again there",
            format::counted(rest.len() as u64, "row")
        ));
        let (lots, _) = sorted(self.salvaged, &rest)?;
        let none = Renumbering::default();
        let rows = self.bringing.all(self.salvaged, &lots, self.file, &none)?;
        let (refused, brought): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| matches!(row.fate, Fate::Conflict(_)));
        for row in refused {
            self.refuse(row, left)?;
        }
        // A row that was refused is not in, and the others need not be taken back for it.
        let mut is_clean = self.without_key(&brought, left)?;
        is_clean &= self.meaning(&brought, left)?;
        is_clean &= self.reread(&brought, left)?;
        if !is_clean {
            return Ok(Round::Again);
        }
        let after = self.violations()?;
        if after.is_empty() {
            return Ok(Round::Done(brought));
        }
        let Some(before) = before else {
            return Ok(Round::Again);
        };
        let new: BTreeSet<(&str, &str)> = more_than(before, &after)
            .map(|(table, _, parent)| (table.as_str(), parent.as_str()))
            .collect();
        if new.is_empty() {
            return Ok(Round::Done(brought));
        }
        let stood = left.len();
        self.leave_out(&new, &brought, left)?;
        if left.len() > stood {
            return Ok(Round::Again);
        }
        let shown = new
            .iter()
            .map(|(child, parent)| format!("{child} to {parent}"));
        Err(Error::NotComparable(format!(
            "references point nowhere ({}) once the rows are in, and none of the rows is why: nothing was brought in, all of them are in the salvage file",
            shown.collect::<Vec<_>>().join(", ")
        )))
    }

    /// Leaves a row out that something is in the way of.
    fn refuse(&self, row: Brought, left: &mut Staying) -> Result<(), Error> {
        let Fate::Conflict(why) = row.fate else {
            return Ok(());
        };
        let whole = self.salvaged.row(row.row)?;
        let values: Vec<_> = whole.values.iter().collect();
        let reason = match self.bringing.unfaithful(&values) {
            Some(_) => Reason::NotExact,
            None => Reason::Conflict,
        };
        stay(left, row.row, reason, why);
        Ok(())
    }

    /// In a table without a key a changed row is one that is deleted and one that is inserted: where one row of it is left out, nobody knows which
    /// others belong to it, and all of them are. Gives whether none has to be.
    fn without_key(&self, brought: &[Brought], left: &mut Staying) -> Result<bool, Error> {
        let mut doubtful = BTreeSet::new();
        for number in left.keys() {
            let row = self.salvaged.row(*number)?;
            if !row.values.iter().any(|value| value.is_key) {
                doubtful.insert(row.table);
            }
        }
        let stood = left.len();
        for row in brought.iter().filter(|row| doubtful.contains(&row.table)) {
            let why = format!(
                "{} has no key, and another row of it could not be brought in",
                row.table
            );
            stay(left, row.row, Reason::Reference, why);
        }
        Ok(left.len() == stood)
    }

    /// Leaves out rows that mean an inserted row that stays: where SQLite has another row with its key by now, they would refer to that. Gives
    /// whether there is none.
    fn meaning(&self, brought: &[Brought], left: &mut Staying) -> Result<bool, Error> {
        let mut inserted = Vec::new();
        for number in left.keys() {
            let row = self.salvaged.row(*number)?;
            if row.operation == Operation::Inserted {
                inserted.push(row);
            }
        }
        let meant = self.bringing.meant(&inserted);
        let stood = left.len();
        for one in brought {
            if !meant.iter().any(|meant| meant.is_of(&one.table)) {
                continue;
            }
            let row = self.salvaged.row(one.row)?;
            if let Some(parent) = meant.iter().find_map(|meant| meant.parent_of(&row)) {
                let why = format!("it refers to a row of {parent} that stays");
                stay(left, one.row, Reason::Reference, why);
            }
        }
        Ok(left.len() == stood)
    }

    /// Looks at each row again; gives whether SQLite has all of them as it should.
    fn reread(&self, brought: &[Brought], left: &mut Staying) -> Result<bool, Error> {
        let failed = || Error::sqlite(format!("reading {}", self.file.display()));
        let stood = left.len();
        for one in brought {
            let row = self.salvaged.row(one.row)?;
            if let Some(why) = self.bringing.differs(&row).map_err(failed())? {
                stay(left, one.row, Reason::Conflict, why);
            }
        }
        Ok(left.len() == stood)
    }

    /// Leaves out the rows that make these references, from a child to a parent, point nowhere.
    fn leave_out(
        &self,
        references: &BTreeSet<(&str, &str)>,
        brought: &[Brought],
        left: &mut Staying,
    ) -> Result<(), Error> {
        let failed = || Error::sqlite(format!("reading {}", self.file.display()));
        let is_concerned = |table: &str| {
            let mut pairs = references.iter();
            pairs.any(|(child, parent)| *child == table || parent.eq_ignore_ascii_case(table))
        };
        for one in brought.iter().filter(|row| is_concerned(&row.table)) {
            let row = self.salvaged.row(one.row)?;
            for (child, parent) in references {
                let broken = self.bringing.breaks(&row, child, parent);
                let Some(why) = broken.map_err(failed())? else {
                    continue;
                };
                stay(left, one.row, Reason::Reference, why);
                break;
            }
        }
        Ok(())
    }
}

/// What SQLite has of these rows now, by table.
pub fn counted(salvaged: &Salvaged, rows: &[i64]) -> Result<BTreeMap<String, [u64; 3]>, Error> {
    let mut counts: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    for row in rows {
        let (operation, table) = salvaged.kind(*row)?;
        let count = counts.entry(table).or_default();
        let place = match operation {
            Operation::Inserted => 0,
            Operation::Changed => 1,
            Operation::Deleted => 2,
        };
        count[place] += 1;
    }
    Ok(counts)
}
