//! Rows that were brought in, read again before the commit: SQLite has what it should have, with its storage class and to the byte, or has the row
//! no more. Not in here: what follows from a difference.

use rusqlite::{OptionalExtension, params_from_iter};

use super::Bringing;
use crate::postgres::quoted;
use crate::salvage::Operation;
use crate::salvage::cell::Cell;
use crate::salvage::file::{SalvagedRow, SalvagedValue};

/// Values longer than this are cut in what people read.
const SHOWN: usize = 40;

impl Bringing<'_> {
    /// In what way SQLite does not have a row as it should; `None` where it has.
    pub(super) fn differs(&self, row: &SalvagedRow) -> rusqlite::Result<Option<String>> {
        let Some(table) = self.schema.table(&row.table) else {
            return Ok(Some(format!("SQLite has no table {}", row.table)));
        };
        let is_stored = |name: &str| {
            let place = table.column(name);
            place.is_some_and(|place| !table.columns[place].generated)
        };
        let values = row.values.iter().filter(|value| is_stored(&value.name));
        let values: Vec<&SalvagedValue> = values.collect();
        let key: Vec<_> = values.iter().filter(|value| value.is_key).collect();
        let is_gone = row.operation == Operation::Deleted;
        // Of equal rows without a key any may be the one.
        let by: Vec<&SalvagedValue> = match (key.is_empty(), is_gone) {
            (true, true) => return Ok(None),
            (true, false) => values.clone(),
            (false, _) => key.into_iter().copied().collect(),
        };
        let of = |value: &SalvagedValue| match is_gone {
            true => value.was.clone(),
            false => value.new.clone(),
        };
        // By the index first, then to the byte: a key may have come back in another letter case.
        let parts = by.iter().enumerate().map(|(at, value)| {
            let (name, at) = (quoted(&value.name), at + 1);
            format!("{name} IS ?{at} AND {name} COLLATE BINARY IS ?{at}")
        });
        let parts: Vec<String> = parts.collect();
        let names: Vec<_> = values.iter().map(|value| quoted(&value.name)).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {} LIMIT 1",
            names.join(", "),
            quoted(&table.name),
            parts.join(" AND ")
        );
        let found = self
            .connection
            .prepare_cached(&sql)?
            .query_row(params_from_iter(by.iter().map(|value| of(value))), |row| {
                let cells = (0..values.len()).map(|at| Ok(Cell::of(row.get_ref(at)?)));
                cells.collect::<rusqlite::Result<Vec<Cell>>>()
            })
            .optional()?;
        let Some(cells) = found else {
            let missing = "SQLite does not have it after it was brought in";
            return Ok((!is_gone).then(|| missing.to_owned()));
        };
        if is_gone {
            return Ok(Some("SQLite still has it after it was deleted".to_owned()));
        }
        let mut pairs = values.iter().zip(&cells);
        let other = pairs.find(|(value, cell)| !is_kept(cell, &value.new));
        Ok(other.map(|(value, cell)| {
            format!(
                "SQLite keeps {} as {} where it should be {}",
                value.name,
                cell.shown(SHOWN),
                value.new.shown(SHOWN)
            )
        }))
    }
}

/// The same value. A column's affinity makes an integer of a real number and the other way round, as it does for the application; never
/// another number.
fn is_kept(there: &Cell, wanted: &Cell) -> bool {
    match (there, wanted) {
        (Cell::Integer(whole), Cell::Real(real)) | (Cell::Real(real), Cell::Integer(whole)) => {
            *whole as f64 == *real && *real as i64 == *whole
        }
        _ => there.is_same(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_kept_in_either_class_and_nothing_else_is() {
        let kept = [
            (Cell::Integer(5), Cell::Real(5.0)),
            (Cell::Real(-7.0), Cell::Integer(-7)),
            (Cell::text("a"), Cell::text("a")),
            (Cell::Null, Cell::Null),
        ];
        assert!(kept.iter().all(|(there, wanted)| is_kept(there, wanted)));
        let other = [
            (Cell::Integer(5), Cell::Real(5.5)),
            // Beyond 2^53 a real number is not every integer.
            (
                Cell::Real(9_007_199_254_740_992.0),
                Cell::Integer(9_007_199_254_740_993),
            ),
            (Cell::Integer(5), Cell::text("5")),
            (Cell::text("a"), Cell::Blob(b"a".to_vec())),
            (Cell::Null, Cell::text("")),
        ];
        assert!(other.iter().all(|(there, wanted)| !is_kept(there, wanted)));
    }
}
