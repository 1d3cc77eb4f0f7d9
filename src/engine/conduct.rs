//! The conductor: takes one input at a time, turns it into events by the session's rules, and carries out what the events ask
//! for. Not in here: whatever it reaches (`outside`), which work counts (`work`), how signals are judged (`watch`), how an engine takes up
//! a session (`take_up`).

mod act;
mod news;

use std::collections::BTreeSet;

use super::aside::Aside;
use super::input::Input;
use super::ledger::Ledger;
use super::outside::{Beside, Effect, Job, Outside};
use super::probes::kept;
use super::protocol::{Answer, Ask, Request};
use super::watch::Watch;
use super::work::Work;
use super::{Error, lease};
use crate::journal;
use crate::session::due::due;
use crate::session::event::given_up;
use crate::session::live::Presence;
use crate::session::notice::{Notice, Notices};
use crate::session::{Actor, Command, Event, LineKind, Phase, Refusal, Session, decide};
use crate::text::printable;
use crate::trigger::Sample;

/// How often drift is looked for while writes are frozen.
const LOOK_FOR_DRIFT_EVERY_MS: i64 = 500;
/// The longest name of a view that is taken.
const MAX_VIEW_CHARS: usize = 40;

/// How often it is looked whether people have to be told something.
const NOTICE_EVERY_MS: i64 = 500;

/// How often samples, progress and the sign of life are written.
const WRITE_EVERY_MS: i64 = 100;

/// The loop's state: all of it can be lost, for the journal has what counts.
pub struct Conduct<O: Outside> {
    pub(super) outside: O,
    pub(super) ledger: Ledger<O::Book>,
    watch: Watch,
    work: Work,
    notices: Notices,
    present: Vec<Presence>,
    drift_looked_ms: i64,
    /// Whether people know what got past the fence since the switch.
    is_drift_said: bool,
    written_ms: i64,
    noticed_ms: i64,
    /// Instances that a piece of work is restarting.
    restarting: BTreeSet<(u64, String)>,
    pub(super) aside: Aside,
    /// The databases are no longer those of the session: no step begins, and nobody can do anything but roll back.
    pub(super) only_rolls_back: bool,
}

impl<O: Outside> Conduct<O> {
    /// A loop over a session that is open.
    pub fn new(outside: O, ledger: Ledger<O::Book>, watch: Watch) -> Conduct<O> {
        let notices = Notices::begin(ledger.session(), outside.now().at_ms);
        Conduct {
            outside,
            ledger,
            watch,
            work: Work::default(),
            notices,
            present: Vec::new(),
            drift_looked_ms: i64::MIN / 2,
            is_drift_said: false,
            written_ms: i64::MIN / 2,
            noticed_ms: i64::MIN / 2,
            restarting: BTreeSet::new(),
            aside: Aside::default(),
            only_rolls_back: false,
        }
    }

    pub fn session(&self) -> &Session {
        self.ledger.session()
    }

    /// What the loop reaches.
    pub fn outside(&mut self) -> &mut O {
        &mut self.outside
    }

    /// Whether the session is over.
    pub fn is_over(&self) -> bool {
        matches!(self.session().phase, Phase::RolledBack | Phase::Completed)
    }

    /// Session time.
    pub(super) fn now_ms(&self) -> i64 {
        self.outside.now().at_ms
    }

    /// Has something done outside.
    pub(super) fn carry_out(&mut self, effect: Effect<'_>) {
        self.outside.carry_out(self.ledger.session(), effect);
    }

    pub(super) fn note(&mut self, beside: Beside<'_>) {
        self.carry_out(Effect::Note(beside));
    }

    pub(super) fn tell(&mut self, notices: &[Notice]) {
        for notice in notices {
            self.carry_out(Effect::Tell(notice));
        }
    }

    /// Takes one input, and says whether the engine ends by it and how. At each tick `lease` says whether this engine still is the one.
    pub fn turn(
        &mut self,
        input: Input,
        lease: impl FnOnce() -> Result<(), lease::Error>,
    ) -> Option<Result<(), Error>> {
        let tick = matches!(input, Input::Tick);
        if let Err(error) = self.take(input) {
            return Some(Err(error));
        }
        if tick && let Err(error) = lease() {
            return Some(Err(error.into()));
        }
        // What is in memory alone would go with this process.
        (self.is_over() && self.ledger.is_kept()).then_some(Ok(()))
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
            Input::News {
                row,
                attempt,
                run,
                news,
            } => self.news(&row, attempt, run, news)?,
            Input::StepEnded { step, run, outcome } => self.step_ended(&step, run, outcome)?,
            Input::FoundOut { step, run, found } => self.found_out(&step, run, found)?,
            Input::RowEnded { row, run, outcome } => {
                if self.work.ended(&row, run) {
                    self.append(vec![Event::RollbackRowFinished { row, outcome }])?;
                }
            }
            Input::Untold { text } => self.append(vec![Event::alarm(text)])?,
            Input::Lost { text } if self.session().phase == Phase::Open => {
                self.append(vec![Event::alarm(text)])?;
            }
            // Once a rollback has begun, its rows say what came back.
            Input::Lost { .. } => {}
            // A rollback lets writers in again, so that whatever was read meanwhile says nothing.
            Input::Drifted { .. } if self.session().phase != Phase::Open => {}
            Input::Drifted { detail } => self.drifted(detail)?,
            Input::Sampled(sample) => self.sampled(&sample),
            Input::Upkeep(seen) => self.upkeep(&seen)?,
            Input::Membership(asked) => self.membership(&asked)?,
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
            let events = due(self.ledger.session(), self.now_ms());
            let begins_step = |e: &Event| matches!(e, Event::StepStarted { .. });
            if events.is_empty() || (self.only_rolls_back && events.iter().any(begins_step)) {
                return Ok(());
            }
            if self.begins_switch(&events) && self.has_drifted()? {
                continue;
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
        let has_all = self.ledger.unstored() == 0;
        if let Some(text) = self.outside.keep_room(now_ms, has_all) {
            self.append(vec![Event::alarm(text)])?;
        }
        self.store_what_waits(now_ms)?;
        match self.outside.flush(now_ms) {
            Err(full @ journal::Error::DiskFull { .. }) => {
                tracing::warn!(error = %full, "what lies beside the chain was not written");
                Ok(())
            }
            flushed => Ok(flushed?),
        }
    }

    fn tick(&mut self) -> Result<(), Error> {
        let now_ms = self.now_ms();
        let (outside, session) = (&mut self.outside, self.ledger.session());
        let verdicts = self.watch.judge(session, now_ms, |beside| {
            outside.carry_out(session, Effect::Note(beside));
        });
        // A session that is over waits here for nothing but room for its record.
        if !verdicts.is_empty() && !self.is_over() {
            self.append(verdicts)?;
        }
        self.look_for_notices(now_ms);
        self.look_at_maintenance();
        self.look_for_silence(now_ms);
        if now_ms - self.drift_looked_ms >= LOOK_FOR_DRIFT_EVERY_MS {
            self.drift_looked_ms = now_ms;
            self.has_drifted()?;
        }
        if now_ms - self.written_ms >= WRITE_EVERY_MS {
            self.written_ms = now_ms;
            self.flush(now_ms)?;
        }
        Ok(())
    }

    pub(super) fn sampled(&mut self, sample: &Sample) {
        self.watch.observe(sample, self.ledger.session());
        self.note(Beside::Sample(kept(sample)));
    }

    /// People who are not looking are told of what has come about.
    fn look_for_notices(&mut self, now_ms: i64) {
        if now_ms - self.noticed_ms < NOTICE_EVERY_MS {
            return;
        }
        self.noticed_ms = now_ms;
        let session = self.ledger.session();
        let triggers = self.watch.triggers(session, now_ms);
        let notices = self.notices.observe(session, &triggers, now_ms);
        self.tell(&notices);
    }

    /// Looks whether anything got past the fence; gives whether that voids what was built on the freeze. After the switch it is said once,
    /// and the fence stays: it still keeps most writers out, and F4 looks at it before it lets anybody write.
    fn has_drifted(&mut self) -> Result<bool, Error> {
        let Some(detail) = self.outside.drift() else {
            return Ok(false);
        };
        let has_switched = self.session().has_switched();
        if !has_switched || !std::mem::replace(&mut self.is_drift_said, true) {
            self.drifted(detail)?;
        }
        Ok(!has_switched)
    }

    /// Whether the switch would begin: a write of the last half second, which nobody has looked for yet, would be lost by it.
    fn begins_switch(&self, events: &[Event]) -> bool {
        let switch = self.session().step_of_kind(&LineKind::Switch);
        let begins = |event: &Event| matches!(event, Event::StepStarted { step, .. } if switch.is_some_and(|s| s.id == *step));
        events.iter().any(begins)
    }

    /// Before the switch, drift voids what was built on the freeze; after it, it is said, and F4 does not begin to let users write. A rollback lets writers in again: what
    /// was to be proven for a switch does not matter any more, and its rows go on.
    pub(super) fn drifted(&mut self, detail: String) -> Result<(), Error> {
        let has_switched = self.session().has_switched();
        if !has_switched && self.session().phase != Phase::Open {
            return Ok(());
        }
        if has_switched {
            return self.append(vec![Event::WrittenAfterSwitch { detail }]);
        }
        self.carry_out(Effect::DropFence);
        self.halt();
        // What was halted may end well a moment later, on what is void.
        self.work.void();
        self.append(vec![Event::DriftFound { detail }])
    }

    /// What runs is cancelled; the next waits for its end.
    fn halt(&mut self) {
        if let Some(run) = self.work.halt() {
            self.carry_out(Effect::Cancel { run });
        }
    }

    fn answer(&mut self, request: Request, user: &str) -> Result<Answer, Error> {
        let charter = &self.ledger.session().charter;
        let actor = Actor::identify(charter, user, request.claim.as_deref());
        Ok(match request.ask {
            Ask::Ping => Answer::Here {
                pid: self.outside.process().pid,
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
        let looks_first = match command {
            Command::StartStep { .. } | Command::StartDiscarding { .. } => {
                decide(self.session(), actor, command).is_ok_and(|e| self.begins_switch(&e))
            }
            // Nobody looks any more after it.
            Command::Complete => true,
            Command::Confirm { .. }
            | Command::Sign { .. }
            | Command::Withdraw { .. }
            | Command::Hold { .. }
            | Command::Resume
            | Command::Skip { .. }
            | Command::DecideUnknown { .. }
            | Command::ExtendFreeze { .. }
            | Command::RollBack { .. }
            | Command::Note { .. }
            | Command::Close { .. }
            | Command::Retry { .. }
            | Command::Correct { .. } => false,
        };
        let knew = self.session().written_after_switch.is_some();
        if looks_first {
            self.has_drifted()?;
        }
        if let Some(refusal) = self.refuses(command).or_else(|| self.loses(command, knew)) {
            return Ok(Answer::Refused { refusal });
        }
        let now = self.outside.now();
        let decided = self
            .ledger
            .append_with(now, |session| decide(session, actor, command));
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

    /// What this engine does not do, whoever asks: the rules do not know which databases are there.
    fn refuses(&self, command: &Command) -> Option<Refusal> {
        let may = match command {
            Command::RollBack { .. } | Command::Note { .. } | Command::Hold { .. } => true,
            Command::StartStep { .. }
            | Command::StartDiscarding { .. }
            | Command::Complete
            | Command::Confirm { .. }
            | Command::Sign { .. }
            | Command::Withdraw { .. }
            | Command::Resume
            | Command::Skip { .. }
            | Command::DecideUnknown { .. }
            | Command::ExtendFreeze { .. }
            | Command::Close { .. }
            | Command::Retry { .. }
            | Command::Correct { .. } => false,
        };
        let is_open = self.session().phase == Phase::Open;
        (self.only_rolls_back && is_open && !may).then_some(Refusal::OnlyRollsBack)
    }

    /// Whoever completes the release gives up what was written to SQLite after the switch, and has to have read of it before.
    fn loses(&self, command: &Command, knew: bool) -> Option<Refusal> {
        let detail = self.session().written_after_switch.as_ref();
        let detail = detail.filter(|_| *command == Command::Complete && !knew)?;
        Some(Refusal::NotComplete {
            why: format!(
                "{}, as was seen only now. Look at the file first; whoever completes again does so all the same",
                given_up(detail)
            ),
        })
    }

    /// Whoever was here once stays on the board: when they were last seen is what others want to know.
    fn seen(&mut self, actor: &Actor, view: String) {
        let seen = Presence {
            person: actor.id.clone(),
            roles: actor.roles.clone(),
            view: printable(&view, MAX_VIEW_CHARS),
            seen_ms: self.now_ms(),
        };
        self.present.retain(|p| p.person != seen.person);
        self.present.push(seen);
        self.present.sort_by(|a, b| a.person.cmp(&b.person));
        self.outside.carry_out(
            self.ledger.session(),
            Effect::Note(Beside::Presence(&self.present)),
        );
    }

    fn start(&mut self, run: u64, job: Job<'_>, after: &[u64]) {
        self.carry_out(Effect::Start { run, job, after });
    }
}
