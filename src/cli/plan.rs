//! `cutover plan`: what would move, and every value that will not convert, before anyone has frozen anything.

mod aside;
mod back;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cli::Exit;
use crate::cli::copy::{Printer, discarded};
use crate::cli::pair::PairArgs;
use crate::cli::problems;
use crate::runbook::transfer::TargetRows;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::layout::structural;
use crate::transfer::occupied::{self, Disagreement, Occupied};
use crate::transfer::plan::{Plan, Problem, Scan, plan};

/// What people need to read a plan, behind its options.
const READING: &str = "\
Examples:
  cutover plan
  cutover plan --from app.db --to postgres://owner@db.example/catalogue
  cutover plan runbook.yaml --all

Every value of every table goes through the same conversion as the import. What does not fit is named with table, column and row, one line \
per setting that would settle it, and the whole section that would settle everything follows, to read and paste with --transfer.

Settings that are suggested are read off the values, never guessed from some of them:
  epoch: s|ms|us|ns|days|ticks|julian|oadate|dotnet_binary|ef_offset|calendar
                    only where every number is plausible in that unit and not in another; else what each unit would make of them
  values: { 0: null, 253402300799999: infinity }
                    for what usually stands for something else, with how often it occurs
  bytes: text       for blobs that are text; jsonb_blob: decode for SQLite's binary JSON; never where a blob could be both
  guid_bytes:       the order in which all GUIDs have a version
  null: default     NULL into NOT NULL becomes the column's constant default
  time: drop, midnight: allow, split: \",\", since: 1970-01-01, fraction:, offset:, real:, scale:, nul: strip, …
                    docs/types.md has all of them, by type
  on_problem: quarantine
                    what no setting lets pass is put aside, whole, in cutover.quarantine; once it is stated, the plan says how many rows of
                    each table stay behind, which, and why, also of those that hang on them (in --json: `aside`)

Columns of one name and type share a pattern (\"*.created_at\"). What no setting settles is said with the statement for the source that \
would mend it, where there is one.

A plan that is green is followed by a green copy and a green verify, and the application's next insert works, unless a note says that it will \
not. What may be lost with a table or column is a comment in the section. Notes tell what is to be done after the import (materialized views, \
triggers that rest during the load) and what the two schemas promise differently; docs/runbook.md has `accept:`, `sequences:`, `fire:`, `refresh:`.

Once nothing stands in the way, the last lines say which values a rollback could not bring back to SQLite exactly, column by column, \
and what keeps PostgreSQL from noting what users write or from being closed to them; docs/salvage.md has the rules. They change no exit code.

Exit codes: 0 nothing stands in the way, 1 a side cannot be read, 2 wrong usage, 3 problems.";

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = READING)]
pub struct PlanArgs {
    #[command(flatten)]
    pair: PairArgs,
    /// Names and types only, no look at any value
    #[arg(long)]
    schema_only: bool,
    /// Under `target_rows: replace`, lose this many rows of a table that SQLite does not have, as `cutover copy` takes it
    #[arg(long, value_name = "TABLE=N", value_parser = discarded)]
    discard_rows: Vec<(String, u64)>,
    /// Every problem on a line of its own, instead of one line per setting
    #[arg(long)]
    all: bool,
}

/// The answer of `plan --json`.
#[derive(Serialize)]
struct Answer<'p> {
    #[serde(flatten)]
    plan: &'p Plan,
    /// What a rollback would bring back.
    rollback: &'p back::WayBack,
}

/// Plans, prints, and says by the exit code whether anything stands in the way.
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
    let planned = plan(
        &pair.source,
        &pair.target,
        &pair.schema,
        &pair.transfer,
        scan,
        &progress,
        &CancellationToken::new(),
    )
    .await;
    let mut plan = match planned {
        Ok(plan) => plan,
        Err(error) => {
            let error = anyhow::Error::from(error);
            if args.pair.json {
                let nothing = serde_json::json!({ "tables": [], "skipped": [], "problems": [], "notes": [], "suggested": "",
                    "scanned": false, "error": super::words(&error) });
                outln!("{nothing}");
            }
            return Err(error);
        }
    };
    // A plan only looks; whoever goes on to the copy would be refused.
    let refused = pair.stands_against_writing().await;
    let refused = refused.into_iter().map(|why| {
        let reason = format!("`cutover copy` would be refused: {why}");
        structural("", "", reason, None)
    });
    let mut notes: Vec<_> = refused.collect();
    notes.append(&mut plan.notes);
    plan.notes = notes;
    let discard = args.discard_rows.iter().cloned().collect();
    if pair.transfer.target_rows == TargetRows::Replace
        && let Err(Error::Discard(against)) = occupied::agreed(&plan.occupied, &discard)
    {
        plan.problems
            .extend(against.iter().map(Disagreement::problem));
    }
    let way_back = back::look(&pair, &plan).await;
    if args.pair.json {
        let answer = Answer {
            plan: &plan,
            rollback: &way_back,
        };
        outln!("{}", serde_json::to_string(&answer)?);
    } else {
        print(&plan, args.all);
        for line in way_back.lines(args.all) {
            outln!("{line}");
        }
    }
    Ok(if plan.problems.is_empty() {
        Exit::Done
    } else {
        Exit::NoGo
    })
}

fn print(plan: &Plan, all: bool) {
    print_tables(plan);
    print_notes(plan, all);
    print_problems(plan, all);
    if plan.problems.is_empty() {
        outln!("nothing stands in the way");
    } else if plan.source_is_empty {
        outln!("\nNothing was written.");
    } else if plan.tables.is_empty() {
        outln!(
            "\nNo table of the file is in this schema. cutover moves rows and makes no tables: run the application's own migrations on this \
             database first, then plan again. Nothing was written."
        );
    } else {
        print_what_settles(plan, all);
    }
}

fn print_tables(plan: &Plan) {
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
}

fn print_notes(plan: &Plan, all: bool) {
    for skipped in &plan.skipped {
        outln!(
            "left behind: {}: {}",
            printable(&skipped.name, 80),
            skipped.why
        );
    }
    for occupied in &plan.occupied {
        outln!(
            "`target_rows: replace` empties {occupied}; changes that were made there in the others are overwritten"
        );
    }
    for note in &plan.notes {
        // What is put aside is told below, counted.
        if !aside::is_told(note) {
            outln!("note: {note}");
        }
    }
    for line in aside::lines(plan, all) {
        outln!("{line}");
    }
}

fn print_problems(plan: &Plan, all: bool) {
    if all {
        for problem in &plan.problems {
            outln!("problem: {problem}");
        }
        for (column, more) in &plan.unlisted {
            outln!(
                "problem: {}: and {more} more, which are not listed",
                printable(column, 160)
            );
        }
    } else {
        for line in problems::lines(&plan.problems, &plan.unlisted) {
            outln!("{line}");
        }
    }
}

/// What would settle the problems, and how many no setting settles.
fn print_what_settles(plan: &Plan, all: bool) {
    let of_none = |problem: &&Problem| problem.policy.is_none();
    let unsettled = match all {
        true => plan.problems.iter().filter(of_none).count(),
        // As many as there are lines of them.
        false => problems::unsettled(&plan.problems),
    };
    if !all {
        outln!("`--all` gives every problem a line of its own");
    }
    if unsettled > 0 {
        outln!(
            "no setting settles {unsettled} of these problems; what they say has to be mended in the source or stated by you"
        );
    }
    if !plan.suggested.is_empty() {
        let what = if unsettled > 0 {
            "the others"
        } else {
            "all of it"
        };
        outln!(
            "\nThis transfer section would settle {what}; read it before you use it:\n\n{}",
            plan.suggested
        );
        if let Some(options) = rows_to_lose(plan) {
            outln!(
                "With it, rows that SQLite does not have go only where their number is said, to `plan` and to `copy`: {options}\n"
            );
        }
    }
    if unsettled > 0 {
        outln!(
            "{unsettled} problem(s) have no setting that would settle them: each says what would"
        );
    }
}

/// The options without which `target_rows: replace`, where it is suggested, would be refused; none where it loses no row.
fn rows_to_lose(plan: &Plan) -> Option<String> {
    let is_suggested =
        |problem: &Problem| problem.policy.as_deref() == Some("target_rows: replace");
    let lacking = plan
        .occupied
        .iter()
        .filter(|occupied| occupied.lacking.unwrap_or(0) > 0);
    let options: Vec<String> = lacking.map(Occupied::option).collect();
    // Beside a table that may be a history it is not in the section.
    let is_in_section = plan.suggested.contains("target_rows: replace\n");
    (!options.is_empty() && is_in_section && plan.problems.iter().any(is_suggested))
        .then(|| options.join(" "))
}
