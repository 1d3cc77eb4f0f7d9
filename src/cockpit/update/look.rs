//! Actions that change nothing but the screen: another view, what is read over it, what is chosen from, how much of it is shown.
//!
//! Not in here: what asks the engine for something (`perform`).

use super::motion::{Motion, move_cursor};
use super::{Effect, Parting, Update, replay, resize, say, still};
use crate::cockpit::actions::Do;
use crate::cockpit::model::ui::{Focus, Overlay, Palette, Pick, PickKind, USUAL_SPAN_MS, View};
use crate::cockpit::model::{Model, whole};
use crate::cockpit::theme::Meaning;
use crate::format::span;

/// Actions that change nothing but the screen.
pub(super) fn look(model: &mut Model, act: Do) -> Update {
    match act {
        Do::Output | Do::Differences => open_output(model),
        Do::Play => open_pick(model, PickKind::Person),
        Do::Theme => open_pick(model, PickKind::Theme),
        Do::Fault => {
            let update = open_pick(model, PickKind::Fault);
            Update {
                effects: vec![Effect::ListFaults],
                ..update
            }
        }
        Do::Guide => {
            model.ui.overlay = Some(Overlay::Guide);
            Update::redraw()
        }
        Do::Help => {
            model.ui.overlay = Some(Overlay::Help { scroll: 0 });
            Update::redraw()
        }
        Do::People => {
            model.ui.overlay = Some(Overlay::People { scroll: 0 });
            Update::redraw()
        }
        Do::Palette => {
            model.ui.overlay = Some(Overlay::Palette(Palette::default()));
            Update::redraw()
        }
        Do::Event => open_event(model),
        Do::Table => open_table(model),
        Do::Copy => copy_event(model),
        Do::Filter => {
            // The bridge hides nothing: there it is the journal's.
            let update = match model.ui.filtered_list() {
                Some(_) => Update::redraw(),
                None => show(model, View::Journal),
            };
            model.ui.overlay = Some(Overlay::Filter);
            update
        }
        Do::Zoom => zoom(model),
        Do::ShorterSpan | Do::LongerSpan => other_span(model, act == Do::LongerSpan),
        Do::Still => still::turned(model),
        Do::Show(view) => show(model, view),
        Do::Back if model.ui.zoom.is_some() => {
            model.ui.zoom_out();
            Update::redraw()
        }
        Do::Back if !model.ui.filter().is_empty() => {
            model.ui.drop_filter();
            Update::redraw()
        }
        Do::Back if model.ui.view == View::Bridge => {
            let ui = &mut model.ui;
            let chosen = ui.gate.is_some() || ui.step.is_some() || ui.event.is_some();
            (ui.gate, ui.step, ui.event) = (None, None, None);
            if !chosen {
                let key = model.ui.keys.shown(Do::Leave);
                let text = format!(
                    "this is the bridge: there is nothing to go back to. {key} leaves it, and stops nothing"
                );
                say(model, text, Meaning::Muted);
            }
            Update::redraw()
        }
        Do::Back => {
            model.ui.table = None;
            show(model, View::Bridge)
        }
        Do::NextPanel | Do::PreviousPanel if model.ui.zoom.is_some() => {
            if let Some(zoom) = model.ui.zoom.take() {
                model.ui.zoom_in(zoom.turned(act == Do::NextPanel));
            }
            Update::redraw()
        }
        Do::NextPanel | Do::PreviousPanel => {
            model.ui.focus = turn(model.ui.focus, act == Do::NextPanel);
            Update::redraw()
        }
        Do::Replay(transport) => replay::moved(model, transport),
        Do::Line(way) => resize::by_key(model, way),
        Do::UsualSizes => resize::give_back(model),
        Do::Mouse => turn_mouse(model),
        Do::Repaint => Update::with(vec![Effect::Repaint]),
        Do::Suspend => Update::with(vec![Effect::Suspend]),
        Do::Leave => Update::with(vec![Effect::Leave(Parting::Asked)]),
        other => match Motion::of(other) {
            Some(motion) => move_cursor(model, motion),
            None => Update::nothing(),
        },
    }
}

fn show(model: &mut Model, view: View) -> Update {
    model.ui.show(view);
    model.ui.overlay = None;
    Update::with(vec![Effect::Present(view)])
}

fn turn_mouse(model: &mut Model) -> Update {
    model.ui.no_mouse = !model.ui.no_mouse;
    let key = model.ui.keys.shown(Do::Mouse);
    let said = match model.ui.no_mouse {
        true => format!("the mouse selects text, as without a cockpit; {key} takes it again"),
        false => format!(
            "the mouse clicks and scrolls here; {key} gives it back, and with Shift it selects text in most terminals"
        ),
    };
    say(model, said, Meaning::Ok);
    Update::with(vec![Effect::Mouse(!model.ui.no_mouse)])
}

/// The panel that keys act on has the screen to itself, or every panel has its place again.
fn zoom(model: &mut Model) -> Update {
    if model.ui.zoom_out() {
        return Update::redraw();
    }
    let Some(zoom) = model.ui.targets.zoom() else {
        return Update::nothing();
    };
    model.ui.zoom_in(zoom);
    let keys = &model.ui.keys;
    let text = format!(
        "{} or {} gives every panel its place again, {} goes on to the next",
        keys.shown(Do::Zoom),
        keys.shown(Do::Back),
        keys.shown(Do::NextPanel)
    );
    say(model, text, Meaning::Muted);
    Update::redraw()
}

/// Runbook time that charts can show.
const SPANS_MS: [i64; 7] = [
    60_000, 120_000, 300_000, 900_000, 1_800_000, 3_600_000, 10_800_000,
];

/// Charts reach less far back, or further, than they were seen to.
fn other_span(model: &mut Model, longer: bool) -> Update {
    let ui = &model.ui;
    let now_ms = ui.span_ms.or(ui.targets.span_ms());
    let now_ms = now_ms.unwrap_or(USUAL_SPAN_MS);
    let mut spans = SPANS_MS.into_iter();
    let found = match longer {
        true => spans.find(|ms| *ms > now_ms),
        false => spans.rfind(|ms| *ms < now_ms),
    };
    let shown = span(found.unwrap_or(now_ms));
    let text = match (found, longer) {
        (Some(_), _) => format!("charts show the last {shown}"),
        (None, true) => format!("charts show no more than {shown}"),
        (None, false) => format!("charts show no less than {shown}"),
    };
    say(model, text, Meaning::Muted);
    model.ui.span_ms = found.or(model.ui.span_ms);
    Update::redraw()
}

fn turn(focus: Focus, forward: bool) -> Focus {
    match (focus, forward) {
        (Focus::Gates, true) | (Focus::Events, false) => Focus::Steps,
        (Focus::Steps, true) | (Focus::Gates, false) => Focus::Events,
        (Focus::Events, true) | (Focus::Steps, false) | (Focus::Tables | Focus::Instances, _) => {
            Focus::Gates
        }
    }
}

fn open_pick(model: &mut Model, kind: PickKind) -> Update {
    let at = match kind {
        PickKind::Person => {
            let people = &model.session.charter.people;
            let mine = model.me.as_ref().map(|m| &m.id);
            people.iter().position(|p| Some(&p.id) == mine)
        }
        PickKind::Fault => None,
        PickKind::Theme => {
            let look = &model.ui.look;
            look.themes().iter().position(|name| *name == look.theme)
        }
    };
    model.ui.overlay = Some(Overlay::Pick(Pick {
        kind,
        at: at.unwrap_or_default(),
    }));
    Update::redraw()
}

fn open_table(model: &mut Model) -> Update {
    let Some(table) = model.selected_table().map(|line| line.table) else {
        return Update::nothing();
    };
    model.ui.overlay = Some(Overlay::Table { table, scroll: 0 });
    Update::redraw()
}

fn open_event(model: &mut Model) -> Update {
    let Some(seq) = model.selected_event().map(|told| told.seq) else {
        return Update::nothing();
    };
    model.ui.overlay = Some(Overlay::Event { seq, scroll: 0 });
    Update::redraw()
}

/// What is on the screen is copied: the event that is read, else the one under the cursor.
fn copy_event(model: &mut Model) -> Update {
    let told = match model.ui.overlay {
        Some(Overlay::Event { seq, .. }) => model.event(seq),
        _ => model.selected_event(),
    };
    let Some(told) = told else {
        return Update::nothing();
    };
    let (seq, text) = (told.seq, whole::text(told, model.zone));
    let said = format!(
        "event {seq} went to the terminal's clipboard; a terminal may refuse that (tmux: set-clipboard on)"
    );
    say(model, said, Meaning::Ok);
    Update::with(vec![Effect::Copy(text)])
}

fn open_output(model: &mut Model) -> Update {
    let Some((step, attempt)) = output_of(model) else {
        return Update::nothing();
    };
    model.output.clear();
    model.ui.overlay = Some(Overlay::Output {
        step: step.clone(),
        attempt,
        up: 0,
    });
    if let Some(replay) = &model.replay {
        model.seek(replay.at_ms());
    }
    Update::with(vec![Effect::Watch { step, attempt }])
}

/// The step whose output `o` opens: the chosen one, else the one that is being done, else the last that was begun.
pub fn output_of(model: &Model) -> Option<(String, u32)> {
    let steps = &model.session.steps;
    let chosen = model
        .chosen_step()
        .filter(|_| model.ui.focus() == Some(Focus::Steps));
    let begun = |s: &&crate::session::StepState| s.attempt > 0;
    let step = chosen
        .filter(begun)
        .or_else(|| model.moving_step())
        .or_else(|| steps.iter().filter(begun).max_by_key(|s| s.started_ms))?;
    Some((step.id.clone(), step.attempt.max(1)))
}
