//! `cutover verify`: the parity check alone, on any pair of databases, also one that another tool loaded.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::load::{self, Unread};
use crate::parity::{self, Check, Error, Opening, Options, Progress, Report, Sides, checks};
use crate::runbook::{self, transfer::Transfer};
use crate::target::Endpoint;

/// Compare every row and every value of a SQLite file with PostgreSQL
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The runbook that names both sides
    #[arg(conflicts_with_all = ["from", "to", "transfer", "schema"], default_value = "runbook.yaml")]
    pub runbook: PathBuf,
    /// The SQLite file, best the verified backup
    #[arg(long, value_name = "FILE", requires = "to")]
    pub from: Option<PathBuf>,
    /// The PostgreSQL database; its password belongs in PGPASSWORD or ~/.pgpass
    #[arg(long, value_name = "URL", requires = "from")]
    pub to: Option<String>,
    /// The runbook's `transfer:` section in a file of its own
    #[arg(long, value_name = "FILE", requires = "from")]
    pub transfer: Option<PathBuf>,
    /// The schema of the application's tables
    #[arg(long, default_value = "public")]
    pub schema: String,
    /// Only these tables, by their names in SQLite
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub tables: Option<Vec<String>>,
    /// Write every difference to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub differences: Option<PathBuf>,
    /// Set rows apart that this snapshot (pg_current_snapshot) does not see
    #[arg(long, value_name = "SNAPSHOT")]
    pub since: Option<String>,
    /// Read at most so many rows per second from PostgreSQL, on one connection
    #[arg(long, value_name = "N")]
    pub rate: Option<u32>,
    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// What is compared with what.
struct Pair {
    source: PathBuf,
    target: Endpoint,
    schema: String,
    transfer: Transfer,
}

/// What `--json` prints: the report, and why it is not complete.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// `cutover verify`
pub async fn run(args: VerifyArgs) -> anyhow::Result<Exit> {
    let pair = match pair(&args) {
        Ok(pair) => pair,
        Err(Wrong::Usage(message)) => {
            eprintln!("{message}");
            return Ok(Exit::Usage);
        }
        Err(Wrong::Failed(error)) => return Err(error),
    };
    if pair.target.has_password_in_url() {
        eprintln!(
            "cutover: a password in a URL shows in the process list: use PGPASSWORD or ~/.pgpass"
        );
    }
    let (report, error) = match verify(&args, &pair).await {
        Ok(report) => (report, None),
        Err(error) => (error.so_far().cloned().unwrap_or_default(), Some(error)),
    };
    if args.json {
        let printed = Printed {
            report: &report,
            error: error.as_ref().map(ToString::to_string),
        };
        println!("{}", serde_json::to_string(&printed)?);
    } else {
        print(&report);
    }
    match error {
        Some(error @ Error::Unknown { .. }) => {
            eprintln!("cutover: {error}");
            Ok(Exit::Usage)
        }
        Some(error) => Err(error.into()),
        None if report.equal => Ok(Exit::Done),
        None => Ok(Exit::NoGo),
    }
}

/// Why nothing can be compared.
enum Wrong {
    Usage(String),
    Failed(anyhow::Error),
}

fn pair(args: &VerifyArgs) -> Result<Pair, Wrong> {
    let failed = |error: anyhow::Error| Wrong::Failed(error);
    let (Some(from), Some(to)) = (&args.from, &args.to) else {
        let loaded = load::load(&args.runbook).map_err(|error| match error {
            Unread::Invalid { rendered } => Wrong::Usage(rendered),
            other => failed(other.into()),
        })?;
        let runbook = loaded.runbook;
        let target = Endpoint::parse(&runbook.target.url)
            .map_err(|error| Wrong::Usage(error.to_string()))?;
        let source = loaded.base.join(&runbook.source.file);
        return Ok(Pair {
            source,
            target,
            schema: runbook.target.schema,
            transfer: runbook.transfer,
        });
    };
    let target = Endpoint::parse(to).map_err(|error| Wrong::Usage(error.to_string()))?;
    let transfer = match &args.transfer {
        Some(file) => section(file)?,
        None => Transfer::default(),
    };
    Ok(Pair {
        source: from.clone(),
        target,
        schema: args.schema.clone(),
        transfer,
    })
}

fn section(file: &Path) -> Result<Transfer, Wrong> {
    let bytes = std::fs::read(file)
        .with_context(|| file.display().to_string())
        .map_err(Wrong::Failed)?;
    let name = file.display().to_string();
    let text = runbook::decode(&name, &bytes);
    let parsed = text.and_then(|text| runbook::parse_transfer(&name, text));
    parsed.map_err(|problems| Wrong::Usage(runbook::render(&problems)))
}

async fn verify(args: &VerifyArgs, pair: &Pair) -> Result<Report, Error> {
    let begun = Instant::now();
    let opening = Opening {
        since_snapshot: args.since.clone(),
        rows_per_second: args.rate,
        ..Opening::default()
    };
    let sides = Sides::open(
        &pair.source,
        &pair.target,
        &pair.schema,
        &pair.transfer,
        &opening,
    )
    .await?;
    let options = Options {
        tables: args.tables.clone(),
        lanes: if args.rate.is_some() {
            1
        } else {
            Options::default().lanes
        },
        differences: args.differences.clone(),
        ..Options::default()
    };
    let told = |progress: Progress| {
        if progress.done {
            let Progress {
                table,
                source_rows,
                differences,
                ..
            } = progress;
            eprintln!("{table}: {source_rows} rows compared, {differences} differences");
        }
    };
    let mut report = parity::tables(&sides, &options, &told, &CancellationToken::new()).await?;
    let of_rows = begun.elapsed();
    if args.tables.is_none() {
        match checks::all(&sides).await {
            Ok(found) => report.checks = found,
            Err(cause) => {
                let so_far = Box::new(Report {
                    equal: false,
                    ..report
                });
                return Err(Error::Stopped {
                    cause: Box::new(cause),
                    so_far,
                });
            }
        }
    }
    eprintln!(
        "rows {:.1} s, checks {:.1} s",
        of_rows.as_secs_f64(),
        (begun.elapsed() - of_rows).as_secs_f64()
    );
    report.equal &= report.checks.iter().all(|check| check.ok);
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// The report for people: what is wrong first, the verdict last.
fn print(report: &Report) {
    let rows: Vec<Check> = report
        .tables
        .iter()
        .map(|table| table.verdict("E2"))
        .collect();
    for check in rows.iter().chain(&report.checks) {
        println!(
            "{} {:<4} {}: {}",
            if check.ok { "ok " } else { "BAD" },
            check.id,
            check.name,
            check.detail
        );
        if !check.ok {
            check
                .examples
                .iter()
                .for_each(|example| println!("         {example}"));
        }
    }
    for skipped in &report.skipped {
        println!("--       {} is not compared: {}", skipped.name, skipped.why);
    }
    println!("{}", if report.equal { "equal" } else { "NOT equal" });
}
