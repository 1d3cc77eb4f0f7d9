//! R2+: what users wrote to PostgreSQL is brought into SQLite, before the first instance comes back to it.
//!
//! The rows come from the session's salvage file, which is made here, and go into SQLite in one transaction: through the connection that holds
//! the fence, so that nobody has written in between, else through one of its own. A mark in that transaction says after a crash whether they are
//! in; the salvage file has it noted next, the journal last, and R3 takes the mark away. Whatever cannot be brought in stays in the salvage file,
//! which says why, and is named. A row that fails has changed nothing in SQLite and keeps the file, and the rollback goes on without it.
//!
//! Before F4 nothing is brought in: users cannot write yet, and rows that have changed in PostgreSQL all the same are what T4 and V fire for. R5
//! keeps them in the file.
//!
//! Not in here: which rows can be brought in and which not (`salvage::apply::whole`), and finding them (`step::salvage`).

mod attempts;
mod earlier;
mod room;
mod told;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use attempts::{How, Work};
use told::{Told, told};

use crate::format::recorded_moment;
use crate::salvage::Error;
use crate::salvage::file::{NAME, Salvaged};
use crate::salvage::mark::{self, Mark, Stays};
use crate::session::facts::Brought;
use crate::session::{Check, Outcome};
use crate::sqlite;
use crate::sqlite::fence::Fence;
use crate::sqlite::writer::Writer;
use crate::step::context::Context;
use crate::step::production;
use crate::step::salvage::{self, Record, Touched};

/// How long a statement waits for somebody else who has SQLite's file.
const BUSY_LIMIT: Duration = Duration::from_secs(2);
/// How long PostgreSQL may take for one table, and for all of them: the application is not back yet.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);
const READ_LIMIT: Duration = Duration::from_secs(60);
/// How long SQLite's full-text indexes may take, all of them together.
const INDEX_LIMIT: Duration = Duration::from_secs(60);

/// Which files of which session.
#[derive(Debug, Clone)]
struct Place {
    session: String,
    /// The application's file, in the spelling by which the salvage file notes it.
    file: PathBuf,
    salvage: PathBuf,
}

/// R2+.
pub(super) async fn bring_back(ctx: &Context, nearest: bool) -> Outcome {
    if ctx.session.switched_ms().is_none() {
        return Outcome::done("this session had switched nothing: no row was to be brought back");
    }
    if !salvage::was_open(ctx) {
        return Outcome::done(
            "users could not write to PostgreSQL yet: what was changed there is not theirs, and no row of it was brought into SQLite",
        );
    }
    if let Err(why) = production::same_source(ctx) {
        return Outcome::failed(format!("{why}: no row was brought into it"));
    }
    let place = Place {
        session: ctx.session.charter.session.clone(),
        file: salvage::one_spelling(&ctx.runbook.source.file),
        salvage: ctx.folder.dir().join(NAME),
    };
    let looked = place.clone();
    let marked = match blocking(move || marked(&looked)).await {
        Ok(marked) => marked,
        Err(NotMarked::OfAnother(why)) => return Outcome::failed(not_brought(&why)),
        // Such as a full disk, on which SQLite cannot even read: what users wrote is kept all the same.
        Err(NotMarked::Unknown(why)) => {
            let record = kept_or_made(ctx).await;
            let outcome = Outcome::failed(not_brought(&why));
            return complete(outcome, &record).with_fact(record);
        }
    };
    let record = match &marked {
        Some(_) => kept_or_made(ctx).await,
        None => made(ctx).await,
    };
    let rows: u64 = record.tables.iter().map(|table| table.rows()).sum();
    let outcome = match (&record.file, rows) {
        (None, _) if !record.lacks.is_empty() => Outcome::failed(not_brought(&record.sentence())),
        (None, _) | (Some(_), 0) => Outcome::done(record.sentence()),
        (Some(_), _) => into_sqlite(ctx, place, marked, nearest).await,
    };
    complete(outcome, &record).with_fact(record)
}

/// Brings the rows of the salvage file in, where there is room for them.
async fn into_sqlite(ctx: &Context, place: Place, marked: Option<Mark>, nearest: bool) -> Outcome {
    if marked.is_none() {
        // Looked at while the fence is held: where nothing is tried, it goes on keeping writers out.
        let looked = place.clone();
        match blocking(move || room::lacking(&looked)).await {
            Ok(None) => {}
            Ok(Some(why)) => return Outcome::failed(not_brought(&why)),
            Err(error) => return Outcome::failed(not_brought(&error.to_string())),
        }
    }
    let fence = match marked {
        Some(_) => None,
        None => ctx.shared.fence.lock().await.take(),
    };
    let (looked, reporter) = (place.clone(), ctx.reporter.clone());
    let say = move |line: &str| reporter.line(line);
    let how = How {
        nearest,
        index_limit: INDEX_LIMIT,
    };
    let folder = ctx.folder.clone();
    match blocking(move || bring(&place, marked, fence, how, &say)).await {
        Ok(told) => {
            let earlier = blocking(move || earlier::stale(&folder)).await;
            told.beside(earlier).outcome()
        }
        Err(error) => {
            let found = blocking(move || mark::find(&looked.file, &looked.session)).await;
            Outcome::failed(broke_off(found, &error.to_string()))
        }
    }
}

/// Takes the mark away, once the outcome of this row is on record and the salvage file has the rows noted. Where it cannot be taken away now,
/// `cutover close` does.
pub(super) async fn remove_mark(ctx: &Context) {
    let brought = ctx.session.rollback_fact::<Brought>().ok().flatten();
    if !brought.is_some_and(|brought| brought.noted) {
        return;
    }
    let file = ctx.runbook.source.file.clone();
    if let Err(error) = blocking(move || mark::remove_mark(&file)).await {
        ctx.reporter.line(&error.to_string());
    }
}

fn not_brought(why: &str) -> String {
    format!(
        "no row was brought into SQLite, and nothing was changed there; what becomes of what users wrote is said by the row that preserves it: {why}"
    )
}

/// What an error leaves: the commit may have come before it, which the mark says.
fn broke_off(found: Result<Option<Mark>, Error>, why: &str) -> String {
    match found {
        Ok(None) => not_brought(why),
        Ok(Some(mark)) => format!(
            "the {} rows that could be brought ARE in SQLite since {}, and more cannot be said of them: {why}. Do not bring them in by hand; \
             `cutover retry` of this row says which they are",
            mark.rows, mark.at
        ),
        Err(error) => format!(
            "whether rows were brought into SQLite is not known ({error}): {why}. All of them or none are there; `cutover retry` of this row finds out"
        ),
    }
}

/// What nobody could read of PostgreSQL is not in SQLite either.
fn complete(mut outcome: Outcome, record: &Record) -> Outcome {
    if let (Some(_), Some(first)) = (&record.file, record.first_lack()) {
        // Where no row was to be brought in, the file's own sentence says it.
        if outcome.summary.contains(first.as_str()) {
            return outcome.with_check(Check::new("all_read", false, first));
        }
        let lacks = record.lacks.len();
        let detail = format!(
            "{NAME} is not complete ({lacks} lacking): {first}; `cutover salvage make` looks for it, once PostgreSQL answers and the rollback has \
             ended, and `cutover retry` of this row brings it in as well"
        );
        outcome.summary = format!("{}; {detail}", outcome.summary);
        return outcome.with_check(Check::new("all_read", false, detail));
    }
    outcome
}

/// The salvage file that is there, for its rows may be in SQLite; else one that is made.
async fn kept_or_made(ctx: &Context) -> Record {
    match salvage::kept(ctx).await {
        Some(record) => record,
        None => made(ctx).await,
    }
}

/// The salvage file: what was followed since the switch, or else as R5 would make it, with less patience; where PostgreSQL ends amid that, what
/// was read before. One that an earlier attempt of this row left behind, and that lacks something, is made anew.
async fn made(ctx: &Context) -> Record {
    let until = Instant::now() + READ_LIMIT;
    let followed = tokio::time::timeout_at(until, salvage::of_feed(ctx)).await;
    if let Ok(Some(record)) = followed {
        return record;
    }
    let reading = salvage::keep_within(ctx, STATEMENT_LIMIT, Touched::GivesWay);
    let made = tokio::time::timeout_at(until, reading).await;
    let made = made.unwrap_or_else(|_| {
        let limit_s = READ_LIMIT.as_secs();
        Record {
            lacks: vec![format!(
                "PostgreSQL has not given all rows within {limit_s} s"
            )],
            ..Record::default()
        }
    });
    salvage::or_what_was_read(ctx, made).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("BUG: bringing rows back does not panic")
}

/// Why a mark says nothing.
#[derive(Debug, PartialEq, Eq)]
enum NotMarked {
    /// Whether there is one cannot be read.
    Unknown(String),
    /// It is there, and not of the salvage file that is there.
    OfAnother(String),
}

/// The mark of this session: its rows are in SQLite already, for an engine died before it could say so.
fn marked(place: &Place) -> Result<Option<Mark>, NotMarked> {
    let found = mark::find(&place.file, &place.session);
    let Some(mark) = found.map_err(|error| NotMarked::Unknown(error.to_string()))? else {
        return Ok(None);
    };
    let rows_sha256 = Salvaged::open(&place.salvage).and_then(|file| file.rows_sha256());
    match rows_sha256.map_err(|error| NotMarked::OfAnother(error.to_string()))? {
        same if same == mark.rows_sha256 => Ok(Some(mark)),
        other => Err(NotMarked::OfAnother(format!(
            "{} says that rows of another salvage file were brought in at {} (SHA-256 {}), and {NAME} has {other}",
            place.file.display(),
            mark.at,
            mark.rows_sha256
        ))),
    }
}

/// Brings the rows in that are not there yet, and notes it.
fn bring(
    place: &Place,
    marked: Option<Mark>,
    fence: Option<Fence>,
    how: How,
    say: &dyn Fn(&str),
) -> Result<Told, Error> {
    let mut salvaged = Salvaged::open(&place.salvage)?;
    if let Some(mark) = marked {
        return told(&salvaged, place, mark);
    }
    // What cannot be noted is not brought in: by hand it would come twice.
    salvaged.can_note()?;
    let mut mark = Mark {
        session: place.session.clone(),
        rows_sha256: salvaged.rows_sha256()?,
        at: recorded_moment(crate::clock::wall()),
        rows: 0,
        stays: Stays::default(),
    };
    if salvaged.rows_not_in(&place.file)? == 0 {
        return told(&salvaged, place, mark);
    }
    let work = Work {
        salvaged: &salvaged,
        file: &place.file,
        how,
        say,
    };
    let writer = work.done(writer(fence, &place.file)?, &mut mark)?;
    match mark.rows {
        0 => writer.undo(),
        _ => writer.commit()?,
    }
    told(&salvaged, place, mark)
}

/// What got past the fence is seen row by row, and a file that was replaced before the work begins: then the transaction is one of its own, on
/// what the application will open.
fn writer(fence: Option<Fence>, file: &Path) -> Result<Writer, sqlite::Error> {
    let sound = fence.filter(|fence| matches!(fence.drift(), Ok(None)));
    match sound {
        Some(fence) => Writer::of(fence, BUSY_LIMIT),
        None => Writer::begin(file, BUSY_LIMIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salvage::apply::whole::Reason;
    use crate::salvage::file::{About, Writer as Salvage};

    const HOW: How = How {
        nearest: false,
        index_limit: INDEX_LIMIT,
    };

    pub(super) fn run(path: &Path, sql: &str) {
        let connection = rusqlite::Connection::open(path).expect("a file of SQLite");
        connection.execute_batch(sql).expect(sql);
    }

    /// A salvage file with a row that was inserted, one that was deleted, and one that SQLite's column cannot hold.
    pub(super) fn place(folder: &Path) -> Place {
        let (backup, file) = (folder.join("backup.db"), folder.join("app.db"));
        run(
            &backup,
            "CREATE TABLE T (Id INTEGER PRIMARY KEY, Name TEXT); INSERT INTO T VALUES (1, 'one'), (2, 'two')",
        );
        std::fs::copy(&backup, &file).expect("a copy");
        let about = About {
            session: "s-1".to_owned(),
            source: file.clone(),
            backup,
            backup_sha256: "0".repeat(64),
            snapshot: "1:1:".to_owned(),
            made: "2026-01-01T00:00:00Z".to_owned(),
        };
        let salvage = folder.join(NAME);
        let writer = Salvage::create(&salvage, &about).expect("a writer");
        writer.finish().expect("a file");
        run(
            &salvage,
            "INSERT INTO cutover_rows VALUES (1, 'T', 'inserted', '[3]'), (2, 'T', 'deleted', '[2]'), (3, 'T', 'inserted', '[4]');
             INSERT INTO cutover_values VALUES (1, 0, 'Id', 1, 1, 3, NULL, '3', NULL), (1, 1, 'Name', 0, 1, 'three', NULL, 'three', NULL),
                 (2, 0, 'Id', 1, 1, NULL, 2, NULL, NULL), (2, 1, 'Name', 0, 1, NULL, 'two', NULL, NULL),
                 (3, 0, 'Id', 1, 1, 4, NULL, '4', NULL), (3, 1, 'Name', 0, 1, NULL, NULL, 'infinity', 'no form')",
        );
        Place {
            session: "s-1".to_owned(),
            file: salvage::one_spelling(&file),
            salvage,
        }
    }

    pub(super) fn ids(place: &Place) -> String {
        let connection = sqlite::open_read_only(&place.file).expect("the file");
        let sql = "SELECT group_concat(Id) FROM (SELECT Id FROM T ORDER BY Id)";
        connection.query_row(sql, [], |row| row.get(0)).expect(sql)
    }

    #[test]
    fn a_run_after_a_crash_between_the_commit_and_the_note_ends_as_one_clean_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = place(folder.path());
        assert_eq!(marked(&place), Ok(None));
        let first = bring(&place, None, None, HOW, &|_| ()).expect("it goes in");
        assert_eq!(ids(&place), "1,3");
        assert_eq!(first.brought.sums(), [1, 0, 1]);
        assert_eq!((first.brought.left_rows, first.brought.noted), (1, true));
        let reasons: Vec<&Reason> = first.left.keys().collect();
        assert_eq!(reasons, [&Reason::NotExact]);

        run(&place.salvage, "DELETE FROM cutover_applied");
        let mark = marked(&place).expect("it is this file's").expect("a mark");
        let second = bring(&place, Some(mark), None, HOW, &|_| ()).expect("it is noted");
        assert_eq!(second.brought, first.brought);
        assert_eq!(ids(&place), "1,3");
        let salvaged = Salvaged::open(&place.salvage).expect("a salvage file");
        assert_eq!(salvaged.not_in(&place.file).expect("rows"), [3]);

        // Once the mark is gone, what was noted is not brought in again, whatever the application has made of it since.
        assert!(mark::remove_mark(&place.file).expect("removed"));
        run(&place.file, "UPDATE T SET Name = 'newer' WHERE Id = 3");
        let third = bring(&place, None, None, HOW, &|_| ()).expect("nothing new");
        assert_eq!(third.brought, first.brought);
        // It makes no index anew, so that one that was late is told of once more.
        let third = third.beside(vec!["the full-text index F was not made anew".to_owned()]);
        let said = third.outcome();
        let named =
            "an earlier attempt of this row said: the full-text index F was not made anew. ";
        assert!(said.summary.contains(named), "{}", said.summary);
        assert!(!said.ok, "a row stays");
        assert!(
            said.summary.starts_with("2 rows that users wrote to PostgreSQL are in SQLite: 1 inserted, 0 changed, 1 deleted; 1 row stays in salvage.db: T [4]"),
            "{}",
            said.summary
        );
    }

    #[test]
    fn the_mark_of_another_salvage_file_stops_everything() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = place(folder.path());
        bring(&place, None, None, HOW, &|_| ()).expect("it goes in");
        run(
            &place.salvage,
            "UPDATE cutover_values SET new = 'drei' WHERE row = 1 AND place = 1",
        );
        let why = marked(&place).expect_err("another file");
        assert!(
            matches!(&why, NotMarked::OfAnother(why) if why.contains("another salvage file")),
            "{why:?}"
        );
    }
}
