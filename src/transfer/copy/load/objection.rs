//! What becomes of a batch that failed: the server's objection to a row, traced to the row. Not in here: rows that are refused before they
//! are sent (`rows`).

use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::copy::Import;
use crate::transfer::copy::record::{self, Task};
use crate::transfer::error::read;
use crate::transfer::plan::scan::open;
use crate::transfer::plan::{Problem, RowKey};
use crate::transfer::reader::{Cursor, Reader};
use crate::transfer::rows::{Encoder, Outcome};

use super::Batches;

impl Batches<'_> {
    /// Ends the transaction and turns the server's objection to a row into a problem that names the row.
    pub(super) async fn give_up(&self, error: Error) -> Error {
        if matches!(error, Error::Stalled { .. } | Error::Cancelled) {
            if let Err(error) = self
                .import
                .target
                .endpoint
                .cancel(&self.client.cancel_token())
                .await
            {
                tracing::warn!(%error, "the COPY could not be cancelled; its connection is dropped");
            }
            return error;
        }
        let Error::Server { source, .. } = &error else {
            // Refused here, not by the server: the batch goes, the connection stays usable.
            let _ = self.client.batch_execute("ROLLBACK").await;
            return error;
        };
        let Some(objection) = source.as_db_error() else {
            return error;
        };
        let class = &objection.code().code()[..2];
        if !matches!(class, "22" | "23" | "54") {
            return error;
        }
        let rolled_back = self.client.batch_execute("ROLLBACK").await;
        let Some(line) = objection
            .where_()
            .and_then(line_of_copy)
            .filter(|_| rolled_back.is_ok())
        else {
            return error;
        };
        let problem = self.objected_row(line, objection).await;
        problem.map_or(error, |problem| Error::Problems(vec![problem]))
    }

    /// Reads the batch again up to the row that the server objected to.
    async fn objected_row(
        &self,
        line: u64,
        objection: &tokio_postgres::error::DbError,
    ) -> Option<Problem> {
        let row = self
            .client
            .query_one(
                "SELECT position FROM cutover.task WHERE import = $1 AND number = $2",
                &[&self.import.key, &self.task.number],
            )
            .await
            .ok()?;
        let cursor = record::cursor(row.get(0)).ok()?;
        let (import, task, place) = (self.import.clone(), self.task.clone(), self.place()?);
        let found =
            tokio::task::spawn_blocking(move || nth_row(&import, &task, place, &cursor, line))
                .await
                .ok()?
                .ok()??;
        let column = objection.column().map(str::to_owned).or_else(|| {
            let constraint = objection.constraint()?;
            let constraints = self
                .table
                .target
                .constraints
                .iter()
                .map(|known| (&known.name, known.columns.first()));
            let indexes = self
                .table
                .target
                .indexes
                .iter()
                .map(|known| (&known.name, known.columns.first().and_then(Option::as_ref)));
            constraints
                .chain(indexes)
                .find(|(name, _)| *name == constraint)
                .and_then(|(_, column)| column.cloned())
        });
        let column = column.and_then(|name| {
            self.table
                .columns
                .iter()
                .find(|column| column.target.name == name)
        });
        Some(Problem {
            table: self.table.source.name.clone(),
            column: column
                .map(|column| self.table.source_name(column).to_owned())
                .unwrap_or_default(),
            rowid: found,
            value: String::new(),
            reason: printable(
                &format!(
                    "PostgreSQL refuses it: {} {}",
                    objection.message(),
                    objection.detail().unwrap_or_default()
                ),
                400,
            ),
            policy: Some("on_problem: quarantine".to_owned()),
        })
    }

    fn place(&self) -> Option<usize> {
        self.import
            .layout
            .tables
            .iter()
            .position(|table| table.target.oid == self.table.target.oid)
    }
}

/// PostgreSQL names the row of a COPY in its context: `COPY t, line 3, column c`.
fn line_of_copy(context: &str) -> Option<u64> {
    let after = &context[context.rfind(", line ")? + ", line ".len()..];
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The key of the n-th row that is sent after `cursor`.
fn nth_row(
    import: &Import,
    task: &Task,
    place: usize,
    cursor: &Cursor,
    n: u64,
) -> Result<Option<RowKey>, Error> {
    let table = &import.layout.tables[place];
    let source = &import.source;
    let connection = open(source)?;
    let columns: Vec<usize> = table.columns.iter().map(|column| column.source).collect();
    let reader = Reader::new(&table.source, &columns, import.layout.encoding);
    let mut statement = reader
        .prepare(&connection, task.span, cursor)
        .map_err(read(source, &table.source.name))?;
    let mut rows = statement.raw_query();
    let mut encoder = Encoder::new(table, import.foreseen.get(&table.target.oid));
    let (mut scratch, mut buffer, mut splices) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ordinal, mut sent) = (cursor.rows_read(), 0);
    while let Some(row) = rows.next().map_err(read(source, &table.source.name))? {
        ordinal += 1;
        let row = reader
            .row(row, ordinal, &mut scratch)
            .map_err(read(source, &table.source.name))?;
        buffer.clear();
        splices.clear();
        if encoder.row(&row, &mut buffer, &mut splices) == Outcome::Encoded {
            sent += 1;
            if sent == n {
                return Ok(Some(row.key()));
            }
        }
    }
    Ok(None)
}
