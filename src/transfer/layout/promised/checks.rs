//! CHECK constraints of SQLite beside those of the target, by the columns that they speak of: which are not there, and where the target has fewer. Pure.

use std::collections::BTreeSet;

use super::indexes::UNSURE;
use super::indexes::form::is_same_condition;
use super::targets;
use crate::postgres::catalogue::{Constraint, ConstraintKind};
use crate::sqlite::checks::{Check, tokens};
use crate::text::{printable, whole};
use crate::transfer::kind::Kind;
use crate::transfer::layout::TableLayout;

/// The source columns that a check names, where neither a check nor a type of the target's speaks of them.
pub(super) fn lacking(table: &TableLayout, check: &Check) -> Option<Vec<String>> {
    let (named, columns) = named(table, check)?;
    let is_kept =
        is_told_by_types(table, check, &columns) || speaking(table, &columns).next().is_some();
    (!is_kept).then_some(named)
}

/// Columns of which SQLite asks for more by its checks than the target does by its own: which of them it lacks people have to see.
pub(super) fn fewer(table: &TableLayout) -> Vec<String> {
    let mut seen: Vec<BTreeSet<&str>> = Vec::new();
    let mut found = Vec::new();
    for check in &table.source.checks {
        let Some((names, columns)) = named(table, check) else {
            continue;
        };
        if seen.contains(&columns) {
            continue;
        }
        let of_these = |other: &&Check| {
            let of = named(table, other).map(|(_, columns)| columns);
            of.as_ref() == Some(&columns) && !is_told_by_types(table, other, &columns)
        };
        let here: Vec<&Check> = table.source.checks.iter().filter(of_these).collect();
        let there: Vec<&Constraint> = speaking(table, &columns).collect();
        let asks = here.iter().map(|check| parts(&check.expression));
        let keeps = there.iter().map(|check| parts(&check.definition));
        if !there.is_empty() && asks.sum::<usize>() > keeps.sum::<usize>() {
            let here_shown: Vec<&str> = here.iter().map(|c| c.expression.as_str()).collect();
            let there_shown: Vec<&str> = there.iter().map(|c| c.definition.as_str()).collect();
            found.push(format!(
                "SQLite has {} check{} of {}({}): {}; PostgreSQL has {}: {}: compare by eye",
                here.len(),
                if here.len() == 1 { "" } else { "s" },
                printable(&table.source.name, 80),
                whole(&names.join(", ")),
                whole(&here_shown.join("; ")),
                there.len(),
                whole(&there_shown.join("; ")),
            ));
        }
        seen.push(columns);
    }
    found
}

/// Checks of SQLite that the target has by the same words, which may let other values pass there.
pub(super) fn alike(table: &TableLayout) -> Vec<String> {
    let mut found = Vec::new();
    for check in &table.source.checks {
        let Some((names, columns)) = named(table, check) else {
            continue;
        };
        for other in speaking(table, &columns) {
            let there = other.expression.as_deref().unwrap_or_default();
            if is_same_condition(table, &check.expression, there) == Some(false) {
                found.push(format!(
                    "SQLite has a check of {}({}): {}; PostgreSQL has {}: {}: compare by eye{UNSURE}",
                    printable(&table.source.name, 80),
                    whole(&names.join(", ")),
                    whole(&check.expression),
                    printable(&other.name, 80),
                    whole(there),
                ));
            }
        }
    }
    found
}

/// How much an expression asks for: what stands between its ANDs, that of BETWEEN among them.
fn parts(expression: &str) -> usize {
    let words = tokens(expression).into_iter();
    1 + words
        .filter(|(_, word)| word.eq_ignore_ascii_case("and"))
        .count()
}

/// The source's and the target's names of the columns of which a check speaks.
fn named<'t>(table: &'t TableLayout, check: &Check) -> Option<(Vec<String>, BTreeSet<&'t str>)> {
    let all: Vec<String> = table
        .source
        .columns
        .iter()
        .map(|c| c.name.clone())
        .collect();
    let named = check.columns(&all);
    let places: Vec<usize> = named
        .iter()
        .filter_map(|name| all.iter().position(|other| other == name))
        .collect();
    let columns = targets(table, &places).filter(|columns| !columns.is_empty())?;
    Some((named, columns))
}

/// The target's checks of these columns and no others.
fn speaking<'t>(
    table: &'t TableLayout,
    columns: &BTreeSet<&str>,
) -> impl Iterator<Item = &'t Constraint> {
    table.target.constraints.iter().filter(move |constraint| {
        let there: BTreeSet<&str> = constraint.columns.iter().map(String::as_str).collect();
        constraint.kind == ConstraintKind::Check && there == *columns
    })
}

/// Whether the types of the target's columns, or their domains, ask for what the check does.
fn is_told_by_types(table: &TableLayout, check: &Check, columns: &BTreeSet<&str>) -> bool {
    let of_these = || {
        let all = table.columns.iter();
        all.filter(|column| columns.contains(column.target.name.as_str()))
    };
    let says = |word: &str| check.expression.to_lowercase().contains(word);
    let by_type = of_these().all(|column| match column.converter.kind {
        Kind::Text(None) | Kind::Float8 | Kind::Float4 => false,
        // A width says nothing of the values, but of how long they may be.
        Kind::Text(Some(_)) | Kind::Char(_) => says("length"),
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid | Kind::Numeric(_) => says("typeof"),
        Kind::Bool
        | Kind::Uuid
        | Kind::Bytea
        | Kind::Date
        | Kind::Time(_)
        | Kind::Timestamp(_)
        | Kind::TimestampTz(_)
        | Kind::Interval(_)
        | Kind::Json
        | Kind::Jsonb
        | Kind::Inet
        | Kind::Cidr
        | Kind::Enum(_)
        | Kind::Bit { .. }
        | Kind::Array { .. }
        | Kind::Unsupported => true,
    });
    by_type || of_these().all(|column| !column.target.ty.domain_checks.is_empty())
}
