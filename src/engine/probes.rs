//! The probes of an engine, and the part of the live board that is seen and not judged: instances, loads, clients, what a rollback would
//! cost. Not in here: what samples come to (`watch`), how a probe asks (`monitor`).

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::cost::Cost;
use super::feed::Feed;
use super::input::Input;
use crate::feed::Handover;
use crate::journal::{self, Folder, Notes};
use crate::monitor::{Clock, Ground, Monitor, Stage};
use crate::runbook::{Instance, Runbook};
use crate::session::live::{self, ItemView};
use crate::session::{Event, Recorded, Session};
use crate::step::context::SessionClock;
use crate::trigger::{Reading, Sample};

/// Samples that may wait for the loop before probes are told that nobody listens.
const QUEUE: usize = 10_000;

/// What looks at the fleet and at the target.
pub struct Probes {
    monitor: Arc<Monitor>,
    items: watch::Sender<Vec<ItemView>>,
    /// The fleet of the opening.
    opening: Vec<Instance>,
    cost: Cost,
    feed: Feed,
    /// When the loads on the board were scraped: they are many, and put there once.
    loads_ms: Option<i64>,
    /// The same of who is connected to the target.
    clients_ms: Option<i64>,
}

impl Probes {
    /// Starts them. Samples become inputs; `items` has the checklist, for steps that wait for it.
    pub fn start(
        runbook: &Arc<Runbook>,
        ground: Ground,
        folder: &Folder,
        session: &Session,
        clock: SessionClock,
        items: watch::Sender<Vec<ItemView>>,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Probes {
        let (sink, mut samples) = mpsc::channel::<Sample>(QUEUE);
        let told = inputs.clone();
        tokio::spawn(async move {
            while let Some(sample) = samples.recv().await {
                if inputs.send(Input::Sampled(sample)).is_err() {
                    break;
                }
            }
        });
        let now: Clock = Arc::new(move || clock.now_ms());
        let speed = session.charter.speed;
        let monitor = Monitor::start(Arc::clone(runbook), ground, now, speed, sink);
        monitor.maintenance(Stage::of(session.freeze(), session.has_switched()));
        let opening = runbook.fleet.instances.clone();
        monitor.stand(session.roster.stands(&opening));
        Probes {
            opening,
            monitor: Arc::new(monitor),
            items,
            cost: Cost::new(runbook, clock, session),
            feed: Feed::new(runbook, folder, clock, session, told),
            loads_ms: None,
            clients_ms: None,
        }
    }

    /// The probes themselves, for the baseline.
    pub fn monitor(&self) -> Arc<Monitor> {
        Arc::clone(&self.monitor)
    }

    /// What an event means for them.
    pub fn apply(&mut self, recorded: &Recorded, session: &Session) {
        self.monitor
            .maintenance(Stage::of(session.freeze(), session.has_switched()));
        if let Event::MembershipChanged { .. } = &recorded.event {
            self.monitor.stand(session.roster.stands(&self.opening));
        }
        self.cost.apply(&recorded.event);
        self.feed.apply(&recorded.event, session);
    }

    /// Where the feed's reader is once it has ended.
    pub fn feed_handover(&self) -> Handover {
        self.feed.handover()
    }

    /// An instance is about to be restarted on purpose.
    pub fn restarted(&self, instance: &str) {
        self.monitor.restarted(instance);
    }

    /// Brings the board up to date, for steps and for screens.
    pub fn show(&mut self, items: &[ItemView], notes: &Notes) {
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
        if let Some(feed) = self.feed.view() {
            notes.board(live::key::FEED, &feed);
        }
        self.items.send_replace(items.to_vec());
    }
}

/// A sample as the journal keeps it.
pub fn kept(sample: &Sample) -> journal::Sample {
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
