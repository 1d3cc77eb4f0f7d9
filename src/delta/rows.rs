//! One table in both files, row by row: both are read side by side in the order of their rowids or keys, and rows that are equal there vanish.
//! What is left of each side is remembered with its key and its digest (`left`); equal rows of that cancel each other, and what then has the same
//! key is an update.
//!
//! So the order in which rows are met decides about nothing but the work: were it wrong, more rows would be remembered, and as many found.

mod cell;
mod left;
mod order;
mod reader;

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::file::Draft;
use super::snapshot::{Sides, Snapshot};
use super::{Changed, Way, alike};
use crate::sqlite::schema::Table;

pub(super) use cell::{Cell, utf8_of};
use left::{Left, Side};
use order::Order;
pub(super) use reader::{Reader, of_raw, raw};

/// Rows between two looks whether to stop.
const ROWS_BETWEEN_LOOKS: u64 = 1024;

/// A table in both files.
struct Pair<'p> {
    sides: &'p Sides,
    older: (&'p Table, Reader<'p>),
    newer: (&'p Table, Reader<'p>),
    order: Order,
    stop: &'p CancellationToken,
}

/// Compares a table that is the same table in both files. With `within`, only rows with these rowids are read: all others have to be equal in
/// both files under their rowids. It means nothing for a table without rowids, which is read whole.
pub(super) fn compare(
    sides: &Sides,
    (older, newer): (&Table, &Table),
    id: i64,
    draft: &Draft,
    within: Option<&[RangeInclusive<i64>]>,
    stop: &CancellationToken,
) -> Result<Option<Changed>, Error> {
    let is_same_text = sides.stored_as().is_some();
    let key = alike::key(&sides.newer, newer)?;
    let reader =
        |side: &Snapshot, table| Reader::new(table, side.schema.encoding, is_same_text, &key);
    let pair = Pair {
        sides,
        older: (older, reader(&sides.older, older)),
        newer: (newer, reader(&sides.newer, newer)),
        order: Order::new(newer, &key, sides.stored_as()),
        stop,
    };
    let everything = [i64::MIN..=i64::MAX];
    let ranges: &[RangeInclusive<i64>] = match Way::of(newer) {
        Way::Rowid => within.unwrap_or(&everything),
        Way::Key | Way::Anew(_) => &everything,
    };
    let mut left = Left::new(draft, id, newer, stop);
    pair.read(ranges, &mut left)?;
    left.settle(sides)
}

impl Pair<'_> {
    /// Reads these rowids of both sides, and leaves what is not equal.
    fn read(&self, ranges: &[RangeInclusive<i64>], left: &mut Left<'_>) -> Result<(), Error> {
        let (older, newer) = (&self.older.1, &self.newer.1);
        let old_failed = self.sides.older.failed(&self.older.0.name);
        let new_failed = self.sides.newer.failed(&self.newer.0.name);
        let of_older = older.prepare(&self.sides.older.connection);
        let of_newer = newer.prepare(&self.sides.newer.connection);
        let mut of_older = of_older.map_err(&old_failed)?;
        let mut of_newer = of_newer.map_err(&new_failed)?;
        let mut rows_read = 0_u64;
        for range in ranges {
            let mut old = older.query(&mut of_older, range).map_err(&old_failed)?;
            let mut new = newer.query(&mut of_newer, range).map_err(&new_failed)?;
            old.advance().map_err(&old_failed)?;
            new.advance().map_err(&new_failed)?;
            while let Some(ahead) = self.leave(old.get(), new.get(), left)? {
                if ahead.is_le() {
                    old.advance().map_err(&old_failed)?;
                }
                if ahead.is_ge() {
                    new.advance().map_err(&new_failed)?;
                }
                rows_read += 1;
                if rows_read.is_multiple_of(ROWS_BETWEEN_LOOKS) && self.stop.is_cancelled() {
                    return Err(Error::Cancelled);
                }
            }
        }
        Ok(())
    }

    /// Leaves the row that comes first, or both where they meet and are not equal. Says which side is behind by it; nothing at the end of both.
    fn leave(
        &self,
        old: Option<&rusqlite::Row<'_>>,
        new: Option<&rusqlite::Row<'_>>,
        left: &mut Left<'_>,
    ) -> Result<Option<Ordering>, Error> {
        let old = old.map(|row| self.older.1.row(row));
        let new = new.map(|row| self.newer.1.row(row));
        let ahead = match (&old, &new) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => self.order.of(old, new),
        };
        match (ahead, &old, &new) {
            (Ordering::Less, Some(old), _) => left.alone(Side::Older, old)?,
            (Ordering::Greater, _, Some(new)) => left.alone(Side::Newer, new)?,
            (Ordering::Equal, Some(old), Some(new)) if !old.is_equal(new) => left.both(old, new)?,
            _ => {}
        }
        Ok(Some(ahead))
    }
}
