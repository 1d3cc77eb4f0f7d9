//! Errors and latency over time, with baseline and thresholds drawn in.

use ratatui::layout::Rect;

use super::heat;
use super::shared::{below, detail_lines, details, loads_rows, row};
use crate::cockpit::canvas::{Canvas, Head, piece, width_of};
use crate::cockpit::chart::{self, Chart, Level, Series};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{USUAL_SPAN_MS, View};
use crate::cockpit::split::{Axis, Stack, part};
use crate::cockpit::theme::Meaning;
use crate::format::{millis, percent, short, span};
use crate::runbook::{Bound, Condition};

/// Columns that three latencies need in the head of a panel.
const LATENCIES: u16 = 50;

/// The 5xx rate.
pub fn draw_errors(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    const SIGNAL: &str = "http_5xx_ratio";
    let window_ms = window_ms(canvas, area, model);
    let head = Head {
        view: Some(View::Traffic),
        title: "5xx",
        note: vec![
            now(model, SIGNAL, percent),
            piece(format!("  last {}", span(window_ms)), Meaning::Muted),
        ],
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    let chart = Chart {
        series: vec![series(model, SIGNAL, "5xx", Meaning::High, window_ms)],
        levels: levels(model, SIGNAL),
        from_ms: from_ms(model, window_ms),
        to_ms: model.clock_ms(),
        least_top: 0.001,
        unit: percent,
    };
    chart::draw(canvas, inner, &chart);
    without_samples(canvas, inner, model, &[SIGNAL]);
}

/// Says in the middle of a chart that there is nothing to draw, where there is not: nobody must take that for nothing that happened.
pub fn without_samples(canvas: &mut Canvas<'_>, area: Rect, model: &Model, signals: &[&str]) {
    let sampled = signals.iter().any(|s| model.series.last(s).is_some());
    if sampled || area.height < 3 {
        return;
    }
    let words = " no sample yet ";
    canvas.write_centred(row(area, area.height / 2), words, Meaning::Muted);
}

/// p50, p95 and p99.
pub fn draw_latency(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let window_ms = window_ms(canvas, area, model);
    let lines = [
        ("latency_p50_ms", "p50", Meaning::Low),
        ("latency_p95_ms", "p95", Meaning::Middle),
        ("latency_p99_ms", "p99", Meaning::High),
    ];
    let mut note = Vec::new();
    // Where not all fit, none is cut: the median is what is judged least.
    let first = usize::from(area.width < LATENCIES);
    for (signal, label, meaning) in lines.into_iter().skip(first) {
        note.push(piece(format!("{label} "), meaning));
        note.push(now(model, signal, millis));
        note.push(piece("  ", Meaning::Text));
    }
    note.pop();
    let head = Head {
        view: Some(View::Traffic),
        title: "Latency",
        note,
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    let drawn =
        lines.map(|(signal, label, meaning)| series(model, signal, label, meaning, window_ms));
    let chart = Chart {
        series: drawn.into_iter().collect(),
        levels: levels(model, "latency_p95_ms"),
        from_ms: from_ms(model, window_ms),
        to_ms: model.clock_ms(),
        least_top: 10.0,
        unit: millis,
    };
    chart::draw(canvas, inner, &chart);
    let signals = lines.map(|(signal, ..)| signal);
    without_samples(canvas, inner, model, &signals);
}

/// Rows below which two charts are better side by side than one above the other.
const STACKED: u16 = 14;

/// What probes tell of traffic in words.
const TOPICS: [&str; 2] = ["requests", "logs"];

/// The view: both, every instance, and what else is known of the traffic.
pub fn draw_view(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let said: usize = TOPICS.iter().map(|t| detail_lines(model, t).len()).sum();
    let numbers = (3 + said as u16).min(area.height);
    let rest = area.height - numbers;
    let instances = loads_rows(model).min(rest / 2);
    let parts = [part(rest - instances, 5), part(instances, 4), part(0, 3)];
    let [charts, instances, numbers] =
        canvas.split(&model.ui.splits, Stack::Traffic, Axis::Down, area, parts);
    draw_charts(canvas, charts, model);
    heat::draw(canvas, instances, model);
    draw_numbers(canvas, numbers, model);
}

fn draw_charts(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    // A chart that has the screen stays where the keys found it.
    let splits = &model.ui.splits;
    let is_stacked = match area.height >= STACKED {
        _ if splits.gives_all_of(Stack::Charts) => false,
        _ if splits.gives_all_of(Stack::ChartsDown) => true,
        is_high => is_high,
    };
    let (of, axis, half, least) = match is_stacked {
        true => (Stack::ChartsDown, Axis::Down, area.height / 2, 4),
        false => (Stack::Charts, Axis::Across, area.width / 2, 20),
    };
    let parts = [part(half, least); 2];
    let [first, second] = canvas.split(splits, of, axis, area, parts);
    draw_errors(canvas, first, model);
    draw_latency(canvas, second, model);
}

fn draw_numbers(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let head = Head {
        title: "Requests",
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    let per_s = |v: f64| format!("{}/s", short(v));
    let parts = [
        ("requests ", now(model, "requests_per_s", per_s)),
        ("   4xx ", now(model, "http_4xx_ratio", percent)),
        (
            "   synthetic failed ",
            now(model, "synthetic_failed_ratio", percent),
        ),
        ("  read ", now(model, "synthetic_read_ms", millis)),
        ("  write ", now(model, "synthetic_write_ms", millis)),
    ];
    let mut pieces = Vec::new();
    for (label, value) in parts {
        let next = [piece(label, Meaning::Muted), value];
        // Whole or not at all.
        if width_of(&pieces) + width_of(&next) <= inner.width {
            pieces.extend(next);
        }
    }
    if inner.height > 0 {
        canvas.pieces(inner.x, inner.y, inner.width, &pieces);
        let mut used = 1;
        for topic in TOPICS {
            used += details(canvas, below(inner, used), model, topic);
        }
    }
}

/// The last value, or that there is none.
pub fn now(
    model: &Model,
    signal: &str,
    unit: fn(f64) -> String,
) -> crate::cockpit::canvas::Piece<'static> {
    match model.series.last(signal) {
        None => piece("–", Meaning::Muted),
        Some(None) => piece("no data", Meaning::Unknown),
        Some(Some(value)) if model.is_stale() => piece(unit(value), Meaning::Stale),
        Some(Some(value)) => piece(unit(value), Meaning::Title),
    }
}

/// Wider charts reach further back, unless somebody has asked for a span.
pub fn window_ms(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> i64 {
    let usual_ms = match area.width >= 100 {
        true => USUAL_SPAN_MS * 2,
        false => USUAL_SPAN_MS,
    };
    let window_ms = model.ui.span_ms.unwrap_or(usual_ms);
    canvas.targets.add_span(window_ms);
    window_ms
}

/// Session time at the left edge.
pub fn from_ms(model: &Model, window_ms: i64) -> i64 {
    model.clock_ms() - model.session.charter.real_ms(window_ms).max(1)
}

/// A line of a chart.
pub fn series<'a>(
    model: &Model,
    signal: &str,
    label: &'a str,
    meaning: Meaning,
    window_ms: i64,
) -> Series<'a> {
    Series {
        label,
        meaning,
        points: model.series.since(signal, from_ms(model, window_ms)),
    }
}

/// The lowest threshold of a signal.
pub fn threshold(model: &Model, signal: &str) -> Option<f64> {
    let levels = levels(model, signal).into_iter();
    let thresholds = levels.filter(|level| level.meaning == Meaning::Threshold);
    thresholds.map(|level| level.value).reduce(f64::min)
}

/// Baseline and thresholds of a signal, from the triggers and the monitoring checklist.
fn levels(model: &Model, signal: &str) -> Vec<Level> {
    let charter = &model.session.charter;
    let baseline = model.session.baseline(signal);
    let mut levels: Vec<Level> = baseline
        .map(|value| Level {
            label: "base".to_owned(),
            meaning: Meaning::Baseline,
            value,
        })
        .into_iter()
        .collect();
    let of_triggers = charter.triggers.iter().filter_map(|t| match &t.when {
        Condition::Signal {
            signal: s, bound, ..
        } if s == signal => Some((t.id.as_str(), *bound)),
        _ => None,
    });
    let of_items = charter.monitoring.iter().flat_map(|m| {
        let mine = m.conditions.iter().filter(|(s, _)| s == signal);
        mine.map(|(_, bound)| (m.id.as_str(), *bound))
    });
    for (id, bound) in of_triggers.chain(of_items) {
        let value = match bound {
            Bound::Above(v) | Bound::Below(v) => Some(v),
            Bound::AboveBaseline { multiple, floor } => baseline.map(|b| (b * multiple).max(floor)),
        };
        let Some(value) = value else { continue };
        let same = levels
            .iter_mut()
            .find(|l| l.meaning == Meaning::Threshold && l.value == value);
        match same {
            Some(_) => {}
            None => levels.push(Level {
                label: id.to_owned(),
                meaning: Meaning::Threshold,
                value,
            }),
        }
    }
    levels
}
