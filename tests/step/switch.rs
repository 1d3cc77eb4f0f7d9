//! F1: what it takes for switched, what it refuses, and that every file that it writes can be put back.

use cutover::session::Undo;

use super::bench::{Bench, POSTGRES, SQLITE, backup_of, red};

#[tokio::test]
async fn a_value_that_this_session_did_not_write_is_no_switch() {
    let mut bench = Bench::new(3).await;
    bench.only(&["F1"]);
    for (found, says) in [
        (POSTGRES, "this session did not write that"),
        ("DatabaseProvider=MySql\n", "expected `Sqlite`"),
        ("Other=1\n", "is not there"),
    ] {
        bench.configure("app-2", found);
        let outcome = bench.step("F1").await;
        assert!(!outcome.ok, "{}", outcome.summary);
        assert!(outcome.summary.contains(says), "{}", outcome.summary);
        assert!(outcome.summary.contains("app-2.env"), "{}", outcome.summary);
        // All or none: those before it are as they were.
        assert_eq!(bench.configuration("app-1"), SQLITE);
        assert_eq!(bench.configuration("app-2"), found);
        assert_eq!(bench.undos(), []);
    }
}

#[tokio::test]
async fn a_file_of_several_instances_is_switched_and_put_back_once() {
    let mut bench = Bench::new(3).await;
    bench.only(&["F1"]);
    // app-2 reads app-1's file by another name, app-3 has a copy of its own under a second hard link.
    std::fs::remove_file(bench.path("app-2.env")).unwrap();
    std::os::unix::fs::symlink("app-1.env", bench.path("app-2.env")).unwrap();
    std::fs::hard_link(bench.path("app-3.env"), bench.path("second")).unwrap();
    let outcome = bench.step("F1").await;
    assert!(outcome.ok, "{}", outcome.summary);
    let undos = bench.undos();
    let whose: Vec<&str> = undos.iter().map(|(whose, _)| whose.as_str()).collect();
    assert_eq!(whose, ["app-1, app-2", "app-3"]);
    for instance in ["app-1", "app-2", "app-3"] {
        assert_eq!(bench.configuration(instance), POSTGRES);
    }
    let link = std::fs::read_link(bench.path("app-2.env"));
    assert_eq!(link.unwrap().to_str(), Some("app-1.env"));

    let outcome = bench.row("R2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    assert!(
        outcome
            .summary
            .starts_with("2 configurations are as they were"),
        "{}",
        outcome.summary
    );
    for instance in ["app-1", "app-2", "app-3"] {
        assert_eq!(bench.configuration(instance), SQLITE);
    }
}

#[tokio::test]
async fn a_file_that_changes_under_our_hands_keeps_what_was_made_of_it() {
    let mut bench = Bench::new(2).await;
    bench.only(&["F1"]);
    let edited = format!("{SQLITE}Workers=9\n");
    let (path, text) = (bench.path("app-2.env"), edited.clone());
    *bench.on_undo.lock().unwrap() = Some(Box::new(move |undo| {
        if matches!(undo, Undo::Config { instance, .. } if instance == "app-2") {
            std::fs::write(&path, &text).unwrap();
        }
    }));
    let outcome = bench.step("F1").await;
    assert!(!outcome.ok);
    let said = &outcome.summary;
    assert!(said.contains("changed by somebody else just now"), "{said}");
    assert!(said.contains("1 of 2 files are switched"), "{said}");
    assert_eq!(bench.configuration("app-2"), edited);

    // R2 puts back what F1 wrote, and leaves alone what it did not.
    let outcome = bench.row("R2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    assert_eq!(bench.configuration("app-1"), SQLITE);
    assert_eq!(bench.configuration("app-2"), edited);
    says!(outcome.summary, "left as it is");
}

#[tokio::test]
async fn another_attempt_goes_on_where_the_first_was_cut_off_and_loses_no_undo() {
    let mut bench = Bench::new(2).await;
    bench.only(&["F1"]);
    bench.configure(
        "app-2",
        "DatabaseProvider=Sqlite\nDatabaseProvider=Sqlite\n",
    );
    assert!(!bench.step("F1").await.ok, "a key that is there twice");
    assert_eq!(bench.configuration("app-1"), SQLITE);
    bench.configure("app-2", SQLITE);
    assert!(bench.step("F1").await.ok);
    let undos = bench.undos();
    let again = bench.step("F1").await;
    assert!(again.ok, "{}", again.summary);
    assert_eq!(bench.undos(), undos);

    // Without the former bytes there is no way back, so there is no way on either.
    std::fs::remove_dir_all(bench.path("tonight/former")).unwrap();
    let outcome = bench.step("F1").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "are gone");
    let outcome = bench.row("R2").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "by hand");
    let red = red(&outcome);
    assert!(red.contains(&"configuration_app-1"), "{red:?}");
}

/// Whatever somebody does to a moved table between E1 and F1, F1 sees it.
#[tokio::test]
async fn nothing_that_was_written_after_e1_is_switched_to() {
    for (change, says) in [
        (
            "UPDATE t SET v = 'z' WHERE id = 1",
            "1 rows were inserted or changed since E1; 2 rows, as before",
        ),
        ("INSERT INTO t VALUES (3, 'c')", "3 rows, not 2"),
        (
            "DELETE FROM t WHERE id = 2",
            "0 rows were inserted or changed since E1; 1 rows, not 2",
        ),
        (
            "DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (2, 'b')",
            "1 rows were inserted or changed",
        ),
        ("DROP INDEX t_v", "t_v"),
        ("ALTER TABLE t DROP COLUMN v", "v"),
        ("DELETE FROM history", "first"),
    ] {
        let mut bench = Bench::new(1).await;
        bench.only(&["C2", "E1", "F1"]);
        bench.on_target(
            "CREATE TABLE t (id integer PRIMARY KEY, v text); CREATE INDEX t_v ON t (v); INSERT INTO t VALUES (1, 'a'), (2, 'b');
             CREATE TABLE history (id text); INSERT INTO history VALUES ('first')",
        )
        .await;
        let target = &mut bench.runbook.target;
        (target.history.table, target.history.column) = ("history".into(), "id".into());
        target.history.expected = vec!["first".into()];
        target.required.tables = vec!["t".into()];
        target.required.columns = vec!["t.v".into()];
        target.required.indexes = vec!["t_v".into()];
        bench.runbook.verification.critical = vec!["t".into()];
        bench.runbook.transfer = cutover::runbook::parse_transfer("transfer", "{}").unwrap();
        let file = std::fs::read(bench.path("app.db")).unwrap();
        let sha256 = cutover::sqlite::digest::of_bytes(&file);
        let backup = serde_json::json!({
            "path": bench.path("app.db"), "sha256": sha256, "size_bytes": 0, "keep_ms": 0,
        });
        bench.left_behind("A2", backup_of(backup));
        let outcome = bench.step("E1").await;
        assert!(outcome.ok, "{}", outcome.summary);

        bench.on_target(change).await;
        let outcome = bench.step("F1").await;
        assert!(!outcome.ok, "{change}: {}", outcome.summary);
        assert!(
            outcome.summary.contains(says),
            "{change}: {}",
            outcome.summary
        );
        says!(outcome.summary, "Nothing was switched");
        assert_eq!(bench.configuration("app-1"), SQLITE, "{change}");
        assert_eq!(bench.undos(), [], "{change}");
    }
}
