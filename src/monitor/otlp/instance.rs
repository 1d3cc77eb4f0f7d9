//! What the reporters of one instance have sent, added up to a page as its own exporter would have made it. Pure: times come in as values.
//!
//! An instance of which something was refused for lack of room has no page any more: sums over a part of its series would be wrong.
//!
//! Not in here: which instance it is (`accounts`), one reporter's series (`series`, `lives`), and what a page means (`monitor::metrics`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::accounts::Refused;
use super::lives::Sums;
use super::points::Point;
use super::series::{Kept, Reporter};
use crate::format::span;
use crate::monitor::Stage;

/// Series of one instance that are kept at most.
const SERIES: usize = 20_000;
/// Reporters of one instance that are told apart at most: each of its processes is one.
const REPORTERS: usize = 500;
/// A reporter that says nothing for so long is gone; what it counted stays counted.
const GONE_MS: i64 = 10 * 60_000;

/// Of an instance that was never heard.
pub(super) const NOTHING_YET: &str = "has sent nothing yet";

/// One instance, all of its processes.
#[derive(Debug, Default)]
pub(super) struct Instance {
    reporters: HashMap<u64, Reporter>,
    /// Of reporters that are gone, by name and labels.
    gone: BTreeMap<(String, String), Sums>,
    /// When it last sent metrics.
    heard_ms: Option<i64>,
    /// When it last sent a log record.
    logged_ms: Option<i64>,
    /// Where maintenance stood when it last sent metrics.
    stage: Stage,
    /// What there was no room for.
    overflowed: Option<String>,
}

impl Instance {
    /// It has sent metrics at this session time.
    pub(super) fn heard(&mut self, at_ms: i64, stage: Stage) {
        self.heard_ms = Some(at_ms);
        self.stage = stage;
    }

    /// It has sent a log record at this session time.
    pub(super) fn logged(&mut self, at_ms: i64) {
        self.logged_ms = Some(at_ms);
    }

    pub(super) fn has_logged(&self) -> bool {
        self.logged_ms.is_some()
    }

    /// Whether anything at all is heard of it.
    ///
    /// # Errors
    /// Neither metrics nor logs, for too long, or ever; in words.
    pub(super) fn is_alive(&self, at_ms: i64, silent_ms: i64) -> Result<(), String> {
        is_heard(self.heard_ms.max(self.logged_ms), at_ms, silent_ms)
    }

    /// Its page, and where maintenance stood when it last sent metrics.
    ///
    /// # Errors
    /// It has sent none for longer than it may, or more than there is room for; in words.
    pub(super) fn page(&mut self, at_ms: i64, silent_ms: i64) -> Result<(Stage, String), String> {
        is_heard(self.heard_ms, at_ms, silent_ms)?;
        self.retire(at_ms);
        match &self.overflowed {
            Some(why) => Err(why.clone()),
            None => Ok((self.stage, self.text(at_ms - silent_ms))),
        }
    }

    /// Takes points of one reporter in; `began_ns` is when we began to listen.
    pub(super) fn put(
        &mut self,
        key: u64,
        points: Vec<Point>,
        at_ms: i64,
        began_ns: u64,
        refused: &mut Refused,
    ) {
        if points.is_empty() {
            return;
        }
        let kept: usize = self.reporters.values().map(|one| one.series.len()).sum();
        if self.reporters.len() >= REPORTERS && !self.reporters.contains_key(&key) {
            let why = self.overflow(REPORTERS, "reporters");
            return refused.add(points.len() as i64, Some(why));
        }
        let reporter = self.reporters.entry(key);
        let reporter = reporter.or_insert_with(|| Reporter::first_heard(at_ms));
        reporter.heard_ms = at_ms;
        let mut without_room = 0;
        let mut room = SERIES.saturating_sub(kept);
        for point in points {
            let series = (point.name.clone(), point.labels.clone());
            if !reporter.series.contains_key(&series) {
                if room == 0 {
                    without_room += 1;
                    continue;
                }
                room -= 1;
            }
            reporter.put(series, point, began_ns);
        }
        if without_room > 0 {
            let why = self.overflow(SERIES, "series");
            refused.add(without_room, Some(why));
        }
    }

    /// Remembers that there are more of these than there is room for; the words for the application's own log.
    fn overflow(&mut self, limit: usize, of_what: &str) -> String {
        let why = format!("has had more than {limit} {of_what}, so that its sums are not whole");
        self.overflowed.get_or_insert(why);
        format!("one instance has more than {limit} {of_what}")
    }

    /// Reporters that are gone leave what they counted.
    fn retire(&mut self, at_ms: i64) {
        let is_gone = |reporter: &Reporter| at_ms - reporter.heard_ms > GONE_MS;
        let mut without_room = false;
        let (gone, reporters) = (&mut self.gone, &mut self.reporters);
        for (_, reporter) in reporters.extract_if(|_, reporter| is_gone(reporter)) {
            for (series, kept) in reporter.series {
                let Kept::Counts(counts) = kept else {
                    continue;
                };
                match gone.len() < SERIES || gone.contains_key(&series) {
                    true => joined(gone, series, &counts.sums),
                    false => without_room = true,
                }
            }
        }
        if without_room {
            self.overflow(SERIES, "series of processes that are gone");
        }
    }

    /// The sums over its reporters; gauges of those alone that were told of since. Where histograms differ in their bounds, those of the
    /// reporter that began last have buckets on the page: each time that others had them, all that they hold would look new.
    fn text(&self, since_ms: i64) -> String {
        let mut gauges: BTreeMap<&(String, String), f64> = BTreeMap::new();
        let mut counts: BTreeMap<&(String, String), Sums> = BTreeMap::new();
        let mut reporters: Vec<(&u64, &Reporter)> = self.reporters.iter().collect();
        reporters.sort_by_key(|(key, reporter)| (Reverse(reporter.since_ms), **key));
        for (_, reporter) in reporters {
            for (series, kept) in &reporter.series {
                if let Kept::Counts(kept) = kept {
                    joined(&mut counts, series, &kept.sums);
                } else if let Some(value) = kept.now(reporter.heard_ms, since_ms) {
                    *gauges.entry(series).or_default() += value;
                }
            }
        }
        for (series, sums) in &self.gone {
            joined(&mut counts, series, sums);
        }
        let mut text = String::new();
        for ((name, labels), value) in gauges {
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
        for ((name, labels), sums) in &counts {
            sums.write(&mut text, name, labels);
        }
        text
    }
}

/// Adds what one reporter counted to what stands there.
fn joined<K: Ord>(counts: &mut BTreeMap<K, Sums>, series: K, sums: &Sums) {
    let entry = counts.entry(series);
    entry
        .and_modify(|all| all.add(sums))
        .or_insert_with(|| sums.clone());
}

/// Whether whoever was last heard then is heard still.
///
/// # Errors
/// Nothing was heard for too long, or ever; in words.
fn is_heard(heard_ms: Option<i64>, at_ms: i64, silent_ms: i64) -> Result<(), String> {
    match heard_ms.map(|heard_ms| at_ms - heard_ms) {
        None => Err(NOTHING_YET.to_owned()),
        Some(for_ms) if for_ms > silent_ms => Err(format!("has sent nothing for {}", span(for_ms))),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::points::{Counted, Told};
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn point(start_s: u64, time_s: u64, is_delta: bool, counts: &[f64]) -> Point {
        Point {
            name: "x".to_owned(),
            labels: String::new(),
            start_ns: start_s * SECOND,
            time_ns: time_s * SECOND,
            told: Told::Counted(Counted {
                is_delta,
                is_histogram: counts.len() > 1,
                bounds: (1..counts.len()).map(|n| n as f64).collect(),
                counts: counts.to_vec(),
            }),
        }
    }

    /// The page after each of these points of one series; listening began at 100 s.
    fn pages(points: Vec<(u64, Point)>) -> Vec<String> {
        let mut instance = Instance::default();
        let after = |(reporter, point)| {
            let mut refused = Refused::default();
            instance.put(reporter, vec![point], 0, 100 * SECOND, &mut refused);
            assert_eq!(refused, Refused::default());
            instance.text(0)
        };
        points.into_iter().map(after).collect()
    }

    #[test]
    fn a_process_that_begins_anew_counts_on() {
        let told = pages(vec![
            (1, point(10, 110, false, &[500.0])),
            (1, point(10, 120, false, &[520.0])),
            // Its first point after a restart has more than the last one before: only the start time tells.
            (1, point(125, 130, false, &[600.0])),
            (1, point(125, 140, false, &[601.0])),
            // No start time at all: the number tells.
            (1, point(0, 150, false, &[1.0])),
        ]);
        let numbers = ["0", "20", "620", "621", "622"].map(|n| format!("x{{}} {n}\n"));
        assert_eq!(told, numbers);
    }

    #[test]
    fn a_start_that_jitters_is_no_restart() {
        let told = pages(vec![
            (1, point(101, 110, false, &[5.0])),
            (1, point(102, 120, false, &[7.0])),
        ]);
        assert_eq!(told[1], "x{} 7\n");
    }

    #[test]
    fn deltas_add_up_and_processes_of_one_instance_too() {
        let told = pages(vec![
            (1, point(0, 110, true, &[5.0, 1.0])),
            (1, point(0, 120, true, &[2.0, 0.0])),
            (2, point(110, 120, false, &[10.0, 0.0])),
        ]);
        assert_eq!(
            told[2],
            "x_bucket{le=\"1\"} 17\nx_bucket{le=\"+Inf\"} 18\nx_count{} 18\n"
        );
    }

    #[test]
    fn a_reporter_that_is_gone_leaves_what_it_counted() {
        let mut instance = Instance::default();
        let put = |instance: &mut Instance, reporter, at_ms, told| {
            let of = Point {
                told,
                ..point(101, 110, false, &[4.0])
            };
            instance.put(reporter, vec![of], at_ms, 0, &mut Refused::default());
        };
        let four = point(101, 110, false, &[4.0]).told;
        put(&mut instance, 1, 0, four.clone());
        put(&mut instance, 2, GONE_MS + 1, four);
        instance.retire(GONE_MS + 1);
        assert_eq!(instance.reporters.len(), 1);
        assert_eq!(instance.text(0), "x{} 8\n");
    }

    /// A gauge, or what a delta says of one, in one pool.
    fn of_pool(pool: &str, time_s: u64, told: Told) -> Point {
        Point {
            name: "pool".to_owned(),
            labels: format!("pool=\"{pool}\""),
            told,
            ..point(101, time_s, false, &[0.0])
        }
    }

    #[test]
    fn a_gauge_that_its_reporter_tells_of_no_more_is_gone_and_a_sum_of_changes_is_not() {
        let mut instance = Instance::default();
        let mut put = |at_ms, points: Vec<Point>| {
            let mut refused = Refused::default();
            instance.put(1, points, at_ms, 100 * SECOND, &mut refused);
            instance.text(at_ms - 25_000)
        };
        let former = of_pool("sqlite", 110, Told::Now(5.0));
        let changed = of_pool("level", 110, Told::Changed(2.0));
        put(0, vec![former, changed]);
        let with_both = put(20_000, vec![of_pool("pg", 130, Told::Now(1.0))]);
        assert_eq!(
            with_both,
            "pool{pool=\"level\"} 2\npool{pool=\"pg\"} 1\npool{pool=\"sqlite\"} 5\n"
        );
        let without = put(40_000, vec![of_pool("pg", 150, Told::Now(3.0))]);
        assert_eq!(without, "pool{pool=\"level\"} 2\npool{pool=\"pg\"} 3\n");
    }

    #[test]
    fn what_there_was_no_room_for_leaves_no_sums() {
        let mut instance = Instance::default();
        let mut refused = Refused::default();
        instance.heard(0, Stage::Usual);
        let named = |n: usize| Point {
            labels: n.to_string(),
            ..point(101, 110, false, &[1.0])
        };
        let all = (0..SERIES).map(named).collect();
        instance.put(1, all, 0, 0, &mut refused);
        assert_eq!(refused, Refused::default());
        assert!(instance.page(0, 1).is_ok());
        instance.put(1, vec![named(SERIES), named(0)], 0, 0, &mut refused);
        assert_eq!(refused.count, 1);
        let why = instance.page(0, 1).expect_err("it is not whole");
        assert!(why.contains("more than 20000 series"), "{why}");
        // The same of what those that are gone have left.
        let later_ms = 2 * GONE_MS;
        instance.overflowed = None;
        instance.retire(later_ms);
        assert_eq!((instance.gone.len(), &instance.overflowed), (SERIES, &None));
        instance.put(2, vec![named(SERIES)], later_ms, 0, &mut refused);
        instance.retire(2 * later_ms);
        assert_eq!(instance.gone.len(), SERIES);
        assert!(instance.overflowed.is_some());
    }

    #[test]
    fn histograms_of_other_bounds_are_in_the_count_and_those_of_the_newest_reporter_have_buckets() {
        let mut instance = Instance::default();
        let mut put = |reporter, at_ms, bound: f64| {
            let told = Told::Counted(Counted {
                is_delta: true,
                is_histogram: true,
                bounds: vec![bound],
                counts: vec![1.0, 2.0],
            });
            let of = Point {
                told,
                ..point(101, 110, true, &[0.0])
            };
            instance.put(reporter, vec![of], at_ms, 0, &mut Refused::default());
            instance.text(0)
        };
        put(1, 0, 0.5);
        put(2, 1, 0.25);
        assert_eq!(
            put(3, 2, 0.5),
            "x_bucket{le=\"0.5\"} 2\nx_bucket{le=\"+Inf\"} 6\nx_count{} 9\n"
        );
    }
}
