//! What the fleet has counted within a sliding window, and what comes of it. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::monitor::metrics::NOT_EXPOSED;
use crate::monitor::metrics::scrape::Lacking;
use crate::monitor::tally::Tally;
use crate::runbook::Figure;
use crate::trigger::Reading;

/// Upper bound of a bucket, in seconds; ordered, infinity last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Le(f64);

impl Le {
    /// `0.25`, `+Inf`.
    pub fn parse(text: &str) -> Option<Le> {
        let bound: f64 = text.parse().ok()?;
        (!bound.is_nan()).then_some(Le(bound))
    }

    /// The same bound of durations of which so many are a second.
    pub fn in_seconds(self, per_second: f64) -> Le {
        Le(self.0 / per_second)
    }
}

impl Eq for Le {}

impl Ord for Le {
    fn cmp(&self, other: &Le) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Le {
    fn partial_cmp(&self, other: &Le) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What has been counted between two looks, summed over series and instances.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Increment {
    pub requests: f64,
    /// Answered 4xx.
    pub client_errors: f64,
    /// Those that the share of 5xx is over: all, less maintenance's and what was counted before its end.
    pub judged: f64,
    /// Of these, answered 5xx.
    pub server_errors: f64,
    /// Requests that waited for a connection in vain; `None` where nobody counts them.
    pub pool_timeouts: Option<f64>,
    /// What series lacked, so that the sums are not whole.
    pub lacking: BTreeSet<Lacking>,
    /// Figures that somebody tells: where nothing was counted of them, there was nothing.
    pub told: BTreeSet<Figure>,
    /// Where those answered 5xx were asked for; nothing judges it.
    pub failed_at: Tally,
    /// Cumulative counts by bound, and how many histograms each bound stands for.
    buckets: BTreeMap<Le, (f64, u64)>,
}

impl Increment {
    /// Requests answered with a status of this class.
    pub fn count(&mut self, class: u8, grown: f64) {
        self.count_unjudged(class, grown);
        self.judged += grown;
        if class == 5 {
            self.server_errors += grown;
        }
    }

    /// The same, of which the share of 5xx is not to know.
    pub fn count_unjudged(&mut self, class: u8, grown: f64) {
        self.requests += grown;
        if class == 4 {
            self.client_errors += grown;
        }
    }

    /// A histogram's bucket.
    pub fn fill(&mut self, le: Le, grown: f64) {
        let (count, histograms) = self.buckets.entry(le).or_default();
        *count += grown;
        *histograms += 1;
    }

    /// The sum of both.
    pub fn add(&mut self, other: &Increment) {
        self.requests += other.requests;
        self.client_errors += other.client_errors;
        self.judged += other.judged;
        self.server_errors += other.server_errors;
        if let Some(timeouts) = other.pool_timeouts {
            *self.pool_timeouts.get_or_insert(0.0) += timeouts;
        }
        self.lacking.extend(other.lacking.iter().cloned());
        self.told.extend(&other.told);
        self.failed_at.merge(&other.failed_at);
        for (le, (grown, of)) in &other.buckets {
            let (count, histograms) = self.buckets.entry(*le).or_default();
            *count += grown;
            *histograms += of;
        }
    }

    /// The quantile of the merged histograms, in seconds, by linear interpolation within its bucket, and the number of requests
    /// behind it. Beyond the last finite bound it is that bound.
    pub fn quantile(&self, q: f64) -> Result<(f64, u64), &'static str> {
        let mut histograms = self.buckets.values().map(|(_, n)| n);
        let first =
            histograms
                .next()
                .ok_or_else(|| match self.told.contains(&Figure::Latency) {
                    true => "no request was timed",
                    false => "no instance exposes latencies",
                })?;
        if histograms.any(|n| n != first) {
            return Err("histograms with different buckets cannot be merged");
        }
        let (last, (total, _)) = self.buckets.last_key_value().ok_or("no buckets")?;
        if last.0 != f64::INFINITY {
            return Err("the latency histogram has no bucket for +Inf");
        }
        if *total <= 0.0 {
            return Err("no request was timed");
        }
        let rank = q * total;
        let (mut lower, mut below) = (0.0, 0.0);
        for (le, (count, _)) in &self.buckets {
            let count = count.max(below);
            if count >= rank && le.0.is_finite() {
                let share = if count > below {
                    (rank - below) / (count - below)
                } else {
                    1.0
                };
                return Ok((lower + (le.0 - lower) * share, *total as u64));
            }
            if le.0.is_finite() {
                (lower, below) = (le.0, count);
            }
        }
        Ok((lower, *total as u64))
    }
}

/// The increments of the last so many real milliseconds.
#[derive(Debug, Clone)]
pub struct Window {
    length_ms: i64,
    /// Rounds closer together than this are kept as one.
    grain_ms: i64,
    rounds: VecDeque<(i64, Increment)>,
}

impl Window {
    pub fn new(length_ms: i64) -> Window {
        Window {
            length_ms,
            grain_ms: 0,
            rounds: VecDeque::new(),
        }
    }

    /// An empty one that keeps about so many rounds and no more, however often something is pushed: where there are hundreds of windows.
    /// What it tells is the same but for its length, which is longer by one round at most.
    pub fn coarse(length_ms: i64, rounds: i64) -> Window {
        Window {
            grain_ms: length_ms / rounds.max(1),
            ..Window::new(length_ms)
        }
    }

    /// What was counted up to this time. What has left the window goes; what comes from a clock that was set back clears it.
    pub fn push(&mut self, at_ms: i64, increment: Increment) {
        if self.rounds.back().is_some_and(|(last, _)| *last > at_ms) {
            self.rounds.clear();
        }
        let beside = self.rounds.len().checked_sub(2).map(|n| self.rounds[n].0);
        match self.rounds.back_mut() {
            Some((last_ms, last)) if beside.is_some_and(|ms| at_ms - ms <= self.grain_ms) => {
                *last_ms = at_ms;
                last.add(&increment);
            }
            _ => self.rounds.push_back((at_ms, increment)),
        }
        while let Some((oldest_ms, _)) = self.rounds.front()
            && *oldest_ms <= at_ms - self.length_ms
        {
            self.rounds.pop_front();
        }
    }

    /// Everything counted within the window.
    pub fn sum(&self) -> Increment {
        let mut sum = Increment::default();
        self.rounds.iter().for_each(|(_, i)| sum.add(i));
        sum
    }

    /// The signals that come of it.
    pub fn readings(&self) -> Vec<(&'static str, Reading)> {
        let sum = self.sum();
        let lacks = |figure: Figure| {
            sum.lacking
                .iter()
                .find(|l| l.figure() == figure)
                .map(Lacking::words)
        };
        let requests = |reading: Reading| match lacks(Figure::Requests) {
            Some(why) => Reading::no_data(why),
            None => reading,
        };
        // Over no request it is no failure to see something: the rules find too few.
        let share = |part: f64, of: f64| match of as u64 {
            0 if !sum.told.contains(&Figure::Requests) => not_exposed(Figure::Requests),
            0 => Reading::over(0.0, Some(0)),
            n => Reading::over(part / of, Some(n)),
        };
        let quantile = |q: f64| match (lacks(Figure::Latency), sum.quantile(q)) {
            (Some(why), _) => Reading::no_data(why),
            (None, Ok((seconds, n))) => Reading::over(seconds * 1_000.0, Some(n)),
            (None, Err(why)) => Reading::no_data(why),
        };
        vec![
            (
                "http_5xx_ratio",
                requests(share(sum.server_errors, sum.judged)),
            ),
            (
                "http_4xx_ratio",
                requests(share(sum.client_errors, sum.requests)),
            ),
            ("requests_per_s", requests(self.per_second(sum.requests))),
            ("latency_p50_ms", quantile(0.50)),
            ("latency_p95_ms", quantile(0.95)),
            ("latency_p99_ms", quantile(0.99)),
            (
                "pool_timeouts",
                sum.pool_timeouts
                    .map_or_else(|| not_exposed(Figure::PoolTimeouts), Reading::value),
            ),
        ]
    }

    /// By real time, over what the rounds cover: each holds what was counted since the one before it.
    fn per_second(&self, requests: f64) -> Reading {
        let (Some((first_ms, first)), Some((last_ms, _))) =
            (self.rounds.front(), self.rounds.back())
        else {
            return Reading::no_data("nothing was counted yet");
        };
        match last_ms - first_ms {
            0 => Reading::no_data("it has been counted only once"),
            covered_ms => Reading::value((requests - first.requests) * 1_000.0 / covered_ms as f64),
        }
    }
}

fn not_exposed(figure: Figure) -> Reading {
    Reading::no_data(format!("{NOT_EXPOSED} {}", figure.plain_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: &[(&str, f64)]) -> Increment {
        let mut increment = Increment::default();
        for (le, count) in counts {
            increment.fill(Le::parse(le).expect("a bound"), *count);
        }
        increment
    }

    #[test]
    fn quantiles_are_merged_never_averaged() {
        let mut fleet = histogram(&[("0.1", 90.0), ("1", 90.0), ("+Inf", 90.0)]);
        fleet.add(&histogram(&[("0.1", 0.0), ("1", 10.0), ("+Inf", 10.0)]));
        assert_eq!(fleet.quantile(0.90), Ok((0.1, 100)));
        let (p95, _) = fleet.quantile(0.95).expect("a quantile");
        assert!((p95 - 0.55).abs() < 1e-9, "{p95}");
    }

    #[test]
    fn what_no_quantile_can_be_said_of() {
        let mut mixed = histogram(&[("0.1", 1.0), ("+Inf", 2.0)]);
        mixed.add(&histogram(&[("0.2", 1.0), ("+Inf", 2.0)]));
        assert!(mixed.quantile(0.5).is_err());
        assert!(histogram(&[("0.1", 1.0)]).quantile(0.5).is_err());
        assert!(
            histogram(&[("0.1", 0.0), ("+Inf", 0.0)])
                .quantile(0.5)
                .is_err()
        );
        assert!(Increment::default().quantile(0.5).is_err());
        let slow = histogram(&[("0.1", 1.0), ("5", 2.0), ("+Inf", 100.0)]);
        assert_eq!(slow.quantile(0.95), Ok((5.0, 100)));
    }

    #[test]
    fn a_coarse_window_tells_the_same_from_a_few_rounds() {
        let (mut fine, mut coarse) = (Window::new(60_000), Window::coarse(60_000, 20));
        for second in 0..600 {
            let mut one = histogram(&[("0.1", 9.0), ("+Inf", 10.0)]);
            (0..10).for_each(|n| one.count(if n == 0 && second % 2 == 0 { 5 } else { 2 }, 1.0));
            fine.push(second * 1_000, one.clone());
            coarse.push(second * 1_000, one);
            assert!(coarse.rounds.len() <= 22, "{}", coarse.rounds.len());
        }
        assert_eq!(fine.rounds.len(), 60);
        let share = |window: &Window| {
            let sum = window.sum();
            (sum.server_errors / sum.requests * 100.0).round()
        };
        assert_eq!((share(&fine), share(&coarse)), (5.0, 5.0));
        let rate = |window: &Window| window.per_second(window.sum().requests).number();
        assert_eq!((rate(&fine), rate(&coarse)), (Some(10.0), Some(10.0)));
        assert_eq!(
            fine.sum().quantile(0.9).map(|(s, _)| s),
            coarse.sum().quantile(0.9).map(|(s, _)| s)
        );
    }

    #[test]
    fn what_is_old_leaves_and_a_clock_set_back_clears() {
        let mut window = Window::new(60_000);
        let one = |n: f64| Increment {
            requests: n,
            ..Increment::default()
        };
        window.push(0, one(1.0));
        window.push(30_000, one(2.0));
        window.push(60_000, one(4.0));
        assert_eq!(window.sum().requests, 6.0);
        window.push(10_000, one(8.0));
        assert_eq!(window.sum().requests, 8.0);
    }
}
