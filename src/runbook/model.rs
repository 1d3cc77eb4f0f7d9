//! What a runbook says, as plain values. Not in here: YAML, locations and messages (`parse`), what must hold between the parts
//! (`check`). Durations are milliseconds of runbook time; ratios are fractions (`20%` is 0.2).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::placeholders::Placeholders;

mod notify;
mod probes;
mod steps;
mod watch;

pub use super::action::Action;
pub use super::transfer::Transfer;
pub use notify::*;
pub use probes::*;
pub use steps::*;
pub use watch::*;

/// A whole runbook, every `${NAME}` resolved.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// Names the cutover; a rollback is confirmed by typing the session's name, which begins with it.
    pub name: String,
    /// Names of `${NAME}`s whose values are secret.
    pub secrets: Vec<String>,
    /// The people on the bridge.
    pub people: Vec<Person>,
    /// The operating system's group that is let into the session's folder; where absent, whichever that folder has.
    pub bridge_group: Option<String>,
    /// A folder on another disk than the session's, for events for which that one has no room.
    pub bridge_spare: Option<PathBuf>,
    /// Which gates are signed with SSH keys, and whose keys count.
    pub signatures: Option<Signatures>,
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
    /// Whom to tell what, of those who are not looking.
    pub notify: Vec<Channel>,
    /// R rows in the order in which they run.
    pub rollback: Vec<RollbackRow>,
    /// Every `${NAME}` that the file names, and its value; `None` where that is secret. Together with the file this is what `hash` is
    /// taken over.
    pub values: BTreeMap<String, Option<String>>,
    /// Names of the `${NAME}`s from which `source`, `target` and `fleet` are resolved: they lead to production.
    pub production_names: BTreeSet<String>,
    /// Whether a password stands written in the file.
    pub shows_password: bool,
    /// What signatures cover.
    pub hash: RunbookHash,
}

impl Runbook {
    /// Whether somebody may act in a role: their own, or that of somebody whose deputy they are.
    pub fn may_act(&self, person: &Person, role: Role) -> bool {
        let holders = self.people.iter().filter(|p| p.roles.contains(&role));
        let mut able = holders.into_iter();
        able.any(|p| p.id == person.id || p.deputies.contains(&person.id))
    }

    /// Fills what follows the session into the values of a switch by key: they are written where the application reads its own secrets.
    pub fn fill_switch(&mut self, values: &Placeholders) {
        for step in &mut self.steps {
            if let StepKind::Switch {
                how: SwitchHow::Key { from, to, .. },
            } = &mut step.kind
            {
                for value in [from, to] {
                    *value = values.revealed(value);
                }
            }
        }
    }

    /// With which HTTP status maintenance answers.
    pub fn maintenance_status(&self) -> u16 {
        let of = |step: &Step| match &step.kind {
            StepKind::Freeze { status, .. } => Some(*status),
            _ => None,
        };
        let status = self.steps.iter().find_map(of);
        status.unwrap_or(MAINTENANCE_STATUS)
    }

    /// How a rollback undoes a step of the operators' own, by its id.
    pub fn undo_of(&self, step: &str) -> Option<&Action> {
        let step = self.steps.iter().find(|s| s.id == step)?;
        match &step.kind {
            StepKind::Command { undo, .. } => undo.as_ref(),
            _ => None,
        }
    }
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
    /// As whom the list of allowed signers knows their SSH key; their id where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Ids of people who may act in their place.
    pub deputies: Vec<String>,
}

impl Person {
    /// As whom the list of allowed signers knows their SSH key.
    pub fn principal(&self) -> &str {
        self.principal.as_deref().unwrap_or(&self.id)
    }
}

/// Signatures that are made with SSH keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatures {
    /// OpenSSH's list of whose key counts as whose (`allowed_signers`).
    pub allowed_signers: PathBuf,
    /// OpenSSH's list of revoked keys: a KRL, or public keys line by line.
    pub revoked: Option<PathBuf>,
    /// Which gates have to be signed so.
    pub required: SignedGates,
}

/// Which gates have to be signed with an SSH key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedGates {
    /// Every one.
    All,
    /// These, by id.
    These(Vec<String>),
}

impl Signatures {
    /// Ids of the gates that have to be signed with an SSH key.
    pub fn gates(&self, gates: &[Gate]) -> Vec<String> {
        match &self.required {
            SignedGates::All => gates.iter().map(|g| g.id.clone()).collect(),
            SignedGates::These(ids) => ids.clone(),
        }
    }
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
    /// The page that says which database an instance serves from.
    pub provider: Option<ProviderPage>,
    /// The page that says whether an instance is in maintenance.
    pub maintenance: Option<MaintenancePage>,
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

/// A page of the application that says which database an instance serves from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderPage {
    /// `{url}` is replaced. Its status does not matter: an instance that is not ready may say it too.
    pub url: String,
    /// Regular expression that matches the body of an instance that serves from SQLite.
    pub sqlite: String,
    /// The same for PostgreSQL.
    pub postgres: String,
}

/// A page of the application that says whether an instance is in maintenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenancePage {
    /// `{url}` is replaced. Its status does not matter.
    pub url: String,
    /// Regular expression that matches the body of an instance that refuses writes.
    pub on: String,
    /// The same of one that lets them in.
    pub off: String,
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
    /// Rows that are read from PostgreSQL per second at most, once the application is on it (V).
    pub rows_per_second: u32,
    /// How long one statement of V may take.
    pub statement_limit_ms: i64,
    /// Requests to staging, to each instance, and in between.
    pub requests: Vec<Request>,
    /// The representative write (V2), through maintenance's bypass.
    pub write: Option<Request>,
    /// Tables into which E2 and V5 may write a row that is rolled back.
    pub write_probe: Vec<String>,
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
