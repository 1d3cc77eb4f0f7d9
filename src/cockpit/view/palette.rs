//! Actions by their words: what is found, whether it can be done now and, in full for the one under the cursor, why not.

use ratatui::layout::Rect;

use super::shared::{below, inset, paragraph, row, window, window_over};
use crate::cockpit::actions::Action;
use crate::cockpit::actions::search::found;
use crate::cockpit::canvas::{Canvas, piece};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::Palette;
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;

/// Columns of key and label before the sentence.
const KEY: usize = 10;
const LABEL: usize = 16;
/// Rows for the sentence and the reason of what is under the cursor.
const FOOT: u16 = 4;

/// Over the screen.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model, palette: &Palette) {
    let size = (100, area.height.saturating_sub(4).min(26));
    let keys = "↑↓ choose, Enter does it, Esc back";
    let inner = inset(window_over(canvas, area, size, "Find an action", keys));
    if inner.height == 0 {
        return;
    }
    draw_query(canvas, row(inner, 0), &palette.query);
    let found = found(&palette.query, &model.ui.keys, |a| a.belongs(model));
    let rest = below(inner, 1);
    // In a small window the list comes first.
    let foot = if rest.height > 2 * FOOT { FOOT } else { 0 };
    let list = Rect {
        height: rest.height - foot,
        ..rest
    };
    if found.is_empty() {
        paragraph(canvas, list, "No action has these words.", Meaning::Muted);
        return;
    }
    let at = palette.at.min(found.len() - 1);
    let height = usize::from(list.height);
    let first = window(at, found.len(), height);
    for (n, action) in found.iter().enumerate().skip(first).take(height) {
        let place = row(list, (n - first) as u16);
        draw_line(canvas, place, model, action, n == at);
        canvas.target(place, Target::Line(n));
    }
    if foot > 0 {
        draw_foot(canvas, below(rest, list.height), model, found[at]);
    }
}

fn draw_query(canvas: &mut Canvas<'_>, place: Rect, query: &str) {
    let blank = " ".repeat(usize::from(place.width));
    canvas.write(place.x, place.y, place.width, &blank, Meaning::Input);
    let text = format!(":{query}▏");
    canvas.write(place.x, place.y, place.width, &text, Meaning::Input);
}

fn draw_line(canvas: &mut Canvas<'_>, place: Rect, model: &Model, action: &Action, here: bool) {
    // The mark says it too, where colours do not.
    let (key, label, sentence) = match action.now(model).why_not() {
        None => (
            Meaning::Key,
            Meaning::Title,
            piece(action.help, Meaning::Text),
        ),
        Some(why) => (
            Meaning::Muted,
            Meaning::Muted,
            piece(format!("· {why}"), Meaning::Muted),
        ),
    };
    let pieces = [
        piece(if here { "▸ " } else { "  " }, Meaning::Accent),
        piece(
            format!("{:<KEY$}", model.ui.keys.first(action).shown()),
            key,
        ),
        piece(format!("{:<LABEL$}", action.label), label),
        sentence,
    ];
    canvas.pieces(place.x, place.y, place.width, &pieces);
    if here {
        canvas.overlay(place, Meaning::Selection);
    }
}

fn draw_foot(canvas: &mut Canvas<'_>, area: Rect, model: &Model, action: &Action) {
    let used = paragraph(canvas, area, action.help, Meaning::Text);
    if let Some(why) = action.now(model).why_not() {
        let why = format!("Not now: {why}");
        paragraph(canvas, below(area, used), &why, Meaning::Warn);
    }
}
