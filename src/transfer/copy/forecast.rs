//! How long an import will still take. Pure.
//!
//! Work done and work left are counted in one unit, by what a row costs in each kind of work relative to the others; how fast the
//! units go by is what has been seen since the import began. Absolute speed is nowhere in here.

use std::time::Duration;

use crate::transfer::copy::board::Work;

// Relative costs, from the processor time of PostgreSQL 15 and ours over the data set of `benches`: only their ratios count.
const LOAD_ROW: f64 = 0.6;
const LOAD_BYTE: f64 = 0.0055;
const BUILD_ROW: f64 = 0.32;
const FOREIGN_ROW: f64 = 0.42;
const ANALYZE_ROW: f64 = 4.0;
/// ANALYZE looks at a sample, whose size at the default statistics target is this.
const ANALYZE_ROWS: u64 = 30_000;
/// Bytes of a row before any has been seen.
const ROW_BYTES: f64 = 100.0;
/// Less than this says nothing about speed.
const SHORTEST: Duration = Duration::from_millis(100);

/// How far the load of one table is.
#[derive(Debug, Clone, Copy)]
pub struct Loading {
    /// Rows expected.
    pub rows_total: u64,
    /// Rows in the target.
    pub rows: u64,
    pub bytes: u64,
    /// Rows that were there when this process began.
    pub rows_before: u64,
    /// Batches of this process that are in.
    pub batches: u64,
    /// Batches that are on their way: half of each has been sent, for want of better knowledge.
    pub batches_running: u64,
}

impl Loading {
    fn rows_on_their_way(&self) -> f64 {
        let rows_here = self.rows.saturating_sub(self.rows_before) as f64;
        let batch = rows_here / self.batches.max(1) as f64;
        let left = self.rows_total.saturating_sub(self.rows) as f64;
        (batch * self.batches_running as f64 / 2.0).min(left)
    }
}

/// How much of a rebuild is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    Waiting,
    /// Some of it: half, for want of better knowledge.
    Running,
    Done,
}

/// A build, a foreign key's proof, or statistics.
#[derive(Debug, Clone, Copy)]
pub struct Rebuild {
    cost: f64,
    /// How much of it is done.
    pub share: Share,
}

impl Rebuild {
    /// One that waits, over a table of so many rows.
    pub fn new(work: Work, rows: u64) -> Self {
        let cost = match work {
            Work::Load(_) => 0.0,
            Work::Build(_) => rows as f64 * BUILD_ROW,
            Work::Foreign(_) => rows as f64 * FOREIGN_ROW,
            Work::Analyze(_) => rows.min(ANALYZE_ROWS) as f64 * ANALYZE_ROW,
        };
        Self {
            cost,
            share: Share::Waiting,
        }
    }

    fn done(&self) -> f64 {
        match self.share {
            Share::Waiting => 0.0,
            Share::Running => self.cost / 2.0,
            Share::Done => self.cost,
        }
    }
}

/// Time left, in milliseconds; None while too little has been done to tell. A table that has not begun counts with the average row.
pub fn left_ms<'r>(
    loads: &[Loading],
    rebuilds: impl Iterator<Item = &'r Rebuild>,
    elapsed: Duration,
) -> Option<u64> {
    let rows: u64 = loads.iter().map(|load| load.rows).sum();
    let bytes: u64 = loads.iter().map(|load| load.bytes).sum();
    let average = if rows > 0 {
        bytes as f64 / rows as f64
    } else {
        ROW_BYTES
    };
    let (mut done, mut left) = (0.0, 0.0);
    for load in loads {
        let row_bytes = if load.rows > 0 {
            load.bytes as f64 / load.rows as f64
        } else {
            average
        };
        let row = LOAD_ROW + row_bytes * LOAD_BYTE;
        let on_their_way = load.rows_on_their_way();
        done += (load.rows.saturating_sub(load.rows_before) as f64 + on_their_way) * row;
        left += (load.rows_total.saturating_sub(load.rows) as f64 - on_their_way) * row;
    }
    for rebuild in rebuilds {
        done += rebuild.done();
        left += rebuild.cost - rebuild.done();
    }
    let tells = done > 0.0 && elapsed >= SHORTEST;
    tells.then(|| (elapsed.as_secs_f64() * 1000.0 * left / done) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn loading(rows: u64, rows_total: u64) -> Loading {
        Loading {
            rows_total,
            rows,
            bytes: rows * 100,
            rows_before: 0,
            batches: 1,
            batches_running: 0,
        }
    }

    fn left(loads: &[Loading], rebuilds: &[Rebuild]) -> Option<u64> {
        left_ms(loads, rebuilds.iter(), SECOND)
    }

    #[test]
    fn what_is_not_begun_counts_like_what_was_seen() {
        let half = [loading(500, 500), loading(0, 500)];
        assert_eq!(left(&half, &[]), Some(1000));
        assert_eq!(left(&[loading(0, 500)], &[]), None);
    }

    #[test]
    fn rows_of_an_earlier_process_say_nothing_about_speed() {
        let resumed = Loading {
            rows_before: 800,
            ..loading(900, 1000)
        };
        assert_eq!(left(&[resumed], &[]), Some(1000));
    }

    #[test]
    fn of_a_batch_on_its_way_half_is_done() {
        let running = Loading {
            batches_running: 1,
            ..loading(200, 400)
        };
        assert_eq!(left(&[running], &[]), Some(333));
        let more_than_is_left = Loading {
            batches_running: 4,
            ..loading(300, 400)
        };
        assert_eq!(left(&[more_than_is_left], &[]), Some(0));
    }

    #[test]
    fn rebuilding_counts_before_it_begins_and_shrinks_as_it_goes() {
        let all = [loading(1000, 1000)];
        let build = |share| Rebuild {
            share,
            ..Rebuild::new(Work::Build(0), 1000)
        };
        let by_share =
            [Share::Waiting, Share::Running, Share::Done].map(|share| left(&all, &[build(share)]));
        assert!(by_share[0] > by_share[1], "{by_share:?}");
        assert!(by_share[1] > by_share[2], "{by_share:?}");
        assert_eq!(by_share[2], Some(0));
    }
}
