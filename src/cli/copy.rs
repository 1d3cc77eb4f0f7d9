//! `cutover copy`: the import alone, for scripts and CI.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cli::pair::PairArgs;
use crate::cli::{Exit, problems};
use crate::runbook::transfer::TargetRows;
use crate::sqlite;
use crate::text::printable;
use crate::transfer::copy::{Copied, Options, account, copy};
use crate::transfer::delta::{Since, copy_since};
use crate::transfer::occupied::Disagreement;
use crate::transfer::{Error, Progress};

/// Arguments of `copy`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cutover copy --from app.db --to postgres://owner@db.example/catalogue
  cutover copy runbook.yaml --lanes 4
  cutover copy --from new.db --since old.db --to postgres://owner@db.example/catalogue")]
pub struct CopyArgs {
    #[command(flatten)]
    pair: PairArgs,
    /// Connections that load and rebuild at the same time
    #[arg(long, default_value_t = Options::default().lanes, value_name = "N")]
    lanes: usize,
    /// Rows per transaction at most
    #[arg(long, default_value_t = Options::default().batch_rows, value_name = "N")]
    batch_rows: u64,
    /// Under `target_rows: replace`, lose this many rows of a table that SQLite does not have; exactly as many as `cutover plan` counts
    #[arg(long, value_name = "TABLE=N", value_parser = discarded)]
    discard_rows: Vec<(String, u64)>,
    /// PostgreSQL holds the import of this older snapshot: bring only what changed since, in one transaction
    #[arg(long, value_name = "FILE", conflicts_with = "discard_rows")]
    since: Option<PathBuf>,
    /// A release was completed on this database, and it is to be imported into all the same: its name
    #[arg(long, value_name = "DATABASE")]
    again: Option<String>,
}

/// `TABLE=N`; a name may hold `=` itself.
pub fn discarded(text: &str) -> Result<(String, u64), String> {
    let wrong = || format!("`{text}` is no TABLE=N, such as Orders=3");
    let (table, rows) = text.rsplit_once('=').ok_or_else(wrong)?;
    let rows = rows.parse().map_err(|_| wrong())?;
    if table.is_empty() {
        return Err(wrong());
    }
    Ok((table.to_owned(), rows))
}

/// Copies, prints, and says by the exit code whether everything is in place. Interrupted, it leaves what was committed, and goes on
/// from there when started again.
///
/// # Errors
/// Everything but problems with values and names, which are printed like a plan's.
pub async fn run(args: CopyArgs) -> anyhow::Result<Exit> {
    let pair = match args.pair.resolve() {
        Ok(pair) => pair,
        Err(error) => {
            errln!("cutover: {error}");
            return Ok(Exit::Usage);
        }
    };
    if !args.discard_rows.is_empty() && pair.transfer.target_rows != TargetRows::Replace {
        errln!(
            "cutover: --discard-rows says what `target_rows: replace` may delete, and the transfer section does not have that"
        );
        return Ok(Exit::Usage);
    }
    pair.look_at_source()?;
    if let Some(older) = &args.since {
        drop(sqlite::open_read_only(older)?);
    }
    pair.may_be_written(args.again.as_deref()).await?;
    let options = Options {
        lanes: args.lanes.max(1),
        batch_rows: args.batch_rows.max(1),
        run: None,
        discard: args.discard_rows.iter().cloned().collect(),
    };
    let printer = Printer::default();
    let progress = |report| printer.print(&report);
    let cancel = CancellationToken::new();
    let on_interrupt = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_interrupt.cancel();
        }
    });
    let moved = match &args.since {
        Some(older) => {
            let since = Since {
                older,
                newer: &pair.source,
                schema: &pair.schema,
                transfer: &pair.transfer,
            };
            copy_since(since, &pair.target, &progress, &cancel).await
        }
        None => {
            copy(
                &pair.source,
                &pair.target,
                &pair.schema,
                &pair.transfer,
                &options,
                &progress,
                &cancel,
            )
            .await
        }
    };
    let state = match args.since {
        Some(_) => "Neither database was changed",
        None => printer.state(),
    };
    let copied = match moved {
        Ok(copied) => copied,
        Err(Error::Problems(problems)) => Copied {
            problems,
            ..Copied::default()
        },
        Err(Error::Discard(against)) => Copied {
            problems: against.iter().map(Disagreement::problem).collect(),
            ..Copied::default()
        },
        Err(Error::Account { wrong, account }) => {
            let copied = Copied {
                account: account.clone(),
                ..Copied::default()
            };
            let words = format!("{}. SQLite is untouched", Error::Account { wrong, account });
            errln!("cutover: {words}");
            if args.pair.json {
                print_json(&copied, Some(words))?;
            }
            return Ok(Exit::Failed);
        }
        Err(error @ (Error::SourceChanged { .. } | Error::Since(_))) => {
            errln!("cutover: {error}");
            if args.pair.json {
                print_json(&Copied::default(), Some(error.to_string()))?;
            }
            return Ok(Exit::Failed);
        }
        Err(error) => {
            let error = anyhow::Error::from(error);
            let words = format!("{}. {state}", super::words(&error));
            errln!("cutover: {words}");
            if args.pair.json {
                print_json(&Copied::default(), Some(words))?;
            }
            return Ok(Exit::Failed);
        }
    };
    let state = match copied.since {
        Some(_) => "SQLite is untouched, and what changed is in PostgreSQL",
        None => state,
    };
    if !copied.problems.is_empty() {
        for line in problems::lines(&copied.problems, &BTreeMap::new()) {
            errln!("cutover: {line}");
        }
        errln!(
            "cutover: the import stopped there. {state}. `cutover plan` finds all problems at once and writes the transfer section that \
             would settle them; where rows were loaded already, `copy` takes that section only with `target_rows: replace` in it, which starts over"
        );
    }
    if args.pair.json {
        print_json(&copied, None)?;
    } else if copied.problems.is_empty() {
        print(&copied);
    }
    Ok(if copied.problems.is_empty() {
        Exit::Done
    } else {
        Exit::NoGo
    })
}

fn print(copied: &Copied) {
    if copied.was_done {
        outln!(
            "nothing was done: this import had ended before, and both sides still count the same rows"
        );
    }
    outln!(
        "{} rows in {} tables, {} constraints and indexes rebuilt, {} sequences aligned, {:.2} s",
        copied.rows,
        copied.tables.len(),
        copied.constraints_rebuilt,
        copied.sequences.len(),
        copied.seconds
    );
    if let Some(brought) = &copied.since {
        outln!(
            "since the older snapshot: {} rows inserted, {} updated, {} deleted in {} tables; {} tables brought whole",
            brought.inserted,
            brought.updated,
            brought.deleted,
            brought.tables,
            brought.anew.len()
        );
        outln!(
            "rows that did not change in SQLite were counted in PostgreSQL and not compared; `cutover verify` compares them"
        );
    }
    outln!("account: {}", account::summary(&copied.account));
    for done in &copied.after {
        outln!("afterwards: {}", printable(done, 200));
    }
    for note in &copied.notes {
        outln!("note: {note}");
    }
    told_of_policies(copied);
}

/// What `--json` prints: always the whole object, and why it is not complete.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    copied: &'a Copied,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn print_json(copied: &Copied, error: Option<String>) -> serde_json::Result<()> {
    outln!("{}", serde_json::to_string(&Printed { copied, error })?);
    Ok(())
}

/// What policies changed and what they put aside: how many, where, by which setting.
fn told_of_policies(copied: &Copied) {
    for (policy, uses) in &copied.policies {
        if !policy.contains(": on_problem") {
            outln!(
                "changed by policy: {uses} values, {}",
                printable(policy, 200)
            );
        }
    }
    for aside in &copied.aside {
        let dot = if aside.column.is_empty() { "" } else { "." };
        let what = if aside.policy.ends_with("null") {
            "values"
        } else {
            "rows"
        };
        outln!(
            "put aside: {} {what} of {}{dot}{} by `{}`, for example: {}",
            aside.count,
            printable(&aside.table, 80),
            printable(&aside.column, 80),
            aside.policy,
            printable(&aside.reason, 200)
        );
    }
    if !copied.aside.is_empty() {
        outln!("what was put aside is kept whole in cutover.quarantine in the target");
    }
}

/// Progress as lines on stderr, at most one per second and table.
#[derive(Default)]
pub struct Printer {
    last: Mutex<BTreeMap<String, Instant>>,
    /// Whether anything has begun to change the target.
    begun: AtomicBool,
}

impl Printer {
    /// In what state an import that stopped leaves both databases, and what is safe to do next.
    fn state(&self) -> &'static str {
        if self.begun.load(Ordering::Relaxed) {
            "SQLite is untouched. PostgreSQL keeps every committed batch with its checkpoint, and records in its schema cutover what \
             was taken away for the load: started again, the same command goes on from there"
        } else {
            "SQLite is untouched, and so are PostgreSQL's tables"
        }
    }

    /// Prints a report, or leaves it out.
    pub fn print(&self, report: &Progress) {
        match report {
            Progress::Rows {
                table,
                rows,
                rows_total,
                bytes,
                rows_per_s,
                left_ms,
                done,
            } => {
                self.begun.store(true, Ordering::Relaxed);
                let mut last = self.last.lock().expect("BUG: printing panicked");
                let now = Instant::now();
                if !done
                    && last
                        .get(table)
                        .is_some_and(|printed| now - *printed < Duration::from_secs(1))
                {
                    return;
                }
                last.insert(table.clone(), now);
                let left = left(*left_ms);
                let megabytes = *bytes as f64 / 1e6;
                errln!(
                    "{}: {rows} of {rows_total} rows, {megabytes:.1} MB, {rows_per_s} rows/s{left}",
                    printable(table, 80)
                );
            }
            Progress::Rebuilding {
                table,
                name,
                done,
                back,
                total,
                left_ms,
                ..
            } => {
                let state = if *done { "is back" } else { "is being rebuilt" };
                errln!(
                    "{}: {} {state}, {back} of {total}{}",
                    printable(table, 80),
                    printable(name, 80),
                    left(*left_ms)
                );
            }
            Progress::Retrying {
                doing,
                attempt,
                wait_ms,
                reason,
            } => {
                errln!("{doing}: {reason}; attempt {attempt} failed, the next in {wait_ms} ms");
            }
            Progress::Definitions { definitions } => {
                self.begun.store(true, Ordering::Relaxed);
                errln!(
                    "{} definitions are recorded in the target's schema cutover and taken away for the load",
                    definitions.len()
                );
            }
            Progress::Phase { phase } => errln!("{phase}"),
        }
    }
}

fn left(left_ms: Option<u64>) -> String {
    left_ms
        .map(|left| format!(", {:.1} s left", left as f64 / 1000.0))
        .unwrap_or_default()
}
