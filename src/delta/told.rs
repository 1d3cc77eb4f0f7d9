//! By what it is found which rows of a table have to be read: by the pages that differ, where pages can tell, else all of them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::pages::{self, Candidates, NotUnderstood, Rows};
use crate::identity::Stamp;
use crate::sqlite::schema::{Position, Table};

/// By what the rows of a table were found that were compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// By the pages that differ: no rows but theirs were read.
    Pages,
    /// All were read.
    Rows {
        /// Why pages could not tell; none where nobody asked them.
        why: Option<String>,
    },
}

/// What is known of the rows that may differ.
#[derive(Debug)]
pub(super) struct Told {
    tables: BTreeMap<String, Rows>,
    /// Why nothing is known of other tables, if somebody has asked.
    why_not: Option<String>,
    /// Both files as they were then.
    stamps: Option<[Stamp; 2]>,
}

impl Told {
    /// Any row may differ.
    pub(super) fn nothing() -> Self {
        Self::of(Vec::new())
    }

    /// What somebody knows.
    pub(super) fn of(candidates: Vec<Candidates>) -> Self {
        let tables = candidates.into_iter();
        Self {
            tables: tables.map(|one| (one.table, one.rows)).collect(),
            why_not: None,
            stamps: None,
        }
    }

    /// What pages tell. Neither file is open in this process.
    pub(super) fn by_pages(
        older: &Path,
        newer: &Path,
        stop: &CancellationToken,
    ) -> Result<Self, Error> {
        let stamps = stamps(older, newer);
        match pages::candidates(older, newer, &|| stop.is_cancelled()) {
            Ok(candidates) => Ok(Self {
                stamps,
                ..Self::of(candidates)
            }),
            Err(NotUnderstood::Stopped) => Err(Error::Cancelled),
            Err(why) => Ok(Self::not(why.to_string())),
        }
    }

    fn not(why: String) -> Self {
        Self {
            why_not: Some(why),
            ..Self::nothing()
        }
    }

    /// The same, where both files still are as they were when it was told.
    pub(super) fn unless_written(self, older: &Path, newer: &Path) -> Self {
        match self.stamps.is_some() && stamps(older, newer) != self.stamps {
            true => Self::not("one of the files was written to meanwhile".to_owned()),
            false => self,
        }
    }

    /// The rowids of a table that have to be looked at; None: all rows. And by what that is known.
    pub(super) fn of_table(&self, table: &Table) -> (Option<&[RangeInclusive<i64>]>, By) {
        let all = |why: Option<&str>| {
            let why = why.map(str::to_owned);
            (None, By::Rows { why })
        };
        let has_rowids = matches!(table.position, Position::Rowid { .. });
        match self.tables.get(&table.name) {
            Some(Rows::Ranges(ranges)) if has_rowids || ranges.is_empty() => {
                (Some(ranges.as_slice()), By::Pages)
            }
            Some(Rows::Ranges(_)) => all(Some("a page of it changed, and its rows have no name")),
            Some(Rows::Whole(why)) => all(Some(why.sentence())),
            None => all(self.why_not.as_deref()),
        }
    }
}

/// Both files as they are now.
fn stamps(older: &Path, newer: &Path) -> Option<[Stamp; 2]> {
    Some([Stamp::of(older).ok()?, Stamp::of(newer).ok()?])
}
