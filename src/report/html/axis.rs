//! What the pictures share: places for times, round marks below, and the session's moments as lines with words above them.

use maud::{Markup, html};

use super::text;
use crate::format;
use crate::report::page;

/// Width of every picture, in its own units; about a pixel each on a wide screen.
pub const WIDTH: f64 = 1_000.0;
/// Where the plot begins; what is left of it is for labels.
pub const LEFT: f64 = 236.0;
/// Where it ends.
pub const RIGHT: f64 = 985.0;
/// Height of a line of words above a plot.
const WORD_HEIGHT: f64 = 14.0;
/// About as wide as a letter of the size that labels have.
pub const LETTER: f64 = 6.3;
/// The same of a bold one.
const BOLD_LETTER: f64 = 7.4;
/// At most so many marks on an axis.
const TICKS: i64 = 9;

/// A line of a picture.
pub fn line(class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Markup {
    html! { line class=(class) x1=(at(x1)) y1=(at(y1)) x2=(at(x2)) y2=(at(y2)) {} }
}

/// Words of a picture; `anchor` is the end that is at `x`.
pub fn words(class: &str, (x, y): (f64, f64), anchor: &str, words: &str) -> Markup {
    html! { text class=(class) x=(at(x)) y=(at(y)) text-anchor=(anchor) { (text(words)) } }
}

/// A number of a picture.
pub fn at(place: f64) -> String {
    format!("{place:.1}")
}

/// Session time from left to right.
#[derive(Debug, Clone, Copy)]
pub struct Axis<'a> {
    from_ms: i64,
    to_ms: i64,
    marks: &'a [(i64, String)],
}

impl<'a> Axis<'a> {
    /// All of a session.
    pub fn of(axis: &'a page::Axis) -> Self {
        Self {
            from_ms: axis.from_ms,
            to_ms: axis.to_ms,
            marks: &axis.marks,
        }
    }

    fn span_ms(self) -> i64 {
        self.to_ms.saturating_sub(self.from_ms).max(1)
    }

    /// Where a moment is.
    pub fn x(self, at_ms: i64) -> f64 {
        let share = at_ms.saturating_sub(self.from_ms) as f64 / self.span_ms() as f64;
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// Whether a moment is on it.
    pub fn has(self, at_ms: i64) -> bool {
        (self.from_ms..=self.to_ms).contains(&at_ms)
    }

    /// Where the plot begins, below the words of the session's moments.
    pub fn top(self) -> f64 {
        let levels = self.levels();
        let lines = levels
            .iter()
            .map(|(.., level)| level + 1)
            .max()
            .unwrap_or(0);
        lines as f64 * WORD_HEIGHT + 10.0
    }

    /// Lines across the plot, with times below it, and the session's moments.
    pub fn draw(self, bottom: f64) -> Markup {
        let top = self.top();
        html! {
            @for at_ms in self.ticks() {
                @let x = self.x(at_ms);
                (line("grid", (x, top), (x, bottom)))
                (words("tick", (x, bottom + 14.0), "middle", &format::span(at_ms)))
            }
            @for (what, x, level) in self.levels() {
                @let baseline = (level as f64 + 1.0) * WORD_HEIGHT - 3.0;
                @let (anchor, dx) = if x + width(what) > WIDTH { ("end", -3.0) } else { ("start", 3.0) };
                (line("mark", (x, baseline - 9.0), (x, bottom)))
                (words("word", (x + dx, baseline), anchor, what))
            }
        }
    }

    fn ticks(self) -> impl Iterator<Item = i64> {
        let step_ms = step_ms(self.span_ms());
        let last_before = self.from_ms.saturating_sub(1).div_euclid(step_ms);
        let first = last_before.saturating_add(1).saturating_mul(step_ms);
        let all = std::iter::successors(Some(first), move |at_ms| at_ms.checked_add(step_ms));
        all.take_while(move |at_ms| *at_ms <= self.to_ms)
    }

    /// Each moment, where it is, and on which line its words find room.
    fn levels(self) -> Vec<(&'a str, f64, usize)> {
        let mut ends: Vec<f64> = Vec::new();
        let mut placed = Vec::new();
        for (at_ms, what) in self.marks {
            let x = self.x(*at_ms);
            let width = width(what);
            let (from, to) = match x + width > WIDTH {
                true => (x - width, x + 4.0),
                false => (x, x + width),
            };
            let level = ends.iter().position(|end| *end < from);
            let level = level.unwrap_or(ends.len());
            match ends.get_mut(level) {
                Some(end) => *end = to,
                None => ends.push(to),
            }
            placed.push((what.as_str(), x, level));
        }
        placed
    }
}

fn width(word: &str) -> f64 {
    (word.chars().count() as f64 + 1.0) * BOLD_LETTER
}

/// A round span of time that makes at most [`TICKS`] of the whole.
fn step_ms(span_ms: i64) -> i64 {
    const SECONDS: [i64; 15] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400,
    ];
    let fits = |s: &&i64| span_ms / (**s * 1_000) <= TICKS;
    let fallback = span_ms / TICKS / 1_000 + 1;
    let seconds = SECONDS.iter().find(fits).copied().unwrap_or(fallback);
    seconds.saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_of_any_length_has_a_few_round_marks() {
        for (span_ms, expected) in [
            (1_000, 1_000),
            (33_000, 5_000),
            (7_200_000, 900_000),
            (i64::from(u32::MAX), 477_219_000),
        ] {
            assert_eq!(step_ms(span_ms), expected, "{span_ms}");
            assert!(span_ms / step_ms(span_ms) <= TICKS);
        }
    }

    #[test]
    fn an_axis_of_times_that_no_session_reaches_can_be_drawn() {
        for (from_ms, to_ms) in [
            (i64::MIN, i64::MAX),
            (i64::MAX - 1, i64::MAX),
            (i64::MIN, i64::MIN + 1_000),
        ] {
            let marks = &[];
            let axis = Axis {
                from_ms,
                to_ms,
                marks,
            };
            let _ = axis.draw(1.0);
            for at_ms in [i64::MIN, 0, i64::MAX] {
                assert!((LEFT..=RIGHT).contains(&axis.x(at_ms)));
            }
        }
    }
}
