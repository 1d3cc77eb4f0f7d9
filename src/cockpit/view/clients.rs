//! Who is connected to PostgreSQL, a row for each application: what its connections did over the last minutes, and their numbers now.

use std::cmp::Reverse;

use ratatui::layout::Rect;

use super::shared::{Hidden, below, filter_row, row, window_of};
use super::strip::Strip;
use crate::cockpit::canvas::{Canvas, Head, Piece, columns, fit, piece};
use crate::cockpit::model::Model;
use crate::cockpit::model::clients::Counts;
use crate::cockpit::model::ui::Focus;
use crate::cockpit::theme::Meaning;
use crate::format::count;
use crate::session::live::ClientView;

/// Columns of a number.
const NUMBER: usize = 9;

/// Numbers of an application; the last only where something is hidden.
const HEADINGS: [&str; 5] = ["active", "idle", "in tx", "waiting", "hidden"];

/// Columns of a name at most.
const WIDEST: u16 = 20;

/// A server of which more is taken has nearly nothing left.
const NEARLY_FULL: f64 = 0.9;

/// Heading, notice, two rows and how many more there are.
const ROWS_FOR_A_NOTICE: u16 = 5;

/// Rows that the panel wants, with its frame and heading; few while there is nothing to tell.
pub fn rows(model: &Model) -> u16 {
    let all = model.clients.applications().unwrap_or_default();
    let notice = u16::from(notice(model, all).is_some());
    match all.len() {
        0 => 3,
        n => u16::try_from(n)
            .unwrap_or(u16::MAX)
            .saturating_add(3 + notice),
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
            false if is_any_hidden(all) => {
                " ? hidden  ░ idle  ▒ active  ▓ most idle in tx  █ waits for a lock "
            }
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
    // That it is old must be said; that some is hidden the column of that name says too.
    let wanted = ROWS_FOR_A_NOTICE.min(rows(model) - 2);
    let has_room = inner.height >= wanted || model.clients.is_silent();
    let inner = match notice(model, all).filter(|_| has_room) {
        Some(words) => {
            canvas.write(inner.x, inner.y, inner.width, &words, Meaning::Unknown);
            below(inner, 1)
        }
        None => inner,
    };
    let shown = all.iter().filter(|c| model.shows_instance(called(c)));
    let found = (shown.count(), all.len());
    let inner = filter_row(canvas, inner, model, Focus::Instances, found);
    if found.0 > 0 {
        table(canvas, inner, model, all);
    }
}

/// A row for each, below a heading.
fn table(canvas: &mut Canvas<'_>, area: Rect, model: &Model, all: &[ClientView]) {
    if area.height == 0 {
        return;
    }
    let names = all.iter().map(|c| columns(&fit(called(c), WIDEST)));
    let name = names.max().unwrap_or_default().max(6);
    let headings = match is_any_hidden(all) {
        true => &HEADINGS[..],
        false => &HEADINGS[..HEADINGS.len() - 1],
    };
    let numbers = (NUMBER * headings.len()) as u16;
    let cells = area.width.saturating_sub(name + 1 + numbers);
    let strip = Strip::of(model.clients.rounds(), model, cells);
    let width = usize::from(name) + 1;
    let mut text = format!("{:width$}{}", "", strip.heading());
    for heading in headings {
        text.push_str(&format!("{heading:>NUMBER$}"));
    }
    canvas.write(area.x, area.y, area.width, &text, Meaning::Muted);
    let lines = below(area, 1);
    let shown = all.iter().filter(|c| model.shows_instance(called(c)));
    let mut ranked: Vec<&ClientView> = shown.collect();
    // Who waits, then who holds transactions open, for whom others may wait. The others by name: their numbers change with every look,
    // and rows would dance.
    ranked.sort_by_key(|c| {
        let open = Counts::of(c).is_mostly_open();
        (Reverse((c.waiting, open)), c.application.as_str())
    });
    let (rows, hidden) = window_of(canvas, model, ranked.len(), lines.height);
    for (n, client) in ranked[rows].iter().enumerate() {
        let mut pieces = application(model, client, name, &strip);
        pieces.extend(numbers_of(client, headings.len()));
        if model.is_stale() || model.clients.is_silent() {
            pieces
                .iter_mut()
                .for_each(|(_, meaning)| *meaning = Meaning::Stale);
        }
        let place = row(lines, n as u16);
        canvas.pieces(place.x, place.y, place.width, &pieces);
    }
    if let Some(hidden) = hidden {
        let words = remaining(&hidden, hidden.of(&ranked).copied());
        let last = row(lines, lines.height - 1);
        canvas.write(last.x, last.y, last.width, &words, Meaning::Muted);
    }
}

/// `5 here, 95 of 97 on the server`: the limit is that of the whole server, on which there may be other databases.
fn note(model: &Model, all: &[ClientView]) -> Piece<'static> {
    if all.is_empty() {
        return piece("", Meaning::Muted);
    }
    let waiting: u64 = all.iter().map(|c| u64::from(c.waiting)).sum();
    let here: u64 = all.iter().map(connections).sum();
    let (total, most) = (model.clients.server_total(), model.clients.most());
    let mut words = format!(
        "{} here, {} of {} on the server",
        count(here),
        count(total.into()),
        count(most.into())
    );
    let is_full = f64::from(total) > f64::from(most) * NEARLY_FULL;
    if is_full {
        words.push_str(", NEARLY FULL");
    }
    match waiting {
        0 => {}
        1 => words.push_str(", 1 waits for a lock"),
        n => words.push_str(&format!(", {} wait for locks", count(n))),
    }
    let meaning = match (is_full || waiting > 0, model.clients.is_silent()) {
        (_, true) => Meaning::Stale,
        (true, false) => Meaning::Danger,
        (false, false) => Meaning::Muted,
    };
    piece(words, meaning)
}

fn connections(client: &ClientView) -> u64 {
    [
        client.active,
        client.idle,
        client.idle_in_transaction,
        client.hidden,
    ]
    .map(u64::from)
    .iter()
    .sum()
}

fn is_any_hidden(all: &[ClientView]) -> bool {
    all.iter().any(|c| c.hidden > 0)
}

/// What must be known of all rows before one is believed.
fn notice(model: &Model, all: &[ClientView]) -> Option<String> {
    if all.is_empty() {
        return None;
    }
    if model.clients.is_silent() {
        return Some("PostgreSQL did not answer: this is what it said last".to_owned());
    }
    let hidden: u64 = all.iter().map(|c| u64::from(c.hidden)).sum();
    (hidden > 0).then(|| format!("state of {} hidden: grant pg_monitor", count(hidden)))
}

fn why_none(model: &Model) -> &'static str {
    match model.clients.applications() {
        _ if model.clients.is_silent() => "PostgreSQL did not answer",
        Some(_) => "nobody is connected",
        None if model.replay.is_some() => {
            "not recorded: who was connected is shown only while it happens"
        }
        None if model.clients.is_unasked() => "no probe asks PostgreSQL who is connected",
        None => "PostgreSQL was not asked yet",
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
        Some(c) if c.is_mostly_open() => ('▓', Meaning::Warn),
        Some(c) if c.hidden > 0 => ('?', Meaning::Unknown),
        Some(c) if c.active > 0 => ('▒', Meaning::Middle),
        Some(c) if c.idle > 0 => ('░', Meaning::Low),
        Some(_) => ('·', Meaning::Muted),
    }
}

/// The name and the cells.
fn application(
    model: &Model,
    client: &ClientView,
    name: u16,
    strip: &Strip,
) -> Vec<Piece<'static>> {
    let called = fit(called(client), name).into_owned();
    let pad = usize::from(name + 1 - columns(&called));
    let mut pieces = vec![piece(format!("{called}{}", " ".repeat(pad)), Meaning::Text)];
    let number = model.clients.number(&client.application);
    let counts = |rounds| model.clients.counts(number?, rounds);
    pieces.extend(strip.pieces(|rounds| shade(counts(rounds))));
    pieces
}

/// The first so many of its numbers. None of a kind is not known to be none where connections are hidden.
fn numbers_of(client: &ClientView, numbers: usize) -> impl Iterator<Item = Piece<'static>> {
    let alarm = |n: u32, quiet, loud| if n > 0 { loud } else { quiet };
    let open = client.idle_in_transaction;
    let known = [
        (client.active, Meaning::Middle),
        (client.idle, Meaning::Low),
        (open, alarm(open, Meaning::Muted, Meaning::Warn)),
        (
            client.waiting,
            alarm(client.waiting, Meaning::High, Meaning::Danger),
        ),
    ];
    let is_hidden = client.hidden > 0;
    let known = known.map(|(n, meaning)| match n {
        0 if is_hidden => piece(format!("{:>NUMBER$}", "?"), Meaning::Unknown),
        n => piece(format!("{n:>NUMBER$}"), meaning),
    });
    let hidden = piece(
        format!("{:>NUMBER$}", client.hidden),
        alarm(client.hidden, Meaning::Muted, Meaning::Unknown),
    );
    known.into_iter().chain([hidden]).take(numbers)
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
