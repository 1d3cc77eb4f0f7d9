//! What `sqlite_schema` says, read by its own pages: each table with its statement, and the root of every tree.

use super::NotUnderstood;
use super::node::{Overflow, varint};
use super::snapshot::Snapshot;
use super::tree::Walk;

/// More text than this in one row of the schema is not read.
const LONGEST_ROW: usize = 1 << 26;

/// What has a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub is_table: bool,
    pub root: u32,
    /// The statement's bytes, as they are stored.
    pub statement: Vec<u8>,
}

impl Entry {
    /// Whether it is a table that somebody has made, and not one of SQLite's own.
    pub fn is_own(&self) -> bool {
        let own = "sqlite_";
        let begin = self.name.as_bytes().get(..own.len());
        self.is_table && !begin.is_some_and(|begin| begin.eq_ignore_ascii_case(own.as_bytes()))
    }
}

/// Everything that has a tree, in the order of the schema's rows. The schema's own pages become known.
pub(super) fn read(snapshot: &mut Snapshot<'_>) -> Result<Vec<Entry>, NotUnderstood> {
    let mut entries = Vec::new();
    let mut walk = Walk::first(snapshot, 1)?;
    if !walk.is_table() {
        let what = "is no schema";
        return Err(NotUnderstood::Page { page: 1, what });
    }
    while let Some(step) = walk.next(snapshot)? {
        if !step.is_leaf {
            continue;
        }
        let page = step.page;
        let rows = snapshot.node(page, |node, header| {
            let row = |place| {
                let cell = node.cell(place, header)?;
                Ok((cell.local.to_vec(), cell.overflow))
            };
            (0..node.cells).map(row).collect::<Result<Vec<_>, _>>()
        })?;
        for (local, overflow) in rows {
            let row = whole(snapshot, local, overflow)?;
            let what = "has a row of the schema that cannot be read";
            let entry = entry(&row, snapshot.header.encoding);
            let entry = entry.ok_or(NotUnderstood::Page { page, what })?;
            // Views, triggers and virtual tables have none.
            if entry.root != 0 {
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}

/// A row with what is on its overflow pages, which become known.
fn whole(
    snapshot: &mut Snapshot<'_>,
    mut row: Vec<u8>,
    overflow: Option<Overflow>,
) -> Result<Vec<u8>, NotUnderstood> {
    let Some(overflow) = overflow else {
        return Ok(row);
    };
    let mut left = overflow.bytes as usize;
    let mut page = overflow.first;
    let on_each = snapshot.header.overflow_bytes() as usize;
    while left > 0 {
        snapshot.know(page)?;
        let take = left.min(on_each);
        let bytes = snapshot.page(page)?;
        row.extend_from_slice(bytes.get(4..4 + take).unwrap_or_default());
        left -= take;
        if row.len() > LONGEST_ROW {
            let what = "has more text than a schema has";
            return Err(NotUnderstood::Page { page, what });
        }
        page = super::node::number(bytes, 0).unwrap_or_default();
    }
    Ok(row)
}

/// A value of a row.
enum Value<'a> {
    Text(&'a [u8]),
    Number(i64),
    Other,
}

/// A row of the schema; root 0 where what it names has no tree.
fn entry(row: &[u8], encoding: u32) -> Option<Entry> {
    let mut types = 0;
    let head_bytes = usize::try_from(varint(row, &mut types)?).ok()?;
    let head = row.get(..head_bytes)?;
    let mut at = head_bytes;
    let mut next = || value(row, varint(head, &mut types)?, &mut at);
    let [kind, name, _, root, statement] = [next()?, next()?, next()?, next()?, next()?];
    let (Value::Text(kind), Value::Text(name)) = (kind, name) else {
        return None;
    };
    let root = match root {
        Value::Number(root) => root,
        Value::Other => 0,
        Value::Text(_) => return None,
    };
    let statement = match statement {
        Value::Text(statement) => statement.to_vec(),
        Value::Other => Vec::new(),
        Value::Number(_) => return None,
    };
    Some(Entry {
        name: text(name, encoding)?,
        is_table: text(kind, encoding)? == "table",
        root: u32::try_from(root).ok()?,
        statement,
    })
}

/// The value of a type, which begins at `at`.
fn value<'a>(row: &'a [u8], of: u64, at: &mut usize) -> Option<Value<'a>> {
    let bytes = match of {
        0 | 8 | 9 => 0,
        1..=4 => of,
        5 => 6,
        6 | 7 => 8,
        10 | 11 => return None,
        12.. => (of - 12) / 2,
    };
    let bytes = usize::try_from(bytes).ok()?;
    let content = row.get(*at..at.checked_add(bytes)?)?;
    *at += bytes;
    Some(match of {
        1..=6 => {
            let first = content
                .first()
                .map_or(0, |byte| i64::from(byte.cast_signed()));
            let rest = content.iter().skip(1);
            Value::Number(rest.fold(first, |value, byte| value << 8 | i64::from(*byte)))
        }
        8 => Value::Number(0),
        9 => Value::Number(1),
        13.. if of % 2 == 1 => Value::Text(content),
        _ => Value::Other,
    })
}

fn text(bytes: &[u8], encoding: u32) -> Option<String> {
    let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    let units: Vec<u16> = match encoding {
        2 => pairs().map(u16::from_le_bytes).collect(),
        3 => pairs().map(u16::from_be_bytes).collect(),
        _ => return String::from_utf8(bytes.to_vec()).ok(),
    };
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::{Entry, entry};

    /// A row of five values: `table`, `t`, `t`, 5, `sql`.
    const ROW: &[u8] = b"\x06\x17\x0f\x0f\x01\x13tablett\x05sql";

    #[test]
    fn a_row_of_the_schema_is_read_and_none_that_is_cut() {
        let expected = Entry {
            name: "t".to_owned(),
            is_table: true,
            root: 5,
            statement: b"sql".to_vec(),
        };
        assert_eq!(entry(ROW, 1), Some(expected));
        for end in 0..ROW.len() {
            assert_eq!(entry(&ROW[..end], 1), None, "{end}");
        }
    }

    #[test]
    fn what_has_no_tree_has_no_root() {
        for row in [
            b"\x06\x15\x0f\x0f\x08\x13viewvvsql",
            b"\x06\x15\x0f\x0f\x00\x13viewvvsql",
        ] {
            assert_eq!(entry(row, 1).map(|entry| entry.root), Some(0));
        }
    }

    #[test]
    fn tables_of_sqlite_are_nobodys_own() {
        let named = |name: &str| Entry {
            name: name.to_owned(),
            is_table: true,
            root: 2,
            statement: Vec::new(),
        };
        assert!(named("sqlite").is_own() && named("größe").is_own());
        assert!(!named("sqlite_sequence").is_own() && !named("SQLite_stat1").is_own());
    }
}
