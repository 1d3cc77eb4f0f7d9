//! How each event changes a session's state. Not in here: what the state is made of.

use std::collections::BTreeMap;

use super::{
    Correction, EngineState, Fired, Held, NotASession, Phase, Rollback, Session, StepState,
    StepStatus, TriggerState,
};
use crate::runbook::EvidenceRef;
use crate::session::charter::{LineKind, RowLine, StepLine};
use crate::session::discard::Rows;
use crate::session::event::{
    Event, Found, Outcome, Recorded, RollbackCause, Signature, TriggerPhase, Undo, written,
};
use crate::session::membership::Roster;

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

    fn found_out(&mut self, found: &Found, by: Option<&String>, at_ms: i64) {
        match found {
            Found::Done { outcome } => {
                self.by = by.cloned().or(self.by.take());
                self.end(at_ms, outcome.clone());
            }
            Found::RunAgain { .. } => {
                self.status = StepStatus::Pending;
                self.question = None;
            }
            Found::AskPerson { detail } => self.question = Some(detail.clone()),
        }
    }

    fn skip(&mut self, by: &str, reason: &str, at_ms: i64) {
        self.status = StepStatus::Skipped;
        self.ended_ms = Some(at_ms);
        self.by = Some(by.to_owned());
        self.outcome = Some(Outcome::done(format!("skipped: {reason}")));
    }
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
            written_after_switch: None,
            roster: Roster::of(&charter.instances),
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
            Event::UndoRecorded { step, undo } => {
                if let Undo::Restart { instance } = undo {
                    self.roster.restarted(instance, recorded.wall.timestamp());
                }
                self.undos.push((step.clone(), undo.clone()));
            }
            Event::MembershipChanged { changes } => {
                for change in changes {
                    self.roster.apply(change, at_ms);
                }
            }
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
                self.freeze_extended_ms = self.freeze_extended_ms.saturating_add(*by_ms);
                self.freeze_overran = false;
            }
            Event::FreezeOverran { .. } => self.freeze_overran = true,
            Event::DriftFound { detail } => {
                self.void_from_freeze();
                self.notes.push((at_ms, None, format!("drift: {detail}")));
            }
            Event::WrittenAfterSwitch { detail } => {
                self.written_after_switch
                    .get_or_insert_with(|| detail.clone());
                self.notes.push((at_ms, None, written(detail)));
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
            Event::SessionClosed { stays_open, .. } => self.is_closed |= !stays_open,
            Event::AlarmRaised { text, .. } => self.notes.push((at_ms, None, text.clone())),
            Event::DeputyActed { .. } => {}
            Event::StepStarted { step, attempt, by } => {
                self.start_step(step, *attempt, by.as_ref(), at_ms);
            }
            Event::DiscardAgreed { step, rows, .. } => {
                self.change_step(step, |state| state.discard.clone_from(rows));
            }
            Event::StepConfirmed { step, role, by } => self.change_step(step, |state| {
                state.confirmed.insert(*role, by.clone());
            }),
            Event::StepFinished { step, outcome, .. } => {
                self.change_step(step, |state| state.end(at_ms, outcome.clone()));
            }
            Event::StepLost { step, .. } => {
                self.change_step(step, |state| state.status = StepStatus::Unknown);
            }
            Event::StepFoundOut { step, found, by } => {
                self.change_step(step, |state| state.found_out(found, by.as_ref(), at_ms));
            }
            Event::StepSkipped { step, by, reason } => {
                self.change_step(step, |state| state.skip(by, reason, at_ms));
            }
            Event::RollbackStarted { cause, reason } => {
                self.start_rollback(cause.clone(), reason.clone(), at_ms);
            }
            Event::RollbackRowStarted { row } => self.change_row(row, |state| {
                state.status = StepStatus::Running;
                state.attempt = state.attempt.saturating_add(1);
                state.started_ms.get_or_insert(at_ms);
            }),
            Event::RollbackRowFinished { row, outcome } => {
                self.change_row(row, |state| state.end(at_ms, outcome.clone()));
                if outcome.ok && self.restores(row) {
                    self.set_restored(Some(at_ms));
                }
            }
            Event::RollbackRetried { rows, .. } => self.retry_rows(rows),
            Event::RolledBack { healthy } => {
                if let Some(rollback) = &mut self.rollback {
                    self.phase = Phase::RolledBack;
                    rollback.healthy = Some(*healthy);
                    rollback.ended_ms = Some(at_ms);
                }
            }
        }
    }

    /// Of a step that the charter does not name nothing is kept.
    fn change_step(&mut self, step: &str, change: impl FnOnce(&mut StepState)) {
        self.steps.iter_mut().find(|s| s.id == step).map(change);
    }

    fn start_step(&mut self, step: &str, attempt: u32, by: Option<&String>, at_ms: i64) {
        let lines = self.charter.steps.iter();
        let Some((line, state)) = lines.zip(&mut self.steps).find(|(_, s)| s.id == step) else {
            return;
        };
        self.target_touched |= line.kind == LineKind::Target;
        state.status = StepStatus::Running;
        state.attempt = attempt;
        // An attempt that changed nothing is no switch, and its clock is not that of the one that follows.
        let has_no_effect =
            line.kind == LineKind::Switch && !self.undos.iter().any(|(step, _)| *step == state.id);
        if has_no_effect || state.started_ms.is_none() {
            state.started_ms = Some(at_ms);
        }
        state.ended_ms = None;
        state.by = by.cloned().or(state.by.take());
        state.outcome = None;
        state.question = None;
        // Numbers are typed anew each time that a person starts it; an attempt of the engine's own goes by those of before.
        if by.is_some() {
            state.discard.clear();
        }
    }

    fn start_rollback(&mut self, cause: RollbackCause, reason: String, at_ms: i64) {
        let rows = self.charter.rollback.iter();
        self.phase = Phase::RollingBack;
        self.rollback = Some(Rollback {
            cause,
            reason,
            started_ms: at_ms,
            restored_ms: None,
            ended_ms: None,
            healthy: None,
            rows: rows.map(|row| StepState::pending(&row.as_step())).collect(),
        });
    }

    fn change_row(&mut self, row: &str, change: impl FnOnce(&mut StepState)) {
        let mut rows = self.rollback.iter_mut().flat_map(|r| &mut r.rows);
        rows.find(|s| s.id == row).map(change);
    }

    /// Whether the application serves again once this row of the rollback is done: it is the last that the promised time covers.
    fn restores(&self, row: &str) -> bool {
        let last = self.charter.rollback.iter().rfind(|r| r.within_rto);
        last.is_some_and(|last| last.id == row)
    }

    fn set_restored(&mut self, at_ms: Option<i64>) {
        if let Some(rollback) = &mut self.rollback {
            rollback.restored_ms = at_ms;
        }
    }

    fn retry_rows(&mut self, rows: &[String]) {
        let Some(rollback) = &mut self.rollback else {
            return;
        };
        self.phase = Phase::RollingBack;
        (rollback.healthy, rollback.ended_ms) = (None, None);
        for row in rows {
            self.change_row(row, |state| {
                state.status = StepStatus::Pending;
                (state.ended_ms, state.outcome) = (None, None);
            });
        }
        // Until it has been done again, nobody knows.
        if rows.iter().any(|row| self.restores(row)) {
            self.set_restored(None);
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
        let switch = self.charter.index_of_kind(&LineKind::Switch);
        let to = switch.unwrap_or(self.steps.len());
        // A switch that has begun and changed nothing yet is void with what it was to rest on.
        let begun = switch.filter(|at| {
            let under_way = matches!(
                self.steps[*at].status,
                StepStatus::Running | StepStatus::Unknown
            );
            under_way && !self.has_switched()
        });
        if let Some(at) = begun {
            self.steps[at] = StepState::pending(&self.charter.steps[at]);
        }
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
}

impl RowLine {
    fn as_step(&self) -> StepLine {
        StepLine {
            id: self.id.clone(),
            title: self.title.clone(),
            kind: LineKind::Work,
            word: None,
            start: crate::runbook::Start::Auto,
            attempts: 1,
            may_skip: false,
            needs: Vec::new(),
            stays_green_ms: None,
        }
    }
}
