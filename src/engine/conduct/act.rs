//! What the loop does once events are recorded: it tells whoever has to hear of them, and begins or ends the work that they ask for.
//!
//! Not in here: which events an input becomes (`conduct`).

use super::Conduct;
use crate::engine::Error;
use crate::engine::outside::{Effect, Job, Outside};
use crate::session::{Event, Recorded, StepStatus};

impl<O: Outside> Conduct<O> {
    /// Appends facts and carries out what they ask for.
    pub(in crate::engine) fn append(&mut self, events: Vec<Event>) -> Result<(), Error> {
        let now = self.outside.now();
        let recorded = self.ledger.append(now, events)?;
        self.act(&recorded)
    }

    /// Carries out what events ask for. Each was recorded before this.
    pub(super) fn act(&mut self, recorded: &[Recorded]) -> Result<(), Error> {
        for entry in recorded {
            self.watch.apply(entry);
            self.carry_out(Effect::Happened(entry));
            let notices = self.notices.take_event(self.ledger.session(), entry);
            self.tell(&notices);
            self.act_on(entry);
        }
        Ok(())
    }

    fn act_on(&mut self, entry: &Recorded) {
        let run = entry.seq;
        match &entry.event {
            Event::StepStarted { step, attempt, .. } => {
                let (after, attempt) = (self.work.begin(step, run), *attempt);
                self.start(run, Job::Step { step, attempt }, &after);
            }
            Event::StepLost { step, attempt } => {
                let (after, attempt) = (self.work.begin(step, run), *attempt);
                self.start(run, Job::FindOut { step, attempt }, &after);
            }
            Event::RollbackRowStarted { row } => {
                let after = self.work.begin_row(row, run);
                self.start(run, Job::Row { row }, &after);
            }
            // People ended it; the task that waited for them has nothing left to do.
            Event::StepFinished { step, .. } => {
                if let Some(run) = self.work.halt_row(step) {
                    self.carry_out(Effect::Cancel { run });
                }
            }
            // No further instance is restarted while the countdown runs.
            Event::TriggerFired { .. } => {
                let current = self.session().current_step();
                let runs = current.is_some_and(|s| s.status == StepStatus::Running);
                if let Some(run) = self.work.running().filter(|_| runs) {
                    self.carry_out(Effect::Cancel { run });
                }
            }
            Event::RollbackStarted { .. } => self.halt(),
            Event::SessionHeld { .. } | Event::SessionResumed { .. } => {
                self.carry_out(Effect::Hold(self.ledger.session().held.is_some()));
            }
            // The session's state is all that these change.
            Event::SessionOpened { .. }
            | Event::EngineStarted { .. }
            | Event::SourceSeen { .. }
            | Event::RehearsalRecorded { .. }
            | Event::DiscardAgreed { .. }
            | Event::StepConfirmed { .. }
            | Event::StepFoundOut { .. }
            | Event::StepSkipped { .. }
            | Event::UndoRecorded { .. }
            | Event::GateSigned { .. }
            | Event::SignatureWithdrawn { .. }
            | Event::SignatureVoided { .. }
            | Event::DeputyActed { .. }
            | Event::FreezeExtended { .. }
            | Event::FreezeOverran { .. }
            | Event::DriftFound { .. }
            | Event::WrittenAfterSwitch { .. }
            | Event::TriggerMoved { .. }
            | Event::RollbackRowFinished { .. }
            | Event::RolledBack { .. }
            | Event::RollbackRetried { .. }
            | Event::SessionCompleted { .. }
            | Event::NoteWritten { .. }
            | Event::CorrectionRecorded { .. }
            | Event::SessionClosed { .. }
            | Event::MembershipChanged { .. }
            | Event::AlarmRaised { .. } => {}
        }
    }
}
