//! The top of a display that stands still: how old it is, and what has become true since. What fires is not told here: it has the screen
//! at once (`update::still`).

use ratatui::layout::Rect;

use super::shared::{below, row};
use crate::cockpit::actions::Do;
use crate::cockpit::canvas::{Canvas, Piece, piece};
use crate::cockpit::model::Model;
use crate::cockpit::theme::Meaning;
use crate::format::{counted, span, time_of_day};
use crate::session::TriggerPhase;

/// Draws it, where the display stands still; returns the rest of the area.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> Rect {
    if model.still.is_none() || area.height == 0 {
        return area;
    }
    let place = row(area, 0);
    let blank = " ".repeat(usize::from(area.width));
    canvas.write(place.x, place.y, place.width, &blank, Meaning::Input);
    let age = span(model.still_for_ms());
    let key = model.ui.keys.shown(Do::Still);
    let at = time_of_day(model.wall, model.zone);
    let mut all = vec![
        piece(format!(" STANDS STILL {age} "), Meaning::Alarm),
        piece(format!(" [{key}: go on] "), Meaning::Input),
    ];
    all.extend(since(model));
    all.push(piece(format!(" shown is {at}"), Meaning::Input));
    canvas.pieces(place.x, place.y, place.width, &all);
    below(area, 1)
}

/// What is so now, the worst first, and how much has happened.
fn since(model: &Model) -> Vec<Piece<'static>> {
    let live = model.live();
    let mut all = Vec::new();
    if live.is_stale() {
        all.push(piece(" NO ENGINE LIVES ", Meaning::Alarm));
    }
    let burning = live.triggers.iter();
    let burning = burning.filter(|t| t.armed && t.phase == TriggerPhase::Burning);
    let burning: Vec<&str> = burning.map(|t| t.id.as_str()).collect();
    if !burning.is_empty() {
        let text = format!(" BURNING NOW: {} ", burning.join(", "));
        all.push(piece(text, Meaning::Alarm));
    }
    let events = live.session.seq.saturating_sub(model.session.seq);
    if events > 0 {
        let text = format!(" {} since, ", counted(events, "event"));
        all.push(piece(text, Meaning::Input));
        if let Some(last) = live.events.back() {
            let text = format!("the last: {} {} ", last.glyph, last.text);
            all.push(piece(text, Meaning::Input));
        }
    }
    all
}
