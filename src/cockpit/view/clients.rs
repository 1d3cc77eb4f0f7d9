//! Who is connected to PostgreSQL, a row for each application: what its connections did over the last minutes, and their numbers now.

use std::cmp::Reverse;

use ratatui::layout::Rect;

use super::shared::{Hidden, below, row, window_of};
use super::strip::Strip;
use crate::cockpit::canvas::{Canvas, Head, columns, fit, piece};
use crate::cockpit::format::count;
use crate::cockpit::model::Model;
use crate::cockpit::model::clients::Counts;
use crate::cockpit::theme::Meaning;
use crate::session::live::ClientView;

/// Columns of a number.
const NUMBER: usize = 9;

/// Numbers of an application.
const NUMBERS: u16 = 4;

/// Columns of a name at most.
const WIDEST: u16 = 20;

/// A server of which more is taken has nearly nothing left.
const NEARLY_FULL: f64 = 0.9;

/// Rows that the panel wants, with its frame and heading; few while there is nothing to tell.
pub fn rows(model: &Model) -> u16 {
    match model.clients.applications().map_or(0, <[ClientView]>::len) {
        0 => 3,
        n => u16::try_from(n).unwrap_or(u16::MAX).saturating_add(3),
    }
}

/// The panel.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let all = model.clients.applications().unwrap_or_default();
    let head = Head {
        title: "Per application",
        note: vec![note(model, all)],
        legend: match all.is_empty() {
            true => "",
            false => " · none  ░ idle  ▒ active  ▓ most idle in tx  █ waits for a lock ",
        },
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    if inner.height == 0 {
        return;
    }
    if all.is_empty() {
        canvas.write(
            inner.x,
            inner.y,
            inner.width,
            why_none(model),
            Meaning::Muted,
        );
        return;
    }
    let names = all.iter().map(|c| columns(&fit(called(c), WIDEST)));
    let name = names.max().unwrap_or_default().max(6);
    let cells = inner
        .width
        .saturating_sub(name + 1 + NUMBER as u16 * NUMBERS);
    let strip = Strip::of(model.clients.rounds(), model, cells);
    let width = usize::from(name) + 1;
    let text = format!(
        "{:width$}{}{:>NUMBER$}{:>NUMBER$}{:>NUMBER$}{:>NUMBER$}",
        "",
        strip.heading(),
        "active",
        "idle",
        "in tx",
        "waiting"
    );
    canvas.write(inner.x, inner.y, inner.width, &text, Meaning::Muted);
    let lines = below(inner, 1);
    let mut ranked: Vec<&ClientView> = all.iter().collect();
    // Who waits, then who holds transactions open, for whom others may wait.
    ranked.sort_by_key(|c| Reverse((c.waiting, c.idle_in_transaction > c.active)));
    let (rows, hidden) = window_of(canvas, model, ranked.len(), lines.height);
    for (n, client) in ranked[rows].iter().enumerate() {
        application(canvas, row(lines, n as u16), model, client, name, &strip);
    }
    if let Some(hidden) = hidden {
        let words = remaining(&hidden, hidden.of(&ranked).copied());
        let last = row(lines, lines.height - 1);
        canvas.write(last.x, last.y, last.width, &words, Meaning::Muted);
    }
}

/// `43 of 97 connections`: what all of them have of the server.
fn note(model: &Model, all: &[ClientView]) -> crate::cockpit::canvas::Piece<'static> {
    let waiting = all.iter().filter(|c| c.waiting > 0).count();
    let taken: u64 = all.iter().map(connections).sum();
    let most = model.clients.most();
    let words = format!("{} of {} connections", count(taken), count(most.into()));
    match waiting {
        _ if all.is_empty() => piece("", Meaning::Muted),
        0 if taken as f64 > f64::from(most) * NEARLY_FULL => {
            piece(format!("{words}, NEARLY FULL"), Meaning::Danger)
        }
        0 => piece(words, Meaning::Muted),
        1 => piece(format!("{words}, 1 waits for locks"), Meaning::Danger),
        n => piece(format!("{words}, {n} wait for locks"), Meaning::Danger),
    }
}

fn connections(client: &ClientView) -> u64 {
    [client.active, client.idle, client.idle_in_transaction]
        .map(u64::from)
        .iter()
        .sum()
}

fn why_none(model: &Model) -> &'static str {
    match model.clients.applications() {
        Some(_) => "nobody is connected",
        None if model.replay.is_some() => {
            "not recorded: who was connected is shown only while it happens"
        }
        None if model.clients.rounds().is_empty() => "PostgreSQL was not asked yet",
        None => "PostgreSQL did not answer",
    }
}

fn called(client: &ClientView) -> &str {
    match client.application.as_str() {
        "" => "no name",
        name => name,
    }
}

/// What an application's connections did, as a cell: the worst of it.
fn shade(counts: Option<Counts>) -> (char, Meaning) {
    match counts {
        None => (' ', Meaning::Muted),
        Some(c) if c.waiting > 0 => ('█', Meaning::Danger),
        Some(c) if c.idle_in_transaction > c.active => ('▓', Meaning::Warn),
        Some(c) if c.active > 0 => ('▒', Meaning::Middle),
        Some(c) if c.idle > 0 => ('░', Meaning::Low),
        Some(_) => ('·', Meaning::Muted),
    }
}

fn application(
    canvas: &mut Canvas<'_>,
    area: Rect,
    model: &Model,
    client: &ClientView,
    name: u16,
    strip: &Strip,
) {
    let called = fit(called(client), name).into_owned();
    let pad = usize::from(name + 1 - columns(&called));
    let mut pieces = vec![piece(format!("{called}{}", " ".repeat(pad)), Meaning::Text)];
    let number = model.clients.number(&client.application);
    let counts = |rounds| model.clients.counts(number?, rounds);
    pieces.extend(strip.pieces(|rounds| shade(counts(rounds))));
    let alarm = |n: u32, quiet, loud| if n > 0 { loud } else { quiet };
    for (n, meaning) in [
        (client.active, Meaning::Middle),
        (client.idle, Meaning::Low),
        (
            client.idle_in_transaction,
            alarm(client.idle_in_transaction, Meaning::Muted, Meaning::Warn),
        ),
        (
            client.waiting,
            alarm(client.waiting, Meaning::High, Meaning::Danger),
        ),
    ] {
        pieces.push(piece(format!("{n:>NUMBER$}"), meaning));
    }
    if model.is_stale() {
        pieces
            .iter_mut()
            .for_each(|(_, meaning)| *meaning = Meaning::Stale);
    }
    canvas.pieces(area.x, area.y, area.width, &pieces);
}

/// `… and 12 more, 40 connections, nobody waits`.
fn remaining<'c>(hidden: &Hidden, rest: impl Iterator<Item = &'c ClientView>) -> String {
    let (mut waiting, mut taken) = (0, 0);
    for client in rest {
        waiting += u64::from(client.waiting);
        taken += connections(client);
    }
    let waiting = match waiting {
        0 => "nobody waits".to_owned(),
        n => format!("{} wait", count(n)),
    };
    format!("{hidden}: {} connections, {waiting}", count(taken))
}
