//! What a scan found of one column's values at fault, as far as it tells what would settle them. Not in here: finding them (`scan`), and what
//! follows (`settle`).

use std::collections::BTreeMap;

use crate::runbook::transfer::Replacement;
use crate::transfer::convert::Converter;
use crate::transfer::plan::habits::Habits;
use crate::transfer::plan::{RowKey, changed};
use crate::transfer::reader::RowView;

/// What would settle the problems of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Settings as `key: value`, and how many values need each.
    pub policies: BTreeMap<&'static str, u64>,
    /// Values that seem to stand for something else, and how many there are of each.
    pub values: BTreeMap<String, (Replacement, u64)>,
    /// Values that fit under no setting.
    pub hopeless: u64,
    /// Problems seen.
    pub count: u64,
    /// How the values are written.
    pub habits: Habits,
    /// The first and the last rowid of those that are NULL and may not be.
    pub null_rows: Option<(i64, i64)>,
    /// By setting that changes values, the first row that needs it, and what becomes of its value.
    pub examples: BTreeMap<&'static str, (RowKey, String)>,
}

impl Wish {
    /// Takes in what was seen in other rows.
    pub fn merge(&mut self, other: Self) {
        for (policy, count) in other.policies {
            *self.policies.entry(policy).or_default() += count;
        }
        for (value, (by, count)) in other.values {
            self.values.entry(value).or_insert((by, 0)).1 += count;
        }
        self.hopeless += other.hopeless;
        self.count += other.count;
        self.habits.merge(other.habits);
        self.null_rows = match (self.null_rows, other.null_rows) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (mine, theirs) => mine.or(theirs),
        };
        for (policy, example) in other.examples {
            match self.examples.get(policy) {
                Some(mine) if mine.0 <= example.0 => {}
                Some(_) | None => {
                    self.examples.insert(policy, example);
                }
            }
        }
    }

    /// What the settings that change a value make of the first one that needs them.
    pub fn show(
        &mut self,
        policies: &[&'static str],
        row: &RowView<'_>,
        place: usize,
        converter: &Converter,
    ) {
        for &policy in policies {
            if !changed::changes(policy) || self.examples.contains_key(policy) {
                continue;
            }
            if let Some(example) = changed::example(converter, row.value(place), policies) {
                self.examples.insert(policy, (row.key(), example));
            }
        }
    }

    /// A row whose NULL may be none.
    pub fn see_null(&mut self, row: &RowKey) {
        if let RowKey::Rowid(rowid) = *row {
            let (first, last) = self.null_rows.unwrap_or((rowid, rowid));
            self.null_rows = Some((first.min(rowid), last.max(rowid)));
        }
    }
}
