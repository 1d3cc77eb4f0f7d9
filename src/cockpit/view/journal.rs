//! What has happened, the latest last.

use ratatui::layout::Rect;

use super::shared::row;
use crate::cockpit::canvas::{Canvas, Head, piece};
use crate::cockpit::format::time_of_day;
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Focus, View};
use crate::cockpit::theme::Meaning;

/// The panel; the view is the same, larger, with sequence numbers.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let full = model.ui.view == View::Journal;
    let up = model.ui.events_up;
    let mut note = vec![piece(
        format!("{} so far", model.session.seq),
        Meaning::Muted,
    )];
    if up > 0 {
        note.push(piece(format!("  {up} newer below"), Meaning::Warn));
    }
    let head = Head {
        digit: Some(View::Journal.digit()),
        title: "Events",
        note,
        legend: "",
        focused: model.ui.focus() == Some(Focus::Events),
    };
    let inner = canvas.panel(area, &head);
    let height = usize::from(inner.height);
    let end = model.events.len().saturating_sub(up);
    let first = end.saturating_sub(height);
    for (n, told) in model.events.range(first..end).enumerate() {
        let place = row(inner, n as u16);
        let seq = if full {
            format!("{:>5} ", told.seq)
        } else {
            String::new()
        };
        let pieces = [
            piece(seq, Meaning::Muted),
            piece(time_of_day(told.wall, model.zone), Meaning::Muted),
            piece(format!(" {} ", told.glyph), told.meaning),
            piece(told.text.as_str(), told.meaning),
        ];
        canvas.pieces(place.x, place.y, place.width, &pieces);
    }
}
