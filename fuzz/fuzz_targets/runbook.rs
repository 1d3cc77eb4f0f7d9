//! Runbook YAML: every problem lies within the text, no message shows a password or holds what a terminal obeys, and what is valid can be used.
#![no_main]

use cutover::runbook::{self, Severity, rehearsal};
use cutover_fuzz::{PASSWORD, assert_harmless, charter, environment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = match runbook::decode("runbook.yaml", bytes) {
        Ok(text) => text,
        Err(problems) => return assert_harmless(&runbook::render(&problems)),
    };
    let reading = runbook::read("runbook.yaml", text, &environment);
    let lines: Vec<&str> = text.lines().collect();
    for problem in &reading.problems {
        assert!(
            (1..=lines.len().max(1)).contains(&problem.line),
            "{problem:?} of {} lines",
            lines.len()
        );
        let line = lines.get(problem.line - 1).copied().unwrap_or_default();
        assert!(
            (1..=line.chars().count() + 1).contains(&problem.column),
            "{problem:?}"
        );
    }
    let shown = runbook::render(&reading.problems);
    assert_harmless(&shown);
    // A text that holds the password itself may show it.
    assert!(
        text.contains(PASSWORD) || !shown.contains(PASSWORD),
        "{shown}"
    );
    let again = runbook::read("runbook.yaml", text, &environment);
    assert_eq!(
        shown,
        runbook::render(&again.problems),
        "the same text reads the same"
    );
    let has_error = reading
        .problems
        .iter()
        .any(|p| p.severity == Severity::Error);
    let Some(valid) = reading.runbook.filter(|_| !has_error) else {
        return;
    };
    assert_eq!(Some(&valid.hash), again.runbook.as_ref().map(|r| &r.hash));
    let charter = charter(&valid);
    assert_eq!(charter.steps.len(), valid.steps.len());
    let plain = serde_json::to_string(&charter).expect("a charter is plain data");
    assert!(
        text.contains(PASSWORD) || !plain.contains(PASSWORD),
        "the charter has no secret"
    );
    if let Some(rehearsed) = rehearsal::of(&valid) {
        assert!(rehearsed.triggers.len() <= valid.triggers.len());
    }
});
