//! What *equal* means, per type of the target: the canonical form of a value from either side.
//!
//! `docs/equality.md` is this file as a table. The target's type decides how both sides are read; the source's declared type does
//! not matter, because SQLite does not hold its values to it. Everything here is the checker's own: it shares no conversion with
//! the import, so a mistake there shows here as a difference.

mod binary_json;
pub(crate) mod decimal;
pub(crate) mod instant;
pub(crate) mod json;
pub(crate) mod shortest;
mod source_count;
mod source_form;
mod source_moments;
mod source_text;
mod spelled;
mod target_form;

pub(crate) use source_form::{Taken, from_source};
pub(crate) use target_form::from_target;

use crate::runbook::transfer::{ColumnPolicy, Zone};

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
    /// `numeric`, with the digits that the column keeps, in all and after the point, where it limits them.
    Numeric {
        precision: Option<i64>,
        scale: Option<i64>,
    },
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
    /// `interval`: months, and everything else as microseconds; the digits that the column keeps.
    Interval { digits: u8 },
    /// `uuid`: by its 16 bytes.
    Uuid,
    /// `jsonb`: as JSON.
    Json,
    /// `json`: its text.
    JsonText,
    /// `inet`, `cidr`: as addresses with their prefix length.
    Address,
    /// An enumeration, with its labels in their order: by label.
    Label(Vec<String>),
    /// An array of one dimension; JSON arrays on the source's side.
    Array(Box<Kind>),
    /// Anything else: exactly as the server writes it.
    Verbatim,
}

/// How one column is compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    /// By the type of the target's column.
    pub(crate) kind: Kind,
    /// What the runbook lets the import change.
    pub(crate) policy: ColumnPolicy,
    /// What text without an offset means as an instant.
    pub(crate) zone: Option<Zone>,
    /// The constant that the target's column has for its default, as the server writes it.
    pub(crate) default: Option<String>,
}

impl Kind {
    /// The kind for a type by its catalogue name (`int4`, `timestamptz`, …; a domain by its base type), its type modifier as
    /// `pg_attribute.atttypmod` has it (−1 for none), and, for an array, the same of its element.
    pub(crate) fn of(type_name: &str, modifier: i32) -> Self {
        if let Some(element) = type_name.strip_prefix('_') {
            return match Self::of(element, modifier) {
                // Zeros and ones need no quotation marks in an array.
                kind @ Kind::Verbatim if matches!(element, "bit" | "varbit") => {
                    Kind::Array(Box::new(kind))
                }
                Kind::Verbatim | Kind::Array(_) => Kind::Verbatim,
                kind => Kind::Array(Box::new(kind)),
            };
        }
        let digits = if (0..=6).contains(&modifier) {
            modifier as u8
        } else {
            6
        };
        match type_name {
            "int2" | "int4" | "int8" | "oid" => Kind::Integer,
            "bool" => Kind::Boolean,
            "float8" => Kind::Float64,
            "float4" => Kind::Float32,
            "numeric" => Kind::Numeric {
                precision: numeric_precision(modifier),
                scale: numeric_scale(modifier),
            },
            "text" | "varchar" | "citext" | "name" => Kind::Text,
            "bpchar" => Kind::Padded,
            "bytea" => Kind::Bytes,
            "timestamptz" => Kind::Instant { digits },
            "timestamp" => Kind::Timestamp { digits },
            "date" => Kind::Date,
            "time" => Kind::Time { digits },
            "interval" => Kind::Interval {
                digits: interval_digits(modifier),
            },
            "uuid" => Kind::Uuid,
            "jsonb" => Kind::Json,
            "json" => Kind::JsonText,
            "inet" | "cidr" => Kind::Address,
            _ => Kind::Verbatim,
        }
    }

    /// Whether the column is ordered by a collation.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Kind::Text | Kind::Padded)
    }

    /// Whether a value may be too long for the server to send as text, and whether its bytes are those of the source.
    pub(crate) fn may_be_large(&self) -> bool {
        matches!(self, Kind::Text | Kind::Bytes)
    }
}

/// The upper half of what [`numeric_scale`] reads.
fn numeric_precision(modifier: i32) -> Option<i64> {
    (modifier >= 4).then(|| i64::from((modifier - 4) >> 16))
}

/// `atttypmod` of `numeric(p,s)` is `((p << 16) | s) + 4`, the scale in eleven bits, signed.
fn numeric_scale(modifier: i32) -> Option<i64> {
    (modifier >= 4).then(|| i64::from((((modifier - 4) & 0x7ff) ^ 1024) - 1024))
}

/// `atttypmod` of `interval(p)` keeps the precision in its lower half, 0xffff for none.
fn interval_digits(modifier: i32) -> u8 {
    match modifier & 0xffff {
        digits @ 0..=6 if modifier >= 0 => digits as u8,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_modifier_says_what_the_column_keeps() {
        assert_eq!(
            Kind::of("numeric", ((18 << 16) | 2) + 4),
            Kind::Numeric {
                precision: Some(18),
                scale: Some(2)
            }
        );
        assert_eq!(
            Kind::of("numeric", -1),
            Kind::Numeric {
                precision: None,
                scale: None
            }
        );
        assert_eq!(Kind::of("timestamptz", 3), Kind::Instant { digits: 3 });
        assert_eq!(Kind::of("timestamp", -1), Kind::Timestamp { digits: 6 });
        assert_eq!(Kind::of("_int4", -1), Kind::Array(Box::new(Kind::Integer)));
        assert_eq!(Kind::of("tsvector", -1), Kind::Verbatim);
    }
}
