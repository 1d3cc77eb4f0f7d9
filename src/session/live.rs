//! The live board: what screens show besides events. The engine replaces each value as it changes; none is chained, none is
//! state, and all of it may be lost without the session losing anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::TriggerPhase;
use crate::runbook::Role;

/// Somebody who has not been heard of for this long, in real milliseconds, has left the bridge.
const GONE_AFTER_MS: i64 = 15_000;

/// Names of the board's values, as the journal keeps them.
pub mod key {
    /// `Vec<TriggerView>`.
    pub const TRIGGERS: &str = "triggers";
    /// `Vec<ItemView>`.
    pub const CHECKLIST: &str = "checklist";
    /// `Vec<InstanceView>`.
    pub const FLEET: &str = "fleet";
    /// `Vec<Presence>`.
    pub const PRESENCE: &str = "presence";
    /// `CostView`.
    pub const COST: &str = "cost";
    /// `FeedView`.
    pub const FEED: &str = "feed";
    /// `Vec<DetailView>`.
    pub const DETAILS: &str = "details";
    /// `ParityView`.
    pub const PARITY: &str = "parity";
    /// `LoadsView`.
    pub const LOADS: &str = "loads";
    /// `ClientsView`.
    pub const CLIENTS: &str = "clients";
    /// `PlanView`.
    pub const PLAN: &str = "plan";
}

/// A trigger as a fuse: how far it has burned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerView {
    /// `T3a`, or `T1a.app-3`.
    pub id: String,
    /// Whether it can fire now.
    pub armed: bool,
    pub phase: TriggerPhase,
    /// Time for which the condition was seen to hold, in runbook time.
    pub streak_ms: i64,
    /// Time after which it fires, in runbook time.
    pub full_ms: i64,
    /// In words and numbers.
    pub reason: String,
}

/// An item of the monitoring checklist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemView {
    /// `M3`.
    pub id: String,
    /// `Some(true)` green, `Some(false)` red, `None` blind.
    pub green: Option<bool>,
    /// For how long it has been green without a break, in runbook time.
    pub green_for_ms: i64,
    /// In words and numbers.
    pub reason: String,
}

/// An instance as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceView {
    /// `app-1`.
    pub id: String,
    /// Restarted first.
    pub canary: bool,
    pub state: InstanceState,
    pub detail: String,
}

/// What an instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Not asked yet, or could not be asked.
    Unknown,
    /// Answers its readiness.
    Ready,
    NotReady,
    /// Being restarted on purpose.
    Restarting,
}

/// What every instance carries, as it was last scraped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadsView {
    /// Session time of the scrape.
    pub at_ms: i64,
    /// Each instance of the fleet, in its order.
    pub instances: Vec<LoadView>,
}

/// What an instance carries, over the window of the fleet's sums. `None` where it does not expose a number, or was not scraped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadView {
    /// `app-1`.
    pub id: String,
    pub requests_per_s: Option<f64>,
    /// Share of requests answered 5xx.
    pub errors_ratio: Option<f64>,
    /// 95th percentile of the latency.
    pub p95_ms: Option<f64>,
    /// Connections of its pool in use.
    pub pool_active: Option<f64>,
    /// Connections of its pool that are free.
    pub pool_idle: Option<f64>,
    /// Requests that wait for a connection.
    pub pool_waiting: Option<f64>,
    /// Connections that its pool may have.
    pub pool_max: Option<f64>,
}

impl LoadView {
    /// An instance of which nothing is known.
    pub fn unknown(id: &str) -> LoadView {
        LoadView {
            id: id.to_owned(),
            ..LoadView::default()
        }
    }

    /// Whether nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        let numbers = [
            self.requests_per_s,
            self.errors_ratio,
            self.p95_ms,
            self.pool_active,
            self.pool_idle,
            self.pool_waiting,
            self.pool_max,
        ];
        numbers.iter().all(Option::is_none)
    }
}

/// Who is connected to the target, as it was last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientsView {
    /// Session time of the question.
    pub at_ms: i64,
    /// Ordinary clients that fit onto the server.
    pub most: u32,
    /// Client connections on the whole server, whichever database they are to.
    pub server_total: u32,
    /// No probe of the runbook asks.
    pub is_unasked: bool,
    /// By application, the most connections first; `None` where the server did not answer.
    pub applications: Option<Vec<ClientView>>,
}

/// An application's connections to the target's database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientView {
    /// As it calls itself; foreign text, made harmless.
    pub application: String,
    /// Running a statement; those that wait are among them.
    pub active: u32,
    pub idle: u32,
    /// Holding a transaction open and doing nothing.
    pub idle_in_transaction: u32,
    /// Waiting for a lock.
    pub waiting: u32,
    /// Of which the server does not show what they do: without `pg_monitor`, those of every other role.
    pub hidden: u32,
}

/// What a probe tells people beside its numbers: who waits for whom, where exceptions happened. Nothing judges it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetailView {
    /// `logs`, `database`.
    pub topic: String,
    /// Made harmless; a few.
    pub lines: Vec<String>,
}

/// What D1 found: the tables that move, in the order in which they go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// In foreign-key order.
    pub tables: Vec<PlannedTable>,
}

/// A table that moves. All text is foreign, and harmless.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTable {
    /// Its name in SQLite.
    pub table: String,
    /// Its name in PostgreSQL.
    pub target: String,
    /// Rows that were counted.
    pub rows: u64,
    /// Bytes of its values.
    pub bytes: u64,
    /// In the source's order.
    pub columns: Vec<PlannedColumn>,
    /// The first values, columns or rows that do not fit, in words.
    pub problems: Vec<String>,
    /// How many more do not.
    pub more_problems: u64,
}

/// A column that moves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedColumn {
    pub column: String,
    /// Its type as SQLite's schema says it.
    pub source: String,
    /// Its type in PostgreSQL.
    pub target: String,
    /// What happens to its values, in words.
    pub conversion: String,
}

/// A comparison of every row as it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParityView {
    /// The step that compares.
    pub step: String,
    /// Its tables in the order in which they were begun.
    pub tables: Vec<ComparedTable>,
}

/// One table of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedTable {
    pub table: String,
    /// Rows of PostgreSQL that were read so far.
    pub compared: u64,
    /// Rows that are equal, and rows missing, extra or different, once that is known.
    pub found: Option<(u64, u64)>,
    /// The first differences, with both values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

impl ComparedTable {
    /// Whether rows are known to be missing, extra or different.
    pub fn differs(&self) -> bool {
        self.found.is_some_and(|(_, different)| different > 0)
    }
}

/// Somebody who is at the bridge, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Id of the person.
    pub person: String,
    /// What they may act as.
    pub roles: Vec<Role>,
    /// What they look at.
    pub view: String,
    /// Session time at which they were last seen.
    pub seen_ms: i64,
}

impl Presence {
    /// Whether they are still there: a cockpit says so every five seconds.
    pub fn is_here(&self, now_ms: i64) -> bool {
        now_ms - self.seen_ms < GONE_AFTER_MS
    }
}

/// What a rollback would leave behind on PostgreSQL, as last estimated: an upper bound, for attempts that were rolled back count too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostView {
    /// Session time of the estimate.
    pub at_ms: i64,
    /// Tables that were written since writes were reopened (`F4`), the most written first.
    pub tables: Vec<WrittenTable>,
    /// Why nobody knows, where nobody does; `tables` then is empty or older.
    pub unknown: Option<String>,
    /// The last number that each sequence of PostgreSQL was seen to have given out, by schema and name: what R3 raises SQLite's beyond,
    /// whether or not PostgreSQL answers then.
    #[serde(default)]
    pub given_out: BTreeMap<String, i64>,
}

/// What was written to one table since `F4`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenTable {
    /// Its name on PostgreSQL.
    pub table: String,
    /// Rows inserted, at most.
    pub inserted: u64,
    /// Rows changed, at most.
    pub changed: u64,
    /// Rows deleted, at most.
    pub deleted: u64,
}

/// What the feed has read of what is written to PostgreSQL since the switch: what a rollback brings back into SQLite.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedView {
    /// Session time of the last read: what was committed before it is read.
    pub at_ms: i64,
    /// How long ago that was when this was said, in real milliseconds.
    pub behind_ms: i64,
    /// Rows that the feed has: what a rollback would bring back into SQLite.
    pub rows: u64,
    /// Rows of which it is known that they were written, and that are yet to be read.
    pub waiting: u64,
    /// What a rollback would lose or leave in a file, a whole sentence each, made harmless; empty where it loses nothing.
    pub lost: Vec<String>,
    /// Why PostgreSQL cannot be read at the moment, where it cannot; the rest then is as it was at `at_ms`.
    pub unknown: Option<String>,
}

impl FeedView {
    /// The same where no engine lives: nobody reads on, so what it last said of itself does not hold any more.
    pub fn unfollowed(mut self) -> FeedView {
        let nobody =
            || "no engine works, and nobody reads what is written to PostgreSQL".to_owned();
        self.unknown = Some(self.unknown.unwrap_or_else(nobody));
        self
    }
}
