//! One step in full: how it stands, what it waits for, what came of it, its checks and its parts. Not in here: the list (`steps`).

use ratatui::layout::Rect;

use super::shared::{below, paragraph, row};
use super::steps::{amount, draw_progress, is_running, mark_of, printed, status_words};
use crate::cockpit::canvas::{Canvas, piece};
use crate::cockpit::model::Model;
use crate::cockpit::theme::Meaning;
use crate::format::{count, span};
use crate::runbook::Start;
use crate::session::live::ComparedTable;
use crate::session::{StepLine, StepState, StepStatus, forecast};

/// Writes all of it, as far as there is room.
pub fn describe(
    canvas: &mut Canvas<'_>,
    area: Rect,
    model: &Model,
    line: &StepLine,
    state: &StepState,
) {
    let n = model.selected_step();
    let (mark, meaning) = mark_of(model, state);
    let (status, _) = status_words(model, line, state, n);
    let by = state.by.as_ref().map_or_else(String::new, |b| {
        format!(", started by {}", model.name_of(b))
    });
    let word = match is_running(model, state) && model.is_stale() {
        true => "was running",
        false => crate::session::decide::status(state.status),
    };
    // Where the status is told by the same word, it is told once.
    let first = match status.to_lowercase().starts_with(word) {
        true => format!("{mark} {status}{by}"),
        false => format!("{mark} {word} {status}{by}"),
    };
    let mut used = paragraph(canvas, below(area, 0), &first, meaning);
    if state.status == StepStatus::Pending {
        used += awaited(canvas, below(area, used), model, n);
    }
    if let Some(question) = &state.question {
        used += paragraph(
            canvas,
            below(area, used),
            &format!("? {question}"),
            Meaning::Unknown,
        );
    }
    if let Some(outcome) = &state.outcome {
        used += paragraph(canvas, below(area, used), &outcome.summary, Meaning::Text);
        for check in &outcome.checks {
            let (mark, meaning) = if check.ok {
                ("✓", Meaning::Ok)
            } else {
                ("✗", Meaning::Danger)
            };
            let text = format!("{mark} {}: {}", check.name, check.detail);
            used += paragraph(canvas, below(area, used), &text, meaning);
        }
    }
    if let Some(sum) = model.pace.sum(&state.id) {
        draw_progress(canvas, row(below(area, used), 0), model, &sum.clone());
        used += 1;
    }
    if let Some(line) = printed(model, state).filter(|_| is_running(model, state)) {
        used += paragraph(canvas, below(area, used), line, Meaning::Muted);
    }
    draw_parts(canvas, below(area, used), model, &state.id);
}

/// What a step that has not begun waits for, and how long it took in the rehearsal; returns the rows used.
fn awaited(canvas: &mut Canvas<'_>, area: Rect, model: &Model, n: usize) -> u16 {
    let line = &model.session.charter.steps[n];
    let mut all = Vec::new();
    for view in model.session.gates_in_the_way(n) {
        let gates = &model.session.charter.gates;
        let title = gates
            .iter()
            .find(|g| g.id == view.id)
            .map_or("", |g| g.title.as_str());
        let lacks = match (view.evidence_is_green(), view.missing_roles()) {
            (true, roles) => {
                let roles: Vec<_> = roles.iter().map(|role| role.title()).collect();
                format!("{} has to sign", roles.join(", "))
            }
            (false, _) => "its evidence is not green".to_owned(),
        };
        all.push((format!("· {} {title}: {lacks}", view.id), Meaning::Warn));
    }
    if n > model.current_index() {
        let how = match line.start {
            Start::Auto => "It starts by itself when all before it is done.",
            Start::Person => "Somebody starts it when all before it is done.",
        };
        all.push((how.to_owned(), Meaning::Muted));
    }
    if let Some(ms) = forecast::rehearsed_ms(&model.session, &line.id) {
        let took = span(model.runbook_ms(ms));
        all.push((format!("It took {took} in the rehearsal."), Meaning::Muted));
    }
    let mut used = 0;
    for (text, meaning) in all {
        used += paragraph(canvas, below(area, used), &text, meaning);
    }
    used
}

/// The tables of a comparison of every row, unequal ones first: what was compared, what is equal, what differs.
fn draw_tables(canvas: &mut Canvas<'_>, area: Rect, tables: &[ComparedTable]) {
    let mut tables: Vec<_> = tables.iter().collect();
    tables.sort_by_key(|t| match t.found {
        Some((_, different)) if different > 0 => 0,
        None => 1,
        Some(_) => 2,
    });
    for (n, table) in tables.iter().take(usize::from(area.height)).enumerate() {
        let place = row(area, n as u16);
        let compared = format!("{} compared", count(table.compared));
        let (mark, meaning, text) = match table.found {
            None => ("▸", Meaning::Running, compared),
            Some((equal, 0)) => {
                let text = format!("{compared} {} equal", count(equal));
                ("✓", Meaning::Ok, text)
            }
            Some((equal, different)) => {
                let (equal, different) = (count(equal), count(different));
                let text = format!("{compared} {equal} equal {different} differ");
                ("✗", Meaning::Danger, text)
            }
        };
        let start = [
            piece(format!("{mark} "), meaning),
            piece(table.table.as_str(), Meaning::Text),
        ];
        let used = canvas.pieces(place.x, place.y, place.width, &start);
        let rest = Rect {
            x: place.x + used + 1,
            width: place.width.saturating_sub(used + 1),
            ..place
        };
        let meaning = if meaning == Meaning::Danger {
            meaning
        } else {
            Meaning::Muted
        };
        canvas.write_right(rest, &text, meaning);
    }
}

/// Parts of a step: tables, instances, files; each with a bar.
pub fn draw_parts(canvas: &mut Canvas<'_>, area: Rect, model: &Model, step: &str) {
    let compared = model.parity.tables.len() as u16;
    let area = if model.parity.step == step && compared > 0 {
        draw_tables(canvas, area, &model.parity.tables);
        below(area, compared.min(area.height))
    } else {
        area
    };
    let mut parts: Vec<_> = model.progress.iter().filter(|p| p.step == step).collect();
    // Unfinished ones first, so that they are in sight.
    parts.sort_by_key(|p| p.total.is_some_and(|t| p.done >= t));
    for (n, part) in parts.iter().take(usize::from(area.height)).enumerate() {
        let place = row(area, n as u16);
        let name = (area.width / 3).min(32);
        canvas.write(place.x, place.y, name, &part.item, Meaning::Text);
        let bar = (area.width / 4).min(24);
        if let Some(total) = part.total {
            let ratio = if total == 0 {
                1.0
            } else {
                part.done as f64 / total as f64
            };
            canvas.bar(place.x + name + 1, place.y, bar, ratio, Meaning::Running);
        }
        let text = amount(model, part.done, part.total, &part.unit, count);
        let rest = Rect {
            x: place.x + name + bar + 2,
            width: area.width.saturating_sub(name + bar + 2),
            ..place
        };
        canvas.write_right(rest, &text, Meaning::Muted);
    }
}
