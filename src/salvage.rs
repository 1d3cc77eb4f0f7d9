//! What the application has written to PostgreSQL since the switch: counted exactly, kept in a file when a rollback leaves it
//! behind, and brought back into SQLite row by row.
//!
//! [`search`] finds the rows: what is newer than the snapshot recorded at `F1`, and what the backup has and PostgreSQL has not. It
//! reads one moment of the target, read-only, and holds one row at a time. [`back`] turns PostgreSQL's values into those that the
//! application's SQLite file holds; the checker (`parity`) judges each. [`file`](mod@file) is the salvage file, [`apply`] brings
//! chosen rows of it into the source, or all that a rollback can. [`mark`](mod@mark) says there that they are in, until that is on record. [`tally`]
//! has the sums. [`seen`] tells whether two searches have found the same. [`beforehand`] tells which values would not come back exactly, before there are any.
//!
//! Not in here: when a rollback salvages (`step`), and the estimate while users write (`engine::cost`).

pub mod apply;
pub mod back;
pub(crate) mod backup;
pub mod beforehand;
pub mod cell;
mod dangling;
mod error;
pub mod file;
mod form;
pub mod mark;
mod renumber;
pub(crate) mod search;
pub mod seen;
pub mod tally;

pub use crate::session::facts::TableCost;
pub use error::Error;
pub use search::{Column, Problem, Row, Search, Since, Sink};

use serde::{Deserialize, Serialize};

/// What was done to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// It is in PostgreSQL only.
    Inserted,
    /// It is on both sides, with other values.
    Changed,
    /// It is in the backup only.
    Deleted,
}

impl Operation {
    /// As the salvage file has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }

    pub fn named(word: &str) -> Option<Self> {
        [Self::Inserted, Self::Changed, Self::Deleted]
            .into_iter()
            .find(|operation| operation.word() == word)
    }
}

impl TableCost {
    /// All rows of the three kinds.
    pub fn rows(&self) -> u64 {
        self.inserted + self.changed + self.deleted
    }

    /// Counts one row.
    pub(crate) fn count(&mut self, operation: Operation) {
        *self.of(operation) += 1;
    }

    /// Takes one row out of the count.
    pub(crate) fn count_no_more(&mut self, operation: Operation) {
        let of = self.of(operation);
        *of = of.saturating_sub(1);
    }

    fn of(&mut self, operation: Operation) -> &mut u64 {
        match operation {
            Operation::Inserted => &mut self.inserted,
            Operation::Changed => &mut self.changed,
            Operation::Deleted => &mut self.deleted,
        }
    }
}
