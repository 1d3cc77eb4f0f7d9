//! The foot of every frame of a replay: that it is one, of when, how fast it goes, and where in the whole it is.

use ratatui::layout::Rect;

use super::shared::row;
use crate::cockpit::canvas::{Canvas, columns, piece, width_of};
use crate::cockpit::model::Model;
use crate::cockpit::replay::{Mark, Replay};
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;
use crate::format::{date_and_time, span};

/// Below this height the line without the track has to do.
const TRACK_FROM: u16 = 14;

/// Draws it, where this is a replay; returns the rest of the area.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> Rect {
    let Some(replay) = &model.replay else {
        return area;
    };
    let rows = match area.height {
        0 => return area,
        h if h >= TRACK_FROM => 2,
        _ => 1,
    };
    let rest = Rect {
        height: area.height - rows,
        ..area
    };
    told(canvas, row(area, rest.height), model, replay);
    if rows > 1 {
        track(canvas, row(area, rest.height + 1), model, replay);
    }
    rest
}

/// ` REPLAY ▸ 4×  2026-09-22 03:12:40 +02:00  12:04 of 1:40:02 │ ✗ T3a FIRED: …`.
fn told(canvas: &mut Canvas<'_>, area: Rect, model: &Model, replay: &Replay) {
    let blank = " ".repeat(usize::from(area.width));
    canvas.write(area.x, area.y, area.width, &blank, Meaning::Input);
    let state = match replay.is_playing() {
        true => format!(" ▸ {}× ", replay.speed()),
        false => format!(" ‖ {}× ", replay.speed()),
    };
    let at = model.runbook_ms(replay.at_ms());
    let whole = model.runbook_ms(replay.tape().to_ms());
    let mut all = vec![
        piece(" REPLAY ", Meaning::Alarm),
        piece(state, Meaning::Input),
        piece(date_and_time(model.wall, model.zone), Meaning::Input),
        piece(
            format!("  {} of {} ", span(at), span(whole)),
            Meaning::Input,
        ),
    ];
    if let Some(last) = model.events.back()
        && width_of(&all) + 12 <= area.width
    {
        all.push(piece(
            format!(" {} {}", last.glyph, last.text),
            Meaning::Input,
        ));
    }
    canvas.pieces(area.x, area.y, area.width, &all);
}

/// The whole from its first event to its last: what happened when, and where this is.
fn track(canvas: &mut Canvas<'_>, area: Rect, model: &Model, replay: &Replay) {
    let tape = replay.tape();
    let (from_ms, to_ms) = (tape.from_ms(), tape.to_ms());
    let start = format!(" {} ", span(model.runbook_ms(from_ms)));
    let end = format!(" {} ", span(model.runbook_ms(to_ms)));
    let ends = columns(&start) + columns(&end);
    let line = match area.width > ends + 20 {
        true => {
            canvas.write(area.x, area.y, area.width, &start, Meaning::Muted);
            canvas.write_right(area, &end, Meaning::Muted);
            Rect {
                x: area.x + columns(&start),
                width: area.width - ends,
                ..area
            }
        }
        false => area,
    };
    if line.width == 0 {
        return;
    }
    let mut cells: Vec<Option<Mark>> = vec![None; usize::from(line.width)];
    let last = i64::from(line.width.max(2)) - 1;
    let begins = |n: i64| {
        let whole = n.saturating_mul(to_ms.saturating_sub(from_ms));
        from_ms.saturating_add(whole.saturating_add(last - 1).div_euclid(last))
    };
    // A click on a mark goes to where that has just happened.
    let mut moments: Vec<i64> = (0..i64::from(line.width)).map(begins).collect();
    for (at_ms, mark) in tape.marks() {
        let n = cell_of(at_ms, (from_ms, to_ms), line.width);
        cells[n] = cells[n].max(Some(mark));
        moments[n] = moments[n].max(at_ms);
    }
    let here = cell_of(replay.at_ms(), (from_ms, to_ms), line.width);
    for (n, mark) in cells.iter().enumerate() {
        let (sign, meaning) = match mark {
            _ if n == here => ("█", Meaning::Accent),
            Some(mark) => sign(*mark),
            None if n < here => ("━", Meaning::Text),
            None => ("─", Meaning::Border),
        };
        let x = line.x + n as u16;
        canvas.write(x, line.y, 1, sign, meaning);
        let cell = Rect {
            x,
            width: 1,
            ..line
        };
        canvas.target(cell, Target::Moment(moments[n]));
    }
}

/// Column of a session time on a track of so many.
fn cell_of(at_ms: i64, (from_ms, to_ms): (i64, i64), width: u16) -> usize {
    let last = i64::from(width) - 1;
    let passed_ms = at_ms.saturating_sub(from_ms).max(0);
    let at = passed_ms.saturating_mul(last.max(0)) / to_ms.saturating_sub(from_ms).max(1);
    at.clamp(0, last.max(0)) as usize
}

fn sign(mark: Mark) -> (&'static str, Meaning) {
    match mark {
        Mark::Event => ("·", Meaning::Muted),
        Mark::Step => ("┼", Meaning::Text),
        Mark::Gate => ("◆", Meaning::Ok),
        Mark::Burning => ("▲", Meaning::Warn),
        Mark::Failed => ("✗", Meaning::Danger),
        Mark::Fired => ("!", Meaning::Danger),
        Mark::Rollback => ("R", Meaning::Danger),
    }
}
