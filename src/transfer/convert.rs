//! One value from SQLite into one field of PostgreSQL's binary COPY: exactly, refused, or changed by a stated policy.
//!
//! [`rule`] is the table: storage class × target type. `docs/types.md` shows the same table in words. Each rule's work is in a file of
//! its own family below. All parsing is ours, because the server's is lenient.

mod array;
pub mod count;
pub mod epoch;
pub mod instant;
pub mod json;
pub mod number;
pub mod other;
pub mod shortest;
pub mod span;
pub mod spelled;
pub mod stands_for;
pub mod text;
mod uses;

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::types::ValueRef;

use crate::format::hex;
use crate::runbook::transfer::{Bytes, ColumnPolicy, Zone};
use crate::text::printable;
use crate::transfer::kind::Kind;

pub use uses::{Use, Uses};

/// Values of at least this many bytes that need no change are not copied into the row's buffer, but sent in pieces.
pub const LARGE_VALUE_BYTES: usize = 256 * 1024;

/// Why a NULL does not fit for which there is no default.
pub const NO_NULL: &str = "NULL, and the target column is NOT NULL";

/// SQLite's storage classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Null,
    Integer,
    Real,
    Text,
    Blob,
}

impl Class {
    /// The class of a value.
    pub fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(_) => Self::Integer,
            ValueRef::Real(_) => Self::Real,
            ValueRef::Text(_) => Self::Text,
            ValueRef::Blob(_) => Self::Blob,
        }
    }
}

/// What happens to a value of one class on its way into one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// NULL stays NULL; refused where the target says NOT NULL.
    Null,
    /// Refused, whatever the value.
    Refuse,
    /// Exact within the type's range.
    IntegerInRange,
    /// Exact where the float holds it, by checking the way back.
    IntegerToFloat,
    /// Exact within precision.
    IntegerToNumeric,
    /// 0 and 1.
    ZeroOne,
    /// Its digits; noted in the plan.
    IntegerToText,
    /// Its digits as a JSON number.
    IntegerToJson,
    /// Bit for bit.
    RealBits,
    /// A whole number within range, by `real: shortest`.
    RealToInteger,
    /// 0 and 1, by `real: shortest`.
    RealToBool,
    /// Exact, or to the nearest by `real: nearest`.
    RealNarrowed,
    /// By `real: shortest`.
    RealToNumeric,
    /// By `real: shortest`.
    RealToText,
    /// By `real: shortest`.
    RealToJson,
    /// By `epoch:`.
    Epoch,
    /// Strict decimal digits.
    TextToInteger,
    /// Strict decimal number.
    TextToNumeric,
    /// Strict decimal number that the float's own shortest form equals.
    TextToFloat,
    /// By `boolean_words: true`.
    TextToBool,
    /// Byte for byte, checked for NUL, UTF-8 and length.
    TextToText,
    /// Text form of a GUID.
    TextToUuid,
    /// By `bytes: utf8`.
    ToBytes,
    /// ISO 8601.
    TextToInstant,
    /// .NET's `[-][d.]hh:mm:ss[.fffffff]`, ISO 8601, a moment by `since:`, digits by `epoch:`.
    TextToInterval,
    /// Strict RFC 8259.
    TextToJson,
    /// Strict dotted or colon form.
    TextToInet,
    /// An enum's label, exactly; positions by `enum: ordinal`.
    ToEnum,
    /// Zeros and ones.
    TextToBit,
    /// A JSON array, or a list by `split:`.
    TextToArray,
    /// Byte for byte.
    Bytes,
    /// By `boolean_bytes: true`.
    BytesToBool,
    /// By `guid_bytes:`.
    BytesToUuid,
    /// By `jsonb_blob: decode` or `bytes: text`, and only where the bytes have one meaning.
    BytesToJson,
    /// By `bytes: text`: as the text that the bytes are.
    BytesAsText,
}

/// The table of conversions: what happens to a storage class (across) on its way into a type (down).
#[rustfmt::skip]
pub fn rule(class: Class, kind: &Kind) -> Rule {
    use Kind::*;
    use Rule::*;
    let [integer, real, text, blob] = match kind {
        //                                      INTEGER           REAL           TEXT            BLOB
        Int2 | Int4 | Int8 | Oid             => [IntegerInRange,   RealToInteger, TextToInteger,  BytesAsText],
        Numeric(_)                           => [IntegerToNumeric, RealToNumeric, TextToNumeric,  BytesAsText],
        Float4                               => [IntegerToFloat,   RealNarrowed,  TextToFloat,    BytesAsText],
        Float8                               => [IntegerToFloat,   RealBits,      TextToFloat,    BytesAsText],
        Bool                                 => [ZeroOne,          RealToBool,    TextToBool,     BytesToBool],
        Text(_) | Char(_)                    => [IntegerToText,    RealToText,    TextToText,     BytesAsText],
        Uuid                                 => [Refuse,           Refuse,        TextToUuid,     BytesToUuid],
        Bytea                                => [ToBytes,          Refuse,        ToBytes,        Bytes],
        Date | Timestamp(_) | TimestampTz(_) => [Epoch,            Epoch,         TextToInstant,  BytesAsText],
        Time(_)                              => [Refuse,           Refuse,        TextToInstant,  BytesAsText],
        Interval(_)                          => [Epoch,            Epoch,         TextToInterval, BytesAsText],
        Json | Jsonb                         => [IntegerToJson,    RealToJson,    TextToJson,     BytesToJson],
        Inet | Cidr                          => [Refuse,           Refuse,        TextToInet,     BytesAsText],
        Enum(_)                              => [ToEnum,           Refuse,        ToEnum,         BytesAsText],
        Bit { .. }                           => [Refuse,           Refuse,        TextToBit,      BytesAsText],
        Array { .. }                         => [Refuse,           Refuse,        TextToArray,    BytesAsText],
        Unsupported                          => [Refuse,           Refuse,        Refuse,         Refuse],
    };
    match class {
        Class::Null => Null,
        Class::Integer => integer,
        Class::Real => real,
        Class::Text => text,
        Class::Blob => blob,
    }
}

/// Why a value does not fit, and the setting that would let it pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// In words, ending without a full stop.
    pub reason: Cow<'static, str>,
    /// As `key: value`; `epoch: ?` where the unit is still to be guessed from the column.
    pub policy: Option<&'static str>,
}

impl Reject {
    /// A value that no policy lets pass.
    pub fn never(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            policy: None,
        }
    }

    /// A value that `policy` would let pass.
    pub fn unless(policy: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            policy: Some(policy),
        }
    }
}

/// How one column converts.
#[derive(Debug, Clone)]
pub struct Converter {
    /// The target's type.
    pub kind: Kind,
    /// What the runbook allows.
    pub policy: ColumnPolicy,
    /// What text without an offset means.
    pub zone: Option<Zone>,
    /// The target refuses NULL.
    pub not_null: bool,
    /// The constant that the target has for its default, as a field of binary COPY.
    pub default: Option<Arc<[u8]>>,
}

/// A field that was encoded.
#[derive(Debug, PartialEq)]
pub struct Field<'v> {
    /// Bytes that belong right after what was written to the buffer, too many to copy.
    pub tail: Option<&'v [u8]>,
    /// The policies it needed.
    pub uses: Uses,
}

impl Field<'_> {
    const PLAIN: Self = Self {
        tail: None,
        uses: Uses::NONE,
    };

    fn with(uses: Uses) -> Self {
        Self { tail: None, uses }
    }
}

impl Converter {
    /// Appends the field (length and bytes) to `out`. After an error `out` may hold a part of it; the caller cuts it off.
    pub fn encode<'v>(&self, value: ValueRef<'v>, out: &mut Vec<u8>) -> Result<Field<'v>, Reject> {
        // No bytes are no JSON in either form; as text they may stand for something.
        let is_json = matches!(self.kind, Kind::Json | Kind::Jsonb);
        let value = match value {
            ValueRef::Blob([]) if is_json && self.policy.bytes == Some(Bytes::Text) => {
                ValueRef::Text(b"")
            }
            other => other,
        };
        match stands_for::replacement(value, &self.policy) {
            Some(by) => {
                let uses = stands_for::put(by, self, out)?;
                Ok(Field::with(uses.and(Uses::one(Use::Values))))
            }
            None => self.convert(value, out),
        }
    }

    /// As [`Converter::encode`], for a value that stands for itself.
    fn convert<'v>(&self, value: ValueRef<'v>, out: &mut Vec<u8>) -> Result<Field<'v>, Reject> {
        let rule = rule(Class::of(value), &self.kind);
        match (rule, value) {
            (Rule::Null, _) => self.null(out).map(Field::with),
            (_, ValueRef::Integer(integer)) => self.integer(rule, integer, out).map(Field::with),
            (_, ValueRef::Real(real)) => self.real(rule, real, out).map(Field::with),
            (_, ValueRef::Text(text)) => self.text(rule, text, out),
            (_, ValueRef::Blob(blob)) => self.blob(rule, blob, out),
            (_, ValueRef::Null) => Err(self.refused("NULL")),
        }
    }

    /// NULL, or the default in its place.
    fn null(&self, out: &mut Vec<u8>) -> Result<Uses, Reject> {
        match (&self.default, self.not_null) {
            (Some(default), true) if self.policy.null_default => {
                text::put_bytes(default, out)?;
                Ok(Uses::one(Use::NullDefault))
            }
            (Some(_), true) => Err(Reject::unless(
                "null: default",
                "NULL, and the target column is NOT NULL with a constant for its default",
            )),
            (None, true) => Err(Reject::never(NO_NULL)),
            (_, false) => {
                put_null(out);
                Ok(Uses::NONE)
            }
        }
    }

    fn integer(&self, rule: Rule, integer: i64, out: &mut Vec<u8>) -> Result<Uses, Reject> {
        match rule {
            Rule::IntegerInRange => number::integer(integer, &self.kind, out),
            Rule::ZeroOne => other::zero_one(integer, out),
            Rule::IntegerToFloat => number::integer_to_float(integer, &self.kind, out),
            Rule::IntegerToNumeric => {
                number::integer_to_numeric(integer, &self.kind, &self.policy, out)
            }
            Rule::IntegerToText => text::plain(
                integer.to_string().as_bytes(),
                &self.kind,
                &self.policy,
                out,
            ),
            Rule::IntegerToJson => json::scalar(&integer.to_string(), self, out),
            Rule::Epoch => epoch::number(&integer.to_string(), self, out),
            Rule::ToEnum => other::ordinal(integer, self, out),
            Rule::ToBytes => other::text_bytes(integer.to_string().as_bytes(), &self.policy, out),
            _ => Err(self.refused("an integer")),
        }
    }

    fn real(&self, rule: Rule, real: f64, out: &mut Vec<u8>) -> Result<Uses, Reject> {
        match rule {
            Rule::RealBits => number::real_bits(real, out),
            Rule::RealToInteger => number::real_to_integer(real, &self.kind, &self.policy, out),
            Rule::RealToBool => other::real_zero_one(real, &self.policy, out),
            Rule::RealNarrowed => number::real_narrowed(real, &self.policy, out),
            Rule::RealToNumeric => number::real_to_numeric(real, &self.kind, &self.policy, out),
            Rule::RealToText => {
                let shortest = number::by_its_shortest(real, &self.policy)?;
                let uses = text::plain(shortest.as_bytes(), &self.kind, &self.policy, out)?;
                Ok(Uses(uses.0 | Uses::one(Use::Real).0))
            }
            Rule::RealToJson => {
                let plain = number::by_its_shortest(real, &self.policy)?;
                // `json` keeps the text: a float without a point or an exponent would be read as an integer.
                let written = if self.kind == Kind::Json {
                    shortest::json_of_f64(real)
                } else {
                    plain
                };
                json::scalar(&written, self, out)?;
                Ok(Uses::one(Use::Real))
            }
            Rule::Epoch => epoch::real(real, self, out),
            _ => Err(self.refused("a REAL")),
        }
    }

    fn text<'v>(
        &self,
        rule: Rule,
        value: &'v [u8],
        out: &mut Vec<u8>,
    ) -> Result<Field<'v>, Reject> {
        match rule {
            Rule::TextToText => text::text(value, &self.kind, &self.policy, out),
            Rule::TextToJson => json::text(value, self, out),
            Rule::ToBytes => other::text_bytes(value, &self.policy, out).map(Field::with),
            Rule::TextToInteger => number::text_to_integer(value, &self.kind, out).map(Field::with),
            Rule::TextToNumeric => {
                number::text_to_numeric(value, &self.kind, &self.policy, out).map(Field::with)
            }
            Rule::TextToFloat => number::text_to_float(value, &self.kind, out).map(Field::with),
            Rule::TextToBool => other::boolean_word(value, &self.policy, out).map(Field::with),
            Rule::TextToUuid => other::guid_text(value, &self.policy, out).map(Field::with),
            Rule::TextToInstant => instant::text(value, self, out).map(Field::with),
            Rule::TextToInterval => span::text(value, self, out).map(Field::with),
            Rule::TextToInet => other::inet(value, self, out).map(Field::with),
            Rule::ToEnum => other::label(value, self, out).map(Field::with),
            Rule::TextToBit => other::bits(value, &self.kind, out).map(Field::with),
            Rule::TextToArray => array::array(value, self, out).map(Field::with),
            _ => Err(self.refused("text")),
        }
    }

    fn blob<'v>(
        &self,
        rule: Rule,
        value: &'v [u8],
        out: &mut Vec<u8>,
    ) -> Result<Field<'v>, Reject> {
        match rule {
            Rule::Bytes => text::pass(value, &[], out),
            Rule::BytesToBool if value.len() == 1 && value[0] <= 1 => {
                other::boolean_byte(value, &self.policy, out).map(Field::with)
            }
            Rule::BytesToUuid if value.len() == 16 => {
                other::guid_bytes(value, &self.policy, out).map(Field::with)
            }
            Rule::BytesToJson => json::blob(value, self, out),
            Rule::BytesToBool | Rule::BytesToUuid | Rule::BytesAsText => {
                self.bytes_as_text(value, out)
            }
            _ => Err(self.refused("a blob")),
        }
    }

    /// A blob as the text that it is. Control characters tell that it is none, whatever else the bytes might spell.
    fn bytes_as_text<'v>(&self, value: &'v [u8], out: &mut Vec<u8>) -> Result<Field<'v>, Reject> {
        if !text::is_readable(value) {
            return Err(self.refused("a blob that is not UTF-8 text"));
        }
        if self.policy.bytes != Some(Bytes::Text) {
            return Err(Reject::unless(
                "bytes: text",
                "a blob whose bytes are UTF-8 text",
            ));
        }
        let field = self.encode(ValueRef::Text(value), out)?;
        Ok(Field {
            uses: field.uses.and(Uses::one(Use::Bytes)),
            ..field
        })
    }

    fn refused(&self, what: &str) -> Reject {
        Reject::never(format!(
            "{what} does not convert into {}",
            self.kind.words()
        ))
    }

    /// What happens to values of this column, in words, for the plan.
    pub fn in_words(&self) -> &'static str {
        match &self.kind {
            Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid => "integers within range",
            Kind::Numeric(_) => "exact decimals",
            Kind::Float4 => "floats that narrow exactly",
            Kind::Float8 => "floats bit for bit",
            Kind::Bool => "0 and 1",
            Kind::Text(_) | Kind::Char(_) => "text byte for byte",
            Kind::Uuid => "GUIDs",
            Kind::Bytea => "bytes",
            Kind::Date => "ISO dates",
            Kind::Time(_) => "ISO times",
            Kind::Timestamp(_) => "ISO timestamps without offset",
            Kind::TimestampTz(_) => "ISO timestamps with offset, or in the stated zone",
            Kind::Interval(_) => "time spans of .NET and ISO 8601",
            Kind::Json | Kind::Jsonb => "strict JSON",
            Kind::Inet | Kind::Cidr => "network addresses",
            Kind::Enum(_) => "enum labels",
            Kind::Bit { .. } => "zeros and ones",
            Kind::Array { .. } => "JSON arrays",
            Kind::Unsupported => "no conversion",
        }
    }
}

/// Appends a NULL field.
pub(crate) fn put_null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i32).to_be_bytes());
}

/// Appends a field of fixed width.
pub(crate) fn put<const N: usize>(bytes: [u8; N], out: &mut Vec<u8>) {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&bytes);
}

/// A value as a person may see it: safe on any terminal, cut short, quoted like a literal.
pub fn shown(value: ValueRef<'_>) -> String {
    const CHARACTERS: usize = 60;
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(integer) => integer.to_string(),
        ValueRef::Real(real) => format!("{real:?}"),
        ValueRef::Text(bytes) => {
            let head = &bytes[..bytes.len().min(4 * CHARACTERS + 4)];
            format!(
                "'{}'",
                printable(&String::from_utf8_lossy(head), CHARACTERS)
            )
        }
        ValueRef::Blob(bytes) => {
            let hex = hex(&bytes[..bytes.len().min(16)]);
            if bytes.len() > 16 {
                format!("x'{hex}…' ({} bytes)", bytes.len())
            } else {
                format!("x'{hex}'")
            }
        }
    }
}

#[cfg(test)]
mod tests;
