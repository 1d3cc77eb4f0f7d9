//! The connection pool: as the application sees it, as PostgreSQL and PgBouncer see it, and over time.

use ratatui::layout::Rect;

use super::pools;
use super::shared::{below, details, loads_rows, row};
use super::traffic::{from_ms, series, window_ms, without_samples};
use crate::cockpit::canvas::{Canvas, Head, Piece, piece};
use crate::cockpit::chart::{self, Chart, Level};
use crate::cockpit::format::{percent, short};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::View;
use crate::cockpit::split::{Axis, Stack, part};
use crate::cockpit::theme::Meaning;

/// Rows of the view below which it has no room for the instances.
const ROOMY: u16 = 16;

/// The view: the panel, larger, and every instance's pool below it.
pub fn draw_view(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let most = if area.height < ROOMY {
        0
    } else {
        area.height * 9 / 20
    };
    let table = loads_rows(model).min(most);
    let parts = [part(area.height - table, 6), part(0, 4)];
    let [pool, instances] = canvas.split(&model.ui.splits, Stack::Pool, Axis::Down, area, parts);
    draw(canvas, pool, model);
    pools::draw(canvas, instances, model);
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
        digit: Some(View::Pool.digit()),
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
    if inner.height > used && model.series.last("bouncer_waiting").is_some() {
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
    // The chart has the better half.
    let room = Rect {
        height: inner.height.saturating_sub(used) / 2,
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

fn history(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    if area.height < 2 {
        return;
    }
    let window_ms = window_ms(area);
    let max = model.series.last("pool_max").flatten();
    let chart = Chart {
        series: vec![
            series(model, "pool_idle", "idle", Meaning::Low, window_ms),
            series(model, "pool_active", "act", Meaning::Middle, window_ms),
            series(model, "pool_waiting", "wait", Meaning::High, window_ms),
        ],
        levels: max
            .map(|value| Level {
                label: "max".to_owned(),
                meaning: Meaning::Threshold,
                value,
            })
            .into_iter()
            .collect(),
        from_ms: from_ms(model, window_ms),
        to_ms: model.clock_ms(),
        least_top: 4.0,
        unit: short,
    };
    chart::draw(canvas, area, &chart);
    without_samples(canvas, area, model, &["pool_active", "pool_idle"]);
}
