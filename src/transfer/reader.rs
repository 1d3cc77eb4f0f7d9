//! Rows out of a SQLite table, in an order in which a later reader can go on.
//!
//! Reads by rowid or primary key and never through a secondary index, which may lie. Turning values into anything is not done here.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, Statement};
use serde::{Deserialize, Serialize};

use crate::format::hex;
use crate::sqlite::schema::{Position, Table, TextEncoding, quoted};
use crate::transfer::convert::shown;
use crate::transfer::plan::RowKey;

/// The part of a table that one reader reads: rowids from and to, both included, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First rowid.
    pub from: i64,
    /// Last rowid.
    pub to: i64,
}

impl Span {
    pub const ALL: Self = Self {
        from: i64::MIN,
        to: i64::MAX,
    };
}

/// The row after which a reader goes on. Kept in checkpoints as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// Nothing has been read.
    Start,
    /// This rowid was the last.
    Rowid(i64),
    /// This primary key was the last.
    Key(Vec<KeyPart>),
    /// How many rows have been read.
    Ordinal(u64),
}

impl Cursor {
    /// Rows of the scan before it, where it counts them: those that were put aside too.
    pub fn rows_read(&self) -> u64 {
        match self {
            Self::Ordinal(rows) => *rows,
            Self::Start | Self::Rowid(_) | Self::Key(_) => 0,
        }
    }
}

/// One column of a primary key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPart {
    Integer(i64),
    /// REAL by its bits, since JSON has no infinity.
    RealBits(u64),
    Text(String),
    /// BLOB, as hexadecimal digits.
    Blob(String),
    /// TEXT that is not UTF-8, as hexadecimal digits.
    RawText(String),
    Null,
}

impl KeyPart {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(integer) => Self::Integer(integer),
            ValueRef::Real(real) => Self::RealBits(real.to_bits()),
            ValueRef::Blob(bytes) => Self::Blob(hex(bytes)),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(text.to_owned()),
                Err(_) => Self::RawText(hex(bytes)),
            },
        }
    }

    /// Where the value goes into SQL. Text that is not UTF-8 can be bound as a blob only, and a blob sorts behind every text.
    fn placeholder(&self, number: usize) -> String {
        match self {
            Self::RawText(_) => format!("CAST(?{number} AS TEXT)"),
            Self::Integer(_) | Self::RealBits(_) | Self::Text(_) | Self::Blob(_) | Self::Null => {
                format!("?{number}")
            }
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(integer) => Value::Integer(*integer),
            Self::RealBits(bits) => Value::Real(f64::from_bits(*bits)),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Blob(digits) | Self::RawText(digits) => Value::Blob(unhex(digits)),
        }
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// What to read from a table and how.
pub struct Reader<'t> {
    table: &'t Table,
    columns: &'t [usize],
    encoding: TextEncoding,
    /// Leading columns of the result that say where the row is.
    position_columns: usize,
}

impl<'t> Reader<'t> {
    /// A reader of these columns (places in `table.columns`). UTF-16 is decoded here, because SQLite would
    /// repair broken pairs without a word.
    pub fn new(table: &'t Table, columns: &'t [usize], encoding: TextEncoding) -> Self {
        let position_columns = match &table.position {
            Position::Rowid { .. } => 1,
            Position::Key => table.primary_key.len(),
            Position::Ordinal => 0,
        };
        Self {
            table,
            columns,
            encoding,
            position_columns,
        }
    }

    fn is_utf16(&self) -> bool {
        self.encoding != TextEncoding::Utf8
    }

    /// Prepares the statement that reads on after `cursor`.
    pub fn prepare<'c>(
        &self,
        connection: &'c Connection,
        span: Span,
        cursor: &Cursor,
    ) -> rusqlite::Result<Statement<'c>> {
        let key: Vec<String> = self
            .table
            .primary_key
            .iter()
            .map(|place| quoted(&self.table.columns[*place].name))
            .collect();
        let key = key.join(", ");
        let table = quoted(&self.table.name);
        let columns = self.columns.iter().map(|place| self.expression(*place));
        let (position, tail): (Vec<String>, String) = match &self.table.position {
            Position::Rowid { name, .. } => {
                let rowid = quoted(name);
                (
                    vec![rowid.clone()],
                    format!("NOT INDEXED WHERE {rowid} >= ?1 AND {rowid} <= ?2 ORDER BY {rowid}"),
                )
            }
            Position::Key => {
                let after = match cursor {
                    Cursor::Key(parts) => {
                        let places = parts.iter().enumerate();
                        let places: Vec<String> =
                            places.map(|(at, part)| part.placeholder(at + 1)).collect();
                        format!("WHERE ({key}) > ({})", places.join(", "))
                    }
                    Cursor::Start | Cursor::Rowid(_) | Cursor::Ordinal(_) => String::new(),
                };
                (vec![key.clone()], format!("{after} ORDER BY {key}"))
            }
            Position::Ordinal => (Vec::new(), "NOT INDEXED LIMIT -1 OFFSET ?1".to_owned()),
        };
        let list: Vec<String> = position.into_iter().chain(columns).collect();
        let list = if list.is_empty() {
            "NULL".to_owned()
        } else {
            list.join(", ")
        };
        let mut statement = connection.prepare(&format!("SELECT {list} FROM {table} {tail}"))?;
        self.bind(&mut statement, span, cursor)?;
        Ok(statement)
    }

    /// Prepares the statement that reads one row: by its rowid, or by the values of its primary key, which are its parameters.
    pub fn prepare_one<'c>(&self, connection: &'c Connection) -> rusqlite::Result<Statement<'c>> {
        let columns = self.columns.iter().map(|place| self.expression(*place));
        let names: Vec<String> = match &self.table.position {
            Position::Rowid { name, .. } => vec![quoted(name)],
            Position::Key => {
                let key = self.table.primary_key.iter();
                key.map(|place| quoted(&self.table.columns[*place].name))
                    .collect()
            }
            Position::Ordinal => Vec::new(),
        };
        let is_it = names
            .iter()
            .enumerate()
            .map(|(place, name)| format!("{name} = ?{}", place + 1));
        let is_it: Vec<String> = is_it.collect();
        let list: Vec<String> = names.iter().cloned().chain(columns).collect();
        let by_rowid = matches!(self.table.position, Position::Rowid { .. });
        let hint = if by_rowid { "NOT INDEXED " } else { "" };
        connection.prepare(&format!(
            "SELECT {} FROM {} {hint}WHERE {}",
            list.join(", "),
            quoted(&self.table.name),
            is_it.join(" AND ")
        ))
    }

    fn bind(
        &self,
        statement: &mut Statement<'_>,
        span: Span,
        cursor: &Cursor,
    ) -> rusqlite::Result<()> {
        match (&self.table.position, cursor) {
            (Position::Rowid { .. }, Cursor::Rowid(last)) => {
                // After the last possible rowid there is nothing: an empty range.
                let (from, to) = last.checked_add(1).map_or((1, 0), |from| (from, span.to));
                statement.raw_bind_parameter(1, from)?;
                statement.raw_bind_parameter(2, to)
            }
            (Position::Rowid { .. }, _) => {
                statement.raw_bind_parameter(1, span.from)?;
                statement.raw_bind_parameter(2, span.to)
            }
            (Position::Key, Cursor::Key(parts)) => {
                parts.iter().enumerate().try_for_each(|(place, part)| {
                    statement.raw_bind_parameter(place + 1, part.value())
                })
            }
            (Position::Key, _) => Ok(()),
            (Position::Ordinal, Cursor::Ordinal(rows)) => {
                statement.raw_bind_parameter(1, *rows as i64)
            }
            (Position::Ordinal, _) => statement.raw_bind_parameter(1, 0),
        }
    }

    /// One column of the result; two for UTF-16 files, the bytes as stored and whether they are text.
    fn expression(&self, place: usize) -> String {
        let name = quoted(&self.table.columns[place].name);
        if self.is_utf16() {
            format!(
                "CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END, typeof({name}) = 'text'"
            )
        } else {
            name
        }
    }

    /// Wraps a row of the statement. `ordinal` counts from 1 over the whole table.
    pub fn row<'r>(
        &self,
        row: &'r Row<'r>,
        ordinal: u64,
        scratch: &'r mut Vec<Vec<u8>>,
    ) -> rusqlite::Result<RowView<'r>>
    where
        't: 'r,
    {
        if self.is_utf16() {
            scratch.resize(self.columns.len(), Vec::new());
            for (column, bytes) in scratch.iter_mut().enumerate() {
                bytes.clear();
                let at = self.position_columns + 2 * column;
                if row.get::<_, bool>(at + 1)? {
                    utf16_to_bytes(
                        row.get_ref(at)?.as_blob().unwrap_or_default(),
                        self.encoding,
                        bytes,
                    );
                }
            }
        }
        Ok(RowView {
            row,
            table: self.table,
            position_columns: self.position_columns,
            ordinal,
            decoded: self.is_utf16().then_some(scratch),
        })
    }
}

/// UTF-16 as stored to UTF-8; half a pair becomes three bytes that are not UTF-8,
/// so that the text is refused like any other broken text.
fn utf16_to_bytes(stored: &[u8], encoding: TextEncoding, out: &mut Vec<u8>) {
    let units = stored.chunks_exact(2).map(|pair| match encoding {
        TextEncoding::Utf16Be => u16::from_be_bytes([pair[0], pair[1]]),
        TextEncoding::Utf8 | TextEncoding::Utf16Le => u16::from_le_bytes([pair[0], pair[1]]),
    });
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(half) => {
                let unit = half.unpaired_surrogate();
                out.extend_from_slice(&[
                    0xe0 | (unit >> 12) as u8,
                    0x80 | (unit >> 6 & 0x3f) as u8,
                    0x80 | (unit & 0x3f) as u8,
                ]);
            }
        }
    }
}

/// One row, borrowed from SQLite.
pub struct RowView<'r> {
    row: &'r Row<'r>,
    table: &'r Table,
    position_columns: usize,
    ordinal: u64,
    decoded: Option<&'r mut Vec<Vec<u8>>>,
}

impl RowView<'_> {
    /// The value of the n-th column asked for.
    pub fn value(&self, column: usize) -> ValueRef<'_> {
        let get = |at: usize| {
            self.row
                .get_ref(at)
                .expect("BUG: the statement has this column")
        };
        let Some(decoded) = &self.decoded else {
            return get(self.position_columns + column);
        };
        let at = self.position_columns + 2 * column;
        match get(at + 1) {
            ValueRef::Integer(1) => ValueRef::Text(&decoded[column]),
            _ => get(at),
        }
    }

    fn part(&self, at: usize) -> ValueRef<'_> {
        self.row
            .get_ref(at)
            .expect("BUG: the statement has its position columns")
    }

    /// Where the row is, for going on after it.
    pub fn cursor(&self) -> Cursor {
        match &self.table.position {
            Position::Rowid { .. } => match self.part(0) {
                ValueRef::Integer(rowid) => Cursor::Rowid(rowid),
                _ => Cursor::Start,
            },
            Position::Key => Cursor::Key(
                (0..self.position_columns)
                    .map(|at| KeyPart::of(self.part(at)))
                    .collect(),
            ),
            Position::Ordinal => Cursor::Ordinal(self.ordinal),
        }
    }

    /// Where the row is, for people.
    pub fn key(&self) -> RowKey {
        match &self.table.position {
            Position::Rowid { .. } => match self.part(0) {
                ValueRef::Integer(rowid) => RowKey::Rowid(rowid),
                _ => RowKey::None,
            },
            Position::Key => {
                let parts: Vec<String> = (0..self.position_columns)
                    .map(|at| shown(self.part(at)))
                    .collect();
                RowKey::Key(format!("({})", parts.join(", ")))
            }
            Position::Ordinal => RowKey::Key(format!("number {} of the scan", self.ordinal)),
        }
    }
}

/// About how many rows a table holds, without reading it: exact where rowids have no gaps.
pub fn estimate(connection: &Connection, table: &Table) -> rusqlite::Result<(u64, Span)> {
    let name = quoted(&table.name);
    match &table.position {
        Position::Rowid { name: rowid, .. } => {
            let rowid = quoted(rowid);
            let bound = |function: &str| {
                connection.query_row(
                    &format!("SELECT {function}({rowid}) FROM {name} NOT INDEXED"),
                    [],
                    |row| row.get::<_, Option<i64>>(0),
                )
            };
            match (bound("min")?, bound("max")?) {
                (Some(from), Some(to)) => {
                    let rows =
                        u64::try_from(i128::from(to) - i128::from(from) + 1).unwrap_or(u64::MAX);
                    Ok((rows, Span { from, to }))
                }
                _ => Ok((0, Span { from: 1, to: 0 })),
            }
        }
        Position::Key | Position::Ordinal => {
            let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT 1000000)");
            Ok((
                connection
                    .query_row(&sql, [], |row| row.get::<_, i64>(0))?
                    .unsigned_abs(),
                Span::ALL,
            ))
        }
    }
}
