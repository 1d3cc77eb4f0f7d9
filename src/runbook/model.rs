//! What a runbook says, as plain values. Not in here: YAML, locations and messages (`parse`), what must hold between the parts
//! (`check`). Durations are milliseconds of runbook time; ratios are fractions (`20%` is 0.2).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::placeholders::Placeholders;
use super::rehearsal::Unrehearsed;

mod fleet;
mod manager;
mod metrics;
mod notify;
mod probes;
mod steps;
mod verification;
mod watch;

pub use super::action::Action;
pub use super::discovery::Discovery;
pub use super::json_path::{JsonPath, JsonStep};
pub use super::transfer::Transfer;
pub use fleet::*;
pub use manager::*;
pub use metrics::*;
pub use notify::*;
pub use probes::*;
pub use steps::*;
pub use verification::*;
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
    /// Where the engine offers its figures; nowhere where absent.
    pub bridge_metrics: Option<SocketAddr>,
    /// Which gates are signed with SSH keys, and whose keys count.
    pub signatures: Option<Signatures>,
    /// Agreed windows and limits.
    pub limits: Limits,
    pub source: Source,
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
    pub probes: Vec<Probe>,
    /// T rows.
    pub triggers: Vec<Trigger>,
    /// M rows.
    pub monitoring: Vec<ChecklistItem>,
    /// Whom to tell what, of those who are not looking.
    pub notify: Vec<Channel>,
    /// What becomes of what users wrote to PostgreSQL.
    pub feed: Feed,
    /// R rows in the order in which they run.
    pub rollback: Vec<RollbackRow>,
    /// What a rehearsal leaves out of what the operator wrote; nothing where this is no rehearsed form.
    pub unrehearsed: Vec<Unrehearsed>,
    /// Every `${NAME}` that the file names, and its value; `None` where that is secret. Together with the file this is what `hash` is
    /// taken over.
    pub values: BTreeMap<String, Option<String>>,
    /// Names of the `${NAME}`s from which `source`, `target` and `fleet` are resolved: they lead to production.
    pub production_names: BTreeSet<String>,
    /// Whether a password stands written in the file.
    pub shows_password: bool,
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
        if let Some(status) = self.fleet.maintenance_answer.status {
            return status;
        }
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
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Drives the session.
    ReleaseManager,
    /// Knows the application.
    Engineer,
    /// Watches the pool.
    Dba,
    Qa,
}

impl Role {
    /// Every role, in the order in which screens list them.
    pub const ALL: [Role; 4] = [Role::ReleaseManager, Role::Engineer, Role::Dba, Role::Qa];

    /// As written in a runbook.
    pub fn key(self) -> &'static str {
        self.into()
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

/// What becomes of what users wrote to PostgreSQL when the session is rolled back (R1+, R2+).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    /// Whether it comes back into SQLite.
    pub writes: Writes,
    /// Milliseconds for which R1+ waits for transactions that are under way before it ends them.
    pub drain_ms: i64,
    /// Whether a value without an exact form in SQLite comes back as the nearest that there is.
    pub nearest: bool,
}

/// Where what users wrote to PostgreSQL is after a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// In SQLite, brought there by R2+.
    Keep,
    /// In the salvage file, to be brought in by people.
    Salvage,
}

#[derive(Debug, Clone)]
pub struct Source {
    /// The live file.
    pub file: PathBuf,
    /// Programs that may have it open although they are no instances, such as one that copies it.
    pub also_open: Vec<String>,
}

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
    /// Column beside it within whose values an id is unique, unquoted: ids are then `app.0001_initial`.
    pub within: Option<String>,
    /// Every id that must be there.
    pub expected: Vec<String>,
}

/// Names that schema validation looks for (T2c).
#[derive(Debug, Clone, Default)]
pub struct RequiredSchema {
    pub tables: Vec<String>,
    /// `Table.Column`.
    pub columns: Vec<String>,
    /// Indexes; they must be valid too.
    pub indexes: Vec<String>,
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
    pub title: String,
    /// The step before which it must be green.
    pub before: String,
    /// Machine evidence that must be green.
    pub evidence: Vec<EvidenceRef>,
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
