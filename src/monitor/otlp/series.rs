//! What one reporter has told, series by series: gauges as they are, changes added up, counts as `lives` adds them up. Pure.
//!
//! Not in here: whose reporters are (`accounts`).

use std::collections::{BTreeMap, HashMap};

use super::lives::{Counts, is_later};
use super::points::{Point, Told};

/// Processes of one resource of which it is known when they told of a metric.
const STARTS: usize = 64;

/// A process, or one library of it.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    pub(super) heard_ms: i64,
    /// When it was first heard.
    pub(super) since_ms: i64,
    known: HashMap<String, Known>,
    pub(super) series: Series,
}

/// When a metric was first told of, in the application's time.
#[derive(Debug)]
struct Known {
    /// By anybody.
    first_ns: u64,
    /// By each process, known by when it began to count.
    by_start_ns: BTreeMap<u64, u64>,
}

/// By name and labels.
pub(super) type Series = BTreeMap<(String, String), Kept>;

/// What is kept of a series.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    /// It is told of as long as it is so: a pool that is gone is told of no more, though its process is.
    Gauge {
        time_ns: u64,
        value: f64,
        /// The session time at which it was last told of.
        heard_ms: i64,
    },
    /// The sum of its changes. Without a change nothing is told of it, so that it stands as long as its reporter is heard.
    Level { time_ns: u64, value: f64 },
    /// A counter or a histogram.
    Counts(Counts),
}

impl Kept {
    /// What it is now, if it is no count and was told of since then, by a reporter that was last heard at this time.
    pub(super) fn now(&self, reporter_ms: i64, since_ms: i64) -> Option<f64> {
        match self {
            Kept::Gauge {
                value, heard_ms, ..
            } => (*heard_ms >= since_ms).then_some(*value),
            Kept::Level { value, .. } => (reporter_ms >= since_ms).then_some(*value),
            Kept::Counts(_) => None,
        }
    }
}

impl Known {
    fn first_told(time_ns: u64) -> Known {
        Known {
            first_ns: time_ns,
            by_start_ns: BTreeMap::new(),
        }
    }

    /// Whether a series that is new to us has counted only since we were told of others: it began since, or its process told of others before.
    /// What another worker of the same resource has may be as old as that worker.
    fn is_recent(&mut self, start_ns: u64, time_ns: u64) -> bool {
        if start_ns == 0 {
            return time_ns > self.first_ns;
        }
        let told_ns = self.by_start_ns.get(&start_ns).copied();
        if told_ns.is_none() && self.by_start_ns.len() < STARTS {
            self.by_start_ns.insert(start_ns, time_ns);
        }
        start_ns >= self.first_ns || told_ns.is_some_and(|told_ns| time_ns > told_ns)
    }
}

impl Reporter {
    /// One that is heard for the first time.
    pub(super) fn first_heard(at_ms: i64) -> Reporter {
        Reporter {
            since_ms: at_ms,
            ..Reporter::default()
        }
    }

    /// Takes a point in that came when the reporter was last heard.
    pub(super) fn put(&mut self, series: (String, String), point: Point, began_ns: u64) {
        let known = self.known.entry(point.name.clone());
        let known = known.or_insert_with(|| Known::first_told(point.time_ns));
        let is_recent =
            known.is_recent(point.start_ns, point.time_ns) || point.start_ns >= began_ns;
        let (start_ns, time_ns) = (point.start_ns, point.time_ns);
        match (self.series.get_mut(&series), point.told) {
            (
                Some(Kept::Gauge {
                    time_ns: before_ns,
                    value,
                    heard_ms,
                }),
                Told::Now(now),
            ) => {
                *heard_ms = self.heard_ms;
                if time_ns >= *before_ns {
                    (*before_ns, *value) = (time_ns, now);
                }
            }
            (
                Some(Kept::Level {
                    time_ns: before_ns,
                    value,
                }),
                Told::Changed(by),
            ) => {
                if is_later(time_ns, *before_ns) {
                    (*before_ns, *value) = (time_ns, *value + by);
                }
            }
            (Some(Kept::Counts(counts)), Told::Counted(counted)) => {
                counts.put(counted, start_ns, time_ns, began_ns);
            }
            (_, Told::Now(value)) => {
                let heard_ms = self.heard_ms;
                let gauge = Kept::Gauge {
                    time_ns,
                    value,
                    heard_ms,
                };
                self.series.insert(series, gauge);
            }
            (_, Told::Changed(value)) => {
                self.series.insert(series, Kept::Level { time_ns, value });
            }
            (_, Told::Counted(counted)) => {
                let counts = Counts::begin(counted, start_ns, time_ns, is_recent);
                self.series.insert(series, Kept::Counts(counts));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_as_old_as_its_process_unless_that_told_of_others_before() {
        let mut known = Known::first_told(110);
        for (start_ns, time_ns, is_recent) in [
            // What comes first may have been counted long ago; what the same process adds later was not.
            (10, 110, false),
            (10, 110, false),
            (10, 120, true),
            // Another worker.
            (12, 121, false),
            (12, 131, true),
            // Some say of each series when it began.
            (125, 131, true),
            // Nothing tells but that others were there before.
            (0, 140, true),
        ] {
            let told = known.is_recent(start_ns, time_ns);
            assert_eq!(told, is_recent, "{start_ns} {time_ns}");
        }
    }
}
