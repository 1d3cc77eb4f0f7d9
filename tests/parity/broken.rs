//! A comparison that cannot come to its end says what was compared so far, and never "equal".

use super::pair::Pair;
use crate::support;
use cutover::parity::{Compared, Error, Options, Progress};
use tokio_util::sync::CancellationToken;

/// Ends every other session of the database, as an administrator or a restart would.
fn end_sessions(url: &str) {
    let url = url.to_owned();
    let end = move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let client = support::client(&url).await;
            let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
            client.batch_execute(end).await.expect("the sessions end");
        });
    };
    std::thread::spawn(end).join().expect("the sessions end");
}

#[tokio::test]
async fn a_server_that_goes_away_is_an_error_with_what_was_compared() {
    let pair = Pair::load().await;
    let progress = |progress: Progress| {
        if progress.done {
            end_sessions(&pair.database.superuser_url);
        }
    };
    let options = Options {
        lanes: 1,
        ..Options::default()
    };
    let cancel = CancellationToken::new();
    let compared = pair.try_compare(&options, &progress, &cancel).await;
    let error = compared.expect_err("the server is gone");
    assert!(matches!(error.cause(), Error::Server { .. }), "{error:?}");
    let so_far = error.so_far().expect("what was compared");
    assert!(!so_far.equal);
    let whole = so_far
        .tables
        .iter()
        .filter(|table| table.compared == Compared::All)
        .count();
    assert_eq!((whole, so_far.tables.len()), (1, 5));
    assert!(
        error.to_string().contains(
            "Compared so far: 1 of 5 tables, 1 of them equal; nothing is known of the others"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_cancelled_comparison_is_not_equal() {
    let pair = Pair::load().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let options = Options::default();
    let compared = pair.try_compare(&options, &|_| (), &cancel).await;
    let error = compared.expect_err("cancelled");
    assert!(
        matches!(error.cause(), Error::Cancelled)
            && error.so_far().is_some_and(|report| !report.equal),
        "{error:?}"
    );
}

#[tokio::test]
async fn rows_that_row_security_would_hide_are_an_error() {
    let pair = Pair::load().await;
    pair.on_target(r#"ALTER TABLE "Tools" ENABLE ROW LEVEL SECURITY; ALTER TABLE "Tools" FORCE ROW LEVEL SECURITY; CREATE POLICY few ON "Tools" USING ("Id" < 100)"#)
        .await;
    let cancel = CancellationToken::new();
    let options = Options::default();
    let compared = pair.try_compare(&options, &|_| (), &cancel).await;
    assert!(
        compared
            .expect_err("half of the rows are hidden")
            .to_string()
            .contains("row-level security")
    );
}

#[tokio::test]
async fn a_server_that_goes_away_in_the_middle_of_a_table_leaves_it_unknown() {
    let pair = Pair::load().await;
    // Far more than the connection holds in its buffers: what is left of it can never be read.
    pair.on_source(
        r#"CREATE TABLE "Big" ("Id" INTEGER NOT NULL PRIMARY KEY, "V" TEXT);
           WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
           INSERT INTO "Big" SELECT i, printf('%0200d', i) FROM n"#,
    );
    pair.on_target(
        r#"CREATE TABLE "Big" ("Id" bigint PRIMARY KEY, "V" text);
           INSERT INTO "Big" SELECT i, lpad(i::text, 200, '0') FROM generate_series(1, 300000) i"#,
    )
    .await;
    let ended = std::sync::Once::new();
    let progress = |progress: Progress| {
        if progress.table == "Big" && progress.target_rows > 0 {
            ended.call_once(|| end_sessions(&pair.database.superuser_url));
        }
    };
    let options = Options {
        lanes: 1,
        ..Options::default()
    };
    let cancel = CancellationToken::new();
    let compared = pair.try_compare(&options, &progress, &cancel).await;
    let error = compared.expect_err("the server is gone");
    assert!(matches!(error.cause(), Error::Server { .. }), "{error:?}");
    let so_far = error.so_far().expect("what was compared");
    let big = so_far.tables.iter().find(|table| table.table == "Big");
    let big = big.expect("the table");
    assert_eq!(big.compared, Compared::Nothing);
    assert!(!so_far.equal && !big.is_equal() && !big.verdict("E2").ok);
    assert!(
        error.to_string().contains("0 of 6 tables"),
        "the largest is read first: {error}"
    );
}
