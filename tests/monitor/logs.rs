//! Log files that grow, rotate, are cut, vanish; and boot markers that belong to the restart before.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use cutover::monitor::logs::follow::Follower;
use cutover::runbook::{LogRule, ProbeKind};
use cutover::trigger::Reading;

use super::{Watch, runbook, servers};

fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.expect("a log")
        .write_all(text.as_bytes())
        .expect("written");
}

/// The lines since the last look.
fn lines(follower: &mut Follower) -> Vec<String> {
    let mut lines = Vec::new();
    let read = follower.read(1 << 20, &mut |line, _| {
        lines.push(String::from_utf8_lossy(line).into_owned());
    });
    if let Err(error) = read {
        lines.push(format!("! {error}"));
    }
    lines
}

#[test]
fn a_log_is_followed_across_rotation_and_truncation() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.log");
    append(&path, "before we came\n");
    let mut follower = Follower::at_end(path.clone());
    assert!(lines(&mut follower).is_empty());

    append(&path, "one\r\ntwo\nhalf a ");
    assert_eq!(lines(&mut follower), ["one", "two"]);
    append(&path, "line\n");
    assert_eq!(lines(&mut follower), ["half a line"]);

    append(&path, "last of the old\nno line end");
    fs::rename(&path, folder.path().join("app.log.1")).expect("rotated");
    append(&path, "first of the new\n");
    assert_eq!(
        lines(&mut follower),
        ["last of the old", "no line end", "first of the new"]
    );

    fs::write(&path, "cut\n").expect("cut");
    assert_eq!(lines(&mut follower), ["cut"]);

    fs::remove_file(&path).expect("removed");
    assert!(lines(&mut follower)[0].contains("does not exist"));
    append(&path, "back\n");
    assert_eq!(lines(&mut follower), ["back"]);
}

#[test]
fn a_line_without_end_and_a_flood_stay_within_bounds() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.log");
    append(&path, "");
    let mut follower = Follower::at_end(path.clone());
    append(&path, &format!("{}\nnext\n", "x".repeat(200_000)));
    let found = lines(&mut follower);
    assert_eq!((found[0].len(), found[1].as_str()), (64 * 1024, "next"));

    append(&path, &"a line of twenty-one\n".repeat(60_000));
    let found = lines(&mut follower);
    assert!(
        found
            .last()
            .expect("a line")
            .contains("faster than it is read")
    );
    assert_eq!(found.len() + lines(&mut follower).len(), 60_001);
}

fn kind() -> ProbeKind {
    let rule = |category: &str, pattern: &str| LogRule {
        category: category.to_owned(),
        pattern: pattern.to_owned(),
    };
    ProbeKind::Logs {
        rules: vec![
            rule("database_exception", "PostgresException"),
            rule("unhandled_exception", "Unhandled"),
            rule("host_booted", "HostBooted"),
        ],
    }
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_and_unread_logs_prove_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = |n: usize| folder.path().join(format!("app-{n}.log"));
    let servers = servers(2).await;
    let mut runbook = runbook(vec![kind()], &servers);
    runbook.fleet.log = Some(folder.path().join("{instance}.log").display().to_string());
    append(&log(1), "Unhandled, but before we came\n");
    append(&log(2), "");
    let mut watch = Watch::start(runbook);
    watch.until_value("log_unhandled_exception", 0.0).await;
    watch
        .until_reason(
            "log_ddl_exception",
            "no rule sorts lines into ddl_exception",
        )
        .await;
    append(
        &log(1),
        "Unhandled PostgresException\nUnhandled \u{1b}[2J\n",
    );
    append(&log(2), "Unhandled\nnothing to see\n");
    watch.until_value("log_unhandled_exception", 2.0).await;
    watch.until_value("log_database_exception", 1.0).await;

    fs::remove_file(log(2)).expect("removed");
    let reading = watch
        .until_reason("log_unhandled_exception", "1 of 2 logs cannot be read")
        .await;
    assert!(
        matches!(reading, Reading::Partial { value: 2.0, .. }),
        "{reading:?}"
    );
}

#[tokio::test]
async fn an_instance_has_booted_once_its_log_says_so_after_its_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = |n: usize| folder.path().join(format!("app-{n}.log"));
    let servers = servers(2).await;
    let mut runbook = runbook(vec![kind()], &servers);
    runbook.fleet.log = Some(folder.path().join("{instance}.log").display().to_string());
    append(&log(1), "");
    append(&log(2), "");
    let mut watch = Watch::start(runbook);
    watch.until_value("instances_booted_ratio", 1.0).await;
    append(&log(1), "HostBooted, long ago\n");
    watch.until_value("log_host_booted", 1.0).await;
    watch.monitor.restarted("app-1");
    watch.until_value("instances_booted_ratio", 0.5).await;
    append(&log(1), "starting\nHostBooted\n");
    watch.until_value("instances_booted_ratio", 1.0).await;
    watch.monitor.restarted("app-2");
    watch.until_value("instances_booted_ratio", 0.5).await;
    fs::write(log(2), "HostBooted\n").expect("a new file");
    watch.until_value("instances_booted_ratio", 1.0).await;
}
