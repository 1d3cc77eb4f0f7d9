//! `cutover check`: every problem in the runbook; then, if it is valid, every problem in the environment. Connects only to read.
//! Not in here: what makes a runbook valid (`runbook`).

mod environment;
mod instances;
mod managers;
mod modes;
mod names;
mod programs;
mod room;
mod servers;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Exit;
use super::load::{self, folder_of};
use crate::fleet::discovery::discover;
use crate::postgres::Finding;
use crate::runbook::discovery::Discovered;
use crate::runbook::{self, Problem, Reading, Runbook, Severity, Sites};
use crate::text::printable;
pub use environment::examine;
pub use names::examine as misspelled;

/// Arguments of `cutover check`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  cutover check
  cutover check runbook.yaml --offline")]
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

/// Reads a runbook file with this process's environment. The file's name in messages is the path as given. Instances that it does not list
/// are not asked for.
pub fn read_runbook(path: &Path) -> Result<Reading, String> {
    read_with(path, &Discovered::NotAsked)
}

/// The same with its instances, wherever they are known from.
async fn read_with_fleet(path: &Path) -> Result<Reading, String> {
    let reading = read_runbook(path)?;
    let runbook = reading.runbook.as_ref();
    match runbook.and_then(|runbook| runbook.fleet.discovery.as_ref()) {
        Some(discovery) => {
            let discovered = discover(discovery, &folder_of(path)).await;
            read_with(path, &discovered)
        }
        None => Ok(reading),
    }
}

fn read_with(path: &Path, discovered: &Discovered) -> Result<Reading, String> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|e| format!("cannot read the runbook {}: {e}", printable(&name, 400)))?;
    Ok(match runbook::decode(&name, &bytes) {
        Ok(text) => {
            let env = |name: &str| std::env::var(name).ok();
            let reading = load::reading(&name, text, &folder_of(path), &env, discovered);
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
            sites: Sites::default(),
        },
    })
}

/// Runs `cutover check`: 0 where nothing is wrong, 2 for an invalid runbook, 3 where the environment has problems.
///
/// # Errors
/// None: whatever is wrong is said and exits with its code.
pub async fn run(args: CheckArgs) -> anyhow::Result<Exit> {
    let read = match args.offline {
        true => read_runbook(&args.runbook),
        false => read_with_fleet(&args.runbook).await,
    };
    let mut reading = match read {
        Ok(reading) => reading,
        Err(why) => {
            errln!("cutover: {why}");
            return Ok(Exit::Usage);
        }
    };
    let looked_at = reading.runbook.as_ref().filter(|_| !args.offline);
    let (findings, unknown) = match looked_at {
        Some(runbook) => {
            let folder = folder_of(&args.runbook);
            let unknown = names::examine(runbook, &folder, &reading.sites).await;
            (examine(runbook, &folder).await, unknown)
        }
        None => (Vec::new(), Vec::new()),
    };
    let is_misspelled = load::has_errors(&unknown);
    reading.problems.extend(unknown);
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
        Some(_) if is_misspelled || findings.iter().any(Finding::blocks) => Exit::NoGo,
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
    let errors = reading.problems.iter();
    let errors = errors.filter(|p| p.severity == Severity::Error).count();
    if errors > 0 {
        outln!("The runbook names {errors} table(s) or column(s) that are not there, above.");
    }
    let warnings = reading.problems.iter();
    let warnings = warnings.filter(|p| p.severity == Severity::Warning).count();
    if warnings > 0 {
        outln!("The runbook has {warnings} warning(s), above.");
    }
}
