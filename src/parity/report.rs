//! What the checker found: plain data that serialises, for the engine's journal, `verify --json` and the cockpit.
//!
//! Every text in here that came out of a database is already harmless for a terminal.

use super::pair::TablePair;
use crate::text::printable;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The outcome of comparing a source with a target (`E1`, `E2`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Every planned table was compared to its end, nothing differs, every check passed.
    pub equal: bool,
    /// One entry per planned table, in name order.
    pub tables: Vec<TableReport>,
    /// What is in the source and was not compared, and why.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
    /// The checks that ran beside the comparison.
    pub checks: Vec<Check>,
    /// Wall-clock seconds of the whole run.
    pub seconds: f64,
}

/// Something in the source that is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub name: String,
    /// Why it is not compared.
    pub why: String,
}

/// How a comparison goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The table's name in the source.
    pub table: String,
    /// Rows read from the source so far.
    pub source_rows: u64,
    /// Rows read from the target so far.
    pub target_rows: u64,
    /// The table's comparison is over.
    pub done: bool,
    /// Rows that are equal, once it is over.
    pub equal: u64,
    /// Rows missing, extra or different, once it is over.
    pub differences: u64,
    /// The first of them for people, once it is over.
    pub examples: Vec<String>,
}

impl Progress {
    /// A table that is being read.
    pub(crate) fn reading(pair: &TablePair, source_rows: u64, target_rows: u64) -> Self {
        Self {
            table: printable(&pair.source, 80),
            source_rows,
            target_rows,
            done: false,
            equal: 0,
            differences: 0,
            examples: Vec::new(),
        }
    }

    /// A table that was compared.
    pub(crate) fn of(report: &TableReport) -> Self {
        Self {
            table: report.table.clone(),
            source_rows: report.source_rows,
            target_rows: report.target_rows,
            done: true,
            equal: report
                .source_rows
                .saturating_sub(report.missing + report.different + report.changed_since_switch),
            differences: report.missing + report.extra + report.different,
            examples: report.examples.iter().map(Difference::to_string).collect(),
        }
    }
}

/// How much of a table was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// Nothing: not begun, or broken off before both sides were read.
    #[default]
    Nothing,
    /// Every row and every value of both sides.
    All,
}

/// One table's comparison.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableReport {
    /// The table's name in the source.
    pub table: String,
    /// Its name in the target.
    pub target: String,
    /// How much of it was compared.
    pub compared: Compared,
    /// Why the table could not be compared at all: missing on one side, a column without counterpart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Rows read from the source, less those that a policy left out.
    pub source_rows: u64,
    /// Rows read from the target, less those that are new since the switch.
    pub target_rows: u64,
    /// Rows that only the source has.
    pub missing: u64,
    /// Rows that only the target has.
    pub extra: u64,
    /// Rows that both have, under one key, with different values.
    pub different: u64,
    /// The first differences of each kind.
    pub examples: Vec<Difference>,
    /// Values that a policy of the runbook changed on purpose, per column. Not differences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_policy: Vec<ByPolicy>,
    /// Source rows that a policy told the import to leave out. Not differences.
    #[serde(default)]
    pub quarantined: u64,
    /// Rows in which PostgreSQL computes a column otherwise than SQLite, from the same values. Not differences: its own rule is right.
    #[serde(default)]
    pub computed_otherwise: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub computed_examples: Vec<Difference>,
    /// Target rows that were written after the switch and have no counterpart. Not differences.
    #[serde(default)]
    pub new_since_switch: u64,
    /// Source rows whose counterpart was rewritten after the switch. Not differences.
    #[serde(default)]
    pub changed_since_switch: u64,
    /// Rows were judged by the snapshot of the switch. One that was deleted since is among those missing: it leaves no trace.
    #[serde(default)]
    pub since_switch: bool,
}

impl TableReport {
    /// A table that was not compared yet.
    pub(crate) fn of(pair: &TablePair) -> Self {
        Self {
            table: printable(&pair.source, 80),
            target: printable(&pair.target, 80),
            ..Self::default()
        }
    }

    /// Compared, to the depth that was asked for, without a difference.
    pub fn is_equal(&self) -> bool {
        self.compared != Compared::Nothing
            && self.source_rows == self.target_rows + self.changed_since_switch
            && self.problem.is_none()
            && self.missing + self.extra + self.different == 0
    }
}

impl TableReport {
    /// The comparison as one check of row `id` of the protocol.
    pub fn verdict(&self, id: &str) -> Check {
        let name = format!("rows of {}", self.table);
        let detail = match (&self.problem, self.compared) {
            (Some(problem), _) => format!("{} was not compared: {problem}", self.table),
            (None, Compared::Nothing) => format!("{} was not compared", self.table),
            (None, Compared::All) => self.counts(),
        };
        let examples = self.examples.iter().map(Difference::to_string).collect();
        Check {
            id: id.to_owned(),
            name,
            ok: self.is_equal(),
            detail,
            examples,
        }
    }

    /// One line: rows and differences.
    fn counts(&self) -> String {
        let mut line = match self.missing + self.extra + self.different {
            0 => format!("{} rows equal in every value", self.source_rows),
            _ => {
                let Self {
                    source_rows,
                    target_rows,
                    missing,
                    extra,
                    different,
                    ..
                } = self;
                let first = self
                    .examples
                    .first()
                    .map(|first| format!("; first: {first}"))
                    .unwrap_or_default();
                format!(
                    "{source_rows} rows in SQLite, {target_rows} in PostgreSQL: {missing} missing, {extra} extra, {different} different{first}"
                )
            }
        };
        if self.since_switch && self.missing > 0 {
            line.push_str("; what the application deleted since the switch is among those missing");
        }
        let by_policy: u64 = self.by_policy.iter().map(|column| column.values).sum();
        let asides = [
            (by_policy, "values changed by policy"),
            (self.quarantined, "rows left out by policy"),
            (
                self.computed_otherwise,
                "rows with a column that PostgreSQL computes otherwise than SQLite from the same values",
            ),
            (self.new_since_switch, "rows new since the switch"),
            (self.changed_since_switch, "rows changed since the switch"),
        ];
        for (count, what) in asides.into_iter().filter(|(count, _)| *count > 0) {
            line.push_str(&format!("; {count} {what}"));
        }
        if let Some(first) = self.computed_examples.first() {
            line.push_str(&format!(": {first}"));
        }
        line
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Missing => write!(f, "missing in PostgreSQL: {} ({})", self.key, self.source),
            Kind::Extra => write!(f, "only in PostgreSQL: {} ({})", self.key, self.target),
            Kind::Different => write!(
                f,
                "{}: {} is {} in SQLite and {} in PostgreSQL",
                self.key, self.column, self.source, self.target
            ),
        }
    }
}

/// The kind of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only the source has the row.
    Missing,
    /// Only the target has the row.
    Extra,
    /// Both have it, with different values.
    Different,
}

/// One difference. For a missing or an extra row `column` is empty and the side that has the row shows all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Missing, extra or different.
    pub kind: Kind,
    /// The row's key as `column=value, …`; `rowid=…` or `ctid=…` for a table without one.
    pub key: String,
    /// The column that differs, by its name in the source.
    pub column: String,
    /// The value in the source, NULL as `NULL`, text in single quotes.
    pub source: String,
    /// The value in the target, likewise.
    pub target: String,
}

/// What one policy did to one column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByPolicy {
    /// The column's name in the source.
    pub column: String,
    /// How many values it changed.
    pub values: u64,
    /// The first values that it changed, as the source has them.
    pub examples: Vec<String>,
}

/// The verdict of one check. A check that could not be made is not `ok`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The protocol's row: `E1`, `T4b`, `V5`, ….
    pub id: String,
    /// What was checked: `row counts`, `slugs ToolContents.Slug`, ….
    pub name: String,
    pub ok: bool,
    /// One line for people: the numbers if it holds, the first thing that is wrong if not.
    pub detail: String,
    /// Further examples of what is wrong, bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_was_not_compared_is_never_equal_and_says_why() {
        let mut table = TableReport {
            table: "Tools".to_owned(),
            problem: Some("missing in the target".to_owned()),
            ..TableReport::default()
        };
        let verdict = table.verdict("E2");
        assert!(!verdict.ok);
        assert_eq!(
            verdict.detail,
            "Tools was not compared: missing in the target"
        );
        table.problem = None;
        let verdict = table.verdict("E2");
        assert!(!verdict.ok, "no rows on either side are not equal rows");
        assert_eq!(verdict.detail, "Tools was not compared");
        table.compared = Compared::All;
        assert!(table.verdict("E2").ok);
    }
}
