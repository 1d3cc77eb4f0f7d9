//! `cutover check`: every problem in the runbook; then, if it is valid, every problem in the environment. Connects only to read.
//! Not in here: what makes a runbook valid (`runbook`).

mod environment;
mod programs;
mod room;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Exit;
use super::load::{self, folder_of};
use crate::runbook::{self, Problem, Reading, Runbook, Severity};
use crate::target::Finding;
use crate::text::printable;
pub use environment::examine;

/// Arguments of `cutover check`.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// The runbook.
    #[arg(value_name = "RUNBOOK", default_value = "runbook.yaml")]
    pub runbook: PathBuf,
    /// The runbook alone: connect to nothing.
    #[arg(long)]
    pub offline: bool,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'r> {
    valid: bool,
    problems: &'r [Problem],
    environment: &'r [Finding],
}

/// Reads a runbook file with this process's environment. The file's name in messages is the path as given.
///
/// # Errors
/// The file cannot be read.
pub fn read_runbook(path: &Path) -> Result<Reading, String> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|e| format!("cannot read the runbook {}: {e}", printable(&name, 400)))?;
    Ok(match runbook::decode(&name, &bytes) {
        Ok(text) => {
            let reading = load::reading(&name, text, &folder_of(path), &|name| {
                std::env::var(name).ok()
            });
            Reading {
                runbook: reading
                    .runbook
                    .filter(|_| !load::has_errors(&reading.problems)),
                ..reading
            }
        }
        Err(problems) => Reading {
            runbook: None,
            problems,
            secrets: Vec::new(),
            plain: BTreeSet::new(),
        },
    })
}

/// Runs `cutover check`: 0 where nothing is wrong, 2 for an invalid runbook, 3 where the environment has problems.
///
/// # Errors
/// None: whatever is wrong is said and exits with its code.
pub async fn run(args: CheckArgs) -> anyhow::Result<Exit> {
    let reading = match read_runbook(&args.runbook) {
        Ok(reading) => reading,
        Err(why) => {
            errln!("cutover: {why}");
            return Ok(Exit::Usage);
        }
    };
    let findings = match &reading.runbook {
        Some(runbook) if !args.offline => examine(runbook, &folder_of(&args.runbook)).await,
        _ => Vec::new(),
    };
    if args.json {
        let report = Report {
            valid: reading.runbook.is_some(),
            problems: &reading.problems,
            environment: &findings,
        };
        let json = serde_json::to_string(&report).expect("BUG: a report is plain data");
        outln!("{json}");
    } else {
        print(&args, &reading, reading.runbook.as_ref(), &findings);
    }
    Ok(match reading.runbook {
        None => Exit::Usage,
        Some(_) if findings.iter().any(Finding::blocks) => Exit::NoGo,
        Some(_) => Exit::Done,
    })
}

fn print(args: &CheckArgs, reading: &Reading, runbook: Option<&Runbook>, findings: &[Finding]) {
    let name = printable(&args.runbook.display().to_string(), 400);
    if !reading.problems.is_empty() {
        errln!("{}", runbook::render(&reading.problems).trim_end());
    }
    let Some(runbook) = runbook else {
        errln!("{name} is invalid; nothing was connected to.");
        return;
    };
    outln!(
        "{name}: valid ({} steps, {} gates, {} triggers), hash {}",
        runbook.steps.len(),
        runbook.gates.len(),
        runbook.triggers.len(),
        &runbook.hash.0[..12]
    );
    for finding in findings {
        let mark = match (finding.ok, finding.required) {
            (true, _) => "ok  ",
            (false, true) => "FAIL",
            (false, false) => "warn",
        };
        outln!("{mark}  {}: {}", finding.name, finding.detail);
    }
    let failed = findings.iter().filter(|f| f.blocks()).count();
    if failed > 0 {
        outln!(
            "{failed} of {} checks failed; nothing was changed.",
            findings.len()
        );
    } else if !findings.is_empty() {
        outln!("{} checks passed; nothing was changed.", findings.len());
    }
    let warnings = reading.problems.iter();
    let warnings = warnings.filter(|p| p.severity == Severity::Warning).count();
    if warnings > 0 {
        outln!("The runbook has {warnings} warning(s), above.");
    }
}
