//! A change of who is where, as an event holds it, and in words. Not in here: what an answer changes (`membership`).

use serde::{Deserialize, Serialize};

use crate::runbook::discovery::Member;

/// One change of who is where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// More instances should be there.
    Joined {
        /// The new slot.
        slot: String,
    },
    /// A slot has another instance, its instance has another address, or is back.
    Filled { slot: String, by: Member },
    /// A slot's instance is in no answer any more.
    Missing { slot: String },
    /// Fewer instances should be there, and this one is gone.
    Retired { slot: String },
    /// An instance that has no slot.
    Appeared { who: Member },
    /// An instance that had no slot is in no answer any more.
    Left { name: String },
}

impl Change {
    /// In words, a line.
    pub fn words(&self) -> String {
        match self {
            Change::Joined { slot } => format!("one more instance should be there: {slot}"),
            Change::Filled { slot, by } if by.name == *slot => {
                format!("{slot} is at {}", by.url)
            }
            Change::Filled { slot, by } => {
                format!("{slot} is {} at {} now", by.name, by.url)
            }
            Change::Missing { slot } => {
                format!("{slot} is missing: no answer names its instance any more")
            }
            Change::Retired { slot } => {
                format!("{slot} need not be there any more: fewer instances are wanted")
            }
            Change::Appeared { who } => format!(
                "{} at {} is there beside the instances that should be",
                who.name, who.url
            ),
            Change::Left { name } => format!("{name}, which had no place, is gone"),
        }
    }

    /// Whether people should look.
    pub fn is_wary(&self) -> bool {
        match self {
            Change::Missing { .. } | Change::Appeared { .. } => true,
            Change::Joined { .. }
            | Change::Filled { .. }
            | Change::Retired { .. }
            | Change::Left { .. } => false,
        }
    }
}

/// Changes in words, one line.
pub fn words(changes: &[Change]) -> String {
    let lines: Vec<String> = changes.iter().map(Change::words).collect();
    format!("the fleet has changed: {}", lines.join("; "))
}
