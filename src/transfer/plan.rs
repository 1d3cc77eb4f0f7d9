//! What would move: tables in order, type pairs, rows, and every value that will not convert, before anyone has frozen anything.

mod after;
mod arrival;
pub mod aside;
mod behaviour;
pub(crate) mod behind;
mod changed;
pub mod consequences;
pub mod fates;
mod faults;
pub mod foreseen;
mod given;
pub mod guess;
mod guids;
mod habits;
mod hidden;
mod histories;
mod local_time;
mod mend;
pub(crate) mod numbers;
mod paired;
mod path;
pub mod preflight;
pub mod probe;
mod readers;
pub mod rewritten;
pub mod scan;
pub mod sentinels;
mod settle;
pub mod spellings;
pub mod suggest;
pub mod units;
mod unmet;
mod wish;
mod zeros;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::postgres::Endpoint;
use crate::runbook::transfer::{TargetRows, Transfer};
use crate::text::printable;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::occupied::obstacles::{Emptying, obstacles};
use crate::transfer::occupied::{self, Occupied};
use crate::transfer::session::Target;
use crate::transfer::{Error, Progress, error, reader};

pub(crate) use paired::read_layout;

use aside::Aside;
use scan::Scanned;
use suggest::Additions;

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
    /// What the transfer section does about rows and values that do not fit: how many stay behind, and which.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<Aside>,
    /// Planned tables that hold rows, which `target_rows: replace` empties, with how many of those SQLite does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub occupied: Vec<Occupied>,
    /// The transfer section that would settle every problem, as YAML, to read and paste. Empty when there are none.
    pub suggested: String,
    /// SHA-256 over source schema, target schema, transfer section and problems found.
    pub hash: String,
    /// Whether every value was looked at.
    pub scanned: bool,
    /// The file has no table at all; a problem says so.
    #[serde(skip)]
    pub source_is_empty: bool,
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
    let layout = paired::read_layout_with(
        source,
        &client,
        schema,
        transfer,
        Layout::with_suggested_names,
    )
    .await?;
    let mut problems = preflight::missing(&client, schema, &layout).await?;
    let may_look = problems.is_empty();
    problems.extend(layout.problems.iter().cloned());
    problems.extend(layout.warnings.iter().cloned());
    problems.extend(preflight::unreadable(&client, &layout).await?);
    problems.extend(preflight::invalid_indexes(&layout));
    problems.extend(after::refused(&client, &layout, transfer).await?);
    if may_look {
        problems.extend(preflight::refused_by_event_triggers(&client).await?);
    }
    let mut plan = Plan {
        tables: Vec::new(),
        skipped: layout.skipped.clone(),
        problems,
        unlisted: BTreeMap::new(),
        notes: layout.notes.clone(),
        aside: Vec::new(),
        suggested: String::new(),
        hash: String::new(),
        occupied: Vec::new(),
        scanned: scan == Scan::Full,
        source_is_empty: layout.source_is_empty,
    };
    // A role without the rights for an import need not have those for this look either.
    if may_look {
        let rows = transfer.target_rows;
        look_at_rows(&layout, source, &client, schema, rows, &mut plan, cancel).await?;
    }
    let mut additions = layout.wishes.clone();
    additions.zone_is_stated = transfer.zone.is_some();
    let scanned = match scan {
        Scan::SchemaOnly => {
            probe::recomputed::judge(None, source, &layout, &mut plan, cancel).await?;
            sizes(source, &layout).await?
        }
        Scan::Full => {
            let scanned = scan_values(&layout, source, progress, cancel).await?;
            if may_look {
                plan.problems.extend(given::judge(&client, &layout).await?);
            }
            // A role that may make no temporary table is told so; what the server would say is for the next look.
            let asked = preflight::may_probe(&client).await?.then_some(&*client);
            faults::judge(
                &layout,
                source,
                asked,
                &scanned,
                &mut plan,
                &mut additions,
                cancel,
            )
            .await?;
            probe::recomputed::judge(asked, source, &layout, &mut plan, cancel).await?;
            let closed = numbers::closed(&client, &layout).await?;
            if closed.is_empty() {
                numbers::judge(&client, source, &layout, transfer, &mut plan).await?;
            }
            plan.problems.extend(closed);
            unmet::note(source, &layout, transfer, &mut plan).await?;
            scanned
        }
    };
    numbers::untraced(&layout, &scanned, &mut plan);
    plan.notes.extend(unmet::partitions(&layout, &scanned));
    path::compare(&client, &layout, transfer, &mut plan).await?;
    after::note(&layout, transfer, &mut plan);
    hidden::note(&client, &layout, transfer, &mut plan).await?;
    histories::note(&client, source, &layout, &mut plan).await?;
    behaviour::note(source, &layout, &mut plan).await?;
    local_time::note(source, &layout, &mut plan)?;
    behind::weigh(source, scan, &mut plan.problems, &mut additions).await?;
    plan.tables = layout
        .tables
        .iter()
        .zip(&scanned)
        .map(|(table, scanned)| planned(table, scanned))
        .collect();
    finish(&mut plan, transfer, additions, &layout);
    plan.hash = hash(&plan, transfer);
    Ok(plan)
}

/// What `target_rows: replace` would empty, and what stands against that; under `refuse`, every row does.
#[allow(clippy::too_many_arguments)]
async fn look_at_rows(
    layout: &Layout,
    source: &Path,
    client: &tokio_postgres::Client,
    schema: &str,
    target_rows: TargetRows,
    plan: &mut Plan,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    plan.occupied = occupied::look(client, source, schema, layout, cancel).await?;
    if target_rows == TargetRows::Refuse {
        let refused = plan.occupied.iter().map(Occupied::refused);
        plan.problems.extend(refused);
        return Ok(());
    }
    let is_occupied = |table: &&TableLayout| {
        let mut occupied = plan.occupied.iter();
        occupied.any(|found| found.table == table.source.name)
    };
    let emptied = layout.tables.iter().filter(is_occupied);
    let emptied: Vec<u32> = emptied.map(|table| table.target.oid).collect();
    let emptying = Emptying {
        source,
        layout,
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

async fn scan_values(
    layout: &Arc<Layout>,
    source: &Path,
    progress: &(dyn Fn(Progress) + Sync),
    cancel: &CancellationToken,
) -> Result<Vec<Scanned>, Error> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let (path, layout, cancelled) = (source.to_path_buf(), layout.clone(), cancel.clone());
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
    // It is one word for all tables, and would empty what may be a history with them.
    additions.replace &= !plan.occupied.iter().any(Occupied::may_be_history);
    additions.losses = plan.occupied.iter().filter_map(Occupied::loss).collect();
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
