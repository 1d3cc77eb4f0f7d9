//! What *equal* means, per type of the target: the canonical form of a value from either side.
//!
//! `docs/equality.md` is this file as a table. The target's type decides how both sides are read; the source's declared type does
//! not matter, because SQLite does not hold its values to it. Everything here is the checker's own: it shares no conversion with
//! the import, so a mistake there shows here as a difference.

pub(crate) mod decimal;
pub(crate) mod instant;
pub(crate) mod json;
mod source_form;
mod target_form;

pub(crate) use source_form::{Taken, from_source};
pub(crate) use target_form::from_target;

/// How the values of one column of the target are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `smallint`, `integer`, `bigint`, `oid`: as numbers.
    Integer,
    /// `boolean`.
    Boolean,
    /// `double precision`: by its 64 bits.
    Float64,
    /// `real`: by its 32 bits.
    Float32,
    /// `numeric`, with the digits after the point that the column keeps, where it limits them.
    Numeric { scale: Option<i64> },
    /// `text`, `varchar`, `citext`, `name`: byte for byte.
    Text,
    /// `char(n)`: byte for byte, blanks at the end apart.
    Padded,
    /// `bytea`: byte for byte.
    Bytes,
    /// `timestamptz`: as instants; the digits that the column keeps.
    Instant { digits: u8 },
    /// `timestamp`: as written; the digits that the column keeps.
    Timestamp { digits: u8 },
    /// `date`.
    Date,
    /// `time`; the digits that the column keeps.
    Time { digits: u8 },
    /// `interval`: months, and everything else as microseconds.
    Interval,
    /// `uuid`: by its 16 bytes.
    Uuid,
    /// `jsonb`: as JSON.
    Json,
    /// An array of one dimension; JSON arrays on the source's side.
    Array(Box<Kind>),
    /// Anything else, enumerations included: exactly as the server writes it.
    Verbatim,
}

/// What the runbook's `transfer` section says about one column, as far as it bears on equality.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Digits beyond the column's precision.
    pub(crate) fraction: Option<instant::Digits>,
    /// A number is a moment in this unit.
    pub(crate) epoch: Option<Epoch>,
    /// A written offset may be dropped once the instant is taken.
    pub(crate) offset_to_utc: bool,
    /// The offset in seconds of text that has none, for `timestamptz`.
    pub(crate) zone_offset_s: Option<i64>,
    /// Words are booleans.
    pub(crate) boolean_words: bool,
    /// Sixteen bytes are a GUID in this order.
    pub(crate) guid_bytes: Option<GuidOrder>,
    /// A REAL stands for its shortest decimal.
    pub(crate) real_shortest: bool,
    /// Decimals are rounded to the column's scale.
    pub(crate) scale_round: bool,
    /// NUL characters are left out of text.
    pub(crate) strip_nul: bool,
    /// Invalid UTF-8 is replaced by U+FFFD.
    pub(crate) replace_invalid_utf8: bool,
    /// What became of a value that does not convert.
    pub(crate) on_problem: OnProblem,
}

/// What the import did with a value that does not convert.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum OnProblem {
    /// It refused the whole import, so there is none, or there is a difference.
    #[default]
    Refuse,
    /// It wrote `NULL`.
    Null,
    /// It left the row out and put it aside.
    Quarantine,
}

/// The unit of a number that is a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Epoch {
    /// Since 1970, in units of so many microseconds.
    Unix { unit_us: i64 },
    /// .NET ticks of 100 ns since year 1.
    Ticks,
    /// Julian days.
    Julian,
}

/// How the sixteen bytes of a GUID are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GuidOrder {
    /// .NET's: the first three groups little-endian.
    Dotnet,
    /// As the text reads.
    Rfc4122,
}

impl Kind {
    /// The kind for a type by its catalogue name (`int4`, `timestamptz`, …; a domain by its base type), its type modifier as
    /// `pg_attribute.atttypmod` has it (−1 for none), and, for an array, the same of its element.
    pub(crate) fn of(type_name: &str, modifier: i32) -> Self {
        if let Some(element) = type_name.strip_prefix('_') {
            return match Self::of(element, modifier) {
                Kind::Verbatim | Kind::Array(_) => Kind::Verbatim,
                kind => Kind::Array(Box::new(kind)),
            };
        }
        let digits = if (0..=6).contains(&modifier) { modifier as u8 } else { 6 };
        match type_name {
            "int2" | "int4" | "int8" | "oid" => Kind::Integer,
            "bool" => Kind::Boolean,
            "float8" => Kind::Float64,
            "float4" => Kind::Float32,
            "numeric" => Kind::Numeric { scale: numeric_scale(modifier) },
            "text" | "varchar" | "citext" | "name" => Kind::Text,
            "bpchar" => Kind::Padded,
            "bytea" => Kind::Bytes,
            "timestamptz" => Kind::Instant { digits },
            "timestamp" => Kind::Timestamp { digits },
            "date" => Kind::Date,
            "time" => Kind::Time { digits },
            "interval" => Kind::Interval,
            "uuid" => Kind::Uuid,
            "jsonb" => Kind::Json,
            _ => Kind::Verbatim,
        }
    }

    /// Whether a value may be too long for the server to send as text, and whether its bytes are those of the source.
    pub(crate) fn may_be_large(&self) -> bool {
        matches!(self, Kind::Text | Kind::Bytes)
    }
}

/// `atttypmod` of `numeric(p,s)` is `((p << 16) | s) + 4`, the scale in eleven bits, signed.
fn numeric_scale(modifier: i32) -> Option<i64> {
    (modifier >= 4).then(|| i64::from((((modifier - 4) & 0x7ff) ^ 1024) - 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_modifier_says_what_the_column_keeps() {
        assert_eq!(Kind::of("numeric", ((18 << 16) | 2) + 4), Kind::Numeric { scale: Some(2) });
        assert_eq!(Kind::of("numeric", -1), Kind::Numeric { scale: None });
        assert_eq!(Kind::of("timestamptz", 3), Kind::Instant { digits: 3 });
        assert_eq!(Kind::of("timestamp", -1), Kind::Timestamp { digits: 6 });
        assert_eq!(Kind::of("_int4", -1), Kind::Array(Box::new(Kind::Integer)));
        assert_eq!(Kind::of("tsvector", -1), Kind::Verbatim);
    }
}
