//! Whom to tell what, and how. Not in here: what there is to tell (`session::notice`), telling it (`engine::notify`).

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::runbook::action::Action;

/// A way to people who are not looking. `Debug` does not show the webhook, which often is a secret.
#[derive(Clone)]
pub struct Channel {
    /// Short and unique.
    pub id: String,
    pub means: Means,
    /// What it is used for.
    pub events: Vec<Occasion>,
    /// Real time limit of one attempt.
    pub timeout_ms: i64,
}

/// How somebody is told.
#[derive(Clone)]
pub enum Means {
    /// A request with JSON.
    Webhook {
        url: String,
        /// Sent along; values may be secrets and are never shown.
        headers: Vec<(String, String)>,
    },
    /// A command or a shell line, with the text on its standard input.
    Command(Action),
    /// Every cockpit's own terminal.
    Terminal(Ring),
}

/// How a terminal makes itself noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ring {
    Bell,
    /// A notification of the desktop, where the terminal can make one; and its bell, where it cannot.
    Desktop,
}

/// What somebody can be told of.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Occasion {
    /// A gate waits for a signature.
    Signature,
    /// A step needs a decision.
    Decision,
    /// A trigger burns past half of its streak.
    Burning,
    Fired,
    /// A trigger has been blind for too long.
    Blind,
    /// The freeze is near its limit, or beyond.
    Freeze,
    /// The engine was gone and is back.
    Engine,
    /// The session was rolled back.
    RolledBack,
    /// What burned is clear again; the release is complete.
    AllClear,
}

impl Occasion {
    pub const ALL: [Occasion; 9] = [
        Occasion::Signature,
        Occasion::Decision,
        Occasion::Burning,
        Occasion::Fired,
        Occasion::Blind,
        Occasion::Freeze,
        Occasion::Engine,
        Occasion::RolledBack,
        Occasion::AllClear,
    ];

    /// As written in a runbook.
    pub fn key(self) -> &'static str {
        self.into()
    }
}
