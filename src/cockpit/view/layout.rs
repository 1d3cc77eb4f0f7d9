//! Where things go on a screen of any size. Not in here: what they look like.

use ratatui::layout::Rect;

use crate::cockpit::canvas::Canvas;
use crate::cockpit::model::Model;
use crate::cockpit::split::{Axis, Stack, part};

/// The three parts of every screen but the countdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Title, clocks, people, advice.
    pub header: Rect,
    /// The view.
    pub body: Rect,
    /// Views, what came of the last key, keys.
    pub footer: Rect,
}

/// A panel of the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// Go / no-go.
    Gates,
    /// Steps A–G.
    Steps,
    /// Triggers as fuses.
    Triggers,
    /// 5xx.
    Errors,
    /// p50, p95, p99.
    Latency,
    /// The connection pool.
    Pool,
    /// Instances.
    Fleet,
    /// The latest events.
    Events,
    /// What the running step prints.
    Output,
}

/// Rows of the header at this size: title, clocks, people, two of advice; the least important go first.
pub fn header_rows(area: Rect) -> u16 {
    match (area.width, area.height) {
        (_, 0..=3) => area.height.min(1),
        (_, 4..=11) => 2,
        (_, 12..=19) => 3,
        (0..=99, _) | (_, 20..=29) => 4,
        _ => 5,
    }
}

/// Header, body and footer.
pub fn places(area: Rect) -> Places {
    let header = header_rows(area);
    let footer = match area.height {
        0..=5 => 0,
        6..=13 => 1,
        _ => 2,
    };
    let body = area.height.saturating_sub(header + footer);
    let at = |y: u16, height: u16| Rect {
        y: area.y + y,
        height,
        ..area
    };
    Places {
        header: at(0, header),
        body: at(header, body),
        footer: at(header + body, footer),
    }
}

/// A panel of a column: rows that it usually has. The last has what is left.
type Row = (Panel, u16);

impl Panel {
    /// Rows that it keeps wherever a line is moved to: what must not be missed shows in these.
    fn least_rows(self) -> u16 {
        match self {
            Panel::Gates | Panel::Errors | Panel::Latency => 4,
            Panel::Steps | Panel::Triggers => 5,
            Panel::Pool | Panel::Fleet | Panel::Events | Panel::Output => 3,
        }
    }
}

/// Columns that every panel keeps wherever a line is moved to.
const LEAST_COLUMNS: u16 = 24;

/// Panels of the bridge that fit, and where.
pub fn bridge(canvas: &mut Canvas<'_>, body: Rect, model: &Model) -> Vec<(Panel, Rect)> {
    let gates = (model.session.charter.gates.len() as u16 + 2).clamp(4, 14);
    match (body.width, body.height) {
        (160.., 36..) => three_columns(canvas, body, model, gates),
        (110.., 26..) => two_columns(canvas, body, model, gates),
        (70.., 13..) => folded(canvas, body, model, gates),
        _ => tiny(canvas, body, model),
    }
}

/// 200×60 and beyond.
fn three_columns(
    canvas: &mut Canvas<'_>,
    body: Rect,
    model: &Model,
    gates: u16,
) -> Vec<(Panel, Rect)> {
    let column = part(body.width / 3, LEAST_COLUMNS);
    let columns = [column; 3];
    let [left, middle, right] =
        canvas.split(&model.ui.splits, Stack::Wide, Axis::Across, body, columns);
    let chart = (right.height - right.height / 4) / 2;
    let mut places = Vec::new();
    let rows = [(Panel::Gates, gates), (Panel::Steps, 0)];
    places.extend(stack(canvas, model, Stack::WideLeft, left, rows));
    let rows = [
        (Panel::Triggers, 13),
        (Panel::Fleet, 10),
        (Panel::Output, 8),
        (Panel::Events, 0),
    ];
    places.extend(stack(canvas, model, Stack::WideMiddle, middle, rows));
    let rows = [
        (Panel::Errors, chart),
        (Panel::Latency, chart),
        (Panel::Pool, 0),
    ];
    places.extend(stack(canvas, model, Stack::WideRight, right, rows));
    places
}

/// 120×40: everything, in two columns.
fn two_columns(
    canvas: &mut Canvas<'_>,
    body: Rect,
    model: &Model,
    gates: u16,
) -> Vec<(Panel, Rect)> {
    let splits = &model.ui.splits;
    let column = part(body.width / 2, LEAST_COLUMNS * 2 - 4);
    let [left, right] = canvas.split(splits, Stack::Two, Axis::Across, body, [column; 2]);
    let events = (body.height / 4).clamp(4, 9);
    let steps = body.height.saturating_sub(gates + events);
    let rows = [
        (Panel::Gates, gates),
        (Panel::Steps, steps),
        (Panel::Events, 0),
    ];
    let mut places = stack(canvas, model, Stack::TwoLeft, left, rows);
    let foot = 8;
    let triggers = 9;
    let chart = (body.height - triggers - foot) / 2;
    let rows = [
        (Panel::Triggers, triggers),
        (Panel::Errors, chart),
        (Panel::Latency, body.height - triggers - foot - chart),
        (Panel::Pool, 0),
    ];
    places.extend(stack(canvas, model, Stack::TwoRight, right, rows));
    // The last row has two panels.
    let foot = places.pop().map_or(right, |(_, foot)| foot);
    let columns = [
        part(foot.width * 3 / 5, LEAST_COLUMNS),
        part(0, LEAST_COLUMNS - 4),
    ];
    let [pool, fleet] = canvas.split(splits, Stack::TwoFoot, Axis::Across, foot, columns);
    places.extend([(Panel::Pool, pool), (Panel::Fleet, fleet)]);
    places
}

/// 80×24: gates, triggers and steps; the rest on digits.
fn folded(canvas: &mut Canvas<'_>, body: Rect, model: &Model, gates: u16) -> Vec<(Panel, Rect)> {
    let top = gates.min(body.height / 2 + 1);
    let below = body.height - top;
    let with_events = below >= 14;
    let steps = if with_events { below - 6 } else { below };
    let rows = [
        // Triggers are beside them.
        part(top, Panel::Triggers.least_rows()),
        part(steps, Panel::Steps.least_rows()),
        part(0, Panel::Events.least_rows()),
    ];
    let splits = &model.ui.splits;
    let [upper, steps, events] = canvas.split(splits, Stack::Folded, Axis::Down, body, rows);
    let columns = [
        part(body.width * 11 / 20, LEAST_COLUMNS),
        part(0, LEAST_COLUMNS),
    ];
    let [gates, triggers] = canvas.split(splits, Stack::FoldedTop, Axis::Across, upper, columns);
    let mut places = vec![
        (Panel::Gates, gates),
        (Panel::Triggers, triggers),
        (Panel::Steps, steps),
    ];
    if with_events {
        places.push((Panel::Events, events));
    }
    places
}

/// Smaller than that: steps, and gates beside or above them while there is room.
fn tiny(canvas: &mut Canvas<'_>, body: Rect, model: &Model) -> Vec<(Panel, Rect)> {
    if body.height >= 12 {
        let rows = [(Panel::Gates, body.height / 2), (Panel::Steps, 0)];
        return stack(canvas, model, Stack::TinyDown, body, rows);
    }
    if body.width >= 70 {
        let half = part(body.width / 2, LEAST_COLUMNS);
        let splits = &model.ui.splits;
        let [left, right] = canvas.split(splits, Stack::Tiny, Axis::Across, body, [half; 2]);
        return vec![(Panel::Gates, left), (Panel::Steps, right)];
    }
    vec![(Panel::Steps, body)]
}

/// Panels one under the other.
fn stack<const N: usize>(
    canvas: &mut Canvas<'_>,
    model: &Model,
    of: Stack,
    area: Rect,
    rows: [Row; N],
) -> Vec<(Panel, Rect)> {
    let parts = rows.map(|(panel, usual)| part(usual, panel.least_rows()));
    let places = canvas.split(&model.ui.splits, of, Axis::Down, area, parts);
    let panels = rows.map(|(panel, _)| panel);
    panels.into_iter().zip(places).collect()
}
