//! What a rollback would leave behind on PostgreSQL, in words. Not in here: how it is estimated (`engine::cost`).

use super::live::CostView;
use super::state::{Phase, Session};

/// Tables that a sentence names.
const TABLES_NAMED: usize = 4;

/// One sentence, for whoever has a finger on the key. Empty once there is no rollback any more.
pub fn sentence(session: &Session, view: Option<&CostView>) -> String {
    if session.phase == Phase::Completed {
        return String::new();
    }
    let written = match (is_open_on_target(session), view) {
        (false, _) if before(session).is_some() => {
            "This session has not let the application write to PostgreSQL.".to_owned()
        }
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
    };
    match before(session) {
        Some(before) => format!("{written} {before}"),
        None => written,
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

/// A few words beside the key; `None` while a rollback leaves nothing behind.
pub fn short(session: &Session, view: Option<&CostView>) -> Option<String> {
    if session.phase != Phase::Open || !is_open_on_target(session) {
        return None;
    }
    match view {
        Some(view) if view.unknown.is_none() => match rows(view) {
            0 => None,
            n => Some(format!("leaves ~{n} rows")),
        },
        _ => Some("leaves ? rows".to_owned()),
    }
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
