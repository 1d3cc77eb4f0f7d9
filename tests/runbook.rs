//! Reading runbooks: the reference is clean, every mistake is named with its place, and nothing that is written makes it panic.

use std::path::Path;

use cutover::runbook::{self, Problem, Reading};

/// The environment that the reference runbook asks for.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "APP_SQLITE" => "/srv/app/tools.db",
        "TARGET_URL" => "postgres://owner:owner-secret@127.0.0.1/app",
        "TARGET_RUNTIME_URL" => "postgres://app:runtime-secret@127.0.0.1/app",
        "SCRATCH_URL" => "postgres://owner:scratch-secret@127.0.0.1/scratch",
        "SCRATCH_RUNTIME_URL" => "postgres://app:scratch-secret@127.0.0.1/scratch",
        "PROBE_TOKEN" => "token-secret",
        "APP_1" => "http://127.0.0.1:5001",
        "APP_2" => "http://127.0.0.1:5002",
        "APP_3" => "http://127.0.0.1:5003",
        "APP_4" => "http://127.0.0.1:5004",
        "APP_5" => "http://127.0.0.1:5005",
        "APP_6" => "http://127.0.0.1:5006",
        "APP_STAGING" => "http://127.0.0.1:5009",
        "APP_DIR" => "/srv/app",
        "APPCTL" => "/usr/local/bin/cutover",
        "BACKUP_DIR" => "/srv/backup",
        "OFFSITE_DIR" => "/mnt/offsite",
        "MIGRATIONS_SQL" => "/srv/app/migrations.sql",
        "CHAT_WEBHOOK" => "http://127.0.0.1:5010/hook",
        _ => return None,
    };
    Some(value.to_owned())
}

fn reference() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook.yaml");
    std::fs::read_to_string(path).expect("the reference runbook")
}

fn read(text: &str) -> Reading {
    runbook::read("runbook.yaml", text, &environment)
}

fn rendered(problems: &[Problem]) -> String {
    runbook::render(problems)
}

#[test]
fn the_reference_runbook_is_clean() {
    let reading = read(&reference());
    assert!(
        reading.problems.is_empty(),
        "{}",
        rendered(&reading.problems)
    );
    let runbook = reading.runbook.expect("a runbook");
    assert_eq!(runbook.name, "tool-catalogue");
    assert_eq!(runbook.steps.len(), 32);
    assert_eq!(runbook.gates.len(), 8);
    assert_eq!(runbook.triggers.len(), 12);
    assert_eq!(runbook.hash.0.len(), 64);
}
