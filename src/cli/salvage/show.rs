//! `cutover salvage show`: what a salvage file holds, table by table and row by row, and where SQLite stands in a row's way.

use clap::Args;

use super::super::{Exit, Named};
use super::apply::print_sides;
use super::{ChoiceArgs, Opened, open};
use crate::salvage::apply::{Now, Side};
use crate::salvage::cell::Cell;
use crate::salvage::file::{SalvagedRow, SalvagedValue};
use crate::salvage::tally::held;
use crate::salvage::{Operation, Problem};
use crate::text::printable;

/// Characters of a value on a line for people.
const SHOWN: usize = 60;
/// Rows that are listed for people unless they want more.
const LISTED: usize = 50;

/// The rows that a rollback left behind.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover salvage show
  cutover salvage show --table ToolContents --limit 200")]
pub struct ShowArgs {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// At most so many rows; 50 for people, all with --json
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// One JSON object per line on stdout: what the file says of itself, each table, each row
    #[arg(long)]
    json: bool,
}

/// `cutover salvage show`
///
/// # Errors
/// There is no salvage file, or it cannot be read.
pub fn run(args: ShowArgs) -> anyhow::Result<Exit> {
    let Opened {
        salvaged, known, ..
    } = open(&args.named)?;
    if let Some(doubt) = known.unwrap_or_else(|why| Some(format!("{why}. `apply` refuses it"))) {
        errln!("WARNING: {}", printable(&doubt, 600));
    }
    let (about, tables) = (salvaged.about()?, salvaged.tables()?);
    let chosen = salvaged.chosen(&args.choice.choice())?;
    let source = super::source(&about.source);
    let now = Now::of(&source);
    if let Err(error) = &now {
        let error = printable(&error.to_string(), 300);
        errln!("conflicts are not shown, for SQLite cannot be read: {error}");
    }
    // What was brought in is what SQLite should have.
    let sides = |row: &SalvagedRow, applied: Option<&str>| match (&now, applied) {
        (Ok(now), None) => now.sides(row).unwrap_or_else(|error| {
            let error = printable(&error.to_string(), 300);
            errln!(
                "whether row {} has a conflict is not shown: {error}",
                row.row
            );
            Vec::new()
        }),
        (Ok(_), Some(_)) | (Err(_), _) => Vec::new(),
    };
    if args.json {
        let told = serde_json::json!({
            "session": about.session, "made": about.made, "source": about.source, "backup": about.backup,
            "backup_sha256": about.backup_sha256, "snapshot": about.snapshot,
        });
        outln!("{}", serde_json::json!({ "about": told }));
        for table in tables {
            outln!("{}", serde_json::json!({ "table": table }));
        }
        for number in chosen.into_iter().take(args.limit.unwrap_or(usize::MAX)) {
            let row = salvaged.row(number)?;
            let applied = salvaged.applied(number, &source)?;
            let sides = sides(&row, applied.as_deref());
            outln!("{}", json(&row, applied, &sides));
        }
        return Ok(Exit::Done);
    }
    outln!(
        "session {}, salvaged {} for {}",
        printable(&about.session, 80),
        printable(&about.made, 80),
        about.source.display()
    );
    super::print(&tables);
    let applied = salvaged.applied_rows(&source)?;
    outln!("{}", held(&tables, applied, &about.source));
    let (total, limit) = (chosen.len(), args.limit.unwrap_or(LISTED));
    for number in chosen.into_iter().take(limit) {
        outln!("");
        let row = salvaged.row(number)?;
        print(&row);
        let applied = salvaged.applied(number, &source)?;
        print_sides(&sides(&row, applied.as_deref()), "      conflict: ");
        if let Some(at) = applied {
            outln!("      brought into {} at {at}", about.source.display());
        }
    }
    if total > limit {
        outln!("\n{} more rows; --limit shows them", total - limit);
    }
    Ok(Exit::Done)
}

fn print(row: &SalvagedRow) {
    let key = match row.key.as_str() {
        "[]" => String::new(),
        key => format!(" {}", printable(key, SHOWN)),
    };
    outln!(
        "{:>4}  {} {}{key}",
        row.row,
        row.operation.word(),
        printable(&row.table, SHOWN)
    );
    for value in row.values.iter().filter(|value| value.changed) {
        outln!("      {}", line(row.operation, value));
    }
}

fn line(operation: Operation, value: &SalvagedValue) -> String {
    let name = printable(&value.name, SHOWN);
    let (new, was) = (value.new.shown(SHOWN), value.was.shown(SHOWN));
    let target = printable(value.target.as_deref().unwrap_or("NULL"), SHOWN);
    match (operation, value.problem) {
        (Operation::Deleted, _) => format!("{name}: {was}"),
        (_, Some(Problem::NoForm)) => {
            format!("{name}: PostgreSQL has {target}, for which the column has no form")
        }
        (_, Some(Problem::Nearest)) => {
            format!("{name}: {new}, the nearest to PostgreSQL's {target}")
        }
        (Operation::Inserted, None) => format!("{name}: {new}"),
        (Operation::Changed, None) => format!("{name}: {was} → {new}"),
    }
}

fn json(row: &SalvagedRow, applied: Option<String>, sides: &[Side]) -> serde_json::Value {
    let value = |value: &SalvagedValue| {
        let problem = value.problem.map(|problem| match problem {
            Problem::Nearest => "nearest",
            Problem::NoForm => "no form",
        });
        serde_json::json!({
            "column": value.name, "key": value.is_key, "changed": value.changed, "new": Cell::json(&value.new),
            "was": Cell::json(&value.was), "target": value.target, "problem": problem,
        })
    };
    let values: Vec<_> = row.values.iter().map(value).collect();
    let key: serde_json::Value = serde_json::from_str(&row.key).unwrap_or_default();
    serde_json::json!({
        "row": row.row, "of": row.table, "operation": row.operation, "key": key, "applied": applied, "values": values,
        "sides": sides,
    })
}
