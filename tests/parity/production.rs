//! The checks beside production: at a pace, under a time limit, and with their share of the load known.

use std::collections::BTreeSet;

use super::pair::Pair;
use crate::support;
use cutover::parity::{self, Kind, Opening, Options, Report, Sides, checks};
use cutover::postgres::load_share;
use tokio_util::sync::CancellationToken;

/// Few enough that the larger tables of the pair take several takes.
const PACED: Opening = Opening {
    since_snapshot: None,
    is_frozen: false,
    statement_limit_ms: None,
    rows_per_second: Some(600),
};

async fn compare(sides: &Sides) -> Report {
    let options = Options::default();
    parity::tables(sides, &options, &|_| (), &CancellationToken::new())
        .await
        .expect("a report")
}

#[tokio::test]
async fn a_paced_reading_sees_what_a_fast_one_sees() {
    let pair = Pair::load().await;
    let paced = pair.sides_at(&PACED).await;
    let report = compare(&paced).await;
    assert!(report.equal, "{report:#?}");
    for check in checks::all(&paced, &checks::Equal::of(&report))
        .await
        .expect("the checks")
    {
        assert!(check.ok, "{check:?}");
    }
    pair.on_target(
        r#"UPDATE "Tools" SET "Slug" = "Slug" || 'x' WHERE "Id" = (SELECT max("Id") FROM "Tools")"#,
    )
    .await;
    let paced = pair.sides_at(&PACED).await;
    let report = compare(&paced).await;
    let differing: Vec<_> = report
        .tables
        .iter()
        .filter(|table| !table.is_equal())
        .collect();
    let [tools] = differing.as_slice() else {
        panic!("{report:#?}")
    };
    assert_eq!((tools.table.as_str(), tools.different), ("Tools", 1));
    assert!(tools.examples.iter().all(|one| one.kind == Kind::Different));
}

#[tokio::test]
async fn a_statement_that_needs_too_long_is_ended_and_told_apart_from_a_difference() {
    let pair = Pair::load().await;
    // Enough for what is asked before the table is locked, also on a machine that pauses.
    let opening = Opening {
        statement_limit_ms: Some(5_000),
        ..PACED
    };
    let limited = pair.sides_at(&opening).await;
    pair.on_target(r#"BEGIN; LOCK TABLE "Tools" IN ACCESS EXCLUSIVE MODE"#)
        .await;
    let error = checks::row_counts(&limited, "V1", Some(&["Tools".to_owned()]))
        .await
        .expect_err("the table is locked");
    assert!(error.took_too_long(), "{error:?}");
    pair.on_target("ROLLBACK").await;
    let error = limited_by_nothing(&pair).await;
    assert!(!error.took_too_long(), "{error:?}");
}

/// Another error of the server: the table is gone.
async fn limited_by_nothing(pair: &Pair) -> parity::Error {
    let sides = pair.sides_at(&PACED).await;
    pair.on_target(r#"DROP TABLE "Tools" CASCADE"#).await;
    checks::row_counts(&sides, "V1", Some(&["Tools".to_owned()]))
        .await
        .expect_err("the table is gone")
}

/// When the sampler's statement under way, or its last one, began; while two sessions wait that began to wait before.
const SAMPLED: &str = "
SELECT sampler.query_start::text FROM pg_stat_activity AS sampler
WHERE sampler.datname = current_database() AND sampler.pid <> pg_backend_pid() AND sampler.query LIKE '%AS sessions%'
AND 2 = (
  SELECT count(*) FROM pg_stat_activity AS waiting
  WHERE waiting.datname = current_database() AND waiting.wait_event = 'advisory' AND waiting.query_start < sampler.query_start
)";

#[tokio::test]
async fn the_share_of_the_load_is_ours_and_not_others() {
    const WAIT: &str = "SELECT pg_advisory_lock_shared(4711)";
    let pair = Pair::load().await;
    let endpoint = pair.endpoint();
    let ours = endpoint
        .with_application_name("ours")
        .connect()
        .await
        .expect("a connection");
    let gate = support::client(&pair.database.url).await;
    let held = gate.batch_execute("SELECT pg_advisory_lock(4711)").await;
    held.expect("a lock");
    let until_sampled = async {
        let mut began = BTreeSet::new();
        // The server takes a sample as three statements (parse, bind, execute): once a fourth has begun, one sample is counted.
        support::until("a sample of both at work", async || {
            let row = gate.query_opt(SAMPLED, &[]).await.expect("an answer");
            began.extend(row.map(|row| row.get::<_, String>(0)));
            began.len() > 3
        })
        .await;
        let let_go = gate.batch_execute("SELECT pg_advisory_unlock(4711)").await;
        let_go.expect("unlocked");
    };
    let work = async {
        let (waited, (), ()) = tokio::join!(
            ours.batch_execute(WAIT),
            pair.on_target(WAIT),
            until_sampled
        );
        waited.expect("the lock");
    };
    let ((), share) = load_share::during(&endpoint, "ours", work).await;
    assert!(share.samples > 0 && share.ours > 0, "{share:?}");
    assert!(share.all > share.ours, "{share:?}");
}
