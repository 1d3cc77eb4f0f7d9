//! What SQLite does by itself at the application's next statements, and the target does not: triggers, what foreign keys do to children, keys that
//! replace a row in the way or are checked late, and keys for which letters of either case are one. Told as notes, a table each; whether the
//! application does these things itself now, only people know.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use crate::postgres::catalogue::{Constraint, ConstraintKind};
use crate::text::{printable, whole};
use crate::transfer::Error;
use crate::transfer::error::read;
use crate::transfer::layout::{Layout, TableLayout, structural};
use crate::transfer::matching::folded;
use crate::transfer::plan::scan::open;
use crate::transfer::plan::{Plan, Problem};

/// What a conflict clause does, by its words.
const CONFLICTS: [(&str, &str); 2] = [
    (
        "ON CONFLICT REPLACE",
        "a row in the way is replaced, where PostgreSQL refuses the new one",
    ),
    (
        "ON CONFLICT IGNORE",
        "a row that meets another is left out, where PostgreSQL refuses it",
    ),
];
/// What a foreign key may do to rows that refer to another one, by SQLite's words and PostgreSQL's.
const ACTIONS: [&str; 3] = ["CASCADE", "SET NULL", "SET DEFAULT"];

/// Adds a note for each table.
pub(super) async fn note(
    source: &Path,
    layout: &Arc<Layout>,
    plan: &mut Plan,
) -> Result<(), Error> {
    let (path, layout) = (source.to_path_buf(), layout.clone());
    let reading = tokio::task::spawn_blocking(move || notes(&path, &layout));
    let found = reading.await.expect("BUG: reading the clauses panicked")?;
    plan.notes.extend(found);
    Ok(())
}

fn notes(path: &Path, layout: &Layout) -> Result<Vec<Problem>, Error> {
    let connection = open(path)?;
    let mut notes = Vec::new();
    for table in &layout.tables {
        let name = &table.source.name;
        let mut lacking = triggers(&connection, table).map_err(read(path, name))?;
        lacking.extend(actions(&connection, table).map_err(read(path, name))?);
        lacking.extend(clauses(&connection, table).map_err(read(path, name))?);
        lacking.extend(keys_of_either_case(table));
        if !lacking.is_empty() {
            let reason = format!(
                "SQLite does by itself, and PostgreSQL does not: {}",
                lacking.join("; ")
            );
            notes.push(structural(name, "", whole(&reason), None));
        }
    }
    Ok(notes)
}

/// Triggers of whose name the target has none on this table.
fn triggers(connection: &Connection, table: &TableLayout) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([&table.source.name])?;
    let mut lacking = Vec::new();
    while let Some(row) = rows.next()? {
        // A name that is not UTF-8 is nothing that could be shown.
        let Ok(name) = row.get::<_, String>(0) else {
            continue;
        };
        let is_there = |known: &str| folded(known) == folded(&name);
        if !table.target.triggers.iter().any(|t| is_there(&t.name)) {
            lacking.push(format!("trigger {}", printable(&name, 80)));
        }
    }
    Ok(lacking)
}

/// A foreign key's columns, and what it does ON UPDATE and ON DELETE.
type Declared = (i64, Vec<String>, [String; 2]);

/// What foreign keys do to rows that refer to another one, where the target's key over the same columns does not.
fn actions(connection: &Connection, table: &TableLayout) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT id, \"from\", on_update, on_delete FROM pragma_foreign_key_list(?1) ORDER BY id, seq";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([&table.source.name])?;
    let mut declared: Vec<Declared> = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, column): (i64, String) = (row.get(0)?, row.get(1)?);
        match declared.last_mut() {
            Some((known, columns, _)) if *known == id => columns.push(column),
            _ => declared.push((id, vec![column], [row.get(2)?, row.get(3)?])),
        }
    }
    let mut lacking = Vec::new();
    for (_, columns, does) in &declared {
        let Some(key) = partner(table, columns) else {
            continue;
        };
        for (when, action) in ["ON UPDATE", "ON DELETE"].into_iter().zip(does) {
            let clause = format!("{when} {action}");
            if ACTIONS.contains(&action.as_str()) && !key.definition.contains(&clause) {
                lacking.push(format!(
                    "{clause} of the foreign key ({})",
                    printable(&columns.join(", "), 120)
                ));
            }
        }
    }
    Ok(lacking)
}

/// The target's foreign key over the same columns.
fn partner<'t>(table: &'t TableLayout, columns: &[String]) -> Option<&'t Constraint> {
    let target = |name: &String| {
        let mut moving = table.columns.iter();
        let found = moving.find(|c| table.source_name(c).eq_ignore_ascii_case(name))?;
        Some(found.target.name.as_str())
    };
    let mut wanted = columns.iter().map(target).collect::<Option<Vec<_>>>()?;
    wanted.sort_unstable();
    table.target.constraints.iter().find(|key| {
        let mut there: Vec<&str> = key.columns.iter().map(String::as_str).collect();
        there.sort_unstable();
        key.kind == ConstraintKind::Foreign && there == wanted
    })
}

/// What only the text of CREATE TABLE tells.
fn clauses(connection: &Connection, table: &TableLayout) -> rusqlite::Result<Vec<String>> {
    const LATE: &str = "INITIALLY DEFERRED";
    let sql = "SELECT CAST(sql AS BLOB) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let text: Option<Vec<u8>> = connection
        .query_row(sql, [&table.source.name], |row| row.get(0))
        .optional()?;
    let text = text.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).to_uppercase();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lacking: Vec<String> = CONFLICTS
        .iter()
        .filter(|(words, _)| text.contains(words))
        .map(|(words, does)| format!("{words} ({does})"))
        .collect();
    let foreign = |key: &&Constraint| key.kind == ConstraintKind::Foreign;
    let mut keys = table.target.constraints.iter().filter(foreign).peekable();
    if text.contains(LATE) && keys.peek().is_some() && !keys.any(|k| k.definition.contains(LATE)) {
        lacking.push(format!(
            "DEFERRABLE {LATE} (a child may come before its parent within a transaction)"
        ));
    }
    Ok(lacking)
}

/// Unique keys that compare by another collation than by bytes, where the target's key over the same columns compares by bytes.
fn keys_of_either_case(table: &TableLayout) -> Vec<String> {
    let moving = |place: &usize| table.columns.iter().find(|c| c.source == *place);
    let mut lacking = Vec::new();
    for key in table.source.unique_keys.iter().filter(|key| !key.binary) {
        let Some(columns) = key.columns.iter().map(moving).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let mut names: Vec<&str> = columns.iter().map(|c| c.target.name.as_str()).collect();
        names.sort_unstable();
        let by_bytes = table.target.indexes.iter().any(|index| {
            let there: Option<Vec<&str>> = index.columns.iter().map(Option::as_deref).collect();
            let same = there.is_some_and(|mut there| {
                there.sort_unstable();
                there == names
            });
            index.unique && !index.folds && same
        });
        let folds = columns.iter().any(|column| column.target.folds);
        // An index over `lower(…)` of a column keeps what the collation kept.
        let by_expression = table.target.indexes.iter().any(|index| {
            let computes = index.columns.iter().any(Option::is_none);
            index.unique
                && computes
                && names
                    .iter()
                    .any(|name| index.reads.iter().any(|r| r == name))
        });
        if by_bytes && !folds && !by_expression {
            let shown: Vec<&str> = columns.iter().map(|c| table.source_name(c)).collect();
            lacking.push(format!(
                "unique ({}) by a collation that takes more for equal than equal bytes (NOCASE: A and a)",
                printable(&shown.join(", "), 120)
            ));
        }
    }
    lacking
}
