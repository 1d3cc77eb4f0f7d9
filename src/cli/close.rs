//! `cutover close`: the work after a release or a rollback. Says what is left, drops on request what is needed no more, and puts on
//! record what was found.

use std::path::PathBuf;

use clap::Args;

use super::orders::Standing;
use super::rehearse::unfinished;
use super::{Exit, Which, leftovers, load, run};
use crate::claim;
use crate::engine::amend;
use crate::format::counted;
use crate::history;
use crate::journal::Folder;
use crate::salvage::mark::remove_mark;
use crate::session::{Command, LineKind, Phase, Session, attempt};
use crate::step::closing::{self, grants};
use crate::step::salvage::{has_whole_file, rows_not_brought, why_not_kept, why_not_readable};
use crate::text::printable;

/// Characters of a finding: a statement that is to be run is shown whole.
const FINDING: usize = 4_000;

/// Close a session that is over.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover close
  cutover close tool-catalogue-1 --drop-schema")]
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

/// What is told of rows that the salvage file has and SQLite has not. Before writes were reopened they are no user's.
fn rows_in_file(session: &Session, rows: u64) -> String {
    let name = &session.charter.session;
    let reopening = session.step_of_kind(&LineKind::Reopen);
    let (counted, are) = (counted(rows, "row"), if rows == 1 { "is" } else { "are" });
    match reopening.is_some_and(|step| step.started_ms.is_some()) {
        true => format!(
            "note salvage: {counted} that users wrote to PostgreSQL {are} in the session's salvage.db alone, and SQLite lacks them: `cutover salvage \
             show {name}` lists them, `cutover salvage apply {name}` brings them in"
        ),
        false => format!(
            "note salvage: {counted} that {} changed in PostgreSQL before users could write {are} in the session's salvage.db alone, of checks or of \
             the application itself: `cutover salvage show {name}` lists them",
            if rows == 1 { "was" } else { "were" }
        ),
    }
}

/// Takes away the mark that a rollback left in the application's file, where it is there still.
async fn mark_of_rollback(file: PathBuf) -> Option<String> {
    let removed = tokio::task::spawn_blocking(move || remove_mark(&file)).await;
    match removed.expect("BUG: removing a mark does not panic") {
        Ok(false) => None,
        Ok(true) => Some(
            "ok   SQLite: the rollback's mark that rows were brought back is removed".to_owned(),
        ),
        Err(error) => Some(format!(
            "note SQLite: whether the rollback's mark is still in the file is not known, and it harms nothing: {error}"
        )),
    }
}

/// `cutover close`
///
/// # Errors
/// The journal cannot be read or written, or an engine runs the session.
pub async fn run(args: CloseArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.which.named)?;
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
    let Some(loaded) = load::of_session(&args.runbook, name)? else {
        return Ok(Exit::Usage);
    };
    anyhow::ensure!(
        loaded.runbook.hash == session.charter.runbook_hash,
        "{} is not the runbook that session {name} was opened with; nothing was looked at",
        args.runbook.display()
    );
    let kept = Standing::read(&folder).ok();
    let kept = kept.and_then(|standing| standing.instances);
    let Some(loaded) = load::or_say(load::with_kept(&args.runbook, kept).await)? else {
        return Ok(Exit::Usage);
    };
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
    let returned = grants::at_close(&loaded.runbook, &folder, &session, history.events()).await;
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
        let line = format!("OPEN salvage: {}", why_not_kept(&folder, &not_yet));
        outln!("{}", printable(&line, 800));
        record.push(line);
    }
    let not_brought = match rows_not_brought(&folder) {
        Ok(0) => None,
        Ok(rows) => Some(rows_in_file(&session, rows)),
        Err(error) => Some(format!(
            "note salvage: whether SQLite lacks rows that users wrote to PostgreSQL is not known: {}",
            why_not_readable(&folder).unwrap_or_else(|| error.to_string())
        )),
    };
    if let Some(line) = not_brought.filter(|_| session.phase == Phase::RolledBack) {
        outln!("{}", printable(&line, 500));
        record.push(line);
    }
    if session.phase == Phase::RolledBack {
        let file = loaded.base.join(&loaded.runbook.source.file);
        if let Some(line) = mark_of_rollback(file).await {
            outln!("{}", printable(&line, 500));
            record.push(line);
        }
    }
    let mut findings = closing::look(
        &loaded.runbook,
        &loaded.base,
        history.events(),
        session.phase,
    )
    .await;
    findings.extend(returned);
    for finding in &findings {
        let mark = match (finding.ok, finding.required) {
            (true, _) => "ok  ",
            (false, true) => "OPEN",
            (false, false) => "note",
        };
        let line = format!("{mark} {}: {}", finding.name, finding.detail);
        outln!("{}", printable(&line, FINDING));
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
