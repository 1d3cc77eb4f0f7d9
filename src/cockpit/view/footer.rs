//! The bottom of the screen: what came of the last key, or the views; and the keys that do something now.

use ratatui::layout::Rect;

use super::rollback;
use super::shared::row;
use crate::cockpit::actions::{self, ACTIONS, Action, Availability, Do};
use crate::cockpit::canvas::{Canvas, Piece, columns, piece, width_of};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Focus, Overlay, View};
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;

/// Draws one or two rows.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    if area.height == 0 {
        return;
    }
    let keys_row = row(area, area.height - 1);
    let told = if area.height > 1 {
        status(canvas, row(area, 0), model);
        true
    } else {
        model.ui.toast.is_none() && model.ui.asked.is_none()
    };
    if told {
        keys(canvas, keys_row, model);
    } else {
        status(canvas, keys_row, model);
    }
}

fn status(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    if let Some(asked) = &model.ui.asked {
        let text = format!(" … asking the engine: {asked}");
        canvas.write(area.x, area.y, area.width, &text, Meaning::Running);
    } else if let Some(toast) = &model.ui.toast {
        let mark = match toast.meaning {
            Meaning::Ok => "✓",
            Meaning::Danger => "✗",
            Meaning::Warn => "▪",
            _ => "·",
        };
        let text = format!(" {mark} {}", toast.text);
        canvas.write(area.x, area.y, area.width, &text, toast.meaning);
    } else {
        views(canvas, area, model);
    }
}

/// Columns that all views need with a blank between them and their neighbours.
const ROOMY: u16 = 88;

fn views(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let mut x = area.x;
    for view in View::ALL {
        let here = view == model.ui.view;
        let (text, key) = match here {
            true => (Meaning::Selection, Meaning::Selection),
            false => (Meaning::Muted, Meaning::Key),
        };
        let mark = match (here, area.width >= ROOMY) {
            (true, _) => "◂",
            (false, true) => " ",
            (false, false) => "",
        };
        let shown = model.ui.keys.shown(Do::Show(view));
        let pieces = [
            piece(format!(" {shown}"), key),
            piece(format!(" {}{mark}", view.title()), text),
        ];
        x += clickable(canvas, area, x, &pieces, Do::Show(view));
    }
}

/// Writes what a click does as its key would; returns the columns used.
fn clickable(canvas: &mut Canvas<'_>, area: Rect, x: u16, pieces: &[Piece<'_>], act: Do) -> u16 {
    let width = canvas.pieces(x, area.y, area.right().saturating_sub(x), pieces);
    canvas.target(Rect { x, width, ..area }, Target::Action(act));
    width
}

/// What the two keys do that are not text while somebody types.
fn typing(canvas: &mut Canvas<'_>, area: Rect, enter: &str, esc: &str) {
    let all = [
        piece(" Enter", Meaning::Key),
        piece(format!(" {enter}  "), Meaning::Text),
        piece("Esc", Meaning::Key),
        piece(format!(" {esc}"), Meaning::Text),
    ];
    canvas.pieces(area.x, area.y, area.width, &all);
}

/// Keys that do something now, the most important first; help and leaving always.
pub fn keys(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let shown = |a: &&Action| {
        a.footer && a.now(model) == Availability::Yes && actions::has_its_key(model, a)
    };
    let always = |a: &&Action| matches!(a.act, Do::Help | Do::Leave);
    let esc = matches!(
        model.ui.overlay,
        Some(Overlay::Form(_) | Overlay::Pick(_) | Overlay::Palette(_))
    );
    if esc {
        return typing(canvas, area, "does it", "back, nothing happens");
    }
    if model.ui.overlay == Some(Overlay::Filter) {
        let again = match model.ui.filtered_list() {
            Some(Focus::Events) | None => "shows every event again",
            Some(Focus::Gates | Focus::Steps | Focus::Tables | Focus::Instances) => {
                "shows every line again"
            }
        };
        return typing(canvas, area, "keeps it", again);
    }
    let words = |action: &'static Action| words(model, action);
    let fixed: Vec<_> = ACTIONS.iter().filter(always).map(words).collect();
    let fixed_width: u16 = fixed.iter().map(|(_, pieces)| width_of(pieces)).sum();
    let mut all = Vec::new();
    let mut used = 0;
    for action in ACTIONS.iter().filter(|a| !always(a)).filter(shown) {
        let (act, mut next) = words(action);
        if act == Do::RollBack {
            // Whole or not at all: the key itself comes first.
            let taken = used + fixed_width + width_of(&next);
            let room = area.width.saturating_sub(taken);
            // What it loses is said as it is now, or not at all.
            let lost = rollback::short(model).filter(|_| model.still.is_none());
            next.extend(lost.filter(|(words, _)| columns(words) <= room));
        }
        let width = width_of(&next);
        if used + width + fixed_width <= area.width {
            used += width;
            all.push((act, next));
        }
    }
    let mut x = area.x;
    for (act, pieces) in all.into_iter().chain(fixed) {
        x += clickable(canvas, area, x, &pieces, act);
    }
}

fn words(model: &Model, action: &'static Action) -> (Do, Vec<Piece<'static>>) {
    let meaning = if action.act == Do::RollBack {
        Meaning::Danger
    } else {
        Meaning::Key
    };
    let pieces = vec![
        piece(format!(" {}", model.ui.keys.first(action).shown()), meaning),
        piece(format!(" {} ", action.label), Meaning::Text),
    ];
    (action.act, pieces)
}
