//! What was noted in the target, asked for as of the moment that is looked at: how much of which tables, and which keys.
//!
//! Not in here: the rows of the keys (`one_table`), what writes the notes (`capture`).

use std::time::Duration;

use tokio::runtime::Handle;

use super::catalogue::ask;
use crate::parity::TablePair;
use crate::postgres::literal;
use crate::salvage::{Error, Search};

/// A snapshot that sees no transaction: every note is new to it.
pub(super) const SEES_NOTHING: &str = "3:3:";

/// How long the first look of a connection may take: without an engine for a day there are tens of millions of notes, and none is deleted before
/// they were read once.
const FIRST_LIMIT: Duration = Duration::from_secs(60);

/// What was noted of one table.
pub(super) struct Noted {
    pub(super) number: i32,
    pub(super) notes: u64,
    /// Some of the notes are about every key.
    pub(super) is_all: bool,
}

/// The notes that this moment sees and the one before did not, by table.
pub(super) fn noted(search: &Search, handle: &Handle, before: &str) -> Result<Vec<Noted>, Error> {
    let sql = format!(
        "SELECT n.number, count(*), bool_or(n.before IS NULL AND n.after IS NULL) FROM cutover.feed_notes n WHERE {} GROUP BY n.number",
        is_new(before)
    );
    let rows = ask(search, handle, "reading what was noted", &sql)?;
    let noted = rows.into_iter().filter_map(|row| {
        let [number, notes, is_all] = <[Option<String>; 3]>::try_from(row).ok()?;
        Some(Noted {
            number: number?.parse().ok()?,
            notes: notes?.parse().ok()?,
            is_all: is_all.as_deref() == Some("t"),
        })
    });
    Ok(noted.collect())
}

/// All notes that this moment sees, by table.
pub(super) fn all_noted(search: &mut Search, handle: &Handle) -> Result<Vec<Noted>, Error> {
    let before = search.since.statement_limit;
    search.since.statement_limit = before.max(FIRST_LIMIT);
    let limit_ms = search.since.statement_limit.as_millis();
    let limit = format!("SET LOCAL statement_timeout = {limit_ms}");
    let set = search.sides.client.batch_execute(&limit);
    let set = search.within(handle, "reading what was noted", set);
    let noted = set.and_then(|()| noted(search, handle, SEES_NOTHING));
    search.since.statement_limit = before;
    noted
}

/// The keys of one table among them, each once.
pub(super) fn keys(
    search: &Search,
    handle: &Handle,
    number: i32,
    pair: &TablePair,
    before: &str,
) -> Result<Vec<Vec<Option<String>>>, Error> {
    let parts = (1..=pair.key_columns).map(|at| format!("v.note[{at}]"));
    let parts: Vec<String> = parts.collect();
    let sql = format!(
        "SELECT DISTINCT {} FROM cutover.feed_notes n CROSS JOIN LATERAL (VALUES (n.before), (n.after)) AS v(note)
          WHERE n.number = {number} AND v.note IS NOT NULL AND {}",
        parts.join(", "),
        is_new(before)
    );
    let doing = format!("reading the keys of {}", pair.target);
    ask(search, handle, &doing, &sql)
}

/// The snapshot of the moment that is looked at.
pub(super) fn present_snapshot(search: &Search, handle: &Handle) -> Result<String, Error> {
    let sql = "SELECT pg_current_snapshot()";
    let rows = ask(search, handle, "taking a snapshot", sql)?;
    let snapshot = rows.into_iter().flatten().flatten().next();
    snapshot.ok_or_else(|| Error::NotComparable("PostgreSQL gave no snapshot".to_owned()))
}

/// Refuses a server whose transaction ids went back since the last read: it does not have everything that was read.
pub(super) fn is_no_earlier(now: &str, before: &str) -> Result<(), Error> {
    let next = |text: &str| -> Option<u64> { text.split(':').nth(1)?.parse().ok() };
    match (next(now), next(before)) {
        (Some(now), Some(before)) if now < before => Err(Error::NotComparable(format!(
            "PostgreSQL's transaction ids went back from {before} to {now} since the last read: it was restored, or another server took over \
             that did not have the last of what was committed. What was kept before stays kept"
        ))),
        _ => Ok(()),
    }
}

/// A condition on a note: its transaction was not seen by an earlier snapshot. That it is seen now goes without saying.
fn is_new(before: &str) -> String {
    format!(
        "NOT pg_visible_in_snapshot(n.xid, CAST({} AS pg_snapshot))",
        literal(before)
    )
}

#[cfg(test)]
mod tests {
    use super::is_no_earlier;

    #[test]
    fn a_server_whose_ids_went_back_is_refused() {
        assert!(is_no_earlier("100:105:101", "90:105:").is_ok());
        assert!(is_no_earlier("100:106:", "90:105:").is_ok());
        let refused = is_no_earlier("100:104:", "90:105:").expect_err("they went back");
        assert!(refused.to_string().contains("from 105 to 104"), "{refused}");
    }
}
