//! Migration scripts, the history they write and the schema they leave.

use std::time::Duration;

use cutover::postgres::migrations::{HistoryTable, RequiredSchema, applied, history, required};
use cutover::postgres::script::{ScriptOutcome, run_script};
use cutover::postgres::{Endpoint, Error};
use tokio_util::sync::CancellationToken;

use super::{connect, endpoint, failed};
use crate::support;

const PLENTY: Duration = Duration::from_secs(60);
/// As `dotnet ef migrations script --idempotent` writes it, byte order mark included.
const EF_SCRIPT: &str = include_str!("ef_core_idempotent.sql");

async fn run(target: &Endpoint, sql: &str) -> (Result<ScriptOutcome, Error>, Vec<String>) {
    let mut log = Vec::new();
    let mut take = |line| log.push(line);
    let outcome = run_script(
        target,
        "public",
        sql,
        PLENTY,
        &mut take,
        &CancellationToken::new(),
    )
    .await;
    (outcome, log)
}

#[tokio::test]
async fn an_idempotent_script_runs_twice_and_its_traces_are_found() {
    let made = support::database().await;
    let target = endpoint(&made.url);
    let ef = HistoryTable {
        schema: "public".into(),
        table: "__EFMigrationsHistory".into(),
        column: "MigrationId".into(),
        within: None,
    };
    let expected = [
        "20240101000000_Initial".to_owned(),
        "20240202000000_Slugs".to_owned(),
    ];
    let client = target.connect().await.unwrap();
    assert_eq!(
        failed(&history(&client, &ef, &expected).await.unwrap()),
        ["migration history"]
    );
    for _ in 0..2 {
        let (outcome, log) = run(&target, EF_SCRIPT).await;
        let outcome = outcome.unwrap();
        assert_eq!(outcome.statements, 9, "{log:#?}");
        assert!(
            log.iter()
                .any(|line| line.starts_with("line 6: START TRANSACTION")),
            "{log:#?}"
        );
        assert_eq!(
            failed(&history(&client, &ef, &expected).await.unwrap()),
            [""; 0]
        );
    }
    let more = [&expected[..], &["20990101000000_Future".to_owned()]].concat();
    assert_eq!(
        failed(&history(&client, &ef, &more).await.unwrap()),
        ["migration 20990101000000_Future"]
    );

    let wanted = RequiredSchema {
        tables: vec!["Tools".into(), "tools".into()],
        columns: vec![
            ("Tools".into(), "Slug".into()),
            ("Tools".into(), "Nope".into()),
        ],
        indexes: vec!["IX_Tools_Slug".into(), "IX_None".into()],
    };
    let findings = required(&client, "public", &wanted).await.unwrap();
    assert_eq!(
        failed(&findings),
        ["table tools", "column Tools.Nope", "index IX_None"]
    );
}

#[tokio::test]
async fn an_invalid_index_is_not_an_index() {
    let made = support::database().await;
    let target = endpoint(&made.url);
    let (outcome, _) = run(&target, "CREATE TABLE t (a int);\nINSERT INTO t VALUES (1), (1);\nCREATE UNIQUE INDEX CONCURRENTLY ix ON t (a);").await;
    assert!(
        matches!(outcome, Err(Error::Statement { line: 3, .. })),
        "{outcome:?}"
    );
    let wanted = RequiredSchema {
        indexes: vec!["ix".into()],
        ..RequiredSchema::default()
    };
    let findings = required(&target.connect().await.unwrap(), "public", &wanted)
        .await
        .unwrap();
    assert!(
        findings[0].blocks() && findings[0].detail.contains("not valid"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn what_fails_is_named_by_line_and_rolled_back() {
    let made = support::database().await;
    let target = endpoint(&made.url);
    let script = "CREATE TABLE a (x int);\nBEGIN;\nCREATE TABLE b (x int);\n\nALTER TABLE nope ADD y int;\nCOMMIT;";
    let (outcome, log) = run(&target, script).await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(&error, Error::Statement { line: 5, sqlstate, .. } if sqlstate == "42P01"),
        "{error:?}"
    );
    assert_eq!(log.len(), 4);
    let wanted = RequiredSchema {
        tables: vec!["a".into(), "b".into()],
        ..RequiredSchema::default()
    };
    let client = target.connect().await.unwrap();
    assert_eq!(
        failed(&required(&client, "public", &wanted).await.unwrap()),
        ["table b"]
    );

    let (open, _) = run(&target, "BEGIN; CREATE TABLE c (x int);").await;
    assert!(matches!(open, Err(Error::OpenTransaction)), "{open:?}");
    let (copy, _) = run(
        &target,
        "CREATE TABLE d (x int);\nCOPY d FROM stdin;\n1\n\\.\n",
    )
    .await;
    assert!(
        matches!(copy, Err(Error::Script { line: 2, .. })),
        "{copy:?}"
    );
    let wanted = RequiredSchema {
        tables: vec!["c".into(), "d".into()],
        ..RequiredSchema::default()
    };
    assert_eq!(
        failed(&required(&client, "public", &wanted).await.unwrap()),
        ["table c", "table d"]
    );
}

#[tokio::test]
async fn a_script_that_hangs_is_cancelled_on_the_server() {
    let made = support::database().await;
    let target = endpoint(&made.url);
    let sleeping = async || {
        let client = connect(&made.superuser_url).await;
        let query =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'";
        client
            .query_one(query, &[&made.name])
            .await
            .unwrap()
            .get::<_, i64>(0)
    };
    let limit = Duration::from_millis(300);
    let outcome = run_script(
        &target,
        "public",
        "SELECT pg_sleep(60)",
        limit,
        &mut |_| {},
        &CancellationToken::new(),
    )
    .await;
    assert!(
        matches!(outcome, Err(Error::TimeLimit { .. })),
        "{outcome:?}"
    );
    assert_eq!(sleeping().await, 0);

    let cancel = CancellationToken::new();
    let sql = "DO $$ BEGIN RAISE NOTICE 'hello'; END $$; SELECT pg_sleep(60)";
    let mut log = Vec::new();
    let mut take = |line: String| {
        log.push(line);
        cancel.cancel();
    };
    let outcome = run_script(&target, "public", sql, PLENTY, &mut take, &cancel).await;
    assert!(
        matches!(outcome, Err(Error::Cancelled { .. })),
        "{outcome:?}"
    );
    assert_eq!(log[0], "NOTICE: hello");
    assert_eq!(sleeping().await, 0);
}

/// Two of Django's applications call their first migration the same.
#[tokio::test]
async fn an_id_can_be_unique_within_another_column_alone() {
    let made = support::database().await;
    let client = endpoint(&made.url).connect().await.unwrap();
    let mut django = HistoryTable {
        schema: "public".into(),
        table: "django_migrations".into(),
        column: "name".into(),
        within: Some("app".into()),
    };
    let sql = "CREATE TABLE django_migrations(id int, app text, name text); INSERT INTO django_migrations VALUES (1, 'shop', '0001_initial')";
    client.batch_execute(sql).await.unwrap();
    let expected = ["shop.0001_initial", "auth.0001_initial"].map(str::to_owned);
    assert_eq!(applied(&client, &django).await.unwrap(), expected[..1]);
    assert_eq!(
        failed(&history(&client, &django, &expected).await.unwrap()),
        ["migration auth.0001_initial"]
    );
    django.within = Some("application".into());
    assert_eq!(
        failed(&history(&client, &django, &expected).await.unwrap()),
        ["migration history"]
    );
}
