//! Keys while an action is searched for. Not in here: what is found (`actions::search`), and how it looks.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Motion, PAGE, Update, attempt};
use crate::cockpit::actions::search::found;
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Overlay, Palette};

/// Handles a key; `None` leaves it to the table of actions.
pub fn on_key(model: &mut Model, mut palette: Palette, event: KeyEvent) -> Option<Update> {
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    match event.code {
        KeyCode::Esc => return close(model),
        KeyCode::Char('c') if ctrl => return close(model),
        KeyCode::Char('z' | 'l') if ctrl => return None,
        KeyCode::Enter => return Some(chosen(model, &palette)),
        // What is searched backwards from nothing is left.
        KeyCode::Backspace if palette.query.is_empty() => return close(model),
        KeyCode::Backspace => {
            palette.query.pop();
            palette.at = 0;
        }
        KeyCode::Char('u') if ctrl => palette = Palette::default(),
        KeyCode::Char(c) if !ctrl => palette.insert(c.encode_utf8(&mut [0; 4])),
        code => {
            if let Some(motion) = motion(code, ctrl) {
                let keys = &model.ui.keys;
                let found = found(&palette.query, keys, |a| a.belongs(model));
                palette.at = motion.apply(palette.at, found.len());
            }
        }
    }
    model.ui.overlay = Some(Overlay::Palette(palette));
    Some(Update::redraw())
}

/// A line was clicked: the cursor goes there, and where it is already, that is done.
pub fn on_line(model: &mut Model, mut palette: Palette, n: usize) -> Update {
    if palette.at == n {
        return chosen(model, &palette);
    }
    palette.at = n;
    model.ui.overlay = Some(Overlay::Palette(palette));
    Update::redraw()
}

/// Letters are typed here, so that they do not move.
fn motion(code: KeyCode, ctrl: bool) -> Option<Motion> {
    Some(match code {
        KeyCode::Up | KeyCode::BackTab => Motion::Up(1),
        KeyCode::Down | KeyCode::Tab => Motion::Down(1),
        KeyCode::Char('p') if ctrl => Motion::Up(1),
        KeyCode::Char('n') if ctrl => Motion::Down(1),
        KeyCode::PageUp => Motion::Up(PAGE),
        KeyCode::PageDown => Motion::Down(PAGE),
        KeyCode::Home => Motion::First,
        KeyCode::End => Motion::Last,
        _ => return None,
    })
}

fn close(model: &mut Model) -> Option<Update> {
    model.ui.overlay = None;
    Some(Update::redraw())
}

/// Does it as its key would, and says why not as its key would.
fn chosen(model: &mut Model, palette: &Palette) -> Update {
    let found = found(&palette.query, &model.ui.keys, |a| a.belongs(model));
    let Some(action) = found.get(palette.at).copied() else {
        return Update::redraw();
    };
    model.ui.overlay = None;
    let availability = action.now(model);
    attempt(model, action.act, availability)
}
