//! After drift the freeze is raised anew, while its clock goes on: nothing from before may pass for what is there now.

use std::path::PathBuf;

use cutover::runbook::StepKind;
use cutover::session::{Event, Outcome};

use super::bench::Bench;

fn rows(file: &PathBuf) -> i64 {
    let copy = rusqlite::Connection::open(file).expect("a backup");
    let counted = copy.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
    counted.expect("a count")
}

async fn backed_up(bench: &mut Bench) -> PathBuf {
    let outcome = bench.step("A2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    let path = outcome.facts["backup"]["path"].as_str().expect("a path");
    PathBuf::from(path)
}

#[tokio::test]
async fn a_backup_from_before_the_drift_is_not_taken_for_one_of_now() {
    let mut bench = Bench::new(0).await;
    let to = bench.path("backups");
    let steps = bench.runbook.steps.iter_mut();
    let step = steps.into_iter().find(|step| step.id == "A2").expect("A2");
    step.kind = StepKind::Backup { to, keep_ms: 1_000 };
    bench.finished("A1", Outcome::done("frozen"));
    let first = backed_up(&mut bench).await;
    assert_eq!(backed_up(&mut bench).await, first, "the freeze is the same");

    // The engine dies, somebody writes, and the next engine finds it.
    let live = rusqlite::Connection::open(bench.path("app.db")).expect("the live file");
    live.execute_batch("INSERT INTO t VALUES (3, 'c')")
        .expect("a row");
    drop(live);
    bench.bridge.append(Event::DriftFound {
        detail: "a row was written".to_owned(),
    });
    bench.bridge.now_ms += 1;
    bench.finished("A1", Outcome::done("frozen again"));
    let second = backed_up(&mut bench).await;
    assert_ne!(second, first);
    assert_eq!((rows(&first), rows(&second)), (2, 3));
}

/// What an older version left: A2 done again, over the file of the first freeze.
#[tokio::test]
async fn nothing_is_built_on_a_backup_of_an_earlier_freeze() {
    let mut bench = Bench::new(0).await;
    bench.finished("A1", Outcome::done("frozen"));
    let frozen_ms = bench.bridge.session.frozen_ms().expect("a freeze");
    let file = bench.path("old.db");
    std::fs::copy(bench.path("app.db"), &file).expect("a backup");
    let kept = serde_json::json!({
        "path": file, "sha256": "00", "size_bytes": 1, "keep_ms": 1, "frozen_ms": frozen_ms - 1
    });
    bench.left_behind("A2", "backup", kept);
    let outcome = bench.step("A3").await;
    assert!(
        !outcome.ok
            && outcome
                .summary
                .contains("before the freeze was raised anew"),
        "{}",
        outcome.summary
    );
}
