//! What would move: tables in order, type pairs, rows, and every value that will not convert, before anyone has frozen anything.

use std::path::Path;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::runbook::transfer::Transfer;
use crate::target::Endpoint;
use crate::text::printable;
use crate::transfer::{Error, Progress};

/// How far a plan looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// Every value of every planned table.
    Full,
    /// Names and types only.
    SchemaOnly,
}

/// The outcome of planning, in the shape of `plan --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// What moves, in foreign-key order (`D1`), the same for the same two schemas.
    pub tables: Vec<PlannedTable>,
    /// What stays, and why.
    pub skipped: Vec<Skipped>,
    /// What stands in the way. Empty: the import can run.
    pub problems: Vec<Problem>,
    /// Problems found beyond those listed, per `Table.Column`; a list of a million rows helps nobody.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub unlisted: std::collections::BTreeMap<String, u64>,
    /// What is worth knowing and stops nothing.
    pub notes: Vec<Problem>,
    /// The transfer section that would settle every problem, as YAML, to read and paste. Empty when there are none.
    pub suggested: String,
    /// SHA-256 over source schema, target schema, transfer section and problems found.
    pub hash: String,
    /// Whether every value was looked at.
    pub scanned: bool,
}

/// One table that moves.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedTable {
    /// Source name.
    pub table: String,
    /// Target name.
    pub target: String,
    /// Rows: counted by a full scan, else estimated.
    pub rows: u64,
    /// Bytes of its values.
    pub bytes: u64,
    /// Its columns in source order.
    pub columns: Vec<PlannedColumn>,
}

/// One column that moves.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedColumn {
    /// Source name.
    pub column: String,
    /// Declared type in the source, as written.
    pub source: String,
    /// Type in the target, as PostgreSQL shows it.
    pub target: String,
    /// What happens to its values, in words.
    pub conversion: String,
}

/// One table or column that does not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why it stays.
    pub why: String,
}

/// Where in a table a problem is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum RowKey {
    /// The rowid.
    Rowid(i64),
    /// The key's values, for tables without a rowid, made safe to print.
    Key(String),
    /// The whole column or table.
    None,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Source table, or the target's where the source has none.
    pub table: String,
    /// Column; empty for the whole table.
    pub column: String,
    /// The row.
    pub rowid: RowKey,
    /// The value, made safe to print and cut short.
    pub value: String,
    /// Why it does not fit.
    pub reason: String,
    /// The setting that would settle it, as `key: value`.
    pub policy: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", printable(&self.table, 80))?;
        if !self.column.is_empty() {
            write!(f, ".{}", printable(&self.column, 80))?;
        }
        match &self.rowid {
            RowKey::Rowid(rowid) => write!(f, " row {rowid}")?,
            RowKey::Key(key) => write!(f, " row {key}")?,
            RowKey::None => {}
        }
        if !self.value.is_empty() {
            write!(f, " {}", self.value)?;
        }
        write!(f, ": {}", self.reason)?;
        match &self.policy {
            Some(policy) => write!(f, " (settled by `{policy}`)"),
            None => Ok(()),
        }
    }
}

/// Plans the import of `source` into `schema` of `target`. Reads both sides; writes nothing that outlives its transaction.
pub async fn plan(
    source: &Path,
    target: &Endpoint,
    schema: &str,
    transfer: &Transfer,
    scan: Scan,
    progress: &(dyn Fn(Progress) + Sync),
    cancel: &CancellationToken,
) -> Result<Plan, Error> {
    let _ = (source, target, schema, transfer, scan, progress, cancel);
    Err(Error::Target("not built yet".to_owned()))
}
