//! Brings in all that a rollback can: every row, but for those that something is in the way of, and those that refer to them. Each row is whole in
//! SQLite or not there at all.
//!
//! It works in a transaction that is open ([`crate::sqlite::writer`]), and whoever opened it decides what becomes of it. What is left out makes
//! other rows point nowhere, so it goes in rounds until nothing more has to be left out. Rows are read from the salvage file one by one, in the order
//! of their numbers, and again before the commit; what has to be remembered of them is in a scratch file (`scratch`), so that memory does not grow with
//! how many there are. Not in here: one pass over the rows (`pass`), rows that a person chooses (`apply`).

mod lift;
mod pass;
mod scratch;

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;

use super::derived::{self, Anew, Unfilled};
use super::{Bringing, Means};
use crate::format;
use crate::salvage::dangling::each_violation;
use crate::salvage::error::Error;
use crate::salvage::file::{Salvaged, SalvagedRow};
use crate::sqlite::schema::Schema;
use pass::Passed;
use scratch::{Moment, Scratch};

/// The highest number of rounds in which rows are left out because of others that were.
const ROUNDS: usize = 100;

/// Why a row stays in the salvage file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A column has no exact form for a value of it.
    NotExact,
    /// SQLite no longer has what the backup had.
    Conflict,
    /// A row that stays is referred to by it, or refers to it.
    Reference,
}

impl Reason {
    /// As files have it.
    pub(in crate::salvage) fn word(self) -> &'static str {
        match self {
            Self::NotExact => "not_exact",
            Self::Conflict => "conflict",
            Self::Reference => "reference",
        }
    }

    pub(in crate::salvage) fn named(word: &str) -> Option<Self> {
        [Self::NotExact, Self::Conflict, Self::Reference]
            .into_iter()
            .find(|reason| reason.word() == word)
    }
}

/// A row that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its number in the salvage file.
    pub row: i64,
    /// Of which kind the reason is.
    pub reason: Reason,
    pub why: String,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    /// How many rows SQLite has now, those included that it had already.
    pub brought: u64,
    /// How many rows stay in the salvage file, which says which and why ([`Salvaged::staying`]).
    pub left: u64,
    /// What SQLite's triggers would have filled and is as before.
    pub unfilled: Unfilled,
}

/// Brings in the rows that were not brought into `file`, the application's, as the salvage file notes it: within the transaction that is open on
/// `connection`, where nothing cascades and no trigger fires. After an error the transaction has to be undone. Which rows stay is on the salvage
/// file's disk when this returns, before that transaction is committed. What may take long is told to `say` before it is done.
///
/// # Errors
/// Either file cannot be read or written, or a reference points nowhere for another reason than these rows. After [`Error::IndexLate`] the
/// transaction is gone.
pub fn bring(
    connection: &Connection,
    salvaged: &Salvaged,
    file: &Path,
    nearest: bool,
    anew: &Anew,
    say: &dyn Fn(&str),
) -> Result<Whole, Error> {
    let failed = || Error::sqlite(format!("writing {}", file.display()));
    let schema = Schema::read(connection).map_err(failed())?;
    let rounds = Rounds {
        bringing: Bringing {
            connection,
            schema: &schema,
            means: Means {
                nearest,
                ..Means::default()
            },
            leaves_unwritable: true,
        },
        salvaged,
        file,
        tables: salvaged.tables_not_in(file)?,
        scratch: Scratch::new(salvaged.folder())?,
        say,
    };
    let passed = rounds.all()?;
    let refreshed = derived::refresh(connection, &schema, &passed.touched, anew, say);
    let unfilled = refreshed
        .map_err(failed())?
        .map_err(|late| Error::IndexLate {
            index: late.index,
            limit_s: anew.limit.as_secs(),
            made: late.made,
        })?;
    Ok(Whole {
        brought: passed.rows,
        left: salvaged.keep_staying(|after| rounds.scratch.next_staying(after))?,
        unfilled,
    })
}

struct Rounds<'a> {
    bringing: Bringing<'a>,
    salvaged: &'a Salvaged,
    file: &'a Path,
    /// All tables that may be written.
    tables: BTreeSet<String>,
    scratch: Scratch,
    say: &'a dyn Fn(&str),
}

/// What a round has come to.
enum Round {
    /// All that is not left out is in.
    Done(Passed),
    /// More has to be left out, or more to be known: nothing of it may stay.
    Again,
}

impl Rounds<'_> {
    fn run(&self, sql: &str) -> Result<(), Error> {
        let run = self.bringing.connection.execute_batch(sql);
        run.map_err(|error| self.not_written(error))
    }

    fn not_written(&self, error: rusqlite::Error) -> Error {
        Error::sqlite(format!("writing {}", self.file.display()))(error)
    }

    fn not_read(&self, error: rusqlite::Error) -> Error {
        Error::sqlite(format!("reading {}", self.file.display()))(error)
    }

    /// Rounds until nothing more has to be left out.
    fn all(&self) -> Result<Passed, Error> {
        let mut is_known_before = false;
        for _ in 0..ROUNDS {
            self.run("SAVEPOINT round")?;
            match self.one(is_known_before)? {
                Round::Done(passed) => {
                    self.run("RELEASE round")?;
                    return Ok(passed);
                }
                Round::Again => self.run("ROLLBACK TO round; RELEASE round")?,
            }
            if !is_known_before {
                self.look(Moment::Before)?;
                is_known_before = true;
            }
        }
        Err(Error::NotComparable(format!(
            "{} rows stand in the way of one another in {ROUNDS} rounds: nothing was brought in, all of them are in the salvage file",
            self.scratch.staying()?
        )))
    }

    /// Looks which references point nowhere; whether one does.
    fn look(&self, moment: Moment) -> Result<bool, Error> {
        let Bringing {
            connection, schema, ..
        } = &self.bringing;
        (self.say)("looking whether every reference of the tables that are written leads to a row");
        self.scratch.looks(moment)?;
        let mut is_one = false;
        let each = |child: &str, number, parent: &str| {
            is_one = true;
            self.scratch.dangles(moment, child, number, parent)
        };
        let failed = |error| self.not_read(error);
        each_violation(connection, schema, &self.tables, failed, each)?;
        Ok(is_one)
    }

    /// One round; what pointed nowhere before anything was brought in is known once that was looked at.
    fn one(&self, is_known_before: bool) -> Result<Round, Error> {
        let rest = self.salvaged.rows_not_in(self.file)?;
        let rest = rest.saturating_sub(self.scratch.staying()?);
        (self.say)(&format!(
            "{} go into SQLite, all of them or none, and are read again there",
            format::counted(rest, "row")
        ));
        let passed = self.pass()?;
        // A row that was refused is not in, and the others need not be taken back for it.
        let mut is_clean = self.without_key()?;
        is_clean &= self.meaning()?;
        is_clean &= self.reread()?;
        if !is_clean {
            return Ok(Round::Again);
        }
        if !self.look(Moment::After)? {
            return Ok(Round::Done(passed));
        }
        if !is_known_before {
            return Ok(Round::Again);
        }
        let new = self.scratch.dangling_since()?;
        if new.is_empty() {
            return Ok(Round::Done(passed));
        }
        if !self.leave_out(&new)? {
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

    /// Gives each row to `each` that is in, of the tables that are meant.
    fn each_brought(
        &self,
        is_meant: impl Fn(&str) -> bool,
        mut each: impl FnMut(SalvagedRow) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.salvaged.each_not_in(self.file, None, |number, table| {
            if !is_meant(table) || self.scratch.stays(number)? {
                return Ok(());
            }
            each(self.salvaged.row(number)?)
        })
    }

    /// In a table without a key a changed row is one that is deleted and one that is inserted: where one row of it is left out, nobody knows which
    /// others belong to it, and all of them are. Gives whether none has to be.
    fn without_key(&self) -> Result<bool, Error> {
        let doubtful = self.scratch.tables_without_key()?;
        let mut is_clean = true;
        if doubtful.is_empty() {
            return Ok(is_clean);
        }
        self.each_brought(
            |table| doubtful.contains(table),
            |row| {
                let why = format!(
                    "{} has no key, and another row of it could not be brought in",
                    row.table
                );
                is_clean = false;
                self.scratch.stay(&row, Reason::Reference, &why)
            },
        )?;
        Ok(is_clean)
    }

    /// Leaves out rows that mean an inserted row that stays: where SQLite has another row with its key by now, they would refer to that. Gives
    /// whether there is none.
    fn meaning(&self) -> Result<bool, Error> {
        while let Some(number) = self.scratch.next_not_meant()? {
            let row = self.salvaged.row(number)?;
            self.scratch.mean(number, &self.bringing.meant_by(&row))?;
        }
        let concerned = self.scratch.meaning()?;
        let mut is_clean = true;
        if concerned.is_empty() {
            return Ok(is_clean);
        }
        self.each_brought(
            |table| concerned.contains(table),
            |row| {
                for (place, parent, cells) in self.bringing.references_of(&row) {
                    if self.scratch.means(&row.table, place, &cells)? {
                        let why = format!("it refers to a row of {parent} that stays");
                        is_clean = false;
                        return self.scratch.stay(&row, Reason::Reference, &why);
                    }
                }
                Ok(())
            },
        )?;
        Ok(is_clean)
    }

    /// Looks at each row again; gives whether SQLite has all of them as it should.
    fn reread(&self) -> Result<bool, Error> {
        let mut is_clean = true;
        self.each_brought(
            |_| true,
            |row| {
                let differs = self.bringing.differs(&row);
                let Some(why) = differs.map_err(|error| self.not_read(error))? else {
                    return Ok(());
                };
                is_clean = false;
                self.scratch.stay(&row, Reason::Conflict, &why)
            },
        )?;
        Ok(is_clean)
    }

    /// Leaves out the rows that make these references, from a child to a parent, point nowhere. Gives whether there is none.
    fn leave_out(&self, references: &BTreeSet<(String, String)>) -> Result<bool, Error> {
        let is_concerned = |table: &str| {
            let mut pairs = references.iter();
            pairs.any(|(child, parent)| child == table || parent.eq_ignore_ascii_case(table))
        };
        let mut is_clean = true;
        self.each_brought(is_concerned, |row| {
            for (child, parent) in references {
                let broken = self.bringing.breaks(&row, child, parent);
                let Some(why) = broken.map_err(|error| self.not_read(error))? else {
                    continue;
                };
                is_clean = false;
                return self.scratch.stay(&row, Reason::Reference, &why);
            }
            Ok(())
        })?;
        Ok(is_clean)
    }
}
