//! Actions that ask the engine for something, or open the form in which it is typed first.
//!
//! Not in here: whether an action may be done now (`actions`), and those that change nothing but the screen (`look`).

use super::look::look;
use super::{Effect, Update, say};
use crate::cockpit::actions::Do;
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Form, FormKind, Overlay, View};
use crate::cockpit::theme::Meaning;
use crate::runbook::Gate;
use crate::session::{Command, discard};

/// Carries out an action that is available.
pub(super) fn perform(model: &mut Model, act: Do) -> Update {
    match act {
        Do::Confirm => send(
            model,
            Command::Confirm { step: None },
            "confirmed being on call".to_owned(),
        ),
        Do::Start => start(model),
        Do::Resume => send(model, Command::Resume, "resumed".to_owned()),
        Do::RollBack => roll_back(model),
        Do::Retry => send(
            model,
            Command::Retry { row: None },
            "rows of the rollback run again".to_owned(),
        ),
        Do::Sign => open_form_on_gate(model, |model, gate| FormKind::Sign {
            role: model.signs_as(gate),
            gate: gate.id.clone(),
        }),
        Do::Withdraw => open_form_on_gate(model, |_, gate| FormKind::Withdraw(gate.id.clone())),
        Do::Hold => open_form(model, FormKind::Hold),
        Do::Note => {
            let commented = model
                .selected_gate()
                .filter(|_| model.ui.view == View::Gates);
            let gate = commented.map(|gate| gate.id.clone());
            open_form(model, FormKind::Note { gate })
        }
        Do::Extend => open_form(model, FormKind::Extend),
        Do::Complete => open_form(model, FormKind::Complete),
        Do::Skip => match model.session.next_step() {
            Some((line, _)) => {
                let step = line.id.clone();
                open_form(model, FormKind::Skip(step))
            }
            None => Update::nothing(),
        },
        Do::Decide => match model.session.current_step() {
            Some(step) => {
                let step = step.id.clone();
                open_form(model, FormKind::Decide(step))
            }
            None => Update::nothing(),
        },
        Do::StartEngine => {
            model.ui.asked = Some("start an engine".to_owned());
            Update::with(vec![Effect::StartEngine])
        }
        other => look(model, other),
    }
}

fn start(model: &mut Model) -> Update {
    let next = model.session.next_step().map(|(line, _)| line.id.clone());
    let rows = discard::asked_next(&model.session);
    if let Some(step) = next.clone().filter(|_| !rows.is_empty()) {
        return open_form(model, FormKind::Discard { step, rows });
    }
    let asked = format!("started {}", next.as_deref().unwrap_or("the next step"));
    model.ui.step = None;
    // The step is named, so that a slow answer and a second key cannot start the one after it.
    send(model, Command::StartStep { step: next }, asked)
}

fn roll_back(model: &mut Model) -> Update {
    if model.session.fired.is_none() {
        return open_form(model, FormKind::RollBack);
    }
    if model.ui.guard_until_ms.is_some_and(|t| model.now_ms < t) {
        let key = model.ui.keys.shown(Do::RollBack);
        let text = format!("the countdown has just come up: press {key} again to roll back now");
        say(model, text, Meaning::Warn);
        return Update::redraw();
    }
    let command = Command::RollBack {
        reason: "decided on the bridge".to_owned(),
        confirm: None,
    };
    send(model, command, "rollback begun".to_owned())
}

/// Asks the engine; until it answers nothing else is asked.
pub(super) fn send(model: &mut Model, command: Command, asked: String) -> Update {
    if matches!(command, Command::Sign { .. }) {
        // On to the next gate that can be signed.
        model.ui.gate = None;
    }
    model.ui.asked = Some(asked.clone());
    let start_engine = !model.engine.is_live() && matches!(command, Command::RollBack { .. });
    Update::with(vec![Effect::Send {
        command,
        asked,
        start_engine,
    }])
}

fn open_form(model: &mut Model, kind: FormKind) -> Update {
    model.ui.overlay = Some(Overlay::Form(Form::new(kind)));
    Update::redraw()
}

fn open_form_on_gate(model: &mut Model, kind: fn(&Model, &Gate) -> FormKind) -> Update {
    match model.selected_gate().map(|gate| kind(model, gate)) {
        Some(kind) => open_form(model, kind),
        None => Update::nothing(),
    }
}
