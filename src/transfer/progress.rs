//! What a running plan or import tells about itself. Drawing and printing it is the caller's business.

use serde::Serialize;

/// One report. Made at most a few times per second and table, and once more when something ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Progress {
    /// Rows of one table, scanned or loaded.
    Rows {
        table: String,
        /// Rows so far, those of earlier attempts included.
        rows: u64,
        /// Rows expected; an estimate until the table is done.
        rows_total: u64,
        /// Bytes so far as sent (copy) or read (plan).
        bytes: u64,
        /// Since this table began in this process.
        rows_per_s: u64,
        /// Until the whole import is done, constraints and indexes included, where it can be told.
        left_ms: Option<u64>,
        /// Whether the table is done.
        done: bool,
    },
    /// A constraint or index is being rebuilt, or is done.
    Rebuilding {
        table: String,
        /// Constraint or index.
        name: String,
        /// Whether it is done.
        done: bool,
        /// How many are back in this process.
        back: u64,
        /// Out of how many.
        total: u64,
        /// Whether every row of every table is in, so that only rebuilding is left.
        filled: bool,
        /// Until the whole import is done, where it can be told.
        left_ms: Option<u64>,
    },
    /// A passing fault; the import goes on after a pause.
    Retrying {
        /// What was being done.
        doing: String,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// Pause before the next.
        wait_ms: u64,
        reason: String,
    },
    /// Everything that will be taken away for the load, before it is: durable in the target by now, and for the caller's own journal.
    Definitions {
        /// In the order of being taken away.
        definitions: Vec<crate::transfer::copy::record::Definition>,
    },
    /// A phase of the whole begins.
    Phase {
        /// `prepare`, `load` (rebuilds and statistics overlap with it), `sequences`.
        phase: &'static str,
    },
}
