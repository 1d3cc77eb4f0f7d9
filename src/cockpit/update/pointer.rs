//! Clicks, drags and the wheel, by what was drawn under them. Not in here: what was drawn where (`target`).

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::motion::{Motion, move_cursor, move_in};
use super::{Update, attempt, overlay, replay, resize, say};
use crate::cockpit::actions::{ACTIONS, Do};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Focus, Overlay, View};
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;
use crate::session::Phase;

/// Lines that the wheel moves at once.
const WHEEL: usize = 3;

/// Does what a click or a turn of the wheel means here.
pub fn on_mouse(model: &mut Model, event: MouseEvent) -> Update {
    let target = model.ui.targets.at(event.column, event.row);
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => {
            model.ui.toast = None;
            let taken = resize::take(model, event.column, event.row);
            taken.unwrap_or_else(|| pressed(model, target))
        }
        MouseEventKind::Drag(MouseButton::Left) => resize::drag(model, event.column, event.row),
        MouseEventKind::Up(MouseButton::Left) => match resize::let_go(model, target) {
            Some(true) => pressed(model, target),
            Some(false) => Update::redraw(),
            None => Update::nothing(),
        },
        MouseEventKind::ScrollUp => wheeled(model, target, KeyCode::Up),
        MouseEventKind::ScrollDown => wheeled(model, target, KeyCode::Down),
        _ => Update::nothing(),
    }
}

fn pressed(model: &mut Model, target: Option<Target>) -> Update {
    target.map_or_else(Update::redraw, |target| clicked(model, target))
}

fn clicked(model: &mut Model, target: Target) -> Update {
    match target {
        Target::List(list) => model.ui.focus = list,
        Target::Gate(n) => (model.ui.focus, model.ui.gate) = (Focus::Gates, Some(n)),
        Target::Step(n) => (model.ui.focus, model.ui.step) = (Focus::Steps, Some(n)),
        Target::Event(seq) => return event(model, seq),
        Target::Table(n) if model.selected_table_index() == n => return act(model, Do::Table),
        Target::Table(n) => model.ui.table = Some(n),
        Target::Panel(view) => return act(model, Do::Show(view)),
        Target::Action(wanted) => return act(model, wanted),
        Target::Line(n) => return overlay::on_line(model, n),
        Target::Moment(at_ms) => return replay::sought(model, at_ms),
        Target::Window => {}
        // What was typed is not lost by a click beside it.
        Target::Beside if matches!(model.ui.overlay, Some(Overlay::Form(_))) => {}
        Target::Beside => return press(model, KeyCode::Esc),
    }
    Update::redraw()
}

/// The cursor goes there; in the journal, where it is already, the event is read.
fn event(model: &mut Model, seq: u64) -> Update {
    model.ui.focus = Focus::Events;
    let was = model.selected_event().map(|told| told.seq);
    if model.ui.view == View::Journal && was == Some(seq) {
        return act(model, Do::Event);
    }
    let latest = model.shown_events().last().map(|told| told.seq);
    model.ui.event = Some(seq).filter(|_| latest != Some(seq));
    Update::redraw()
}

/// As its key would. A rollback that nothing more is typed for wants the key itself: a hand slips on a mouse.
fn act(model: &mut Model, wanted: Do) -> Update {
    let at_once = model.session.fired.is_some() && model.session.phase == Phase::Open;
    if wanted == Do::RollBack && at_once {
        let key = model.ui.keys.shown(Do::RollBack);
        let text = format!("a click does not roll back: press {key}");
        say(model, text, Meaning::Warn);
        return Update::redraw();
    }
    let action = ACTIONS.iter().find(|action| action.act == wanted);
    match action.map(|action| action.now(model)) {
        Some(availability) => attempt(model, wanted, availability),
        None => Update::nothing(),
    }
}

/// The list under the wheel moves, or what lies over the screen; what is typed into stays.
fn wheeled(model: &mut Model, target: Option<Target>, key: KeyCode) -> Update {
    match &model.ui.overlay {
        Some(Overlay::Form(_)) => return Update::nothing(),
        Some(Overlay::Pick(_) | Overlay::Palette(_)) => return press(model, key),
        Some(Overlay::Filter) | None => {}
        Some(_) => {
            for _ in 1..WHEEL {
                press(model, key);
            }
            return press(model, key);
        }
    }
    let motion = match key {
        KeyCode::Up => Motion::Up(WHEEL),
        _ => Motion::Down(WHEEL),
    };
    match target {
        Some(Target::List(list)) => move_in(model, list, motion),
        Some(Target::Gate(_)) => move_in(model, Focus::Gates, motion),
        Some(Target::Step(_)) => move_in(model, Focus::Steps, motion),
        Some(Target::Table(_)) => move_in(model, Focus::Tables, motion),
        Some(Target::Event(_)) => move_in(model, Focus::Events, motion),
        _ if model.ui.view == View::Bridge => Update::nothing(),
        _ => move_cursor(model, motion),
    }
}

fn press(model: &mut Model, code: KeyCode) -> Update {
    let event = KeyEvent::new(code, KeyModifiers::NONE);
    overlay::on_key(model, event).unwrap_or_default()
}
