//! The mouse: a click does what was drawn under it, the wheel moves the list under it, and neither does more than the key.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use cutover::cockpit::actions::Do;
use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::{Focus, Overlay, View};
use cutover::cockpit::target::Target;
use cutover::cockpit::theme::Theme;
use cutover::cockpit::update::{Effect, Message, Parting, update};
use cutover::cockpit::{snapshot, view};
use cutover::session::Command;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::keys::press;
use super::states;

const SIZE: (u16, u16) = (120, 40);

/// What is clickable now, as the screen was drawn last.
fn drawn(model: &mut Model) {
    drawn_at(model, SIZE);
}

pub fn drawn_at(model: &mut Model, (width, height): (u16, u16)) {
    let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
    let targets = view::draw(model, &Theme::standard(), &mut buf);
    update(model, Message::Drawn(targets));
}

pub fn at(model: &mut Model, kind: MouseEventKind, (column, row): (u16, u16)) -> Vec<Effect> {
    let event = MouseEvent {
        kind,
        column,
        row,
        modifiers: KeyModifiers::NONE,
    };
    update(model, Message::Mouse(event)).effects
}

/// The middle of where this is drawn.
fn place(model: &mut Model, target: Target) -> (u16, u16) {
    drawn(model);
    let area = model.ui.targets.place(target);
    let area = area.unwrap_or_else(|| panic!("{target:?} is not on the screen"));
    (area.x + area.width / 2, area.y + area.height / 2)
}

fn click(model: &mut Model, target: Target) -> Vec<Effect> {
    let place = place(model, target);
    assert_eq!(model.ui.targets.at(place.0, place.1), Some(target));
    press_and_let_go(model, place)
}

/// As a hand does it, and a terminal tells it.
pub fn press_and_let_go(model: &mut Model, place: (u16, u16)) -> Vec<Effect> {
    let mut effects = at(model, MouseEventKind::Down(MouseButton::Left), place);
    effects.extend(at(model, MouseEventKind::Up(MouseButton::Left), place));
    effects
}

fn turn(model: &mut Model, target: Target, kind: MouseEventKind) -> Vec<Effect> {
    let place = place(model, target);
    at(model, kind, place)
}

fn said(model: &Model) -> &str {
    model.ui.toast.as_ref().map_or("", |t| &t.text)
}

#[test]
fn a_click_selects_a_row_and_focuses_its_panel() {
    let mut model = states::half_signed();
    click(&mut model, Target::Step(2));
    assert_eq!((model.ui.focus, model.ui.step), (Focus::Steps, Some(2)));
    click(&mut model, Target::Gate(4));
    assert_eq!((model.ui.focus, model.ui.gate), (Focus::Gates, Some(4)));
    let effects = click(&mut model, Target::Panel(View::Traffic));
    assert_eq!(effects, [Effect::Present(View::Traffic)]);
    let effects = click(&mut model, Target::Action(Do::Show(View::Gates)));
    assert_eq!(effects, [Effect::Present(View::Gates)]);
    click(&mut model, Target::Gate(0));
    assert_eq!(model.ui.gate, Some(0));
}

#[test]
fn a_click_on_a_key_does_what_the_key_does() {
    let mut model = states::fresh();
    let step = Some("P1".to_owned());
    let effects = click(&mut model, Target::Action(Do::Start));
    let [Effect::Send { command, .. }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(*command, Command::StartStep { step });
    let mut model = states::importing();
    click(&mut model, Target::Action(Do::RollBack));
    assert!(
        matches!(model.ui.overlay, Some(Overlay::Form(_))),
        "its name is still typed"
    );
    let mut model = states::importing();
    let effects = click(&mut model, Target::Action(Do::Leave));
    assert_eq!(effects, [Effect::Leave(Parting::Asked)]);
}

#[test]
fn a_slip_of_the_mouse_does_not_roll_back_where_one_key_would() {
    let mut model = states::fired();
    assert_eq!(click(&mut model, Target::Action(Do::RollBack)), []);
    assert!(said(&model).contains("press R"), "{}", said(&model));
    assert_eq!(press(&mut model, "R").len(), 1);
}

#[test]
fn the_wheel_moves_the_list_under_it() {
    let mut model = states::burning();
    let was = (model.ui.focus, model.selected_gate_index());
    turn(
        &mut model,
        Target::List(Focus::Events),
        MouseEventKind::ScrollUp,
    );
    let seq = model.session.seq;
    assert_eq!(model.ui.event, Some(seq - 3));
    assert_eq!((model.ui.focus, model.selected_gate_index()), was);
    turn(
        &mut model,
        Target::Event(seq - 3),
        MouseEventKind::ScrollDown,
    );
    assert_eq!(model.ui.event, None, "the latest is followed again");
    press(&mut model, "?");
    turn(&mut model, Target::Window, MouseEventKind::ScrollDown);
    assert_eq!(model.ui.overlay, Some(Overlay::Help { scroll: 3 }));
}

#[test]
fn what_is_read_scrolls_to_its_end_and_no_further() {
    let mut model = states::burning();
    for keys in ["?", "7\n"] {
        press(&mut model, keys);
        drawn(&mut model);
        press(&mut model, "G");
        drawn(&mut model);
        let end = snapshot::text(&model, &Theme::standard(), SIZE.0, SIZE.1);
        press(&mut model, "jjjjjk");
        let above = snapshot::text(&model, &Theme::standard(), SIZE.0, SIZE.1);
        assert_eq!(
            end != above,
            keys == "?",
            "{keys}: one key up shows one line more"
        );
        press(&mut model, "\u{1b}");
    }
}

#[test]
fn a_click_on_the_timeline_goes_to_what_happened_there() {
    let mut model = super::replay::replay();
    drawn(&mut model);
    press(&mut model, ">");
    let burns = model.now_ms;
    press(&mut model, "0");
    assert!(model.now_ms < burns);
    drawn(&mut model);
    let place = model.ui.targets.place(Target::Moment(burns));
    let place = place.expect("a mark on the timeline");
    at(
        &mut model,
        MouseEventKind::Down(MouseButton::Left),
        (place.x, place.y),
    );
    assert_eq!(model.now_ms, burns);
}

#[test]
fn an_event_is_selected_by_one_click_and_read_by_another() {
    let mut model = states::burning();
    press(&mut model, "7");
    let seq = model.session.seq - 4;
    click(&mut model, Target::Event(seq));
    assert_eq!(model.ui.event, Some(seq));
    assert!(model.ui.overlay.is_none());
    click(&mut model, Target::Event(seq));
    let read = Overlay::Event { seq, scroll: 0 };
    assert_eq!(model.ui.overlay, Some(read));
    assert_eq!(click(&mut model, Target::Window), []);
    assert!(model.ui.overlay.is_some());
    drawn(&mut model);
    assert_eq!(model.ui.targets.at(0, 0), Some(Target::Beside));
    at(&mut model, MouseEventKind::Down(MouseButton::Left), (0, 0));
    assert!(model.ui.overlay.is_none(), "beside it is back");
}

#[test]
fn lines_to_choose_from_are_chosen_by_two_clicks_and_nothing_below_is_reached() {
    let mut model = states::importing();
    press(&mut model, "T");
    let set_theme = |name: &str| vec![Effect::SetTheme(name.to_owned())];
    assert_eq!(
        click(&mut model, Target::Line(2)),
        set_theme("mono"),
        "shown"
    );
    assert_eq!(model.ui.look.theme, "default");
    assert_eq!(
        click(&mut model, Target::Line(2)),
        set_theme("mono"),
        "chosen"
    );
    assert_eq!(model.ui.look.theme, "mono");
    press(&mut model, ":journal");
    click(&mut model, Target::Line(0));
    assert_eq!(model.ui.view, View::Journal);
    press(&mut model, "nlooks");
    drawn(&mut model);
    for y in 0..SIZE.1 {
        for x in 0..SIZE.0 {
            assert_eq!(press_and_let_go(&mut model, (x, y)), [], "{x} {y}");
        }
    }
    let commands = press(&mut model, " good\n");
    let [Effect::Send { command, .. }] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    let text = "looks good".to_owned();
    assert_eq!(*command, Command::Note { text });
}

/// Every place of every view, clicked: no command but those of the keys that the footer shows.
#[test]
fn no_click_anywhere_does_what_cannot_be_taken_back() {
    for (name, model) in states::all() {
        for view in View::ALL {
            let mut model = model.clone();
            model.ui.view = view;
            drawn(&mut model);
            let mut seen = Vec::new();
            for (x, y) in (0..SIZE.1).flat_map(|y| (0..SIZE.0).map(move |x| (x, y))) {
                let Some(target) = model.ui.targets.at(x, y).filter(|t| !seen.contains(t)) else {
                    continue;
                };
                seen.push(target);
                let mut model = model.clone();
                for effect in press_and_let_go(&mut model, (x, y)) {
                    let Effect::Send { command, .. } = effect else {
                        continue;
                    };
                    let harmless = matches!(command, Command::StartStep { .. } | Command::Resume);
                    assert!(harmless, "{name}, {view:?}, {target:?}: {command:?}");
                }
            }
        }
    }
}

#[test]
fn the_key_that_gives_the_mouse_back_is_named_in_help() {
    let mut model = states::importing();
    assert_eq!(press(&mut model, "M"), [Effect::Mouse(false)]);
    assert!(said(&model).contains("M takes it again"));
    assert_eq!(press(&mut model, "M"), [Effect::Mouse(true)]);
    press(&mut model, ":mouse");
    let text = snapshot::text(&model, &Theme::standard(), 120, 40);
    assert!(text.contains("CUTOVER_MOUSE=off"), "{text}");
}
