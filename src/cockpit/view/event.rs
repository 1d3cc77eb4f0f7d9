//! All of an event over the screen. Not in here: which fields it has (`model::whole`).

use ratatui::layout::Rect;

use super::shared::{inset, paragraph, window_over};
use crate::cockpit::actions::Do;
use crate::cockpit::canvas::{Canvas, columns, piece, wrap};
use crate::cockpit::model::Model;
use crate::cockpit::model::whole::{self, Field};
use crate::cockpit::theme::Meaning;

/// The widest names get no more columns than this.
const NAMES: u16 = 44;
/// The longest value, in rows.
const ROWS: usize = 200;

/// Over the screen.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model, seq: u64, scroll: usize) {
    let Some(told) = model.event(seq) else {
        let place = inset(window_over(canvas, area, (60, 5), "Event", "Esc back"));
        let text = if seq > model.session.seq {
            format!("Event {seq} has not happened yet at this time.")
        } else {
            format!("Event {seq} is too long ago for this screen; the journal has it.")
        };
        paragraph(canvas, place, &text, Meaning::Muted);
        return;
    };
    let fields = whole::fields(told, model.zone);
    let width = area.width.min(110);
    let room = width.saturating_sub(4);
    let widest = fields.iter().map(|f| columns(&f.name)).max();
    let names = widest.unwrap_or(0).min(NAMES).min(room / 2);
    let lines: Vec<_> = fields.iter().flat_map(|f| rows(f, names, room)).collect();
    let size = (width, u16::try_from(lines.len() + 2).unwrap_or(u16::MAX));
    let title = format!("Event {seq}");
    let keys = format!(
        "↑↓ scroll, {} copies, Esc back",
        model.ui.keys.shown(Do::Copy)
    );
    let inner = inset(window_over(canvas, area, size, &title, &keys));
    let height = usize::from(inner.height);
    let first = canvas.scrolled(scroll, lines.len(), height);
    for (n, (name, value)) in lines.iter().skip(first).take(height).enumerate() {
        let y = inner.y + n as u16;
        canvas.write(inner.x, y, names, name, Meaning::Muted);
        let x = inner.x + names + 2;
        let meaning = if name == "in words" {
            told.meaning
        } else {
            Meaning::Text
        };
        let pieces = [piece(value.as_str(), meaning)];
        canvas.pieces(x, y, inner.right().saturating_sub(x), &pieces);
    }
}

/// A field in as many rows as its value needs; the name stands before the first.
fn rows(field: &Field, names: u16, room: u16) -> Vec<(String, String)> {
    let width = room.saturating_sub(names + 2).max(1);
    let mut lines = wrap(&field.value, width, ROWS);
    if lines.is_empty() {
        lines.push(String::new());
    }
    let name = |n: usize| match n {
        0 => field.name.clone(),
        _ => String::new(),
    };
    let lines = lines.into_iter().enumerate();
    lines.map(|(n, line)| (name(n), line)).collect()
}
