//! The import itself: prepare, load, rebuild, align (`D2`–`D4`), each phase idempotent and resumable.

pub mod account;
pub mod away;
mod board;
pub(in crate::transfer) mod definitions;
pub(in crate::transfer) mod empty;
pub mod ended;
pub mod evidence;
mod forecast;
pub(in crate::transfer) mod key;
mod lane;
mod load;
mod meter;
mod patience;
pub(in crate::transfer) mod prepare;
pub(in crate::transfer) mod promises;
mod rebuild;
pub mod record;
mod session;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::postgres::{Endpoint, sequences};
use crate::runbook::transfer::Transfer;
use crate::sqlite::watch::Watch;
use crate::transfer::delta::Brought;
use crate::transfer::layout::Layout;
use crate::transfer::occupied::Discard;
use crate::transfer::plan::Problem;
use crate::transfer::rows::Foreseen;
use crate::transfer::session::Target;
use crate::transfer::{Error, Progress};

pub use account::TableAccount;

use patience::Patience;
use session::Session;

/// How an import runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections that load and rebuild at the same time.
    pub lanes: usize,
    /// Rows per batch at most; each batch is one transaction with its own checkpoint.
    pub batch_rows: u64,
    /// What names the run that this import belongs to, its source included. An import of the same run, with the same tables and
    /// transfer section, goes on where an earlier attempt stopped; once it has ended, it counts as done. None: the source is known by
    /// its content, and under `target_rows: replace` an import that has ended is done again.
    pub run: Option<String>,
    /// Rows that SQLite does not have and that somebody agreed to lose, by table: exactly as many as are found there.
    pub discard: Discard,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lanes: 2,
            batch_rows: 100_000,
            run: None,
            discard: Discard::new(),
        }
    }
}

/// What an import did, in the shape of `copy --json`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Copied {
    /// Per table, in the order of the plan.
    pub tables: Vec<CopiedTable>,
    /// All rows in the target by the checkpoints.
    pub rows: u64,
    /// From the first connection to the last statistics.
    pub seconds: f64,
    /// Constraints and indexes that were dropped and are back, proven.
    pub constraints_rebuilt: u64,
    /// Sequences, aligned and proven.
    pub sequences: Vec<sequences::Aligned>,
    /// Per table, the rows of both sides and what became of them; each adds up, or the import failed.
    pub account: Vec<TableAccount>,
    /// It had ended before, and everything is still there: nothing was done.
    pub was_done: bool,
    /// What stopped it; empty when it is complete.
    pub problems: Vec<Problem>,
    /// How often each policy was used, by `Table.Column: policy`.
    pub policies: BTreeMap<String, u64>,
    /// Rows that a policy put aside.
    pub quarantined: u64,
    /// The same by table and column, with the policy.
    pub aside: Vec<evidence::Aside>,
    /// What `--since` changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Brought>,
    /// What was done afterwards, because the runbook says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// What will stop the application later.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Problem>,
}

/// One table of [`Copied`].
#[derive(Debug, Clone, Serialize)]
pub struct CopiedTable {
    pub table: String,
    /// Rows in the target by the checkpoints.
    pub rows: u64,
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
    /// Rows that the server's rules would refuse and that are put aside, by their target table's oid.
    pub foreseen: Arc<BTreeMap<u32, Foreseen>>,
    /// Settings before each build, inside its transaction.
    pub build_settings: String,
    /// The search path of the application's own sessions, for what its functions name without a schema.
    pub search_path: String,
    /// What the runbook says, for what follows the load.
    pub transfer: Arc<Transfer>,
}

/// The whole import: prepare, load with overlapping rebuilds, finish and prove the rebuilds, align sequences, statistics. Called again
/// after any interruption it goes on where it stopped; called after it ended, it counts both sides again and reports what it did.
///
/// # Errors
/// [`Error::SourceChanged`] and [`Error::Account`] tell of rows that may be lost, whatever else went well.
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
    // One watch over all attempts: each reads what the others have read.
    let watch = watch(source, options.run.is_none()).await?;
    let mut patience = Patience::default();
    let mut reached = false;
    loop {
        let whole = async {
            let target = Target {
                endpoint: target.clone(),
                schema: schema.to_owned(),
                application_name: format!("cutover import into {schema}"),
            };
            let control = target.connect().await?;
            reached = true;
            let opening = session::Opening {
                source,
                watch: &watch,
                target,
                transfer,
                options,
            };
            let mut session = Session::open(opening, control, progress, cancel).await?;
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

pub(in crate::transfer) async fn watch(source: &Path, by_content: bool) -> Result<Watch, Error> {
    let path = source.to_path_buf();
    let beginning = tokio::task::spawn_blocking(move || Watch::begin(&path, by_content));
    let watch = beginning.await.expect("BUG: reading the source panicked");
    watch.map_err(|error| Error::Source {
        path: source.to_path_buf(),
        source: error,
    })
}
