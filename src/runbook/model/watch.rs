//! What signals mean: triggers and the monitoring checklist. Not in here: where signals come from (`probes`), judging (`trigger`).

use serde::{Deserialize, Serialize};

/// A rollback trigger (T rows).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// `T3a`.
    pub id: String,
    pub title: String,
    /// Armed once this step has started.
    pub from: String,
    /// Disarmed once this step is done; until release where absent.
    pub until: Option<String>,
    pub when: Condition,
}

/// What a trigger or a checklist item judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A named check that a step made has failed, at the step's final outcome.
    Check {
        /// Such as `migration_exit`, `row_counts`.
        check: String,
    },
    /// A signal is beyond a bound for a while.
    Signal {
        /// Which; one streak per instance where `per_instance`.
        signal: String,
        /// Judge `signal.<instance>` for each instance apart.
        per_instance: bool,
        /// Beyond what.
        bound: Bound,
        /// For how long, in runbook time; 0 fires on the first sample.
        for_ms: i64,
    },
}

/// A bound that must not be passed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Bad when greater.
    Above(f64),
    /// Bad when smaller.
    Below(f64),
    /// Bad when greater than `max(multiple × baseline, floor)`.
    AboveBaseline {
        /// Multiple of the baseline.
        multiple: f64,
        /// So that a baseline of zero neither hides nor fires.
        floor: f64,
    },
}

/// An item of the monitoring checklist (M rows): green when no condition is passed and all have data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// `M3`.
    pub id: String,
    pub title: String,
    /// `(signal, bound)`; the bound is what makes it red.
    pub conditions: Vec<(String, Bound)>,
}
