//! An engine that is killed in the import, in the rollout and at every row of a rollback goes on where it was.

use super::super::moments::{kill_at, kill_unless_done, story};
use super::super::stage::Stage;
use super::manage;
use crate::support;
use cutover::cli::Exit;
use cutover::cli::follow::exit_of;
use cutover::postgres::Endpoint;
use cutover::salvage;
use cutover::salvage::file::Salvaged;
use cutover::session::facts::Imported;
use cutover::session::{Session, StepStatus};
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_goes_on_where_it_was() {
    let mut stage = Stage::set("window: 5m").await;
    assert_killed_while_rolling_back(&mut stage).await;
    stage.clear().await;
    assert_killed_on_the_way(&mut stage).await;
}

/// At every row of the rollback, twice each.
async fn assert_killed_while_rolling_back(stage: &mut Stage) {
    let fault = Some(("5xx".parse().unwrap(), "G1".to_owned()));
    let (folder, session) = stage
        .play_with(fault, |folder| {
            for row in ["R1", "R1+", "R2", "R2+", "R3", "R4", "R4+", "R5", "R6"] {
                kill_unless_done(folder, row, 1);
                kill_unless_done(folder, row, 2);
            }
        })
        .await;
    let story = story(&folder);
    assert_eq!(exit_of(&session), Some(Exit::RolledBack), "{story}");
    let rollback = session.rollback.as_ref().expect("a rollback");
    assert_eq!(rollback.healthy, Some(true), "{story}");
    let mut rows = rollback.rows.iter();
    let done = rows.all(|row| row.status == StepStatus::Done && row.attempt <= 3);
    assert!(done, "{:#?}", rollback.rows);
    // Rows that are over in a moment may be over before the signal comes; those that wait for instances and for PostgreSQL are not.
    let engines = story.matches("runs it").count();
    assert!(engines > 4, "{engines} engines:\n{story}");
    stage.assert_on_sqlite(&session).await;
    let kept = Salvaged::open(&folder.dir().join(salvage::file::NAME)).expect("a salvage file");
    assert!(kept.tables().unwrap().iter().all(|t| t.lacks.is_none()));
    assert_eq!(kept.rows_not_brought().expect("rows"), 0, "{story}");
    drop(kept);
    assert!(!may_write(stage).await, "{story}");
    let (code, said) = manage(stage, &folder, &["close"]);
    assert_eq!(code, Some(0), "{said}");
    says!(said, "ok   write rights: given back: ");
    lacks!(said, "SQLite lacks");
    assert!(may_write(stage).await, "{said}");
    stage.assert_nothing_notes_writes().await;
    says!(said, "note schema cutover: still in the target");
    assert!(self::story(&folder).contains("closed by "), "{said}");
}

/// Whether the application may write to PostgreSQL.
async fn may_write(stage: &Stage) -> bool {
    let environment = stage.sandbox.environment().unwrap();
    let runtime = Endpoint::parse(&environment["TARGET_RUNTIME_URL"]).expect("a URL");
    let client = support::client(&environment["TARGET_URL"]).await;
    let sql = r#"SELECT has_table_privilege($1::text::name, '"ToolContents"'::text, 'INSERT')"#;
    let row = client.query_one(sql, &[&runtime.user()]).await;
    row.expect("an answer").get(0)
}

/// In the middle of the import, and in the middle of the rollout of the same night, which ends on PostgreSQL.
async fn assert_killed_on_the_way(stage: &mut Stage) {
    let told_before = told(stage);
    let (folder, session) = stage
        .play_with(None, |folder| {
            kill_at(folder, "D2", 1);
            kill_at(folder, "F2", 1);
        })
        .await;
    let story = story(&folder);
    assert_eq!(exit_of(&session), Some(Exit::Done), "{story}");
    assert_eq!(story.matches("runs it").count(), 3, "{story}");
    assert_rows_once(stage, &session).await;
    stage.assert_nothing_notes_writes().await;
    // People who were not looking were told of both deaths, while nobody ran it; and of both returns.
    let told = told(stage);
    assert_eq!(told.map(|n| n - 2), told_before, "{story}");
    let (code, said) = manage(stage, &folder, &["close", "--drop-schema"]);
    // The sandbox's staging slot is on PostgreSQL from its beginning, and that is production's database now.
    assert_eq!(code, Some(3), "{said}");
    says!(
        said,
        "OPEN staging: staging still serves from production's database"
    );
    says!(said, "what is marked OPEN is left to do: 1");
    says!(
        said,
        "was dropped from the target, but for the mark of the release"
    );
    assert_eq!(
        said.matches("is whole; to be kept until").count(),
        2,
        "{said}"
    );
    assert_not_taken_again(stage).await;
}

/// PostgreSQL is production now. Whoever opens another session on it comes no further than B1, and not one row is touched.
async fn assert_not_taken_again(stage: &mut Stage) {
    let before = rows_of_target(stage).await;
    let (folder, session) = stage.play(None).await;
    let story = story(&folder);
    assert_eq!(exit_of(&session), Some(Exit::NoGo), "{story}");
    let b1 = session.step("B1").and_then(|s| s.outcome.as_ref());
    let why = &b1.expect("an outcome").summary;
    assert!(why.contains("this database is in production"), "{why}");
    assert!(
        session.step("C1").is_some_and(|s| s.attempt == 0),
        "{story}"
    );
    // It says that the fleet is on PostgreSQL, where it has left it.
    let rollback = session.rollback.as_ref().expect("a rollback");
    assert_eq!(rollback.healthy, Some(false), "{story}");
    let rows = rollback.rows.iter().filter_map(|row| row.outcome.as_ref());
    let mut red = rows.flat_map(|o| &o.checks).filter(|check| !check.ok);
    let serves = red.find(|check| check.name == "serves_app-1");
    let serves = serves.unwrap_or_else(|| panic!("{story}"));
    assert!(
        serves.detail.contains("app-1 serves from PostgreSQL"),
        "{serves:?}"
    );
    for says in [
        "This session did not write that and leaves it alone",
        "has not taken the 6 to PostgreSQL that serve from it",
        "where the application serves from is not proven",
    ] {
        assert!(story.contains(says), "{says}: {story}");
    }
    let after = rows_of_target(stage).await;
    for (table, rows) in before {
        // The application goes on writing.
        assert!(
            after[&table] >= rows,
            "{table}: {rows}, then {}",
            after[&table]
        );
    }
}

async fn rows_of_target(stage: &Stage) -> BTreeMap<String, i64> {
    let url = stage.sandbox.environment().unwrap()["TARGET_URL"].clone();
    let client = support::client(&url).await;
    let mut rows = BTreeMap::new();
    for table in [
        "ToolContents",
        "ToolCategories",
        "ToolFeatures",
        "ToolSteps",
        "Tags",
    ] {
        let sql = format!("SELECT count(*) FROM \"{table}\"");
        rows.insert(
            table.to_owned(),
            client.query_one(&sql, &[]).await.unwrap().get(0),
        );
    }
    rows
}

/// How often the chat was told that an engine has died, and that it is back.
fn told(stage: &Stage) -> [usize; 2] {
    let chat = std::fs::read_to_string(stage.sandbox.layout().chat()).expect("the chat");
    [") has died", "was gone and is back"]
        .map(|told| chat.lines().filter(|line| line.contains(told)).count())
}

/// Every row of the backup is in PostgreSQL once; what the application has written since is its own.
async fn assert_rows_once(stage: &Stage, session: &Session) {
    let url = stage.sandbox.environment().unwrap()["TARGET_URL"].clone();
    let client = support::client(&url).await;
    let Imported(imported) = session.fact().unwrap().expect("what was imported");
    for (table, rows) in imported.iter().filter(|(t, _)| t != "ToolContents") {
        let sql = format!("SELECT count(*) FROM \"{table}\"");
        let there: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
        assert!(
            there as u64 >= *rows,
            "{table}: {there} rows, {rows} were imported"
        );
    }
    let twice: i64 = client
        .query_one(r#"SELECT count(*) FROM (SELECT "Slug" FROM "ToolContents" GROUP BY 1 HAVING count(*) > 1) t"#, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(twice, 0);
}
