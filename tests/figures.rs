//! The engine's page of figures: what it tells, in a format that our own reader of metrics pages reads, and how it is offered.

use std::net::SocketAddr;

use cutover::engine::figures::page::{Latest, Page};
use cutover::engine::figures::{self};
use cutover::journal::{Reading, Sample};
use cutover::monitor::metrics::text::series;
use cutover::session::live::{FeedView, ItemView, TriggerView};
use cutover::session::{Event, Recorded, Session, TriggerPhase};

use crate::monitor::daemon;
use crate::report::journal_below;
use crate::support;

/// A night in which A1 runs.
fn events() -> Vec<Recorded> {
    let opened = Event::SessionOpened {
        charter: Box::new(crate::session::charter()),
    };
    let started = Event::StepStarted {
        step: "A1".to_owned(),
        attempt: 1,
        by: None,
    };
    let recorded = |(n, event)| Recorded {
        seq: n as u64 + 1,
        at_ms: 1_500 * n as i64,
        wall: chrono::DateTime::UNIX_EPOCH,
        event,
    };
    [opened, started]
        .into_iter()
        .enumerate()
        .map(recorded)
        .collect()
}

/// The one number of a page's family whose labels are these.
fn number(page: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let all: Vec<_> = series(page).collect::<Result<_, _>>().expect("a page");
    let has = |one: &&cutover::monitor::metrics::text::Series<'_>| {
        one.name == name
            && labels
                .iter()
                .all(|(l, v)| one.label(l).as_deref() == Some(*v))
    };
    let found: Vec<_> = all.iter().filter(has).collect();
    assert!(found.len() <= 1, "{name} {labels:?}: {found:?}");
    found.first().map(|one| one.value)
}

#[test]
fn the_page_tells_states_and_numbers_and_no_texts() {
    let session = Session::replay(&events()).expect("a session");
    let trigger = TriggerView {
        id: "T1a.app-\"3".to_owned(),
        armed: true,
        phase: TriggerPhase::Burning,
        streak_ms: 30_000,
        full_ms: 120_000,
        reason: "words of others".to_owned(),
    };
    let item = |id: &str, green| ItemView {
        id: id.to_owned(),
        green,
        green_for_ms: 0,
        reason: "words of others".to_owned(),
    };
    let sample = |signal: &str, reading| Sample {
        signal: signal.to_owned(),
        at_ms: 2_000,
        reading,
        n: None,
    };
    let mut latest = Latest::default();
    latest.take(vec![
        sample("http_5xx_ratio", Reading::Value(0.5)),
        sample(
            "http_5xx_ratio",
            Reading::Partial(0.013, "words of others".to_owned()),
        ),
        sample("pool_max", Reading::NoData("words of others".to_owned())),
        sample("feed_lag_ms", Reading::Value(250.0)),
    ]);
    let feed = FeedView {
        rows: 12,
        waiting: 3,
        lost: vec!["words of others".to_owned()],
        ..FeedView::default()
    };
    let page = Page {
        session: &session,
        triggers: &[trigger],
        items: &[
            item("M1", Some(true)),
            item("M2", Some(false)),
            item("M3", None),
        ],
        feed: Some(&feed),
        latest: &latest,
    };
    let unfollowed = Page { feed: None, ..page }.text();
    let lag = "cutover_feed_lag_seconds";
    assert_eq!(number(&unfollowed, lag, &[]), None, "{unfollowed}");
    let page = page.text();
    println!("{page}");
    for (name, labels, value) in [
        (
            "cutover_session",
            &[("session", "tonight"), ("kind", "sandbox")][..],
            Some(1.0),
        ),
        ("cutover_phase", &[("phase", "open")], Some(1.0)),
        ("cutover_phase", &[("phase", "rolling_back")], Some(0.0)),
        ("cutover_frozen", &[], Some(1.0)),
        ("cutover_events", &[], Some(2.0)),
        ("cutover_event_seconds", &[], Some(1.5)),
        (
            "cutover_step",
            &[("step", "A1"), ("state", "running")],
            Some(1.0),
        ),
        (
            "cutover_step",
            &[("step", "A2"), ("state", "pending")],
            Some(1.0),
        ),
        ("cutover_gate_green", &[("gate", "K1")], Some(0.0)),
        (
            "cutover_trigger",
            &[("trigger", "T1a.app-\"3"), ("state", "burning")],
            Some(1.0),
        ),
        (
            "cutover_trigger",
            &[("trigger", "T1a.app-\"3"), ("state", "fired")],
            Some(0.0),
        ),
        (
            "cutover_trigger_armed",
            &[("trigger", "T1a.app-\"3")],
            Some(1.0),
        ),
        (
            "cutover_trigger_burned_ratio",
            &[("trigger", "T1a.app-\"3")],
            Some(0.25),
        ),
        ("cutover_item_green", &[("item", "M1")], Some(1.0)),
        ("cutover_item_green", &[("item", "M2")], Some(0.0)),
        ("cutover_item_green", &[("item", "M3")], None),
        (
            "cutover_signal",
            &[("signal", "http_5xx_ratio"), ("data", "partial")],
            Some(0.013),
        ),
        ("cutover_feed_lag_seconds", &[], Some(0.25)),
        ("cutover_feed_rows", &[], Some(12.0)),
        ("cutover_feed_waiting_rows", &[], Some(3.0)),
        ("cutover_feed_losses", &[], Some(1.0)),
        ("cutover_signal", &[("signal", "pool_max")], None),
        (
            "cutover_signal_seconds",
            &[("signal", "pool_max")],
            Some(2.0),
        ),
    ] {
        assert_eq!(number(&page, name, labels), value, "{name} {labels:?}");
    }
    assert!(!page.contains("words of others"), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
    let manual = include_str!("../docs/monitoring.md");
    for family in page.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
        let name = family.strip_suffix(" gauge").expect("a gauge");
        assert!(
            manual.contains(&format!("`{name}`")),
            "{name} is in no manual"
        );
    }
}

#[tokio::test]
async fn the_page_is_offered_and_goes_with_the_engine() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = journal_below(root.path(), &events());
    let at = SocketAddr::from(([127, 0, 0, 1], daemon::port()));
    let offered = figures::offer(at, &folder);
    let get = async |path: &str, accept: &str| {
        let url = format!("http://{at}{path}");
        let answer = support::http()
            .get(url)
            .header("accept", accept)
            .send()
            .await;
        let answer = answer.ok()?;
        let kind = answer.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        Some((
            answer.status().as_u16(),
            kind,
            answer.text().await.expect("text"),
        ))
    };
    support::until("the page is there", async || {
        get("/metrics", "*/*")
            .await
            .is_some_and(|(status, ..)| status == 200)
    })
    .await;
    let (_, kind, page) = get("/metrics", "*/*").await.expect("an answer");
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let share = [("signal", "http_5xx_ratio"), ("data", "whole")];
    assert_eq!(number(&page, "cutover_signal", &share), Some(0.004));
    let (_, kind, _) = get(
        "/metrics",
        "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    )
    .await
    .expect("an answer");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let (status, _, said) = get("/", "*/*").await.expect("an answer");
    assert_eq!((status, said.contains("/metrics")), (404, true));
    let posted = support::http()
        .post(format!("http://{at}/metrics"))
        .send()
        .await;
    assert_eq!(posted.expect("an answer").status().as_u16(), 405);
    drop(offered);
    support::until("nobody listens any more", async || {
        get("/metrics", "*/*").await.is_none()
    })
    .await;
}
