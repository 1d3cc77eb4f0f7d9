//! After a session whose feed was not taken away: `close` takes it, and leaves that of another session.

use cutover::feed::capture::{self, Captured};
use cutover::postgres::Finding;
use cutover::session::Phase;
use cutover::step::closing;

use super::bench::Bench;
use crate::support;

/// A target on which an earlier night has left its triggers.
async fn noting() -> Bench {
    let bench = Bench::new(1).await;
    bench
        .on_target("CREATE TABLE t (id integer PRIMARY KEY)")
        .await;
    let moved = [Captured {
        number: 1,
        schema: "public".to_owned(),
        table: "t".to_owned(),
        key: vec!["id".to_owned()],
    }];
    let client = support::client(&bench.database.url).await;
    let made = capture::install(&client, "last-night", &moved).await;
    made.expect("the feed's triggers");
    bench
}

/// What `close` says of it.
async fn look(bench: &Bench) -> Option<Finding> {
    let base = bench.path("");
    let found = closing::look(&bench.runbook, &base, &[], Phase::RolledBack).await;
    found.into_iter().find(|finding| finding.name == "feed")
}

#[tokio::test]
async fn close_takes_away_what_notes_writes_unless_another_session_needs_it() {
    let bench = noting().await;
    bench
        .on_target(
            "CREATE TABLE cutover.session (one boolean, session text, folder text, host text);
             INSERT INTO cutover.session VALUES (true, 'tonight', '/elsewhere', 'another-host')",
        )
        .await;
    let theirs = look(&bench).await.expect("a note");
    assert!(!theirs.ok && !theirs.blocks(), "{theirs:?}");
    says!(theirs.detail, "tonight");
    let client = support::client(&bench.database.url).await;
    assert_eq!(capture::left(&client).await.unwrap(), ["public.t"]);

    bench.on_target("DROP TABLE cutover.session").await;
    let taken = look(&bench).await.expect("what was done");
    assert!(taken.ok, "{taken:?}");
    assert_eq!(look(&bench).await, None);
    assert_eq!(capture::left(&client).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_schema_goes_with_what_notes_writes_or_says_why_not() {
    let bench = noting().await;
    let application = support::client(&bench.database.url).await;
    let writing = "BEGIN; INSERT INTO t VALUES (1)";
    application.batch_execute(writing).await.unwrap();
    let why = closing::drop_schema(&bench.runbook).await;
    let why = why.expect_err("a transaction is in the way");
    says!(why, "public.t: its triggers cutover_feed_… are still there");
    says!(why, "The schema was not dropped");
    application.batch_execute("COMMIT").await.unwrap();
    closing::drop_schema(&bench.runbook).await.unwrap();
    let gone = "SELECT to_regnamespace('cutover') IS NULL";
    let gone = application.query_one(gone, &[]).await.unwrap();
    assert!(gone.get::<_, bool>(0), "an empty schema stays");
}
