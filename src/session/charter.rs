//! The part of a runbook that the rules need: no secret, nothing that does I/O. It is written into the journal when a session
//! opens, so that a journal can be read without its runbook. Not in here: the rules themselves.

use serde::{Deserialize, Serialize};

use super::signing::SigningRules;
use crate::identity::{SourceIdentity, TargetIdentity};
use crate::runbook::rehearsal::Unrehearsed;
use crate::runbook::{
    Channel, ChecklistItem, Gate, Limits, Means, Occasion, Person, Ring, Role, Runbook,
    RunbookHash, Start, StepKind, StepWord, Trigger, feed,
};

/// What a session is bound by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Charter {
    /// Name of the session; typed to confirm a rollback.
    pub session: String,
    /// What every signature covers.
    pub runbook_hash: RunbookHash,
    /// The database that the application is taken to: `host:port/name`, without user or password. Empty in journals of before.
    #[serde(default)]
    pub target: String,
    /// By what both databases were known when the session was opened.
    #[serde(default)]
    pub production: Production,
    /// The target's name, typed by whoever opened the session on a database that was released to before; it may be emptied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
    /// Whether this is the sandbox, which alone lets people say who they are. Its evidence counts here only.
    pub sandbox: bool,
    /// Whether this is a rehearsal on the scratch side.
    pub rehearsal: bool,
    /// Runbook time runs this many times faster than real time. 1 outside the sandbox and rehearsals.
    pub speed: f64,
    /// The people on the bridge.
    pub people: Vec<Person>,
    /// Beyond this age, in real time, a rehearsal is no evidence; `None` where the runbook has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal_max_age_ms: Option<i64>,
    /// Which gates have to be signed with an SSH key; `None` where the runbook names no allowed signers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<SigningRules>,
    /// Agreed limits, in runbook time.
    pub limits: Limits,
    /// K rows.
    pub gates: Vec<Gate>,
    /// P, A–G and V rows in order.
    pub steps: Vec<StepLine>,
    /// T rows.
    pub triggers: Vec<Trigger>,
    /// M rows.
    pub monitoring: Vec<ChecklistItem>,
    /// R rows in order.
    pub rollback: Vec<RowLine>,
    /// Whether a rollback brings what users wrote to PostgreSQL into SQLite: it has the rows for that, and is asked to. Not so in journals of
    /// before.
    #[serde(default)]
    pub keeps_writes: bool,
    /// Instances in rollout order, the canary first.
    pub instances: Vec<InstanceLine>,
    /// How cockpits make themselves noticed. Empty in journals of before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rings: Vec<RingLine>,
    /// What a rehearsal leaves out of what the operator wrote. Empty for a night, and in journals of before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrehearsed: Vec<Unrehearsed>,
}

/// By what both databases are known; none where it could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Production {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceIdentity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetIdentity>,
}

/// What cockpits know of a terminal's way of making itself noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingLine {
    pub ring: Ring,
    pub events: Vec<Occasion>,
}

/// What the rules know of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepLine {
    /// `A2`.
    pub id: String,
    pub title: String,
    /// What the rules treat apart.
    pub kind: LineKind,
    /// Its kind as the runbook writes it. Not known in journals of before, and for rows of a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<StepWord>,
    pub start: Start,
    /// How often it may be tried for passing faults.
    pub attempts: u32,
    /// Whether a person may skip it.
    pub may_skip: bool,
    /// Steps that must be done first, besides all earlier ones.
    pub needs: Vec<String>,
    /// For how long every item of the checklist has to stay green, in runbook time; not known in journals of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays_green_ms: Option<i64>,
}

/// The kinds of step that mean something to the rules; all others are `Work`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Done when somebody of each role has confirmed.
    Confirm(Vec<Role>),
    /// The freeze begins with it.
    Freeze,
    /// The backup: drift voids it and all that was built on it.
    Backup,
    /// The first rows that change the target.
    Target,
    /// The switch: all gates must be green; the 15 minutes begin.
    Switch,
    /// Part of V1–V5.
    Verify,
    /// The freeze ends with it.
    Reopen,
    /// Completion is possible once it is done.
    Checklist,
    Work,
}

/// What the rules know of a rollback row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowLine {
    /// `R3`.
    pub id: String,
    pub title: String,
    /// Whether the application serves again once it is done (the RTO ends with the last such row).
    pub within_rto: bool,
    /// Whether it is about what users wrote to PostgreSQL alone: the application serves without it.
    #[serde(default)]
    pub brings: bool,
    /// Whether it takes something back; the others halt, look or keep.
    #[serde(default)]
    pub undoes: bool,
    /// Whether it keeps what users wrote to PostgreSQL.
    #[serde(default)]
    pub keeps: bool,
}

/// What the rules know of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceLine {
    /// `app-1`.
    pub id: String,
    /// Restarted first.
    pub canary: bool,
}

/// How a session is opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// Name of the session.
    pub session: String,
    /// See [`Charter::target`].
    pub target: String,
    /// See [`Charter::production`].
    pub production: Production,
    /// See [`Charter::again`].
    pub again: Option<String>,
    /// See [`Charter::sandbox`].
    pub sandbox: bool,
    /// See [`Charter::rehearsal`].
    pub rehearsal: bool,
    /// See [`Charter::speed`].
    pub speed: f64,
    /// Steps that a person starts, whatever the runbook says: where the sandbox is about to inject a fault.
    pub wait_before: Vec<String>,
}

impl Charter {
    /// The charter of a session on this runbook.
    pub fn new(runbook: &Runbook, opening: Opening) -> Charter {
        use crate::runbook::RollbackKind as R;
        let mut instances: Vec<_> = runbook
            .fleet
            .instances
            .iter()
            .map(|i| InstanceLine {
                id: i.id.clone(),
                canary: i.canary,
            })
            .collect();
        instances.sort_by_key(|i| !i.canary);
        let mut steps: Vec<_> = runbook.steps.iter().map(StepLine::from).collect();
        for step in steps
            .iter_mut()
            .filter(|s| opening.wait_before.contains(&s.id))
        {
            step.start = Start::Person;
        }
        Charter {
            session: opening.session,
            target: opening.target,
            production: opening.production,
            again: opening.again,
            runbook_hash: runbook.hash.clone(),
            sandbox: opening.sandbox,
            rehearsal: opening.rehearsal,
            speed: opening.speed,
            people: runbook.people.clone(),
            rehearsal_max_age_ms: runbook.rehearsal.as_ref().map(|r| r.max_age_ms),
            signing: runbook.signatures.as_ref().map(|s| SigningRules {
                gates: s.gates(&runbook.gates),
            }),
            limits: runbook.limits.clone(),
            gates: runbook.gates.clone(),
            steps,
            triggers: runbook.triggers.clone(),
            monitoring: runbook.monitoring.clone(),
            rollback: runbook
                .rollback
                .iter()
                .map(|row| RowLine {
                    id: row.id.clone(),
                    title: row.title.clone(),
                    within_rto: !matches!(row.kind, R::Preserve { .. } | R::Incident { .. }),
                    brings: matches!(row.kind, R::FenceTarget | R::BringBack),
                    undoes: matches!(
                        row.kind,
                        R::RestoreConfig | R::Restart { .. } | R::LiftFreeze | R::Command(_)
                    ),
                    keeps: matches!(row.kind, R::Preserve { .. }),
                })
                .collect(),
            keeps_writes: feed::keeps_writes(runbook),
            instances,
            rings: runbook.notify.iter().filter_map(ring_line).collect(),
            unrehearsed: runbook.unrehearsed.clone(),
        }
    }

    /// Real milliseconds that a duration of the runbook takes.
    pub fn real_ms(&self, runbook_ms: i64) -> i64 {
        (runbook_ms as f64 / self.speed).round() as i64
    }

    /// Runbook milliseconds that have gone by in real ones.
    pub fn runbook_ms(&self, real_ms: i64) -> i64 {
        (real_ms as f64 * self.speed).round() as i64
    }

    /// Position of a step in the sequence.
    pub fn step_index(&self, id: &str) -> Option<usize> {
        self.steps.iter().position(|s| s.id == id)
    }

    /// Position of the first step of a kind.
    pub fn index_of_kind(&self, kind: &LineKind) -> Option<usize> {
        self.steps.iter().position(|s| &s.kind == kind)
    }

    /// Whether a gate has to be signed with an SSH key.
    pub fn wants_ssh(&self, gate: &str) -> bool {
        let rules = self.signing.as_ref();
        rules.is_some_and(|rules| rules.gates.iter().any(|g| g == gate))
    }

    /// In whose place somebody acts in a role that is not their own; `None` in one that is.
    pub fn stands_in_for(&self, person: &str, role: Role) -> Option<String> {
        if self.person(person)?.roles.contains(&role) {
            return None;
        }
        let holders = self.people.iter().filter(|p| p.roles.contains(&role));
        let absent = holders
            .into_iter()
            .find(|p| p.deputies.iter().any(|d| d == person))?;
        Some(absent.id.clone())
    }

    /// The person with this id.
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|p| p.id == id)
    }
}

fn ring_line(channel: &Channel) -> Option<RingLine> {
    let Means::Terminal(ring) = channel.means else {
        return None;
    };
    Some(RingLine {
        ring,
        events: channel.events.clone(),
    })
}

impl From<&crate::runbook::Step> for StepLine {
    fn from(step: &crate::runbook::Step) -> StepLine {
        let kind = match &step.kind {
            StepKind::Confirm { roles } => LineKind::Confirm(roles.clone()),
            StepKind::Freeze { .. } => LineKind::Freeze,
            StepKind::Backup { .. } => LineKind::Backup,
            StepKind::Migrate { .. } | StepKind::Import => LineKind::Target,
            StepKind::Switch { .. } => LineKind::Switch,
            StepKind::VerifyCounts
            | StepKind::VerifyEndpoints
            | StepKind::VerifySlugs
            | StepKind::VerifyOrder
            | StepKind::VerifyIntegrity => LineKind::Verify,
            StepKind::Reopen => LineKind::Reopen,
            StepKind::Checklist { .. } => LineKind::Checklist,
            StepKind::Announce { .. }
            | StepKind::Baseline { .. }
            | StepKind::StoreBackup { .. }
            | StepKind::RestoreDrill { .. }
            | StepKind::TargetCheck
            | StepKind::Privileges
            | StepKind::Connectivity
            | StepKind::MigrationHistory
            | StepKind::KeepArtefacts { .. }
            | StepKind::ExportOrder
            | StepKind::Sequences
            | StepKind::Constraints
            | StepKind::RowCounts
            | StepKind::Samples
            | StepKind::Smoke
            | StepKind::ParityGate
            | StepKind::Rollout { .. }
            | StepKind::RollbackReady
            | StepKind::Stabilise { .. }
            | StepKind::Command { .. } => LineKind::Work,
        };
        let stays_green_ms = if let StepKind::Checklist { stays_green_ms } = &step.kind {
            Some(*stays_green_ms)
        } else {
            None
        };
        StepLine {
            id: step.id.clone(),
            title: step.title.clone(),
            kind,
            word: Some(StepWord::from(&step.kind)),
            start: step.start,
            attempts: step.attempts,
            may_skip: step.may_skip,
            needs: step.needs.clone(),
            stays_green_ms,
        }
    }
}
