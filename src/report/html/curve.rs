//! A signal as a curve, with what it is measured against. No data is a gap with marks below it, never a zero. Not in here: what is measured
//! (`report::charts`).

use std::fmt::Write as _;

use maud::{Markup, html};

use super::axis::{Axis, LEFT, LETTER, RIGHT, WIDTH, line, words};
use super::{NEWLINE, text};
use crate::report::charts::Point;
use crate::report::page::{self, Curve};
use crate::text::printable;

const PLOT: f64 = 130.0;
/// Names of limits are at least so far apart.
const WORD_HEIGHT: f64 = 13.0;
/// Room above the highest value.
const HEADROOM: f64 = 1.12;

pub fn draw(curve: &Curve, axis: &page::Axis) -> Markup {
    let axis = Axis::of(axis);
    let top = axis.top();
    let scale = Scale::of(curve, top);
    let bottom = scale.bottom;
    let label = format!("{} over time, {}", curve.title, curve.highest);
    html! {
        h3 { (text(&curve.title)) " " span.muted { (text(&curve.highest)) } } (NEWLINE)
        div.picture {
            svg viewBox={ "0 0 " (WIDTH) " " (format!("{:.0}", bottom + 20.0)) } role="img" aria-label=(label) {
                (NEWLINE) (axis.draw(bottom)) (NEWLINE)
                (line("frame", (LEFT, top), (RIGHT, top)))
                (line("frame", (LEFT, bottom), (RIGHT, bottom)))
                (levels(curve, &scale)) (NEWLINE)
                (points(&curve.points, axis, &scale)) (NEWLINE)
            }
        }
    }
}

/// Values from bottom to top; from zero, so that a small change looks small.
struct Scale {
    top: f64,
    bottom: f64,
    max: f64,
}

impl Scale {
    fn of(curve: &Curve, top: f64) -> Scale {
        let values = curve.points.iter().filter_map(|p| p.range);
        let values = values.map(|(_, high)| high);
        let all = curve.levels.iter().map(|level| level.value).chain(values);
        let max = all.fold(0.0, f64::max) * HEADROOM;
        Scale {
            top,
            bottom: top + PLOT,
            max: if max > 0.0 { max } else { 1.0 },
        }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value / self.max).clamp(0.0, 1.0);
        self.bottom - share * (self.bottom - self.top)
    }
}

/// Their names left of the plot, moved apart where they would cover each other.
fn levels(curve: &Curve, scale: &Scale) -> Markup {
    let levels = curve.levels.iter().map(|level| {
        let class = if level.is_limit { "limit" } else { "baseline" };
        (scale.y(level.value), level.words.as_str(), class)
    });
    let mut levels: Vec<(f64, &str, &str)> = levels.collect();
    if levels.iter().all(|(y, ..)| *y < scale.bottom - 1.0) {
        levels.push((scale.bottom, "0", "frame"));
    }
    levels.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut above = f64::INFINITY;
    let placed = levels.into_iter().map(|(y, name, class)| {
        above = (y + 4.0).min(above - WORD_HEIGHT);
        (y, name, class, above)
    });
    let chars = (LEFT / LETTER) as usize - 2;
    html! {
        @for (y, name, class, word_y) in placed {
            (line(class, (LEFT, y), (RIGHT, y)))
            (line("lead", (LEFT - 8.0, word_y - 4.0), (LEFT, y)))
            (words("tick", (LEFT - 11.0, word_y), "end", &printable(name, chars)))
        }
    }
}

fn points(points: &[Point], axis: Axis<'_>, scale: &Scale) -> Markup {
    let mut path = String::new();
    let mut silent = Vec::new();
    let mut is_drawing = false;
    for point in points.iter().filter(|p| axis.has(p.at_ms)) {
        let x = axis.x(point.at_ms);
        let Some((low, high)) = point.range else {
            is_drawing = false;
            silent.push(x);
            continue;
        };
        let command = if is_drawing { 'L' } else { 'M' };
        // A line of no length has a dot for an end: a single sample shows.
        let (low, high) = (scale.y(low), scale.y(high));
        write!(path, "{command}{x:.1} {low:.1}L{x:.1} {high:.1}")
            .expect("BUG: writing to a string fails");
        is_drawing = true;
    }
    html! {
        @for x in silent { (line("silent", (x, scale.bottom - 7.0), (x, scale.bottom))) }
        path class="curve" d=(path) {}
    }
}
