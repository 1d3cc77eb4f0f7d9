//! What a step had done when its engine died: A3, whose commands send the backup to where only they can look.

use std::time::Duration;

use cutover::runbook::action::{Action, Effect};
use cutover::runbook::{Place, StepKind};
use cutover::session::Found;
use cutover::session::facts::SecondCopy;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, backup_of};

fn shell(line: &str) -> Action {
    Action::new(
        Effect::Shell {
            line: line.to_owned(),
        },
        Duration::from_secs(60),
    )
}

/// A runbook whose A3 sends the backup with a command, and a session whose A2 has made it.
async fn with_an_upload() -> Bench {
    let mut bench = Bench::new(0).await;
    let backup = bench.path("backup.db");
    std::fs::copy(bench.path("app.db"), &backup).expect("a backup");
    let sha256 =
        cutover::sqlite::digest::of_file(&backup, &CancellationToken::new()).expect("its checksum");
    let size = backup.metadata().expect("a file").len();
    // As earlier versions wrote it.
    let kept = json!({ "path": backup, "sha256": sha256, "size_bytes": size, "keep_ms": 1_000 });
    bench.left_behind("A2", backup_of(kept));
    let stored = bench.path("bucket");
    std::fs::create_dir(&stored).expect("a folder");
    let stored = stored.display();
    let steps = bench.runbook.steps.iter_mut();
    let step = steps.into_iter().find(|step| step.id == "A3").expect("A3");
    step.kind = StepKind::StoreBackup {
        place: Place::Commands {
            upload: shell(&format!(
                "echo sent >> {stored}/log; cp {{file}} {stored}/copy"
            )),
            read_back: shell(&format!("cp {stored}/copy {{file}}")),
        },
        keep_ms: 1_000,
    };
    bench
}

#[tokio::test]
async fn an_upload_that_had_ended_is_not_sent_again() {
    let mut bench = with_an_upload().await;
    let sent = bench.step("A3").await;
    assert!(sent.ok, "{}", sent.summary);
    let found = bench.found("A3").await;
    let Found::Done { outcome } = found else {
        panic!("{found:?}")
    };
    assert!(outcome.ok, "{}", outcome.summary);
    assert!(
        outcome.fact::<SecondCopy>("A3").unwrap().is_some(),
        "{outcome:?}"
    );
    let log = std::fs::read_to_string(bench.path("bucket/log")).expect("a log");
    assert_eq!(log, "sent\n");
}

#[tokio::test]
async fn half_an_upload_is_sent_again() {
    let bench = with_an_upload().await;
    std::fs::write(bench.path("bucket/copy"), "half").expect("half of it");
    let found = bench.found("A3").await;
    assert!(
        matches!(&found, Found::RunAgain { detail } if detail.contains("nothing whole")),
        "{found:?}"
    );
}
