//! How often each signal is due, hence how far apart two samples may be and still say something about the time between them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::runbook::{Probe, Runbook};

/// Real time below which no probe is asked again, whatever the speed.
pub const MIN_INTERVAL_MS: i64 = 200;

/// No gap shorter than this is taken for missing data: a busy machine is late by that much.
const MIN_GAP_MS: i64 = 1_000;

/// The rhythm of every signal, in real milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cadence(BTreeMap<String, Rhythm>);

/// The rhythm of one signal, in real milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rhythm {
    /// From one sample to the next.
    pub interval_ms: i64,
    /// How long taking one may last.
    pub time_limit_ms: i64,
}

impl Cadence {
    /// The rhythm of all signals that the runbook's probes make, at this speed.
    pub fn of(runbook: &Runbook, speed: f64) -> Cadence {
        let signals = runbook.probes.iter().flat_map(|probe| {
            let rhythm = Rhythm::of(probe, speed);
            probe.signals().into_iter().map(move |s| (s, rhythm))
        });
        Cadence(signals.collect())
    }

    /// One rhythm for a signal.
    #[must_use]
    pub fn with(mut self, signal: &str, rhythm: Rhythm) -> Cadence {
        self.0.insert(signal.to_owned(), rhythm);
        self
    }

    /// The rhythm of a signal; `ready.app-3` has that of `ready`. Five seconds where no probe makes it.
    pub fn rhythm(&self, signal: &str) -> Rhythm {
        let family = signal.split_once('.').map_or(signal, |(family, _)| family);
        self.0
            .get(signal)
            .or_else(|| self.0.get(family))
            .copied()
            .unwrap_or(Rhythm {
                interval_ms: 5_000,
                time_limit_ms: 3_000,
            })
    }
}

impl Rhythm {
    /// The rhythm of a probe at this speed: intervals are runbook time, time limits are not.
    pub fn of(probe: &Probe, speed: f64) -> Rhythm {
        Rhythm {
            interval_ms: ((probe.interval_ms as f64 / speed) as i64).max(MIN_INTERVAL_MS),
            time_limit_ms: probe.timeout_ms,
        }
    }

    /// How long taking one may last.
    pub fn limit(self) -> Duration {
        Duration::from_millis(self.time_limit_ms.max(1).unsigned_abs())
    }

    /// Two bad samples at most this far apart count as bad in between; beyond it the time between them is no data. About three
    /// intervals.
    pub fn hold_ms(self) -> i64 {
        (2 * self.interval_ms + self.time_limit_ms).max(MIN_GAP_MS)
    }

    /// Two good samples at most this far apart count as good in between. Stricter than `hold_ms`: one that is missing shows.
    pub fn fresh_ms(self) -> i64 {
        let slow = if self.time_limit_ms > self.interval_ms {
            self.interval_ms + self.time_limit_ms
        } else {
            0
        };
        (self.interval_ms * 3 / 2).max(slow).max(MIN_GAP_MS)
    }

    /// The newest sample may be this old before its signal is blind: its successor has had the time it may take.
    pub fn stale_ms(self) -> i64 {
        self.fresh_ms() + self.time_limit_ms
    }
}
