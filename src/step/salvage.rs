//! What a rollback keeps of the rows that users wrote to PostgreSQL, and the ids that it keeps from being given out twice.
//!
//! The salvage file is made in R5, when the application is on SQLite again: no instance waits for it, but the end of the session does,
//! up to 5 s for PostgreSQL to let us in and up to 300 s (and 5 s for the answer) for each statement. A session that is over can have it made
//! as well ([`make`]). The ids are raised in R3, before the first instance comes back: by what the engine has seen every two seconds;
//! where it has seen nothing, PostgreSQL is waited for a second at most. SQLite's own file is waited for two.

pub mod known;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::backup::Kept;
use super::context::Context;
use super::production;
use super::switch::SNAPSHOT;
use super::target::owner;
use crate::history;
use crate::journal::{Folder, Follower};
use crate::runbook::Runbook;
use crate::runbook::transfer::Transfer;
use crate::salvage::file::{About, NAME, Salvaged, Writer};
use crate::salvage::{Error, Search, Since, TableCost};
use crate::session::Session;
use crate::session::charter::LineKind;
use crate::session::live::{CostView, key};
use crate::source::digest;
use crate::source::ids::{self, Raised};
use crate::source::schema::Schema;
use crate::target::Endpoint;
use crate::target::written::CountersProbe;
use crate::transfer::matching;

pub use crate::session::attempt::SALVAGE;

/// How long PostgreSQL may take to let us in.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long it may take for one table. The application is back; only the end of the session waits.
const STATEMENT_LIMIT: Duration = Duration::from_secs(300);
/// Instances go on writing to PostgreSQL until they are restarted: so many ids are left free for that, or as many as were given out
/// since the import, if that is more.
const HEADROOM: i64 = 1_000;
/// How long the target may take to say by what it is known.
const IDENTITY_LIMIT: Duration = Duration::from_secs(2);
/// How long the ids are waited for, where they are not known.
const IDS_LIMIT: Duration = Duration::from_secs(1);
/// How long raising them in SQLite may take. Instances wait to be restarted.
const FILE_LIMIT: Duration = Duration::from_secs(2);

/// What was salvaged; fact [`SALVAGE`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// Its checksum.
    pub sha256: Option<String>,
    /// The digest of its rows, which stays the same when rows are brought in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_sha256: Option<String>,
    /// Tables with rows in it, or that it lacks.
    pub tables: Vec<TableCost>,
    /// What is not in it, and why; empty when everything is.
    pub lacks: Vec<String>,
    /// Trying again meets the same: the database that answers is not that of the night, or another session had it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_good: bool,
}

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
            | Error::File { .. }
            | Error::NotASalvageFile { .. }
            | Error::Cancelled => Self::ForNow(error.to_string()),
        }
    }
}

impl Record {
    /// One sentence.
    pub fn sentence(&self) -> String {
        let kept = || self.tables.iter().filter(|table| !table.broke_off);
        let sum = |of: fn(&TableCost) -> u64| kept().map(of).sum::<u64>();
        let found = format!(
            "{} inserted, {} changed and {} deleted rows",
            sum(|t| t.inserted),
            sum(|t| t.changed),
            sum(|t| t.deleted)
        );
        let seen = self.tables.iter().filter(|table| table.broke_off);
        let seen: String = seen
            .map(|table| format!("; {} of {} seen, not kept", table.rows(), table.table))
            .collect();
        match (&self.file, self.lacks.first()) {
            (None, None) => "nothing was written to PostgreSQL since the switch".to_owned(),
            (None, Some(why)) if self.for_good => format!(
                "there is no salvage file: {why}. Only the database of that night has those rows; where it is gone, whoever gives them up says so \
                 with `cutover correct --give-up-rows`"
            ),
            (None, Some(why)) => format!(
                "there is no salvage file: {why}; `cutover salvage make` tries again, as long as PostgreSQL is left as it is"
            ),
            (Some(file), None) => format!(
                "{found} are kept in {}; `cutover salvage show`",
                file.display()
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
    let wanted = match Wanted::of(&ctx.folder, &ctx.session, &ctx.runbook) {
        Ok(None) => return Record::default(),
        Ok(Some(wanted)) => Ok(wanted),
        Err(why) => Err(NotMade::ForNow(why)),
    };
    let session = ctx.session.charter.session.clone();
    let earlier = whole(ctx.folder.dir().join(NAME), session).await;
    if let Some(record) = &earlier
        && record.lacks.is_empty()
    {
        return record.clone();
    }
    let made = match (wanted, alone(ctx), same_target(ctx).await) {
        (Ok(wanted), Ok(()), Ok(())) => make(wanted, &ctx.cancel).await,
        (Err(why), ..) | (_, Err(why), _) | (.., Err(why)) => Err(why),
    };
    // Half of it is better than nothing.
    made.unwrap_or_else(|why| {
        earlier.unwrap_or_else(|| Record {
            for_good: matches!(why, NotMade::ForGood(_)),
            lacks: vec![why.to_string()],
            ..Record::default()
        })
    })
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
    let Some(was) = production::target_of(&ctx.session) else {
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

/// What a salvage file is made of.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where it goes.
    pub path: PathBuf,
    /// What it says of itself.
    pub about: About,
    /// What is looked for.
    pub since: Since,
    /// And where.
    pub endpoint: Endpoint,
}

impl Wanted {
    /// By what the session has on record; none where nobody can have written to PostgreSQL.
    ///
    /// # Errors
    /// The backup is gone, or the target's URL is wrong.
    pub fn of(
        folder: &Folder,
        session: &Session,
        runbook: &Runbook,
    ) -> Result<Option<Self>, String> {
        let Some(snapshot) = fact::<String>(session, SNAPSHOT) else {
            return Ok(None);
        };
        let copies = [
            fact::<Kept>(session, "backup"),
            fact(session, "second_copy"),
        ];
        let backup = copies.into_iter().flatten().find(|c| c.path.is_file());
        let backup = backup.ok_or("neither copy of the backup is where it was put")?;
        Ok(Some(Self {
            path: folder.dir().join(NAME),
            about: About {
                session: session.charter.session.clone(),
                source: runbook.source.file.clone(),
                backup: backup.path.clone(),
                backup_sha256: backup.sha256.clone(),
                snapshot: snapshot.clone(),
                made: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            },
            since: Since {
                backup: backup.path,
                schema: runbook.target.schema.clone(),
                transfer: runbook.transfer.clone(),
                snapshot,
                target: production::target_of(session),
                statement_limit: STATEMENT_LIMIT,
                scratch: folder.dir().to_owned(),
            },
            endpoint: Endpoint::parse(&runbook.target.url).map_err(|e| e.to_string())?,
        }))
    }
}

/// A fact that a step of the session left behind, newest step first.
pub fn fact<T: serde::de::DeserializeOwned>(session: &Session, name: &str) -> Option<T> {
    let outcomes = session.steps.iter().rev();
    let mut facts = outcomes.filter_map(|s| s.outcome.as_ref()?.facts.get(name));
    facts.find_map(|value| serde_json::from_value(value.clone()).ok())
}

/// Makes the file; there is none where nothing was written.
///
/// # Errors
/// There is no file, and why.
pub async fn make(wanted: Wanted, cancel: &CancellationToken) -> Result<Record, NotMade> {
    let Wanted {
        path,
        about,
        since,
        endpoint,
    } = wanted;
    let (to, session) = (path.clone(), about.session.clone());
    let salvage = async {
        let search = Search::open(since, &endpoint, CONNECT_LIMIT, cancel).await?;
        let writer = blocking(move || Writer::create(&to, &about)).await?;
        let (tables, writer) = search.run(writer).await?;
        let nothing = |table: &TableCost| table.rows() == 0 && table.lacks.is_none();
        if tables.iter().all(nothing) {
            return Ok::<_, Error>(false);
        }
        blocking(move || writer.finish()).await?;
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

/// A sequence as D3 left it behind in fact `sequences`.
#[derive(Debug, Deserialize)]
struct Numbered {
    /// Schema and name.
    sequence: String,
    /// The target's table.
    table: String,
    /// Where it stood after the import.
    last_value: i64,
}

/// Raises SQLite's next ids beyond those that PostgreSQL has given out, so that the two never hand out the same one. Where an engine
/// has seen since F4 which those are, PostgreSQL is not asked: a dead one gives out no more, and what a living one has given out since
/// is within the headroom. Says what came of it; nothing that happens here keeps an instance from coming back.
pub async fn raise_ids(ctx: &Context) -> String {
    if !was_open(ctx) {
        return "no id was given out by PostgreSQL".to_owned();
    }
    let sequences: Vec<Numbered> = ctx.fact("sequences").unwrap_or_default();
    let seen = match seen(ctx) {
        Some(seen) => seen,
        None => match tokio::time::timeout(IDS_LIMIT, given_out(ctx)).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(why)) => return not_raised(&why),
            Err(_) => return not_raised("PostgreSQL did not answer within a second"),
        },
    };
    let given_out = seen.by_table(&sequences);
    let (file, transfer) = (
        ctx.runbook.source.file.clone(),
        ctx.runbook.transfer.clone(),
    );
    let raising = blocking(move || raise(&file, &transfer, &given_out));
    match tokio::time::timeout(FILE_LIMIT, raising).await {
        Ok(Ok(raised)) => said(&raised),
        Ok(Err(why)) => not_raised(&why),
        Err(_) => not_raised("SQLite did not come to it within two seconds"),
    }
}

fn not_raised(why: &str) -> String {
    format!("SQLite may give out ids that PostgreSQL has given out: {why}")
}

fn said(raised: &Raised) -> String {
    let mut said = match raised.raised.len() {
        0 => "SQLite's next ids are beyond PostgreSQL's".to_owned(),
        n => format!("the next ids of {n} tables raised beyond PostgreSQL's"),
    };
    if !raised.cannot.is_empty() {
        said.push_str(&format!(
            "; without AUTOINCREMENT ids may repeat in {}",
            raised.cannot.join(", ")
        ));
    }
    said
}

/// Numbers that sequences have given out.
struct Seen {
    /// The last one of each, by schema and name.
    last: BTreeMap<String, i64>,
    /// How long users had been writing then.
    open_ms: i64,
    /// How long ago that was.
    age_ms: i64,
}

impl Seen {
    /// The number that counts as the last one, by the target's table.
    fn by_table(&self, sequences: &[Numbered]) -> BTreeMap<String, i64> {
        let mut by_table = BTreeMap::new();
        for numbered in sequences {
            let Some(&last) = self.last.get(&numbered.sequence) else {
                continue;
            };
            let beyond = last.saturating_add(self.headroom(last - numbered.last_value));
            let known = by_table.entry(numbered.table.clone()).or_insert(beyond);
            *known = (*known).max(beyond);
        }
        by_table
    }

    /// As many again as were given out, and what may have been since, at twice the pace.
    fn headroom(&self, given_out: i64) -> i64 {
        let since = 2 * self.age_ms.max(0) / self.open_ms.max(1_000);
        given_out.max(HEADROOM).saturating_mul(1 + since)
    }
}

/// What the engine saw last, also an engine before this one; `None` where none has.
fn seen(ctx: &Context) -> Option<Seen> {
    let board = Follower::open(&ctx.folder).and_then(|f| f.board::<CostView>(key::COST));
    let cost = board.ok()??;
    let opened_ms = ctx.session.step_of_kind(&LineKind::Reopen)?.started_ms?;
    (!cost.given_out.is_empty()).then(|| Seen {
        last: cost.given_out,
        open_ms: cost.at_ms - opened_ms,
        age_ms: ctx.shared.clock.now_ms() - cost.at_ms,
    })
}

/// The same, asked of PostgreSQL now.
async fn given_out(ctx: &Context) -> Result<Seen, String> {
    let endpoint = owner(ctx).map_err(|outcome| outcome.summary)?;
    same_target(ctx).await.map_err(|why| why.to_string())?;
    let mut probe = CountersProbe::new(endpoint, &ctx.runbook.target.schema, IDS_LIMIT);
    let last = probe.given_out().await.map_err(|e| e.to_string())?;
    Ok(Seen {
        last,
        open_ms: 0,
        age_ms: 0,
    })
}

/// Pairs the tables by the import's rule for names, and raises.
fn raise(
    file: &Path,
    transfer: &Transfer,
    given_out: &BTreeMap<String, i64>,
) -> Result<Raised, String> {
    let connection =
        crate::source::open_read_only_within(file, ids::BUSY_LIMIT).map_err(|e| e.to_string())?;
    let schema = Schema::read(&connection).map_err(|e| e.to_string())?;
    drop(connection);
    let sources: Vec<&str> = schema.tables.iter().map(|t| t.name.as_str()).collect();
    let targets: Vec<&str> = given_out.keys().map(String::as_str).collect();
    let pairs = matching::pair(&sources, &targets, |name| {
        transfer.renamed_table(name).map(str::to_owned)
    });
    let last = sources.iter().zip(pairs).filter_map(|(source, pair)| {
        let (target, _) = pair.ok()?;
        Some(((*source).to_owned(), *given_out.get(target)?))
    });
    let last: Vec<(String, i64)> = last.collect();
    ids::raise(file, &last).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(sequence: &str, table: &str, last_value: i64) -> Numbered {
        Numbered {
            sequence: sequence.to_owned(),
            table: table.to_owned(),
            last_value,
        }
    }

    #[test]
    fn ids_are_left_free_for_what_may_have_been_given_out_since() {
        let minute = 60_000;
        let table = [
            // Given out since the import, for how long, how long ago: what is left free.
            ((0, minute, 0), 1_000),
            ((5_000, minute, 2_000), 5_000),
            ((5_000, minute, minute), 15_000),
            ((10, 1, 500), 2_000),
            ((5_000, 0, 0), 5_000),
            ((i64::MAX, minute, 10 * minute), i64::MAX),
        ];
        for ((given_out, open_ms, age_ms), free) in table {
            let seen = Seen {
                last: BTreeMap::new(),
                open_ms,
                age_ms,
            };
            assert_eq!(
                seen.headroom(given_out),
                free,
                "{given_out} {open_ms} {age_ms}"
            );
        }
    }

    #[test]
    fn of_several_sequences_of_a_table_the_furthest_counts() {
        let last = [("public.a", 70), ("public.b", 9_000), ("public.other", 1)];
        let seen = Seen {
            last: last.map(|(name, n)| (name.to_owned(), n)).into(),
            open_ms: 60_000,
            age_ms: 0,
        };
        let sequences = [
            numbered("public.a", "Tools", 50),
            numbered("public.b", "Tools", 6_000),
            numbered("public.none", "Steps", 4),
        ];
        assert_eq!(
            seen.by_table(&sequences),
            BTreeMap::from([("Tools".to_owned(), 12_000)])
        );
    }
}
