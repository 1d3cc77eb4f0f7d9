//! The plain model of the `transfer:` section: what may be left out, renamed, or changed on the way, and where.
//!
//! Pure values and the rule by which the most specific key wins. Reading YAML is `runbook::parse`'s business; what a policy does to a
//! value is `crate::transfer`'s.

mod lines;
mod losses;
pub mod names;
mod policy;
mod words;

use std::collections::BTreeMap;

use serde::Serialize;

pub use lines::{KeyOf, Lines};
pub use losses::Loss;
use names::Case;
pub use names::Pattern;
pub use policy::{ColumnPolicy, FREE_KEYS, POLICY_KEYS, PolicyError};
pub use words::{Bytes, Epoch, Fraction, GuidBytes, OnProblem, Real, Replacement, Scale, Unsigned};

/// The `transfer:` section. `Transfer::default()` is the section of a runbook that states no policy: everything exact or refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Transfer {
    /// What text without an offset means when it goes into `timestamptz`.
    pub zone: Option<Zone>,
    /// Tables (`Table`) and columns (`Table.Column`) that are left behind on purpose; wildcards allowed. See [`names`].
    pub exclude: Vec<Pattern>,
    /// Source name (`Table` or `Table.Column`) to target name (the bare table or column).
    pub rename: BTreeMap<String, String>,
    /// What to do with rows that the target tables already hold.
    pub target_rows: TargetRows,
    /// What SQLite promises and the target does not, or the import had and the target has no more, and what is known and wanted all
    /// the same; wildcards allowed. See [`Transfer::accepts`].
    pub accept: Vec<Pattern>,
    /// Sequences that belong to no column: `sequence` or `schema.sequence` to the source's `Table.Column` whose numbers they give out.
    pub sequences: BTreeMap<String, String>,
    /// BEFORE triggers of the application's that run during the load, by their names.
    pub fire: Vec<String>,
    /// Materialized views over the tables that move are refreshed after the load.
    pub refresh: bool,
    /// Statements that are run on the target after the load, as the owner of the tables, in this order.
    pub after_import: Vec<String>,
    /// Policies by column, in the order written. See [`Transfer::column`].
    pub columns: Vec<(Pattern, ColumnPolicy)>,
    /// The application's ordered lists (`T4c`, `V4`).
    pub lists: Vec<OrderedList>,
    /// The application's slugs (`T4b`, `V3`).
    pub slugs: Vec<Slug>,
    /// Where the target keeps book of its migrations, as the runbook says elsewhere: left behind, whether or not SQLite has it.
    #[serde(skip)]
    pub history: Option<Pattern>,
    /// The lines of keys that name something.
    #[serde(skip)]
    pub lines: Lines,
}

impl Transfer {
    /// The policy of one column. Every setting comes from the most specific key that names it: an exact `Table.Column` beats a
    /// wildcard, among wildcards the one with more literal characters wins, among equals the one in the column's own letter case, then
    /// the later one.
    pub fn column(&self, table: &str, column: &str) -> ColumnPolicy {
        let specificity = |pattern: &Pattern| {
            let in_its_case = pattern.matches_column_by(table, column, Case::Kept);
            (pattern.specificity(), in_its_case)
        };
        let mut matching: Vec<((usize, bool), &ColumnPolicy)> = self
            .columns
            .iter()
            .filter(|(pattern, _)| pattern.matches_column(table, column))
            .map(|(pattern, policy)| (specificity(pattern), policy))
            .collect();
        matching.sort_by_key(|(specificity, _)| *specificity);
        let mut merged = ColumnPolicy::default();
        for (_, policy) in matching {
            merged.overlay(policy);
        }
        merged
    }

    /// Whether this table is left behind on purpose.
    pub fn excludes_table(&self, table: &str) -> bool {
        self.exclude
            .iter()
            .any(|pattern| pattern.matches_table(table))
    }

    /// Whether this column is left behind on purpose.
    pub fn excludes_column(&self, table: &str, column: &str) -> bool {
        self.exclude
            .iter()
            .any(|pattern| pattern.matches_column(table, column))
    }

    /// Whether this difference between the schemas is known and wanted. `name` is what `plan` and `verify` call it, for instance
    /// `foreign key Orders(CustomerId)`. PostgreSQL's own names of constraints and triggers may differ by letter case alone, so that it counts
    /// there.
    pub fn accepts(&self, name: &str) -> bool {
        let mut kinds = names::SERVERS_OWN.iter();
        let case = match kinds.any(|kind| name.starts_with(kind)) {
            true => Case::Kept,
            false => Case::Ignored,
        };
        self.accept
            .iter()
            .any(|pattern| pattern.matches(name, case))
    }

    /// The target name stated for this source table, if any.
    pub fn renamed_table(&self, table: &str) -> Option<&str> {
        let stated = |case| {
            let mut all = self.rename.iter();
            all.find(|(key, _)| names::means_table_by(key, table, case))
        };
        let found = stated(Case::Kept).or_else(|| stated(Case::Ignored));
        found.map(|(_, to)| to.as_str())
    }

    /// The target name stated for this source column, if any.
    pub fn renamed_column(&self, table: &str, column: &str) -> Option<&str> {
        let stated = |case| {
            let mut all = self.rename.iter();
            all.find(|(key, _)| names::means_column_by(key, table, column, case))
        };
        let found = stated(Case::Kept).or_else(|| stated(Case::Ignored));
        found.map(|(_, to)| to.as_str())
    }
}

/// What wall-clock text without an offset means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Zone {
    /// Seconds east of UTC.
    pub offset_s: i32,
}

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self { offset_s: 0 };

    /// `UTC`, `Z`, `+02:00`, `-0530`. Names with daylight saving are refused: an hour of every autumn would be ambiguous.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "Z" || text.eq_ignore_ascii_case("utc") {
            return Some(Self::UTC);
        }
        let (sign, rest) = match text.as_bytes().first()? {
            b'+' => (1, &text[1..]),
            b'-' => (-1, &text[1..]),
            _ => return None,
        };
        let digits: String = rest.chars().filter(|c| *c != ':').collect();
        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
        (hours <= 15 && minutes < 60).then_some(Self {
            offset_s: sign * (hours * 3600 + minutes * 60),
        })
    }
}

impl std::fmt::Display for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.offset_s == 0 {
            return f.write_str("UTC");
        }
        let sign = if self.offset_s < 0 { '-' } else { '+' };
        let minutes = self.offset_s.abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// What to do with rows that the target tables already hold (seeds that migrations inserted).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetRows {
    /// Stop and show them.
    #[default]
    Refuse,
    /// Empty exactly the planned tables inside the import's own transactions.
    Replace,
}

/// An ordered list that the application shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderedList {
    /// How checks and reports call it.
    pub name: String,
    pub table: String,
    /// Source columns in order; a trailing ` desc` reverses one.
    pub order_by: Vec<String>,
    /// How many rows of it are compared; none means all.
    pub limit: Option<u64>,
}

impl OrderedList {
    /// `Title desc` → the column and whether it runs downward.
    pub fn direction(part: &str) -> (&str, bool) {
        let part = part.trim();
        match part.rsplit_once(char::is_whitespace) {
            Some((column, word)) if word.eq_ignore_ascii_case("desc") => (column.trim_end(), true),
            Some((column, word)) if word.eq_ignore_ascii_case("asc") => (column.trim_end(), false),
            _ => (part, false),
        }
    }
}

/// A column by which the application looks records up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slug {
    pub table: String,
    pub column: String,
    /// Lookups ignore blanks at both ends.
    pub trim: bool,
    /// Lookups ignore letter case.
    pub ignore_case: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(pairs: &[(&str, &str)]) -> ColumnPolicy {
        let mut policy = ColumnPolicy::default();
        for (key, value) in pairs {
            policy.set(key, value).expect("a known setting");
        }
        policy
    }

    #[test]
    fn the_most_specific_key_wins_per_setting() {
        let transfer = Transfer {
            columns: vec![
                (Pattern::new("Orders.At"), policy(&[("fraction", "round")])),
                (
                    Pattern::new("*.At"),
                    policy(&[("fraction", "truncate"), ("offset", "to_utc")]),
                ),
                (Pattern::new("*"), policy(&[("on_problem", "quarantine")])),
            ],
            ..Transfer::default()
        };
        let merged = transfer.column("Orders", "At");
        assert_eq!(merged.fraction, Some(Fraction::Round));
        assert!(merged.offset_to_utc);
        assert_eq!(merged.on_problem, Some(OnProblem::Quarantine));
        assert_eq!(
            transfer.column("Other", "At").fraction,
            Some(Fraction::Truncate)
        );
    }

    #[test]
    fn the_columns_own_letter_case_wins() {
        let transfer = Transfer {
            columns: vec![
                (Pattern::new("Orders.At"), policy(&[("fraction", "round")])),
                (
                    Pattern::new("orders.at"),
                    policy(&[("fraction", "truncate"), ("offset", "to_utc")]),
                ),
            ],
            rename: [("ORDERS", "far"), ("Orders", "near")]
                .map(|(from, to)| (from.to_owned(), to.to_owned()))
                .into(),
            accept: vec![
                Pattern::new("unique orders(at)"),
                Pattern::new("constraint a"),
            ],
            ..Transfer::default()
        };
        let merged = transfer.column("Orders", "At");
        assert_eq!(merged.fraction, Some(Fraction::Round));
        assert!(merged.offset_to_utc);
        assert_eq!(transfer.renamed_table("Orders"), Some("near"));
        assert_eq!(transfer.renamed_table("orders"), Some("far"));
        assert!(transfer.accepts("unique Orders(At)"));
        assert!(!transfer.accepts("constraint A"));
    }

    #[test]
    fn reads_a_direction() {
        assert_eq!(OrderedList::direction("Title desc"), ("Title", true));
        assert_eq!(OrderedList::direction("Title"), ("Title", false));
        assert_eq!(
            OrderedList::direction("Long name ASC"),
            ("Long name", false)
        );
    }

    #[test]
    fn zones_are_fixed_offsets() {
        assert_eq!(Zone::parse("utc"), Some(Zone::UTC));
        assert_eq!(Zone::parse("+05:30"), Some(Zone { offset_s: 19800 }));
        assert_eq!(Zone::parse("-0100"), Some(Zone { offset_s: -3600 }));
        assert_eq!(Zone::parse("Europe/Berlin"), None);
    }
}
