//! By which database an instance serves: F2, E3, V2 and R4 go by what is seen, and what nobody sees is not green.

use std::time::Duration;

use cutover::postgres::Endpoint;
use cutover::runbook::action::{Action, Effect};
use cutover::runbook::{CompareBody, MetricsPage, Request, RequestClass};
use cutover::session::Outcome;
use cutover::session::facts::Unproven;

use super::bench::{Bench, red};
use crate::fleet::instance::{Reply, Server};

fn program(argv: &[&str]) -> Action {
    let argv = argv.iter().map(|a| (*a).to_owned()).collect();
    Action::new(Effect::Command { argv }, Duration::from_secs(60))
}

/// Whether a step says that something was not seen.
fn is_unproven(outcome: &Outcome) -> bool {
    outcome.fact::<Unproven>("").expect("readable").is_some()
}

#[tokio::test]
async fn f2_is_red_where_the_restart_did_nothing() {
    let mut bench = Bench::new(2).await;
    bench.only(&["F2"]);
    bench.runbook.fleet.restart = program(&["true"]);
    // By the page: it still says SQLite.
    let outcome = bench.step("F2").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    says!(
        outcome.summary,
        "app-1 still serves from SQLite after its restart"
    );
    says!(outcome.summary, "0 of 2 instances are through");

    // Without a page: the process that listens is the one of before.
    bench.runbook.fleet.provider = None;
    let outcome = bench.step("F2").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "listens at its port as before the restart");

    // By its metrics: it began when it began.
    bench.runbook.fleet.metrics = Some(MetricsPage::at("{url}/metrics"));
    bench
        .servers
        .iter()
        .for_each(|s| s.text("/metrics", 200, "process_start_time_seconds 1000\n"));
    let outcome = bench.step("F2").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "its metrics say");
}

#[tokio::test]
async fn f2_says_what_it_could_not_see_and_that_costs_confidence() {
    let mut bench = Bench::new(1).await;
    bench.only(&["F2"]);
    bench.runbook.fleet.restart = program(&["true"]);
    bench.runbook.fleet.provider = None;
    bench.runbook.fleet.metrics = Some(MetricsPage::at("{url}/metrics"));
    let page = |at: u32| Reply::Text(200, format!("process_start_time_seconds {at}\n"));
    bench.servers[0].set("/metrics", Reply::InTurn(vec![page(1_000), page(2_000)]));
    let outcome = bench.step("F2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "is not known");
    assert!(is_unproven(&outcome), "{:?}", outcome.facts);
    let score = cutover::session::confidence::confidence(&bench.bridge.session);
    let part = score.parts.iter().find(|p| p.id == "F2").unwrap();
    assert_eq!(part.points, 0, "{part:?}");
    assert!(part.why.starts_with("done, and not proven"), "{part:?}");

    bench.all_say("on Postgres");
    bench.runbook.fleet.provider = crate::session::reference().fleet.provider.map(|mut page| {
        page.postgres = "on Postgres".to_owned();
        page
    });
    let outcome = bench.step("F2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "all serve from PostgreSQL");
    assert!(!is_unproven(&outcome));
}

/// The restart of one instance of a batch failed while the other's, which is on record after it, went well: ready is the process of before.
#[tokio::test]
async fn another_attempt_of_f2_restarts_whom_nothing_shows_on_postgresql() {
    let mut bench = Bench::new(2).await;
    bench.only(&["F2"]);
    bench.runbook.fleet.restart = crate::fleet::posts("{url}/restart");
    bench.runbook.fleet.provider = None;
    bench.runbook.fleet.metrics = Some(MetricsPage::at("{url}/metrics"));
    let page = |at: u32| Reply::Text(200, format!("process_start_time_seconds {at}\n"));
    let begun = |times: &[u32]| Reply::InTurn(times.iter().map(|at| page(*at)).collect());
    bench.servers[0].set("/metrics", begun(&[1_000, 1_000, 2_000]));
    bench.servers[1].set("/metrics", begun(&[1_000, 2_000, 2_000, 3_000]));
    bench.servers[0].text("/restart", 500, "");
    bench.servers[1].text("/restart", 200, "");
    let outcome = bench.step("F2").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    bench.servers[0].text("/restart", 200, "");
    let outcome = bench.step("F2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    assert_eq!(bench.servers[0].asked("/restart"), 2, "{}", outcome.summary);
    assert!(is_unproven(&outcome), "{}", outcome.summary);
}

#[tokio::test]
async fn e3_and_v2_are_red_where_sqlite_answers() {
    let mut bench = Bench::new(2).await;
    bench.only(&["E3", "V2"]);
    let staging = Server::start("staging").await;
    staging.text("/ready", 200, "on Sqlite");
    bench.runbook.fleet.staging = Some(staging.instance.clone());
    let outcome = bench.step("E3").await;
    assert_eq!(red(&outcome), ["smoke"], "{}", outcome.summary);
    says!(outcome.summary, "staging serves from SQLite");
    staging.text("/ready", 200, "on Postgres");
    let outcome = bench.step("E3").await;
    // This runbook has no request: it is done, and proves nothing.
    assert!(outcome.ok && is_unproven(&outcome), "{}", outcome.summary);
    assert!(
        outcome.summary.starts_with("nothing was asked"),
        "{}",
        outcome.summary
    );

    bench.servers[0].text("/ready", 200, "on Postgres");
    let outcome = bench.step("V2").await;
    assert_eq!(red(&outcome), ["verification"], "{}", outcome.summary);
    says!(outcome.summary, "app-2 serves from SQLite");
    bench.servers[1].text("/ready", 200, "starting");
    let outcome = bench.step("V2").await;
    assert!(outcome.ok && is_unproven(&outcome), "{}", outcome.summary);
}

/// One answer that says nothing is no sign that an instance has not come back; two are.
#[tokio::test]
async fn r4_asks_a_page_twice_that_tells_nothing() {
    let mut bench = Bench::new(2).await;
    let page = |text: &str| Reply::Text(200, text.to_owned());
    // R4 asks the same page for readiness first.
    let late = vec![page("on Sqlite"), page("starting"), page("on Sqlite")];
    bench.servers[1].set("/ready", Reply::InTurn(late));
    let outcome = bench.row("R4").await;
    assert!(outcome.ok, "{}", outcome.summary);
    bench.servers[1].text("/ready", 200, "starting");
    let outcome = bench.row("R4").await;
    assert_eq!(red(&outcome), ["serves_app-2"], "{}", outcome.summary);
}

#[tokio::test]
async fn without_a_page_the_signs_from_outside_tell_or_it_is_not_known() {
    let mut bench = Bench::new(1).await;
    bench.runbook.fleet.provider = None;
    // Nobody has the file open, and nobody is connected.
    let outcome = bench.row("R4").await;
    assert_eq!(red(&outcome), ["serves_app-1"], "{}", outcome.summary);
    says!(outcome.summary, "is not known");
    // This process is the instance: it listens at its port.
    let file = rusqlite::Connection::open(bench.path("app.db")).unwrap();
    file.query_row("SELECT count(*) FROM t", [], |r| r.get::<_, i64>(0))
        .unwrap();
    let outcome = bench.row("R4").await;
    assert!(outcome.ok, "{}", outcome.summary);
    drop(file);
    let (client, connection) = {
        let config: tokio_postgres::Config = bench.database.url.parse().unwrap();
        let mut config = config;
        config.application_name("app-1");
        config.connect(tokio_postgres::NoTls).await.unwrap()
    };
    let driven = tokio::spawn(connection);
    let outcome = bench.row("R4").await;
    assert_eq!(red(&outcome), ["serves_app-1"], "{}", outcome.summary);
    says!(outcome.summary, "app-1 serves from PostgreSQL");
    drop(client);
    driven.await.unwrap().unwrap();
}

/// An instance that serves from some other PostgreSQL says "PostgreSQL" like one that serves from the target.
#[tokio::test]
async fn e3_f2_and_v2_are_red_where_nobody_arrives_in_the_target() {
    let mut bench = Bench::new(1).await;
    bench.only(&["E3", "F2", "V2"]);
    bench.runbook.fleet.restart = program(&["true"]);
    bench.all_say("on Postgres");
    let staging = Server::start("staging").await;
    staging.text("/ready", 200, "on Postgres");
    staging.text("/tools", 200, "[]");
    bench.servers[0].text("/tools", 200, "[]");
    bench.runbook.verification.requests = vec![Request {
        name: "list".to_owned(),
        class: RequestClass::Read,
        method: "GET".to_owned(),
        url: "{url}/tools".to_owned(),
        headers: Vec::new(),
        headers_command: None,
        body: None,
        status: 200,
        contains: None,
        compare_body: CompareBody::No,
        leaves_rows: false,
    }];
    let is_red = |outcome: &Outcome, who: &str| {
        let said = &outcome.summary;
        says!(
            said,
            &format!("while {who} was asked nobody was connected to the target")
        );
        says!(
            said,
            "Compare what the switch writes with `target.runtime_url`"
        );
    };
    let outcome = bench.step("F2").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    is_red(&outcome, "app-1");
    let outcome = bench.step("V2").await;
    assert_eq!(red(&outcome), ["verification"], "{}", outcome.summary);
    is_red(&outcome, "app-1");
    bench.runbook.fleet.staging = Some(staging.instance.clone());
    let outcome = bench.step("E3").await;
    assert_eq!(red(&outcome), ["smoke"], "{}", outcome.summary);
    is_red(&outcome, "staging");

    let endpoint = Endpoint::parse(&bench.database.url).expect("a URL");
    let of_staging = endpoint
        .with_application_name("staging")
        .connect()
        .await
        .expect("a session");
    let outcome = bench.step("E3").await;
    assert!(outcome.ok, "{}", outcome.summary);
    let of_app = endpoint
        .with_application_name("app-1")
        .connect()
        .await
        .expect("a session");
    for row in ["F2", "V2"] {
        let outcome = bench.step(row).await;
        assert!(outcome.ok, "{row}: {}", outcome.summary);
    }
    drop((of_staging, of_app));
}
