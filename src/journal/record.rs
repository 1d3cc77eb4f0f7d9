//! What a journal holds: entries in the chain; samples, progress, output and artefacts beside it. Types only.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::canonical::Hash;

/// One event as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: 1, 2, 3, … without gaps. Order comes from here, never from a clock.
    pub seq: u64,
    /// The number of the lease under which it was written; it never falls along the chain.
    pub fencing: u64,
    /// Milliseconds by the session's clock, the one that does not jump.
    pub at_ms: i64,
    /// The wall clock, to the millisecond: for people.
    pub wall: DateTime<Utc>,
    /// What happened, as `session` names it.
    pub kind: String,
    /// The particulars.
    pub body: Value,
    /// The SHA-256 over all of the above and the hash of the entry before.
    pub hash: Hash,
}

/// What a probe got when it asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// A finite number, in the signal's unit.
    Value(f64),
    /// A number from a part of those that were asked, and who is missing: bad it counts, good it proves nothing.
    Partial(f64, String),
    /// It could not be asked or the answer made no sense: why. Never a zero.
    NoData(String),
}

impl Reading {
    /// A number as a reading: one that is not finite is no data.
    pub fn of(value: f64) -> Self {
        if value.is_finite() {
            Self::Value(value)
        } else {
            Self::NoData(format!("the probe answered {value}"))
        }
    }

    /// The number, if there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Value(value) | Self::Partial(value, _) => Some(*value),
            Self::NoData(_) => None,
        }
    }
}

/// One sample of a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The signal's name, as the runbook has it.
    pub signal: String,
    /// Milliseconds by the session's clock.
    pub at_ms: i64,
    pub reading: Reading,
    /// How many observations stand behind it (requests in a ratio), of signals that mean nothing over too few.
    pub n: Option<u64>,
}

/// How far a part of a step has come. The latest replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub step: String,
    /// The part: a table, an instance, a file.
    pub item: String,
    /// How much is done, in `unit`.
    pub done: u64,
    /// How much there is, where that is known.
    pub total: Option<u64>,
    /// What is counted: `rows`, `pages`, `bytes`.
    pub unit: String,
    /// Milliseconds by the session's clock.
    pub at_ms: i64,
}

/// Where a line of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// The command's standard output.
    Stdout,
    /// The command's standard error.
    Stderr,
    /// Said by the step itself.
    Step,
}

impl Stream {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Step => "step",
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        match text {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            _ => Self::Step,
        }
    }
}

/// One line that a step printed, safe for a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLine {
    /// Where in the stream of all output it lies; gaps are lines that were dropped.
    pub id: i64,
    pub step: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Where it came from.
    pub stream: Stream,
    /// Milliseconds by the session's clock.
    pub at_ms: i64,
    /// The text, made harmless and cut.
    pub line: String,
}

/// What is kept of an attempt's output.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Output {
    /// The lines, oldest first.
    pub lines: Vec<OutputLine>,
    /// How many between the first [`super::FIRST_LINES`] and the last [`super::LAST_LINES`] were not kept.
    pub cut_lines: u64,
}

/// What the retention has taken from the samples; where a time is `None`, nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Thinned {
    /// Of samples before this time (session clock), one per `every_ms` and signal is left, and one of those without a value.
    pub before_ms: Option<i64>,
    /// The span of which one is left.
    pub every_ms: i64,
    /// Samples before this time are gone, some or all.
    pub gone_before_ms: Option<i64>,
}

/// A file that the engine published for everyone on the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    /// The SHA-256 of the stored bytes, which is also the file's name in `artefacts/`.
    pub sha256: Hash,
    /// What people call it, unique within a session by (name, hash).
    pub name: String,
    /// What it is, as the publisher names it: `migration_log`, `parity_report`, …
    pub kind: String,
    /// How many bytes are stored.
    pub size_bytes: u64,
    /// How many bytes there were before the limit cut it; equal to `size_bytes` when nothing was cut.
    pub full_size_bytes: u64,
    /// Milliseconds by the session's clock.
    pub at_ms: i64,
}

/// No session lasts so long: over five hundred years.
const FARTHEST_MS: i64 = 1 << 44;

/// A session time as a journal has it, with which everybody can reckon: whoever wrote one that no session reaches does not make readers overflow.
pub fn within_reach(at_ms: i64) -> i64 {
    at_ms.clamp(-FARTHEST_MS, FARTHEST_MS)
}
