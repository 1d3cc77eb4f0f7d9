//! Every row and every value of every planned table, both sides in parallel (`E1`, `E2`).
//!
//! First each side is read once into a fingerprint. Where the fingerprints are equal, so are the tables. Where they are not, a
//! second look at the partitions that differ ([`super::differ`]) names the rows.

use super::differ::{Arriving, Examples, Found, Group, Keyed, Unmatched};
use super::error::Error;
use super::fingerprint::{Fingerprint, HashKey, Partitions};
use super::pair::TablePair;
use super::report::{Compared, Difference, Progress, Report, TableReport};
use super::sides::{Connector, Opening, Sides};
use super::source_rows::{self, Tally};
use super::target_rows::{Reading, TargetRow};
use crate::text::printable;
use futures_util::future::join_all;
use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

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
    let run = Arc::new(Run::new(sides, options, cancel)?);
    let _stop = run.cancel.clone().drop_guard();
    let lanes = options.lanes.clamp(1, 16).min(run.tables_left().max(1));
    let ended = if lanes > 1 {
        in_parallel(&run, lanes, &sides.share().await?, progress).await
    } else {
        vec![run.lane(&sides.client, progress).await]
    };
    let mut report = run.report(sides);
    if options.tables.is_none()
        && let Some(reason) = sides.nothing_to_compare()
    {
        report.equal = false;
        report.checks.push(super::report::Check {
            id: "E2".to_owned(),
            name: "tables".to_owned(),
            ok: false,
            detail: reason,
            examples: Vec::new(),
        });
    }
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

/// Several lanes, each with a thread, a runtime and a connection of its own: rows then never change threads between the socket and
/// their sums, which would cost more than taking them apart.
async fn in_parallel(
    run: &Arc<Run>,
    lanes: usize,
    shared: &str,
    progress: &(dyn Fn(Progress) + Sync),
) -> Vec<Result<(), Error>> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let threads = (0..lanes).map(|_| {
        let (run, shared, tell) = (run.clone(), shared.to_owned(), tell.clone());
        tokio::task::spawn_blocking(move || run.own_lane(&shared, &tell))
    });
    let ended = join_all(threads);
    drop(tell);
    let listen = async {
        while let Some(news) = told.recv().await {
            progress(news);
        }
    };
    let (ended, ()) = tokio::join!(ended, listen);
    let ended = ended.into_iter();
    ended
        .map(|lane| lane.unwrap_or_else(|died| Err(Error::Died(died.to_string()))))
        .collect()
}

/// What the lanes share.
struct Run {
    connector: Arc<Connector>,
    options: Options,
    /// Every thread ends with the run, however it ends.
    cancel: CancellationToken,
    hash: HashKey,
    queue: Mutex<VecDeque<Arc<TablePair>>>,
    reports: Mutex<Vec<TableReport>>,
    differences: Option<Mutex<std::io::BufWriter<std::fs::File>>>,
}

impl Run {
    fn new(sides: &Sides, options: &Options, cancel: &CancellationToken) -> Result<Self, Error> {
        let wanted = |name: &str| {
            options
                .tables
                .as_ref()
                .is_none_or(|tables| tables.iter().any(|table| table.eq_ignore_ascii_case(name)))
        };
        if let Some(unknown) = options
            .tables
            .iter()
            .flatten()
            .find(|name| !sides.knows(name))
        {
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
            let file = crate::ours::file::begin(path).map_err(|source| Error::File {
                path: path.clone(),
                source,
            })?;
            Ok::<_, Error>(Mutex::new(std::io::BufWriter::new(file)))
        });
        Ok(Self {
            connector: sides.connector.clone(),
            options: options.clone(),
            cancel: cancel.child_token(),
            hash: HashKey::random(),
            queue: Mutex::new(queue.into()),
            reports: Mutex::new(reports),
            differences: differences.transpose()?,
        })
    }

    /// A lane with a runtime and a connection that sees what was shared. Blocks.
    fn own_lane(&self, shared: &str, tell: &mpsc::UnboundedSender<Progress>) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Died(error.to_string()))?;
        let progress = |news| {
            // Nobody listens any more once the run is being dropped.
            let _ = tell.send(news);
        };
        runtime.block_on(async {
            let client = self.connector.session(shared).await;
            let client = client.inspect_err(|_| self.cancel.cancel())?;
            self.lane(&client, &progress).await
        })
    }

    /// Takes one table after another until none is left. An error ends the other lanes too, and this lane's query on the server.
    async fn lane(
        &self,
        client: &Client,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), Error> {
        let worked = self.work(client, progress).await;
        if worked.is_err() {
            self.cancel.cancel();
            self.connector.cancel_on_server(client).await;
        }
        worked
    }

    async fn work(
        &self,
        client: &Client,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), Error> {
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
                is_computed: false,
                progress,
            }
            .compare()
            .await?;
            progress(Progress::of(&report));
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

    fn report(&self, sides: &Sides) -> Report {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tables = reports.clone();
        drop(reports);
        tables.sort_by(|a, b| a.table.cmp(&b.table));
        let equal = tables.iter().all(TableReport::is_equal);
        Report {
            equal,
            tables,
            skipped: sides.pairing.skipped.clone(),
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
    run: &'a Run,
    client: &'a Client,
    pair: &'a Arc<TablePair>,
    /// What is found is no difference, but what the target computes otherwise.
    is_computed: bool,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl Table<'_> {
    /// Every row, then what both sides compute from them: where the two engines define an expression differently (`lower()` is ASCII
    /// only in SQLite), PostgreSQL's own result is right by its rule, and people are told.
    async fn compare(&self) -> Result<TableReport, Error> {
        let Some((stored, computed)) = self.pair.stored_and_computed() else {
            return self.rows().await;
        };
        let (stored, computed) = (Arc::new(stored), Arc::new(computed));
        let of = |pair, is_computed| Table {
            run: self.run,
            client: self.client,
            pair,
            is_computed,
            progress: self.progress,
        };
        let mut report = of(&stored, false).rows().await?;
        let found = of(&computed, true).rows().await?;
        report.computed_otherwise = found.different.max(found.missing.min(found.extra));
        report.computed_examples = found.examples;
        Ok(report)
    }

    async fn rows(&self) -> Result<TableReport, Error> {
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
        report.since_switch = self.run.connector.since.is_some();
        let differing = source.differing(&target);
        drop((source, target));
        let mut examples = Examples::new(self.run.options.examples);
        for group in Group::divide(&differing, self.partitions()) {
            let found = self.look_again(group).await?;
            report.missing += found.missing;
            report.extra += found.extra;
            report.different += found.different;
            report.changed_since_switch += found.changed_since;
            if !self.is_computed {
                self.run.write(&report.table, &found.differences)?;
            }
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
        let partitions = self.partitions();
        let work = move |connection: &rusqlite::Connection| {
            let mut fingerprint = Fingerprint::empty(partitions);
            let tally = source_rows::read(connection, &pair, "", &seen, &cancel, |row| {
                fingerprint.add(
                    hash.partition(&row.canonical[..row.key_bytes], partitions),
                    hash.hash(row.canonical),
                    row.canonical.len(),
                );
                Ok(())
            })?;
            Ok((fingerprint, tally))
        };
        self.run.connector.on_source(work).await
    }

    async fn fingerprint_target(&self, seen: &Arc<AtomicU64>) -> Result<(Fingerprint, u64), Error> {
        let partitions = self.partitions();
        let (mut fingerprint, mut new_rows) = (Fingerprint::empty(partitions), 0);
        let hash = self.run.hash;
        let progress = |rows| {
            (self.progress)(Progress::reading(
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
                    hash.partition(&row.canonical[..row.key_bytes], partitions),
                    hash.hash(row.canonical),
                    row.canonical.len(),
                );
            }
        };
        self.reading(&progress).rows(each).await?;
        Ok((fingerprint, new_rows))
    }

    fn partitions(&self) -> Partitions {
        Partitions::of_table(self.pair.size_bytes)
    }

    /// Reads one group of partitions again, the source first.
    async fn look_again(&self, group: Group) -> Result<Found, Error> {
        let (pair, cancel, hash) = (self.pair.clone(), self.run.cancel.clone(), self.run.hash);
        let partitions = self.partitions();
        let of_source = group.clone();
        let hold = move |connection: &rusqlite::Connection| {
            let mut unmatched = Unmatched::default();
            source_rows::read(connection, &pair, "", &AtomicU64::new(0), &cancel, |row| {
                if of_source.holds(hash.partition(&row.canonical[..row.key_bytes], partitions)) {
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
        let mut unmatched = self.run.connector.on_source(hold).await?;
        let each = |row: &TargetRow<'_>| {
            let (canonical, key_bytes, is_new) = (row.canonical, row.key_bytes, row.is_new);
            if group.holds(hash.partition(&canonical[..key_bytes], partitions))
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
            since: self.run.connector.since.as_ref(),
            rows_per_second: self.run.connector.opening.rows_per_second,
            progress,
            cancel: &self.run.cancel,
        }
    }
}
