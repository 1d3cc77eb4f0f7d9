//! Histories of migrations stay behind, each side has its own. That they tell of different migrations is worth knowing: the schemas may then be of
//! different versions of the application.

use std::collections::BTreeSet;
use std::path::Path;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::runbook::frameworks::{ALL, Framework, ids_of, is_known};
use crate::runbook::transfer::names::part;
use crate::sqlite::schema::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::{read, server};
use crate::transfer::layout::{Layout, structural};
use crate::transfer::plan::Plan;
use crate::transfer::plan::scan::open;

/// A history longer than this is not read.
const LONGEST: usize = 20_000;

/// Adds a note for each history that differs between the sides.
pub(super) async fn note(
    client: &Client,
    source: &Path,
    layout: &Layout,
    plan: &mut Plan,
) -> Result<(), Error> {
    let is_kept = |framework: &&Framework| {
        let mut skipped = layout.skipped.iter();
        skipped.any(|skipped| {
            skipped.name.eq_ignore_ascii_case(framework.table)
                && skipped.why.starts_with("migration history of ")
        })
    };
    let mut told = BTreeSet::new();
    for framework in ALL.iter().filter(is_kept) {
        let Some((table, column)) = framework.target else {
            continue;
        };
        if !told.insert((table, column)) {
            continue;
        }
        let (Some(here), Some(there)) = (
            of_source(source, framework.table, framework.column)?,
            of_target(client, &layout.schema, table, column).await?,
        ) else {
            continue;
        };
        if let Some(reason) = difference(&here, &there) {
            plan.notes
                .push(structural(framework.table, "", reason, None));
        }
    }
    note_named_by_applications(client, source, layout, plan).await
}

/// The same for tables that are histories by their columns: an application named them, so that a table of its own may look like one.
async fn note_named_by_applications(
    client: &Client,
    source: &Path,
    layout: &Layout,
    plan: &mut Plan,
) -> Result<(), Error> {
    for skipped in &layout.skipped {
        let name = skipped.name.as_str();
        if !skipped.why.starts_with("migration history of ") || is_known(name) {
            continue;
        }
        let columns = columns_of(source, name)?;
        let Some(ids) = ids_of(name, columns.iter().map(String::as_str)) else {
            continue;
        };
        let (Some(here), Some(there)) = (
            of_source(source, name, ids)?,
            of_target(client, &layout.schema, name, ids).await?,
        ) else {
            continue;
        };
        if let Some(reason) = difference(&here, &there) {
            let shown = printable(&part(name), 80);
            let reason = format!(
                "{reason}. It is a history by its columns: if its rows are the application's own, `rename: {{ {shown}: {shown} }}` moves them"
            );
            plan.notes.push(structural(name, "", reason, None));
        }
    }
    Ok(())
}

/// The columns of a table of the file.
fn columns_of(source: &Path, table: &str) -> Result<Vec<String>, Error> {
    let connection = open(source)?;
    let names = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let rows = statement.query_map([table], |row| row.get(0))?;
        rows.collect()
    };
    names().map_err(read(source, table))
}

/// The migrations in the file; none where its table has no such column.
fn of_source(source: &Path, table: &str, column: &str) -> Result<Option<BTreeSet<String>>, Error> {
    let connection = open(source)?;
    let sql = format!(
        "SELECT CAST({} AS TEXT) FROM {} LIMIT {}",
        quoted(column),
        quoted(table),
        LONGEST + 1
    );
    let ids = || -> rusqlite::Result<BTreeSet<String>> {
        let mut statement = connection.prepare(&sql)?;
        let rows = statement.query_map([], |row| row.get::<_, Option<String>>(0))?;
        rows.filter_map(Result::transpose).collect()
    };
    // A double-quoted name that is no column is a text to SQLite: then all rows are that text, and there is nothing to compare.
    let found = ids().ok().filter(|ids| ids.len() <= LONGEST);
    Ok(found.filter(|ids| !ids.iter().eq([column])))
}

async fn of_target(
    client: &Client,
    schema: &str,
    table: &str,
    column: &str,
) -> Result<Option<BTreeSet<String>>, Error> {
    let doing = || server("reading the target's history of migrations");
    let there = "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND NOT a.attisdropped AND has_table_privilege(c.oid, 'SELECT')
          AND has_schema_privilege(n.oid, 'USAGE')";
    let row = client
        .query_one(there, &[&schema, &table, &column])
        .await
        .map_err(doing())?;
    if row.get::<_, i64>(0) == 0 {
        return Ok(None);
    }
    let sql = format!(
        "SELECT {}::text FROM {}.{} LIMIT {}",
        quoted(column),
        quoted(schema),
        quoted(table),
        LONGEST + 1
    );
    let answers = client.simple_query(&sql).await.map_err(doing())?;
    let ids = answers.iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    let ids: BTreeSet<String> = ids.collect();
    Ok((ids.len() <= LONGEST).then_some(ids))
}

/// What only one side has run, with the last of them by name.
fn difference(here: &BTreeSet<String>, there: &BTreeSet<String>) -> Option<String> {
    let side = |one: &BTreeSet<String>, other: &BTreeSet<String>, name: &str| {
        let alone: Vec<&String> = one.difference(other).collect();
        let last = alone.last()?;
        Some(format!(
            "{} only in {name} (such as {})",
            alone.len(),
            printable(last, 80)
        ))
    };
    let sides = [side(here, there, "SQLite"), side(there, here, "PostgreSQL")];
    let sides: Vec<String> = sides.into_iter().flatten().collect();
    if sides.is_empty() {
        return None;
    }
    Some(format!(
        "the histories of migrations differ: {}. Right where each database has migrations of its own; otherwise bring both to the same version first",
        sides.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn what_one_side_alone_has_is_counted() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(difference(&ids(&["1"]), &ids(&["1"])), None);
        let said = difference(&ids(&["1", "2", "3"]), &ids(&["1", "4"])).unwrap_or_default();
        assert!(
            said.contains("2 only in SQLite (such as 3), 1 only in PostgreSQL (such as 4)"),
            "{said}"
        );
    }
}
