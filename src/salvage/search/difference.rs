//! How one row stands on both sides: the same, changed, on one side alone. Whoever finds rows, by their age or by their keys, judges
//! them here.
//!
//! Not in here: which rows are looked at.

use super::target_table::TargetRow;
use super::{Cell, Column, Operation, Problem, Row};
use crate::parity::TablePair;
use crate::salvage::back::{Back, Reverse};
use crate::salvage::backup::BackupRow;

/// A key of PostgreSQL's as the column's form spells it; NULL for what has no form.
pub(crate) fn spelled(key: &[Option<String>], reverses: &[Reverse]) -> Vec<Cell> {
    let parts = key.iter().zip(reverses);
    let spelled = parts.map(|(text, reverse)| match reverse.value(text.as_deref()) {
        Back::Exact(cell) | Back::Nearest(cell) => cell,
        Back::None => Cell::Null,
    });
    spelled.collect()
}

/// A row that PostgreSQL has, against the backup's row of its key; `None` where both are equal.
pub(crate) fn present<'p>(
    pair: &'p TablePair,
    row: &TargetRow,
    before: Option<&BackupRow>,
    reverses: &[Reverse],
) -> Option<Row<'p>> {
    if before.is_some_and(|before| before.canonical == row.canonical) {
        return None;
    }
    let mut columns = Vec::with_capacity(row.texts.len());
    for (at, column) in pair.columns.iter().enumerate() {
        let was = before.map_or(Cell::Null, |row| row.cells[at].clone());
        let same = before.is_some_and(|before| before.canonical[at] == row.canonical[at]);
        // A value that PostgreSQL still has keeps the spelling it had.
        let (new, problem) = if same {
            (was.clone(), None)
        } else {
            match reverses[at].value(row.texts[at].as_deref()) {
                Back::Exact(cell) => (cell, None),
                Back::Nearest(cell) => (cell, Some(Problem::Nearest)),
                Back::None => (was.clone(), Some(Problem::NoForm)),
            }
        };
        columns.push(Column {
            name: &column.source,
            new,
            was,
            target: row.texts[at].clone(),
            changed: !same,
            problem,
        });
    }
    let operation = match before {
        Some(_) => Operation::Changed,
        None => Operation::Inserted,
    };
    Some(of(pair, operation, columns))
}

/// A row that the backup has and PostgreSQL has not.
pub(crate) fn absent(pair: &TablePair, before: BackupRow) -> Row<'_> {
    let columns = pair.columns.iter().zip(before.cells);
    let columns = columns.map(|(column, was)| Column {
        name: &column.source,
        new: Cell::Null,
        was,
        target: None,
        changed: true,
        problem: None,
    });
    of(pair, Operation::Deleted, columns.collect())
}

fn of<'p>(pair: &'p TablePair, operation: Operation, columns: Vec<Column<'p>>) -> Row<'p> {
    let key = columns.iter().take(pair.key_columns);
    let key = key.map(|column| match operation {
        Operation::Deleted => column.was.clone(),
        Operation::Inserted | Operation::Changed => column.new.clone(),
    });
    Row {
        table: &pair.source,
        operation,
        key: key.collect(),
        columns,
    }
}
