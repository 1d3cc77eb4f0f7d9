//! The import itself: prepare, load, rebuild, align (`D2`–`D4`), each phase idempotent and resumable.

mod board;
mod definitions;
mod forecast;
mod lane;
mod load;
mod meter;
mod patience;
mod prepare;
mod rebuild;
pub mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::Notify;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::runbook::transfer::Transfer;
use crate::target::Endpoint;
use crate::target::sequences::{self, Numbered};
use crate::text::printable;
use crate::transfer::error::server;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::{Both, Problem, foreseen, preflight};
use crate::transfer::reader::Span;
use crate::transfer::rows::Foreseen;
use crate::transfer::session::Target;
use crate::transfer::{Error, Progress};

use board::{Board, Load};
use lane::Floor;
use meter::{Gauge, Meter};
use patience::Patience;
use rebuild::ForeignGate;
use record::{Definition, DefinitionKind, DefinitionState, Task};

/// How an import runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections that load and rebuild at the same time.
    pub lanes: usize,
    /// Rows per batch at most; each batch is one transaction with its own checkpoint.
    pub batch_rows: u64,
    /// What names this import. The same key goes on where an earlier attempt stopped. None: derived from source, target and transfer
    /// section.
    pub key: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lanes: 2,
            batch_rows: 100_000,
            key: None,
        }
    }
}

/// What an import did, in the shape of `copy --json`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Copied {
    /// Per table, in the order of the plan.
    pub tables: Vec<CopiedTable>,
    /// All rows loaded.
    pub rows: u64,
    /// From the first connection to the last statistics.
    pub seconds: f64,
    /// Constraints and indexes that were dropped and are back, proven.
    pub constraints_rebuilt: u64,
    /// Sequences, aligned and proven.
    pub sequences: Vec<sequences::Aligned>,
    /// What stopped it; empty when it is complete.
    pub problems: Vec<Problem>,
    /// How often each policy was used, by `Table.Column: policy`.
    pub policies: BTreeMap<String, u64>,
    /// Rows that a policy put aside.
    pub quarantined: u64,
}

/// One table of [`Copied`].
#[derive(Debug, Clone, Serialize)]
pub struct CopiedTable {
    /// Source name.
    pub table: String,
    /// Rows in the target by the checkpoints.
    pub rows: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Time spent loading it in this process.
    pub seconds: f64,
}

/// What every part of a running import needs to know.
#[derive(Clone)]
pub(crate) struct Import {
    pub target: Target,
    pub source: PathBuf,
    pub layout: Arc<Layout>,
    pub key: String,
    pub options: Options,
    /// Per table of the layout, rows that the server's rules would refuse and that are put aside.
    pub foreseen: Arc<Vec<Foreseen>>,
    /// Settings before each build, inside its transaction.
    pub build_settings: String,
}

/// The whole import: prepare, load with overlapping rebuilds, finish and prove the rebuilds, align sequences, statistics. Called again
/// after any interruption it goes on where it stopped; called after it ended, it reports what it did.
///
/// # Errors
/// [`Error::is_passing`] tells whether the same call may succeed later. Whatever the error, what was committed stays and is recorded in
/// the schema `cutover` of the target, and so is every definition that was taken away.
pub async fn copy(
    source: &Path,
    target: &Endpoint,
    schema: &str,
    transfer: &Transfer,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
    cancel: &CancellationToken,
) -> Result<Copied, Error> {
    let began = Instant::now();
    let mut patience = Patience::default();
    let mut reached = false;
    loop {
        let whole = async {
            let mut session =
                Session::open(source, target, schema, transfer, options, progress, cancel).await?;
            reached = true;
            session.load_and_rebuild(progress, cancel).await?;
            session.finish(progress).await
        };
        match whole.await {
            Ok(copied) => {
                return Ok(Copied {
                    seconds: began.elapsed().as_secs_f64(),
                    ..copied
                });
            }
            // Where nobody ever answered, the address is wrong more often than the server is away for a moment.
            Err(error) if !reached && error.is_nobody_there() => return Err(error),
            Err(error) => {
                patience
                    .wait_after(error, "importing", progress, cancel)
                    .await?;
            }
        }
    }
}

/// An import under way, phase by phase: `open` orders and prepares (`D1`), `load_and_rebuild` loads (`D2`) and rebuilds (`D4`),
/// `finish` aligns (`D3`) and proves. Each phase may be repeated.
pub struct Session {
    began: Instant,
    control: Client,
    import: Import,
    tasks: Vec<Task>,
    definitions: Vec<Definition>,
    finished: bool,
    sizes: prepare::Sizes,
    seconds: Vec<f64>,
}

impl Session {
    /// Pairs both sides, checks the target, records the import and takes away what is in the way of the load.
    pub async fn open(
        source: &Path,
        target: &Endpoint,
        schema: &str,
        transfer: &Transfer,
        options: &Options,
        progress: &(dyn Fn(Progress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let began = Instant::now();
        progress(Progress::Phase { phase: "prepare" });
        let application_name = format!("cutover import into {schema}");
        let target = Target {
            endpoint: target.clone(),
            schema: schema.to_owned(),
            application_name,
        };
        let mut control = target.connect().await?;
        let mut layout = Both::read(source, &control, schema, transfer).await?.layout;
        let mut problems = preflight::missing(&control, schema, &layout).await?;
        problems.extend(layout.problems.iter().cloned());
        if !problems.is_empty() {
            return Err(Error::Problems(problems));
        }
        prepare::lock(&control, schema).await?;
        prepare::end_leftovers(&control, &target.application_name).await?;
        let (path, shared) = (source.to_path_buf(), layout.clone());
        let sizes = tokio::task::spawn_blocking(move || prepare::sizes(&path, &shared))
            .await
            .expect("BUG: measuring panicked")?;
        let key_is_stated = options.key.is_some();
        let key = match &options.key {
            Some(key) => key.clone(),
            None => prepare::derived_key(source, &layout, &sizes, transfer, schema)?,
        };
        if prepare::start_over(&mut control, &key, schema, &layout, transfer, key_is_stated).await?
        {
            // What an import that never ended had taken away is back, and has to be seen.
            layout = Both::read(source, &control, schema, transfer).await?.layout;
        }
        let foreseen = foreseen::foresee(&control, source, &layout, cancel).await?;
        let recorded = |definitions: &[Definition]| {
            progress(Progress::Definitions {
                definitions: definitions.to_vec(),
            })
        };
        let prepared = prepare::prepare(
            &mut control,
            &key,
            schema,
            &layout,
            &sizes,
            transfer,
            key_is_stated,
            &recorded,
        )
        .await?;
        let build_settings = build_settings(&control).await?;
        let import = Import {
            target,
            source: source.to_path_buf(),
            layout,
            key,
            options: options.clone(),
            foreseen: Arc::new(foreseen),
            build_settings,
        };
        let seconds = vec![0.0; import.layout.tables.len()];
        let (tasks, definitions, finished) =
            (prepared.tasks, prepared.definitions, prepared.finished);
        Ok(Self {
            began,
            control,
            import,
            tasks,
            definitions,
            finished,
            sizes,
            seconds,
        })
    }

    /// Loads what is not loaded and puts back indexes, keys and foreign keys, overlapping where it can.
    pub async fn load_and_rebuild(
        &mut self,
        progress: &(dyn Fn(Progress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        if self.finished {
            return Ok(());
        }
        progress(Progress::Phase { phase: "load" });
        let of_kind = |kinds: &[DefinitionKind]| -> Vec<Definition> {
            let away = |definition: &&Definition| {
                matches!(
                    definition.state,
                    DefinitionState::Away | DefinitionState::Unproven
                ) && kinds.contains(&definition.kind)
            };
            self.definitions.iter().filter(away).cloned().collect()
        };
        let builds = of_kind(&[DefinitionKind::Index, DefinitionKind::Key]);
        let foreign = of_kind(&[DefinitionKind::Foreign]);
        let board = self.board(&builds, &foreign);
        let meter = Meter::new(self.gauges(), &board.rebuilds());
        let floor = Floor {
            import: &self.import,
            tasks: &self.tasks,
            board: Mutex::new(board),
            builds: &builds,
            foreign: &foreign,
            changed: Notify::new(),
            gate: ForeignGate::default(),
            meter,
            progress,
            cancel: cancel.child_token(),
        };
        let mut lanes = Vec::new();
        for number in 0..self.import.options.lanes.max(1) {
            let client = self.import.target.connect().await?;
            lanes.push(lane::run(&floor, number, client));
        }
        let outcomes = futures_util::future::join_all(lanes).await;
        let spans = floor.meter.snapshot();
        self.seconds = spans
            .iter()
            .map(|gauge| {
                gauge
                    .span
                    .map_or(0.0, |(began, ended)| (ended - began).as_secs_f64())
            })
            .collect();
        // The lane that failed says why; the others only say that they were stopped.
        let (mut stopped, mut failed) = (None, None);
        for error in outcomes.into_iter().filter_map(Result::err) {
            match error {
                Error::Cancelled => stopped = Some(Error::Cancelled),
                error => failed = failed.or(Some(error)),
            }
        }
        failed.or(stopped).map_or(Ok(()), Err)
    }

    fn place_of(&self, oid: u32) -> Option<usize> {
        self.import
            .layout
            .tables
            .iter()
            .position(|table| table.target.oid == oid)
    }

    fn board(&self, builds: &[Definition], foreign: &[Definition]) -> Board {
        let loads = self.tasks.iter().map(|task| Load {
            table: self
                .place_of(task.target_oid)
                .expect("BUG: a task's table is in the layout"),
            done: task.done,
        });
        let builds = builds.iter().map(|build| board::Build {
            table: self.place_of(build.table_oid),
            key: build.kind == DefinitionKind::Key,
            done: false,
        });
        let foreign = foreign.iter().map(|key| board::Foreign {
            from: self.place_of(key.table_oid),
            to: key.other_oid.and_then(|oid| self.place_of(oid)),
            done: false,
        });
        Board::new(
            self.sizes.iter().map(|(rows, _)| *rows).collect(),
            loads.collect(),
            builds.collect(),
            foreign.collect(),
        )
    }

    fn gauges(&self) -> Vec<Gauge> {
        let gauge = |(table, (estimate, _)): (&TableLayout, &(u64, Span))| {
            let tasks = || {
                self.tasks
                    .iter()
                    .filter(|task| task.target_oid == table.target.oid)
            };
            let (rows, bytes) = (
                tasks().map(|task| task.rows).sum(),
                tasks().map(|task| task.bytes).sum(),
            );
            Gauge::new(table.source.name.clone(), *estimate, rows, bytes)
        };
        self.import
            .layout
            .tables
            .iter()
            .zip(&self.sizes)
            .map(gauge)
            .collect()
    }

    /// Aligns and proves the sequences, puts triggers back, and records the end.
    pub async fn finish(&mut self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Copied, Error> {
        progress(Progress::Phase { phase: "sequences" });
        let sequences = sequences::align(&self.control, &self.numbered())
            .await
            .map_err(server("aligning the sequences"))?;
        let problems: Vec<Problem> = sequences
            .iter()
            .filter(|sequence| !sequence.proven)
            .map(exhausted)
            .collect();
        if !self.finished {
            for definition in record::definitions(&self.control, &self.import.key).await? {
                let with_rows = matches!(
                    definition.kind,
                    DefinitionKind::Trigger | DefinitionKind::RowSecurity
                );
                if with_rows && definition.state == DefinitionState::Away {
                    rebuild::restore(&self.import, &self.control, &definition).await?;
                }
            }
            self.end().await?;
        }
        let mut copied = self.outcome().await?;
        copied.sequences = sequences;
        copied.problems = problems;
        Ok(copied)
    }

    /// Records the end, and waits for the disk: every earlier commit is durable with this one.
    async fn end(&self) -> Result<(), Error> {
        let away = record::definitions(&self.control, &self.import.key).await?;
        if let Some(missing) = away.iter().find(|definition| {
            !matches!(
                definition.state,
                DefinitionState::Back | DefinitionState::Kept
            )
        }) {
            let name = printable(&missing.name, 80);
            return Err(Error::Target(format!(
                "{name} is still away; the import is not complete, start it again"
            )));
        }
        self.control
            .execute(
                "UPDATE cutover.import SET finished = now() WHERE key = $1",
                &[&self.import.key],
            )
            .await
            .map_err(server("recording the end of the import"))?;
        Ok(())
    }

    fn numbered(&self) -> Vec<Numbered> {
        let of_table = |table: &TableLayout| {
            let rowid = table.source.rowid_column();
            let oid = table.target.oid;
            let high = table.source_high;
            let numbered = table.columns.iter().map(move |column| Numbered {
                table_oid: oid,
                column_number: column.target.number,
                source_high: high.filter(|_| Some(column.source) == rowid),
            });
            numbered.collect::<Vec<_>>()
        };
        // After the end, forced row security hides the rows again; the sequences were proven before.
        let visible = |table: &&TableLayout| !(self.finished && table.target.row_security_forced);
        let tables = self.import.layout.tables.iter();
        tables.filter(visible).flat_map(of_table).collect()
    }

    async fn outcome(&self) -> Result<Copied, Error> {
        let tasks = record::tasks(&self.control, &self.import.key).await?;
        let definitions = record::definitions(&self.control, &self.import.key).await?;
        let (policies, quarantined) =
            record::evidence_so_far(&self.control, &self.import.key).await?;
        let mut copied = Copied {
            policies,
            quarantined,
            ..Copied::default()
        };
        for (table, seconds) in self.import.layout.tables.iter().zip(&self.seconds) {
            let own = || {
                tasks
                    .iter()
                    .filter(|task| task.target_oid == table.target.oid)
            };
            let (rows, bytes) = (
                own().map(|task| task.rows).sum(),
                own().map(|task| task.bytes).sum(),
            );
            copied.rows += rows;
            copied.tables.push(CopiedTable {
                table: table.source.name.clone(),
                rows,
                bytes,
                seconds: *seconds,
            });
        }
        let rebuilt = |definition: &&Definition| {
            let kind = matches!(
                definition.kind,
                DefinitionKind::Foreign | DefinitionKind::Key | DefinitionKind::Index
            );
            kind && definition.state == DefinitionState::Back
        };
        copied.constraints_rebuilt = definitions.iter().filter(rebuilt).count() as u64;
        copied.seconds = self.began.elapsed().as_secs_f64();
        Ok(copied)
    }
}

fn exhausted(sequence: &sequences::Aligned) -> Problem {
    let reason = format!(
        "the sequence {} is at its bound: the next insert into {} would fail",
        printable(&sequence.sequence, 120),
        printable(&sequence.table, 80)
    );
    crate::transfer::layout::structural(&sequence.table, &sequence.column, reason, None)
}

/// More memory for sorting than the cautious default, never less than the server's own setting.
async fn build_settings(client: &Client) -> Result<String, Error> {
    let row = client
        .query_one(
            "SELECT pg_size_bytes(current_setting('maintenance_work_mem'))",
            &[],
        )
        .await
        .map_err(server("reading the server's settings"))?;
    let wanted_kb = (row.get::<_, i64>(0) / 1024).max(256 * 1024);
    Ok(format!(
        "SET LOCAL maintenance_work_mem = {wanted_kb};\nSET LOCAL synchronous_commit = off;\n"
    ))
}
