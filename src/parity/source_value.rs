//! How a value of the source is fetched where SQLite's own way will not do: UTF-16, which SQLite turns into UTF-8 by making
//! something else of half a surrogate pair, and values that are too long to be held. What a value means is not in here.

use super::canon::LARGE_BYTES;
use super::pair::{ColumnPair, TablePair};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, MAIN_DB};
use sha2::{Digest, Sha256};
use std::io::Read;

/// Bytes of a long value that are held at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// How a file stores its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As SQLite gives it.
    #[default]
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

impl Encoding {
    /// By the name that `PRAGMA encoding` gives.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "UTF-16le" => Self::Utf16Le,
            "UTF-16be" => Self::Utf16Be,
            _ => Self::Utf8,
        }
    }

    /// Stored text as UTF-8; half a surrogate pair becomes the three bytes that would encode it, which are not UTF-8.
    fn decode(self, stored: &[u8], out: &mut Vec<u8>) {
        out.clear();
        let units = stored.chunks_exact(2).map(|unit| match self {
            Self::Utf16Be => u16::from_be_bytes([unit[0], unit[1]]),
            Self::Utf8 | Self::Utf16Le => u16::from_le_bytes([unit[0], unit[1]]),
        });
        for character in char::decode_utf16(units) {
            match character {
                Ok(whole) => out.extend_from_slice(whole.encode_utf8(&mut [0; 4]).as_bytes()),
                Err(half) => {
                    let [high, low] = half.unpaired_surrogate().to_be_bytes();
                    out.extend([
                        0xe0 | high >> 4,
                        0x80 | (high & 0xf) << 2 | low >> 6,
                        0x80 | low & 0x3f,
                    ]);
                }
            }
        }
    }
}

/// How one column is fetched. Other ways than the plain one take a second place in the row, beside the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetch {
    /// As SQLite gives it.
    Plain,
    /// Text as it is stored; beside it, whether it is text.
    Stored(Encoding),
    /// NULL in place of a long value; beside it, how many bytes that has.
    Pieces,
}

impl Fetch {
    /// The way for a column.
    pub(crate) fn of(pair: &TablePair, column: &ColumnPair) -> Self {
        match pair.encoding {
            Encoding::Utf8 if pair.has_pieces() && column.rule.kind.may_be_large() => Self::Pieces,
            Encoding::Utf8 => Self::Plain,
            utf16 => Self::Stored(utf16),
        }
    }

    /// What SQLite is asked for.
    pub(crate) fn sql(self, value: &str) -> String {
        match self {
            Self::Plain => value.to_owned(),
            Self::Stored(_) => format!(
                "CASE typeof({value}) WHEN 'text' THEN CAST({value} AS BLOB) ELSE {value} END, typeof({value}) = 'text'"
            ),
            Self::Pieces => format!(
                "CASE WHEN octet_length({value}) <= {LARGE_BYTES} THEN {value} END,
                 CASE WHEN octet_length({value}) > {LARGE_BYTES} THEN octet_length({value}) END"
            ),
        }
    }
}

/// Takes the values out of a row, column by column.
pub(crate) struct Places {
    places: Vec<(usize, Fetch)>,
    /// Where the rowid is, if it was asked for.
    pub(crate) rowid: usize,
}

/// A value of a row.
pub(crate) enum Fetched<'r> {
    Value(ValueRef<'r>),
    /// It has so many bytes, and has to be read in pieces.
    Long,
}

impl Places {
    pub(crate) fn of(pair: &TablePair) -> Self {
        let mut next = 0;
        let places = pair.columns.iter().map(|column| {
            let (at, fetch) = (next, Fetch::of(pair, column));
            next += if fetch == Fetch::Plain { 1 } else { 2 };
            (at, fetch)
        });
        Self {
            places: places.collect(),
            rowid: next,
        }
    }

    /// The value of a column. `scratch` holds what had to be decoded.
    pub(crate) fn value<'r>(
        &self,
        row: &'r rusqlite::Row<'_>,
        column: usize,
        scratch: &'r mut Vec<u8>,
    ) -> Result<Fetched<'r>, rusqlite::Error> {
        let (at, fetch) = self.places[column];
        let value = row.get_ref(at)?;
        Ok(match (fetch, value) {
            (Fetch::Plain, value) => Fetched::Value(value),
            (Fetch::Stored(encoding), ValueRef::Blob(stored))
                if row.get_ref(at + 1)? == ValueRef::Integer(1) =>
            {
                encoding.decode(stored, scratch);
                Fetched::Value(ValueRef::Text(scratch))
            }
            (Fetch::Pieces, ValueRef::Null) if row.get_ref(at + 1)? != ValueRef::Null => {
                Fetched::Long
            }
            (_, value) => Fetched::Value(value),
        })
    }
}

/// A long value as it was read in pieces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Long {
    pub(crate) size_bytes: u64,
    pub(crate) sha256: [u8; 32],
    /// UTF-8 without NUL throughout.
    pub(crate) is_clean_text: bool,
}

/// Reads a long value in pieces. An error where SQLite has no such way to it: a column that it computes, for instance.
pub(crate) fn read_long(
    connection: &Connection,
    pair: &TablePair,
    column: &ColumnPair,
    rowid: i64,
) -> Result<Long, rusqlite::Error> {
    let mut blob = connection.blob_open(MAIN_DB, &*pair.source, &*column.source, rowid, true)?;
    let size_bytes = blob.len() as u64;
    let (mut digest, mut text) = (Sha256::new(), CleanText::default());
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = blob.len();
    while left > 0 {
        let piece = &mut piece[..left.min(PIECE_BYTES)];
        blob.read_exact(piece)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        digest.update(&*piece);
        text.take(piece);
        left -= piece.len();
    }
    Ok(Long {
        size_bytes,
        sha256: digest.finalize().into(),
        is_clean_text: text.is_clean(),
    })
}

/// Whether bytes that come in pieces are UTF-8 without NUL; a character may lie across two pieces.
#[derive(Default)]
struct CleanText {
    broken: bool,
    begun: Vec<u8>,
}

impl CleanText {
    fn take(&mut self, piece: &[u8]) {
        if self.broken {
            return;
        }
        // At most three bytes of a begun character wait for the next piece.
        let joined;
        let bytes = if self.begun.is_empty() {
            piece
        } else {
            joined = [&self.begun, piece].concat();
            &joined
        };
        let whole = match std::str::from_utf8(bytes) {
            Ok(_) => bytes.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => {
                self.broken = true;
                return;
            }
        };
        self.broken = bytes[..whole].contains(&0);
        self.begun = bytes[whole..].to_vec();
    }

    fn is_clean(&self) -> bool {
        !self.broken && self.begun.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_surrogate_pair_is_not_utf_8_and_everything_else_is_itself() {
        let text = "aé€𝄞";
        let mut out = Vec::new();
        let units = || text.encode_utf16();
        let le: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        Encoding::Utf16Le.decode(&le, &mut out);
        assert_eq!(out, text.as_bytes());
        let be: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        Encoding::Utf16Be.decode(&be, &mut out);
        assert_eq!(out, text.as_bytes());
        Encoding::Utf16Be.decode(&[0xd8, 0x34, 0x00, 0x41], &mut out);
        assert_eq!(out, [0xed, 0xa0, 0xb4, b'A']);
        assert!(std::str::from_utf8(&out).is_err());
    }

    #[test]
    fn text_that_comes_in_pieces_is_judged_as_a_whole() {
        let clean = |pieces: &[&[u8]]| {
            let mut text = CleanText::default();
            pieces.iter().for_each(|piece| text.take(piece));
            text.is_clean()
        };
        assert!(clean(&[b"a\xf0", b"\x9d\x84", b"\x9eb"]));
        assert!(clean(&[b"a", b"b"]));
        assert!(!clean(&[b"a\xf0", b"\x9d"]), "a character that never ends");
        assert!(!clean(&[b"a\xf0", b"b"]));
        assert!(!clean(&[b"a", b"\0", b"b"]));
        assert!(!clean(&[b"\xff"]));
    }
}
