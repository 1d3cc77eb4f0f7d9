//! What running work says: what it found, how far it is, what would undo it, and how it ended. Not in here: what is asked of it (`act`),
//! which work counts (`work`).

use super::Conduct;
use crate::engine::Error;
use crate::engine::outside::{Beside, Effect, Outside, is_restarting};
use crate::journal::Progress;
use crate::session::due::{found_out, step_ended};
use crate::session::live::ParityView;
use crate::session::{Event, Found, Outcome, Phase, StepStatus, Undo};
use crate::step::News;

impl<O: Outside> Conduct<O> {
    pub(super) fn step_ended(
        &mut self,
        step: &str,
        run: u64,
        outcome: Outcome,
    ) -> Result<(), Error> {
        let counts = self.work.ended(step, run);
        let state = self.ledger.session().step(step);
        // A step whose freeze drifted away, or that a person decided about meanwhile, has no say any more.
        let Some(state) = state.filter(|s| counts && s.status == StepStatus::Running) else {
            return Ok(());
        };
        let events = match self.ledger.session().phase {
            Phase::Open => step_ended(self.ledger.session(), step, outcome),
            Phase::RollingBack | Phase::RolledBack | Phase::Completed => {
                vec![Event::StepFinished {
                    step: step.to_owned(),
                    attempt: state.attempt,
                    outcome,
                }]
            }
        };
        self.append(events)
    }

    /// What is void by now, or was decided by a person, is not found out any more.
    pub(super) fn found_out(&mut self, step: &str, run: u64, found: Found) -> Result<(), Error> {
        let counts = self.work.ended(step, run);
        let state = self.ledger.session().step(step);
        if !state.is_some_and(|s| counts && s.status == StepStatus::Unknown) {
            return Ok(());
        }
        self.append(found_out(self.ledger.session(), step, found))
    }

    pub(super) fn news(
        &mut self,
        row: &str,
        attempt: u32,
        run: u64,
        news: News,
    ) -> Result<(), Error> {
        let at_ms = self.now_ms();
        self.aside.heartbeat.heard(row, at_ms);
        match news {
            News::Progress {
                label,
                done,
                total,
                unit,
            } => self.note(Beside::Progress(Progress {
                step: row.to_owned(),
                item: label,
                done,
                total: (total > 0).then_some(total),
                unit: unit.to_owned(),
                at_ms,
            })),
            News::Parity(tables) => {
                let step = row.to_owned();
                self.note(Beside::Parity(&ParityView { step, tables }));
            }
            News::Plan(plan) => self.note(Beside::Plan(&plan)),
            News::Line(text) => self.note(Beside::Line {
                row,
                attempt,
                at_ms,
                text: &text,
            }),
            // What was cancelled does nothing any more that would have to be undone: nobody would undo it in time.
            News::Undo { .. } if !self.work.runs(run) => {}
            News::Undo { undo, durable } => {
                let mut recorded = self.ledger.session().undos.iter();
                // Each restart counts: what is judged of an instance is counted from its newest one.
                let known = !matches!(undo, Undo::Restart { .. })
                    && recorded.any(|(step, u)| step == row && *u == undo);
                if !known {
                    let step = row.to_owned();
                    match self.append(vec![Event::UndoRecorded { step, undo }]) {
                        // Nobody is told that it is durable, so that the step does nothing that needs it.
                        Err(error) if error.is_no_room() => return Ok(()),
                        appended => appended?,
                    }
                }
                let _ = durable.send(());
            }
            News::Instance(view) => {
                // It goes on being restarted for as long as its step waits for it: that is one restart.
                let instance = (run, view.id.clone());
                match is_restarting(&view) {
                    true if self.restarting.insert(instance) => {
                        self.carry_out(Effect::Restarting { instance: &view.id });
                    }
                    true => {}
                    false => {
                        self.restarting.remove(&(run, view.id));
                    }
                }
            }
            News::Written { detail } => self.append(vec![Event::WrittenAfterSwitch { detail }])?,
            News::Artefact { name, path } => {
                let named = format!("{row} {name}");
                if let Err(why) = self.outside.keep_file(&named, &name, &path, at_ms) {
                    let text = format!(
                        "{} could not be kept with the session: {why}",
                        path.display()
                    );
                    self.append(vec![Event::alarm(text)])?;
                }
            }
        }
        Ok(())
    }
}
