//! How a step or a row of the rollback ended. Not in here: what it left behind (`session::facts`).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::format::hex;
use crate::session::facts::Facts;

/// How a step or a rollback row ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether it did what it is for.
    pub ok: bool,
    /// One line for people: what was done, or what failed, in what state things are, and what is safe to do next.
    pub summary: String,
    /// Named results; triggers of kind `check` judge them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// What later steps and the report need.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
    /// Whether a failure may pass by itself, so that another attempt makes sense.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

/// A named result within a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Such as `row_counts`; triggers name it.
    pub name: String,
    pub ok: bool,
    /// In words and numbers.
    pub detail: String,
}

impl Check {
    pub fn new(name: &str, ok: bool, detail: impl Into<String>) -> Check {
        Check {
            name: name.to_owned(),
            ok,
            detail: detail.into(),
        }
    }
}

impl Outcome {
    /// It did what it is for.
    pub fn done(summary: impl Into<String>) -> Outcome {
        Outcome {
            ok: true,
            summary: summary.into(),
            checks: vec![],
            facts: Facts::default(),
            passing: false,
        }
    }

    pub fn failed(summary: impl Into<String>) -> Outcome {
        Outcome {
            ok: false,
            ..Outcome::done(summary)
        }
    }

    /// With a named result. A failed one makes the outcome failed.
    pub fn with_check(mut self, check: Check) -> Outcome {
        // Whoever reads only the summary must see what failed.
        if !check.ok && self.ok && !self.summary.contains(&check.detail) {
            self.summary = format!("{}: {} ({})", check.name, check.detail, self.summary);
        }
        self.ok &= check.ok;
        self.checks.push(check);
        self
    }

    /// A failure that may pass by itself.
    pub fn passing(mut self) -> Outcome {
        self.passing = true;
        self
    }

    /// SHA-256 in hex over the outcome: what a signature over this evidence covers.
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).expect("BUG: an outcome is plain data");
        hex(&Sha256::digest(json))
    }
}

/// What an unknown step turned out to have done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// It had done all of it.
    Done {
        /// As if it had ended by itself.
        outcome: Outcome,
    },
    /// It may be run again: it had done nothing, or goes on from where it was.
    RunAgain { detail: String },
    /// No machine can tell; a person decides.
    AskPerson { detail: String },
}
