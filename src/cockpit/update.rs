//! The controller: a message and the model in, the model and effects out. The only place that changes the model after it is open.
//!
//! Not in here: doing the effects (`driver`), and which key means what (`actions`).

mod filter;
mod look;
mod motion;
mod overlay;
mod palette;
mod perform;
mod pointer;
mod replay;
mod resize;
mod still;

use chrono::{DateTime, Utc};
use crossterm::event::{KeyEvent, KeyEventKind, KeyModifiers, MouseEvent};

pub use self::look::output_of;
use self::motion::{Motion, move_cursor};
use super::actions::{self, Availability, Chord, Do};
use super::bridge::{BridgeError, Fault};
use super::model::Model;
use super::model::ui::{Awaited, Brought, Overlay, Toast, View};
use super::news::{Engine, News};
use super::ring::Ringing;
use super::target::Targets;
use super::theme::Meaning;
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
    Send {
        command: Command,
        /// In words, for the answer.
        asked: String,
        /// Start an engine first, for none runs.
        start_engine: bool,
    },
    StartEngine,
    /// Say that somebody is here and looks at this view.
    Present(View),
    /// Ask which faults there are.
    ListFaults,
    /// Inject a fault, or take all back.
    Inject(Option<String>),
    /// Follow what this step prints.
    Watch {
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
    /// Use the theme of this name, or show it for now.
    SetTheme(String),
    Repaint,
    /// Put the cockpit aside.
    Suspend,
    /// The cockpit was put aside and goes on.
    GoOn,
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

/// How long a toast stays, in session milliseconds; in a replay in real ones.
pub(super) const TOAST_MS: i64 = 8_000;
/// How long `R` does nothing after the countdown has appeared while somebody types.
const GUARD_MS: i64 = 1_500;
/// How long the cockpit waits until an answered command shows in the journal.
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
        // At another size panels may lie elsewhere.
        Message::Resized => {
            model.ui.zoom_out();
            Update::with(vec![Effect::Repaint])
        }
        Message::Passed { ms } => replay::passed(model, ms),
        // A replay has a clock of its own, and takes in no present.
        Message::Ticked { .. } if model.replay.is_some() => Update::nothing(),
        Message::Came(news) if model.replay.is_some() => replay::recorded(model, *news),
        Message::Ticked { now_ms, wall } if model.still.is_some() => {
            still::ticked(model, now_ms, wall)
        }
        Message::Came(news) if model.still.is_some() => still::came(model, *news),
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
            model.live_mut().take(News {
                engine: Some(Engine::Unknown { why: why.clone() }),
                ..News::default()
            });
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
    let ringing = model.live_mut().ringing();
    ringing.map(Effect::Ring).into_iter().collect()
}

/// What must come to the screen by itself.
fn wanted(model: &Model) -> Option<Brought> {
    match (&model.session.fired, model.session.phase) {
        (_, Phase::RollingBack) => Some(Brought::Rollback),
        (Some(_), Phase::Open) => Some(Brought::Countdown),
        _ => None,
    }
}

/// A fired trigger and a rollback come to the screen by themselves, once each.
fn bring_up(model: &mut Model) -> Vec<Effect> {
    let Some(wanted) = wanted(model).filter(|wanted| *wanted != model.ui.brought) else {
        return Vec::new();
    };
    let overlay = model.ui.overlay.take();
    if overlay.is_some() && wanted == Brought::Countdown {
        model.ui.guard_until_ms = Some(model.now_ms + GUARD_MS);
    }
    model.ui.brought = wanted;
    model.ui.toast = None;
    model.ui.show(View::Rollback);
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
            format!(
                "no engine answered: {asked} was not done. {} starts an engine",
                model.ui.keys.shown(Do::StartEngine)
            ),
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
            let text = format!(
                "{} is no key here: {} lists them, {} finds one",
                shown(event),
                model.ui.keys.shown(Do::Help),
                model.ui.keys.shown(Do::Palette)
            );
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

/// Carries out an action, or says why that cannot be done now. A rollback is decided by what is true now: the display goes on first.
fn attempt(model: &mut Model, act: Do, mut availability: Availability) -> Update {
    if act == Do::RollBack && model.go_on() {
        let action = actions::ACTIONS.iter().find(|action| action.act == act);
        availability = action.map_or(availability, |action| action.now(model));
    }
    match availability.why_not() {
        None => perform::perform(model, act),
        Some(why) => {
            say(model, why, Meaning::Warn);
            Update::redraw()
        }
    }
}

fn say(model: &mut Model, text: String, meaning: Meaning) {
    model.ui.toast = Some(Toast {
        shown_ms: 0,
        text,
        meaning,
        since_ms: model.now_ms,
    });
}
