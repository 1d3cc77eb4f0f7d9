//! `cutover plan`: what would move, and every value that will not convert, before anyone has frozen anything.

use tokio_util::sync::CancellationToken;

use crate::cli::Exit;
use crate::cli::copy::{Printer, discarded};
use crate::cli::pair::PairArgs;
use crate::cli::problems;
use crate::runbook::transfer::TargetRows;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::occupied::{self, Disagreement};
use crate::transfer::plan::{Plan, Scan, plan};

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pair: PairArgs,
    /// Names and types only, no look at any value
    #[arg(long)]
    schema_only: bool,
    /// Under `target_rows: replace`, lose this many rows of a table that SQLite does not have, as `cutover copy` takes it
    #[arg(long, value_name = "TABLE=N", value_parser = discarded)]
    discard_rows: Vec<(String, u64)>,
}

/// Plans, prints, and says by the exit code whether anything stands in the way.
///
/// # Errors
/// A side that cannot be read.
pub async fn run(args: PlanArgs) -> anyhow::Result<Exit> {
    let pair = match args.pair.resolve() {
        Ok(pair) => pair,
        Err(error) => {
            errln!("cutover: {error}");
            return Ok(Exit::Usage);
        }
    };
    pair.look_at_source()?;
    let scan = if args.schema_only {
        Scan::SchemaOnly
    } else {
        Scan::Full
    };
    let printer = Printer::default();
    let progress = |report| printer.print(&report);
    let mut plan = plan(
        &pair.source,
        &pair.target,
        &pair.schema,
        &pair.transfer,
        scan,
        &progress,
        &CancellationToken::new(),
    )
    .await?;
    let discard = args.discard_rows.iter().cloned().collect();
    if pair.transfer.target_rows == TargetRows::Replace
        && let Err(Error::Discard(against)) = occupied::agreed(&plan.occupied, &discard)
    {
        plan.problems
            .extend(against.iter().map(Disagreement::problem));
    }
    if args.pair.json {
        outln!("{}", serde_json::to_string(&plan)?);
    } else {
        print(&plan);
    }
    Ok(if plan.problems.is_empty() {
        Exit::Done
    } else {
        Exit::NoGo
    })
}

fn print(plan: &Plan) {
    for table in &plan.tables {
        outln!(
            "{} → {}: {} rows, {} bytes",
            printable(&table.table, 80),
            printable(&table.target, 80),
            table.rows,
            table.bytes
        );
        for column in &table.columns {
            let (name, source, target) = (
                printable(&column.column, 40),
                printable(&column.source, 30),
                printable(&column.target, 40),
            );
            outln!(
                "    {name:<28} {source:<14} → {target:<28} {}",
                column.conversion
            );
        }
    }
    for skipped in &plan.skipped {
        outln!(
            "left behind: {}: {}",
            printable(&skipped.name, 80),
            skipped.why
        );
    }
    for occupied in &plan.occupied {
        outln!("`target_rows: replace` empties {occupied}");
    }
    for note in &plan.notes {
        outln!("note: {note}");
    }
    for line in problems::lines(&plan.problems, &plan.unlisted) {
        outln!("{line}");
    }
    if plan.problems.is_empty() {
        outln!("nothing stands in the way");
    } else if !plan.suggested.is_empty() {
        outln!(
            "\nThis transfer section would settle all of it; read it before you use it:\n\n{}",
            plan.suggested
        );
    }
}
