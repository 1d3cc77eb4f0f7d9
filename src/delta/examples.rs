//! Rows of a delta for people: by which key they are known, and of a row that is otherwise which columns, with both values.

use std::path::Path;

use rusqlite::Connection;
use serde::Serialize;

use super::error::Error;
use super::rows::{Cell, Reader, of_raw, raw, utf8_of};
use super::snapshot::{Sides, Snapshot};
use super::{Change, Changed, Delta, Way, alike};
use crate::format::hex;
use crate::sqlite::schema::{Table, TextEncoding};
use crate::text::printable;

/// Characters, or bytes of a blob, of a value that are shown.
const SHOWN: usize = 40;
/// Characters of a value before the first that differs, where both are long.
const BEFORE: usize = 8;

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// What happened to it.
    pub change: Change,
    /// Its declared key, or its rowid: `Id=7`.
    pub key: String,
    /// Of a row that is otherwise, what is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Different>,
}

/// A value that is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Different {
    /// The column.
    pub column: String,
    /// As it was, as a literal of SQL, cut short.
    pub older: String,
    /// As it is.
    pub newer: String,
}

/// So many rows at most of each change, of each table of the delta that [`super::rows`] has written into this file; none of a table that is another
/// as a whole.
///
/// # Errors
/// A file cannot be read any more.
pub fn examples(
    older: &Path,
    newer: &Path,
    file: &Path,
    delta: &Delta,
    most: u32,
) -> Result<Vec<Vec<Example>>, Error> {
    let sides = Sides::open(older, newer)?;
    let file = crate::sqlite::open_read_only(file)?;
    let tables = delta.tables.iter();
    let shown = tables.map(|changed| match changed.way {
        Way::Rowid | Way::Key => of_table(&sides, &file, changed, most),
        Way::Anew(_) => Ok(Vec::new()),
    });
    shown.collect()
}

fn of_table(
    sides: &Sides,
    file: &Connection,
    changed: &Changed,
    most: u32,
) -> Result<Vec<Example>, Error> {
    let both = [&sides.older, &sides.newer].map(|side| side.schema.table(&changed.table));
    let [Some(old_table), Some(table)] = both else {
        return Ok(Vec::new());
    };
    let sorted = alike::key(&sides.newer, table)?;
    let is_same_text = sides.stored_as().is_some();
    let reader =
        |side: &Snapshot, table| Reader::new(table, side.schema.encoding, is_same_text, &sorted);
    let (older, newer) = (reader(&sides.older, old_table), reader(&sides.newer, table));
    let looking = Looking {
        table,
        older: (older, &sides.older.connection),
        newer: (newer, &sides.newer.connection),
        stored_as: sides.stored_as(),
    };
    looking
        .examples(file, changed, most)
        .map_err(sides.newer.failed(&changed.table))
}

/// Both files, to read rows of a table by their names.
struct Looking<'s> {
    table: &'s Table,
    older: (Reader<'s>, &'s Connection),
    newer: (Reader<'s>, &'s Connection),
    stored_as: Option<TextEncoding>,
}

impl Looking<'_> {
    fn examples(
        &self,
        file: &Connection,
        changed: &Changed,
        most: u32,
    ) -> rusqlite::Result<Vec<Example>> {
        let table = self.table;
        let names: Vec<&str> = table
            .primary_key
            .iter()
            .map(|place| table.columns[*place].name.as_str())
            .collect();
        let keys: String = (1..=names.len())
            .map(|number| format!(", {}", raw(&format!("k{number}"))))
            .collect();
        let sql = format!(
            "SELECT old_rowid, new_rowid{keys} FROM rows_{} WHERE change = ?1 ORDER BY rowid LIMIT ?2",
            changed.id
        );
        let mut statement = file.prepare(&sql)?;
        let mut examples = Vec::new();
        for change in Change::ALL {
            let mut rows = statement.query((change.letter(), most))?;
            while let Some(row) = rows.next()? {
                let (old, new): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
                let key: Vec<Cell<'_>> = (0..names.len())
                    .map(|number| of_raw(row, 2 + 2 * number))
                    .collect();
                let named = names.iter().zip(&key).map(|(name, cell)| {
                    let name = printable(name, SHOWN);
                    format!("{name}={}", shown(cell, self.stored_as, 0))
                });
                let named: Vec<String> = named.collect();
                let columns = match change {
                    Change::Updated => self.different((old, new), &key)?,
                    Change::Inserted | Change::Deleted => Vec::new(),
                };
                examples.push(Example {
                    change,
                    key: match new.or(old) {
                        Some(rowid) if named.is_empty() => format!("rowid {rowid}"),
                        _ => named.join(", "),
                    },
                    columns,
                });
            }
        }
        Ok(examples)
    }

    /// The columns of a row that are otherwise.
    fn different(
        &self,
        rowids: (Option<i64>, Option<i64>),
        key: &[Cell<'_>],
    ) -> rusqlite::Result<Vec<Different>> {
        let columns = &self.table.columns;
        let (older, newer) = (&self.older, &self.newer);
        let mut of_older = older.0.prepare_one(older.1, rowids.0, key)?;
        let mut of_newer = newer.0.prepare_one(newer.1, rowids.1, key)?;
        let (mut old_rows, mut new_rows) = (of_older.raw_query(), of_newer.raw_query());
        let (Some(old), Some(new)) = (old_rows.next()?, new_rows.next()?) else {
            return Ok(Vec::new());
        };
        let (old, new) = (older.0.row(old), newer.0.row(new));
        let mut different = Vec::new();
        for (at, place) in newer.0.columns.iter().enumerate() {
            let (old, new) = (old.cell(at), new.cell(at));
            if old != new {
                let from = first_difference(&old, &new, self.stored_as);
                different.push(Different {
                    column: printable(&columns[*place].name, SHOWN),
                    older: shown(&old, self.stored_as, from),
                    newer: shown(&new, self.stored_as, from),
                });
            }
        }
        Ok(different)
    }
}

/// From where on two long values are shown, so that what differs is to be seen: in characters of a text, in bytes of a blob.
fn first_difference(old: &Cell<'_>, new: &Cell<'_>, stored_as: Option<TextEncoding>) -> usize {
    let alike = match (old, new) {
        (Cell::Text(old), Cell::Text(new)) => {
            let encoding = stored_as.unwrap_or_default();
            let (old, new) = (utf8_of(old, encoding), utf8_of(new, encoding));
            match (std::str::from_utf8(&old), std::str::from_utf8(&new)) {
                (Ok(old), Ok(new)) => old
                    .chars()
                    .zip(new.chars())
                    .take_while(|(o, n)| o == n)
                    .count(),
                _ => 0,
            }
        }
        (Cell::Blob(old), Cell::Blob(new)) => {
            old.iter().zip(*new).take_while(|(o, n)| o == n).count()
        }
        (Cell::Null | Cell::Integer(_) | Cell::RealBits(_) | Cell::Text(_) | Cell::Blob(_), _) => 0,
    };
    match alike {
        0..SHOWN => 0,
        alike => alike - BEFORE,
    }
}

/// A value as a literal of SQL, harmless on any terminal, from this character or byte on and cut short.
fn shown(cell: &Cell<'_>, stored_as: Option<TextEncoding>, from: usize) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Integer(integer) => integer.to_string(),
        Cell::RealBits(bits) => match f64::from_bits(*bits) {
            real if real.is_infinite() && real > 0.0 => "9.0e+999".to_owned(),
            real if real.is_infinite() => "-9.0e+999".to_owned(),
            real => format!("{real:?}"),
        },
        Cell::Blob(bytes) => blob(bytes, from),
        Cell::Text(stored) => {
            let text = utf8_of(stored, stored_as.unwrap_or_default());
            match std::str::from_utf8(&text) {
                // Between quotes it would end at the NUL.
                Ok(text) if !text.contains('\0') => quote(text, from),
                _ => format!("CAST({} AS TEXT)", blob(stored, from)),
            }
        }
    }
}

fn quote(text: &str, from: usize) -> String {
    let all = text.chars().count();
    let part: String = text.chars().skip(from).take(SHOWN).collect();
    let begin = if from > 0 { "…" } else { "" };
    let part = printable(&part.replace('\'', "''"), 8 * SHOWN);
    match all > from + SHOWN {
        true => format!("'{begin}{part}…' ({all} characters)"),
        false => format!("'{begin}{part}'"),
    }
}

fn blob(bytes: &[u8], from: usize) -> String {
    let part = &bytes[from.min(bytes.len())..bytes.len().min(from + SHOWN)];
    let begin = if from > 0 { "…" } else { "" };
    let digits = hex(part).to_uppercase();
    match bytes.len() > from + SHOWN {
        true => format!("X'{begin}{digits}…' ({} bytes)", bytes.len()),
        false => format!("X'{begin}{digits}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, from: usize) -> String {
        shown(&Cell::Text(text.as_bytes().into()), None, from)
    }

    #[test]
    fn a_value_is_a_literal_of_sql() {
        assert_eq!(text("it's", 0), "'it''s'");
        assert_eq!(text("a\0b", 0), "CAST(X'610062' AS TEXT)");
        assert_eq!(
            text("\u{1b}[2J", 0),
            format!("'{}'", printable("\u{1b}[2J", 99))
        );
        let broken = Cell::Text([0xff, b'a'].as_slice().into());
        assert_eq!(shown(&broken, None, 0), "CAST(X'FF61' AS TEXT)");
        assert_eq!(
            shown(&Cell::RealBits((-0.0_f64).to_bits()), None, 0),
            "-0.0"
        );
        assert_eq!(shown(&Cell::Blob(&[0xab]), None, 0), "X'AB'");
        let wide = Cell::Text([b'a', 0, b'b', 0].as_slice().into());
        assert_eq!(shown(&wide, Some(TextEncoding::Utf16Le), 0), "'ab'");
    }

    #[test]
    fn long_values_show_where_they_differ() {
        let (one, other) = ("x".repeat(300), format!("{}y", "x".repeat(299)));
        let cells = [&one, &other].map(|text| Cell::Text(text.as_bytes().into()));
        let from = first_difference(&cells[0], &cells[1], None);
        assert_eq!(text(&one, from), "'…xxxxxxxxx'");
        assert_eq!(text(&other, from), "'…xxxxxxxxy'");
        assert_eq!(
            text(&one, 0),
            format!("'{}…' (300 characters)", "x".repeat(40))
        );
    }
}
