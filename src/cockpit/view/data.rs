//! The tables: how far each has been moved, what does not fit, whether both sides are equal; the selected one in full beside or over them.
//! Not in here: what is told of a table (`model::tables`).

use ratatui::layout::Rect;

use super::shared::{below, filter_row, inset, row, window, window_over};
use super::steps::draw_progress;
use crate::cockpit::actions::Do;
use crate::cockpit::canvas::{Canvas, Head, columns, piece, wrap};
use crate::cockpit::model::Model;
use crate::cockpit::model::tables::{self, TableLine, TableState};
use crate::cockpit::model::ui::{Focus, View};
use crate::cockpit::split::{Axis, Stack, part};
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;
use crate::format::{count, counted, short};

/// From this width on the selected table stands beside the list.
const BESIDE: u16 = 110;
/// Columns that the list and the table keep wherever the line between them is moved to.
const LEAST_COLUMNS: u16 = 40;
/// The longest line of a table in full, in rows.
const ROWS: usize = 40;

/// The view.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let all = model.tables();
    let at = model.selected_among(&all);
    if area.width < BESIDE || all.is_empty() {
        return draw_list(canvas, area, model, &all, at);
    }
    let parts = [part(area.width / 2, LEAST_COLUMNS); 2];
    let splits = &model.ui.splits;
    let [list, rest] = canvas.split(splits, Stack::Data, Axis::Across, area, parts);
    draw_list(canvas, list, model, &all, at);
    let Some(selected) = all.get(at) else {
        return;
    };
    let note = format!("{}: all of it", model.ui.keys.shown(Do::Table));
    let head = Head {
        title: &selected.table,
        note: vec![piece(note, Meaning::Muted)],
        ..Head::default()
    };
    let inner = canvas.panel(rest, &head);
    draw_lines(canvas, inner, model, &selected.table, 0);
}

/// All of a table over the screen.
pub fn draw_table(canvas: &mut Canvas<'_>, area: Rect, model: &Model, table: &str, scroll: usize) {
    let width = area.width.min(150);
    let lines = tables::whole(model, table);
    let needs: usize = lines
        .iter()
        .map(|l| rows(&l.0, width.saturating_sub(4)).len())
        .sum();
    let size = (width, u16::try_from(needs + 2).unwrap_or(u16::MAX));
    let keys = "↑↓ scroll, Esc back";
    let inner = inset(window_over(canvas, area, size, table, keys));
    draw_lines(canvas, inner, model, table, scroll);
}

fn rows(text: &str, width: u16) -> Vec<String> {
    let rows = wrap(text, width, ROWS);
    if rows.is_empty() {
        vec![String::new()]
    } else {
        rows
    }
}

fn draw_lines(canvas: &mut Canvas<'_>, area: Rect, model: &Model, table: &str, scroll: usize) {
    let lines: Vec<(String, Meaning)> = tables::whole(model, table)
        .into_iter()
        .flat_map(|(text, meaning)| {
            let rows = rows(&text, area.width).into_iter();
            rows.map(move |line| (line, meaning))
        })
        .collect();
    let height = usize::from(area.height);
    let first = canvas.scrolled(scroll, lines.len(), height);
    for (n, (text, meaning)) in lines.iter().skip(first).take(height).enumerate() {
        canvas.write(area.x, area.y + n as u16, area.width, text, *meaning);
    }
}

fn draw_list(canvas: &mut Canvas<'_>, area: Rect, model: &Model, all: &[TableLine], at: usize) {
    let head = Head {
        view: Some(View::Data),
        title: "Data",
        note: vec![note(all)],
        legend: " ✓moved ▸moving ■halted ·not begun ",
        focused: true,
    };
    let inner = canvas.panel(area, &head);
    if all.is_empty() {
        let unreadable = model.unreadable();
        let (text, meaning) = match unreadable.first() {
            Some(why) => (why.as_str(), Meaning::Danger),
            None => (
                "Which tables move, in which order, and what does not fit is known once D1 is done.",
                Meaning::Muted,
            ),
        };
        super::shared::paragraph(canvas, inner, text, meaning);
        return;
    }
    let running = model
        .moving_step()
        .and_then(|step| model.pace.sum(&step.id))
        .filter(|sum| sum.unit == "rows");
    let used = u16::from(running.is_some() && inner.height > 3);
    if let Some(sum) = running.filter(|_| used > 0) {
        draw_progress(canvas, row(inner, 0), model, sum);
    }
    let shown = model.shown_tables(all);
    let found = (shown.len(), all.len());
    let list = filter_row(canvas, below(inner, used), model, Focus::Tables, found);
    let height = usize::from(list.height);
    let here = shown.partition_point(|n| *n < at);
    let first = window(here, shown.len(), height);
    let long = all.iter().all(|line| {
        let told = verdict(line).map_or(0, |(text, _)| columns(&text));
        columns(&amount(line, true)) + told < rest_of(list).width
    });
    for (y, n) in shown.into_iter().skip(first).take(height).enumerate() {
        let place = row(list, y as u16);
        table_row(canvas, place, &all[n], long);
        canvas.target(place, Target::Table(n));
        if n == at {
            canvas.write(place.x, place.y, 1, "▸", Meaning::Accent);
            canvas.overlay(place, Meaning::Selection);
        }
    }
}

/// How all of them stand, the worst alone.
fn note(all: &[TableLine]) -> crate::cockpit::canvas::Piece<'static> {
    let differ = all
        .iter()
        .filter(|t| t.compared.as_ref().is_some_and(|c| c.differs()));
    let problems: u64 = all.iter().map(|t| t.problems).sum();
    match (differ.count(), problems) {
        _ if all.is_empty() => piece("not known yet", Meaning::Muted),
        (0, 0) if all.iter().any(|t| t.state == TableState::Unknown) => {
            piece("how far is not recorded", Meaning::Unknown)
        }
        (0, 0) => {
            let are = |state| all.iter().filter(|t| t.state == state).count();
            let at_once = match are(TableState::Moving) {
                0 | 1 => String::new(),
                n => format!(", {n} at once"),
            };
            let moved = are(TableState::Moved);
            let text = format!("{moved} of {} moved{at_once}", all.len());
            piece(text, Meaning::Muted)
        }
        (0, n) => piece(counted(n, "problem").to_uppercase(), Meaning::Danger),
        (1, _) => piece("1 TABLE DIFFERS", Meaning::Danger),
        (n, _) => piece(format!("{n} TABLES DIFFER"), Meaning::Danger),
    }
}

/// `▸ ToolContents  ██████░░░    120 400 rows   ✓ equal`; what matters least goes first.
fn table_row(canvas: &mut Canvas<'_>, area: Rect, line: &TableLine, long: bool) {
    let (mark, meaning) = match line.state {
        TableState::Waiting => ("·", Meaning::Muted),
        TableState::Moving => ("▸", Meaning::Running),
        TableState::Halted => ("■", Meaning::Warn),
        TableState::Moved => ("✓", Meaning::Ok),
        TableState::Unknown => ("?", Meaning::Unknown),
    };
    let (name, bar) = (name_of(area), bar_of(area));
    canvas.write(area.x + 1, area.y, 2, mark, meaning);
    canvas.write(area.x + 3, area.y, name, &line.table, Meaning::Text);
    if bar > 0 {
        let ratio = match line.rows {
            Some(rows) if rows > 0 => line.moved as f64 / rows as f64,
            _ => f64::from(u8::from(line.state == TableState::Moved)),
        };
        canvas.bar(area.x + 4 + name, area.y, bar, ratio, Meaning::Running);
    }
    let rest = rest_of(area);
    let told = verdict(line);
    let right = told.map_or(0, |(text, meaning)| {
        canvas.write_right(rest, &text, meaning)
    });
    let room = rest.width.saturating_sub(right + 1);
    let amount = amount(line, long);
    if columns(&amount) > room {
        return;
    }
    canvas.write(rest.x, rest.y, room, &amount, Meaning::Muted);
    let Some(rate) = line.rows_per_s else { return };
    let rate = format!("  {}/s", short(rate));
    let room = room - columns(&amount);
    if columns(&rate) <= room {
        let x = rest.x + columns(&amount);
        canvas.write(x, rest.y, room, &rate, Meaning::Running);
    }
}

/// Columns of the name, of the bar, and the room to the right of both.
fn name_of(area: Rect) -> u16 {
    (area.width / 3).clamp(8, 32)
}

fn bar_of(area: Rect) -> u16 {
    if area.width >= 56 { 8 } else { 0 }
}

fn rest_of(area: Rect) -> Rect {
    let bar = bar_of(area);
    let x = area.x + 4 + name_of(area) + bar + u16::from(bar > 0);
    Rect {
        x,
        width: area.right().saturating_sub(x),
        ..area
    }
}

/// Rows of a table, in full numbers or in short ones; in one list all are told alike.
fn amount(line: &TableLine, long: bool) -> String {
    let (width, number): (usize, fn(u64) -> String) = match long {
        true => (11, count),
        false => (6, |n| short(n as f64)),
    };
    match (line.state, line.rows) {
        (TableState::Moving | TableState::Halted, Some(rows)) => {
            let (moved, rows) = (number(line.moved), number(rows));
            format!("{moved:>width$} of {rows}")
        }
        (_, Some(rows)) => format!("{:>width$} rows", number(rows)),
        (_, None) => String::new(),
    }
}

/// The worst that is known of a table.
fn verdict(line: &TableLine) -> Option<(String, Meaning)> {
    if line.problems > 0 {
        return Some((
            format!("✗ {}", counted(line.problems, "problem")),
            Meaning::Danger,
        ));
    }
    match line.compared.as_ref().map(|c| c.found) {
        Some(Some((_, 0))) => Some(("✓ equal".to_owned(), Meaning::Ok)),
        Some(Some((_, n))) => Some((format!("✗ {} differ", count(n)), Meaning::Danger)),
        Some(None) => Some(("▸ comparing".to_owned(), Meaning::Running)),
        None if line.by_policy > 0 =>
        // As the runbook wants it: worth knowing, and no alarm.
        {
            Some((
                format!("{} changed", short(line.by_policy as f64)),
                Meaning::Muted,
            ))
        }
        None => None,
    }
}
