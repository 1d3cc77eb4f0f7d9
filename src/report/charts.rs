//! The curves that the page draws: 5xx, latency, pool, and every other signal that a trigger judges, with baseline and limits. From
//! samples, which lie beside the chain. Not in here: drawing (`html::curve`).

use std::collections::BTreeMap;

use crate::journal::Sample;
use crate::runbook::{Bound, Condition};
use crate::session::Session;
use crate::trigger::wording;

/// The most points that a curve has; beyond that, spans of samples become one.
const MAX_POINTS: i64 = 480;
/// What everybody wants to see, where it is watched.
const ALWAYS: [&str; 4] = [
    "http_5xx_ratio",
    "latency_p95_ms",
    "pool_used_ratio",
    "pool_waiting",
];

/// One signal over the whole session.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Its name in the runbook; tells the unit.
    pub signal: String,
    /// As people call it.
    pub title: String,
    /// What it was before the freeze.
    pub baseline: Option<f64>,
    /// What must not be passed: which row says so, and what it comes to.
    pub limits: Vec<(String, f64)>,
    /// By time.
    pub points: Vec<Point>,
}

/// One sample, or what several came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Session time of the first.
    pub at_ms: i64,
    /// The smallest and the largest value; `None` where there was no data.
    pub range: Option<(f64, f64)>,
}

/// The signals that are worth a chart.
pub(super) fn names(session: &Session) -> Vec<&str> {
    let judged = session
        .charter
        .triggers
        .iter()
        .filter_map(|t| match &t.when {
            Condition::Signal {
                signal,
                per_instance: false,
                ..
            } => Some(signal.as_str()),
            _ => None,
        });
    let mut names: Vec<&str> = ALWAYS.to_vec();
    for name in judged {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A chart of each signal that is worth one and has samples.
pub(super) fn collect(session: &Session, samples: &BTreeMap<String, Vec<Sample>>) -> Vec<Chart> {
    names(session)
        .into_iter()
        .filter_map(|name| {
            let samples = samples.get(name).filter(|s| !s.is_empty())?;
            Some(Chart {
                signal: name.to_owned(),
                title: wording::name(name),
                baseline: session.baseline(name),
                limits: limits(session, name),
                points: points(samples),
            })
        })
        .collect()
}

fn limits(session: &Session, name: &str) -> Vec<(String, f64)> {
    let triggers = session
        .charter
        .triggers
        .iter()
        .filter_map(|t| match &t.when {
            Condition::Signal { signal, bound, .. } if signal == name => Some((&t.id, bound)),
            _ => None,
        });
    let items = session.charter.monitoring.iter().flat_map(|item| {
        let own = item.conditions.iter().filter(|(signal, _)| signal == name);
        own.map(|(_, bound)| (&item.id, bound))
    });
    let mut limits: Vec<(String, f64)> = Vec::new();
    for (id, bound) in triggers.chain(items) {
        let limit = match *bound {
            Bound::Above(limit) | Bound::Below(limit) => Some(limit),
            Bound::AboveBaseline { multiple, floor } => {
                session.baseline(name).map(|b| (multiple * b).max(floor))
            }
        };
        let Some(limit) = limit else { continue };
        // Rows that agree on a limit share its line.
        match limits.iter_mut().find(|(_, other)| *other == limit) {
            Some((ids, _)) => *ids = format!("{ids}, {id}"),
            None => limits.push((id.clone(), limit)),
        }
    }
    limits
}

fn points(samples: &[Sample]) -> Vec<Point> {
    let (first, last) = (samples[0].at_ms, samples[samples.len() - 1].at_ms);
    let span_ms = match samples.len() as i64 > MAX_POINTS {
        true => last.saturating_sub(first) / MAX_POINTS + 1,
        false => 1,
    };
    let mut points: Vec<Point> = Vec::new();
    for sample in samples {
        let value = sample.reading.value();
        let spans = sample.at_ms.saturating_sub(first) / span_ms;
        let at_ms = first.saturating_add(spans.saturating_mul(span_ms));
        match points.last_mut().filter(|p| p.at_ms == at_ms) {
            Some(point) => {
                point.range = match (point.range, value) {
                    (Some((low, high)), Some(v)) => Some((low.min(v), high.max(v))),
                    (None, Some(v)) => Some((v, v)),
                    (range, None) => range,
                }
            }
            None => points.push(Point {
                at_ms,
                range: value.map(|v| (v, v)),
            }),
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Reading;

    #[test]
    fn spans_keep_their_extremes_and_silence_stays_silence() {
        let sample = |n: i64| Sample {
            signal: "x".into(),
            at_ms: 1_000 + n,
            reading: match n {
                2_000..4_000 => Reading::NoData("late".into()),
                7_777 => Reading::Value(99.0),
                _ => Reading::Value(1.0),
            },
            n: None,
        };
        let samples: Vec<Sample> = (0..10_000).map(sample).collect();
        let points = points(&samples);
        assert!(points.len() <= MAX_POINTS as usize, "{}", points.len());
        let highest = points.iter().filter_map(|p| p.range).map(|(_, high)| high);
        assert_eq!(highest.reduce(f64::max), Some(99.0));
        let silent = points.iter().filter(|p| p.range.is_none()).count();
        assert!((90..=100).contains(&silent), "{silent}");
    }
}
