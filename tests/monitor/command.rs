//! Commands that print numbers, and some that do not.

use std::time::Duration;

use cutover::runbook::{Action, ProbeKind};
use cutover::trigger::Reading;

use super::{Watch, runbook, servers};
use crate::support;

fn shell(line: &str, signals: &[&str]) -> ProbeKind {
    ProbeKind::Command {
        action: Action::new(
            cutover::runbook::action::Effect::Shell {
                line: line.to_owned(),
            },
            Duration::from_secs(5),
        ),
        signals: signals.iter().map(|s| (*s).to_owned()).collect(),
    }
}

async fn watch(line: &str, signals: &[&str], timeout_ms: i64) -> Watch {
    let mut runbook = runbook(vec![shell(line, signals)], &servers(1).await);
    runbook.probes[0].timeout_ms = timeout_ms;
    Watch::start(runbook)
}

#[tokio::test]
async fn each_line_is_a_signal() {
    let line = "echo 17; echo ' -0.5 '; echo NaN; echo many; echo noise >&2";
    let signals = ["queue_depth", "drift_ms", "nothing", "word", "absent"];
    let mut watch = watch(line, &signals, 5_000).await;
    watch.until_value("queue_depth", 17.0).await;
    watch.until_value("drift_ms", -0.5).await;
    for (signal, why) in [
        ("nothing", "the answer is NaN"),
        ("word", "line 4 is not a number: `many`"),
        ("absent", "the command printed only 4 lines"),
    ] {
        watch.until_reason(signal, why).await;
    }
}

#[tokio::test]
async fn a_command_that_fails_floods_or_hangs_says_nothing() {
    for (line, why) in [
        ("echo 3; echo the queue is gone >&2; exit 4", "exit code 4"),
        (
            "echo 3; echo the queue is gone >&2; exit 4",
            ": the queue is gone",
        ),
        ("yes 1 | head -n 100000", "more than 1 lines"),
        ("no-such-program-here", "the command failed"),
    ] {
        let mut watch = watch(line, &["queue_depth"], 10_000).await;
        let reading = watch.until_reason("queue_depth", why).await;
        assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    }
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let pids = folder.path().join("pids");
    let line = format!("sleep 600 & echo $! >> {}; wait", pids.display());
    let mut watch = watch(&line, &["queue_depth"], 300).await;
    let why = "the command did not end within 300 ms";
    watch.until_reason("queue_depth", why).await;
    let started = || std::fs::read_to_string(&pids).unwrap_or_default();
    support::until("the command has started something", async || {
        !started().is_empty()
    })
    .await;
    watch.monitor.stop().await;
    let started: Vec<u32> = started()
        .lines()
        .filter_map(|pid| pid.parse().ok())
        .collect();
    support::until("all of it has ended", async || {
        !started.iter().any(|pid| support::is_alive(*pid))
    })
    .await;
}
