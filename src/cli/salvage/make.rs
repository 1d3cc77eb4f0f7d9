//! `cutover salvage make`: the salvage file of a session whose rollback could not make it, or not all of it, because PostgreSQL did not answer
//! then.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::super::{Exit, Which, load, run};
use crate::engine::amend::{self, lease_of_the_last_engine};
use crate::format::counted;
use crate::runbook::rehearsal;
use crate::salvage::file::{BEFORE, NAME, Salvaged};
use crate::session::{Command, Phase};
use crate::step::salvage::{
    NO_RECORD, Wanted, has_no_record, known, later_attempt, later_than, make,
};
use crate::text::printable;

/// Make the salvage file of a session that was rolled back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover salvage make
  cutover salvage make tool-catalogue-1 --runbook runbook.yaml")]
pub struct MakeArgs {
    #[command(flatten)]
    which: Which,
    /// The session's runbook
    #[arg(long, default_value = "runbook.yaml", value_name = "FILE")]
    runbook: PathBuf,
}

/// Where the file goes that is there already and lacks something; `None` where none is there.
///
/// # Errors
/// It lacks nothing, is another session's, or one before it was kept already.
fn before(path: &Path, session: &str) -> anyhow::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    let salvaged = Salvaged::open(path)?;
    let tables = salvaged.tables()?;
    let is_ours = salvaged.about()?.session == session;
    let lacks = tables.iter().any(|table| table.lacks.is_some());
    let before = path.with_file_name(BEFORE);
    ensure!(
        is_ours && lacks,
        "{} is there. To have it made again move it aside, and keep it: it knows which rows were brought in",
        path.display()
    );
    ensure!(
        !before.exists(),
        "{} is there, of an earlier attempt. Move that aside, and keep it: {} is made anew then, and takes its name",
        before.display(),
        path.display()
    );
    Ok(Some(before))
}

/// `cutover salvage make`: 0 when the file holds everything, or nothing was written; 1 when it lacks something.
///
/// # Errors
/// The session was not rolled back, has a whole file, or is not of this runbook; or there is still no file, and why.
pub async fn run(args: MakeArgs) -> anyhow::Result<Exit> {
    let folder = run::find_night(&args.which.named)?;
    let session = crate::history::session(&folder)?;
    let name = &session.charter.session;
    ensure!(
        session.phase == Phase::RolledBack,
        "session {name} has not been rolled back to its end; R5 makes the file"
    );
    folder.mine()?;
    let before = before(&folder.dir().join(NAME), name)?;
    if let Some(later) = later_attempt(&folder, &session) {
        anyhow::bail!(later_than(name, &later));
    }
    let Some(loaded) = load::of_session(&args.runbook, name)? else {
        return Ok(Exit::Usage);
    };
    ensure!(
        loaded.runbook.hash == session.charter.runbook_hash,
        "{} is not the runbook that session {name} was opened with; nothing was looked at",
        args.runbook.display()
    );
    let runbook = match session.charter.rehearsal {
        true => rehearsal::of(&loaded.runbook).context("the runbook has no `rehearsal` section")?,
        false => loaded.runbook,
    };
    let wanted = Wanted::of(&folder, &session, &runbook).map_err(anyhow::Error::msg)?;
    ensure!(!has_no_record(&session), "{NO_RECORD}");
    let Some(mut wanted) = wanted else {
        outln!("nobody could write to PostgreSQL: session {name} never came to F1");
        return Ok(Exit::Done);
    };
    wanted.even_if_empty = true;
    wanted.before.clone_from(&before);
    // Two at a time would write the same file.
    let here = folder.clone();
    let lease = tokio::task::spawn_blocking(move || lease_of_the_last_engine(&here)).await??;
    let record = make(wanted, &CancellationToken::new()).await;
    lease.release()?;
    let record = record.map_err(anyhow::Error::msg)?;
    let sentence = record.sentence();
    outln!("session {name}: {}", printable(&sentence, 500));
    if let (Some(_), Some(file)) = (&before, &record.file) {
        let rows = counted(Salvaged::open(file)?.rows_not_brought()?, "row");
        outln!("of these SQLite lacks {rows}; the file before is {BEFORE} now");
    }
    let text = known::note(&record);
    let claim = args.which.claim;
    let note = move || amend::amend(&folder, claim.as_deref(), &Command::Note { text });
    if let Err(refusal) = tokio::task::spawn_blocking(note).await?? {
        errln!("not put on record: {refusal}");
        return Ok(Exit::Failed);
    }
    Ok(match record.lacks.is_empty() {
        true => Exit::Done,
        false => Exit::Failed,
    })
}
