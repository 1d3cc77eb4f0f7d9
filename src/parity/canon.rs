//! One row in its canonical form: bytes that are equal on both sides exactly when the values are equal.
//!
//! A row is a sequence of cells, each a tag, a length and a payload. What the payload of a type is, [`super::equality`] decides;
//! nothing here knows about types or databases. The form never leaves this program: a file that has keys in it says by which version, and another
//! one does not go by them, so it may change with any version.

use sha2::{Digest, Sha256};

/// Values longer than this many bytes enter the canonical form as their length and SHA-256, so that memory stays bounded and a
/// value that the server cannot send as text can still be compared.
pub(crate) const LARGE_BYTES: usize = 64 * 1024;

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    /// SQL `NULL`, which is never equal to an empty value.
    Null = 0,
    /// The value in the canonical form of its type.
    Value = 1,
    /// Length and SHA-256 of a long value.
    Large = 2,
    /// A value that has no canonical form in the type of the other side: equal to nothing that the target can hold.
    Unfit = 3,
}

/// Bytes before the payload of a cell.
pub(crate) const HEADER_BYTES: usize = 5;

/// Builds the canonical form of one row after another in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Row {
    bytes: Vec<u8>,
}

impl Row {
    /// Starts the next row.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The cells written so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a `NULL`.
    pub(crate) fn null(&mut self) {
        self.bytes.extend_from_slice(&header(Tag::Null, 0));
    }

    /// Appends a value whose canonical form is these bytes; a long one by its digest.
    pub(crate) fn value(&mut self, bytes: &[u8]) {
        if bytes.len() > LARGE_BYTES {
            self.large(bytes.len() as u64, &Sha256::digest(bytes));
        } else {
            self.bytes
                .extend_from_slice(&header(Tag::Value, bytes.len()));
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Appends a whole number so that the bytes order as the numbers do.
    pub(crate) fn number(&mut self, number: i64) {
        let mut cell = [0; HEADER_BYTES + 8];
        cell[..HEADER_BYTES].copy_from_slice(&header(Tag::Value, 8));
        cell[HEADER_BYTES..].copy_from_slice(&(number ^ i64::MIN).to_be_bytes());
        self.bytes.extend_from_slice(&cell);
    }

    /// Appends a long value by what the server told about it.
    pub(crate) fn large(&mut self, size_bytes: u64, sha256: &[u8]) {
        self.cell(Tag::Large, |out| {
            out.extend_from_slice(&size_bytes.to_be_bytes());
            out.extend_from_slice(sha256);
        });
    }

    /// Appends a value that the other side's type cannot hold.
    pub(crate) fn unfit(&mut self, storage: u8, bytes: &[u8]) {
        self.cell(Tag::Unfit, |out| {
            out.push(storage);
            out.extend_from_slice(&Sha256::digest(bytes));
        });
    }

    /// Appends a value that `write` puts into the buffer itself.
    pub(crate) fn written<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.cell(Tag::Value, write)
    }

    /// Where the next cell will begin; for [`Row::truncate`] after a conversion that failed half way.
    pub(crate) fn mark(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets every cell from `mark` on.
    pub(crate) fn truncate(&mut self, mark: usize) {
        self.bytes.truncate(mark);
    }

    fn cell<T>(&mut self, tag: Tag, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&header(tag, 0));
        let out = write(&mut self.bytes);
        let length = self.bytes.len() - start - HEADER_BYTES;
        self.bytes[start..start + HEADER_BYTES].copy_from_slice(&header(tag, length));
        out
    }
}

fn header(tag: Tag, length: usize) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = (length as u32).to_be_bytes();
    [tag as u8, a, b, c, d]
}

/// The cells of a row's canonical form, each with its tag and length, so that two of them compare as bytes.
pub(crate) fn cells(row: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = row;
    std::iter::from_fn(move || {
        let header = rest.get(..HEADER_BYTES)?;
        let length = u32::from_be_bytes(header[1..].try_into().expect("BUG: four bytes")) as usize;
        let (cell, tail) = rest.split_at(HEADER_BYTES + length);
        rest = tail;
        Some(cell)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_not_empty_and_cells_do_not_run_together() {
        let form = |cells: &[Option<&str>]| {
            let mut row = Row::default();
            for cell in cells {
                match cell {
                    Some(text) => row.value(text.as_bytes()),
                    None => row.null(),
                }
            }
            row.bytes().to_vec()
        };
        assert_ne!(form(&[None]), form(&[Some("")]));
        assert_ne!(
            form(&[Some("a"), Some("bc")]),
            form(&[Some("ab"), Some("c")])
        );
        assert_eq!(cells(&form(&[Some("a"), None, Some("")])).count(), 3);
    }

    #[test]
    fn a_long_value_has_the_same_form_wherever_its_digest_was_taken() {
        let long = vec![b'x'; LARGE_BYTES + 1];
        let (mut here, mut there) = (Row::default(), Row::default());
        here.value(&long);
        there.large(long.len() as u64, &Sha256::digest(&long));
        assert_eq!(here.bytes(), there.bytes());
    }
}
