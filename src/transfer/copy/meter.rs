//! How far an import is and how long it will take. Counts come in by batch; reports go out a few times per second.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::transfer::Progress;
use crate::transfer::copy::load::Added;

const BETWEEN_REPORTS: Duration = Duration::from_millis(200);
/// Rebuilding takes about this share of the time that loading takes, until it has been seen.
const REBUILD_SHARE: f64 = 0.8;

/// What is known of one table.
#[derive(Debug, Clone)]
pub struct Gauge {
    /// Source table.
    pub table: String,
    /// Rows expected.
    pub rows_total: u64,
    /// Rows in the target.
    pub rows: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Rows that were there when this process began.
    pub rows_before: u64,
    /// Loading began and, where it is done, ended.
    pub span: Option<(Instant, Instant)>,
    reported: Option<Instant>,
}

impl Gauge {
    /// A table at the state of its checkpoints.
    pub fn new(table: String, rows_total: u64, rows: u64, bytes: u64) -> Self {
        Self {
            table,
            rows_total,
            rows,
            bytes,
            rows_before: rows,
            span: None,
            reported: None,
        }
    }
}

/// Counts of all tables.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    gauges: Mutex<Vec<Gauge>>,
}

impl Meter {
    /// A meter that starts now.
    pub fn new(gauges: Vec<Gauge>) -> Self {
        Self {
            began: Instant::now(),
            gauges: Mutex::new(gauges),
        }
    }

    fn gauges(&self) -> std::sync::MutexGuard<'_, Vec<Gauge>> {
        self.gauges.lock().expect("BUG: a lane panicked")
    }

    /// All rows so far.
    pub fn rows(&self) -> u64 {
        self.gauges().iter().map(|gauge| gauge.rows).sum()
    }

    /// The counts as they are.
    pub fn snapshot(&self) -> Vec<Gauge> {
        self.gauges().clone()
    }

    /// Takes a batch in; a report when it is time for one.
    pub fn added(&self, table: usize, added: Added) -> Option<Progress> {
        let now = Instant::now();
        let mut gauges = self.gauges();
        let gauge = &mut gauges[table];
        gauge.rows += added.rows;
        gauge.bytes += added.bytes;
        let began = gauge.span.map_or(now, |(began, _)| began);
        gauge.span = Some((began, now));
        let done = gauge.rows >= gauge.rows_total;
        if !done
            && gauge
                .reported
                .is_some_and(|last| now - last < BETWEEN_REPORTS)
        {
            return None;
        }
        gauge.reported = Some(now);
        let seconds = (now - began.min(self.began)).as_secs_f64().max(0.001);
        let report = Progress::Rows {
            table: gauge.table.clone(),
            rows: gauge.rows,
            rows_total: gauge.rows_total.max(gauge.rows),
            bytes: gauge.bytes,
            rows_per_s: ((gauge.rows - gauge.rows_before) as f64 / seconds) as u64,
            left_ms: None,
            done,
        };
        Some(with_time_left(report, left_ms(&gauges, now - self.began)))
    }
}

fn with_time_left(report: Progress, left: Option<u64>) -> Progress {
    match report {
        Progress::Rows {
            table,
            rows,
            rows_total,
            bytes,
            rows_per_s,
            done,
            ..
        } => Progress::Rows {
            table,
            rows,
            rows_total,
            bytes,
            rows_per_s,
            left_ms: left,
            done,
        },
        other => other,
    }
}

/// By bytes, since rows of different tables cost different time; tables that have not begun count with the average row.
fn left_ms(gauges: &[Gauge], elapsed: Duration) -> Option<u64> {
    let rows: u64 = gauges.iter().map(|gauge| gauge.rows).sum();
    let bytes: u64 = gauges.iter().map(|gauge| gauge.bytes).sum();
    let here: u64 = gauges
        .iter()
        .map(|gauge| gauge.rows - gauge.rows_before)
        .sum();
    if here == 0 || bytes == 0 || elapsed < Duration::from_millis(100) {
        return None;
    }
    let average = bytes as f64 / rows as f64;
    let cost = |gauge: &Gauge| {
        if gauge.rows > 0 {
            gauge.bytes as f64 / gauge.rows as f64
        } else {
            average
        }
    };
    let remaining: f64 = gauges
        .iter()
        .map(|gauge| gauge.rows_total.saturating_sub(gauge.rows) as f64 * cost(gauge))
        .sum();
    let loaded_here = bytes as f64 * here as f64 / rows as f64;
    let per_byte = elapsed.as_secs_f64() / loaded_here;
    let whole = (loaded_here + remaining) * per_byte;
    Some(((remaining * per_byte + whole * REBUILD_SHARE) * 1000.0) as u64)
}
