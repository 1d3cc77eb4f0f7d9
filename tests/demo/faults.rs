//! Each fault does what it says, for real.

use std::collections::BTreeMap;
use std::time::Duration;

use cutover::demo::control::Request;
use cutover::demo::faults::{self, Fault};
use cutover::demo::sample::POSTGRES_MIGRATIONS;
use rusqlite::Connection;

use super::bench::{Bench, connect, timed};
use crate::support;

#[tokio::test]
async fn damaged_data() {
    let bench = Bench::start(1, 0);
    let dir = bench.sandbox.dir();
    let early = faults::inject(dir, Fault::BackupCorrupt).unwrap_err();
    assert!(early.to_string().contains("holds a backup yet"), "{early}");
    bench.load_target().await;
    let target = bench.target().await;
    let number = async |sql: &str| target.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    let texts = async |sql: &str| -> Vec<String> {
        target
            .query(sql, &[])
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect()
    };

    let features = r#"SELECT count(*) FROM "ToolFeatures""#;
    let before = number(features).await;
    faults::inject(dir, Fault::RowLoss).unwrap();
    assert_eq!(number(features).await, before - 7);

    let slugs = r#"SELECT "Slug" FROM "ToolContents" ORDER BY "Id""#;
    let before = texts(slugs).await;
    faults::inject(dir, Fault::SlugMismatch).unwrap();
    let after = texts(slugs).await;
    assert_eq!(after[0], before[1]);
    assert_eq!(after[1], before[0]);
    assert_eq!(after[2], before[2]);
    let sorted = |mut slugs: Vec<String>| {
        slugs.sort();
        slugs
    };
    assert_eq!(sorted(after), sorted(before), "the same slugs, each once");

    let titles = r#"SELECT "Title" FROM "ToolContents" ORDER BY "Title", "Id" LIMIT 20"#;
    let before = texts(titles).await;
    faults::inject(dir, Fault::OrderMismatch).unwrap();
    assert_ne!(texts(titles).await, before);

    let orphans = r#"SELECT count(*) FROM "ToolFeatures" f WHERE NOT EXISTS (SELECT FROM "ToolContents" c WHERE c."Id" = f."ToolContentId")"#;
    let before = number(features).await;
    faults::inject(dir, Fault::Orphan).unwrap();
    assert_eq!((number(orphans).await, number(features).await), (1, before));
}

#[tokio::test]
async fn damaged_files_and_scripts() {
    let bench = Bench::start(1, 0);
    let (dir, layout) = (bench.sandbox.dir(), bench.sandbox.layout());
    let live = Connection::open(layout.live()).unwrap();
    let backup = layout.backups().join("tools.db");
    live.execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
        .unwrap();
    let sound = std::fs::read(&backup).unwrap();
    faults::inject(dir, Fault::BackupCorrupt).unwrap();
    assert_ne!(std::fs::read(&backup).unwrap(), sound);

    let version = || {
        live.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let before = version();
    faults::inject(dir, Fault::SecondWriter).unwrap();
    support::until("somebody writes past the application", async || {
        version() != before
    })
    .await;
    // A fence, while it stands, keeps even this one out; it goes on as soon as the fence is gone.
    let mut fence = Connection::open(layout.live()).unwrap();
    fence.busy_timeout(Duration::from_secs(5)).unwrap();
    let held = fence
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    let fenced = version();
    assert_eq!(
        bench
            .get(format!("{}/tools", bench.variable("APP_1")))
            .await
            .status(),
        200
    );
    assert_eq!(version(), fenced);
    held.rollback().unwrap();
    support::until("it has not given up", async || version() != fenced).await;

    let run = async || {
        let script = std::fs::read_to_string(layout.migrations()).unwrap();
        let client = connect(&bench.variable("TARGET_URL")).await;
        let outcome = client.batch_execute(&script).await;
        let rows = connect(&bench.variable("TARGET_URL")).await;
        let rows = rows
            .query(
                r#"SELECT "MigrationId" FROM "__EFMigrationsHistory" ORDER BY 1"#,
                &[],
            )
            .await
            .unwrap();
        (
            outcome.is_ok(),
            rows.iter().map(|row| row.get(0)).collect::<Vec<String>>(),
        )
    };
    faults::inject(dir, Fault::MigrationFails).unwrap();
    assert_eq!(
        run().await,
        (
            false,
            POSTGRES_MIGRATIONS[..3]
                .iter()
                .map(ToString::to_string)
                .collect()
        )
    );
    faults::inject(dir, Fault::MigrationMissing).unwrap();
    assert_eq!(
        run().await,
        (
            true,
            POSTGRES_MIGRATIONS[..3]
                .iter()
                .map(ToString::to_string)
                .collect()
        )
    );
    faults::heal(dir).unwrap();
    let complete: Vec<String> = POSTGRES_MIGRATIONS
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(run().await, (true, complete.clone()));
    assert_eq!(run().await, (true, complete), "as often as it is run");
}

/// The answers to so many requests, by status.
async fn statuses(bench: &Bench, base: &str, requests: u32) -> BTreeMap<u16, u32> {
    let mut counts = BTreeMap::new();
    for _ in 0..requests {
        let status = bench
            .get(format!("{base}/tools?size=1"))
            .await
            .status()
            .as_u16();
        *counts.entry(status).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn failing_processes() {
    let bench = Bench::start(3, 0);
    let dir = bench.sandbox.dir();
    bench.load_target().await;
    let (app, sound) = (bench.variable("APP_1"), bench.variable("APP_3"));
    bench.switch("app-1", "Postgres").await;
    bench.switch("app-2", "Postgres").await;
    bench.wait_for("APP_1", 200, "Postgres").await;
    bench.wait_for("APP_2", 200, "Postgres").await;

    faults::inject(dir, Fault::ErrorsHigh).unwrap();
    assert_eq!(
        statuses(&bench, &app, 66).await,
        BTreeMap::from([(200, 64), (500, 2)])
    );
    assert_eq!(
        statuses(&bench, &sound, 66).await,
        BTreeMap::from([(200, 66)]),
        "not on SQLite"
    );
    faults::inject(dir, Fault::ErrorsLow).unwrap();
    // 66 of the first 140 have been served.
    assert_eq!(
        statuses(&bench, &app, 140).await,
        BTreeMap::from([(200, 139), (500, 1)])
    );
    faults::heal(dir).unwrap();

    faults::inject(dir, Fault::Slow).unwrap();
    let (_, took) = timed(bench.get(format!("{app}/tools"))).await;
    assert!(took >= Duration::from_millis(700), "{took:?}");
    faults::heal(dir).unwrap();

    faults::inject(dir, Fault::NotReady).unwrap();
    bench.wait_for("APP_2", 503, "Postgres").await;
    bench.wait_for("APP_1", 200, "Postgres").await;
    faults::heal(dir).unwrap();
    bench.wait_for("APP_2", 200, "Postgres").await;

    faults::inject(dir, Fault::PoolExhaustion).unwrap();
    support::until("the pool runs dry", async || {
        bench.get(format!("{app}/tools")).await.status() == 503
    })
    .await;
    let metrics = bench
        .get(format!("{app}/metrics"))
        .await
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("db_pool_timeouts_total 1"), "{metrics}");
    bench.wait_for("APP_1", 200, "Postgres").await;
    faults::heal(dir).unwrap();
    support::until("the pool recovers", async || {
        bench.get(format!("{app}/tools")).await.status() == 200
    })
    .await;

    faults::inject(dir, Fault::CrashOnStart).unwrap();
    bench.ask(&Request::Restart {
        name: "app-2".into(),
        now: false,
    });
    let log = bench.sandbox.layout().instance_log("app-2");
    let crashes = || {
        std::fs::read_to_string(&log)
            .unwrap()
            .matches("StartFailed")
            .count()
    };
    support::until("it crashes, is started again, and crashes", async || {
        crashes() >= 2
    })
    .await;
    faults::heal(dir).unwrap();
    bench.wait_for("APP_2", 200, "Postgres").await;

    faults::inject(dir, Fault::TargetDown).unwrap();
    bench.wait_for("APP_2", 503, "Postgres").await;
    assert_eq!(
        bench
            .get(format!("{}/tools", bench.variable("APP_2")))
            .await
            .status(),
        500
    );
    faults::heal(dir).unwrap();
    bench.wait_for("APP_2", 200, "Postgres").await;
}
