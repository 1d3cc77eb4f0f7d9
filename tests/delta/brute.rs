//! What differs between two files, told without any of the code under test: every table is read into memory and held against the other, by
//! storage class and bytes.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// A value: its storage class, and its bytes.
pub type Cell = (u8, Vec<u8>);
/// The values of a row.
pub type Row = Vec<Cell>;

/// A table as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// By what its rows would be other rows: columns, key with its collations, STRICT, WITHOUT ROWID; with generated columns its whole text.
    pub kind: String,
    /// Places of the declared key among the stored columns.
    pub key: Vec<usize>,
    /// With their rowids, where those can be named.
    pub rows: Vec<(Option<i64>, Row)>,
    pub way: &'static str,
}

/// What happened to rows: `i`, `u` or `d`, the row before and the row now; and how often.
pub type Changes = BTreeMap<(String, Option<Row>, Option<Row>), u64>;

/// All tables that an import would move.
pub fn tables(path: &Path) -> BTreeMap<String, Table> {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT l.name, l.wr, l.strict, s.sql FROM pragma_table_list AS l JOIN sqlite_schema AS s ON s.name = l.name AND s.type = 'table'
                WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT LIKE 'sqlite%'";
    let mut statement = connection.prepare(sql).unwrap();
    let named = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    });
    let named: Vec<(String, bool, bool, String)> = named.unwrap().map(Result::unwrap).collect();
    let read = |(name, wr, strict, sql): (String, bool, bool, String)| {
        let table = table(&connection, &name, wr, strict, &sql);
        (name, table)
    };
    named.into_iter().map(read).collect()
}

fn table(connection: &Connection, name: &str, wr: bool, strict: bool, sql: &str) -> Table {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let pragma = "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1)";
    let mut statement = connection.prepare(pragma).unwrap();
    let columns = statement.query_map([name], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    });
    let columns: Vec<(String, String, i64, i64)> = columns.unwrap().map(Result::unwrap).collect();
    let is_generated = columns.iter().any(|(.., hidden)| *hidden > 1);
    let stored: Vec<_> = columns.iter().filter(|(.., hidden)| *hidden == 0).collect();
    let collations = "SELECT group_concat(upper(c.coll) || c.\"desc\") FROM pragma_index_list(?1) AS i, pragma_index_xinfo(i.name) AS c
                       WHERE i.origin = 'pk' AND c.key";
    let collations: Option<String> = connection
        .query_row(collations, [name], |row| row.get(0))
        .unwrap();
    let body = if is_generated {
        sql.split_once('(').unwrap().1
    } else {
        ""
    };
    let free = ["rowid", "oid", "_rowid_"]
        .into_iter()
        .find(|free| !columns.iter().any(|(name, ..)| name == free));
    let rowid = free.filter(|_| !wr);
    let mut key: Vec<(i64, usize)> = stored
        .iter()
        .enumerate()
        .filter(|(_, (_, _, pk, _))| *pk > 0)
        .map(|(at, (_, _, pk, _))| (*pk, at))
        .collect();
    key.sort_unstable();
    let list = stored.iter().map(|(name, ..)| {
        let name = quoted(name);
        format!(", typeof({name}), CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END")
    });
    let list: String = list.collect();
    let select = format!(
        "SELECT {}{list} FROM {} NOT INDEXED",
        rowid.unwrap_or("NULL"),
        quoted(name)
    );
    let mut statement = connection.prepare(&select).unwrap();
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        let cell = |at: usize| {
            let class: String = row.get(1 + 2 * at).unwrap();
            (class.as_bytes()[0], bytes(row.get_ref(2 + 2 * at).unwrap()))
        };
        rows.push((row.get(0).unwrap(), (0..stored.len()).map(cell).collect()));
    }
    Table {
        kind: format!("{columns:?} {wr} {strict} {collations:?} {body}"),
        key: key.into_iter().map(|(_, at)| at).collect(),
        rows,
        way: match (wr, rowid) {
            (true, _) => "key",
            (false, Some(_)) => "rowid",
            (false, None) => "nameless",
        },
    }
}

fn bytes(value: ValueRef<'_>) -> Vec<u8> {
    match value {
        ValueRef::Null => Vec::new(),
        ValueRef::Integer(integer) => integer.to_be_bytes().to_vec(),
        ValueRef::Real(real) => real.to_bits().to_be_bytes().to_vec(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
    }
}

impl Table {
    /// The declared key of a row; none where there is none, or a NULL in it.
    pub fn key_of(&self, row: &Row) -> Option<Vec<Cell>> {
        let key: Vec<Cell> = self.key.iter().map(|at| row[*at].clone()).collect();
        let is_whole = !key.is_empty() && key.iter().all(|(class, _)| *class != b'n');
        is_whole.then_some(key)
    }

    /// What became of its rows.
    pub fn changes(&self, newer: &Table) -> Changes {
        let mut changes = Changes::new();
        let mut left: BTreeMap<&Row, i64> = BTreeMap::new();
        for (_, row) in &newer.rows {
            *left.entry(row).or_default() += 1;
        }
        for (_, row) in &self.rows {
            *left.entry(row).or_default() -= 1;
        }
        // By key: the row before, and the row now.
        let mut keyed: BTreeMap<Vec<Cell>, (Option<Row>, Option<Row>)> = BTreeMap::new();
        for (row, surplus) in left {
            match self.key_of(row) {
                Some(key) if surplus != 0 => {
                    let pair = keyed.entry(key).or_default();
                    let side = if surplus > 0 {
                        &mut pair.1
                    } else {
                        &mut pair.0
                    };
                    assert!(side.is_none() && surplus.abs() == 1, "two rows of one key");
                    *side = Some(row.clone());
                }
                _ if surplus > 0 => {
                    changes.insert(("i".to_owned(), None, Some(row.clone())), surplus as u64);
                }
                _ if surplus < 0 => {
                    changes.insert(
                        ("d".to_owned(), Some(row.clone()), None),
                        surplus.unsigned_abs(),
                    );
                }
                _ => {}
            }
        }
        for (_, pair) in keyed {
            let change = match pair {
                (Some(_), Some(_)) => "u",
                (Some(_), None) => "d",
                (None, _) => "i",
            };
            changes.insert((change.to_owned(), pair.0, pair.1), 1);
        }
        changes
    }
}
