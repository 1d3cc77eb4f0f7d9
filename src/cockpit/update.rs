//! The controller: a message and the model in, the model and effects out. The only place that changes the model after it is open.
//!
//! Not in here: doing the effects (`driver`), and which key means what (`actions`).

mod filter;
mod motion;
mod overlay;
mod palette;
mod pointer;
mod replay;
mod resize;

use chrono::{DateTime, Utc};
use crossterm::event::{KeyEvent, KeyEventKind, KeyModifiers, MouseEvent};

use self::motion::{Motion, move_cursor};
use super::actions::{self, Availability, Chord, Do};
use super::bridge::{BridgeError, Fault};
use super::model::Model;
use super::model::ui::{
    Awaited, Brought, Focus, Form, FormKind, Overlay, Palette, Pick, PickKind, Toast, View,
};
use super::model::whole;
use super::news::News;
use super::ring::Ringing;
use super::target::Targets;
use super::theme::Meaning;
use crate::runbook::Gate;
use crate::session::{Command, Phase};

/// What can happen to a cockpit.
#[derive(Debug)]
pub enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was clicked or turned its wheel.
    Mouse(MouseEvent),
    /// A frame was drawn, in which this can be clicked.
    Drawn(Targets),
    /// Text was pasted.
    Pasted(String),
    /// The terminal has another size.
    Resized,
    /// The clock has gone on; the session time is `None` where no engine of this boot has said what it is.
    Ticked {
        /// Session time.
        now_ms: Option<i64>,
        /// Wall clock.
        wall: DateTime<Utc>,
    },
    /// Real time has passed, which moves a replay that plays.
    Passed {
        /// Real milliseconds.
        ms: i64,
    },
    /// Something has come in.
    Came(Box<News>),
    /// The journal cannot be read.
    FollowFailed(String),
    /// The engine has answered.
    Answered {
        /// What was asked, in words.
        asked: String,
        /// What came of it: the number of the last event, where there is one.
        result: Result<Option<u64>, BridgeError>,
    },
    /// Which faults there are.
    FaultsListed(Vec<Fault>),
    /// Something asks the cockpit to be put aside (SIGTSTP).
    SuspendAsked,
    /// The terminal is ours again (SIGCONT).
    Continued,
    /// Something asks the process to end (SIGTERM, SIGINT).
    EndAsked,
    /// There is no terminal any more.
    TerminalLost,
}

/// What is to be done outside the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the engine.
    Send {
        /// What.
        command: Command,
        /// In words, for the answer.
        asked: String,
        /// Start an engine first, for none runs.
        start_engine: bool,
    },
    /// Start an engine.
    StartEngine,
    /// Say that somebody is here and looks at this view.
    Present(View),
    /// Ask which faults there are.
    ListFaults,
    /// Inject a fault, or take all back.
    Inject(Option<String>),
    /// Follow what this step prints.
    Watch {
        /// Which.
        step: String,
        /// From 1.
        attempt: u32,
    },
    /// Make the terminal noticed.
    Ring(Ringing),
    /// Take the mouse, or give it back.
    Mouse(bool),
    /// Put text into the terminal's clipboard.
    Copy(String),
    /// Wear the theme of this name, or show it for now.
    Dress(String),
    /// Paint everything again.
    Repaint,
    /// Put the cockpit aside.
    Suspend,
    /// The cockpit was put aside and goes on.
    GoOn,
    /// Leave.
    Leave(Parting),
}

/// Why a cockpit was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// By `q`.
    Asked,
    /// By a signal.
    Ended,
    /// The terminal is gone.
    TerminalLost,
}

/// For so long a toast stays, in session milliseconds; in a replay in real ones.
pub(super) const TOAST_MS: i64 = 8_000;
/// For so long `R` waits when the countdown comes up under somebody's typing.
const GUARD_MS: i64 = 1_500;
/// So long an answer waits to show in the journal.
const SETTLED_MS: i64 = 3_000;
/// A page of a list.
const PAGE: usize = 10;

/// What came of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// To be done, in order.
    pub effects: Vec<Effect>,
    /// Whether the screen may differ.
    pub redraw: bool,
}

impl Update {
    fn redraw() -> Update {
        Update {
            effects: Vec::new(),
            redraw: true,
        }
    }

    fn with(effects: Vec<Effect>) -> Update {
        Update {
            effects,
            redraw: true,
        }
    }

    fn nothing() -> Update {
        Update::default()
    }
}

/// Takes in a message.
pub fn update(model: &mut Model, message: Message) -> Update {
    match message {
        Message::Key(event) if event.kind == KeyEventKind::Release => Update::nothing(),
        Message::Key(event) => on_key(model, event),
        Message::Mouse(event) => pointer::on_mouse(model, event),
        Message::Drawn(targets) => {
            model.ui.targets = targets;
            Update::nothing()
        }
        Message::Pasted(text) => overlay::on_paste(model, &text),
        // Everything, even if the size is what it was: on the way there and back a terminal loses what was on it.
        Message::Resized => Update::with(vec![Effect::Repaint]),
        Message::Passed { ms } => replay::passed(model, ms),
        // A replay has a clock of its own, and takes in no present.
        Message::Ticked { .. } if model.replay.is_some() => Update::nothing(),
        Message::Came(news) if model.replay.is_some() => replay::recorded(model, *news),
        Message::Ticked { now_ms, wall } => on_tick(model, now_ms, wall),
        Message::Came(news) => {
            let changed = model.take(*news);
            settle(model);
            let mut effects = bring_up(model);
            effects.extend(ring(model));
            Update {
                effects,
                redraw: changed,
            }
        }
        Message::FollowFailed(why) => {
            say(model, why, Meaning::Danger);
            Update::redraw()
        }
        Message::Answered { asked, result } => on_answer(model, &asked, result),
        Message::FaultsListed(faults) => {
            model.faults = faults;
            Update::redraw()
        }
        Message::SuspendAsked => Update::with(vec![Effect::Suspend]),
        Message::Continued => Update::with(vec![Effect::GoOn]),
        Message::EndAsked => Update::with(vec![Effect::Leave(Parting::Ended)]),
        Message::TerminalLost => Update::with(vec![Effect::Leave(Parting::TerminalLost)]),
    }
}

fn on_tick(model: &mut Model, now_ms: Option<i64>, wall: DateTime<Utc>) -> Update {
    let second = |model: &Model| model.runbook_ms(model.clock_ms()) / 1_000;
    let before = second(model);
    model.tick(now_ms, wall);
    settle(model);
    let effects = ring(model);
    if let Some(toast) = &model.ui.toast
        && model.now_ms - toast.since_ms > TOAST_MS
    {
        model.ui.toast = None;
        return Update::with(effects);
    }
    // A session that is over has no clock that goes on, so that an idle screen stays as it is.
    Update {
        effects,
        redraw: second(model) != before,
    }
}

fn ring(model: &mut Model) -> Vec<Effect> {
    model.ringing().map(Effect::Ring).into_iter().collect()
}

/// A fired trigger and a rollback come to the screen by themselves, once each.
fn bring_up(model: &mut Model) -> Vec<Effect> {
    let wanted = match (&model.session.fired, model.session.phase) {
        (_, Phase::RollingBack) => Brought::Rollback,
        (Some(_), Phase::Open) => Brought::Countdown,
        _ => return Vec::new(),
    };
    if model.ui.brought == wanted {
        return Vec::new();
    }
    let overlay = model.ui.overlay.take();
    if overlay.is_some() && wanted == Brought::Countdown {
        model.ui.guard_until_ms = Some(model.now_ms + GUARD_MS);
    }
    model.ui.brought = wanted;
    model.ui.toast = None;
    model.ui.view = View::Rollback;
    match overlay {
        Some(Overlay::Pick(pick)) => overlay::undressed(model, pick.kind),
        _ => Vec::new(),
    }
}

/// What was asked is done once the journal shows it: until then the screen is that of before, and another key would be pressed on
/// what is no longer true. A journal that cannot be read does not block the keys for ever.
fn settle(model: &mut Model) {
    let Some(awaited) = &model.ui.awaited else {
        return;
    };
    let seen = model.session.seq >= awaited.seq;
    if seen || model.now_ms - awaited.since_ms > SETTLED_MS {
        model.ui.awaited = None;
        let asked = model.ui.asked.take().unwrap_or_default();
        say(model, format!("done: {asked}"), Meaning::Ok);
    }
}

fn on_answer(model: &mut Model, asked: &str, result: Result<Option<u64>, BridgeError>) -> Update {
    if let Ok(Some(seq)) = result {
        let since_ms = model.now_ms;
        model.ui.awaited = Some(Awaited { seq, since_ms });
        settle(model);
        return Update::redraw();
    }
    model.ui.asked = None;
    match result {
        Ok(_) => say(model, format!("done: {asked}"), Meaning::Ok),
        Err(BridgeError::Refused(refusal)) => say(model, refusal.to_string(), Meaning::Warn),
        Err(BridgeError::NoEngine) => say(
            model,
            format!("no engine answered: {asked} was not done. E starts an engine"),
            Meaning::Danger,
        ),
        Err(BridgeError::Failed { why }) => {
            say(model, format!("{asked}: {why}"), Meaning::Danger);
        }
    }
    Update::redraw()
}

fn on_key(model: &mut Model, event: KeyEvent) -> Update {
    model.ui.toast = None;
    if let Some(update) = overlay::on_key(model, event) {
        return update;
    }
    match actions::find(model, event) {
        None => {
            let text = format!("{} is no key here: ? lists them, : finds one", shown(event));
            say(model, text, Meaning::Warn);
            Update::redraw()
        }
        Some((action, availability)) => attempt(model, action.act, availability),
    }
}

fn shown(event: KeyEvent) -> String {
    let chord = Chord {
        code: event.code,
        ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
    };
    chord.shown()
}

/// Carries out an action, or says why that cannot be done now.
fn attempt(model: &mut Model, act: Do, availability: Availability) -> Update {
    match availability.why_not() {
        None => perform(model, act),
        Some(why) => {
            say(model, why, Meaning::Warn);
            Update::redraw()
        }
    }
}

/// Carries out an action that is available.
fn perform(model: &mut Model, act: Do) -> Update {
    match act {
        Do::Confirm => send(
            model,
            Command::Confirm { step: None },
            "confirmed being on call".to_owned(),
        ),
        Do::Start => start(model),
        Do::Resume => send(model, Command::Resume, "resumed".to_owned()),
        Do::RollBack => roll_back(model),
        Do::Sign => open_form_on_gate(model, |model, gate| FormKind::Sign {
            role: model.signs_as(gate),
            gate: gate.id.clone(),
        }),
        Do::Withdraw => open_form_on_gate(model, |_, gate| FormKind::Withdraw(gate.id.clone())),
        Do::Hold => open_form(model, FormKind::Hold),
        Do::Note => open_form(model, FormKind::Note),
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

/// Actions that change nothing but the screen.
fn look(model: &mut Model, act: Do) -> Update {
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
            let update = show(model, View::Journal);
            model.ui.overlay = Some(Overlay::Filter);
            update
        }
        Do::Show(view) => show(model, view),
        Do::Back if model.ui.view == View::Journal && !model.ui.filter.is_empty() => {
            model.ui.filter.clear();
            Update::redraw()
        }
        Do::Back if model.ui.view == View::Bridge => {
            let ui = &mut model.ui;
            let chosen = ui.gate.is_some() || ui.step.is_some() || ui.event.is_some();
            (ui.gate, ui.step, ui.event) = (None, None, None);
            if !chosen {
                let text = "this is the bridge: there is nothing to go back to. q leaves it, and stops nothing";
                say(model, text.to_owned(), Meaning::Muted);
            }
            Update::redraw()
        }
        Do::Back => {
            model.ui.table = None;
            show(model, View::Bridge)
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
    model.ui.view = view;
    model.ui.overlay = None;
    Update::with(vec![Effect::Present(view)])
}

fn turn_mouse(model: &mut Model) -> Update {
    model.ui.no_mouse = !model.ui.no_mouse;
    let said = match model.ui.no_mouse {
        true => "the mouse selects text, as without a cockpit; M takes it again",
        false => {
            "the mouse clicks and scrolls here; M gives it back, and with Shift it selects text in most terminals"
        }
    };
    say(model, said.to_owned(), Meaning::Ok);
    Update::with(vec![Effect::Mouse(!model.ui.no_mouse)])
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

fn start(model: &mut Model) -> Update {
    let next = model.session.next_step().map(|(line, _)| line.id.clone());
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
        say(
            model,
            "the countdown has just come up: press R again to roll back now".to_owned(),
            Meaning::Warn,
        );
        return Update::redraw();
    }
    let command = Command::RollBack {
        reason: "decided on the bridge".to_owned(),
        confirm: None,
    };
    send(model, command, "rollback begun".to_owned())
}

/// Asks the engine; until it answers nothing else is asked.
fn send(model: &mut Model, command: Command, asked: String) -> Update {
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

fn say(model: &mut Model, text: String, meaning: Meaning) {
    model.ui.toast = Some(Toast {
        shown_ms: 0,
        text,
        meaning,
        since_ms: model.now_ms,
    });
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
        .ui
        .step
        .filter(|_| model.ui.focus() == Some(Focus::Steps));
    let begun = |s: &&crate::session::StepState| s.attempt > 0;
    let step = chosen
        .and_then(|at| steps.get(at))
        .filter(begun)
        .or_else(|| model.moving_step())
        .or_else(|| steps.iter().filter(begun).max_by_key(|s| s.started_ms))?;
    Some((step.id.clone(), step.attempt.max(1)))
}
