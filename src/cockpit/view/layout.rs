//! Where things go on a screen of any size. Not in here: what they look like.

use ratatui::layout::Rect;

use crate::cockpit::model::Model;

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

/// Panels of the bridge that fit, and where.
pub fn bridge(body: Rect, model: &Model) -> Vec<(Panel, Rect)> {
    let gates = (model.session.charter.gates.len() as u16 + 2).clamp(4, 14);
    match (body.width, body.height) {
        (160.., 36..) => three_columns(body, gates),
        (110.., 26..) => two_columns(body, gates),
        (70.., 13..) => folded(body, gates),
        _ => tiny(body),
    }
}

/// 200×60 and beyond.
fn three_columns(body: Rect, gates: u16) -> Vec<(Panel, Rect)> {
    let width = body.width / 3;
    let [left, middle, right] = [
        column(body, 0, width),
        column(body, width, width),
        column(body, width * 2, body.width - width * 2),
    ];
    let mut places = Vec::new();
    places.extend(stack(left, &[(Panel::Gates, gates), (Panel::Steps, 0)]));
    places.extend(stack(
        middle,
        &[
            (Panel::Triggers, 13),
            (Panel::Fleet, 10),
            (Panel::Output, 8),
            (Panel::Events, 0),
        ],
    ));
    let chart = (right.height - right.height / 4) / 2;
    places.extend(stack(
        right,
        &[
            (Panel::Errors, chart),
            (Panel::Latency, chart),
            (Panel::Pool, 0),
        ],
    ));
    places
}

/// 120×40: everything, in two columns.
fn two_columns(body: Rect, gates: u16) -> Vec<(Panel, Rect)> {
    let half = body.width / 2;
    let left = column(body, 0, half);
    let right = column(body, half, body.width - half);
    let events = (body.height / 4).clamp(4, 9);
    let bottom = 8;
    let triggers = 9;
    let chart = (body.height - triggers - bottom) / 2;
    let mut places = Vec::new();
    let steps = body.height.saturating_sub(gates + events);
    places.extend(stack(
        left,
        &[
            (Panel::Gates, gates),
            (Panel::Steps, steps),
            (Panel::Events, 0),
        ],
    ));
    places.extend(stack(
        right,
        &[
            (Panel::Triggers, triggers),
            (Panel::Errors, chart),
            (Panel::Latency, body.height - triggers - bottom - chart),
        ],
    ));
    let row = Rect {
        y: body.bottom() - bottom,
        height: bottom,
        ..right
    };
    let pool = row.width * 3 / 5;
    places.push((Panel::Pool, column(row, 0, pool)));
    places.push((Panel::Fleet, column(row, pool, row.width - pool)));
    places
}

/// 80×24: gates, triggers and steps; the rest on digits.
fn folded(body: Rect, gates: u16) -> Vec<(Panel, Rect)> {
    let top = gates.min(body.height / 2 + 1);
    let upper = Rect {
        height: top,
        ..body
    };
    let lower = Rect {
        y: body.y + top,
        height: body.height - top,
        ..body
    };
    let left = body.width * 11 / 20;
    let mut places = vec![
        (Panel::Gates, column(upper, 0, left)),
        (Panel::Triggers, column(upper, left, body.width - left)),
    ];
    if lower.height >= 14 {
        places.extend(stack(
            lower,
            &[(Panel::Steps, lower.height - 6), (Panel::Events, 0)],
        ));
    } else {
        places.push((Panel::Steps, lower));
    }
    places
}

/// Smaller than that: steps, and gates beside or above them while there is room.
fn tiny(body: Rect) -> Vec<(Panel, Rect)> {
    if body.height >= 12 {
        let gates = body.height / 2;
        return stack(body, &[(Panel::Gates, gates), (Panel::Steps, 0)]);
    }
    if body.width >= 70 {
        let half = body.width / 2;
        return vec![
            (Panel::Gates, column(body, 0, half)),
            (Panel::Steps, column(body, half, body.width - half)),
        ];
    }
    vec![(Panel::Steps, body)]
}

fn column(body: Rect, x: u16, width: u16) -> Rect {
    Rect {
        x: body.x + x,
        width,
        ..body
    }
}

/// Panels one under the other; a height of 0 takes what is left.
fn stack(area: Rect, panels: &[(Panel, u16)]) -> Vec<(Panel, Rect)> {
    let fixed: u16 = panels.iter().map(|(_, h)| *h).sum();
    let rest = area.height.saturating_sub(fixed);
    let mut y = area.y;
    let mut places = Vec::new();
    for (panel, height) in panels {
        let height = if *height == 0 { rest } else { *height };
        let height = height.min(area.bottom().saturating_sub(y));
        places.push((*panel, Rect { y, height, ..area }));
        y += height;
    }
    places
}
