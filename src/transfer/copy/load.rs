//! One table, or a range of one, in batches: each a transaction of COPY, count, checkpoint (`D2`).
//!
//! A reader thread encodes ahead while the server takes the batch before. The checkpoint's row is locked for the whole batch, so that a
//! transaction that an earlier connection left behind has ended, one way or the other, before this one goes on.

mod objection;
mod producer;

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use self::producer::Producer;
use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::copy::record::{self, Task};
use crate::transfer::copy::{Import, evidence};
use crate::transfer::error::server;
use crate::transfer::layout::TableLayout;
use crate::transfer::plan::Problem;
use crate::transfer::pump::CHUNKS_IN_FLIGHT;
use crate::transfer::reader::Cursor;
use crate::transfer::rows::Quarantined;

/// The server must take a chunk within this time.
const CHUNK_DEADLINE: Duration = Duration::from_secs(60);
/// And a whole statement after the last chunk within this.
const STATEMENT_DEADLINE: Duration = Duration::from_secs(600);

/// What goes from the reader to the sender.
enum Piece {
    Data(Bytes),
    End(Box<BatchEnd>),
    Failed(Error),
}

/// The end of a batch.
struct BatchEnd {
    /// The last row of it; none when it had no row.
    cursor: Option<Cursor>,
    rows: u64,
    /// Rows that a policy put aside.
    aside: u64,
    bytes: u64,
    problems: Vec<Problem>,
    quarantined: Vec<Quarantined>,
    uses: BTreeMap<String, u64>,
    /// Nothing comes after it.
    last: bool,
}

/// Rows and bytes that a batch added.
#[derive(Debug, Clone, Copy)]
pub struct Added {
    pub rows: u64,
    pub bytes: u64,
}

/// Loads a task from its checkpoint to its end over one connection. `added` hears of each committed batch.
pub async fn load(
    import: &Import,
    client: &Client,
    task: &Task,
    place: usize,
    added: &(dyn Fn(Added) + Sync),
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let Some(mut cursor) = checkpoint(import, client, task).await? else {
        return Ok(());
    };
    let (sender, mut receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let producer = Producer {
        import: import.clone(),
        place,
        task: task.clone(),
        cursor: cursor.clone(),
        sender,
    };
    let reading = tokio::task::spawn_blocking(move || producer.run());
    let table = &import.layout.tables[place];
    let mut batches = Batches {
        import,
        client,
        task,
        table,
        receiver: &mut receiver,
        cancel,
    };
    let outcome = loop {
        match batches.one(&cursor).await {
            Ok((batch, next)) => {
                added(batch);
                match next {
                    Some(next) => cursor = next,
                    None => break Ok(()),
                }
            }
            Err(error) => break Err(error),
        }
    };
    drop(receiver);
    reading.await.expect("BUG: the reader panicked");
    outcome
}

/// Where the task stands; None when it is done. Waits for a transaction that still holds the checkpoint.
async fn checkpoint(
    import: &Import,
    client: &Client,
    task: &Task,
) -> Result<Option<Cursor>, Error> {
    let row = client
        .query_one(
            "SELECT position, done FROM cutover.task WHERE import = $1 AND number = $2 FOR UPDATE",
            &[&import.key, &task.number],
        )
        .await
        .map_err(server(format!(
            "reading the checkpoint of {}",
            printable(&task.table, 80)
        )))?;
    if row.get::<_, bool>(1) {
        return Ok(None);
    }
    record::cursor(row.get(0)).map(Some)
}

struct Batches<'b> {
    import: &'b Import,
    client: &'b Client,
    task: &'b Task,
    table: &'b TableLayout,
    receiver: &'b mut mpsc::Receiver<Piece>,
    cancel: &'b CancellationToken,
}

impl Batches<'_> {
    /// One batch after `cursor`, committed, and where the next begins; None when the task is done.
    async fn one(&mut self, cursor: &Cursor) -> Result<(Added, Option<Cursor>), Error> {
        match self.piece().await? {
            Piece::Failed(error) => Err(error),
            Piece::Data(first) => {
                self.begin(cursor).await?;
                let end = match self.send(first, cursor).await {
                    Ok(end) => end,
                    Err(error) => return Err(self.give_up(error).await),
                };
                self.commit(*end, cursor).await
            }
            Piece::End(end) if !end.problems.is_empty() => Err(Error::Problems(end.problems)),
            Piece::End(end) => {
                self.begin(cursor).await?;
                self.commit(*end, cursor).await
            }
        }
    }

    fn doing(&self, cursor: &Cursor) -> String {
        let after = match cursor {
            Cursor::Start => "the first batch".to_owned(),
            Cursor::Rowid(rowid) => format!("the batch after row {rowid}"),
            Cursor::Key(_) => "the next batch".to_owned(),
            Cursor::Ordinal(rows) => format!("the batch after the first {rows} rows"),
        };
        format!(
            "loading {}, {after}",
            printable(&self.table.source.name, 80)
        )
    }

    async fn piece(&mut self) -> Result<Piece, Error> {
        tokio::select! {
            () = self.cancel.cancelled() => Err(Error::Cancelled),
            piece = self.receiver.recv() => piece.ok_or(Error::Cancelled),
        }
    }

    /// Opens the transaction, takes the checkpoint's lock and makes sure that the columns are still those of the plan.
    async fn begin(&self, cursor: &Cursor) -> Result<(), Error> {
        let doing = || self.doing(cursor);
        let relation = self.relation();
        // Losing the last commits in a crash of the server loses their checkpoints with them; the import's end waits for the disk.
        let begin = format!(
            "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL search_path = {}; LOCK TABLE {relation} IN ROW EXCLUSIVE MODE",
            self.import.search_path
        );
        self.client
            .batch_execute(&begin)
            .await
            .map_err(server(doing()))?;
        let position = self
            .client
            .query_one(
                "SELECT position FROM cutover.task WHERE import = $1 AND number = $2 FOR UPDATE",
                &[&self.import.key, &self.task.number],
            )
            .await
            .map_err(server(doing()))?;
        let columns = self
            .client
            .query(
                "SELECT attnum, atttypid, atttypmod FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped",
                &[&self.table.target.oid],
            )
            .await
            .map_err(server(doing()))?;
        if record::cursor(position.get(0))? != *cursor {
            return Err(Error::Busy {
                schema: self.import.target.schema.clone(),
            });
        }
        let now: BTreeMap<i16, (u32, i32)> = columns
            .iter()
            .map(|row| (row.get(0), (row.get(1), row.get(2))))
            .collect();
        let changed = self.table.columns.iter().find(|column| {
            now.get(&column.target.number) != Some(&(column.target.ty.oid, column.target.ty.typmod))
        });
        match changed {
            None => Ok(()),
            Some(column) => Err(Error::Changed {
                table: self.table.target.name.clone(),
                what: format!(
                    "column {} has another type",
                    printable(&column.target.name, 80)
                ),
            }),
        }
    }

    fn relation(&self) -> String {
        format!(
            "{}.{}",
            quoted(&self.import.target.schema),
            quoted(&self.table.target.name)
        )
    }

    /// The COPY, up to the server's count.
    async fn send(&mut self, first: Bytes, cursor: &Cursor) -> Result<Box<BatchEnd>, Error> {
        let doing = self.doing(cursor);
        let columns: Vec<String> = self
            .table
            .columns
            .iter()
            .map(|column| quoted(&column.target.name))
            .collect();
        let copy = format!(
            "COPY {} ({}) FROM STDIN (FORMAT binary)",
            self.relation(),
            columns.join(", ")
        );
        let sink = self
            .client
            .copy_in::<_, Bytes>(&copy)
            .await
            .map_err(server(doing.clone()))?;
        let mut sink = pin!(sink);
        let mut chunk = first;
        let end = loop {
            let sent = tokio::time::timeout(CHUNK_DEADLINE, sink.send(chunk)).await;
            sent.map_err(|_| Error::Stalled {
                doing: doing.clone(),
                after_s: CHUNK_DEADLINE.as_secs(),
            })?
            .map_err(server(doing.clone()))?;
            match self.piece().await? {
                Piece::Data(next) => chunk = next,
                Piece::Failed(error) => return Err(error),
                Piece::End(end) => break end,
            }
        };
        if !end.problems.is_empty() {
            return Err(Error::Problems(end.problems));
        }
        let counted = tokio::time::timeout(STATEMENT_DEADLINE, sink.finish()).await;
        let counted = counted
            .map_err(|_| Error::Stalled {
                doing: doing.clone(),
                after_s: STATEMENT_DEADLINE.as_secs(),
            })?
            .map_err(server(doing))?;
        if counted != end.rows {
            return Err(Error::Count {
                table: self.table.source.name.clone(),
                sent: end.rows,
                counted,
            });
        }
        Ok(end)
    }

    /// The checkpoint and the commit, in one transaction with the rows.
    async fn commit(
        &self,
        end: BatchEnd,
        before: &Cursor,
    ) -> Result<(Added, Option<Cursor>), Error> {
        let doing = || self.doing(before);
        let cursor = end.cursor.unwrap_or_else(|| before.clone());
        let position = serde_json::to_string(&cursor).expect("BUG: a cursor is always JSON");
        evidence::add(
            self.client,
            &self.import.key,
            &self.table.source.name,
            &end.uses,
            &end.quarantined,
        )
        .await?;
        let [rows, bytes, aside] = [end.rows, end.bytes, end.aside].map(|count| count as i64);
        self.client
            .execute(
                "UPDATE cutover.task SET position = $3, rows = rows + $4, bytes = bytes + $5, done = $6, aside = aside + $7
                 WHERE import = $1 AND number = $2",
                &[&self.import.key, &self.task.number, &position, &rows, &bytes, &end.last, &aside],
            )
            .await
            .map_err(server(doing()))?;
        self.client
            .batch_execute("COMMIT")
            .await
            .map_err(server(doing()))?;
        Ok((
            Added {
                rows: end.rows,
                bytes: end.bytes,
            },
            (!end.last).then_some(cursor),
        ))
    }
}
