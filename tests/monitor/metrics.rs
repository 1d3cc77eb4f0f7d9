//! `/metrics` of a fleet: increments, resets, histograms, and pages that are none.

use cutover::runbook::{Bound, Instance, ProbeKind};
use cutover::session::live::LoadView;
use cutover::session::membership::Stand;
use cutover::trigger::Reading;
use cutover::trigger::standing::{Measure, Standing};

use super::{IMPATIENT_MS, Watch, runbook, servers};
use crate::fleet::instance::{Reply, Server};

const KIND: ProbeKind = ProbeKind::Metrics { window_ms: 600_000 };

/// A page with so many good and failed requests, of which the fast ones took at most 10 ms and the others at most 100 ms.
fn page(started: u64, good: u64, failed: u64, fast: u64) -> String {
    let total = good + failed;
    format!(
        "# TYPE http_requests_total counter\n\
         http_requests_total{{code=\"200\",endpoint=\"/tools\",method=\"GET\"}} {good}\n\
         http_requests_total{{code=\"500\",endpoint=\"/tools\",method=\"GET\"}} {failed}\n\
         http_requests_total{{code=\"503\",endpoint=\"maintenance\",method=\"POST\"}} 100000\n\
         http_requests_total{{code=\"503\",endpoint=\"/ready\",method=\"GET\"}} 100000\n\
         http_request_duration_seconds_bucket{{endpoint=\"/tools\",le=\"0.01\"}} {fast}\n\
         http_request_duration_seconds_bucket{{endpoint=\"/tools\",le=\"0.1\"}} {total}\n\
         http_request_duration_seconds_bucket{{endpoint=\"/tools\",le=\"+Inf\"}} {total}\n\
         db_pool_active 3\ndb_pool_idle 1\ndb_pool_waiting 0\ndb_pool_max 5\n\
         db_pool_timeouts_total {failed}\n\
         process_start_time_seconds {started}\n"
    )
}

/// The first page once, so that it is where counting begins; then the second for ever.
fn grows(server: &Server, first: String, then: String) {
    let pages = [first, then].map(|p| Reply::Text(200, p)).to_vec();
    server.set("/metrics", Reply::InTurn(pages));
}

#[tokio::test]
async fn sums_over_the_fleet_come_before_ratios() {
    let servers = servers(2).await;
    // 900 requests with 9 errors on one, 100 with 91 on the other: 10 %, not the mean of 1 % and 91 %.
    grows(
        &servers[0],
        page(1, 1_000, 50, 1_000),
        page(1, 1_891, 59, 1_900),
    );
    grows(&servers[1], page(1, 10, 0, 10), page(1, 19, 91, 60));
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    let sample = watch
        .until("http_5xx_ratio", |r| {
            matches!(r, Reading::Value { n: Some(1_000), .. })
        })
        .await;
    assert_eq!(sample.reading, Reading::over(0.1, Some(1_000)));
    // 950 of 1,000 were fast.
    let is = |wanted: f64| move |r: &Reading| r.number().is_some_and(|v| (v - wanted).abs() < 1e-6);
    watch.until("latency_p95_ms", is(10.0)).await;
    watch.until("latency_p99_ms", is(82.0)).await;
    watch.until("pool_used_ratio", is(0.6)).await;
    watch.until("pool_active", is(6.0)).await;
    watch.until("pool_timeouts", is(100.0)).await;
}

#[tokio::test]
async fn a_process_that_began_anew_counts_from_zero() {
    let servers = servers(1).await;
    grows(&servers[0], page(1, 1_000, 0, 0), page(100, 2_060, 40, 0));
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    let wanted = Reading::over(40.0 / 2_100.0, Some(2_100));
    watch.until("http_5xx_ratio", |r| *r == wanted).await;
}

/// Some exporters work the start out anew for each page; everything would be counted twice.
#[tokio::test]
async fn a_start_time_that_jitters_is_no_restart() {
    let servers = servers(1).await;
    grows(
        &servers[0],
        page(100, 1_000, 50, 0),
        page(101, 1_090, 60, 0),
    );
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    let counted = |r: &Reading| matches!(r, Reading::Value { n: Some(1..), .. });
    let sample = watch.until("http_5xx_ratio", counted).await;
    assert_eq!(sample.reading, Reading::over(0.1, Some(100)));
}

#[tokio::test]
async fn a_series_that_stands_there_twice_is_no_data_and_says_which() {
    for line in [
        "http_requests_total{code=\"200\",endpoint=\"/tools\",method=\"GET\"} 7\n",
        "db_pool_active 9\n",
    ] {
        let servers = servers(1).await;
        servers[0].text("/metrics", 200, &(page(1, 9, 1, 9) + line));
        let mut watch = Watch::start(runbook(vec![KIND], &servers));
        let name = line.split(['{', ' ']).next().expect("a name");
        for signal in ["http_5xx_ratio", "pool_active"] {
            let reading = watch.until_reason(signal, "stands on the page twice").await;
            assert!(format!("{reading:?}").contains(name), "{reading:?}");
            assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
        }
    }
}

#[tokio::test]
async fn a_series_without_its_label_is_no_data_and_says_which() {
    let servers = servers(1).await;
    let without =
        |n| page(1, n, 0, n) + "http_requests_total{status=\"500\",endpoint=\"/other\"} 5\n";
    grows(&servers[0], without(10), without(110));
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    for signal in ["http_5xx_ratio", "http_4xx_ratio", "requests_per_s"] {
        let reading = watch.until_reason(signal, "no label `code`").await;
        assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    }
    // What does not hang on it is known.
    watch.until_value("pool_active", 3.0).await;
    watch
        .until("latency_p95_ms", |r| matches!(r, Reading::Value { .. }))
        .await;
    let without_le =
        |n| page(1, n, 0, n) + "http_request_duration_seconds_bucket{endpoint=\"/a\"} 5\n";
    grows(&servers[0], without_le(200), without_le(300));
    watch.until_reason("latency_p95_ms", "no label `le`").await;
}

#[tokio::test]
async fn a_counter_that_went_down_was_reset_even_if_nobody_says_when_the_process_began() {
    let servers = servers(1).await;
    let without = |text: String| text.replace("process_start_time_seconds", "other_thing");
    grows(
        &servers[0],
        without(page(1, 1_000, 50, 0)),
        without(page(1, 75, 25, 0)),
    );
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    let wanted = Reading::over(0.25, Some(100));
    watch.until("http_5xx_ratio", |r| *r == wanted).await;
}

/// What each bad page does: the sums are partial and say why; the errors of the others still count.
#[tokio::test]
async fn a_page_that_is_none_makes_the_sums_partial_and_says_why() {
    let servers = servers(2).await;
    servers[0].text("/metrics", 200, &page(1, 0, 0, 0));
    let mut runbook = runbook(vec![KIND], &servers);
    runbook.probes[0].timeout_ms = IMPATIENT_MS;
    let mut watch = Watch::start(runbook);
    let from_zero = |r: &Reading| matches!(r, Reading::Partial { n: Some(0), .. });
    watch.until("http_5xx_ratio", from_zero).await;
    servers[0].text("/metrics", 200, &page(1, 90, 10, 0));
    let nan = page(1, 1, 1, 1).replace("db_pool_active 3", "db_pool_active NaN");
    let bad = [
        (
            Reply::Text(200, "<!doctype html><p>It works!".to_owned()),
            "line 1 is not in Prometheus' text format",
        ),
        (
            Reply::Text(200, "up 1\n".to_owned()),
            "none of the series that are watched",
        ),
        (
            Reply::Text(500, "broken".to_owned()),
            "answered 500: `broken`",
        ),
        (Reply::Text(200, nan), "db_pool_active is NaN"),
        (Reply::Endless, "longer than 16777216 bytes"),
        (Reply::Announced, "longer than 16777216 bytes"),
        (Reply::Trickle, "no complete answer within 1000 ms"),
        (Reply::Silence, "no complete answer within 1000 ms"),
        (Reply::Loop, "a redirect to /metrics, which is not followed"),
    ];
    for (reply, why) in bad {
        // Megabytes within the time limit are too much to ask of a busy machine.
        let why = if matches!(reply, Reply::Endless) {
            "app-2"
        } else {
            why
        };
        servers[1].set("/metrics", reply);
        // The first of the other's two pages tells of no request yet.
        let is_it = |reading: &Reading| match reading {
            Reading::Partial { n, reason, .. } => *n != Some(0) && reason.contains(why),
            Reading::NoData { .. } | Reading::Value { .. } => false,
        };
        let reading = watch.until("http_5xx_ratio", is_it).await.reading;
        let Reading::Partial {
            value: 0.1,
            n: Some(100),
            reason,
        } = &reading
        else {
            panic!("{reading:?}")
        };
        assert!(reason.starts_with("not scraped: app-2 "), "{reason}");
        let measure = Measure {
            signal: "http_5xx_ratio",
            bound: Bound::Above(0.01),
            baseline: None,
            min_requests: 20,
        };
        assert_eq!(measure.judge(&reading).0, Standing::Bad);
    }
}

#[tokio::test]
async fn a_fleet_that_says_nothing_is_no_data() {
    let servers = servers(1).await;
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    for signal in [
        "http_5xx_ratio",
        "latency_p95_ms",
        "pool_waiting",
        "pool_timeouts",
    ] {
        let reading = watch
            .until_reason(signal, "not scraped: app-1 answered 404")
            .await;
        assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    }
    servers[0].text("/metrics", 200, "# TYPE http_requests_total counter\n");
    watch
        .until("http_5xx_ratio", |r| *r == Reading::over(0.0, Some(0)))
        .await;
    watch
        .until_reason("pool_waiting", "no instance exposes db_pool_waiting")
        .await;
    watch
        .until_reason("latency_p95_ms", "no instance exposes latencies")
        .await;
    servers[0].text("/metrics", 200, "db_pool_waiting 0\n");
    // It told of requests before.
    watch
        .until_reason("http_5xx_ratio", "app-1 no longer tells of requests")
        .await;
}

/// Libraries announce a family before they have counted anything, and the histogram is all that some have.
#[tokio::test]
async fn a_page_that_only_announces_its_families_tells_of_no_request() {
    let servers = servers(1).await;
    let announced = "# HELP http_request_duration_seconds How long.\n\
                     # TYPE http_request_duration_seconds histogram\n";
    servers[0].text("/metrics", 200, announced);
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    watch
        .until("http_5xx_ratio", |r| *r == Reading::over(0.0, Some(0)))
        .await;
    watch
        .until_reason("latency_p95_ms", "no request was timed")
        .await;
}

#[tokio::test]
async fn a_page_that_never_told_of_requests_is_no_data() {
    let servers = servers(1).await;
    servers[0].text("/metrics", 200, "db_pool_waiting 0\n");
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    let reading = watch
        .until_reason("http_5xx_ratio", "no instance exposes http_requests_total")
        .await;
    assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
}

#[tokio::test]
async fn a_series_without_labels_that_has_counted_nothing_lacks_nothing() {
    let servers = servers(1).await;
    let idle = |text: String| text + "http_requests_total 0\n";
    grows(
        &servers[0],
        idle(page(1, 0, 0, 0)),
        idle(page(1, 90, 10, 0)),
    );
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    let wanted = Reading::over(0.1, Some(100));
    watch.until("http_5xx_ratio", |r| *r == wanted).await;
}

/// What the page of a process shows that has not counted anything yet, of a library that announces nothing.
fn fresh(started: u64) -> String {
    format!("process_start_time_seconds {started}\ngo_goroutines 9\n")
}

#[tokio::test]
async fn a_process_that_has_just_begun_and_counted_nothing_is_no_gap() {
    let servers = servers(2).await;
    grows(&servers[0], page(1, 0, 0, 0), page(1, 90, 10, 0));
    grows(&servers[1], page(1, 50, 0, 0), page(1, 150, 0, 0));
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    let both = Reading::over(0.05, Some(200));
    watch.until("http_5xx_ratio", |r| *r == both).await;
    servers[1].text("/metrics", 200, &fresh(500));
    // Pools are gauges: what is not there is not known.
    watch
        .until_reason("pool_active", "db_pool_active is not exposed by: app-2")
        .await;
    let next = watch.until("http_5xx_ratio", |_| true).await.reading;
    assert_eq!(next, both);
    // It counts from its own beginning.
    servers[1].text("/metrics", 200, &page(500, 200, 0, 0));
    let wanted = Reading::over(0.025, Some(400));
    watch.until("http_5xx_ratio", |r| *r == wanted).await;
    // The same process, and its requests are gone.
    servers[1].text("/metrics", 200, &fresh(500));
    watch
        .until_reason("http_5xx_ratio", "app-2 no longer tells of requests")
        .await;
}

#[tokio::test]
async fn a_process_that_never_counts_anything_is_a_gap_after_one_window() {
    let servers = servers(1).await;
    grows(&servers[0], page(1, 0, 0, 0), page(1, 100, 0, 0));
    let kind = ProbeKind::Metrics { window_ms: 2_000 };
    let mut watch = Watch::start(runbook(vec![kind], &servers));
    watch
        .until("http_5xx_ratio", |r| r.requests() == Some(100))
        .await;
    servers[0].text("/metrics", 200, &fresh(500));
    let why = "no longer tells of requests, which it did before";
    let reading = watch.until_reason("http_5xx_ratio", why).await;
    assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
}

/// Nothing on the page says when the process began; that it was restarted on purpose does.
#[tokio::test]
async fn an_instance_restarted_on_purpose_may_have_counted_nothing_yet() {
    let servers = servers(2).await;
    let without = |text: String| text.replace("process_start_time_seconds", "other_thing");
    for server in &servers {
        grows(
            server,
            without(page(1, 0, 0, 0)),
            without(page(1, 100, 0, 0)),
        );
    }
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    let both = Reading::over(0.0, Some(200));
    watch.until("http_5xx_ratio", |r| *r == both).await;
    watch.monitor.restarted("app-2");
    servers[1].text("/metrics", 200, "# no registered metrics\n");
    watch
        .until_reason("pool_active", "db_pool_active is not exposed by: app-2")
        .await;
    let next = watch.until("http_5xx_ratio", |_| true).await.reading;
    assert_eq!(next, both);
}

/// It has served for days under another name, and its errors of those days are nobody's now.
#[tokio::test]
async fn what_an_instance_counted_before_it_came_into_a_slot_counts_for_nothing() {
    let servers = servers(2).await;
    grows(&servers[0], page(1, 0, 0, 0), page(1, 100, 0, 0));
    let mut watch = Watch::start(runbook(vec![KIND], &servers[..1]));
    let wanted = Reading::over(0.0, Some(100));
    watch.until("http_5xx_ratio", |r| *r == wanted).await;
    let came = &servers[1];
    grows(came, page(1, 50_000, 9_000, 0), page(1, 50_090, 9_010, 0));
    watch.monitor.stand(vec![Stand::of(&Instance {
        url: came.instance.url.clone(),
        called: Some(came.instance.id.clone()),
        ..servers[0].instance.clone()
    })]);
    let sample = watch
        .until("http_5xx_ratio", |r| r.number().is_some_and(|v| v > 0.0))
        .await;
    assert_eq!(sample.reading, Reading::over(0.05, Some(200)));
}

#[tokio::test]
async fn an_empty_page_is_no_page() {
    let servers = servers(2).await;
    grows(&servers[0], page(1, 0, 0, 0), page(1, 100, 0, 0));
    servers[1].text("/metrics", 200, "\n");
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    watch
        .until_reason("http_5xx_ratio", "app-2 answered with an empty page")
        .await;
}

#[tokio::test]
async fn an_instance_that_starts_up_is_left_out() {
    let servers = servers(2).await;
    grows(&servers[0], page(1, 0, 0, 0), page(1, 100, 0, 0));
    servers[1].text("/metrics", 503, "starting");
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    watch
        .until_reason("http_5xx_ratio", "app-2 answered 503")
        .await;
    watch.monitor.restarted("app-2");
    let wanted = Reading::over(0.0, Some(100));
    watch.until("http_5xx_ratio", |r| *r == wanted).await;
}

/// What an instance is said to carry.
fn load(watch: &Watch, id: &str) -> LoadView {
    let loads = watch.monitor.loads().expect("a probe asks");
    let load = loads.instances.iter().find(|load| load.id == id);
    load.expect("an instance of the fleet").clone()
}

#[tokio::test]
async fn what_each_instance_carries_comes_of_its_own_page_and_ends_with_it() {
    let servers = servers(3).await;
    grows(
        &servers[0],
        page(1, 1_000, 50, 1_000),
        page(1, 1_891, 59, 1_900),
    );
    let busy = page(1, 19, 91, 60).replace("db_pool_waiting 0", "db_pool_waiting 7");
    grows(&servers[1], page(1, 10, 0, 10), busy);
    let no_pool = page(1, 90, 0, 90).replace("db_pool_", "other_pool_");
    grows(&servers[2], page(1, 0, 0, 0), no_pool);
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    assert_eq!(
        load(&watch, "app-1"),
        LoadView::unknown("app-1"),
        "before anybody asked"
    );
    watch
        .until("http_5xx_ratio", |r| {
            matches!(
                r,
                Reading::Partial { n: Some(1_090), .. } | Reading::Value { n: Some(1_090), .. }
            )
        })
        .await;
    let (first, second, third) = (
        load(&watch, "app-1"),
        load(&watch, "app-2"),
        load(&watch, "app-3"),
    );
    assert_eq!(
        (first.errors_ratio, second.errors_ratio),
        (Some(0.01), Some(0.91))
    );
    assert_eq!(
        (first.pool_waiting, second.pool_waiting),
        (Some(0.0), Some(7.0))
    );
    assert_eq!(
        (second.pool_active, second.pool_idle, second.pool_max),
        (Some(3.0), Some(1.0), Some(5.0))
    );
    assert_eq!(first.p95_ms, Some(9.5));
    assert_eq!(
        (third.errors_ratio, third.pool_active, third.pool_max),
        (Some(0.0), None, None)
    );
    assert!(first.requests_per_s.is_some_and(|r| r > 0.0), "{first:?}");

    let before_ms = watch.monitor.loads().expect("a probe asks").at_ms;
    servers[1].text("/metrics", 500, "broken");
    watch
        .until_reason("http_5xx_ratio", "app-2 answered 500")
        .await;
    let now = watch.monitor.loads().expect("a probe asks");
    assert!(now.at_ms > before_ms);
    assert_eq!(
        load(&watch, "app-2"),
        LoadView::unknown("app-2"),
        "no stale numbers"
    );
    assert_eq!(load(&watch, "app-1").errors_ratio, Some(0.01));
}

#[tokio::test]
async fn an_instance_that_starts_up_carries_nothing_that_is_known() {
    let servers = servers(2).await;
    grows(&servers[0], page(1, 0, 0, 0), page(1, 100, 0, 0));
    grows(&servers[1], page(1, 0, 0, 0), page(1, 100, 0, 0));
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    watch
        .until("http_5xx_ratio", |r| *r == Reading::over(0.0, Some(200)))
        .await;
    watch.monitor.restarted("app-2");
    servers[1].text("/metrics", 503, "starting");
    watch
        .until("pool_active", |r| *r == Reading::value(3.0))
        .await;
    assert_eq!(load(&watch, "app-2"), LoadView::unknown("app-2"));
}

#[tokio::test]
async fn where_requests_failed_is_told_by_endpoint() {
    let servers = servers(2).await;
    let two = |at_tools: u64, at_search: u64| {
        format!(
            "http_requests_total{{code=\"500\",endpoint=\"/tools\"}} {at_tools}\n\
             http_requests_total{{code=\"502\",endpoint=\"/tools\"}} {at_tools}\n\
             http_requests_total{{code=\"500\",endpoint=\"/se\u{1b}[31march\"}} {at_search}\n\
             http_requests_total{{code=\"404\",endpoint=\"/none\"}} 100000\n\
             http_requests_total{{code=\"503\",endpoint=\"maintenance\"}} 100000\n"
        )
    };
    grows(&servers[0], two(100, 100), two(103, 101));
    grows(&servers[1], two(1, 1), two(5, 1));
    let mut watch = Watch::start(runbook(vec![KIND], &servers));
    watch
        .until("http_5xx_ratio", |r| *r == Reading::over(1.0, Some(15)))
        .await;
    let details = watch.monitor.details();
    let of_topic = details.iter().find(|detail| detail.topic == "requests");
    let lines = &of_topic.expect("told").lines;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("5xx: /tools 14, /se"), "{lines:?}");
    assert!(
        lines[0].ends_with("march 1") && !lines[0].contains('\u{1b}'),
        "{lines:?}"
    );
}
