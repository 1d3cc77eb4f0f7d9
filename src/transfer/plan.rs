//! What would move: tables in order, type pairs, rows, and every value that will not convert, before anyone has frozen anything.

mod after;
mod arrival;
mod behind;
pub mod consequences;
pub mod fates;
pub mod foreseen;
mod given;
pub mod guess;
mod habits;
mod hidden;
mod histories;
pub(crate) mod numbers;
mod path;
pub mod preflight;
pub mod probe;
mod readers;
pub mod scan;
pub mod sentinels;
mod settle;
pub mod spellings;
pub mod suggest;
pub mod units;
mod zeros;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::runbook::transfer::{TargetRows, Transfer};
use crate::source::schema::Schema;
use crate::target::Endpoint;
use crate::target::catalogue::Catalogue;
use crate::text::printable;
use crate::transfer::copy::away;
use crate::transfer::layout::{self, Layout, TableLayout};
use crate::transfer::occupied::obstacles::{Emptying, obstacles};
use crate::transfer::occupied::{self, Occupied};
use crate::transfer::rows::Fault;
use crate::transfer::session::Target;
use crate::transfer::{Error, Progress, defaults, error, reader};

use consequences::Action;
use fates::Look;
use scan::Scanned;
use suggest::Additions;
use units::World;

/// How far a plan looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// Every value of every planned table.
    Full,
    /// Names and types only.
    SchemaOnly,
}

/// The outcome of planning, in the shape of `plan --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// What moves, in foreign-key order (`D1`), the same for the same two schemas.
    pub tables: Vec<PlannedTable>,
    /// What stays, and why.
    pub skipped: Vec<Skipped>,
    /// What stands in the way. Empty: the import can run.
    pub problems: Vec<Problem>,
    /// Problems found beyond those listed, per `Table.Column`; a list of a million rows helps nobody.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unlisted: BTreeMap<String, u64>,
    /// What is worth knowing and stops nothing.
    pub notes: Vec<Problem>,
    /// Planned tables that hold rows, which `target_rows: replace` empties, with how many of those SQLite does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub occupied: Vec<Occupied>,
    /// The transfer section that would settle every problem, as YAML, to read and paste. Empty when there are none.
    pub suggested: String,
    /// SHA-256 over source schema, target schema, transfer section and problems found.
    pub hash: String,
    /// Whether every value was looked at.
    pub scanned: bool,
}

/// One table that moves.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedTable {
    /// Source name.
    pub table: String,
    /// Target name.
    pub target: String,
    /// Rows: counted by a full scan, else estimated.
    pub rows: u64,
    /// Bytes of its values.
    pub bytes: u64,
    /// Its columns in source order.
    pub columns: Vec<PlannedColumn>,
}

/// One column that moves.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedColumn {
    /// Source name.
    pub column: String,
    /// Declared type in the source, as written.
    pub source: String,
    /// Type in the target, as PostgreSQL shows it.
    pub target: String,
    /// What happens to its values, in words.
    pub conversion: String,
}

/// One table or column that does not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why it stays.
    pub why: String,
}

/// Where in a table a problem is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum RowKey {
    /// The rowid.
    Rowid(i64),
    /// The key's values, for tables without a rowid, made safe to print.
    Key(String),
    /// The whole column or table.
    None,
}

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Source table, or the target's where the source has none.
    pub table: String,
    /// Column; empty for the whole table.
    pub column: String,
    /// The row.
    pub rowid: RowKey,
    /// The value, made safe to print and cut short.
    pub value: String,
    /// Why it does not fit.
    pub reason: String,
    /// The setting that would settle it, as `key: value`.
    pub policy: Option<String>,
}

impl std::fmt::Display for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rowid(rowid) => write!(f, "{rowid}"),
            Self::Key(key) => f.write_str(key),
            Self::None => Ok(()),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What concerns the whole database names no table.
        if self.table.is_empty() {
            return write!(f, "{}", self.reason);
        }
        write!(f, "{}", printable(&self.table, 80))?;
        if !self.column.is_empty() {
            write!(f, ".{}", printable(&self.column, 80))?;
        }
        if self.rowid != RowKey::None {
            write!(f, " row {}", self.rowid)?;
        }
        if !self.value.is_empty() {
            write!(f, " {}", self.value)?;
        }
        write!(f, ": {}", self.reason)?;
        match &self.policy {
            Some(policy) => write!(f, " (settled by `{}`)", printable(policy, 200)),
            None => Ok(()),
        }
    }
}

/// Plans the import of `source` into `schema` of `target`. Reads both sides; writes nothing that outlives its transaction.
///
/// # Errors
/// The source or the target cannot be read, or somebody cancelled. What stands in the way of the import is no error here but a
/// [`Problem`].
pub async fn plan(
    source: &Path,
    target: &Endpoint,
    schema: &str,
    transfer: &Transfer,
    scan: Scan,
    progress: &(dyn Fn(Progress) + Sync),
    cancel: &CancellationToken,
) -> Result<Plan, Error> {
    let target = Target {
        endpoint: target.clone(),
        schema: schema.to_owned(),
        application_name: "cutover plan".to_owned(),
    };
    let client = target.connect().await?;
    let both = Both::read_with(
        source,
        &client,
        schema,
        transfer,
        Layout::with_suggested_names,
    )
    .await?;
    let mut problems = preflight::missing(&client, schema, &both.layout).await?;
    let may_look = problems.is_empty();
    problems.extend(both.layout.problems.iter().cloned());
    problems.extend(both.layout.warnings.iter().cloned());
    problems.extend(preflight::unreadable(&client, &both.layout).await?);
    problems.extend(preflight::invalid_indexes(&both.layout));
    problems.extend(after::refused(&client, &both.layout, transfer).await?);
    if may_look {
        problems.extend(preflight::refused_by_event_triggers(&client).await?);
    }
    let mut plan = Plan {
        tables: Vec::new(),
        skipped: both.layout.skipped.clone(),
        problems,
        unlisted: BTreeMap::new(),
        notes: both.layout.notes.clone(),
        suggested: String::new(),
        hash: String::new(),
        occupied: Vec::new(),
        scanned: scan == Scan::Full,
    };
    // A role without the rights for an import need not have those for this look either.
    if may_look {
        let rows = transfer.target_rows;
        both.look_at_rows(source, &client, schema, rows, &mut plan, cancel)
            .await?;
    }
    let mut additions = both.layout.wishes.clone();
    additions.zone_is_stated = transfer.zone.is_some();
    let scanned = match scan {
        Scan::SchemaOnly => sizes(source, &both.layout).await?,
        Scan::Full => {
            let scanned = both.scan(source, progress, cancel).await?;
            if may_look {
                plan.problems
                    .extend(given::judge(&client, &both.layout).await?);
            }
            // A role that may make no temporary table is told so; what the server would say is for the next look.
            let asked = preflight::may_probe(&client).await?.then_some(&*client);
            both.judge(source, asked, &scanned, &mut plan, &mut additions, cancel)
                .await?;
            let closed = numbers::closed(&client, &both.layout).await?;
            if closed.is_empty() {
                numbers::judge(&client, source, &both.layout, transfer, &mut plan).await?;
            }
            plan.problems.extend(closed);
            scanned
        }
    };
    path::compare(&client, &both.layout, transfer, &mut plan).await?;
    after::note(&both.layout, transfer, &mut plan);
    hidden::note(&client, &both.layout, transfer, &mut plan).await?;
    histories::note(&client, source, &both.layout, &mut plan).await?;
    behind::weigh(source, scan, &mut plan, &mut additions).await?;
    plan.tables = both
        .layout
        .tables
        .iter()
        .zip(&scanned)
        .map(|(table, scanned)| planned(table, scanned))
        .collect();
    finish(&mut plan, transfer, additions, &both.layout);
    plan.hash = hash(&plan, transfer);
    Ok(plan)
}

/// Both schemas, paired.
pub(crate) struct Both {
    /// The pairs.
    pub layout: Arc<Layout>,
}

impl Both {
    /// Reads both schemas.
    pub(crate) async fn read(
        source: &Path,
        client: &tokio_postgres::Client,
        schema: &str,
        transfer: &Transfer,
    ) -> Result<Self, Error> {
        Self::read_with(source, client, schema, transfer, Layout::new).await
    }

    async fn read_with(
        source: &Path,
        client: &tokio_postgres::Client,
        schema: &str,
        transfer: &Transfer,
        pair: impl Fn(&Schema, &Catalogue, &Transfer) -> Layout,
    ) -> Result<Self, Error> {
        let path = source.to_path_buf();
        let reading = tokio::task::spawn_blocking(move || {
            let connection = scan::open(&path)?;
            Schema::read(&connection).map_err(error::read(&path, "the schema"))
        });
        let from = reading.await.expect("BUG: reading the schema panicked")?;
        let mut to = Catalogue::read(client, schema)
            .await
            .map_err(error::server("reading the target's catalogue"))?;
        away::restore_from_record(client, &mut to).await?;
        let mut layout = pair(&from, &to, transfer);
        defaults::fill(client, &mut layout).await?;
        readers::mark(client, &mut layout).await?;
        Ok(Self {
            layout: Arc::new(layout),
        })
    }

    /// What `target_rows: replace` would empty, and what stands against that; under `refuse`, every row does.
    #[allow(clippy::too_many_arguments)]
    async fn look_at_rows(
        &self,
        source: &Path,
        client: &tokio_postgres::Client,
        schema: &str,
        target_rows: TargetRows,
        plan: &mut Plan,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        plan.occupied = occupied::look(client, source, schema, &self.layout, cancel).await?;
        if target_rows == TargetRows::Refuse {
            let refused = plan.occupied.iter().map(Occupied::refused);
            plan.problems.extend(refused);
            return Ok(());
        }
        let is_occupied = |table: &&TableLayout| {
            let mut occupied = plan.occupied.iter();
            occupied.any(|found| found.table == table.source.name)
        };
        let emptied = self.layout.tables.iter().filter(is_occupied);
        let emptied: Vec<u32> = emptied.map(|table| table.target.oid).collect();
        let emptying = Emptying {
            source,
            layout: &self.layout,
            emptied: &emptied,
            open: &[],
        };
        let doing = || error::server("looking for what stands against emptying");
        client.batch_execute("BEGIN").await.map_err(doing())?;
        let found = obstacles(client, &emptying, cancel).await;
        client.batch_execute("ROLLBACK").await.map_err(doing())?;
        plan.problems.extend(found?);
        Ok(())
    }

    async fn scan(
        &self,
        source: &Path,
        progress: &(dyn Fn(Progress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<Vec<Scanned>, Error> {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let (path, layout, cancelled) = (source.to_path_buf(), self.layout.clone(), cancel.clone());
        let threads = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(8);
        let scanning = tokio::task::spawn_blocking(move || {
            scan::scan(&path, &layout, threads, &sender, &cancelled)
        });
        while let Some(report) = receiver.recv().await {
            progress(report);
        }
        scanning.await.expect("BUG: the scan panicked")
    }

    /// Takes in what the scan found, then asks the server and SQLite for what only they can judge.
    #[allow(clippy::too_many_arguments)]
    async fn judge(
        &self,
        source: &Path,
        client: Option<&tokio_postgres::Client>,
        scanned: &[Scanned],
        plan: &mut Plan,
        additions: &mut Additions,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        let world = self.layout.world();
        let start = scanned.iter().map(|scanned| {
            let behind = scanned.behind.iter();
            Arc::new(
                behind
                    .map(|row| (row.clone(), vec![Fault::of_values()]))
                    .collect(),
            )
        });
        let look = Look {
            client,
            source,
            layout: &self.layout,
            scanned: Some(scanned),
            asks: &vec![true; scanned.len()],
            cancel,
        };
        let told = fates::tell(look, start.collect()).await?;
        let mut settled = told.settled;
        let mut beyond = Beyond::default();
        for (place, (table, scanned)) in self.layout.tables.iter().zip(scanned).enumerate() {
            take_in(table, scanned, world, plan, additions);
            let hopeless = told.hopeless.iter().filter(|(at, _)| *at == place);
            plan.problems
                .extend(hopeless.map(|(_, problem)| problem.clone()));
            let (own, others) = settled.into_iter().partition(|one| one.table == place);
            settled = others;
            let mut listed: BTreeMap<String, u64> = BTreeMap::new();
            for one in Vec::<fates::Settled>::from_iter(own) {
                let of = format!("{}.{}", one.problem.table, one.problem.column);
                let count = listed.entry(of).or_default();
                *count += 1;
                if *count <= scan::LISTED_PER_COLUMN {
                    take_fault(one.problem, one.stated, one.wished, plan, additions);
                } else {
                    beyond.take(one);
                }
            }
        }
        beyond.note(plan);
        plan.notes.extend(told.notes);
        let orphans = told.orphans;
        note_layers(&orphans, plan);
        let mut listed: BTreeMap<String, u64> = BTreeMap::new();
        for orphan in orphans {
            let of = format!("{}.{}", orphan.problem.table, orphan.problem.column);
            let count = listed.entry(of.clone()).or_default();
            *count += 1;
            if *count > scan::LISTED_PER_COLUMN {
                *plan.unlisted.entry(of).or_default() += 1;
                continue;
            }
            take_fault(
                orphan.problem,
                orphan.stated,
                orphan.wished,
                plan,
                additions,
            );
        }
        Ok(())
    }
}

/// A fault that the transfer section settles is a note; one that it does not is a problem, with what would.
fn take_fault(
    problem: Problem,
    stated: Option<Action>,
    wished: Action,
    plan: &mut Plan,
    additions: &mut Additions,
) {
    if problem.rowid != RowKey::None || (problem.value.is_empty() && stated.is_none()) {
        let done = match stated {
            Some(Action::Aside) => Some("put aside"),
            Some(Action::Null) => Some("becomes NULL"),
            None => None,
        };
        if let Some(done) = done {
            plan.notes.push(Problem {
                reason: format!("{done}: {}", problem.reason),
                policy: None,
                ..problem
            });
            return;
        }
        additions.add(&problem.table, &problem.column, wished.policy());
        plan.problems.push(Problem {
            policy: Some(wished.policy().to_owned()),
            ..problem
        });
        return;
    }
    // Rows of the target's own: no policy reaches them.
    plan.problems.push(Problem {
        policy: None,
        ..problem
    });
}

/// Rows at fault that are not listed: as problems they are counted, and where the transfer section settles them a note has their number.
#[derive(Default)]
struct Beyond {
    /// By table and column, how many are problems.
    unsettled: BTreeMap<String, u64>,
    /// By table and column, one that is settled, and how many there are.
    settled: BTreeMap<String, (Problem, u64)>,
}

impl Beyond {
    fn take(&mut self, one: fates::Settled) {
        let of = format!("{}.{}", one.problem.table, one.problem.column);
        match one.stated {
            None => *self.unsettled.entry(of).or_default() += 1,
            Some(_) => self.settled.entry(of).or_insert((one.problem, 0)).1 += 1,
        }
    }

    fn note(self, plan: &mut Plan) {
        for (of, more) in self.unsettled {
            *plan.unlisted.entry(of).or_default() += more;
        }
        for (like, more) in self.settled.into_values() {
            plan.notes.push(Problem {
                reason: format!("and {more} more, which are not listed: {}", like.reason),
                rowid: RowKey::None,
                policy: None,
                ..like
            });
        }
    }
}

/// How many rows hang on rows that stay behind, layer by layer.
fn note_layers(orphans: &[consequences::Orphan], plan: &mut Plan) {
    let mut layers: BTreeMap<(u32, &str, &str), u64> = BTreeMap::new();
    for orphan in orphans {
        let problem = &orphan.problem;
        let at = (
            orphan.layer,
            problem.table.as_str(),
            problem.column.as_str(),
        );
        *layers.entry(at).or_default() += 1;
    }
    if layers.keys().all(|(layer, ..)| *layer == 1) {
        return;
    }
    for ((layer, table, column), rows) in layers {
        let reason = format!("layer {layer}: {rows} row(s) without their parent");
        plan.notes
            .push(layout::structural(table, column, reason, None));
    }
}

/// The problems and wishes of one table's values.
fn take_in(
    table: &TableLayout,
    scanned: &Scanned,
    world: World,
    plan: &mut Plan,
    additions: &mut Additions,
) {
    let name = &table.source.name;
    plan.problems
        .extend(settle::settle(table, scanned, world, additions));
    plan.unlisted.extend(
        scanned
            .unlisted
            .iter()
            .map(|(column, count)| (format!("{name}.{column}"), *count)),
    );
    for (column, look) in table.columns.iter().zip(&scanned.looks) {
        if let Some(reason) = guess::odd_classes(&column.converter.kind, look) {
            plan.notes.push(layout::structural(
                name,
                table.source_name(column),
                reason,
                None,
            ));
        }
    }
}

/// The suggestion, in the plan's own last step because every problem adds to it.
fn finish(plan: &mut Plan, transfer: &Transfer, mut additions: Additions, layout: &Layout) {
    for problem in plan
        .problems
        .iter()
        .filter(|problem| problem.rowid == RowKey::None)
    {
        if let Some(policy) = &problem.policy {
            additions.add(&problem.table, &problem.column, policy);
        }
    }
    plan.suggested = suggest::yaml(transfer, additions, layout);
}

/// Row counts and sizes without a scan.
async fn sizes(source: &Path, layout: &Arc<Layout>) -> Result<Vec<Scanned>, Error> {
    let (path, layout) = (source.to_path_buf(), layout.clone());
    let measuring = tokio::task::spawn_blocking(move || {
        let connection = scan::open(&path)?;
        let estimate = |table: &TableLayout| {
            let (rows, _) = reader::estimate(&connection, &table.source)
                .map_err(error::read(&path, &table.source.name))?;
            Ok(Scanned {
                rows,
                ..Scanned::default()
            })
        };
        layout.tables.iter().map(estimate).collect()
    });
    measuring.await.expect("BUG: measuring the tables panicked")
}

fn planned(table: &TableLayout, scanned: &Scanned) -> PlannedTable {
    let columns = table.columns.iter().map(|column| PlannedColumn {
        column: table.source_name(column).to_owned(),
        source: table.source.columns[column.source].declared.clone(),
        target: column.target.ty.shown.clone(),
        conversion: guess::conversion(&column.converter),
    });
    PlannedTable {
        table: table.source.name.clone(),
        target: table.target.name.clone(),
        rows: scanned.rows,
        bytes: scanned.looks.iter().map(|look| look.bytes).sum(),
        columns: columns.collect(),
    }
}

fn hash(plan: &Plan, transfer: &Transfer) -> String {
    let content = serde_json::json!({ "tables": plan.tables, "skipped": plan.skipped, "problems": plan.problems,
        "unlisted": plan.unlisted, "scanned": plan.scanned, "transfer": transfer });
    Sha256::digest(content.to_string())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
