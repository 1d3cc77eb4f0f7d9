//! What applications export by OpenTelemetry's protocol: exports of real SDKs (`scripts/otlp-exports.sh` makes them anew) come to what was
//! asked of the applications, and the receiver refuses what is no export.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use cutover::monitor::Stage;
use cutover::monitor::metrics::scrape::{Judged, Scrape, Selection};
use cutover::monitor::otlp::accounts::{Accounts, Naming};
use cutover::monitor::otlp::messages::ExportMetrics;
use cutover::runbook::{Figure, MetricsPage, OtlpReceiver, ProbeKind};
use cutover::trigger::Reading;
use prost::Message as _;
use rand::{Rng as _, SeedableRng as _};

use super::{Watch, daemon, runbook, servers};
use crate::support;

/// A session time long after any of the exports.
const AT_MS: i64 = 1_000;
const SILENT_MS: i64 = 25_000;

/// An export as it came, by its file's name.
fn export(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monitor/exports");
    std::fs::read(folder.join(name)).expect(name)
}

fn message(name: &str) -> ExportMetrics {
    let mut body = export(name);
    if name.ends_with(".gz") {
        let packed = std::mem::take(&mut body);
        let mut gzip = flate2::read::GzDecoder::new(packed.as_slice());
        gzip.read_to_end(&mut body).expect("gzip");
    }
    match name.ends_with(".json") {
        true => serde_json::from_slice(&body).expect("JSON"),
        false => ExportMetrics::decode(body.as_slice()).expect("protobuf"),
    }
}

fn naming() -> Naming {
    Naming {
        attribute: "service.instance.id".to_owned(),
        instances: BTreeMap::from([("app-1".to_owned(), "app-1".to_owned())]),
    }
}

/// The page of the one instance after each of two exports.
fn pages(name: &str, ending: &str, began_ns: u64) -> [Scrape; 2] {
    let selection = Selection::leaving_out(None, ["/ready".to_owned()].into_iter());
    let mut accounts = Accounts::new(naming(), began_ns);
    [1, 2].map(|n| {
        let export = message(&format!("{name}.{n}.metrics.{ending}"));
        let is_read = |name: &str| selection.reads(name);
        let refused = accounts.take(&export, AT_MS, Stage::Usual, &is_read);
        assert_eq!(refused.count, 0, "{name}: {refused:?}");
        let (_, page) = accounts.page("app-1", AT_MS, SILENT_MS).expect("a page");
        selection.scrape(&page).expect(name)
    })
}

const EXPORTS: [(&str, &str); 5] = [
    ("python-cumulative", "pb"),
    ("python-old-names", "pb"),
    ("python-delta-gzip", "pb.gz"),
    ("python-exponential", "pb"),
    ("node-json", "json"),
];

/// What was asked between the two exports; what was counted before we listened counts for nothing, nor does what a first export has.
#[test]
fn exports_of_real_sdks_come_to_what_was_asked() {
    for (name, ending) in EXPORTS {
        let [before, after] = pages(name, ending, u64::MAX);
        let grown = after.counters.since(&before.counters, Judged::All);
        let counted = (grown.requests, grown.server_errors, grown.client_errors);
        assert_eq!(counted, (50.0, 5.0, 5.0), "{name}: {:?}", grown.lacking);
        assert!(grown.lacking.is_empty(), "{name}: {:?}", grown.lacking);
        let (p95, n) = grown.quantile(0.95).expect(name);
        assert!(p95 > 0.0 && p95 < 10.0, "{name}: {p95} s");
        assert_eq!(n, 50, "{name}");
        if name.starts_with("python") {
            let of = |figure| after.gauges.get(&figure).copied();
            let pool = (of(Figure::PoolActive), of(Figure::PoolIdle));
            assert_eq!(pool, (Some(2.0), Some(1.0)), "{name}");
        }
    }
}

#[test]
fn a_process_that_began_after_we_listened_counts_from_its_beginning() {
    for (name, ending) in EXPORTS {
        let [first, _] = pages(name, ending, 0);
        let nothing = Selection::default().scrape("http_requests_total{code=\"200\"} 0\n");
        let nothing = nothing.expect("a page").counters;
        let grown = first.counters.since(&nothing, Judged::All);
        assert!(grown.quantile(0.5).is_ok_and(|(_, n)| n >= 10), "{name}");
    }
}

/// The same export again (an answer that was lost on its way) and an older one change nothing.
#[test]
fn an_export_that_comes_again_counts_once() {
    for (name, ending) in EXPORTS {
        let mut accounts = Accounts::new(naming(), 0);
        let [first, second] = [1, 2].map(|n| message(&format!("{name}.{n}.metrics.{ending}")));
        let mut page_after = |export: &ExportMetrics| {
            accounts.take(export, AT_MS, Stage::Usual, &|_| true);
            accounts.page("app-1", AT_MS, SILENT_MS).expect("a page").1
        };
        page_after(&first);
        let once = page_after(&second);
        assert_eq!(once, page_after(&second), "{name}");
        assert_eq!(once, page_after(&first), "{name}");
    }
}

/// Whatever comes, it is taken or refused.
#[test]
fn no_export_that_was_spoilt_on_its_way_does_any_harm() {
    let is_plain = |(_, ending): &&(&str, &str)| *ending != "pb.gz";
    let plain: Vec<_> = EXPORTS.iter().filter(is_plain).collect();
    let mut seeds = support::Seeds::of("exports", 3_200, 100_000);
    let mut read = 0;
    for seed in seeds.by_ref() {
        let mut random = rand::rngs::StdRng::seed_from_u64(seed);
        let (name, ending) = *plain[seed as usize % plain.len()];
        let mut body = export(&format!("{name}.2.metrics.{ending}"));
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..body.len());
            body[at] = random.random();
        }
        let decoded = match ending {
            "json" => serde_json::from_slice(&body).ok(),
            _ => ExportMetrics::decode(body.as_slice()).ok(),
        };
        let Some(spoilt) = decoded else { continue };
        read += 1;
        let mut accounts = Accounts::new(naming(), 0);
        for export in [
            &message(&format!("{name}.1.metrics.{ending}")),
            &spoilt,
            &spoilt,
        ] {
            accounts.take(export, AT_MS, Stage::Usual, &|_| true);
        }
        if let Ok((_, page)) = accounts.page("app-1", AT_MS, SILENT_MS) {
            let read: Result<Vec<_>, _> = cutover::monitor::metrics::text::series(&page).collect();
            assert!(read.is_ok(), "CUTOVER_SEED={seed}: {read:?}");
        }
    }
    println!("{seeds}; {read} were messages still");
    let played = seeds.played();
    assert!(played < 100 || read * 6 > played, "{read} of {played}");
}

#[tokio::test]
async fn a_check_says_how_the_application_is_pointed_at_the_probe_and_whether_it_could_listen() {
    let servers = servers(1).await;
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = other.local_addr().expect("its address");
    let own = OtlpReceiver {
        instances: vec![("app-1".to_owned(), "web-1".to_owned())],
        ..probe(at)
    };
    let runbook = runbook(vec![ProbeKind::Otlp(own)], &servers);
    let folder = tempfile::tempdir().expect("a folder");
    let findings = cutover::cli::check::examine(&runbook, folder.path()).await;
    let found = |name: &str| {
        let of_name = findings.iter().find(|f| f.name == name);
        of_name.unwrap_or_else(|| panic!("no {name}: {findings:?}"))
    };
    let how = found("probe probe-0");
    assert!(how.ok, "{how:?}");
    for part in [
        format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://{at}"),
        "OTEL_METRIC_EXPORT_INTERVAL=60000".to_owned(),
        "service.instance.id=web-1 in app-1".to_owned(),
    ] {
        assert!(how.detail.contains(&part), "{part}: {how:?}");
    }
    let taken = found("probe probe-0, address");
    assert!(!taken.ok && !taken.blocks(), "{taken:?}");
}

fn probe(listen: SocketAddr) -> OtlpReceiver {
    OtlpReceiver {
        listen,
        window_ms: 600_000,
        every_ms: 60_000,
        attribute: "service.instance.id".to_owned(),
        instances: Vec::new(),
        rules: Vec::new(),
        page: MetricsPage {
            leave_out: vec!["/ready".to_owned()],
            ..MetricsPage::at("")
        },
    }
}

fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], daemon::port()))
}

/// Sends a body; the status and the text of the answer.
async fn post(
    at: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, String) {
    let mut request = support::http()
        .post(format!("http://{at}{path}"))
        .body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.bytes().await.expect("all of it");
    (status, String::from_utf8_lossy(&body).into_owned())
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

async fn listening(at: SocketAddr) {
    support::until("the receiver listens", async || {
        tokio::net::TcpStream::connect(at).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn what_an_application_sends_makes_the_signals_of_a_metrics_probe() {
    let servers = servers(1).await;
    let at = free_address();
    let mut watch = Watch::start(runbook(vec![ProbeKind::Otlp(probe(at))], &servers));
    let why = "not heard: app-1 has sent nothing yet";
    watch.until_reason("http_5xx_ratio", why).await;
    let send = async |n: u32| {
        let body = export(&format!("python-delta-gzip.{n}.metrics.pb.gz"));
        let sent = post(at, "/v1/metrics", &[PROTOBUF, GZIP], body).await;
        assert_eq!(sent, (200, String::new()));
    };
    send(1).await;
    watch.until_value("pool_active", 2.0).await;
    send(2).await;
    let wanted = Reading::over(0.1, Some(50));
    watch.until("http_5xx_ratio", |r| *r == wanted).await;
    watch
        .until("latency_p95_ms", |r| {
            r.number().is_some_and(|ms| ms < 10_000.0)
        })
        .await;
    assert!(watch.monitor.loads().is_some());
}

#[tokio::test]
async fn what_is_no_export_is_refused_and_says_what_is() {
    let servers = servers(1).await;
    let at = free_address();
    let watch = Watch::start(runbook(vec![ProbeKind::Otlp(probe(at))], &servers));
    listening(at).await;
    let metrics = "/v1/metrics";
    let good = || export("python-cumulative.1.metrics.pb");
    let huge = vec![0; 5 * 1024 * 1024];
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut bomb, &huge).expect("packed");
    for (path, headers, body, status, says) in [
        (
            metrics,
            vec![("content-type", "text/plain")],
            good(),
            415,
            "content-type is `text/plain`",
        ),
        (
            metrics,
            vec![PROTOBUF, ("content-encoding", "br")],
            good(),
            415,
            "content-encoding is `br`",
        ),
        (
            metrics,
            vec![PROTOBUF],
            b"<html>".to_vec(),
            400,
            "no message of OTLP",
        ),
        (
            metrics,
            vec![JSON],
            b"{\"resourceMetrics\":1}".to_vec(),
            400,
            "no message of OTLP",
        ),
        (metrics, vec![PROTOBUF, GZIP], good(), 400, "not gzip"),
        (
            metrics,
            vec![PROTOBUF, GZIP],
            bomb.finish().expect("packed"),
            413,
            "unpacks to more than",
        ),
        (
            metrics,
            vec![PROTOBUF],
            huge,
            413,
            "more than 4194304 bytes",
        ),
        (
            "/v1/traces",
            vec![PROTOBUF],
            good(),
            404,
            "OTEL_TRACES_EXPORTER=none",
        ),
        (
            "/v1/logs",
            vec![PROTOBUF],
            good(),
            404,
            "OTEL_LOGS_EXPORTER=none",
        ),
        (
            "/",
            vec![PROTOBUF],
            good(),
            404,
            "/v1/metrics is what it takes",
        ),
    ] {
        let (got, said) = post(at, path, &headers, body).await;
        assert_eq!(got, status, "{path}: {said}");
        assert!(said.contains(says), "{path}: {said}");
    }
    let got = support::http()
        .get(format!("http://{at}{metrics}"))
        .send()
        .await;
    assert_eq!(got.expect("an answer").status().as_u16(), 405);
    drop(watch);
    support::until("nobody listens any more", async || {
        tokio::net::TcpStream::connect(at).await.is_err()
    })
    .await;
}

/// Who sends under another name is told so, in its own log and to people.
#[tokio::test]
async fn a_stranger_counts_for_nothing_and_is_told() {
    let mut servers = servers(1).await;
    servers[0].instance.id = "web".to_owned();
    let at = free_address();
    let mut watch = Watch::start(runbook(vec![ProbeKind::Otlp(probe(at))], &servers));
    listening(at).await;
    let body = export("node-json.2.metrics.json");
    let (status, said) = post(at, "/v1/metrics", &[JSON], body.clone()).await;
    assert_eq!(status, 200);
    assert!(said.contains("rejectedDataPoints"), "{said}");
    assert!(
        said.contains("`app-1`, which is no instance of this session"),
        "{said}"
    );
    watch
        .until_reason("pool_active", "web has sent nothing yet")
        .await;
    support::until("who sends is told", async || {
        let told = watch.monitor.details();
        let mut lines = told.iter().flat_map(|detail| &detail.lines);
        lines.any(|line| line.contains("app-1 sent 1 times"))
    })
    .await;
    drop(watch);
    // The same under the name that the probe gives it.
    let own = OtlpReceiver {
        instances: vec![("web".to_owned(), "app-1".to_owned())],
        ..probe(free_address())
    };
    let at = own.listen;
    let watch = Watch::start(runbook(vec![ProbeKind::Otlp(own)], &servers));
    listening(at).await;
    assert_eq!(
        post(at, "/v1/metrics", &[JSON], body).await,
        (200, "{}".to_owned())
    );
    drop(watch);
}

#[tokio::test]
async fn an_address_that_somebody_else_has_is_no_data_until_it_is_free() {
    let servers = servers(1).await;
    let at = free_address();
    let other = std::net::TcpListener::bind(at).expect("free");
    let mut watch = Watch::start(runbook(vec![ProbeKind::Otlp(probe(at))], &servers));
    let why = format!("cannot listen on {at} for what the application exports");
    watch.until_reason("pool_active", &why).await;
    drop(other);
    watch
        .until_reason("pool_active", "has sent nothing yet")
        .await;
}

#[tokio::test]
async fn records_of_logs_are_sorted_by_the_probes_rules() {
    let servers = servers(1).await;
    let at = free_address();
    let rule = cutover::runbook::LogRule {
        category: "endpoint_exception".to_owned(),
        fields: vec![
            ("severity".to_owned(), "^ERROR$".to_owned()),
            ("exception.type".to_owned(), "ConnectionError".to_owned()),
        ],
        endpoint: vec!["http.route".to_owned()],
        ..Default::default()
    };
    let own = OtlpReceiver {
        rules: vec![rule],
        ..probe(at)
    };
    let other = std::net::TcpListener::bind(at).expect("free");
    let mut watch = Watch::start(runbook(vec![ProbeKind::Otlp(own)], &servers));
    // Where nobody listens, and where nothing ever came, nobody knows that there were no errors.
    let signal = "log_endpoint_exception";
    let reading = watch.until_reason(signal, "cannot listen on").await;
    assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    drop(other);
    let reading = watch.until_reason(signal, "sent a log record yet").await;
    assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    listening(at).await;
    let body = export("python-cumulative.3.logs.pb");
    let sent = post(at, "/v1/logs", &[PROTOBUF], body).await;
    assert_eq!(sent, (200, String::new()));
    watch.until_value("log_endpoint_exception", 1.0).await;
    let told = watch.monitor.details();
    let lines: Vec<_> = told.iter().flat_map(|detail| &detail.lines).collect();
    assert!(
        lines.iter().any(|line| line.contains("/tools 1")),
        "{lines:?}"
    );
}

/// An export with so many good answers and so many of maintenance's status since the process began.
fn counted(time_s: u64, good: u64, refused: u64) -> Vec<u8> {
    let point = |code: u64, count: u64| {
        serde_json::json!({
            "attributes": [{"key": "http.response.status_code", "value": {"intValue": code.to_string()}}],
            "startTimeUnixNano": "1", "timeUnixNano": (time_s * 1_000_000_000).to_string(), "count": count.to_string(),
        })
    };
    let metric = serde_json::json!({
        "name": "http.server.request.duration", "unit": "s",
        "histogram": {"aggregationTemporality": 2, "dataPoints": [point(200, good), point(503, refused)]},
    });
    let resource = serde_json::json!({"attributes": [{"key": "service.instance.id", "value": {"stringValue": "app-1"}}]});
    let export = serde_json::json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]});
    export.to_string().into_bytes()
}

/// What an application counted until maintenance was lifted comes with its next export, when maintenance has been over for a while.
#[tokio::test]
async fn an_export_that_reaches_back_into_maintenance_has_no_errors_of_its_own_making() {
    let servers = servers(1).await;
    let at = free_address();
    let mut watch = Watch::start(runbook(vec![ProbeKind::Otlp(probe(at))], &servers));
    listening(at).await;
    let send = async |time_s, good, refused| {
        let sent = post(at, "/v1/metrics", &[JSON], counted(time_s, good, refused)).await;
        assert_eq!(sent, (200, "{}".to_owned()));
    };
    let share = "http_5xx_ratio";
    send(1, 10, 0).await;
    watch
        .until(share, |r| *r == Reading::over(0.0, Some(0)))
        .await;
    watch.monitor.maintenance(Stage::On);
    send(2, 90, 700).await;
    watch
        .until(share, |r| *r == Reading::over(0.0, Some(80)))
        .await;
    watch.monitor.maintenance(Stage::Over { at_ms: 0 });
    // Some looks later the application exports again.
    for _ in 0..3 {
        watch
            .until(share, |r| *r == Reading::over(0.0, Some(80)))
            .await;
    }
    send(3, 100, 720).await;
    watch
        .until(share, |r| *r == Reading::over(0.0, Some(90)))
        .await;
    send(4, 110, 740).await;
    watch
        .until(share, |r| *r == Reading::over(20.0 / 120.0, Some(120)))
        .await;
}
