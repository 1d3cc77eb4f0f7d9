//! Forms and lists over the screen: each says first what it will do.

use ratatui::layout::Rect;

use super::shared::{below, inset, paragraph, row, window_over};
use super::{gates, rollback};
use crate::cockpit::canvas::{Canvas, piece};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Form, FormKind, Pick, PickKind};
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;
use crate::format::span;
use crate::session::discard;
use crate::session::event::given_up;

/// A command in the making.
pub fn draw_form(canvas: &mut Canvas<'_>, area: Rect, model: &Model, form: &Form) {
    let height = match form.kind {
        FormKind::RollBack => 20,
        FormKind::Sign { .. } | FormKind::Withdraw(_) => 15,
        _ => 11,
    };
    let title = title(model, form);
    let enter = match form.kind {
        FormKind::Sign { .. } => "Space or Enter signs, Esc back",
        _ => "Enter does it, Esc back",
    };
    let inner = inset(window_over(canvas, area, (84, height), &title, enter));
    // What is typed comes first in a small window: explanation yields.
    let fields = form.fields.len() as u16 * 2 + u16::from(form.problem.is_some());
    let room = inner.height.saturating_sub(fields);
    let used = explain(
        canvas,
        Rect {
            height: room,
            ..inner
        },
        model,
        form,
    );
    draw_fields(canvas, below(inner, used), form);
}

fn title(model: &Model, form: &Form) -> String {
    let gate = |id: &str| {
        let found = model.session.charter.gates.iter().find(|g| g.id == id);
        found.map_or_else(String::new, |g| g.title.clone())
    };
    match &form.kind {
        FormKind::Sign { gate: id, role } => {
            let role = role.map_or_else(String::new, |r| format!(" as {}", r.title()));
            format!("Sign {id}{role}: {}", gate(id))
        }
        FormKind::Withdraw(id) => format!("Withdraw from {id}: {}", gate(id)),
        FormKind::RollBack => "ROLL BACK".to_owned(),
        FormKind::Hold => "Hold".to_owned(),
        FormKind::Note { gate: None } => "Note".to_owned(),
        FormKind::Note { gate: Some(id) } => format!("Comment on {id}: {}", gate(id)),
        FormKind::Extend => "Extend the freeze".to_owned(),
        FormKind::Skip(step) => format!("Skip {step}"),
        FormKind::Discard { step, .. } => format!("{step} DELETES ROWS"),
        FormKind::Decide(step) => format!("Decide what {step} had done"),
        FormKind::Complete => "Complete the release".to_owned(),
    }
}

fn explain(canvas: &mut Canvas<'_>, area: Rect, model: &Model, form: &Form) -> u16 {
    let session = &model.session;
    let text = match &form.kind {
        FormKind::Sign { gate: id, .. } | FormKind::Withdraw(id) => {
            let gate = session.charter.gates.iter().find(|g| &g.id == id);
            let used = gate.map_or(0, |g| gates::describe(canvas, area, model, g));
            return used + u16::from(used < area.height);
        }
        FormKind::RollBack => return explain_rollback(canvas, area, model),
        FormKind::Hold => "What runs goes on to its end; nothing new starts, for anybody, until the release manager resumes. Triggers go on burning.".to_owned(),
        FormKind::Note { .. } => "Everyone on the bridge sees it, and the report keeps it.".to_owned(),
        FormKind::Extend => {
            let limit_ms = session.freeze_limit_ms();
            format!("The agreed freeze is {} now. The extension is recorded with your name.", span(limit_ms))
        }
        FormKind::Skip(step) => format!("{step} counts as over without having been done. Gates that rest on it stay open. Your reason is recorded."),
        FormKind::Decide(step) => {
            let question = session.step(step).and_then(|s| s.question.clone()).unwrap_or_default();
            format!("{step} was interrupted. {question} Look for yourself before you answer: yes, and it counts as done; no, and it runs again.")
        }
        FormKind::Discard { rows, .. } => format!(
            "PostgreSQL has rows that SQLite does not have, and the import deletes them: {}. No rollback brings them back. Look at them first; to delete them, type how many they are in all: {}",
            discard::words(rows),
            rows.values().sum::<u64>()
        ),
        FormKind::Complete => {
            let lost = session.written_after_switch.as_deref();
            let lost = lost.map_or_else(String::new, |detail| format!("{}. ", given_up(detail)));
            format!(
                "{lost}The release is complete and the session is over. From then on there is no rollback: SQLite stays as it was, PostgreSQL is the truth. To complete it, type {}",
                session.charter.session
            )
        }
    };
    let used = paragraph(canvas, area, &text, Meaning::Text);
    used + u16::from(used < area.height)
}

fn explain_rollback(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> u16 {
    let name = &model.session.charter.session;
    let text = format!(
        "Ends this cutover: the application goes back to SQLite, within {} as agreed. To begin, type {name}",
        span(model.session.charter.limits.rto_ms)
    );
    let mut used = paragraph(canvas, area, &text, Meaning::Danger);
    used += rollback::cost(canvas, below(area, used), model);
    let rest = below(area, used + 1);
    rollback::draw_undo(canvas, rest, model);
    area.height
}

fn draw_fields(canvas: &mut Canvas<'_>, area: Rect, form: &Form) {
    let mut used = 0;
    for (n, field) in form.fields.iter().enumerate() {
        let here = n == form.at;
        if used + 1 >= area.height {
            break;
        }
        let label = row(area, used);
        let mark = if here { "▸ " } else { "  " };
        canvas.write(
            label.x,
            label.y,
            label.width,
            &format!("{mark}{}", field.label),
            Meaning::Muted,
        );
        let input = row(area, used + 1);
        let width = input.width.saturating_sub(2);
        let cursor = if here { "▏" } else { "" };
        let text = tail(&format!("{}{cursor}", field.text), width);
        let blank = " ".repeat(usize::from(width));
        canvas.write(input.x + 2, input.y, width, &blank, Meaning::Input);
        canvas.write(input.x + 2, input.y, width, &text, Meaning::Input);
        used += 2;
    }
    if let Some(problem) = &form.problem {
        let place = row(area, used.min(area.height.saturating_sub(1)));
        canvas.write(
            place.x,
            place.y,
            place.width,
            &format!("✗ {problem}"),
            Meaning::Danger,
        );
    }
}

/// The end of a text that is too long, where the cursor is.
fn tail(text: &str, width: u16) -> String {
    let chars: Vec<char> = text.chars().collect();
    let keep = usize::from(width).min(chars.len());
    let mut start = chars.len() - keep;
    loop {
        let tail: String = chars[start..].iter().collect();
        if crate::cockpit::canvas::columns(&tail) <= width || start == chars.len() {
            return tail;
        }
        start += 1;
    }
}

/// Something to choose.
pub fn draw_pick(canvas: &mut Canvas<'_>, area: Rect, model: &Model, pick: Pick) {
    let (title, lines) = match pick.kind {
        PickKind::Person => ("Whom do you want to play?", people(model)),
        PickKind::Fault => ("Inject a fault", faults(model)),
        PickKind::Theme => ("Choose colours", themes(model)),
    };
    let size = (90, lines.len() as u16 + 2);
    let keys = "Enter or digit chooses, Esc back";
    let inner = window_over(canvas, area, size, title, keys);
    let first = super::shared::window(pick.at, lines.len(), usize::from(inner.height));
    for (n, (name, text)) in lines
        .iter()
        .enumerate()
        .skip(first)
        .take(usize::from(inner.height))
    {
        let place = row(inner, (n - first) as u16);
        let here = n == pick.at;
        let digit = if n < 9 {
            char::from(b'1' + n as u8)
        } else {
            ' '
        };
        let pieces = [
            piece(if here { "▸" } else { " " }, Meaning::Accent),
            piece(format!("{digit} "), Meaning::Key),
            piece(format!("{name:<18} "), Meaning::Title),
            piece(text.as_str(), Meaning::Text),
        ];
        canvas.pieces(place.x, place.y, place.width, &pieces);
        canvas.target(place, Target::Line(n));
        if here {
            canvas.overlay(place, Meaning::Selection);
        }
    }
}

fn people(model: &Model) -> Vec<(String, String)> {
    let each = model.session.charter.people.iter().map(|p| {
        let roles: Vec<_> = p.roles.iter().map(|r| r.title()).collect();
        (p.name.clone(), roles.join(", "))
    });
    each.collect()
}

fn faults(model: &Model) -> Vec<(String, String)> {
    let each = model.faults.iter().map(|f| {
        let mark = if f.active { "ACTIVE: " } else { "" };
        let text = f.unavailable.as_ref().unwrap_or(&f.what);
        (f.name.clone(), format!("{mark}{text}"))
    });
    each.chain([("none".to_owned(), "Take every fault back.".to_owned())])
        .collect()
}

fn themes(model: &Model) -> Vec<(String, String)> {
    let look = &model.ui.look;
    let line = |name: String| {
        let worn = if name == look.theme { "worn now" } else { "" };
        (name, worn.to_owned())
    };
    look.themes().into_iter().map(line).collect()
}
