//! The state of a session: the fold of its events, and nothing else. Not in here: whether something may happen (`decide`) and
//! what must happen by itself (`due`).

use std::collections::BTreeMap;

use serde::Serialize;

use super::charter::{Charter, LineKind, StepLine};
use super::discard::Rows;
use super::event::{
    Event, Found, Outcome, Recorded, RehearsalEvidence, RollbackCause, Signature, TriggerPhase,
    Undo,
};
use super::shape::Shape;
use crate::runbook::{EvidenceRef, Role, Trigger};

/// Everything that is known of a session. All times are session milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    /// What binds it.
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
    /// Who recorded it.
    pub by: String,
    /// In their words.
    pub what: String,
    /// Whether they gave up what users wrote to PostgreSQL and what no salvage file holds.
    pub gives_up_rows: bool,
    /// When: seconds since 1970.
    pub unix_s: i64,
}

/// Where the whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not begun.
    Pending,
    /// Being done.
    Running,
    /// Done.
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
    /// Where it stands.
    pub status: StepStatus,
    /// Attempts so far.
    pub attempt: u32,
    /// When its first attempt began.
    pub started_ms: Option<i64>,
    /// When it ended.
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
    fn pending(line: &StepLine) -> StepState {
        StepState {
            id: line.id.clone(),
            status: StepStatus::Pending,
            attempt: 0,
            started_ms: None,
            ended_ms: None,
            by: None,
            outcome: None,
            confirmed: BTreeMap::new(),
            discard: Rows::new(),
            question: None,
        }
    }

    /// Whether what comes after it may begin.
    pub fn is_over(&self) -> bool {
        matches!(self.status, StepStatus::Done | StepStatus::Skipped)
    }

    fn end(&mut self, at_ms: i64, outcome: Outcome) {
        self.status = if outcome.ok {
            StepStatus::Done
        } else {
            StepStatus::Failed
        };
        self.ended_ms = Some(at_ms);
        self.outcome = Some(outcome);
        self.question = None;
    }
}

/// Who holds the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since_ms: i64,
}

/// What is known of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TriggerState {
    /// Where it is.
    pub phase: TriggerPhase,
    /// In words and numbers.
    pub reason: String,
    /// Since when.
    pub since_ms: i64,
}

/// A trigger that fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fired {
    /// Which.
    pub trigger: String,
    /// In words and numbers.
    pub reason: String,
    /// When.
    pub at_ms: i64,
}

/// The rollback.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rollback {
    /// Who or what began it.
    pub cause: RollbackCause,
    /// Why.
    pub reason: String,
    /// When.
    pub started_ms: i64,
    /// When the application served from SQLite again (the last row within the RTO).
    pub restored_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// Whether the application serves from SQLite again.
    pub healthy: Option<bool>,
    /// One per row of the charter, in its order.
    pub rows: Vec<StepState>,
}

/// The engine's clock at its last start, so that others on the same boot can tell the session's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineState {
    /// Its process.
    pub pid: u32,
    /// Boot of the machine.
    pub boot_id: String,
    /// Boot clock at `at_ms`.
    pub boot_ms: i64,
    /// Session time of its start.
    pub at_ms: i64,
}

impl Session {
    /// A session from its first event.
    ///
    /// # Errors
    /// Any other first event: the journal is not one of a session.
    pub fn open(first: &Recorded) -> Result<Session, NotASession> {
        let Event::SessionOpened { charter } = &first.event else {
            return Err(NotASession { seq: first.seq });
        };
        Ok(Session {
            steps: charter.steps.iter().map(StepState::pending).collect(),
            charter: (**charter).clone(),
            opened: first.wall,
            phase: Phase::Open,
            signatures: BTreeMap::new(),
            rehearsal: None,
            source_shape: None,
            held: None,
            freeze_extended_ms: 0,
            freeze_overran: false,
            triggers: BTreeMap::new(),
            target_touched: false,
            fired: None,
            rollback: None,
            undos: Vec::new(),
            correction: None,
            is_closed: false,
            notes: Vec::new(),
            engine: None,
            seq: first.seq,
            at_ms: first.at_ms,
        })
    }

    /// The session that a journal tells of.
    ///
    /// # Errors
    /// The journal is empty or does not begin with a session.
    pub fn replay(entries: &[Recorded]) -> Result<Session, NotASession> {
        let (first, rest) = entries.split_first().ok_or(NotASession { seq: 0 })?;
        let mut session = Session::open(first)?;
        rest.iter().for_each(|e| session.apply(e));
        Ok(session)
    }

    /// The state after one more event. Total: whatever a journal holds, the result is a state.
    pub fn apply(&mut self, recorded: &Recorded) {
        self.seq = recorded.seq;
        self.at_ms = recorded.at_ms;
        let at_ms = recorded.at_ms;
        match &recorded.event {
            Event::SessionOpened { .. } => {}
            Event::EngineStarted {
                pid,
                boot_id,
                boot_ms,
                ..
            } => {
                self.engine = Some(EngineState {
                    pid: *pid,
                    boot_id: boot_id.clone(),
                    boot_ms: *boot_ms,
                    at_ms,
                });
            }
            Event::SourceSeen { shape } => self.source_shape = Some(shape.clone()),
            Event::RehearsalRecorded { rehearsal } => self.rehearsal = Some(rehearsal.clone()),
            Event::UndoRecorded { step, undo } => self.undos.push((step.clone(), undo.clone())),
            Event::GateSigned { gate, signature } => {
                let list = self.signatures.entry(gate.clone()).or_default();
                // What the same person or key once signed in another role is void, and must not come back to life beside this.
                let key = |s: &Signature| s.ssh.as_ref().map(|ssh| ssh.key.clone());
                let same_key = |s: &Signature| key(s).is_some() && key(s) == key(signature);
                list.retain(|s| s.role != signature.role && s.by != signature.by && !same_key(s));
                list.push(signature.clone());
            }
            Event::SignatureWithdrawn { gate, role, .. }
            | Event::SignatureVoided { gate, role, .. } => {
                self.signatures
                    .entry(gate.clone())
                    .or_default()
                    .retain(|s| s.role != *role);
            }
            Event::SessionHeld { by, reason } => {
                self.held = Some(Held {
                    by: by.clone(),
                    reason: reason.clone(),
                    since_ms: at_ms,
                });
            }
            Event::SessionResumed { .. } => self.held = None,
            Event::FreezeExtended { by_ms, .. } => {
                self.freeze_extended_ms += by_ms;
                self.freeze_overran = false;
            }
            Event::FreezeOverran { .. } => self.freeze_overran = true,
            Event::DriftFound { detail } => {
                self.void_from_freeze();
                self.notes.push((at_ms, None, format!("drift: {detail}")));
            }
            Event::TriggerMoved {
                trigger,
                state,
                reason,
            } => self.move_trigger(trigger, *state, reason, at_ms),
            Event::TriggerFired { trigger, reason } => {
                self.move_trigger(trigger, TriggerPhase::Fired, reason, at_ms);
                self.fired.get_or_insert_with(|| Fired {
                    trigger: trigger.clone(),
                    reason: reason.clone(),
                    at_ms,
                });
            }
            Event::SessionCompleted { .. } => self.phase = Phase::Completed,
            Event::NoteWritten { by, text } => {
                self.notes.push((at_ms, Some(by.clone()), text.clone()))
            }
            Event::CorrectionRecorded {
                by,
                what,
                gives_up_rows,
            } => {
                self.correction = Some(Correction {
                    by: by.clone(),
                    what: what.clone(),
                    gives_up_rows: *gives_up_rows,
                    unix_s: recorded.wall.timestamp(),
                });
            }
            Event::SessionClosed { .. } => self.is_closed = true,
            Event::AlarmRaised { text, .. } => self.notes.push((at_ms, None, text.clone())),
            event => {
                self.apply_to_step(event, at_ms);
                self.apply_to_rollback(event, at_ms);
            }
        }
    }

    fn apply_to_step(&mut self, event: &Event, at_ms: i64) {
        let (Event::StepStarted { step, .. }
        | Event::DiscardAgreed { step, .. }
        | Event::StepConfirmed { step, .. }
        | Event::StepFinished { step, .. }
        | Event::StepLost { step, .. }
        | Event::StepFoundOut { step, .. }
        | Event::StepSkipped { step, .. }) = event
        else {
            return;
        };
        let lines = self.charter.steps.iter();
        let Some((line, state)) = lines.zip(&mut self.steps).find(|(_, s)| &s.id == step) else {
            return;
        };
        match event {
            Event::StepStarted { attempt, by, .. } => {
                self.target_touched |= line.kind == LineKind::Target;
                state.status = StepStatus::Running;
                state.attempt = *attempt;
                // An attempt that changed nothing is no switch, and its clock is not that of the one that follows.
                let has_no_effect = line.kind == LineKind::Switch
                    && !self.undos.iter().any(|(step, _)| *step == state.id);
                if has_no_effect || state.started_ms.is_none() {
                    state.started_ms = Some(at_ms);
                }
                state.ended_ms = None;
                state.by = by.clone().or(state.by.take());
                state.outcome = None;
                state.question = None;
                // Numbers are typed anew each time that a person starts it; an attempt of the engine's own goes by those of before.
                if by.is_some() {
                    state.discard.clear();
                }
            }
            Event::DiscardAgreed { rows, .. } => state.discard.clone_from(rows),
            Event::StepConfirmed { role, by, .. } => {
                state.confirmed.insert(*role, by.clone());
            }
            Event::StepFinished { outcome, .. } => state.end(at_ms, outcome.clone()),
            Event::StepLost { .. } => state.status = StepStatus::Unknown,
            Event::StepFoundOut { found, by, .. } => match found {
                Found::Done { outcome } => {
                    state.by = by.clone().or(state.by.take());
                    state.end(at_ms, outcome.clone());
                }
                Found::RunAgain { .. } => {
                    state.status = StepStatus::Pending;
                    state.question = None;
                }
                Found::AskPerson { detail } => state.question = Some(detail.clone()),
            },
            Event::StepSkipped { by, reason, .. } => {
                state.status = StepStatus::Skipped;
                state.ended_ms = Some(at_ms);
                state.by = Some(by.clone());
                state.outcome = Some(Outcome::done(format!("skipped: {reason}")));
            }
            _ => {}
        }
    }

    fn apply_to_rollback(&mut self, event: &Event, at_ms: i64) {
        if let Event::RollbackStarted { cause, reason } = event {
            self.phase = Phase::RollingBack;
            self.rollback = Some(Rollback {
                cause: cause.clone(),
                reason: reason.clone(),
                started_ms: at_ms,
                restored_ms: None,
                ended_ms: None,
                healthy: None,
                rows: self
                    .charter
                    .rollback
                    .iter()
                    .map(|row| StepState::pending(&row.as_step()))
                    .collect(),
            });
            return;
        }
        let last_within_rto = self
            .charter
            .rollback
            .iter()
            .rfind(|r| r.within_rto)
            .map(|r| r.id.clone());
        let Some(rollback) = &mut self.rollback else {
            return;
        };
        match event {
            Event::RollbackRowStarted { row } => {
                if let Some(state) = rollback.rows.iter_mut().find(|s| &s.id == row) {
                    state.status = StepStatus::Running;
                    state.attempt += 1;
                    state.started_ms.get_or_insert(at_ms);
                }
            }
            Event::RollbackRowFinished { row, outcome } => {
                if let Some(state) = rollback.rows.iter_mut().find(|s| &s.id == row) {
                    state.end(at_ms, outcome.clone());
                }
                if outcome.ok && Some(row) == last_within_rto.as_ref() {
                    rollback.restored_ms = Some(at_ms);
                }
            }
            Event::RollbackRetried { rows, .. } => {
                self.phase = Phase::RollingBack;
                (rollback.healthy, rollback.ended_ms) = (None, None);
                for state in rollback.rows.iter_mut().filter(|s| rows.contains(&s.id)) {
                    state.status = StepStatus::Pending;
                    (state.ended_ms, state.outcome) = (None, None);
                    // Until it has been done again, nobody knows.
                    if Some(&state.id) == last_within_rto.as_ref() {
                        rollback.restored_ms = None;
                    }
                }
            }
            Event::RolledBack { healthy } => {
                self.phase = Phase::RolledBack;
                rollback.healthy = Some(*healthy);
                rollback.ended_ms = Some(at_ms);
            }
            _ => {}
        }
    }

    fn move_trigger(&mut self, trigger: &str, phase: TriggerPhase, reason: &str, at_ms: i64) {
        self.triggers.insert(
            trigger.to_owned(),
            TriggerState {
                phase,
                reason: reason.to_owned(),
                since_ms: at_ms,
            },
        );
    }

    /// Everything from the freeze up to the switch is pending again.
    fn void_from_freeze(&mut self) {
        let Some(from) = self.charter.index_of_kind(&LineKind::Freeze) else {
            return;
        };
        let to = self
            .charter
            .index_of_kind(&LineKind::Switch)
            .unwrap_or(self.steps.len());
        for (state, line) in self
            .steps
            .iter_mut()
            .zip(&self.charter.steps)
            .take(to)
            .skip(from)
        {
            // Maintenance is still on: the freeze goes on counting from where it began.
            let since_ms = state.started_ms.filter(|_| line.kind == LineKind::Freeze);
            *state = StepState::pending(line);
            state.started_ms = since_ms;
        }
        // A signature was given for what was seen then; the same words again are another look.
        let lines = self.charter.steps.get(from..to).unwrap_or_default();
        let is_void = |id: &String| lines.iter().any(|line| line.id == *id);
        for gate in &self.charter.gates {
            let rests_on = |evidence: &EvidenceRef| match evidence {
                EvidenceRef::Step(id) => is_void(id),
                EvidenceRef::Rehearsal(_) => false,
            };
            if gate.evidence.iter().any(rests_on) {
                self.signatures.remove(&gate.id);
            }
        }
    }

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

    /// The first step that is not over.
    pub fn next_step(&self) -> Option<(&StepLine, &StepState)> {
        self.charter
            .steps
            .iter()
            .zip(&self.steps)
            .find(|(_, s)| !s.is_over())
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

    /// A number that a step left behind for the triggers to compare with, such as the baseline of a signal.
    pub fn baseline(&self, signal: &str) -> Option<f64> {
        self.steps.iter().find_map(|s| {
            s.outcome
                .as_ref()?
                .facts
                .get("baseline")?
                .get(signal)?
                .as_f64()
        })
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

impl super::charter::RowLine {
    fn as_step(&self) -> StepLine {
        StepLine {
            id: self.id.clone(),
            title: self.title.clone(),
            kind: LineKind::Work,
            start: crate::runbook::Start::Auto,
            attempts: 1,
            may_skip: false,
            needs: Vec::new(),
        }
    }
}

/// A journal whose entries do not begin with a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} of the journal does not open a session")]
pub struct NotASession {
    /// The entry that was looked at; 0 where there is none.
    pub seq: u64,
}
