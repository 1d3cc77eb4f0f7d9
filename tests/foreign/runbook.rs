//! The library's runbook: what `cutover init --app . --to URL` drafts for it, with what is left filled in as its operators would, and with
//! windows that last seconds, for a real runbook knows no other speed. What they write is in `runbook.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use super::application::{PROBE_TOKEN, python};
use super::bridge::Bridge;
use super::place::Place;

/// So many lines of the draft may be left to edit, beside who is there and what `init --ask` asks for.
const EDITS: usize = 10;

/// The whole of it, from the draft.
pub(super) fn filled(draft: &str, bridge: &Bridge) -> String {
    let mut text = with_people(draft, bridge);
    for section in ["answers", "operators", "seconds"] {
        text = with_changes(&text, section);
    }
    text
}

/// With what a section of the file changes, in the order in which it stands.
fn with_changes(text: &str, section: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/runbook.toml");
    let table = std::fs::read_to_string(file).expect("runbook.toml");
    let table: toml::Table = table.parse().expect("TOML");
    let changes = table[section].as_array().expect("changes");
    let word = |change: &toml::Value, key: &str| change[key].as_str().expect("a text").to_owned();
    changes.iter().fold(text.to_owned(), |text, change| {
        changed(&text, &word(change, "from"), &word(change, "to"))
    })
}

/// How many lines one has that the other has not, or the other way round, whichever is more.
fn edits(before: &str, after: &str) -> usize {
    let mut lines: BTreeMap<&str, i64> = BTreeMap::new();
    for line in before.lines().filter(|line| !line.is_empty()) {
        *lines.entry(line).or_default() -= 1;
    }
    for line in after.lines().filter(|line| !line.is_empty()) {
        *lines.entry(line).or_default() += 1;
    }
    let sum = |sign: i64| lines.values().map(|n| (n * sign).max(0)).sum::<i64>();
    sum(1).max(sum(-1)).try_into().expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_of_a_foreign_application_takes_few_edits() {
    let place = Place::make(30).await;
    let bridge = place.operators().await;
    let draft = std::fs::read_to_string(place.dir().join("draft.yaml")).expect("a draft");
    let answered = with_changes(&with_people(&draft, &bridge), "answers");
    let edited = with_changes(&answered, "operators");
    let count = edits(&answered, &edited);
    assert!(count <= EDITS, "{count} lines:\n{draft}");
    place.write_runbook(&edited);
    let (code, said) = bridge.types(&["check", "--offline"]).await;
    assert_eq!(code, Some(0), "{said}\n{edited}");
    for (what, of) in [
        ("columns:\n", "what `plan` suggests"),
        ("target_rows: replace\n", "what the migrations fill"),
        ("lending.0001_initial", "the migrations of each application"),
        ("tls: optional", "the server's own word"),
    ] {
        assert!(draft.contains(what), "{of}:\n{draft}");
    }
    assert!(!draft.contains("of-the-library"), "a secret:\n{draft}");
}

fn with_people(draft: &str, bridge: &Bridge) -> String {
    let begin = draft.find("people:\n").expect("people");
    let end = begin + draft[begin..].find("\nlimits:").expect("limits");
    let text = format!("{}{}{}", &draft[..begin], bridge.people(), &draft[end..]);
    match bridge.is_a_team() {
        true => text,
        false => changed(
            &text,
            "signers: [release_manager, engineer, qa]",
            "signers: [release_manager]",
        ),
    }
}

/// The text with every occurrence replaced; there has to be one.
pub(super) fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the runbook has no {from:?}:\n{text}");
    text.replace(from, to)
}

/// What the environment of the release manager has for it.
pub(super) fn environment(place: &Place) -> Vec<(String, String)> {
    [
        ("TARGET_URL", place.target.url.clone()),
        ("TARGET_RUNTIME_URL", place.target.runtime_url.clone()),
        ("SCRATCH_URL", place.scratch.url.clone()),
        ("SCRATCH_RUNTIME_URL", place.scratch.runtime_url.clone()),
        ("PROBE_TOKEN", PROBE_TOKEN.to_owned()),
        ("PYTHON", python().display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
