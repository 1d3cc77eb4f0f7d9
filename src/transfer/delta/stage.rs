//! Rows on their way into a temporary table, or into one that goes anew: read, converted and sent as the import does it. All of a table, or
//! those that a delta file names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::SinkExt;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Row};
use tokio::sync::mpsc;
use tokio_postgres::Client;

use crate::postgres::quoted;
use crate::sqlite::schema::Position;
use crate::text::printable;
use crate::transfer::delta::refusal::Refusal;
use crate::transfer::delta::refused;
use crate::transfer::error::read;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::scan::open;
use crate::transfer::pump::{CHUNKS_IN_FLIGHT, Chunker, Closed};
use crate::transfer::reader::{Cursor, Reader, Span};
use crate::transfer::rows::{COPY_HEADER, COPY_TRAILER, Encoder, Outcome};
use crate::transfer::{Error, plan::Problem};

/// Problems listed of a table that stops.
const PROBLEMS_LISTED: usize = 10_000;

/// What is read, and from where.
#[derive(Clone)]
pub struct Wanted {
    /// The snapshot.
    pub source: PathBuf,
    /// Its layout.
    pub layout: Arc<Layout>,
    /// The table's place there.
    pub place: usize,
    /// Which rows.
    pub which: Which,
}

/// Which rows of a table.
#[derive(Clone)]
pub enum Which {
    /// All.
    All,
    /// Those that the delta file names.
    Named {
        /// The file.
        delta: PathBuf,
        /// Of the table `rows_<id>`.
        id: i64,
        /// Of the newer or of the older snapshot.
        side: Side,
    },
}

/// One of the two snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Rows that were inserted or updated.
    Newer,
    /// Rows that were updated or deleted.
    Older,
}

/// What was sent.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Uses of policies, by `column: policy`.
    pub uses: BTreeMap<String, u64>,
}

/// Sends the rows into the table `into`, given as SQL names it.
///
/// # Errors
/// [`Refusal::WouldPutAside`] where a policy would put a row or a value aside; [`Error::Problems`] where one has no form.
pub async fn send(client: &Client, into: &str, wanted: Wanted) -> Result<Sent, Error> {
    let table = &wanted.layout.tables[wanted.place];
    let name = table.source.name.clone();
    let doing = format!("bringing rows of {}", printable(&name, 80));
    let columns = table
        .columns
        .iter()
        .map(|column| quoted(&column.target.name));
    let columns: Vec<String> = columns.collect();
    let copy = format!(
        "COPY {into} ({}) FROM STDIN (FORMAT binary)",
        columns.join(", ")
    );
    let (sender, mut receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let reading = tokio::task::spawn_blocking(move || produce(&wanted, &sender));
    let sink = client
        .copy_in::<_, Bytes>(&copy)
        .await
        .map_err(refused(&doing))?;
    let mut sink = pin!(sink);
    while let Some(chunk) = receiver.recv().await {
        sink.send(chunk).await.map_err(refused(&doing))?;
    }
    let sent = reading.await.expect("BUG: the reader panicked")?;
    let counted = sink.finish().await.map_err(refused(&doing))?;
    if counted != sent.rows {
        return Err(Error::Count {
            table: name,
            sent: sent.rows,
            counted,
        });
    }
    Ok(sent)
}

/// The reading side, in a thread of its own.
fn produce(wanted: &Wanted, sender: &mpsc::Sender<Bytes>) -> Result<Sent, Error> {
    let table = &wanted.layout.tables[wanted.place];
    let (source, name) = (&wanted.source, &table.source.name);
    let connection = open(source)?;
    let columns: Vec<usize> = table.columns.iter().map(|column| column.source).collect();
    let reader = Reader::new(&table.source, &columns, wanted.layout.encoding);
    let chunker = Chunker::new(|chunk| sender.blocking_send(chunk).map_err(|_| Closed));
    let mut feed = Feed {
        reader: &reader,
        source,
        table,
        encoder: Encoder::new(table, None),
        chunker,
        sent: Sent::default(),
        problems: Vec::new(),
    };
    feed.chunker.buffer().extend_from_slice(COPY_HEADER);
    match &wanted.which {
        Which::All => {
            let mut statement = reader
                .prepare(&connection, Span::ALL, &Cursor::Start)
                .map_err(read(source, name))?;
            let mut rows = statement.raw_query();
            let mut ordinal = 0;
            while let Some(row) = rows.next().map_err(read(source, name))? {
                ordinal += 1;
                if feed.take(row, ordinal)?.is_err() {
                    return Ok(feed.sent);
                }
            }
        }
        Which::Named { delta, id, side } => {
            let picks = Picks {
                delta,
                id: *id,
                side: *side,
            };
            if picks.each(&connection, &mut feed)?.is_err() {
                return Ok(feed.sent);
            }
        }
    }
    feed.end()
}

/// One row after another into chunks.
struct Feed<'f, F: FnMut(Bytes) -> Result<(), Closed>> {
    reader: &'f Reader<'f>,
    source: &'f Path,
    table: &'f TableLayout,
    encoder: Encoder<'f>,
    chunker: Chunker<F>,
    sent: Sent,
    problems: Vec<Problem>,
}

impl<F: FnMut(Bytes) -> Result<(), Closed>> Feed<'_, F> {
    /// Takes a row; the inner error says that nobody listens any more.
    fn take(&mut self, row: &Row<'_>, ordinal: u64) -> Result<Result<(), Closed>, Error> {
        let name = &self.table.source.name;
        let (mut scratch, mut splices) = (Vec::new(), Vec::new());
        let row = self
            .reader
            .row(row, ordinal, &mut scratch)
            .map_err(read(self.source, name))?;
        let start = self.chunker.buffer().len();
        let outcome = self.encoder.row(&row, self.chunker.buffer(), &mut splices);
        if let Some(aside) = self.encoder.quarantined.first() {
            return Err(Error::Since(Refusal::WouldPutAside {
                table: name.clone(),
                why: format!("row {}: {}", aside.row, aside.reason),
            }));
        }
        self.problems.append(&mut self.encoder.problems);
        if self.problems.len() >= PROBLEMS_LISTED {
            return Err(Error::Problems(std::mem::take(&mut self.problems)));
        }
        match outcome {
            Outcome::Encoded if self.problems.is_empty() => {
                self.sent.rows += 1;
                Ok(self.chunker.row_done(start, &row, &splices))
            }
            Outcome::Encoded => {
                self.chunker.buffer().truncate(start);
                Ok(Ok(()))
            }
            Outcome::Aside | Outcome::Refused => Ok(Ok(())),
        }
    }

    fn end(mut self) -> Result<Sent, Error> {
        if !self.problems.is_empty() {
            return Err(Error::Problems(self.problems));
        }
        self.sent.bytes = self.chunker.take_bytes();
        self.sent.uses = self.encoder.take_uses();
        self.chunker.buffer().extend_from_slice(&COPY_TRAILER);
        // Where nobody listens, the listener's own error is the one that counts.
        let _ = self.chunker.flush();
        Ok(self.sent)
    }
}

/// The rows that a delta file names, looked up one by one.
struct Picks<'p> {
    delta: &'p Path,
    id: i64,
    side: Side,
}

impl Picks<'_> {
    fn each<F: FnMut(Bytes) -> Result<(), Closed>>(
        &self,
        connection: &Connection,
        feed: &mut Feed<'_, F>,
    ) -> Result<Result<(), Closed>, Error> {
        let (source, name) = (feed.source, &feed.table.source.name);
        let of_delta = || read(self.delta, name);
        let list = open(self.delta)?;
        let mut list = list.prepare(&self.sql(feed.table)).map_err(of_delta())?;
        let places = list.column_count();
        let mut picks = list.query([]).map_err(of_delta())?;
        let mut one = feed
            .reader
            .prepare_one(connection)
            .map_err(read(source, name))?;
        let mut ordinal = 0;
        while let Some(pick) = picks.next().map_err(of_delta())? {
            ordinal += 1;
            for place in 0..places {
                // Borrowed, so that text which is no UTF-8 stays the text that it is.
                let value = pick.get_ref(place).map_err(of_delta())?;
                one.raw_bind_parameter(place + 1, ToSqlOutput::Borrowed(value))
                    .map_err(read(source, name))?;
            }
            let mut rows = one.raw_query();
            let Some(row) = rows.next().map_err(read(source, name))? else {
                return Err(Error::Since(Refusal::Lost {
                    table: name.clone(),
                    what: format!("row {ordinal} of the delta is not in {}", source.display()),
                }));
            };
            let taken = feed.take(row, ordinal)?;
            if taken.is_err() {
                return Ok(taken);
            }
        }
        Ok(Ok(()))
    }

    /// What names the rows of one side: their rowids, or the values of their keys.
    fn sql(&self, table: &TableLayout) -> String {
        let changes = match self.side {
            Side::Newer => "('i', 'u')",
            Side::Older => "('u', 'd')",
        };
        let names = match (&table.source.position, self.side) {
            (Position::Key, _) => {
                let keys = (1..=table.source.primary_key.len()).map(|place| format!("k{place}"));
                keys.collect::<Vec<_>>().join(", ")
            }
            (Position::Rowid { .. } | Position::Ordinal, Side::Newer) => "new_rowid".to_owned(),
            (Position::Rowid { .. } | Position::Ordinal, Side::Older) => "old_rowid".to_owned(),
        };
        format!(
            "SELECT {names} FROM rows_{} WHERE change IN {changes}",
            self.id
        )
    }
}
