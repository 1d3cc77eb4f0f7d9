//! What has happened, the latest last.

use ratatui::layout::Rect;

use super::shared::{filter_row, paragraph, row, window};
use crate::cockpit::actions::Do;
use crate::cockpit::canvas::{Canvas, Head, Piece, piece};
use crate::cockpit::model::Model;
use crate::cockpit::model::telling::Told;
use crate::cockpit::model::ui::{Focus, View};
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;
use crate::format::time_of_day;

/// The panel; the view is the same, larger, with numbers, a cursor and a filter.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let full = model.ui.view == View::Journal;
    let shown = model.shown_events();
    let at = model.selected_event_index(&shown);
    let filtered = full && model.ui.shows_filter();
    let rows = area.height.saturating_sub(2 + u16::from(filtered));
    let first = window(at, shown.len(), usize::from(rows));
    let newer = shown.len().saturating_sub(first + usize::from(rows));
    let key = |act| model.ui.keys.shown(act);
    let legend = format!(
        " {} all of it  {} copy  {} filter ",
        key(Do::Event),
        key(Do::Copy),
        key(Do::Filter)
    );
    let head = Head {
        view: Some(View::Journal),
        title: "Events",
        note: note(model, newer),
        legend: if full { &legend } else { "" },
        focused: model.ui.focus() == Some(Focus::Events),
    };
    let inner = canvas.panel(area, &head);
    let found = (shown.len(), model.events.len());
    let inner = filter_row(canvas, inner, model, Focus::Events, found);
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
