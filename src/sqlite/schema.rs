//! The schema of a SQLite file as far as moving and comparing rows needs it: tables, columns, keys, how to reach each row.
//!
//! Reads `sqlite_schema` through SQLite's own pragmas and never parses SQL; what triggers write is told by [`triggers`]. Nothing here touches
//! rows, except `sqlite_sequence`'s.

mod pragmas;

use std::collections::BTreeMap;

use rusqlite::Connection;

use self::pragmas::{columns, foreign_keys, has_unknown_collation, indexes, lossy, unique_keys};
use crate::ours::statements::BROUGHT_BACK;
use crate::sqlite::checks::{self, Check};
use crate::sqlite::indexes::PartialIndex;
use crate::sqlite::shadow::Virtuals;
use crate::sqlite::triggers::{self, Fires};
pub use crate::text::quoted;

/// What a file holds.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// Ordinary tables, by name.
    pub tables: Vec<Table>,
    /// What is no table of the application's: views, virtual tables, their shadow tables, SQLite's own.
    pub others: Vec<Other>,
    /// Full-text tables that triggers fill when rows come into other tables, with those tables.
    pub filled: BTreeMap<String, Vec<String>>,
    /// `sqlite_sequence`: the highest rowid that an AUTOINCREMENT table ever had.
    pub sequences: BTreeMap<String, i64>,
    /// How the file stores text.
    pub encoding: TextEncoding,
    /// The file is in WAL mode.
    pub is_wal: bool,
    /// A `-wal` that holds something lies beside it.
    pub has_wal: bool,
}

/// How a file stores text. SQLite converts UTF-16 on the way out, and hides broken pairs while doing so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TextEncoding {
    /// UTF-8
    #[default]
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

/// Something in `sqlite_schema` that holds no rows of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    pub name: String,
    pub what: What,
}

/// Kinds of [`Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    View,
    /// A virtual table (FTS, R-tree, …); its rows are derived, or live in its shadow tables.
    Virtual,
    /// A full-text index that holds the only copy of its text.
    OwnText,
    /// A table that belongs to a virtual one.
    Shadow,
    /// `sqlite_sequence`, `sqlite_stat1`, …; and the mark that a rollback of ours has left.
    Internal,
}

/// An ordinary table.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    /// All columns, generated ones included, in order.
    pub columns: Vec<Column>,
    /// Indexes into `columns` of the declared primary key, in key order.
    pub primary_key: Vec<usize>,
    /// How a row is named and where a reader can go on.
    pub position: Position,
    /// `STRICT`.
    pub strict: bool,
    /// Unique keys that SQLite enforces over all rows, the primary key's index included, the rowid not.
    pub unique_keys: Vec<UniqueKey>,
    /// Foreign keys as declared; SQLite may never have checked them.
    pub foreign_keys: Vec<ForeignKey>,
    /// Indexes that are not unique, over whole columns and all rows: places in `columns`.
    pub indexes: Vec<Vec<usize>>,
    /// Indexes over expressions or over some rows, unique or not.
    pub partial_indexes: Vec<PartialIndex>,
    pub checks: Vec<Check>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// The declared type as written; may be empty.
    pub declared: String,
    /// NOT NULL is declared.
    pub not_null: bool,
    /// Generated, stored or not.
    pub generated: bool,
    /// Its default as written.
    pub default: Option<String>,
    /// Computed when it is read, by a function that only the application has.
    pub unreadable: bool,
    /// The collation that it declares, unless its texts are compared by their bytes.
    pub collation: Option<String>,
}

/// How a row is named and where a reader can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// By rowid, reached under this name.
    Rowid {
        /// `rowid`, `oid`, `_rowid_` or the INTEGER PRIMARY KEY's name.
        name: String,
        /// The column that is the rowid, if one is.
        alias: Option<usize>,
    },
    /// By primary key: WITHOUT ROWID.
    Key,
    /// By place in the scan: all three names of the rowid are taken by columns.
    Ordinal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey {
    /// Indexes into the table's columns.
    pub columns: Vec<usize>,
    /// Whether all of them compare by bytes (`BINARY`).
    pub binary: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Columns here, by name.
    pub columns: Vec<String>,
    /// The table referred to, as written.
    pub references: String,
    /// Columns there, by name; empty when the declaration leaves them to the primary key.
    pub referenced_columns: Vec<String>,
}

impl Schema {
    /// Reads the schema of `main`.
    pub fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut schema = Self {
            encoding: encoding(connection)?,
            is_wal: connection
                .pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))?
                .eq_ignore_ascii_case("wal"),
            has_wal: connection
                .path()
                .and_then(|path| std::fs::metadata(format!("{path}-wal")).ok())
                .is_some_and(|wal| wal.len() > 0),
            ..Self::default()
        };
        let mut statement = connection.prepare(
            "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main' ORDER BY name",
        )?;
        let mut rows = statement.query([])?;
        let checks = checks::read(connection)?;
        let virtuals = Virtuals::read(connection)?;
        while let Some(row) = rows.next()? {
            let name: String = lossy(row.get_ref(0)?);
            let kind: String = row.get(1)?;
            let what = match kind.as_str() {
                "view" => Some(What::View),
                "virtual" if virtuals.holds_text(&name) => Some(What::OwnText),
                "virtual" => Some(What::Virtual),
                "shadow" if virtuals.is_ordinary(connection, &name)? => None,
                "shadow" => Some(What::Shadow),
                _ if name.starts_with("sqlite_") || name == BROUGHT_BACK => Some(What::Internal),
                _ => None,
            };
            match what {
                Some(what) => schema.others.push(Other { name, what }),
                None => {
                    let mut table = Table::read(connection, name, row.get(2)?, row.get(3)?)?;
                    let of_table = checks.iter().filter(|check| check.table == table.name);
                    table.checks = of_table.cloned().collect();
                    schema.tables.push(table);
                }
            }
        }
        if schema
            .others
            .iter()
            .any(|other| other.name == "sqlite_sequence")
        {
            schema.sequences = sequences(connection)?;
        }
        schema.filled = filled(connection, &schema.others)?;
        Ok(schema)
    }

    /// A table by its exact name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

/// Which full-text tables with a text of their own get it from triggers of others.
fn filled(
    connection: &Connection,
    others: &[Other],
) -> rusqlite::Result<BTreeMap<String, Vec<String>>> {
    let mut filled: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let with_text = || others.iter().filter(|other| other.what == What::OwnText);
    if with_text().next().is_none() {
        return Ok(filled);
    }
    for trigger in triggers::read(connection)? {
        let writes = |name: &str| {
            trigger
                .writes
                .iter()
                .any(|to| to.eq_ignore_ascii_case(name))
        };
        for other in with_text() {
            if trigger.fires == Some(Fires::Insert) && writes(&other.name) {
                let from = filled.entry(other.name.clone()).or_default();
                if !from.contains(&trigger.table) {
                    from.push(trigger.table.clone());
                }
            }
        }
    }
    Ok(filled)
}

impl Table {
    fn read(
        connection: &Connection,
        name: String,
        without_rowid: bool,
        strict: bool,
    ) -> rusqlite::Result<Self> {
        let (columns, primary_key) = columns(connection, &name)?;
        let (unique_keys, key_has_index) = unique_keys(connection, &name, &columns)?;
        let foreign_keys = foreign_keys(connection, &name)?;
        let indexes = indexes(connection, &name, &columns)?;
        let partial_indexes = crate::sqlite::indexes::read(connection, &name)?;
        let position = if without_rowid && has_unknown_collation(connection, &name)? {
            // Nothing can be looked up by an order that only the application knows; a scan needs none.
            Position::Ordinal
        } else {
            position(&columns, &primary_key, without_rowid, key_has_index)
        };
        Ok(Self {
            name,
            columns,
            primary_key,
            position,
            strict,
            unique_keys,
            foreign_keys,
            indexes,
            partial_indexes,
            checks: Vec::new(),
        })
    }

    /// A column's place by its name, letter case ignored as SQLite does.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The column that is the rowid.
    pub fn rowid_column(&self) -> Option<usize> {
        match self.position {
            Position::Rowid { alias, .. } => alias,
            Position::Key | Position::Ordinal => None,
        }
    }
}

fn position(
    columns: &[Column],
    primary_key: &[usize],
    without_rowid: bool,
    key_has_index: bool,
) -> Position {
    if without_rowid {
        return Position::Key;
    }
    // An INTEGER PRIMARY KEY without an index of its own is the rowid; `INT` or `INTEGER … DESC` get an index.
    if let [only] = primary_key
        && columns[*only].declared.eq_ignore_ascii_case("integer")
        && !key_has_index
    {
        return Position::Rowid {
            name: columns[*only].name.clone(),
            alias: Some(*only),
        };
    }
    let free = ["rowid", "_rowid_", "oid"].into_iter().find(|name| {
        !columns
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(name))
    });
    match free {
        Some(name) => Position::Rowid {
            name: name.to_owned(),
            alias: None,
        },
        None => Position::Ordinal,
    }
}

fn encoding(connection: &Connection) -> rusqlite::Result<TextEncoding> {
    let name: String = connection.pragma_query_value(None, "encoding", |row| row.get(0))?;
    Ok(match name.as_str() {
        "UTF-16le" => TextEncoding::Utf16Le,
        "UTF-16be" => TextEncoding::Utf16Be,
        _ => TextEncoding::Utf8,
    })
}

fn sequences(connection: &Connection) -> rusqlite::Result<BTreeMap<String, i64>> {
    let mut statement = connection.prepare(
        "SELECT name, max(seq) FROM sqlite_sequence WHERE typeof(seq) = 'integer' GROUP BY name",
    )?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(sql: &str) -> Schema {
        let connection = Connection::open_in_memory().expect("an empty database");
        connection.execute_batch(sql).expect("the schema");
        Schema::read(&connection).expect("reading it")
    }

    #[test]
    fn finds_the_way_to_each_row() {
        let schema = schema(
            "CREATE TABLE alias (Id INTEGER PRIMARY KEY, v);
             CREATE TABLE int_key (Id INT PRIMARY KEY, v);
             CREATE TABLE descending (Id INTEGER PRIMARY KEY DESC, v);
             CREATE TABLE shadowed (rowid TEXT, oid INTEGER, _rowid_ TEXT);
             CREATE TABLE half_shadowed (rowid TEXT);
             CREATE TABLE keyed (a TEXT, b INTEGER, PRIMARY KEY (b, a)) WITHOUT ROWID;",
        );
        let position = |name: &str| schema.table(name).map(|table| table.position.clone());
        let rowid = |name: &str, alias| {
            Some(Position::Rowid {
                name: name.to_owned(),
                alias,
            })
        };
        assert_eq!(position("alias"), rowid("Id", Some(0)));
        assert_eq!(position("int_key"), rowid("rowid", None));
        assert_eq!(position("descending"), rowid("rowid", None));
        assert_eq!(position("shadowed"), Some(Position::Ordinal));
        assert_eq!(position("half_shadowed"), rowid("_rowid_", None));
        assert_eq!(position("keyed"), Some(Position::Key));
        assert_eq!(
            schema.table("keyed").map(|table| table.primary_key.clone()),
            Some(vec![1, 0])
        );
    }

    #[test]
    fn tells_tables_from_what_only_looks_like_one() {
        let schema = schema(
            "CREATE TABLE t (Id INTEGER PRIMARY KEY AUTOINCREMENT, a, g AS (a * 2), s AS (a * 3) STORED);
             INSERT INTO t (Id, a) VALUES (7, 1); DELETE FROM t;
             CREATE VIEW w AS SELECT 1; CREATE VIRTUAL TABLE f USING fts5(x); CREATE VIRTUAL TABLE r USING rtree(id, a, b);",
        );
        assert_eq!(schema.tables.len(), 1);
        assert_eq!(schema.sequences.get("t"), Some(&7));
        let generated: Vec<bool> = schema.tables[0]
            .columns
            .iter()
            .map(|column| column.generated)
            .collect();
        assert_eq!(generated, [false, false, true, true]);
        let what = |name: &str| {
            schema
                .others
                .iter()
                .find(|other| other.name == name)
                .map(|other| other.what)
        };
        assert_eq!(what("w"), Some(What::View));
        assert_eq!(what("f"), Some(What::OwnText));
        assert_eq!(what("r"), Some(What::Virtual));
        assert_eq!(what("f_data"), Some(What::Shadow));
        assert_eq!(what("r_node"), Some(What::Shadow));
        assert_eq!(what("sqlite_sequence"), Some(What::Internal));
    }

    #[test]
    fn tells_by_which_triggers_a_full_text_table_is_filled() {
        let schema = schema(
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, body); CREATE VIRTUAL TABLE Search USING fts5(body); CREATE VIRTUAL TABLE own USING fts5(x);
             CREATE TRIGGER i AFTER INSERT ON notes BEGIN INSERT INTO search (rowid, body) VALUES (new.id, new.body); END;
             CREATE TRIGGER d AFTER DELETE ON notes BEGIN DELETE FROM own WHERE rowid = old.id; END;",
        );
        let filled: Vec<_> = schema.filled.into_iter().collect();
        assert_eq!(filled, [("Search".to_owned(), vec!["notes".to_owned()])]);
    }
}
