//! Values that `values:` speaks of and that no row has: a spelling that is not theirs settles nothing, and nobody would see it. And tables that no row
//! tried: partitioned ones without a partition.

use std::path::Path;

use rusqlite::Connection;

use crate::postgres::catalogue::RelationKind;
use crate::postgres::quoted as quoted_there;
use crate::runbook::transfer::{ColumnPolicy, KeyOf, Pattern, Transfer};
use crate::sqlite::schema::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::read;
use crate::transfer::kind::Kind;
use crate::transfer::layout::{Layout, structural};
use crate::transfer::matching::stray;
use crate::transfer::plan::scan::{Scanned, open};
use crate::transfer::plan::{Plan, Problem};

/// Values that are looked for at once: SQLite's answers have 2,000 columns at most.
const AT_ONCE: usize = 1_000;

/// Adds a note for each entry of the section whose values do not occur in any column that it names.
pub(super) async fn note(
    source: &Path,
    layout: &Layout,
    transfer: &Transfer,
    plan: &mut Plan,
) -> Result<(), Error> {
    for (pattern, policy) in &transfer.columns {
        if policy.values.is_empty() {
            continue;
        }
        let columns = columns(layout, pattern);
        if columns.is_empty() {
            continue;
        }
        let (path, values) = (source.to_path_buf(), keys(policy));
        let looking = tokio::task::spawn_blocking(move || unmet(&path, &columns, values));
        let unmet = looking.await.expect("BUG: looking for values panicked")?;
        if !unmet.is_empty() {
            let at = stray::at(transfer, KeyOf::Columns, pattern.as_str());
            let shown: Vec<String> = unmet
                .iter()
                .map(|value| format!("'{}'", printable(value, 60)))
                .collect();
            let reason = format!(
                "{at}: `values:` speaks of what no row has there: {}. It is compared with the whole value, letter by letter",
                shown.join(", ")
            );
            plan.notes.push(structural("", "", reason, None));
        }
    }
    Ok(())
}

/// Partitioned tables that take no row, of which SQLite has none that the server could have been asked about.
pub(super) fn partitions(layout: &Layout, scanned: &[Scanned]) -> Vec<Problem> {
    let empty = layout
        .tables
        .iter()
        .zip(scanned)
        .filter(|(table, scanned)| {
            let target = &table.target;
            let takes_none =
                target.kind == RelationKind::Partitioned && target.partitions.is_empty();
            takes_none && scanned.rows == 0
        });
    empty
        .map(|(table, _)| {
            let name = &table.target.name;
            let reason = format!(
                "PostgreSQL's {} has no partition, so that every insert fails until there is one; CREATE TABLE {} PARTITION OF {} DEFAULT in the \
                 target takes what no other partition takes",
                printable(name, 80),
                quoted_there(&format!("{name}_default")),
                quoted_there(name),
            );
            structural(&table.source.name, "", reason, None)
        })
        .collect()
}

/// Tables and columns that a pattern names, of those whose values are compared as a whole.
fn columns(layout: &Layout, pattern: &Pattern) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for table in &layout.tables {
        for column in &table.columns {
            let name = table.source_name(column);
            // Of a list it is the elements that are compared.
            let is_whole = !matches!(column.converter.kind, Kind::Array { .. });
            if pattern.matches_column(&table.source.name, name) {
                if !is_whole {
                    return Vec::new();
                }
                found.push((table.source.name.clone(), name.to_owned()));
            }
        }
    }
    found
}

fn keys(policy: &ColumnPolicy) -> Vec<String> {
    policy.values.keys().cloned().collect()
}

/// Those of these values that none of the columns has.
fn unmet(
    source: &Path,
    columns: &[(String, String)],
    mut values: Vec<String>,
) -> Result<Vec<String>, Error> {
    let connection = open(source)?;
    for (table, column) in columns {
        let mut is_met = Vec::new();
        for some in values.chunks(AT_ONCE) {
            is_met.extend(met(&connection, table, column, some).map_err(read(source, table))?);
        }
        let mut is_met = is_met.into_iter();
        values.retain(|_| !is_met.next().unwrap_or(false));
        if values.is_empty() {
            break;
        }
    }
    Ok(values)
}

/// Which of the values a column has, in one look at the table: no more of them than [`AT_ONCE`].
fn met(
    connection: &Connection,
    table: &str,
    column: &str,
    values: &[String],
) -> rusqlite::Result<Vec<bool>> {
    let name = quoted(column);
    let conditions = values.iter().enumerate().map(|(at, value)| {
        let place = at + 1;
        // A REAL is known by its shortest decimal, which SQLite does not write.
        let real = match value.parse::<f64>() {
            Ok(_) => format!(" OR typeof({name}) = 'real' AND {name} = CAST(?{place} AS REAL)"),
            Err(_) => String::new(),
        };
        format!(
            "coalesce(max(typeof({name}) IN ('text', 'integer') AND CAST({name} AS TEXT) = ?{place} COLLATE BINARY{real}), 0)"
        )
    });
    let sql = format!(
        "SELECT {} FROM {} NOT INDEXED",
        conditions.collect::<Vec<_>>().join(", "),
        quoted(table)
    );
    connection.query_row(&sql, rusqlite::params_from_iter(values), |row| {
        (0..values.len()).map(|at| row.get(at)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::unmet;

    #[test]
    fn any_number_of_values_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.db");
        let made = rusqlite::Connection::open(&file).unwrap();
        let sql = "CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('k0'), ('k2500')";
        made.execute_batch(sql).unwrap();
        let values: Vec<String> = (0..=2_500).map(|n| format!("k{n}")).collect();
        let found = unmet(&file, &[("t".to_owned(), "v".to_owned())], values).unwrap();
        assert_eq!(found.len(), 2_499);
        assert!(!found.contains(&"k0".to_owned()) && !found.contains(&"k2500".to_owned()));
    }
}
