//! Reads the stored values of a table, none through an index that is not the table itself: such an index may lie. Generated columns are left
//! out, stored ones too: they follow from the others.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Rows, Statement};

use super::cell::{Cell, digest, utf8_of};
use crate::delta::alike::Sorted;
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

    /// Prepares reading one row by its rowid, or by its key where there is none, the first parameters.
    pub(in crate::delta) fn prepare_one<'c>(
        &self,
        connection: &'c Connection,
    ) -> rusqlite::Result<Statement<'c>> {
        let condition = match &self.table.position {
            Position::Rowid { name, .. } => format!("{} = ?1", quoted(name)),
            Position::Key | Position::Ordinal => {
                let key = self
                    .table
                    .primary_key
                    .iter()
                    .enumerate()
                    .map(|(at, place)| {
                        let name = quoted(&self.table.columns[*place].name);
                        match self.is_same_text {
                            true => format!("{name} = {}", bound(2 * at + 1)),
                            false => format!("{name} = ?{}", at + 1),
                        }
                    });
                let key: Vec<String> = key.collect();
                key.join(" AND ")
            }
        };
        let (list, table) = (self.list(), quoted(&self.table.name));
        connection.prepare(&format!("SELECT {list} FROM {table} WHERE {condition}"))
    }

    /// Binds the key of a row to what [`Self::prepare_one`] has prepared.
    pub(in crate::delta) fn bind_key(
        &self,
        statement: &mut Statement<'_>,
        key: &[Cell<'_>],
    ) -> rusqlite::Result<()> {
        for (at, cell) in key.iter().enumerate() {
            match self.is_same_text {
                true => bind(statement, 2 * at + 1, cell)?,
                false => statement.raw_bind_parameter(at + 1, cell.parameter())?,
            }
        }
        Ok(())
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

/// SQL of a value that [`bind`] binds from this parameter on: text arrives with its bytes as they are, in UTF-16 too.
pub(in crate::delta) fn bound(first: usize) -> String {
    format!(
        "CASE WHEN ?{} THEN CAST(?{first} AS TEXT) ELSE ?{first} END",
        first + 1
    )
}

/// Binds a value to two parameters.
pub(in crate::delta) fn bind(
    statement: &mut Statement<'_>,
    first: usize,
    cell: &Cell<'_>,
) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(first, cell.bytes_parameter())?;
    statement.raw_bind_parameter(first + 1, cell.is_text())
}
