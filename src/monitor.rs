//! Probes that make samples: one task each, so that a slow one never delays another. What a probe could not take is *no data*,
//! with the reason. Judging the samples is `trigger`'s job.
//!
//! - [`schedule`]: when a probe is asked, for how long, and what becomes of it.
//! - [`sink`]: where samples go, and what happens when nobody takes them.
//! - `standstill`: for how long this process has stood still.
//! - [`readiness`], [`metrics`], [`otlp`], `synthetic`, `pool`, `postgres`, `pgbouncer`, [`logs`], `prometheus`, `command`: the kinds.
//! - [`baseline`]: P3, what was normal in a window.

pub mod baseline;
mod command;
pub mod logs;
mod maintenance;
pub mod metrics;
pub mod otlp;
mod pgbouncer;
mod pool;
mod postgres;
pub mod prometheus;
pub mod readiness;
mod restarts;
mod schedule;
mod sink;
mod standstill;
mod synthetic;
mod tally;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub use baseline::Baseline;
pub use maintenance::Stage;

use crate::action::Environment;
use crate::fleet::signed::Tokens;
use crate::runbook::discovery::Member;
use crate::runbook::{Instance, Probe, ProbeKind, Runbook};
use crate::session::live::{ClientsView, DetailView, InstanceState, InstanceView, LoadsView};
use crate::session::membership::{Stand, Whereabouts};
use crate::trigger::cadence::Rhythm;
use crate::trigger::{Reading, Sample};
use maintenance::{Maintenance, Marks};
use restarts::{LOG_LOOKUP_LIMIT, Restarts};
use schedule::{Take as _, run};
use sink::Sink;
use standstill::Standstill;

/// What the probe of a server beside the application says when it is asked once, a line per signal; `None` for probes of every other
/// kind, which ask what the runbook names elsewhere, or run programs.
pub async fn ask_once(
    client: reqwest::Client,
    probe: &Probe,
    ground: &Ground,
) -> Option<Vec<(String, Reading)>> {
    let limit = Rhythm::of(probe, 1.0).limit();
    match &probe.kind {
        ProbeKind::PgBouncer(bouncer) => {
            Some(pgbouncer::Bouncer::new(limit, bouncer).take(0).await)
        }
        ProbeKind::Prometheus(server) => {
            let mut server = prometheus::Prometheus::new(client, limit, server, ground);
            server.prepare().await;
            Some(server.take(0).await)
        }
        ProbeKind::Readiness
        | ProbeKind::Metrics { .. }
        | ProbeKind::Otlp(_)
        | ProbeKind::Synthetic
        | ProbeKind::Pool
        | ProbeKind::Logs { .. }
        | ProbeKind::Postgres { .. }
        | ProbeKind::Command { .. } => None,
    }
}

/// Session time, in milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The running probes of a session. Dropping it ends them.
pub struct Monitor {
    context: Context,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

/// What the probes' commands run with.
#[derive(Clone)]
pub struct Ground {
    /// The runbook's folder: where commands start.
    pub folder: PathBuf,
    /// What the session's actions are run with.
    pub environment: Arc<Environment>,
}

/// What every probe shares.
#[derive(Clone)]
struct Context {
    runbook: Arc<Runbook>,
    ground: Ground,
    clock: Clock,
    speed: f64,
    client: reqwest::Client,
    tokens: Tokens,
    restarts: Restarts,
    standstill: Standstill,
    maintenance: Maintenance,
    sink: Sink,
    /// Where each slot of the fleet is now.
    stands: Arc<Mutex<Vec<Stand>>>,
    fleet: Arc<Mutex<Vec<InstanceView>>>,
    /// What each instance carries; `None` where no probe asks.
    loads: Arc<Mutex<Option<Arc<LoadsView>>>>,
    /// Who is connected to the target; `None` where no probe has asked yet.
    clients: Arc<Mutex<Option<Arc<ClientsView>>>>,
    /// What probes tell people beside their numbers, by topic.
    details: Arc<Mutex<BTreeMap<&'static str, Vec<String>>>>,
}

impl Monitor {
    /// Starts every probe of the runbook. Samples go into `sink`; while that is full they are dropped, and the next one that fits is
    /// preceded by a *no data* that says so. `speed` shortens intervals and windows, never time limits or the start-up grace.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(
        runbook: Arc<Runbook>,
        ground: Ground,
        clock: Clock,
        speed: f64,
        sink: mpsc::Sender<Sample>,
    ) -> Monitor {
        let opening = runbook.fleet.instances.iter().map(Stand::of);
        let standstill = Standstill::default();
        let context = Context {
            stands: Arc::new(Mutex::new(opening.collect())),
            fleet: Arc::new(Mutex::new(unseen(&runbook.fleet.instances))),
            loads: Arc::new(Mutex::new(unscraped(&runbook, clock()).map(Arc::new))),
            clients: Arc::new(Mutex::new(unasked(&runbook, clock()).map(Arc::new))),
            clock,
            speed,
            client: crate::fleet::client(),
            tokens: Tokens::new(&ground.environment, &ground.folder),
            restarts: Restarts::beside(standstill.clone()),
            standstill: standstill.clone(),
            maintenance: Maintenance::default(),
            sink: Sink::new(sink),
            runbook,
            ground,
            details: Arc::default(),
        };
        let cancel = CancellationToken::new();
        tokio::spawn(cancel.clone().run_until_cancelled_owned(standstill.watch()));
        let mut tasks = JoinSet::new();
        for probe in &context.runbook.probes {
            context.spawn(probe, &mut tasks, cancel.clone());
        }
        Monitor {
            context,
            cancel,
            tasks,
        }
    }

    /// An instance is about to be restarted on purpose: its start-up grace begins, and a new boot marker is due in its log. Said again
    /// within the grace it is the same restart, so that nobody lengthens a grace by repeating themselves.
    pub fn restarted(&self, instance: &str) {
        let _ = self.began(instance);
    }

    /// Like [`Monitor::restarted`], and returns once the end of the instance's log is known, or after a second. To be awaited before
    /// the restart, so that neither its silence nor its boot marker comes before we know of it.
    pub async fn restarting(&self, instance: &str) {
        if let Some(lookup) = self.began(instance) {
            let _ = tokio::time::timeout(LOG_LOOKUP_LIMIT, lookup).await;
        }
    }

    /// Whether one of our own steps restarted this instance so short a time ago that it may still be coming up.
    pub fn is_coming_up(&self, instance: &str) -> bool {
        let fleet = &self.context.runbook.fleet;
        let within = Duration::from_millis(fleet.ready_within_ms.max(0) as u64);
        self.context.restarts.in_grace(instance, within)
    }

    fn began(&self, instance: &str) -> Option<JoinHandle<()>> {
        let log = logs::path_of(&self.context.runbook.fleet, instance);
        let grace = self.context.grace();
        self.context.restarts.began(instance, log, grace)
    }

    /// The headers that commands print for requests of the runbook; probes and steps share them.
    pub fn tokens(&self) -> &Tokens {
        &self.context.tokens
    }

    /// Where each slot of the fleet is from now on.
    pub fn stand(&self, stands: Vec<Stand>) {
        let mut now = self.context.stands.lock().expect("BUG: no holder panics");
        *now = stands;
    }

    /// Where the instance of a slot is now; as it was at the opening where nothing is known. Without an address where another instance is at
    /// its last one: who answers there is not it.
    pub fn place_of(&self, instance: &Instance) -> Instance {
        let stands = self.context.stands();
        let own = stands.into_iter().find(|s| s.instance.id == instance.id);
        let Some(Stand {
            instance,
            whereabouts,
            ..
        }) = own
        else {
            return instance.clone();
        };
        match whereabouts {
            Whereabouts::Known | Whereabouts::Unfilled => instance,
            Whereabouts::TakenOver => Instance {
                url: String::new(),
                ..instance
            },
        }
    }

    /// The instances of all slots, where they are now.
    pub fn instances(&self) -> Vec<Instance> {
        self.context.instances()
    }

    /// Whether an instance of the opening still fills its own slot, and is where the newest answer has it.
    pub fn is_in_its_place(&self, member: &Member) -> bool {
        let is_own = |stand: &Stand| {
            let Instance {
                id, url, called, ..
            } = &stand.instance;
            stand.joined_ms.is_none()
                && called.is_none()
                && *id == member.name
                && *url == member.url
        };
        self.context.stands().iter().any(is_own)
    }

    /// Whether a slot's instance is the one of the opening, where that has it.
    pub fn is_as_opened(&self, instance: &Instance) -> bool {
        let stands = self.context.stands();
        stands.iter().any(|stand| stand.instance == *instance)
    }

    /// Where maintenance stands from now on. To be said before it is turned on, and after it was lifted.
    pub fn maintenance(&self, stage: Stage) {
        self.context.maintenance.stands(stage);
    }

    /// The fleet as it was last seen.
    pub fn fleet(&self) -> Vec<InstanceView> {
        self.context.board().clone()
    }

    /// What each instance carries, as last scraped; `None` where no probe asks.
    pub fn loads(&self) -> Option<Arc<LoadsView>> {
        let loads = self.context.loads.lock();
        loads.expect("BUG: no holder panics").clone()
    }

    /// Who is connected to the target, as it was last asked; `None` where it was not asked yet.
    pub fn clients(&self) -> Option<Arc<ClientsView>> {
        let clients = self.context.clients.lock();
        clients.expect("BUG: no holder panics").clone()
    }

    /// What probes tell people beside their numbers: topic and lines, made harmless.
    pub fn details(&self) -> Vec<DetailView> {
        let details = self.context.details.lock();
        let details = details.expect("BUG: no holder panics");
        let view = |(topic, lines): (&&str, &Vec<String>)| DetailView {
            topic: (*topic).to_owned(),
            lines: lines.clone(),
        };
        details.iter().map(view).collect()
    }

    /// Watches for a window of runbook time and says what was normal in it (P3). `None` where it was cancelled. One at a time: a
    /// second call starts the watching over.
    pub async fn baseline(&self, window_ms: i64, cancel: &CancellationToken) -> Option<Baseline> {
        let real_ms = (window_ms as f64 / self.context.speed).max(0.0) as u64;
        self.context.sink.begin_capture();
        let window = tokio::time::sleep(Duration::from_millis(real_ms));
        let waited = cancel.run_until_cancelled(window).await;
        let mut samples = self.context.sink.end_capture();
        let recall = prometheus::recall(&self.context, window_ms, &mut samples);
        cancel.run_until_cancelled(recall).await;
        let min_requests = self.context.runbook.limits.min_requests;
        waited.map(|()| Baseline::of(&samples, min_requests))
    }

    /// Ends every probe and waits until they have ended.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Monitor({} probes)", self.tasks.len())
    }
}

impl Context {
    fn spawn(&self, probe: &Probe, tasks: &mut JoinSet<()>, cancel: CancellationToken) {
        let rhythm = Rhythm::of(probe, self.speed);
        let context = self.clone();
        match &probe.kind {
            ProbeKind::Readiness => tasks.spawn(run(
                readiness::Readiness::new(context, rhythm),
                probe,
                self,
                cancel,
            )),
            ProbeKind::Metrics { window_ms } => {
                let probe_ = metrics::Metrics::new(context, rhythm, *window_ms);
                tasks.spawn(run(probe_, probe, self, cancel))
            }
            ProbeKind::Otlp(receiver) => {
                let probe_ = otlp::Otlp::new(context, rhythm, receiver);
                tasks.spawn(run(probe_, probe, self, cancel))
            }
            ProbeKind::Synthetic => tasks.spawn(run(
                synthetic::Synthetic::new(context, rhythm),
                probe,
                self,
                cancel,
            )),
            ProbeKind::Pool => {
                tasks.spawn(run(pool::Pool::new(context, rhythm), probe, self, cancel))
            }
            ProbeKind::Logs { rules, follow } => {
                let probe_ = logs::Logs::new(context, rhythm.limit(), rules, follow.as_ref());
                tasks.spawn(run(probe_, probe, self, cancel))
            }
            ProbeKind::Postgres { slow_ms, window_ms } => {
                let probe_ = postgres::Postgres::new(context, rhythm, *slow_ms, *window_ms);
                tasks.spawn(run(probe_, probe, self, cancel))
            }
            ProbeKind::PgBouncer(bouncer) => {
                let probe_ = pgbouncer::Bouncer::new(rhythm.limit(), bouncer);
                tasks.spawn(run(probe_, probe, self, cancel))
            }
            ProbeKind::Prometheus(server) => {
                let marks = Marks::of(&context.runbook);
                let limit = rhythm.limit();
                let probe_ =
                    prometheus::Prometheus::new(context.client, limit, server, &context.ground)
                        .heeding(context.maintenance, marks);
                tasks.spawn(run(probe_, probe, self, cancel))
            }
            ProbeKind::Command { action, signals } => {
                let probe_ = command::Command::new(context, rhythm, action, signals);
                tasks.spawn(run(probe_, probe, self, cancel))
            }
        };
    }

    /// Where each slot of the fleet is now.
    fn stands(&self) -> Vec<Stand> {
        self.stands.lock().expect("BUG: no holder panics").clone()
    }

    /// The instances of all slots that somebody fills or has filled, where they are now; not where another instance answers in their place.
    fn instances(&self) -> Vec<Instance> {
        let stands = self.stands().into_iter();
        stands
            .filter(|stand| stand.whereabouts == Whereabouts::Known)
            .map(|stand| stand.instance)
            .collect()
    }

    fn board(&self) -> std::sync::MutexGuard<'_, Vec<InstanceView>> {
        self.fleet.lock().expect("BUG: no holder panics")
    }

    /// Says what people should see beside the numbers. Replaces what was said before.
    fn tell(&self, topic: &'static str, lines: Vec<String>) {
        let mut details = self.details.lock().expect("BUG: no holder panics");
        details.insert(topic, lines);
    }

    /// Says what each instance carries. Replaces what was said before.
    fn carry(&self, loads: LoadsView) {
        let mut told = self.loads.lock().expect("BUG: no holder panics");
        *told = Some(Arc::new(loads));
    }

    /// Says who is connected to the target. Replaces what was said before.
    fn connected(&self, clients: ClientsView) {
        let mut told = self.clients.lock().expect("BUG: no holder panics");
        *told = Some(Arc::new(clients));
    }

    /// Real milliseconds of a window of runbook time.
    fn real_ms(&self, runbook_ms: i64) -> i64 {
        (runbook_ms as f64 / self.speed).round() as i64
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(self.runbook.limits.startup_grace_ms.max(0) as u64)
    }
}

fn unasked(runbook: &Runbook, at_ms: i64) -> Option<ClientsView> {
    let is_pool = |probe: &Probe| matches!(probe.kind, ProbeKind::Pool);
    let asks = runbook.probes.iter().any(is_pool);
    (!asks).then(|| ClientsView {
        at_ms,
        is_unasked: true,
        ..ClientsView::default()
    })
}

fn unscraped(runbook: &Runbook, at_ms: i64) -> Option<LoadsView> {
    let asks = runbook.probes.iter().any(|p| p.kind.tells_of_requests());
    asks.then(|| metrics::loads::unknown(&runbook.fleet.instances, at_ms))
}

fn unseen(instances: &[Instance]) -> Vec<InstanceView> {
    let view = |instance: &Instance| InstanceView {
        id: instance.id.clone(),
        canary: instance.canary,
        state: InstanceState::Unknown,
        detail: "not asked yet".to_owned(),
    };
    instances.iter().map(view).collect()
}
