//! A real Prometheus server that scrapes a real page; and servers that are none.

use std::path::Path;

use cutover::cli::check::examine;
use cutover::runbook::{PgBouncer, ProbeKind, PromQuery, PrometheusServer};
use cutover::trigger::Reading;
use tokio_util::sync::CancellationToken;

use super::daemon::{self, Daemon};
use super::{IMPATIENT_MS, Watch, runbook, servers};
use crate::fleet::instance::{Reply, Server};
use crate::support;

/// A server that scrapes this instance five times a second.
async fn prometheus(instance: &Server) -> (Daemon, String) {
    let (folder, port) = (daemon::folder("prometheus"), daemon::port());
    let target = instance.instance.url.trim_start_matches("http://");
    let config = format!(
        "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\n\
         scrape_configs: [ {{ job_name: app, static_configs: [ {{ targets: [\"{target}\"] }} ] }} ]\n"
    );
    std::fs::write(folder.join("prometheus.yml"), config).expect("written");
    let option = |name: &str, value: &Path| format!("--{name}={}", value.display());
    let arguments = [
        option("config.file", &folder.join("prometheus.yml")),
        option("storage.tsdb.path", &folder.join("data")),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let arguments = arguments.each_ref().map(String::as_str);
    let daemon = Daemon::start("prometheus", &arguments, &folder);
    let url = format!("http://127.0.0.1:{port}");
    let (http, ready) = (support::http(), format!("{url}/-/ready"));
    support::until("Prometheus is ready", async || {
        let answer = http.get(&ready).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    })
    .await;
    (daemon, url)
}

fn query(signal: &str, query: &str, requests: Option<&str>) -> PromQuery {
    PromQuery {
        signal: signal.to_owned(),
        query: query.to_owned(),
        requests: requests.map(str::to_owned),
    }
}

fn asking(url: &str, queries: Vec<PromQuery>) -> ProbeKind {
    ProbeKind::Prometheus(PrometheusServer {
        url: url.to_owned(),
        headers: vec![("X-Scope-OrgID".to_owned(), "tools".to_owned())],
        headers_command: None,
        queries,
        baseline_ms: Some(60_000),
    })
}

#[tokio::test]
async fn a_prometheus_server_is_asked_and_its_past_is_the_baseline() {
    let servers = servers(1).await;
    let page = |depth: u32| format!("queue_depth {depth}\nserved_total{{code=\"500\"}} 5\n");
    servers[0].text("/metrics", 200, &page(7));
    let (_daemon, url) = prometheus(&servers[0]).await;
    let queries = vec![
        query("queue_depth", "sum(queue_depth)", None),
        query(
            "failed_ratio",
            "vector(0.25)",
            Some("sum(served_total) * 8"),
        ),
        query("seen", "sum(count_over_time(queue_depth[1m]))", None),
        query("nobody", "sum(queue_depth{job=\"other\"})", None),
        query("several", "{job=\"app\"}", None),
        query("undefined", "vector(0) / 0", None),
        query("mistyped", "sum(queue_depth", None),
        query("word", "\"word\"", None),
    ];
    let mut watch = Watch::start(runbook(vec![asking(&url, queries)], &servers));
    watch.until_value("queue_depth", 7.0).await;
    let wanted = Reading::over(0.25, Some(40));
    watch.until("failed_ratio", |r| *r == wanted).await;
    for (signal, why) in [
        ("nobody", "the query has no result"),
        ("several", "series, not to one number"),
        ("undefined", "NaN"),
        ("mistyped", "the Prometheus server refuses the query"),
        ("word", "a text, not a number"),
    ] {
        let reading = watch.until_reason(signal, why).await;
        assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    }
    // Two seconds of the former depth, of which we keep one point a second.
    watch.until("seen", |r| r.number() >= Some(10.0)).await;
    servers[0].text("/metrics", 200, &page(9));
    watch.until_value("queue_depth", 9.0).await;
    let never = CancellationToken::new();
    let baseline = watch.monitor.baseline(300, &never).await;
    let baseline = baseline.expect("a baseline");
    let spread = baseline.spread["queue_depth"];
    assert_eq!(
        (spread.min, spread.max),
        (7.0, 9.0),
        "the past is the server's own, not what we saw"
    );
    assert_eq!(baseline.values["failed_ratio"], 0.25);
    assert!(baseline.missing.contains_key("nobody"));
}

#[tokio::test]
async fn a_server_that_stops_answering_is_no_data_until_it_is_back() {
    let servers = servers(1).await;
    servers[0].text("/metrics", 200, "queue_depth 7\n");
    let (daemon, url) = prometheus(&servers[0]).await;
    let queries = vec![query("queue_depth", "sum(queue_depth)", None)];
    let mut runbook = runbook(vec![asking(&url, queries)], &servers);
    runbook.probes[0].timeout_ms = 500;
    let mut watch = Watch::start(runbook);
    watch.until_value("queue_depth", 7.0).await;
    daemon.freeze();
    let why = "the Prometheus server: no complete answer within 500 ms";
    watch.until_reason("queue_depth", why).await;
    daemon.thaw();
    watch.until_value("queue_depth", 7.0).await;
    drop(daemon);
    watch.until_reason("queue_depth", "no connection").await;
}

#[tokio::test]
async fn a_server_that_is_none_is_no_data_with_the_reason() {
    let servers = servers(1).await;
    let url = servers[0].instance.url.clone();
    let queries = vec![query("queue_depth", "sum(queue_depth)", None)];
    let mut runbook = runbook(vec![asking(&url, queries)], &servers);
    runbook.probes[0].timeout_ms = IMPATIENT_MS;
    let mut watch = Watch::start(runbook);
    for (reply, why) in [
        (
            Reply::Text(200, "<!doctype html><p>Sign in".to_owned()),
            "not a Prometheus server's answer, but 200 and `<!doctype html>",
        ),
        (
            Reply::Text(401, "who are you?".to_owned()),
            "but 401 and `who are you?`",
        ),
        (Reply::Announced, "longer than 262144 bytes"),
        (Reply::Endless, "the Prometheus server: "),
        (Reply::Trickle, "no complete answer within 1000 ms"),
        (
            Reply::Loop,
            "a redirect to /api/v1/query, which is not followed",
        ),
        (
            Reply::Text(200, r#"{"status":"success"}"#.to_owned()),
            "has no data",
        ),
    ] {
        servers[0].set("/api/v1/query", reply);
        let reading = watch.until_reason("queue_depth", why).await;
        assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    }
}

/// A Prometheus server that knows one of two, one that nobody runs, and a PgBouncer that nobody runs: found before the night, by name,
/// without their secrets.
#[tokio::test]
async fn a_check_asks_the_servers_that_probes_ask() {
    let servers = servers(1).await;
    servers[0].text("/metrics", 200, "queue_depth 7\n");
    let (_daemon, url) = prometheus(&servers[0]).await;
    let depth = || query("depth", "sum(queue_depth)", None);
    let later = query("later", "sum(queue_depth{job=\"other\"})", None);
    let bouncer = PgBouncer {
        url: "postgres://stats:hunter2@127.0.0.1:1/pgbouncer".to_owned(),
        database: None,
    };
    let kinds = vec![
        asking(&url, vec![depth()]),
        asking(&url, vec![depth(), later]),
        asking("http://127.0.0.1:1", vec![depth()]),
        ProbeKind::PgBouncer(bouncer),
    ];
    let mut runbook = runbook(kinds, &servers);
    for (probe, id) in runbook
        .probes
        .iter_mut()
        .zip(["all", "some", "gone", "pooler"])
    {
        probe.id = id.to_owned();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut findings = Vec::new();
    let lacks = "1 of 2 signals; later: the query has no result";
    // A scrape that fails meanwhile leaves both without their depth until the next one.
    support::until("it has been scraped", async || {
        findings = examine(&runbook, folder.path()).await;
        let mut told = findings
            .iter()
            .map(|f| (f.name.as_str(), f.detail.as_str()));
        let is_all = findings.iter().any(|f| f.name == "probe all" && f.ok);
        is_all && told.any(|one| one == ("probe some", lacks))
    })
    .await;
    let told = findings.iter().filter(|f| f.name.starts_with("probe "));
    let told: Vec<_> = told
        .map(|f| (f.name.as_str(), f.ok, f.blocks(), f.detail.as_str()))
        .collect();
    let [all, some, gone, pooler] = told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(all, ("probe all", true, false, "all of its signals (1)"));
    assert_eq!(some, ("probe some", false, false, lacks));
    assert!(gone.2 && gone.3.contains("Connection refused"), "{gone:?}");
    assert!(pooler.2 && !pooler.3.contains("hunter2"), "{pooler:?}");
}
