//! Every instance's pool in a row, those in which somebody waits first: how full it was over the last minutes, and its numbers now.

use std::cmp::Reverse;

use ratatui::layout::Rect;

use super::shared::{Hidden, below, filter_row, name_columns, row, window_of, without_loads};
use super::strip::Strip;
use crate::cockpit::canvas::{Canvas, Head, columns, fit, piece};
use crate::cockpit::model::Model;
use crate::cockpit::model::loads::Pressure;
use crate::cockpit::model::ui::Focus;
use crate::cockpit::theme::Meaning;
use crate::format::short;
use crate::session::live::LoadView;

/// Columns of a number.
const NUMBER: usize = 9;

/// Numbers of an instance.
const NUMBERS: u16 = 4;

/// A pool that is fuller than this has nearly nothing left.
const NEARLY_FULL: f64 = 0.9;

/// A pool that is fuller than this has less free than in use.
const HALF: f64 = 0.5;

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
        legend: match loads.is_empty() {
            true => "",
            false => " · free  ░ in use  ▒ above 50 %  ▓ above 90 %  █ clients wait ",
        },
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    if inner.height == 0 || without_loads(canvas, inner, model) {
        return;
    }
    let ranked = ranked(loads, |id| model.shows_instance(id));
    let found = (ranked.len(), loads.len());
    let inner = filter_row(canvas, inner, model, Focus::Instances, found);
    if inner.height == 0 || ranked.is_empty() {
        return;
    }
    let name = name_columns(loads);
    let numbers = NUMBER as u16 * NUMBERS;
    let cells = inner.width.saturating_sub(name + 1 + numbers);
    let strip = Strip::of(model.loads.rounds(), model, cells);
    let width = usize::from(name) + 1;
    let text = format!(
        "{:width$}{}{:>NUMBER$}{:>NUMBER$}{:>NUMBER$}{:>NUMBER$}",
        "",
        strip.heading(),
        "active",
        "idle",
        "waiting",
        "max"
    );
    canvas.write(inner.x, inner.y, inner.width, &text, Meaning::Muted);
    let lines = below(inner, 1);
    let (rows, hidden) = window_of(canvas, model, ranked.len(), lines.height);
    for (n, place) in ranked[rows].iter().enumerate() {
        instance(canvas, row(lines, n as u16), model, *place, name, &strip);
    }
    if let Some(hidden) = hidden {
        let unseen: Vec<_> = hidden.of(&ranked).map(|n| &loads[*n]).collect();
        let last = row(lines, lines.height - 1);
        let words = remaining(&hidden, &unseen);
        canvas.write(last.x, last.y, last.width, &words, Meaning::Muted);
    }
}

/// How full a pool was, as a cell.
fn shade(pressure: Option<Pressure>) -> (char, Meaning) {
    match pressure {
        None => (' ', Meaning::Muted),
        Some(p) if p.waits => ('█', Meaning::Danger),
        Some(p) if p.used > NEARLY_FULL => ('▓', Meaning::Warn),
        Some(p) if p.used > HALF => ('▒', Meaning::Middle),
        Some(p) if p.used > 0.0 => ('░', Meaning::Low),
        Some(_) => ('·', Meaning::Low),
    }
}

fn waits(load: &LoadView) -> bool {
    load.pool_waiting.is_some_and(|n| n > 0.0)
}

/// Places in the fleet: where most wait first, then those that are nearly full, then those of which nobody knows; the others keep the
/// fleet's order.
fn ranked(loads: &[LoadView], is_shown: impl Fn(&str) -> bool) -> Vec<usize> {
    let all = 0..loads.len();
    let mut all: Vec<usize> = all.filter(|n| is_shown(&loads[*n].id)).collect();
    all.sort_by_key(|n| {
        let load = &loads[*n];
        let waiting = load.pool_waiting.unwrap_or_default().max(0.0) as u64;
        let is_full = Pressure::of(load).is_some_and(|p| p.used > NEARLY_FULL);
        Reverse((waiting, is_full, load.pool_max.is_none()))
    });
    all
}

fn instance(
    canvas: &mut Canvas<'_>,
    area: Rect,
    model: &Model,
    n: usize,
    name: u16,
    strip: &Strip,
) {
    let load = &model.loads.instances()[n];
    let id = fit(&load.id, name).into_owned();
    let pad = usize::from(name + 1 - columns(&id));
    let mut pieces = vec![piece(format!("{id}{}", " ".repeat(pad)), Meaning::Text)];
    pieces.extend(strip.pieces(|rounds| shade(model.loads.fullest(n, rounds))));
    if load.is_unknown() {
        let width = NUMBER * 4;
        let words = format!("{:>width$}", "not scraped");
        pieces.push(piece(words, Meaning::Unknown));
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
            pieces.push(piece(format!("{value:>NUMBER$}"), meaning));
        }
    }
    if model.is_stale() {
        pieces
            .iter_mut()
            .for_each(|(_, meaning)| *meaning = Meaning::Stale);
    }
    canvas.pieces(area.x, area.y, area.width, &pieces);
}

/// `… and 488 more, nobody waits there`.
fn remaining(hidden: &Hidden, rest: &[&LoadView]) -> String {
    let waiting = rest.iter().filter(|l| waits(l)).count();
    let unknown = rest.iter().filter(|l| l.pool_waiting.is_none()).count();
    let waiting = match waiting {
        0 => "nobody waits there".to_owned(),
        n => format!("clients wait in {n} of them"),
    };
    match unknown {
        0 => format!("{hidden}, {waiting}"),
        n if n == rest.len() => format!("{hidden}, of none of which anything is known"),
        n => format!("{hidden}, {n} not known; {waiting}"),
    }
}
