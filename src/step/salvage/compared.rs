//! R5: whether PostgreSQL holds what the rollback has left in SQLite, looked for once more, by another way than the feed's: by the age of rows.
//!
//! SQLite itself is not read for it: the application writes to it again. What SQLite had when R2+ committed is the backup, which E1 and E2 have
//! compared with PostgreSQL, and the rows of the salvage file, each of which R2+ read again in SQLite before it committed; nobody else has written
//! to it since the freeze. So PostgreSQL holds the same if it differs from the backup in exactly those rows.
//!
//! Not in here: finding rows (`salvage::search`), and telling whether they are the same (`salvage::seen`).

use std::path::Path;

use super::{CONNECT_LIMIT, Context, NAME, Record, STATEMENT_LIMIT, Salvaged, Search, Wanted};
use super::{alone, blocking};
use crate::format::counted;
use crate::salvage::Error;
use crate::salvage::seen::Seen;
use crate::session::Check;
use crate::session::facts::Brought;

/// The name of the check.
const SAME: &str = "same_as_postgresql";
/// Differences that are named.
const NAMED: usize = 5;

/// What came of it.
enum Compared {
    Same(String),
    Differs(String),
    NotProven(String),
}

/// Compares, where the rollback was to bring back what users wrote; red where PostgreSQL has other rows than were brought, and only then.
pub async fn compared(ctx: &Context, record: &Record) -> Option<Check> {
    let session = &ctx.session;
    if !session.charter.keeps_writes || session.switched_ms().is_none() {
        return None;
    }
    let compared = match compare(ctx, record).await {
        Ok(compared) => compared,
        Err(why) => Compared::NotProven(why),
    };
    let check = match compared {
        Compared::Same(proof) => Check::new(SAME, true, proof),
        Compared::Differs(how) => Check::new(SAME, false, how),
        Compared::NotProven(why) => {
            let detail = format!("not proven that PostgreSQL and SQLite hold the same: {why}");
            Check::new(SAME, true, detail)
        }
    };
    ctx.reporter.line(&check.detail);
    Some(check)
}

async fn compare(ctx: &Context, record: &Record) -> Result<Compared, String> {
    if let Some(lacks) = record.lacks.first() {
        return Err(lacks.clone());
    }
    if let Some(detail) = &ctx.session.written_after_switch {
        return Err(format!(
            "SQLite was written although it was frozen ({detail})"
        ));
    }
    let wanted = Wanted::of(&ctx.folder, &ctx.session, &ctx.runbook)?;
    let wanted = wanted.ok_or("the snapshot of the switch is not on record")?;
    let brought = ctx.session.rollback_fact::<Brought>();
    let brought = brought.map_err(|unreadable| unreadable.to_string())?;
    let (file, brought) = match (&record.file, brought) {
        (Some(file), Some(brought)) => (file, brought),
        (Some(_), None) => {
            return Err("what users wrote was not brought into SQLite".to_owned());
        }
        // R5 has just looked for rows, by their age.
        (None, _) => {
            return Ok(Compared::Same(
                "PostgreSQL and SQLite hold the same: nothing was written to PostgreSQL since the switch"
                    .to_owned(),
            ));
        }
    };
    alone(ctx).map_err(|why| why.to_string())?;
    let looked = tokio::time::timeout(STATEMENT_LIMIT, look(ctx, wanted)).await;
    let now = looked.unwrap_or_else(|_| {
        let limit_s = STATEMENT_LIMIT.as_secs();
        Err(format!(
            "PostgreSQL has not given all rows within {limit_s} s"
        ))
    })?;
    let path = file.clone();
    let kept = blocking(move || kept(&path)).await;
    let Kept {
        seen,
        open,
        is_told_against,
    } = kept.map_err(|error| error.to_string())?;
    // The file was made anew since, and holds what R2+ has not seen.
    let unseen = open.saturating_sub(brought.left_rows);
    if brought.noted && unseen > 0 {
        let rows = counted(unseen, "row");
        return Err(format!("{rows} of {NAME} were not brought into SQLite"));
    }
    // What it says of those is not in what PostgreSQL differs from the backup.
    if is_told_against {
        return Err(format!(
            "{NAME} was made anew after rows were brought in, and what users wrote once more since is told in it against what SQLite had then"
        ));
    }
    Ok(told(&now, &seen, &brought))
}

/// What differs from the backup in PostgreSQL now.
async fn look(ctx: &Context, wanted: Wanted) -> Result<Seen, String> {
    // Whoever stops waiting stops the search.
    let cancel = ctx.cancel.child_token();
    let _stop = cancel.clone().drop_guard();
    let search = Search::open(wanted.since, &wanted.endpoint, CONNECT_LIMIT, &cancel).await;
    let search = search.map_err(|error| error.to_string())?;
    let found = search.run(Seen::default()).await;
    let (tables, seen) = found.map_err(|error| error.to_string())?;
    let mut lacking = tables
        .iter()
        .filter_map(|table| Some(format!("{}: {}", table.table, table.lacks.as_ref()?)));
    match lacking.next() {
        Some(lacks) => Err(lacks),
        None => Ok(seen),
    }
}

/// The salvage file.
struct Kept {
    seen: Seen,
    /// How many rows of it nobody has brought into SQLite.
    open: u64,
    is_told_against: bool,
}

fn kept(path: &Path) -> Result<Kept, Error> {
    let salvaged = Salvaged::open(path)?;
    Ok(Kept {
        seen: Seen::in_file(&salvaged)?,
        open: salvaged.rows_not_brought()?,
        is_told_against: salvaged.is_told_against()?,
    })
}

fn told(now: &Seen, kept: &Seen, brought: &Brought) -> Compared {
    let mut differences = now.differences(kept);
    if differences.is_empty() {
        let rows = counted(kept.rows(), "row");
        let but_for = match brought.left_rows {
            0 => String::new(),
            left => format!(
                ", but for {} of them, which stay in {NAME}",
                counted(left, "row")
            ),
        };
        return Compared::Same(format!(
            "PostgreSQL and SQLite, as R2+ left it, hold the same{but_for}: looked through by the age of its rows, PostgreSQL differs from the backup \
             in the {rows} of {NAME}, which R2+ read again in SQLite; all others were compared before the switch and not written since"
        ));
    }
    let more = match differences.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {} more", counted(n as u64, "table")),
    };
    differences.truncate(NAMED);
    Compared::Differs(format!(
        "PostgreSQL does not differ from the backup in the rows that are in {NAME}: {}{more}. What is in PostgreSQL alone may be what users wrote \
         until the application was back: compare it with {NAME} by hand before the next attempt empties it",
        differences.join("; ")
    ))
}
