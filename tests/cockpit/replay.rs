//! What was recorded, on the same screen: any position is what a cockpit showed then, nothing can be commanded, and every frame says that
//! it is a replay.

use std::process::Command;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use cutover::cockpit::actions::{ACTIONS, Group};
use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::news::{News, Reading};
use cutover::cockpit::replay::{SPEEDS, Tape};
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::Theme;
use cutover::cockpit::update::{Message, update};
use cutover::session::{Phase, TriggerPhase};

use super::keys::press;
use super::story::beside::printed;
use super::story::{MINUTE, Story};
use super::terminal::Terminal;
use super::{alone, states};
use crate::support;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// A night that ends rolled back, with samples of every five seconds throughout.
fn night() -> (Story, Vec<Reading>) {
    let mut story = states::fired_story();
    story.pass(30_000).roll_back_to("the end").pass(60_000);
    let samples = (0..story.at_ms / 5_000).flat_map(|n| {
        let reading = |signal: &str, value| Reading {
            signal: signal.to_owned(),
            at_ms: n * 5_000,
            value,
        };
        [
            reading(
                "http_5xx_ratio",
                (n % 7 != 0).then_some(0.001 * (n % 5) as f64),
            ),
            reading("ready.app-1", Some(f64::from(u8::from(n % 100 < 90)))),
        ]
    });
    let samples = samples.collect();
    (story, samples)
}

fn tape((story, samples): &(Story, Vec<Reading>)) -> Tape {
    let mut tape = Tape::default();
    tape.extend(News {
        entries: story.entries.clone(),
        samples: samples.clone(),
        output: vec![
            printed("D2", 2_000_000, "late"),
            printed("A2", 700_000, "copied"),
        ],
        ..News::default()
    });
    tape
}

/// Its replay, at the beginning.
pub fn replay() -> Model {
    Model::replay(tape(&night()), zone()).expect("a session")
}

fn zone() -> chrono::FixedOffset {
    chrono::FixedOffset::east_opt(2 * 3_600).expect("a zone")
}

fn text(model: &Model, (width, height): (u16, u16)) -> String {
    snapshot::text(model, &Theme::standard(), width, height)
}

fn said(model: &Model) -> String {
    let toast = model.ui.toast.as_ref();
    toast.map_or_else(String::new, |t| t.text.clone())
}

fn special(model: &mut Model, code: KeyCode) {
    update(model, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)));
}

#[test]
fn any_position_is_the_live_model_of_that_time() {
    let night = night();
    let end_ms = night.0.at_ms;
    let mut replayed = replay();
    // Forwards, backwards and across, at events and between them.
    let steps = (0..60).map(|n| (n * 7_919_i64 * 1_000) % end_ms);
    let at_events = night.0.entries.iter().rev().map(|e| e.at_ms);
    for at_ms in steps.chain(at_events) {
        replayed.seek(at_ms);
        let until = |e: &&cutover::session::Recorded| e.at_ms <= at_ms;
        let entries: Vec<_> = night.0.entries.iter().filter(until).cloned().collect();
        let told = Story {
            session: cutover::session::Session::replay(&entries).expect("a session"),
            entries,
            at_ms,
        };
        let mut live = told.seen_by("robin");
        let samples = night.1.iter().filter(|s| s.at_ms <= at_ms);
        live.take(News {
            samples: samples.cloned().collect(),
            ..News::default()
        });
        assert_eq!(replayed.session, live.session, "at {at_ms}");
        assert_eq!(replayed.events, live.events, "at {at_ms}");
        assert_eq!(replayed.gates, live.gates, "at {at_ms}");
        assert_eq!(replayed.signed, live.signed, "at {at_ms}");
        assert_eq!(replayed.series, live.series, "at {at_ms}");
        assert_eq!(
            (replayed.now_ms, replayed.wall),
            (live.now_ms, live.wall),
            "at {at_ms}"
        );
        assert_eq!(replayed.confidence.score, live.confidence.score);
    }
}

#[test]
fn nothing_of_a_later_time_is_shown_and_what_has_no_past_is_unknown() {
    let mut model = replay();
    model.seek(900_000);
    assert_eq!(model.last_line.as_ref().expect("a line").line, "copied");
    assert!(model.triggers.is_empty() && model.progress.is_empty());
    assert!(model.cost.is_none() && model.feed.is_none());
    for (size, words) in [
        ((200, 60), "who was here is not recorded"),
        ((200, 60), "1 of 6 ready by their probes"),
        ((80, 24), "?M1"),
    ] {
        let text = text(&model, size);
        assert!(text.contains(words), "{words}: {text}");
        assert!(
            !text.contains("STALE") && !text.contains("NO ENGINE"),
            "{text}"
        );
    }
    let lines = |model: &Model| {
        model
            .output
            .iter()
            .map(|l| l.line.clone())
            .collect::<Vec<_>>()
    };
    model.ui.view = View::Steps;
    model.ui.step = model.session.charter.step_index("A2");
    press(&mut model, "o");
    assert_eq!(lines(&model), ["copied"]);
    model.seek(600_000);
    assert_eq!(lines(&model), [""; 0], "not yet printed");
}

#[test]
fn a_burning_fuse_says_at_least_how_long() {
    let mut model = replay();
    press(&mut model, ">");
    let state = &model.session.triggers["T3a"];
    assert_eq!(state.phase, TriggerPhase::Burning);
    model.seek(model.now_ms + 3 * MINUTE);
    let text = text(&model, (200, 60));
    assert!(text.contains("≥3:00 of 10:00"), "{text}");
}

#[test]
fn every_frame_says_that_it_is_a_replay_and_of_when() {
    let mut model = replay();
    let end_ms = model.replay.as_ref().expect("a replay").tape().to_ms();
    let date = model
        .wall
        .with_timezone(&zone())
        .format("%Y-%m-%d")
        .to_string();
    for part in 0..40 {
        model.seek(end_ms * part / 39);
        for keys in ["", "?", "\u{1b}b", "\u{1b}:", "\u{1b}o", "\u{1b}"] {
            press(&mut model, keys);
            model.ui.view = View::ALL[part as usize % View::ALL.len()];
            for size in [(60, 20), (80, 24), (120, 40), (200, 60), (80, 6)] {
                let text = text(&model, size);
                let said = text.contains("REPLAY") && text.contains(&date);
                assert!(said, "{part} {keys:?} {size:?}:\n{text}");
            }
        }
    }
}

#[test]
fn every_commanding_key_says_that_this_is_a_replay() {
    let mut model = replay();
    for at_ms in [0, 700_000, 1_300_000, i64::MAX] {
        model.seek(at_ms);
        let commands = ACTIONS.iter();
        let commands = commands.filter(|a| matches!(a.group, Group::Cutover | Group::Sandbox));
        for action in commands {
            for chord in action.keys.iter().filter(|k| k.code != KeyCode::Char(' ')) {
                let event = KeyEvent::new(chord.code, KeyModifiers::NONE);
                let effects = update(&mut model, Message::Key(event)).effects;
                assert_eq!(effects, [], "{}", action.label);
                assert!(model.ui.overlay.is_none(), "{}", action.label);
                says!(said(&model), "this is a REPLAY");
            }
        }
    }
    let mut live = states::burning();
    press(&mut live, ",");
    assert!(said(&live).contains("in a replay alone"), "{}", said(&live));
    press(&mut live, "?");
    assert!(!text(&live, (120, 200)).contains("In a replay"));
    press(&mut model, "?");
    assert!(text(&model, (120, 200)).contains("In a replay"));
}

#[test]
fn it_plays_at_the_chosen_speed_pauses_and_stands_still_at_the_end() {
    let mut model = replay();
    let passed = |model: &mut Model, ms| update(model, Message::Passed { ms }).redraw;
    assert!(!passed(&mut model, 1_000), "it stands still at first");
    assert_eq!(model.now_ms, 0);
    press(&mut model, " ");
    let mut at_ms = 0;
    for speed in SPEEDS {
        assert!(passed(&mut model, 1_000));
        at_ms += 1_000 * speed;
        assert_eq!(model.now_ms, at_ms);
        press(&mut model, "+");
    }
    press(&mut model, "+-");
    passed(&mut model, 1_000);
    assert_eq!(model.now_ms, at_ms + 16_000);
    press(&mut model, " ");
    assert!(!passed(&mut model, 1_000));
    press(&mut model, "$");
    let end_ms = model.now_ms;
    assert_eq!(model.session.phase, Phase::RolledBack);
    press(&mut model, "-- ");
    assert_eq!(model.now_ms, 0, "what has ended begins again");
    model.seek(end_ms - 500);
    assert!(passed(&mut model, 1_000));
    assert_eq!(model.now_ms, end_ms);
    assert!(!model.replay.as_ref().expect("a replay").is_playing());
}

#[test]
fn it_steps_to_events_steps_signatures_and_trouble_and_back() {
    let mut model = replay();
    let mut times = vec![model.now_ms];
    loop {
        press(&mut model, ".");
        if said(&model).starts_with("no event") {
            break;
        }
        assert!(model.now_ms > times[times.len() - 1]);
        times.push(model.now_ms);
    }
    assert_eq!(model.session.seq, night().0.session.seq);
    for at_ms in times.iter().rev().skip(1) {
        press(&mut model, ",");
        assert_eq!(model.now_ms, *at_ms);
    }
    press(&mut model, ",");
    assert_eq!(said(&model), "no event before this");
    let last = |model: &Model| model.events.back().expect("an event").text.clone();
    press(&mut model, "]]");
    assert_eq!(last(&model), "P2 started: Who is on call", "steps");
    press(&mut model, "[");
    assert!(last(&model).starts_with("P1 started"), "{}", last(&model));
    press(&mut model, "}");
    assert!(last(&model).contains("signed K3"), "{}", last(&model));
    press(&mut model, ">>");
    assert_eq!(model.session.fired.as_ref().expect("fired").trigger, "T3a");
    assert!(text(&model, (120, 40)).contains("FIRED: "));
    press(&mut model, ">");
    assert_eq!(model.session.phase, Phase::RollingBack);
    assert_eq!(model.ui.view, View::Rollback);
    press(&mut model, "<<<{");
    assert!(last(&model).contains("signed K5"), "{}", last(&model));
    assert_eq!(
        model.ui.view,
        View::Bridge,
        "the rollback has not begun yet"
    );
    let at_ms = model.now_ms;
    special(&mut model, KeyCode::Right);
    let scrubbed = model.now_ms - at_ms;
    assert_eq!(scrubbed, tape(&night()).to_ms() / 100);
    special(&mut model, KeyCode::Left);
    assert_eq!(model.now_ms, at_ms);
    press(&mut model, "0");
    assert_eq!(model.now_ms, 0);
}

#[test]
fn a_session_that_goes_on_grows_the_timeline_and_leaves_the_screen() {
    let mut story = Story::begin();
    story.pass(12_000).start();
    let mut tape = Tape::default();
    tape.extend(News {
        entries: story.entries.clone(),
        ..News::default()
    });
    let mut model = Model::replay(tape, zone()).expect("a session");
    press(&mut model, "$");
    let before = model.session.clone();
    let folded = story.entries.len();
    story.pass(60_000);
    story.end(cutover::session::Outcome::done("said"));
    let news = News {
        entries: story.entries.split_off(folded),
        ..News::default()
    };
    update(&mut model, Message::Came(Box::new(news)));
    assert_eq!(model.session, before);
    assert!(text(&model, (120, 40)).contains("0:12 of 1:12"));
    press(&mut model, "$");
    assert_eq!(model.now_ms, 72_000);
}

#[test]
fn replay_word_for_word() {
    let mut model = replay();
    for (name, keys) in [
        ("begun", "]]]."),
        ("burning", "0>"),
        ("fired", ">"),
        ("rolled_back", "$"),
    ] {
        press(&mut model, keys);
        for (width, height) in SIZES {
            let name = format!("replay_{name}_{width}x{height}");
            insta::assert_snapshot!(name, text(&model, (width, height)));
        }
    }
}

#[test]
fn in_a_terminal_it_plays_and_gives_the_terminal_back() {
    let told = alone::told(&night().0);
    let args = ["replay", "--dir", &told.dir, "--at", "10:00"];
    let mut terminal = Terminal::open(&args, told.root.path(), (120, 40));
    terminal
        .shows("REPLAY, read only")
        .shows("‖ 1× ")
        .shows("10:00 of 26:48");
    terminal.press("R").shows("nothing can be commanded in it");
    terminal.press("+++ ").shows("▸ 60×").shows("▲ T3a burns");
    terminal.press(" ").shows("‖ 60×");
    terminal.press("0").shows("0:00 of 26:48");
    terminal.press("\u{1b}[C").shows("0:16 of 26:48");
    terminal.press(">>").shows("T3a FIRED");
    terminal.resize(80, 24).shows("REPLAY").press("q");
    assert_eq!(terminal.ends().exit_code(), 0);
    terminal.assert_restored();
    lacks!(terminal.text(), "NO ENGINE");
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead_and_a_moment_can_be_drawn() {
    let told = alone::told(&night().0);
    let run = |args: &[&str]| {
        let mut command = Command::new(support::cutover());
        let output = command.args(args).args(["--dir", &told.dir]).output();
        let output = output.expect("cutover");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, _, said) = run(&["replay"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("cutover snapshot --at"), "{said}");
    let (code, moment, _) = run(&["snapshot", "--at", "0:24:57"]);
    assert_eq!(code, Some(0));
    assert!(moment.contains("24:57 of 26:48"), "{moment}");
    for wrong in ["24", "1:75", "x:00", "1:2:3:4"] {
        let (code, _, said) = run(&["replay", "--at", wrong]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("such as 12:04"), "{said}");
    }
}

#[test]
fn what_each_instance_carried_is_said_to_be_unknown() {
    let mut model = replay();
    model.seek(night().0.at_ms / 2);
    for view in [View::Traffic, View::Pool] {
        model.ui.view = view;
        for size in SIZES {
            let text = text(&model, size);
            let words = "not recorded: what each instance carried";
            assert!(text.contains(words), "{text}");
            let words = "not recorded: who was connected";
            assert_eq!(text.contains(words), view == View::Pool, "{text}");
        }
    }
}
