//! Rows of a rollback that are tried again: whether the salvage file that is there holds all that users wrote. An instance that did not come
//! back in the rollback may have gone on writing to PostgreSQL until a later attempt restarted it.
//!
//! Not in here: making the file (`salvage`), and noting in it what was brought in of the one before (`salvage::file`).

use chrono::{DateTime, FixedOffset, TimeDelta};

use super::{Context, NAME, Record, Salvaged};
use crate::session::attempt::is_target_closed;

/// A salvage file of an earlier version says to the second when it was made, and the rows of the rollback that it waits for end just before.
const MADE_WITHIN: TimeDelta = TimeDelta::seconds(2);

/// What becomes of a file that lacks something, and of which rows are in SQLite already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// It stays: whoever asks brings nothing in, and what SQLite has would not be all of what the file has.
    Stays,
    /// It gives way to a new one, for whoever asks brings in what it lacked.
    GivesWay,
}

/// What there is to know of a file before it is made anew.
struct Made {
    at: DateTime<FixedOffset>,
    /// Nobody has brought any of its rows into SQLite.
    is_untouched: bool,
}

/// A file that lacks something, or may lack what users wrote after it was made, gives way to a new one, which holds both. Where rows of it are in
/// SQLite already, `touched` says whether it does; one that may lack more than it knows of stays then.
///
/// # Errors
/// The record that stays, with what it may lack.
pub(super) fn to_be_made_anew(
    ctx: &Context,
    record: Record,
    touched: Touched,
) -> Result<Record, Record> {
    let made = look(ctx);
    let is_untouched = made.as_ref().is_none_or(|made| made.is_untouched);
    // Where nobody could write to PostgreSQL any more, no instance has.
    let can_be_late = !is_target_closed(&ctx.session);
    let is_late = can_be_late && made.is_some_and(|made| came_back_after(ctx, made.at));
    let gives_way = is_untouched || touched == Touched::GivesWay;
    match (is_late, is_untouched) {
        (false, _) if gives_way && !record.lacks.is_empty() => Ok(record),
        (false, _) => Err(record),
        (true, true) => Ok(record.lacking(
            "an instance was restarted after it was made, and may have written to PostgreSQL until then".to_owned(),
        )),
        (true, false) => Err(record.lacking(
            "rows of it were brought into SQLite before an instance was restarted; whether users wrote more until then is not known: compare \
             PostgreSQL with it by hand"
                .to_owned(),
        )),
    }
}

fn look(ctx: &Context) -> Option<Made> {
    let file = Salvaged::open(&ctx.folder.dir().join(NAME)).ok()?;
    let made = file.about().ok()?.made;
    Some(Made {
        at: DateTime::parse_from_rfc3339(&made).ok()?,
        is_untouched: file.is_untouched().ok()?,
    })
}

/// Whether a row of the rollback that brings the application back has ended since.
fn came_back_after(ctx: &Context, made: DateTime<FixedOffset>) -> bool {
    let rows = ctx.session.rollback.iter().flat_map(|r| &r.rows);
    let lines = ctx.session.charter.rollback.iter().zip(rows);
    let came_back = lines.filter(|(line, _)| line.within_rto);
    let ended_ms = came_back.filter_map(|(_, row)| row.ended_ms).max();
    ended_ms.is_some_and(|ended_ms| {
        ctx.session.opened + TimeDelta::milliseconds(ended_ms) > made + MADE_WITHIN
    })
}
