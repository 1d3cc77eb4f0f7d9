//! Every instance's pool in a row, those in which somebody waits first.

use std::cmp::Reverse;

use ratatui::layout::Rect;

use super::shared::{below, name_columns, row, rows_and_rest, without_loads};
use crate::cockpit::canvas::{Canvas, Head, columns, fit, piece};
use crate::cockpit::format::short;
use crate::cockpit::model::Model;
use crate::cockpit::theme::Meaning;
use crate::session::live::LoadView;

/// Columns of a number.
const NUMBER: usize = 9;

/// A pool that is fuller than this has nearly nothing left.
const NEARLY_FULL: f64 = 0.9;

/// The longest bar.
const BAR: u16 = 40;

/// The panel.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let loads = model.loads.instances();
    let waiting = loads.iter().filter(|l| waits(l)).count();
    let unknown = loads.iter().filter(|l| l.pool_waiting.is_none()).count();
    let note = match waiting {
        _ if loads.is_empty() => Vec::new(),
        0 if unknown > 0 => vec![piece(
            format!("not known of {unknown} of {}", loads.len()),
            Meaning::Unknown,
        )],
        0 => vec![piece("nobody waits", Meaning::Muted)],
        n => vec![piece(
            format!("clients wait in {n} of {}", loads.len()),
            Meaning::Danger,
        )],
    };
    let head = Head {
        title: "Per instance",
        note,
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    if inner.height == 0 || without_loads(canvas, inner, model) {
        return;
    }
    let name = name_columns(loads);
    let width = usize::from(name);
    let text = format!(
        "{:width$}{:>NUMBER$}{:>NUMBER$}{:>NUMBER$}{:>NUMBER$}",
        "", "active", "idle", "waiting", "max"
    );
    canvas.write(inner.x, inner.y, inner.width, &text, Meaning::Muted);
    let lines = below(inner, 1);
    let ranked = ranked(loads);
    let (shown, rest) = rows_and_rest(ranked.len(), lines.height);
    for (n, load) in ranked.iter().take(shown).enumerate() {
        instance(canvas, row(lines, n as u16), model, load, name);
    }
    if rest > 0 && lines.height > 0 {
        let last = row(lines, lines.height - 1);
        let words = remaining(&ranked[shown..]);
        canvas.write(last.x, last.y, last.width, &words, Meaning::Muted);
    }
}

fn waits(load: &LoadView) -> bool {
    load.pool_waiting.is_some_and(|n| n > 0.0)
}

/// Where most wait first, then those that are nearly full, then those of which nobody knows; the others keep the fleet's order.
fn ranked(loads: &[LoadView]) -> Vec<&LoadView> {
    let mut all: Vec<_> = loads.iter().collect();
    all.sort_by_key(|load| {
        let waiting = load.pool_waiting.unwrap_or_default().max(0.0) as u64;
        let is_full = used(load).is_some_and(|share| share > NEARLY_FULL);
        Reverse((waiting, is_full, load.pool_max.is_none()))
    });
    all
}

fn used(load: &LoadView) -> Option<f64> {
    let max = load.pool_max.filter(|max| *max > 0.0)?;
    load.pool_active.map(|active| active / max)
}

fn instance(canvas: &mut Canvas<'_>, area: Rect, model: &Model, load: &LoadView, name: u16) {
    let plain = |meaning| {
        if model.is_stale() {
            Meaning::Stale
        } else {
            meaning
        }
    };
    let id = fit(&load.id, name).into_owned();
    let pad = usize::from(name - columns(&id));
    let mut pieces = vec![piece(
        format!("{id}{}", " ".repeat(pad)),
        plain(Meaning::Text),
    )];
    if load.is_unknown() {
        let width = NUMBER * 4;
        pieces.push(piece(
            format!("{:>width$}", "not scraped"),
            plain(Meaning::Unknown),
        ));
    } else {
        let waiting = if waits(load) {
            Meaning::Danger
        } else {
            Meaning::High
        };
        for (value, meaning) in [
            (load.pool_active, Meaning::Middle),
            (load.pool_idle, Meaning::Low),
            (load.pool_waiting, waiting),
            (load.pool_max, Meaning::Muted),
        ] {
            let value = value.map_or("–".to_owned(), short);
            pieces.push(piece(format!("{value:>NUMBER$}"), plain(meaning)));
        }
    }
    let taken = canvas.pieces(area.x, area.y, area.width, &pieces) + 2;
    let room = area.width.saturating_sub(taken).min(BAR);
    if let Some(share) = used(load).filter(|_| room >= 10) {
        let meaning = match share > NEARLY_FULL {
            true => Meaning::Danger,
            false => Meaning::Middle,
        };
        canvas.bar(area.x + taken, area.y, room, share, plain(meaning));
    }
}

/// `… and 488 more, nobody waits there`.
fn remaining(rest: &[&LoadView]) -> String {
    let waiting = rest.iter().filter(|l| waits(l)).count();
    let unknown = rest.iter().filter(|l| l.pool_waiting.is_none()).count();
    let waiting = match waiting {
        0 => "nobody waits there".to_owned(),
        n => format!("clients wait in {n} of them"),
    };
    match unknown {
        0 => format!("… and {} more, {waiting}", rest.len()),
        n if n == rest.len() => format!("… and {n} more, of none of which anything is known"),
        n => format!("… and {} more, {n} not known; {waiting}", rest.len()),
    }
}
