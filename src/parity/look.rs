//! One table, or some of its columns, as the checks read it: each side as rows in canonical form, or as the server's text.
//!
//! Dropping the future of a reading ends its thread.

use super::error::{Error, server};
use super::pair::TablePair;
use super::sides::Sides;
use super::source_rows::{self, SourceRow, Tally};
use super::target_rows::{Reading, TargetRow};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio_postgres::SimpleQueryMessage;
use tokio_util::sync::CancellationToken;

/// A table on both sides, ready to be read.
pub(crate) struct Look<'a> {
    sides: &'a Sides,
    pair: Arc<TablePair>,
}

impl<'a> Look<'a> {
    /// The table with all its columns.
    pub(crate) fn new(sides: &'a Sides, pair: &Arc<TablePair>) -> Self {
        Self {
            sides,
            pair: pair.clone(),
        }
    }

    /// The key, and some columns; all of them where there is no key, for then all of a row is what identifies it.
    pub(crate) fn identified(sides: &'a Sides, pair: &Arc<TablePair>, columns: &[String]) -> Self {
        match pair.key_columns {
            0 => Self::new(sides, pair),
            _ => Self {
                sides,
                pair: Arc::new(pair.narrowed(columns, true)),
            },
        }
    }

    /// Just these columns, in this order, as a multiset.
    pub(crate) fn only(sides: &'a Sides, pair: &Arc<TablePair>, columns: &[String]) -> Self {
        Self {
            sides,
            pair: Arc::new(pair.narrowed(columns, false)),
        }
    }

    /// The columns that are read.
    pub(crate) fn pair(&self) -> &TablePair {
        &self.pair
    }

    /// Where a column is among those that are read.
    pub(crate) fn place(&self, source: &str) -> Option<usize> {
        self.pair
            .columns
            .iter()
            .position(|column| column.source == source)
    }

    /// Reads the source. `rest` follows the table in the query.
    pub(crate) async fn source<T: Send + 'static>(
        &self,
        rest: &str,
        mut state: T,
        mut each: impl FnMut(&mut T, &SourceRow<'_>) -> Result<(), rusqlite::Error> + Send + 'static,
    ) -> Result<(T, Tally), Error> {
        let cancel = CancellationToken::new();
        let _stop = cancel.clone().drop_guard();
        let (pair, rest) = (self.pair.clone(), rest.to_owned());
        let work = move |connection: &rusqlite::Connection| {
            let tally = source_rows::read(
                connection,
                &pair,
                &rest,
                &AtomicU64::new(0),
                &cancel,
                |row| each(&mut state, row),
            )?;
            Ok((state, tally))
        };
        self.sides.on_source(work).await
    }

    /// Reads the target. `rest` follows the table in the query. Rows that are new since the switch are given too, marked as such.
    pub(crate) async fn target(
        &self,
        rest: &str,
        each: impl FnMut(&TargetRow<'_>),
    ) -> Result<(), Error> {
        let reading = Reading {
            client: &self.sides.client,
            pair: &self.pair,
            rest,
            since: self.sides.connector.since.as_ref(),
            rows_per_second: self.sides.connector.opening.rows_per_second,
            progress: &|_| (),
            cancel: &CancellationToken::new(),
        };
        reading.rows(each).await
    }

    /// The rows that are set apart on both sides: those that were written after the switch. While writes are frozen, only those whose
    /// keys the source does not have: nobody was to rewrite the others.
    pub(crate) async fn apart(&self) -> Result<Apart, Error> {
        let mut keys = self.new_keys().await?;
        if self.sides.connector.opening.is_frozen && !keys.is_empty() {
            let keyed = Look::identified(self.sides, &self.pair, &[]);
            let without = move |keys: &mut HashSet<Box<[u8]>>, row: &SourceRow<'_>| {
                keys.remove(&row.canonical[..row.key_bytes]);
                Ok(())
            };
            keys = keyed.source("", keys, without).await?.0;
        }
        Ok(Apart(keys))
    }

    /// The keys, in canonical form, of all rows that were written after the switch.
    pub(crate) async fn new_keys(&self) -> Result<HashSet<Box<[u8]>>, Error> {
        let mut keys = HashSet::new();
        if let Some(since) = &self.sides.connector.since {
            let only_new = format!(" WHERE {}", since.new_row_sql(""));
            let keyed = Look::identified(self.sides, &self.pair, &[]);
            keyed
                .target(&only_new, |row| {
                    keys.insert(row.canonical[..row.key_bytes].into());
                })
                .await?;
        }
        Ok(keys)
    }
}

/// Rows that are set apart, by their keys in canonical form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Apart(HashSet<Box<[u8]>>);

impl Apart {
    /// How many rows at most.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a row of the source is.
    pub(crate) fn has_source(&self, row: &SourceRow<'_>) -> bool {
        self.0.contains(&row.canonical[..row.key_bytes])
    }

    /// Whether a row of the target is.
    pub(crate) fn has_target(&self, row: &TargetRow<'_>) -> bool {
        row.is_new && self.0.contains(&row.canonical[..row.key_bytes])
    }
}

impl Sides {
    /// The rows of a query on the target, every value as the server's text.
    pub(crate) async fn ask(
        &self,
        doing: &str,
        sql: &str,
    ) -> Result<Vec<Vec<Option<String>>>, Error> {
        let failed = server(doing);
        let messages = self.client.simple_query(sql).await.map_err(failed)?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|at| row.get(at).map(str::to_owned))
                    .collect(),
            ),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The same for a query over rows, which are read as the application's own sessions read them.
    pub(crate) async fn ask_rows(
        &self,
        doing: &str,
        sql: &str,
    ) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.ask(doing, &self.connector.over_rows(sql)).await
    }

    /// The one number that a query over rows of the target gives.
    pub(crate) async fn count(&self, doing: &str, sql: &str) -> Result<u64, Error> {
        let rows = self.ask_rows(doing, sql).await?;
        let text = rows.first().and_then(|row| row.first()?.as_deref());
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| Error::Unreadable {
                table: doing.to_owned(),
                column: "count".to_owned(),
                value: crate::text::printable(text.unwrap_or("nothing"), 80),
            })
    }

    /// A condition that the rows fulfil by which integrity is judged, to follow `WHERE`: those that were there at the switch, or all
    /// while writes are frozen.
    pub(crate) fn judged_rows_sql(&self, alias: &str) -> String {
        if self.connector.opening.is_frozen {
            "true".to_owned()
        } else {
            self.old_rows_sql(alias)
        }
    }

    /// A condition that only rows fulfil which were there at the switch, to follow `WHERE`; `true` before the switch.
    pub(crate) fn old_rows_sql(&self, alias: &str) -> String {
        match &self.connector.since {
            Some(since) => format!("NOT {}", since.new_row_sql(alias)),
            None => "true".to_owned(),
        }
    }
}
