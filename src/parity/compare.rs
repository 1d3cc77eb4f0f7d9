//! Every row and every value of every planned table, both sides in parallel (`E1`, `E2`).
//!
//! First each side is read once into a fingerprint. Where the fingerprints are equal, so are the tables. Where they are not, a
//! second look at the partitions that differ ([`super::differ`]) names the rows.

use super::differ::{Arriving, Examples, Found, Group, Keyed, Unmatched};
use super::error::Error;
use super::fingerprint::{Fingerprint, HashKey};
use super::pair::TablePair;
use super::report::{Compared, Difference, Progress, Report, TableReport};
use super::sides::{Opening, Sides};
use super::source_rows::{self, Tally};
use super::target_rows::{Reading, TargetRow};
use crate::text::printable;
use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio_postgres::Client;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How tables are compared.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the target is opened by [`super::compare`].
    pub opening: Opening,
    /// The tables, by their names in the source; none means all that are planned.
    pub tables: Option<Vec<String>>,
    /// Connections that read the target at the same time.
    pub lanes: usize,
    /// How many differences of each kind are kept per table.
    pub examples: usize,
    /// A file that gets every difference, one JSON object per line.
    pub differences: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            opening: Opening::default(),
            tables: None,
            lanes: 2,
            examples: 10,
            differences: None,
        }
    }
}

/// Compares the tables of both sides. Differences are in the report; an error means that the comparison did not come to its end.
///
/// # Errors
/// [`Error::Stopped`] with what was compared until then; [`Error::Unknown`] for a table that is not there.
pub async fn tables(
    sides: &Sides,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
    cancel: &CancellationToken,
) -> Result<Report, Error> {
    let begun = Instant::now();
    let run = Run::new(sides, options, progress, cancel)?;
    let count = options.lanes.clamp(1, 16).min(run.tables_left().max(1));
    let shared = if count > 1 {
        Some(sides.share().await?)
    } else {
        None
    };
    let lanes = (0..count).map(|lane| run.lane(shared.as_deref().filter(|_| lane > 0)));
    let ended = futures_util::future::join_all(lanes).await;
    let mut report = run.finish();
    report.seconds = begun.elapsed().as_secs_f64();
    // One lane's error stops the others, which then say that they were cancelled: the cause is the other one.
    let mut causes: Vec<_> = ended.into_iter().filter_map(Result::err).collect();
    causes.sort_by_key(|cause| matches!(cause, Error::Cancelled));
    match causes.into_iter().next() {
        None => Ok(report),
        Some(cause) => {
            report.equal = false;
            Err(Error::Stopped {
                cause: Box::new(cause),
                so_far: Box::new(report),
            })
        }
    }
}

struct Run<'a> {
    sides: &'a Sides,
    options: &'a Options,
    progress: &'a (dyn Fn(Progress) + Sync),
    cancel: CancellationToken,
    /// Reading threads of the source end with the run, however it ends.
    _stop: DropGuard,
    hash: HashKey,
    queue: Mutex<VecDeque<Arc<TablePair>>>,
    reports: Mutex<Vec<TableReport>>,
    differences: Option<Mutex<std::io::BufWriter<std::fs::File>>>,
}

impl<'a> Run<'a> {
    fn new(
        sides: &'a Sides,
        options: &'a Options,
        progress: &'a (dyn Fn(Progress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let wanted = |name: &str| {
            options
                .tables
                .as_ref()
                .is_none_or(|tables| tables.iter().any(|table| table == name))
        };
        let known = |name: &String| {
            sides.table(name).is_some()
                || sides
                    .pairing
                    .unpaired
                    .iter()
                    .any(|other| other.table == *name)
        };
        if let Some(unknown) = options.tables.iter().flatten().find(|name| !known(name)) {
            return Err(Error::Unknown {
                what: "comparing tables".to_owned(),
                name: unknown.clone(),
            });
        }
        let mut queue: Vec<_> = sides
            .pairing
            .pairs
            .iter()
            .filter(|pair| wanted(&pair.source))
            .cloned()
            .collect();
        // The largest first: lanes then end at about the same time.
        queue.sort_by_key(|pair| (std::cmp::Reverse(pair.size_bytes), pair.source.clone()));
        let unpaired = sides
            .pairing
            .unpaired
            .iter()
            .filter(|other| wanted(&other.table))
            .map(|other| TableReport {
                table: printable(&other.table, 80),
                target: printable(&other.target, 80),
                problem: Some(other.problem.clone()),
                ..TableReport::default()
            });
        let pending = queue.iter().map(|pair| TableReport::of(pair));
        let reports = unpaired.chain(pending).collect();
        let differences = options.differences.as_ref().map(|path| {
            let file = std::fs::File::create(path).map_err(|source| Error::File {
                path: path.clone(),
                source,
            })?;
            Ok::<_, Error>(Mutex::new(std::io::BufWriter::new(file)))
        });
        let cancel = cancel.child_token();
        Ok(Self {
            sides,
            options,
            progress,
            _stop: cancel.clone().drop_guard(),
            cancel,
            hash: HashKey::random(),
            queue: Mutex::new(queue.into()),
            reports: Mutex::new(reports),
            differences: differences.transpose()?,
        })
    }

    /// Takes one table after another until none is left, on the first connection or on one that sees what was shared. An error ends
    /// the other lanes too, and this lane's query on the server.
    async fn lane(&self, shared: Option<&str>) -> Result<(), Error> {
        let own;
        let client = match shared {
            None => &self.sides.client,
            Some(shared) => {
                own = self
                    .sides
                    .session(shared)
                    .await
                    .inspect_err(|_| self.cancel.cancel())?;
                &own
            }
        };
        let worked = self.work(client).await;
        if worked.is_err() {
            self.cancel.cancel();
            self.sides.cancel_on_server(client).await;
        }
        worked
    }

    async fn work(&self, client: &Client) -> Result<(), Error> {
        loop {
            let next = self
                .queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(pair) = next else { return Ok(()) };
            let report = Table {
                run: self,
                client,
                pair: &pair,
            }
            .compare()
            .await?;
            (self.progress)(Progress::of(&report));
            let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(pending) = reports.iter_mut().find(|pending| {
                (&pending.table, &pending.target) == (&report.table, &report.target)
            }) {
                *pending = report;
            }
        }
    }

    fn tables_left(&self) -> usize {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn finish(self) -> Report {
        let mut tables = self
            .reports
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        tables.sort_by(|a, b| a.table.cmp(&b.table));
        let equal = tables.iter().all(TableReport::is_equal);
        Report {
            equal,
            tables,
            skipped: self.sides.pairing.skipped.clone(),
            checks: Vec::new(),
            seconds: 0.0,
        }
    }

    fn write(&self, table: &str, differences: &[Keyed]) -> Result<(), Error> {
        #[derive(serde::Serialize)]
        struct Line<'a> {
            table: &'a str,
            #[serde(flatten)]
            difference: &'a Difference,
        }
        let (Some(file), Some(path)) = (&self.differences, &self.options.differences) else {
            return Ok(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut write = || {
            for (_, difference) in differences {
                serde_json::to_writer(&mut *file, &Line { table, difference })?;
                file.write_all(b"\n")?;
            }
            file.flush()
        };
        write().map_err(|source| Error::File {
            path: path.clone(),
            source,
        })
    }
}

/// One table in one lane.
struct Table<'a> {
    run: &'a Run<'a>,
    client: &'a Client,
    pair: &'a Arc<TablePair>,
}

impl Table<'_> {
    async fn compare(&self) -> Result<TableReport, Error> {
        let mut report = TableReport::of(self.pair);
        let seen = Arc::new(AtomicU64::new(0));
        let (source, target) = tokio::try_join!(
            self.fingerprint_source(&seen),
            self.fingerprint_target(&seen)
        )?;
        let (source, tally) = source;
        let (target, new_rows) = target;
        report.source_rows = source.rows();
        report.target_rows = target.rows();
        report.by_policy = tally.by_policy;
        report.quarantined = tally.quarantined;
        report.new_since_switch = new_rows;
        let differing = source.differing(&target);
        drop((source, target));
        let mut examples = Examples::new(self.run.options.examples);
        for group in Group::divide(&differing) {
            let found = self.look_again(group).await?;
            report.missing += found.missing;
            report.extra += found.extra;
            report.different += found.different;
            report.changed_since_switch += found.changed_since;
            self.run.write(&report.table, &found.differences)?;
            examples.take(found.differences);
        }
        report.new_since_switch -= report.changed_since_switch.min(report.new_since_switch);
        report.examples = examples.into_differences();
        report.compared = Compared::All;
        Ok(report)
    }

    async fn fingerprint_source(
        &self,
        seen: &Arc<AtomicU64>,
    ) -> Result<(Fingerprint, Tally), Error> {
        let (pair, seen, cancel, hash) = (
            self.pair.clone(),
            seen.clone(),
            self.run.cancel.clone(),
            self.run.hash,
        );
        let work = move |connection: &rusqlite::Connection| {
            let mut fingerprint = Fingerprint::default();
            let tally = source_rows::read(connection, &pair, "", &seen, &cancel, |row| {
                fingerprint.add(
                    hash.hash(&row.canonical[..row.key_bytes]),
                    hash.hash(row.canonical),
                    row.canonical.len(),
                );
                Ok(())
            })?;
            Ok((fingerprint, tally))
        };
        self.run.sides.on_source(work).await
    }

    async fn fingerprint_target(&self, seen: &Arc<AtomicU64>) -> Result<(Fingerprint, u64), Error> {
        let (mut fingerprint, mut new_rows) = (Fingerprint::default(), 0);
        let hash = self.run.hash;
        let progress = |rows| {
            (self.run.progress)(Progress::reading(
                self.pair,
                seen.load(Ordering::Relaxed),
                rows,
            ));
        };
        let each = |row: &TargetRow<'_>| {
            if row.is_new {
                new_rows += 1;
            } else {
                fingerprint.add(
                    hash.hash(&row.canonical[..row.key_bytes]),
                    hash.hash(row.canonical),
                    row.canonical.len(),
                );
            }
        };
        self.reading(&progress).rows(each).await?;
        Ok((fingerprint, new_rows))
    }

    /// Reads one group of partitions again, the source first.
    async fn look_again(&self, group: Group) -> Result<Found, Error> {
        let (pair, cancel, hash) = (self.pair.clone(), self.run.cancel.clone(), self.run.hash);
        let of_source = group.clone();
        let hold = move |connection: &rusqlite::Connection| {
            let mut unmatched = Unmatched::default();
            source_rows::read(connection, &pair, "", &AtomicU64::new(0), &cancel, |row| {
                if of_source.holds(hash.hash(&row.canonical[..row.key_bytes])) {
                    let (canonical, key_bytes, address) =
                        (row.canonical, row.key_bytes, row.address());
                    unmatched.hold_source(Arriving {
                        canonical,
                        key_bytes,
                        shown: row.shown()?,
                        address,
                        is_new: false,
                    });
                }
                Ok(())
            })?;
            Ok(unmatched)
        };
        let mut unmatched = self.run.sides.on_source(hold).await?;
        let each = |row: &TargetRow<'_>| {
            let (canonical, key_bytes, is_new) = (row.canonical, row.key_bytes, row.is_new);
            if group.holds(hash.hash(&canonical[..key_bytes]))
                && (is_new || !unmatched.let_go(canonical, key_bytes))
            {
                unmatched.hold_target(Arriving {
                    canonical,
                    key_bytes,
                    shown: row.shown(),
                    address: None,
                    is_new,
                });
            }
        };
        self.reading(&|_| ()).rows(each).await?;
        let mut found = Found::default();
        unmatched.judge(self.pair, &mut found);
        Ok(found)
    }

    fn reading<'b>(&'b self, progress: &'b (dyn Fn(u64) + Sync)) -> Reading<'b> {
        Reading {
            client: self.client,
            pair: self.pair,
            rest: "",
            since: self.run.sides.since.as_ref(),
            rows_per_second: self.run.sides.opening.rows_per_second,
            progress,
            cancel: &self.run.cancel,
        }
    }
}
