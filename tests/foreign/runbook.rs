//! The library's runbook: what `cutover init` drafts for its file, with every `<…>` filled in as its operators would, and with windows that
//! last seconds, for a real runbook knows no other speed. What they write is in `runbook.toml`.

use std::path::Path;

use super::application::{INSTANCES, PROBE_TOKEN, STAGING, python};
use super::bridge::Bridge;
use super::place::Place;

/// The whole of it, from the draft.
pub(super) fn filled(draft: &str, bridge: &Bridge) -> String {
    let mut text = with_people(draft, bridge);
    let instances: String = INSTANCES
        .iter()
        .enumerate()
        .map(|(n, id)| {
            let canary = if n == 0 { ", canary: true" } else { "" };
            format!(
                "    - {{ id: {id}, url: \"${{APP_{}}}\"{canary} }}\n",
                n + 1
            )
        })
        .collect();
    text = changed(
        &text,
        "    - { id: app-1, url: <its own base URL>, canary: true }\n",
        &instances,
    );
    for (from, to) in changes() {
        text = changed(&text, &from, &to);
    }
    text
}

/// What the operators change, in the order in which it stands.
fn changes() -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/runbook.toml");
    let text = std::fs::read_to_string(file).expect("runbook.toml");
    let table: toml::Table = text.parse().expect("TOML");
    let word = |change: &toml::Value, key: &str| change[key].as_str().expect("a text").to_owned();
    let changes = table["change"].as_array().expect("changes");
    let pair = |change| (word(change, "from"), word(change, "to"));
    changes.iter().map(pair).collect()
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
    let application = &place.application;
    let mut environment: Vec<(String, String)> = [
        ("TARGET_URL", place.target.url.clone()),
        ("TARGET_RUNTIME_URL", place.target.runtime_url.clone()),
        ("SCRATCH_URL", place.scratch.url.clone()),
        ("SCRATCH_RUNTIME_URL", place.scratch.runtime_url.clone()),
        ("PROBE_TOKEN", PROBE_TOKEN.to_owned()),
        ("PYTHON", python().display().to_string()),
        ("STAGING", application.url(STAGING)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for (n, instance) in INSTANCES.iter().enumerate() {
        environment.push((format!("APP_{}", n + 1), application.url(instance)));
    }
    environment
}
