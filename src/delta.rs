//! Which rows of a newer SQLite snapshot are not those of an older one, written into a file of ours (`file`) that names them and holds none of
//! their values but the keys.
//!
//! Two rows are the same where each stored column has the same storage class and the same bytes; nothing that SQLite takes for equal is enough
//! (`A` and `a` under NOCASE, 1 and 1.0, 0.0 and -0.0). An update is a row whose declared key stays, in that sense; where the key changes, a row
//! goes and another comes. A key with a NULL in it names no row. The rowid of a table whose key it is not is no part of a row.
//!
//! Not in here: what a row means, PostgreSQL, and where snapshots come from.

mod alike;
mod error;
mod examples;
mod file;
pub mod pages;
mod rows;
mod snapshot;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::sqlite::schema::Table;
pub use error::Error;
pub use examples::{Different, Example, examples};
pub use told::By;

use file::Draft;
use snapshot::{Sides, Snapshot};
use told::Told;

/// What differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// Tables with a difference, by name.
    pub tables: Vec<Changed>,
    /// Tables that hold the same rows, by name.
    pub same: Vec<String>,
    /// By what the rows to compare were found, of each table that both files have as the same table.
    pub by: BTreeMap<String, By>,
}

/// A table with a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its number in the delta file: its rows are in `rows_<id>`, unless it is another table as a whole.
    pub id: i64,
    /// Its name.
    pub table: String,
    /// How its rows are named.
    pub way: Way,
    /// Rows that came; of a table anew all that are there now.
    pub inserted: u64,
    /// Rows that stayed by their key and are otherwise.
    pub updated: u64,
    /// Rows that went; of a table anew all that were there.
    pub deleted: u64,
}

/// How the rows of a table are named, so that they can be read from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By rowid.
    Rowid,
    /// By the declared key: WITHOUT ROWID.
    Key,
    /// Not at all: the whole table is another.
    Anew(Anew),
}

/// Why a whole table is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anew {
    /// The older snapshot does not have it.
    New,
    /// The newer snapshot does not have it.
    Gone,
    /// Its columns or their types are others.
    Columns,
    /// Its declared key, or the order of it, is another.
    Key,
    /// It has become STRICT, or is no longer.
    Strict,
    /// It has become WITHOUT ROWID, or is no longer.
    Rowid,
    /// What its generated columns are made of may be something else.
    Generated,
    /// Its rows differ, and there is no name by which SQLite reads one of them.
    Nameless,
}

impl Changed {
    /// How many rows came, changed and went, in the order of [`Change::ALL`].
    pub fn counts(&self) -> [u64; 3] {
        [self.inserted, self.updated, self.deleted]
    }
}

impl Way {
    /// As the delta file has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rowid => "rowid",
            Self::Key => "key",
            Self::Anew(_) => "anew",
        }
    }

    /// Why the whole table is another, if it is.
    pub fn why(self) -> Option<&'static str> {
        match self {
            Self::Rowid | Self::Key => None,
            Self::Anew(why) => Some(why.sentence()),
        }
    }

    fn of(table: &Table) -> Self {
        use crate::sqlite::schema::Position;
        match table.position {
            Position::Rowid { .. } => Self::Rowid,
            Position::Key => Self::Key,
            Position::Ordinal => Self::Anew(Anew::Nameless),
        }
    }
}

impl Anew {
    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::New => "the older file does not have it",
            Self::Gone => "the newer file does not have it",
            Self::Columns => "its columns or their types are others",
            Self::Key => "its primary key, or the order of it, is another",
            Self::Strict => "it is STRICT in one of the files alone",
            Self::Rowid => "it is WITHOUT ROWID in one of the files alone",
            Self::Generated => {
                "its text is another, and what its generated columns are made of may be too"
            }
            Self::Nameless => {
                "its rows differ, and SQLite has no name by which one of them could be read"
            }
        }
    }
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It came.
    Inserted,
    /// It stayed by its key and is otherwise.
    Updated,
    /// It went.
    Deleted,
}

impl Change {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 3] = [Self::Inserted, Self::Updated, Self::Deleted];

    /// As the delta file has it.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Inserted => "i",
            Self::Updated => "u",
            Self::Deleted => "d",
        }
    }
}

/// Compares all tables that an import would move, row by row, and writes what differs into a new file at `into`. Blocks; memory does not grow
/// with the tables. What has to be remembered on the way is in temporary files of SQLite's.
///
/// # Errors
/// One of the files is no snapshot or cannot be read, both are one, or `into` is there or cannot be written. Nothing is at `into` then.
pub fn rows(
    older: &Path,
    newer: &Path,
    into: &Path,
    stop: &CancellationToken,
) -> Result<Delta, Error> {
    rows_of(older, newer, None, into, stop)
}

/// As [`rows`], of these tables alone.
///
/// # Errors
/// As there; or neither file has one of the tables.
pub fn rows_of(
    older: &Path,
    newer: &Path,
    tables: Option<&[String]>,
    into: &Path,
    stop: &CancellationToken,
) -> Result<Delta, Error> {
    compared((older, newer), tables, Told::nothing(), into, stop)
}

/// As [`rows_of`], and with the same delta: but only rows are read of which the [`pages`] tell that they may differ, where pages can tell. Neither
/// file is open in this process, other than here.
///
/// # Errors
/// As there.
pub fn by_pages(
    older: &Path,
    newer: &Path,
    tables: Option<&[String]>,
    into: &Path,
    stop: &CancellationToken,
) -> Result<Delta, Error> {
    let told = Told::by_pages(older, newer, stop)?;
    compared((older, newer), tables, told, into, stop)
}

/// As [`rows`], where somebody knows which rows may differ: no others are read.
///
/// # Errors
/// As there.
pub fn within(
    older: &Path,
    newer: &Path,
    candidates: Vec<pages::Candidates>,
    into: &Path,
    stop: &CancellationToken,
) -> Result<Delta, Error> {
    compared((older, newer), None, Told::of(candidates), into, stop)
}

fn compared(
    (older, newer): (&Path, &Path),
    tables: Option<&[String]>,
    told: Told,
    into: &Path,
    stop: &CancellationToken,
) -> Result<Delta, Error> {
    let sides = Sides::open(older, newer)?;
    // From here on nobody can write to them.
    let told = told.unless_written(older, newer);
    let names = names(&sides, tables)?;
    let draft = Draft::create(into, sides.stored_as())?;
    let mut delta = Delta::default();
    for name in names {
        if stop.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let id = i64::try_from(delta.tables.len() + 1).expect("BUG: too many tables");
        let (changed, by) = table(&sides, name, id, &draft, &told, stop)?;
        delta.by.extend(by.map(|by| (name.to_owned(), by)));
        match changed {
            Some(changed) => delta.tables.push(changed),
            None => delta.same.push(name.to_owned()),
        }
    }
    draft.publish()?;
    Ok(delta)
}

/// The tables to compare, by name.
fn names<'s>(sides: &'s Sides, wanted: Option<&[String]>) -> Result<BTreeSet<&'s str>, Error> {
    let both = [&sides.older, &sides.newer].into_iter();
    let tables = both.flat_map(|side| &side.schema.tables);
    let mut names: BTreeSet<&str> = tables.map(|table| table.name.as_str()).collect();
    if let Some(wanted) = wanted {
        if let Some(unknown) = wanted.iter().find(|name| !names.contains(name.as_str())) {
            return Err(Error::Unknown {
                table: unknown.clone(),
            });
        }
        names.retain(|name| wanted.iter().any(|one| one == name));
    }
    Ok(names)
}

/// What differs in one table, and by what the rows to compare were found.
fn table(
    sides: &Sides,
    name: &str,
    id: i64,
    draft: &Draft,
    told: &Told,
    stop: &CancellationToken,
) -> Result<(Option<Changed>, Option<By>), Error> {
    let why = match (
        sides.older.schema.table(name),
        sides.newer.schema.table(name),
    ) {
        (Some(older), Some(newer)) => match alike::difference(sides, older, newer)? {
            None => {
                let (within, by) = told.of_table(newer);
                let changed = match within {
                    Some([]) => None,
                    within => rows::compare(sides, (older, newer), id, draft, within, stop)?,
                };
                return Ok((changed, Some(by)));
            }
            Some(why) => why,
        },
        (Some(_), None) => Anew::Gone,
        (None, _) => Anew::New,
    };
    let count = |side: &Snapshot| match side.schema.table(name) {
        Some(_) => side.count(name),
        None => Ok(0),
    };
    let changed = Changed {
        id,
        table: name.to_owned(),
        way: Way::Anew(why),
        inserted: count(&sides.newer)?,
        updated: 0,
        deleted: count(&sides.older)?,
    };
    draft.anew(&changed)?;
    Ok((Some(changed), None))
}
