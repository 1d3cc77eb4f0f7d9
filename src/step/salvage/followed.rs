//! The salvage file out of what the feed has kept since the switch: after one last read where PostgreSQL answers, and without it where it does
//! not. Then what was committed after the last read before is lacking, and the file says so of every table.
//!
//! Not in here: the feed itself (`feed`), and the search for rows where there is no whole feed (`super::make`).

use std::path::Path;
use std::time::Duration;

use super::{IDENTITY_LIMIT, Record, Salvaged, Wanted, Writer, blocking, same_target, whole};
use crate::feed::live::{About, Begin, Live};
use crate::feed::{self, Reader, capture};
use crate::salvage::{Error, Row, Sink, TableCost};
use crate::session::Session;
use crate::session::facts::Noted;
use crate::step::context::Context;
use crate::step::production;
use crate::step::rollback::fence_target::{self, NOT_FENCED};

/// How long PostgreSQL may take to say that it is there, once R1+ has waited for it in vain.
const THERE_LIMIT: Duration = Duration::from_secs(1);

/// What came of looking at the feed.
enum Found {
    /// It has everything that was written.
    All(Box<Reader>),
    /// PostgreSQL gives nothing, and why: all there is are the rows that were read before.
    UntilThen(String),
    /// PostgreSQL answers, and the feed may lack something: the rows are to be looked for there.
    Search,
}

/// The salvage file, where the session's feed can give it; `None` where it is to be made by looking for the rows in PostgreSQL. One that is
/// there already is for the caller.
pub async fn of_feed(ctx: &Context) -> Option<Record> {
    let wanted = followed(ctx).filter(|wanted| !wanted.path.exists())?;
    let given = match look(ctx, &wanted).await {
        Found::Search => return None,
        Found::All(reader) => all(*reader, wanted).await,
        Found::UntilThen(why) => until_then(ctx, wanted, why).await,
    };
    Some(given.unwrap_or_else(|why| Record {
        lacks: vec![why],
        ..Record::default()
    }))
}

/// `record`, or where it has not all rows and PostgreSQL gives no more of them, what the feed had read before. A file of which somebody has brought
/// rows in stays.
pub async fn or_what_was_read(ctx: &Context, record: Record) -> Record {
    let Some(lacks) = record.lacks.first().cloned() else {
        return record;
    };
    let Some(wanted) = followed(ctx) else {
        return record;
    };
    let why = match &record.file {
        None => lacks,
        Some(_) => match production::of_target(&ctx.runbook, IDENTITY_LIMIT).await {
            Ok(_) => return record,
            Err(why) => why,
        },
    };
    let path = wanted.path.clone();
    let wanted = match blocking(move || is_untouched(&path)).await {
        None => wanted,
        Some(true) => wanted.instead(),
        Some(false) => return record,
    };
    match until_then(ctx, wanted, why).await {
        Ok(read_before) => read_before,
        Err(why) => record.lacking(why),
    }
}

/// Where its rows go and come from, if what was written since the switch was followed.
fn followed(ctx: &Context) -> Option<Wanted> {
    let is_followed = matches!(ctx.session.fact(), Ok(Some(Noted(None))));
    let wanted = Wanted::of(&ctx.folder, &ctx.session, &ctx.runbook).ok()?;
    wanted.filter(|_| is_followed)
}

/// Whether nobody has brought in a row of the salvage file that is there; `None` where there is none.
fn is_untouched(path: &Path) -> Option<bool> {
    let untouched = || Salvaged::open(path).and_then(|file| file.is_untouched());
    path.exists().then(|| untouched().unwrap_or(false))
}

/// R1+ has waited for PostgreSQL; where that did not answer and still does not at once, it is not waited for again.
async fn look(ctx: &Context, wanted: &Wanted) -> Found {
    if let Some(why) = was_not_fenced(&ctx.session)
        && !is_there(ctx).await
    {
        return Found::UntilThen(why);
    }
    if let Err(why) = same_target(ctx).await {
        ctx.reporter.line(&why.to_string());
        return Found::Search;
    }
    let lock = match fence_target::ensure(ctx).await {
        Ok(lock) => lock,
        Err(why) => {
            ctx.reporter.line(&why);
            return Found::Search;
        }
    };
    let read = last_read(ctx, wanted).await;
    // Held until the caller has brought the rows in.
    *ctx.shared.target_fence.lock().await = Some(lock);
    match read {
        Ok(Some(reader)) => Found::All(Box::new(reader)),
        Ok(None) => Found::Search,
        Err(error) => {
            ctx.reporter.line(&error.to_string());
            Found::Search
        }
    }
}

/// Whether the database of the night answers.
async fn is_there(ctx: &Context) -> bool {
    let Ok(was) = production::target_of(&ctx.session) else {
        return false;
    };
    let now = production::of_target(&ctx.runbook, THERE_LIMIT).await;
    now.is_ok_and(|now| was.is_none_or(|was| was == now))
}

/// Why R1+ has not kept writers out.
pub fn was_not_fenced(session: &Session) -> Option<String> {
    let rows = session.rollback.iter().flat_map(|rollback| &rollback.rows);
    let outcomes = rows.filter_map(|row| row.outcome.as_ref());
    let mut checks = outcomes.flat_map(|outcome| &outcome.checks);
    let red = checks.find(|check| check.name == NOT_FENCED && !check.ok)?;
    Some(red.detail.clone())
}

/// Reads what was written until the lock; `None` where the feed is not whole. By who has followed it until now, where it is this engine's: to list
/// the keys of a large backup anew takes longer than the application should wait.
async fn last_read(ctx: &Context, wanted: &Wanted) -> Result<Option<Reader>, feed::Error> {
    let follower = ctx.shared.feed.lock().await.take();
    let mut reader = match follower {
        Some(reader) => reader,
        None => opened(ctx, wanted).await?,
    };
    // A connection that has broken meanwhile is seen to be by the first attempt.
    let reading = match reader.read(&ctx.cancel).await {
        Ok(reading) => reading,
        Err(error) => {
            ctx.reporter.line(&error.to_string());
            reader.read(&ctx.cancel).await?
        }
    };
    let mut lacks = reading.lacks;
    if lacks.is_empty() {
        let connected = wanted.endpoint.connect().await;
        let missing = match connected {
            Ok(client) => capture::missing(&client, &reader.captured()).await,
            Err(error) => {
                ctx.reporter.line(&error.to_string());
                return Ok(None);
            }
        };
        match missing {
            Ok(missing) => lacks = missing,
            Err(error) => lacks.push(error.to_string()),
        }
    }
    lacks.iter().for_each(|lack| ctx.reporter.line(lack));
    Ok(lacks.is_empty().then_some(reader))
}

async fn opened(ctx: &Context, wanted: &Wanted) -> Result<Reader, feed::Error> {
    let about = About {
        session: wanted.about.session.clone(),
        backup_sha256: wanted.about.backup_sha256.clone(),
        since: wanted.since.snapshot.clone(),
    };
    let folder = ctx.folder.clone();
    let live = blocking(move || Live::open(&folder, &about, Begin::Later)).await?;
    let since = wanted.since.clone();
    Reader::open(since, &wanted.endpoint, live, &ctx.cancel).await
}

async fn all(reader: Reader, wanted: Wanted) -> Result<Record, String> {
    let (path, about) = (wanted.path, wanted.about);
    let session = about.session.clone();
    let to = path.clone();
    let writer = blocking(move || Writer::create(&to, &about)).await;
    let writer = writer.map_err(|error| error.to_string())?;
    let given = reader.give(writer).await;
    let (tables, writer) = given.map_err(|error| error.to_string())?;
    let nothing = |table: &TableCost| table.rows() == 0 && table.lacks.is_none();
    if tables.iter().all(nothing) {
        return Ok(Record::default());
    }
    let finished = blocking(move || writer.finish()).await;
    finished.map_err(|error| error.to_string())?;
    let record = whole(path.clone(), session).await;
    record.ok_or_else(|| format!("{} was written and cannot be read", path.display()))
}

async fn until_then(ctx: &Context, wanted: Wanted, why: String) -> Result<Record, String> {
    let (path, about, folder) = (wanted.path, wanted.about, ctx.folder.clone());
    let (session, before) = (about.session.clone(), wanted.before);
    let to = path.clone();
    let given = blocking(move || {
        let live = Live::open_read(&folder)?;
        let read = live.last_read()?;
        let since = read.map_or_else(
            || "since the switch".to_owned(),
            |read| format!("after {}", read.at),
        );
        let mut sink = Until {
            writer: Writer::create(&to, &about)?,
            lacks: format!(
                "what was committed {since} is not in here, for PostgreSQL did not give it"
            ),
        };
        live.give(&mut sink)?;
        match before {
            Some(before) => sink.writer.finish_instead(&before)?,
            None => sink.writer.finish()?,
        };
        Ok::<_, feed::Error>(())
    })
    .await;
    given.map_err(|error| format!("{why}; and what was read before cannot be had: {error}"))?;
    let record = whole(path.clone(), session).await;
    record.ok_or_else(|| format!("{} was written and cannot be read", path.display()))
}

/// Says of every table what nobody could read of it.
struct Until {
    writer: Writer,
    lacks: String,
}

impl Sink for Until {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Error> {
        self.writer.row(row)
    }

    fn table(&mut self, cost: &TableCost) -> Result<(), Error> {
        let lacks = match &cost.lacks {
            Some(lacks) => format!("{lacks}; {}", self.lacks),
            None => self.lacks.clone(),
        };
        self.writer.table(&TableCost {
            lacks: Some(lacks),
            ..cost.clone()
        })
    }
}
