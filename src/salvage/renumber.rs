//! New numbers for rows whose number SQLite has handed out again since the rollback: without AUTOINCREMENT SQLite numbers a table's rows on
//! from the largest that it has, and so gives the numbers away that PostgreSQL had given. What is brought in with such a row and points to it
//! points to the new number.
//!
//! Only references that are declared are followed; a reference that a row of SQLite has made since means SQLite's own row, and stays. Not in
//! here: bringing rows in (`apply`).

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use super::Operation;
use super::cell::Cell;
use super::file::SalvagedRow;
use crate::postgres::quoted;
use crate::sqlite::schema::{ForeignKey, Schema, Table};

/// The new number of each row that gets one, by its table's name in small letters.
#[derive(Debug, Default)]
pub(super) struct Renumbering {
    numbers: BTreeMap<String, BTreeMap<i64, i64>>,
}

/// The numbers that SQLite gives next, by table.
struct Next<'a> {
    connection: &'a Connection,
    by_table: BTreeMap<String, i64>,
}

impl Renumbering {
    /// Works out who needs a new number: inserted rows for whose number `is_taken` says that another row has it.
    pub(super) fn plan(
        connection: &Connection,
        schema: &Schema,
        rows: &[SalvagedRow],
        is_taken: impl Fn(&Table, &SalvagedRow) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<Renumbering> {
        let mut next = Next {
            connection,
            by_table: BTreeMap::new(),
        };
        let mut renumbering = Renumbering::default();
        let numbered = rows
            .iter()
            .filter_map(|row| Some((row, own_number(schema, row)?)));
        let numbered: Vec<_> = numbered.collect();
        for (_, (table, number)) in &numbered {
            next.is_beyond(table, *number)?;
        }
        for (row, (table, number)) in numbered {
            if is_taken(table, row)? {
                let new = next.take(table)?;
                renumbering
                    .numbers
                    .entry(folded(&table.name))
                    .or_default()
                    .insert(number, new);
            }
        }
        Ok(renumbering)
    }

    /// Gives a row its own new number, and what it points to the new numbers of that. Its own new number comes back.
    pub(super) fn rewrite(&self, schema: &Schema, row: &mut SalvagedRow) -> Option<i64> {
        if self.numbers.is_empty() {
            return None;
        }
        let own = own_number(schema, row).and_then(|(table, number)| {
            let new = *self.numbers.get(&folded(&table.name))?.get(&number)?;
            Some((table.columns[table.rowid_column()?].name.clone(), new))
        });
        let table = schema.table(&row.table)?;
        for key in &table.foreign_keys {
            let (Some(column), Some(numbers)) = (
                reference(schema, key),
                self.numbers.get(&folded(&key.references)),
            ) else {
                continue;
            };
            let values = row
                .values
                .iter_mut()
                .filter(|value| value.name.eq_ignore_ascii_case(column));
            for value in values {
                if let Cell::Integer(number) = value.new
                    && let Some(new) = numbers.get(&number)
                {
                    value.new = Cell::Integer(*new);
                }
            }
        }
        let (column, new) = own?;
        let values = row
            .values
            .iter_mut()
            .filter(|value| value.name.eq_ignore_ascii_case(&column));
        values.for_each(|value| value.new = Cell::Integer(new));
        Some(new)
    }
}

/// The number of an inserted row whose key is SQLite's own numbering. A key that points to another table follows that one.
fn own_number<'s>(schema: &'s Schema, row: &SalvagedRow) -> Option<(&'s Table, i64)> {
    let table = schema.table(&row.table)?;
    let name = &table.columns[table.rowid_column()?].name;
    let refers = |key: &ForeignKey| matches!(key.columns.as_slice(), [only] if only.eq_ignore_ascii_case(name));
    if row.operation != Operation::Inserted || table.foreign_keys.iter().any(refers) {
        return None;
    }
    let mut keys = row.values.iter().filter(|value| value.is_key);
    match (keys.next(), keys.next()) {
        (Some(only), None) if only.name.eq_ignore_ascii_case(name) => match only.new {
            Cell::Integer(number) => Some((table, number)),
            Cell::Null | Cell::Real(_) | Cell::Text(_) | Cell::Blob(_) => None,
        },
        (_, _) => None,
    }
}

/// The column of a key that points to another table's numbering.
fn reference<'k>(schema: &Schema, key: &'k ForeignKey) -> Option<&'k str> {
    let there = schema
        .tables
        .iter()
        .find(|table| table.name.eq_ignore_ascii_case(&key.references))?;
    let numbering = &there.columns[there.rowid_column()?].name;
    let points_there = match key.referenced_columns.as_slice() {
        [] => true,
        [only] => only.eq_ignore_ascii_case(numbering),
        [_, ..] => false,
    };
    match key.columns.as_slice() {
        [only] if points_there => Some(only),
        [] | [_, ..] => None,
    }
}

impl Next<'_> {
    /// No number up to this one is given away.
    fn is_beyond(&mut self, table: &Table, number: i64) -> rusqlite::Result<()> {
        let first = self.first(table)?;
        let next = self.by_table.entry(folded(&table.name)).or_insert(first);
        *next = (*next).max(number.saturating_add(1));
        Ok(())
    }

    fn take(&mut self, table: &Table) -> rusqlite::Result<i64> {
        let first = self.first(table)?;
        let next = self.by_table.entry(folded(&table.name)).or_insert(first);
        let taken = *next;
        *next = taken.saturating_add(1);
        Ok(taken)
    }

    /// Beyond every row that is there, and beyond every number that was ever given where SQLite keeps count.
    fn first(&self, table: &Table) -> rusqlite::Result<i64> {
        if let Some(known) = self.by_table.get(&folded(&table.name)) {
            return Ok(*known);
        }
        let column = table
            .rowid_column()
            .map_or("rowid", |place| table.columns[place].name.as_str());
        let sql = format!(
            "SELECT coalesce(max({}), 0) FROM {}",
            quoted(column),
            quoted(&table.name)
        );
        let most: i64 = self.connection.query_row(&sql, [], |row| row.get(0))?;
        let keeps_count = self.connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        let given = match keeps_count {
            0 => None,
            _ => self
                .connection
                .query_row(
                    "SELECT seq FROM sqlite_sequence WHERE name = ?1",
                    [&table.name],
                    |row| row.get(0),
                )
                .optional()?,
        };
        Ok(most.max(given.unwrap_or(0)).saturating_add(1))
    }
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}
