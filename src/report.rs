//! The evidence of a session, as a page with pictures, Markdown and JSON. From the session's folder alone: the journal's chain is verified first, then the
//! session is folded from it. Touches no database and no network.
//!
//! - [`rows`]: one line per row of the protocol.
//! - [`evidence`]: gates and signatures, triggers, checks, rollback, planned against actual.
//! - `page`: what people read of all that, in its order; `html` and `markdown` write it down.
//! - [`live`]: the page of a session that runs, in pieces, as it changes.
//! - [`bundle`]: a folder that holds the report and everything by which anybody can check it.
//! - [`sheet`]: one page of commands, for a rollback by hand.
//!
//! What the JSON holds is documented in `docs/report.md`.

pub mod bundle;
mod charts;
pub mod evidence;
mod html;
pub mod live;
mod markdown;
mod material;
mod page;
pub mod rows;
pub mod sheet;
mod signals;

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

pub use material::{Beside, LeftOut, Material};
pub use rows::{RowReport, RowStatus, Section, rows, rows_seen};

use crate::history;
use crate::journal::{Artefact, Folder};
use crate::session::confidence::{Confidence, confidence};
use crate::session::live::ItemView;
use crate::session::words::words;
use crate::session::{Phase, Recorded, Session};
use crate::text::printable;

/// Version of the report's form.
pub const FORMAT: u32 = 3;
/// The longest text that a report takes over from elsewhere.
const MAX_TEXT_CHARS: usize = 4_000;

/// Everything that is known of a session, to write down.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub report: u32,
    /// Name of the session.
    pub session: String,
    /// How it ended, or where it stands.
    pub result: Outcome,
    /// Whether this was the sandbox: its evidence counts there only.
    pub sandbox: bool,
    /// Whether this was a rehearsal.
    pub rehearsal: bool,
    /// Runbook time ran this many times faster than real time.
    pub speed: f64,
    /// The runbook that every signature covers.
    pub runbook_hash: String,
    /// What was verified before anything was read.
    pub chain: Chain,
    /// Wall clock of the first entry.
    pub opened: chrono::DateTime<chrono::Utc>,
    /// Wall clock of the last entry.
    pub last: chrono::DateTime<chrono::Utc>,
    /// Real seconds between them, by the clock that does not jump.
    pub seconds: f64,
    /// Who was on the bridge.
    pub people: Vec<evidence::PersonReport>,
    /// X1.
    pub confidence: Confidence,
    /// One line per row of the protocol.
    pub rows: Vec<RowReport>,
    /// K rows, with evidence and every signature.
    pub gates: Vec<evidence::GateReport>,
    /// T rows that moved, with each move.
    pub triggers: Vec<evidence::TriggerReport>,
    /// Named results of steps: parity, verification, migrations, checklist.
    pub checks: Vec<evidence::CheckReport>,
    /// The rollback, if there was one.
    pub rollback: Option<evidence::RollbackReport>,
    /// Agreed limits against what it took.
    pub plan: Vec<evidence::PlanReport>,
    /// Moments that tell one part of the night from the next.
    pub marks: Vec<evidence::Mark>,
    /// Every table, from the backup to the comparison.
    pub tables: Vec<evidence::TableReport>,
    /// What the signals did that triggers and checklist judge.
    pub signals: Vec<signals::SignalReport>,
    /// The same as curves; for pictures alone.
    #[serde(skip)]
    pub charts: Vec<charts::Chart>,
    /// What steps left behind and this version cannot read: what would be told from it is lacking.
    pub unreadable: Vec<String>,
    /// What was kept, by hash.
    pub artefacts: Vec<Artefact>,
    /// Every event in words.
    pub timeline: Vec<Line>,
}

/// How a session ended, or where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The release is complete.
    Completed,
    RolledBack,
    /// Ended before anything touched the target.
    NoGo,
    Open,
    /// Not over: the rollback runs.
    RollingBack,
}

/// The chain that was verified.
#[derive(Debug, Clone, Serialize)]
pub struct Chain {
    pub entries: u64,
    /// Hash of the last one.
    pub head: String,
    /// `true`: there is no report of a chain that does not verify.
    pub verified: bool,
}

/// An event in words.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Its number in the chain.
    pub seq: u64,
    /// Session time.
    pub at_ms: i64,
    /// Wall clock.
    pub wall: chrono::DateTime<chrono::Utc>,
    pub text: String,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be read, its chain does not verify, or it is none that this version knows.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The folder for the bundle holds something else.
    #[error(
        "{} holds files that are no part of a report ({}); name a folder that is empty or not there", dir.display(), files.join(", ")
    )]
    Occupied {
        dir: PathBuf,
        /// A few of its files.
        files: Vec<String>,
    },
    /// The report cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Write {
        path: PathBuf,
        /// What the operating system said.
        why: String,
    },
}

/// Verifies the chain of a session's journal and collects its evidence.
///
/// # Errors
/// A damaged chain above all: nothing is told from it.
pub fn collect(folder: &Folder) -> Result<Report, history::Error> {
    Material::of_folder(folder)?.report()
}

/// The report of a session and its events, without what lies beside the chain.
fn of(session: &Session, recorded: &[Recorded], seen: &[ItemView], chain: Chain) -> Report {
    let charter = &session.charter;
    let (first, last) = (&recorded[0], &recorded[recorded.len() - 1]);
    let timeline = recorded.iter().filter_map(|entry| {
        Some(Line {
            seq: entry.seq,
            at_ms: entry.at_ms,
            wall: entry.wall,
            text: words(&entry.event)?,
        })
    });
    Report {
        report: FORMAT,
        session: charter.session.clone(),
        result: outcome(session),
        sandbox: charter.sandbox,
        rehearsal: charter.rehearsal,
        speed: charter.speed,
        runbook_hash: charter.runbook_hash.0.clone(),
        chain,
        opened: first.wall,
        last: last.wall,
        seconds: (last.at_ms - first.at_ms) as f64 / 1_000.0,
        people: evidence::people(session),
        confidence: confidence(session),
        rows: rows_seen(session, seen),
        gates: evidence::gates(session, recorded),
        triggers: evidence::triggers(session, recorded),
        checks: evidence::checks(session),
        rollback: evidence::rollback(session),
        plan: evidence::plan(session),
        marks: evidence::marks(session, recorded),
        tables: Vec::new(),
        signals: Vec::new(),
        charts: Vec::new(),
        unreadable: evidence::unreadable(session),
        artefacts: Vec::new(),
        timeline: timeline.collect(),
    }
}

fn outcome(session: &Session) -> Outcome {
    match session.phase {
        Phase::Completed => Outcome::Completed,
        Phase::RolledBack if session.is_no_go() => Outcome::NoGo,
        Phase::RolledBack => Outcome::RolledBack,
        Phase::RollingBack => Outcome::RollingBack,
        Phase::Open => Outcome::Open,
    }
}

impl Report {
    /// As a page for a browser.
    pub fn to_html(&self) -> String {
        html::render(&page::Page::of(self))
    }

    pub fn to_markdown(&self) -> String {
        markdown::render(&page::Page::of(self))
    }

    /// As JSON, every text in it made harmless.
    pub fn to_json(&self) -> Value {
        let mut json = serde_json::to_value(self).expect("BUG: a report is plain data");
        make_harmless(&mut json);
        json
    }

    /// As the text of `report.json`.
    pub fn to_json_text(&self) -> String {
        format!("{:#}\n", self.to_json())
    }
}

fn make_harmless(value: &mut Value) {
    match value {
        Value::String(text) => *text = printable(text, MAX_TEXT_CHARS),
        Value::Array(items) => items.iter_mut().for_each(make_harmless),
        Value::Object(fields) => fields.values_mut().for_each(make_harmless),
        _ => {}
    }
}
