//! What several fuzzers have in common: the reference runbook with its environment, its charter, and what may stand in a text for people.
//!
//! Not in here: the properties (`fuzz_targets`).

use cutover::runbook::{self, Runbook};
use cutover::session::{Charter, Opening, Production};

/// A password that no message may show.
pub const PASSWORD: &str = "KeepOut9";

/// The value of a name in the environment: URLs with a password, and places where nothing is.
pub fn environment(name: &str) -> Option<String> {
    Some(match name {
        "MISSING" => return None,
        name if name.ends_with("_URL") => format!("postgres://owner:{PASSWORD}@127.0.0.1:1/none"),
        "PROBE_TOKEN" => PASSWORD.to_owned(),
        "APP_SQLITE" | "APP_DIR" => "/nowhere/app".to_owned(),
        name if name.starts_with("APP_") || name == "CHAT_WEBHOOK" => {
            "http://127.0.0.1:1".to_owned()
        }
        name => format!("/nowhere/{name}"),
    })
}

/// The reference runbook.
pub fn reference() -> Runbook {
    let text = include_str!("../../runbook.yaml");
    match runbook::parse("runbook.yaml", text, &environment) {
        Ok(runbook) => runbook,
        Err(problems) => panic!("{}", runbook::render(&problems)),
    }
}

/// The charter of a session on a runbook.
pub fn charter(runbook: &Runbook) -> Charter {
    let opening = Opening {
        session: "tonight".to_owned(),
        target: "127.0.0.1:1/none".to_owned(),
        production: Production::default(),
        again: None,
        sandbox: true,
        rehearsal: false,
        speed: 1.0,
        wait_before: Vec::new(),
    };
    Charter::new(runbook, opening)
}

/// Nothing that a terminal obeys stands in a text for people; lines may end.
pub fn assert_harmless(text: &str) {
    let obeyed = text.chars().find(|c| c.is_control() && *c != '\n');
    assert!(obeyed.is_none(), "{obeyed:?} in {text:?}");
}

/// A line number of a text, from 1.
pub fn assert_line_within(line: usize, text: &str) {
    let lines = text.lines().count().max(1);
    assert!((1..=lines + 1).contains(&line), "line {line} of {lines}");
}
