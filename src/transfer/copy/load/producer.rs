//! The reading side of a load, in a thread of its own: rows of the source, encoded and cut into batches. Not in here: who sends them.

use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::transfer::Error;
use crate::transfer::copy::Import;
use crate::transfer::copy::record::Task;
use crate::transfer::error::read;
use crate::transfer::layout::TableLayout;
use crate::transfer::plan::scan::open;
use crate::transfer::pump::{Chunker, Closed};
use crate::transfer::reader::{Cursor, Reader};
use crate::transfer::rows::{COPY_HEADER, COPY_TRAILER, Encoder, Outcome};

use super::{BatchEnd, Piece};

/// A batch ends after this many bytes at the latest.
const BATCH_BYTES: u64 = 16 * 1024 * 1024;
/// Problems listed of a batch that stops.
const PROBLEMS_LISTED: usize = 10_000;

/// The reading side, in a thread of its own.
pub(super) struct Producer {
    pub(super) import: Import,
    pub(super) place: usize,
    pub(super) task: Task,
    pub(super) cursor: Cursor,
    pub(super) sender: mpsc::Sender<Piece>,
}

impl Producer {
    pub(super) fn run(&self) {
        if let Err(error) = self.read(&self.import.source, &self.import.layout.tables[self.place]) {
            // The sender may be gone already; then its own error is the one that counts.
            let _ = self.sender.blocking_send(Piece::Failed(error));
        }
    }

    /// Reads, encodes and hands over until the end, a problem, or nobody listens.
    fn read(&self, source: &Path, table: &TableLayout) -> Result<(), Error> {
        let name = &table.source.name;
        let connection = open(source)?;
        let columns: Vec<usize> = table.columns.iter().map(|column| column.source).collect();
        let reader = Reader::new(&table.source, &columns, self.import.layout.encoding);
        let mut statement = reader
            .prepare(&connection, self.task.span, &self.cursor)
            .map_err(read(source, name))?;
        let mut rows = statement.raw_query();
        let mut encoder = Encoder::new(table, self.import.foreseen.get(&table.target.oid));
        let mut chunker = Chunker::new(|chunk| {
            self.sender
                .blocking_send(Piece::Data(chunk))
                .map_err(|_| Closed)
        });
        let (mut scratch, mut splices) = (Vec::new(), Vec::new());
        let (mut ordinal, mut sent, mut seen) = (self.cursor.rows_read(), 0, 0);
        let mut aside = 0;
        chunker.buffer().extend_from_slice(COPY_HEADER);
        while let Some(row) = rows.next().map_err(read(source, name))? {
            ordinal += 1;
            seen += 1;
            let row = reader
                .row(row, ordinal, &mut scratch)
                .map_err(read(source, name))?;
            let start = chunker.buffer().len();
            splices.clear();
            let outcome = encoder.row(&row, chunker.buffer(), &mut splices);
            let handed_over = match outcome {
                Outcome::Encoded if encoder.problems.is_empty() => {
                    sent += 1;
                    chunker.row_done(start, &row, &splices)
                }
                Outcome::Encoded => {
                    chunker.buffer().truncate(start);
                    Ok(())
                }
                Outcome::Aside => {
                    aside += 1;
                    Ok(())
                }
                Outcome::Refused => Ok(()),
            };
            let full = seen >= self.import.options.batch_rows
                || chunker.bytes() >= BATCH_BYTES
                || encoder.problems.len() >= PROBLEMS_LISTED;
            if handed_over.is_err() {
                return Ok(());
            }
            if full {
                let stop = !encoder.problems.is_empty();
                if self
                    .end_batch(
                        &mut chunker,
                        &mut encoder,
                        [&mut sent, &mut aside].map(std::mem::take),
                        Some(row.cursor()),
                        false,
                    )
                    .is_err()
                    || stop
                {
                    return Ok(());
                }
                seen = 0;
                chunker.buffer().extend_from_slice(COPY_HEADER);
            }
        }
        // No cursor: after the last batch the task is done, and nobody goes on from it.
        let _ = self.end_batch(&mut chunker, &mut encoder, [sent, aside], None, true);
        Ok(())
    }

    fn end_batch<F: FnMut(Bytes) -> Result<(), Closed>>(
        &self,
        chunker: &mut Chunker<F>,
        encoder: &mut Encoder<'_>,
        [sent, aside]: [u64; 2],
        cursor: Option<Cursor>,
        last: bool,
    ) -> Result<(), Closed> {
        let bytes = chunker.take_bytes();
        if sent > 0 && encoder.problems.is_empty() {
            chunker.buffer().extend_from_slice(&COPY_TRAILER);
            chunker.flush()?;
        } else {
            chunker.buffer().clear();
        }
        let end = BatchEnd {
            cursor,
            rows: sent,
            aside,
            bytes,
            problems: std::mem::take(&mut encoder.problems),
            quarantined: std::mem::take(&mut encoder.quarantined),
            uses: encoder.take_uses(),
            last,
        };
        self.sender
            .blocking_send(Piece::End(Box::new(end)))
            .map_err(|_| Closed)
    }
}
