//! How fast a step goes, and how long it will still take: from its progress, over the last seconds. Not in here: progress itself.

use std::collections::{BTreeMap, VecDeque};

use crate::journal::Progress;

/// Real milliseconds over which the rate is taken.
const WINDOW_MS: i64 = 10_000;
/// A rate over less than this dances.
const LEAST_MS: i64 = 800;

/// Progress of one step over the last seconds.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    of: Option<(String, u32)>,
    seen: Seen,
    /// The parts that are under way.
    parts: BTreeMap<String, Seen>,
    sum: Sum,
}

/// How much was done when, over the last seconds.
#[derive(Debug, Clone, Default)]
struct Seen(VecDeque<(i64, u64)>);

impl Seen {
    fn push(&mut self, now_ms: i64, done: u64) {
        if self.0.back().is_some_and(|(_, before)| done < *before) {
            self.0.clear();
        }
        self.0.push_back((now_ms, done));
        while self.0.len() > 2 && now_ms - self.0[1].0 > WINDOW_MS {
            self.0.pop_front();
        }
    }

    fn per_s(&self) -> Option<f64> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let took_ms = last.0 - first.0;
        (took_ms >= LEAST_MS).then(|| (last.1 - first.1) as f64 * 1_000.0 / took_ms as f64)
    }
}

/// A step's progress, summed over the parts that count the same unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// How much is done.
    pub done: u64,
    /// How much there is, where every part says so.
    pub total: Option<u64>,
    pub unit: String,
    /// The part that moved last.
    pub item: String,
}

impl Sum {
    /// The progress of a step; `None` where it reports none.
    pub fn of(step: &str, all: &[Progress]) -> Option<Sum> {
        let parts: Vec<&Progress> = all.iter().filter(|p| p.step == step).collect();
        let newest = parts.iter().max_by_key(|p| p.at_ms)?;
        let unit = &newest.unit;
        let same = || parts.iter().filter(|p| &p.unit == unit);
        Some(Sum {
            done: same().map(|p| p.done).fold(0, u64::saturating_add),
            total: same().try_fold(0u64, |sum, p| Some(sum.saturating_add(p.total?))),
            unit: unit.clone(),
            item: newest.item.clone(),
        })
    }

    /// How much of it is done, from 0 to 1.
    pub fn ratio(&self) -> Option<f64> {
        self.total
            .filter(|t| *t > 0)
            .map(|t| (self.done as f64 / t as f64).min(1.0))
    }
}

impl Pace {
    /// Takes in the progress of the step that moves now.
    pub fn observe(&mut self, moving: Option<(String, u32)>, all: &[Progress], now_ms: i64) {
        if self.of != moving {
            *self = Pace {
                of: moving.clone(),
                ..Pace::default()
            };
        }
        let Some((step, _)) = moving else { return };
        let Some(sum) = Sum::of(&step, all) else {
            return;
        };
        if self.sum.unit != sum.unit {
            self.seen = Seen::default();
            self.parts.clear();
        }
        self.seen.push(now_ms, sum.done);
        let mine = all.iter().filter(|p| p.step == step && p.unit == sum.unit);
        for part in mine {
            if part.done > 0 && part.total.is_some_and(|total| part.done < total) {
                let seen = self.parts.entry(part.item.clone()).or_default();
                seen.push(now_ms, part.done);
            } else {
                self.parts.remove(&part.item);
            }
        }
        self.sum = sum;
    }

    /// The step's progress as last seen.
    pub fn sum(&self, step: &str) -> Option<&Sum> {
        let mine = self.of.as_ref().is_some_and(|(s, _)| s == step);
        (mine && !self.seen.0.is_empty()).then_some(&self.sum)
    }

    /// Units per second, once that says something.
    pub fn per_s(&self) -> Option<f64> {
        self.seen.per_s()
    }

    /// Units per second of a part of a step that is under way.
    pub fn part_per_s(&self, step: &str, item: &str) -> Option<f64> {
        let mine = self.of.as_ref().is_some_and(|(s, _)| s == step);
        self.parts.get(item).filter(|_| mine)?.per_s()
    }

    /// Real milliseconds that are left at this rate.
    pub fn left_ms(&self) -> Option<i64> {
        let rate = self.per_s().filter(|r| *r > 0.0)?;
        let left = self.sum.total?.saturating_sub(self.sum.done);
        Some((left as f64 / rate * 1_000.0) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(item: &str, done: u64, total: Option<u64>, at_ms: i64) -> Progress {
        Progress {
            step: "D2".into(),
            item: item.into(),
            done,
            total,
            unit: "rows".into(),
            at_ms,
        }
    }

    #[test]
    fn tells_rate_and_time_left() {
        let mut pace = Pace::default();
        let moving = Some(("D2".to_owned(), 1));
        for second in 0..=20 {
            let all = [
                progress("Tools", second * 500, Some(20_000), second as i64 * 1_000),
                progress("Tags", 0, Some(1_000), 0),
            ];
            pace.observe(moving.clone(), &all, second as i64 * 1_000);
        }
        let sum = pace.sum("D2").expect("progress");
        assert_eq!(
            (sum.done, sum.total, sum.item.as_str()),
            (10_000, Some(21_000), "Tools")
        );
        assert_eq!(pace.per_s(), Some(500.0));
        assert_eq!(pace.left_ms(), Some(22_000));
        assert_eq!(pace.sum("D3"), None);
        assert_eq!(pace.part_per_s("D2", "Tools"), Some(500.0));
        assert_eq!(pace.part_per_s("D3", "Tools"), None);
        assert_eq!(pace.part_per_s("D2", "Tags"), None);
        let all = [progress("Tools", 20_000, Some(20_000), 40_000)];
        pace.observe(moving, &all, 40_000);
        assert_eq!(pace.part_per_s("D2", "Tools"), None);
    }

    #[test]
    fn another_attempt_begins_anew() {
        let mut pace = Pace::default();
        let all = [progress("Tools", 900, Some(1_000), 0)];
        pace.observe(Some(("D2".into(), 1)), &all, 0);
        pace.observe(
            Some(("D2".into(), 2)),
            &[progress("Tools", 10, None, 5)],
            5_000,
        );
        assert_eq!(pace.per_s(), None);
        assert_eq!(pace.left_ms(), None);
        assert_eq!(pace.sum("D2").expect("progress").ratio(), None);
    }
}
