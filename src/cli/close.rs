//! `cutover close`: the work after a release or a rollback. Says what is left, drops on request what is needed no more, and puts on
//! record what was found.

use std::path::PathBuf;

use clap::Args;

use super::orders::Standing;
use super::rehearse::unfinished;
use super::{Exit, Which, run};
use super::{leftovers, load};
use crate::claim;
use crate::engine::amend;
use crate::history;
use crate::journal::Folder;
use crate::session::{Command, Phase, Session, attempt};
use crate::step::closing;
use crate::step::salvage::has_whole_file;
use crate::text::printable;

/// Close a session that is over.
#[derive(Debug, Args)]
pub struct CloseArgs {
    #[command(flatten)]
    which: Which,
    /// The session's runbook
    #[arg(long, default_value = "runbook.yaml", value_name = "FILE")]
    runbook: PathBuf,
    /// Drop the schema `cutover` from the target, unless something in it is nowhere else
    #[arg(long)]
    drop_schema: bool,
}

/// `cutover close`
///
/// # Errors
/// The journal cannot be read or written, or an engine runs the session.
pub async fn run(args: CloseArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.which)?;
    let (history, session) = history::of(&folder)?;
    let follower = history.follower();
    let name = &session.charter.session;
    if session.charter.rehearsal {
        anyhow::ensure!(
            !args.drop_schema,
            "{name} is a rehearsal: what it left in the scratch database goes with the next one, and --drop-schema is for the target"
        );
        let is_over = claim::is_over(&session, follower.engine()?.is_alive());
        anyhow::ensure!(
            is_over,
            "{name} is a rehearsal that is under way: wait for its end, or end it with Ctrl-C where it runs"
        );
        return of_rehearsal(&folder, &session, args.which.claim).await;
    }
    anyhow::ensure!(
        matches!(session.phase, Phase::RolledBack | Phase::Completed),
        "session {name} is not over: complete it or roll it back first"
    );
    let Some(loaded) = load::load_or_say(&args.runbook)? else {
        return Ok(Exit::Usage);
    };
    anyhow::ensure!(
        loaded.runbook.hash == session.charter.runbook_hash,
        "{} is not the runbook that session {name} was opened with; nothing was looked at",
        args.runbook.display()
    );
    let claim = args.which.claim;
    // Who may not close it drops nothing either.
    let asked = Command::Close { found: Vec::new() };
    if let Err(refusal) = amend::may_amend(&session, claim.as_deref(), &asked) {
        errln!("refused: {refusal}");
        return Ok(Exit::Failed);
    }
    let mut record = Vec::new();
    let mut open = 0;
    if session.phase == Phase::Completed {
        let line = match closing::mark_release(&loaded.runbook, &loaded.base, &session).await {
            Ok(()) => "ok   release: PostgreSQL bears its mark, so that no other night empties it"
                .to_owned(),
            Err(why) => {
                open += 1;
                format!(
                    "OPEN release: it could not be marked in PostgreSQL, so that only this host knows of it: {why}"
                )
            }
        };
        outln!("{}", printable(&line, 500));
        record.push(line);
    }
    let root = folder.dir().parent().unwrap_or(folder.dir()).to_owned();
    unfinished::undo_all(&root, None).await;
    for line in leftovers::remove(&loaded.runbook, &root) {
        outln!("{}", printable(&line, 500));
        record.push(line);
    }
    if args.drop_schema {
        let line = match closing::drop_schema(&loaded.runbook).await {
            Ok(done) => done,
            Err(why) => {
                open += 1;
                format!("OPEN the schema `cutover` was not dropped: {why}")
            }
        };
        outln!("{}", printable(&line, 500));
        record.push(line);
    }
    if Standing::is_in(folder.dir()) && !folder.is_mine() {
        open += 1;
        let path = Standing::path(folder.dir());
        let line = format!(
            "OPEN orders: {} holds the environment's values and is another user's, who removes it",
            path.display()
        );
        outln!("{}", printable(&line, 500));
        record.push(line);
    }
    if let Err(not_yet) = attempt::rows_are_kept(&session, has_whole_file(&folder)) {
        open += 1;
        let line = format!("OPEN salvage: {not_yet}");
        outln!("{}", printable(&line, 800));
        record.push(line);
    }
    let findings = closing::look(
        &loaded.runbook,
        &loaded.base,
        history.events(),
        session.phase,
    )
    .await;
    for finding in &findings {
        let mark = match (finding.ok, finding.required) {
            (true, _) => "ok  ",
            (false, true) => "OPEN",
            (false, false) => "note",
        };
        let line = format!("{mark} {}: {}", finding.name, finding.detail);
        outln!("{}", printable(&line, 500));
        record.push(line);
    }
    open += findings.iter().filter(|f| f.blocks()).count();
    let command = Command::Close { found: record };
    let here = folder.clone();
    let recording = move || amend::amend(&here, claim.as_deref(), &command);
    if let Err(refusal) = tokio::task::spawn_blocking(recording).await?? {
        errln!("not put on record: {refusal}");
        return Ok(Exit::Failed);
    }
    // No row of a rollback is tried again after this, so no engine needs its secrets.
    Standing::remove(&folder);
    Ok(if open == 0 {
        errln!("{name} is closed, and what was found is on record");
        Exit::Done
    } else {
        errln!("on record; what is marked OPEN is left to do: {open}");
        Exit::NoGo
    })
}

/// A rehearsal is over with its engine. What it lent is given back, or said to be left to people; production is not looked at.
async fn of_rehearsal(
    folder: &Folder,
    session: &Session,
    claim: Option<String>,
) -> anyhow::Result<Exit> {
    let name = &session.charter.session;
    let asked = Command::Close { found: Vec::new() };
    if let Err(refusal) = amend::may_amend(session, claim.as_deref(), &asked) {
        errln!("refused: {refusal}");
        return Ok(Exit::Failed);
    }
    let found = unfinished::settle(folder).await?;
    for line in &found {
        outln!("{}", printable(line, 500));
    }
    let open = found.iter().filter(|line| line.starts_with("OPEN")).count();
    let command = Command::Close { found };
    let here = folder.clone();
    let recording = move || amend::amend(&here, claim.as_deref(), &command);
    if let Err(refusal) = tokio::task::spawn_blocking(recording).await?? {
        errln!("not put on record: {refusal}");
        return Ok(Exit::Failed);
    }
    Ok(match open {
        0 => {
            errln!("{name} is closed: it was a rehearsal, and is over");
            Exit::Done
        }
        _ => {
            errln!("{name} is closed, and is not tried again; what is marked OPEN is left to you");
            Exit::NoGo
        }
    })
}
