//! Lines between panels, moved by mouse and by keys. Not in here: where a line can be (`split`).

use super::{Update, say};
use crate::cockpit::actions::Way;
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Held, Overlay};
use crate::cockpit::split::Placed;
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;

/// Columns that a key moves a line by; rows are one.
const COLUMNS: i32 = 2;

/// Takes the line at this place, if there is one.
pub fn take(model: &mut Model, x: u16, y: u16) -> Option<Update> {
    // A button that went up beyond the window's edge told nobody.
    model.ui.held = None;
    // What lies over the screen covers its lines; the journal's filter is typed within a panel.
    if !matches!(model.ui.overlay, None | Some(Overlay::Filter)) {
        return None;
    }
    let placed = model.ui.targets.line_at(x, y)?;
    model.ui.held = Some(Held {
        line: placed.line,
        off: placed.before(x, y) - i32::from(placed.at),
        has_moved: false,
        pressed: model.ui.targets.at(x, y),
    });
    Some(Update::redraw())
}

/// The pointer goes on with a button down.
pub fn drag(model: &mut Model, x: u16, y: u16) -> Update {
    let Some(held) = model.ui.held else {
        return Update::nothing();
    };
    let Some(placed) = model.ui.targets.line(held.line).copied() else {
        return Update::nothing();
    };
    let wanted = placed.before(x, y) - held.off;
    if wanted == i32::from(placed.at) && !held.has_moved {
        return Update::nothing();
    }
    model.ui.held = Some(Held {
        has_moved: true,
        ..held
    });
    put(model, &placed, wanted);
    Update::redraw()
}

/// The button is up again over this: whether it was a click, where no line was moved and the screen has not changed below the pointer.
pub fn let_go(model: &mut Model, target: Option<Target>) -> Option<bool> {
    let held = model.ui.held.take()?;
    let is_there = model.ui.targets.line(held.line).is_some();
    Some(!held.has_moved && is_there && held.pressed == target)
}

/// A key moves the line beside the panel that keys act on.
pub fn by_key(model: &mut Model, way: Way) -> Update {
    let Some(placed) = model.ui.targets.line_of_keys(way.axis()).copied() else {
        return Update::nothing();
    };
    let step = match way {
        Way::Left => -COLUMNS,
        Way::Right => COLUMNS,
        Way::Up => -1,
        Way::Down => 1,
    };
    let before = placed.at;
    if put(model, &placed, i32::from(placed.at) + step) == before {
        let text = "the line goes no further: what is beside it would be lost";
        say(model, text.to_owned(), Meaning::Muted);
    }
    Update::redraw()
}

/// Every panel has its usual size.
pub fn give_back(model: &mut Model) -> Update {
    model.ui.splits.clear();
    say(
        model,
        "every panel has its usual size".to_owned(),
        Meaning::Ok,
    );
    Update::redraw()
}

fn put(model: &mut Model, placed: &Placed, wanted: i32) -> u16 {
    let at = model.ui.splits.put(placed, wanted);
    model.ui.targets.moved(placed.line, at);
    at
}
