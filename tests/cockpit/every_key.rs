//! Every key in every state: it does something that can be seen, or says why not.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use cutover::cockpit::actions::{ACTIONS, Chord, Do};
use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::Theme;
use cutover::cockpit::update::{Effect, Message, update};

use super::keys::press;
use super::states;

/// Sees more than any screen shows at once, so that what changes is not cut off.
fn seen(model: &Model) -> String {
    format!(
        "{:?} {}",
        model.ui.focus,
        snapshot::text(model, &Theme::standard(), 160, 60)
    )
}

fn strike(model: &mut Model, chord: Chord) -> Vec<Effect> {
    let modifiers = match chord.ctrl {
        true => KeyModifiers::CONTROL,
        false => KeyModifiers::NONE,
    };
    let event = KeyEvent::new(chord.code, modifiers);
    update(model, Message::Key(event)).effects
}

/// A cursor at the end of its list stays there without a word.
fn moves(act: Do) -> bool {
    use Do::{Down, First, Last, PageDown, PageUp, Up};
    matches!(act, Up | Down | PageUp | PageDown | First | Last)
}

#[test]
fn every_key_does_something_or_says_why_not() {
    let mut models: Vec<_> = states::all();
    models.push(("failed", states::failed()));
    models.push(("sandbox", states::sandbox().seen_by("robin")));
    models.push(("done", states::done().seen_by("robin")));
    models.push(("stranger", states::sandbox().seen_by("nobody")));
    for (n, (name, model)) in models.iter_mut().enumerate() {
        for view in [View::Bridge, View::ALL[n % View::ALL.len()]] {
            // The countdown has the screen to itself.
            if *name != "fired" {
                model.ui.view = view;
            }
            let before = seen(model);
            for action in ACTIONS {
                for chord in action.keys {
                    let mut model = model.clone();
                    let effects = strike(&mut model, *chord);
                    let told = model.ui.toast.is_some() || seen(&model) != before;
                    assert!(
                        !effects.is_empty() || told || moves(action.act),
                        "{name}, {view:?}: {} ({}) does nothing and does not say why",
                        chord.shown(),
                        action.label
                    );
                }
            }
        }
    }
}

#[test]
fn a_key_that_is_none_says_where_they_are_listed() {
    let said = |model: &Model| model.ui.toast.as_ref().map_or("", |t| &t.text).to_owned();
    let mut model = states::importing();
    assert_eq!(press(&mut model, "ü"), []);
    assert_eq!(said(&model), "ü is no key here: ? lists them, : finds one");
    let f5 = Chord {
        code: KeyCode::F(5),
        ctrl: false,
    };
    strike(&mut model, f5);
    assert!(said(&model).starts_with("F5 is no key"), "{}", said(&model));
    press(&mut model, "nü");
    assert_eq!(said(&model), "", "where something is typed it is typed");
}

#[test]
fn esc_goes_back_from_wherever_one_is() {
    for (name, model) in states::all() {
        if name == "fired" {
            continue;
        }
        for keys in [
            "?", "b", "h", "n", ":", "T", "/ada", "/ada\n", "7k\n", "2j", "6j", "R", "o", "8",
            "2/ada", "6/ada\n", "9/a\n", "4/app\n",
        ] {
            let mut model = model.clone();
            press(&mut model, keys);
            press(&mut model, "\u{1b}\u{1b}\u{1b}");
            assert!(model.ui.overlay.is_none(), "{name}: {keys}");
            assert_eq!(model.ui.view, View::Bridge, "{name}: {keys}");
            assert!(model.ui.filters.are_empty(), "{name}: {keys}");
        }
    }
}
