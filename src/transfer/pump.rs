//! Bytes from a blocking reader to an async COPY, through a channel short enough to bound memory.

use bytes::Bytes;
use rusqlite::types::ValueRef;

use crate::transfer::reader::RowView;
use crate::transfer::rows::Splice;

/// Bytes of one message: large enough to amortise the hand-over, small enough to keep many in flight.
pub const CHUNK_BYTES: usize = 128 * 1024;
/// Messages between reader and sender.
pub const CHUNKS_IN_FLIGHT: usize = 8;

/// Collects bytes and hands them over in chunks.
pub struct Chunker<F: FnMut(Bytes) -> Result<(), Closed>> {
    buffer: Vec<u8>,
    /// Bytes handed over or waiting, since the last [`Chunker::take_bytes`].
    bytes: u64,
    send: F,
}

/// The other end is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl<F: FnMut(Bytes) -> Result<(), Closed>> Chunker<F> {
    pub fn new(send: F) -> Self {
        Self {
            buffer: Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4),
            bytes: 0,
            send,
        }
    }

    /// Bytes that wait. Rows are encoded right behind them; [`Chunker::row_done`] follows.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// A row has been appended from `start` on; its large values follow from the row itself, in pieces.
    pub fn row_done(
        &mut self,
        start: usize,
        row: &RowView<'_>,
        splices: &[Splice],
    ) -> Result<(), Closed> {
        self.bytes += (self.buffer.len() - start) as u64;
        if splices.is_empty() {
            return if self.buffer.len() >= CHUNK_BYTES {
                self.flush()
            } else {
                Ok(())
            };
        }
        let encoded = std::mem::take(&mut self.buffer);
        let mut from = 0;
        for splice in splices {
            self.buffer.extend_from_slice(&encoded[from..splice.at]);
            from = splice.at;
            if let ValueRef::Text(value) | ValueRef::Blob(value) = row.value(splice.column) {
                self.bytes += value.len() as u64;
                for piece in value.chunks(CHUNK_BYTES) {
                    self.buffer.extend_from_slice(piece);
                    self.flush()?;
                }
            }
        }
        self.buffer.extend_from_slice(&encoded[from..]);
        Ok(())
    }

    /// Hands over what waits.
    pub fn flush(&mut self) -> Result<(), Closed> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(
            &mut self.buffer,
            Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4),
        );
        (self.send)(Bytes::from(full))
    }

    /// Bytes of rows since [`Chunker::take_bytes`].
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of rows since the last call.
    pub fn take_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }
}
