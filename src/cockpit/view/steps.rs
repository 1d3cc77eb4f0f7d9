//! The steps in order: all as a strip of marks, those around the running one as rows, its progress as a bar.

use ratatui::layout::Rect;

use super::shared::{below, filter_row, row, step_mark, window};
use super::step;
use crate::cockpit::actions::Do;
use crate::cockpit::canvas::{Canvas, Head, Piece, columns, piece};
use crate::cockpit::model::Model;
use crate::cockpit::model::pace::Sum;
use crate::cockpit::model::ui::{Focus, View};
use crate::cockpit::split::{Axis, Stack, part};
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;
use crate::format::{count, percent, short, span};
use crate::runbook::Start;
use crate::session::{Phase, StepLine, StepState, StepStatus, forecast};

/// The panel.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let session = &model.session;
    let over = session.steps.iter().filter(|s| s.is_over()).count();
    let head = Head {
        view: Some(View::Steps),
        title: "Steps",
        note: vec![piece(
            format!("{over} of {} done", session.steps.len()),
            Meaning::Muted,
        )],
        legend: " ✓done ▸running ✗failed »skipped ?unknown ",
        focused: model.ui.focus() == Some(Focus::Steps),
    };
    let inner = canvas.panel(area, &head);
    let strip = u16::from(inner.height > 4);
    if strip > 0 {
        draw_strip(canvas, row(inner, 0), model);
    }
    let shown = model.shown_steps();
    let found = (shown.len(), session.steps.len());
    let list = filter_row(canvas, below(inner, strip), model, Focus::Steps, found);
    draw_rows(canvas, list, model, &shown, head.focused);
}

/// `P ✓✓✓  A ✓▸··  B ···`: every step as one mark.
fn draw_strip(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let mut all: Vec<Piece<'_>> = Vec::new();
    let mut last = None;
    for state in &model.session.steps {
        let letter = state.id.chars().next();
        if letter != last {
            let name: String = letter.into_iter().collect();
            all.push(piece(format!(" {name}"), Meaning::Muted));
            last = letter;
        }
        let (mark, meaning) = mark_of(model, state);
        all.push(piece(mark, meaning));
    }
    canvas.pieces(area.x, area.y, area.width, &all);
}

/// A row of the list: a step, or what belongs under it.
enum Line {
    Step(usize),
    Progress(usize),
    Printed,
}

fn draw_rows(canvas: &mut Canvas<'_>, area: Rect, model: &Model, shown: &[usize], focused: bool) {
    let steps = &model.session.steps;
    let mut lines = Vec::new();
    for n in shown.iter().copied() {
        let state = &steps[n];
        lines.push(Line::Step(n));
        if is_running(model, state) {
            if model.pace.sum(&state.id).is_some() {
                lines.push(Line::Progress(n));
            }
            if printed(model, state).is_some() && area.height >= 6 {
                lines.push(Line::Printed);
            }
        }
    }
    let at = model.selected_step();
    let anchor = lines
        .iter()
        .position(|l| matches!(l, Line::Step(n) if *n == at));
    let height = usize::from(area.height);
    let first = window(anchor.unwrap_or_default(), lines.len(), height);
    for (y, line) in lines.iter().skip(first).take(height).enumerate() {
        let place = row(area, y as u16);
        match line {
            Line::Step(n) => {
                step_row(canvas, place, model, *n);
                canvas.target(place, Target::Step(*n));
                if focused && *n == at {
                    canvas.write(place.x, place.y, 1, "▸", Meaning::Accent);
                    canvas.overlay(place, Meaning::Selection);
                }
            }
            Line::Progress(n) => {
                let indent = Rect {
                    x: place.x + 6,
                    width: place.width.saturating_sub(7),
                    ..place
                };
                if let Some(sum) = model.pace.sum(&steps[*n].id) {
                    draw_progress(canvas, indent, model, sum);
                }
            }
            Line::Printed => {
                let text = model.last_line.as_ref().map_or("", |l| l.line.as_str());
                canvas.write(
                    place.x + 6,
                    place.y,
                    place.width.saturating_sub(7),
                    text,
                    Meaning::Muted,
                );
            }
        }
    }
}

/// Whether a step is being done: a rollback halts what runs, and no event says so of the step.
pub fn is_running(model: &Model, state: &StepState) -> bool {
    state.status == StepStatus::Running && model.session.phase == Phase::Open
}

pub fn mark_of(model: &Model, state: &StepState) -> (&'static str, Meaning) {
    if state.status == StepStatus::Running && !is_running(model, state) {
        return ("■", Meaning::Warn);
    }
    step_mark(state.status)
}

/// What the running step has printed last.
pub fn printed<'a>(model: &'a Model, state: &StepState) -> Option<&'a str> {
    let line = model.last_line.as_ref()?;
    (line.step == state.id && line.attempt == state.attempt).then_some(line.line.as_str())
}

fn step_row(canvas: &mut Canvas<'_>, area: Rect, model: &Model, n: usize) {
    let (line, state) = (&model.session.charter.steps[n], &model.session.steps[n]);
    let (mark, meaning) = mark_of(model, state);
    let current = n == model.current_index() && model.session.phase == Phase::Open;
    let title = match (state.status, current) {
        (StepStatus::Running | StepStatus::Failed | StepStatus::Unknown, _) | (_, true) => {
            Meaning::Title
        }
        (StepStatus::Pending, false) => Meaning::Muted,
        _ => Meaning::Text,
    };
    let start = [
        piece(format!(" {mark}"), meaning),
        piece(
            format!(" {:<3}", line.id),
            if current { Meaning::Title } else { meaning },
        ),
    ];
    let used = canvas.pieces(area.x, area.y, area.width, &start);
    let (status, status_meaning) = status_words(model, line, state, n);
    let right = canvas.write_right(area, &status, status_meaning);
    let room = area.width.saturating_sub(used + right + 1);
    let shown = canvas.write(area.x + used, area.y, room, &line.title, title);
    let summary = state.outcome.as_ref().map(|o| o.summary.as_str());
    let rest = room.saturating_sub(shown + 2);
    if let Some(summary) = summary.filter(|_| rest >= 16) {
        canvas.write(
            area.x + used + shown + 2,
            area.y,
            rest,
            summary,
            Meaning::Muted,
        );
    }
}

/// The words at the right: how long it took, or what it waits for.
pub fn status_words(
    model: &Model,
    line: &StepLine,
    state: &StepState,
    n: usize,
) -> (String, Meaning) {
    let lasted = || {
        let from_ms = state.started_ms?;
        let to_ms = state.ended_ms.unwrap_or(model.clock_ms());
        Some(span(model.runbook_ms(to_ms - from_ms)))
    };
    let attempt = if state.attempt > 1 {
        format!("attempt {} ", state.attempt)
    } else {
        String::new()
    };
    let time = lasted().unwrap_or_default();
    match state.status {
        StepStatus::Done => (time, Meaning::Muted),
        StepStatus::Running if !is_running(model, state) => ("halted".to_owned(), Meaning::Warn),
        // Nobody knows what became of it since.
        StepStatus::Running if model.is_stale() => {
            let seen_ms = state
                .started_ms
                .map_or(0, |from_ms| model.live_ms - from_ms);
            (
                format!("{attempt}at {}", span(model.runbook_ms(seen_ms))),
                Meaning::Stale,
            )
        }
        StepStatus::Running => match differing(model, state) {
            0 => (format!("{attempt}{time}"), Meaning::Running),
            1 => (format!("1 TABLE DIFFERS {attempt}{time}"), Meaning::Danger),
            n => (
                format!("{n} TABLES DIFFER {attempt}{time}"),
                Meaning::Danger,
            ),
        },
        StepStatus::Failed => (format!("FAILED {attempt}{time}"), Meaning::Danger),
        StepStatus::Skipped => ("skipped".to_owned(), Meaning::Warn),
        StepStatus::Unknown => ("unknown".to_owned(), Meaning::Unknown),
        StepStatus::Pending => pending_words(model, line, n),
    }
}

/// Tables that this step has found to differ so far.
fn differing(model: &Model, state: &StepState) -> usize {
    let parity = Some(&model.parity).filter(|parity| parity.step == state.id);
    let tables = parity.iter().flat_map(|parity| &parity.tables);
    tables.filter(|table| table.differs()).count()
}

fn pending_words(model: &Model, line: &StepLine, n: usize) -> (String, Meaning) {
    if n == model.current_index() {
        let red: Vec<String> = model
            .session
            .gates_in_the_way(n)
            .into_iter()
            .map(|g| g.id)
            .collect();
        if !red.is_empty() {
            return (format!("waits for {}", red.join(" ")), Meaning::Warn);
        }
        if line.start == Start::Person {
            let key = model.ui.keys.shown(Do::Start);
            return (format!("{key} starts it"), Meaning::Accent);
        }
    }
    let gates = model
        .session
        .charter
        .gates
        .iter()
        .filter(|g| g.before == line.id);
    let gates: Vec<&str> = gates.map(|g| g.id.as_str()).collect();
    // Less than a second says nothing.
    let rehearsed_ms = forecast::rehearsed_ms(&model.session, &line.id)
        .map(|ms| model.runbook_ms(ms))
        .filter(|ms| *ms >= 1_000);
    match (gates.as_slice(), line.start) {
        ([], Start::Auto) => match rehearsed_ms {
            Some(ms) => (format!("auto ~{}", span(ms)), Meaning::Muted),
            None => ("auto".to_owned(), Meaning::Muted),
        },
        ([], Start::Person) => ("by hand".to_owned(), Meaning::Muted),
        (gates, _) => (format!("after {}", gates.join(" ")), Meaning::Muted),
    }
}

/// `██████░░░░ 9 000 of 20 000 rows  4.5k/s  2:40 left  45 %`, in short numbers where the long ones do not fit.
pub fn draw_progress(canvas: &mut Canvas<'_>, area: Rect, model: &Model, sum: &Sum) {
    let bar = match sum.ratio() {
        Some(_) => (area.width / 5).clamp(6, 24),
        None => 0,
    };
    let room = area.width.saturating_sub(bar + 1);
    let long = words(model, sum, count);
    let short = words(model, sum, |n| short(n as f64));
    let needed = |words: &[String]| columns(&words[..words.len().min(3)].join("  "));
    let words = if needed(&long) <= room { long } else { short };
    let mut text = String::new();
    for word in words {
        let longer = format!("{text}{}{word}", if text.is_empty() { "" } else { "  " });
        if columns(&longer) > room {
            break;
        }
        text = longer;
    }
    let ratio = sum.ratio().unwrap_or_default();
    canvas.bar(area.x, area.y, bar, ratio, Meaning::Running);
    let x = area.x + bar + u16::from(bar > 0);
    canvas.write(x, area.y, room, &text, Meaning::Text);
}

/// What is said of progress, the most important first.
fn words(model: &Model, sum: &Sum, number: fn(u64) -> String) -> Vec<String> {
    let mut words = vec![amount(model, sum.done, sum.total, &sum.unit, number)];
    // Time that passes has no rate.
    let knows_rate = sum.unit != TIME && !model.is_stale();
    if let Some(rate) = model.pace.per_s().filter(|_| knows_rate) {
        words.push(format!("{}/s", short(rate)));
    }
    if let Some(left_ms) = model.pace.left_ms().filter(|_| !model.is_stale()) {
        words.push(format!("{} left", span(model.runbook_ms(left_ms))));
    }
    words.extend(sum.ratio().map(percent));
    if sum.item != sum.unit {
        words.push(sum.item.clone());
    }
    words
}

/// The unit of progress that is nothing but time passing.
const TIME: &str = "ms";

/// `9 000 of 20 000 rows`; time reads as time of the runbook.
pub fn amount(
    model: &Model,
    done: u64,
    total: Option<u64>,
    unit: &str,
    number: fn(u64) -> String,
) -> String {
    let time = |ms: u64| span(model.runbook_ms(i64::try_from(ms).unwrap_or(i64::MAX)));
    match total {
        Some(total) if unit == TIME => format!("{} of {}", time(done), time(total)),
        None if unit == TIME => time(done),
        Some(total) => format!("{} of {} {unit}", number(done), number(total)),
        None => format!("{} {unit}", number(done)),
    }
}

/// The view: every step, and the selected one in full.
pub fn draw_view(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let wide = area.width >= 110;
    let (of, axis, half, least) = match wide {
        true => (Stack::Steps, Axis::Across, area.width / 2, 30),
        false => (Stack::StepsDown, Axis::Down, area.height / 2, 5),
    };
    let parts = [part(half, least); 2];
    let [list, rest] = canvas.split(&model.ui.splits, of, axis, area, parts);
    draw(canvas, list, model);
    let n = model.selected_step();
    let (Some(line), Some(state)) = (
        model.session.charter.steps.get(n),
        model.session.steps.get(n),
    ) else {
        return;
    };
    let title = format!("{} {}", line.id, line.title);
    let head = Head {
        title: &title,
        ..Head::default()
    };
    let inner = canvas.panel(rest, &head);
    step::describe(canvas, inner, model, line, state);
}
