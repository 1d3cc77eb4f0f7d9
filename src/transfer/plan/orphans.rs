//! Rows whose parent is missing, asked of SQLite, which may never have checked.
//!
//! Only keys between planned tables are asked: the parents of others are in the target alone.

use std::path::Path;

use crate::source::schema::{Position, quoted};
use crate::target::catalogue::{Constraint, ConstraintKind};
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::convert::shown;
use crate::transfer::error::read;
use crate::transfer::kind::Kind;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::foreseen::quarantines;
use crate::transfer::plan::scan::{LISTED_PER_COLUMN, open};
use crate::transfer::plan::{Problem, RowKey};

/// A row without its parent.
#[derive(Debug)]
pub struct Orphan {
    /// Its table's oid in the target.
    pub table_oid: u32,
    /// Which row, and which key.
    pub problem: Problem,
    /// The runbook wants it put aside.
    pub quarantined: bool,
}

/// All orphans under the target's foreign keys, at most [`LISTED_PER_COLUMN`] per key.
pub fn orphans(source: &Path, layout: &Layout) -> Result<Vec<Orphan>, Error> {
    let connection = open(source)?;
    // Where no index helps, SQLite builds one for the query; it may be large, so it goes to a file.
    connection
        .pragma_update(None, "temp_store", "FILE")
        .map_err(read(source, "its settings"))?;
    let mut found = Vec::new();
    for table in &layout.tables {
        for key in table
            .target
            .constraints
            .iter()
            .filter(|key| key.kind == ConstraintKind::Foreign)
        {
            if let Some(question) = Question::of(layout, table, key) {
                let rows = question
                    .ask(&connection)
                    .map_err(read(source, &table.source.name))?;
                found.extend(
                    rows.into_iter()
                        .map(|(row, value)| question.orphan(row, value)),
                );
            }
        }
    }
    Ok(found)
}

struct Question<'l> {
    child: &'l TableLayout,
    parent: &'l TableLayout,
    key: &'l Constraint,
    /// Places in the source tables, pairwise.
    pairs: Vec<(usize, usize)>,
    /// The target ignores letter case in one of them.
    folds: bool,
}

impl<'l> Question<'l> {
    fn of(layout: &'l Layout, child: &'l TableLayout, key: &'l Constraint) -> Option<Self> {
        let (oid, ..) = key.references.as_ref()?;
        let parent = layout
            .tables
            .iter()
            .find(|table| table.target.oid == *oid)?;
        let mut pairs = Vec::new();
        let mut folds = false;
        for (here, there) in key.columns.iter().zip(&key.referenced_columns) {
            let here = child
                .columns
                .iter()
                .find(|column| column.target.name == *here)?;
            let there = parent
                .columns
                .iter()
                .find(|column| column.target.name == *there)?;
            folds |= here.target.folds || here.converter.kind == Kind::Uuid;
            pairs.push((here.source, there.source));
        }
        (!pairs.is_empty()).then_some(Self {
            child,
            parent,
            key,
            pairs,
            folds,
        })
    }

    /// Rows at fault, each with its key's value.
    fn ask(&self, connection: &rusqlite::Connection) -> rusqlite::Result<Vec<(RowKey, String)>> {
        let found = self.query(connection, "")?;
        // Plain comparison uses the parent's index; only what it misses is worth a slower look.
        if found.is_empty() || !self.folds {
            Ok(found)
        } else {
            self.query(connection, " COLLATE NOCASE")
        }
    }

    fn query(
        &self,
        connection: &rusqlite::Connection,
        collation: &str,
    ) -> rusqlite::Result<Vec<(RowKey, String)>> {
        let name = |table: &TableLayout, place: usize| quoted(&table.source.columns[place].name);
        let values: Vec<String> = self
            .pairs
            .iter()
            .map(|(here, _)| format!("c.{}", name(self.child, *here)))
            .collect();
        let not_null: Vec<String> = values
            .iter()
            .map(|value| format!("{value} IS NOT NULL"))
            .collect();
        let equal: Vec<String> = self
            .pairs
            .iter()
            .zip(&values)
            .map(|((_, there), value)| {
                format!("p.{} = {value}{collation}", name(self.parent, *there))
            })
            .collect();
        let position = match &self.child.source.position {
            Position::Rowid { name, .. } => format!("c.{}", quoted(name)),
            Position::Key => {
                let key = self
                    .child
                    .source
                    .primary_key
                    .iter()
                    .map(|place| format!("quote(c.{})", name(self.child, *place)));
                format!(
                    "'(' || {} || ')'",
                    key.collect::<Vec<_>>().join(" || ', ' || ")
                )
            }
            Position::Ordinal => "NULL".to_owned(),
        };
        let sql = format!(
            "SELECT {position}, {} FROM {} AS c NOT INDEXED WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {}) LIMIT {LISTED_PER_COLUMN}",
            values[0],
            quoted(&self.child.source.name),
            not_null.join(" AND "),
            quoted(&self.parent.source.name),
            equal.join(" AND ")
        );
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let key = match row.get_ref(0)? {
                rusqlite::types::ValueRef::Integer(rowid) => RowKey::Rowid(rowid),
                rusqlite::types::ValueRef::Text(text) => {
                    RowKey::Key(printable(&String::from_utf8_lossy(text), 200))
                }
                _ => RowKey::None,
            };
            found.push((key, shown(row.get_ref(1)?)));
        }
        Ok(found)
    }

    fn orphan(&self, rowid: RowKey, value: String) -> Orphan {
        let column = self.child.source.columns[self.pairs[0].0].name.clone();
        let (key, parent) = (
            printable(&self.key.name, 80),
            printable(&self.parent.source.name, 80),
        );
        Orphan {
            table_oid: self.child.target.oid,
            quarantined: quarantines(self.child, &column),
            problem: Problem {
                table: self.child.source.name.clone(),
                column,
                rowid,
                value,
                reason: format!("no such row in {parent}, which {key} wants"),
                policy: None,
            },
        }
    }
}
