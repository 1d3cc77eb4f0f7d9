//! Keys while the filter of a list is typed. Not in here: which lines it finds (`model::filter`, `Model::shown_events`).

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Motion, PAGE, Update, move_cursor};
use crate::cockpit::model::Model;

/// Handles a key; `None` leaves it to the table of actions. What is typed counts at once.
pub fn on_key(model: &mut Model, event: KeyEvent) -> Option<Update> {
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    match event.code {
        KeyCode::Esc => return drop_it(model),
        KeyCode::Char('c') if ctrl => return drop_it(model),
        KeyCode::Char('z' | 'l') if ctrl => return None,
        KeyCode::Enter => model.ui.overlay = None,
        KeyCode::Backspace if model.ui.filter().is_empty() => model.ui.overlay = None,
        KeyCode::Backspace => {
            if let Some(filter) = model.ui.filter_mut() {
                filter.pop();
            }
        }
        KeyCode::Char('u') if ctrl => model.ui.drop_filter(),
        KeyCode::Char(c) if !ctrl => model.ui.insert_into_filter(c.encode_utf8(&mut [0; 4])),
        KeyCode::Up => return Some(move_cursor(model, Motion::Up(1))),
        KeyCode::Down => return Some(move_cursor(model, Motion::Down(1))),
        KeyCode::PageUp => return Some(move_cursor(model, Motion::Up(PAGE))),
        KeyCode::PageDown => return Some(move_cursor(model, Motion::Down(PAGE))),
        _ => {}
    }
    Some(Update::redraw())
}

fn drop_it(model: &mut Model) -> Option<Update> {
    model.ui.overlay = None;
    model.ui.drop_filter();
    Some(Update::redraw())
}
