//! Every instance, the canary marked; in the view also the triggers in full and the monitoring checklist.

use ratatui::layout::Rect;

use super::shared::{below, halves, paragraph, row};
use super::triggers;
use crate::cockpit::canvas::{Canvas, Head, piece};
use crate::cockpit::format::span;
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::View;
use crate::cockpit::theme::Meaning;
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
    } else {
        piece(format!("{ready} of {} ready", all.len()), Meaning::Warn)
    };
    let head = Head {
        digit: Some(View::Fleet.digit()),
        title: "Fleet",
        note: vec![note],
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    if inner.height == 0 || inner.width == 0 {
        return;
    }
    if all.len() <= usize::from(inner.height) {
        for (n, instance) in all.iter().enumerate() {
            instance_row(canvas, row(inner, n as u16), model, instance);
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
    let bad = bad.map(|i| {
        let (sign, word, _) = mark(i.state);
        let said = if i.detail.is_empty() {
            word
        } else {
            i.detail.as_str()
        };
        format!("{sign} {} {said}", i.id)
    });
    let words = bad.take(WORDS_OF).collect::<Vec<_>>().join("   ");
    let meaning = if model.is_stale() {
        Meaning::Stale
    } else {
        Meaning::Warn
    };
    paragraph(canvas, below(area, used), &words, meaning);
}

/// Instances that have words below the marks, at most; more have no room.
const WORDS_OF: usize = 20;

fn mark(state: InstanceState) -> (&'static str, &'static str, Meaning) {
    match state {
        InstanceState::Ready => ("✓", "ready", Meaning::Ok),
        InstanceState::NotReady => ("✗", "NOT READY", Meaning::Danger),
        InstanceState::Restarting => ("↻", "restarting", Meaning::Running),
        InstanceState::Unknown => ("?", "not known", Meaning::Unknown),
    }
}

fn instance_row(canvas: &mut Canvas<'_>, area: Rect, model: &Model, instance: &InstanceView) {
    let (mark, word, meaning) = mark(instance.state);
    let meaning = if model.is_stale() {
        Meaning::Stale
    } else {
        meaning
    };
    let canary = if instance.canary { " canary" } else { "" };
    // Nothing is said twice.
    let detail = Some(instance.detail.as_str()).filter(|d| *d != word);
    let pieces = [
        piece(format!("{mark} "), meaning),
        piece(format!("{:<6}", instance.id), Meaning::Text),
        piece(format!(" {word}"), meaning),
        piece(canary, Meaning::Accent),
        piece(format!("  {}", detail.unwrap_or_default()), Meaning::Muted),
    ];
    canvas.pieces(area.x, area.y, area.width, &pieces);
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
        let (mark, _, meaning) = mark(instance.state);
        let meaning = if model.is_stale() {
            Meaning::Stale
        } else {
            meaning
        };
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
    let items = (model.session.charter.monitoring.len() as u16 * 2 + 2).min(area.height / 3);
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
    draw(
        canvas,
        Rect {
            height: upper,
            width: left,
            ..area
        },
        model,
    );
    let right = Rect {
        x: area.x + left,
        width: area.width - left,
        height: upper,
        ..area
    };
    triggers::draw_full(canvas, right, model);
    checklist(canvas, below(area, upper), model);
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
    draw(canvas, Rect { height, ..area }, model);
    let lower = below(area, height);
    let (triggers, items) = halves(lower);
    triggers::draw_full(canvas, triggers, model);
    checklist(canvas, items, model);
}

fn checklist(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let head = Head {
        title: "Monitoring checklist",
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    let mut used = 0;
    for item in &model.session.charter.monitoring {
        let view = model.checklist.iter().find(|v| v.id == item.id);
        let (mark, meaning, words) = match view {
            None if model.replay.is_some() => ("?", Meaning::Unknown, "not recorded".to_owned()),
            None => ("·", Meaning::Muted, "not watched yet".to_owned()),
            Some(v) => match v.green {
                Some(true) => (
                    "✓",
                    Meaning::Ok,
                    format!("green for {}. {}", span(v.green_for_ms), v.reason),
                ),
                Some(false) => ("✗", Meaning::Danger, format!("RED: {}", v.reason)),
                None => ("?", Meaning::Unknown, format!("blind: {}", v.reason)),
            },
        };
        let text = format!("{mark} {} {}: {words}", item.id, item.title);
        used += paragraph(canvas, below(inner, used), &text, meaning);
    }
}
