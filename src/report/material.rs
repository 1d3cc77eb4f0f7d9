//! What a report is made from: the chain, and what lies beside it. Read from a session's folder or from a bundle; the report is the same.
//!
//! Not in here: what is made of it (`report`), how a bundle is checked (`bundle`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Chain, FORMAT, Report, charts, evidence, signals};
use crate::history::{self, Error};
use crate::journal::{Artefact, Entry, Folder, Follower, Head, Sample};
use crate::session::live::{self, ItemView, ParityView};
use crate::session::{Recorded, Session};

/// A session's events and everything beside them that a report tells.
#[derive(Debug, Clone)]
pub struct Material {
    /// The whole chain, checked.
    pub entries: Vec<Entry>,
    /// Its last entry.
    pub head: Head,
    /// Every sample that is kept, by time within each signal.
    pub samples: BTreeMap<String, Vec<Sample>>,
    pub beside: Beside,
}

/// What lies beside the chain, but for samples: nothing depends on it, and the chain does not prove it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// The version of `cutover` that wrote this.
    pub cutover: String,
    /// The form of its report.
    pub report: u32,
    /// The checklist as screens last showed it.
    pub checklist: Vec<ItemView>,
    /// The comparison of every row as screens last showed it.
    pub parity: ParityView,
    /// What was kept, by hash.
    pub artefacts: Vec<Artefact>,
    /// What the session's folder holds and a bundle does not, and why.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
}

/// A file that is not in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// In the session's folder.
    pub file: String,
    pub why: String,
}

impl Material {
    /// From a session's folder, after verifying its chain.
    ///
    /// # Errors
    /// A damaged chain above all.
    pub fn of_folder(folder: &Folder) -> Result<Self, Error> {
        let mut follower = Follower::open(folder)?;
        let entries = follower.poll()?;
        let head = follower.head();
        let beside = Beside {
            cutover: env!("CARGO_PKG_VERSION").to_owned(),
            report: FORMAT,
            checklist: follower.board(live::key::CHECKLIST)?.unwrap_or_default(),
            parity: follower.board(live::key::PARITY)?.unwrap_or_default(),
            artefacts: follower.artefacts()?,
            left_out: Vec::new(),
        };
        Ok(Self {
            entries,
            head,
            samples: by_signal(follower.poll_samples()?),
            beside,
        })
    }

    /// The events, read.
    ///
    /// # Errors
    /// One is of a kind that this version does not know.
    pub fn recorded(&self) -> Result<Vec<Recorded>, Error> {
        history::events(&self.entries)
    }

    /// The report that follows from it.
    ///
    /// # Errors
    /// An event is unknown, or they are not those of a session.
    pub fn report(&self) -> Result<Report, Error> {
        let recorded = self.recorded()?;
        let session = Session::replay(&recorded)?;
        let beside = (&self.beside.checklist[..], &self.beside.parity);
        let mut report = told(&session, &recorded, self.head, &self.samples, beside);
        report.artefacts.clone_from(&self.beside.artefacts);
        Ok(report)
    }
}

/// The report of a session and its events, whose chain was checked up to `head`, with what lies beside it, but for what was kept.
pub(super) fn told(
    session: &Session,
    recorded: &[Recorded],
    head: Head,
    samples: &BTreeMap<String, Vec<Sample>>,
    (checklist, parity): (&[ItemView], &ParityView),
) -> Report {
    let chain = Chain {
        entries: head.seq,
        head: head.hash.to_string(),
        verified: true,
    };
    let mut report = super::of(session, recorded, checklist, chain);
    report.tables = evidence::tables(session, parity);
    report.charts = charts::collect(session, samples);
    report.signals = signals::collect(session, samples);
    report
}

/// Samples as they were written, by signal; within each by time.
pub(super) fn by_signal(samples: Vec<Sample>) -> BTreeMap<String, Vec<Sample>> {
    let mut signals: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        signals
            .entry(sample.signal.clone())
            .or_default()
            .push(sample);
    }
    for samples in signals.values_mut() {
        samples.sort_by_key(|sample| sample.at_ms);
    }
    signals
}
