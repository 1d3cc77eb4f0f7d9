//! Samples in, states out: every trigger of the reference runbook at every edge, as scenario files (`tests/trigger/*.txt`, whose
//! language `scenario` explains), and what must hold whatever the samples are.

mod property;
mod scenario;

use std::path::Path;

use cutover::runbook::{self, Runbook};
use cutover::session::{Charter, Opening};

/// The reference runbook, its names resolved to places where nothing is.
pub(crate) fn reference() -> Runbook {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook.yaml");
    let text = std::fs::read_to_string(path).expect("the reference runbook");
    let value = |name: &str| {
        let value = match name {
            _ if name.ends_with("_URL") => "postgres://nobody@127.0.0.1:1/none",
            _ if name.starts_with("APP_") && name != "APP_DIR" && name != "APP_SQLITE" => {
                "http://127.0.0.1:1"
            }
            "CHAT_WEBHOOK" => "http://127.0.0.1:1/hook",
            _ => "/nowhere",
        };
        Some(value.to_owned())
    };
    runbook::parse("runbook.yaml", &text, &value)
        .unwrap_or_else(|problems| panic!("{}", runbook::render(&problems)))
}

pub(crate) fn charter(runbook: &Runbook, speed: f64) -> Charter {
    let opening = Opening {
        session: "scenario".to_owned(),
        target: "db:5432/tools".into(),
        production: cutover::session::Production::default(),
        again: None,
        sandbox: true,
        rehearsal: false,
        speed,
        wait_before: Vec::new(),
    };
    Charter::new(runbook, opening)
}

fn play(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trigger");
    let text = std::fs::read_to_string(folder.join(name)).expect("the scenario file");
    let failures = scenario::play(name, &text);
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn t1_instances_that_are_not_ready() {
    play("t1.txt");
}

#[test]
fn t3a_errors_against_the_baseline() {
    play("t3a.txt");
}

#[test]
fn t3b_errors_against_a_limit() {
    play("t3b.txt");
}

#[test]
fn blindness_freezes_and_alarms() {
    play("blind.txt");
}

#[test]
fn samples_that_come_late() {
    play("late.txt");
}

#[test]
fn the_checklist() {
    play("checklist.txt");
}
