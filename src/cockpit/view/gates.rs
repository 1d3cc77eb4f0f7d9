//! Go / no-go: every gate with the state of its evidence, and who signed when.

use ratatui::layout::Rect;

use super::shared::{below, filter_row, paragraph, row, short_role, window};
use crate::cockpit::canvas::{Canvas, Head, Piece, piece, width_of};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Focus, View};
use crate::cockpit::split::{Axis, Stack, part};
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;
use crate::format::hour_minute;
use crate::runbook::Gate;
use crate::session::{EvidenceState, GateView, Phase};

/// Columns that a title keeps before signatures are shortened.
const LEAST_TITLE: u16 = 8;

/// The panel: one row per gate.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let views = &model.gates;
    let green = views.iter().filter(|v| v.green).count();
    let go = green == views.len();
    let verdict = match (go, model.session.phase) {
        (true, Phase::Open) => piece("GO", Meaning::Ok),
        (false, Phase::Open) => piece("NO-GO", Meaning::Warn),
        // Nobody goes anywhere any more.
        (true, _) => piece("was GO", Meaning::Muted),
        (false, _) => piece("was NO-GO", Meaning::Muted),
    };
    let head = Head {
        view: Some(View::Gates),
        title: "Go / no-go",
        note: vec![
            verdict,
            piece(format!(" {green} of {} green", views.len()), Meaning::Muted),
        ],
        legend: " ✓ev evidence  ✓who signed  ·ROLE to sign ",
        focused: model.ui.focus() == Some(Focus::Gates),
    };
    let inner = canvas.panel(area, &head);
    let shown = model.shown_gates();
    let found = (shown.len(), views.len());
    let inner = filter_row(canvas, inner, model, Focus::Gates, found);
    let at = model.selected_gate_index();
    let here = shown.partition_point(|n| *n < at);
    let height = usize::from(inner.height);
    let first = window(here, shown.len(), height);
    for (y, n) in shown.into_iter().skip(first).take(height).enumerate() {
        let (gate, view) = (&model.session.charter.gates[n], &views[n]);
        let place = row(inner, y as u16);
        let selected = head.focused && n == at;
        gate_row(canvas, place, model, gate, view, selected);
        canvas.target(place, Target::Gate(n));
    }
}

fn gate_row(
    canvas: &mut Canvas<'_>,
    area: Rect,
    model: &Model,
    gate: &Gate,
    view: &GateView,
    selected: bool,
) {
    let (word, meaning) = verdict(view);
    let start = [
        piece(if selected { "▸" } else { " " }, Meaning::Accent),
        piece(word, meaning),
        piece(format!(" {:<3}", gate.id), Meaning::Title),
        evidence_mark(view),
        piece(" ", Meaning::Text),
    ];
    let used = canvas.pieces(area.x, area.y, area.width, &start);
    let room = area.width.saturating_sub(used);
    let signers = [Detail::NameAndTime, Detail::Name, Detail::Role]
        .into_iter()
        .map(|detail| signers(model, gate, view, detail))
        .find(|s| width_of(s) + LEAST_TITLE.min(canvas.columns(&gate.title)) < room)
        .unwrap_or_else(|| signers(model, gate, view, Detail::Role));
    let right = canvas.pieces_right(area, &signers);
    let title = room.saturating_sub(right + 1);
    canvas.write(area.x + used, area.y, title, &gate.title, Meaning::Text);
    if selected {
        canvas.overlay(area, Meaning::Selection);
    }
}

/// Two columns that tell a gate's state without colour.
fn verdict(view: &GateView) -> (&'static str, Meaning) {
    let red = view.evidence.iter().any(|e| e.state == EvidenceState::Red);
    match (view.green, red) {
        (true, _) => ("GO", Meaning::Ok),
        (false, true) => ("!!", Meaning::Danger),
        (false, false) => ("··", Meaning::Warn),
    }
}

fn evidence_mark(view: &GateView) -> Piece<'static> {
    let worst = view
        .evidence
        .iter()
        .map(|e| e.state)
        .fold(None, |worst, state| {
            use EvidenceState::{Green, Missing, Red};
            match (worst, state) {
                (Some(Red), _) | (_, Red) => Some(Red),
                (Some(Missing), _) | (_, Missing) => Some(Missing),
                _ => Some(Green),
            }
        });
    match worst {
        None => piece("  – ", Meaning::Muted),
        Some(EvidenceState::Green) => piece(" ✓ev", Meaning::Ok),
        Some(EvidenceState::Missing) => piece(" ·ev", Meaning::Muted),
        Some(EvidenceState::Red) => piece(" ✗ev", Meaning::Danger),
    }
}

/// How much is said of a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    NameAndTime,
    Name,
    Role,
}

fn signers(model: &Model, gate: &Gate, view: &GateView, detail: Detail) -> Vec<Piece<'static>> {
    let each = view.signers.iter().map(|(role, signature)| {
        let Some(signature) = signature else {
            let void = model
                .session
                .signatures
                .get(&gate.id)
                .is_some_and(|all| all.iter().any(|s| s.role == *role));
            return if void {
                piece(format!(" void·{}", short_role(*role)), Meaning::Warn)
            } else {
                piece(format!(" ·{}", short_role(*role)), Meaning::Warn)
            };
        };
        let at = model.signed.get(&(gate.id.clone(), *role));
        let text = match (detail, at) {
            (Detail::NameAndTime, Some(at)) => {
                format!(" ✓{} {}", signature.by, hour_minute(*at, model.zone))
            }
            (Detail::NameAndTime, None) | (Detail::Name, _) => format!(" ✓{}", signature.by),
            (Detail::Role, _) => format!(" ✓{}", short_role(*role)),
        };
        piece(text, Meaning::Ok)
    });
    each.collect()
}

/// The view: the list, and the selected gate in full.
pub fn draw_view(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let gates = model.session.charter.gates.len() as u16;
    let filter = u16::from(model.ui.shows_filter());
    let list = (gates + 2 + filter).min(area.height * 2 / 3);
    let parts = [part(list, 4), part(0, 4)];
    let [list, rest] = canvas.split(&model.ui.splits, Stack::Gates, Axis::Down, area, parts);
    draw(canvas, list, model);
    let Some(gate) = model.selected_gate() else {
        return;
    };
    let title = format!("{} {}", gate.id, gate.title);
    let head = Head {
        title: &title,
        ..Head::default()
    };
    let inner = canvas.panel(rest, &head);
    let used = describe(canvas, inner, model, gate);
    draw_comments(canvas, below(inner, used), model, gate);
}

/// What people have noted of a gate, the newest first: where there is no room for all, it is the old ones that go.
fn draw_comments(canvas: &mut Canvas<'_>, area: Rect, model: &Model, gate: &Gate) {
    let mut used = 0;
    for (note, said) in model.comments(&gate.id) {
        let (by, when) = (model.name_of(&note.by), hour_minute(note.wall, model.zone));
        let text = format!("» {by} at {when}: {said}");
        used += paragraph(canvas, below(area, used), &text, Meaning::Accent);
    }
}

/// Everything about a gate: what it holds up, its evidence, its signatures and what they cover.
pub fn describe(canvas: &mut Canvas<'_>, area: Rect, model: &Model, gate: &Gate) -> u16 {
    let view = model.session.gate(gate);
    let mut used = 0;
    let mut line = |canvas: &mut Canvas<'_>, text: &str, meaning: Meaning| {
        used += paragraph(canvas, below(area, used), text, meaning);
    };
    line(
        canvas,
        &format!(
            "Must be green before {} and before the switch.",
            gate.before
        ),
        Meaning::Muted,
    );
    for evidence in &view.evidence {
        let (mark, meaning) = match evidence.state {
            EvidenceState::Green => ("✓ evidence", Meaning::Ok),
            EvidenceState::Missing => ("· no evidence yet", Meaning::Warn),
            EvidenceState::Red => ("✗ RED evidence", Meaning::Danger),
        };
        line(
            canvas,
            &format!("{mark} {}: {}", evidence.name, evidence.detail),
            meaning,
        );
    }
    for (role, signature) in &view.signers {
        let at = model.signed.get(&(gate.id.clone(), *role));
        match signature {
            Some(s) => {
                let when = at.map_or_else(String::new, |t| {
                    format!(" at {}", hour_minute(*t, model.zone))
                });
                let note = s
                    .note
                    .as_ref()
                    .map_or_else(String::new, |n| format!(": {n}"));
                let place = s.stands_in_for.as_ref().map_or_else(String::new, |absent| {
                    format!(" for {}", model.name_of(absent))
                });
                let key = s
                    .ssh
                    .as_ref()
                    .map_or_else(String::new, |ssh| format!(", with {}", ssh.key));
                let text = format!(
                    "✓ signed as {} by {}{place}{when}{key}{note}",
                    role.title(),
                    model.name_of(&s.by)
                );
                line(canvas, &text, Meaning::Ok);
            }
            None => line(
                canvas,
                &format!("· {} has to sign", role.title()),
                Meaning::Warn,
            ),
        }
    }
    line(canvas, &covers(model, &view), Meaning::Muted);
    if model.session.charter.wants_ssh(&gate.id) {
        let how = "It is made with your SSH key: the one in CUTOVER_SSH_KEY, or a usual one; loaded into your agent, if it has a passphrase.";
        line(canvas, how, Meaning::Muted);
    }
    used
}

/// What a signature covers: the hash of nothing is no evidence.
fn covers(model: &Model, view: &GateView) -> String {
    let missing = |state| state == EvidenceState::Missing;
    let lacking = view.evidence.iter().filter(|e| missing(e.state)).count();
    let hash = short_hash(&view.evidence_hash);
    let evidence = match (lacking, view.evidence.len()) {
        (_, 0) => "; this gate asks for no evidence".to_owned(),
        (0, _) => format!(" and the evidence {hash}"),
        (n, all) if n == all => "; there is no evidence yet".to_owned(),
        _ => format!(" and the evidence so far, {hash}"),
    };
    let runbook = short_hash(&model.session.charter.runbook_hash.0);
    format!("A signature covers the runbook {runbook}{evidence}.")
}

/// The first twelve digits of a hash: enough to compare by eye.
pub fn short_hash(hash: &str) -> String {
    hash.chars().take(12).collect()
}
