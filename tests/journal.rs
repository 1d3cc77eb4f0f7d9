//! The session's memory under everything that happens to memories: tampering, `kill -9`, two engines, stopped engines, garbage on the
//! socket, folders that nobody may write to.

mod beside;
mod child;
mod crash;
mod detach;
mod follow;
mod full;
mod guard;
pub mod hands;
mod lease;
mod names;
#[cfg(target_os = "linux")]
mod power;
mod socket;
mod spare;
pub mod tamper;

use chrono::{DateTime, Utc};
use cutover::engine::lease::Lease;
use cutover::journal::{Entry, Folder, Journal};
use serde_json::json;

/// A session of a test's own.
struct Session {
    _dir: tempfile::TempDir,
    folder: Folder,
}

fn session() -> Session {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = Folder::create(dir.path(), "tonight").expect("a session's folder");
    Session { _dir: dir, folder }
}

/// The engine's part: the lease, and the journal opened under it.
struct Engine {
    lease: Lease,
    journal: Journal,
    /// What the journal held when it was opened.
    found: Vec<Entry>,
}

fn engine(folder: &Folder) -> Engine {
    let lease = Lease::take(folder).expect("the lease");
    let (journal, found) = Journal::open(folder, lease.fencing()).expect("the journal");
    Engine {
        lease,
        journal,
        found,
    }
}

impl Engine {
    /// Appends `count` events in one transaction.
    fn note(&mut self, count: u64) -> Vec<Entry> {
        let first = self.journal.head().seq + 1;
        let bodies: Vec<_> = (first..first + count)
            .map(|n| json!({"step": format!("S{n}"), "ok": true, "share": 0.1 * n as f64}))
            .collect();
        let events: Vec<_> = bodies.iter().map(|body| ("step_done", body)).collect();
        self.journal
            .append(1_000 * first as i64, wall(), &events)
            .expect("the events")
    }
}

/// A wall clock with more digits than an entry keeps.
fn wall() -> DateTime<Utc> {
    "2026-03-01T02:00:00.123456789Z"
        .parse()
        .expect("an instant")
}
