//! Watching: probes make samples, the judge and the checklist make of them what the rules need, and the live board shows it. Not
//! in here: how a probe asks (`monitor`), what a sample means (`trigger`).

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::cost::Cost;
use super::input::Input;
use super::ledger::Ledger;
use crate::journal::{self, Notes};
use crate::monitor::{Clock, Ground, Monitor, Stage};
use crate::runbook::Runbook;
use crate::session::live::{self, InstanceView, ItemView, TriggerView};
use crate::session::{Event, Recorded, Session};
use crate::trigger::{Cadence, Checklist, Judge, Memory, Reading, Sample};

/// Samples that may wait for the loop before probes are told that nobody listens.
const QUEUE: usize = 10_000;
/// How often the board is brought up to date.
const SHOW_EVERY_MS: i64 = 200;
/// How often the judge's memory is put where the next engine finds it.
const KEEP_EVERY_MS: i64 = 1_000;

/// What watches a session.
pub struct Watch {
    monitor: Arc<Monitor>,
    judge: Judge,
    checklist: Checklist,
    items: watch::Sender<Vec<ItemView>>,
    cost: Cost,
    shown_ms: i64,
    kept_ms: i64,
    /// When the loads on the board were scraped: they are many, and put there once.
    loads_ms: Option<i64>,
    /// The same of who is connected to the target.
    clients_ms: Option<i64>,
}

/// Under this name the judge's memory lies on the board, for the next engine.
pub const MEMORY: &str = "judge";

impl Watch {
    /// Starts the probes. `memory` is what an earlier engine's judge knew.
    pub fn start(
        runbook: &Arc<Runbook>,
        ground: Ground,
        ledger: &Ledger,
        memory: Option<Memory>,
        items: watch::Sender<Vec<ItemView>>,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Watch {
        let charter = &ledger.session().charter;
        let (sink, mut samples) = mpsc::channel::<Sample>(QUEUE);
        tokio::spawn(async move {
            while let Some(sample) = samples.recv().await {
                if inputs.send(Input::Sampled(sample)).is_err() {
                    break;
                }
            }
        });
        let session_clock = ledger.clock;
        let clock: Clock = Arc::new(move || session_clock.now_ms());
        let monitor = Monitor::start(Arc::clone(runbook), ground, clock, charter.speed, sink);
        monitor.maintenance(Stage::of(ledger.session().freeze()));
        Watch {
            monitor: Arc::new(monitor),
            judge: Judge::new(charter, Cadence::of(runbook, charter.speed), memory),
            checklist: Checklist::new(charter, &Cadence::of(runbook, charter.speed)),
            items,
            cost: Cost::new(runbook, session_clock, ledger.session()),
            shown_ms: 0,
            kept_ms: 0,
            loads_ms: None,
            clients_ms: None,
        }
    }

    /// The probes, for the baseline.
    pub fn monitor(&self) -> Arc<Monitor> {
        Arc::clone(&self.monitor)
    }

    /// What an event means for judging.
    pub fn apply(&mut self, recorded: &Recorded, session: &Session) {
        self.monitor.maintenance(Stage::of(session.freeze()));
        self.judge.apply(recorded);
        self.cost.apply(&recorded.event);
    }

    /// Takes in a sample and keeps it.
    pub fn observe(&mut self, sample: &Sample, session: &Session, notes: &Notes) {
        self.judge.observe(sample, session);
        self.checklist.observe(sample, session);
        notes.sample(kept(sample));
    }

    /// An instance is about to be restarted on purpose, or has come back.
    pub fn instance(&self, view: &InstanceView) {
        if view.state == live::InstanceState::Restarting {
            self.monitor.restarted(&view.id);
        }
    }

    /// Every trigger as it stands.
    pub fn triggers(&self, session: &Session, now_ms: i64) -> Vec<TriggerView> {
        self.judge.views(session, now_ms)
    }

    /// What the judge has to say now; brings the board up to date.
    pub fn judge(&mut self, session: &Session, now_ms: i64, notes: &Notes) -> Vec<Event> {
        let verdicts = self.judge.tick(session, now_ms);
        if now_ms - self.shown_ms >= SHOW_EVERY_MS {
            self.shown_ms = now_ms;
            let items = self.checklist.views(session, now_ms);
            notes.board(live::key::TRIGGERS, &self.judge.views(session, now_ms));
            notes.board(live::key::CHECKLIST, &items);
            notes.board(live::key::FLEET, &self.monitor.fleet());
            notes.board(live::key::DETAILS, &self.monitor.details());
            let loads = self.monitor.loads();
            if let Some(loads) = loads.filter(|l| self.loads_ms != Some(l.at_ms)) {
                self.loads_ms = Some(loads.at_ms);
                notes.board(live::key::LOADS, &*loads);
            }
            let clients = self.monitor.clients();
            if let Some(clients) = clients.filter(|c| self.clients_ms != Some(c.at_ms)) {
                self.clients_ms = Some(clients.at_ms);
                notes.board(live::key::CLIENTS, &*clients);
            }
            if let Some(cost) = self.cost.view() {
                notes.board(live::key::COST, &cost);
            }
            self.items.send_replace(items);
        }
        if now_ms - self.kept_ms >= KEEP_EVERY_MS {
            self.kept_ms = now_ms;
            notes.board(MEMORY, &self.judge.memory());
        }
        verdicts.into_iter().map(Event::from).collect()
    }
}

/// A sample as the journal keeps it.
fn kept(sample: &Sample) -> journal::Sample {
    let (reading, n) = match &sample.reading {
        Reading::Value { value, n } => (journal::Reading::of(*value), *n),
        Reading::Partial { value, n, reason } => {
            (journal::Reading::Partial(*value, reason.clone()), *n)
        }
        Reading::NoData { reason } => (journal::Reading::NoData(reason.clone()), None),
    };
    journal::Sample {
        signal: sample.signal.clone(),
        at_ms: sample.at_ms,
        reading,
        n,
    }
}
