//! What the pictures share: a time axis across the whole session, and its moments as lines with words above them.

use std::fmt::Write as _;

use super::write::esc;
use crate::report::Report;
use crate::trigger::wording;

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

/// Session time from left to right.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    from_ms: i64,
    to_ms: i64,
}

impl Axis {
    /// All of a session.
    pub fn of(report: &Report) -> Axis {
        let from_ms = report.timeline.first().map_or(0, |line| line.at_ms).min(0);
        let last_ms = report.timeline.last().map_or(0, |line| line.at_ms);
        Axis {
            from_ms,
            to_ms: last_ms.max(from_ms.saturating_add(1_000)),
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

    /// Lines across the plot, with times below it.
    pub fn ticks(self, top: f64, bottom: f64, out: &mut String) {
        let step_ms = step_ms(self.span_ms());
        let last_before = self.from_ms.saturating_sub(1).div_euclid(step_ms);
        let first = last_before.saturating_add(1).saturating_mul(step_ms);
        let mut at_ms = first;
        while at_ms <= self.to_ms {
            let x = self.x(at_ms);
            let label = wording::duration(at_ms);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                bottom + 14.0
            );
            let Some(next_ms) = at_ms.checked_add(step_ms) else {
                break;
            };
            at_ms = next_ms;
        }
    }

    /// How many lines of words the session's moments need above a plot.
    pub fn words_height(self, report: &Report) -> f64 {
        let levels = self.levels(report);
        let lines = levels
            .iter()
            .map(|(_, _, level)| level + 1)
            .max()
            .unwrap_or(0);
        lines as f64 * WORD_HEIGHT + 4.0
    }

    /// The session's moments: a line each from the words down to `bottom`.
    pub fn marks(self, report: &Report, bottom: f64, out: &mut String) {
        for (mark, x, level) in self.levels(report) {
            let baseline = (level as f64 + 1.0) * WORD_HEIGHT - 3.0;
            let text = esc(&mark.what);
            let to_left = x + width(&mark.what) > WIDTH;
            let (anchor, dx) = if to_left {
                ("end", -3.0)
            } else {
                ("start", 3.0)
            };
            let _ = writeln!(
                out,
                "<line class=\"mark\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>\
                 <text class=\"word\" x=\"{:.1}\" y=\"{baseline:.1}\" text-anchor=\"{anchor}\">{text}</text>",
                baseline - 9.0,
                x + dx
            );
        }
    }

    /// Each moment, where it is, and on which line its words find room.
    fn levels(self, report: &Report) -> Vec<(&crate::report::evidence::Mark, f64, usize)> {
        let mut ends: Vec<f64> = Vec::new();
        let mut placed = Vec::new();
        for mark in &report.marks {
            let x = self.x(mark.at_ms);
            let width = width(&mark.what);
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
            placed.push((mark, x, level));
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
            let axis = Axis { from_ms, to_ms };
            let mut out = String::new();
            axis.ticks(0.0, 1.0, &mut out);
            for at_ms in [i64::MIN, 0, i64::MAX] {
                assert!((LEFT..=RIGHT).contains(&axis.x(at_ms)));
            }
        }
    }
}
