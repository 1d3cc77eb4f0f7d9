//! `cutover report`: the evidence of a session, from its folder alone.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::orders::Standing;
use super::{Exit, Which, run, status};
use crate::journal::Folder;
use crate::journal::holder::read_holder;
use crate::private_file;
use crate::report;
use crate::report::sheet::Sheet;

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
    /// Instead, one page (`sheet.md`) with the commands by which a person could roll back by hand
    #[arg(long, conflicts_with = "json")]
    sheet: bool,
}

/// `cutover report`: verifies the journal's chain, then writes what it tells.
///
/// # Errors
/// There is no such session, its chain does not verify, or the files cannot be written.
pub async fn run(args: ReportArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.which)?;
    if args.sheet {
        let out = args.out.unwrap_or_else(|| folder.dir().to_owned());
        outln!("{}", write_sheet(&folder, &out)?.display());
        return Ok(Exit::Done);
    }
    let report = report::collect(&folder)?;
    if args.json {
        outln!("{}", report.to_json());
        return Ok(Exit::Done);
    }
    let out = args.out.unwrap_or_else(|| folder.dir().to_owned());
    let paths = report.write(&out)?;
    errln!(
        "chain verified: {} entries, head {}",
        report.chain.entries,
        report.chain.head
    );
    for path in paths {
        outln!("{}", path.display());
    }
    Ok(Exit::Done)
}

/// Writes the page; secrets stand in it by their names, and only its owner can read it.
fn write_sheet(folder: &Folder, out: &Path) -> anyhow::Result<PathBuf> {
    let session = status::read(folder)?;
    let standing = Standing::read(folder).context(
        "what the session was opened with is gone, as it is once a session is over; there is nothing to roll back by hand",
    )?;
    let orders = standing.orders(folder.clone())?;
    let alive = crate::journal::Follower::open(folder)?.engine()?.is_alive();
    let page = Sheet {
        runbook: &orders.runbook,
        session: &session,
        folder: folder.dir(),
        engine: read_holder(folder).filter(|_| alive).map(|h| h.pid),
    };
    let hidden = hide(page.markdown(), &orders.secrets);
    std::fs::create_dir_all(out)?;
    let path = out.join("sheet.md");
    private_file::write(&path, hidden.as_bytes())
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// Every secret by its name; the longest first, for one may hold another.
fn hide(mut text: String, secrets: &[(String, String)]) -> String {
    let mut secrets: Vec<_> = secrets.iter().filter(|(_, v)| !v.is_empty()).collect();
    secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    for (name, value) in secrets {
        text = text.replace(value.as_str(), &format!("${{{name}}}"));
    }
    text
}
