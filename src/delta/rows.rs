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
use super::snapshot::Sides;
use super::{Changed, Way, alike};
use crate::sqlite::schema::Table;

pub(super) use cell::{Cell, utf8_of};
use left::{Left, Side};
use order::Order;
pub(super) use reader::{Reader, of_raw, raw};

/// Rows between two looks whether to stop.
const ROWS_BETWEEN_LOOKS: u64 = 1024;

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
    let older_reader = Reader::new(older, sides.older.schema.encoding, is_same_text, &key);
    let newer_reader = Reader::new(newer, sides.newer.schema.encoding, is_same_text, &key);
    let order = Order::new(newer, &key, sides.stored_as());
    let mut left = Left::new(draft, id, newer);
    let everything = [i64::MIN..=i64::MAX];
    let ranges: &[RangeInclusive<i64>] = match Way::of(newer) {
        Way::Rowid => within.unwrap_or(&everything),
        Way::Key | Way::Anew(_) => &everything,
    };
    let (old_failed, new_failed) = (
        sides.older.failed(&older.name),
        sides.newer.failed(&newer.name),
    );
    let mut older_rows = older_reader
        .prepare(&sides.older.connection)
        .map_err(&old_failed)?;
    let mut newer_rows = newer_reader
        .prepare(&sides.newer.connection)
        .map_err(&new_failed)?;
    let mut rows_read = 0_u64;
    for range in ranges {
        let mut old = older_reader
            .query(&mut older_rows, range)
            .map_err(&old_failed)?;
        let mut new = newer_reader
            .query(&mut newer_rows, range)
            .map_err(&new_failed)?;
        old.advance().map_err(&old_failed)?;
        new.advance().map_err(&new_failed)?;
        loop {
            rows_read += 1;
            if rows_read.is_multiple_of(ROWS_BETWEEN_LOOKS) && stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let ahead = match (old.get(), new.get()) {
                (None, None) => break,
                (Some(one), None) => {
                    left.alone(Side::Older, &older_reader.row(one))?;
                    Ordering::Less
                }
                (None, Some(other)) => {
                    left.alone(Side::Newer, &newer_reader.row(other))?;
                    Ordering::Greater
                }
                (Some(one), Some(other)) => {
                    let (one, other) = (older_reader.row(one), newer_reader.row(other));
                    let ahead = order.of(&one, &other);
                    match ahead {
                        Ordering::Less => left.alone(Side::Older, &one)?,
                        Ordering::Greater => left.alone(Side::Newer, &other)?,
                        Ordering::Equal if one.is_equal(&other) => {}
                        Ordering::Equal => left.both(&one, &other)?,
                    }
                    ahead
                }
            };
            if ahead.is_le() {
                old.advance().map_err(&old_failed)?;
            }
            if ahead.is_ge() {
                new.advance().map_err(&new_failed)?;
            }
        }
    }
    drop((older_rows, newer_rows));
    left.settle(sides)
}
