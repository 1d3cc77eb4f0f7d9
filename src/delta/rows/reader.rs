//! Reads the stored values of a table, none through an index that is not the table itself: such an index may lie. Generated columns are left
//! out, stored ones too: they follow from the others.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Rows, Statement};

use super::cell::{Cell, digest, utf8_of};
use crate::delta::alike::Sorted;
use crate::format::hex;
use crate::sqlite::schema::{Position, Table, TextEncoding, quoted};

/// How one file's table is read.
pub(in crate::delta) struct Reader<'t> {
    table: &'t Table,
    encoding: TextEncoding,
    /// Text is compared as it is stored, since the other file stores it the same way.
    is_same_text: bool,
    /// Places of stored columns in the table.
    pub(in crate::delta) columns: Vec<usize>,
    /// Places of the declared key among `columns`.
    key: Vec<usize>,
    /// In the order in which the key's index has them, where there is no rowid.
    sorted: Vec<Sorted>,
}

impl<'t> Reader<'t> {
    pub(in crate::delta) fn new(
        table: &'t Table,
        encoding: TextEncoding,
        is_same_text: bool,
        sorted: &[Sorted],
    ) -> Self {
        let stored = table.columns.iter().enumerate();
        let stored = stored.filter(|(_, column)| !column.generated);
        let columns: Vec<usize> = stored.map(|(place, _)| place).collect();
        let among = |place: &usize| columns.iter().position(|column| column == place);
        Self {
            table,
            encoding,
            is_same_text,
            key: table.primary_key.iter().filter_map(among).collect(),
            columns,
            sorted: sorted.to_vec(),
        }
    }

    /// UTF-16 is read as bytes, beside whether they are text: SQLite would mend broken pairs without a word.
    fn is_wide(&self) -> bool {
        self.encoding != TextEncoding::Utf8
    }

    fn has_rowid(&self) -> bool {
        matches!(self.table.position, Position::Rowid { .. })
    }

    /// What is read of each row: the rowid where there is one, then the stored columns.
    fn list(&self) -> String {
        let rowid = match &self.table.position {
            Position::Rowid { name, .. } => Some(quoted(name)),
            Position::Key | Position::Ordinal => None,
        };
        let columns = self.columns.iter().map(|place| {
            let name = quoted(&self.table.columns[*place].name);
            match self.is_wide() {
                true => raw(&name),
                false => name,
            }
        });
        let list: Vec<String> = rowid.into_iter().chain(columns).collect();
        list.join(", ")
    }

    /// Prepares reading it whole, in its own order.
    pub(super) fn prepare<'c>(
        &self,
        connection: &'c Connection,
    ) -> rusqlite::Result<Statement<'c>> {
        let order = match &self.table.position {
            Position::Rowid { name, .. } => {
                let rowid = quoted(name);
                format!("NOT INDEXED WHERE {rowid} BETWEEN ?1 AND ?2 ORDER BY {rowid}")
            }
            Position::Key => {
                let key = self.sorted.iter().map(|column| {
                    let Sorted {
                        name,
                        collation,
                        is_descending,
                    } = column;
                    let direction = if *is_descending { "DESC" } else { "ASC" };
                    format!("{} COLLATE {} {direction}", quoted(name), quoted(collation))
                });
                let key: Vec<String> = key.collect();
                format!("ORDER BY {}", key.join(", "))
            }
            Position::Ordinal => "NOT INDEXED".to_owned(),
        };
        let (list, table) = (self.list(), quoted(&self.table.name));
        connection.prepare(&format!("SELECT {list} FROM {table} {order}"))
    }

    /// Reads the rows with these rowids; all, where there are none.
    pub(super) fn query<'s>(
        &self,
        statement: &'s mut Statement<'_>,
        range: &RangeInclusive<i64>,
    ) -> rusqlite::Result<Rows<'s>> {
        if self.has_rowid() {
            statement.query([range.start(), range.end()])
        } else {
            statement.query([])
        }
    }

    /// Prepares reading one row: by its rowid where it has one, else by its declared key. What is to be bound has been.
    pub(in crate::delta) fn prepare_one<'c>(
        &self,
        connection: &'c Connection,
        rowid: Option<i64>,
        key: &[Cell<'_>],
    ) -> rusqlite::Result<Statement<'c>> {
        let (list, table) = (self.list(), quoted(&self.table.name));
        let select = format!("SELECT {list} FROM {table} WHERE");
        if let (Position::Rowid { name, .. }, Some(rowid)) = (&self.table.position, rowid) {
            let mut statement = connection.prepare(&format!("{select} {} = ?1", quoted(name)))?;
            statement.raw_bind_parameter(1, rowid)?;
            return Ok(statement);
        }
        let columns = self.table.primary_key.iter().zip(key).enumerate();
        let conditions = columns.map(|(at, (place, cell))| {
            let name = quoted(&self.table.columns[*place].name);
            match self.literal(cell) {
                Some(literal) => format!("{name} = {literal}"),
                None => format!("{name} = ?{}", at + 1),
            }
        });
        let conditions: Vec<String> = conditions.collect();
        let mut statement =
            connection.prepare(&format!("{select} {}", conditions.join(" AND ")))?;
        for (at, cell) in key.iter().enumerate() {
            if self.literal(cell).is_none() {
                statement.raw_bind_parameter(at + 1, cell.parameter())?;
            }
        }
        Ok(statement)
    }

    /// UTF-16 as it is stored cannot be bound: SQLite takes what is bound for UTF-8, a blob that is made a text too.
    fn literal(&self, cell: &Cell<'_>) -> Option<String> {
        match cell {
            Cell::Text(bytes) if self.is_wide() && self.is_same_text => {
                Some(format!("CAST(x'{}' AS TEXT)", hex(bytes)))
            }
            Cell::Text(_) | Cell::Null | Cell::Integer(_) | Cell::RealBits(_) | Cell::Blob(_) => {
                None
            }
        }
    }

    /// A row that a statement of this reader has come to.
    pub(in crate::delta) fn row<'r>(&'r self, row: &'r rusqlite::Row<'r>) -> Row<'r> {
        Row { reader: self, row }
    }
}

/// A row, borrowed from SQLite.
pub(in crate::delta) struct Row<'r> {
    reader: &'r Reader<'r>,
    row: &'r rusqlite::Row<'r>,
}

impl<'r> Row<'r> {
    fn get(&self, at: usize) -> ValueRef<'r> {
        self.row
            .get_ref(at)
            .expect("BUG: the statement has this column")
    }

    pub(super) fn rowid(&self) -> Option<i64> {
        match self.reader.has_rowid().then(|| self.get(0)) {
            Some(ValueRef::Integer(rowid)) => Some(rowid),
            _ => None,
        }
    }

    /// The value of the n-th stored column.
    pub(in crate::delta) fn cell(&self, column: usize) -> Cell<'r> {
        let Reader {
            encoding,
            is_same_text,
            ..
        } = self.reader;
        let first = usize::from(self.reader.has_rowid());
        if !self.reader.is_wide() {
            return Cell::of(self.get(first + column));
        }
        match of_raw(self.row, first + 2 * column) {
            Cell::Text(bytes) if !is_same_text => match bytes {
                Cow::Borrowed(bytes) => Cell::Text(utf8_of(bytes, *encoding)),
                Cow::Owned(_) => Cell::Text(bytes),
            },
            cell => cell,
        }
    }

    fn cells(&self) -> impl Iterator<Item = Cell<'r>> {
        (0..self.reader.columns.len()).map(move |column| self.cell(column))
    }

    /// The values of the declared key, in its order.
    pub(super) fn key(&self) -> impl Iterator<Item = Cell<'r>> {
        self.reader.key.iter().map(move |column| self.cell(*column))
    }

    pub(super) fn is_equal(&self, other: &Row<'_>) -> bool {
        (0..self.reader.columns.len()).all(|column| self.cell(column) == other.cell(column))
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        digest(self.cells())
    }
}

/// SQL that reads a value as [`of_raw`] takes it: text as a blob, and whether it is text.
pub(in crate::delta) fn raw(name: &str) -> String {
    format!(
        "CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END, typeof({name}) = 'text'"
    )
}

/// The value that [`raw`] has read into these two columns.
pub(in crate::delta) fn of_raw<'r>(row: &'r rusqlite::Row<'r>, at: usize) -> Cell<'r> {
    let get = |at: usize| row.get_ref(at).expect("BUG: the statement has this column");
    match (get(at), get(at + 1)) {
        (ValueRef::Blob(bytes), ValueRef::Integer(1)) => Cell::Text(bytes.into()),
        (value, _) => Cell::of(value),
    }
}
