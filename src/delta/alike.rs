//! Whether a table is the same table in both files: only then can a row of the one be a row of the other. What does not touch its rows is not
//! looked at: indexes, CHECK constraints, foreign keys, defaults, NOT NULL, the words of its text.

use rusqlite::{Connection, OptionalExtension as _};

use super::Anew;
use super::error::Error;
use super::snapshot::{Sides, Snapshot};
use crate::sqlite::schema::{Column, Position, Table};

/// A column of a declared key, as the key's index sorts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sorted {
    /// The column's name.
    pub(super) name: String,
    /// In upper case.
    pub(super) collation: String,
    pub(super) is_descending: bool,
}

/// Why the newer table is another one than the older; `None` where it is not.
pub(super) fn difference(
    sides: &Sides,
    older: &Table,
    newer: &Table,
) -> Result<Option<Anew>, Error> {
    let columns = |table: &Table| -> Vec<(String, String, bool)> {
        let columns = table.columns.iter();
        let told = |column: &Column| {
            let Column {
                name,
                declared,
                generated,
                ..
            } = column;
            (name.clone(), declared.clone(), *generated)
        };
        columns.map(told).collect()
    };
    let without_rowid = |side: &Snapshot, table: &Table| {
        is_without_rowid(&side.connection, &table.name).map_err(side.failed(&table.name))
    };
    let is_generated = older.columns.iter().any(|column| column.generated);
    Ok(match () {
        () if columns(older) != columns(newer) => Some(Anew::Columns),
        () if without_rowid(&sides.older, older)? != without_rowid(&sides.newer, newer)? => {
            Some(Anew::Rowid)
        }
        () if older.primary_key != newer.primary_key
            || rowid(older) != rowid(newer)
            || key(&sides.older, older)? != key(&sides.newer, newer)? =>
        {
            Some(Anew::Key)
        }
        () if older.strict != newer.strict => Some(Anew::Strict),
        () if is_generated && text(&sides.older, older)? != text(&sides.newer, newer)? => {
            Some(Anew::Generated)
        }
        () => None,
    })
}

/// The column that is the rowid.
fn rowid(table: &Table) -> Option<usize> {
    match table.position {
        Position::Rowid { alias, .. } => alias,
        Position::Key | Position::Ordinal => None,
    }
}

/// How the index of the declared key sorts; empty where the key is the rowid, or there is none.
pub(super) fn key(side: &Snapshot, table: &Table) -> Result<Vec<Sorted>, Error> {
    let read = || -> rusqlite::Result<Vec<Sorted>> {
        let sql = "SELECT c.name, upper(c.coll), c.\"desc\" FROM pragma_index_list(?1) AS i, pragma_index_xinfo(i.name) AS c
                    WHERE i.origin = 'pk' AND c.key ORDER BY c.seqno";
        let mut statement = side.connection.prepare_cached(sql)?;
        let sorted = statement.query_map([&table.name], |row| {
            Ok(Sorted {
                name: row.get(0)?,
                collation: row.get(1)?,
                is_descending: row.get(2)?,
            })
        })?;
        sorted.collect()
    };
    read().map_err(side.failed(&table.name))
}

fn is_without_rowid(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1";
    connection
        .prepare_cached(sql)?
        .query_row([table], |row| row.get(0))
}

/// The text that made it, from its first parenthesis on: a table that was renamed away and back has its name in quotes since.
fn text(side: &Snapshot, table: &Table) -> Result<Option<String>, Error> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let text = side
        .connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement
                .query_row([&table.name], |row| row.get::<_, String>(0))
                .optional()
        });
    let text = text.map_err(side.failed(&table.name))?;
    let columns = |text: String| match text.split_once('(') {
        Some((_, columns)) => columns.to_owned(),
        None => text,
    };
    Ok(text.map(columns))
}
