//! `cutover report`: the evidence of a session, from its folder alone.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::orders::Standing;
use super::{Exit, Named, run};
use crate::journal::holder::read_holder;
use crate::journal::{Folder, Hash};
use crate::private_file;
use crate::report;
use crate::report::bundle;
use crate::report::bundle::check::{Expected, check, folder_of};
use crate::report::sheet::Sheet;
use crate::secret;
use crate::text::printable;

/// The evidence of a session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover report
  cutover report --sheet
  cutover report --verify report")]
pub struct ReportArgs {
    #[command(flatten)]
    named: Named,
    /// A new or empty folder for the report and all by which it can be checked; `report/` in the session's folder where absent
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object on stdout, and no files
    #[arg(long)]
    json: bool,
    /// Instead, one page (`sheet.md`) with the commands by which a person could roll back by hand
    #[arg(long, conflicts_with = "json")]
    sheet: bool,
    /// Instead, check a folder that `cutover report` wrote; nothing else is needed for that
    #[arg(long, value_name = "BUNDLE", conflicts_with_all = ["out", "sheet", "session", "dir"])]
    verify: Option<PathBuf>,
    /// With --verify: the hash of the last event, as somebody wrote it down at some time
    #[arg(long, value_name = "HASH", requires = "verify")]
    head: Option<Hash>,
    /// With --verify: the bundle's seal, as somebody wrote it down
    #[arg(long, value_name = "HASH", requires = "verify")]
    seal: Option<Hash>,
}

/// `cutover report`: verifies the journal's chain, then writes what it tells; or checks what was written.
///
/// # Errors
/// There is no such session, its chain does not verify, or the files cannot be written.
pub async fn run(args: ReportArgs) -> anyhow::Result<Exit> {
    if let Some(bundle) = &args.verify {
        let (head, seal) = (args.head, args.seal);
        return Ok(verify(bundle, Expected { head, seal }, args.json).await);
    }
    let folder = run::find(&args.named)?;
    if args.sheet {
        let out = args.out.unwrap_or_else(|| folder.dir().to_owned());
        outln!("{}", write_sheet(&folder, &out)?.display());
        return Ok(Exit::Done);
    }
    if args.json {
        outln!("{}", report::collect(&folder)?.to_json());
        return Ok(Exit::Done);
    }
    let out = args.out.unwrap_or_else(|| folder.dir().join("report"));
    let written = bundle::write(&folder, &out)?;
    errln!(
        "chain verified: {} entries, head {}",
        written.head.seq,
        written.head.hash
    );
    errln!("seal {}", written.seal);
    errln!(
        "write both down where nobody on the bridge can change them: `cutover report --verify` compares them"
    );
    for left in &written.left_out {
        errln!(
            "not in it: {}: {}",
            printable(&left.file, 200),
            printable(&left.why, 300)
        );
    }
    for name in [bundle::HTML, bundle::MARKDOWN, bundle::JSON] {
        outln!("{}", written.dir.join(name).display());
    }
    Ok(Exit::Done)
}

/// Checks a bundle and says what holds, what does not, and what no check of this kind can show.
async fn verify(bundle: &Path, expected: Expected, json: bool) -> Exit {
    let verdict = check(&folder_of(bundle), expected).await;
    let exit = if verdict.ok { Exit::Done } else { Exit::Failed };
    if json {
        let verdict = serde_json::to_string(&verdict).expect("BUG: a verdict is plain data");
        outln!("{verdict}");
        return exit;
    }
    for line in &verdict.holds {
        outln!("ok    {line}");
    }
    for line in &verdict.not_checked {
        outln!("note  {line}");
    }
    for finding in &verdict.findings {
        let line = finding.line.map(|n| format!(", line {n}"));
        let line = line.unwrap_or_default();
        outln!(
            "BAD   {}{line}: {}",
            finding.file,
            printable(&finding.what, 600)
        );
    }
    if let Some(head) = verdict.head {
        outln!("head  {} (event {})", head.hash, head.seq);
    }
    if let Some(seal) = verdict.seal {
        outln!("seal  {seal}");
    }
    if verdict.ok && expected.head.is_none() && expected.seal.is_none() {
        outln!(
            "It holds in itself. Somebody who could write all of it could have made all of it anew: compare the head or the seal with what \
             was written down elsewhere (--head, --seal)."
        );
    }
    exit
}

/// Writes the page; secrets stand in it by their names, and only its owner can read it.
fn write_sheet(folder: &Folder, out: &Path) -> anyhow::Result<PathBuf> {
    let session = crate::history::session(folder)?;
    let standing = Standing::of(folder)?;
    let orders = standing.orders(folder.clone())?;
    let alive = crate::journal::Follower::open(folder)?.engine()?.is_alive();
    let page = Sheet {
        runbook: &orders.runbook,
        session: &session,
        folder: folder.dir(),
        values: orders.environment.placeholders.without_passwords(),
        engine: read_holder(folder).filter(|_| alive).map(|h| h.pid),
    };
    let page = page.markdown();
    let hidden = secret::masked(&page);
    std::fs::create_dir_all(out)?;
    let path = out.join("sheet.md");
    // One that was written earlier tells less than this one. Anything else of that name is somebody else's.
    let heading = hidden.lines().next().unwrap_or_default();
    match crate::regular_file::read_to_string(&path) {
        Ok(there) if there.lines().next() == Some(heading) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Ok(_) | Err(_) => anyhow::bail!(
            "{} is there and is no sheet of this session, so it stays as it is. Name another folder with --out",
            path.display()
        ),
    }
    private_file::write(&path, hidden.as_bytes())
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
