//! `cutover salvage make`: the salvage file of a session whose rollback could not make it, because PostgreSQL did not answer then.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::super::{Exit, Which, load, run};
use crate::engine::amend;
use crate::engine::lease::Lease;
use crate::runbook::rehearsal;
use crate::salvage::file::NAME;
use crate::session::{Command, Phase};
use crate::step::salvage::{Wanted, known, later_attempt, later_than, make};
use crate::text::printable;

/// Make the salvage file of a session that was rolled back.
#[derive(Debug, Args)]
pub struct MakeArgs {
    #[command(flatten)]
    which: Which,
    /// The session's runbook
    #[arg(long, default_value = "runbook.yaml", value_name = "FILE")]
    runbook: PathBuf,
}

/// `cutover salvage make`: 0 when the file holds everything, or nothing was written; 1 when it lacks something.
///
/// # Errors
/// The session was not rolled back, has a file, or is not of this runbook; or there is still no file, and why.
pub async fn run(args: MakeArgs) -> anyhow::Result<Exit> {
    let folder = run::find_night(&args.which)?;
    let session = crate::history::session(&folder)?;
    let name = &session.charter.session;
    ensure!(
        session.phase == Phase::RolledBack,
        "session {name} has not been rolled back to its end; R5 makes the file"
    );
    folder.mine()?;
    let path = folder.dir().join(NAME);
    ensure!(
        !path.exists(),
        "{} is there. To have it made again move it aside, and keep it: it knows which rows were brought in",
        path.display()
    );
    if let Some(later) = later_attempt(&folder, &session) {
        anyhow::bail!(later_than(name, &later));
    }
    let Some(loaded) = load::load_or_say(&args.runbook)? else {
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
    let Some(wanted) = wanted else {
        outln!("nobody could write to PostgreSQL: session {name} never came to F1");
        return Ok(Exit::Done);
    };
    // Two at a time would write the same file.
    let lease = Lease::take(&folder)?;
    let record = make(wanted, &CancellationToken::new()).await;
    lease.release()?;
    let record = record.map_err(anyhow::Error::msg)?;
    let sentence = record.sentence();
    outln!("session {name}: {}", printable(&sentence, 500));
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
