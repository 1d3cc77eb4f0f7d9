//! What a row needs at least in its page: PostgreSQL moves long values elsewhere, but never the row itself. Not in here: how much it
//! needs exactly, which depends on alignment and compression; a row near the limit is the server's to refuse.

use crate::transfer::kind::Kind;
use crate::transfer::layout::TableLayout;

/// Bytes of a page of 8 KiB that one row may take.
pub const ROOM: usize = 8160;
/// A row's header without the bitmap of its NULLs.
const HEADER: usize = 23;
/// A value that lies elsewhere leaves this much behind.
const POINTER: usize = 18;
/// How much shorter the shortest stored form of a value may be than the one that COPY carries (`numeric`, by its header).
const HEADER_SAVED: usize = 5;

/// Whether a row of this table can be too large for a page at all; few tables have that many columns.
pub fn can_overflow(table: &TableLayout) -> bool {
    let most = |kind: &Kind| width(kind).unwrap_or(POINTER);
    let columns = table.columns.iter();
    let values: usize = columns.map(|column| most(&column.converter.kind)).sum();
    header(table.columns.len()) + values > ROOM
}

/// Of a row with so many columns.
pub fn header(columns: usize) -> usize {
    HEADER + columns.div_ceil(8)
}

/// What a value with so many bytes in COPY's binary format leaves in the page at least.
pub fn least(kind: &Kind, bytes: usize) -> usize {
    width(kind).unwrap_or_else(|| bytes.saturating_sub(HEADER_SAVED).clamp(1, POINTER))
}

/// Bytes of a type whose values all have the same.
fn width(kind: &Kind) -> Option<usize> {
    match kind {
        Kind::Bool => Some(1),
        Kind::Int2 => Some(2),
        Kind::Int4 | Kind::Oid | Kind::Float4 | Kind::Date | Kind::Enum(_) => Some(4),
        Kind::Int8 | Kind::Float8 | Kind::Time(_) | Kind::Timestamp(_) | Kind::TimestampTz(_) => {
            Some(8)
        }
        Kind::Uuid | Kind::Interval(_) => Some(16),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_with_its_width_or_what_it_leaves_behind() {
        assert_eq!(least(&Kind::Int8, 8), 8);
        assert_eq!(least(&Kind::Text(None), 1), 1);
        assert_eq!(least(&Kind::Text(None), 20), 15);
        assert_eq!(least(&Kind::Bytea, 1_000_000), POINTER);
        assert_eq!(header(1600), 223);
    }
}
