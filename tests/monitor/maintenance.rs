//! Maintenance answers 503: no error of the application while it is on, and nothing that a share of 5xx reaches back to afterwards.

use std::time::Duration;

use cutover::monitor::Stage;
use cutover::runbook::action::Effect;
use cutover::runbook::{Action, ProbeKind, PromQuery, PrometheusServer};
use cutover::trigger::Reading;

use super::{Watch, runbook, servers};
use crate::fleet::instance::Server;

const KIND: ProbeKind = ProbeKind::Metrics { window_ms: 600_000 };

const SHARE: &str = "http_5xx_ratio";

/// Lifted just now; the windows of these tests reach back to before it.
const OVER: Stage = Stage::Over { at_ms: 0 };

/// So many answers since the process began, by code.
fn page(started: u64, counts: &[(&str, u64)]) -> String {
    let mut page = format!("process_start_time_seconds {started}\n");
    for (code, count) in counts {
        page.push_str(&format!(
            "http_requests_total{{code=\"{code}\",endpoint=\"/tools\"}} {count}\n"
        ));
    }
    page
}

fn shows(server: &Server, started: u64, counts: &[(&str, u64)]) {
    server.text("/metrics", 200, &page(started, counts));
}

async fn until_share(watch: &mut Watch, share: f64, of: u64) {
    let wanted = Reading::over(share, Some(of));
    watch.until(SHARE, |reading| *reading == wanted).await;
}

/// The night as a user had it: 503s of the freeze, errors of another kind among them, the end of the freeze, restarts.
#[tokio::test]
async fn the_freezes_own_503s_are_no_errors_and_all_others_are() {
    let servers = servers(1).await;
    let server = &servers[0];
    shows(server, 1, &[("200", 10), ("500", 0), ("503", 0)]);
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    until_share(&mut watch, 0.0, 0).await;
    // Before the freeze a 503 is an error like any other.
    shows(server, 1, &[("200", 90), ("500", 0), ("503", 20)]);
    until_share(&mut watch, 0.2, 100).await;
    watch.monitor.maintenance(Stage::On);
    shows(server, 1, &[("200", 90), ("500", 0), ("503", 720)]);
    watch.until_next_look(SHARE).await;
    until_share(&mut watch, 0.2, 100).await;
    // Restarted for the switch: its counters begin at zero. Errors of another kind count during the freeze.
    shows(server, 2, &[("200", 80), ("500", 20), ("503", 500)]);
    until_share(&mut watch, 0.2, 200).await;
    // What is counted across the end of the freeze: maintenance may have answered in between. No other error is forgotten.
    shows(server, 2, &[("200", 80), ("500", 25), ("503", 900)]);
    watch.monitor.maintenance(OVER);
    watch.until_next_look(SHARE).await;
    until_share(&mut watch, 45.0 / 205.0, 205).await;
    shows(server, 2, &[("200", 160), ("500", 35), ("503", 910)]);
    until_share(&mut watch, 65.0 / 305.0, 305).await;
    // From here on a 503 is an error again, also of a process that began anew.
    shows(server, 3, &[("200", 50), ("503", 50)]);
    until_share(&mut watch, 115.0 / 405.0, 405).await;
}

/// That nothing is to be judged is one thing; that nobody could judge it is another.
#[tokio::test]
async fn during_the_freeze_a_page_without_codes_is_blind() {
    let servers = servers(1).await;
    let page = "http_requests_total{result=\"ok\"} 1\n";
    servers[0].text("/metrics", 200, page);
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    watch.monitor.maintenance(Stage::On);
    let reading = watch.until_reason(SHARE, "has no label `code`").await;
    assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
}

#[tokio::test]
async fn a_page_that_knows_only_classes_is_judged_from_the_end_of_the_freeze() {
    let servers = servers(1).await;
    let server = &servers[0];
    shows(server, 1, &[("2xx", 10), ("5xx", 0)]);
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    until_share(&mut watch, 0.0, 0).await;
    watch.monitor.maintenance(Stage::On);
    shows(server, 1, &[("2xx", 90), ("5xx", 700)]);
    watch
        .until("requests_per_s", |r| r.number() > Some(0.0))
        .await;
    until_share(&mut watch, 0.0, 0).await;
    watch.monitor.maintenance(OVER);
    shows(server, 1, &[("2xx", 90), ("5xx", 900)]);
    watch.until_next_look(SHARE).await;
    until_share(&mut watch, 0.0, 0).await;
    shows(server, 1, &[("2xx", 180), ("5xx", 910)]);
    until_share(&mut watch, 0.1, 100).await;
}

/// Nobody knows which codes a query counts, unless it leaves maintenance's out by itself; nor what a command does.
#[tokio::test]
async fn queries_and_commands_wait_for_the_end_of_the_freeze() {
    let servers = servers(1).await;
    let answer = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,"0.5"]}]}}"#;
    servers[0].text("/api/v1/query", 200, answer);
    let query = |signal: &str, query: &str| PromQuery {
        signal: signal.to_owned(),
        query: query.to_owned(),
        requests: None,
    };
    let server = ProbeKind::Prometheus(PrometheusServer {
        url: servers[0].instance.url.clone(),
        headers: Vec::new(),
        headers_command: None,
        queries: vec![
            query("all_5xx_ratio", r#"x{code=~"5.."}"#),
            query("own_5xx_ratio", r#"x{code=~"5..",code!="503"}"#),
            query("queue_depth", "x"),
        ],
        baseline_ms: None,
    });
    let command = ProbeKind::Command {
        action: Action::new(
            Effect::Shell {
                line: "echo 0.5".to_owned(),
            },
            Duration::from_secs(5),
        ),
        signals: vec![SHARE.to_owned()],
    };
    let mut watch = Watch::start(runbook(vec![server, command], &servers));
    for signal in ["all_5xx_ratio", "own_5xx_ratio", "queue_depth", SHARE] {
        watch.until_value(signal, 0.5).await;
    }
    watch.monitor.maintenance(Stage::On);
    let none = Reading::over(0.0, Some(0));
    watch.until("all_5xx_ratio", |r| *r == none).await;
    watch.until_value("own_5xx_ratio", 0.5).await;
    watch.until_value("queue_depth", 0.5).await;
    watch.until(SHARE, |r| *r == none).await;
    watch.monitor.maintenance(OVER);
    watch.until_value("all_5xx_ratio", 0.5).await;
    // A command is believed again at once: blind for a window that nobody knows it has, nothing would watch the first minutes.
    watch.until_value(SHARE, 0.5).await;
}

/// From the switch on a 503 without maintenance's label is the application's.
#[tokio::test]
async fn series_that_bear_maintenances_label_are_no_errors_and_from_the_switch_on_all_others_are() {
    let servers = servers(1).await;
    let server = &servers[0];
    let page = |good: u64, refused: u64, broken: u64| {
        server.text(
            "/metrics",
            200,
            &format!(
                "http_requests_total{{code=\"200\"}} {good}\n\
                 http_requests_total{{code=\"503\",by=\"maintenance\"}} {refused}\n\
                 http_requests_total{{code=\"503\"}} {broken}\n\
                 process_start_time_seconds 1\n"
            ),
        );
    };
    page(10, 0, 0);
    let mut runbook = runbook(vec![KIND], &servers);
    runbook.fleet.maintenance_answer.label = Some(("by".to_owned(), "maintenance".to_owned()));
    let mut watch = Watch::start(runbook);
    until_share(&mut watch, 0.0, 0).await;
    watch.monitor.maintenance(Stage::On);
    // What a proxy answers in the application's place counts for nothing before the switch.
    page(90, 500, 50);
    until_share(&mut watch, 0.0, 80).await;
    watch.monitor.maintenance(Stage::Switched);
    page(110, 900, 50);
    watch.until_next_look(SHARE).await;
    until_share(&mut watch, 0.0, 100).await;
    page(190, 1_000, 70);
    until_share(&mut watch, 0.1, 200).await;
    watch.monitor.maintenance(OVER);
    page(200, 1_100, 80);
    until_share(&mut watch, 30.0 / 220.0, 220).await;
}

#[tokio::test]
async fn what_maintenance_refuses_is_no_synthetic_failure() {
    let servers = servers(1).await;
    let mut runbook = runbook(vec![ProbeKind::Synthetic], &servers);
    let request = &mut runbook.verification.requests;
    request.truncate(1);
    request[0].url = "{url}/tools".to_owned();
    request[0].contains = None;
    let failed = "synthetic_failed_ratio";
    servers[0].text("/tools", 503, "back soon");
    let mut watch = Watch::start(runbook);
    watch.until_value(failed, 1.0).await;
    watch.monitor.maintenance(Stage::Switched);
    // Twenty intervals later nothing of before is in the window.
    watch
        .until_reason(failed, "no synthetic request could be made")
        .await;
    servers[0].text("/tools", 500, "broken");
    watch.until_value(failed, 1.0).await;
}
