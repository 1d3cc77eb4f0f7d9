//! Samples as the charts need them: by signal, by time, bounded. Not in here: judging them (the engine does that).

use std::collections::{BTreeMap, VecDeque};

use crate::cockpit::chart::Point;
use crate::cockpit::news::Reading;

/// Samples of a signal that are kept: an hour of one every second.
const KEPT: usize = 3_600;

/// Samples by signal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesSet {
    by_signal: BTreeMap<String, VecDeque<Point>>,
}

impl SeriesSet {
    /// The last of these samples, which are sorted by time.
    pub fn of<'a>(samples: impl Iterator<Item = (&'a str, &'a [Point])>) -> SeriesSet {
        let some = samples.filter(|(_, points)| !points.is_empty());
        let kept = some.map(|(signal, points)| {
            let first = points.len().saturating_sub(KEPT);
            (signal.to_owned(), points[first..].iter().copied().collect())
        });
        SeriesSet {
            by_signal: kept.collect(),
        }
    }

    /// How many samples there are, of all signals.
    pub fn samples(&self) -> usize {
        self.by_signal.values().map(VecDeque::len).sum()
    }

    /// Takes in a sample; one that comes late is put where it belongs.
    pub fn push(&mut self, sample: Reading) {
        let points = self.by_signal.entry(sample.signal).or_default();
        let at = points.partition_point(|(at_ms, _)| *at_ms <= sample.at_ms);
        points.insert(at, (sample.at_ms, sample.value));
        if points.len() > KEPT {
            points.pop_front();
        }
    }

    /// The last sample of a signal: `None` where there never was one, `Some(None)` where it had no data.
    pub fn last(&self, signal: &str) -> Option<Option<f64>> {
        self.by_signal.get(signal)?.back().map(|(_, v)| *v)
    }

    /// Takes in samples that came after all that it has of a signal.
    pub fn extend(&mut self, signal: &str, points: &[Point]) {
        if points.is_empty() {
            return;
        }
        if !self.by_signal.contains_key(signal) {
            self.by_signal.insert(signal.to_owned(), VecDeque::new());
        }
        if let Some(kept) = self.by_signal.get_mut(signal) {
            kept.extend(points);
            kept.drain(..kept.len().saturating_sub(KEPT));
        }
    }

    /// When the last sample of a signal was taken.
    pub fn last_ms(&self, signal: &str) -> Option<i64> {
        self.by_signal.get(signal)?.back().map(|(at, _)| *at)
    }

    /// Samples from this session time on.
    pub fn since(&self, signal: &str, from_ms: i64) -> Vec<Point> {
        let Some(points) = self.by_signal.get(signal) else {
            return Vec::new();
        };
        let start = points.partition_point(|(at_ms, _)| *at_ms < from_ms);
        points.range(start..).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_stays_bounded() {
        let mut set = SeriesSet::default();
        for at_ms in (0..5_000).chain([17]) {
            set.push(Reading {
                signal: "a".into(),
                at_ms,
                value: Some(1.0),
            });
        }
        let all = set.since("a", 0);
        assert_eq!(all.len(), KEPT);
        assert!(all.is_sorted_by_key(|(at, _)| *at));
        assert_eq!(set.since("a", 4_990).len(), 10);
        assert_eq!(set.last("b"), None);
    }
}
