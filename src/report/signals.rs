//! What the judged signals did: how many samples, how many of them no data, and how far they went. From the samples beside the chain,
//! which are not chained; the report says so.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::journal::Sample;
use crate::runbook::Condition;
use crate::session::Session;

/// One signal over the whole session.
#[derive(Debug, Clone, Serialize)]
pub struct SignalReport {
    pub signal: String,
    /// What it was before the freeze.
    pub baseline: Option<f64>,
    /// Samples that have a value.
    pub samples: usize,
    /// Samples that could not be taken.
    pub no_data: usize,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// The last value.
    pub last: Option<f64>,
}

/// Every signal that a trigger or the checklist judges, by name.
pub(super) fn collect(
    session: &Session,
    samples: &BTreeMap<String, Vec<Sample>>,
) -> Vec<SignalReport> {
    let of = |signal: &String| samples.get(signal).map_or(&[][..], Vec::as_slice);
    let names = names(session).into_iter();
    names
        .map(|signal| one(session, of(&signal), signal.clone()))
        .collect()
}

fn names(session: &Session) -> BTreeSet<String> {
    let charter = &session.charter;
    let mut names = BTreeSet::new();
    for trigger in &charter.triggers {
        match &trigger.when {
            Condition::Signal {
                signal,
                per_instance: true,
                ..
            } => names.extend(
                charter
                    .instances
                    .iter()
                    .map(|i| format!("{signal}.{}", i.id)),
            ),
            Condition::Signal { signal, .. } => {
                names.insert(signal.clone());
            }
            Condition::Check { .. } => {}
        }
    }
    let items = charter.monitoring.iter().flat_map(|item| &item.conditions);
    names.extend(items.map(|(signal, _)| signal.clone()));
    names
}

fn one(session: &Session, samples: &[Sample], signal: String) -> SignalReport {
    let values: Vec<f64> = samples.iter().filter_map(|s| s.reading.value()).collect();
    SignalReport {
        baseline: session.baseline(&signal),
        samples: values.len(),
        no_data: samples.len() - values.len(),
        min: values.iter().copied().reduce(f64::min),
        max: values.iter().copied().reduce(f64::max),
        last: values.last().copied(),
        signal,
    }
}
