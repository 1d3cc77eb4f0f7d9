//! `cutover close`: the work after a release or a rollback. Says what is left, drops on request what is needed no more, and puts on
//! record what was found. While something of it is left to do, the session is not closed, unless somebody says so.

use std::path::PathBuf;

use clap::Args;

use super::load::{self, Loaded};
use super::orders::Standing;
use super::rehearse::unfinished;
use super::{Exit, Which, follow, leftovers, run};
use crate::claim;
use crate::engine::amend;
use crate::format::counted;
use crate::history::{self, History};
use crate::journal::Folder;
use crate::postgres::Finding;
use crate::salvage::mark::remove_mark;
use crate::session::event::{OPEN, left_to_do};
use crate::session::{Command, LineKind, Phase, Session, attempt};
use crate::step::closing::{self, grants};
use crate::step::salvage::{has_whole_file, rows_not_brought, why_not_kept, why_not_readable};
use crate::text::printable;

/// Characters of a line that goes to the terminal.
const LINE: usize = 500;
/// Characters of a finding: a statement that is to be run is shown whole.
const FINDING: usize = 4_000;

/// Close a session that is over.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover close
  cutover close tool-catalogue-1 --drop-schema
  cutover close --accept-open

Exit codes: 0 closed, 1 it may not be, or cannot be looked at, 3 something is OPEN and the session is not closed.")]
pub struct CloseArgs {
    #[command(flatten)]
    which: Which,
    /// The session's runbook
    #[arg(long, default_value = "runbook.yaml", value_name = "FILE")]
    runbook: PathBuf,
    /// Drop the schema `cutover` from the target, unless something in it is nowhere else
    #[arg(long)]
    drop_schema: bool,
    /// Close it although something is OPEN; after a rollback no row of that can be tried again then
    #[arg(long)]
    accept_open: bool,
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

/// What came of it, for people, and the exit code. `session` is as it was before.
fn said(session: &Session, open: usize, accepted: bool) -> Exit {
    let name = printable(&session.charter.session, 80);
    match (open, accepted, session.is_closed) {
        (0, ..) => {
            errln!("{name} is closed, and what was found is on record");
            Exit::Done
        }
        (_, true, _) => {
            errln!(
                "{name} is closed, and what was found is on record; what is marked OPEN is left to do: {open}"
            );
            Exit::Done
        }
        (_, false, true) => {
            errln!(
                "on record; {name} was closed before, and what is marked OPEN is left to do: {open}"
            );
            Exit::NoGo
        }
        (_, false, false) => {
            let then = match session.phase {
                Phase::RolledBack => ", after which no row of its rollback can be tried again",
                Phase::Completed | Phase::Open | Phase::RollingBack => "",
            };
            errln!(
                "on record, and {name} is NOT closed: what is marked OPEN is left to do: {open}. Once it is done, `cutover close` again; \
                 `cutover close --accept-open` closes it all the same{then}"
            );
            Exit::NoGo
        }
    }
}

/// `cutover close`
///
/// # Errors
/// The journal cannot be read or written, or an engine runs the session.
pub async fn run(args: CloseArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.which.named)?;
    // What its engine still takes away is not what is left.
    let has_ended = matches!(
        history::session(&folder)?.phase,
        Phase::RolledBack | Phase::Completed
    );
    anyhow::ensure!(
        !has_ended || follow::has_let_go(&folder).await?,
        "{}. Nothing was looked at",
        follow::still_there(&folder)
    );
    let (history, session) = history::of(&folder)?;
    let claim = args.which.claim.clone();
    if session.charter.rehearsal {
        let is_alive = history.follower().engine()?.is_alive();
        may_be_closed(&args, &session, is_alive)?;
        return of_rehearsal(&folder, &session, claim).await;
    }
    let Some(loaded) = opened_with(&args, &folder, &session).await? else {
        return Ok(Exit::Usage);
    };
    // Who may not close it drops nothing either.
    if is_refused(&session, claim.as_deref(), args.accept_open) {
        return Ok(Exit::Failed);
    }
    let mut record = Record::default();
    let returned = put_away(&args, &loaded, &folder, &history, &session, &mut record).await;
    kept(&loaded, &folder, &session, &mut record).await;
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
            (false, true) => OPEN,
            (false, false) => "note",
        };
        let line = format!("{mark} {}: {}", finding.name, finding.detail);
        record.add(line, FINDING);
    }
    let open = left_to_do(&record.lines);
    if !put_on_record(&folder, claim, record.lines, args.accept_open).await? {
        return Ok(Exit::Failed);
    }
    // No row of a rollback is tried again in one that is closed, so no engine needs its secrets.
    if open == 0 || args.accept_open || session.is_closed {
        Standing::remove(&folder);
    }
    Ok(said(&session, open, args.accept_open))
}

/// What was found, in lines: each is shown, and goes on record.
#[derive(Default)]
struct Record {
    lines: Vec<String>,
}

impl Record {
    /// `shown` characters of it go to the terminal.
    fn add(&mut self, line: String, shown: usize) {
        outln!("{}", printable(&line, shown));
        self.lines.push(line);
    }
}

/// A rehearsal is closed once it is over.
fn may_be_closed(args: &CloseArgs, session: &Session, is_alive: bool) -> anyhow::Result<()> {
    let name = &session.charter.session;
    anyhow::ensure!(
        !args.drop_schema,
        "{name} is a rehearsal: what it left in the scratch database goes with the next one, and --drop-schema is for the target"
    );
    anyhow::ensure!(
        claim::is_over(session, is_alive),
        "{name} is a rehearsal that is under way: wait for its end, or end it with Ctrl-C where it runs"
    );
    Ok(())
}

/// The runbook that a session was opened with, once the session is over; `None` where it has said what is wrong with it.
async fn opened_with(
    args: &CloseArgs,
    folder: &Folder,
    session: &Session,
) -> anyhow::Result<Option<Loaded>> {
    let name = &session.charter.session;
    anyhow::ensure!(
        matches!(session.phase, Phase::RolledBack | Phase::Completed),
        "session {name} is not over: complete it or roll it back first"
    );
    let Some(loaded) = load::of_session(&args.runbook, name)? else {
        return Ok(None);
    };
    anyhow::ensure!(
        loaded.runbook.hash == session.charter.runbook_hash,
        "{} is not the runbook that session {name} was opened with; nothing was looked at",
        args.runbook.display()
    );
    let kept = Standing::read(folder).ok();
    let kept = kept.and_then(|standing| standing.instances);
    load::or_say(load::with_kept(&args.runbook, kept).await)
}

/// Marks the release, and takes away or gives back what nobody needs any more. Gives what became of the rights on the target.
async fn put_away(
    args: &CloseArgs,
    loaded: &Loaded,
    folder: &Folder,
    history: &History,
    session: &Session,
    record: &mut Record,
) -> Option<Finding> {
    let runbook = &loaded.runbook;
    if session.phase == Phase::Completed {
        let line = match closing::mark_release(runbook, &loaded.base, session).await {
            Ok(()) => "ok   release: PostgreSQL bears its mark, so that no other night empties it"
                .to_owned(),
            Err(why) => format!(
                "{OPEN} release: it could not be marked in PostgreSQL, so that only this host knows of it: {why}"
            ),
        };
        record.add(line, LINE);
    }
    let root = folder.dir().parent().unwrap_or(folder.dir()).to_owned();
    unfinished::undo_all(&root, None).await;
    for line in leftovers::remove(runbook, &root) {
        record.add(line, LINE);
    }
    let returned = grants::at_close(runbook, folder, session, history.events()).await;
    if args.drop_schema {
        let line = match closing::drop_schema(runbook).await {
            Ok(done) => done,
            Err(why) => format!("{OPEN} the schema `cutover` was not dropped: {why}"),
        };
        record.add(line, LINE);
    }
    returned
}

/// What is kept on this host: the session's values, the rows that users wrote, and the mark of a rollback in SQLite, which is removed.
async fn kept(loaded: &Loaded, folder: &Folder, session: &Session, record: &mut Record) {
    if Standing::is_in(folder.dir()) && !folder.is_mine() {
        let path = Standing::path(folder.dir());
        let line = format!(
            "{OPEN} orders: {} holds the environment's values and is another user's, whose own `cutover close` removes it",
            path.display()
        );
        record.add(line, LINE);
    }
    if let Err(not_yet) = attempt::rows_are_kept(session, has_whole_file(folder)) {
        let line = format!("{OPEN} salvage: {}", why_not_kept(folder, &not_yet));
        record.add(line, 800);
    }
    if session.phase != Phase::RolledBack {
        return;
    }
    let not_brought = match rows_not_brought(folder) {
        Ok(0) => None,
        Ok(rows) => Some(rows_in_file(session, rows)),
        Err(error) => Some(format!(
            "note salvage: whether SQLite lacks rows that users wrote to PostgreSQL is not known: {}",
            why_not_readable(folder).unwrap_or_else(|| error.to_string())
        )),
    };
    let file = loaded.base.join(&loaded.runbook.source.file);
    for line in not_brought.into_iter().chain(mark_of_rollback(file).await) {
        record.add(line, LINE);
    }
}

/// Whether the rules refuse to close it, which is said then.
fn is_refused(session: &Session, claim: Option<&str>, accepts_open: bool) -> bool {
    let asked = Command::Close {
        found: Vec::new(),
        accepts_open,
    };
    match amend::may_amend(session, claim, &asked) {
        Ok(()) => false,
        Err(refusal) => {
            errln!("refused: {refusal}");
            true
        }
    }
}

/// Puts on record what was found. Gives whether the rules let it; where they do not, it says why.
async fn put_on_record(
    folder: &Folder,
    claim: Option<String>,
    found: Vec<String>,
    accepts_open: bool,
) -> anyhow::Result<bool> {
    let command = Command::Close {
        found,
        accepts_open,
    };
    let here = folder.clone();
    let recording = move || amend::amend(&here, claim.as_deref(), &command);
    match tokio::task::spawn_blocking(recording).await?? {
        Ok(()) => Ok(true),
        Err(refusal) => {
            errln!("not put on record: {refusal}");
            Ok(false)
        }
    }
}

/// A rehearsal is over with its engine. What it lent is given back, or said to be left to people; production is not looked at.
async fn of_rehearsal(
    folder: &Folder,
    session: &Session,
    claim: Option<String>,
) -> anyhow::Result<Exit> {
    let name = &session.charter.session;
    if is_refused(session, claim.as_deref(), true) {
        return Ok(Exit::Failed);
    }
    let found = unfinished::settle(folder).await?;
    for line in &found {
        outln!("{}", printable(line, LINE));
    }
    let open = left_to_do(&found);
    // Whoever closes it says that the slot is back, and nothing of a rehearsal is tried again.
    if !put_on_record(folder, claim, found, true).await? {
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
