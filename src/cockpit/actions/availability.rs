//! Whether an action may be done now, and in words why not. What the rules say is asked of `session::decide`; the rest is what the screen shows.
//!
//! Not in here: which key it has (the table above).

use super::{Availability, Do};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Focus, Overlay, View};
use crate::cockpit::replay::Transport;
use crate::cockpit::split::Axis;
use crate::runbook::Gate;
use crate::session::charter::LineKind;
use crate::session::{Command, Phase, Refusal, StepStatus, decide, discard};

/// Whether the rules allow this command to the person at this terminal now.
pub fn allowed(model: &Model, command: &Command) -> Availability {
    if let Some(asked) = &model.ui.asked {
        return Availability::No(format!("the engine has yet to answer: {asked}"));
    }
    let Some(me) = &model.me else {
        let user = model.user.clone();
        return Availability::No(Refusal::NotOnBridge { user }.to_string());
    };
    match decide(&model.session, me, command) {
        // The key signs on the way to the engine.
        Err(refusal) if !matches!(refusal, Refusal::SshNeeded { .. }) => {
            Availability::No(refusal.to_string())
        }
        // These two start an engine where none runs.
        _ if !model.engine.is_live()
            && !matches!(command, Command::RollBack { .. } | Command::Retry { .. }) =>
        {
            let key = model.ui.keys.shown(Do::StartEngine);
            Availability::No(format!("no engine works on this session: {key} starts one"))
        }
        _ => Availability::Yes,
    }
}

/// Why no output is opened while the display stands still: what has been printed since would be in it.
const NOT_PRINTED_ANEW: &str =
    "the display stands still, and what a step prints is read as it goes on";

pub(super) fn always(_: &Model) -> Availability {
    Availability::Yes
}

pub(super) fn can_look(model: &Model) -> Availability {
    if model.session.fired.is_some() && model.session.phase == Phase::Open {
        Availability::No("the countdown has the screen until the rollback begins".to_owned())
    } else {
        Availability::Yes
    }
}

pub(super) fn can_set_theme(model: &Model) -> Availability {
    if model.ui.look.no_color {
        Availability::No("NO_COLOR is set: there are no colours to choose".to_owned())
    } else {
        can_look(model)
    }
}

pub(super) fn can_roll_back(model: &Model) -> Availability {
    allowed(
        model,
        &Command::RollBack {
            reason: "-".to_owned(),
            confirm: Some(model.session.charter.session.clone()),
        },
    )
}

pub(super) fn can_retry(model: &Model) -> Availability {
    if model.session.phase != Phase::RolledBack {
        return Availability::Elsewhere("no rollback has ended".into());
    }
    allowed(model, &Command::Retry { row: None })
}

pub(super) fn can_confirm(model: &Model) -> Availability {
    let waiting = model.session.lines();
    let step = waiting
        .filter(|(_, s)| s.status == StepStatus::Running)
        .find_map(|(line, state)| match &line.kind {
            LineKind::Confirm(roles) => Some((roles, state)),
            _ => None,
        });
    let Some((roles, state)) = step else {
        return Availability::Elsewhere("no step waits for a confirmation".into());
    };
    let mine = |r: &&crate::runbook::Role| model.me.as_ref().is_some_and(|m| m.roles.contains(r));
    if roles.iter().any(|r| mine(&r))
        && roles
            .iter()
            .filter(mine)
            .all(|r| state.confirmed.contains_key(r))
    {
        return Availability::No("you have confirmed; the others have yet to".to_owned());
    }
    allowed(model, &Command::Confirm { step: None })
}

pub(super) fn can_start(model: &Model) -> Availability {
    let rows = discard::asked_next(&model.session);
    let next = model.session.next_step().map(|(line, _)| line.id.clone());
    match next.filter(|_| !rows.is_empty()) {
        // The numbers are typed in the form that the key opens.
        Some(step) => allowed(model, &Command::StartDiscarding { step, rows }),
        None => allowed(model, &Command::StartStep { step: None }),
    }
}

pub(super) fn can_sign(model: &Model) -> Availability {
    match model.selected_gate() {
        None => no_gate(model),
        Some(gate) => can_sign_gate(model, gate),
    }
}

fn no_gate(model: &Model) -> Availability {
    match model.gates.is_empty() {
        true => Availability::No("the runbook has no gates".to_owned()),
        false => Availability::No(format!("no gate {}", hidden(model))),
    }
}

/// Why a list of which a filter leaves nothing is empty.
fn hidden(model: &Model) -> String {
    let key = model.ui.keys.shown(Do::Back);
    format!("has these words: {key} shows all again")
}

/// Whether the person at this terminal can sign this gate now.
pub fn can_sign_gate(model: &Model, gate: &Gate) -> Availability {
    allowed(
        model,
        &Command::Sign {
            gate: gate.id.clone(),
            role: model.signs_as(gate),
            note: None,
            proof: None,
        },
    )
}

pub(super) fn can_withdraw(model: &Model) -> Availability {
    let Some(gate) = model.selected_gate() else {
        return no_gate(model);
    };
    allowed(
        model,
        &Command::Withdraw {
            gate: gate.id.clone(),
            role: None,
        },
    )
}

pub(super) fn can_hold(model: &Model) -> Availability {
    if model.session.held.is_some() {
        return Availability::Elsewhere("the session is held already".into());
    }
    allowed(
        model,
        &Command::Hold {
            reason: "-".to_owned(),
        },
    )
}

pub(super) fn can_resume(model: &Model) -> Availability {
    if model.session.held.is_none() {
        return Availability::Elsewhere("the session is not held".into());
    }
    allowed(model, &Command::Resume)
}

pub(super) fn can_decide(model: &Model) -> Availability {
    let asked = model
        .session
        .current_step()
        .filter(|s| s.status == StepStatus::Unknown);
    match asked {
        None => Availability::No("no step waits for a decision".to_owned()),
        Some(step) if step.question.is_none() => Availability::No(format!(
            "the engine still finds out what {} had done",
            step.id
        )),
        Some(step) => allowed(
            model,
            &Command::DecideUnknown {
                step: step.id.clone(),
                done: true,
                reason: "-".to_owned(),
            },
        ),
    }
}

pub(super) fn can_skip(model: &Model) -> Availability {
    match model.session.next_step() {
        None => Availability::No("every step is done".to_owned()),
        Some((line, _)) => allowed(
            model,
            &Command::Skip {
                step: line.id.clone(),
                reason: "-".to_owned(),
            },
        ),
    }
}

pub(super) fn can_extend(model: &Model) -> Availability {
    allowed(model, &Command::ExtendFreeze { by_ms: 60_000 })
}

pub(super) fn can_complete(model: &Model) -> Availability {
    allowed(model, &Command::Complete)
}

pub(super) fn can_note(model: &Model) -> Availability {
    allowed(
        model,
        &Command::Note {
            text: "-".to_owned(),
        },
    )
}

pub(super) fn can_start_engine(model: &Model) -> Availability {
    use crate::cockpit::news::Engine;
    match &model.engine {
        Engine::Live { pid } => Availability::No(format!("engine {pid} works on this session")),
        Engine::Silent { pid } if !model.engine_hangs() => Availability::No(format!(
            "engine {pid} holds the session, and may only be short of processor time: leave it some seconds"
        )),
        Engine::Silent { pid } => Availability::No(format!(
            "engine {pid} holds the session and gives no sign of life: end that process, then start another"
        )),
        Engine::Unknown { .. } => {
            Availability::No("the session's folder cannot be read".to_owned())
        }
        Engine::Gone { .. } if model.is_over() => {
            Availability::No("the session is over: it needs no engine".to_owned())
        }
        Engine::Gone { .. } if model.ui.asked.is_some() => {
            Availability::No("an engine is being started".to_owned())
        }
        Engine::Gone { .. } => Availability::Yes,
    }
}

pub(super) fn can_read_output(model: &Model) -> Availability {
    match crate::cockpit::update::output_of(model) {
        Some(_) if model.still.is_some() => Availability::No(NOT_PRINTED_ANEW.to_owned()),
        Some(_) => Availability::Yes,
        None => Availability::No("nothing has been started yet".to_owned()),
    }
}

/// Enter starts steps; in the journal it does not, nor anywhere while an older event than the latest is chosen.
pub(super) fn can_read_event(model: &Model) -> Availability {
    let of_events = model.ui.focus() == Some(Focus::Events);
    let chosen = of_events && (model.ui.view == View::Journal || model.ui.event.is_some());
    if !chosen && !matches!(model.ui.overlay, Some(Overlay::Event { .. })) {
        let key = model.ui.keys.shown(Do::Show(View::Journal));
        return Availability::Elsewhere(
            format!("no event is selected: {key} shows the journal").into(),
        );
    }
    match model.selected_event() {
        Some(_) => Availability::Yes,
        None => Availability::No(format!("no event {}", hidden(model))),
    }
}

pub(super) fn can_copy(model: &Model) -> Availability {
    match can_read_event(model) {
        Availability::Elsewhere(why) => Availability::No(why.into_owned()),
        other => other,
    }
}

/// Enter starts steps; among the tables it does not.
pub(super) fn can_read_table(model: &Model) -> Availability {
    if model.ui.view != View::Data {
        let key = model.ui.keys.shown(Do::Show(View::Data));
        return Availability::Elsewhere(
            format!("no table is selected: {key} shows the tables").into(),
        );
    }
    match model.selected_table() {
        Some(_) => Availability::Yes,
        None if !model.ui.filter().is_empty() && !model.tables().is_empty() => {
            Availability::No(format!("no table {}", hidden(model)))
        }
        None => Availability::No("which tables move is known once D1 is done".to_owned()),
    }
}

/// Enter starts steps; here it does not, because what compares is running, or was chosen and has found something.
pub(super) fn can_read_differences(model: &Model) -> Availability {
    if model.still.is_some() {
        return Availability::Elsewhere(NOT_PRINTED_ANEW.into());
    }
    let running = model.moving_step().map(|step| &step.id);
    let chosen = model.chosen_step();
    let chosen = chosen.filter(|_| model.ui.focus() == Some(Focus::Steps));
    let compares = |id: &String| *id == model.parity.step;
    let differs = model.parity.tables.iter().any(|table| table.differs());
    if running.is_some_and(compares) || (differs && chosen.is_some_and(|step| compares(&step.id))) {
        Availability::Yes
    } else {
        let why = "no step compares rows, and the selected one found no difference";
        Availability::Elsewhere(why.into())
    }
}

pub(super) fn in_sandbox(model: &Model) -> Availability {
    if model.session.charter.sandbox {
        Availability::Yes
    } else {
        Availability::No("that exists in the sandbox alone".to_owned())
    }
}

pub(super) fn can_inject(model: &Model) -> Availability {
    match in_sandbox(model) {
        Availability::Yes if model.session.phase != Phase::Open => {
            Availability::No("the session is past the point where a fault shows".to_owned())
        }
        other => other,
    }
}

pub(super) fn has_panels(model: &Model) -> Availability {
    if can_look(model) != Availability::Yes {
        return can_look(model);
    }
    if model.ui.view == View::Bridge || model.ui.zoom.is_some() {
        Availability::Yes
    } else {
        Availability::No("this view has one panel to move in".to_owned())
    }
}

pub(super) fn has_line_across(model: &Model) -> Availability {
    has_line(model, Axis::Across)
}

pub(super) fn has_line_down(model: &Model) -> Availability {
    has_line(model, Axis::Down)
}

fn has_line(model: &Model, axis: Axis) -> Availability {
    match (can_look(model), model.ui.targets.line_of_keys(axis), axis) {
        (Availability::Yes, Some(_), _) => Availability::Yes,
        (Availability::Yes, None, Axis::Across) => {
            Availability::No("no panels stand beside each other here".to_owned())
        }
        (Availability::Yes, None, Axis::Down) => {
            Availability::No("no panels stand above each other here".to_owned())
        }
        (why, ..) => why,
    }
}

pub(super) fn has_moved_lines(model: &Model) -> Availability {
    match model.ui.splits.is_usual() {
        true => Availability::No("every panel has its usual size".to_owned()),
        false => can_look(model),
    }
}

pub(super) fn can_zoom(model: &Model) -> Availability {
    match can_look(model) {
        Availability::Yes if model.ui.zoom.is_some() => Availability::Yes,
        Availability::Yes if model.ui.targets.panels() < 2 => {
            Availability::No("this view shows one panel: it has the screen".to_owned())
        }
        other => other,
    }
}

pub(super) fn can_stand_still(model: &Model) -> Availability {
    match (&model.replay, &model.ui.asked) {
        (Some(_), _) => Availability::No(format!(
            "in a replay time stands still by {}",
            model.ui.keys.shown(Do::Replay(Transport::PlayPause))
        )),
        // What it comes to must be seen.
        (None, Some(asked)) => Availability::No(format!("the engine has yet to answer: {asked}")),
        (None, None) => can_look(model),
    }
}

pub(super) fn has_list(model: &Model) -> Availability {
    let scrolls = matches!(
        model.ui.overlay,
        Some(
            Overlay::Help { .. }
                | Overlay::People { .. }
                | Overlay::Output { .. }
                | Overlay::Event { .. }
                | Overlay::Table { .. }
        )
    );
    match model.ui.focus() {
        _ if scrolls => Availability::Yes,
        Some(Focus::Gates | Focus::Steps | Focus::Events | Focus::Tables) => Availability::Yes,
        Some(Focus::Instances) if model.ui.targets.scrolls_to().is_some() => Availability::Yes,
        Some(Focus::Instances) => Availability::No("all of it is in sight".to_owned()),
        None => Availability::No("this view has no list to move in".to_owned()),
    }
}
