//! What makes a terminal noticed: whose, of what, and in which bytes.

use cutover::cockpit::model::Model;
use cutover::cockpit::news::News;
use cutover::cockpit::ring::{Capabilities, Ringing};
use cutover::cockpit::update::{Effect, Message, update};
use cutover::session::{Command, Event};

use super::story::Story;

/// What rings at the terminal of each of these people when the last `new` events of a story come in.
fn rings(story: &Story, new: usize, who: &[&str]) -> Vec<Option<Ringing>> {
    let (before, after) = story.entries.split_at(story.entries.len() - new);
    let ring = |person: &&str| {
        let seat = cutover::cockpit::model::Seat {
            user: (*person).to_owned(),
            playing: None,
            zone: chrono::FixedOffset::east_opt(0).expect("UTC"),
        };
        let mut model = Model::open(before.to_vec(), seat).expect("a session");
        let came = |entries: &[_]| {
            Message::Came(Box::new(News {
                entries: entries.to_vec(),
                ..News::default()
            }))
        };
        let at_once = update(&mut model, came(&[])).effects;
        assert!(at_once.is_empty(), "what is so when it opens: {at_once:?}");
        let effects = update(&mut model, came(after)).effects;
        let again = update(&mut model, came(&[])).effects;
        assert!(again.is_empty(), "once: {again:?}");
        effects.into_iter().find_map(|e| match e {
            Effect::Ring(ringing) => Some(ringing),
            _ => None,
        })
    };
    who.iter().map(ring).collect()
}

fn desktop(ringing: &Option<Ringing>) -> &str {
    let lines = ringing.as_ref().map(|r| r.desktop.as_slice());
    match lines {
        Some([line]) => line,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signature_rings_for_those_who_can_give_it_and_a_fired_trigger_for_all() {
    let mut story = Story::begin();
    story.pass(2_000).sign("robin", &["K8"]);
    story.command(
        "robin",
        Command::Withdraw {
            gate: "K8".to_owned(),
            role: None,
        },
    );
    let rung = rings(&story, 1, &["robin", "ada", "dan", "quinn"]);
    assert!(rung[1..].iter().all(Option::is_none), "{rung:?}");
    let wants = "tool-catalogue-7: K8 waits for the signature of: release manager.";
    assert!(desktop(&rung[0]).starts_with(wants), "{rung:?}");

    let mut story = Story::begin();
    story.reach("G1");
    story.happen(Event::TriggerFired {
        trigger: "T3b".to_owned(),
        reason: "5xx \u{1b}]0;gone\u{7} 2 %".to_owned(),
    });
    for rung in rings(&story, 1, &["robin", "dan", "nobody"]) {
        let text = desktop(&rung);
        assert!(text.contains("T3b fired: 5xx"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    }
}

#[test]
fn terminals_are_told_in_their_own_tongue() {
    let rings = |desktop: &[&str]| Ringing {
        desktop: desktop.iter().map(|&line| line.to_owned()).collect(),
    };
    let plain = Capabilities::of(Some("xterm-256color"), None, None);
    assert_eq!(plain.bytes(&rings(&[])), "\u{7}");
    let table = [
        (
            Some("xterm-256color"),
            None,
            None,
            "\u{7}\u{1b}]9;cutover T3b\u{1b}\\",
        ),
        (
            Some("xterm-256color"),
            Some("WezTerm"),
            Some(""),
            "\u{7}\u{1b}]9;cutover T3b\u{1b}\\",
        ),
        (
            Some("foot-extra"),
            None,
            None,
            "\u{7}\u{1b}]777;notify;cutover;T3b\u{1b}\\",
        ),
        (
            Some("rxvt-unicode"),
            None,
            None,
            "\u{7}\u{1b}]777;notify;cutover;T3b\u{1b}\\",
        ),
        (
            Some("xterm-ghostty"),
            Some("ghostty"),
            None,
            "\u{7}\u{1b}]777;notify;cutover;T3b\u{1b}\\",
        ),
        (
            Some("tmux-256color"),
            None,
            Some("/tmp/tmux-0/default,1,0"),
            "\u{7}\u{1b}Ptmux;\u{1b}\u{1b}]9;cutover T3b\u{1b}\u{1b}\\\u{1b}\\",
        ),
    ];
    for (term, program, tmux, bytes) in table {
        let terminal = Capabilities::of(term, program, tmux);
        assert_eq!(
            terminal.bytes(&rings(&["T3b"])),
            bytes,
            "{term:?} {program:?}"
        );
    }
}

#[test]
fn the_clipboard_is_filled_in_the_terminals_tongue_and_within_tmux_in_both() {
    let plain = Capabilities::of(Some("xterm-256color"), None, None);
    let order = "\u{1b}]52;c;Zmllc3Rh\u{1b}\\";
    assert_eq!(plain.copying("fiesta"), order);
    let within = Capabilities::of(Some("tmux-256color"), None, Some("/tmp/tmux-0/default,1,0"));
    let wrapped = "\u{1b}Ptmux;\u{1b}\u{1b}]52;c;Zmllc3Rh\u{1b}\u{1b}\\\u{1b}\\";
    assert_eq!(within.copying("fiesta"), format!("{order}{wrapped}"));
    let hostile = plain.copying("\u{1b}\u{7}\u{9b}");
    assert_eq!(hostile.matches('\u{1b}').count(), 2, "its own two alone");
    assert!(!hostile.contains('\u{7}') && !hostile.contains('\u{9b}'));
    assert!(plain.copying(&"日".repeat(100_000)).len() < 74_000);
}
