//! A value as it is stored: its storage class and its bytes.

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, ValueRef};
use sha2::{Digest, Sha256};

use crate::sqlite::schema::TextEncoding;

/// A value. Two are equal where class and bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::delta) enum Cell<'r> {
    Null,
    Integer(i64),
    /// Its bits: 0.0 and -0.0 are two.
    RealBits(u64),
    /// As both files store it, or as UTF-8 where they do not agree.
    Text(Cow<'r, [u8]>),
    Blob(&'r [u8]),
}

impl<'r> Cell<'r> {
    pub(super) fn of(value: ValueRef<'r>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(integer) => Self::Integer(integer),
            ValueRef::Real(real) => Self::RealBits(real.to_bits()),
            ValueRef::Text(bytes) => Self::Text(Cow::Borrowed(bytes)),
            ValueRef::Blob(bytes) => Self::Blob(bytes),
        }
    }

    /// What SQLite's class and bytes are put into, one value after the other: no two rows have the same.
    pub(super) fn put(&self, mut into: impl FnMut(&[u8])) {
        let mut sized = |class: u8, bytes: &[u8]| {
            into(&[class]);
            into(&(bytes.len() as u64).to_le_bytes());
            into(bytes);
        };
        match self {
            Self::Null => sized(0, &[]),
            Self::Integer(integer) => sized(1, &integer.to_le_bytes()),
            Self::RealBits(bits) => sized(2, &bits.to_le_bytes()),
            Self::Text(bytes) => sized(3, bytes),
            Self::Blob(bytes) => sized(4, bytes),
        }
    }

    /// For a parameter: the value, text with its bytes as they are.
    pub(in crate::delta) fn parameter(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::RealBits(bits) => ValueRef::Real(f64::from_bits(*bits)),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        })
    }

    /// The same, text as a blob of its bytes.
    pub(in crate::delta) fn bytes_parameter(&self) -> ToSqlOutput<'_> {
        match self {
            Self::Text(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Null | Self::Integer(_) | Self::RealBits(_) | Self::Blob(_) => self.parameter(),
        }
    }

    pub(in crate::delta) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

/// The digest of a row's values.
pub(super) fn digest<'r>(cells: impl Iterator<Item = Cell<'r>>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for cell in cells {
        cell.put(|bytes| hash.update(bytes));
    }
    hash.finalize().into()
}

/// UTF-16 as stored as bytes that are UTF-8 where the text is whole. Half a pair becomes three bytes and half a unit two that are none, so that
/// no two texts become one.
pub(in crate::delta) fn utf8_of(stored: &[u8], encoding: TextEncoding) -> Cow<'_, [u8]> {
    if encoding == TextEncoding::Utf8 {
        return Cow::Borrowed(stored);
    }
    let is_big = encoding == TextEncoding::Utf16Be;
    let pairs = stored.chunks_exact(2);
    let rest = pairs.remainder();
    let units = pairs.map(|pair| match is_big {
        true => u16::from_be_bytes([pair[0], pair[1]]),
        false => u16::from_le_bytes([pair[0], pair[1]]),
    });
    let mut out = Vec::with_capacity(stored.len());
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(half) => {
                let unit = u32::from(half.unpaired_surrogate());
                let byte = |bits: u32| u8::try_from(bits & 0xff).unwrap_or_default();
                out.extend_from_slice(&[
                    byte(0xe0 | unit >> 12),
                    byte(0x80 | unit >> 6 & 0x3f),
                    byte(0x80 | unit & 0x3f),
                ]);
            }
        }
    }
    for byte in rest {
        out.extend_from_slice(&[0xff, *byte]);
    }
    Cow::Owned(out)
}
