//! What the screen knows: the fold of the journal, what lies beside it, and where the cursor is. Nothing in here is durable:
//! closing the cockpit loses nothing.
//!
//! Not in here: what a key does (`actions`, `update`) and how anything looks (`view`).

pub mod clients;
pub mod comments;
pub mod filter;
pub mod loads;
pub mod pace;
pub mod rounds;
mod selected;
pub mod series;
pub mod still;
pub mod tables;
pub mod telling;
pub mod ui;
pub mod whole;

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, FixedOffset, Utc};

use self::clients::Clients;
use self::comments::Note;
use self::loads::Loads;
use self::pace::Pace;
use self::series::SeriesSet;
use self::still::Still;
use self::telling::Told;
use self::ui::Ui;
use super::bridge::Fault;
use super::news::{Engine, News};
use super::replay::Replay;
use super::ring::{Ringer, Ringing};
use crate::journal::{OutputLine, Progress};
use crate::runbook::Role;
use crate::session::confidence::{Confidence, confidence};
use crate::session::live::{
    CostView, DetailView, FeedView, InstanceState, InstanceView, ItemView, ParityView, PlanView,
    Presence, TriggerView,
};
use crate::session::state::NotASession;
use crate::session::{Actor, Event, GateView, Phase, Recorded, Session, StepState, cost};

/// Events that are kept for the screen; older ones are in the journal.
const KEPT_EVENTS: usize = 2_000;
/// Lines of output that are kept for the screen.
const KEPT_LINES: usize = 2_000;
/// A recorded probe counts for so long, in real milliseconds; samples of long ago are kept one a minute.
const PROBED_MS: i64 = 60_000;
/// An engine without a sign of life for so long hangs, or is stopped, as its guard sees it too; before, it may have been short of processor time.
const HANGS_MS: i64 = 10_000;

/// What the screen knows.
#[derive(Debug, Clone)]
pub struct Model {
    /// The fold of the journal's events.
    pub session: Session,
    /// Events in words, oldest first.
    pub events: VecDeque<Told>,
    /// Every gate as it stands after the last event.
    pub gates: Vec<GateView>,
    /// The confidence score after the last event.
    pub confidence: Confidence,
    /// When each signature was given, by gate and role.
    pub signed: BTreeMap<(String, Role), DateTime<Utc>>,
    /// What people wrote, oldest first.
    pub notes: Vec<Note>,
    /// Whether an engine runs.
    pub engine: Engine,
    /// Session time at which an engine was last seen to live.
    pub live_ms: i64,
    /// Session time now, by the engine's clock.
    pub now_ms: i64,
    /// The wall clock, for people.
    pub wall: DateTime<Utc>,
    /// Where the reader is.
    pub zone: FixedOffset,
    /// Samples by signal.
    pub series: SeriesSet,
    /// How far every part of every step has come.
    pub progress: Vec<Progress>,
    /// How fast the running step goes.
    pub pace: Pace,
    /// Output of the step that is looked at.
    pub output: VecDeque<OutputLine>,
    /// The last line that any step printed.
    pub last_line: Option<OutputLine>,
    /// Triggers as fuses.
    pub triggers: Vec<TriggerView>,
    /// The monitoring checklist.
    pub checklist: Vec<ItemView>,
    pub fleet: Vec<InstanceView>,
    /// What every instance carries.
    pub loads: Loads,
    /// Who is connected to the target.
    pub clients: Clients,
    /// Who is at the bridge.
    pub presence: Vec<Presence>,
    /// What probes tell people beside their numbers.
    pub details: Vec<DetailView>,
    /// What a rollback would cost, as last estimated.
    pub cost: Option<CostView>,
    /// What the feed has read of what is written to PostgreSQL, as it said last.
    pub feed: Option<FeedView>,
    /// The comparison of every row, as it goes or as it ended.
    pub parity: ParityView,
    /// What moves, in which order; empty until D1 has found out.
    pub plan: PlanView,
    /// Account of the operating system at this terminal.
    pub user: String,
    /// Who the person at this terminal is on this bridge, if anybody.
    pub me: Option<Actor>,
    /// Whom they play, in the sandbox.
    pub playing: Option<String>,
    /// Faults that the sandbox can inject.
    pub faults: Vec<Fault>,
    /// What this terminal has rung for.
    pub ringer: Ringer,
    /// Where a replay is; `None` where the session is followed as it goes.
    pub replay: Option<Replay>,
    /// What goes on behind a display that stands still.
    pub still: Option<Box<Still>>,
    /// Where the cursor is and what lies over the screen.
    pub ui: Ui,
}

/// Who is at this terminal, and where.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Account of the operating system.
    pub user: String,
    /// Whom they play, in the sandbox.
    pub playing: Option<String>,
    /// Time zone of the reader.
    pub zone: FixedOffset,
}

impl Model {
    /// A screen on the session that these events tell of.
    ///
    /// # Errors
    /// The first event does not open a session.
    pub fn open(entries: Vec<Recorded>, seat: Seat) -> Result<Model, NotASession> {
        let first = entries.first().ok_or(NotASession { seq: 0 })?;
        let session = Session::open(first)?;
        let mut model = Model {
            events: VecDeque::new(),
            gates: Vec::new(),
            confidence: confidence(&session),
            signed: BTreeMap::new(),
            notes: Vec::new(),
            engine: Engine::Gone { last: None },
            live_ms: 0,
            now_ms: first.at_ms,
            wall: first.wall,
            zone: seat.zone,
            series: SeriesSet::default(),
            progress: Vec::new(),
            pace: Pace::default(),
            output: VecDeque::new(),
            last_line: None,
            triggers: Vec::new(),
            checklist: Vec::new(),
            fleet: Vec::new(),
            loads: Loads::default(),
            clients: Clients::default(),
            presence: Vec::new(),
            details: Vec::new(),
            cost: None,
            feed: None,
            parity: ParityView::default(),
            plan: PlanView::default(),
            user: seat.user,
            me: None,
            playing: None,
            faults: Vec::new(),
            ringer: Ringer::default(),
            replay: None,
            still: None,
            ui: Ui::default(),
            session,
        };
        model.play(seat.playing);
        model.take_entries(&entries);
        model.ringer = Ringer::begin(&model.session, model.now_ms);
        Ok(model)
    }

    /// Takes in what has come; says whether anything on the screen may differ.
    pub fn take(&mut self, news: News) -> bool {
        let changed = !news.is_empty();
        self.take_entries(&news.entries);
        for sample in news.samples {
            self.series.push(sample);
        }
        if let Some(progress) = news.progress {
            self.progress = progress;
        }
        let moving = self.moving_step().map(|s| (s.id.clone(), s.attempt));
        self.pace.observe(moving, &self.progress, self.now_ms);
        for line in news.output {
            self.output.push_back(line);
        }
        let spare = self.output.len().saturating_sub(KEPT_LINES);
        self.output.drain(..spare);
        self.last_line = news.last_line.or(self.last_line.take());
        self.triggers = news.triggers.unwrap_or(std::mem::take(&mut self.triggers));
        self.checklist = news
            .checklist
            .unwrap_or(std::mem::take(&mut self.checklist));
        self.fleet = news.fleet.unwrap_or(std::mem::take(&mut self.fleet));
        self.presence = news.presence.unwrap_or(std::mem::take(&mut self.presence));
        self.details = news.details.unwrap_or(std::mem::take(&mut self.details));
        self.cost = news.cost.or(self.cost.take());
        self.feed = news.feed.or(self.feed.take());
        if let Some(loads) = news.loads {
            self.loads.take(loads);
        }
        if let Some(clients) = news.clients {
            self.clients.take(clients);
        }
        self.parity = news.parity.unwrap_or(std::mem::take(&mut self.parity));
        self.plan = news.plan.unwrap_or(std::mem::take(&mut self.plan));
        if let Some(engine) = news.engine {
            if engine.is_live() || self.engine.is_live() {
                self.live_ms = self.now_ms;
            }
            if let (
                Engine::Live { .. } | Engine::Silent { .. },
                Engine::Gone {
                    last: Some((pid, false)),
                },
            ) = (&self.engine, &engine)
            {
                self.ringer.engine_died(&self.session, *pid);
            }
            self.engine = engine;
        }
        changed
    }

    pub(super) fn take_entries(&mut self, entries: &[Recorded]) {
        for entry in entries {
            self.take_entry(entry);
        }
        if !entries.is_empty() {
            self.gates = self.session.gates();
            self.confidence = confidence(&self.session);
        }
    }

    fn take_entry(&mut self, entry: &Recorded) {
        if let Event::GateSigned { gate, signature } = &entry.event {
            self.signed
                .insert((gate.clone(), signature.role), entry.wall);
        }
        if let Event::NoteWritten { by, text } = &entry.event {
            self.notes.push(Note {
                by: by.clone(),
                wall: entry.wall,
                text: text.clone(),
            });
        }
        if entry.seq > self.session.seq {
            self.session.apply(entry);
            self.ringer.take_event(&self.session, entry);
        }
        self.events
            .push_back(telling::tell(entry, &self.session.charter));
        if self.events.len() > KEPT_EVENTS {
            self.events.pop_front();
        }
        self.now_ms = self.now_ms.max(entry.at_ms);
        self.wall = self.wall.max(entry.wall);
    }

    /// The clock has gone on.
    pub fn tick(&mut self, now_ms: Option<i64>, wall: DateTime<Utc>) {
        self.now_ms = now_ms.unwrap_or(self.now_ms).max(self.session.at_ms);
        self.wall = wall;
        if self.engine.is_live() {
            self.live_ms = self.now_ms;
        }
    }

    /// What is due at this terminal for somebody who does not look at it.
    pub fn ringing(&mut self) -> Option<Ringing> {
        self.ringer
            .observe(&self.session, &self.triggers, self.now_ms);
        let roles = self.own_roles().to_vec();
        self.ringer.take(&self.session, &roles)
    }

    /// Says something that is no answer to a key.
    pub fn warn(&mut self, text: String) {
        self.ui.toast = Some(ui::Toast {
            shown_ms: 0,
            text,
            meaning: crate::cockpit::theme::Meaning::Warn,
            since_ms: self.now_ms,
        });
    }

    /// From now on the person at this terminal plays somebody, or is themselves again.
    pub fn play(&mut self, person: Option<String>) {
        self.me = Actor::identify(&self.session.charter, &self.user, person.as_deref());
        self.playing = person.filter(|_| self.session.charter.sandbox);
    }

    /// The step, or the row of the rollback, that is being done.
    pub fn moving_step(&self) -> Option<&StepState> {
        let running = |s: &&StepState| s.status == crate::session::StepStatus::Running;
        match &self.session.rollback {
            Some(rollback) => rollback.rows.iter().find(running),
            None => self.session.steps.iter().find(running),
        }
    }

    /// Whether the clocks go on.
    pub fn is_over(&self) -> bool {
        matches!(self.session.phase, Phase::Completed | Phase::RolledBack)
    }

    /// Session time for clocks: it stands still once the session is over.
    pub fn clock_ms(&self) -> i64 {
        if self.is_over() {
            self.session.at_ms
        } else {
            self.now_ms
        }
    }

    /// Whether what is shown may be out of date because no engine lives. A session that is over needs none, nor does what was recorded.
    pub fn is_stale(&self) -> bool {
        !self.engine.is_live() && !self.is_over() && self.replay.is_none()
    }

    /// Real milliseconds since an engine was last seen to live.
    pub fn stale_for_ms(&self) -> i64 {
        (self.now_ms - self.live_ms).max(0)
    }

    /// Whether an engine has given no sign of life for so long that nothing but the end of its process helps.
    pub fn engine_hangs(&self) -> bool {
        self.stale_for_ms() >= HANGS_MS
    }

    /// What the feed has read, by what can be said of it now.
    pub fn feed_now(&self) -> Option<FeedView> {
        let feed = self.feed.clone();
        match self.is_stale() {
            true => feed.map(FeedView::unfollowed),
            false => feed,
        }
    }

    /// What a rollback that began now would lose though it was to be kept; nothing where there is none any more.
    pub fn would_lose(&self) -> Vec<String> {
        let feed = self.feed.as_ref();
        let feed = feed.filter(|_| self.session.phase == Phase::Open);
        feed.map_or_else(Vec::new, cost::would_lose)
    }

    /// A duration of the session in runbook time.
    pub fn runbook_ms(&self, real_ms: i64) -> i64 {
        self.session.charter.runbook_ms(real_ms)
    }

    /// The fleet as last seen, or as the charter names it where nobody has looked yet.
    pub fn instances(&self) -> Vec<InstanceView> {
        if !self.fleet.is_empty() {
            return self.fleet.clone();
        }
        if self.replay.is_some() {
            return self.probed();
        }
        let unseen = |i: &crate::session::charter::InstanceLine| InstanceView {
            id: i.id.clone(),
            canary: i.canary,
            state: InstanceState::Unknown,
            detail: String::new(),
        };
        self.session.charter.instances.iter().map(unseen).collect()
    }

    /// The fleet by its last recorded probes, which say whether an instance was ready and no more.
    fn probed(&self) -> Vec<InstanceView> {
        let instance = |i: &crate::session::charter::InstanceLine| {
            let signal = format!("ready.{}", i.id);
            let age_ms = self.series.last_ms(&signal).map(|at| self.now_ms - at);
            let recent = age_ms.is_some_and(|age| age <= PROBED_MS);
            let (state, detail) = match self.series.last(&signal).flatten().filter(|_| recent) {
                Some(ready) if ready > 0.5 => (InstanceState::Ready, "by its probe"),
                Some(_) => (InstanceState::NotReady, "by its probe"),
                None => (InstanceState::Unknown, "not recorded"),
            };
            InstanceView {
                id: i.id.clone(),
                canary: i.canary,
                state,
                detail: detail.to_owned(),
            }
        };
        self.session
            .charter
            .instances
            .iter()
            .map(instance)
            .collect()
    }

    /// Name of a person on the bridge, or the id where there is none.
    pub fn name_of<'a>(&'a self, id: &'a str) -> &'a str {
        self.session.charter.person(id).map_or(id, |p| &p.name)
    }
}
