//! How far the feed is behind the application, as a signal: what it is called, how often it is told, and in which runbooks there is one. Pure.
//!
//! Not in here: telling it (`engine::feed`), and what a bound on it leads to (`trigger`).

use super::model::{RollbackKind, RollbackRow, Runbook, Writes};

/// How long ago PostgreSQL was last read, in real milliseconds.
pub const LAG_MS: &str = "feed_lag_ms";
/// How often that is told, in real milliseconds.
pub const TELL_EVERY_MS: i64 = 1_000;
/// How late that may be, on a busy machine.
pub const LATE_MS: i64 = 2_000;

/// Whether both rows are there that bring back what users wrote, and `feed` wants it: only then is followed what they write.
pub fn keeps_writes(runbook: &Runbook) -> bool {
    let rows = &runbook.rollback;
    let fences = |row: &RollbackRow| matches!(row.kind, RollbackKind::FenceTarget);
    let brings = |row: &RollbackRow| matches!(row.kind, RollbackKind::BringBack);
    runbook.feed.writes == Writes::Keep && rows.iter().any(fences) && rows.iter().any(brings)
}

/// The feed's signals; none where nothing is followed.
pub fn signals(runbook: &Runbook) -> Vec<String> {
    let lag = keeps_writes(runbook).then(|| LAG_MS.to_owned());
    lag.into_iter().collect()
}
