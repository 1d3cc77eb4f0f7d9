//! P3: what is normal, from the samples of a window. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metrics::NOT_EXPOSED;
use crate::runbook::{Bound, ChecklistItem};
use crate::trigger::{Reading, Sample};

/// What was normal, per signal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The number that multiples of the baseline compare with; the outcome's fact `baseline`. A ratio of requests is the mean by
    /// requests; a quantile is the newest, for its window is the longest look and quantiles are never averaged; all others are
    /// the median.
    pub values: BTreeMap<String, f64>,
    /// How the samples were spread; shown with every comparison.
    pub spread: BTreeMap<String, Spread>,
    /// Signals without a baseline, and why.
    pub missing: BTreeMap<String, String>,
}

/// How the samples of a signal were spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Samples with a value.
    pub samples: u64,
    pub min: f64,
    /// Half were below.
    pub p50: f64,
    /// 95 in 100 were below.
    pub p95: f64,
    pub max: f64,
}

/// What the samples of one signal come to.
#[derive(Default)]
struct Gathered {
    values: Vec<f64>,
    /// Σ value × requests, and Σ requests.
    weighted: (f64, f64),
    newest: f64,
    last_gap: Option<String>,
}

impl Baseline {
    /// The baseline of a window's samples, in the order in which they came. What says nothing to a trigger (no data, a part of the
    /// fleet, too few requests) says nothing here.
    pub fn of(samples: &[Sample], min_requests: u64) -> Baseline {
        let mut signals: BTreeMap<&str, Gathered> = BTreeMap::new();
        for sample in samples {
            let gathered = signals.entry(&sample.signal).or_default();
            gathered.add(&sample.reading, min_requests);
        }
        let mut baseline = Baseline::default();
        for (signal, mut gathered) in signals {
            gathered.values.sort_by(f64::total_cmp);
            match Spread::of(&gathered.values) {
                Some(spread) => {
                    let value = gathered.value(signal, spread);
                    baseline.values.insert(signal.to_owned(), value);
                    baseline.spread.insert(signal.to_owned(), spread);
                }
                None => {
                    let why = gathered.last_gap.unwrap_or_default();
                    baseline.missing.insert(signal.to_owned(), why);
                }
            }
        }
        baseline
    }
}

impl Baseline {
    /// Items of the checklist that need what no instance exposes, in words: before the freeze there is still time to mend it.
    pub fn unseen(&self, items: &[ChecklistItem]) -> Vec<String> {
        let missing = |(signal, _): &(String, Bound)| {
            let why = self.missing.get(signal)?;
            let never = why.starts_with(NOT_EXPOSED);
            never.then(|| format!("{signal} ({why})"))
        };
        let told = |item: &ChecklistItem| {
            let missing: Vec<_> = item.conditions.iter().filter_map(missing).collect();
            (!missing.is_empty()).then(|| {
                format!(
                    "{} needs {}: as it is, it never turns green, and the night cannot be completed",
                    item.id,
                    missing.join(" and ")
                )
            })
        };
        items.iter().filter_map(told).collect()
    }
}

impl Gathered {
    fn add(&mut self, reading: &Reading, min_requests: u64) {
        match reading {
            Reading::Value { n: Some(n), .. } if *n < min_requests => {
                self.last_gap = Some(format!("only {n} requests, {min_requests} are needed"));
            }
            Reading::Value { value, n } => {
                let weight = n.unwrap_or(0) as f64;
                self.values.push(*value);
                self.weighted.0 += value * weight;
                self.weighted.1 += weight;
                self.newest = *value;
            }
            Reading::Partial { reason, .. } | Reading::NoData { reason } => {
                self.last_gap = Some(reason.clone());
            }
        }
    }

    fn value(&self, signal: &str, spread: Spread) -> f64 {
        match self.weighted {
            (_, 0.0) => spread.p50,
            (sum, weight) if signal.ends_with("_ratio") => sum / weight,
            _ => self.newest,
        }
    }
}

impl Spread {
    fn of(sorted: &[f64]) -> Option<Spread> {
        let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
        Some(Spread {
            samples: sorted.len() as u64,
            min: *sorted.first()?,
            p50: rank(50),
            p95: rank(95),
            max: *sorted.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(signal: &str, value: f64, n: Option<u64>) -> Sample {
        Sample::new(signal, 0, Reading::over(value, n))
    }

    #[test]
    fn ratios_by_requests_quantiles_newest_others_median() {
        let samples = [
            sample("http_5xx_ratio", 0.10, Some(100)),
            sample("http_5xx_ratio", 0.00, Some(900)),
            sample("http_5xx_ratio", 1.00, Some(3)),
            sample("latency_p95_ms", 10.0, Some(100)),
            sample("latency_p95_ms", 30.0, Some(100)),
            sample("pool_active", 1.0, None),
            sample("pool_active", 9.0, None),
            sample("pool_active", 2.0, None),
        ];
        let baseline = Baseline::of(&samples, 20);
        let values: Vec<_> = baseline.values.into_iter().collect();
        let expected = [
            ("http_5xx_ratio", 0.01),
            ("latency_p95_ms", 30.0),
            ("pool_active", 2.0),
        ];
        assert_eq!(values, expected.map(|(s, v)| (s.to_owned(), v)));
    }

    #[test]
    fn an_item_that_can_never_turn_green_is_named() {
        let item = |id: &str, signals: [&str; 2]| ChecklistItem {
            id: id.to_owned(),
            title: String::new(),
            conditions: signals.map(|s| (s.to_owned(), Bound::Above(0.0))).to_vec(),
        };
        let nobody = Reading::no_data(format!("{NOT_EXPOSED} db_pool_waiting"));
        let samples = [
            Sample::new("pool_waiting", 0, nobody),
            Sample::new("pool_max", 0, Reading::no_data("refused")),
            sample("latency_p95_ms", 10.0, Some(100)),
        ];
        let items = [
            item("M3", ["pool_waiting", "pool_max"]),
            item("M5", ["latency_p95_ms", "log_ddl_exception"]),
        ];
        assert_eq!(
            Baseline::of(&samples, 20).unseen(&items),
            [
                "M3 needs pool_waiting (no instance exposes db_pool_waiting): as it is, it never turns green, and the night cannot be \
                 completed"
            ]
        );
    }

    #[test]
    fn what_says_nothing_has_no_baseline_and_a_reason() {
        let samples = [
            sample("http_5xx_ratio", 0.1, Some(3)),
            Sample::new("pool_active", 0, Reading::no_data("refused")),
        ];
        let baseline = Baseline::of(&samples, 20);
        assert!(baseline.values.is_empty());
        assert_eq!(
            baseline.missing["http_5xx_ratio"],
            "only 3 requests, 20 are needed"
        );
        assert_eq!(baseline.missing["pool_active"], "refused");
    }
}
