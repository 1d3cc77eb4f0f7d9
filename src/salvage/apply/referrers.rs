//! Which of the rows that were brought in make a reference that points nowhere: an inserted or changed row whose parent is not there, and a
//! deleted or changed one that SQLite's own rows still refer to. And which would mean another row than users did: SQLite has given the key of
//! their parent, which stays in the salvage file, to a row of its own. Not in here: finding that there is a reference that points nowhere
//! (`dangling`).

use rusqlite::params_from_iter;

use super::Bringing;
use crate::postgres::quoted;
use crate::salvage::Operation;
use crate::salvage::cell::Cell;
use crate::salvage::file::{SalvagedRow, SalvagedValue};
use crate::sqlite::schema::{ForeignKey, Schema, Table};

/// A reference that a row holds, or would hold: of which table, by which of its foreign keys, and what it holds, as text.
type Reference<'s> = (&'s str, usize, String);

impl<'a> Bringing<'a> {
    /// By what other rows would mean this one: their table, the place of the foreign key among its own, and what it would hold.
    pub(super) fn meant_by(&self, row: &SalvagedRow) -> Vec<Reference<'a>> {
        let schema: &'a Schema = self.schema;
        let mut all = Vec::new();
        for child in &schema.tables {
            for (place, key) in child.foreign_keys.iter().enumerate() {
                if !row.table.eq_ignore_ascii_case(&key.references) {
                    continue;
                }
                let columns = referenced(key, self.parent_of(key));
                if let Some(cells) = cells_of(row, &columns, |value| &value.new) {
                    all.push((child.name.as_str(), place, format!("{cells:?}")));
                }
            }
        }
        all
    }

    /// The references that a row holds: the place of each foreign key, the table that it leads to, and what it holds. None where the row is deleted.
    pub(super) fn references_of(&self, row: &SalvagedRow) -> Vec<(usize, &'a str, String)> {
        let schema: &'a Schema = self.schema;
        let Some(table) = schema.table(&row.table) else {
            return Vec::new();
        };
        if row.operation == Operation::Deleted {
            return Vec::new();
        }
        let keys = table.foreign_keys.iter().enumerate();
        let held = keys.filter_map(|(place, key)| {
            let cells = cells_of(row, &key.columns, |value| &value.new)?;
            Some((place, key.references.as_str(), format!("{cells:?}")))
        });
        held.collect()
    }
}

impl Bringing<'_> {
    /// Why a row that was brought in makes a reference from `child` to `parent` that points nowhere; `None` where it does not.
    pub(super) fn breaks(
        &self,
        row: &SalvagedRow,
        child: &str,
        parent: &str,
    ) -> rusqlite::Result<Option<String>> {
        let Some(table) = self.schema.table(child) else {
            return Ok(None);
        };
        let keys = table.foreign_keys.iter();
        for key in keys.filter(|key| key.references.eq_ignore_ascii_case(parent)) {
            let there = self.parent_of(key);
            let referenced = referenced(key, there);
            if row.table == child
                && row.operation != Operation::Deleted
                && let Some(cells) = cells_of(row, &key.columns, |value| &value.new)
                && !self.has_row(parent, &referenced, &cells)?
            {
                return Ok(Some(format!(
                    "it refers to a row of {parent} that SQLite does not have"
                )));
            }
            if row.table.eq_ignore_ascii_case(parent)
                && row.operation != Operation::Inserted
                && let Some(cells) = cells_of(row, &referenced, |value| &value.was)
                && !self.has_row(parent, &referenced, &cells)?
                && self.has_row(child, &key.columns, &cells)?
            {
                return Ok(Some(format!("a row of {child} in SQLite refers to it")));
            }
        }
        Ok(None)
    }

    pub(super) fn parent_of(&self, key: &ForeignKey) -> Option<&Table> {
        let mut tables = self.schema.tables.iter();
        tables.find(|table| table.name.eq_ignore_ascii_case(&key.references))
    }

    /// Whether a table has a row with these values; not where there is no such table.
    pub(super) fn has_row(
        &self,
        table: &str,
        columns: &[String],
        cells: &[&Cell],
    ) -> rusqlite::Result<bool> {
        let mut tables = self.schema.tables.iter();
        let is_there = tables.any(|known| known.name.eq_ignore_ascii_case(table));
        if !is_there || columns.len() != cells.len() {
            return Ok(false);
        }
        let parts = columns.iter().enumerate();
        let parts = parts.map(|(at, column)| format!("{} = ?{}", quoted(column), at + 1));
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {} WHERE {})",
            quoted(table),
            parts.collect::<Vec<_>>().join(" AND ")
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.query_row(params_from_iter(cells), |row| row.get(0))
    }
}

/// The columns that a key refers to; the primary key's where it names none.
pub(super) fn referenced(key: &ForeignKey, parent: Option<&Table>) -> Vec<String> {
    match (key.referenced_columns.is_empty(), parent) {
        (false, _) | (true, None) => key.referenced_columns.clone(),
        (true, Some(table)) => {
            let places = table.primary_key.iter();
            places
                .map(|place| table.columns[*place].name.clone())
                .collect()
        }
    }
}

/// A row's values of these columns; none where there are no columns, or one of them is NULL, which refers to nothing, or is not in the file.
pub(super) fn cells_of<'r>(
    row: &'r SalvagedRow,
    columns: &[String],
    of: impl Fn(&'r SalvagedValue) -> &'r Cell,
) -> Option<Vec<&'r Cell>> {
    let cell = |column: &String| {
        let mut values = row.values.iter();
        let value = values.find(|value| value.name.eq_ignore_ascii_case(column))?;
        Some(of(value)).filter(|cell| **cell != Cell::Null)
    };
    match columns.is_empty() {
        true => None,
        false => columns.iter().map(cell).collect(),
    }
}
