//! What is left of a session that is over: the fence, our own connections, the schema that the import kept in the target, what it took away
//! from other tables ([`taken`]), the staging slot on production's database ([`staging`]), the rights that a rollback took away ([`grants`]), the
//! backups and how long they are kept. Looks; takes away what notes writes to the target ([`capture`]), gives those rights back, drops that
//! schema when asked, and nothing else.

pub mod capture;
pub mod grants;
pub mod staging;
pub mod taken;

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::backup::Kept;
use super::holders;
use crate::claim;
use crate::format::counted;
use crate::ours::statements::drop_own_tables;
use crate::postgres::release::{self, Release};
use crate::postgres::{Endpoint, Error, Finding};
use crate::runbook::Runbook;
use crate::session::facts::{Backup, SecondCopy, Unreadable};
use crate::session::{Event, Phase, Recorded, Session};
use crate::sqlite::digest;

/// How long to wait for the application, which may be writing to SQLite again.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// The server ends a connection a moment after whoever had it.
const ENDING_LIMIT: Duration = Duration::from_secs(5);
/// How often it is looked.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Looks at everything that a session may have left, and takes the feed's triggers away. `base` is the runbook's folder, `entries` the whole
/// journal, `phase` how the session ended. A target that does not answer is a finding.
pub async fn look(
    runbook: &Runbook,
    base: &Path,
    entries: &[Recorded],
    phase: Phase,
) -> Vec<Finding> {
    let file = base.join(&runbook.source.file);
    let is_production = phase == Phase::RolledBack;
    let kept = backups(entries);
    let on_disk = tokio::task::spawn_blocking(move || {
        let mut found = vec![fence(&file, is_production)];
        match kept {
            Ok(kept) => found.extend(kept.iter().map(|(kept, ended)| backup(kept, *ended))),
            Err(why) => found.push(Finding::required("backup", false, why.to_string())),
        }
        found
    });
    let mut findings = on_disk.await.expect("BUG: looking does not panic");
    let file = base.join(&runbook.source.file);
    if phase == Phase::Completed
        && let Some(others) = holders::others_of(runbook, &file).await
    {
        let detail = format!(
            "{others}. PostgreSQL is production now, and nothing refuses what is written to that file: stop it or switch it, then look \
             whether the file holds rows that are nowhere else"
        );
        findings.push(Finding::required("source, processes", false, detail));
    }
    if phase == Phase::Completed {
        findings.extend(staging::still_on_production(runbook, base).await);
    }
    match connect(runbook).await {
        Ok(client) => {
            findings.push(or_finding("connections", connections(&client).await));
            findings.extend(capture::taken_away(&client).await);
            findings.push(or_finding("schema cutover", schema(&client).await));
            match taken::foreign_keys(&client).await {
                Ok(found) => findings.extend(found),
                Err(error) => findings.push(or_finding("foreign keys", Err(error))),
            }
        }
        Err(error) => findings.push(Finding::required(
            "PostgreSQL",
            false,
            format!("{error}; nothing is known of its schema `cutover` and of our connections"),
        )),
    }
    findings
}

/// How long the target may take to be marked.
const MARK_LIMIT: Duration = Duration::from_secs(10);

/// Leaves the mark of a completed release in the target; one that is there already stays. A rehearsal has released nothing.
pub async fn mark_release(runbook: &Runbook, base: &Path, session: &Session) -> Result<(), String> {
    if session.charter.rehearsal {
        return Ok(());
    }
    let file = base.join(&runbook.source.file);
    let known = session.charter.production.source;
    let known = known.map_or_else(|| "not known".to_owned(), |identity| identity.to_string());
    let rfc = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let completed = session.opened + TimeDelta::milliseconds(session.at_ms);
    let release = Release {
        session: session.charter.session.clone(),
        opened: rfc(session.opened),
        completed: rfc(completed),
        source: format!("{} ({known})", file.display()),
        host: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
    };
    let marking = async {
        let mut client = connect(runbook).await.map_err(|e| e.to_string())?;
        let recorded = release::record(&mut client, &release).await;
        recorded.map_err(|e| e.to_string())
    };
    let marked = tokio::time::timeout(MARK_LIMIT, marking).await;
    marked.unwrap_or_else(|_| Err(format!("no answer in {} s", MARK_LIMIT.as_secs())))
}

async fn connect(runbook: &Runbook) -> Result<Client, Error> {
    Endpoint::parse(&runbook.target.url)?.connect().await
}

fn or_finding(name: &str, found: Result<Finding, tokio_postgres::Error>) -> Finding {
    found.unwrap_or_else(|error| {
        Finding::required(name, false, Error::of_statement("look", &error).to_string())
    })
}

/// Whether the application could write to SQLite. The lock that is taken to find out is let go at once.
fn fence(file: &Path, is_production: bool) -> Finding {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let tried = Connection::open_with_flags(file, flags).and_then(|connection| {
        connection.busy_timeout(LOCK_LIMIT)?;
        connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")
    });
    let shown = file.display();
    match tried {
        Ok(()) => Finding::required("fence", true, format!("nobody holds {shown}")),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            Finding::required(
                "fence",
                false,
                format!(
                    "{shown} is locked by somebody: `cutover status` says whether an engine of ours runs"
                ),
            )
        }
        Err(error) if is_production => Finding::required(
            "fence",
            false,
            format!("{shown} is production, and cannot be written: {error}"),
        ),
        // Retired files are often made read-only or moved away.
        Err(error) => Finding::advice("fence", true, format!("{shown} is not writable ({error})")),
    }
}

/// Every copy of the backup, of every attempt, and when it was made.
fn backups(entries: &[Recorded]) -> Result<Vec<(Kept, DateTime<Utc>)>, Unreadable> {
    let mut kept: Vec<(Kept, DateTime<Utc>)> = Vec::new();
    for entry in entries {
        let Event::StepFinished { step, outcome, .. } = &entry.event else {
            continue;
        };
        let first = outcome.fact(step)?.map(|Backup(kept)| kept);
        let second = outcome.fact(step)?.map(|SecondCopy(kept)| kept);
        for one in first.into_iter().chain(second) {
            kept.retain(|(other, _)| other.path != one.path);
            kept.push((one, entry.wall));
        }
    }
    Ok(kept)
}

fn backup(kept: &Kept, made: DateTime<Utc>) -> Finding {
    let shown = kept.path.display();
    let until = made + TimeDelta::milliseconds(kept.keep_ms);
    let until = until.format("%Y-%m-%d");
    let found = digest::of_file(&kept.path, &CancellationToken::new());
    match found {
        Ok(hash) if hash == kept.sha256 => Finding::required(
            "backup",
            true,
            format!("{shown} is whole; to be kept until {until}"),
        ),
        Ok(_) => Finding::required(
            "backup",
            false,
            format!("{shown} is no longer what was backed up; it was to be kept until {until}"),
        ),
        Err(error) => Finding::required(
            "backup",
            false,
            format!("{error}; it was to be kept until {until}"),
        ),
    }
}

async fn connections(client: &Client) -> Result<Finding, tokio_postgres::Error> {
    let sql = "SELECT count(*) FROM pg_catalog.pg_stat_activity \
               WHERE application_name LIKE 'cutover%' AND datname = current_database() AND pid <> pg_backend_pid()";
    let begun = Instant::now();
    let ours = loop {
        let ours: i64 = client.query_one(sql, &[]).await?.get(0);
        if ours == 0 || begun.elapsed() > ENDING_LIMIT {
            break ours;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    Ok(Finding::required(
        "connections",
        ours == 0,
        match ours {
            0 => "no connection of ours to PostgreSQL".to_owned(),
            n => format!(
                "{n} connections of ours to PostgreSQL: another session, or `verify`, or `plan`"
            ),
        },
    ))
}

/// What the schema `cutover` of the target holds that is nowhere else.
struct Held {
    /// There is something of ours besides the mark of a release.
    is_there: bool,
    /// A release was completed on this database.
    is_released: bool,
    not_put_back: i64,
    quarantined: i64,
}

async fn held(client: &Client) -> Result<Held, tokio_postgres::Error> {
    let sql = "SELECT to_regclass('cutover.definition') IS NOT NULL, to_regclass('cutover.release') IS NOT NULL, \
               EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace('cutover') AND c.relkind = 'r' AND c.relname <> 'release')";
    let row = client.query_one(sql, &[]).await?;
    let (has_import, has_release): (bool, bool) = (row.get(0), row.get(1));
    let mut held = Held {
        is_there: row.get(2),
        is_released: false,
        not_put_back: 0,
        quarantined: 0,
    };
    if has_release {
        let sql = "SELECT EXISTS (SELECT FROM cutover.release)";
        held.is_released = client.query_one(sql, &[]).await?.get(0);
    }
    if has_import {
        let sql = "SELECT (SELECT count(*) FROM cutover.definition d JOIN cutover.import i ON i.key = d.import WHERE i.finished IS NULL), \
                   (SELECT count(*) FROM cutover.quarantine)";
        let row = client.query_one(sql, &[]).await?;
        (held.not_put_back, held.quarantined) = (row.get(0), row.get(1));
    }
    Ok(held)
}

impl Held {
    /// Why dropping it would lose something.
    fn loss(&self) -> Option<String> {
        if self.not_put_back > 0 {
            return Some(format!(
                "it holds {} definitions of keys, indexes and triggers of an import that did not end: drop the imported tables too, or let \
                 `cutover copy` end it",
                self.not_put_back
            ));
        }
        (self.quarantined > 0).then(|| {
            format!(
                "it holds {} in cutover.quarantine: rows that a policy put aside, and what stood in values that it set to NULL. PostgreSQL has \
                 them nowhere else. Before `cutover close --drop-schema`, which refuses until then, keep them elsewhere (`\\copy \
                 cutover.quarantine to 'quarantine.csv' csv header`) and delete them there",
                counted(self.quarantined.unsigned_abs(), "record")
            )
        })
    }
}

async fn schema(client: &Client) -> Result<Finding, tokio_postgres::Error> {
    let held = held(client).await?;
    Ok(match (held.is_there, held.loss()) {
        (false, _) if held.is_released => Finding::required(
            "schema cutover",
            true,
            "holds the mark of the release alone, which stays",
        ),
        (false, _) => Finding::required("schema cutover", true, "not in the target"),
        (true, Some(loss)) => Finding::advice("schema cutover", false, loss),
        (true, None) => Finding::advice(
            "schema cutover",
            false,
            "still in the target, and needed no more: `--drop-schema` drops it",
        ),
    })
}

/// Drops what is ours in the schema `cutover` of the target, and the schema, unless something is in it that is nowhere else, or another
/// session has the target. The mark of a release stays. What somebody else has put there, or hung on it, is never dropped: nothing is.
pub async fn drop_schema(runbook: &Runbook) -> Result<String, String> {
    let client = connect(runbook).await.map_err(|e| e.to_string())?;
    let failed = |e: tokio_postgres::Error| {
        let error = Error::of_statement("drop schema cutover", &e);
        format!("{error}. Nothing was dropped")
    };
    // Triggers hang on functions in it.
    let had_feed = capture::take_away(&client)
        .await
        .map_err(|left| format!("{left}. The schema was not dropped"))?;
    // Nobody may begin an import between the look and the drop.
    let begin = "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s'; \
                 DO $$ BEGIN IF to_regclass('cutover.import') IS NOT NULL THEN LOCK TABLE cutover.import; END IF; \
                 IF to_regclass('cutover.session') IS NOT NULL THEN LOCK TABLE cutover.session; END IF; END $$";
    client.batch_execute(begin).await.map_err(failed)?;
    claim::target::is_free(&client)
        .await
        .map_err(|refused| format!("{refused}. Nothing was dropped"))?;
    let held = held(&client).await.map_err(failed)?;
    if let Some(loss) = held.loss() {
        return Err(loss);
    }
    if !held.is_there && !had_feed {
        return Ok(match held.is_released {
            true => {
                "the schema `cutover` holds the mark of the release alone, which stays".to_owned()
            }
            false => "the target has no schema `cutover`".to_owned(),
        });
    }
    // That the database is in production outlives what an import had kept there.
    let keep: &[&str] = if held.is_released { &["release"] } else { &[] };
    let drop = drop_own_tables(keep);
    client.batch_execute(&drop).await.map_err(failed)?;
    client.batch_execute("COMMIT").await.map_err(failed)?;
    let dropped = "the schema `cutover` was dropped from the target";
    Ok(match held.is_released {
        false => dropped.to_owned(),
        true => format!("{dropped}, but for the mark of the release"),
    })
}
