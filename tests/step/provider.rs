//! By which database an instance serves: F2, E3, V2 and R4 go by what is seen, and what nobody sees is not green.

use std::time::Duration;

use cutover::runbook::action::{Action, Effect};
use cutover::session::confidence::UNPROVEN;

use super::bench::{Bench, red};
use crate::fleet::instance::{Reply, Server};

fn program(argv: &[&str]) -> Action {
    let argv = argv.iter().map(|a| (*a).to_owned()).collect();
    Action::new(Effect::Command { argv }, Duration::from_secs(10))
}

#[tokio::test]
async fn f2_is_red_where_the_restart_did_nothing() {
    let mut bench = Bench::new(2).await;
    bench.only(&["F2"]);
    bench.runbook.fleet.restart = program(&["true"]);
    // By the page: it still says SQLite.
    let outcome = bench.step("F2").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    assert!(
        outcome
            .summary
            .contains("app-1 still serves from SQLite after its restart"),
        "{}",
        outcome.summary
    );
    assert!(
        outcome.summary.contains("0 of 2 instances are through"),
        "{}",
        outcome.summary
    );

    // Without a page: the process that listens is the one of before.
    bench.runbook.fleet.provider = None;
    let outcome = bench.step("F2").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    assert!(
        outcome
            .summary
            .contains("listens at its port as before the restart"),
        "{}",
        outcome.summary
    );

    // By its metrics: it began when it began.
    bench.runbook.fleet.metrics = Some("{url}/metrics".to_owned());
    bench
        .servers
        .iter()
        .for_each(|s| s.text("/metrics", 200, "process_start_time_seconds 1000\n"));
    let outcome = bench.step("F2").await;
    assert!(
        !outcome.ok && outcome.summary.contains("its metrics say"),
        "{}",
        outcome.summary
    );
}

#[tokio::test]
async fn f2_says_what_it_could_not_see_and_that_costs_confidence() {
    let mut bench = Bench::new(1).await;
    bench.only(&["F2"]);
    bench.runbook.fleet.restart = program(&["true"]);
    bench.runbook.fleet.provider = None;
    bench.runbook.fleet.metrics = Some("{url}/metrics".to_owned());
    let page = |at: u32| Reply::Text(200, format!("process_start_time_seconds {at}\n"));
    bench.servers[0].set("/metrics", Reply::InTurn(vec![page(1_000), page(2_000)]));
    let outcome = bench.step("F2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    assert!(
        outcome.summary.contains("is not known"),
        "{}",
        outcome.summary
    );
    assert!(outcome.facts.contains_key(UNPROVEN), "{:?}", outcome.facts);
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
    assert!(
        outcome.ok && outcome.summary.contains("all serve from PostgreSQL"),
        "{}",
        outcome.summary
    );
    assert!(!outcome.facts.contains_key(UNPROVEN));
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
    assert!(
        outcome.summary.contains("staging serves from SQLite"),
        "{}",
        outcome.summary
    );
    staging.text("/ready", 200, "on Postgres");
    let outcome = bench.step("E3").await;
    assert!(outcome.ok, "{}", outcome.summary);

    bench.servers[0].text("/ready", 200, "on Postgres");
    let outcome = bench.step("V2").await;
    assert_eq!(red(&outcome), ["verification"], "{}", outcome.summary);
    assert!(
        outcome.summary.contains("app-2 serves from SQLite"),
        "{}",
        outcome.summary
    );
    bench.servers[1].text("/ready", 200, "starting");
    let outcome = bench.step("V2").await;
    assert!(
        outcome.ok && outcome.facts.contains_key(UNPROVEN),
        "{}",
        outcome.summary
    );
}

#[tokio::test]
async fn without_a_page_the_signs_from_outside_tell_or_it_is_not_known() {
    let mut bench = Bench::new(1).await;
    bench.runbook.fleet.provider = None;
    // Nobody has the file open, and nobody is connected.
    let outcome = bench.row("R4").await;
    assert_eq!(red(&outcome), ["serves_app-1"], "{}", outcome.summary);
    assert!(
        outcome.summary.contains("is not known"),
        "{}",
        outcome.summary
    );
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
    assert!(
        outcome.summary.contains("app-1 serves from PostgreSQL"),
        "{}",
        outcome.summary
    );
    drop(client);
    driven.await.unwrap().unwrap();
}
