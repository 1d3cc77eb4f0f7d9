//! How one reading stands to one bound: good, bad, or too little to say. Triggers and checklist both judge by this alone.

use serde::{Deserialize, Serialize};

use super::sample::Reading;
use super::wording;
use crate::runbook::Bound;

/// How a reading stands to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    Good,
    Bad,
    /// Too little data to say.
    Unknown,
}

/// What a reading is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Measure<'a> {
    /// The signal's full name.
    pub signal: &'a str,
    /// What must not be passed.
    pub bound: Bound,
    /// The signal's baseline, once it has been captured.
    pub baseline: Option<f64>,
    /// A reading over fewer requests says nothing.
    pub min_requests: u64,
}

impl Measure<'_> {
    /// The standing of a reading, and why, in words and numbers.
    pub fn judge(&self, reading: &Reading) -> (Standing, String) {
        let (number, n, missing) = match reading {
            Reading::NoData { reason } => return (Standing::Unknown, reason.clone()),
            Reading::Value { value, n } => (*value, *n, None),
            Reading::Partial { value, n, reason } => (*value, *n, Some(reason)),
        };
        let unknown = |why: String| (Standing::Unknown, why);
        if !number.is_finite() {
            return unknown(format!("{} is {number}", wording::name(self.signal)));
        }
        if let Some(n) = n
            && n < self.min_requests
        {
            let name = wording::name(self.signal);
            let few = format!(
                "{name}: only {n} requests, {} are needed",
                self.min_requests
            );
            return unknown(few);
        }
        let Some(limit) = self.limit() else {
            let name = wording::name(self.signal);
            return unknown(format!("{name}: there is no baseline to compare with"));
        };
        let said = wording::reading(self.signal, number, n);
        let text = said + &wording::limit(self.signal, self.bound, limit, self.baseline);
        let bad = match self.bound {
            Bound::Below(_) => number < limit,
            Bound::Above(_) | Bound::AboveBaseline { .. } => number > limit,
        };
        match (bad, missing) {
            (true, None) => (Standing::Bad, text),
            (true, Some(missing)) => (Standing::Bad, format!("{text} ({missing})")),
            (false, None) => (Standing::Good, text),
            // What is missing could be bad.
            (false, Some(missing)) => unknown(format!("{missing}; of the others, {text}")),
        }
    }

    /// For how long good samples must come before they prove that a share has gone down again: 0 where this one proves it by itself. Over
    /// fewer requests than one error is beyond the limit of, no error at all may be luck; it takes as many windows as hold so many
    /// requests, and half of `full_ms` at most, so that what has been over for that long never fires.
    pub fn settles_ms(&self, reading: &Reading, window_ms: i64, full_ms: i64) -> i64 {
        let (Some(n), Some(limit)) = (reading.requests(), self.limit()) else {
            return 0;
        };
        let one_error_is_beyond = n > 0 && limit > 0.0 && limit * (n as f64) < 1.0;
        if !one_error_is_beyond || !self.signal.ends_with("_ratio") {
            return 0;
        }
        let reach_ms = window_ms as f64 / (limit * n as f64);
        (reach_ms.min(full_ms as f64 / 2.0) as i64 - window_ms).max(0)
    }

    /// The number that the bound comes to; `None` without the baseline that it needs.
    pub fn limit(&self) -> Option<f64> {
        match self.bound {
            Bound::Above(limit) | Bound::Below(limit) => Some(limit),
            Bound::AboveBaseline { multiple, floor } => {
                let baseline = self.baseline.filter(|b| b.is_finite())?;
                Some((multiple * baseline).max(floor))
            }
        }
    }
}
