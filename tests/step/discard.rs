//! D2 with `target_rows: replace` over rows that SQLite does not have: nothing goes before their number was typed, and the number is
//! counted again when they go.

use cutover::session::discard::asked_next;
use cutover::session::{Command, Refusal, decide};

use super::bench::{Bench, backup_of};
use crate::support;

async fn rows(bench: &Bench) -> Vec<String> {
    let client = support::client(&bench.database.url).await;
    let read = client
        .query("SELECT id || v FROM t ORDER BY id", &[])
        .await
        .unwrap();
    read.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn rows_that_sqlite_does_not_have_go_only_by_their_number() {
    let mut bench = Bench::new(1).await;
    bench
        .on_target(
            "CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (7, 'x'), (8, 'y')",
        )
        .await;
    let section = "target_rows: replace";
    bench.runbook.transfer = cutover::runbook::parse_transfer("transfer", section).unwrap();
    bench.bridge.reach("D2");
    let file = std::fs::read(bench.path("app.db")).unwrap();
    let backup = serde_json::json!({
        "path": bench.path("app.db"), "sha256": cutover::sqlite::digest::of_bytes(&file), "size_bytes": 0, "keep_ms": 0,
    });
    bench.left_behind("A2", backup_of(backup));
    // Other evidence than what was signed.
    bench.bridge.sign_what_can_be_signed();

    let outcome = bench.step("D2").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    assert_eq!(
        rows(&bench).await,
        ["1a", "7x", "8y"],
        "{}",
        outcome.summary
    );
    let asked = asked_next(&bench.bridge.session);
    assert_eq!(asked, [("t".to_owned(), 2)].into());
    let robin = bench.bridge.actor("robin");
    let start = |rows| Command::StartDiscarding {
        step: "D2".to_owned(),
        rows,
    };
    let plain = Command::StartStep { step: None };
    let refused = decide(&bench.bridge.session, &robin, &plain);
    assert!(
        matches!(refused, Err(Refusal::DiscardNeeded { .. })),
        "{refused:?}"
    );

    // Between the number and the deed another row comes in: the number is no longer right.
    let agreed = decide(&bench.bridge.session, &robin, &start(asked)).expect("agreed");
    bench.on_target("INSERT INTO t VALUES (9, 'z')").await;
    let outcome = bench.step_after("D2", &agreed).await;
    assert!(!outcome.ok, "{}", outcome.summary);
    assert_eq!(rows(&bench).await, ["1a", "7x", "8y", "9z"]);
    let asked = asked_next(&bench.bridge.session);
    assert_eq!(asked, [("t".to_owned(), 3)].into());

    let agreed = decide(&bench.bridge.session, &robin, &start(asked)).expect("agreed");
    let outcome = bench.step_after("D2", &agreed).await;
    assert!(outcome.ok, "{}", outcome.summary);
    assert_eq!(rows(&bench).await, ["1a", "2b"]);
}
