//! The bottom of the screen: what came of the last key, or the views; and the keys that do something now.

use ratatui::layout::Rect;

use super::shared::row;
use crate::cockpit::actions::{self, ACTIONS, Action, Availability, Do};
use crate::cockpit::canvas::{Canvas, Piece, piece, width_of};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Overlay, View};
use crate::cockpit::theme::Meaning;
use crate::session::cost;

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

fn views(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let mut all: Vec<Piece<'_>> = Vec::new();
    for view in View::ALL {
        let here = view == model.ui.view;
        let text = if here {
            Meaning::Selection
        } else {
            Meaning::Muted
        };
        let key = if here {
            Meaning::Selection
        } else {
            Meaning::Key
        };
        all.push(piece(format!(" {}", view.digit()), key));
        let mark = if here { "◂" } else { " " };
        all.push(piece(format!(" {}{mark}", view.title()), text));
    }
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
        let all = [
            piece(" Enter", Meaning::Key),
            piece(" does it  ", Meaning::Text),
            piece("Esc", Meaning::Key),
            piece(" back, nothing happens", Meaning::Text),
        ];
        canvas.pieces(area.x, area.y, area.width, &all);
        return;
    }
    if model.ui.overlay == Some(Overlay::Filter) {
        let all = [
            piece(" Enter", Meaning::Key),
            piece(" keeps it  ", Meaning::Text),
            piece("Esc", Meaning::Key),
            piece(" shows every event again", Meaning::Text),
        ];
        canvas.pieces(area.x, area.y, area.width, &all);
        return;
    }
    let fixed: Vec<Piece<'_>> = ACTIONS.iter().filter(always).flat_map(words).collect();
    let fixed_width = width_of(&fixed);
    let mut all: Vec<Piece<'_>> = Vec::new();
    for action in ACTIONS.iter().filter(|a| !always(a)).filter(shown) {
        let mut next: Vec<Piece<'_>> = words(action).collect();
        if action.act == Do::RollBack {
            let cost = cost::short(&model.session, model.cost.as_ref());
            next.extend(cost.map(|cost| piece(format!("{cost} "), Meaning::Warn)));
        }
        if width_of(&all) + width_of(&next) + fixed_width <= area.width {
            all.extend(next);
        }
    }
    all.extend(fixed);
    canvas.pieces(area.x, area.y, area.width, &all);
}

fn words(action: &'static Action) -> impl Iterator<Item = Piece<'static>> {
    let meaning = if action.act == Do::RollBack {
        Meaning::Danger
    } else {
        Meaning::Key
    };
    [
        piece(format!(" {}", action.keys[0].shown()), meaning),
        piece(format!(" {} ", action.label), Meaning::Text),
    ]
    .into_iter()
}
