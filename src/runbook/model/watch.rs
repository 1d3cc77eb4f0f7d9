//! What is watched, and what it means: probes, triggers, the monitoring checklist. Not in here: asking (`monitor`) and judging
//! (`trigger`).

use serde::{Deserialize, Serialize};

/// Something that is watched.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Short and unique.
    pub id: String,
    /// What it asks.
    pub kind: ProbeKind,
    /// Runbook time between two samples; never scaled below 200 ms.
    pub interval_ms: i64,
    /// Real time limit of one sample.
    pub timeout_ms: i64,
}

/// What a probe asks, and which signals come of it (see [`Probe::signals`]).
#[derive(Debug, Clone)]
pub enum ProbeKind {
    /// Every instance's readiness.
    Readiness,
    /// Every instance's `/metrics`: rates over a sliding window.
    Metrics {
        /// Length of the window, in runbook time.
        window_ms: i64,
    },
    /// The verification section's requests, through the fleet in turn.
    Synthetic,
    /// `pg_stat_activity` of the target.
    Pool,
    /// The instances' log files.
    Logs {
        /// First match decides.
        rules: Vec<LogRule>,
    },
}

/// Sorts log lines.
#[derive(Debug, Clone)]
pub struct LogRule {
    /// One of [`LogRule::CATEGORIES`].
    pub category: String,
    /// Regular expression.
    pub pattern: String,
}

impl LogRule {
    /// What the monitoring checklist knows.
    pub const CATEGORIES: [&str; 7] = [
        "host_booted",
        "services_initialised",
        "unhandled_exception",
        "migration_completed",
        "pending_migration",
        "ddl_exception",
        "database_exception",
    ];
}

impl Probe {
    /// The signals that this probe makes. `ready` has one series per instance (`ready.<instance>`).
    pub fn signals(&self) -> Vec<String> {
        let fixed: &[&str] = match &self.kind {
            ProbeKind::Readiness => &["ready", "unready_ratio"],
            ProbeKind::Metrics { .. } => &[
                "http_5xx_ratio",
                "http_4xx_ratio",
                "requests_per_s",
                "latency_p50_ms",
                "latency_p95_ms",
                "latency_p99_ms",
                "pool_active",
                "pool_idle",
                "pool_waiting",
                "pool_max",
                "pool_used_ratio",
                "pool_timeouts",
            ],
            ProbeKind::Synthetic => &[
                "synthetic_failed_ratio",
                "synthetic_read_ms",
                "synthetic_write_ms",
            ],
            ProbeKind::Pool => &[
                "pg_active",
                "pg_idle",
                "pg_idle_in_transaction",
                "pg_waiting",
                "pg_max",
            ],
            ProbeKind::Logs { .. } => {
                return LogRule::CATEGORIES
                    .iter()
                    .map(|c| format!("log_{c}"))
                    .chain(["instances_booted_ratio".to_owned()])
                    .collect();
            }
        };
        fixed.iter().map(|s| (*s).to_owned()).collect()
    }
}

/// A rollback trigger (T rows).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// `T3a`.
    pub id: String,
    /// As shown.
    pub title: String,
    /// Armed once this step has started.
    pub from: String,
    /// Disarmed once this step is done; until release where absent.
    pub until: Option<String>,
    /// What fires it.
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
    /// As shown.
    pub title: String,
    /// `(signal, bound)`; the bound is what makes it red.
    pub conditions: Vec<(String, Bound)>,
}
