//! What it costs the engine to watch a fleet: every instance's readiness and metrics each second, judged by the reference runbook and
//! written to a journal, as the engine does it. The instances are one process beside it, whose cost is counted apart.
//!
//! Usage: cargo bench --bench watch -- [INSTANCES [SECONDS]]        (default 500 60)

#![allow(clippy::disallowed_methods)] // benches make and remove what is theirs

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cutover::engine::Input;
use cutover::engine::ledger::{Ledger, to_entry};
use cutover::engine::outside::{Beside, Moment};
use cutover::engine::probes::{Probes, kept};
use cutover::engine::watch::Watch;
use cutover::journal::{Folder, Journal, Retention, count_lease};
use cutover::monitor::Ground;
use cutover::runbook::{Instance, Probe, ProbeKind, Runbook};
use cutover::session::{Charter, Event, Opening, Session};
use cutover::step::context::SessionClock;
use cutover::trigger::Reading;
use tokio::sync::{mpsc, watch};

/// Before this is over nothing is counted: connections are opened, the first page has no predecessor.
const WARM_UP: Duration = Duration::from_secs(5);
/// The kernel counts processor time in hundredths of a second.
const TICKS_PER_S: f64 = 100.0;
const ENDPOINTS: usize = 12;
const BOUNDS: [&str; 12] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    match arguments.first().map(String::as_str) {
        Some("--serve") => runtime.block_on(serve(&arguments[1])),
        first => {
            let instances = first.map_or(500, |n| n.parse().expect("a number of instances"));
            let seconds = arguments
                .get(1)
                .map_or(60, |n| n.parse().expect("a number of seconds"));
            runtime.block_on(measure(instances, Duration::from_secs(seconds)));
        }
    }
}

/// All instances at once: any address of this machine's loopback answers as one of them.
async fn serve(port: &str) {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let address: SocketAddr = format!("0.0.0.0:{port}").parse().expect("an address");
    let app = axum::Router::new()
        .route("/ready", axum::routing::get(|| async { "ready" }))
        .route(
            "/asked",
            axum::routing::get(|| async { ASKED.load(Ordering::Relaxed).to_string() }),
        )
        .route(
            "/metrics",
            axum::routing::get(|| async { page(ASKED.fetch_add(1, Ordering::Relaxed)) }),
        );
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .expect("a port");
    axum::serve(listener, app).await.expect("serving");
}

/// A page such as an application of a dozen endpoints has, whose counters grow.
fn page(n: u64) -> String {
    use std::fmt::Write as _;
    let mut page = String::with_capacity(20_000);
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(page, "{text}").expect("a string");
    for endpoint in 0..ENDPOINTS {
        for (code, share) in [(200, 100), (404, 3), (500, 0)] {
            line(format_args!(
                "http_requests_total{{code=\"{code}\",endpoint=\"/e{endpoint}\",method=\"GET\"}} {}",
                n * share
            ));
        }
        for (m, le) in BOUNDS.iter().enumerate() {
            line(format_args!(
                "http_request_duration_seconds_bucket{{endpoint=\"/e{endpoint}\",le=\"{le}\"}} {}",
                n * 10 * m as u64
            ));
        }
    }
    for gauge in ["active", "idle", "waiting", "max"] {
        line(format_args!("db_pool_{gauge} 1"));
    }
    line(format_args!("process_start_time_seconds 1"));
    page
}

async fn measure(instances: usize, length: Duration) {
    let port = 23_000 + (std::process::id() % 5_000) as u16;
    let served = Served::start(port);
    let runbook = Arc::new(fleet(instances, port));
    let root = tempfile::tempdir().expect("a folder");
    let (folder, ledger, clock, mut scribe) = session(&runbook, root.path());
    let notes = scribe.notes();
    let (inputs, mut ears) = mpsc::unbounded_channel();
    let (items, _seen) = watch::channel(Vec::new());
    let ground = Ground {
        folder: root.path().to_owned(),
        environment: Arc::default(),
    };
    let mut probes = Probes::start(
        &runbook,
        ground,
        &folder,
        ledger.session(),
        clock,
        items,
        inputs,
    );
    let mut watching = Watch::new(&runbook, ledger.session(), None);
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let (mut samples, mut gaps, mut flushed_ms) = (0_u64, 0_u64, 0);
    let mut began: Option<(Instant, f64, f64, u64, u64)> = None;
    let started = Instant::now();
    loop {
        let input = tokio::select! {
            _ = tick.tick() => None,
            input = ears.recv() => input,
        };
        let now_ms = clock.now_ms();
        match input {
            Some(Input::Sampled(sample)) => {
                let counts = began.is_some();
                samples += u64::from(counts);
                let is_gap = !matches!(sample.reading, Reading::Value { .. });
                let of_fleet = matches!(sample.signal.as_str(), "unready_ratio" | "requests_per_s");
                gaps += u64::from(counts && is_gap && of_fleet);
                watching.observe(&sample, ledger.session());
                notes.sample(kept(&sample));
            }
            _ => {
                watching.judge(ledger.session(), now_ms, |beside| {
                    if let Beside::Checklist(items) = &beside {
                        probes.show(items, &notes);
                    }
                    beside.put(&notes);
                });
                if now_ms - flushed_ms >= 100 {
                    flushed_ms = now_ms;
                    scribe
                        .flush(now_ms, "bench", cutover::clock::now_ms())
                        .expect("written");
                }
            }
        }
        match began {
            None if started.elapsed() > WARM_UP => {
                began = Some((
                    Instant::now(),
                    cpu_s("self"),
                    cpu_s(&served.pid()),
                    memory_kb("VmRSS:"),
                    pages(port).await,
                ));
            }
            Some((since, ..)) if since.elapsed() > length => break,
            _ => {}
        }
    }
    let (since, engine_s, endpoints_s, rss_kb, first_pages) = began.expect("it began");
    let real_s = since.elapsed().as_secs_f64();
    let rate = samples as f64 / real_s;
    let scraped = (pages(port).await - first_pages) as f64 / real_s;
    let engine = (cpu_s("self") - engine_s) / real_s;
    let endpoints = (cpu_s(&served.pid()) - endpoints_s) / real_s;
    let mb = |field: &str| memory_kb(field) / 1_024;
    let (most_mb, first_mb, last_mb) = (mb("VmHWM:"), rss_kb / 1_024, mb("VmRSS:"));
    let told = format!(
        "{instances} instances, readiness and metrics each second, for {real_s:.0} s: {scraped:.0} pages/s, {rate:.0} samples/s, {gaps} rounds incomplete\n\
         engine     {engine:.2} of a core\n\
         endpoints  {endpoints:.2} of a core\n\
         memory     {most_mb} MB at most; {first_mb} MB when it began to count, {last_mb} MB at the end\n"
    );
    std::io::stdout()
        .write_all(told.as_bytes())
        .expect("somebody reads it");
}

/// Pages that were handed out so far.
async fn pages(port: u16) -> u64 {
    let url = format!("http://127.0.0.1:{port}/asked");
    let limit = Duration::from_secs(5);
    let answer = cutover::fleet::request::get(&cutover::fleet::client(), &url, limit, 64).await;
    let body = answer.expect("an answer").body;
    String::from_utf8_lossy(&body).parse().expect("a number")
}

/// The reference runbook over a fleet of this size, with the two probes that ask every instance.
fn fleet(instances: usize, port: u16) -> Runbook {
    let text = include_str!("../runbook.yaml");
    let value = |name: &str| {
        let value = match name {
            _ if name.ends_with("_URL") => "postgres://nobody@127.0.0.1:1/none",
            "APP_DIR" | "APP_SQLITE" => "/nowhere",
            _ if name.starts_with("APP_") || name == "CHAT_WEBHOOK" => "http://127.0.0.1:1",
            _ => "/nowhere",
        };
        Some(value.to_owned())
    };
    let mut runbook = cutover::runbook::parse("runbook.yaml", text, &value).expect("a runbook");
    let instance = |n: usize| Instance {
        id: format!("app-{n}"),
        url: format!("http://127.1.{}.{}:{port}", n / 250, 1 + n % 250),
        host: String::new(),
        canary: n == 0,
        called: None,
    };
    runbook.fleet.instances = (0..instances).map(instance).collect();
    let kinds = [
        ProbeKind::Readiness,
        ProbeKind::Metrics { window_ms: 300_000 },
    ];
    let probe = |kind: ProbeKind| Probe {
        id: kind.key().to_owned(),
        kind,
        interval_ms: 1_000,
        timeout_ms: 3_000,
    };
    runbook.probes = kinds.into_iter().map(probe).collect();
    runbook
}

/// A session in which every trigger of the rollout is armed, and its journal.
fn session(
    runbook: &Runbook,
    root: &std::path::Path,
) -> (Folder, Ledger, SessionClock, cutover::journal::Scribe) {
    let opening = Opening {
        session: "bench".to_owned(),
        target: String::new(),
        production: cutover::session::Production::default(),
        again: None,
        sandbox: false,
        rehearsal: false,
        speed: 1.0,
        wait_before: Vec::new(),
    };
    let folder = Folder::create(root, "bench").expect("a session's folder");
    let fencing = count_lease(&folder, &serde_json::json!({})).expect("a lease");
    let (mut journal, _) = Journal::open(&folder, fencing).expect("a journal");
    let opened = Event::SessionOpened {
        charter: Box::new(Charter::new(runbook, opening)),
    };
    let (kind, body) = to_entry(&opened);
    let entries = journal
        .append(0, cutover::clock::wall(), &[(&kind, &body)])
        .expect("written");
    let recorded = cutover::history::events(&entries).expect("events");
    let session = Session::replay(&recorded).expect("a session");
    let scribe = journal.scribe(Retention::default()).expect("a scribe");
    let clock = SessionClock {
        offset_ms: -cutover::clock::now_ms(),
    };
    let now = Moment {
        at_ms: clock.now_ms(),
        wall: cutover::clock::wall(),
    };
    let mut ledger = Ledger::new(journal, session);
    let started = Event::StepStarted {
        step: "F2".to_owned(),
        attempt: 1,
        by: None,
    };
    ledger.append(now, vec![started]).expect("written");
    (folder, ledger, clock, scribe)
}

/// The process that plays the instances.
struct Served(Child);

impl Served {
    fn start(port: u16) -> Served {
        let program = std::env::current_exe().expect("this program");
        let child = Command::new(program)
            .args(["--serve", &port.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .expect("the instances");
        Served(child)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Processor time of a process so far, its own and the kernel's for it.
fn cpu_s(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let (_, fields) = stat.rsplit_once(") ").expect("its name in brackets");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |n: usize| fields[n].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / TICKS_PER_S
}

fn memory_kb(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this process");
    let line = status.lines().find(|line| line.starts_with(field));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.expect("a size")
}
