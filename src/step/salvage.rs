//! What a rollback keeps of the rows that users wrote to PostgreSQL, and the ids that it keeps from being given out twice.
//!
//! The salvage file is made in R5, when the application is on SQLite again: no instance waits for it, but the end of the session does,
//! up to 5 s for PostgreSQL to let us in and up to 300 s (and 5 s for the answer) for each statement. A session that is over can have it made
//! as well ([`make`]). The ids are raised in R3, before the first instance comes back: PostgreSQL is waited for a second at most, SQLite's
//! own file two.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::backup::Kept;
use super::context::Context;
use super::switch::SNAPSHOT;
use super::target::owner;
use crate::journal::Folder;
use crate::runbook::Runbook;
use crate::runbook::transfer::Transfer;
use crate::salvage::file::{About, NAME, Salvaged, Writer};
use crate::salvage::{Error, Search, Since, TableCost};
use crate::session::Session;
use crate::session::charter::LineKind;
use crate::source::digest;
use crate::source::ids::{self, Raised};
use crate::source::schema::Schema;
use crate::target::{Endpoint, quoted};
use crate::transfer::matching;

/// Under this name R5 leaves behind what it salvaged.
pub const SALVAGE: &str = "salvage";

/// How long PostgreSQL may take to let us in.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long it may take for one table. The application is back; only the end of the session waits.
const STATEMENT_LIMIT: Duration = Duration::from_secs(300);
/// Instances go on writing to PostgreSQL until they are restarted: so many ids are left free for that, or as many as were given out
/// since the import, if that is more.
const HEADROOM: i64 = 1_000;
/// How long the ids are waited for.
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
    /// Tables with rows in it, or that it lacks.
    pub tables: Vec<TableCost>,
    /// What is not in it, and why; empty when everything is.
    pub lacks: Vec<String>,
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
        Err(why) => Err(why),
    };
    let session = ctx.session.charter.session.clone();
    let earlier = whole(ctx.folder.dir().join(NAME), session).await;
    if let Some(record) = &earlier
        && record.lacks.is_empty()
    {
        return record.clone();
    }
    let made = match wanted {
        Ok(wanted) => make(wanted, &ctx.cancel).await,
        Err(why) => Err(why),
    };
    // Half of it is better than nothing.
    made.unwrap_or_else(|why| {
        earlier.unwrap_or_else(|| Record {
            lacks: vec![why],
            ..Record::default()
        })
    })
}

/// Whether users could write to PostgreSQL at all.
pub fn was_open(ctx: &Context) -> bool {
    let reopened = ctx.session.step_of_kind(&LineKind::Reopen);
    reopened.is_some_and(|step| step.started_ms.is_some())
}

/// A file of this session that an earlier attempt finished.
async fn whole(path: PathBuf, session: String) -> Option<Record> {
    blocking(move || {
        let salvaged = Salvaged::open(&path).ok()?;
        let ours = salvaged.about().ok()?.session == session;
        ours.then(|| record(&path, salvaged.tables().ok()?))?
    })
    .await
}

fn record(path: &Path, tables: Vec<TableCost>) -> Option<Record> {
    let told = |table: &TableCost| table.rows() > 0 || table.lacks.is_some();
    let lacks = |table: &TableCost| Some(format!("{}: {}", table.table, table.lacks.as_ref()?));
    Some(Record {
        sha256: digest::of_file(path, &CancellationToken::new()).ok(),
        file: Some(path.to_owned()),
        lacks: tables.iter().filter_map(lacks).collect(),
        tables: tables.into_iter().filter(told).collect(),
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
pub async fn make(wanted: Wanted, cancel: &CancellationToken) -> Result<Record, String> {
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
    match salvage.await.map_err(|error| error.to_string())? {
        false => Ok(Record::default()),
        // The file knows more than the search: rows that the application's own tables did not take.
        true => whole(path.clone(), session)
            .await
            .ok_or_else(|| format!("{} was written and cannot be read", path.display())),
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

/// Raises SQLite's next ids beyond those that PostgreSQL has given out, so that the two never hand out the same one. Says what came
/// of it; nothing that happens here keeps an instance from coming back.
pub async fn raise_ids(ctx: &Context) -> String {
    if !was_open(ctx) {
        return "no id was given out by PostgreSQL".to_owned();
    }
    let given_out = match tokio::time::timeout(IDS_LIMIT, given_out(ctx)).await {
        Ok(Ok(given_out)) => given_out,
        Ok(Err(why)) => return not_raised(&why),
        Err(_) => return not_raised("PostgreSQL did not answer within a second"),
    };
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

/// The number that counts as the last one of each sequence, by the target's table.
async fn given_out(ctx: &Context) -> Result<BTreeMap<String, i64>, String> {
    let sequences: Vec<Numbered> = ctx.fact("sequences").unwrap_or_default();
    if sequences.is_empty() {
        return Ok(BTreeMap::new());
    }
    let endpoint = owner(ctx).map_err(|outcome| outcome.summary)?;
    let client = endpoint.connect().await.map_err(|e| e.to_string())?;
    let parts: Vec<String> = sequences
        .iter()
        .enumerate()
        .filter_map(|(at, numbered)| {
            let (schema, name) = numbered.sequence.split_once('.')?;
            let sequence = format!("{}.{}", quoted(schema), quoted(name));
            Some(format!(
                "SELECT {at}, last_value FROM {sequence} WHERE is_called"
            ))
        })
        .collect();
    let rows = client.query(&parts.join(" UNION ALL "), &[]).await;
    let mut given_out = BTreeMap::new();
    for row in rows.map_err(|e| e.to_string())? {
        let (at, last): (i32, i64) = (row.get(0), row.get(1));
        let numbered = usize::try_from(at).ok().and_then(|at| sequences.get(at));
        if let Some(numbered) = numbered {
            let headroom = last.saturating_sub(numbered.last_value).max(HEADROOM);
            let beyond = last.saturating_add(headroom);
            let known = given_out.entry(numbered.table.clone()).or_insert(beyond);
            *known = (*known).max(beyond);
        }
    }
    Ok(given_out)
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
