//! What a rollback keeps of the rows that users wrote to PostgreSQL.
//!
//! The salvage file is made in R2+, which brings its rows into SQLite, with limits of its own (`rollback::bring_back`); else in R5, when the
//! application is on SQLite again: no instance waits for that, but the end of the session does, up to 5 s for PostgreSQL to let us in and up to
//! 300 s (and 5 s for the answer) for each statement. A session that is over can have it made
//! as well ([`make`]). Not in here: the ids that are kept from being given out twice (`next_ids`), whether the file of an earlier attempt
//! is made anew (`again`), making it out of what was followed since the switch (`followed`), and whether PostgreSQL has the rows that are in it
//! (`compared`).

mod again;
mod compared;
mod followed;
pub mod known;
mod next_ids;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::production;
use super::target::owner;
use crate::format::recorded_moment;
use crate::history;
use crate::journal::Folder;
use crate::postgres::Endpoint;
use crate::runbook::Runbook;
use crate::salvage::file::{About, BEFORE, NAME, Salvaged, Writer};
use crate::salvage::{Error, Search, Since, TableCost};
use crate::session::attempt::NotYet;
use crate::session::charter::LineKind;
use crate::session::facts::{Brought, Snapshot, Unreadable};
use crate::session::{Session, StepStatus};
use crate::sqlite::digest;

pub use crate::session::facts::Salvage as Record;
pub use again::Touched;
pub use compared::compared;
pub use followed::{of_feed, or_what_was_read, was_not_fenced};
pub use next_ids::raise_ids;

/// How long PostgreSQL may take to let us in.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long it may take for one table. The application is back; only the end of the session waits.
const STATEMENT_LIMIT: Duration = Duration::from_secs(300);
/// How long the target may take to say by what it is known.
const IDENTITY_LIMIT: Duration = Duration::from_secs(2);

/// Why rows of users cannot be told from others.
pub const NO_RECORD: &str = "an engine died amid the switch and somebody found it done, so PostgreSQL's snapshot of then is not on record: which rows users \
    wrote since can only be found by comparing PostgreSQL with the backup by hand";

/// Why there is no salvage file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMade {
    /// Trying again may make it.
    #[error("{0}")]
    ForNow(String),
    /// Trying again meets the same.
    #[error("{0}")]
    ForGood(String),
}

impl From<Error> for NotMade {
    fn from(error: Error) -> Self {
        match error {
            Error::AnotherTarget { .. } => Self::ForGood(error.to_string()),
            Error::Sides(_)
            | Error::Source(_)
            | Error::Server { .. }
            | Error::Silent { .. }
            | Error::NotComparable(_)
            | Error::Sqlite { .. }
            | Error::NotKept { .. }
            | Error::File { .. }
            | Error::NotASalvageFile { .. }
            | Error::IndexLate { .. }
            | Error::Cancelled => Self::ForNow(error.to_string()),
        }
    }
}

impl Record {
    /// The same, with something that it lacks.
    fn lacking(mut self, why: String) -> Self {
        self.lacks.push(why);
        self
    }

    /// What it lacks first, said once for all tables that lack the same.
    pub fn first_lack(&self) -> Option<String> {
        let first = self.lacks.first()?;
        let Some((_, why)) = first.split_once(": ") else {
            return Some(first.clone());
        };
        let has_same = |lack: &&String| lack.split_once(": ").is_some_and(|(_, of)| of == why);
        Some(match self.lacks.iter().filter(has_same).count() {
            0 | 1 => first.clone(),
            tables => format!("of {tables} tables, {why}"),
        })
    }

    /// What R5 says of it where the rollback has brought rows of it into SQLite before.
    pub fn sentence_of(&self, brought: &Brought) -> String {
        let file = self.file.as_ref();
        let shown = file.map_or(NAME.to_owned(), |file| file.display().to_string());
        let said = brought.sentence(&shown);
        match (file, self.first_lack()) {
            // Whoever has to do something finds all of it in one place.
            (None, _) => format!("{said}; {}", self.sentence()),
            (Some(_), Some(why)) => {
                format!(
                    "{said}; {shown} is not complete ({} lacking): {why}; `cutover salvage make` looks for the rest, as long as PostgreSQL is \
                     left as it is",
                    self.lacks.len()
                )
            }
            (Some(_), None) if brought.left_rows == 0 => {
                format!("{said}. Nothing is left to be brought in; {shown} has a copy of them")
            }
            (Some(_), None) => format!(
                "{said}. `cutover salvage show` lists what stays, `cutover salvage apply` brings it in"
            ),
        }
    }

    pub fn sentence(&self) -> String {
        let kept = || self.tables.iter().filter(|table| !table.broke_off);
        let sum = |of: fn(&TableCost) -> u64| kept().map(of).sum::<u64>();
        let sums = [sum(|t| t.inserted), sum(|t| t.changed), sum(|t| t.deleted)];
        let [inserted, changed, deleted] = sums;
        let found = format!("{inserted} inserted, {changed} changed and {deleted} deleted rows");
        let mut tables = self.tables.iter();
        let is_unread = tables.all(|table| table.rows() == 0 && table.rewritten == 0);
        let seen = self.tables.iter().filter(|table| table.broke_off);
        let seen: String = seen
            .map(|table| format!("; {} of {} seen, not kept", table.rows(), table.table))
            .collect();
        match (&self.file, self.first_lack()) {
            (None, None) => "nothing was written to PostgreSQL since the switch".to_owned(),
            (None, Some(why)) if self.for_good => format!(
                "there is no salvage file: {why}. Only the database of that night has those rows; where it is gone, whoever gives them up says so \
                 with `cutover correct --give-up-rows`"
            ),
            (None, Some(why)) => format!(
                "there is no salvage file: {why}; `cutover salvage make` tries again, as long as PostgreSQL is left as it is"
            ),
            (Some(file), None) if self.tables.is_empty() => format!(
                "nothing was written to PostgreSQL since the switch; {} says so",
                file.display()
            ),
            (Some(file), None) => format!(
                "{found} are kept in {}; `cutover salvage show`",
                file.display()
            ),
            (Some(file), Some(first)) if sums == [0; 3] => format!(
                "no row was {}: {} is not complete ({} lacking): {first}{seen}",
                if is_unread { "read" } else { "kept" },
                file.display(),
                self.lacks.len()
            ),
            (Some(file), Some(first)) => format!(
                "{found} are kept in {}, which is not complete ({} lacking): {first}{seen}",
                file.display(),
                self.lacks.len()
            ),
        }
    }
}

/// Keeps what users wrote, as far as PostgreSQL gives it. What was kept before a crash and is whole stays as it is.
pub async fn keep(ctx: &Context) -> Record {
    keep_within(ctx, STATEMENT_LIMIT, Touched::Stays).await
}

/// As [`keep`]; PostgreSQL may take so long for one table, and a file that lacks something may give way although rows of it are in SQLite.
pub async fn keep_within(ctx: &Context, statement_limit: Duration, touched: Touched) -> Record {
    let wanted = match Wanted::of(&ctx.folder, &ctx.session, &ctx.runbook) {
        Ok(None) if has_no_record(&ctx.session) => Err(NotMade::ForGood(NO_RECORD.to_owned())),
        Ok(None) => return Record::default(),
        Ok(Some(wanted)) => Ok(wanted),
        Err(why) => Err(NotMade::ForNow(why)),
    };
    let session = ctx.session.charter.session.clone();
    let earlier = whole(ctx.folder.dir().join(NAME), session).await;
    let earlier = earlier.map(|record| again::to_be_made_anew(ctx, record, touched));
    let earlier = match earlier {
        None => None,
        Some(Ok(record)) => Some(record),
        Some(Err(stays)) => return stays,
    };
    let made = match (wanted, alone(ctx), same_target(ctx).await) {
        (Ok(wanted), Ok(()), Ok(())) => {
            let mut wanted = match &earlier {
                Some(_) => wanted.instead(),
                None => wanted,
            };
            wanted.since.statement_limit = statement_limit;
            make(wanted, &ctx.cancel).await
        }
        (Err(why), ..) | (_, Err(why), _) | (.., Err(why)) => Err(why),
    };
    // Half of it is better than nothing.
    made.unwrap_or_else(|why| match earlier {
        Some(record) => record.lacking(format!("it could not be made anew: {why}")),
        None => Record {
            for_good: matches!(why, NotMade::ForGood(_)),
            lacks: vec![why.to_string()],
            ..Record::default()
        },
    })
}

/// Whether somebody has found the switch done that an engine died amid: the application may be on PostgreSQL, and nobody has recorded what was there
/// before.
pub fn has_no_record(session: &Session) -> bool {
    let switch = session.step_of_kind(&LineKind::Switch);
    let is_done = switch.is_some_and(|step| step.status == StepStatus::Done);
    is_done && matches!(session.fact::<Snapshot>(), Ok(None))
}

/// Rows of a later session are not what users wrote. Only a row that is tried again can meet one.
fn alone(ctx: &Context) -> Result<(), NotMade> {
    match later_attempt(&ctx.folder, &ctx.session) {
        Some(later) => {
            let why = later_than(&ctx.session.charter.session, &later);
            Err(NotMade::ForGood(why))
        }
        None => Ok(()),
    }
}

/// Why nothing can be kept any more.
pub fn later_than(session: &str, later: &str) -> String {
    format!(
        "session {later} was opened for the same target after {session}: what users wrote then can no longer be told from what it did there"
    )
}

/// Rows of another database are not what users wrote. One that does not answer is for the salvage itself to tell.
/// [`Search::open`] asks again, on the connection that it reads by.
async fn same_target(ctx: &Context) -> Result<(), NotMade> {
    let was = production::target_of(&ctx.session);
    let Some(was) = was.map_err(|why| NotMade::ForNow(why.to_string()))? else {
        return Ok(());
    };
    match production::of_target(&ctx.runbook, IDENTITY_LIMIT).await {
        Ok(now) if now != was => Err(Error::AnotherTarget { now, was }.into()),
        _ => Ok(()),
    }
}

/// Whether users could write to PostgreSQL at all.
pub fn was_open(ctx: &Context) -> bool {
    let reopened = ctx.session.step_of_kind(&LineKind::Reopen);
    reopened.is_some_and(|step| step.started_ms.is_some())
}

/// Whether the salvage file that this session has on record lies in its folder and holds everything.
pub fn has_whole_file(folder: &Folder) -> bool {
    let path = folder.dir().join(NAME);
    let is_known = || {
        let session = history::session(folder).ok()?;
        known::look(&session, &path, &Salvaged::open(&path).ok()?).ok()
    };
    let tables = is_known().and_then(|_| tables_in(&path, &folder.session()));
    tables.is_some_and(|tables| tables.iter().all(|table| table.lacks.is_none()))
}

/// Rows of this session's salvage file that nobody has brought into SQLite; none where there is no such file, or it is another session's.
///
/// # Errors
/// It is there and cannot be read, as by an account that is not the session's owner.
pub fn rows_not_brought(folder: &Folder) -> Result<u64, Error> {
    let path = folder.dir().join(NAME);
    if !path.exists() {
        return Ok(0);
    }
    let salvaged = Salvaged::open(&path)?;
    match salvaged.about()?.session == folder.session() {
        true => salvaged.rows_not_brought(),
        false => Ok(0),
    }
}

/// Why rows cannot be called kept, where the rules say `not_yet`: to who cannot read the file that may hold them, that is all there is to say.
pub fn why_not_kept(folder: &Folder, not_yet: &NotYet) -> String {
    why_not_readable(folder).unwrap_or_else(|| not_yet.to_string())
}

/// Why the salvage file that is there cannot be read by who runs this; `None` where it can, or there is none.
pub fn why_not_readable(folder: &Folder) -> Option<String> {
    let path = folder.dir().join(NAME);
    let opened = std::fs::File::open(&path);
    let error = opened.err().filter(|e| e.kind() != ErrorKind::NotFound)?;
    Some(format!(
        "{} cannot be read by you ({error}): whether it holds what users wrote to PostgreSQL, its owner can say",
        path.display()
    ))
}

/// The tables of a salvage file; none where there is no file of this session that somebody finished.
fn tables_in(path: &Path, session: &str) -> Option<Vec<TableCost>> {
    let salvaged = Salvaged::open(path).ok()?;
    let is_ours = salvaged.about().ok()?.session == session;
    is_ours.then(|| salvaged.tables().ok())?
}

/// A session beside this one that was opened on the same target later, and may have emptied its tables: what it did there can no longer be told
/// from what users wrote.
pub fn later_attempt(folder: &Folder, session: &Session) -> Option<String> {
    let root = folder.dir().parent()?;
    let beside = Folder::list(root).ok()?;
    beside.into_iter().find_map(|other| {
        let found = history::session(&other.folder).ok()?;
        let same = found.charter.target == session.charter.target;
        (same && found.opened > session.opened).then_some(other.session)
    })
}

/// The salvage file that lies in the session's folder, as it is; none where there is no whole one of this session.
pub async fn kept(ctx: &Context) -> Option<Record> {
    let session = ctx.session.charter.session.clone();
    whole(ctx.folder.dir().join(NAME), session).await
}

/// A file of this session that an earlier attempt finished.
async fn whole(path: PathBuf, session: String) -> Option<Record> {
    blocking(move || record(&path, tables_in(&path, &session)?)).await
}

fn record(path: &Path, tables: Vec<TableCost>) -> Option<Record> {
    let told = |table: &TableCost| table.rows() > 0 || table.lacks.is_some();
    let lacks = |table: &TableCost| Some(format!("{}: {}", table.table, table.lacks.as_ref()?));
    Some(Record {
        sha256: digest::of_file(path, &CancellationToken::new()).ok(),
        rows_sha256: Some(Salvaged::open(path).ok()?.rows_sha256().ok()?),
        file: Some(path.to_owned()),
        lacks: tables.iter().filter_map(lacks).collect(),
        tables: tables.into_iter().filter(told).collect(),
        for_good: false,
    })
}

/// Files are read and written where nobody else has to wait for the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("BUG: work on a salvage file does not panic")
}

/// The spelling of a path by which a salvage file notes what was brought into it.
pub fn one_spelling(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What a salvage file is made of.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub path: PathBuf,
    /// What it says of itself.
    pub about: About,
    /// What is looked for.
    pub since: Since,
    pub endpoint: Endpoint,
    /// Where a file goes that is there already, once the new one is whole; what of it was brought in is what the new one is told against. `None`
    /// where none may be there.
    pub before: Option<PathBuf>,
    /// Whether there is a file also where nothing was written: it settles what an R5 that got no answer left open.
    pub even_if_empty: bool,
}

impl Wanted {
    /// By what the session has on record; none where nobody can have written to PostgreSQL.
    ///
    /// # Errors
    /// The backup is gone, a fact cannot be read, or the target's URL is wrong.
    pub fn of(
        folder: &Folder,
        session: &Session,
        runbook: &Runbook,
    ) -> Result<Option<Self>, String> {
        let unreadable = |error: Unreadable| error.to_string();
        let Some(Snapshot(snapshot)) = session.fact().map_err(unreadable)? else {
            return Ok(None);
        };
        let copies = session.backups().map_err(unreadable)?;
        let backup = copies.into_iter().find(|c| c.path.is_file());
        let backup = backup.ok_or("neither copy of the backup is where it was put")?;
        Ok(Some(Self {
            path: folder.dir().join(NAME),
            about: About {
                session: session.charter.session.clone(),
                source: runbook.source.file.clone(),
                backup: backup.path.clone(),
                backup_sha256: backup.sha256.clone(),
                snapshot: snapshot.clone(),
                made: recorded_moment(crate::clock::wall()),
            },
            since: Since {
                backup: backup.path,
                schema: runbook.target.schema.clone(),
                transfer: runbook.transfer.clone(),
                snapshot,
                target: production::target_of(session).map_err(unreadable)?,
                statement_limit: STATEMENT_LIMIT,
                scratch: folder.dir().to_owned(),
            },
            endpoint: Endpoint::parse(&runbook.target.url).map_err(|e| e.to_string())?,
            before: None,
            even_if_empty: false,
        }))
    }

    /// In the place of the one that an earlier attempt left behind. Also where nothing is found: what is on record is what lies there.
    fn instead(mut self) -> Self {
        self.before = Some(self.path.with_file_name(BEFORE));
        self.even_if_empty = true;
        self
    }
}

/// Makes the file; where nothing was written there is none, unless it is wanted even so.
///
/// # Errors
/// There is no file, and why.
pub async fn make(wanted: Wanted, cancel: &CancellationToken) -> Result<Record, NotMade> {
    let Wanted {
        path,
        about,
        since,
        endpoint,
        before,
        even_if_empty,
    } = wanted;
    let (to, session) = (path.clone(), about.session.clone());
    let salvage = async {
        let search = Search::open(since, &endpoint, CONNECT_LIMIT, cancel).await?;
        let is_anew = before.is_some();
        let writer = blocking(move || {
            let mut writer = Writer::create(&to, &about)?;
            if is_anew && to.exists() {
                writer.against(&to, &one_spelling(&about.source))?;
            }
            Ok::<_, Error>(writer)
        })
        .await?;
        let (tables, writer) = search.run(writer).await?;
        let nothing = |table: &TableCost| table.rows() == 0 && table.lacks.is_none();
        if !even_if_empty && tables.iter().all(nothing) {
            return Ok::<_, Error>(false);
        }
        blocking(move || match before {
            Some(before) => writer.finish_instead(&before),
            None => writer.finish(),
        })
        .await?;
        Ok(true)
    };
    match salvage.await? {
        false => Ok(Record::default()),
        // The file knows more than the search: rows that the application's own tables did not take.
        true => whole(path.clone(), session).await.ok_or_else(|| {
            let why = format!("{} was written and cannot be read", path.display());
            NotMade::ForNow(why)
        }),
    }
}
