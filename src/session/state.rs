//! The state of a session, and what follows from it at a glance. It is the fold of the session's events, and nothing else: [`fold`] alone
//! makes and changes it. Not in here: whether something may happen (`decide`) and what must happen by itself (`due`).

mod fold;

use std::collections::BTreeMap;

use serde::Serialize;
use strum::{EnumIter, IntoStaticStr};

use super::charter::{Charter, LineKind, StepLine};
use super::discard::Rows;
use super::event::{Outcome, RehearsalEvidence, RollbackCause, Signature, TriggerPhase, Undo};
use super::membership::Roster;
use super::shape::Shape;
use crate::runbook::{Role, Trigger};

/// Everything that is known of a session. All times are session milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    pub charter: Charter,
    /// When it was opened, by the wall clock: tells it from another session of the same name.
    pub opened: chrono::DateTime<chrono::Utc>,
    /// Where the whole stands.
    pub phase: Phase,
    /// One per step of the charter, in its order.
    pub steps: Vec<StepState>,
    /// Signatures by gate; whether each is valid now is for `gates` to say.
    pub signatures: BTreeMap<String, Vec<Signature>>,
    /// The newest rehearsal that was found.
    pub rehearsal: Option<RehearsalEvidence>,
    /// The source's schema, as an engine last saw it before the freeze.
    pub source_shape: Option<Shape>,
    /// Who holds the session, and why.
    pub held: Option<Held>,
    /// Extensions of the freeze, in runbook time.
    pub freeze_extended_ms: i64,
    /// Whether the passing of the freeze's limit has been said.
    pub freeze_overran: bool,
    /// What was seen of SQLite having been written after the switch, the first time. Whoever sees it may not live until F4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_after_switch: Option<String>,
    /// Who is where in the fleet; as the charter names it until the first change.
    #[serde(skip_serializing_if = "Roster::is_unchanged")]
    pub roster: Roster,
    /// Last known state of each trigger.
    pub triggers: BTreeMap<String, TriggerState>,
    /// Whether anything has begun to change the target; stays so when drift voids the step.
    pub target_touched: bool,
    /// The trigger that fired first.
    pub fired: Option<Fired>,
    /// The rollback, once begun.
    pub rollback: Option<Rollback>,
    /// How to undo what was done, oldest first.
    pub undos: Vec<(String, Undo)>,
    /// After a rollback: what was corrected, by the last who said so.
    pub correction: Option<Correction>,
    /// Whether somebody has closed it after its end.
    pub is_closed: bool,
    /// Notes and alarms, oldest first: time, who, text.
    pub notes: Vec<(i64, Option<String>, String)>,
    /// The engine's clock at its last start.
    pub engine: Option<EngineState>,
    /// Sequence number of the last event that was applied.
    pub seq: u64,
    /// Time of the last event that was applied.
    pub at_ms: i64,
}

/// What was corrected after a rollback (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Correction {
    pub by: String,
    /// In their words.
    pub what: String,
    /// Whether they gave up what users wrote to PostgreSQL and what no salvage file holds.
    pub gives_up_rows: bool,
    /// When: seconds since 1970.
    pub unix_s: i64,
}

/// Where the whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Steps may run.
    Open,
    /// The rollback runs.
    RollingBack,
    /// The rollback has ended.
    RolledBack,
    /// The release is complete.
    Completed,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    Pending,
    Running,
    Done,
    /// Failed, at its last attempt so far.
    Failed,
    /// Skipped by a person.
    Skipped,
    /// Begun, and the engine died before it ended.
    Unknown,
}

/// A step and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepState {
    /// Its id, as in the charter.
    pub id: String,
    pub status: StepStatus,
    pub attempt: u32,
    /// When its first attempt began.
    pub started_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    /// Who started, skipped or decided it.
    pub by: Option<String>,
    /// How its last attempt ended.
    pub outcome: Option<Outcome>,
    /// Who has confirmed, for steps of kind `confirm`.
    pub confirmed: BTreeMap<Role, String>,
    /// Rows of the target that somebody has agreed to lose, by table.
    pub discard: Rows,
    /// Why a person must decide, where no machine can find out what an unknown step had done.
    pub question: Option<String>,
}

impl StepState {
    /// Whether what comes after it may begin.
    pub fn is_over(&self) -> bool {
        matches!(self.status, StepStatus::Done | StepStatus::Skipped)
    }
}

/// Who holds the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    pub by: String,
    pub reason: String,
    pub since_ms: i64,
}

/// What is known of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TriggerState {
    pub phase: TriggerPhase,
    /// In words and numbers.
    pub reason: String,
    pub since_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fired {
    pub trigger: String,
    /// In words and numbers.
    pub reason: String,
    pub at_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rollback {
    /// Who or what began it.
    pub cause: RollbackCause,
    pub reason: String,
    pub started_ms: i64,
    /// When the application served from SQLite again (the last row within the RTO).
    pub restored_ms: Option<i64>,
    pub ended_ms: Option<i64>,
    /// Whether the application serves from SQLite again.
    pub healthy: Option<bool>,
    /// One per row of the charter, in its order.
    pub rows: Vec<StepState>,
}

impl Rollback {
    /// Its rows that failed, in their order.
    pub fn red(&self) -> impl Iterator<Item = &StepState> {
        let rows = self.rows.iter();
        rows.filter(|row| row.status == StepStatus::Failed)
    }
}

/// The engine's clock at its last start, so that others on the same boot can tell the session's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineState {
    pub pid: u32,
    /// Boot of the machine.
    pub boot_id: String,
    /// Boot clock at `at_ms`.
    pub boot_ms: i64,
    /// Session time of its start.
    pub at_ms: i64,
}

impl Session {
    /// When the freeze that holds was proven: the end of its step. Another one than [`Session::freeze`] says after drift, for then writes were
    /// stopped anew while the application stood still all along.
    pub fn frozen_ms(&self) -> Option<i64> {
        let freeze = self.step_of_kind(&LineKind::Freeze)?;
        freeze.ended_ms.filter(|_| freeze.is_over())
    }

    /// Since when a trigger has been armed: from the start of the step that names it until release, rollback, or the end of the step
    /// that disarms it.
    pub fn armed_ms(&self, trigger: &Trigger) -> Option<i64> {
        let until = trigger.until.as_deref();
        let over = until.is_some_and(|id| self.step(id).is_some_and(StepState::is_over));
        let since_ms = self.step(&trigger.from)?.started_ms;
        since_ms.filter(|_| self.phase == Phase::Open && !over)
    }

    /// The state of a step.
    pub fn step(&self, id: &str) -> Option<&StepState> {
        self.steps.iter().find(|s| s.id == id)
    }

    /// The state of the first step of a kind that the rules treat apart.
    pub fn step_of_kind(&self, kind: &LineKind) -> Option<&StepState> {
        self.charter.index_of_kind(kind).map(|i| &self.steps[i])
    }

    /// The step that runs or whose end is unknown, if any.
    pub fn current_step(&self) -> Option<&StepState> {
        self.steps
            .iter()
            .find(|s| matches!(s.status, StepStatus::Running | StepStatus::Unknown))
    }

    /// The steps and the rows of the rollback that run.
    pub fn running(&self) -> impl Iterator<Item = &StepState> {
        let rows = self.rollback.iter().flat_map(|rollback| &rollback.rows);
        let all = self.steps.iter().chain(rows);
        all.filter(|row| row.status == StepStatus::Running)
    }

    /// Each step of the charter, and where it stands.
    pub fn lines(&self) -> impl Iterator<Item = (&StepLine, &StepState)> {
        self.charter.steps.iter().zip(&self.steps)
    }

    /// The first step that is not over.
    pub fn next_step(&self) -> Option<(&StepLine, &StepState)> {
        self.lines().find(|(_, s)| !s.is_over())
    }

    /// Session time at `boot_ms` on the clock of the boot `boot_id`; `None` where the last engine ran on another boot, or none has.
    pub fn now_ms(&self, boot_id: &str, boot_ms: i64) -> Option<i64> {
        let engine = self.engine.as_ref()?;
        (engine.boot_id == boot_id).then(|| {
            let passed_ms = boot_ms.saturating_sub(engine.boot_ms).max(0);
            engine.at_ms.saturating_add(passed_ms)
        })
    }

    /// How long the freeze may last, extensions included, in runbook time.
    pub fn freeze_limit_ms(&self) -> i64 {
        let limits = &self.charter.limits;
        limits.freeze_ms.saturating_add(self.freeze_extended_ms)
    }

    /// When the freeze began, and when it ended.
    pub fn freeze(&self) -> Option<(i64, Option<i64>)> {
        let since_ms = self.step_of_kind(&LineKind::Freeze)?.started_ms?;
        let reopened_ms = self
            .step_of_kind(&LineKind::Reopen)
            .filter(|s| s.is_over())
            .and_then(|s| s.ended_ms);
        let lifted_ms = self.rollback.as_ref().and_then(|r| r.restored_ms);
        Some((since_ms, reopened_ms.or(lifted_ms)))
    }

    /// When the switch began to have effect; `None` where it failed before it had any.
    pub fn switched_ms(&self) -> Option<i64> {
        let switch = self.step_of_kind(&LineKind::Switch)?;
        let has_undo = self.undos.iter().any(|(step, _)| *step == switch.id);
        let may_have_begun = has_undo || switch.status != StepStatus::Failed;
        switch.started_ms.filter(|_| may_have_begun)
    }

    /// Whether the switch may have changed anything: it is done, or something that it does is on record to be undone, which comes first.
    pub fn has_switched(&self) -> bool {
        self.step_of_kind(&LineKind::Switch)
            .is_some_and(|s| s.is_over() || self.undos.iter().any(|(step, _)| *step == s.id))
    }

    /// The triggers that have fired, by id, the first one first: one fault often burns several.
    pub fn fired_triggers(&self) -> Vec<&str> {
        let first = self.fired.as_ref().map(|f| f.trigger.as_str());
        let others = self
            .triggers
            .iter()
            .filter(|(id, state)| state.phase == TriggerPhase::Fired && Some(id.as_str()) != first);
        first
            .into_iter()
            .chain(others.map(|(id, _)| id.as_str()))
            .collect()
    }

    /// From the moment that asked for the rollback (a trigger's condition was met, or a person confirmed) to the start of the first
    /// row that undoes something, in real milliseconds; what the countdown takes is in it.
    pub fn first_undo_after_ms(&self) -> Option<i64> {
        let rollback = self.rollback.as_ref()?;
        let asked_ms = match &rollback.cause {
            RollbackCause::Trigger { .. } => self.fired.as_ref()?.at_ms,
            RollbackCause::Person { .. } => rollback.started_ms,
        };
        let first = self.charter.rollback.iter().position(|row| row.undoes)?;
        Some(rollback.rows.get(first)?.started_ms? - asked_ms)
    }

    /// Whether the session ended without having touched the target: a no-go rather than a rollback.
    pub fn is_no_go(&self) -> bool {
        self.phase == Phase::RolledBack && self.fired.is_none() && !self.target_touched
    }
}

/// A journal whose entries do not begin with a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} of the journal does not open a session")]
pub struct NotASession {
    /// The entry that was looked at; 0 where there is none.
    pub seq: u64,
}
