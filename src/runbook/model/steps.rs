//! The rows of the night and of the way back: which there are, and what each kind has for fields. Not in here: doing them (`step`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::{Action, Role};

/// One row that runs before, during or after the switch.
#[derive(Debug, Clone)]
pub struct Step {
    /// The protocol's row, such as `A2`.
    pub id: String,
    pub title: String,
    pub kind: StepKind,
    /// Whether it goes on by itself once what comes before is done.
    pub start: Start,
    /// How often it may be tried, for passing faults.
    pub attempts: u32,
    /// Whether a person may skip it, with a reason.
    pub may_skip: bool,
    /// Steps that must be done first, besides all earlier ones.
    pub needs: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The release manager.
    Person,
    /// The engine, once everything before it is done and its gates are green.
    Auto,
}

/// With which HTTP status maintenance answers where the runbook does not say.
pub const MAINTENANCE_STATUS: u16 = 503;

/// What a step does, with its fields. [`StepWord`] is the kind alone.
#[derive(Debug, Clone, EnumDiscriminants)]
#[strum_discriminants(
    name(StepWord),
    derive(IntoStaticStr, EnumIter, Serialize, Deserialize),
    strum(serialize_all = "snake_case"),
    serde(rename_all = "snake_case"),
    doc = "A kind of step, as written after `kind:`."
)]
pub enum StepKind {
    /// P1. Posts to a chat webhook as JSON with `text`, and writes it to the journal. `{name}` and `{freeze}` are replaced.
    Announce {
        text: String,
        /// Where to; the journal alone where absent.
        webhook: Option<String>,
    },
    /// P2. Done when somebody of each role has confirmed.
    Confirm { roles: Vec<Role> },
    /// P3. Captures error rate, p95 latency and start-up health over a window.
    Baseline {
        /// How long, in runbook time.
        window_ms: i64,
    },
    /// A1. Maintenance on, writes proven stopped, fence raised.
    Freeze {
        /// Turns maintenance on.
        on: Action,
        /// Turns it off again (F4, R4+).
        off: Action,
        /// Real time in which nothing may be written.
        quiet_ms: i64,
        /// With which HTTP status the application's maintenance answers.
        status: u16,
    },
    /// A2. Online backup, checked, hashed, read-only.
    Backup {
        to: PathBuf,
        /// How long it is kept; recorded, never acted on.
        keep_ms: i64,
    },
    /// A3. The second place, verified by reading back.
    StoreBackup {
        place: Place,
        /// How long it is kept; recorded, never acted on.
        keep_ms: i64,
    },
    /// A4. Opens each copy, counts rows, runs queries.
    RestoreDrill {
        /// Must each succeed on both copies, with equal answers.
        queries: Vec<String>,
    },
    /// B1. Database, version, encoding, TLS, owner's rights.
    TargetCheck,
    /// B2. The runtime role has what it needs and no more.
    Privileges,
    /// B3. A connection from each application host.
    Connectivity,
    /// C1. The application's migrations.
    Migrate {
        /// Command or idempotent SQL script.
        run: Migration,
        /// Pinned by the runbook, shown and recorded.
        version: String,
        /// Real time limit.
        timeout_ms: i64,
    },
    /// C2. History and schema.
    MigrationHistory,
    /// C3. Keeps the outputs of other steps, with hashes.
    KeepArtefacts { of: Vec<String> },
    /// D1. The order in which tables go.
    ExportOrder,
    /// D2. The rows.
    Import,
    /// D3. Identities and sequences.
    Sequences,
    /// D4. Constraints and indexes.
    Constraints,
    /// E1. Counts of every table, and that the import has ended.
    RowCounts,
    /// E2. Slugs, slices, joins, null / boolean / date.
    Samples,
    /// E3. Requests against staging.
    Smoke,
    /// E4. Green only when all it needs is.
    ParityGate,
    /// F1. The configuration switch.
    Switch { how: SwitchHow },
    /// F2. Canary, then batches.
    Rollout {
        /// Instances per batch after the canary.
        batch: u32,
    },
    /// F3. What a rollback needs is at hand.
    RollbackReady,
    /// V1.
    VerifyCounts,
    /// V2.
    VerifyEndpoints,
    /// V3.
    VerifySlugs,
    /// V4.
    VerifyOrder,
    /// V5.
    VerifyIntegrity,
    /// F4. Maintenance off; the fence stays on SQLite.
    Reopen,
    /// G1. Watches for a window.
    Stabilise {
        /// How long, in runbook time.
        window_ms: i64,
    },
    /// G2. Every M item green for a window.
    Checklist {
        /// How long, in runbook time.
        stays_green_ms: i64,
    },
    /// Any command of the operator's own.
    Command {
        action: Action,
        /// How to undo it on rollback.
        undo: Option<Action>,
    },
}

/// How the migrations run (C1).
#[derive(Debug, Clone)]
pub enum Migration {
    /// `dotnet ef database update`, a bundle, `manage.py migrate`, …
    Command(Action),
    /// An idempotent SQL script.
    Script(PathBuf),
}

/// Where the second copy goes (A3).
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a runbook holds one")]
pub enum Place {
    /// A folder, ideally on another disk.
    Directory(PathBuf),
    /// Upload, and read back to verify. `{file}` is the local file.
    Commands {
        /// Sends `{file}`.
        upload: Action,
        /// Fetches it back into `{file}`.
        read_back: Action,
    },
}

/// How the provider is switched (F1).
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a runbook holds one")]
pub enum SwitchHow {
    /// One key in every instance's configuration file (`fleet.config`).
    Key {
        /// Key; dots descend in a JSON file.
        key: String,
        /// Value that must be there before.
        from: String,
        /// Value that is written.
        to: String,
    },
    /// An action and its undo.
    Action {
        /// Switches to PostgreSQL.
        to_target: Action,
        /// Switches back to SQLite.
        to_source: Action,
    },
}

/// The key that the switch changes, and both of its values, which may hold placeholders and secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchedKey<'s> {
    pub name: &'s str,
    pub from: &'s str,
    pub to: &'s str,
}

impl StepKind {
    /// What this step writes into the configuration, where it is a switch by key.
    pub fn switched_key(&self) -> Option<SwitchedKey<'_>> {
        let StepKind::Switch { how } = self else {
            return None;
        };
        match how {
            SwitchHow::Key { key, from, to } => Some(SwitchedKey {
                name: key,
                from,
                to,
            }),
            SwitchHow::Action { .. } => None,
        }
    }
}

/// A row of the rollback list (R rows).
#[derive(Debug, Clone)]
pub struct RollbackRow {
    /// `R3`.
    pub id: String,
    pub title: String,
    pub kind: RollbackKind,
}

/// What a row of the rollback list does. [`RollbackWord`] is the kind alone.
#[derive(Debug, Clone, PartialEq, Eq, EnumDiscriminants)]
#[strum_discriminants(
    name(RollbackWord),
    derive(IntoStaticStr, EnumIter),
    strum(serialize_all = "snake_case"),
    doc = "A kind of rollback row, as written after `kind:`."
)]
pub enum RollbackKind {
    /// R1. Cancels what runs; nothing new starts.
    Halt,
    /// R1+. Writes to PostgreSQL are shut out, so that what users wrote stands still.
    FenceTarget,
    /// R2. Former configuration back, from the bytes kept.
    RestoreConfig,
    /// R2+. What users wrote to PostgreSQL comes into SQLite.
    BringBack,
    /// R3. Fence released, instances restarted.
    Restart {
        /// Restarts one instance without waiting for its requests, which hang with a target that does not answer; the fleet's own
        /// restart where absent.
        action: Option<Action>,
    },
    /// R4. Readiness, core requests, row counts on SQLite.
    Validate,
    /// R4+. Maintenance off.
    LiftFreeze,
    /// R5. Logs, settings, statistics, with hashes.
    Preserve {
        /// PostgreSQL's own logs, where this machine can read them.
        logs: Vec<PathBuf>,
        /// Dumps the target into `{file}`.
        dump: Option<Action>,
    },
    /// R6. Incident record; blocks the next attempt.
    Incident {
        /// Where the record is written.
        file: PathBuf,
    },
    /// Any command of the operator's own.
    Command(Action),
}
