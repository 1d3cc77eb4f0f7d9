//! Who else has the SQLite file open: a forgotten instance or worker is named, and the night does not end before it has gone.

use std::process::{Child, Command};

use cutover::runbook::action::{Action, Effect};
use cutover::session::facts::Unproven;
use cutover::session::live::ItemView;
use cutover::step::holders::others_of;

use super::bench::Bench;

/// A process that is no instance and has the file open for so many seconds.
fn holder(bench: &Bench, seconds: &str) -> Child {
    let file = std::fs::File::open(bench.path("app.db")).expect("the file");
    Command::new("sleep")
        .arg(seconds)
        .stdin(file)
        .spawn()
        .expect("a process")
}

#[tokio::test]
async fn whoever_has_the_file_open_and_is_no_instance_is_named() {
    let mut bench = Bench::new(1).await;
    bench.only(&["F2"]);
    let argv = vec!["true".to_owned()];
    bench.runbook.fleet.restart =
        Action::new(Effect::Command { argv }, std::time::Duration::from_secs(60));
    bench.all_say("on Postgres");
    let file = bench.path("app.db");
    assert_eq!(others_of(&bench.runbook, &file).await, None);
    let mut child = holder(&bench, "600");
    let said = others_of(&bench.runbook, &file).await.expect("somebody");
    says!(said, &format!("sleep (process {}", child.id()));
    let outcome = bench.step("F2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "is no instance of this runbook");
    let unproven = outcome.fact::<Unproven>("F2").expect("readable");
    assert!(unproven.is_some(), "{:?}", outcome.facts);
    bench.runbook.source.also_open = vec!["sleep".to_owned()];
    assert_eq!(others_of(&bench.runbook, &file).await, None);
    bench.runbook.source.also_open.clear();
    child.kill().expect("killed");
    child.wait().expect("gone");
    assert_eq!(others_of(&bench.runbook, &file).await, None);
}

#[tokio::test]
async fn g2_does_not_end_while_somebody_else_has_the_file_open() {
    let mut bench = Bench::new(1).await;
    bench.only(&["G2"]);
    bench.checklist = vec![ItemView {
        id: "M1".to_owned(),
        green: Some(true),
        reason: "ready".to_owned(),
        green_for_ms: i64::MAX,
    }];
    let mut child = holder(&bench, "2");
    // A process that has ended keeps its files closed, also before somebody waits for it.
    let outcome = bench.step("G2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    assert!(
        child.try_wait().expect("a child").is_some(),
        "it ended first: {}",
        outcome.summary
    );
}
