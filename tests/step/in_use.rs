//! Before C1 and D2: one sign that somebody uses the target is enough to stop, and a completed release is one that the database itself
//! bears.

use cutover::identity::{SourceIdentity, TargetIdentity};
use cutover::postgres::release::{self, Release};
use cutover::session::Production;
use cutover::step::closing;

use super::bench::{Bench, POSTGRES, SQLITE};
use crate::fleet::instance::Server;
use crate::support;

async fn refusal(bench: &Bench) -> String {
    let outcome = bench.is_free("C1").await.expect_err("in use");
    assert!(!outcome.ok && outcome.checks.is_empty(), "{outcome:?}");
    says!(outcome.summary, "Nothing was");
    outcome.summary
}

#[tokio::test]
async fn each_sign_of_life_stops_what_changes_the_target() {
    let mut bench = Bench::new(2).await;
    bench.is_free("D2").await.expect("nobody is there");

    bench.configure("app-2", POSTGRES);
    let why = refusal(&bench).await;
    assert!(why.contains("app-2 starts on PostgreSQL"), "{why}");
    bench.configure("app-2", "Other=1\n");
    let why = refusal(&bench).await;
    assert!(why.contains("is not there"), "{why}");
    bench.configure("app-2", SQLITE);

    bench.servers[1].text("/ready", 200, "on Postgres");
    let why = refusal(&bench).await;
    assert!(why.contains("app-2 serves from PostgreSQL"), "{why}");
    bench.servers[1].text("/ready", 200, "on Sqlite");

    let mut config: tokio_postgres::Config = bench.database.url.parse().unwrap();
    config.application_name("worker");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    let driven = tokio::spawn(connection);
    let why = refusal(&bench).await;
    says!(why, "1 sessions of the application's role");
    assert!(why.contains("as worker"), "{why}");
    // The staging slot is on PostgreSQL all along, and is known by the name that it gives itself.
    let staging = Server::start("worker").await;
    bench.runbook.fleet.staging = Some(staging.instance.clone());
    bench
        .is_free("D2")
        .await
        .expect("staging is no sign of life");
    drop(client);
    driven.await.unwrap().unwrap();
}

#[tokio::test]
async fn other_databases_than_those_of_the_opening_are_refused() {
    let mut bench = Bench::new(1).await;
    let source = cutover::sqlite::identity(&bench.path("app.db")).unwrap();
    let client = support::client(&bench.database.url).await;
    let target = cutover::postgres::identity(&client).await.unwrap();
    let known = Production {
        source: Some(source),
        target: Some(target.clone()),
    };
    bench.bridge.session.charter.production = known.clone();
    bench.is_free("C1").await.expect("the same");

    let another = SourceIdentity {
        inode: source.inode + 1,
        ..source
    };
    bench.bridge.session.charter.production.source = Some(another);
    let why = refusal(&bench).await;
    assert!(why.contains("another file"), "{why}");
    bench.only(&["F1"]);
    assert!(!bench.step("F1").await.ok);
    assert_eq!(bench.configuration("app-1"), SQLITE);

    let another = TargetIdentity {
        database_oid: 1,
        ..target
    };
    bench.bridge.session.charter.production = Production {
        target: Some(another),
        ..known
    };
    let why = refusal(&bench).await;
    says!(why, "`target.url` leads to another database");

    let r4 = {
        bench.bridge.session.charter.production.source = Some(SourceIdentity {
            device: 0,
            inode: 0,
        });
        bench.row("R4").await
    };
    assert!(
        super::bench::red(&r4).contains(&"source_identity"),
        "{}",
        r4.summary
    );
}

#[tokio::test]
async fn a_completed_release_is_known_to_the_database_and_outlives_our_schema() {
    let mut bench = Bench::new(1).await;
    let release = Release {
        session: "last-year".into(),
        opened: "2025-01-01T00:00:00Z".into(),
        completed: "2025-01-01T03:00:00Z".into(),
        source: "app.db".into(),
        host: "elsewhere".into(),
    };
    let mut client = support::client(&bench.database.url).await;
    assert_eq!(release::newest(&client).await.unwrap(), None);
    for _ in 0..2 {
        release::record(&mut client, &release).await.unwrap();
        assert_eq!(
            release::all(&client).await.unwrap(),
            std::slice::from_ref(&release)
        );
    }
    let why = refusal(&bench).await;
    assert!(why.contains("last-year on elsewhere"), "{why}");

    // What an import keeps goes; the mark stays.
    bench
        .on_target(
            "CREATE TABLE cutover.import (key text PRIMARY KEY, finished timestamptz);
             CREATE TABLE cutover.definition (import text); CREATE TABLE cutover.quarantine (import text)",
        )
        .await;
    let said = closing::drop_schema(&bench.runbook).await.unwrap();
    assert!(said.contains("but for the mark"), "{said}");
    let gone = "SELECT to_regclass('cutover.import') IS NULL";
    assert!(client.query_one(gone, &[]).await.unwrap().get::<_, bool>(0));
    let why = refusal(&bench).await;
    assert!(why.contains("last-year"), "{why}");

    bench.bridge.session.charter.again = Some(bench.database.name.clone());
    bench.is_free("C1").await.expect("its name was typed");
}

/// Our tables go by their names. What somebody put beside them, or hung on them, stays, and so does everything else.
#[tokio::test]
async fn what_is_not_ours_in_our_schema_is_never_dropped() {
    let bench = Bench::new(1).await;
    bench
        .on_target(
            "CREATE SCHEMA cutover; CREATE TABLE cutover.import (key text PRIMARY KEY, finished timestamptz);
             CREATE TABLE cutover.task (import text REFERENCES cutover.import);
             CREATE TABLE cutover.definition (import text); CREATE TABLE cutover.quarantine (import text)",
        )
        .await;
    for (stranger, named, gone) in [
        (
            "CREATE TABLE cutover.mine (x int); INSERT INTO cutover.mine VALUES (1)",
            "table cutover.mine",
            "DROP TABLE cutover.mine",
        ),
        (
            "CREATE VIEW public.aside AS SELECT * FROM cutover.quarantine",
            "view aside",
            "DROP VIEW public.aside",
        ),
        (
            "CREATE FUNCTION cutover.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function cutover.f()",
            "DROP FUNCTION cutover.f()",
        ),
    ] {
        bench.on_target(stranger).await;
        let why = closing::drop_schema(&bench.runbook)
            .await
            .expect_err(stranger);
        assert!(why.contains(named), "{why}");
        assert!(why.contains("Nothing was dropped"), "{why}");
        // Both are still there.
        bench
            .on_target(&format!("SELECT FROM cutover.task; {gone}"))
            .await;
    }
    let said = closing::drop_schema(&bench.runbook).await.unwrap();
    assert_eq!(said, "the schema `cutover` was dropped from the target");
    let said = closing::drop_schema(&bench.runbook).await.unwrap();
    assert_eq!(said, "the target has no schema `cutover`");
}

/// An older session's `close` takes nothing from the night that has the target now.
#[tokio::test]
async fn our_schema_stays_while_another_session_has_the_target() {
    let bench = Bench::new(1).await;
    bench
        .on_target(
            "CREATE SCHEMA cutover; CREATE TABLE cutover.session (one boolean, session text, folder text, host text);
             INSERT INTO cutover.session VALUES (true, 'tonight', '/elsewhere', 'another-host')",
        )
        .await;
    let why = closing::drop_schema(&bench.runbook)
        .await
        .expect_err("a refusal");
    assert!(why.contains("tonight"), "{why}");
    assert!(why.contains("Nothing was dropped"), "{why}");
    bench.on_target("SELECT FROM cutover.session").await;
}

/// Another folder, another host, another user: `cutover run` asks the database.
#[tokio::test]
async fn run_refuses_a_database_that_bears_the_mark() {
    let bench = Bench::new(1).await;
    let release = Release {
        session: "last-year".into(),
        opened: "2025-01-01T00:00:00Z".into(),
        completed: "2025-01-01T03:00:00Z".into(),
        source: "app.db".into(),
        host: "elsewhere".into(),
    };
    let mut client = support::client(&bench.database.url).await;
    release::record(&mut client, &release).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (again, says) in [
        (None, format!("--again {}", bench.database.name)),
        (
            Some("tools"),
            "is not the name of the target database".to_owned(),
        ),
    ] {
        let run = ["run", "--log", crate::attempt::RUNBOOK];
        let again = again.iter().flat_map(|name| ["--again", name]);
        let args: Vec<&str> = run.into_iter().chain(again).collect();
        let mut command = crate::attempt::command(folder.path(), &args);
        command.env("TARGET_URL", &bench.database.url);
        let refused = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(3), "{said}");
        assert!(said.contains("NO-GO") && said.contains(&says), "{said}");
        assert!(!folder.path().join(".cutover").exists(), "{said}");
    }
}
