//! The capture over its life: made anew, looked at, pruned, taken away; and what is in its way.

use cutover::feed::capture::{install, left, missing, obstacles, prune, remove};
use tokio_postgres::Client;

use super::{Bench, TOOLS, moved, run};
use crate::support::client;

async fn answer(client: &Client, sql: &str) -> bool {
    client.query_one(sql, &[]).await.expect(sql).get(0)
}

#[tokio::test]
async fn made_again_it_keeps_this_sessions_notes_and_drops_what_another_has_left() {
    let tables = format!("{TOOLS}; CREATE TABLE log (id int PRIMARY KEY)");
    let first = [moved(1, "tools", &["id"]), moved(2, "log", &["id"])];
    let bench = Bench::new(&tables, &first).await;
    let count = "SELECT count(*) = 1 FROM cutover.feed_notes";
    run(&bench.application, "INSERT INTO tools (id) VALUES (1)").await;
    install(&bench.owner, "tonight", &first).await.unwrap();
    assert!(answer(&bench.owner, count).await, "the note is gone");

    // Another session counts the tables otherwise.
    let second = [moved(7, "tools", &["id"])];
    install(&bench.owner, "tomorrow", &second).await.unwrap();
    let missing = bench.missing(&second).await;
    assert!(missing.is_empty(), "{missing:?}");
    let both = "INSERT INTO tools (id) VALUES (2); INSERT INTO log VALUES (3)";
    assert_eq!(bench.noted(both).await, ["7 i - {2}"]);
}

/// Nothing of it is made where one of the tables cannot have it.
#[tokio::test]
async fn it_is_made_whole_or_not_at_all() {
    let bench = Bench::without_capture(TOOLS).await;
    let nowhere = [moved(1, "tools", &["id"]), moved(2, "nowhere", &["id"])];
    let refused = install(&bench.owner, "tonight", &nowhere).await;
    let refused = refused.expect_err("no such table").to_string();
    says!(refused, "public.nowhere: there is no such table");
    says!(refused, "Nothing of the capture was made");

    run(&bench.owner, "CREATE VIEW seen AS SELECT * FROM tools").await;
    let view = [moved(1, "tools", &["id"]), moved(2, "seen", &["id"])];
    let refused = install(&bench.owner, "tonight", &view).await;
    let refused = refused.expect_err("a view").to_string();
    says!(refused, "what is written to public.seen cannot be noted");
    assert!(answer(&bench.owner, "SELECT to_regnamespace('cutover') IS NULL").await);
    run(&bench.application, "INSERT INTO tools (v) VALUES ('a')").await;
}

#[tokio::test]
async fn what_is_gone_of_it_is_said_with_the_table() {
    let tools = [moved(1, "tools", &["id"])];
    for (sql, said) in [
        (
            "ALTER TABLE tools DISABLE TRIGGER cutover_feed_1_update",
            "public.tools: its trigger cutover_feed_1_update was disabled",
        ),
        (
            "ALTER TABLE tools ENABLE TRIGGER cutover_feed_1_insert",
            "cutover_feed_1_insert was disabled, or no longer fires always",
        ),
        (
            "DROP TRIGGER cutover_feed_1_truncate ON tools",
            "public.tools: its trigger cutover_feed_1_truncate is not there",
        ),
        (
            "DROP FUNCTION cutover.feed_1() CASCADE",
            "public.tools: its function cutover.feed_1() is not there",
        ),
        (
            "CREATE OR REPLACE FUNCTION cutover.feed_1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "public.tools: its function cutover.feed_1() does not fit it",
        ),
        (
            "ALTER FUNCTION cutover.feed_1() SECURITY INVOKER",
            "cutover.feed_1() does not run as its owner",
        ),
        (
            "ALTER TABLE tools ADD more text",
            "public.tools: its columns are not those of the switch",
        ),
        (
            "ALTER TABLE tools RENAME TO things",
            "public.tools: there is no such table",
        ),
        (
            "CREATE TABLE special () INHERITS (tools)",
            "public.special: its trigger cutover_feed_1_rows is not there",
        ),
        ("DROP TABLE cutover.feed_notes CASCADE", "nothing is noted"),
    ] {
        let bench = Bench::new(TOOLS, &tools).await;
        run(&bench.owner, sql).await;
        let missing = missing(&bench.owner, &tools).await.unwrap();
        says!(missing.join("\n"), said);
    }
}

#[tokio::test]
async fn notes_go_once_a_snapshot_that_was_read_sees_them() {
    let bench = Bench::new(TOOLS, &[moved(1, "tools", &["id"])]).await;
    let late = client(&bench.database.url).await;
    run(&late, "BEGIN; INSERT INTO tools (id) VALUES (1)").await;
    run(&bench.application, "INSERT INTO tools (id) VALUES (2)").await;
    let snapshot = "SELECT pg_current_snapshot()::text";
    let snapshot = bench.owner.query_one(snapshot, &[]).await.unwrap();
    let snapshot: String = snapshot.get(0);
    run(&late, "COMMIT").await;
    assert_eq!(prune(&bench.owner, &snapshot).await.unwrap(), 1);
    assert_eq!(prune(&bench.owner, &snapshot).await.unwrap(), 0);
    assert_eq!(bench.notes().await, ["1 i - {1}"]);

    // More than one transaction deletes.
    let many = "INSERT INTO cutover.feed_notes (number, operation, after) SELECT 1, 'i', ARRAY[n::text] FROM generate_series(1, 120000) n";
    run(&bench.owner, many).await;
    let snapshot = "SELECT pg_current_snapshot()::text";
    let snapshot = bench.owner.query_one(snapshot, &[]).await.unwrap();
    let mut pruned = 0;
    while pruned < 120_000 {
        let some = prune(&bench.owner, snapshot.get(0)).await.unwrap();
        assert!(some > 0, "{pruned} of them went");
        pruned += some;
    }
    assert!(answer(&bench.owner, "SELECT count(*) = 0 FROM cutover.feed_notes").await);
}

/// What one transaction has no time for is left to several, and some of it goes.
#[tokio::test]
async fn notes_go_also_on_a_server_that_is_slow() {
    let bench = Bench::new(TOOLS, &[moved(1, "tools", &["id"])]).await;
    let many = "INSERT INTO cutover.feed_notes (number, operation, after) SELECT 1, 'i', ARRAY[n::text] FROM generate_series(1, 20000) n";
    run(&bench.owner, many).await;
    // A millisecond for each is more than the two seconds that a statement has.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.001); RETURN OLD; END';
        CREATE TRIGGER slow BEFORE DELETE ON cutover.feed_notes FOR EACH ROW EXECUTE FUNCTION slow()";
    run(&bench.owner, slow).await;
    let snapshot = "SELECT pg_current_snapshot()::text";
    let snapshot = bench.owner.query_one(snapshot, &[]).await.unwrap();
    let pruned = prune(&bench.owner, snapshot.get(0)).await.unwrap();
    assert!(pruned > 0 && pruned < 5_000, "{pruned}");
    let left = format!("SELECT count(*) + {pruned} = 20000 FROM cutover.feed_notes");
    assert!(answer(&bench.owner, &left).await, "{pruned} of them went");
}

#[tokio::test]
async fn it_goes_without_a_trace_and_waits_for_nobody_long() {
    let tables = format!(
        "{TOOLS}; CREATE TABLE busy (id int PRIMARY KEY); CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE p_1 PARTITION OF p DEFAULT"
    );
    let all = [
        moved(1, "tools", &["id"]),
        moved(2, "busy", &["id"]),
        moved(3, "p", &["id"]),
    ];
    let bench = Bench::new(&tables, &all).await;
    run(&bench.application, "BEGIN; INSERT INTO busy VALUES (1)").await;
    let said = remove(&bench.owner).await.unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    says!(
        said[0],
        "public.busy: its triggers cutover_feed_… are still there"
    );
    says!(said[0], "it does nothing any more");
    assert_eq!(left(&bench.owner).await.unwrap(), ["public.busy"]);

    // What was noted before stays for whoever takes the rest away; what comes after is not noted.
    run(
        &bench.application,
        "INSERT INTO busy VALUES (2); COMMIT; INSERT INTO tools (id) VALUES (1)",
    )
    .await;
    assert_eq!(bench.notes().await, ["2 i - {1}"]);
    assert_eq!(remove(&bench.owner).await.unwrap(), Vec::<String>::new());
    assert_eq!(left(&bench.owner).await.unwrap(), Vec::<String>::new());
    let nothing = "SELECT NOT EXISTS (SELECT FROM pg_trigger WHERE tgname LIKE 'cutover%')
        AND NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'cutover'::regnamespace)
        AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'cutover'::regnamespace)";
    assert!(answer(&bench.owner, nothing).await, "something is left");
    run(&bench.application, "INSERT INTO busy VALUES (3)").await;
    // Where nothing is, nothing is to be done.
    assert_eq!(remove(&bench.owner).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_in_its_way_is_known_before() {
    let bench = Bench::without_capture(&format!(
        "{TOOLS}; CREATE TABLE log (v text); CREATE VIEW seen AS SELECT * FROM tools"
    ))
    .await;
    let tools = [moved(1, "tools", &["id"]), moved(2, "not_yet", &["id"])];
    let said = obstacles(&bench.owner, &tools).await.unwrap();
    assert_eq!(said, Vec::<String>::new());
    let odd = [
        moved(1, "tools", &["code"]),
        moved(2, "log", &[]),
        moved(3, "seen", &["id"]),
    ];
    let said = obstacles(&bench.owner, &odd).await.unwrap().join("\n");
    says!(said, "public.tools has no column \"code\"");
    says!(said, "public.log has no key");
    says!(said, "public.seen is no table");

    let said = obstacles(&bench.application, &tools).await.unwrap();
    let said = said.join("\n");
    says!(said, "public.tools belongs to \"app_owner\"");
    says!(
        said,
        "may not make the schema cutover: GRANT CREATE ON DATABASE"
    );

    let superuser = client(&bench.database.superuser_url).await;
    let refusing = "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no functions tonight'; END $$;
        CREATE EVENT TRIGGER guard ON ddl_command_start WHEN TAG IN ('CREATE FUNCTION') EXECUTE FUNCTION refuse()";
    run(&superuser, refusing).await;
    let said = obstacles(&bench.owner, &tools).await.unwrap().join("\n");
    says!(
        said,
        "an event trigger (guard) refuses what the capture does"
    );
    says!(said, "no functions tonight");
    run(&superuser, "DROP EVENT TRIGGER guard").await;

    let foreign =
        "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER far FOREIGN DATA WRAPPER nothing;
        CREATE FOREIGN TABLE far_away (id int) SERVER far";
    run(&superuser, foreign).await;
    let said = obstacles(&bench.owner, &[moved(1, "far_away", &["id"])]).await;
    says!(
        said.unwrap().join("\n"),
        "public.far_away is a table of another server"
    );
    // Nothing was left by looking.
    assert!(answer(&bench.owner, "SELECT to_regnamespace('cutover') IS NULL").await);
}
