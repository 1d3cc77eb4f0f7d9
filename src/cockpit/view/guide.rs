//! The first minute in the sandbox: what you see, whom you may play, which key to press next, how to break something.

use ratatui::layout::Rect;

use super::header::hint;
use super::shared::{below, paragraph, row, window_over};
use crate::cockpit::actions::Do;
use crate::cockpit::canvas::Canvas;
use crate::cockpit::model::Model;
use crate::cockpit::theme::Meaning;
use crate::session::advice::next_action_seen;

/// Over the screen.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let keys = format!(
        "Esc closes this, {} brings it back",
        model.ui.keys.shown(Do::Guide)
    );
    let inner = window_over(canvas, area, (78, 22), "The first minute", &keys);
    let mut used = 0;
    for (head, text) in chapters(model) {
        if used >= inner.height {
            break;
        }
        let place = below(inner, used);
        let meaning = if head == "Now" {
            Meaning::Accent
        } else {
            Meaning::Title
        };
        canvas.write(row(place, 0).x + 1, row(place, 0).y, 10, head, meaning);
        let body = Rect {
            x: place.x + 12,
            width: place.width.saturating_sub(13),
            ..place
        };
        let meaning = if head == "Now" {
            Meaning::Accent
        } else {
            Meaning::Text
        };
        used += paragraph(canvas, body, &text, meaning).max(1);
    }
}

fn chapters(model: &Model) -> Vec<(&'static str, String)> {
    let charter = &model.session.charter;
    let instances = charter.instances.len();
    let speed = if charter.speed == 1.0 {
        String::new()
    } else {
        format!(
            " Time runs ×{}: a minute of the runbook takes {:.0} s.",
            charter.speed,
            60.0 / charter.speed
        )
    };
    let me = model
        .me
        .as_ref()
        .map_or("nobody yet", |m| model.name_of(&m.id));
    let text = |text: &str| text.to_owned();
    let key = |act| model.ui.keys.shown(act);
    vec![
        (
            "Where",
            format!(
                "The bridge of a real cutover, in a sandbox: {instances} processes of a web application serve \
                 real traffic from SQLite. At the end they serve from PostgreSQL.{speed}"
            ),
        ),
        ("Now", now(model)),
        (
            "Top",
            text("What to do next, who must do it, and the key for it."),
        ),
        (
            "Left",
            text("Go / no-go gates, the steps A–G, the latest events."),
        ),
        (
            "Right",
            text("Triggers as fuses, errors, latency, pool, fleet. Digits enlarge."),
        ),
        (
            "Who",
            format!(
                "You are {me}. Every gate needs its own signers: {} plays another person here, \
                 cutover join --as qa does in another terminal.",
                key(Do::Play)
            ),
        ),
        (
            "Drive",
            format!(
                "{} starts the next step, {} signs a gate, {} shows output.",
                key(Do::Start),
                key(Do::Sign),
                key(Do::Output)
            ),
        ),
        (
            "Break it",
            format!(
                "{} injects a fault: try 5xx once the fleet is on PostgreSQL; watch the fuse, the countdown, \
                 the rollback. {} rolls back by hand.",
                key(Do::Fault),
                key(Do::RollBack)
            ),
        ),
        (
            "Leave",
            format!(
                "{} leaves, and stops nothing. {} explains every key.",
                key(Do::Leave),
                key(Do::Help)
            ),
        ),
    ]
}

/// Which key to press next.
fn now(model: &Model) -> String {
    let advice = next_action_seen(&model.session, model.now_ms, &model.triggers);
    match hint(model, &advice) {
        Some(hint) => format!("{} {hint}.", advice.sentence),
        None => advice.sentence,
    }
}
