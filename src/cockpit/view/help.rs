//! Every key, from the table of actions, and why it does nothing now where it does not.

use ratatui::layout::Rect;

use super::shared::window_over;
use crate::cockpit::actions::{ACTIONS, Action, Do, Group};
use crate::cockpit::canvas::{Canvas, wrap};
use crate::cockpit::model::Model;
use crate::cockpit::theme::Meaning;

/// Columns of key and label before the sentence.
const KEYS: u16 = 16;
const LABEL: u16 = 16;

/// Over the screen.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model, scroll: usize) {
    let keys = format!(
        "↑↓ scroll, {} finds one, {} back",
        model.ui.keys.shown(Do::Palette),
        model.ui.keys.shown(Do::Back)
    );
    let inner = window_over(canvas, area, (110, area.height), "Every key", &keys);
    let lines = lines(model, inner.width);
    let height = usize::from(inner.height);
    let first = canvas.scrolled(scroll, lines.len(), height);
    for (n, line) in lines.iter().skip(first).take(height).enumerate() {
        let y = inner.y + n as u16;
        canvas.write(inner.x + 1, y, KEYS, &line.keys, Meaning::Key);
        canvas.write(
            inner.x + 1 + KEYS,
            y,
            LABEL - 1,
            &line.label,
            Meaning::Title,
        );
        let text = inner.x + line.indent;
        let room = inner.right().saturating_sub(text);
        canvas.write(text, y, room, &line.text, line.meaning);
    }
}

struct Line {
    keys: String,
    label: String,
    indent: u16,
    text: String,
    meaning: Meaning,
}

fn lines(model: &Model, width: u16) -> Vec<Line> {
    let mut all = Vec::new();
    let plain = |text: String, meaning| Line {
        keys: String::new(),
        label: String::new(),
        indent: 1,
        text,
        meaning,
    };
    for group in Group::ALL {
        let actions = ACTIONS.iter().filter(|a| a.group == group);
        let actions: Vec<_> = actions.filter(|a| a.belongs(model)).collect();
        if actions.is_empty() {
            continue;
        }
        if !all.is_empty() {
            all.push(plain(String::new(), Meaning::Text));
        }
        all.push(plain(group.title().to_owned(), Meaning::Title));
        for action in actions {
            explain(&mut all, model, action, width);
        }
    }
    all
}

fn explain(all: &mut Vec<Line>, model: &Model, action: &Action, width: u16) {
    let keys = model.ui.keys.of(action).iter();
    let keys: Vec<String> = keys.map(|k| k.shown()).collect();
    let indent = 1 + KEYS + LABEL;
    let room = width.saturating_sub(indent + 1).max(8);
    let reason = action.now(model).why_not();
    let help = wrap(action.help, room, 4)
        .into_iter()
        .map(|t| (t, Meaning::Text));
    let not_now = reason.map(|why| format!("Not now: {why}"));
    let not_now = not_now
        .iter()
        .flat_map(|why| wrap(why, room, 3))
        .map(|t| (t, Meaning::Muted));
    for (n, (text, meaning)) in help.chain(not_now).enumerate() {
        all.push(Line {
            keys: if n == 0 {
                keys.join(" ")
            } else {
                String::new()
            },
            label: if n == 0 {
                action.label.to_owned()
            } else {
                String::new()
            },
            indent,
            text,
            meaning,
        });
    }
}
