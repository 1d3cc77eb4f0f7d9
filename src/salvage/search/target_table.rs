//! One table of the target: counted by age, and its rows as PostgreSQL's own text, few at a time.

use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::{Error, Search};
use crate::parity::{Canonical, TablePair, from_target};
use crate::postgres::quoted;

/// Messages of the server that are taken at a time.
const ROWS_PER_TAKE: usize = 256;

/// A table of the target, in the search's transaction.
#[derive(Clone, Copy)]
pub(crate) struct TargetTable<'a> {
    pub(crate) search: &'a Search,
    pub(crate) handle: &'a Handle,
    pub(crate) pair: &'a TablePair,
}

/// A row of it, or the first columns of one, in the pair's order.
pub(crate) struct TargetRow {
    /// PostgreSQL's own text.
    pub(crate) texts: Vec<Option<String>>,
    /// The canonical form of each.
    pub(crate) canonical: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    Any,
    /// Those that the snapshot sees.
    Older,
    /// Those that it does not see.
    Newer,
}

impl TargetTable<'_> {
    fn newer(&self) -> String {
        let since = self.search.sides.connector.since.as_ref();
        let since = since.expect("BUG: a search has a snapshot");
        since.new_row_sql("")
    }

    /// Rows that the snapshot sees, and rows that it does not see. Failures from here on leave the transaction usable.
    pub(crate) fn count(&self) -> Result<(u64, u64), Error> {
        let sql = format!(
            "SAVEPOINT table_begins; SELECT count(*) FILTER (WHERE NOT newer), count(*) FILTER (WHERE newer)
             FROM (SELECT {} AS newer FROM {}) rows",
            self.newer(),
            self.pair.target_sql()
        );
        let mut counted = (0, 0);
        self.stream(&sql, |row| {
            let number = |at: usize| row.get(at).and_then(|text| text.parse().ok()).unwrap_or(0);
            counted = (number(0), number(1));
            Ok(())
        })?;
        Ok(counted)
    }

    /// Gives the first `columns` of every row to `each`.
    pub(crate) fn rows(
        &self,
        columns: usize,
        age: Age,
        mut each: impl FnMut(TargetRow) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let names = self.pair.columns.iter().take(columns);
        let names: Vec<_> = names.map(|column| quoted(&column.target)).collect();
        let condition = match age {
            Age::Any => String::new(),
            Age::Older => format!(" WHERE NOT {}", self.newer()),
            Age::Newer => format!(" WHERE {}", self.newer()),
        };
        let sql = format!(
            "SELECT {} FROM {}{condition}",
            names.join(", "),
            self.pair.target_sql()
        );
        self.stream(&sql, |row| each(self.row(row, 0, columns)?))
    }

    pub(super) fn stream(
        &self,
        sql: &str,
        mut each: impl FnMut(&SimpleQueryRow) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let doing = format!("reading {}", self.pair.target);
        let client = &self.search.sides.client;
        let stream = self
            .search
            .within(self.handle, &doing, client.simple_query_raw(sql))?;
        let mut stream = Box::pin(stream.ready_chunks(ROWS_PER_TAKE));
        loop {
            let next = async { Ok(stream.next().await) };
            let Some(messages) = self.search.within(self.handle, &doing, next)? else {
                return Ok(());
            };
            for message in messages {
                let message = message.map_err(|source| Error::Server {
                    doing: doing.clone(),
                    source,
                })?;
                if let SimpleQueryMessage::Row(row) = message {
                    each(&row)?;
                }
            }
        }
    }

    /// The first `columns` of the pair out of an answer that has them from `first` on.
    pub(super) fn row(
        &self,
        row: &SimpleQueryRow,
        first: usize,
        columns: usize,
    ) -> Result<TargetRow, Error> {
        let mut read = TargetRow {
            texts: Vec::with_capacity(columns),
            canonical: Vec::with_capacity(columns),
        };
        for (at, column) in self.pair.columns.iter().take(columns).enumerate() {
            let text = row.get(first + at);
            let mut form = Canonical::default();
            from_target(text.map(str::as_bytes), &column.rule.kind, &mut form).map_err(|_| {
                Error::NotComparable(format!(
                    "{}.{}: PostgreSQL wrote a value that cannot be read as one of the column's type",
                    self.pair.target, column.target
                ))
            })?;
            read.texts.push(text.map(str::to_owned));
            read.canonical.push(form.bytes().to_vec());
        }
        Ok(read)
    }
}
