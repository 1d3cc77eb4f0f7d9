//! Indexes over expressions or over some rows: which of SQLite's the target has, by their text as far as that is safe, and which people have
//! to compare. Never claimed is what both sides write in ways that only their databases could tell apart. Pure.

pub(super) mod form;

use std::collections::BTreeSet;

use crate::postgres::catalogue::Index;
use crate::sqlite::indexes::PartialIndex;
use crate::text::{printable, whole};
use crate::transfer::layout::TableLayout;

use form::Form;

/// What comparing the two sides of one table has found.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Indexes of the source that the target lacks.
    pub missing: Vec<String>,
    /// Pairs that only people can compare.
    pub by_eye: Vec<String>,
    /// Names of the target's indexes that the source has too, or may have.
    pub known: Vec<String>,
}

/// Why two that are written alike are not taken to say the same.
pub(super) const UNSURE: &str = " (the same words may say something else: letter case of LIKE and NOCASE, types, order and division are each side's own)";

pub(super) fn compare(table: &TableLayout) -> Compared {
    let there = table
        .target
        .indexes
        .iter()
        .filter(|index| index.predicate.is_some() || index.columns.iter().any(Option::is_none));
    let there: Vec<&Index> = there.collect();
    let mut compared = Compared::default();
    let mut open = Vec::new();
    for index in &table.source.partial_indexes {
        // One over a column that does not move is nobody's promise.
        let Some(reads) = form::columns(table, index) else {
            continue;
        };
        let same = there.iter().find(|there| is_same(table, index, there));
        match same {
            Some(same) => compared.known.push(same.name.clone()),
            None if is_covered(table, index) => {}
            None => open.push((index, reads)),
        }
    }
    for (index, reads) in open {
        let may_be =
            |there: &&&Index| there.unique == index.unique && !compared.known.contains(&there.name);
        let by_name = |there: &&&Index| there.name.eq_ignore_ascii_case(&index.name);
        let by_columns =
            |there: &&&Index| there.reads.iter().cloned().collect::<BTreeSet<_>>() == reads;
        let mut named = there.iter().filter(may_be);
        let mut alike = there.iter().filter(may_be);
        let other = named.find(by_name).or_else(|| alike.find(by_columns));
        match other {
            Some(other) => {
                let name = other.name.clone();
                let unsure = match Form::of_source(table, index) {
                    Some(_) => "",
                    None => UNSURE,
                };
                compared.by_eye.push(format!(
                    "SQLite has {} {} on {}; PostgreSQL has {} {} on {}: compare by eye{unsure}",
                    what(index.unique),
                    printable(&index.name, 80),
                    over(&index.keys, index.predicate.as_deref()),
                    what(other.unique),
                    printable(&name, 80),
                    over(&other.expressions, other.predicate.as_deref()),
                ));
                compared.known.push(name);
            }
            None => compared.missing.push(shown(table, index)),
        }
    }
    compared
}

fn what(unique: bool) -> &'static str {
    match unique {
        true => "unique index",
        false => "index",
    }
}

fn over(keys: &[String], predicate: Option<&str>) -> String {
    let keys = whole(&keys.join(", "));
    match predicate {
        Some(predicate) => format!("{keys} WHERE {}", whole(predicate)),
        None => keys,
    }
}

/// An index of the source that the target lacks.
fn shown(table: &TableLayout, index: &PartialIndex) -> String {
    let predicate = match &index.predicate {
        Some(predicate) => format!(" WHERE {}", whole(predicate)),
        None => String::new(),
    };
    format!(
        "{} {} on {}({}){predicate}",
        what(index.unique),
        printable(&index.name, 80),
        printable(&table.source.name, 80),
        whole(&index.keys.join(", ")),
    )
}

/// Whether both say the same; a unique index of the target finds rows as well as one that is not.
fn is_same(table: &TableLayout, index: &PartialIndex, there: &Index) -> bool {
    let serves = there.valid && (there.unique && !there.nulls_not_distinct || !index.unique);
    let (Some(one), Some(other)) = (
        Form::of_source(table, index),
        Form::of_target(table, there, index.unique),
    ) else {
        return false;
    };
    serves && one.is_same(&other, index.unique)
}

/// Whether the target has an index over the same columns and all rows, which does more.
fn is_covered(table: &TableLayout, index: &PartialIndex) -> bool {
    let Some(columns) = form::whole_columns(table, index) else {
        return false;
    };
    table.target.indexes.iter().any(|there| {
        let names = there.columns.iter().map(Option::as_deref);
        let all: Option<BTreeSet<&str>> = match index.unique {
            true => names.collect(),
            // An index helps those who look by its first columns.
            false => names.take(columns.len()).collect(),
        };
        let serves = there.valid && (there.unique || !index.unique);
        let same = all.is_some_and(|all| all.iter().eq(columns.iter()));
        serves && there.predicate.is_none() && same
    })
}
