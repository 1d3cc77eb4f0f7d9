//! What comes in while a session is replayed: time that passes, more that was recorded, and the keys that move in it.
//!
//! Not in here: what is shown of which time (`cockpit::replay`). Nothing in here has an effect outside the screen and its colours.

use super::{Effect, TOAST_MS, Update, bring_up, say};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Brought, View};
use crate::cockpit::news::News;
use crate::cockpit::replay::Transport;
use crate::cockpit::theme::Meaning;
use crate::session::Phase;

/// Real time has passed.
pub fn passed(model: &mut Model, real_ms: i64) -> Update {
    let played = model.play_on(real_ms);
    let effects = match played {
        true => arrived(model),
        false => Vec::new(),
    };
    let redraw = fade(model, real_ms) || played;
    Update { effects, redraw }
}

/// What was said goes after a while; says whether it just has.
pub(super) fn fade(model: &mut Model, real_ms: i64) -> bool {
    let Some(toast) = &mut model.ui.toast else {
        return false;
    };
    toast.shown_ms += real_ms;
    let is_over = toast.shown_ms > TOAST_MS;
    if is_over {
        model.ui.toast = None;
    }
    is_over
}

/// The session that is replayed goes on.
pub fn recorded(model: &mut Model, news: News) -> Update {
    let redraw = !news.entries.is_empty() || !news.samples.is_empty();
    model.record(news);
    Update {
        redraw,
        ..Update::default()
    }
}

/// A key that moves in time.
pub fn moved(model: &mut Model, transport: Transport) -> Update {
    match model.transport(transport) {
        Ok(()) => Update::with(arrived(model)),
        Err(why) => {
            say(model, why, Meaning::Muted);
            Update::redraw()
        }
    }
}

/// A place of the timeline was clicked.
pub fn sought(model: &mut Model, at_ms: i64) -> Update {
    model.seek(at_ms);
    Update::with(arrived(model))
}

/// Countdown and rollback come to the screen as they did then, and leave it where they had not come yet.
fn arrived(model: &mut Model) -> Vec<Effect> {
    let is_calm = model.session.fired.is_none() && model.session.phase == Phase::Open;
    if is_calm {
        if model.ui.brought != Brought::Nothing && model.ui.view == View::Rollback {
            model.ui.show(View::Bridge);
        }
        model.ui.brought = Brought::Nothing;
    }
    let effects = bring_up(model);
    model.ui.guard_until_ms = None;
    effects
}
