//! What has happened, the latest last.

use ratatui::layout::Rect;

use super::shared::{below, paragraph, row, window};
use crate::cockpit::canvas::{Canvas, Head, Piece, piece};
use crate::cockpit::format::time_of_day;
use crate::cockpit::model::Model;
use crate::cockpit::model::telling::Told;
use crate::cockpit::model::ui::{Focus, Overlay, View};
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;

/// The panel; the view is the same, larger, with numbers, a cursor and a filter.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let full = model.ui.view == View::Journal;
    let shown = model.shown_events();
    let at = model.selected_event_index(&shown);
    let typing = full && model.ui.overlay == Some(Overlay::Filter);
    let filtered = full && (typing || !model.ui.filter.is_empty());
    let rows = area.height.saturating_sub(2 + u16::from(filtered));
    let first = window(at, shown.len(), usize::from(rows));
    let newer = shown.len().saturating_sub(first + usize::from(rows));
    let head = Head {
        digit: Some(View::Journal.digit()),
        title: "Events",
        note: note(model, newer),
        legend: if full {
            " Enter all of it  y copy  / filter "
        } else {
            ""
        },
        focused: model.ui.focus() == Some(Focus::Events),
    };
    let mut inner = canvas.panel(area, &head);
    if filtered && inner.height > 0 {
        draw_filter(canvas, row(inner, 0), model, typing, shown.len());
        inner = below(inner, 1);
    }
    if shown.is_empty() {
        let text = "No event has these words.";
        paragraph(canvas, inner, text, Meaning::Muted);
    }
    let chosen = head.focused && (full || model.ui.event.is_some());
    let window = shown.iter().enumerate().skip(first);
    for (n, told) in window.take(usize::from(inner.height)) {
        let place = row(inner, (n - first) as u16);
        let here = chosen && n == at;
        draw_line(canvas, place, model, told, here);
        canvas.target(place, Target::Event(told.seq));
        if here {
            canvas.overlay(place, Meaning::Selection);
        }
    }
}

fn note(model: &Model, newer: usize) -> Vec<Piece<'static>> {
    let so_far = format!("{} so far", model.session.seq);
    let mut note = vec![piece(so_far, Meaning::Muted)];
    if newer > 0 {
        note.push(piece(format!("  {newer} newer below"), Meaning::Warn));
    }
    note
}

fn draw_filter(canvas: &mut Canvas<'_>, place: Rect, model: &Model, typing: bool, found: usize) {
    let blank = " ".repeat(usize::from(place.width));
    canvas.write(place.x, place.y, place.width, &blank, Meaning::Input);
    let cursor = if typing { "▏" } else { "" };
    let text = format!("/{}{cursor}", model.ui.filter);
    let used = canvas.write(place.x, place.y, place.width, &text, Meaning::Input);
    let rest = Rect {
        x: place.x + used,
        width: place.width - used,
        ..place
    };
    let count = format!("  {found} of {} ", model.events.len());
    if canvas.columns(&count) <= rest.width {
        canvas.write_right(rest, &count, Meaning::Input);
    }
}

fn draw_line(canvas: &mut Canvas<'_>, place: Rect, model: &Model, told: &Told, here: bool) {
    let seq = if model.ui.view == View::Journal {
        format!("{:>5} ", told.seq)
    } else {
        String::new()
    };
    let pieces = [
        piece(seq, Meaning::Muted),
        piece(time_of_day(told.wall, model.zone), Meaning::Muted),
        piece(if here { "▸" } else { " " }, Meaning::Accent),
        piece(format!("{} ", told.glyph), told.meaning),
        piece(told.text.as_str(), told.meaning),
    ];
    canvas.pieces(place.x, place.y, place.width, &pieces);
}
