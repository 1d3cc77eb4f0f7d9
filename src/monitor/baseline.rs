//! P3: what is normal, from the samples of a window. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was normal, per signal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The number that multiples of the baseline compare with; the outcome's fact `baseline`.
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
    /// Smallest.
    pub min: f64,
    /// Half were below.
    pub p50: f64,
    /// 95 in 100 were below.
    pub p95: f64,
    /// Greatest.
    pub max: f64,
}
