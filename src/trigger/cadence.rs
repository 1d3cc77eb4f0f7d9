//! How often each signal is due, hence how far apart two samples may be and still say something about the time between them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::runbook::MIN_INTERVAL_MS;
use crate::runbook::{Probe, Runbook, disks, feed};

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
    /// How far back a sample reaches; 0 where it tells of its own moment alone.
    #[serde(default)]
    pub window_ms: i64,
}

impl Cadence {
    /// The rhythm of all signals that the runbook's probes make, at this speed, and of those of its disks and of the feed.
    pub fn of(runbook: &Runbook, speed: f64) -> Cadence {
        let signals = runbook.probes.iter().flat_map(|probe| {
            let rhythm = Rhythm::of(probe, speed);
            probe.signals().into_iter().map(move |s| (s, rhythm))
        });
        let disk = Rhythm {
            interval_ms: disks::ASK_EVERY_MS,
            time_limit_ms: disks::ANSWER_LIMIT_MS,
            window_ms: 0,
        };
        let disks = disks::signals(runbook).into_iter().map(|s| (s, disk));
        let lag = Rhythm {
            interval_ms: feed::TELL_EVERY_MS,
            time_limit_ms: feed::LATE_MS,
            window_ms: 0,
        };
        let lag = feed::signals(runbook).into_iter().map(|s| (s, lag));
        Cadence(signals.chain(disks).chain(lag).collect())
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
                window_ms: 0,
            })
    }
}

impl Rhythm {
    /// The rhythm of a probe at this speed: intervals are runbook time, time limits are not.
    pub fn of(probe: &Probe, speed: f64) -> Rhythm {
        Rhythm {
            interval_ms: probe.real_interval_ms(speed),
            time_limit_ms: probe.timeout_ms,
            window_ms: (probe.window_ms().unwrap_or_default() as f64 / speed) as i64,
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

    /// Whether a sample of this time came after a newer one. One from long before did not: the clock was set back.
    pub fn is_late(self, at_ms: i64, newest_ms: i64) -> bool {
        (1..=self.hold_ms()).contains(&(newest_ms - at_ms))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rhythm(interval_ms: i64, time_limit_ms: i64) -> Rhythm {
        Rhythm {
            interval_ms,
            time_limit_ms,
            window_ms: 0,
        }
    }

    /// A probe that may take longer than it is apart from the next one is late by that much; one that may take just as long is not.
    #[test]
    fn a_slow_probe_is_given_its_time() {
        assert_eq!(rhythm(5_000, 3_000).fresh_ms(), 7_500);
        assert_eq!(rhythm(5_000, 5_000).fresh_ms(), 7_500);
        assert_eq!(rhythm(5_000, 5_001).fresh_ms(), 10_001);
        assert_eq!(rhythm(100, 100).fresh_ms(), MIN_GAP_MS);
    }

    #[test]
    fn late_is_what_comes_after_a_newer_one_and_not_what_a_clock_was_set_back_to() {
        let rhythm = rhythm(5_000, 3_000);
        assert_eq!(rhythm.hold_ms(), 13_000);
        for (at_ms, is_late) in [
            (20_001, false),
            (20_000, false),
            (19_999, true),
            (7_000, true),
            (6_999, false),
        ] {
            assert_eq!(rhythm.is_late(at_ms, 20_000), is_late, "{at_ms}");
        }
    }
}
