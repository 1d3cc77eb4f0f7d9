//! What has happened, in the past tense. Events are the only thing that a session's state is made of; they go into the journal
//! word for word. Not in here: samples and progress, which are not chained.

mod outcome;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::{EnumIter, IntoStaticStr};

use super::charter::Charter;
use super::discard::Rows;
use super::grants::FormerGrants;
use super::membership::Change;
use super::shape::Shape;
use crate::runbook::{RehearsalPart, Role, RunbookHash};

pub use outcome::{Check, Found, Outcome};

/// One thing that has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The session began; the runbook's hash is pinned.
    SessionOpened { charter: Box<Charter> },
    /// An engine took the lease.
    EngineStarted {
        pid: u32,
        /// Its version of `cutover`.
        version: String,
        /// Boot of the machine; durations are exact within one.
        boot_id: String,
        /// The boot clock at this event, so that others on this machine can tell the session's time.
        boot_ms: i64,
    },
    /// An engine looked at the source's schema, for the first time, or found another one than before.
    SourceSeen { shape: Shape },
    /// A rehearsal was found, or had ended.
    RehearsalRecorded { rehearsal: RehearsalEvidence },
    StepStarted {
        step: String,
        /// From 1.
        attempt: u32,
        /// Who; `None` is the engine, after a step that a person had started.
        by: Option<String>,
    },
    /// Somebody agreed that a step deletes rows of the target that the source does not have; the step starts in the same moment.
    DiscardAgreed {
        step: String,
        by: String,
        /// How many rows, by table.
        rows: Rows,
    },
    /// Somebody confirmed a step of kind `confirm`.
    StepConfirmed {
        step: String,
        role: Role,
        by: String,
    },
    StepFinished {
        step: String,
        /// From 1.
        attempt: u32,
        outcome: Outcome,
    },
    /// The engine died while the step ran; nobody knows yet how far it came.
    StepLost {
        step: String,
        /// From 1.
        attempt: u32,
    },
    /// It has been found out what an unknown step had done.
    StepFoundOut {
        step: String,
        found: Found,
        /// Who decided, where no machine could.
        by: Option<String>,
    },
    /// A person skipped a step that the runbook lets them skip.
    StepSkipped {
        step: String,
        by: String,
        reason: String,
    },
    /// How to undo something, recorded before it is done.
    UndoRecorded {
        /// The step that is about to do it.
        step: String,
        undo: Undo,
    },
    GateSigned {
        gate: String,
        /// By whom, for what.
        signature: Signature,
    },
    SignatureWithdrawn {
        gate: String,
        role: Role,
        by: String,
    },
    /// An engine that took up again found an SSH signature that does not hold (any more).
    SignatureVoided {
        gate: String,
        role: Role,
        /// By whom it is said to be.
        by: String,
        /// What is wrong with it, made harmless.
        why: String,
    },
    /// What follows, in the same moment, somebody did in the place of another.
    DeputyActed {
        by: String,
        /// In whose place.
        absent: String,
        role: Role,
    },
    /// Nothing new starts.
    SessionHeld { by: String, reason: String },
    /// Things may start again.
    SessionResumed { by: String },
    /// The freeze may last longer.
    FreezeExtended {
        by: String,
        /// By how much, in runbook time.
        by_ms: i64,
    },
    /// The freeze has lasted longer than agreed.
    FreezeOverran {
        /// The limit that was passed, in runbook time.
        limit_ms: i64,
    },
    /// SQLite was written to although it was frozen: what was built on the freeze is void.
    DriftFound { detail: String },
    /// SQLite was written to after the switch, although it stays fenced: those rows are not in PostgreSQL, and F4 lets nobody write.
    WrittenAfterSwitch { detail: String },
    /// A trigger changed its state.
    TriggerMoved {
        /// Which: `T3a`, or `T1a.app-3` where it judges each instance.
        trigger: String,
        state: TriggerPhase,
        /// In words and numbers.
        reason: String,
    },
    /// A trigger fired: rollback is mandatory.
    TriggerFired {
        trigger: String,
        /// In words and numbers.
        reason: String,
    },
    RollbackStarted {
        cause: RollbackCause,
        reason: String,
    },
    /// A row of the rollback began; a repeated one is a retry after the engine died.
    RollbackRowStarted {
        /// `R3`.
        row: String,
    },
    /// A row of the rollback ended.
    RollbackRowFinished {
        /// `R3`.
        row: String,
        /// How. A failed row is named and does not stop the others.
        outcome: Outcome,
    },
    RolledBack {
        /// Whether the application serves from SQLite again.
        healthy: bool,
    },
    /// Rows of a rollback that had ended are run again.
    RollbackRetried {
        by: String,
        /// Which, in their order.
        rows: Vec<String>,
    },
    /// The release manager completed the release.
    SessionCompleted { by: String },
    /// Somebody wrote a note.
    NoteWritten { by: String, text: String },
    /// After a rollback: somebody recorded what was corrected (R6).
    CorrectionRecorded {
        by: String,
        what: String,
        /// Whether what users wrote to PostgreSQL, and what no salvage file holds, is given up.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        gives_up_rows: bool,
    },
    /// After the end: somebody looked at what was left, and closed the session unless something stays open.
    SessionClosed {
        by: String,
        /// What was found, a line each.
        found: Vec<String>,
        /// Something of it is left to do, and the session is not closed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stays_open: bool,
    },
    /// Instances have come, gone, moved, or taken another's place.
    MembershipChanged {
        /// What, in its order.
        changes: Vec<Change>,
    },
    /// Something that people should know and that changes no state.
    AlarmRaised {
        text: String,
        /// The trigger that sees nothing, where it is about that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blind: Option<String>,
    },
}

/// How a finding begins that is left to do, of what `cutover close` looks at.
pub const OPEN: &str = "OPEN";

/// Of what was found, how much is left to do.
pub fn left_to_do(found: &[String]) -> usize {
    found.iter().filter(|line| line.starts_with(OPEN)).count()
}

/// That SQLite was written after the switch, for people.
pub fn written(detail: &str) -> String {
    format!("SQLite was written after the switch: {detail}")
}

/// What a release gives up where SQLite was written after the switch, for people.
pub fn given_up(detail: &str) -> String {
    format!(
        "{}; those rows are not in PostgreSQL, and the release gives them up",
        written(detail)
    )
}

impl Event {
    /// An alarm that does not say that a trigger is blind.
    pub fn alarm(text: String) -> Event {
        Event::AlarmRaised { text, blind: None }
    }
}

/// How to undo what a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// Maintenance was turned on: turn it off.
    Maintenance,
    /// The write fence was raised: release it.
    Fence,
    /// A configuration file was changed: put the former bytes back.
    Config {
        instance: String,
        path: PathBuf,
        /// Hash of the former bytes, kept as an artefact.
        former_sha256: String,
        /// Hash of the bytes as `cutover` wrote them; others mean that somebody else has edited the file since.
        written_sha256: String,
    },
    /// The switch was an action: run its undo.
    SwitchAction,
    /// An instance was restarted: restart it again.
    Restart { instance: String },
    /// A command of the operator's own has an undo.
    Command,
    /// Writes to the moved tables were revoked: give the rights back that others than the owner had. A rollback leaves them revoked; closing
    /// the session gives them back, or the next session on this target.
    TargetGrants {
        /// The rights as they were, by table; those that somebody else than the owner could write.
        former: Vec<FormerGrants>,
    },
}

/// A signature on a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub by: String,
    pub role: Role,
    /// What it covers: the runbook.
    pub runbook_hash: RunbookHash,
    /// What it covers: the gate's evidence at that time.
    pub evidence_hash: String,
    /// In whose place, for a deputy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_in_for: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What they signed with their SSH key, where they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<Box<SshSignature>>,
}

/// A signature by an SSH key: everything that OpenSSH needs to check it again, without `cutover`, but the list of allowed signers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshSignature {
    /// The text that was signed; see `docs/signatures.md`.
    pub message: String,
    /// As `ssh-keygen -Y sign` wrote it.
    pub signature: String,
    /// OpenSSH's namespace.
    pub namespace: String,
    /// As whom the key was listed.
    pub principal: String,
    /// The key's fingerprint.
    pub key: String,
    /// The engine's wall clock, as of which it was checked.
    pub at: chrono::DateTime<chrono::Utc>,
    /// SHA-256 of the list of allowed signers that was asked; kept as an artefact.
    pub allowed_signers_sha256: String,
    /// SHA-256 of the list of revoked keys that was asked, where there is one; kept as an artefact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_sha256: Option<String>,
}

/// What a rehearsal proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalEvidence {
    /// Name of its session.
    pub session: String,
    /// The runbook that was rehearsed.
    pub runbook_hash: RunbookHash,
    /// Whether it was run in a sandbox.
    pub sandbox: bool,
    /// Head of its journal's chain.
    pub head: String,
    /// When it ended: seconds since 1970.
    pub ended_unix_s: i64,
    /// The source's schema, as it was frozen. `None` where it did not get that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Shape>,
    /// Which parts passed, each with a line for people.
    pub parts: Vec<(RehearsalPart, bool, String)>,
    /// Real time its rollback took, R1–R4+.
    pub rollback_ms: i64,
    /// Real time that each step and each row of the rollback took, in milliseconds, by id. Empty in rehearsals of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub took_ms: Vec<(String, i64)>,
    /// Actions of the runbook that were not run, each with the reason: they might have reached production.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_run: Vec<String>,
    /// What would have ended the night, a line each: such a rehearsal does not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<String>,
    /// Everything that was not rehearsed, a sentence each, with the part to which it belongs. It lowers the confidence score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_rehearsed: Vec<(RehearsalPart, String)>,
}

impl RehearsalEvidence {
    /// Whether it counts: every part of it passed, and nothing stands against it.
    pub fn is_green(&self) -> bool {
        let all = self.parts.iter().all(|(_, ok, _)| *ok);
        self.parts.len() == 3 && all && self.against.is_empty()
    }
}

/// Where a trigger is. See the protocol's "A trigger".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum TriggerPhase {
    /// The condition does not hold.
    Clear,
    /// It holds, but not for long enough.
    Burning,
    /// Too little data to say.
    Blind,
    /// The streak reached its full duration. Final.
    Fired,
}

/// Who or what began the rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum RollbackCause {
    /// A person, by name.
    Person { by: String },
    /// A trigger, after its countdown.
    Trigger { trigger: String },
}

/// No session lasts longer: what is reckoned with its times stays a number. Over five hundred years, as far as a journal's times reach.
const LONGEST_MS: i64 = 1 << 44;

/// An event with its place and time in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// From 1, without gaps.
    pub seq: u64,
    /// Session time: milliseconds since the session opened, by a clock that does not jump.
    pub at_ms: i64,
    /// Wall clock, for people; order and durations never depend on it.
    pub wall: chrono::DateTime<chrono::Utc>,
    #[serde(flatten)]
    pub event: Event,
}

impl Event {
    /// As the journal keeps it: its kind, and the rest as an object.
    pub fn parts(&self) -> (String, Value) {
        let mut body = serde_json::to_value(self).expect("BUG: an event is plain data");
        let fields = body.as_object_mut().expect("BUG: an event is an object");
        let kind = match fields.remove("event") {
            Some(Value::String(kind)) => kind,
            _ => unreachable!("BUG: an event names itself"),
        };
        (kind, body)
    }
}

impl Recorded {
    /// An entry of the journal, which keeps an event as its kind and the rest, read back.
    ///
    /// # Errors
    /// It is not an event that this version knows, or its time is none that a session can have.
    pub fn read(
        seq: u64,
        at_ms: i64,
        wall: chrono::DateTime<chrono::Utc>,
        kind: &str,
        mut body: Value,
    ) -> Result<Recorded, serde_json::Error> {
        if !(-LONGEST_MS..=LONGEST_MS).contains(&at_ms) {
            let why = format!("{at_ms} is no time of a session, in milliseconds");
            return Err(serde::de::Error::custom(why));
        }
        if let Some(fields) = body.as_object_mut() {
            fields.insert("event".to_owned(), kind.into());
        }
        Ok(Recorded {
            seq,
            at_ms,
            wall,
            event: serde_json::from_value(body)?,
        })
    }
}
