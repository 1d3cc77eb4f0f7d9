//! Where the bytes of a snapshot come from: a file that is read at a place, or memory.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::NotUnderstood;

/// The bytes of a file of SQLite.
pub trait Source {
    /// How many there are.
    fn bytes(&self) -> u64;

    /// So many of them from a place on.
    ///
    /// # Errors
    /// They are not there, or cannot be read.
    fn at(&mut self, offset: u64, length: usize) -> Result<&[u8], NotUnderstood>;
}

/// A file that is open.
pub(super) struct Open {
    file: File,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Open {
    pub fn of(file: File, bytes: u64) -> Self {
        Self {
            file,
            bytes,
            buffer: Vec::new(),
        }
    }
}

impl Source for Open {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn at(&mut self, offset: u64, length: usize) -> Result<&[u8], NotUnderstood> {
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        let buffer = &mut self.buffer[..length];
        self.file.read_exact_at(buffer, offset)?;
        Ok(buffer)
    }
}

/// A file that is in memory as a whole.
pub struct InMemory<'a>(pub &'a [u8]);

impl Source for InMemory<'_> {
    fn bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn at(&mut self, offset: u64, length: usize) -> Result<&[u8], NotUnderstood> {
        let from = usize::try_from(offset).ok();
        let bytes = from.and_then(|from| self.0.get(from..from.checked_add(length)?));
        bytes.ok_or_else(|| NotUnderstood::Read(std::io::ErrorKind::UnexpectedEof.into()))
    }
}
