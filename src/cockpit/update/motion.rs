//! How a cursor moves in a list, and which list moves. Not in here: which key means what (`actions`).

use super::{PAGE, Update};
use crate::cockpit::actions::Do;
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::Focus;

/// How a cursor moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Motion {
    Up(usize),
    Down(usize),
    First,
    Last,
}

impl Motion {
    pub(super) fn of(act: Do) -> Option<Motion> {
        Some(match act {
            Do::Up => Motion::Up(1),
            Do::Down => Motion::Down(1),
            Do::PageUp => Motion::Up(PAGE),
            Do::PageDown => Motion::Down(PAGE),
            Do::First => Motion::First,
            Do::Last => Motion::Last,
            _ => return None,
        })
    }

    /// The new place in a list of so many lines.
    pub(super) fn apply(self, at: usize, lines: usize) -> usize {
        let last = lines.saturating_sub(1);
        match self {
            Motion::Up(n) => at.saturating_sub(n),
            Motion::Down(n) => (at + n).min(last),
            Motion::First => 0,
            Motion::Last => last,
        }
    }

    /// The same for a list that is counted from its end.
    pub(super) fn apply_from_end(self, up: usize, lines: usize) -> usize {
        let last = lines.saturating_sub(1);
        last - self
            .apply(last.saturating_sub(up.min(last)), lines)
            .min(last)
    }
}

pub(super) fn move_cursor(model: &mut Model, motion: Motion) -> Update {
    match model.ui.focus() {
        Some(focus) => move_in(model, focus, motion),
        None => Update::nothing(),
    }
}

/// The place of the line that the cursor comes to, among those that a filter leaves; none where it leaves none.
fn moved(motion: Motion, shown: &[usize], at: usize) -> Option<usize> {
    let here = shown.partition_point(|n| *n < at);
    shown.get(motion.apply(here, shown.len())).copied()
}

pub(super) fn move_in(model: &mut Model, list: Focus, motion: Motion) -> Update {
    match list {
        Focus::Gates => {
            let shown = model.shown_gates();
            model.ui.gate = moved(motion, &shown, model.selected_gate_index());
        }
        Focus::Steps => {
            let shown = model.shown_steps();
            let is_whole = shown.len() == model.session.steps.len();
            let at = moved(motion, &shown, model.selected_step());
            // The last of all is where the cursor follows what happens.
            model.ui.step = at.filter(|_| motion != Motion::Last || !is_whole);
        }
        Focus::Tables => {
            let tables = model.tables();
            let shown = model.shown_tables(&tables);
            model.ui.table = moved(motion, &shown, model.selected_among(&tables));
        }
        Focus::Instances => {
            let most = model.ui.targets.scrolls_to().unwrap_or_default();
            model.ui.scrolled = motion.apply(model.ui.scrolled.min(most), most + 1);
        }
        Focus::Events => {
            let shown = model.shown_events();
            let moved = motion.apply(model.selected_event_index(&shown), shown.len());
            let is_latest = moved + 1 >= shown.len();
            model.ui.event = shown.get(moved).filter(|_| !is_latest).map(|t| t.seq);
        }
    }
    Update::redraw()
}
