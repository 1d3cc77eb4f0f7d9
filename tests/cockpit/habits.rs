//! Keys of one's own, and how much of a screen somebody wants to see: a display that stands still, one panel, other spans, filters in lists.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use cutover::cockpit::actions::called;
use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::{Focus, FormKind, Overlay, View};
use cutover::cockpit::news::News;
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::Theme;
use cutover::cockpit::update::{Effect, Message, update};
use cutover::session::Command;

use super::keys::{press, said, sent};
use super::mouse::drawn_at;
use super::states;
use super::story::Story;

const SIZE: (u16, u16) = (120, 40);

fn text(model: &Model, (width, height): (u16, u16)) -> String {
    snapshot::text(model, &Theme::standard(), width, height)
}

/// The model of somebody who has configured these keys.
fn with_keys(mut model: Model, all: &[(&str, &str)]) -> Model {
    for (name, key) in all {
        let action = called(name).expect("an action");
        let key = key.parse().expect("a key");
        model.ui.keys.bind(action, &[key]).expect("bound");
    }
    assert_eq!(model.ui.keys.clashes(), []);
    model
}

fn strike(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    let event = KeyEvent::new(code, KeyModifiers::NONE);
    update(model, Message::Key(event)).effects
}

/// What the story has told since.
fn come(model: &mut Model, story: &Story) -> Vec<Effect> {
    let seen = model.live().session.seq as usize;
    let news = News {
        entries: story.entries[seen..].to_vec(),
        ..News::default()
    };
    update(model, Message::Came(Box::new(news))).effects
}

#[test]
fn a_key_of_ones_own_does_it_and_every_screen_names_it() {
    let own = [("roll-back", "F9"), ("hold", "R"), ("resume", "R")];
    let mut model = with_keys(states::burning(), &own);
    let shown = text(&model, (160, 50));
    says!(shown, "F9 ROLL BACK");
    says!(shown, "[F9: ROLL BACK]");
    says!(shown, "R hold");
    press(&mut model, "?");
    says!(text(&model, SIZE), "F9              ROLL BACK");
    press(&mut model, "\u{1b}:F9");
    says!(text(&model, SIZE), "▸ F9        ROLL BACK");
    press(&mut model, "\u{1b}R");
    let Some(Overlay::Form(form)) = &model.ui.overlay else {
        panic!("{:?}", model.ui.overlay);
    };
    assert_eq!(form.kind, FormKind::Hold);
}

#[test]
fn a_rollback_by_a_key_of_ones_own_is_confirmed_as_ever() {
    let mut model = with_keys(states::importing(), &[("roll-back", "F9")]);
    assert_eq!(sent(&strike(&mut model, KeyCode::F(9))), []);
    assert_eq!(sent(&press(&mut model, "tool-catalogue\n")), []);
    says!(text(&model, SIZE), "✗ type tool-catalogue-7 to roll back");
    let commands = sent(&press(&mut model, "-7\n"));
    let [Command::RollBack { confirm, .. }] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    assert_eq!(confirm.as_deref(), Some("tool-catalogue-7"));
    // Once a trigger has fired it is one key, and that key alone.
    let mut model = with_keys(states::fired(), &[("roll-back", "F9")]);
    says!(text(&model, SIZE), "F9 begins it now");
    assert_eq!(sent(&press(&mut model, "R")), []);
    says!(said(&model), "R is no key here");
    assert_eq!(sent(&strike(&mut model, KeyCode::F(9))).len(), 1);
}

#[test]
fn the_key_that_leaves_closes_what_lies_over_the_screen_whichever_it_is() {
    let mut model = with_keys(states::burning(), &[("leave", "Q")]);
    for keys in ["?Q", "TQ", "bQ"] {
        assert!(!press(&mut model, keys).iter().any(leaves), "{keys}");
        assert!(model.ui.overlay.is_none(), "{keys}");
    }
    assert!(press(&mut model, "Q").iter().any(leaves));
}

fn leaves(effect: &Effect) -> bool {
    matches!(effect, Effect::Leave(_))
}

#[test]
fn a_display_that_stands_still_says_how_old_it_is_and_commands_nothing() {
    let mut story = states::after_reopening();
    let mut model = story.seen_by("robin");
    press(&mut model, ".");
    let (seq, now_ms) = (model.session.seq, model.now_ms);
    let note = Command::Note {
        text: "more".to_owned(),
    };
    story.command("dan", note);
    come(&mut model, &story);
    let later = Message::Ticked {
        now_ms: Some(now_ms + 42_000),
        wall: model.wall,
    };
    assert!(update(&mut model, later).redraw);
    assert_eq!((model.session.seq, model.now_ms), (seq, now_ms));
    let shown = text(&model, (200, 50));
    says!(shown, "STANDS STILL 0:42");
    says!(shown, "1 event since");
    says!(shown, "STILL 0:42 ");
    for key in ["h", "n", " ", "\n", "E", "w", "o"] {
        assert_eq!(press(&mut model, key), [], "{key}");
        says!(said(&model), "the display stands still");
    }
    // What is shown can be looked at.
    press(&mut model, "7k\n");
    says!(text(&model, SIZE), "Event ");
    press(&mut model, "\u{1b}.");
    assert_eq!(model.session.seq, seq + 1);
    assert_eq!(model.ui.view, View::Journal, "the cursor stays");
    lacks!(text(&model, (200, 50)), "STANDS STILL");
}

#[test]
fn a_trigger_that_fires_has_the_screen_though_the_display_stood_still() {
    let mut story = states::after_reopening();
    let mut model = story.seen_by("robin");
    press(&mut model, ".");
    story.fire("T3a", "5xx too high");
    come(&mut model, &story);
    assert!(model.still.is_none());
    assert_eq!(model.ui.view, View::Rollback);
    let shown = text(&model, SIZE);
    says!(shown, "R begins it now");
    says!(shown, "has gone on by itself");
    press(&mut model, ".");
    assert!(model.still.is_none(), "a countdown does not stand still");
    assert_eq!(sent(&press(&mut model, "R")).len(), 1);
}

#[test]
fn a_rollback_is_decided_by_what_is_true_now() {
    let mut story = states::after_reopening();
    let mut model = story.seen_by("robin");
    press(&mut model, ".");
    let note = Command::Note {
        text: "more".to_owned(),
    };
    story.command("dan", note);
    come(&mut model, &story);
    press(&mut model, "R");
    assert!(model.still.is_none());
    assert_eq!(model.session.seq, story.session.seq);
    says!(text(&model, SIZE), "ROLL BACK");
    assert!(matches!(model.ui.overlay, Some(Overlay::Form(_))));
}

/// Frames of panels: their upper left corners.
fn panels(model: &Model, (width, height): (u16, u16)) -> usize {
    let buf = snapshot::frame(model, &Theme::standard(), width, height);
    let symbols = buf.content.iter().map(|cell| cell.symbol());
    symbols.filter(|s| matches!(*s, "┌" | "┏")).count()
}

#[test]
fn every_panel_can_have_the_screen_and_gives_it_back() {
    let states = [states::burning(), states::crowd(), states::comparing()];
    for size in [(80, 24), (120, 40), (200, 60)] {
        for (state, view) in (0..).zip(View::ALL) {
            let mut model = states[state % states.len()].clone();
            model.ui.view = view;
            drawn_at(&mut model, size);
            let before = text(&model, size);
            let usual = panels(&model, size);
            press(&mut model, "z");
            if usual < 2 {
                says!(said(&model), "it has the screen");
                continue;
            }
            let mut frames = Vec::new();
            for _ in 0..usual {
                drawn_at(&mut model, size);
                assert_eq!(panels(&model, size), 1, "{view:?} at {size:?}");
                model.ui.toast = None;
                frames.push(text(&model, size));
                press(&mut model, "\t");
            }
            model.ui.toast = None;
            assert_eq!(frames[0], text(&model, size), "round {view:?} at {size:?}");
            frames.sort();
            frames.dedup();
            assert_eq!(frames.len(), usual, "{view:?} at {size:?}");
            press(&mut model, "\u{1b}");
            assert_eq!(panels(&model, size), usual, "{view:?} at {size:?}");
            if view != View::Bridge {
                assert_eq!(text(&model, size), before, "{view:?} at {size:?}");
            }
        }
    }
}

#[test]
fn the_panel_that_keys_act_on_has_the_screen_first() {
    let mut model = states::burning();
    model.ui.focus = Focus::Events;
    drawn_at(&mut model, SIZE);
    press(&mut model, "z");
    let shown = text(&model, SIZE);
    says!(shown, "7 Events");
    lacks!(shown, "6 Go / no-go");
    // Nothing of what must be known is hidden with the other panels.
    says!(shown, "ALARM");
    press(&mut model, "z");
    says!(text(&model, SIZE), "6 Go / no-go");
    press(&mut model, "z3");
    assert!(model.ui.zoom.is_none(), "another view has its own panels");
}

#[test]
fn charts_reach_as_far_back_as_somebody_wants() {
    let mut model = states::burning();
    press(&mut model, "4");
    let reaches = |model: &Model| {
        let shown = text(model, SIZE);
        let (_, after) = shown.split_once("last ").expect("a span");
        after.split(' ').next().unwrap_or_default().to_owned()
    };
    assert_eq!(reaches(&model), "30:00", "wide charts reach further");
    drawn_at(&mut model, SIZE);
    press(&mut model, "[");
    says!(said(&model), "the last 15:00");
    press(&mut model, "[");
    assert_eq!(reaches(&model), "5:00");
    press(&mut model, "]]");
    assert_eq!(reaches(&model), "30:00");
    press(&mut model, "[[[[[[[");
    says!(said(&model), "no less than 1:00");
    press(&mut model, "3");
    says!(text(&model, (200, 60)), "1:00 ago");
}

#[test]
fn a_filter_leaves_lines_of_any_list_and_never_of_the_bridge() {
    let mut model = states::comparing();
    let bridge = text(&model, SIZE);
    let all = model.tables().len();
    let names = |model: &Model| {
        let tables = model.tables();
        let shown = model.shown_tables(&tables).into_iter();
        let mut names: Vec<_> = shown.map(|n| tables[n].table.clone()).collect();
        names.sort();
        names
    };
    press(&mut model, "9/toolcontent\n");
    assert_eq!(names(&model), ["ToolContentTags", "ToolContents"]);
    says!(text(&model, SIZE), format!("2 of {all}").as_str());
    press(&mut model, "j\n");
    says!(text(&model, SIZE), "ToolContents");
    press(&mut model, "\u{1b}/zzz\n");
    assert_eq!(names(&model), [""; 0]);
    press(&mut model, "\n");
    says!(
        said(&model),
        "no table has these words: Esc shows all again"
    );
    press(&mut model, "6/zzz\n2/zzz\n");
    says!(text(&model, SIZE), "No line has these words");
    press(&mut model, "1");
    assert_eq!(text(&model, SIZE), bridge, "the bridge shows everything");
    press(&mut model, "9\u{1b}");
    assert_eq!(names(&model).len(), all);
}

#[test]
fn what_a_filter_hides_cannot_be_signed_by_mistake() {
    let mut model = states::half_signed();
    press(&mut model, "6/k7\n");
    assert_eq!(model.shown_gates(), [6]);
    assert_eq!(model.selected_gate().expect("a gate").id, "K7");
    let commands = sent(&press(&mut model, "  "));
    let [Command::Sign { gate, .. }] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    assert_eq!(gate, "K7");
    let mut model = states::half_signed();
    press(&mut model, "6/nobody\n");
    assert_eq!(sent(&press(&mut model, "  ")), []);
    says!(said(&model), "no gate has these words");
}

#[test]
fn steps_and_instances_are_found_by_how_they_stand() {
    let mut model = states::burning();
    press(&mut model, "2/done\n");
    let shown = model.shown_steps();
    assert!(!shown.is_empty() && shown.len() < model.session.steps.len());
    press(&mut model, "k");
    assert!(shown.contains(&model.selected_step()));
    press(&mut model, "5/app-3\n");
    let fleet = text(&model, SIZE);
    says!(fleet, "1 of 6");
    says!(fleet, "app-3");
    press(&mut model, "3");
    assert_eq!(model.ui.filter(), "app-3", "the same list in another view");
}
