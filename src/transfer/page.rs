//! What a row needs in its page: PostgreSQL moves long values elsewhere, but never the row itself. Of text and bytes that is exact, with
//! alignment; of other types whose values differ in length it is the least. Not in here: that compression may make some long value shorter than
//! what it leaves behind elsewhere.

use crate::transfer::kind::Kind;
use crate::transfer::layout::TableLayout;

/// Bytes of a page of 8 KiB that one row may take.
pub const ROOM: usize = 8160;
/// A row's header without the bitmap of its NULLs.
const HEADER: usize = 23;
/// A value that lies elsewhere leaves this much behind.
const POINTER: usize = 18;
/// A value that takes no more than this, its own header included, is never moved elsewhere.
const KEPT: usize = 24;
/// How much shorter the shortest stored form of a value may be than the one that COPY carries (`numeric`, by its header).
const HEADER_SAVED: usize = 5;
/// Rows, and the values behind a header, begin at multiples of this.
const ROW_ALIGNMENT: usize = 8;

/// Adds up what the values of a row take, in the order in which the target has them.
pub struct Measure {
    /// Places of the moving columns in the target's order.
    order: Vec<usize>,
    /// By place: bytes and alignment; none for NULL.
    taken: Vec<Option<(usize, usize)>>,
    /// Columns of the target.
    columns: usize,
}

impl Measure {
    /// For rows of this table; none where no row can be too large for a page. Few tables have that many columns.
    pub fn of(table: &TableLayout) -> Option<Self> {
        let most = |kind: &Kind| match width(kind) {
            Some((bytes, alignment)) => bytes + alignment - 1,
            None => KEPT,
        };
        let columns = table.columns.iter();
        let values: usize = columns.map(|column| most(&column.converter.kind)).sum();
        let all = table.target.columns.len();
        if header(all, true) + values <= ROOM {
            return None;
        }
        let mut order: Vec<usize> = (0..table.columns.len()).collect();
        order.sort_by_key(|place| table.columns[*place].target.number);
        Some(Self {
            taken: vec![None; order.len()],
            order,
            columns: all,
        })
    }

    /// Forgets the row before.
    pub fn clear(&mut self) {
        self.taken.fill(None);
    }

    /// Takes in a value that is not NULL, with so many bytes in COPY's binary format.
    pub fn take(&mut self, place: usize, kind: &Kind, bytes: usize) {
        self.taken[place] = Some(width(kind).unwrap_or_else(|| (left_behind(kind, bytes), 1)));
    }

    /// What the row needs.
    pub fn needed(&self) -> usize {
        // Columns that do not move may be NULL, or not: they count for nothing.
        let has_null = self.taken.iter().any(Option::is_none);
        let mut at = header(self.columns, has_null);
        for (bytes, alignment) in self.order.iter().filter_map(|place| self.taken[*place]) {
            at = at.next_multiple_of(alignment) + bytes;
        }
        at.next_multiple_of(ROW_ALIGNMENT)
    }
}

/// Of a row with so many columns.
fn header(columns: usize, has_null: bool) -> usize {
    let bitmap = if has_null { columns.div_ceil(8) } else { 0 };
    (HEADER + bitmap).next_multiple_of(ROW_ALIGNMENT)
}

/// What a value of a type whose values differ in length leaves in the page: itself behind a header of one byte, or where it lies.
fn left_behind(kind: &Kind, bytes: usize) -> usize {
    let own = match kind {
        Kind::Text(_) | Kind::Json | Kind::Bytea => bytes + 1,
        // Blanks fill it up.
        Kind::Char(length) => bytes.max(*length as usize) + 1,
        Kind::Int2
        | Kind::Int4
        | Kind::Int8
        | Kind::Oid
        | Kind::Numeric(_)
        | Kind::Float4
        | Kind::Float8
        | Kind::Bool
        | Kind::Uuid
        | Kind::Date
        | Kind::Time(_)
        | Kind::Timestamp(_)
        | Kind::TimestampTz(_)
        | Kind::Interval(_)
        | Kind::Jsonb
        | Kind::Inet
        | Kind::Cidr
        | Kind::Enum(_)
        | Kind::Bit { .. }
        | Kind::Array { .. }
        | Kind::Unsupported => return bytes.saturating_sub(HEADER_SAVED).clamp(1, POINTER),
    };
    if own > KEPT { POINTER } else { own }
}

/// Bytes and alignment of a type whose values all have the same.
fn width(kind: &Kind) -> Option<(usize, usize)> {
    match kind {
        Kind::Bool => Some((1, 1)),
        Kind::Int2 => Some((2, 2)),
        Kind::Int4 | Kind::Oid | Kind::Float4 | Kind::Date | Kind::Enum(_) => Some((4, 4)),
        Kind::Int8 | Kind::Float8 | Kind::Time(_) | Kind::Timestamp(_) | Kind::TimestampTz(_) => {
            Some((8, 8))
        }
        Kind::Uuid => Some((16, 1)),
        Kind::Interval(_) => Some((16, 8)),
        Kind::Numeric(_)
        | Kind::Text(_)
        | Kind::Char(_)
        | Kind::Bytea
        | Kind::Json
        | Kind::Jsonb
        | Kind::Inet
        | Kind::Cidr
        | Kind::Bit { .. }
        | Kind::Array { .. }
        | Kind::Unsupported => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_counts_whole_until_it_is_moved_elsewhere() {
        let text = |bytes| left_behind(&Kind::Text(None), bytes);
        assert_eq!((text(0), text(5), text(17), text(23)), (1, 6, 18, 24));
        assert_eq!((text(24), text(1_000_000)), (POINTER, POINTER));
        assert_eq!(left_behind(&Kind::Char(10), 1), 11);
        assert_eq!(left_behind(&Kind::Numeric(None), 10), 5);
    }

    #[test]
    fn values_lie_where_their_types_want_them() {
        let row = |taken: &[Option<(usize, usize)>]| Measure {
            order: (0..taken.len()).collect(),
            taken: taken.to_vec(),
            columns: taken.len(),
        };
        // A boolean, padding, a bigint.
        assert_eq!(row(&[Some((1, 1)), Some((8, 8))]).needed(), 24 + 8 + 8);
        assert_eq!(row(&[Some((1, 1)), None]).needed(), 24 + 8);
        assert_eq!(row(&[None; 1600]).needed(), 224);
    }
}
