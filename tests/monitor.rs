//! Probes against real HTTP servers, a real PostgreSQL and real log files, good and bad: what they see becomes a sample, what they
//! cannot see becomes *no data* with its reason, and no probe spoils another.

mod certificate;
mod command;
pub mod daemon;
mod exposed;
mod headers;
mod lines;
mod logs;
mod maintenance;
mod metrics;
mod otlp;
mod pages;
pub mod pgbouncer;
mod postgres;
mod prometheus;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover::monitor::{Clock, Ground, Monitor};
use cutover::runbook::{CompareBody, Probe, ProbeKind, Request, RequestClass, Runbook};
use cutover::session::live::InstanceState;
use cutover::session::membership::{Stand, Whereabouts};
use cutover::trigger::{Reading, Sample};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::fleet::instance::{Reply, Server};
use crate::support;

/// Whatever is waited for comes within this time, or the test fails.
const DEADLINE: Duration = Duration::from_secs(300);

/// What is asked has so long to answer, so that nothing is missed where this machine is slow or pauses.
const PATIENT_MS: i64 = 60_000;
/// The same where somebody hangs, and others answer meanwhile.
const IMPATIENT_MS: i64 = 1_000;

/// A runbook with these probes, over these instances. A start-up grace does not end by itself.
fn runbook(kinds: Vec<ProbeKind>, servers: &[Server]) -> Runbook {
    let mut runbook = crate::trigger::reference();
    let probe = |(n, kind)| Probe {
        id: format!("probe-{n}"),
        kind,
        interval_ms: 200,
        timeout_ms: PATIENT_MS,
    };
    runbook.probes = kinds.into_iter().enumerate().map(probe).collect();
    runbook.fleet.instances = servers.iter().map(|s| s.instance.clone()).collect();
    runbook.limits.min_requests = 1;
    runbook.limits.startup_grace_ms = 3_600_000;
    runbook
}

/// A monitor whose samples are read one by one.
pub struct Watch {
    pub monitor: Monitor,
    clock: Clock,
    samples: mpsc::Receiver<Sample>,
}

impl Watch {
    pub fn start(runbook: Runbook) -> Watch {
        let began = Instant::now();
        let clock: Clock = Arc::new(move || began.elapsed().as_millis() as i64);
        let (sink, samples) = mpsc::channel(10_000);
        let ground = Ground {
            folder: std::env::temp_dir(),
            environment: Arc::default(),
        };
        Watch {
            monitor: Monitor::start(Arc::new(runbook), ground, Clock::clone(&clock), 1.0, sink),
            clock,
            samples,
        }
    }

    /// The next sample of a signal that is as wanted; everything before it is passed over.
    pub async fn until(&mut self, signal: &str, wanted: impl Fn(&Reading) -> bool) -> Sample {
        self.until_sample(signal, |sample| wanted(&sample.reading))
            .await
    }

    /// A look that begins after this moment: one that was on its way may have seen what was before.
    async fn until_next_look(&mut self, signal: &str) {
        let now_ms = (self.clock)();
        self.until_sample(signal, |sample| sample.at_ms > now_ms)
            .await;
    }

    async fn until_sample(&mut self, signal: &str, wanted: impl Fn(&Sample) -> bool) -> Sample {
        let mut seen = Vec::new();
        let search = async {
            loop {
                let sample = self.samples.recv().await.expect("the monitor runs");
                if sample.signal == signal {
                    if wanted(&sample) {
                        return sample;
                    }
                    seen.push(sample.reading);
                    seen.dedup();
                }
            }
        };
        match tokio::time::timeout(DEADLINE, search).await {
            Ok(sample) => sample,
            Err(_) => panic!("{signal} was never as wanted: {seen:?}"),
        }
    }

    async fn until_value(&mut self, signal: &str, wanted: f64) {
        self.until(
            signal,
            |r| matches!(r, Reading::Value { value, .. } if *value == wanted),
        )
        .await;
    }

    async fn until_reason(&mut self, signal: &str, part: &str) -> Reading {
        let has = |reading: &Reading| match reading {
            Reading::Partial { reason, .. } | Reading::NoData { reason } => reason.contains(part),
            Reading::Value { .. } => false,
        };
        self.until(signal, has).await.reading
    }
}

async fn servers(count: usize) -> Vec<Server> {
    let mut servers = Vec::new();
    for n in 1..=count {
        let server = Server::start(&format!("app-{n}")).await;
        server.text("/ready", 200, "ready");
        servers.push(server);
    }
    servers
}

#[tokio::test]
async fn an_instance_that_refuses_hangs_or_answers_wrongly_has_failed() {
    let servers = servers(5).await;
    servers[1].text("/ready", 503, "no");
    servers[2].set("/ready", Reply::Silence);
    servers[3].set("/ready", Reply::Loop);
    let mut runbook = runbook(vec![ProbeKind::Readiness], &servers);
    runbook.fleet.instances[4] = crate::fleet::instance::absent("app-5");
    runbook.probes[0].timeout_ms = IMPATIENT_MS;
    let mut watch = Watch::start(runbook);
    watch.until_value("unready_ratio", 0.8).await;
    for (instance, ready) in [
        ("app-1", 1.0),
        ("app-2", 0.0),
        ("app-3", 0.0),
        ("app-4", 0.0),
        ("app-5", 0.0),
    ] {
        watch.until_value(&format!("ready.{instance}"), ready).await;
    }
    use InstanceState::{NotReady, Ready};
    let wanted = [Ready, NotReady, NotReady, NotReady, NotReady];
    support::until("the fleet is shown so", async || {
        let fleet = watch.monitor.fleet();
        fleet.iter().map(|view| view.state).eq(wanted)
    })
    .await;
    watch.monitor.stop().await;
}

/// A restart that waits for it is not told that it is ready by somebody else.
#[tokio::test]
async fn an_instance_whose_address_another_has_is_nowhere() {
    let servers = servers(1).await;
    let watch = Watch::start(runbook(vec![], &servers));
    let instance = &servers[0].instance;
    assert_eq!(watch.monitor.place_of(instance), *instance);
    watch.monitor.stand(vec![Stand {
        whereabouts: Whereabouts::TakenOver,
        ..Stand::of(instance)
    }]);
    assert_eq!(watch.monitor.place_of(instance).url, "");
    assert_eq!(watch.monitor.instances(), []);
}

#[tokio::test]
async fn the_start_up_grace_keeps_an_instance_out_of_the_ratio_and_not_out_of_its_own_signal() {
    let servers = servers(2).await;
    let mut watch = Watch::start(runbook(vec![ProbeKind::Readiness], &servers));
    watch.until_value("unready_ratio", 0.0).await;
    watch.monitor.restarted("app-2");
    servers[1].text("/ready", 503, "starting");
    watch.until_value("ready.app-2", 0.0).await;
    watch.until_value("unready_ratio", 0.0).await;
    assert_eq!(watch.monitor.fleet()[1].state, InstanceState::Restarting);
    servers[0].text("/ready", 503, "no");
    watch.until_value("unready_ratio", 0.5).await;
}

/// Says a restart of app-2 after each look at the fleet, until it is seen so.
async fn restarted_until(watch: &mut Watch, unready: f64) {
    let said = async {
        while watch.until("unready_ratio", |_| true).await.reading != Reading::value(unready) {
            watch.monitor.restarted("app-2");
        }
    };
    let seen = tokio::time::timeout(DEADLINE, said).await;
    assert!(seen.is_ok(), "never was a share of {unready} unready");
}

#[tokio::test]
async fn the_grace_ends() {
    let servers = servers(2).await;
    servers[1].text("/ready", 503, "starting");
    let mut runbook = runbook(vec![ProbeKind::Readiness], &servers);
    runbook.limits.startup_grace_ms = 1_000;
    let mut watch = Watch::start(runbook);
    restarted_until(&mut watch, 0.0).await;
    // A restart that is said again does not lengthen the grace.
    restarted_until(&mut watch, 0.5).await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_no_data() {
    let servers = servers(2).await;
    let mut runbook = runbook(vec![ProbeKind::Readiness], &servers);
    runbook.fleet.instances[0].url = "nowhere".to_owned();
    let mut watch = Watch::start(runbook);
    watch
        .until_reason("ready.app-1", "app-1 could not be asked")
        .await;
    let ratio = watch
        .until_reason("unready_ratio", "could not ask app-1")
        .await;
    assert!(
        matches!(ratio, Reading::Partial { value: 0.0, .. }),
        "{ratio:?}"
    );
}

fn request(name: &str, class: RequestClass) -> Request {
    Request {
        name: name.to_owned(),
        class,
        method: "GET".to_owned(),
        url: format!("{{url}}/{name}"),
        headers: vec![],
        headers_command: None,
        body: None,
        status: 200,
        contains: Some("yes".to_owned()),
        compare_body: CompareBody::Bytes,
        leaves_rows: false,
    }
}

#[tokio::test]
async fn synthetic_requests_go_round_and_their_failures_count() {
    let servers = servers(2).await;
    for server in &servers {
        server.text("/list", 200, "yes");
        server.text("/detail", 200, "no");
    }
    let mut runbook = runbook(vec![ProbeKind::Synthetic], &servers);
    runbook.verification.requests = vec![
        request("list", RequestClass::Read),
        request("detail", RequestClass::Read),
    ];
    let mut watch = Watch::start(runbook);
    watch.until_value("synthetic_failed_ratio", 0.5).await;
    watch
        .until("synthetic_read_ms", |r| r.number().is_some())
        .await;
    watch
        .until_reason("synthetic_write_ms", "no synthetic write")
        .await;
    while servers
        .iter()
        .any(|s| s.asked("/list") == 0 || s.asked("/detail") == 0)
    {
        watch.until("synthetic_failed_ratio", |_| true).await;
    }
    drop(servers);
    watch
        .until("synthetic_failed_ratio", |r| r.number() > Some(0.9))
        .await;
}

#[tokio::test]
async fn the_pool_is_seen_over_a_connection_of_its_own() {
    let database = support::database().await;
    let servers = servers(1).await;
    let mut runbook = runbook(vec![ProbeKind::Pool], &servers);
    runbook.target.url = database.superuser_url.clone();
    let mut watch = Watch::start(runbook);
    watch.until_value("pg_idle_in_transaction", 0.0).await;
    let (client, connection) =
        tokio_postgres::connect(&database.superuser_url, tokio_postgres::NoTls)
            .await
            .expect("a client");
    tokio::spawn(connection);
    client.batch_execute("BEGIN").await.expect("a transaction");
    watch.until_value("pg_idle_in_transaction", 1.0).await;
    let seen = watch.monitor.clients().expect("it has been asked");
    let applications = seen.applications.as_deref().expect("it answered");
    let open: u32 = applications.iter().map(|a| a.idle_in_transaction).sum();
    assert_eq!((open, seen.most > 0), (1, true), "{seen:?}");
    assert!(seen.server_total >= 2 && !seen.is_unasked, "{seen:?}");
    client.batch_execute("COMMIT").await.expect("the end of it");
    watch.until_value("pg_idle_in_transaction", 0.0).await;
    watch.until("pg_max", |r| r.number() > Some(0.0)).await;
}

#[tokio::test]
async fn a_database_that_is_not_there_is_no_data_with_the_reason() {
    let servers = servers(1).await;
    let mut watch = Watch::start(runbook(vec![ProbeKind::Pool], &servers));
    let reading = watch.until("pg_active", |_| true).await.reading;
    assert!(
        matches!(&reading, Reading::NoData { reason } if !reason.is_empty()),
        "{reading:?}"
    );
    let seen = watch.monitor.clients().expect("it has been asked");
    assert_eq!(seen.applications, None, "who is there is not known");
    assert!(!seen.is_unasked, "{seen:?}");
}

#[tokio::test]
async fn without_a_probe_of_the_pool_it_is_said_that_nobody_asks() {
    let servers = servers(1).await;
    let watch = Watch::start(runbook(vec![ProbeKind::Readiness], &servers));
    let seen = watch.monitor.clients().expect("it is said at once");
    assert!(seen.is_unasked && seen.applications.is_none(), "{seen:?}");
    watch.monitor.stop().await;
}

#[tokio::test]
async fn a_slow_probe_never_delays_another() {
    let servers = servers(1).await;
    servers[0].set("/metrics", Reply::Silence);
    let kinds = vec![
        ProbeKind::Metrics { window_ms: 60_000 },
        ProbeKind::Readiness,
    ];
    let mut runbook = runbook(kinds, &servers);
    runbook.probes[0].timeout_ms = 600_000;
    let mut watch = Watch::start(runbook);
    for _ in 0..5 {
        watch.until_value("ready.app-1", 1.0).await;
    }
    watch.monitor.stop().await;
}

#[tokio::test]
async fn the_baseline_of_a_window_is_captured() {
    let servers = servers(2).await;
    let mut watch = Watch::start(runbook(vec![ProbeKind::Readiness], &servers));
    watch.until_value("unready_ratio", 0.0).await;
    let never = CancellationToken::new();
    let captured = async {
        loop {
            let baseline = watch.monitor.baseline(1_000, &never).await;
            let baseline = baseline.expect("a baseline");
            let spread = baseline.spread.get("unready_ratio");
            // Where this machine has paused, a second may have no look in it.
            if spread.is_some_and(|spread| spread.samples >= 2) {
                return baseline;
            }
        }
    };
    let baseline = tokio::time::timeout(DEADLINE, captured).await;
    let baseline = baseline.expect("two looks within a second");
    assert_eq!(baseline.values["unready_ratio"], 0.0);
    assert_eq!(baseline.values["ready.app-1"], 1.0);
    never.cancel();
    assert_eq!(watch.monitor.baseline(60_000, &never).await, None);
}
