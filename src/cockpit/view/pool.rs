//! The connection pool: as the application sees it, as PostgreSQL and PgBouncer see it, and over time.

use ratatui::layout::Rect;

use super::shared::{below, detail_lines, details, halves, loads_rows, row};
use super::traffic::{from_ms, series, window_ms, without_samples};
use super::{clients, pools};
use crate::cockpit::canvas::{Canvas, Head, Piece, piece};
use crate::cockpit::chart::{self, Chart, Level};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::View;
use crate::cockpit::split::{Axis, Stack, part};
use crate::cockpit::theme::Meaning;
use crate::format::{percent, short};

/// Rows of the view below which it has no room for the instances.
const ROOMY: u16 = 16;

/// From this width on, tables and charts stand beside each other.
const BESIDE: u16 = 150;
const CHARTS_BESIDE: u16 = 100;

/// The view: the panel, larger, and below it who is connected, and every instance's pool.
pub fn draw_view(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    if area.height < ROOMY {
        draw(canvas, area, model);
        return;
    }
    let splits = &model.ui.splits;
    let (applications, instances) = (clients::rows(model), loads_rows(model));
    let without_chart = rows_without_chart(model);
    let has_chart = |height: u16| height >= without_chart + READABLE_CHART;
    let beside_tables = area.height - without_chart;
    if area.width >= BESIDE {
        let wanted = applications.max(instances);
        let tables = match wanted.min(area.height / 2) {
            tables if has_chart(area.height - tables) => tables,
            _ => wanted.min(beside_tables),
        };
        let parts = [part(area.height - tables, 6), part(0, 4)];
        let [pool, tables] = canvas.split(splits, Stack::Pool, Axis::Down, area, parts);
        let parts = [part(tables.width / 2, 60); 2];
        let [left, right] = canvas.split(splits, Stack::PoolFoot, Axis::Across, tables, parts);
        draw(canvas, pool, model);
        clients::draw(canvas, left, model);
        pools::draw(canvas, right, model);
        return;
    }
    let few = (area.height * 3 / 10, area.height * 4 / 10);
    let (applications, instances) = match (applications.min(few.0), instances.min(few.1)) {
        tables if has_chart(area.height - tables.0 - tables.1) => tables,
        _ => shared_out(beside_tables, applications, instances),
    };
    let height = area.height - applications - instances;
    let parts = [part(height, 4), part(applications, 3), part(0, 3)];
    let [pool, applications, instances] =
        canvas.split(splits, Stack::PoolDown, Axis::Down, area, parts);
    draw(canvas, pool, model);
    clients::draw(canvas, applications, model);
    pools::draw(canvas, instances, model);
}

/// Rows of a chart below which it tells nothing that the numbers do not tell.
const READABLE_CHART: u16 = 4;

/// Rows of the panel with its frame, numbers and who waits for whom, and no chart.
fn rows_without_chart(model: &Model) -> u16 {
    let told = detail_lines(model, "database").len() as u16;
    4 + u16::from(has_bouncer(model)) + told.min(LEAST_CHART - 1)
}

/// Rows for two tables that want so many: each has half, or what the other leaves.
fn shared_out(rows: u16, first: u16, second: u16) -> (u16, u16) {
    let half = rows / 2;
    let first = first.min(half.max(rows.saturating_sub(second)));
    (first, second.min(rows - first))
}

fn has_bouncer(model: &Model) -> bool {
    model.series.last("bouncer_waiting").is_some()
}

/// The panel.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let used = model.series.last("pool_used_ratio");
    let note = match used {
        None => piece("no word yet", Meaning::Muted),
        Some(None) => piece("no data", Meaning::Unknown),
        Some(Some(v)) if v > 0.9 => {
            piece(format!("{} used, NEARLY FULL", percent(v)), Meaning::Danger)
        }
        Some(Some(v)) => piece(format!("{} used", percent(v)), Meaning::Muted),
    };
    let head = Head {
        view: Some(View::Pool),
        title: "Pool",
        note: vec![note],
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    if inner.height == 0 {
        return;
    }
    let app = numbers(
        model,
        "app",
        &[
            ("pool_active", ("active", "act"), Meaning::Middle),
            ("pool_idle", ("idle", "idle"), Meaning::Low),
            ("pool_waiting", WAITING, Meaning::High),
            ("pool_max", ("max", "max"), Meaning::Muted),
        ],
        inner.width,
    );
    canvas.pieces(inner.x, inner.y, inner.width, &app);
    let mut used = 1;
    if inner.height >= 2 {
        let server = numbers(
            model,
            "pg ",
            &[
                ("pg_active", ("active", "act"), Meaning::Middle),
                ("pg_idle", ("idle", "idle"), Meaning::Low),
                ("pg_waiting", WAITING, Meaning::High),
                ("pg_max", ("max", "max"), Meaning::Muted),
                ("pg_idle_in_transaction", ("idle in tx", ""), Meaning::Warn),
            ],
            inner.width,
        );
        let place = row(inner, 1);
        canvas.pieces(place.x, place.y, place.width, &server);
        used += 1;
    }
    if inner.height > used && has_bouncer(model) {
        let bouncer = numbers(
            model,
            "pgb",
            &[
                ("bouncer_active", ("active", "act"), Meaning::Middle),
                ("bouncer_servers_idle", ("idle", "idle"), Meaning::Low),
                ("bouncer_waiting", WAITING, Meaning::High),
                ("bouncer_servers_active", ("servers", "srv"), Meaning::Muted),
                ("bouncer_maxwait_ms", ("maxwait ms", ""), Meaning::Warn),
            ],
            inner.width,
        );
        let place = row(inner, used);
        canvas.pieces(place.x, place.y, place.width, &bouncer);
        used += 1;
    }
    // The chart has the better half; where that would be too small to be read, who waits for whom has all.
    let left = inner.height.saturating_sub(used);
    let room = Rect {
        height: if left < LEAST_CHART { left } else { left / 2 },
        ..below(inner, used)
    };
    used += details(canvas, room, model, "database");
    history(canvas, below(inner, used), model);
}

/// Nobody should wait: more than none is an alarm.
const WAITING: (&str, &str) = ("waiting", "wait");

/// `app active 12 idle 4 waiting 0 max 100`, with short words where there is little room; what has no short word is left out there.
fn numbers(
    model: &Model,
    who: &'static str,
    parts: &[(&str, (&'static str, &'static str), Meaning)],
    width: u16,
) -> Vec<Piece<'static>> {
    let mut all = vec![piece(who, Meaning::Muted)];
    for (signal, words, meaning) in parts {
        let word = if width < 46 { words.1 } else { words.0 };
        if word.is_empty() {
            continue;
        }
        let value = match model.series.last(signal) {
            None => "–".to_owned(),
            Some(None) => "?".to_owned(),
            Some(Some(v)) => short(v),
        };
        let alarming = *words == WAITING && !matches!(value.as_str(), "0" | "–" | "?");
        let shown = if model.is_stale() {
            Meaning::Stale
        } else if alarming {
            Meaning::Danger
        } else {
            *meaning
        };
        all.push(piece(format!(" {word} "), Meaning::Muted));
        all.push(piece(value, shown));
    }
    all
}

/// Rows from which on a chart is worth half of them.
const LEAST_CHART: u16 = 5;

/// The application's pools over time, and where there is room beside them the server's connections.
fn history(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    if area.height < 2 {
        return;
    }
    if area.width < CHARTS_BESIDE {
        return chart_of(canvas, area, model, &POOLS, "pool_max");
    }
    let (left, right) = halves(area);
    let titled = u16::from(area.height > 4);
    if titled > 0 {
        for (place, title) in [
            (left, "the applications' pools"),
            (right, "the server's connections"),
        ] {
            canvas.write(place.x + 1, place.y, place.width, title, Meaning::Muted);
        }
    }
    chart_of(canvas, below(left, titled), model, &POOLS, "pool_max");
    chart_of(canvas, below(right, titled), model, &SERVER, "pg_max");
}

/// A signal, its label and its meaning; later ones lie above earlier ones.
type Line = (&'static str, &'static str, Meaning);

const POOLS: [Line; 3] = [
    ("pool_idle", "idle", Meaning::Low),
    ("pool_active", "act", Meaning::Middle),
    ("pool_waiting", "wait", Meaning::High),
];

const SERVER: [Line; 4] = [
    ("pg_idle", "idle", Meaning::Low),
    ("pg_active", "act", Meaning::Middle),
    ("pg_idle_in_transaction", "in tx", Meaning::Unknown),
    ("pg_waiting", "wait", Meaning::High),
];

fn chart_of(canvas: &mut Canvas<'_>, area: Rect, model: &Model, lines: &[Line], max: &str) {
    let window_ms = window_ms(canvas, area, model);
    let of = |(signal, label, meaning): &Line| series(model, signal, label, *meaning, window_ms);
    let level = |value| Level {
        label: "max".to_owned(),
        meaning: Meaning::Threshold,
        value,
    };
    let chart = Chart {
        series: lines.iter().map(of).collect(),
        levels: model
            .series
            .last(max)
            .flatten()
            .map(level)
            .into_iter()
            .collect(),
        from_ms: from_ms(model, window_ms),
        to_ms: model.clock_ms(),
        least_top: 4.0,
        unit: short,
    };
    chart::draw(canvas, area, &chart);
    let signals: Vec<_> = lines.iter().map(|(signal, ..)| *signal).collect();
    without_samples(canvas, area, model, &signals);
}
