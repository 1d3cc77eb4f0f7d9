//! Rows that the transfer section puts aside, and values that it makes NULL, counted before anything is copied: how many of each table, by the
//! `on_problem` of which column, which are the first, and why. Nobody is to learn from the import that a row stays behind.
//!
//! What a conversion refuses the scan finds by the encoder of the import; what the server's rules refuse, and what hangs on other rows, is told by
//! [`super::fates`].

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::consequences::{Action, Orphan};
use super::fates::Settled;
use super::scan::{LISTED_PER_COLUMN, Scanned};
use super::{Problem, RowKey};
use crate::transfer::layout::Layout;

/// Rows that stay behind, or values that become NULL, by what is stated of one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// Source table.
    pub table: String,
    /// Source column at fault; empty for a rule of the whole row.
    pub column: String,
    /// `on_problem: quarantine` for whole rows, `on_problem: null` for values alone.
    pub policy: &'static str,
    /// How many.
    pub count: u64,
    /// The first of them, by row.
    pub rows: Vec<AsideRow>,
}

impl Aside {
    /// Whether whole rows stay behind.
    pub fn is_of_rows(&self) -> bool {
        self.policy == Action::Aside.policy()
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AsideRow {
    /// The row.
    pub rowid: RowKey,
    /// The value at fault, made safe to print and cut short.
    pub value: String,
    /// Why it does not fit.
    pub reason: String,
}

/// Those of one table, by column and by the setting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asides(BTreeMap<(String, &'static str), Listed>);

/// How many there are, and the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Listed {
    count: u64,
    rows: Vec<AsideRow>,
}

impl Asides {
    /// Takes one in.
    pub fn see(&mut self, column: &str, action: Action, row: AsideRow) {
        let of = (column.to_owned(), action.policy());
        let listed = self.0.entry(of).or_default();
        listed.count += 1;
        if listed.count <= LISTED_PER_COLUMN {
            listed.rows.push(row);
        }
    }

    /// Adds what another reader saw.
    pub fn merge(&mut self, other: Self) {
        for (of, listed) in other.0 {
            let mine = self.0.entry(of).or_default();
            mine.count += listed.count;
            mine.rows.extend(listed.rows);
        }
    }

    fn told(self, table: &str) -> impl Iterator<Item = Aside> {
        self.0.into_iter().map(move |((column, policy), listed)| {
            let Listed { count, mut rows } = listed;
            rows.sort();
            rows.truncate(LISTED_PER_COLUMN as usize);
            Aside {
                table: table.to_owned(),
                column,
                policy,
                count,
                rows,
            }
        })
    }
}

/// All that is stated, table by table: what the scan found of values, what hangs on rows that do not arrive, and what the server's rules refuse. A
/// row that several rules refuse is counted once, and loses no value beside that.
pub(super) fn collect(
    layout: &Layout,
    scanned: &[Scanned],
    settled: &[Settled],
    orphans: &[Orphan],
) -> Vec<Aside> {
    let mut all: Vec<Asides> = scanned.iter().map(|table| table.aside.clone()).collect();
    let orphans = orphans
        .iter()
        .map(|one| (one.table, &one.problem, one.stated));
    let settled = settled
        .iter()
        .map(|one| (one.table, &one.problem, one.stated));
    let mut rows: Vec<(usize, &Problem)> = Vec::new();
    let mut values: Vec<(usize, &Problem)> = Vec::new();
    for (table, problem, stated) in orphans.chain(settled) {
        // A row that nothing names is a problem, whatever is stated.
        match stated.filter(|_| problem.rowid != RowKey::None) {
            Some(Action::Aside) => rows.push((table, problem)),
            Some(Action::Null) => values.push((table, problem)),
            None => {}
        }
    }
    let mut gone: HashSet<(usize, &RowKey)> = HashSet::new();
    rows.retain(|(table, problem)| gone.insert((*table, &problem.rowid)));
    let mut nulled: HashSet<(usize, &RowKey, &str)> = HashSet::new();
    values.retain(|(table, problem)| {
        let is_new = nulled.insert((*table, &problem.rowid, problem.column.as_str()));
        is_new && !gone.contains(&(*table, &problem.rowid))
    });
    for (found, action) in [(rows, Action::Aside), (values, Action::Null)] {
        for (table, problem) in found {
            let row = AsideRow {
                rowid: problem.rowid.clone(),
                value: problem.value.clone(),
                reason: problem.reason.clone(),
            };
            all[table].see(&problem.column, action, row);
        }
    }
    let tables = layout.tables.iter().zip(all);
    tables
        .flat_map(|(table, aside)| aside.told(&table.source.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rowid: i64) -> AsideRow {
        AsideRow {
            rowid: RowKey::Rowid(rowid),
            value: "'x'".to_owned(),
            reason: "is no number".to_owned(),
        }
    }

    #[test]
    fn what_several_readers_saw_is_counted_together_and_named_by_row() {
        let (mut one, mut other) = (Asides::default(), Asides::default());
        one.see("a", Action::Aside, row(7));
        one.see("b", Action::Null, row(7));
        other.see("a", Action::Aside, row(2));
        one.merge(other);
        let told: Vec<Aside> = one.told("t").collect();
        let seen = |aside: &Aside| (aside.column.clone(), aside.policy, aside.count);
        assert_eq!(
            told.iter().map(seen).collect::<Vec<_>>(),
            [
                ("a".to_owned(), "on_problem: quarantine", 2),
                ("b".to_owned(), "on_problem: null", 1)
            ]
        );
        assert_eq!(told[0].rows, [row(2), row(7)]);
        assert!(told[0].is_of_rows() && !told[1].is_of_rows());
    }

    #[test]
    fn not_more_are_listed_than_of_problems() {
        let mut seen = Asides::default();
        (0..=10_000).for_each(|rowid| seen.see("a", Action::Aside, row(rowid)));
        let told: Vec<Aside> = seen.told("t").collect();
        assert_eq!((told[0].count, told[0].rows.len()), (10_001, 10_000));
    }
}
