//! What SQLite makes of a value that goes into a column with an affinity: `'007'` is the number 7 in a column of numbers. SQLite itself is
//! asked, in an empty database of its own. Not in here: which affinity a declared type has (`salvage::form`).

use rusqlite::Connection;

use super::super::cell::Cell;
use super::super::form::Affinity;

thread_local! {
    static COLUMNS: Option<Connection> = columns().ok();
}

/// One row with a column for each affinity that changes values.
fn columns() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(
        "CREATE TABLE kept (i INTEGER, r REAL, n NUMERIC, t TEXT); INSERT INTO kept DEFAULT VALUES",
    )?;
    Ok(connection)
}

/// What the column holds instead of the cell; none where it is the cell.
pub(super) fn changed(cell: &Cell, affinity: Affinity) -> Option<Cell> {
    let may_change = match (cell, affinity) {
        (Cell::Null | Cell::Blob(_), _) | (_, Affinity::Blob) => false,
        (Cell::Text(_), Affinity::Text) => false,
        (Cell::Text(text), Affinity::Integer | Affinity::Real | Affinity::Numeric) => {
            may_be_number(text)
        }
        (Cell::Integer(_), Affinity::Integer | Affinity::Numeric) => false,
        (Cell::Integer(_), Affinity::Text | Affinity::Real) => true,
        (
            Cell::Real(_),
            Affinity::Integer | Affinity::Real | Affinity::Numeric | Affinity::Text,
        ) => true,
    };
    if !may_change {
        return None;
    }
    let kept = taken(cell, affinity)?;
    (!kept.is_same(cell)).then_some(kept)
}

/// Most texts are told apart from numbers by how they begin.
fn may_be_number(text: &[u8]) -> bool {
    text.first().is_some_and(|first| {
        first.is_ascii_digit() || first.is_ascii_whitespace() || b"+-.\x0b".contains(first)
    })
}

fn taken(cell: &Cell, affinity: Affinity) -> Option<Cell> {
    let (put, read) = match affinity {
        Affinity::Integer => ("UPDATE kept SET i = ?1", "SELECT i FROM kept"),
        Affinity::Real => ("UPDATE kept SET r = ?1", "SELECT r FROM kept"),
        Affinity::Numeric => ("UPDATE kept SET n = ?1", "SELECT n FROM kept"),
        Affinity::Text => ("UPDATE kept SET t = ?1", "SELECT t FROM kept"),
        Affinity::Blob => return None,
    };
    COLUMNS.with(|columns| {
        let columns = columns.as_ref()?;
        let mut put = columns.prepare_cached(put).ok()?;
        put.execute([cell]).ok()?;
        let mut read = columns.prepare_cached(read).ok()?;
        read.query_row([], |row| row.get_ref(0).map(Cell::of)).ok()
    })
}
