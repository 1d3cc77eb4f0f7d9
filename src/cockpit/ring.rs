//! How a cockpit makes itself noticed by somebody who is not looking at it: which notices ring at this terminal, and in what words the
//! terminal is told; its clipboard is filled by escape sequences too. Pure.
//!
//! Not in here: what there is to be told (`session::notice`), and writing it (`terminal`).

use crossterm::Command;
use crossterm::clipboard::CopyToClipboard;

use crate::runbook::{Ring, Role};
use crate::session::live::TriggerView;
use crate::session::notice::{Notice, Notices, engine_gone};
use crate::session::{Phase, Recorded, Session};
use crate::text::printable;

/// Characters of a notification; desktops show no more.
const TEXT_CHARS: usize = 300;
/// Bytes for a clipboard: terminals drop an order of much more than 74 kB, of which a quarter is its encoding.
const COPIED_BYTES: usize = 50_000;

/// What is to be heard or seen beside the screen, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ringing {
    /// A line for the desktop for each notice that wants one. The bell goes with any.
    pub desktop: Vec<String>,
}

/// What this terminal has rung for, and what it is yet to ring for.
#[derive(Debug, Clone, Default)]
pub struct Ringer {
    notices: Notices,
    due: Vec<Notice>,
}

impl Ringer {
    /// Somebody who opens a cockpit looks at it: what is so then has been told.
    pub fn begin(session: &Session, at_ms: i64) -> Ringer {
        Ringer {
            notices: Notices::begin(session, at_ms),
            due: Vec::new(),
        }
    }

    /// An event came in; `session` is the state after it.
    pub fn take_event(&mut self, session: &Session, entry: &Recorded) {
        if !session.charter.rings.is_empty() {
            let told = self.notices.take_event(session, entry);
            self.due.extend(told);
        }
    }

    /// Time has passed, or triggers have moved.
    pub fn observe(&mut self, session: &Session, triggers: &[TriggerView], at_ms: i64) {
        if !session.charter.rings.is_empty() {
            let told = self.notices.observe(session, triggers, at_ms);
            self.due.extend(told);
        }
    }

    /// The engine died. A session that is over needs none.
    pub fn engine_died(&mut self, session: &Session, pid: u32) {
        if matches!(session.phase, Phase::Open | Phase::RollingBack) {
            self.due.push(engine_gone(&session.charter.session, pid));
        }
    }

    /// What is due now at the terminal of somebody with these roles; it is not due again.
    pub fn take(&mut self, session: &Session, roles: &[Role]) -> Option<Ringing> {
        let charter = &session.charter;
        let mut rings = false;
        let mut desktop = Vec::new();
        for notice in self.due.drain(..) {
            let concerns_us =
                notice.roles.is_empty() || notice.roles.iter().any(|r| roles.contains(r));
            let lines = charter.rings.iter();
            let wanted = lines.filter(|line| line.events.contains(&notice.occasion));
            for line in wanted.filter(|_| concerns_us) {
                rings = true;
                if line.ring == Ring::Desktop {
                    let text = format!("{}: {} {}", charter.session, notice.text, notice.act);
                    desktop.push(printable(&text, TEXT_CHARS));
                }
            }
        }
        rings.then_some(Ringing { desktop })
    }
}

/// By which escape sequences a terminal takes notifications for the desktop. Terminals leave out what they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// `OSC 777` with a title of its own instead of `OSC 9`.
    has_titles: bool,
    /// The terminal is inside tmux, which hands on what is wrapped for it, if it is allowed to.
    within_tmux: bool,
}

impl Capabilities {
    /// By the environment's `TERM`, `TERM_PROGRAM` and `TMUX`.
    pub fn of(term: Option<&str>, program: Option<&str>, tmux: Option<&str>) -> Capabilities {
        let titled = ["foot", "rxvt"];
        let by_term = term.is_some_and(|term| titled.iter().any(|t| term.starts_with(t)));
        Capabilities {
            has_titles: by_term || program == Some("ghostty"),
            within_tmux: tmux.is_some_and(|tmux| !tmux.is_empty()),
        }
    }

    /// The bytes that ring. Texts hold nothing that a terminal could take for an order.
    pub fn bytes(self, ringing: &Ringing) -> String {
        let mut bytes = String::from("\u{7}");
        for text in &ringing.desktop {
            let text = printable(text, TEXT_CHARS);
            let order = match self.has_titles {
                true => format!("\u{1b}]777;notify;cutover;{text}\u{1b}\\"),
                false => format!("\u{1b}]9;cutover {text}\u{1b}\\"),
            };
            bytes += &match self.within_tmux {
                true => for_the_outer_terminal(&order),
                false => order,
            };
        }
        bytes
    }

    /// The bytes that put text into the clipboard. tmux takes them for its own where `set-clipboard` is on, and hands them on where
    /// `allow-passthrough` is.
    pub fn copying(self, text: &str) -> String {
        let mut order = String::new();
        let copy = CopyToClipboard::to_clipboard_from(cut(text));
        copy.write_ansi(&mut order)
            .expect("BUG: a string takes what is written");
        match self.within_tmux {
            true => format!("{order}{}", for_the_outer_terminal(&order)),
            false => order,
        }
    }
}

fn for_the_outer_terminal(order: &str) -> String {
    let doubled = order.replace('\u{1b}', "\u{1b}\u{1b}");
    format!("\u{1b}Ptmux;{doubled}\u{1b}\\")
}

/// The text, or as much of it as a clipboard takes.
fn cut(text: &str) -> String {
    match text.char_indices().find(|(at, _)| *at > COPIED_BYTES) {
        Some((at, _)) => format!("{}…\n", &text[..at]),
        None => text.to_owned(),
    }
}
