//! The page: what it says first, that it asks nobody for anything, and that nothing foreign in it is markup.

use cutover::report;
use cutover::session::{Event, RollbackCause};

use crate::session::language::Bridge;

fn page(bridge: &Bridge) -> String {
    let (_root, folder) = super::journal(&bridge.journal);
    report::collect(&folder).expect("a report").to_html()
}

/// Every tag of a page, as it stands there.
fn tags(page: &str) -> Vec<&str> {
    let pieces = page.split('<').skip(1);
    pieces
        .map(|piece| piece.split('>').next().unwrap_or(piece))
        .collect()
}

#[test]
fn a_rollback_is_told_first_with_pictures_and_what_it_took() {
    let page = page(&Bridge::rolled_back(2_000));
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at("↩ Rolled back") < at("Begun by trigger <bdi>T3b</bdi>"));
    assert!(at("Begun by trigger") < at("id=\"timeline\""));
    for picture in ["aria-label=\"Timeline: ", "aria-label=\"5xx over time"] {
        at(picture);
    }
    for word in [
        "freeze",
        "switch",
        "T3b fired",
        "rollback",
        "on SQLite again",
    ] {
        at(&format!(">{word}</text>"));
    }
    for id in ["gates", "parity", "plan", "events", "rollback"] {
        at(&format!("<section id=\"{id}\">"));
    }
}

#[test]
fn a_completed_night_and_one_that_is_not_over_say_so() {
    let mut bridge = Bridge::open();
    bridge.reach("A1");
    assert!(page(&bridge).contains("<strong>… Not over</strong>"));
    bridge.reach("end");
    bridge.append(Event::SessionCompleted { by: "robin".into() });
    let page = page(&bridge);
    assert!(page.contains("<strong>✓ Completed</strong>"));
    assert!(!page.contains("<section id=\"rollback\">"));
}

#[test]
fn a_page_asks_nobody_for_anything_and_runs_nothing() {
    let page = page(&Bridge::rolled_back(2_000));
    assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
    for tag in tags(&page) {
        let name: String = tag.chars().take_while(|c| c.is_alphanumeric()).collect();
        let asks = [
            "script", "link", "img", "iframe", "object", "base", "image", "use",
        ];
        assert!(!asks.contains(&name.as_str()), "<{tag}>");
        for attribute in [" src=", " href=\"http", " on", "javascript:"] {
            assert!(!tag.contains(attribute), "<{tag}>");
        }
    }
    for asks in ["@import", "url(http", "//fonts"] {
        assert!(!page.contains(asks), "{asks}");
    }
}

#[test]
fn nothing_foreign_is_markup_wherever_it_comes_in() {
    let hostile = "</title></style><script>alert(1)</script>\" onload='x' <!-- \u{202e}\u{0}\u{1b}[2J ]]> &lt;b\n\u{2066}";
    let mut bridge = Bridge::open();
    // What names everything else: the runbook's own texts.
    let Event::SessionOpened { charter } = &mut bridge.journal[0].event else {
        panic!("a session begins with its charter")
    };
    charter.session = hostile.to_owned();
    for person in &mut charter.people {
        person.name = hostile.to_owned();
    }
    for step in &mut charter.steps {
        step.title = hostile.to_owned();
    }
    for gate in &mut charter.gates {
        gate.title = hostile.to_owned();
    }
    for trigger in &mut charter.triggers {
        trigger.title = hostile.to_owned();
    }
    bridge.reach("A2");
    for event in [
        Event::NoteWritten {
            by: hostile.into(),
            text: hostile.into(),
        },
        Event::TriggerFired {
            trigger: hostile.into(),
            reason: hostile.into(),
        },
        Event::RollbackStarted {
            cause: RollbackCause::Person { by: hostile.into() },
            reason: hostile.into(),
        },
    ] {
        bridge.append(event);
    }
    let plain = page(&{
        let mut plain = Bridge::open();
        plain.reach("A1");
        plain
    });
    let page = page(&bridge);
    let kinds = |page: &str| {
        let names = tags(page).into_iter().map(|tag| {
            let end = tag.find(|c: char| !c.is_alphanumeric() && c != '/' && c != '!');
            tag[..end.unwrap_or(tag.len())].to_owned()
        });
        names.collect::<std::collections::BTreeSet<String>>()
    };
    let known = [
        "strong", "/strong", "br", "h3", "/h3", "p", "title", "/title", "rect", "/rect", "a", "/a",
        "small", "/small",
    ];
    let (more, fewer) = (kinds(&page), kinds(&plain));
    let fresh: Vec<&String> = more
        .difference(&fewer)
        .filter(|k| !known.contains(&k.as_str()))
        .collect();
    assert!(fresh.is_empty(), "tags that came in with texts: {fresh:?}");
    assert!(page.contains("&lt;script&gt;"));
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!page.contains(bad));
}
