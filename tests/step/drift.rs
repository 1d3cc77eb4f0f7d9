//! After drift the freeze is raised anew, while its clock goes on: nothing from before may pass for what is there now.

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::PathBuf;

use cutover::runbook::{Place, StepKind};
use cutover::session::facts::{Backup, Kept};
use cutover::session::{Event, Outcome};
use cutover::step::context::Content;

use super::bench::{Bench, red};
use crate::support;

fn rows(file: &PathBuf) -> i64 {
    let copy = rusqlite::Connection::open(file).expect("a backup");
    let counted = copy.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
    counted.expect("a count")
}

async fn backed_up(bench: &mut Bench) -> PathBuf {
    let outcome = bench.step("A2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    let Backup(kept) = outcome.fact("A2").unwrap().expect("a backup");
    kept.path
}

/// A night whose A1 is done, and whose A2 writes below the bench's folder.
async fn frozen() -> Bench {
    let mut bench = Bench::new(0).await;
    let to = bench.path("backups");
    let steps = bench.runbook.steps.iter_mut();
    let step = steps.into_iter().find(|step| step.id == "A2").expect("A2");
    step.kind = StepKind::Backup { to, keep_ms: 1_000 };
    bench.finished("A1", Outcome::done("frozen"));
    bench
}

/// A byte of it, with the time put back: what is green on such a file says nothing of the one that was frozen.
#[tokio::test]
async fn nothing_is_built_on_a_backup_that_somebody_changed() {
    let mut bench = frozen().await;
    let path = backed_up(&mut bench).await;
    let before = path.metadata().expect("there").modified().expect("a time");
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(&path, mode).expect("a mode");
    let file = std::fs::File::options().write(true).open(&path);
    let file = file.expect("a file");
    let at = path.metadata().expect("there").len() - 2;
    file.write_at(b"X", at).expect("a byte");
    file.set_modified(before).expect("a time");
    for id in ["A3", "A4", "D1", "E1", "E2"] {
        let outcome = bench.step(id).await;
        assert!(!outcome.ok, "{id}: {}", outcome.summary);
        let said = "the backup is not the file whose checksum A2 recorded";
        assert!(outcome.summary.contains(said), "{id}: {}", outcome.summary);
    }
}

/// As where the disk of the second place was unmounted: nobody is told that the copy there was verified.
#[tokio::test]
async fn f3_is_red_where_a_place_is_gone_and_does_not_say_that_it_was_verified() {
    let mut bench = frozen().await;
    backed_up(&mut bench).await;
    let second = bench.path("second");
    for step in &mut bench.runbook.steps {
        if let StepKind::StoreBackup { place, .. } = &mut step.kind {
            *place = Place::Directory(second.clone());
        }
    }
    let stored = bench.step("A3").await;
    assert!(stored.ok, "{}", stored.summary);
    std::fs::rename(&second, bench.path("unmounted")).expect("gone");
    let f3 = bench.step("F3").await;
    assert!(red(&f3).contains(&"backup_at_hand"), "{}", f3.summary);
    lacks!(f3.summary, "verified in");
}

#[tokio::test]
async fn a_backup_from_before_the_drift_is_not_taken_for_one_of_now() {
    let mut bench = frozen().await;
    let first = backed_up(&mut bench).await;
    assert_eq!(backed_up(&mut bench).await, first, "the freeze is the same");

    // The engine dies, somebody writes, and the next engine finds it.
    support::sqlite(&bench.path("app.db"), "INSERT INTO t VALUES (3, 'c')");
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
    let kept = Kept {
        path: file,
        sha256: "00".to_owned(),
        size_bytes: 1,
        keep_ms: 1,
        frozen_ms: Some(frozen_ms - 1),
        stamp: None,
    };
    bench.left_behind("A2", Backup(kept));
    let outcome = bench.step("A3").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "before the freeze was raised anew");
}

/// An engine saw it and died: its fence is gone, and that of the next one has seen nothing.
#[tokio::test]
async fn what_was_seen_of_sqlite_before_a_crash_keeps_f4_closed() {
    let mut bench = Bench::new(0).await;
    bench.bridge.append(Event::WrittenAfterSwitch {
        detail: "a row was written".to_owned(),
    });
    let outcome = bench.step("F4").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    assert_eq!(red(&outcome), ["verification"]);
    assert!(
        outcome.summary.starts_with("a row was written: "),
        "{}",
        outcome.summary
    );
}

/// Where only the content tells what happened while no engine ran, nobody may write until it has told.
#[tokio::test]
async fn f4_waits_for_a_comparison_that_is_under_way() {
    let mut bench = Bench::new(0).await;
    let content = bench.content.clone();
    content.send_replace(Content::BeingRead);
    let found = async {
        tokio::task::yield_now().await;
        content.send_replace(Content::Differs("another content".to_owned()));
    };
    let (outcome, ()) = tokio::join!(bench.step("F4"), found);
    assert!(!outcome.ok, "{}", outcome.summary);
    assert_eq!(red(&outcome), ["verification"]);
}

/// An engine that could not raise the fence again: whoever holds the file could write there unseen.
#[tokio::test(flavor = "multi_thread")]
async fn f4_opens_nothing_while_sqlite_cannot_be_fenced() {
    let mut bench = Bench::new(0).await;
    bench.finished("A1", Outcome::done("frozen"));
    let holder = support::sqlite(&bench.path("app.db"), "BEGIN IMMEDIATE");
    let outcome = bench.step("F4").await;
    assert!(!outcome.ok && outcome.passing, "{}", outcome.summary);
    assert!(
        outcome.summary.starts_with("SQLite is not fenced"),
        "{}",
        outcome.summary
    );
    drop(holder);
    // Nor is it opened because nobody knows what the file held.
    let outcome = bench.step("F4").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "is not known");
}

/// What was written before the fence could be raised again is found by the content.
#[tokio::test(flavor = "multi_thread")]
async fn f4_compares_what_it_fences_with_what_was_frozen() {
    let mut bench = Bench::new(0).await;
    let to = bench.path("backups");
    let steps = bench.runbook.steps.iter_mut();
    let step = steps.into_iter().find(|step| step.id == "A2").expect("A2");
    step.kind = StepKind::Backup { to, keep_ms: 1_000 };
    bench.finished("A1", Outcome::done("frozen"));
    backed_up(&mut bench).await;
    let outcome = bench.step("F4").await;
    assert!(
        !red(&outcome).contains(&"verification"),
        "{}",
        outcome.summary
    );
    let live = rusqlite::Connection::open(bench.path("app.db")).expect("the live file");
    let write = live.execute_batch("INSERT INTO t VALUES (3, 'c')");
    write.expect("a row");
    drop(live);
    let outcome = bench.step("F4").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    assert_eq!(red(&outcome), ["verification"]);
    // The fence that was raised too late knows nothing of it: the engine puts it on record, where no later attempt forgets it.
    let written = bench.written.lock().expect("what was seen").clone();
    assert_eq!(written.len(), 1, "{written:?}");
}
