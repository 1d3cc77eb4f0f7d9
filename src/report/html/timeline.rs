//! The night as a picture: gates, steps, triggers and rollback rows along one time axis. Every meaning is said by a shape or a word too, so
//! that colour may be absent.

use std::fmt::Write as _;

use super::axis::{Axis, LETTER, RIGHT, WIDTH};
use super::short_span;
use super::write::{esc, short};
use crate::report::evidence::TriggerReport;
use crate::report::{Report, RowReport, RowStatus, Section};
use crate::session::TriggerPhase;

/// Height of a row of the picture.
const ROW: f64 = 17.0;
const BAR: f64 = 10.0;
/// Letters that fit left of the plot.
const LABEL_CHARS: usize = 36;
/// Signatures that are nearer to each other, or within each other's words, share their words.
const APART: f64 = 26.0;

/// The picture; empty where nothing has happened.
pub fn draw(report: &Report) -> String {
    let axis = Axis::of(report);
    let began = |section: Section| {
        let rows = report.rows.iter();
        rows.filter(move |r| r.section == section && r.started_ms.is_some())
    };
    let triggers: Vec<&TriggerReport> = report.triggers.iter().filter(|t| burned(t)).collect();
    let steps: Vec<&RowReport> = began(Section::Step).collect();
    let rollback: Vec<&RowReport> = began(Section::Rollback).collect();
    let top = axis.words_height(report) + 6.0;
    let rows = 1 + steps.len() + triggers.len() + rollback.len();
    let bottom = top + rows as f64 * ROW + 4.0;
    let mut out = String::new();
    let _ = write!(
        out,
        "<div class=\"picture night\"><svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Timeline: {} steps, {} triggers that moved, {} rows of the \
         rollback\">\n{PATTERNS}",
        bottom + 20.0,
        steps.len(),
        triggers.len(),
        rollback.len()
    );
    axis.ticks(top, bottom, &mut out);
    axis.marks(report, bottom, &mut out);
    let mut y = top;
    label(y, "gates signed", &mut out);
    gates(report, axis, y, &mut out);
    for row in steps {
        y += ROW;
        bar(row, axis, y, &mut out);
    }
    for trigger in triggers {
        y += ROW;
        label(y, &trigger.id, &mut out);
        burning(trigger, report, axis, y, &mut out);
    }
    for row in rollback {
        y += ROW;
        bar(row, axis, y, &mut out);
    }
    out.push_str("</svg></div>\n");
    out.push_str(LEGEND);
    out
}

/// Hatches, for what must be told apart without colour.
const PATTERNS: &str = "<defs>\
<pattern id=\"bad\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect class=\"bad-ground\" width=\"6\" height=\"6\"/><line class=\"bad-line\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\" stroke-width=\"3\"/></pattern>\
<pattern id=\"burn\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(-45)\">\
<line class=\"burn-line\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"5\" stroke-width=\"3\"/></pattern></defs>\n";

const LEGEND: &str = "<p class=\"muted legend\">Solid bar: done. Hatched bar with ✗: failed. Outlined bar: not over, unknown or skipped. \
Thin line below a bar: what it took in the rehearsal. ◆ a gate was signed, ◇ a signature that is void now. Hatched thin bar: a trigger's condition held; ✗ it fired; \
dotted: too little data.</p>\n";

fn label(y: f64, text: &str, out: &mut String) {
    let _ = write!(
        out,
        "<text class=\"label\" x=\"0\" y=\"{:.1}\">{}</text>",
        y + 12.0,
        short(text, LABEL_CHARS)
    );
}

fn bar(row: &RowReport, axis: Axis, y: f64, out: &mut String) {
    label(y, &format!("{} {}", row.id, row.title), out);
    let Some(started_ms) = row.started_ms else {
        return;
    };
    let at = |seconds: f64| axis.x(started_ms + (seconds * 1_000.0) as i64);
    let x = axis.x(started_ms);
    let is_over = row.seconds.is_some();
    let end = row.seconds.map_or(RIGHT, at);
    let width = (end - x).max(2.0);
    let (class, glyph) = match row.status {
        RowStatus::Done => ("done", ""),
        RowStatus::Failed => ("failed", "✗ "),
        RowStatus::Skipped => ("open", "skipped "),
        RowStatus::Unknown => ("open", "? "),
        _ => ("open", "… "),
    };
    let _ = write!(
        out,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{BAR}\"><title>{}</title></rect>",
        y + 3.0,
        esc(&row.summary)
    );
    if let Some(rehearsed) = row.rehearsed_seconds {
        let _ = write!(
            out,
            "<line class=\"plan\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            y + 14.5,
            at(rehearsed).max(x + 2.0),
            y + 14.5
        );
    }
    let took = row
        .seconds
        .map_or_else(|| "not over".to_owned(), short_span);
    let text = format!("{glyph}{took}");
    let room = text.chars().count() as f64 * LETTER + 6.0;
    let (tx, anchor) = match (is_over, x + width + room > WIDTH) {
        (true, false) => (x + width + 4.0, "start"),
        _ => (x - 4.0, "end"),
    };
    let _ = writeln!(
        out,
        "<text class=\"took\" x=\"{tx:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{text}</text>",
        y + 12.0
    );
}

fn burned(trigger: &TriggerReport) -> bool {
    let moves = trigger.moves.iter();
    moves
        .into_iter()
        .any(|m| !matches!(m.to, TriggerPhase::Clear))
}

fn burning(trigger: &TriggerReport, report: &Report, axis: Axis, y: f64, out: &mut String) {
    let end_ms = report.timeline.last().map_or(0, |line| line.at_ms);
    // Once it rolls back, no trigger is judged any more.
    let end_ms = report.rollback.as_ref().map_or(end_ms, |r| r.started_ms);
    for (n, step) in trigger.moves.iter().enumerate() {
        let until_ms = trigger.moves.get(n + 1).map_or(end_ms, |next| next.at_ms);
        let x = axis.x(step.at_ms);
        let width = (axis.x(until_ms) - x).max(2.0);
        let title = esc(&step.reason);
        let class = match step.to {
            TriggerPhase::Clear => continue,
            TriggerPhase::Burning => "burning",
            TriggerPhase::Blind => "blind",
            TriggerPhase::Fired => {
                let _ = write!(
                    out,
                    "<text class=\"fired\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">✗<title>{title}</title></text>\
                     <text class=\"took\" x=\"{:.1}\" y=\"{:.1}\">fired</text>",
                    y + 13.0,
                    x + 8.0,
                    y + 12.0
                );
                continue;
            }
        };
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"6\"><title>{title}</title></rect>",
            y + 5.0
        );
    }
    out.push('\n');
}

/// A diamond for each signature, and the gates' ids beside those that are near each other.
fn gates(report: &Report, axis: Axis, y: f64, out: &mut String) {
    let mut signed: Vec<(i64, &str, bool)> = report
        .gates
        .iter()
        .flat_map(|gate| {
            let signatures = gate.signatures.iter();
            signatures.map(|s| (s.at_ms, gate.id.as_str(), s.valid))
        })
        .collect();
    signed.sort();
    let mut groups: Vec<(f64, Vec<&str>)> = Vec::new();
    for (at_ms, gate, valid) in signed {
        let x = axis.x(at_ms);
        let (class, glyph) = if valid {
            ("signed", "◆")
        } else {
            ("void", "◇")
        };
        let _ = write!(
            out,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{glyph}</text>",
            y + 12.0
        );
        let reaches = |(last, ids): &&mut (f64, Vec<&str>)| {
            let letters = ids.iter().map(|id| id.chars().count() + 1).sum::<usize>();
            x - *last < (letters as f64 * LETTER + 12.0).max(APART)
        };
        match groups.last_mut().filter(reaches) {
            Some((last, ids)) => {
                *last = x;
                if !ids.contains(&gate) {
                    ids.push(gate);
                }
            }
            None => groups.push((x, vec![gate])),
        }
    }
    for (x, ids) in groups {
        let text = esc(&ids.join(" "));
        let width = text.chars().count() as f64 * LETTER;
        let (tx, anchor) = match x + 8.0 + width > WIDTH {
            true => (x - 8.0, "end"),
            false => (x + 7.0, "start"),
        };
        let _ = writeln!(
            out,
            "<text class=\"took\" x=\"{tx:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{text}</text>",
            y + 12.0
        );
    }
}
