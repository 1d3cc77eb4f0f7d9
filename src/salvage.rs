//! What the application has written to PostgreSQL since the switch: counted exactly, kept in a file when a rollback leaves it
//! behind, and brought back into SQLite row by row.
//!
//! [`search`] finds the rows: what is newer than the snapshot recorded at `F1`, and what the backup has and PostgreSQL has not. It
//! reads one moment of the target, read-only, and holds one row at a time. [`back`] turns PostgreSQL's values into those that the
//! application's SQLite file holds; the checker (`parity`) judges each. [`file`](mod@file) is the salvage file, [`apply`] brings
//! chosen rows of it into the source. [`tally`] has the sums.
//!
//! Not in here: when a rollback salvages (`step`), and the estimate while users write (`engine::cost`).

pub mod apply;
pub mod back;
mod backup;
pub mod cell;
mod error;
pub mod file;
mod form;
mod search;
pub mod tally;

pub use error::Error;
pub use search::{Column, Problem, Row, Search, Since, Sink};

use serde::{Deserialize, Serialize};

/// What was done to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

    /// By its word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Inserted, Self::Changed, Self::Deleted]
            .into_iter()
            .find(|operation| operation.word() == word)
    }
}

/// What was written to one table since the switch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCost {
    /// Its name in the source.
    pub table: String,
    /// Its name in the target.
    pub target: String,
    /// Rows that SQLite does not have.
    pub inserted: u64,
    /// Rows that SQLite has with other values.
    pub changed: u64,
    /// Rows that SQLite has and PostgreSQL no longer has.
    pub deleted: u64,
    /// Rows that were written again with the values that they had: nothing is lost with them.
    pub rewritten: u64,
    /// What is not known or not complete, and why; the numbers are then those that were found until there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
    /// The rows themselves broke off: those that were counted until there are in no salvage file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broke_off: bool,
}

impl TableCost {
    /// All rows of the three kinds.
    pub fn rows(&self) -> u64 {
        self.inserted + self.changed + self.deleted
    }

    /// Counts one row.
    fn count(&mut self, operation: Operation) {
        match operation {
            Operation::Inserted => self.inserted += 1,
            Operation::Changed => self.changed += 1,
            Operation::Deleted => self.deleted += 1,
        }
    }
}
