//! Keys, how they are called, and how a person writes them. Not in here: what they do (the table above).

use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chord {
    pub code: KeyCode,
    pub ctrl: bool,
}

pub(super) const fn key(c: char) -> Chord {
    Chord {
        code: KeyCode::Char(c),
        ctrl: false,
    }
}

pub(super) const fn ctrl(c: char) -> Chord {
    Chord {
        code: KeyCode::Char(c),
        ctrl: true,
    }
}

pub(super) const fn named(code: KeyCode) -> Chord {
    Chord { code, ctrl: false }
}

pub(super) const fn ctrl_named(code: KeyCode) -> Chord {
    Chord { code, ctrl: true }
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
        match name.is_empty() {
            true => "?".to_owned(),
            false if self.ctrl && !matches!(self.code, KeyCode::Char(_)) => format!("^{name}"),
            false => name,
        }
    }

    pub(super) fn matches(self, event: KeyEvent) -> bool {
        event.code == self.code
            && event.modifiers.contains(KeyModifiers::CONTROL) == self.ctrl
            && !event.modifiers.contains(KeyModifiers::ALT)
    }
}

/// Why a text names no key that a terminal sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    #[error(
        "“{0}” is no key. One is a character, or its name: Space, Enter, Tab, Shift-Tab, Esc, Backspace, Insert, Delete, Up, Down, Left, Right, \
         Home, End, PgUp, PgDn, F1 to F12; with Ctrl, a letter or an arrow: ^X, Ctrl-X"
    )]
    Unknown(String),
    /// A terminal sends another key for it.
    #[error("a terminal sends {sent} for “{asked}”, so that nobody could tell them apart")]
    SentAs {
        /// As written.
        asked: String,
        sent: &'static str,
    },
}

/// Keys by their names, in lower case.
const NAMED: [(&str, KeyCode); 27] = [
    ("space", KeyCode::Char(' ')),
    ("enter", KeyCode::Enter),
    ("return", KeyCode::Enter),
    ("tab", KeyCode::Tab),
    ("shift-tab", KeyCode::BackTab),
    ("backtab", KeyCode::BackTab),
    ("esc", KeyCode::Esc),
    ("escape", KeyCode::Esc),
    ("backspace", KeyCode::Backspace),
    ("insert", KeyCode::Insert),
    ("delete", KeyCode::Delete),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("↑", KeyCode::Up),
    ("↓", KeyCode::Down),
    ("←", KeyCode::Left),
    ("→", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pageup", KeyCode::PageUp),
    ("page-up", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("pagedown", KeyCode::PageDown),
    ("page-down", KeyCode::PageDown),
];

impl FromStr for Chord {
    type Err = NotAKey;

    /// As it is shown, or by its name in any case. A character stands for itself: `r` and `R` are two keys.
    fn from_str(text: &str) -> Result<Chord, NotAKey> {
        let lower = text.to_lowercase();
        let rest = ["ctrl-", "ctrl+", "^"]
            .into_iter()
            .find_map(|prefix| lower.strip_prefix(prefix))
            .filter(|rest| !rest.is_empty());
        let found = match rest {
            Some(rest) => with_ctrl(text, rest)?.map(|code| Chord { code, ctrl: true }),
            None => alone(text, &lower).map(named),
        };
        found.ok_or_else(|| NotAKey::Unknown(text.to_owned()))
    }
}

fn alone(text: &str, lower: &str) -> Option<KeyCode> {
    if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == lower) {
        return Some(*code);
    }
    let mut chars = text.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        let is_typed = c == ' ' || !c.is_control() && !c.is_whitespace();
        return is_typed.then_some(KeyCode::Char(c));
    }
    let n = lower.strip_prefix('f')?.parse().ok()?;
    (1..=12).contains(&n).then_some(KeyCode::F(n))
}

/// What terminals send with Ctrl: letters, and keys that move.
fn with_ctrl(text: &str, rest: &str) -> Result<Option<KeyCode>, NotAKey> {
    let sent = match rest {
        "i" => Some("Tab"),
        "m" => Some("Enter"),
        "[" => Some("Esc"),
        _ => None,
    };
    if let Some(sent) = sent {
        let asked = text.to_owned();
        return Err(NotAKey::SentAs { asked, sent });
    }
    Ok(alone(rest, rest).filter(|code| match code {
        KeyCode::Char(c) => c.is_ascii_lowercase(),
        code => matches!(
            code,
            KeyCode::Up
                | KeyCode::Down
                | KeyCode::Left
                | KeyCode::Right
                | KeyCode::Home
                | KeyCode::End
                | KeyCode::PageUp
                | KeyCode::PageDown
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cockpit::actions::ACTIONS;

    #[test]
    fn every_key_of_the_table_is_read_back_as_it_is_shown() {
        for action in ACTIONS {
            for chord in action.keys {
                assert_eq!(chord.shown().parse(), Ok(*chord), "{}", chord.shown());
            }
        }
    }

    #[test]
    fn a_key_has_names_and_what_no_terminal_sends_is_none() {
        for (text, chord) in [
            ("R", key('R')),
            ("r", key('r')),
            ("^", key('^')),
            ("é", key('é')),
            (" ", key(' ')),
            ("space", key(' ')),
            ("F9", named(KeyCode::F(9))),
            ("f12", named(KeyCode::F(12))),
            ("ctrl-X", ctrl('x')),
            ("Ctrl+x", ctrl('x')),
            ("^x", ctrl('x')),
            ("^Left", ctrl_named(KeyCode::Left)),
            ("page-up", named(KeyCode::PageUp)),
        ] {
            assert_eq!(text.parse(), Ok(chord), "{text}");
        }
        for text in ["", "rr", "F0", "F13", "ctrl-1", "^Enter", "\u{1b}", "alt-x"] {
            let refused: Result<Chord, _> = text.parse();
            assert_eq!(refused, Err(NotAKey::Unknown(text.to_owned())));
        }
        let tab: Result<Chord, _> = "ctrl-i".parse();
        let told = tab.expect_err("a tab").to_string();
        assert!(told.contains("sends Tab for “ctrl-i”"), "{told}");
    }
}
