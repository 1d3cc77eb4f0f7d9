//! A row of cells over the last minutes, shaded by glyph as well as by colour: how it went for one of many. Not in here: what a shade
//! means (`heat`, `pools`, `clients`).

use std::ops::Range;

use crate::cockpit::canvas::{Piece, columns, piece};
use crate::cockpit::model::Model;
use crate::cockpit::model::rounds::Rounds;
use crate::cockpit::model::ui::USUAL_SPAN_MS;
use crate::cockpit::theme::Meaning;
use crate::format::span;

/// Which rounds belong to which cell; the same for every row of a table.
pub struct Strip {
    cells: Vec<Range<usize>>,
    /// Runbook time that all of them show.
    span_ms: i64,
}

impl Strip {
    /// So many cells.
    pub fn of<T>(rounds: &Rounds<T>, model: &Model, cells: u16) -> Strip {
        // Cells begin at whole multiples of their length, so that rows move on cell by cell.
        let span_ms = model.ui.span_ms.unwrap_or(USUAL_SPAN_MS);
        let window_ms = model.session.charter.real_ms(span_ms);
        let cell_ms = (window_ms / i64::from(cells.max(1))).max(1);
        let to_ms = (model.clock_ms().div_euclid(cell_ms) + 1) * cell_ms;
        Strip {
            cells: rounds.cells(to_ms, cell_ms, cells),
            span_ms,
        }
    }

    /// `15:00 ago        now`, as wide as the cells.
    pub fn heading(&self) -> String {
        let past = format!("{} ago", span(self.span_ms));
        let taken = usize::from(columns(&past)) + "now".len();
        match self.cells.len() > taken {
            true => format!("{past}{}now", " ".repeat(self.cells.len() - taken)),
            false => " ".repeat(self.cells.len()),
        }
    }

    /// The cells, each by its rounds.
    pub fn pieces(&self, shade: impl Fn(Range<usize>) -> (char, Meaning)) -> Vec<Piece<'static>> {
        let mut pieces: Vec<(String, Meaning)> = Vec::new();
        for rounds in &self.cells {
            let (glyph, meaning) = shade(rounds.clone());
            match pieces.last_mut().filter(|(_, last)| *last == meaning) {
                Some((text, _)) => text.push(glyph),
                None => pieces.push((glyph.to_string(), meaning)),
            }
        }
        pieces.into_iter().map(|(text, m)| piece(text, m)).collect()
    }
}
