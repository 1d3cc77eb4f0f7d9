//! `cutover verify`: the parity check alone, on any pair of databases, also one that another tool loaded.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::pair::{Pair, PairArgs};
use crate::parity::{self, Check, Error, Opening, Options, Progress, Report, Sides, checks};
use crate::postgres::load_share;

/// Compare every row and every value of a SQLite file with PostgreSQL
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover verify --from app.db --to postgres://owner@db.example/catalogue
  cutover verify runbook.yaml --tables ToolContents,Tags --differences differences.jsonl")]
pub struct VerifyArgs {
    #[command(flatten)]
    pair: PairArgs,
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
    /// Let no statement on PostgreSQL take longer than so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub statement_limit: Option<u32>,
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
    let pair = match args.pair.resolve() {
        Ok(pair) => pair,
        Err(error) => {
            errln!("cutover: {error}");
            return Ok(Exit::Usage);
        }
    };
    pair.look_at_source()?;
    let verified = if args.rate.is_some() {
        let verifying = verify(&args, &pair);
        let (verified, share) =
            load_share::during(&pair.target, parity::APPLICATION_NAME, verifying).await;
        errln!("load: {share}");
        verified
    } else {
        verify(&args, &pair).await
    };
    let (report, error) = match verified {
        Ok(report) => (report, None),
        Err(error) => (error.so_far().cloned().unwrap_or_default(), Some(error)),
    };
    if args.pair.json {
        let printed = Printed {
            report: &report,
            error: error.as_ref().map(ToString::to_string),
        };
        outln!("{}", serde_json::to_string(&printed)?);
    } else {
        print(&report, error.is_none());
    }
    match error {
        Some(error @ Error::Unknown { .. }) => {
            errln!("cutover: {error}");
            Ok(Exit::Usage)
        }
        Some(error) => Err(error.into()),
        None if report.equal => Ok(Exit::Done),
        None => Ok(Exit::NoGo),
    }
}

async fn verify(args: &VerifyArgs, pair: &Pair) -> Result<Report, Error> {
    let begun = Instant::now();
    let opening = Opening {
        since_snapshot: args.since.clone(),
        is_frozen: false,
        rows_per_second: args.rate,
        statement_limit_ms: args.statement_limit.map(|s| s.saturating_mul(1000)),
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
            errln!("{table}: {source_rows} rows compared, {differences} differences");
        }
    };
    let mut report = parity::tables(&sides, &options, &told, &CancellationToken::new()).await?;
    let of_rows = begun.elapsed();
    match beside_rows(args, &sides, &report).await {
        Ok(found) => report.checks.extend(found),
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
    errln!(
        "rows {:.2} s, checks {:.2} s",
        of_rows.as_secs_f64(),
        (begun.elapsed() - of_rows).as_secs_f64()
    );
    report.equal &= report.checks.iter().all(|check| check.ok);
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// The checks beside the rows: all, or for some tables whether there is an import that has not ended.
async fn beside_rows(
    args: &VerifyArgs,
    sides: &Sides,
    report: &Report,
) -> Result<Vec<Check>, Error> {
    match args.tables {
        None => checks::all(sides, &checks::Equal::of(report)).await,
        Some(_) => checks::import_ended(sides, "T4d").await,
    }
}

/// The report for people: what was found, the verdict last. What did not come to its end has none.
fn print(report: &Report, is_complete: bool) {
    let rows: Vec<Check> = report
        .tables
        .iter()
        .map(|table| table.verdict("E2"))
        .collect();
    for check in rows.iter().chain(&report.checks) {
        outln!(
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
                .for_each(|example| outln!("         {example}"));
        }
    }
    for skipped in &report.skipped {
        outln!("--       {} is not compared: {}", skipped.name, skipped.why);
    }
    let left_out: u64 = report.tables.iter().map(|table| table.quarantined).sum();
    outln!(
        "{}",
        match (is_complete, report.equal, left_out) {
            (false, ..) => "NOT compared to the end, so nothing is known to be equal".to_owned(),
            (true, true, 0) => "equal".to_owned(),
            (true, true, rows) => format!(
                "equal, but for {rows} row(s) that the transfer section leaves out; they are kept in cutover.quarantine in the target"
            ),
            (true, false, _) => "NOT equal".to_owned(),
        }
    );
}
