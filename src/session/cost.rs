//! What a rollback would lose of what users wrote to PostgreSQL, or leave behind there, in words. Not in here: how it is estimated
//! (`engine::cost`), and how it is read (`feed`).

use chrono::{FixedOffset, TimeDelta};

use super::live::{CostView, FeedView};
use super::state::{Phase, Session};
use crate::format::{counted, lasting, moment};
use crate::text::printable;

/// Tables that a sentence names.
const TABLES_NAMED: usize = 4;
/// Characters of one thing that a rollback would lose.
const LOST_CHARS: usize = 300;
/// From this lag on, tenths of a second are not shown, in real milliseconds.
const LONG_MS: i64 = 10_000;

/// What is said while writes are frozen and PostgreSQL had rows that no rollback brings back.
const NOT_LET_WRITE: &str = "This session has not let the application write to PostgreSQL.";

/// How much a rollback that began now would cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Nothing that is known of.
    Nothing,
    /// Rows stay behind on PostgreSQL, or nobody knows.
    Rows,
    /// It would lose what the feed was to keep.
    Loses,
}

/// How much it would cost, by what is known.
pub fn weight(session: &Session, view: Option<&CostView>, feed: Option<&FeedView>) -> Weight {
    if keeps(session) {
        return match feed {
            Some(feed) if !feed.lost.is_empty() => Weight::Loses,
            Some(feed) if feed.unknown.is_none() => Weight::Nothing,
            Some(_) => Weight::Rows,
            None if is_open_on_target(session) => Weight::Rows,
            None => Weight::Nothing,
        };
    }
    match (is_open_on_target(session), view) {
        (false, _) => Weight::Nothing,
        (true, Some(view)) if view.unknown.is_none() && rows(view) == 0 => Weight::Nothing,
        (true, _) => Weight::Rows,
    }
}

/// What a rollback that began now would lose though it was to be kept, a sentence each, for a red row and for an alarm.
pub fn would_lose(feed: &FeedView) -> Vec<String> {
    let sentences = feed.lost.iter();
    sentences.map(|lost| printable(lost, LOST_CHARS)).collect()
}

/// One sentence, for whoever is about to roll back. Empty once there is no rollback any more. What [`would_lose`] says is not in it.
pub fn sentence(
    session: &Session,
    view: Option<&CostView>,
    feed: Option<&FeedView>,
    zone: FixedOffset,
) -> String {
    if session.phase == Phase::Completed {
        return String::new();
    }
    let before = before(session);
    let written = match keeps(session) {
        true => kept(session, feed, before.is_some(), zone),
        false => left(session, view, before.is_some()),
    };
    match before {
        Some(before) => format!("{written} {before}"),
        None => written,
    }
}

/// Where a rollback brings what users wrote into SQLite.
fn kept(
    session: &Session,
    feed: Option<&FeedView>,
    is_after_others: bool,
    zone: FixedOffset,
) -> String {
    // Before F4 a rollback brings nothing in, whatever the feed has read.
    let Some(feed) = feed.filter(|_| is_open_on_target(session)) else {
        return match (is_open_on_target(session), is_after_others) {
            (false, true) => NOT_LET_WRITE.to_owned(),
            (false, false) => "It loses nothing that users wrote, for writes are frozen. What was written to PostgreSQL since the switch it looks for, and \
                      keeps in a file."
                .to_owned(),
            (true, _) => "How much the feed has read of what users wrote is not known. A rollback looks for it in PostgreSQL itself, as long as that \
                     answers, and brings it into SQLite."
                .to_owned(),
        };
    };
    if let Some(why) = &feed.unknown {
        let last = session.opened + TimeDelta::milliseconds(feed.at_ms);
        let before = match feed.rows {
            0 => "Nothing had been written by then since the switch.".to_owned(),
            1 => "1 row of before comes back into SQLite with a rollback.".to_owned(),
            n => format!(
                "{} of before come back into SQLite with a rollback.",
                counted(n, "row")
            ),
        };
        return format!(
            "If PostgreSQL does not answer again, what was committed after {} is lost: {}. {before}",
            moment(last, zone),
            why.trim_end_matches('.'),
        );
    }
    let rows = match feed.rows {
        0 => "no row has been written to PostgreSQL since the switch".to_owned(),
        1 => "1 row comes back into SQLite with it".to_owned(),
        n => format!("{} come back into SQLite with it", counted(n, "row")),
    };
    let all = match (feed.lost.is_empty(), is_after_others) {
        (false, _) => "Beside that, what users wrote is kept",
        (true, true) => "A rollback keeps what users wrote since the switch",
        (true, false) => "A rollback loses nothing that users wrote",
    };
    let waiting = match feed.waiting {
        0 => String::new(),
        n => format!(", with {} to read", counted(n, "row")),
    };
    format!(
        "{all}: {rows}; the feed is {} behind{waiting}.",
        behind(feed)
    )
}

/// Where a rollback leaves what users wrote on PostgreSQL, and in a file.
fn left(session: &Session, view: Option<&CostView>, is_after_others: bool) -> String {
    match (is_open_on_target(session), view) {
        (false, _) if is_after_others => NOT_LET_WRITE.to_owned(),
        (false, _) if !is_switched(session) => {
            "It loses nothing: the application has not been switched to PostgreSQL.".to_owned()
        }
        (false, _) => "It loses nothing that users wrote, for writes are frozen. What the application wrote by itself since the switch it \
                       looks for, and keeps."
            .to_owned(),
        (true, None) => "What it leaves behind on PostgreSQL is not known.".to_owned(),
        (true, Some(view)) => match &view.unknown {
            None => known(view),
            Some(why) => format!(
                "Not known at the moment: {why}. As last seen: {}",
                known(view)
            ),
        },
    }
}

/// What was on PostgreSQL before this session and SQLite does not have: no rollback brings it back.
fn before(session: &Session) -> Option<String> {
    let agreed = session.steps.iter().filter(|s| !s.discard.is_empty());
    let deleted = agreed.map(|s| {
        let (rows, step) = (super::discard::words(&s.discard), &s.id);
        format!("{step} deletes rows that PostgreSQL had and SQLite does not ({rows}), and no rollback brings them back.")
    });
    let released = session.charter.again.is_some().then(|| {
        "An earlier release was completed on this database: what users wrote there is not on SQLite, and a rollback to SQLite goes \
         without it."
            .to_owned()
    });
    let sentences: Vec<String> = released.into_iter().chain(deleted).collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// A few words beside the key; `None` where nothing is to be said of it.
pub fn short(
    session: &Session,
    view: Option<&CostView>,
    feed: Option<&FeedView>,
) -> Option<String> {
    if session.phase != Phase::Open {
        return None;
    }
    if let Some(feed) = feed.filter(|_| keeps(session)) {
        return Some(match (feed.lost.len(), &feed.unknown) {
            (0, Some(_)) => "leaves ? rows".to_owned(),
            (0, None) if before(session).is_some() => {
                format!("keeps what users wrote, {} behind", behind(feed))
            }
            (0, None) => format!("loses nothing, {} behind", behind(feed)),
            (n, _) => format!("would lose: {}", counted(n as u64, "thing")),
        });
    }
    if !is_open_on_target(session) {
        return None;
    }
    match view.filter(|_| !keeps(session)) {
        Some(view) if view.unknown.is_none() => match rows(view) {
            0 => None,
            n => Some(format!("leaves ~{n} rows")),
        },
        _ => Some("leaves ? rows".to_owned()),
    }
}

/// `0.2 s`, `42 s`: never less than it is.
fn behind(feed: &FeedView) -> String {
    match feed.behind_ms.max(0) {
        ms @ LONG_MS.. => lasting(ms),
        ms => {
            let tenths = (ms + 99) / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
    }
}

/// Whether a rollback that began now would bring what users wrote into SQLite; before the switch there is nothing to bring.
fn keeps(session: &Session) -> bool {
    session.charter.keeps_writes && is_switched(session)
}

/// Whether users could write to PostgreSQL.
fn is_open_on_target(session: &Session) -> bool {
    let reopened = session.step_of_kind(&super::charter::LineKind::Reopen);
    reopened.is_some_and(|step| step.started_ms.is_some())
}

/// Whether an instance may have been switched.
fn is_switched(session: &Session) -> bool {
    session.switched_ms().is_some()
}

fn rows(view: &CostView) -> u64 {
    let of_table = |t: &super::live::WrittenTable| t.inserted + t.changed + t.deleted;
    view.tables.iter().map(of_table).sum()
}

fn known(view: &CostView) -> String {
    if rows(view) == 0 {
        return "As last counted, nobody has written to PostgreSQL since writes were reopened."
            .to_owned();
    }
    let sum = |of: fn(&super::live::WrittenTable) -> u64| view.tables.iter().map(of).sum::<u64>();
    let mut named: Vec<String> = view
        .tables
        .iter()
        .take(TABLES_NAMED)
        .map(|t| format!("{} {}", t.table, t.inserted + t.changed + t.deleted))
        .collect();
    if view.tables.len() > TABLES_NAMED {
        named.push(format!("{} more tables", view.tables.len() - TABLES_NAMED));
    }
    format!(
        "It leaves behind what users have written to PostgreSQL since writes were reopened, by its own count, which is some \
         seconds late: {} inserted, {} changed and {} deleted rows ({}). SQLite does not have them.",
        sum(|t| t.inserted),
        sum(|t| t.changed),
        sum(|t| t.deleted),
        named.join(", ")
    )
}
