//! What comes in while the display stands still: the model behind it takes it in, and the line at the top says so. A trigger that fires and
//! a rollback that begins let the display go on by themselves: they have the screen, whatever somebody was reading.
//!
//! Not in here: what stands still (`model::still`), and how it looks (`view::still`).

use chrono::{DateTime, Utc};

use super::{Update, bring_up, replay, ring, say, wanted};
use crate::cockpit::actions::Do;
use crate::cockpit::model::Model;
use crate::cockpit::news::News;
use crate::cockpit::theme::Meaning;

/// The key for it.
pub fn turned(model: &mut Model) -> Update {
    if model.go_on() {
        say(model, "the display goes on".to_owned(), Meaning::Ok);
    } else {
        model.stand_still();
        let key = model.ui.keys.shown(Do::Still);
        let text = format!(
            "the display stands still: {key} lets it go on, and so does a trigger that fires"
        );
        say(model, text, Meaning::Warn);
    }
    Update::redraw()
}

/// The clock has gone on: how old the display is has changed.
pub fn ticked(model: &mut Model, now_ms: Option<i64>, wall: DateTime<Utc>) -> Update {
    let before_ms = model.live().now_ms;
    model.live_mut().tick(now_ms, wall);
    let after_ms = model.live().now_ms;
    let effects = ring(model);
    let is_told = replay::fade(model, after_ms - before_ms);
    Update {
        effects,
        redraw: is_told || before_ms / 1_000 != after_ms / 1_000,
    }
}

/// Something has come in.
pub fn came(model: &mut Model, news: News) -> Update {
    let redraw = model.live_mut().take(news);
    let mut effects = Vec::new();
    if wanted(model.live()).is_some_and(|wanted| wanted != model.ui.brought) {
        model.go_on();
        effects.extend(bring_up(model));
        say(
            model,
            "the display stood still, and has gone on by itself".to_owned(),
            Meaning::Warn,
        );
    }
    effects.extend(ring(model));
    Update { effects, redraw }
}
