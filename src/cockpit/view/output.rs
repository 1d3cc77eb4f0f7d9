//! What a step prints: its last lines in a panel, all of them over the screen.

use ratatui::layout::Rect;

use super::shared::row;
use crate::cockpit::canvas::{Canvas, Head, piece};
use crate::cockpit::model::Model;
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;
use crate::format::span;

/// Over the whole screen.
pub fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    model: &Model,
    step: &str,
    attempt: u32,
    up: usize,
) {
    canvas.clear(area);
    canvas.target(area, Target::Window);
    let again = if attempt > 1 {
        format!(", attempt {attempt}")
    } else {
        String::new()
    };
    let title = format!("Output of {step}{again}");
    let note = format!("{} lines  ↑↓ scroll, Esc back", model.output.len());
    let head = Head {
        title: &title,
        note: vec![piece(note, Meaning::Muted)],
        focused: true,
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    if model.output.is_empty() && inner.height > 0 {
        canvas.write(
            inner.x,
            inner.y,
            inner.width,
            "It has printed nothing so far.",
            Meaning::Muted,
        );
    }
    let lines = model.output.len();
    let up = canvas.scrolled(up, lines, usize::from(inner.height));
    let end = lines - up;
    let first = end.saturating_sub(usize::from(inner.height));
    for (n, line) in model.output.range(first..end).enumerate() {
        let place = row(inner, n as u16);
        let pieces = [
            piece(
                format!("{:>8} ", span(model.runbook_ms(line.at_ms))),
                Meaning::Muted,
            ),
            piece(line.line.as_str(), Meaning::Text),
        ];
        canvas.pieces(place.x, place.y, place.width, &pieces);
    }
}

/// The panel of large screens: the parts of the step that is being done, and its last line.
pub fn draw_tail(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let step = super::super::update::output_of(model);
    let title = step
        .as_ref()
        .map_or("Output".to_owned(), |(s, _)| format!("Output of {s}"));
    let head = Head {
        title: &title,
        note: vec![piece("o: all of it", Meaning::Muted)],
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    if inner.height == 0 {
        return;
    }
    if model.last_line.is_none() && model.progress.is_empty() {
        let words = "Nothing has been printed yet.";
        canvas.write(inner.x, inner.y, inner.width, words, Meaning::Muted);
    }
    if let Some(line) = &model.last_line {
        let last = row(inner, inner.height - 1);
        let text = format!("{}: {}", line.step, line.line);
        canvas.write(last.x, last.y, last.width, &text, Meaning::Text);
    }
    if let Some((step, _)) = step {
        let parts = Rect {
            height: inner.height - 1,
            ..inner
        };
        super::step::draw_parts(canvas, parts, model, &step);
    }
}
