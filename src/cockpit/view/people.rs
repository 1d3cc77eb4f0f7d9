//! Who is on the bridge, in which role, looking at what, and when they were last seen; and the one table of who may do what.

use ratatui::layout::Rect;

use super::shared::{short_role, window_over};
use crate::cockpit::canvas::{Canvas, Piece, piece};
use crate::cockpit::model::Model;
use crate::cockpit::theme::Meaning;
use crate::format::span;
use crate::runbook::{Person, Role};
use crate::session::roles::PERMITS;

/// Columns of what may be done, before a column for each role.
const ACT: usize = 42;

/// Over the screen.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model, scroll: usize) {
    let lines = lines(model);
    let size = (100, lines.len() as u16 + 2);
    let inner = window_over(canvas, area, size, "On the bridge", "↑↓ scroll, Esc back");
    let height = usize::from(inner.height);
    let first = canvas.scrolled(scroll, lines.len(), height);
    for (n, line) in lines.iter().skip(first).take(height).enumerate() {
        let width = inner.width.saturating_sub(1);
        canvas.pieces(inner.x + 1, inner.y + n as u16, width, line);
    }
}

fn lines(model: &Model) -> Vec<Vec<Piece<'static>>> {
    let people = &model.session.charter.people;
    let mut all: Vec<_> = people.iter().flat_map(|p| person(model, p)).collect();
    all.push(Vec::new());
    all.extend(table());
    all
}

/// Two lines: who they are, and where.
fn person(model: &Model, person: &Person) -> [Vec<Piece<'static>>; 2] {
    let seen = model.presence.iter().find(|p| p.person == person.id);
    let here = seen.filter(|p| p.is_here(model.now_ms));
    let ago = |at_ms: i64| span((model.now_ms - at_ms).max(0));
    let (mark, meaning, place) = match (here, seen) {
        (Some(p), _) => (
            "● ",
            Meaning::Ok,
            format!("looks at {}, seen {} ago", p.view, ago(p.seen_ms)),
        ),
        (None, Some(p)) => (
            "○ ",
            Meaning::Muted,
            format!("away, last seen {} ago at {}", ago(p.seen_ms), p.view),
        ),
        (None, None) if model.replay.is_some() => ("? ", Meaning::Muted, "not recorded".to_owned()),
        (None, None) => ("○ ", Meaning::Muted, "not seen yet".to_owned()),
    };
    let roles: Vec<_> = person.roles.iter().map(|r| r.title()).collect();
    let is_me = model.me.as_ref().is_some_and(|me| me.id == person.id);
    let you = if is_me { ", you" } else { "" };
    let absent = model.session.charter.people.iter();
    let absent = absent.filter(|p| p.deputies.contains(&person.id));
    let stands_in: Vec<_> = absent
        .map(|p| {
            let roles: Vec<_> = p.roles.iter().map(|r| r.title()).collect();
            format!(", deputy of {} ({})", p.name, roles.join(", "))
        })
        .collect();
    let what = format!("  {}{}{you}", roles.join(", "), stands_in.concat());
    [
        vec![
            piece(mark, meaning),
            piece(person.name.clone(), Meaning::Title),
            piece(what, Meaning::Text),
        ],
        vec![piece(format!("  {place}"), Meaning::Muted)],
    ]
}

/// A line per act, a column per role.
fn table() -> Vec<Vec<Piece<'static>>> {
    let mut head = vec![piece(format!("{:<ACT$}", "Who may"), Meaning::Title)];
    let column = |role: Role| short_role(role).len() + 2;
    for role in Role::ALL {
        let width = column(role);
        head.push(piece(
            format!("{:<width$}", short_role(role)),
            Meaning::Title,
        ));
    }
    let mut all = vec![head];
    for (_, allowed, what) in PERMITS {
        let mut line = vec![piece(format!("{what:<ACT$}"), Meaning::Text)];
        for role in Role::ALL {
            let width = column(role);
            let (mark, meaning) = match allowed.contains(&role) {
                true => ("✓", Meaning::Ok),
                false => ("·", Meaning::Muted),
            };
            line.push(piece(format!("{mark:<width$}"), meaning));
        }
        all.push(line);
    }
    for note in [
        "Gates are signed, and being on call confirmed, in the roles that they ask for.",
        "Deputies may do what those may for whom they stand in.",
    ] {
        all.push(vec![piece(note, Meaning::Muted)]);
    }
    all
}
