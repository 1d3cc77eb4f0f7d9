//! Reads a table of the source, row by row, into canonical form. Blocks; one pass; nothing is kept.

use super::canon::Row;
use super::equality::{Taken, from_source};
use super::error::Error;
use super::pair::TablePair;
use super::report::ByPolicy;
use super::shown;
use rusqlite::Connection;
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
}

impl SourceRow<'_> {
    /// The row as people see it, one text per column.
    pub(crate) fn shown(&self) -> Result<Vec<String>, rusqlite::Error> {
        (0..self.pair.columns.len())
            .map(|at| Ok(shown::source(self.raw.get_ref(at)?)))
            .collect()
    }

    /// What names the row where its table has no key.
    pub(crate) fn address(&self) -> Option<String> {
        self.pair.rowid?;
        let rowid = self.raw.get::<_, i64>(self.pair.columns.len()).ok()?;
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
        let (mut key_bytes, mut left_out) = (0, false);
        for (at, column) in pair.columns.iter().enumerate() {
            let value = raw.get_ref(at).map_err(failed)?;
            match from_source(value, &column.rule, &mut canonical) {
                Taken::Exact | Taken::Unfit => {}
                Taken::ByPolicy => note(&mut by_policy[at], || shown::source(value)),
                Taken::Quarantined => left_out = true,
            }
            if at + 1 == pair.key_columns {
                key_bytes = canonical.mark();
            }
        }
        if let (Some(aside), Some(_)) = (&pair.aside, pair.rowid) {
            // What the import has on record counts, and nothing else: a row that is lost without a word is missing.
            left_out = aside.contains(&raw.get(pair.columns.len()).map_err(failed)?);
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

fn note(done: &mut ByPolicy, example: impl FnOnce() -> String) {
    done.values += 1;
    if done.examples.len() < POLICY_EXAMPLES {
        done.examples.push(example());
    }
}
