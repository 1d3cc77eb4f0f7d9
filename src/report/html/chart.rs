//! A signal as a curve over the whole session, with its baseline, its limits and the session's moments. No data is a gap with marks below
//! it, never a zero.

use std::fmt::Write as _;

use super::axis::{Axis, LEFT, LETTER, RIGHT, WIDTH};
use super::write::{esc, short};
use crate::report::Report;
use crate::report::charts::{Chart, Point};
use crate::trigger::wording;

const PLOT: f64 = 130.0;
/// Names of limits are at least so far apart.
const WORD_HEIGHT: f64 = 13.0;
/// Room above the highest value.
const HEADROOM: f64 = 1.12;

/// The picture.
pub fn draw(chart: &Chart, report: &Report) -> String {
    let axis = Axis::of(report);
    let top = axis.words_height(report) + 6.0;
    let bottom = top + PLOT;
    let scale = Scale::of(chart, top, bottom);
    let title = esc(&chart.title);
    let highest = scale.highest.map_or_else(
        || "no data".to_owned(),
        |v| format!("at most {}", wording::value(&chart.signal, v)),
    );
    let mut out = format!(
        "<h3>{title} <span class=\"muted\">{}</span></h3>\n<div class=\"picture\"><svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{title} over \
         time, {}\">\n",
        esc(&highest),
        bottom + 20.0,
        esc(&highest)
    );
    axis.ticks(top, bottom, &mut out);
    axis.marks(report, bottom, &mut out);
    for y in [top, bottom] {
        let _ = write!(
            out,
            "<line class=\"frame\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>"
        );
    }
    levels(chart, &scale, &mut out);
    curve(&chart.points, axis, &scale, bottom, &mut out);
    out.push_str("</svg></div>\n");
    out
}

/// Values from bottom to top; from zero, so that a small change looks small.
struct Scale {
    top: f64,
    bottom: f64,
    max: f64,
    highest: Option<f64>,
}

impl Scale {
    fn of(chart: &Chart, top: f64, bottom: f64) -> Scale {
        let values = chart
            .points
            .iter()
            .filter_map(|p| p.range)
            .map(|(_, high)| high);
        let highest = values.reduce(f64::max);
        let limits = chart.limits.iter().map(|(_, limit)| *limit);
        let all = limits.chain(chart.baseline).chain(highest);
        let max = all.fold(0.0, f64::max) * HEADROOM;
        Scale {
            top,
            bottom,
            max: if max > 0.0 { max } else { 1.0 },
            highest,
        }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value / self.max).clamp(0.0, 1.0);
        self.bottom - share * (self.bottom - self.top)
    }
}

/// Baseline and limits, their names left of the plot, moved apart where they would cover each other.
fn levels(chart: &Chart, scale: &Scale, out: &mut String) {
    let mut levels: Vec<(f64, String, &str)> = chart
        .limits
        .iter()
        .map(|(ids, limit)| {
            let words = format!("limit {} ({ids})", wording::value(&chart.signal, *limit));
            (scale.y(*limit), words, "limit")
        })
        .collect();
    levels.extend(chart.baseline.map(|base| {
        let words = format!("baseline {}", wording::value(&chart.signal, base));
        (scale.y(base), words, "baseline")
    }));
    if levels.iter().all(|(y, ..)| *y < scale.bottom - 1.0) {
        levels.push((scale.bottom, "0".to_owned(), "frame"));
    }
    levels.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut above = f64::INFINITY;
    for (y, words, class) in levels {
        let word_y = (y + 4.0).min(above - WORD_HEIGHT);
        above = word_y;
        let chars = (LEFT / LETTER) as usize - 2;
        let _ = writeln!(
            out,
            "<line class=\"{class}\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>\
             <line class=\"lead\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{LEFT}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{word_y:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            word_y - 4.0,
            LEFT - 11.0,
            short(&words, chars)
        );
    }
}

fn curve(points: &[Point], axis: Axis, scale: &Scale, bottom: f64, out: &mut String) {
    let mut path = String::new();
    let mut is_drawing = false;
    for point in points.iter().filter(|p| axis.has(p.at_ms)) {
        let x = axis.x(point.at_ms);
        let Some((low, high)) = point.range else {
            is_drawing = false;
            let _ = write!(
                out,
                "<line class=\"silent\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>",
                bottom - 7.0
            );
            continue;
        };
        let command = if is_drawing { 'L' } else { 'M' };
        let _ = write!(path, "{command}{x:.1} {:.1}", scale.y(low));
        // A line of no length has a dot for an end: a single sample shows.
        let _ = write!(path, "L{x:.1} {:.1}", scale.y(high));
        is_drawing = true;
    }
    let _ = writeln!(out, "<path class=\"curve\" d=\"{path}\"/>");
}
