//! The one table of keys. Dispatch, footer, help, `cutover keys` and what a person may bind are derived from it, so that they cannot
//! disagree; its order is theirs. Whether a command may be given now is asked of `session::decide`, the same rules as the engine's, so
//! that the reason is too.
//!
//! Not in here: whether an action may be done now (`availability`), what it does (`update`), and which other keys somebody has given it
//! (`keys`).

mod act;
mod availability;
mod chord;
mod keys;
pub mod search;

use std::borrow::Cow;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub use self::act::{Do, Way};
pub use self::availability::can_sign_gate;
use self::availability::{
    always, can_complete, can_confirm, can_copy, can_decide, can_extend, can_hold, can_inject,
    can_look, can_note, can_read_differences, can_read_event, can_read_output, can_read_table,
    can_resume, can_retry, can_roll_back, can_set_theme, can_sign, can_skip, can_stand_still,
    can_start, can_start_engine, can_withdraw, can_zoom, has_line_across, has_line_down, has_list,
    has_moved_lines, has_panels, in_sandbox,
};
pub use self::chord::{Chord, NotAKey};
use self::chord::{ctrl, ctrl_named, key, named};
pub use self::keys::{Clash, Keys, NotBound};
use super::model::Model;
use super::model::ui::View;
use super::replay::{Stop, Transport};
use crate::session::roles::Act;

/// Under which head help lists an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What drives the cutover.
    Cutover,
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
    Yes,
    /// It does not, and why.
    No(String),
    /// It has nothing to do with what is going on; another action of the same key may have.
    Elsewhere(Cow<'static, str>),
}

impl Availability {
    /// Why it does nothing now, in words; `None` if it does something.
    pub fn why_not(self) -> Option<String> {
        match self {
            Availability::Yes => None,
            Availability::No(why) => Some(why),
            Availability::Elsewhere(why) => Some(why.into_owned()),
        }
    }
}

/// A line of the table.
pub struct Action {
    pub act: Do,
    /// By which a person's configuration gives it other keys; never changed, for people have written it down.
    pub name: &'static str,
    /// Its keys where nobody has configured others; the first is the one that is shown.
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
            Some(_) if commands => {
                let key = model.ui.keys.shown(Do::Leave);
                Availability::No(format!(
                    "this is a REPLAY of what was recorded: nothing can be commanded in it. {key} leaves it"
                ))
            }
            None if self.group == Group::Replay => {
                Availability::Elsewhere("that exists in a replay alone".into())
            }
            // What it would be decided by is not what is true now. A rollback lets the display go on first.
            None if commands && self.act != Do::RollBack && model.still.is_some() => {
                let key = model.ui.keys.shown(Do::Still);
                Availability::No(format!(
                    "the display stands still, and may not be what is true now: {key} lets it go on"
                ))
            }
            _ => (self.when)(model),
        }
    }

    /// Whether help and search name it: what moves in time is nothing for a session that runs.
    pub fn belongs(&self, model: &Model) -> bool {
        self.group != Group::Replay || model.replay.is_some()
    }
}

macro_rules! action {
    ($act:expr, $name:literal, [$($key:expr),+], $label:literal, $group:ident, $footer:literal, $when:expr, $help:literal) => {
        Action { act: $act, name: $name, keys: &[$($key),+], label: $label, help: $help, group: Group::$group, footer: $footer, when: $when }
    };
}

/// Every action, in the order of footer and help. Where two share a key, the first that applies is done.
#[rustfmt::skip]
pub static ACTIONS: &[Action] = &[
    action!(Do::Replay(Transport::PlayPause), "replay-play", [key(' ')], "play / pause", Replay, true, always,
        "Let the time go on, or let it stand."),
    action!(Do::Replay(Transport::Faster), "replay-faster", [key('+'), key('=')], "faster", Replay, true, always,
        "Faster: 1, 4, 16 or 60 times the time in which it happened."),
    action!(Do::Replay(Transport::Slower), "replay-slower", [key('-')], "slower", Replay, false, always,
        "Slower."),
    action!(Do::Replay(Transport::Next(Stop::Event)), "replay-next-event", [key('.')], "next event", Replay, true, always,
        "To the next event of the journal."),
    action!(Do::Replay(Transport::Previous(Stop::Event)), "replay-previous-event", [key(',')], "event before", Replay, false, always,
        "To the event before."),
    action!(Do::Replay(Transport::Next(Stop::Step)), "replay-next-step", [key(']')], "next step", Replay, true, always,
        "To where the next step, or row of the rollback, begins."),
    action!(Do::Replay(Transport::Previous(Stop::Step)), "replay-previous-step", [key('[')], "step before", Replay, false, always,
        "Back to where a step begins."),
    action!(Do::Replay(Transport::Next(Stop::Gate)), "replay-next-signature", [key('}')], "next signature", Replay, false, always,
        "To the next signature on a gate, given or withdrawn."),
    action!(Do::Replay(Transport::Previous(Stop::Gate)), "replay-previous-signature", [key('{')], "signature before", Replay, false, always,
        "To the signature before."),
    action!(Do::Replay(Transport::Next(Stop::Trouble)), "replay-next-trouble", [key('>')], "next trouble", Replay, true, always,
        "To the next trouble: a trigger that begins to burn or fires, a step that fails, drift, a rollback."),
    action!(Do::Replay(Transport::Previous(Stop::Trouble)), "replay-previous-trouble", [key('<')], "trouble before", Replay, false, always,
        "To the trouble before."),
    action!(Do::Replay(Transport::Forward), "replay-forward", [named(KeyCode::Right)], "forward", Replay, true, always,
        "Forward by a hundredth of the whole."),
    action!(Do::Replay(Transport::Back), "replay-back", [named(KeyCode::Left)], "back", Replay, true, always,
        "Back by a hundredth of the whole."),
    action!(Do::Replay(Transport::ToBeginning), "replay-beginning", [key('0')], "beginning", Replay, false, always,
        "To the beginning."),
    action!(Do::Replay(Transport::ToEnd), "replay-end", [key('$')], "end", Replay, false, always,
        "To the end."),
    action!(Do::RollBack, "roll-back", [key('R')], "ROLL BACK", Cutover, true, can_roll_back,
        "Roll back. Before a trigger has fired the session's name must be typed; afterwards it begins at once. Anyone on the bridge may."),
    action!(Do::Retry, "try-again", [key('t')], "try again", Cutover, true, can_retry,
        "After a rollback: run its first row that failed again, and what builds on it, until the session is closed. Anyone on the bridge may."),
    action!(Do::Event, "event", [named(KeyCode::Enter)], "event", Look, true, can_read_event,
        "Read all of the selected event: every field as it stands in the journal."),
    action!(Do::Table, "table", [named(KeyCode::Enter)], "table", Look, true, can_read_table,
        "Read all of the selected table: every column with its types on both sides, what does not fit, and the rows that differ with both values."),
    action!(Do::Differences, "differences", [named(KeyCode::Enter)], "differences", Look, true, can_read_differences,
        "Read the rows that differ, while all rows are being compared; afterwards on the step that found some."),
    action!(Do::Confirm, "confirm", [named(KeyCode::Enter)], "I am on call", Cutover, true, can_confirm,
        "Confirm being on call, while a step waits for that."),
    action!(Do::Decide, "decide", [key('d')], "decide", Cutover, true, can_decide,
        "Say what an interrupted step had done, where no machine can find out."),
    action!(Do::Start, "start", [named(KeyCode::Enter)], "start", Cutover, true, can_start,
        "Start the next step, or try a failed one again. Steps marked auto follow by themselves."),
    action!(Do::Sign, "sign", [key(' ')], "sign", Cutover, true, can_sign,
        "Sign the selected gate. It first shows what the signature covers: the runbook and the evidence, by hash."),
    action!(Do::Withdraw, "withdraw", [key('w')], "withdraw", Cutover, false, can_withdraw,
        "Withdraw your signature from the selected gate, until the step behind it has begun."),
    action!(Do::Play, "play", [key('p')], "play", Sandbox, true, in_sandbox,
        "Play another person of the bridge. In the sandbox alone: elsewhere the operating system says who you are."),
    action!(Do::Fault, "fault", [key('F')], "fault", Sandbox, true, can_inject,
        "Inject a fault and watch which row catches it."),
    action!(Do::Resume, "resume", [key('h')], "resume", Cutover, true, can_resume,
        "Resume a session that is held."),
    action!(Do::Hold, "hold", [key('h')], "hold", Cutover, true, can_hold,
        "Hold: what runs goes on, nothing new starts. Anyone on the bridge may."),
    action!(Do::Complete, "complete", [key('c')], "complete", Cutover, true, can_complete,
        "Complete the release, once every step is done. From then on there is no rollback, so that the session's name must be typed."),
    action!(Do::Extend, "extend-freeze", [key('x')], "extend freeze", Cutover, false, can_extend,
        "Extend the agreed freeze by some minutes."),
    action!(Do::Skip, "skip", [key('s')], "skip", Cutover, false, can_skip,
        "Skip the next step, where the runbook allows it; a reason is recorded."),
    action!(Do::Note, "note", [key('n')], "note", Cutover, true, can_note,
        "Write a note into the journal, for everyone on the bridge and for the report. In the view of the gates it is a comment on the selected one, and stands there."),
    action!(Do::StartEngine, "start-engine", [key('E')], "start an engine", Cutover, true, can_start_engine,
        "Start an engine for this session when none runs. It looks at what is really there before it goes on."),
    action!(Do::Output, "output", [key('o')], "output", Look, true, can_read_output,
        "Read what the selected step has printed, or the running one."),
    action!(Do::Filter, "filter", [key('/')], "filter", Look, false, can_look,
        "Show of the list in this view only the lines that have every word; on the bridge, of the journal, whose events have them in their line or their kind. Esc shows all again. The bridge itself always shows everything."),
    action!(Do::Copy, "copy", [key('y')], "copy", Look, true, can_copy,
        "Copy the selected event with all its fields to the terminal's clipboard (OSC 52), where the terminal allows that."),
    action!(Do::People, "people", [key('b')], "people", Look, false, always,
        "Who is on the bridge, in which role, looking at what, and when they were last seen; and who may do what."),
    action!(Do::Show(View::Bridge), "view-bridge", [key('1')], "bridge", Look, false, can_look, "The bridge: as much as fits on one screen."),
    action!(Do::Show(View::Steps), "view-steps", [key('2')], "steps", Look, false, can_look, "Every step; the selected one in full, with its tables and checks."),
    action!(Do::Show(View::Pool), "view-pool", [key('3')], "pool", Look, false, can_look, "The connection pool over time, who has its connections by application and by instance; locks, and the server's settings."),
    action!(Do::Show(View::Traffic), "view-traffic", [key('4')], "traffic", Look, false, can_look, "5xx and latency, with baseline and thresholds; every instance, the worst first."),
    action!(Do::Show(View::Fleet), "view-fleet", [key('5')], "fleet", Look, false, can_look, "Every instance, the triggers and the monitoring checklist."),
    action!(Do::Show(View::Gates), "view-gates", [key('6')], "gates", Look, false, can_look, "Every gate with its evidence, its signers and when they signed, and comments."),
    action!(Do::Show(View::Journal), "view-journal", [key('7')], "journal", Look, false, can_look, "Everything that has happened."),
    action!(Do::Show(View::Rollback), "view-rollback", [key('8')], "rollback", Look, false, can_look, "What a rollback would undo, row by row, or how far it has come."),
    action!(Do::Show(View::Data), "view-data", [key('9')], "data", Look, false, can_look, "Every table: how far it has been moved, what does not fit, and whether both sides are equal."),
    action!(Do::NextPanel, "next-panel", [named(KeyCode::Tab), named(KeyCode::Right), key('l')], "panel", Look, false, has_panels, "The next panel."),
    action!(Do::PreviousPanel, "previous-panel", [named(KeyCode::BackTab), named(KeyCode::Left)], "panel", Look, false, has_panels, "The panel before."),
    action!(Do::Up, "up", [named(KeyCode::Up), key('k')], "up", Look, false, has_list, "One line up."),
    action!(Do::Down, "down", [named(KeyCode::Down), key('j')], "down", Look, false, has_list, "One line down."),
    action!(Do::PageUp, "page-up", [named(KeyCode::PageUp), ctrl('b')], "page up", Look, false, has_list, "A page up."),
    action!(Do::PageDown, "page-down", [named(KeyCode::PageDown), ctrl('f')], "page down", Look, false, has_list, "A page down."),
    action!(Do::First, "first", [named(KeyCode::Home)], "first", Look, false, has_list, "To the first line."),
    action!(Do::Last, "last", [named(KeyCode::End), key('G')], "last", Look, false, has_list, "To the last line; steps and events follow what happens again."),
    action!(Do::Line(Way::Left), "line-left", [ctrl_named(KeyCode::Left), key('<')], "line left", Look, false, has_line_across,
        "Move the line beside the panel in which the arrows act to the left; where they act in none (Pool, Traffic, Fleet), the first. The mouse drags any line between panels."),
    action!(Do::Line(Way::Right), "line-right", [ctrl_named(KeyCode::Right), key('>')], "line right", Look, false, has_line_across,
        "Move that line to the right."),
    action!(Do::Line(Way::Up), "line-up", [ctrl_named(KeyCode::Up), key('-')], "line up", Look, false, has_line_down,
        "Move the line below the panel in which the arrows act, or the one above it, up; where they act in none, the first."),
    action!(Do::Line(Way::Down), "line-down", [ctrl_named(KeyCode::Down), key('+')], "line down", Look, false, has_line_down,
        "Move that line down."),
    action!(Do::UsualSizes, "usual-sizes", [key('=')], "usual sizes", Look, false, has_moved_lines,
        "Give every panel its usual size again."),
    action!(Do::Zoom, "zoom", [key('z')], "zoom", Look, false, can_zoom,
        "Give the whole screen to the panel in which the arrows act, else to the first. The keys for panels then go on to the next one; this key or Esc gives all panels their places again."),
    action!(Do::ShorterSpan, "shorter-span", [key('[')], "shorter charts", Look, false, can_look,
        "Charts and rows of cells show less time, in more detail."),
    action!(Do::LongerSpan, "longer-span", [key(']')], "longer charts", Look, false, can_look,
        "Charts and rows of cells reach further back."),
    action!(Do::Still, "stand-still", [key('.')], "stand still", Look, false, can_stand_still,
        "Let the display stand still, to read it; a line at the top says how old it is and what has happened since. Nothing but ROLL BACK can be commanded meanwhile, and a trigger that fires lets the display go on by itself."),
    action!(Do::Guide, "guide", [key('g')], "guide", Sandbox, true, in_sandbox,
        "The first-minute guide."),
    action!(Do::Help, "help", [key('?')], "keys", Cockpit, true, always, "Every key, and why it does nothing now where it does not."),
    action!(Do::Palette, "find", [key(':')], "find", Cockpit, false, can_look,
        "Find an action by its words, see whether it can be done now and why not, and do it."),
    action!(Do::Theme, "theme", [key('T')], "theme", Cockpit, false, can_set_theme,
        "Choose colours; the screen shows each as the cursor comes to it. --theme, CUTOVER_THEME and config.toml choose from the start."),
    action!(Do::Mouse, "mouse", [key('M')], "mouse", Cockpit, false, always,
        "Give the mouse back to the terminal, so that it selects text, or take it again. CUTOVER_MOUSE=off and config.toml leave it from the start."),
    action!(Do::Back, "back", [named(KeyCode::Esc)], "back", Cockpit, false, always, "Close what lies over the screen, or go back to the bridge."),
    action!(Do::Repaint, "repaint", [ctrl('l')], "repaint", Cockpit, false, always, "Paint everything again."),
    action!(Do::Suspend, "suspend", [ctrl('z')], "suspend", Cockpit, false, always, "Put the cockpit aside; the shell's fg brings it back."),
    action!(Do::Leave, "leave", [key('q'), ctrl('c')], "leave", Cockpit, true, always,
        "Leave the cockpit. Nothing is stopped: the engine goes on, and cutover join brings you back."),
];

/// The action of a key: the first that applies, else the first that says why not.
pub fn find(model: &Model, event: KeyEvent) -> Option<(&'static Action, Availability)> {
    let mut fallback: Option<(&'static Action, Availability)> = None;
    for action in ACTIONS
        .iter()
        .filter(|a| model.ui.keys.of(a).iter().any(|k| k.matches(event)))
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
    let Chord { code, ctrl } = model.ui.keys.first(action);
    let modifiers = if ctrl {
        KeyModifiers::CONTROL
    } else {
        KeyModifiers::NONE
    };
    find(model, KeyEvent::new(code, modifiers)).is_some_and(|(found, _)| found.act == action.act)
}

/// The action of this name in a person's configuration.
pub fn called(name: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|action| action.name == name)
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
        Act::Retry => Do::Retry,
        Act::Complete => Do::Complete,
        Act::Note => Do::Note,
        // The session is over and has no engine: these are a shell's.
        Act::Correct | Act::Close => return None,
    };
    ACTIONS.iter().find(|a| a.act == wanted)
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
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(action.name.chars().all(plain), "{}", action.name);
        }
    }

    #[test]
    fn every_action_is_in_the_table_once() {
        let acts: HashSet<Do> = ACTIONS.iter().map(|a| a.act).collect();
        assert_eq!(acts.len(), ACTIONS.len());
        let names: HashSet<&str> = ACTIONS.iter().map(|a| a.name).collect();
        assert_eq!(names.len(), ACTIONS.len());
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
            (
                Do::Replay(Transport::Next(Stop::Trouble)),
                Do::Line(Way::Right),
            ),
            (
                Do::Replay(Transport::Previous(Stop::Trouble)),
                Do::Line(Way::Left),
            ),
            (Do::Replay(Transport::Faster), Do::Line(Way::Down)),
            (Do::Replay(Transport::Faster), Do::UsualSizes),
            (Do::Replay(Transport::Slower), Do::Line(Way::Up)),
            (Do::Replay(Transport::Next(Stop::Event)), Do::Still),
            (Do::Replay(Transport::Next(Stop::Step)), Do::LongerSpan),
            (Do::Replay(Transport::Previous(Stop::Step)), Do::ShorterSpan),
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
