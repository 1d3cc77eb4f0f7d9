//! `cutover salvage`: what a rollback would leave behind in PostgreSQL, or has left behind, and how to bring it back.

mod apply;
mod make;
mod show;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use super::orders::Standing;
use super::{Exit, Named, run};
use crate::journal::{Folder, files};
use crate::postgres::Endpoint;
use crate::runbook::Runbook;
use crate::salvage::file::{Choice, NAME, Salvaged};
use crate::salvage::tally::{sums, total};
use crate::salvage::{Search, Since, TableCost};
use crate::session::facts::Snapshot;
use crate::session::{Phase, Session};
use crate::step::production;
use crate::step::salvage::{Record, known};
use crate::text::printable;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// What a rollback leaves behind, and how to bring it back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover salvage show
  cutover salvage apply --all --dry-run")]
pub struct SalvageArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Count exactly what was written to PostgreSQL since the switch, per table
    Cost(CostArgs),
    /// The rows that a rollback left behind
    Show(show::ShowArgs),
    /// Bring rows into SQLite, all chosen ones in one transaction or none
    Apply(apply::ApplyArgs),
    /// Make the salvage file of a rollback whose R5 could not
    Make(make::MakeArgs),
}

/// What a rollback now would leave behind.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover salvage cost
  cutover salvage cost tool-catalogue-1 --json")]
pub struct CostArgs {
    #[command(flatten)]
    named: Named,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    /// Seconds that one statement may take on PostgreSQL; a table that takes longer is named, and the others go on
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    limit: u64,
}

/// `cutover salvage`
///
/// # Errors
/// What was asked for cannot be had; the message says what and why.
pub async fn run(args: SalvageArgs) -> anyhow::Result<Exit> {
    match args.what {
        What::Cost(args) => cost(args).await,
        What::Show(args) => show::run(args),
        What::Apply(args) => apply::run(args),
        What::Make(args) => make::run(args).await,
    }
}

/// Which rows of the salvage file.
#[derive(Debug, Args)]
struct ChoiceArgs {
    /// Only rows of these tables
    #[arg(long, value_name = "TABLE")]
    table: Vec<String>,
    /// Only the rows with these numbers, as `show` prints them
    #[arg(long, value_name = "N")]
    row: Vec<i64>,
    /// Only the rows with these keys, as `show` prints them: Table=17, Table="abc", Table=[1,"x"]
    #[arg(long, value_name = "TABLE=KEY", value_parser = key)]
    key: Vec<(String, String)>,
}

impl ChoiceArgs {
    fn choice(&self) -> Choice {
        Choice {
            tables: self.table.clone(),
            rows: self.row.clone(),
            keys: self.key.clone(),
        }
    }
}

fn key(text: &str) -> Result<(String, String), String> {
    let (table, key) = text.split_once('=').ok_or("write TABLE=KEY")?;
    // As the file spells it: a word that is no JSON is a string.
    let value: serde_json::Value =
        serde_json::from_str(key).unwrap_or_else(|_| serde_json::Value::from(key));
    let list = if value.is_array() {
        value
    } else {
        vec![value].into()
    };
    Ok((table.to_owned(), list.to_string()))
}

/// The salvage file of a session.
struct Opened {
    folder: Folder,
    session: Session,
    salvaged: Salvaged,
    /// Whether it is the one on record: a warning, or why it is not.
    known: Result<Option<String>, String>,
}

fn open(named: &Named) -> anyhow::Result<Opened> {
    let folder = run::find_night(named)?;
    let path = folder.dir().join(NAME);
    let session = crate::history::session(&folder)?;
    if path.symlink_metadata().is_err() {
        let why = match session.phase {
            Phase::RolledBack | Phase::RollingBack => {
                session.rollback_fact::<Record>()?.map_or_else(
                    || "its rollback has not come to R5 yet".to_owned(),
                    |record| record.sentence(),
                )
            }
            Phase::Open | Phase::Completed => "it was not rolled back; `cutover salvage cost` counts what a rollback now would leave behind".to_owned(),
        };
        bail!("session {} has no salvage file: {why}", folder.session());
    }
    // Its rows go into the application's database.
    files::open(&folder, &files::SALVAGE).map_err(|error| files::named(&path, &error))?;
    let salvaged = Salvaged::open(&path)?;
    let known = known::look(&session, &path, &salvaged);
    Ok(Opened {
        folder,
        session,
        salvaged,
        known,
    })
}

/// One spelling of a path, so that a file is known again.
fn source(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What to look for, by what the session has on record.
fn since(session: &Session, runbook: &Runbook, limit: Duration) -> anyhow::Result<Option<Since>> {
    let Some(Snapshot(snapshot)) = session.fact()? else {
        return Ok(None);
    };
    let copies = session.backups()?.into_iter();
    let backup = copies.into_iter().find(|kept| kept.path.is_file());
    let backup = backup.context("neither copy of the backup is where the session put it")?;
    Ok(Some(Since {
        backup: backup.path,
        schema: runbook.target.schema.clone(),
        transfer: runbook.transfer.clone(),
        snapshot,
        target: production::target_of(session)?,
        statement_limit: limit,
        scratch: std::env::temp_dir(),
    }))
}

async fn cost(args: CostArgs) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let folder = run::find_night(&args.named)?;
    let session = crate::history::session(&folder)?;
    let name = &session.charter.session;
    let standing = Standing::of(&folder)
        .context("`cutover salvage show` says what the session left behind")?;
    let orders = standing.orders(folder)?;
    let limit = Duration::from_secs(args.limit);
    let costs = match since(&session, &orders.runbook, limit)? {
        // Nobody can have written to PostgreSQL yet.
        None => Vec::new(),
        Some(since) => {
            let endpoint = Endpoint::parse(&orders.runbook.target.url)?;
            let endpoint = endpoint.with_application_name("cutover salvage");
            let cancel = CancellationToken::new();
            let search = Search::open(since, &endpoint, CONNECT_LIMIT, &cancel).await?;
            search.run(()).await?.0
        }
    };
    let complete = costs.iter().all(|cost| cost.lacks.is_none());
    if args.json {
        outln!("{}", json(name, &costs, complete, begun.elapsed()));
    } else {
        outln!("session {}", printable(name, 80));
        print(&costs);
        outln!("{}", total(&costs));
    }
    Ok(if complete { Exit::Done } else { Exit::Failed })
}

fn json(session: &str, costs: &[TableCost], complete: bool, took: Duration) -> serde_json::Value {
    let [inserted, changed, deleted] = sums(costs);
    serde_json::json!({
        "session": session, "tables": costs, "inserted": inserted, "changed": changed, "deleted": deleted, "complete": complete,
        "seconds": took.as_secs_f64(),
    })
}

/// Tables with something to lose.
fn print(costs: &[TableCost]) {
    let told = |cost: &&TableCost| cost.rows() > 0 || cost.lacks.is_some();
    let shown: Vec<_> = costs.iter().filter(told).collect();
    if !shown.is_empty() {
        outln!(
            "{:<32} {:>10} {:>10} {:>10}",
            "",
            "inserted",
            "changed",
            "deleted"
        );
    }
    for cost in shown {
        outln!(
            "{:<32} {:>10} {:>10} {:>10}",
            printable(&cost.table, 32),
            cost.inserted,
            cost.changed,
            cost.deleted
        );
        if let Some(lacks) = &cost.lacks {
            outln!("  not complete: {}", printable(lacks, 400));
        }
    }
}
