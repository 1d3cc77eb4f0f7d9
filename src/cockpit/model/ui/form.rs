//! A command in the making: what is asked for, what is typed, and the command that it comes to. Not in here: how it looks (`view::dialog`).

use crate::cockpit::model::comments;
use crate::runbook::Role;
use crate::session::Command;
use crate::session::discard::Rows;

use super::type_into;

/// A command in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub kind: FormKind,
    pub fields: Vec<Field>,
    /// The field that is typed into.
    pub at: usize,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// A line to type into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// What is asked for.
    pub label: &'static str,
    /// What has been typed.
    pub text: String,
}

/// Which command a form makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormKind {
    Sign {
        gate: String,
        role: Option<Role>,
    },
    /// Withdraw the signature on this gate.
    Withdraw(String),
    RollBack,
    Hold,
    /// Write a note, or a comment on this gate.
    Note {
        gate: Option<String>,
    },
    Extend,
    Skip(String),
    /// Start this step although it deletes rows that the source does not have.
    Discard {
        step: String,
        /// How many rows, by table.
        rows: Rows,
    },
    /// Say what this step had done.
    Decide(String),
    Complete,
}

/// The longest text that a person can type: enough for a reason, not for a paste by accident.
const LONGEST_TEXT: usize = 400;

/// What is asked for before what cannot be taken back.
const NAME: &str = "the session's name";

impl Form {
    /// A form in which nothing has been typed.
    pub fn new(kind: FormKind) -> Form {
        let labels: &[&'static str] = match &kind {
            FormKind::Sign { .. } => &["note (optional)"],
            FormKind::Withdraw(_) => &[],
            FormKind::Complete => &[NAME],
            FormKind::RollBack => &[NAME, "why (optional)"],
            FormKind::Hold => &["why (optional)"],
            FormKind::Note { .. } => &["note"],
            FormKind::Extend => &["minutes"],
            FormKind::Skip(_) => &["why"],
            FormKind::Discard { .. } => &["how many rows in all"],
            FormKind::Decide(_) => &["had it been done? (yes / no)", "what was looked at"],
        };
        let begun = match &kind {
            FormKind::Note { gate: Some(gate) } => comments::prefix(gate),
            _ => String::new(),
        };
        let fields = labels.iter().map(|label| Field {
            label,
            text: begun.clone(),
        });
        Form {
            kind,
            fields: fields.collect(),
            at: 0,
            problem: None,
        }
    }

    /// Puts text into the field that is typed into; line breaks become blanks.
    pub fn insert(&mut self, text: &str) {
        self.problem = None;
        let Some(field) = self.fields.get_mut(self.at) else {
            return;
        };
        type_into(&mut field.text, text, LONGEST_TEXT);
    }

    /// What has been typed into a field, without blanks around it.
    pub fn text(&self, at: usize) -> &str {
        self.fields.get(at).map_or("", |f| f.text.trim())
    }

    /// The command, or what is still missing.
    pub fn command(&self, session_name: &str) -> Result<Command, String> {
        let or = |text: &str, default: &str| {
            if text.is_empty() {
                default.to_owned()
            } else {
                text.to_owned()
            }
        };
        Ok(match &self.kind {
            FormKind::Sign { gate, role } => Command::Sign {
                gate: gate.clone(),
                role: *role,
                note: Some(self.text(0).to_owned()).filter(|n| !n.is_empty()),
                proof: None,
            },
            FormKind::Withdraw(gate) => Command::Withdraw {
                gate: gate.clone(),
                role: None,
            },
            FormKind::RollBack => Command::RollBack {
                confirm: Some(named(self.text(0), session_name, "roll back")?),
                reason: or(self.text(1), "decided on the bridge"),
            },
            FormKind::Hold => Command::Hold {
                reason: or(self.text(0), "no reason given"),
            },
            FormKind::Note { gate } => {
                let text = self.text(0);
                let said = gate.as_ref().and_then(|g| comments::comment(g, text));
                needed(said.unwrap_or(text), "a note")?;
                Command::Note {
                    text: text.to_owned(),
                }
            }
            FormKind::Extend => Command::ExtendFreeze {
                by_ms: minutes(self.text(0))?,
            },
            FormKind::Skip(step) => Command::Skip {
                step: step.clone(),
                reason: needed(self.text(0), "a reason")?,
            },
            FormKind::Discard { step, rows } => {
                let total: u64 = rows.values().sum();
                if self.text(0) != total.to_string() {
                    return Err(format!("type {total} to delete them, or Esc"));
                }
                Command::StartDiscarding {
                    step: step.clone(),
                    rows: rows.clone(),
                }
            }
            FormKind::Decide(step) => Command::DecideUnknown {
                step: step.clone(),
                done: yes_or_no(self.text(0))?,
                reason: needed(self.text(1), "what was looked at")?,
            },
            FormKind::Complete => {
                named(self.text(0), session_name, "complete the release")?;
                Command::Complete
            }
        })
    }
}

/// The session's name, if that is what was typed.
fn named(text: &str, session_name: &str, to: &str) -> Result<String, String> {
    if text == session_name {
        Ok(text.to_owned())
    } else {
        Err(format!("type {session_name} to {to}"))
    }
}

fn needed(text: &str, what: &str) -> Result<String, String> {
    if text.is_empty() {
        Err(format!("{what} is needed"))
    } else {
        Ok(text.to_owned())
    }
}

fn minutes(text: &str) -> Result<i64, String> {
    text.parse::<i64>()
        .ok()
        .filter(|m| (1..=1_440).contains(m))
        .map(|m| m * 60_000)
        .ok_or_else(|| "whole minutes, 1 to 1440".to_owned())
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err("type yes (it counts as done) or no (it runs again)".to_owned()),
    }
}
