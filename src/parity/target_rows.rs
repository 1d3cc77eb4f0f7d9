//! Reads a table of the target as PostgreSQL's own text, row by row, into canonical form: by `COPY … TO STDOUT` as fast as it comes,
//! by a cursor where there is a pace to keep.
//!
//! A stream that ends early is an error, never a short table: the server says how many rows it sent only by ending the stream in
//! good order, and `COPY` inside one repeatable-read transaction either does that or fails.

use super::canon::Row;
use super::equality::from_target;
use super::error::Error;
use super::pair::TablePair;
use super::shown;
use super::snapshot::Snapshot;
use futures_util::StreamExt;
use memchr::{memchr, memchr2};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

/// How often progress is told.
const ROWS_PER_LOOK: u64 = 4096;
/// How many messages of the server are taken at a time.
const ROWS_PER_TAKE: usize = 256;
/// Into how many takes a second's rows are cut where there is a pace.
const TAKES_PER_SECOND: u32 = 10;
/// Names cursors apart: one that nobody closed lives as long as its transaction.
static CURSORS: AtomicU64 = AtomicU64::new(0);

/// One row of `COPY`'s text format, taken apart.
#[derive(Debug, Default)]
struct Fields {
    bytes: Vec<u8>,
    ends: Vec<(usize, bool)>,
}

impl Fields {
    /// Takes a line without its line feed apart: tabs separate, `\N` is NULL, a backslash escapes.
    fn split(&mut self, line: &[u8]) {
        self.clear();
        let mut null = false;
        let mut rest = line;
        loop {
            let plain = memchr2(b'\t', b'\\', rest).unwrap_or(rest.len());
            self.bytes.extend_from_slice(&rest[..plain]);
            match rest.get(plain) {
                None => {
                    self.ends.push((self.bytes.len(), null));
                    return;
                }
                Some(b'\t') => {
                    self.ends.push((self.bytes.len(), null));
                    null = false;
                    rest = &rest[plain + 1..];
                }
                Some(_) => {
                    match rest.get(plain + 1) {
                        Some(b'N') => null = true,
                        Some(b'b') => self.bytes.push(8),
                        Some(b'f') => self.bytes.push(12),
                        Some(b'n') => self.bytes.push(b'\n'),
                        Some(b'r') => self.bytes.push(b'\r'),
                        Some(b't') => self.bytes.push(b'\t'),
                        Some(b'v') => self.bytes.push(11),
                        Some(other) => self.bytes.push(*other),
                        None => {}
                    }
                    rest = rest.get(plain + 2..).unwrap_or_default();
                }
            }
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds a value that needs no taking apart.
    fn push(&mut self, value: Option<&str>) {
        self.bytes
            .extend_from_slice(value.unwrap_or_default().as_bytes());
        self.ends.push((self.bytes.len(), value.is_none()));
    }

    fn get(&self, at: usize) -> Option<&[u8]> {
        let (end, null) = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before].0);
        (!null).then(|| &self.bytes[start..end])
    }
}

/// A row of the target.
pub(crate) struct TargetRow<'a> {
    /// Its canonical form.
    pub(crate) canonical: &'a [u8],
    /// How many bytes of it are the key; all, for a table without one.
    pub(crate) key_bytes: usize,
    /// Written after the switch.
    pub(crate) is_new: bool,
    fields: &'a Fields,
    pair: &'a TablePair,
}

impl TargetRow<'_> {
    /// The row as people see it, one text per column.
    pub(crate) fn shown(&self) -> Vec<String> {
        let mut at = 0;
        let mut out = Vec::with_capacity(self.pair.columns.len());
        for column in &self.pair.columns {
            let kind = &column.rule.kind;
            let text = self.fields.get(at);
            at += 1;
            if self.pair.has_long_values && kind.may_be_large() {
                let long = self.fields.get(at);
                at += 1;
                if let Some((size_bytes, sha256)) = long.and_then(length_and_digest) {
                    out.push(shown::long(size_bytes, &sha256));
                    continue;
                }
            }
            out.push(shown::target(text, kind));
        }
        out
    }
}

/// How a table is read.
pub(crate) struct Reading<'a> {
    /// In a transaction with the checker's settings pinned.
    pub(crate) client: &'a Client,
    pub(crate) pair: &'a TablePair,
    /// What follows the table in the query: a condition, an order; empty for all rows.
    pub(crate) rest: &'a str,
    /// Rows that this does not see are new.
    pub(crate) since: Option<&'a Snapshot>,
    /// At most so many rows per second.
    pub(crate) rows_per_second: Option<u32>,
    /// Called now and then with the rows read so far.
    pub(crate) progress: &'a (dyn Fn(u64) + Sync),
    pub(crate) cancel: &'a CancellationToken,
}

impl Reading<'_> {
    /// Gives every row to `each`.
    pub(crate) async fn rows(&self, each: impl FnMut(&TargetRow<'_>)) -> Result<(), Error> {
        match self.rows_per_second {
            None => self.streamed(each).await,
            Some(rate) => self.paced(rate.max(1), each).await,
        }
    }

    /// As fast as the server sends them.
    async fn streamed(&self, mut each: impl FnMut(&TargetRow<'_>)) -> Result<(), Error> {
        let failed = |source| Error::Server {
            doing: format!("reading {}", self.pair.target),
            source,
        };
        let copy = match self.pair.target_columns() {
            // Without a query between them and COPY, the server gives whole tables a little faster.
            Some(plain) if self.rest.is_empty() && self.since.is_none() => {
                format!("COPY {plain} TO STDOUT")
            }
            _ => format!(
                "COPY ({}{}) TO STDOUT",
                self.pair.target_select(self.since),
                self.rest
            ),
        };
        // What has arrived is taken together, so that waiting and cancellation cost nothing per row.
        let stream = self.client.copy_out(&copy).await.map_err(failed)?;
        let mut stream = Box::pin(stream.ready_chunks(ROWS_PER_TAKE));
        let (mut fields, mut canonical) = (Fields::default(), Row::default());
        let mut partial = Vec::new();
        let (mut count, mut told) = (0_u64, 0);
        loop {
            let taken = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Error::Cancelled),
                taken = stream.next() => taken,
            };
            let Some(taken) = taken else { break };
            for chunk in taken {
                // The server sends a row per message; the protocol does not promise it.
                let chunk = chunk.map_err(failed)?;
                let mut rest = &chunk[..];
                while !rest.is_empty() {
                    let Some(end) = memchr(b'\n', rest) else {
                        partial.extend_from_slice(rest);
                        break;
                    };
                    let line = &rest[..end];
                    rest = &rest[end + 1..];
                    if partial.is_empty() {
                        fields.split(line);
                    } else {
                        partial.extend_from_slice(line);
                        fields.split(&partial);
                        partial.clear();
                    }
                    each(&self.row(&fields, &mut canonical)?);
                    count += 1;
                }
            }
            if count - told >= ROWS_PER_LOOK {
                told = count;
                (self.progress)(count);
            }
        }
        if !partial.is_empty() {
            return Err(Error::CutShort {
                table: self.pair.target.clone(),
            });
        }
        (self.progress)(count);
        Ok(())
    }

    fn row<'a>(
        &'a self,
        fields: &'a Fields,
        canonical: &'a mut Row,
    ) -> Result<TargetRow<'a>, Error> {
        canonical.clear();
        let (mut at, mut key_bytes) = (0, 0);
        for (index, column) in self.pair.columns.iter().enumerate() {
            let kind = &column.rule.kind;
            let text = fields.get(at);
            at += 1;
            let mut long = None;
            if self.pair.has_long_values && kind.may_be_large() {
                long = fields.get(at);
                at += 1;
            }
            let read = match long {
                Some(long) => length_and_digest(long)
                    .map(|(size_bytes, sha256)| canonical.large(size_bytes, &sha256)),
                None => from_target(text, kind, canonical).ok(),
            };
            read.ok_or_else(|| Error::Unreadable {
                table: self.pair.target.clone(),
                column: column.target.clone(),
                value: shown::target(text.or(long), kind),
            })?;
            if index + 1 == self.pair.key_columns {
                key_bytes = canonical.mark();
            }
        }
        if self.pair.key_columns == 0 {
            key_bytes = canonical.mark();
        }
        Ok(TargetRow {
            canonical: canonical.bytes(),
            key_bytes,
            is_new: fields.get(at) == Some(b"t"),
            fields,
            pair: self.pair,
        })
    }

    /// At most `rate` rows per second, by a cursor: between two takes the server does nothing for us, and no statement of ours takes
    /// longer than one take, however large the table is.
    async fn paced(&self, rate: u32, mut each: impl FnMut(&TargetRow<'_>)) -> Result<(), Error> {
        let failed = |source| Error::Server {
            doing: format!("reading {}", self.pair.target),
            source,
        };
        let cursor = format!("cutover_{}", CURSORS.fetch_add(1, Ordering::Relaxed));
        let select = self.pair.target_select(self.since);
        let declare = format!(
            "DECLARE {cursor} NO SCROLL CURSOR FOR {select}{}",
            self.rest
        );
        self.client.batch_execute(&declare).await.map_err(failed)?;
        let take = format!(
            "FETCH FORWARD {} FROM {cursor}",
            (rate / TAKES_PER_SECOND).max(1)
        );
        let (mut fields, mut canonical) = (Fields::default(), Row::default());
        let (begun, mut count) = (Instant::now(), 0_u64);
        loop {
            let before = count;
            let rows = self.client.simple_query_raw(&take).await.map_err(failed)?;
            let mut rows = std::pin::pin!(rows);
            while let Some(message) = rows.next().await {
                if let SimpleQueryMessage::Row(row) = message.map_err(failed)? {
                    fields.clear();
                    (0..row.len()).for_each(|at| fields.push(row.get(at)));
                    each(&self.row(&fields, &mut canonical)?);
                    count += 1;
                }
            }
            (self.progress)(count);
            if count == before {
                break;
            }
            let due = Duration::from_secs_f64(count as f64 / f64::from(rate));
            tokio::select! {
                () = self.cancel.cancelled() => return Err(Error::Cancelled),
                () = tokio::time::sleep(due.saturating_sub(begun.elapsed())) => {}
            }
        }
        let close = format!("CLOSE {cursor}");
        self.client.batch_execute(&close).await.map_err(failed)
    }
}

/// `1234:9f86…`, as [`TablePair::target_select`] asks for it.
fn length_and_digest(text: &[u8]) -> Option<(u64, [u8; 32])> {
    let (size, hex) = std::str::from_utf8(text).ok()?.split_once(':')?;
    let mut digest = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some((size.parse().ok()?, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_line_of_copy_apart() {
        let mut fields = Fields::default();
        fields.split(b"1\t\\N\t\t\\\\x00\ta\\tb\\nc\\\\N");
        let all: Vec<_> = (0..5).map(|at| fields.get(at)).collect();
        assert_eq!(
            all,
            [
                Some(&b"1"[..]),
                None,
                Some(b""),
                Some(b"\\x00"),
                Some(b"a\tb\nc\\N")
            ]
        );
        assert_eq!(fields.get(5), None);
    }
}
