//! What the server counts as written, and how late.

use std::time::Duration;

use cutover::postgres::written::{Counters, CountersProbe, Written};

use super::{connect, endpoint};
use crate::support;

#[tokio::test]
async fn the_server_counts_what_was_written_and_attempts_too() {
    let database = support::database().await;
    let client = connect(&database.url).await;
    client
        .batch_execute(
            "CREATE TABLE tools(id int); CREATE SCHEMA other; CREATE TABLE other.tools(id int)",
        )
        .await
        .unwrap();
    let mut probe = CountersProbe::new(endpoint(&database.url), "public", Duration::from_secs(10));
    let before = probe.read().await.unwrap()["tools"];
    client
        .batch_execute(
            "INSERT INTO tools SELECT generate_series(1, 10); UPDATE tools SET id = -id WHERE id < 4; DELETE FROM tools WHERE id = 9;
             INSERT INTO other.tools VALUES (1); BEGIN; INSERT INTO tools VALUES (11); ROLLBACK; SELECT pg_stat_force_next_flush()",
        )
        .await
        .unwrap();
    let mut now = Counters::new();
    support::until("the counters", async || {
        now = probe.read().await.unwrap();
        now["tools"].since(before).is_some_and(|w| w.inserted >= 11)
    })
    .await;
    let written = now["tools"].since(before).unwrap();
    // The one that was rolled back counts: an upper bound.
    let expected = Written {
        inserted: 11,
        changed: 3,
        deleted: 1,
    };
    assert_eq!(written, expected);
    assert_eq!(now.len(), 1, "another schema's table: {now:?}");
}

#[tokio::test]
async fn a_lost_connection_is_an_error_once() {
    let database = support::database().await;
    let client = connect(&database.url).await;
    let mut probe = CountersProbe::new(endpoint(&database.url), "public", Duration::from_secs(10));
    probe.read().await.unwrap();
    client
        .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .await
        .unwrap();
    // Whether the first question meets the dead connection or a new one, the second one is answered.
    let _ = probe.read().await;
    probe.read().await.unwrap();
}

#[tokio::test]
async fn sequences_tell_the_last_number_that_they_gave_out() {
    let database = support::database().await;
    let client = connect(&database.url).await;
    client
        .batch_execute(
            r#"CREATE SEQUENCE unused; CREATE SEQUENCE "Used"; SELECT nextval('"Used"'), nextval('"Used"');
               CREATE SCHEMA other; CREATE SEQUENCE other.used; SELECT nextval('other.used')"#,
        )
        .await
        .unwrap();
    let mut probe = CountersProbe::new(endpoint(&database.url), "public", Duration::from_secs(10));
    let given_out = probe.given_out().await.unwrap();
    assert_eq!(given_out, [("public.Used".to_owned(), 2)].into());
}
