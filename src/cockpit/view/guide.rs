//! The first minute in the sandbox: what you see, whom you may play, which key to press next, how to break something.

use ratatui::layout::Rect;

use super::header::hint;
use super::shared::{below, centred, paragraph, row};
use crate::cockpit::canvas::{Canvas, Head, piece};
use crate::cockpit::model::Model;
use crate::cockpit::theme::Meaning;
use crate::session::advice::next_action;

/// Over the screen.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let place = centred(area, 78, 22);
    canvas.clear(place);
    let head = Head {
        title: "The first minute",
        note: vec![piece("Esc closes this, g brings it back", Meaning::Muted)],
        focused: true,
        ..Head::default()
    };
    let inner = canvas.panel(place, &head);
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
            " Runbook time runs ×{}: a minute of the runbook passes in {:.1} s.",
            charter.speed,
            60.0 / charter.speed
        )
    };
    let me = model
        .me
        .as_ref()
        .map_or("nobody yet", |m| model.name_of(&m.id));
    vec![
        ("Where", format!(
            "On the bridge of a real cutover, in a sandbox: {instances} processes of a web application serve real traffic from SQLite. At the end they serve from PostgreSQL, or from SQLite again.{speed}"
        )),
        ("Top", "What to do next and who must do it. It always says which key.".to_owned()),
        ("Left", "Go / no-go gates, the steps A–G, the latest events.".to_owned()),
        ("Right", "Triggers as fuses, errors, latency, the pool, the fleet. Digits enlarge.".to_owned()),
        ("Who", format!(
            "You are {me}. A gate needs each of its signers: p plays another person, or run cutover join --as qa in another terminal."
        )),
        ("Drive", "Enter starts the next step, Space signs the selected gate (Tab and arrows select), o shows what a step prints.".to_owned()),
        ("Break it", "F injects a fault: try 5xx once the fleet is on PostgreSQL, and watch the fuse, the countdown and the rollback. R rolls back by hand.".to_owned()),
        ("Leave", "q leaves, and stops nothing. ? explains every key.".to_owned()),
        ("Now", now(model)),
    ]
}

/// Which key to press next.
fn now(model: &Model) -> String {
    let advice = next_action(&model.session, model.now_ms);
    match hint(model, &advice) {
        Some(hint) => format!("{} Press {hint}.", advice.sentence),
        None => advice.sentence,
    }
}
