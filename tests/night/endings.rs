//! The demo as people run it: a night to its good end, and nights that are ended from outside.

use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support;

#[test]
fn the_clean_night_ends_on_postgresql_with_every_row_done() {
    let output = Command::new(support::cutover())
        .args([
            "demo",
            "--headless",
            // The limits of the runbook as it is shipped: half a minute for V1–V5 and 20 seconds for the way back.
            "--speed",
            "30",
            "--rows",
            "2000",
            "--rate",
            "60",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("the demo runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let whole: Value = serde_json::from_slice(&output.stdout).expect("one JSON object on stdout");
    let rows: BTreeMap<&str, &Value> = whole["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["id"].as_str().unwrap(), r))
        .collect();
    let protocol = "P1 P2 P3 A1 A2 A3 A4 B1 B2 B3 C1 C2 C3 D1 D2 D3 D4 E1 E2 E3 E4 F1 F2 F3 F4 V1 V2 V3 V4 V5 G1 G2";
    for id in protocol.split(' ') {
        assert_eq!(rows[id]["status"], "done", "{id}: {}", rows[id]);
        assert!(rows[id]["seconds"].as_f64().is_some(), "{id}: {}", rows[id]);
    }
    for id in "K1 K2 K3 K4 K5 K6 K7 K8 T1a T1b T2a T2b T2c T3a T3b T4a T4b T4c T4d R1 R6 M1 M5 X1"
        .split(' ')
    {
        assert!(rows.contains_key(id), "{id} has no row");
    }
    // The reference cannot rehearse that R5 keeps the logs of production: one point.
    assert_eq!(whole["confidence"], 99);
    let dir = whole["folder"].as_str().map(Path::new).unwrap();
    assert!(!dir.exists(), "the sandbox is gone with its folder");
}

/// What becomes of a night that is ended from outside.
#[test]
fn an_interrupted_night_leaves_nothing_behind() {
    for end in [Signal::INT, Signal::KILL] {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path();
        let mut demo = Command::new(support::cutover())
            .args(["demo", "--headless", "--speed", "60", "--rows", "500"])
            .env("TMPDIR", dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the demo");
        let log = BufReader::new(demo.stderr.take().expect("a log"));
        let mut lines = log.lines().map(|line| line.expect("text"));
        let begun = |line: &String| line.contains("P3   started") && !line.contains("rehearsal");
        lines.find(begun).expect("the night began");
        assert!(processes_of(dir) > 8, "engine, instances, supervisor");
        it_is_found_from_any_folder(dir);
        support::signal(demo.id(), end);
        // Nobody is left to write to the log once all are gone.
        assert!(!lines.any(|line| line.contains("FAILED")), "{end:?}");
        let code = demo.wait().expect("an end").code();
        assert_eq!(code, (end == Signal::INT).then_some(1), "{end:?}");
        let deadline = Instant::now() + Duration::from_secs(120);
        while processes_of(dir) > 0 {
            assert!(Instant::now() < deadline, "{end:?} leaves processes behind");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// `cutover status` in a folder without sessions shows that of the running sandbox, whether or not anybody reads all of it.
fn it_is_found_from_any_folder(sandboxes: &Path) {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let status = || {
        let mut command = Command::new(support::cutover());
        command
            .arg("status")
            .env("TMPDIR", sandboxes)
            .current_dir(elsewhere.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("status")
    };
    let read = status().wait_with_output().expect("its end");
    let text = String::from_utf8_lossy(&read.stdout);
    assert!(text.contains("tool-catalogue"), "{read:?}");
    let mut unread = status();
    drop(unread.stdout.take());
    let unread = unread.wait_with_output().expect("its end");
    assert_eq!(unread.status.code(), read.status.code(), "{unread:?}");
    assert_eq!(unread.stderr, read.stderr, "{unread:?}");
}

/// Processes that have this folder among their arguments.
fn processes_of(dir: &Path) -> usize {
    let dir = dir.to_str().expect("UTF-8");
    let entries = std::fs::read_dir("/proc").expect("processes");
    let lines = entries.filter_map(|e| std::fs::read(e.ok()?.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(dir))
        .count()
}
