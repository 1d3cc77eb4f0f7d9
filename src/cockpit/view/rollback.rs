//! The rollback: before it, what it would undo; during it, its rows with progress and the clock against the RTO; after it, what
//! came of it.

use ratatui::layout::Rect;

use super::header::no_return;
use super::shared::{against, below, paragraph, row, step_mark};
use super::steps::draw_progress;
use crate::cockpit::canvas::{Canvas, Head, Piece, columns, piece};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::View;
use crate::cockpit::theme::Meaning;
use crate::format::span;
use crate::session::cost::{self, Weight};
use crate::session::forecast::forecast;
use crate::session::{Phase, RollbackCause, StepState, StepStatus, Undo};

/// Sentences on what a rollback would lose; the rows of the rollback need the room.
const LOST_SHOWN: usize = 3;

/// The view.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let title = match model.session.phase {
        Phase::Open => "What a rollback would undo",
        Phase::RollingBack => "ROLLING BACK",
        Phase::RolledBack => "Rolled back",
        Phase::Completed => "The release is complete: there is no rollback any more",
    };
    let head = Head {
        view: Some(View::Rollback),
        title,
        focused: model.session.phase == Phase::RollingBack,
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    if inner.height == 0 {
        return;
    }
    if model.session.rollback.is_some() {
        let used = clock(canvas, inner, model);
        rows(canvas, below(inner, used + 1), model);
    } else if model.session.phase == Phase::Completed {
        let text = "From here on, going back to SQLite would be a cutover of its own.";
        paragraph(canvas, inner, text, Meaning::Muted);
    } else {
        let mut used = fits(canvas, inner, model);
        used += cost(canvas, below(inner, used), model);
        draw_undo(canvas, below(inner, used + u16::from(used > 0)), model);
    }
}

/// Until when a rollback ends within the agreed freeze; returns the rows used.
fn fits(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> u16 {
    let Some(told) = forecast(&model.session, model.clock_ms()) else {
        return 0;
    };
    let rehearsed_ms = model
        .session
        .rehearsal
        .as_ref()
        .map_or(0, |r| r.rollback_ms);
    let took = span(model.runbook_ms(rehearsed_ms));
    let (until, meaning) = no_return(model, &told);
    let text = format!(
        "Point of no return: {until} (it took {took} in the rehearsal; the freeze is agreed)."
    );
    paragraph(canvas, area, &text, meaning)
}

/// What a rollback would lose or leave behind; returns the rows used.
pub fn cost(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> u16 {
    let feed = model.feed_now();
    let (written, feed) = (model.cost.as_ref(), feed.as_ref());
    let mut used = 0;
    let lost = model.would_lose();
    for sentence in lost.iter().take(LOST_SHOWN) {
        used += paragraph(canvas, below(area, used), sentence, Meaning::Danger);
    }
    if lost.len() > LOST_SHOWN {
        let more = format!("… and {} more", lost.len() - LOST_SHOWN);
        used += paragraph(canvas, below(area, used), &more, Meaning::Danger);
    }
    let text = cost::sentence(&model.session, written, feed, model.zone);
    let meaning = match cost::weight(&model.session, written, feed) {
        Weight::Nothing => Meaning::Muted,
        Weight::Rows | Weight::Loses => Meaning::Warn,
    };
    used + paragraph(canvas, below(area, used), &text, meaning)
}

/// What it would lose or leave behind, in the few words beside the key.
pub fn short(model: &Model) -> Option<Piece<'static>> {
    let feed = model.feed_now();
    let (written, feed) = (model.cost.as_ref(), feed.as_ref());
    let words = cost::short(&model.session, written, feed)?;
    let meaning = match cost::weight(&model.session, written, feed) {
        Weight::Nothing => Meaning::Ok,
        Weight::Rows => Meaning::Warn,
        Weight::Loses => Meaning::Danger,
    };
    Some(piece(format!("{words} "), meaning))
}

/// Why, and how long it takes against the RTO; returns the rows used.
fn clock(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> u16 {
    let Some(rollback) = &model.session.rollback else {
        return 0;
    };
    let by = match &rollback.cause {
        RollbackCause::Person { by } => format!("{} rolled back", model.name_of(by)),
        RollbackCause::Trigger { trigger } => format!("{trigger} fired"),
    };
    let mut used = paragraph(
        canvas,
        area,
        &format!("{by}: {}", rollback.reason),
        Meaning::Danger,
    );
    let rto_ms = model.session.charter.limits.rto_ms;
    let end_ms = rollback.restored_ms.unwrap_or(model.clock_ms());
    let took_ms = model.runbook_ms(end_ms - rollback.started_ms);
    let what = if rollback.restored_ms.is_some() {
        "restored after"
    } else {
        "rolling back for"
    };
    let mut text = format!("{what} {} of RTO {}", span(took_ms), span(rto_ms));
    if let Some(after_ms) = model.session.first_undo_after_ms() {
        let asked = match &rollback.cause {
            RollbackCause::Person { .. } => "the word",
            RollbackCause::Trigger { .. } => "the trigger fired",
        };
        let after = after_ms as f64 / 1000.0;
        let more = format!(" · first undo {after:.1} s after {asked}");
        // Whole or not at all.
        let room = usize::from(area.width - (area.width / 3).min(40)).saturating_sub(1);
        if text.chars().count() + more.chars().count() <= room {
            text.push_str(&more);
        }
    }
    let place = row(area, used);
    if used < area.height {
        let bar = (area.width / 3).min(40);
        let meaning = match against(took_ms, rto_ms) {
            Meaning::Text => Meaning::Ok,
            other => other,
        };
        canvas.bar(
            place.x,
            place.y,
            bar,
            took_ms as f64 / rto_ms.max(1) as f64,
            meaning,
        );
        canvas.write(
            place.x + bar + 1,
            place.y,
            area.width.saturating_sub(bar + 1),
            &text,
            meaning,
        );
        used += 1;
    }
    used + outcome(canvas, below(area, used), model)
}

/// What came of it, once it has ended.
fn outcome(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> u16 {
    let healthy = model.session.rollback.as_ref().and_then(|r| r.healthy);
    let (text, meaning) = match healthy {
        None => return 0,
        Some(true) => ("✓ The application serves from SQLite again.", Meaning::Ok),
        Some(false) => (
            "✗ NOT HEALTHY: look at the rows that failed, and at the application itself.",
            Meaning::Alarm,
        ),
    };
    paragraph(canvas, area, text, meaning)
}

fn rows(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let Some(rollback) = &model.session.rollback else {
        return;
    };
    let mut used = 0;
    let said = |state: &&StepState| state.outcome.is_some() || state.status == StepStatus::Running;
    let all_fit =
        rollback.rows.len() + rollback.rows.iter().filter(said).count() <= usize::from(area.height);
    for (line, state) in model.session.charter.rollback.iter().zip(&rollback.rows) {
        if used >= area.height {
            break;
        }
        row_line(canvas, row(area, used), model, &line.id, &line.title, state);
        used += 1;
        let inset = Rect {
            x: area.x + 7,
            width: area.width.saturating_sub(8),
            ..below(area, used)
        };
        if state.status == StepStatus::Running {
            if let Some(sum) = model.pace.sum(&state.id).filter(|_| inset.height > 0) {
                draw_progress(canvas, row(inset, 0), model, sum);
                used += 1;
            } else if let Some(line) = model
                .last_line
                .as_ref()
                .filter(|l| l.step == state.id && inset.height > 0)
            {
                canvas.write(inset.x, inset.y, inset.width, &line.line, Meaning::Muted);
                used += 1;
            }
        }
        // Every row is in sight before what came of one that is done.
        if let Some(outcome) = state.outcome.as_ref().filter(|o| all_fit || !o.ok) {
            let meaning = if outcome.ok {
                Meaning::Muted
            } else {
                Meaning::Danger
            };
            used += paragraph(canvas, inset, &outcome.summary, meaning);
        }
    }
}

fn row_line(
    canvas: &mut Canvas<'_>,
    area: Rect,
    model: &Model,
    id: &str,
    title: &str,
    state: &StepState,
) {
    let (mark, meaning) = step_mark(state.status);
    let title_meaning = if state.status == StepStatus::Pending {
        Meaning::Muted
    } else {
        Meaning::Title
    };
    let pieces = [
        piece(format!(" {mark} {id:<4}"), meaning),
        piece(title, title_meaning),
    ];
    canvas.pieces(area.x, area.y, area.width, &pieces);
    let Some(from_ms) = state.started_ms else {
        return;
    };
    let to_ms = state.ended_ms.unwrap_or(model.clock_ms());
    let word = if state.status == StepStatus::Failed {
        "FAILED "
    } else {
        ""
    };
    let text = format!(" {word}{} ", span(model.runbook_ms(to_ms - from_ms)));
    canvas.write_right(area, &text, meaning);
}

/// The list of rows, and what has been recorded to be undone.
pub fn draw_undo(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let rows = &model.session.charter.rollback;
    let wide = area.width >= 70;
    let left = if wide { area.width / 2 } else { area.width };
    let room = if wide { area.width - left } else { left };
    let undos = undo_lines(model, room.saturating_sub(1));
    canvas.write(
        area.x,
        area.y,
        left,
        "The rows, in this order:",
        Meaning::Muted,
    );
    for (n, line) in rows
        .iter()
        .enumerate()
        .take(usize::from(area.height.saturating_sub(1)))
    {
        let place = row(area, n as u16 + 1);
        let pieces = [
            piece(format!(" {:<4}", line.id), Meaning::Title),
            piece(line.title.as_str(), Meaning::Text),
        ];
        canvas.pieces(place.x, place.y, left.saturating_sub(1), &pieces);
    }
    let list = if wide {
        Rect {
            x: area.x + left,
            width: area.width - left,
            ..area
        }
    } else {
        below(area, rows.len() as u16 + 2)
    };
    if list.height == 0 {
        return;
    }
    let heading = match undos.len() {
        0 => "Nothing has been done that needs undoing.",
        _ => "What it undoes, the latest first:",
    };
    paragraph(canvas, list, heading, Meaning::Muted);
    let room = usize::from(list.height.saturating_sub(1));
    let shown = if undos.len() > room {
        room.saturating_sub(1)
    } else {
        undos.len()
    };
    for (n, text) in undos.iter().take(shown).enumerate() {
        let place = row(list, n as u16 + 1);
        canvas.write(
            place.x + 1,
            place.y,
            place.width.saturating_sub(1),
            text,
            Meaning::Text,
        );
    }
    if shown < undos.len() && room > 0 {
        let place = row(list, shown as u16 + 1);
        let text = format!("… and {} more", undos.len() - shown);
        canvas.write(place.x + 1, place.y, columns(&text), &text, Meaning::Muted);
    }
}

/// What has been written down to be undone, the latest first; what is the same for several instances in one line, by their names where
/// those have room.
fn undo_lines(model: &Model, width: u16) -> Vec<String> {
    let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
    for (step, undo) in model.session.undos.iter().rev() {
        let (what, instance) = match undo {
            Undo::Maintenance => ("maintenance off", None),
            Undo::Fence => ("write fence released", None),
            Undo::Config { instance, .. } => ("configuration back", Some(instance)),
            Undo::SwitchAction => ("the switch run backwards", None),
            Undo::Restart { instance } => ("restarted on SQLite", Some(instance)),
            Undo::Command => ("the operator's own undo", None),
            Undo::TargetGrants { .. } => ("PostgreSQL's write rights back, by `close`", None),
        };
        let what = format!("{step}: {what}");
        match lines.iter_mut().find(|(w, _)| *w == what) {
            Some((_, instances)) => instances.extend(instance.map(String::as_str)),
            None => lines.push((what, instance.map(String::as_str).into_iter().collect())),
        }
    }
    let fleet = model.session.charter.instances.len();
    let join = |(what, instances): (String, Vec<&str>)| match instances.as_slice() {
        [] => what,
        all => {
            let named = format!("{what}: {}", all.join(" "));
            match columns(&named) <= width {
                true => named,
                false => format!("{what}, {} of {fleet}", all.len()),
            }
        }
    };
    lines.into_iter().map(join).collect()
}
