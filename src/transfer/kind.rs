//! The PostgreSQL types that values can be converted into, as far as conversion has to tell them apart.
//!
//! Built from the catalogue; what a value becomes is [`super::convert`]'s business.

use std::sync::Arc;

use crate::postgres::catalogue::{BaseType, ColumnType};

/// A target type. Precisions are digits of a fraction of a second, lengths are characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `oid`
    Oid,
    /// `numeric`, with precision and scale where it has them.
    Numeric(Option<(u16, i16)>),
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `boolean`
    Bool,
    /// `text`, `citext`, and `varchar` with its limit.
    Text(Option<u32>),
    /// `char(n)`
    Char(u32),
    /// `uuid`
    Uuid,
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `time`
    Time(u8),
    /// `timestamp`
    Timestamp(u8),
    /// `timestamptz`
    TimestampTz(u8),
    /// `interval`
    Interval(u8),
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// `inet`
    Inet,
    /// `cidr`
    Cidr,
    /// An enum with its labels in order.
    Enum(Arc<[String]>),
    /// `bit(n)` or, with `varying`, `varbit` up to `n`.
    Bit {
        /// Length, or its limit.
        bits: Option<u32>,
        /// `varbit`
        varying: bool,
    },
    /// A one-dimensional array.
    Array {
        /// Type of the elements.
        element: Box<Kind>,
        /// Their type's oid, which the wire format carries.
        element_oid: u32,
    },
    /// A type without a conversion.
    Unsupported,
}

impl Kind {
    /// One integer has one form in SQLite and in PostgreSQL.
    pub fn is_integer(&self) -> bool {
        matches!(self, Self::Int2 | Self::Int4 | Self::Int8 | Self::Oid)
    }

    /// The kind of a catalogue type. A domain is its base type; its checks are the server's.
    pub fn of(column: &ColumnType) -> Self {
        Self::of_base(&column.base, column.base_typmod)
    }

    fn of_base(base: &BaseType, typmod: i32) -> Self {
        match base {
            BaseType::Enum { labels } => Self::Enum(labels.clone().into()),
            BaseType::Array {
                element,
                element_oid,
            } => match Self::of_base(element, typmod) {
                Self::Unsupported | Self::Array { .. } => Self::Unsupported,
                element => Self::Array {
                    element: Box::new(element),
                    element_oid: *element_oid,
                },
            },
            BaseType::Named { schema, name } if schema == "pg_catalog" => {
                Self::built_in(name, typmod)
            }
            // citext is an extension's and may live in any schema.
            BaseType::Named { name, .. } if name == "citext" => Self::Text(None),
            BaseType::Named { .. } | BaseType::Other => Self::Unsupported,
        }
    }

    fn built_in(name: &str, typmod: i32) -> Self {
        let length = || u32::try_from(typmod - 4).ok();
        let precision = || u8::try_from(typmod).unwrap_or(6).min(6);
        match name {
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "oid" => Self::Oid,
            "numeric" => Self::Numeric((typmod >= 4).then(|| precision_and_scale(typmod))),
            "float4" => Self::Float4,
            "float8" => Self::Float8,
            "bool" => Self::Bool,
            "text" => Self::Text(None),
            "varchar" => Self::Text(length()),
            "bpchar" => match length() {
                Some(characters) => Self::Char(characters),
                None => Self::Unsupported,
            },
            "uuid" => Self::Uuid,
            "bytea" => Self::Bytea,
            "date" => Self::Date,
            "time" => Self::Time(precision()),
            "timestamp" => Self::Timestamp(precision()),
            "timestamptz" => Self::TimestampTz(precision()),
            "interval" => interval(typmod),
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            "inet" => Self::Inet,
            "cidr" => Self::Cidr,
            "bit" => Self::Bit {
                bits: u32::try_from(typmod).ok(),
                varying: false,
            },
            "varbit" => Self::Bit {
                bits: u32::try_from(typmod).ok(),
                varying: true,
            },
            _ => Self::Unsupported,
        }
    }

    /// Whether two different source values may become one target value, letter case of GUIDs and scale of decimals included.
    pub fn keeps_distinct(&self) -> bool {
        matches!(
            self,
            Self::Int2
                | Self::Int4
                | Self::Int8
                | Self::Oid
                | Self::Text(_)
                | Self::Bytea
                | Self::Float8
                | Self::Bool
        )
    }
}

/// PostgreSQL packs both into one number; the scale is an 11-bit signed one since version 15.
fn precision_and_scale(typmod: i32) -> (u16, i16) {
    let packed = (typmod - 4) as u32;
    let scale = ((packed & 0x7ff) ^ 1024) as i16 - 1024;
    ((packed >> 16) as u16, scale)
}

/// `interval` restricted to some fields would drop others silently; only the unrestricted one converts.
fn interval(typmod: i32) -> Kind {
    if typmod < 0 {
        return Kind::Interval(6);
    }
    let (range, precision) = ((typmod >> 16) & 0x7fff, typmod & 0xffff);
    if range == 0x7fff {
        Kind::Interval(u8::try_from(precision).unwrap_or(6).min(6))
    } else {
        Kind::Unsupported
    }
}

impl Kind {
    /// As PostgreSQL calls it.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Oid => "oid",
            Self::Numeric(_) => "numeric",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Bool => "boolean",
            Self::Text(_) => "text",
            Self::Char(_) => "char",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time(_) => "time",
            Self::Timestamp(_) => "timestamp",
            Self::TimestampTz(_) => "timestamptz",
            Self::Interval(_) => "interval",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Inet => "inet",
            Self::Cidr => "cidr",
            Self::Enum(_) => "an enum",
            Self::Bit { .. } => "bit",
            Self::Array { .. } => "an array",
            Self::Unsupported => "this type, for which there is no conversion",
        }
    }
}
