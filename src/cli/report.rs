//! `cutover report`: the evidence of a session, from its folder alone.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Which, run};
use crate::report;

/// The evidence of a session.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    which: Which,
    /// Where `report.md` and `report.json` go; the session's folder where absent
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object on stdout, and no files
    #[arg(long)]
    json: bool,
}

/// `cutover report`: verifies the journal's chain, then writes what it tells.
///
/// # Errors
/// There is no such session, its chain does not verify, or the files cannot be written.
pub async fn run(args: ReportArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.which)?;
    let report = report::collect(&folder)?;
    if args.json {
        println!("{}", report.to_json());
        return Ok(Exit::Done);
    }
    let out = args.out.unwrap_or_else(|| folder.dir().to_owned());
    let paths = report.write(&out)?;
    eprintln!(
        "chain verified: {} entries, head {}",
        report.chain.entries, report.chain.head
    );
    for path in paths {
        println!("{}", path.display());
    }
    Ok(Exit::Done)
}
