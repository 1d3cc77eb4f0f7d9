//! Where what changed is no way: it is said, and nothing was changed.

use std::process::{Command, Stdio};

use cutover::transfer::Error;
use cutover::transfer::delta::Refusal;

use super::{FAMILY, Night, dump};
use crate::support::{cutover, until};
use crate::transfer::loader::section;

/// Brings what changed, in vain, and leaves everything as it was.
async fn refusal(night: &Night) -> Refusal {
    let before = dump(&night.pair).await;
    let refused = night.since().await;
    night.is_untouched(&before).await;
    match refused {
        Err(Error::Since(refusal)) => {
            let told = refusal.to_string();
            says!(told, "Neither database was changed");
            refusal
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_import_of_another_file_or_section_is_not_believed() {
    let night = Night::new(FAMILY.0, FAMILY.1).await;
    night.goes_on("UPDATE parents SET name = 'n'");
    let other = section("columns: { parents.name: { on_problem: quarantine } }");
    let before = dump(&night.pair).await;
    let refused = night.since_with(&other).await;
    let Err(Error::Since(Refusal::OtherImport { why, .. })) = refused else {
        panic!("{refused:?}")
    };
    says!(why, "transfer section");
    night.is_untouched(&before).await;
    drop(crate::support::sqlite(
        &night.older,
        "UPDATE parents SET name = 'not what was imported'",
    ));
    let Refusal::OtherImport { why, .. } = refusal(&night).await else {
        panic!("another")
    };
    says!(why, "source");
    night.pair.execute("DROP SCHEMA cutover CASCADE").await;
    assert!(matches!(refusal(&night).await, Refusal::NoImport { .. }));
}

#[tokio::test]
async fn an_import_that_has_not_ended_goes_on_by_its_own_command() {
    let night = Night::new(FAMILY.0, FAMILY.1).await;
    night.goes_on("UPDATE parents SET name = 'n'");
    night
        .pair
        .execute("UPDATE cutover.import SET finished = NULL")
        .await;
    assert!(matches!(refusal(&night).await, Refusal::Unfinished { .. }));
}

#[tokio::test]
async fn rows_that_were_or_would_be_put_aside_are_a_whole_imports_matter() {
    let source = "CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, 1)";
    let target = "CREATE TABLE t (id bigint PRIMARY KEY, n bigint)";
    let aside = "columns: { t.n: { on_problem: quarantine } }";
    let night = Night::with(source, target, aside).await;
    night.goes_on("UPDATE t SET n = 'no number'");
    assert!(matches!(
        refusal(&night).await,
        Refusal::WouldPutAside { .. }
    ));

    let source = source.replace("(1, 1)", "(1, 1), (2, 'no number')");
    let night = Night::with(&source, target, aside).await;
    night.goes_on("UPDATE t SET n = 2");
    assert_eq!(refusal(&night).await, Refusal::PutAside { count: 1 });
}

#[tokio::test]
async fn what_was_done_after_the_import_is_not_done_again() {
    let after = "after_import: [\"UPDATE parents SET name = upper(name)\"]";
    let night = Night::with(FAMILY.0, FAMILY.1, after).await;
    night.goes_on("UPDATE parents SET name = 'n'");
    assert_eq!(refusal(&night).await, Refusal::AfterImport);
}

#[tokio::test]
async fn a_promise_that_the_new_rows_break_is_told_and_the_rest_is_taken_back() {
    let target = format!("{}; ALTER TABLE kept ADD CHECK (v <> 'bad')", FAMILY.1);
    let night = Night::new(FAMILY.0, &target).await;
    night.goes_on(
        "DELETE FROM taken; UPDATE parents SET name = 'n'; UPDATE kept SET v = 'bad' WHERE id = 1",
    );
    let Refusal::Refused { why, .. } = refusal(&night).await else {
        panic!("another")
    };
    says!(why, "kept_v_check");
    night.goes_on("UPDATE kept SET v = 'good' WHERE id = 1; UPDATE taken SET parent = 99; INSERT INTO taken VALUES (5, 99, 'an orphan')");
    let Refusal::Refused { why, .. } = refusal(&night).await else {
        panic!("another")
    };
    says!(why, "taken_parent_fkey");
    night.goes_on("DELETE FROM taken");
    night.brought().await;
}

#[tokio::test]
async fn rows_that_somebody_else_wrote_are_not_overlooked() {
    for written in [
        "DELETE FROM sluggish WHERE id = 2",
        "INSERT INTO sluggish VALUES (50, 'a', 'v')",
        "INSERT INTO kept VALUES (50, 1, 'v')",
        "UPDATE sluggish SET v = 'somebody else''s' WHERE id = 2",
    ] {
        let night = Night::new(FAMILY.0, FAMILY.1).await;
        night.pair.execute(written).await;
        night.goes_on(
            "UPDATE sluggish SET v = 'n' WHERE id = 2; INSERT INTO sluggish VALUES (50, 'b', 'n')",
        );
        let refused = refusal(&night).await;
        assert!(matches!(refused, Refusal::NotThere { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn a_table_with_rows_of_somebody_else_is_not_emptied() {
    let source = "CREATE TABLE log (at TEXT, what TEXT); INSERT INTO log VALUES ('1', 'a')";
    let night = Night::new(source, "CREATE TABLE log (at text, what text)").await;
    night
        .pair
        .execute("INSERT INTO log VALUES ('2', 'somebody else''s')")
        .await;
    night.goes_on("INSERT INTO log VALUES ('2', 'b')");
    let refused = refusal(&night).await;
    assert!(matches!(refused, Refusal::NotThere { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_table_where_somebody_changed_rows_is_not_emptied_though_their_number_is_right() {
    let source = "CREATE TABLE log (at TEXT, what TEXT); INSERT INTO log VALUES ('1', 'a'), ('1', 'a'), ('2', 'b')";
    for by_hand in [
        "UPDATE log SET what = 'by hand' WHERE at = '2'",
        "DELETE FROM log WHERE at = '2'; INSERT INTO log VALUES ('9', 'by hand')",
        "DELETE FROM log WHERE at = '2'; INSERT INTO log VALUES ('1', 'a')",
    ] {
        let night = Night::new(source, "CREATE TABLE log (at text, what text)").await;
        night.pair.execute(by_hand).await;
        night.goes_on("INSERT INTO log VALUES ('3', 'c')");
        let refused = refusal(&night).await;
        let Refusal::NotThere { table, what } = &refused else {
            panic!("{by_hand}: {refused:?}");
        };
        assert_eq!(
            (table.as_str(), what.as_str()),
            ("log", "1 row(s) there are not what was imported"),
            "{by_hand}"
        );
    }
}

#[tokio::test]
async fn a_table_that_moves_anew_is_no_change_of_rows() {
    let night = Night::new(FAMILY.0, FAMILY.1).await;
    night
        .pair
        .execute("CREATE TABLE late (id bigint PRIMARY KEY)")
        .await;
    night.goes_on("CREATE TABLE late (id INTEGER PRIMARY KEY); INSERT INTO late VALUES (1)");
    assert_eq!(refusal(&night).await, Refusal::Tables);
}

#[tokio::test]
async fn killed_amid_its_work_it_leaves_the_target_as_it_was() {
    let night = Night::new(FAMILY.0, FAMILY.1).await;
    night.goes_on("DELETE FROM taken; UPDATE nulled SET v = 'n'; UPDATE parents SET name = 'n'");
    let before = dump(&night.pair).await;
    // A row that is locked stops it where the children have been changed already.
    let mut holder = night.pair.client().await;
    let lock = holder.transaction().await.expect("a transaction");
    lock.execute("SELECT FROM parents WHERE id = 2 FOR UPDATE", &[])
        .await
        .expect("a lock");
    let mut command = Command::new(cutover());
    command.arg("copy").arg("--from").arg(&night.pair.file);
    command.arg("--since").arg(&night.older);
    command.args(["--to", &night.pair.database.url]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the binary");
    let at_work = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                   AND query LIKE 'UPDATE ONLY%parents%'";
    until("it waits for the row", async || {
        night.pair.text(at_work).await.as_deref() == Some("1")
    })
    .await;
    child.kill().expect("its end");
    child.wait().expect("its end");
    lock.rollback().await.expect("no lock");
    let gone = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'cutover import into public'";
    until("the server has noticed", async || {
        night.pair.text(gone).await.as_deref() == Some("0")
    })
    .await;
    night.is_untouched(&before).await;
    night.brought().await;
}

#[tokio::test]
async fn the_command_says_what_is_safe_and_ends_with_one() {
    let night = Night::new(FAMILY.0, FAMILY.1).await;
    night.pair.execute("DROP SCHEMA cutover CASCADE").await;
    night.goes_on("UPDATE parents SET name = 'n'");
    let mut command = Command::new(cutover());
    command.arg("copy").arg("--from").arg(&night.pair.file);
    command.arg("--since").arg(&night.older);
    command.args(["--to", &night.pair.database.url]);
    let output = command.output().expect("the binary");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    says!(errors, "no import into schema public is on record");
    says!(errors, "Neither database was changed");
}
