//! In which order SQLite reads rows: by rowid, or by the declared key as its index sorts. A mistake here costs work and nothing else.

use std::cmp::Ordering;

use super::cell::{Cell, utf8_of};
use super::reader::Row;
use crate::delta::alike::Sorted;
use crate::sqlite::schema::{Position, Table, TextEncoding};

/// The order of a table's rows.
pub(super) enum Order {
    Rowid,
    Key {
        columns: Vec<(Collation, bool)>,
        /// How text is stored; UTF-8 where it was made that.
        encoding: TextEncoding,
    },
    /// None that is known: the first row is held against the first.
    Unknown,
}

/// How two texts sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collation {
    Binary,
    NoCase,
    RightTrim,
}

impl Order {
    pub(super) fn new(table: &Table, key: &[Sorted], stored_as: Option<TextEncoding>) -> Self {
        match table.position {
            Position::Rowid { .. } => Self::Rowid,
            Position::Ordinal => Self::Unknown,
            Position::Key => {
                let columns = key.iter().map(|column| {
                    let collation = match column.collation.as_str() {
                        "NOCASE" => Collation::NoCase,
                        "RTRIM" => Collation::RightTrim,
                        _ => Collation::Binary,
                    };
                    (collation, column.is_descending)
                });
                Self::Key {
                    columns: columns.collect(),
                    encoding: stored_as.unwrap_or_default(),
                }
            }
        }
    }

    /// Which of two rows comes first.
    pub(super) fn of(&self, one: &Row<'_>, other: &Row<'_>) -> Ordering {
        match self {
            Self::Rowid => one.rowid().cmp(&other.rowid()),
            Self::Unknown => Ordering::Equal,
            Self::Key { columns, encoding } => {
                for ((collation, is_descending), (one, other)) in
                    columns.iter().zip(one.key().zip(other.key()))
                {
                    let ordering = compare(&one, &other, *collation, *encoding);
                    if ordering.is_ne() {
                        return match is_descending {
                            true => ordering.reverse(),
                            false => ordering,
                        };
                    }
                }
                Ordering::Equal
            }
        }
    }
}

fn compare(
    one: &Cell<'_>,
    other: &Cell<'_>,
    collation: Collation,
    encoding: TextEncoding,
) -> Ordering {
    match (one, other) {
        (Cell::Text(one), Cell::Text(other)) => match collation {
            Collation::Binary => one.cmp(other),
            Collation::NoCase => {
                let (one, other) = (utf8_of(one, encoding), utf8_of(other, encoding));
                one.to_ascii_lowercase().cmp(&other.to_ascii_lowercase())
            }
            Collation::RightTrim => {
                let (one, other) = (utf8_of(one, encoding), utf8_of(other, encoding));
                trimmed(&one).cmp(trimmed(&other))
            }
        },
        (Cell::Blob(one), Cell::Blob(other)) => one.cmp(other),
        (Cell::Integer(one), Cell::Integer(other)) => one.cmp(other),
        (Cell::RealBits(one), Cell::RealBits(other)) => {
            let (one, other) = (f64::from_bits(*one), f64::from_bits(*other));
            one.partial_cmp(&other).unwrap_or(Ordering::Equal)
        }
        (Cell::Integer(one), Cell::RealBits(other)) => integer_and_real(*one, *other),
        (Cell::RealBits(one), Cell::Integer(other)) => integer_and_real(*other, *one).reverse(),
        (
            Cell::Null | Cell::Integer(_) | Cell::RealBits(_) | Cell::Text(_) | Cell::Blob(_),
            other,
        ) => class(one).cmp(&class(other)),
    }
}

/// NULL, numbers, texts, blobs.
fn class(cell: &Cell<'_>) -> u8 {
    match cell {
        Cell::Null => 0,
        Cell::Integer(_) | Cell::RealBits(_) => 1,
        Cell::Text(_) => 2,
        Cell::Blob(_) => 3,
    }
}

/// Exact, where an integer is larger than a real can tell.
fn integer_and_real(integer: i64, bits: u64) -> Ordering {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    let real = f64::from_bits(bits);
    if real < -BEYOND {
        return Ordering::Greater;
    }
    if real >= BEYOND {
        return Ordering::Less;
    }
    let whole = real.trunc();
    let ordering = integer.cmp(&(whole as i64));
    let of_fraction = || 0.0.partial_cmp(&(real - whole)).unwrap_or(Ordering::Equal);
    ordering.then_with(of_fraction)
}

fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b' ');
    &text[..end.map_or(0, |end| end + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQLite's own ORDER BY is the judge.
    #[test]
    fn values_sort_as_sqlite_sorts_them() {
        for (collation, name) in [
            (Collation::Binary, "BINARY"),
            (Collation::NoCase, "NOCASE"),
            (Collation::RightTrim, "RTRIM"),
        ] {
            let connection = rusqlite::Connection::open_in_memory().unwrap();
            let sql = format!(
                "CREATE TABLE t (v COLLATE {name});
                 INSERT INTO t VALUES (NULL), (0), (-0.0), (1), (1.5), (-1.5), (9007199254740993), (9007199254740992.0), (9e999), (-9e999),
                   (9223372036854775807), (-9223372036854775808), (9223372036854775807.0), (''), ('a'), ('A'), ('B'), ('a '), ('a b'), ('b'),
                   ('ä'), ('_'), (x''), (x'61'), (x'ff'), (CAST(x'ff' AS TEXT));"
            );
            connection.execute_batch(&sql).unwrap();
            let mut statement = connection.prepare("SELECT one.v, other.v, one.v < other.v, one.v = other.v FROM t one, t other WHERE one.v IS NOT NULL AND other.v IS NOT NULL").unwrap();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let cell = |at: usize| Cell::of(row.get_ref(at).unwrap());
                let expected = match (row.get(2).unwrap(), row.get(3).unwrap()) {
                    (true, _) => Ordering::Less,
                    (false, true) => Ordering::Equal,
                    (false, false) => Ordering::Greater,
                };
                let found = compare(&cell(0), &cell(1), collation, TextEncoding::Utf8);
                assert_eq!(found, expected, "{:?} and {:?}, {name}", cell(0), cell(1));
            }
        }
    }
}
