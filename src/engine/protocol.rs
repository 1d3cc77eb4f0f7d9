//! What goes over the engine's socket: one request, one answer, as JSON lines. Who speaks is not in here: the operating system
//! says that.

use serde::{Deserialize, Serialize};

use crate::session::{Command, Refusal};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Whom the speaker plays; honoured in the sandbox alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    pub ask: Ask,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Carry out a command.
    Command { command: Command },
    /// I am here and look at this.
    Present {
        /// Name of the view.
        view: String,
    },
    /// Are you there?
    Ping,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Done; events up to this number are in the journal.
    Done {
        /// Sequence number of the last of them.
        seq: u64,
    },
    /// Not done, and why.
    Refused { refusal: Refusal },
    /// The engine cannot answer, and why.
    Failed { why: String },
    /// I am here.
    Here {
        pid: u32,
        /// As whom the speaker is known on this bridge, if at all.
        you: Option<String>,
    },
}
