//! What a probe saw, or why it saw nothing. Not in here: whether that is good.

use serde::{Deserialize, Serialize};

/// One reading of one signal. The journal keeps it as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// `http_5xx_ratio`, or `ready.app-3` for a signal that each instance has.
    pub signal: String,
    /// Session time at which the probe began to ask.
    pub at_ms: i64,
    pub reading: Reading,
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// A number. Ratios are fractions.
    Value {
        value: f64,
        /// Requests behind it, for signals that mean nothing over too few; `None` for all others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        n: Option<u64>,
    },
    /// A number from a part of those that were asked: when it is bad it counts, when it is good it proves nothing.
    Partial {
        value: f64,
        /// As in `Value`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        n: Option<u64>,
        /// Who did not answer, and how.
        reason: String,
    },
    /// Nothing: we could not ask, or the answer makes no sense. Not a zero.
    NoData { reason: String },
}

impl Sample {
    pub fn new(signal: impl Into<String>, at_ms: i64, reading: Reading) -> Sample {
        Sample {
            signal: signal.into(),
            at_ms,
            reading,
        }
    }
}

impl Reading {
    /// A number that stands for itself. One that is not finite is no data.
    pub fn value(value: f64) -> Reading {
        Reading::over(value, None)
    }

    /// A number over so many requests. One that is not finite is no data.
    pub fn over(value: f64, n: Option<u64>) -> Reading {
        if value.is_finite() {
            Reading::Value { value, n }
        } else {
            Reading::no_data(format!(
                "the answer is {value}, which is not a number to judge"
            ))
        }
    }

    /// Nothing, and why.
    pub fn no_data(reason: impl Into<String>) -> Reading {
        Reading::NoData {
            reason: reason.into(),
        }
    }

    /// The same reading, but of a part only; `reason` says who is missing.
    #[must_use]
    pub fn partial(self, reason: impl Into<String>) -> Reading {
        match self {
            Reading::Value { value, n } => Reading::Partial {
                value,
                n,
                reason: reason.into(),
            },
            other => other,
        }
    }

    /// The number, where there is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Reading::Value { value, .. } | Reading::Partial { value, .. } => Some(*value),
            Reading::NoData { .. } => None,
        }
    }

    /// Requests behind it, where it is over requests.
    pub fn requests(&self) -> Option<u64> {
        match self {
            Reading::Value { n, .. } | Reading::Partial { n, .. } => *n,
            Reading::NoData { .. } => None,
        }
    }
}
