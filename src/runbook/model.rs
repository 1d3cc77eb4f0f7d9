//! What a runbook says, as plain values. Not in here: YAML, locations and messages (`parse`), what must hold between the parts
//! (`check`). Durations are milliseconds of runbook time; ratios are fractions (`20%` is 0.2).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use super::action::Action;
pub use super::transfer::Transfer;

/// A whole runbook, every `${NAME}` resolved.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// Names the cutover; a rollback is confirmed by typing the session's name, which begins with it.
    pub name: String,
    /// Names of `${NAME}`s whose values are secret.
    pub secrets: Vec<String>,
    /// The people on the bridge.
    pub people: Vec<Person>,
    /// Agreed windows and limits.
    pub limits: Limits,
    /// The SQLite side.
    pub source: Source,
    /// The PostgreSQL side.
    pub target: Target,
    /// The application's instances.
    pub fleet: Fleet,
    /// Which rows go where, and what may be changed on the way.
    pub transfer: Transfer,
    /// What counts as verified.
    pub verification: Verification,
    /// The scratch side for `cutover rehearse`; without it K3, K4 and K6 cannot turn green.
    pub rehearsal: Option<Rehearsal>,
    /// Go / no-go gates, K rows.
    pub gates: Vec<Gate>,
    /// P, A–G and V rows in the order in which they run.
    pub steps: Vec<Step>,
    /// What is watched.
    pub probes: Vec<Probe>,
    /// T rows.
    pub triggers: Vec<Trigger>,
    /// M rows.
    pub monitoring: Vec<ChecklistItem>,
    /// R rows in the order in which they run.
    pub rollback: Vec<RollbackRow>,
    /// What signatures cover.
    pub hash: RunbookHash,
}

/// SHA-256, in hex, over the file's bytes and the resolved value of every `${NAME}` that is not a secret; secrets count by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct RunbookHash(pub String);

/// The four roles of the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Drives the session.
    ReleaseManager,
    /// Knows the application.
    Engineer,
    /// Watches the pool.
    Dba,
    /// Signs gates.
    Qa,
}

impl Role {
    /// Every role, in the order in which screens list them.
    pub const ALL: [Role; 4] = [Role::ReleaseManager, Role::Engineer, Role::Dba, Role::Qa];

    /// As written in a runbook.
    pub fn key(self) -> &'static str {
        match self {
            Role::ReleaseManager => "release_manager",
            Role::Engineer => "engineer",
            Role::Dba => "dba",
            Role::Qa => "qa",
        }
    }

    /// As shown to people.
    pub fn title(self) -> &'static str {
        match self {
            Role::ReleaseManager => "release manager",
            Role::Engineer => "engineer",
            Role::Dba => "DBA",
            Role::Qa => "QA",
        }
    }
}

/// One person and the account under which they speak to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Short and unique; signatures and events name it.
    pub id: String,
    /// As shown.
    pub name: String,
    /// What they may act as.
    pub roles: Vec<Role>,
    /// User name of the operating system.
    pub user: String,
    /// Ids of people who may act in their place.
    pub deputies: Vec<String>,
}

/// Agreed windows and limits, all in milliseconds of runbook time unless they are I/O or grace, which never scale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How long writes may stay stopped.
    pub freeze_ms: i64,
    /// V1–V5 within this time of F1.
    pub verify_within_ms: i64,
    /// R1–R4+ within this time.
    pub rto_ms: i64,
    /// From a fired trigger to the rollback.
    pub countdown_ms: i64,
    /// Real time for which a restarted instance does not count for T1b.
    pub startup_grace_ms: i64,
    /// How long a trigger may be blind before that alarms.
    pub blind_ms: i64,
    /// A ratio over fewer requests says nothing.
    pub min_requests: u64,
}

/// The SQLite side.
#[derive(Debug, Clone)]
pub struct Source {
    /// The live file.
    pub file: PathBuf,
}

/// The PostgreSQL side.
#[derive(Clone)]
pub struct Target {
    /// Connection URL of the schema's owner. A secret.
    pub url: String,
    /// Connection URL as the application uses it. A secret.
    pub runtime_url: String,
    /// Schema that holds the application's tables.
    pub schema: String,
    /// Whether a connection without TLS fails B1.
    pub tls_required: bool,
    /// Where migrations are recorded.
    pub history: History,
    /// What must exist after the migrations (T2c).
    pub required: RequiredSchema,
}

/// Where migrations are recorded, and which must be there (C2).
#[derive(Debug, Clone)]
pub struct History {
    /// Table, unquoted.
    pub table: String,
    /// Column of the migration ids, unquoted.
    pub column: String,
    /// Every id that must be there.
    pub expected: Vec<String>,
}

/// Names that schema validation looks for (T2c).
#[derive(Debug, Clone, Default)]
pub struct RequiredSchema {
    /// Tables.
    pub tables: Vec<String>,
    /// `Table.Column`.
    pub columns: Vec<String>,
    /// Indexes; they must be valid too.
    pub indexes: Vec<String>,
}

/// The application's processes and how each is told what.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Production instances, canary marked.
    pub instances: Vec<Instance>,
    /// The staging slot that points at PostgreSQL for E3.
    pub staging: Option<Instance>,
    /// Configuration file; `{instance}` and `{host}` are replaced.
    pub config: Option<String>,
    /// Log file; `{instance}` and `{host}` are replaced.
    pub log: Option<String>,
    /// Readiness URL; `{url}` is replaced.
    pub ready: String,
    /// Prometheus text endpoint; `{url}` is replaced.
    pub metrics: Option<String>,
    /// Restarts one instance.
    pub restart: Action,
    /// Opens a connection to the target from the instance's own host (B3).
    pub connect: Option<Action>,
    /// Real time that a restarted instance may take to become ready.
    pub ready_within_ms: i64,
    /// Consecutive good answers that count as ready.
    pub ready_successes: u32,
}

/// One process of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Short and unique.
    pub id: String,
    /// Base URL, without a slash at the end.
    pub url: String,
    /// Host for the host's own commands; the URL's host where absent.
    pub host: String,
    /// Restarted first.
    pub canary: bool,
}

/// What counts as verified (E2, E3, V1–V5, T4).
#[derive(Debug, Clone)]
pub struct Verification {
    /// Tables whose rows must all be there (V1, T4a).
    pub critical: Vec<String>,
    /// Rows per table and kind of sample (E2).
    pub sample_rows: u32,
    /// Requests to staging, to each instance, and in between.
    pub requests: Vec<Request>,
    /// The representative write (V2), through maintenance's bypass.
    pub write: Option<Request>,
}

/// One synthetic request.
#[derive(Clone)]
pub struct Request {
    /// As shown.
    pub name: String,
    /// Whether it counts as a core read or a core write (M5).
    pub class: RequestClass,
    /// `GET` or `POST`.
    pub method: String,
    /// `{url}` is the instance's.
    pub url: String,
    /// Sent along; values may be secrets and are never shown.
    pub headers: Vec<(String, String)>,
    /// Sent along.
    pub body: Option<String>,
    /// Expected status.
    pub status: u16,
    /// Text that the body must contain.
    pub contains: Option<String>,
    /// Whether the body must equal what the SQLite side answered with the baseline.
    pub compare_body: bool,
}

/// Core read or core write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestClass {
    /// Changes nothing.
    Read,
    /// Changes something.
    Write,
}

/// The scratch side of a rehearsal.
#[derive(Clone)]
pub struct Rehearsal {
    /// Owner's URL of the scratch database. A secret.
    pub url: String,
    /// Runtime role's URL of the scratch database. A secret.
    pub runtime_url: String,
    /// How old a rehearsal may be to count.
    pub max_age_ms: i64,
    /// Where the copy of the SQLite file goes.
    pub copy: PathBuf,
    /// Points the staging slot at the copy and the scratch database.
    pub point: Option<Action>,
    /// Undoes `point`.
    pub unpoint: Option<Action>,
}

/// A go / no-go gate (K rows).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// `K1`.
    pub id: String,
    /// As shown.
    pub title: String,
    /// The step before which it must be green.
    pub before: String,
    /// Machine evidence that must be green.
    pub evidence: Vec<EvidenceRef>,
    /// Who must sign.
    pub signers: Vec<Role>,
}

/// Where a gate's evidence comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceRef {
    /// A step that is done, by its id.
    Step(String),
    /// A part of the newest rehearsal of this runbook.
    Rehearsal(RehearsalPart),
}

/// What a rehearsal proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RehearsalPart {
    /// K3: the migrations ran and left a complete schema.
    Migrations,
    /// K4: the import passed its parity checks.
    Import,
    /// K6: the rollback ran within the RTO.
    Rollback,
}

/// One row that runs before, during or after the switch.
#[derive(Debug, Clone)]
pub struct Step {
    /// The protocol's row, such as `A2`.
    pub id: String,
    /// As shown.
    pub title: String,
    /// What it does.
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

/// Who starts a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The release manager.
    Person,
    /// The engine, once everything before it is done and its gates are green.
    Auto,
}

/// What a step does, with its fields.
#[derive(Debug, Clone)]
pub enum StepKind {
    /// P1. Posts to a chat webhook as JSON with `text`, and writes it to the journal. `{name}` and `{freeze}` are replaced.
    Announce {
        /// What is said.
        text: String,
        /// Where to; the journal alone where absent.
        webhook: Option<String>,
    },
    /// P2. Done when somebody of each role has confirmed.
    Confirm {
        /// Who must.
        roles: Vec<Role>,
    },
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
    },
    /// A2. Online backup, checked, hashed, read-only.
    Backup {
        /// Folder.
        to: PathBuf,
        /// How long it is kept; recorded, never acted on.
        keep_ms: i64,
    },
    /// A3. The second place, verified by reading back.
    StoreBackup {
        /// Where.
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
    KeepArtefacts {
        /// Steps.
        of: Vec<String>,
    },
    /// D1. The order in which tables go.
    ExportOrder,
    /// D2. The rows.
    Import,
    /// D3. Identities and sequences.
    Sequences,
    /// D4. Constraints and indexes.
    Constraints,
    /// E1. Counts of every table.
    RowCounts,
    /// E2. Slugs, slices, joins, null / boolean / date.
    Samples,
    /// E3. Requests against staging.
    Smoke,
    /// E4. Green only when all it needs is.
    ParityGate,
    /// F1. The configuration switch.
    Switch {
        /// How.
        how: SwitchHow,
    },
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
        /// What to run.
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

/// Something that is watched.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Short and unique.
    pub id: String,
    /// What it asks.
    pub kind: ProbeKind,
    /// Runbook time between two samples; never scaled below 200 ms.
    pub interval_ms: i64,
    /// Real time limit of one sample.
    pub timeout_ms: i64,
}

/// What a probe asks, and which signals come of it (see [`Probe::signals`]).
#[derive(Debug, Clone)]
pub enum ProbeKind {
    /// Every instance's readiness.
    Readiness,
    /// Every instance's `/metrics`: rates over a sliding window.
    Metrics {
        /// Length of the window, in runbook time.
        window_ms: i64,
    },
    /// The verification section's requests, through the fleet in turn.
    Synthetic,
    /// `pg_stat_activity` of the target.
    Pool,
    /// The instances' log files.
    Logs {
        /// First match decides.
        rules: Vec<LogRule>,
    },
}

/// Sorts log lines.
#[derive(Debug, Clone)]
pub struct LogRule {
    /// One of [`LogRule::CATEGORIES`].
    pub category: String,
    /// Regular expression.
    pub pattern: String,
}

impl LogRule {
    /// What the monitoring checklist knows.
    pub const CATEGORIES: [&str; 7] = [
        "host_booted",
        "services_initialised",
        "unhandled_exception",
        "migration_completed",
        "pending_migration",
        "ddl_exception",
        "database_exception",
    ];
}

impl Probe {
    /// The signals that this probe makes. `ready` has one series per instance (`ready.<instance>`).
    pub fn signals(&self) -> Vec<String> {
        let fixed: &[&str] = match &self.kind {
            ProbeKind::Readiness => &["ready", "unready_ratio"],
            ProbeKind::Metrics { .. } => &[
                "http_5xx_ratio",
                "http_4xx_ratio",
                "requests_per_s",
                "latency_p50_ms",
                "latency_p95_ms",
                "latency_p99_ms",
                "pool_active",
                "pool_idle",
                "pool_waiting",
                "pool_max",
                "pool_used_ratio",
                "pool_timeouts",
            ],
            ProbeKind::Synthetic => &[
                "synthetic_failed_ratio",
                "synthetic_read_ms",
                "synthetic_write_ms",
            ],
            ProbeKind::Pool => &[
                "pg_active",
                "pg_idle",
                "pg_idle_in_transaction",
                "pg_waiting",
                "pg_max",
            ],
            ProbeKind::Logs { .. } => {
                return LogRule::CATEGORIES
                    .iter()
                    .map(|c| format!("log_{c}"))
                    .chain(["instances_booted_ratio".to_owned()])
                    .collect();
            }
        };
        fixed.iter().map(|s| (*s).to_owned()).collect()
    }
}

/// A rollback trigger (T rows).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// `T3a`.
    pub id: String,
    /// As shown.
    pub title: String,
    /// Armed once this step has started.
    pub from: String,
    /// Disarmed once this step is done; until release where absent.
    pub until: Option<String>,
    /// What fires it.
    pub when: Condition,
}

/// What a trigger or a checklist item judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A named check that a step made has failed, at the step's final outcome.
    Check {
        /// Such as `migration_exit`, `row_counts`.
        check: String,
    },
    /// A signal is beyond a bound for a while.
    Signal {
        /// Which; one streak per instance where `per_instance`.
        signal: String,
        /// Judge `signal.<instance>` for each instance apart.
        per_instance: bool,
        /// Beyond what.
        bound: Bound,
        /// For how long, in runbook time; 0 fires on the first sample.
        for_ms: i64,
    },
}

/// A bound that must not be passed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Bad when greater.
    Above(f64),
    /// Bad when smaller.
    Below(f64),
    /// Bad when greater than `max(multiple × baseline, floor)`.
    AboveBaseline {
        /// Multiple of the baseline.
        multiple: f64,
        /// So that a baseline of zero neither hides nor fires.
        floor: f64,
    },
}

/// An item of the monitoring checklist (M rows): green when no condition is passed and all have data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// `M3`.
    pub id: String,
    /// As shown.
    pub title: String,
    /// `(signal, bound)`; the bound is what makes it red.
    pub conditions: Vec<(String, Bound)>,
}

/// A row of the rollback list (R rows).
#[derive(Debug, Clone)]
pub struct RollbackRow {
    /// `R3`.
    pub id: String,
    /// As shown.
    pub title: String,
    /// What it does.
    pub kind: RollbackKind,
}

/// What a row of the rollback list does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackKind {
    /// R1. Cancels what runs; nothing new starts.
    Halt,
    /// R2. Former configuration back, from the bytes kept.
    RestoreConfig,
    /// R3. Fence released, instances restarted.
    Restart,
    /// R4. Readiness, core requests, row counts on SQLite.
    Validate,
    /// R4+. Maintenance off.
    LiftFreeze,
    /// R5. Logs, settings, statistics, with hashes.
    Preserve,
    /// R6. Incident record; blocks the next attempt.
    Incident {
        /// Where the record is written.
        file: PathBuf,
    },
    /// Any command of the operator's own.
    Command(Action),
}
