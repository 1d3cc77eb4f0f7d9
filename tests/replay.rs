//! Rules over what was recorded: an incident in a file, and a session whose journal is judged again.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cutover::journal::{self, Folder, Journal, Retention, count_lease};
use cutover::session::Event;

use crate::support;

/// The reference runbook with one change, in a folder of its own.
fn runbook(from: &str, to: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook.yaml");
    let text = std::fs::read_to_string(reference).expect("the reference runbook");
    assert!(text.contains(from), "{from}");
    let path = folder.path().join("runbook.yaml");
    std::fs::write(&path, text.replace(from, to)).expect("written");
    (folder, path)
}

/// `cutover replay` with the names that the reference runbook asks for.
fn replay(runbook: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(support::cutover());
    command.arg("replay").arg("--triggers").arg(runbook);
    let text = std::fs::read_to_string(runbook).expect("the runbook");
    let names = text.split("${").skip(1);
    for name in names.filter_map(|rest| rest.split_once('}')) {
        let value = match name.0 {
            url if url.ends_with("_URL") => "postgres://nobody@127.0.0.1:1/none",
            "APP_DIR" | "APP_SQLITE" => "/nowhere",
            url if url.starts_with("APP_") || url == "CHAT_WEBHOOK" => "http://127.0.0.1:1",
            _ => "/nowhere",
        };
        command.env(name.0, value);
    }
    command.args(arguments).output().expect("it runs")
}

fn incident() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay");
    folder.join("incident.jsonl").display().to_string()
}

fn said(output: &Output) -> String {
    let all = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(all).expect("text")
}

fn line<'t>(text: &'t str, of: &str) -> &'t str {
    let mut lines = text.lines();
    lines
        .find(|line| line.split_whitespace().next() == Some(of))
        .unwrap_or_else(|| panic!("no {of} in {text}"))
}

const T3B: &str = "when: { signal: http_5xx_ratio, above: 1%, for: 5m }";

#[test]
fn an_incident_says_when_each_trigger_would_have_fired_and_why() {
    let (_folder, path) = runbook("\n", "\n");
    let file = incident();
    let arguments = ["--samples", &file, "--baseline", "http_5xx_ratio=0.001"];
    let output = replay(&path, &arguments);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(
        line(&text, "T3b"),
        "T3b            FIRED at 15:00: 5xx 1.5 % of 4 000 requests, limit 1 %, for 5:00; blind for 0:15"
    );
    assert!(line(&text, "T3a").contains("FIRED at 20:00: "), "{text}");
    assert!(line(&text, "T1a.app-1").contains("did not burn; blind for"));
    assert!(line(&text, "M4").contains("red for "), "{text}");
}

#[test]
fn another_threshold_is_another_answer() {
    let (_folder, path) = runbook(
        T3B,
        "when: { signal: http_5xx_ratio, above: 1.9%, for: 5m }",
    );
    let output = replay(&path, &["--samples", &incident(), "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let triggers = json["triggers"].as_array().expect("triggers");
    let t3b = triggers.iter().find(|t| t["trigger"] == "T3b");
    let t3b = t3b.expect("T3b");
    assert!(t3b["fired_ms"].is_null(), "{t3b}");
    assert_eq!(t3b["burned"], 1);
    assert_eq!(t3b["longest_streak_ms"], 225_000);
    let t3a = triggers.iter().find(|t| t["trigger"] == "T3a");
    // There was nothing to compare with.
    assert!(
        t3a.expect("T3a")["blind_ms"].as_i64() > Some(1_000_000),
        "{json}"
    );
}

/// Nobody is asked which instances there were: the samples say it.
#[test]
fn instances_that_are_not_listed_are_those_of_the_samples() {
    let reference = include_str!("../runbook.yaml");
    let from = reference.find("  instances:\n").expect("instances");
    let to = reference.find("  staging: {").expect("a staging slot");
    let asks = "  instances: { command: [no-such-program] }\n";
    let (folder, path) = runbook(&reference[from..to], asks);
    let file = folder.path().join("samples.jsonl");
    let samples = (0..200).map(|n| {
        let at_ms = n * 5_000;
        format!("{{\"signal\":\"ready.web-7\",\"at_ms\":{at_ms},\"value\":0}}\n")
    });
    std::fs::write(&file, samples.collect::<String>()).expect("written");
    let output = replay(&path, &["--samples", &file.display().to_string()]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(line(&text, "T1a.web-7").contains("FIRED"), "{text}");
}

#[test]
fn what_is_no_sample_is_named_by_its_line() {
    let (folder, path) = runbook("\n", "\n");
    let file = folder.path().join("samples.jsonl");
    for (text, wanted) in [
        (
            "{\"signal\":\"a\",\"at_ms\":0,\"value\":1}\n{\"signal\":\"a\"}\n",
            "samples.jsonl:2 is no sample",
        ),
        (
            "{\"signal\":\"a\",\"at_ms\":0}\n",
            "samples.jsonl:1: expected `value`, `no_data` or both",
        ),
        (
            "{\"signal\":\"a\",\"at_ms\":0,\"value\":1}\n{\"signal\":\"a\",\"at_ms\":1000000000000000,\"value\":1}\n",
            "more than 31 are not judged",
        ),
    ] {
        std::fs::write(&file, text).expect("written");
        let output = replay(&path, &["--samples", &file.display().to_string()]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(wanted), "{text}");
    }
    let output = replay(
        &path,
        &["--samples", &incident(), "--baseline", "http_5xx_ratio"],
    );
    says!(said(&output), "expected SIGNAL=VALUE");
}

/// A session's journal: the switch at one minute, then errors for six minutes, of which a part was seen in a part of the fleet only.
fn recorded(root: &Path, requests: u64) -> Folder {
    let runbook = crate::trigger::reference();
    let charter = crate::trigger::charter(&runbook, 1.0);
    let folder = Folder::create(root, &charter.session).expect("a session's folder");
    let fencing = count_lease(&folder, &serde_json::json!({})).expect("a lease");
    let (mut journal, _) = Journal::open(&folder, fencing).expect("a journal");
    let started = |step: &str| Event::StepStarted {
        step: step.to_owned(),
        attempt: 1,
        by: None,
    };
    let events = [
        (
            0,
            Event::SessionOpened {
                charter: Box::new(charter),
            },
        ),
        (60_000, started("F2")),
        (
            360_000,
            Event::TriggerFired {
                trigger: "T3b".to_owned(),
                reason: "as it was judged then".to_owned(),
            },
        ),
    ];
    for (at_ms, event) in events {
        let (kind, body) = cutover::engine::ledger::to_entry(&event);
        let wall = chrono::DateTime::UNIX_EPOCH;
        journal
            .append(at_ms, wall, &[(&kind, &body)])
            .expect("written");
    }
    let mut scribe = journal.scribe(Retention::default()).expect("a scribe");
    let notes = scribe.notes();
    for n in 0..=84 {
        let at_ms = n * 5_000;
        let reading = match n {
            0..12 => journal::Reading::Value(0.0),
            12..40 => journal::Reading::Value(0.02),
            // Good, but of a part only: it must not clear the streak.
            40..44 => journal::Reading::Partial(0.0, "app-3 refused".to_owned()),
            _ => journal::Reading::Value(0.02),
        };
        notes.sample(journal::Sample {
            signal: "http_5xx_ratio".to_owned(),
            at_ms,
            reading,
            n: Some(requests),
        });
    }
    scribe.flush(420_000, "boot", 0).expect("written");
    drop(scribe);
    journal.finish().expect("closed");
    folder
}

#[test]
fn a_session_is_judged_again_and_what_was_judged_then_is_left_out() {
    let root = tempfile::tempdir().expect("a folder");
    let session = recorded(root.path(), 500);
    let dir = session.dir().display().to_string();
    let story = |path: &Path| {
        let output = replay(path, &["--dir", &dir, "--json"]);
        let json: serde_json::Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
        let triggers = json["triggers"].as_array().expect("triggers").clone();
        let t3b = triggers.into_iter().find(|t| t["trigger"] == "T3b");
        t3b.expect("T3b")
    };
    let (_folder, path) = runbook("\n", "\n");
    let t3b = story(&path);
    assert_eq!(t3b["armed_ms"], 60_000);
    // Five minutes of errors seen, and twenty-five seconds of which nobody could say.
    assert_eq!(t3b["fired_ms"], 385_000, "{t3b}");
    let (_folder, stricter) = runbook(T3B, "when: { signal: http_5xx_ratio, above: 1%, for: 1m }");
    assert_eq!(story(&stricter)["fired_ms"], 120_000);
    let (_folder, milder) = runbook(T3B, "when: { signal: http_5xx_ratio, above: 3%, for: 5m }");
    let t3b = story(&milder);
    assert!(t3b["fired_ms"].is_null() && t3b["burned"] == 0, "{t3b}");
}

/// A ratio over no requests says nothing: it was stored as such, and is not taken for one over an unknown number.
#[test]
fn a_ratio_over_no_requests_burns_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let session = recorded(root.path(), 0);
    let (_folder, path) = runbook("\n", "\n");
    let output = replay(
        &path,
        &["--dir", &session.dir().display().to_string(), "--json"],
    );
    let json: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    let mut triggers = json["triggers"].as_array().expect("triggers").iter();
    let t3b = triggers.find(|t| t["trigger"] == "T3b").expect("T3b");
    assert!(t3b["fired_ms"].is_null(), "{t3b}");
}
