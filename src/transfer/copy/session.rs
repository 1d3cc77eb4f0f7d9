//! An import under way, phase by phase. Each phase may be repeated. Which import it is and what is taken away for it is
//! [`super::prepare`]'s business.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::postgres::Pinned;
use crate::runbook::transfer::Transfer;
use crate::sqlite::watch::Watch;
use crate::text::printable;
use crate::transfer::error::server;
use crate::transfer::layout::{TableLayout, structural};
use crate::transfer::plan::suggest::Additions;
use crate::transfer::plan::{Problem, Scan, behind, foreseen, numbers, preflight, read_layout};
use crate::transfer::session::{Target, application_path};
use crate::transfer::{Error, Progress};

use super::board::{self, Board, Load};
use super::key::{self, Sizes};
use super::lane::{self, Lanes};
use super::meter::{Gauge, Meter};
use super::prepare::{self, Standing, Wanted};
use super::rebuild::{self, ForeignGate};
use super::record::{self, Definition, DefinitionKind, DefinitionState, Task};
use super::{
    Copied, CopiedTable, Import, Options, TableAccount, account, ended, evidence, promises,
};

/// What an attempt begins with.
pub struct Opening<'o> {
    pub source: &'o Path,
    /// It, watched since before the first attempt.
    pub watch: &'o Watch,
    pub target: Target,
    /// What may be changed on the way.
    pub transfer: &'o Transfer,
    pub options: &'o Options,
}

/// What to do where the source changed before anything was.
const UNTOUCHED: &str = "Nothing was touched: keep writers out, or copy from a backup";
/// And where rows are in already.
const TORN: &str = "What is in PostgreSQL may be of several moments, and the import is not complete: keep writers out, or copy from a \
                    backup, and start over with `target_rows: replace`";

/// An import under way, phase by phase: `open` orders and prepares (`D1`), `load_and_rebuild` loads (`D2`) and rebuilds (`D4`),
/// `finish` aligns (`D3`) and proves. Each phase may be repeated.
pub struct Session<'s> {
    began: Instant,
    watch: &'s Watch,
    control: Pinned,
    import: Import,
    tasks: Vec<Task>,
    definitions: Vec<Definition>,
    finished: bool,
    sizes: Sizes,
    /// Time spent loading, by the target table's oid.
    seconds: BTreeMap<u32, f64>,
}

impl<'s> Session<'s> {
    /// Pairs both sides, checks the target, records the import and takes away what is in the way of the load.
    pub async fn open(
        opening: Opening<'s>,
        mut control: Pinned,
        progress: &(dyn Fn(Progress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let began = Instant::now();
        progress(Progress::Phase { phase: "prepare" });
        let Opening {
            source,
            watch,
            target,
            transfer,
            options,
        } = opening;
        let schema = target.schema.clone();
        // Locked before anything is read, so that what is read is nobody else's half.
        prepare::lock(&control, &schema).await?;
        prepare::end_leftovers(&control, &target.application_name).await?;
        let layout = read_layout(source, &control, &schema, transfer).await?;
        let mut problems = preflight::missing(&control, &schema, &layout).await?;
        problems.extend(layout.problems.iter().cloned());
        if !problems.is_empty() {
            // What would be lost by leaving something behind is told, as the plan tells it.
            let mut told = Additions::default();
            behind::weigh(source, Scan::Full, &mut problems, &mut told).await?;
            return Err(Error::Problems(problems));
        }
        let (path, shared) = (source.to_path_buf(), layout.clone());
        let sizes = tokio::task::spawn_blocking(move || Sizes::measure(&path, &shared))
            .await
            .expect("BUG: measuring panicked")?;
        let known_by = options.run.as_deref().or(watch.content());
        let made_of = key::made_of(
            known_by.expect("BUG: a source is known by its run or its content"),
            &layout,
            transfer,
        );
        let wanted = Wanted {
            import: record::Import {
                key: key::of(&made_of, &schema),
                made_of,
                prepared: true,
                finished: false,
            },
            is_run: options.run.is_some(),
            source,
            schema: &schema,
            layout: &layout,
            transfer,
        };
        let standing = prepare::standing(&control, &wanted).await?;
        let is_done = matches!(&standing, Standing::GoesOn(prepared) if prepared.finished);
        let foreseen = if is_done {
            BTreeMap::new()
        } else {
            foreseen::foresee(&control, source, &layout, cancel).await?
        };
        let recorded = |definitions: &[Definition]| {
            progress(Progress::Definitions {
                definitions: definitions.to_vec(),
            })
        };
        let prepared = match standing {
            Standing::GoesOn(prepared) => {
                if !prepared.finished {
                    recorded(&prepared.definitions);
                }
                prepared
            }
            Standing::Begins(former) => {
                unchanged(watch, source, UNTOUCHED)?;
                let discard = &options.discard;
                prepare::begin(
                    &mut control,
                    &wanted,
                    former,
                    &sizes,
                    discard,
                    &recorded,
                    cancel,
                )
                .await?
            }
        };
        let search_path = application_path(&control, &schema).await?;
        let build_settings = build_settings(&control, &search_path).await?;
        let key = wanted.import.key;
        let import = Import {
            target,
            source: source.to_path_buf(),
            layout,
            key,
            options: options.clone(),
            foreseen: Arc::new(foreseen),
            build_settings,
            search_path,
            transfer: Arc::new(transfer.clone()),
        };
        Ok(Self {
            began,
            watch,
            control,
            import,
            tasks: prepared.tasks,
            definitions: prepared.definitions,
            finished: prepared.finished,
            sizes,
            seconds: BTreeMap::new(),
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
        let shared = Lanes {
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
            lanes.push(lane::run(&shared, number, client));
        }
        let outcomes = futures_util::future::join_all(lanes).await;
        let spans = shared.meter.snapshot();
        let seconds = spans.iter().filter_map(|gauge| {
            let (began, ended) = gauge.span?;
            Some((gauge.table_oid, (ended - began).as_secs_f64()))
        });
        self.seconds = seconds.collect();
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
            self.import
                .layout
                .tables
                .iter()
                .map(|table| self.sizes.of(&table.source.name).rows)
                .collect(),
            loads.collect(),
            builds.collect(),
            foreign.collect(),
        )
    }

    fn gauges(&self) -> Vec<Gauge> {
        let gauge = |table: &TableLayout| {
            let (rows, bytes) = loaded(&self.tasks, table);
            let name = table.source.name.clone();
            let expected = self.sizes.of(&name).rows;
            Gauge::new(table.target.oid, name, expected, rows, bytes)
        };
        self.import.layout.tables.iter().map(gauge).collect()
    }

    /// Counts both sides, aligns and proves the sequences, puts triggers back, and records the end.
    pub async fn finish(&mut self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Copied, Error> {
        progress(Progress::Phase { phase: "account" });
        let account = self.account().await?;
        progress(Progress::Phase { phase: "sequences" });
        let layout = self.import.layout.clone();
        let mut left = Vec::new();
        let mut numbered = ended::numbered(&self.import.source, &layout).await?;
        // After the end, forced row security hides the rows again; the sequences were proven before.
        numbered.retain(|column| !(self.finished && ended::is_hidden(&layout, column)));
        let path = &self.import.search_path;
        let sequences = ended::align(&self.control, &layout, path, &numbered).await?;
        let problems: Vec<Problem> = sequences
            .iter()
            .filter(|sequence| !sequence.proven)
            .filter_map(|sequence| numbers::exhausted(&layout, sequence, &self.import.transfer))
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
            account::record(&self.control, &self.import.key, &account).await?;
            left = self.end(progress).await?;
        }
        let mut copied = self.outcome().await?;
        copied.after = self.afterwards();
        let warnings = layout.warnings.iter().cloned();
        let told = warnings.map(|warning| Problem {
            policy: None,
            ..warning
        });
        let left = left.into_iter();
        let left = left.map(|(table, reason)| structural(&table, "", reason, None));
        let before = promises::recorded(&self.control, &self.import.key).await?;
        let keys = layout.keys_not_kept(before.as_deref());
        copied.notes = told.chain(keys).chain(left).collect();
        copied.account = account;
        copied.was_done = self.finished;
        copied.sequences = sequences;
        copied.problems = problems;
        Ok(copied)
    }

    /// Every row of the source is in the target or was put aside, and the source is the one that was read.
    async fn account(&self) -> Result<Vec<TableAccount>, Error> {
        let (import, schema) = (&self.import, &self.import.target.schema);
        let tasks = record::tasks(&*self.control, &import.key).await?;
        let (control, layout) = (&self.control, &import.layout);
        let account =
            account::take(control, &import.source, schema, layout, &import.key, &tasks).await;
        // First of all: what was read at several moments need not add up.
        unchanged(self.watch, &import.source, TORN)?;
        account
    }

    /// What the runbook wants done once the rows are in, as statements.
    fn afterwards(&self) -> Vec<String> {
        let views = self.import.layout.materialized();
        let refresh = views
            .filter(|view| self.import.transfer.refresh && view.owned)
            .map(|view| format!("REFRESH MATERIALIZED VIEW {}", view.name));
        refresh
            .chain(self.import.transfer.after_import.iter().cloned())
            .collect()
    }

    /// Does what is to be done afterwards and records what that has left and the end, all or nothing, and waits for the disk: every earlier
    /// commit is durable with this one. Returns the tables that hold another number of rows now, in words.
    async fn end(
        &mut self,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Vec<(String, String)>, Error> {
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
        let afterwards = self.afterwards();
        let path = self.import.search_path.clone();
        let doing = || "recording the end of the import";
        let transaction = self.control.transaction().await.map_err(server(doing()))?;
        if !afterwards.is_empty() {
            progress(Progress::Phase {
                phase: "afterwards",
            });
            let set = format!("SET LOCAL search_path = {path}");
            transaction
                .batch_execute(&set)
                .await
                .map_err(server(doing()))?;
        }
        for statement in &afterwards {
            let doing = format!("after the import: {}", printable(statement, 200));
            transaction
                .batch_execute(statement)
                .await
                .map_err(server(doing))?;
        }
        let mut left = Vec::new();
        if !self.import.transfer.after_import.is_empty() {
            // What is counted is ours to name; the statements may have set a path of their own.
            let unset = "SET LOCAL search_path = ''";
            transaction
                .batch_execute(unset)
                .await
                .map_err(server(doing()))?;
            let (schema, layout) = (&self.import.target.schema, &self.import.layout);
            let client = transaction.client();
            left = account::record_left(client, schema, layout, &self.import.key).await?;
        }
        transaction
            .execute(
                "UPDATE cutover.import SET finished = now() WHERE key = $1",
                &[&self.import.key],
            )
            .await
            .map_err(server(doing()))?;
        transaction.commit().await.map_err(server(doing()))?;
        Ok(left)
    }

    async fn outcome(&self) -> Result<Copied, Error> {
        let tasks = record::tasks(&*self.control, &self.import.key).await?;
        let definitions = record::definitions(&self.control, &self.import.key).await?;
        let (policies, quarantined) = evidence::so_far(&self.control, &self.import.key).await?;
        let mut aside = evidence::put_aside(&self.control, &self.import.key).await?;
        aside.iter_mut().for_each(|aside| {
            aside.policy = self.import.layout.aside_by(&aside.table, &aside.column);
        });
        let mut copied = Copied {
            policies,
            quarantined,
            aside,
            ..Copied::default()
        };
        for table in &self.import.layout.tables {
            let (rows, bytes) = loaded(&tasks, table);
            copied.rows += rows;
            copied.tables.push(CopiedTable {
                table: table.source.name.clone(),
                rows,
                bytes,
                seconds: self
                    .seconds
                    .get(&table.target.oid)
                    .copied()
                    .unwrap_or_default(),
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

/// Whether the source is still as it was when the watch began.
fn unchanged(watch: &Watch, source: &Path, state: &'static str) -> Result<(), Error> {
    let path = source.to_path_buf();
    match watch.change() {
        Ok(None) => Ok(()),
        Ok(Some(what)) => Err(Error::SourceChanged { path, what, state }),
        Err(source) => Err(Error::Source { path, source }),
    }
}

/// More memory for sorting than the cautious default, never less than the server's own setting.
async fn build_settings(client: &Client, search_path: &str) -> Result<String, Error> {
    let row = client
        .query_one(
            "SELECT pg_size_bytes(current_setting('maintenance_work_mem'))",
            &[],
        )
        .await
        .map_err(server("reading the server's settings"))?;
    let wanted_kb = (row.get::<_, i64>(0) / 1024).max(256 * 1024);
    Ok(format!(
        "SET LOCAL maintenance_work_mem = {wanted_kb};\nSET LOCAL synchronous_commit = off;\nSET LOCAL search_path = {search_path};\n"
    ))
}

/// Rows and bytes that the tasks of a table have brought.
fn loaded(tasks: &[Task], table: &TableLayout) -> (u64, u64) {
    let own = tasks
        .iter()
        .filter(|task| task.target_oid == table.target.oid);
    own.fold((0, 0), |(rows, bytes), task| {
        (rows + task.rows, bytes + task.bytes)
    })
}
