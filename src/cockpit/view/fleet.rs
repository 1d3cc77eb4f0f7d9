//! Every instance, the canary marked; in the view also the triggers in full and the monitoring checklist.

use ratatui::layout::Rect;

use super::shared::{below, filter_row, paragraph, row};
use super::triggers;
use crate::cockpit::canvas::{Canvas, Head, piece, width_of, wrap};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Focus, View};
use crate::cockpit::split::{Axis, Stack, part};
use crate::cockpit::theme::Meaning;
use crate::format::span;
use crate::runbook::ChecklistItem;
use crate::session::live::{InstanceState, InstanceView};

/// The panel.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let all = model.instances();
    let ready = all
        .iter()
        .filter(|i| i.state == InstanceState::Ready)
        .count();
    let note = if model.replay.is_some() {
        piece(
            format!("{ready} of {} ready by their probes", all.len()),
            Meaning::Muted,
        )
    } else if model.fleet.is_empty() {
        piece("not asked yet", Meaning::Muted)
    } else if ready == all.len() {
        piece(format!("all {ready} ready"), Meaning::Ok)
    } else if usize::from(area.width) < 16 + 2 * all.len().to_string().len() + "of ready".len() {
        piece(format!("{ready}/{} ready", all.len()), Meaning::Warn)
    } else {
        piece(format!("{ready} of {} ready", all.len()), Meaning::Warn)
    };
    let head = Head {
        view: Some(View::Fleet),
        title: "Fleet",
        note: vec![note],
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    if inner.height == 0 || inner.width == 0 {
        return;
    }
    let of = all.len();
    let shown = all.into_iter();
    let all: Vec<InstanceView> = shown
        .filter(|i| model.shows_state(&i.id, i.state, &i.detail))
        .collect();
    let inner = filter_row(canvas, inner, model, Focus::Instances, (all.len(), of));
    if inner.height == 0 || all.is_empty() {
        return;
    }
    if all.len() <= usize::from(inner.height) {
        let mut spare = inner.height - all.len() as u16;
        let mut used = 0;
        for instance in &all {
            let has_said = instance_row(canvas, row(inner, used), model, instance);
            used += 1;
            if !has_said && spare > 0 && instance.state != InstanceState::Ready {
                let place = Rect {
                    x: inner.x + 2,
                    width: inner.width.saturating_sub(2),
                    ..row(inner, used)
                };
                paragraph(canvas, place, &instance.detail, Meaning::Muted);
                used += 1;
                spare -= 1;
            }
        }
    } else if rows_of(all.len(), inner.width, cell_columns(canvas, &all)) > inner.height
        && marks_rows(canvas, inner.width, &all) <= inner.height
        && inner.width >= cell_columns(canvas, &all) + GROUP as u16
    {
        marks(canvas, inner, model, &all);
    } else {
        cells(canvas, inner, model, &all);
    }
}

/// Marks stand in groups of so many.
const GROUP: usize = 10;

/// Rows of words below the marks.
const WORDS: u16 = 2;

/// Marks in a row of this width, beside the name of the first.
fn marks_across(canvas: &Canvas<'_>, width: u16, all: &[InstanceView]) -> usize {
    let room = (width + 1).saturating_sub(cell_columns(canvas, all));
    (usize::from(room) / (GROUP + 1)).max(1) * GROUP
}

/// Rows that marks and the words below them take.
fn marks_rows(canvas: &Canvas<'_>, width: u16, all: &[InstanceView]) -> u16 {
    let rows = all.len().div_ceil(marks_across(canvas, width, all));
    u16::try_from(rows)
        .unwrap_or(u16::MAX)
        .saturating_add(WORDS)
}

/// Too many for names: a mark for each, in groups of ten, each row beginning with the name of its first; and in words which are not ready.
fn marks(canvas: &mut Canvas<'_>, area: Rect, model: &Model, all: &[InstanceView]) {
    let across = marks_across(canvas, area.width, all);
    let name = cell_columns(canvas, all).min(area.width);
    let mut used = 0;
    for instances in all.chunks(across) {
        let place = row(area, used);
        canvas.write(place.x, place.y, name, &instances[0].id, Meaning::Muted);
        for (n, instance) in instances.iter().enumerate() {
            let x = place.x + name + (n + n / GROUP) as u16;
            let (sign, _, meaning) = mark(instance.state);
            let sign = match instance.canary && instance.state == InstanceState::Ready {
                true => "◆",
                false => sign,
            };
            let meaning = if model.is_stale() {
                Meaning::Stale
            } else {
                meaning
            };
            canvas.write(x, place.y, 1, sign, meaning);
        }
        used += 1;
    }
    let bad = all.iter().filter(|i| i.state != InstanceState::Ready);
    let told = bad.map(|i| {
        let (sign, word, _) = mark(i.state);
        let said = if i.detail.is_empty() {
            word
        } else {
            i.detail.as_str()
        };
        format!("{sign} {} {said}", i.id)
    });
    let meaning = if model.is_stale() {
        Meaning::Stale
    } else {
        Meaning::Warn
    };
    side_by_side(canvas, below(area, used), told, meaning);
}

/// Texts beside each other, each whole in its row; those for which there is no room are counted.
fn side_by_side(
    canvas: &mut Canvas<'_>,
    area: Rect,
    texts: impl Iterator<Item = String>,
    meaning: Meaning,
) {
    const BETWEEN: u16 = 3;
    const MORE: u16 = 11;
    let (mut x, mut y, mut left_out) = (0, 0, 0);
    for text in texts {
        let width = canvas.columns(&text).min(area.width);
        let is_last_row = y + 1 >= area.height;
        let edge = if is_last_row {
            area.width.saturating_sub(MORE)
        } else {
            area.width
        };
        if x > 0 && x + width > edge && !is_last_row {
            (x, y) = (0, y + 1);
        }
        let edge = if y + 1 >= area.height {
            area.width.saturating_sub(MORE)
        } else {
            area.width
        };
        if left_out > 0 || y >= area.height || (x > 0 && x + width > edge) {
            left_out += 1;
            continue;
        }
        canvas.write(area.x + x, area.y + y, width, &text, meaning);
        x += width + BETWEEN;
    }
    if left_out > 0 && area.height > 0 {
        let text = format!("+{left_out} more");
        canvas.write_right(row(area, area.height - 1), &text, meaning);
    }
}

/// As [`mark`], and stale where all that is shown is.
fn mark_now(model: &Model, state: InstanceState) -> (&'static str, &'static str, Meaning) {
    let (mark, word, meaning) = mark(state);
    match model.is_stale() {
        true => (mark, word, Meaning::Stale),
        false => (mark, word, meaning),
    }
}

fn mark(state: InstanceState) -> (&'static str, &'static str, Meaning) {
    match state {
        InstanceState::Ready => ("✓", "ready", Meaning::Ok),
        InstanceState::NotReady => ("✗", "NOT READY", Meaning::Danger),
        InstanceState::Restarting => ("↻", "restarting", Meaning::Running),
        InstanceState::Unknown => ("?", "not known", Meaning::Unknown),
    }
}

/// An instance; says whether all was said of it: its detail is told whole or not at all.
fn instance_row(
    canvas: &mut Canvas<'_>,
    area: Rect,
    model: &Model,
    instance: &InstanceView,
) -> bool {
    let (mark, word, meaning) = mark_now(model, instance.state);
    let canary = if instance.canary { " canary" } else { "" };
    // Nothing is said twice.
    let detail = Some(instance.detail.as_str()).filter(|d| *d != word);
    let mut pieces = vec![
        piece(format!("{mark} "), meaning),
        piece(format!("{:<6}", instance.id), Meaning::Text),
        piece(format!(" {word}"), meaning),
    ];
    let named = piece(canary, Meaning::Accent);
    match width_of(&pieces) + width_of(std::slice::from_ref(&named)) <= area.width {
        true => pieces.push(named),
        false if instance.canary => pieces.push(piece(" ◆", Meaning::Accent)),
        false => {}
    }
    let told = piece(format!("  {}", detail.unwrap_or_default()), Meaning::Muted);
    let is_whole = width_of(&pieces) + width_of(std::slice::from_ref(&told)) <= area.width;
    pieces.extend(Some(told).filter(|_| is_whole));
    canvas.pieces(area.x, area.y, area.width, &pieces);
    is_whole
}

/// Columns of a cell with a name.
fn cell_columns(canvas: &Canvas<'_>, all: &[InstanceView]) -> u16 {
    let widest = all.iter().map(|i| canvas.columns(&i.id)).max();
    widest.unwrap_or(1) + 4
}

/// Too many for a row each: cells, and where those do not fit either, only those that are not ready.
fn cells(canvas: &mut Canvas<'_>, area: Rect, model: &Model, all: &[InstanceView]) {
    let width = cell_columns(canvas, all).min(area.width);
    let across = usize::from(area.width / width).max(1);
    let room = across * usize::from(area.height);
    let fits = all.len() <= room;
    // What is not well comes first when not all can be shown.
    let mut order: Vec<&InstanceView> = all.iter().collect();
    if !fits {
        order.sort_by_key(|i| i.state == InstanceState::Ready);
    }
    let shown = if fits { all.len() } else { room - 1 };
    for (n, instance) in order.iter().take(shown).enumerate() {
        let (mark, _, meaning) = mark_now(model, instance.state);
        let x = area.x + (n % across) as u16 * width;
        let y = area.y + (n / across) as u16;
        let canary = if instance.canary { "◆" } else { "" };
        canvas.write(
            x,
            y,
            width,
            &format!("{mark}{canary}{}", instance.id),
            meaning,
        );
    }
    if !fits {
        let x = area.x + (shown % across) as u16 * width;
        let y = area.y + (shown / across) as u16;
        let text = format!("+{}", all.len() - shown);
        canvas.write(x, y, width, &text, Meaning::Muted);
    }
}

/// The view.
pub fn draw_view(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let items = model.session.charter.monitoring.len() as u16;
    let most = (area.height / 3).max((items + 2).min(area.height / 2));
    let items = (items * 2 + 2).min(most);
    let upper = area.height - items;
    let left = area.width * 2 / 5;
    let all = model.instances();
    let named = rows_of(
        all.len(),
        left.saturating_sub(2),
        cell_columns(canvas, &all),
    );
    if all.len() > 1 && named > upper.saturating_sub(2) {
        return draw_crowd(canvas, area, model, &all);
    }
    let splits = &model.ui.splits;
    let rows = [part(upper, 5), part(0, 4)];
    let [upper, items] = canvas.split(splits, Stack::Fleet, Axis::Down, area, rows);
    let columns = [part(left, 20), part(0, 26)];
    let [left, right] = canvas.split(splits, Stack::FleetTop, Axis::Across, upper, columns);
    draw(canvas, left, model);
    triggers::draw_full(canvas, right, model);
    checklist(canvas, items, model);
}

/// Rows that so many cells of this width take.
fn rows_of(cells: usize, width: u16, cell: u16) -> u16 {
    let across = usize::from((width / cell.max(1)).max(1));
    u16::try_from(cells.div_ceil(across)).unwrap_or(u16::MAX)
}

/// Hundreds of instances have the whole width, with their names where there is room for them; the rest of the view is below them.
fn draw_crowd(canvas: &mut Canvas<'_>, area: Rect, model: &Model, all: &[InstanceView]) {
    let inside = area.width.saturating_sub(2);
    let most = area.height * 3 / 4;
    let named = rows_of(all.len(), inside, cell_columns(canvas, all)).saturating_add(2);
    let height = match named <= most {
        true => named,
        false => marks_rows(canvas, inside, all).saturating_add(2).min(most),
    };
    let splits = &model.ui.splits;
    let rows = [part(height, 6), part(0, 5)];
    let [upper, lower] = canvas.split(splits, Stack::Crowd, Axis::Down, area, rows);
    draw(canvas, upper, model);
    let columns = [part(lower.width / 2, 26); 2];
    let [triggers, items] = canvas.split(splits, Stack::CrowdFoot, Axis::Across, lower, columns);
    triggers::draw_full(canvas, triggers, model);
    checklist(canvas, items, model);
}

fn checklist(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let head = Head {
        title: "Monitoring checklist",
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    let mut items: Vec<_> = model
        .session
        .charter
        .monitoring
        .iter()
        .map(|item| told(model, item))
        .collect();
    let needs = |text: &str| wrap(text, inner.width, usize::from(inner.height)).len();
    let all_fit = items.iter().map(|i| needs(&i.words)).sum::<usize>() <= usize::from(inner.height);
    if !all_fit {
        // What is not green comes first, and of what is green only that it is.
        items.sort_by_key(|item| item.short.is_some());
    }
    let rows = usize::from(inner.height);
    let (mut used, mut shown) = (0, 0);
    for (n, item) in items.iter().enumerate() {
        let rest = items.len() - n;
        if usize::from(used) + usize::from(rest > 1) >= rows && shown < items.len() && rest > 1 {
            break;
        }
        let short = item.short.as_ref().filter(|_| !all_fit);
        let text = short.unwrap_or(&item.words);
        let place = Rect {
            height: match all_fit {
                true => inner.height.saturating_sub(used),
                false => 1,
            },
            ..below(inner, used)
        };
        used += paragraph(canvas, place.intersection(inner), text, item.meaning);
        shown = n + 1;
    }
    let rest = &items[shown..];
    if let Some(first) = rest.first().filter(|_| used < inner.height) {
        let words = match rest.iter().all(|item| item.meaning == Meaning::Ok) {
            true => format!("… and {} more, green", rest.len()),
            false => format!("… and {} more", rest.len()),
        };
        let last = row(inner, used);
        canvas.write(last.x, last.y, last.width, &words, first.meaning);
    }
}

/// An item of the checklist in words.
struct Told {
    words: String,
    /// What is enough where there is little room; nothing is, of what is not green.
    short: Option<String>,
    meaning: Meaning,
}

fn told(model: &Model, item: &ChecklistItem) -> Told {
    let name = format!("{} {}", item.id, item.title);
    let view = model.checklist.iter().find(|v| v.id == item.id);
    let (mark, meaning, words) = match view {
        None if model.replay.is_some() => ("?", Meaning::Unknown, "not recorded".to_owned()),
        None => ("·", Meaning::Muted, "not watched yet".to_owned()),
        Some(v) => match v.green {
            Some(true) => {
                let green = format!("✓ {name}: green for {}", span(v.green_for_ms));
                return Told {
                    words: format!("{green}: {}", v.reason),
                    short: Some(green),
                    meaning: Meaning::Ok,
                };
            }
            Some(false) => ("✗", Meaning::Danger, format!("RED: {}", v.reason)),
            None => ("?", Meaning::Unknown, format!("blind: {}", v.reason)),
        },
    };
    Told {
        words: format!("{mark} {name}: {words}"),
        short: None,
        meaning,
    }
}
