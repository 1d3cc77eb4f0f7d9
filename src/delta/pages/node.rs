//! One page of a tree: a table's or an index', a leaf or an inner one, and its cells. Every number in it is looked at before it is used.

use super::NotUnderstood;
use super::header::{self, Header};

/// A row that is longer is not one of SQLite's.
const LONGEST_PAYLOAD: u64 = 0x7fff_ffff;

/// Which of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    TableLeaf,
    TableInner,
    IndexLeaf,
    IndexInner,
}

impl Kind {
    /// By a page's first byte.
    pub fn of(byte: u8) -> Option<Self> {
        match byte {
            13 => Some(Self::TableLeaf),
            5 => Some(Self::TableInner),
            10 => Some(Self::IndexLeaf),
            2 => Some(Self::IndexInner),
            _ => None,
        }
    }

    pub fn is_table(self) -> bool {
        matches!(self, Self::TableLeaf | Self::TableInner)
    }

    pub fn is_leaf(self) -> bool {
        matches!(self, Self::TableLeaf | Self::IndexLeaf)
    }
}

/// Where a page's own header begins: on the first one, the file's header is before it.
fn begins_at(page: u32) -> usize {
    if page == 1 { header::BYTES } else { 0 }
}

/// What a page is, were it one of a tree.
pub(super) fn kind(page: u32, bytes: &[u8]) -> Option<Kind> {
    Kind::of(*bytes.get(begins_at(page))?)
}

/// A page of a tree, read.
pub(super) struct Node<'a> {
    page: u32,
    pub kind: Kind,
    bytes: &'a [u8],
    pub cells: usize,
    first_cell: usize,
    /// The child behind the last cell, where there are children.
    pub last_child: Option<u32>,
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell<'a> {
    /// The child before it.
    pub child: Option<u32>,
    /// 0 in an index.
    pub rowid: i64,
    /// What of the row is on this page.
    pub local: &'a [u8],
    pub overflow: Option<Overflow>,
}

/// Where the rest of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overflow {
    pub first: u32,
    /// How many bytes.
    pub bytes: u32,
}

impl<'a> Node<'a> {
    /// Reads a page of a tree.
    pub fn read(page: u32, bytes: &'a [u8], header: &Header) -> Result<Self, NotUnderstood> {
        let not = |what| NotUnderstood::Page { page, what };
        let bytes = bytes.get(..header.usable as usize);
        let bytes = bytes.ok_or(not("is not whole"))?;
        let begin = begins_at(page);
        let kind = Kind::of(bytes[begin]).ok_or(not("is no page of a tree"))?;
        let cells = usize::from(u16::from_be_bytes([bytes[begin + 3], bytes[begin + 4]]));
        let last_child = (!kind.is_leaf())
            .then(|| number(bytes, begin + 8))
            .flatten();
        let first_cell = begin + if kind.is_leaf() { 8 } else { 12 };
        if first_cell + 2 * cells > bytes.len() {
            return Err(not("names more cells than it has room for"));
        }
        Ok(Self {
            page,
            kind,
            bytes,
            cells,
            first_cell,
            last_child,
        })
    }

    /// The cell of this place, which is below `cells`.
    pub fn cell(&self, place: usize, header: &Header) -> Result<Cell<'a>, NotUnderstood> {
        let what = "has a cell that goes over its end";
        let page = self.page;
        self.read_cell(place, header)
            .ok_or(NotUnderstood::Page { page, what })
    }

    fn read_cell(&self, place: usize, header: &Header) -> Option<Cell<'a>> {
        let pointer = self.bytes.get(self.first_cell + 2 * place..)?.get(..2)?;
        let mut at = usize::from(u16::from_be_bytes([pointer[0], pointer[1]]));
        if at < self.first_cell + 2 * self.cells {
            return None;
        }
        let mut cell = Cell {
            child: None,
            rowid: 0,
            local: &[],
            overflow: None,
        };
        if !self.kind.is_leaf() {
            cell.child = Some(number(self.bytes, at)?);
            at += 4;
        }
        let mut payload = 0;
        if self.kind != Kind::TableInner {
            payload = varint(self.bytes, &mut at)?;
        }
        if self.kind.is_table() {
            cell.rowid = varint(self.bytes, &mut at)?.cast_signed();
        }
        if self.kind == Kind::TableInner {
            return Some(cell);
        }
        let payload = u32::try_from(payload).ok()?;
        if u64::from(payload) > LONGEST_PAYLOAD {
            return None;
        }
        let local = local_bytes(payload, self.kind, header.usable);
        cell.local = self.bytes.get(at..at + local as usize)?;
        if local < payload {
            cell.overflow = Some(Overflow {
                first: number(self.bytes, at + local as usize)?,
                bytes: payload - local,
            });
        }
        Some(cell)
    }
}

/// How much of a row of this length is on its own page.
fn local_bytes(payload: u32, kind: Kind, usable: u32) -> u32 {
    let most = if kind.is_table() {
        usable - 35
    } else {
        (usable - 12) * 64 / 255 - 23
    };
    let least = (usable - 12) * 32 / 255 - 23;
    if payload <= most {
        return payload;
    }
    let filled = least + (payload - least) % (usable - 4);
    if filled <= most { filled } else { least }
}

/// The number of four bytes at a place.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

/// SQLite's number of one to nine bytes: seven bits of each, and all eight of the ninth.
pub(super) fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for n in 0..9 {
        let byte = u64::from(*bytes.get(*at)?);
        *at += 1;
        if n == 8 {
            return Some(value << 8 | byte);
        }
        value = value << 7 | byte & 0x7f;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Kind, local_bytes, varint};

    #[test]
    fn numbers_of_one_to_nine_bytes_are_read_and_none_goes_over_the_end() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x7f], 127),
            (&[0x81, 0x00], 128),
            (&[0x82, 0x80, 0x01], 32_769),
            (&[0xff; 9], u64::MAX),
        ] {
            let mut at = 0;
            assert_eq!(varint(bytes, &mut at), Some(value), "{bytes:?}");
            assert_eq!(at, bytes.len());
            assert_eq!(varint(&bytes[..bytes.len() - 1], &mut 0), None, "{bytes:?}");
        }
    }

    /// The figures of SQLite's description for pages of 512 and 4,096 bytes.
    #[test]
    fn of_a_long_row_the_page_keeps_what_fills_its_overflow_pages() {
        let table = |payload, usable| local_bytes(payload, Kind::TableLeaf, usable);
        assert_eq!((table(477, 512), table(478, 512)), (477, 39));
        assert_eq!((table(4061, 4096), table(4062, 4096)), (4061, 489));
        assert_eq!(table(4092 + 600, 4096), 600);
        let index = |payload, usable| local_bytes(payload, Kind::IndexLeaf, usable);
        assert_eq!((index(102, 512), index(103, 512)), (102, 39));
    }
}
