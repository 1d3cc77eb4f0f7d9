//! The one table of keys. Dispatch, footer and help are derived from it, so that they cannot disagree; its order is theirs.
//! Whether a command may be given now is asked of `session::decide`, the same rules as the engine's, so that the reason is too.
//!
//! Not in here: what an action does (`update`).

pub mod search;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::Model;
use super::model::ui::{Focus, Overlay, View};
use super::replay::{Stop, Transport};
use crate::runbook::Gate;
use crate::session::charter::LineKind;
use crate::session::roles::Act;
use crate::session::{Command, Phase, Refusal, StepStatus, decide};

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Do {
    /// Confirm being on call.
    Confirm,
    /// Start the next step, or try a failed one again.
    Start,
    /// Sign the selected gate.
    Sign,
    /// Withdraw one's signature from the selected gate.
    Withdraw,
    /// Hold the session.
    Hold,
    /// Resume the session.
    Resume,
    /// Roll back.
    RollBack,
    /// Say what an interrupted step had done.
    Decide,
    /// Skip the next step.
    Skip,
    /// Extend the freeze.
    Extend,
    /// Complete the release.
    Complete,
    /// Write a note.
    Note,
    /// Start an engine.
    StartEngine,
    /// Read what a step printed.
    Output,
    /// Read which rows differ.
    Differences,
    /// Read all of an event.
    Event,
    /// Read all of a table.
    Table,
    /// Copy an event.
    Copy,
    /// Show only events that have some words.
    Filter,
    /// Play another person.
    Play,
    /// Inject a fault.
    Fault,
    /// Open the first-minute guide.
    Guide,
    /// Another view.
    Show(View),
    /// The next panel.
    NextPanel,
    /// The panel before.
    PreviousPanel,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first line.
    First,
    /// To the last line.
    Last,
    /// Who is on the bridge, and who may do what.
    People,
    /// Find an action by its words.
    Palette,
    /// Choose how it looks.
    Theme,
    /// Take the mouse, or give it back.
    Mouse,
    /// Explain every key.
    Help,
    /// Close what lies over the screen, or go back to the bridge.
    Back,
    /// Paint everything again.
    Repaint,
    /// Put the cockpit aside.
    Suspend,
    /// Leave; nothing is stopped.
    Leave,
    /// Move in the time of what was recorded.
    Replay(Transport),
}

/// Under which head help lists an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What drives the cutover.
    Cutover,
    /// What shows more.
    Look,
    /// What only the sandbox has.
    Sandbox,
    /// What only a replay has.
    Replay,
    /// The cockpit itself.
    Cockpit,
}

impl Group {
    /// Every group in the order of help.
    pub const ALL: [Group; 5] = [
        Group::Cutover,
        Group::Look,
        Group::Sandbox,
        Group::Replay,
        Group::Cockpit,
    ];

    /// As shown.
    pub fn title(self) -> &'static str {
        match self {
            Group::Cutover => "Drive the cutover",
            Group::Look => "Look around",
            Group::Sandbox => "In the sandbox",
            Group::Replay => "In a replay",
            Group::Cockpit => "The cockpit itself",
        }
    }
}

/// Whether a key does something now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    Yes,
    /// It does not, and why.
    No(String),
    /// It has nothing to do with what is going on; another action of the same key may have.
    Elsewhere(&'static str),
}

impl Availability {
    /// Why it does nothing now, in words; `None` if it does something.
    pub fn why_not(self) -> Option<String> {
        match self {
            Availability::Yes => None,
            Availability::No(why) => Some(why),
            Availability::Elsewhere(why) => Some(why.to_owned()),
        }
    }
}

/// A line of the table.
pub struct Action {
    /// What it does.
    pub act: Do,
    /// Its keys; the first is the one that is shown.
    pub keys: &'static [Chord],
    /// One or two words for the footer.
    pub label: &'static str,
    /// A sentence for help.
    pub help: &'static str,
    /// Where help lists it.
    pub group: Group,
    /// Whether the footer shows it while it is available.
    pub footer: bool,
    /// Whether it does something now, at a session that is not replayed.
    when: fn(&Model) -> Availability,
}

impl Action {
    /// Whether it does something now.
    pub fn now(&self, model: &Model) -> Availability {
        let commands = matches!(self.group, Group::Cutover | Group::Sandbox);
        match &model.replay {
            Some(_) if commands => Availability::No(NO_COMMAND.to_owned()),
            None if self.group == Group::Replay => {
                Availability::Elsewhere("that exists in a replay alone")
            }
            _ => (self.when)(model),
        }
    }

    /// Whether help and search name it: what moves in time is nothing for a session that runs.
    pub fn belongs(&self, model: &Model) -> bool {
        self.group != Group::Replay || model.replay.is_some()
    }
}

/// Why a replay obeys no command.
const NO_COMMAND: &str =
    "this is a REPLAY of what was recorded: nothing can be commanded in it. q leaves it";

/// A key with its modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chord {
    /// The key.
    pub code: KeyCode,
    /// With Ctrl.
    pub ctrl: bool,
}

const fn key(c: char) -> Chord {
    Chord {
        code: KeyCode::Char(c),
        ctrl: false,
    }
}

const fn ctrl(c: char) -> Chord {
    Chord {
        code: KeyCode::Char(c),
        ctrl: true,
    }
}

const fn named(code: KeyCode) -> Chord {
    Chord { code, ctrl: false }
}

impl Chord {
    /// As shown: `Space`, `R`, `^Z`, `↑`.
    pub fn shown(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) if self.ctrl => format!("^{}", c.to_ascii_uppercase()),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::F(n) => format!("F{n}"),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::Left => "←".to_owned(),
            KeyCode::Right => "→".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            code => format!("{code:?}"),
        };
        if name.is_empty() {
            "?".to_owned()
        } else {
            name
        }
    }

    fn matches(self, event: KeyEvent) -> bool {
        event.code == self.code
            && event.modifiers.contains(KeyModifiers::CONTROL) == self.ctrl
            && !event.modifiers.contains(KeyModifiers::ALT)
    }
}

macro_rules! action {
    ($act:expr, [$($key:expr),+], $label:literal, $group:ident, $footer:literal, $when:expr, $help:literal) => {
        Action { act: $act, keys: &[$($key),+], label: $label, help: $help, group: Group::$group, footer: $footer, when: $when }
    };
}

/// Every action, in the order of footer and help. Where two share a key, the first that applies is done.
#[rustfmt::skip]
pub static ACTIONS: &[Action] = &[
    action!(Do::Replay(Transport::PlayPause), [key(' ')], "play / pause", Replay, true, always,
        "Let the time go on, or let it stand."),
    action!(Do::Replay(Transport::Faster), [key('+'), key('=')], "faster", Replay, true, always,
        "Faster: 1, 4, 16 or 60 times the time in which it happened."),
    action!(Do::Replay(Transport::Slower), [key('-')], "slower", Replay, false, always,
        "Slower."),
    action!(Do::Replay(Transport::Next(Stop::Event)), [key('.')], "next event", Replay, true, always,
        "To the next event of the journal."),
    action!(Do::Replay(Transport::Previous(Stop::Event)), [key(',')], "event before", Replay, false, always,
        "To the event before."),
    action!(Do::Replay(Transport::Next(Stop::Step)), [key(']')], "next step", Replay, true, always,
        "To where the next step, or row of the rollback, begins."),
    action!(Do::Replay(Transport::Previous(Stop::Step)), [key('[')], "step before", Replay, false, always,
        "Back to where a step begins."),
    action!(Do::Replay(Transport::Next(Stop::Gate)), [key('}')], "next signature", Replay, false, always,
        "To the next signature on a gate, given or withdrawn."),
    action!(Do::Replay(Transport::Previous(Stop::Gate)), [key('{')], "signature before", Replay, false, always,
        "To the signature before."),
    action!(Do::Replay(Transport::Next(Stop::Trouble)), [key('>')], "next trouble", Replay, true, always,
        "To the next trouble: a trigger that begins to burn or fires, a step that fails, drift, a rollback."),
    action!(Do::Replay(Transport::Previous(Stop::Trouble)), [key('<')], "trouble before", Replay, false, always,
        "To the trouble before."),
    action!(Do::Replay(Transport::Forward), [named(KeyCode::Right)], "forward", Replay, true, always,
        "Forward by a hundredth of the whole."),
    action!(Do::Replay(Transport::Back), [named(KeyCode::Left)], "back", Replay, true, always,
        "Back by a hundredth of the whole."),
    action!(Do::Replay(Transport::ToBeginning), [key('0')], "beginning", Replay, false, always,
        "To the beginning."),
    action!(Do::Replay(Transport::ToEnd), [key('$')], "end", Replay, false, always,
        "To the end."),
    action!(Do::RollBack, [key('R')], "ROLL BACK", Cutover, true, can_roll_back,
        "Roll back. Before a trigger has fired the session's name must be typed; afterwards it begins at once. Anyone on the bridge may."),
    action!(Do::Event, [named(KeyCode::Enter)], "event", Look, true, can_read_event,
        "Read all of the selected event: every field as it stands in the journal."),
    action!(Do::Table, [named(KeyCode::Enter)], "table", Look, true, can_read_table,
        "Read all of the selected table: every column with its types on both sides, what does not fit, and the rows that differ with both values."),
    action!(Do::Differences, [named(KeyCode::Enter)], "differences", Look, true, can_read_differences,
        "Read the rows that differ, while all rows are being compared; afterwards on the step that found some."),
    action!(Do::Confirm, [named(KeyCode::Enter)], "I am on call", Cutover, true, can_confirm,
        "Confirm being on call, while a step waits for that."),
    action!(Do::Decide, [key('d')], "decide", Cutover, true, can_decide,
        "Say what an interrupted step had done, where no machine can find out."),
    action!(Do::Start, [named(KeyCode::Enter)], "start", Cutover, true, can_start,
        "Start the next step, or try a failed one again. Steps marked auto follow by themselves."),
    action!(Do::Sign, [key(' ')], "sign", Cutover, true, can_sign,
        "Sign the selected gate. It first shows what the signature covers: the runbook and the evidence, by hash."),
    action!(Do::Withdraw, [key('w')], "withdraw", Cutover, false, can_withdraw,
        "Withdraw your signature from the selected gate, until the step behind it has begun."),
    action!(Do::Play, [key('p')], "play", Sandbox, true, in_sandbox,
        "Play another person of the bridge. In the sandbox alone: elsewhere the operating system says who you are."),
    action!(Do::Fault, [key('F')], "fault", Sandbox, true, can_inject,
        "Inject a fault and watch which row catches it."),
    action!(Do::Resume, [key('h')], "resume", Cutover, true, can_resume,
        "Resume a session that is held."),
    action!(Do::Hold, [key('h')], "hold", Cutover, true, can_hold,
        "Hold: what runs goes on, nothing new starts. Anyone on the bridge may."),
    action!(Do::Complete, [key('c')], "complete", Cutover, true, can_complete,
        "Complete the release, once every step is done. From then on there is no rollback, so that the session's name must be typed."),
    action!(Do::Extend, [key('x')], "extend freeze", Cutover, false, can_extend,
        "Extend the agreed freeze by some minutes."),
    action!(Do::Skip, [key('s')], "skip", Cutover, false, can_skip,
        "Skip the next step, where the runbook allows it; a reason is recorded."),
    action!(Do::Note, [key('n')], "note", Cutover, true, can_note,
        "Write a note into the journal, for everyone on the bridge and for the report."),
    action!(Do::StartEngine, [key('E')], "start an engine", Cutover, true, can_start_engine,
        "Start an engine for this session when none runs. It looks at what is really there before it goes on."),
    action!(Do::Output, [key('o')], "output", Look, true, can_read_output,
        "Read what the selected step has printed, or the running one."),
    action!(Do::Filter, [key('/')], "filter", Look, false, can_look,
        "Show the journal, and of it only the events that have every word, in their line or their kind. Esc shows all again."),
    action!(Do::Copy, [key('y')], "copy", Look, true, can_copy,
        "Copy the selected event with all its fields to the terminal's clipboard (OSC 52), where the terminal allows that."),
    action!(Do::People, [key('b')], "people", Look, false, always,
        "Who is on the bridge, in which role, looking at what, and when they were last seen; and who may do what."),
    action!(Do::Show(View::Bridge), [key('1')], "bridge", Look, false, can_look, "The bridge: as much as fits on one screen."),
    action!(Do::Show(View::Steps), [key('2')], "steps", Look, false, can_look, "Every step; the selected one in full, with its tables and checks."),
    action!(Do::Show(View::Pool), [key('3')], "pool", Look, false, can_look, "The connection pool over time, and every instance's; locks, and the server's settings."),
    action!(Do::Show(View::Traffic), [key('4')], "traffic", Look, false, can_look, "5xx and latency, with baseline and thresholds; every instance, the worst first."),
    action!(Do::Show(View::Fleet), [key('5')], "fleet", Look, false, can_look, "Every instance, the triggers and the monitoring checklist."),
    action!(Do::Show(View::Gates), [key('6')], "gates", Look, false, can_look, "Every gate with its evidence, its signers and when they signed."),
    action!(Do::Show(View::Journal), [key('7')], "journal", Look, false, can_look, "Everything that has happened."),
    action!(Do::Show(View::Rollback), [key('8')], "rollback", Look, false, can_look, "What a rollback would undo, row by row, or how far it has come."),
    action!(Do::Show(View::Data), [key('9')], "data", Look, false, can_look, "Every table: how far it has been moved, what does not fit, and whether both sides are equal."),
    action!(Do::NextPanel, [named(KeyCode::Tab), named(KeyCode::Right), key('l')], "panel", Look, false, has_panels, "The next panel."),
    action!(Do::PreviousPanel, [named(KeyCode::BackTab), named(KeyCode::Left)], "panel", Look, false, has_panels, "The panel before."),
    action!(Do::Up, [named(KeyCode::Up), key('k')], "up", Look, false, has_list, "One line up."),
    action!(Do::Down, [named(KeyCode::Down), key('j')], "down", Look, false, has_list, "One line down."),
    action!(Do::PageUp, [named(KeyCode::PageUp), ctrl('b')], "page up", Look, false, has_list, "A page up."),
    action!(Do::PageDown, [named(KeyCode::PageDown), ctrl('f')], "page down", Look, false, has_list, "A page down."),
    action!(Do::First, [named(KeyCode::Home)], "first", Look, false, has_list, "To the first line."),
    action!(Do::Last, [named(KeyCode::End), key('G')], "last", Look, false, has_list, "To the last line; steps and events follow what happens again."),
    action!(Do::Guide, [key('g')], "guide", Sandbox, true, in_sandbox,
        "The first-minute guide."),
    action!(Do::Help, [key('?')], "keys", Cockpit, true, always, "Every key, and why it does nothing now where it does not."),
    action!(Do::Palette, [key(':')], "find", Cockpit, false, can_look,
        "Find an action by its words, see whether it can be done now and why not, and do it."),
    action!(Do::Theme, [key('T')], "theme", Cockpit, false, can_dress,
        "Choose colours; the screen shows each as the cursor comes to it. --theme and CUTOVER_THEME choose from the start."),
    action!(Do::Mouse, [key('M')], "mouse", Cockpit, false, always,
        "Give the mouse back to the terminal, so that it selects text, or take it again. CUTOVER_MOUSE=off leaves it from the start."),
    action!(Do::Back, [named(KeyCode::Esc)], "back", Cockpit, false, always, "Close what lies over the screen, or go back to the bridge."),
    action!(Do::Repaint, [ctrl('l')], "repaint", Cockpit, false, always, "Paint everything again."),
    action!(Do::Suspend, [ctrl('z')], "suspend", Cockpit, false, always, "Put the cockpit aside; the shell's fg brings it back."),
    action!(Do::Leave, [key('q'), ctrl('c')], "leave", Cockpit, true, always,
        "Leave the cockpit. Nothing is stopped: the engine goes on, and cutover join brings you back."),
];

/// The action of a key: the first that applies, else the first that says why not.
pub fn find(model: &Model, event: KeyEvent) -> Option<(&'static Action, Availability)> {
    let mut fallback: Option<(&'static Action, Availability)> = None;
    for action in ACTIONS
        .iter()
        .filter(|a| a.keys.iter().any(|k| k.matches(event)))
    {
        let availability = action.now(model);
        match (&availability, &fallback) {
            (Availability::Elsewhere(_), None) => fallback = Some((action, availability)),
            (Availability::Elsewhere(_), Some(_)) => {}
            _ => return Some((action, availability)),
        }
    }
    fallback
}

/// Whether an action is what its first key does now, where that key has several.
pub fn has_its_key(model: &Model, action: &Action) -> bool {
    let Chord { code, ctrl } = action.keys[0];
    let modifiers = if ctrl {
        KeyModifiers::CONTROL
    } else {
        KeyModifiers::NONE
    };
    find(model, KeyEvent::new(code, modifiers)).is_some_and(|(found, _)| found.act == action.act)
}

/// The action that carries out what the advice asks for.
pub fn for_act(act: Act) -> Option<&'static Action> {
    let wanted = match act {
        Act::StartStep => Do::Start,
        Act::Confirm => Do::Confirm,
        Act::Sign => Do::Sign,
        Act::Withdraw => Do::Withdraw,
        Act::Hold => Do::Hold,
        Act::Resume => Do::Resume,
        Act::Skip => Do::Skip,
        Act::Decide => Do::Decide,
        Act::ExtendFreeze => Do::Extend,
        Act::RollBack => Do::RollBack,
        Act::Complete => Do::Complete,
        Act::Note => Do::Note,
        // The session is over and has no engine: these are a shell's.
        Act::Correct | Act::Close => return None,
    };
    ACTIONS.iter().find(|a| a.act == wanted)
}

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
        _ if !model.engine.is_live() && !matches!(command, Command::RollBack { .. }) => {
            Availability::No("no engine works on this session: E starts one".to_owned())
        }
        _ => Availability::Yes,
    }
}

fn always(_: &Model) -> Availability {
    Availability::Yes
}

fn can_look(model: &Model) -> Availability {
    if model.session.fired.is_some() && model.session.phase == Phase::Open {
        Availability::No("the countdown has the screen until the rollback begins".to_owned())
    } else {
        Availability::Yes
    }
}

fn can_dress(model: &Model) -> Availability {
    if model.ui.look.no_color {
        Availability::No("NO_COLOR is set: there are no colours to choose".to_owned())
    } else {
        can_look(model)
    }
}

fn can_roll_back(model: &Model) -> Availability {
    allowed(
        model,
        &Command::RollBack {
            reason: "-".to_owned(),
            confirm: Some(model.session.charter.session.clone()),
        },
    )
}

fn can_confirm(model: &Model) -> Availability {
    let waiting = model.session.charter.steps.iter().zip(&model.session.steps);
    let step = waiting
        .filter(|(_, s)| s.status == StepStatus::Running)
        .find_map(|(line, state)| match &line.kind {
            LineKind::Confirm(roles) => Some((roles, state)),
            _ => None,
        });
    let Some((roles, state)) = step else {
        return Availability::Elsewhere("no step waits for a confirmation");
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

fn can_start(model: &Model) -> Availability {
    allowed(model, &Command::StartStep { step: None })
}

fn can_sign(model: &Model) -> Availability {
    match model.selected_gate() {
        None => Availability::No("the runbook has no gates".to_owned()),
        Some(gate) => can_sign_gate(model, gate),
    }
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

fn can_withdraw(model: &Model) -> Availability {
    let Some(gate) = model.selected_gate() else {
        return Availability::No("the runbook has no gates".to_owned());
    };
    allowed(
        model,
        &Command::Withdraw {
            gate: gate.id.clone(),
            role: None,
        },
    )
}

fn can_hold(model: &Model) -> Availability {
    if model.session.held.is_some() {
        return Availability::Elsewhere("the session is held already");
    }
    allowed(
        model,
        &Command::Hold {
            reason: "-".to_owned(),
        },
    )
}

fn can_resume(model: &Model) -> Availability {
    if model.session.held.is_none() {
        return Availability::Elsewhere("the session is not held");
    }
    allowed(model, &Command::Resume)
}

fn can_decide(model: &Model) -> Availability {
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

fn can_skip(model: &Model) -> Availability {
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

fn can_extend(model: &Model) -> Availability {
    allowed(model, &Command::ExtendFreeze { by_ms: 60_000 })
}

fn can_complete(model: &Model) -> Availability {
    allowed(model, &Command::Complete)
}

fn can_note(model: &Model) -> Availability {
    allowed(
        model,
        &Command::Note {
            text: "-".to_owned(),
        },
    )
}

fn can_start_engine(model: &Model) -> Availability {
    use super::news::Engine;
    match &model.engine {
        Engine::Live { pid } => Availability::No(format!("engine {pid} works on this session")),
        Engine::Silent { pid } => Availability::No(format!(
            "engine {pid} holds the session and gives no sign of life: end that process, then start another"
        )),
        Engine::Gone { .. } if model.is_over() => {
            Availability::No("the session is over: it needs no engine".to_owned())
        }
        Engine::Gone { .. } if model.ui.asked.is_some() => {
            Availability::No("an engine is being started".to_owned())
        }
        Engine::Gone { .. } => Availability::Yes,
    }
}

fn can_read_output(model: &Model) -> Availability {
    match super::update::output_of(model) {
        Some(_) => Availability::Yes,
        None => Availability::No("nothing has been started yet".to_owned()),
    }
}

/// Enter starts steps; in the journal it does not, nor anywhere while an older event than the latest is chosen.
fn can_read_event(model: &Model) -> Availability {
    let of_events = model.ui.focus() == Some(Focus::Events);
    let chosen = of_events && (model.ui.view == View::Journal || model.ui.event.is_some());
    if !chosen && !matches!(model.ui.overlay, Some(Overlay::Event { .. })) {
        return Availability::Elsewhere("no event is selected: 7 shows the journal");
    }
    match model.selected_event() {
        Some(_) => Availability::Yes,
        None => Availability::No("no event has these words: Esc shows all again".to_owned()),
    }
}

fn can_copy(model: &Model) -> Availability {
    match can_read_event(model) {
        Availability::Elsewhere(why) => Availability::No(why.to_owned()),
        other => other,
    }
}

/// Enter starts steps; among the tables it does not.
fn can_read_table(model: &Model) -> Availability {
    if model.ui.view != View::Data {
        return Availability::Elsewhere("no table is selected: 9 shows the tables");
    }
    match model.selected_table() {
        Some(_) => Availability::Yes,
        None => Availability::No("which tables move is known once D1 is done".to_owned()),
    }
}

/// Enter starts steps; here it does not, because what compares is running, or was chosen and has found something.
fn can_read_differences(model: &Model) -> Availability {
    let running = model.moving_step().map(|step| &step.id);
    let chosen = model.ui.step.and_then(|at| model.session.steps.get(at));
    let chosen = chosen.filter(|_| model.ui.focus() == Some(Focus::Steps));
    let compares = |id: &String| *id == model.parity.step;
    let differs = model.parity.tables.iter().any(|table| table.differs());
    if running.is_some_and(compares) || (differs && chosen.is_some_and(|step| compares(&step.id))) {
        Availability::Yes
    } else {
        Availability::Elsewhere("no step compares rows, and the selected one found no difference")
    }
}

fn in_sandbox(model: &Model) -> Availability {
    if model.session.charter.sandbox {
        Availability::Yes
    } else {
        Availability::No("that exists in the sandbox alone".to_owned())
    }
}

fn can_inject(model: &Model) -> Availability {
    match in_sandbox(model) {
        Availability::Yes if model.session.phase != Phase::Open => {
            Availability::No("the session is past the point where a fault shows".to_owned())
        }
        other => other,
    }
}

fn has_panels(model: &Model) -> Availability {
    if can_look(model) != Availability::Yes {
        return can_look(model);
    }
    if model.ui.view == View::Bridge {
        Availability::Yes
    } else {
        Availability::No("this view has one panel to move in".to_owned())
    }
}

fn has_list(model: &Model) -> Availability {
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
        None => Availability::No("this view has no list to move in".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_action_has_key_label_and_help() {
        for action in ACTIONS {
            assert!(!action.keys.is_empty(), "{:?}", action.act);
            assert!(!action.label.trim().is_empty(), "{:?}", action.act);
            assert!(
                action.help.ends_with('.'),
                "{:?}: {}",
                action.act,
                action.help
            );
            assert!(!action.keys[0].shown().is_empty());
        }
    }

    #[test]
    fn every_action_is_in_the_table_once() {
        let acts: HashSet<Do> = ACTIONS.iter().map(|a| a.act).collect();
        assert_eq!(acts.len(), ACTIONS.len());
        for view in View::ALL {
            let digit = ACTIONS.iter().find(|a| a.act == Do::Show(view));
            assert_eq!(digit.expect("a digit").keys[0], key(view.digit()));
        }
        for (act, ..) in crate::session::roles::PERMITS {
            // After the end no engine listens: a shell has commands for these.
            let is_after_the_end = matches!(act, Act::Correct | Act::Close);
            assert_eq!(for_act(act).is_none(), is_after_the_end, "{act:?}");
        }
    }

    #[test]
    fn keys_are_shared_only_by_actions_that_exclude_each_other() {
        let forward = Do::Replay(Transport::Forward);
        let shared = [
            (Do::Event, Do::Table),
            (Do::Table, Do::Differences),
            (Do::Table, Do::Confirm),
            (Do::Table, Do::Start),
            (Do::Event, Do::Differences),
            (Do::Event, Do::Confirm),
            (Do::Event, Do::Start),
            (Do::Replay(Transport::PlayPause), Do::Sign),
            (forward, Do::NextPanel),
            (Do::Replay(Transport::Back), Do::PreviousPanel),
            (Do::Differences, Do::Confirm),
            (Do::Differences, Do::Start),
            (Do::Confirm, Do::Start),
            (Do::Resume, Do::Hold),
        ];
        for (n, a) in ACTIONS.iter().enumerate() {
            for b in &ACTIONS[n + 1..] {
                let same = a.keys.iter().any(|k| b.keys.contains(k));
                assert_eq!(
                    same,
                    shared.contains(&(a.act, b.act)),
                    "{:?} {:?}",
                    a.act,
                    b.act
                );
            }
        }
    }
}
