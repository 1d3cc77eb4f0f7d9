//! The conductor: takes one input at a time, turns it into events by the session's rules, and carries out what the events ask
//! for. Not in here: how work is started (`work`), how signals are judged (`watch`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch as tokio_watch;

use super::aside::Aside;
use super::input::Input;
use super::ledger::Ledger;
use super::notify::Notifier;
use super::protocol::{Answer, Ask, Request};
use super::room::Room;
use super::signatures::Verifier;
use super::watch::Watch;
use super::work::Work;
use super::{Error, Orders};
use crate::claim::{self, Claim};
use crate::clock;
use crate::journal::{self, Folder, Notes, Progress, Scribe, Stream};
use crate::runbook::Runbook;
use crate::session::due::{check_triggers, due, step_ended};
use crate::session::live::{self, ParityView, Presence};
use crate::session::notice::Notices;
use crate::session::{
    Actor, Command, Event, Outcome, Phase, Recorded, Refusal, Session, StepStatus, decide,
};
use crate::source::fence::Fence;
use crate::step::{News, closing};
use crate::text::printable;

/// How often drift is looked for while writes are frozen.
const LOOK_FOR_DRIFT_EVERY_MS: i64 = 500;
/// The longest name of a view that is taken.
const MAX_VIEW_CHARS: usize = 40;

/// How long the end of an engine waits for what is still to be told.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often it is looked whether people have to be told something.
const NOTICE_EVERY_MS: i64 = 500;

/// How often samples, progress and the sign of life are written.
const WRITE_EVERY_MS: i64 = 100;

/// The loop's state: all of it can be lost, for the journal has what counts.
pub struct Conduct {
    pub(super) orders: Orders,
    pub(super) ledger: Ledger,
    scribe: Scribe,
    pub(super) notes: Notes,
    work: Work,
    pub(super) watch: Watch,
    notices: Notices,
    pub(super) notifier: Notifier,
    held: tokio_watch::Sender<bool>,
    present: Vec<Presence>,
    drift_looked_ms: i64,
    written_ms: i64,
    noticed_ms: i64,
    boot_id: String,
    room: Room,
    pub(super) aside: Aside,
}

impl Conduct {
    /// A loop over a session that is open.
    pub fn new(
        orders: Orders,
        ledger: Ledger,
        scribe: Scribe,
        work: Work,
        watch: Watch,
        notifier: Notifier,
        held: tokio_watch::Sender<bool>,
    ) -> Conduct {
        let notices = Notices::begin(ledger.session(), ledger.clock.now_ms());
        Conduct {
            room: Room::begin(&orders.folder),
            aside: Aside::begin(&orders, work.inputs()),
            orders,
            ledger,
            notes: scribe.notes(),
            scribe,
            work,
            watch,
            notices,
            notifier,
            held,
            present: Vec::new(),
            drift_looked_ms: i64::MIN / 2,
            written_ms: i64::MIN / 2,
            noticed_ms: i64::MIN / 2,
            boot_id: clock::boot_id(),
        }
    }

    /// The state.
    pub fn session(&self) -> &Session {
        self.ledger.session()
    }

    /// What the operator wrote.
    pub fn runbook(&self) -> &Arc<Runbook> {
        &self.orders.runbook
    }

    /// The session's folder.
    pub fn folder(&self) -> &Folder {
        &self.orders.folder
    }

    /// Who looks at SSH signatures before this loop sees them.
    pub fn verifier(&self) -> Verifier {
        Verifier::new(
            &self.session().charter,
            self.runbook().signatures.as_ref(),
            &self.orders.base,
            self.notes.clone(),
            self.ledger.clock,
        )
    }

    /// Whether the session is over.
    pub fn is_over(&self) -> bool {
        matches!(self.session().phase, Phase::RolledBack | Phase::Completed)
    }

    /// Keeps a fence that was raised again.
    pub async fn hold_fence(&mut self, fence: Fence) {
        *self.work.shared().fence.lock().await = Some(fence);
    }

    /// The way into this loop, for what is found out beside it.
    pub(super) fn inputs(&self) -> tokio::sync::mpsc::UnboundedSender<Input> {
        self.work.inputs()
    }

    /// Takes one input, and everything that it leads to by itself.
    ///
    /// # Errors
    /// The journal cannot be written: this engine must end.
    pub fn take(&mut self, input: Input) -> Result<(), Error> {
        match input {
            Input::Tick => self.tick()?,
            Input::Asked {
                request,
                user,
                answer,
            } => {
                let said = self.answer(request, &user)?;
                // Whoever asked may have hung up; what they asked for has been done all the same.
                let _ = answer.send(said);
            }
            Input::News { row, attempt, news } => self.news(&row, attempt, news)?,
            Input::StepEnded {
                step,
                attempt,
                outcome,
            } => self.step_ended(&step, attempt, outcome)?,
            Input::FoundOut { step, found } => {
                self.append(vec![Event::StepFoundOut {
                    step,
                    found,
                    by: None,
                }])?;
            }
            Input::RowEnded { row, outcome } => {
                self.work.ended(&row);
                self.append(vec![Event::RollbackRowFinished { row, outcome }])?;
            }
            Input::Untold { text } => self.append(vec![Event::alarm(text)])?,
            // A rollback lets writers in again, so that whatever was read meanwhile says nothing.
            Input::Drifted { .. } if self.session().phase != Phase::Open => {}
            Input::Drifted { detail } => self.drifted(detail)?,
            Input::Sampled(sample) => {
                self.watch
                    .observe(&sample, self.ledger.session(), &self.notes)
            }
            Input::Upkeep(seen) => self.upkeep(&seen)?,
            Input::Disks {
                looks,
                source_bytes,
            } => self.disks(&looks, source_bytes)?,
        }
        self.settle()
    }

    /// Appends what is due by itself until nothing is.
    fn settle(&mut self) -> Result<(), Error> {
        loop {
            let now_ms = self.ledger.clock.now_ms();
            let events = due(self.ledger.session(), now_ms);
            if events.is_empty() {
                return Ok(());
            }
            match self.append(events) {
                // What would begin waits for room; the alarm about it is on its way.
                Err(error) if error.is_no_room() => return Ok(()),
                appended => appended?,
            }
        }
    }

    /// Writes what lies beside the chain. Where there is no room for that, the session goes on without it.
    fn flush(&mut self, now_ms: i64) -> Result<(), Error> {
        if let Some(text) = self.room.look(now_ms) {
            self.append(vec![Event::alarm(text)])?;
        }
        self.store_what_waits(now_ms)?;
        self.scribe.spare_room(self.room.is_scarce());
        match self.scribe.flush(now_ms, &self.boot_id, clock::now_ms()) {
            Err(full @ journal::Error::DiskFull { .. }) => {
                tracing::warn!(error = %full, "what lies beside the chain was not written");
                Ok(())
            }
            flushed => Ok(flushed?),
        }
    }

    fn tick(&mut self) -> Result<(), Error> {
        let now_ms = self.ledger.clock.now_ms();
        let verdicts = self.watch.judge(self.ledger.session(), now_ms, &self.notes);
        // A session that is over waits here for nothing but room for its record.
        if !verdicts.is_empty() && !self.is_over() {
            self.append(verdicts)?;
        }
        self.look_for_notices(now_ms);
        self.aside.heed(self.ledger.session());
        self.look_for_silence(now_ms);
        if now_ms - self.drift_looked_ms >= LOOK_FOR_DRIFT_EVERY_MS {
            self.drift_looked_ms = now_ms;
            if let Some(detail) = self.work.drift() {
                self.drifted(detail)?;
            }
        }
        if now_ms - self.written_ms >= WRITE_EVERY_MS {
            self.written_ms = now_ms;
            self.flush(now_ms)?;
        }
        Ok(())
    }

    /// People who are not looking are told of what has come about.
    fn look_for_notices(&mut self, now_ms: i64) {
        if now_ms - self.noticed_ms < NOTICE_EVERY_MS {
            return;
        }
        self.noticed_ms = now_ms;
        let triggers = self.watch.triggers(self.ledger.session(), now_ms);
        let notices = self
            .notices
            .looked(self.ledger.session(), &triggers, now_ms);
        notices.iter().for_each(|notice| self.notifier.tell(notice));
    }

    /// Before the switch, drift voids what was built on the freeze; after it, it can only be said.
    pub(super) fn drifted(&mut self, detail: String) -> Result<(), Error> {
        self.work.drop_fence();
        if self.session().switched_ms().is_some() {
            let text = format!("SQLite was written after the switch: {detail}");
            return self.append(vec![Event::alarm(text)]);
        }
        self.work.halt();
        self.append(vec![Event::DriftFound { detail }])
    }

    fn answer(&mut self, request: Request, user: &str) -> Result<Answer, Error> {
        let charter = &self.ledger.session().charter;
        let actor = Actor::identify(charter, user, request.claim.as_deref());
        Ok(match request.ask {
            Ask::Ping => Answer::Here {
                pid: std::process::id(),
                you: actor.map(|a| a.id),
            },
            Ask::Present { view } => {
                if let Some(actor) = actor {
                    self.seen(&actor, view);
                }
                Answer::Done {
                    seq: self.ledger.session().seq,
                }
            }
            Ask::Command { command } => match actor {
                Some(actor) => self.command(&actor, &command)?,
                None => Answer::Refused {
                    refusal: Refusal::NotOnBridge {
                        user: user.to_owned(),
                    },
                },
            },
        })
    }

    fn command(&mut self, actor: &Actor, command: &Command) -> Result<Answer, Error> {
        let decided = self
            .ledger
            .append_with(|session| decide(session, actor, command));
        let decided = match decided {
            Err(journal::Error::DiskFull { .. }) => Err(Refusal::NoRoom),
            decided => decided?,
        };
        Ok(match decided {
            Ok(recorded) => {
                self.act(&recorded)?;
                Answer::Done {
                    seq: self.ledger.session().seq,
                }
            }
            Err(refusal) => Answer::Refused { refusal },
        })
    }

    /// Whoever was here once stays on the board: when they were last seen is what others want to know.
    fn seen(&mut self, actor: &Actor, view: String) {
        let seen = Presence {
            person: actor.id.clone(),
            roles: actor.roles.clone(),
            view: printable(&view, MAX_VIEW_CHARS),
            seen_ms: self.ledger.clock.now_ms(),
        };
        self.present.retain(|p| p.person != seen.person);
        self.present.push(seen);
        self.present.sort_by(|a, b| a.person.cmp(&b.person));
        self.notes.board(live::key::PRESENCE, &self.present);
    }

    fn step_ended(&mut self, step: &str, attempt: u32, outcome: Outcome) -> Result<(), Error> {
        self.work.ended(step);
        let state = self.ledger.session().step(step);
        // A step whose freeze drifted away, or that a person decided about meanwhile, has no say any more.
        if !state.is_some_and(|s| s.attempt == attempt && s.status == StepStatus::Running) {
            return Ok(());
        }
        let events = match self.ledger.session().phase {
            Phase::Open => step_ended(self.ledger.session(), step, outcome),
            _ => vec![Event::StepFinished {
                step: step.to_owned(),
                attempt,
                outcome,
            }],
        };
        self.append(events)
    }

    fn news(&mut self, row: &str, attempt: u32, news: News) -> Result<(), Error> {
        let at_ms = self.ledger.clock.now_ms();
        self.aside.heartbeat.heard(row, at_ms);
        match news {
            News::Progress {
                label,
                done,
                total,
                unit,
            } => self.notes.progress(Progress {
                step: row.to_owned(),
                item: label,
                done,
                total: (total > 0).then_some(total),
                unit: unit.to_owned(),
                at_ms,
            }),
            News::Parity(tables) => {
                let step = row.to_owned();
                self.notes
                    .board(live::key::PARITY, &ParityView { step, tables });
            }
            News::Plan(plan) => self.notes.board(live::key::PLAN, &plan),
            News::Line(line) => self.notes.output(row, attempt, Stream::Step, at_ms, &line),
            News::Undo { undo, durable } => {
                let mut recorded = self.ledger.session().undos.iter();
                let known = recorded.any(|(step, u)| step == row && *u == undo);
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
            News::Instance(view) => self.watch.instance(&view),
            News::Artefact { name, path } => {
                if let Err(why) = self.keep(row, &name, &path, at_ms) {
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

    fn keep(
        &self,
        row: &str,
        name: &str,
        path: &std::path::Path,
        at_ms: i64,
    ) -> Result<(), String> {
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        self.notes
            .publish(&format!("{row} {name}"), name, at_ms, &bytes)
            .map_err(|e| e.to_string())?;
        Ok(())
    }

    /// Appends facts and carries out what they ask for.
    pub(super) fn append(&mut self, events: Vec<Event>) -> Result<(), Error> {
        let recorded = self.ledger.append(events)?;
        self.act(&recorded)
    }

    /// Carries out what events ask for. Each was durable before this.
    fn act(&mut self, recorded: &[Recorded]) -> Result<(), Error> {
        for entry in recorded {
            self.watch.apply(entry, self.ledger.session());
            let notices = self.notices.happened(self.ledger.session(), entry);
            notices.iter().for_each(|notice| self.notifier.tell(notice));
            match &entry.event {
                Event::StepStarted { step, attempt, .. } => {
                    self.work
                        .start_step(&self.orders, self.ledger.session(), step, *attempt);
                }
                Event::StepLost { step, attempt } => {
                    self.work
                        .find_out(&self.orders, self.ledger.session(), step, *attempt);
                }
                // People ended it; the task that waited for them has nothing left to do.
                Event::StepFinished { step, .. } => self.work.forget(step),
                Event::StepFoundOut {
                    found: crate::session::Found::Done { outcome },
                    ..
                } => {
                    let fired = check_triggers(self.ledger.session(), outcome);
                    if !fired.is_empty() {
                        self.append(fired)?;
                    }
                }
                Event::TriggerFired { .. } => self.work.halt_rollout(self.ledger.session()),
                Event::RollbackStarted { .. } => self.work.halt(),
                Event::RollbackRowStarted { row } => {
                    self.work
                        .start_row(&self.orders, self.ledger.session(), row);
                }
                Event::SessionHeld { .. } | Event::SessionResumed { .. } => {
                    self.held.send_replace(self.ledger.session().held.is_some());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A release that is complete is marked in the target, so that no other night takes it for a database that may be emptied. What
    /// keeps that from being done is said; `cutover close` tries again.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub async fn mark_release(&mut self) -> Result<(), Error> {
        if self.session().phase != Phase::Completed {
            return Ok(());
        }
        let base = &self.orders.base;
        let marked = closing::mark_release(&self.orders.runbook, base, self.session()).await;
        match marked {
            Ok(()) => Ok(()),
            Err(why) => self.append(vec![Event::alarm(format!(
                "the release could not be marked in PostgreSQL, so that only the records on this host know of it: {why}. `cutover close` \
                 marks it"
            ))]),
        }
    }

    /// Once the session is over, both databases are free for another one. Where the target does not answer, whoever looks there finds out
    /// from this session's folder.
    pub fn leave_claims(&self) {
        if !self.is_over() {
            return;
        }
        let file = self.orders.base.join(&self.orders.runbook.source.file);
        if let Err(error) = claim::source::leave(&file, &Claim::of(&self.orders.folder)) {
            tracing::warn!(%error, "the claim on the source is still there");
        }
    }

    /// Waits a moment for the notices that are still on their way. What could not be told comes back as an input.
    pub async fn tell_the_last(&mut self) {
        self.notifier.end(LAST_WORDS).await;
    }

    /// Ends in order: what runs is cancelled, what is known is written.
    pub async fn end(mut self) {
        let over = self.is_over();
        self.work.end(over).await;
        if over {
            self.room.end();
        }
        if let Err(error) =
            self.scribe
                .flush(self.ledger.clock.now_ms(), &self.boot_id, clock::now_ms())
        {
            tracing::error!(%error, "what lies beside the chain could not be written");
        }
        drop(self.scribe);
        if over && let Err(error) = self.ledger.finish() {
            tracing::error!(%error, "the journal could not be finished");
        }
    }
}
