//! Lines over time in Braille, half blocks or ASCII, with baseline and thresholds drawn in. Pure: samples in, cells out.
//!
//! What a line means is said by its label at the right edge, never by its colour alone. Not in here: which signals are shown.

mod dots;

use ratatui::layout::Rect;

use self::dots::{Dots, Grain};

use super::canvas::{Canvas, columns, fit};
use super::theme::Meaning;

/// A sample: session milliseconds, and the value unless there was no data.
pub type Point = (i64, Option<f64>);

/// One line.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    /// At the right edge, such as `p95`.
    pub label: &'a str,
    /// Its colour.
    pub meaning: Meaning,
    /// By time.
    pub points: Vec<Point>,
}

/// A level drawn across.
#[derive(Debug, Clone)]
pub struct Level {
    /// At the right edge, such as `T3b`.
    pub label: String,
    /// Baseline or threshold.
    pub meaning: Meaning,
    /// Where.
    pub value: f64,
}

/// What is drawn.
#[derive(Debug, Clone)]
pub struct Chart<'a> {
    /// Later ones are drawn over earlier ones.
    pub series: Vec<Series<'a>>,
    /// Baseline and thresholds.
    pub levels: Vec<Level>,
    /// Session time at the left edge.
    pub from_ms: i64,
    /// Session time at the right edge.
    pub to_ms: i64,
    /// The scale reaches at least so far.
    pub least_top: f64,
    /// How a value reads.
    pub unit: fn(f64) -> String,
}

/// Two points further apart than this part of the window are not joined: nobody knows what was between them.
const LONGEST_JOIN: i64 = 8;
/// Columns for the scale at the left.
const SCALE: u16 = 8;
/// Columns for the labels at the right.
const LABELS: u16 = 6;

/// Draws a chart into an area. Where it is too small for scale and labels, they go first.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, chart: &Chart<'_>) {
    if area.width < 4 || area.height == 0 || chart.to_ms <= chart.from_ms {
        return;
    }
    let labelled = area.width >= SCALE + LABELS + 12;
    let plot = if labelled {
        Rect {
            x: area.x + SCALE,
            width: area.width - SCALE - LABELS,
            ..area
        }
    } else {
        area
    };
    let top = scale_top(chart);
    let Grain { down, .. } = Grain::of(canvas.glyphs);
    for level in chart.levels.iter().filter(|l| l.value <= top) {
        let y = row_of(plot, down, top, level.value);
        let dashes = if level.meaning == Meaning::Threshold {
            "╌"
        } else {
            "┈"
        };
        let line = dashes.repeat(usize::from(plot.width));
        canvas.write(plot.x, y, plot.width, &line, level.meaning);
    }
    for series in &chart.series {
        draw_series(canvas, plot, chart, series, top);
    }
    if labelled {
        draw_scale(canvas, area, chart, top);
        draw_labels(canvas, area, plot, chart, top);
    }
}

/// The value at the upper edge: a round number above all lines and the lowest threshold. Thresholds beyond it are named at the
/// edge: drawn to scale, a far one would flatten everything that is near.
fn scale_top(chart: &Chart<'_>) -> f64 {
    let values = chart.series.iter().flat_map(|s| visible(chart, &s.points));
    let thresholds = chart
        .levels
        .iter()
        .filter(|l| l.meaning == Meaning::Threshold);
    let nearest = thresholds.map(|l| l.value).fold(f64::INFINITY, f64::min);
    let baselines = chart
        .levels
        .iter()
        .filter(|l| l.meaning != Meaning::Threshold);
    let highest = values
        .filter_map(|(_, v)| v)
        .chain(baselines.map(|l| l.value))
        .chain([nearest])
        .filter(|v| v.is_finite())
        .fold(chart.least_top, f64::max);
    round_up(highest * 1.15)
}

/// 1, 2, 2.5 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .iter()
        .map(|m| m * power)
        .find(|v| *v >= value)
        .unwrap_or(value)
}

fn visible<'p>(chart: &Chart<'_>, points: &'p [Point]) -> impl Iterator<Item = Point> + 'p {
    let (from_ms, to_ms) = (chart.from_ms, chart.to_ms);
    points
        .iter()
        .copied()
        .filter(move |(at, _)| (from_ms..=to_ms).contains(at))
}

/// The row in which a value lies, with so many dots one above the other in each.
fn row_of(plot: Rect, down: u16, top: f64, value: f64) -> u16 {
    let dots = f64::from(plot.height * down - 1);
    let dot = (value / top).clamp(0.0, 1.0) * dots;
    plot.bottom() - 1 - (dot.round() as u16) / down
}

fn draw_series(
    canvas: &mut Canvas<'_>,
    plot: Rect,
    chart: &Chart<'_>,
    series: &Series<'_>,
    top: f64,
) {
    let mut dots = Dots::new(plot, canvas.glyphs);
    let window_ms = chart.to_ms - chart.from_ms;
    let place = |at_ms: i64, value: f64| {
        let x = (at_ms - chart.from_ms) * (dots.width - 1) / window_ms;
        let y = ((value / top).clamp(0.0, 1.0) * (dots.height - 1) as f64).round() as i64;
        (x, y)
    };
    let mut last: Option<(i64, (i64, i64))> = None;
    let mut lines = Vec::new();
    for (at_ms, value) in visible(chart, &series.points) {
        let Some(value) = value.filter(|v| v.is_finite()) else {
            last = None;
            continue;
        };
        let here = place(at_ms, value);
        let from = last
            .filter(|(then, _)| at_ms - then <= window_ms / LONGEST_JOIN)
            .map_or(here, |(_, there)| there);
        lines.push((from, here));
        last = Some((at_ms, here));
    }
    for (from, to) in lines {
        dots.join(from, to);
    }
    let style = canvas.theme.style(series.meaning);
    for (n, glyph) in dots.drawn() {
        let x = plot.x + (n % usize::from(plot.width)) as u16;
        let y = plot.y + (n / usize::from(plot.width)) as u16;
        if let Some(cell) = canvas.buf.cell_mut((x, y)) {
            cell.set_char(glyph).set_style(style);
        }
    }
}

fn draw_scale(canvas: &mut Canvas<'_>, area: Rect, chart: &Chart<'_>, top: f64) {
    let write = |canvas: &mut Canvas<'_>, y: u16, value: f64| {
        let row = Rect::new(area.x, y, SCALE - 1, 1);
        canvas.write_right(row, &(chart.unit)(value), Meaning::Muted);
    };
    write(canvas, area.y, top);
    if area.height > 2 {
        write(canvas, area.bottom() - 1, 0.0);
    }
    if area.height > 6 {
        write(canvas, area.y + area.height / 2, top / 2.0);
    }
}

/// What stands at the right edge.
#[derive(Debug, Clone)]
struct Label {
    /// The row of what it names.
    row: u16,
    value: f64,
    text: String,
    meaning: Meaning,
}

/// Labels of levels and of the lines' last values: what lies higher is named higher.
fn draw_labels(canvas: &mut Canvas<'_>, area: Rect, plot: Rect, chart: &Chart<'_>, top: f64) {
    let Grain { down, .. } = Grain::of(canvas.glyphs);
    let mut wanted: Vec<Label> = Vec::new();
    for series in chart.series.iter().rev() {
        let values = visible(chart, &series.points).filter_map(|(_, v)| v);
        if let Some(value) = values.filter(|v| v.is_finite()).last() {
            wanted.push(Label {
                row: row_of(plot, down, top, value),
                value,
                text: series.label.to_owned(),
                meaning: series.meaning,
            });
        }
    }
    for level in &chart.levels {
        let beyond = if level.value > top { "↑" } else { "" };
        wanted.push(Label {
            row: row_of(plot, down, top, level.value),
            value: level.value,
            text: format!("{}{beyond}", level.label),
            meaning: level.meaning,
        });
    }
    for (y, label) in placed(&wanted, area.y, area.bottom()) {
        let text = fit(&label.text, LABELS - 1);
        canvas.write(plot.right() + 1, y, columns(&text), &text, label.meaning);
    }
}

/// Labels with their rows, from the most important of them on. Those that belong in one row spread to its neighbours in the order of
/// their values, but not into a row where another line ends or another level runs: there they would name that one. Where there is no
/// such place, the least important goes.
fn placed(wanted: &[Label], first: u16, end: u16) -> Vec<(u16, &Label)> {
    let mut all: Vec<(u16, &Label)> = Vec::new();
    let mut done: Vec<u16> = Vec::new();
    for Label { row, .. } in wanted {
        if done.contains(row) {
            continue;
        }
        done.push(*row);
        let named = |l: &&Label| l.row == *row && !l.text.is_empty();
        let mut here: Vec<&Label> = wanted.iter().filter(named).collect();
        let is_free = |y: u16| {
            let is_home = wanted.iter().any(|l| l.row == y);
            y == *row || !is_home && all.iter().all(|(taken, _)| *taken != y)
        };
        let spread = loop {
            let Some(most) = here.first().copied() else {
                break Vec::new();
            };
            let mut order = here.clone();
            order.sort_by(|a, b| b.value.total_cmp(&a.value));
            let own = order.iter().position(|l| std::ptr::eq(*l, most));
            let mut above: Vec<usize> = (0..order.len()).collect();
            above.sort_by_key(|n| n.abs_diff(own.unwrap_or_default()));
            let begin = above
                .into_iter()
                .filter_map(|n| row.checked_sub(n as u16))
                .find(|y| {
                    let mut rows = *y..*y + order.len() as u16;
                    *y >= first && rows.end <= end && rows.all(is_free)
                });
            if let Some(y) = begin {
                break (y..).zip(order).collect();
            }
            here.pop();
        };
        all.extend(spread);
    }
    all
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;

    use super::*;
    use crate::cockpit::glyphs::Glyphs;
    use crate::cockpit::theme::Theme;

    fn drawn(width: u16, height: u16, chart: &Chart<'_>) -> Vec<String> {
        drawn_in(Glyphs::Braille, width, height, chart)
    }

    fn drawn_in(glyphs: Glyphs, width: u16, height: u16, chart: &Chart<'_>) -> Vec<String> {
        let theme = Theme::load("mono").expect("embedded");
        let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
        let area = buf.area;
        let mut canvas = Canvas::new(&mut buf, &theme, None);
        canvas.glyphs = glyphs;
        draw(&mut canvas, area, chart);
        glyphs.put_on(&mut buf);
        (0..height)
            .map(|y| (0..width).map(|x| buf[(x, y)].symbol()).collect())
            .collect()
    }

    fn chart(points: Vec<Point>) -> Chart<'static> {
        Chart {
            series: vec![Series {
                label: "5xx",
                meaning: Meaning::High,
                points,
            }],
            levels: vec![Level {
                label: "T3b".into(),
                meaning: Meaning::Threshold,
                value: 0.01,
            }],
            from_ms: 0,
            to_ms: 60_000,
            least_top: 0.0,
            unit: crate::format::percent,
        }
    }

    fn rising() -> Vec<Point> {
        let points = (0..=12).map(|i| (i * 5_000, Some(i as f64 / 1_000.0)));
        points.collect()
    }

    #[test]
    fn draws_line_level_scale_and_labels() {
        insta::assert_snapshot!(drawn(40, 5, &chart(rising())).join("\n"));
    }

    #[test]
    fn draws_the_same_with_the_glyphs_that_there_are() {
        for (glyphs, name) in Glyphs::ALL {
            let lines = drawn_in(glyphs, 60, 7, &chart(rising()));
            insta::assert_snapshot!(format!("rising_in_{name}"), lines.join("\n"));
            for line in lines {
                assert!(line.chars().all(|c| glyphs.shows(c)), "{line}");
            }
        }
    }

    #[test]
    fn no_data_is_a_gap_and_not_a_zero() {
        let points = (0..=12)
            .map(|i| (i * 5_000, (!(4..=8).contains(&i)).then_some(0.008)))
            .collect();
        insta::assert_snapshot!(drawn(40, 5, &chart(points)).join("\n"));
    }

    fn label(row: u16, value: f64, text: &str) -> Label {
        Label {
            row,
            value,
            text: text.to_owned(),
            meaning: Meaning::Text,
        }
    }

    /// Rows 0 to 5, from what is placed.
    fn edge(wanted: &[Label]) -> [String; 6] {
        let mut rows = <[String; 6]>::default();
        for (y, label) in placed(wanted, 0, 6) {
            assert!(rows[usize::from(y)].is_empty(), "row {y} has two");
            rows[usize::from(y)] = label.text.clone();
        }
        rows
    }

    #[test]
    fn what_lies_higher_is_named_higher() {
        let wanted = [label(3, 10.0, "p50"), label(3, 20.0, "p95")];
        assert_eq!(edge(&wanted), ["", "", "p95", "p50", "", ""]);
        let wanted = [label(0, 1.0, "a"), label(0, 3.0, "T1"), label(0, 2.0, "T2")];
        assert_eq!(edge(&wanted), ["T1", "T2", "a", "", "", ""]);
        let wanted = [label(5, 1.0, "base"), label(5, 0.0, "5xx")];
        assert_eq!(edge(&wanted), ["", "", "", "", "base", "5xx"]);
    }

    #[test]
    fn no_label_stands_where_another_line_ends() {
        // Above is the maximum's row and below idle's: there is no place for the second of two in one row.
        let wanted = [
            label(3, 10.0, "act"),
            label(4, 5.0, "idle"),
            label(3, 11.0, "wait"),
            label(2, 20.0, "max"),
        ];
        assert_eq!(edge(&wanted), ["", "", "max", "act", "idle", ""]);
        let unnamed = [label(3, 2.0, "a"), label(3, 1.0, "b"), label(4, 0.0, "")];
        assert_eq!(edge(&unnamed), ["", "", "a", "b", "", ""]);
    }

    #[test]
    fn odd_values_and_sizes_do_no_harm() {
        let odd = vec![
            (0, Some(f64::NAN)),
            (1, Some(f64::INFINITY)),
            (2, Some(-3.0)),
            (i64::MAX, Some(1.0)),
            (i64::MIN, None),
        ];
        for width in 0..40 {
            for height in 0..8 {
                for (glyphs, _) in Glyphs::ALL {
                    drawn_in(glyphs, width, height, &chart(odd.clone()));
                    drawn_in(glyphs, width, height, &chart(Vec::new()));
                }
            }
        }
    }
}
