//! Reads a table of the source, row by row, into canonical form. Blocks; one pass; nothing is kept.

use super::canon::Row;
use super::equality::{Kind, Taken, from_source};
use super::error::Error;
use super::pair::{TablePair, quoted};
use super::report::ByPolicy;
use super::source_value::{Fetched, Places, read_long};
use super::{aside, shown};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;

/// How many values that a policy changed are kept as examples, per column.
const POLICY_EXAMPLES: usize = 5;
/// How often the counter moves and cancellation is looked at.
const ROWS_PER_LOOK: u64 = 512;

/// A row of the source.
pub(crate) struct SourceRow<'a> {
    /// Its canonical form.
    pub(crate) canonical: &'a [u8],
    /// How many bytes of it are the key; all, for a table without one.
    pub(crate) key_bytes: usize,
    raw: &'a rusqlite::Row<'a>,
    pair: &'a TablePair,
    places: &'a Places,
    /// Long values as people see them.
    long: &'a [(usize, String)],
}

impl SourceRow<'_> {
    /// The row as people see it, one text per column.
    pub(crate) fn shown(&self) -> Result<Vec<String>, rusqlite::Error> {
        let mut scratch = Vec::new();
        let columns = 0..self.pair.columns.len();
        let text = |at| {
            if let Some((_, long)) = self.long.iter().find(|(column, _)| *column == at) {
                return Ok(long.clone());
            }
            match self.places.value(self.raw, at, &mut scratch)? {
                Fetched::Value(value) => Ok(shown::source(value)),
                Fetched::Long => Ok(String::new()),
            }
        };
        columns.map(text).collect()
    }

    /// What names the row where its table has no key.
    pub(crate) fn address(&self) -> Option<String> {
        self.pair.needed_rowid()?;
        let rowid = self.raw.get::<_, i64>(self.places.rowid).ok()?;
        Some(format!("rowid={rowid}"))
    }
}

/// What reading a table told beside its rows.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What policies did, for the columns in which they did something.
    pub(crate) by_policy: Vec<ByPolicy>,
    /// Rows that a policy left out. They are not given to `each`.
    pub(crate) quarantined: u64,
}

/// Gives every row that the target should hold to `each`. `rest` follows the table in the query: an order, a limit, or nothing.
pub(crate) fn read(
    connection: &Connection,
    pair: &TablePair,
    rest: &str,
    seen: &AtomicU64,
    cancel: &CancellationToken,
    mut each: impl FnMut(&SourceRow<'_>) -> Result<(), rusqlite::Error>,
) -> Result<Tally, Error> {
    let failed = |source| Error::Read {
        table: pair.source.clone(),
        source,
    };
    let mut statement = connection
        .prepare(&format!("{}{rest}", pair.source_select()))
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut by_policy = vec![ByPolicy::default(); pair.columns.len()];
    let mut tally = Tally::default();
    let mut canonical = Row::default();
    let places = Places::of(pair);
    let (mut scratch, mut long) = (Vec::new(), Vec::new());
    let mut count = 0_u64;
    while let Some(raw) = rows.next().map_err(failed)? {
        count += 1;
        if count.is_multiple_of(ROWS_PER_LOOK) {
            seen.fetch_add(ROWS_PER_LOOK, Ordering::Relaxed);
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
        }
        canonical.clear();
        long.clear();
        let (mut key_bytes, mut left_out) = (0, false);
        let on_record = if pair.has_record() {
            name_on_record(pair, raw, &places).map_err(failed)?
        } else {
            None
        };
        let lost = match (&pair.nulled, &on_record) {
            (Some(nulled), Some(row)) => nulled.get(row),
            (None, _) | (_, None) => None,
        };
        for (at, column) in pair.columns.iter().enumerate() {
            if lost.is_some_and(|columns| columns.contains(&column.source)) {
                from_source(ValueRef::Null, &column.rule, &mut canonical);
                note(&mut by_policy[at], || {
                    match places.value(raw, at, &mut scratch) {
                        Ok(Fetched::Value(value)) => shown::source(value),
                        _ => String::new(),
                    }
                });
                if at + 1 == pair.key_columns {
                    key_bytes = canonical.mark();
                }
                continue;
            }
            match places.value(raw, at, &mut scratch).map_err(failed)? {
                Fetched::Value(value) => match from_source(value, &column.rule, &mut canonical) {
                    Taken::Exact | Taken::Unfit => {}
                    Taken::ByPolicy => note(&mut by_policy[at], || shown::source(value)),
                    Taken::Quarantined => left_out = true,
                },
                Fetched::Long => {
                    let rowid = raw.get(places.rowid).map_err(failed)?;
                    let taken = long_value(connection, pair, at, rowid, &mut canonical);
                    let (taken, text) = taken.map_err(failed)?;
                    left_out |= taken == Taken::Quarantined;
                    if taken == Taken::ByPolicy {
                        note(&mut by_policy[at], || text.clone());
                    }
                    long.push((at, text));
                }
            }
            if at + 1 == pair.key_columns {
                key_bytes = canonical.mark();
            }
        }
        if let (Some(aside), Some(row)) = (&pair.aside, &on_record) {
            // What the import has on record counts, and nothing else: a row that is lost without a word is missing.
            left_out = aside.contains(row);
        }
        if left_out {
            tally.quarantined += 1;
            continue;
        }
        if pair.key_columns == 0 {
            key_bytes = canonical.mark();
        }
        each(&SourceRow {
            canonical: canonical.bytes(),
            key_bytes,
            raw,
            pair,
            places: &places,
            long: &long,
        })
        .map_err(failed)?;
    }
    seen.fetch_add(count % ROWS_PER_LOOK, Ordering::Relaxed);
    for (mut done, column) in by_policy.into_iter().zip(&pair.columns) {
        if done.values > 0 {
            done.column.clone_from(&column.source);
            tally.by_policy.push(done);
        }
    }
    Ok(tally)
}

/// A row as the import's record names it; none where nothing names it.
fn name_on_record(
    pair: &TablePair,
    raw: &rusqlite::Row<'_>,
    places: &Places,
) -> Result<Option<String>, rusqlite::Error> {
    if pair.needed_rowid().is_some() {
        return Ok(Some(raw.get::<_, i64>(places.rowid)?.to_string()));
    }
    let mut parts = Vec::new();
    for part in 0..pair.needed_key().len() {
        parts.push(aside::row_name(
            [raw.get_ref(places.rowid + part)?].into_iter(),
        ));
    }
    let bare = parts.iter().map(|part| &part[1..part.len() - 1]);
    let bare: Vec<&str> = bare.collect();
    Ok((!bare.is_empty()).then(|| format!("({})", bare.join(", "))))
}

/// Appends one cell for a long value; what became of it, and how it is shown. Where its digest is not all that there is to it,
/// it has to be held after all.
fn long_value(
    connection: &Connection,
    pair: &TablePair,
    at: usize,
    rowid: i64,
    canonical: &mut Row,
) -> Result<(Taken, String), rusqlite::Error> {
    let column = &pair.columns[at];
    let value = column.source_sql();
    let ask = |what: &str| {
        let (table, key) = (
            quoted(&pair.source),
            pair.rowid.expect("BUG: read in pieces without a rowid"),
        );
        connection.prepare_cached(&format!(
            "SELECT {what} FROM {table} NOT INDEXED WHERE {key} = ?1"
        ))
    };
    let storage: String = ask(&format!("typeof({value})"))?.query_row([rowid], |row| row.get(0))?;
    let is_blob = column.rule.kind == Kind::Bytes && storage == "blob";
    let is_text = column.rule.kind == Kind::Text && storage == "text";
    if (is_blob || is_text)
        && let Ok(long) = read_long(connection, pair, column, rowid)
        && (is_blob || long.is_clean_text)
    {
        canonical.large(long.size_bytes, &long.sha256);
        return Ok((Taken::Exact, shown::long(long.size_bytes, &long.sha256)));
    }
    ask(&value)?.query_row([rowid], |row| {
        let value = row.get_ref(0)?;
        let taken = from_source(value, &column.rule, canonical);
        Ok((taken, shown::source(value)))
    })
}

fn note(done: &mut ByPolicy, example: impl FnOnce() -> String) {
    done.values += 1;
    if done.examples.len() < POLICY_EXAMPLES {
        done.examples.push(example());
    }
}
