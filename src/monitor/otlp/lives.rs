//! What a counter or a histogram has counted since we began to listen, whatever its temporality and however many processes tell of it under
//! one name. Pure.
//!
//! Workers that one resource describes are told apart by when each began to count, which every point says: a start that is known goes on from
//! what that process said before. A process that began after the newest point counts from zero. What another one counted before we listened
//! counts for nothing, as it does for the first.
//!
//! Not in here: whose series it is (`series`), and which instance's (`accounts`).

use std::fmt::Write as _;

use super::points::Counted;

/// Processes of one series that are told apart at most; the one that was not heard for longest is forgotten.
const LIVES: usize = 64;
/// Some exporters work the start out anew for each point, from clocks that are no better than this.
const START_JITTER_NS: u64 = 2_000_000_000;

/// A counter or a histogram.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    /// Never empty.
    lives: Vec<Life>,
    /// Since we began to listen.
    pub(super) sums: Sums,
}

/// What one process last said.
#[derive(Debug, Clone)]
struct Life {
    /// 0 where it is not said.
    start_ns: u64,
    time_ns: u64,
    /// By bucket.
    last: Vec<f64>,
}

/// Counts that can be added up.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    is_histogram: bool,
    bounds: Vec<f64>,
    /// By bucket.
    total: Vec<f64>,
    /// What was counted in buckets with other bounds.
    elsewhere: f64,
}

/// Where a point belongs.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The life with this number goes on.
    Life(usize),
    /// A process that is not known.
    New {
        /// Whether all that it counted was counted since we began to listen.
        is_whole: bool,
    },
    /// It was told before.
    Old,
}

impl Counts {
    /// The first point of a series. Of a cumulative one that is not recent nothing counts.
    pub(super) fn begin(counted: Counted, start_ns: u64, time_ns: u64, is_recent: bool) -> Counts {
        let total = match is_recent || counted.is_delta {
            true => counted.counts.clone(),
            false => vec![0.0; counted.counts.len()],
        };
        Counts {
            lives: vec![Life {
                start_ns,
                time_ns,
                last: counted.counts,
            }],
            sums: Sums {
                is_histogram: counted.is_histogram,
                bounds: counted.bounds,
                total,
                elsewhere: 0.0,
            },
        }
    }

    /// A later point. Times are the application's, in nanoseconds; `began_ns` is when we began to listen.
    pub(super) fn put(&mut self, counted: Counted, start_ns: u64, time_ns: u64, began_ns: u64) {
        if counted.bounds != self.sums.bounds {
            let newest_ns = self.lives.iter().map(|life| life.time_ns).max();
            if is_later(time_ns, newest_ns.unwrap_or_default()) {
                self.change_bounds(counted, start_ns, time_ns);
            }
            return;
        }
        match place(&self.lives, &counted, start_ns, time_ns, began_ns) {
            Place::Life(n) => self.go_on(n, counted, start_ns, time_ns),
            Place::New { is_whole } => {
                if is_whole {
                    self.sums.count(&counted.counts, None);
                }
                self.remember(Life {
                    start_ns,
                    time_ns,
                    last: counted.counts,
                });
            }
            Place::Old => {}
        }
    }

    /// Other buckets: what was counted in the former ones is in no bucket any more.
    fn change_bounds(&mut self, counted: Counted, start_ns: u64, time_ns: u64) {
        let elsewhere = self.sums.elsewhere + sum(&self.sums.total);
        *self = Counts::begin(counted, start_ns, time_ns, true);
        self.sums.elsewhere = elsewhere;
    }

    fn go_on(&mut self, n: usize, counted: Counted, start_ns: u64, time_ns: u64) {
        let life = &mut self.lives[n];
        let is_whole = counted.is_delta || sum(&counted.counts) < sum(&life.last);
        let before = (!is_whole).then_some(life.last.as_slice());
        self.sums.count(&counted.counts, before);
        life.time_ns = time_ns;
        life.last = counted.counts;
        if start_ns > 0 {
            life.start_ns = start_ns;
        }
    }

    fn remember(&mut self, life: Life) {
        self.lives.push(life);
        if self.lives.len() > LIVES {
            let by_time = |n: &usize| self.lives[*n].time_ns;
            let oldest = (0..self.lives.len()).min_by_key(by_time);
            if let Some(oldest) = oldest {
                self.lives.remove(oldest);
            }
        }
    }
}

/// Where a point belongs among the lives of its series.
fn place(lives: &[Life], counted: &Counted, start_ns: u64, time_ns: u64, began_ns: u64) -> Place {
    let Some((newest, life)) = lives.iter().enumerate().max_by_key(|(_, l)| l.time_ns) else {
        return Place::New { is_whole: false };
    };
    if !counted.is_delta && start_ns > 0 {
        if let Some(n) = lives.iter().position(|life| life.start_ns == start_ns) {
            return match is_later(time_ns, lives[n].time_ns) {
                true => Place::Life(n),
                false => Place::Old,
            };
        }
        if start_ns >= life.time_ns {
            return Place::New { is_whole: true };
        }
        let is_near = start_ns.abs_diff(life.start_ns) <= START_JITTER_NS;
        let is_another = match is_near {
            true => is_later(time_ns, life.time_ns) && sum(&counted.counts) < sum(&life.last),
            false => life.start_ns > 0,
        };
        if is_another {
            let is_whole = start_ns >= began_ns;
            return Place::New { is_whole };
        }
    }
    match is_later(time_ns, life.time_ns) {
        true => Place::Life(newest),
        false => Place::Old,
    }
}

/// Whether a point is another than the one before: an export that is sent again has the same time.
pub(super) fn is_later(time_ns: u64, before_ns: u64) -> bool {
    time_ns == 0 || time_ns > before_ns
}

fn sum(counts: &[f64]) -> f64 {
    counts.iter().sum()
}

impl Sums {
    /// What these counts have grown by; from zero where there are none before.
    fn count(&mut self, counts: &[f64], before: Option<&[f64]>) {
        for (n, count) in counts.iter().enumerate() {
            let before = before.map_or(0.0, |before| before[n]);
            self.total[n] += (count - before).max(0.0);
        }
    }

    /// Adds others. Where they have other bounds, only how many there were can be added.
    pub(super) fn add(&mut self, other: &Sums) {
        self.elsewhere += other.elsewhere;
        if other.bounds != self.bounds {
            self.elsewhere += sum(&other.total);
            return;
        }
        for (total, count) in self.total.iter_mut().zip(&other.total) {
            *total += count;
        }
    }

    pub(super) fn write(&self, text: &mut String, name: &str, labels: &str) {
        let in_buckets = sum(&self.total);
        let total = in_buckets + self.elsewhere;
        if !self.is_histogram {
            let _ = writeln!(text, "{name}{{{labels}}} {total}");
            return;
        }
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below = 0.0;
        for (bound, count) in self.bounds.iter().zip(&self.total) {
            below += count;
            let _ = writeln!(
                text,
                "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}"
            );
        }
        // One without bounds tells how many there were, and nothing of how long they took.
        if !self.bounds.is_empty() {
            let _ = writeln!(
                text,
                "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {in_buckets}"
            );
        }
        let _ = writeln!(text, "{name}_count{{{labels}}} {total}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const BEGAN_S: u64 = 100;

    fn counted(bounds: &[f64], counts: &[f64]) -> Counted {
        Counted {
            is_delta: false,
            is_histogram: !bounds.is_empty(),
            bounds: bounds.to_vec(),
            counts: counts.to_vec(),
        }
    }

    /// What stands on the page after each point of one counter: start, time (in seconds) and count. The first began before we listened.
    fn totals(points: &[(u64, u64, f64)]) -> Vec<f64> {
        let mut series: Option<Counts> = None;
        let after = |&(start_s, time_s, count): &(u64, u64, f64)| {
            let (start_ns, time_ns) = (start_s * SECOND, time_s * SECOND);
            let point = counted(&[], &[count]);
            match &mut series {
                None => series = Some(Counts::begin(point, start_ns, time_ns, false)),
                Some(counts) => counts.put(point, start_ns, time_ns, BEGAN_S * SECOND),
            }
            series.as_ref().map_or(0.0, |counts| counts.sums.total[0])
        };
        points.iter().map(after).collect()
    }

    #[test]
    fn workers_of_one_resource_are_told_apart_by_when_they_began() {
        let told = totals(&[
            (10, 110, 1_000.0),
            (12, 112, 900.0),
            (10, 120, 1_010.0),
            (12, 122, 905.0),
            // Sent again.
            (10, 120, 1_010.0),
        ]);
        assert_eq!(told, [0.0, 0.0, 10.0, 15.0, 15.0]);
    }

    #[test]
    fn a_process_that_flushes_after_the_next_one_began_adds_its_difference() {
        let told = totals(&[
            (10, 110, 500.0),
            (125, 130, 40.0),
            (10, 131, 503.0),
            (125, 140, 41.0),
        ]);
        assert_eq!(told, [0.0, 40.0, 43.0, 44.0]);
        // The flush comes first: the next one began long after the former, though not after its last point.
        let told = totals(&[(10, 110, 500.0), (10, 131, 503.0), (125, 140, 600.0)]);
        assert_eq!(told, [0.0, 3.0, 603.0]);
    }

    #[test]
    fn another_worker_counts_whole_only_if_it_began_while_we_listened() {
        let told = totals(&[(10, 200, 500.0), (150, 201, 7.0), (30, 202, 900.0)]);
        assert_eq!(told, [0.0, 7.0, 7.0]);
    }

    #[test]
    fn of_many_lives_the_oldest_is_forgotten() {
        let points: Vec<_> = (0..200)
            .map(|n| (1_000 + n * 10, 1_005 + n * 10, 1.0))
            .collect();
        let told = totals(&points);
        assert_eq!(told.last(), Some(&199.0));
        let mut counts = Counts::begin(counted(&[], &[1.0]), SECOND, 2 * SECOND, false);
        for n in 1..200 {
            counts.put(
                counted(&[], &[1.0]),
                n * 10 * SECOND,
                (n * 10 + 5) * SECOND,
                0,
            );
        }
        assert_eq!(counts.lives.len(), LIVES);
        assert_eq!(counts.lives[0].start_ns, (200 - LIVES as u64) * 10 * SECOND);
    }

    #[test]
    fn what_was_counted_in_other_buckets_is_in_the_count_alone() {
        let written = |sums: &Sums| {
            let mut text = String::new();
            sums.write(&mut text, "x", "");
            text
        };
        let begin = |bounds: &[f64], counts: &[f64]| {
            Counts::begin(counted(bounds, counts), SECOND, 2 * SECOND, true)
        };
        let mut sums = begin(&[1.0], &[2.0, 1.0]).sums;
        sums.add(&begin(&[5.0], &[10.0, 0.0]).sums);
        sums.add(&begin(&[1.0], &[4.0, 0.0]).sums);
        let both = "x_bucket{le=\"1\"} 6\nx_bucket{le=\"+Inf\"} 7\nx_count{} 17\n";
        assert_eq!(written(&sums), both);
        // The same within one series.
        let mut counts = begin(&[1.0], &[2.0, 1.0]);
        counts.put(counted(&[5.0], &[4.0, 0.0]), 3 * SECOND, 4 * SECOND, 0);
        let after = "x_bucket{le=\"5\"} 4\nx_bucket{le=\"+Inf\"} 4\nx_count{} 7\n";
        assert_eq!(written(&counts.sums), after);
    }
}
