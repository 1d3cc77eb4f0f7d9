//! A trigger has fired: the countdown takes the whole screen, with the reason in numbers and what will be undone. Made to be
//! understood with the eyes half closed.

use ratatui::layout::Rect;

use super::shared::{below, halves, paragraph, row};
use super::{footer, rollback, traffic};
use crate::cockpit::actions::Do;
use crate::cockpit::canvas::{Canvas, columns};
use crate::cockpit::model::Model;
use crate::cockpit::news::Engine;
use crate::cockpit::theme::Meaning;
use crate::session::advice::countdown_left_ms;

/// The whole screen.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let Some(fired) = &model.session.fired else {
        return;
    };
    if area.height < 3 || area.width < 4 {
        let text = format!("ROLLBACK in {}", seconds_left(model));
        canvas.write(area.x, area.y, area.width, &text, Meaning::Alarm);
        return;
    }
    let title = model
        .session
        .charter
        .triggers
        .iter()
        .find(|t| t.id == fired.trigger.split('.').next().unwrap_or_default())
        .map_or("", |t| t.title.as_str());
    band(
        canvas,
        row(area, 0),
        &format!("{} FIRED: {title}", fired.trigger),
    );
    let margin = if area.width > 60 { 4 } else { 1 };
    let page = Rect {
        x: area.x + margin,
        width: area.width - 2 * margin,
        y: area.y + 1,
        height: area.height - 1,
    };
    let asks = model.ui.toast.is_some() || model.ui.asked.is_some();
    let foot = (1 + u16::from(asks)).min(page.height);
    let page = Rect {
        height: page.height - foot,
        ..page
    };
    let mut used = u16::from(page.height > 12);
    used += paragraph(canvas, below(page, used), &fired.reason, Meaning::Danger);
    if let [_, others @ ..] = &*model.session.fired_triggers()
        && !others.is_empty()
    {
        let text = format!("Also fired: {}", others.join(", "));
        used += paragraph(canvas, below(page, used), &text, Meaning::Danger);
    }
    used += u16::from(page.height > 12);
    used += clock(canvas, below(page, used), model);
    used += explanation(canvas, below(page, used), model);
    used += rollback::cost(canvas, below(page, used), model);
    let rows = model.session.charter.rollback.len() as u16 + 2;
    used += u16::from(page.height >= used + rows);
    let undo = Rect {
        height: rows.min(page.height.saturating_sub(used)),
        ..below(page, used)
    };
    rollback::draw_undo(canvas, undo, model);
    used += undo.height;
    evidence(canvas, below(page, used), model);
    let status = Rect {
        y: area.bottom() - foot,
        height: foot,
        ..area
    };
    footer::draw(canvas, status, model);
}

/// What led to it, where there is room: the same charts as on the bridge.
fn evidence(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    if area.height < 7 || area.width < 60 {
        return;
    }
    let (left, right) = halves(area);
    traffic::draw_errors(canvas, left, model);
    traffic::draw_latency(canvas, right, model);
}

/// A row in alarm colours from edge to edge.
fn band(canvas: &mut Canvas<'_>, area: Rect, text: &str) {
    let blank = " ".repeat(usize::from(area.width));
    canvas.write(area.x, area.y, area.width, &blank, Meaning::Alarm);
    canvas.write_centred(area, &format!(" ▲▲▲  {text}  ▲▲▲ "), Meaning::Alarm);
}

fn seconds_left(model: &Model) -> String {
    if model.is_stale() {
        return "?".to_owned();
    }
    let left_ms = countdown_left_ms(&model.session, model.now_ms).unwrap_or_default();
    format!("{} s", left_ms.saturating_add(999) / 1000)
}

/// The seconds in digits of five rows where there is room, else in words.
fn clock(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> u16 {
    let left = seconds_left(model);
    let lines = big(&format!("ROLLBACK {left}"));
    let lines = if columns(&lines[0]) <= area.width {
        lines
    } else {
        big(&left)
    };
    if area.height < 10 || columns(&lines[0]) > area.width {
        let text = format!(" ROLLBACK in {left} ");
        canvas.write(area.x, area.y, area.width, &text, Meaning::Alarm);
        return 1.min(area.height);
    }
    for (n, line) in lines.iter().enumerate() {
        canvas.write_centred(row(area, n as u16), line, Meaning::Danger);
    }
    lines.len() as u16 + 1
}

fn explanation(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> u16 {
    let (key, engine) = (
        model.ui.keys.shown(Do::RollBack),
        model.ui.keys.shown(Do::StartEngine),
    );
    let text = match &model.engine {
        _ if model.replay.as_ref().is_some_and(|r| !r.rolls_back()) => {
            "The rollback was to begin by itself when the countdown ended. What is recorded ends before that.".to_owned()
        }
        _ if model.replay.is_some() => {
            format!(
                "The rollback began by itself when the countdown ended, or by {key}. Nobody could stop it: rollback is mandatory."
            )
        }
        Engine::Live { .. } => {
            format!(
                "The rollback begins by itself when the countdown ends. {key} begins it now. Nobody can stop it: rollback is mandatory."
            )
        }
        _ => {
            format!(
                "NO ENGINE WORKS: the rollback is due and waits for one. {engine} starts an engine, which begins it at once; {key} does both."
            )
        }
    };
    paragraph(canvas, area, &text, Meaning::Title)
}

/// Text in letters of five rows, for the few characters that the countdown needs.
fn big(text: &str) -> [String; 5] {
    let mut lines: [String; 5] = Default::default();
    for c in text.chars() {
        for (line, part) in lines.iter_mut().zip(glyph(c)) {
            line.push_str(part);
            line.push(' ');
        }
    }
    lines
}

#[rustfmt::skip]
fn glyph(c: char) -> [&'static str; 5] {
    match c {
        '0' => ["█▀▀█", "█  █", "█  █", "█  █", "█▄▄█"],
        '1' => [" ▄█ ", "  █ ", "  █ ", "  █ ", " ▄█▄"],
        '2' => ["▀▀▀█", "   █", "█▀▀▀", "█   ", "█▄▄▄"],
        '3' => ["▀▀▀█", "   █", " ▀▀█", "   █", "▄▄▄█"],
        '4' => ["█  █", "█  █", "▀▀▀█", "   █", "   █"],
        '5' => ["█▀▀▀", "█   ", "▀▀▀█", "   █", "▄▄▄█"],
        '6' => ["█▀▀▀", "█   ", "█▀▀█", "█  █", "█▄▄█"],
        '7' => ["▀▀▀█", "   █", "  █ ", "  █ ", "  █ "],
        '8' => ["█▀▀█", "█  █", "█▀▀█", "█  █", "█▄▄█"],
        '9' => ["█▀▀█", "█  █", "▀▀▀█", "   █", "▄▄▄█"],
        's' => ["    ", "▄▄▄▄", "█▄▄▄", "   █", "▀▀▀▀"],
        '?' => ["▀▀▀█", "   █", " ▀▀▀", "    ", " ▀  "],
        'R' => ["█▀▀█", "█  █", "█▀█▀", "█ ▀▄", "█  █"],
        'O' => ["█▀▀█", "█  █", "█  █", "█  █", "█▄▄█"],
        'L' => ["█   ", "█   ", "█   ", "█   ", "█▄▄▄"],
        'B' => ["█▀▀▄", "█  █", "█▀▀▄", "█  █", "█▄▄▀"],
        'A' => ["█▀▀█", "█  █", "█▀▀█", "█  █", "█  █"],
        'C' => ["█▀▀▀", "█   ", "█   ", "█   ", "█▄▄▄"],
        'K' => ["█ ▄▀", "█▄▀ ", "█▀▄ ", "█ ▀▄", "█  █"],
        _   => ["  ", "  ", "  ", "  ", "  "],
    }
}
