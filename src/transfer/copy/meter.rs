//! How far an import is. Counts come in by batch; reports go out a few times per second. How long it will take is [`super::forecast`]'s.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::transfer::Progress;
use crate::transfer::copy::board::Work;
use crate::transfer::copy::forecast::{self, Loading, Rebuild, Share};
use crate::transfer::copy::load::Added;

const BETWEEN_REPORTS: Duration = Duration::from_millis(200);

/// What is known of one table.
#[derive(Debug, Clone)]
pub struct Gauge {
    pub table_oid: u32,
    pub table: String,
    /// Rows expected.
    pub rows_total: u64,
    /// Rows in the target.
    pub rows: u64,
    pub bytes: u64,
    /// Rows that were there when this process began.
    pub rows_before: u64,
    /// Loading began and, where it is done, ended.
    pub span: Option<(Instant, Instant)>,
    batches: u64,
    loads_running: u64,
    reported: Option<Instant>,
}

impl Gauge {
    /// A table at the state of its checkpoints.
    pub fn new(table_oid: u32, table: String, rows_total: u64, rows: u64, bytes: u64) -> Self {
        Self {
            table_oid,
            table,
            rows_total,
            rows,
            bytes,
            rows_before: rows,
            span: None,
            batches: 0,
            loads_running: 0,
            reported: None,
        }
    }

    fn loading(&self) -> Loading {
        Loading {
            rows_total: self.rows_total,
            rows: self.rows,
            bytes: self.bytes,
            rows_before: self.rows_before,
            batches: self.batches,
            batches_running: self.loads_running,
        }
    }
}

/// Counts of all tables.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    gauges: Mutex<Vec<Gauge>>,
    rebuilds: Mutex<BTreeMap<Work, Rebuild>>,
}

impl Meter {
    /// A meter that starts now. `rebuilds` is what follows the loads, with the rows of its tables.
    pub fn new(gauges: Vec<Gauge>, rebuilds: &[(Work, u64)]) -> Self {
        let waiting = |(work, rows): &(Work, u64)| (*work, Rebuild::new(*work, *rows));
        Self {
            began: Instant::now(),
            gauges: Mutex::new(gauges),
            rebuilds: Mutex::new(rebuilds.iter().map(waiting).collect()),
        }
    }

    /// Rows of a table are on their way over one lane.
    pub fn load_began(&self, table: usize) {
        let now = Instant::now();
        let gauge = &mut self.gauges()[table];
        gauge.span.get_or_insert((now, now));
        gauge.loads_running += 1;
    }

    /// No longer, whether they are in or not.
    pub fn load_ended(&self, table: usize) {
        self.gauges()[table].loads_running -= 1;
    }

    /// A piece of work begins.
    pub fn began(&self, work: Work) {
        self.set(work, Share::Running);
    }

    pub fn ended(&self, work: Work) {
        self.set(work, Share::Done);
    }

    fn set(&self, work: Work, share: Share) {
        let mut rebuilds = self.rebuilds.lock().expect("BUG: a lane panicked");
        if let Some(rebuild) = rebuilds.get_mut(&work) {
            rebuild.share = share;
        }
    }

    /// Until everything is loaded and rebuilt; None while too little has been seen.
    pub fn left_ms(&self) -> Option<u64> {
        self.left_after(&self.gauges(), self.began.elapsed())
    }

    fn left_after(&self, gauges: &[Gauge], elapsed: Duration) -> Option<u64> {
        let loads: Vec<Loading> = gauges.iter().map(Gauge::loading).collect();
        let rebuilds = self.rebuilds.lock().expect("BUG: a lane panicked");
        forecast::left_ms(&loads, rebuilds.values(), elapsed)
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
        gauge.batches += 1;
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
        let seconds = (now - began).as_secs_f64().max(0.001);
        let left_ms = self.left_after(&gauges, now - self.began);
        let gauge = &gauges[table];
        Some(Progress::Rows {
            table: gauge.table.clone(),
            rows: gauge.rows,
            rows_total: gauge.rows_total.max(gauge.rows),
            bytes: gauge.bytes,
            rows_per_s: ((gauge.rows - gauge.rows_before) as f64 / seconds) as u64,
            left_ms,
            done,
        })
    }
}
