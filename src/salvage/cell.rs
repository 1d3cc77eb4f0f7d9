//! A value of SQLite with its storage class, whole, also where text is not valid UTF-8.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::format::hex;
use crate::text::printable;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    /// TEXT, as stored.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

/// A storage class other than NULL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Integer,
    Real,
    Text,
    Blob,
}

impl Cell {
    /// A copy of a value.
    pub fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(n) => Self::Integer(n),
            ValueRef::Real(x) => Self::Real(x),
            ValueRef::Text(bytes) => Self::Text(bytes.to_vec()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_bytes())
    }

    /// The value, borrowed.
    pub fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(n) => ValueRef::Integer(*n),
            Self::Real(x) => ValueRef::Real(*x),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    /// Its storage class; none for NULL.
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Null => None,
            Self::Integer(_) => Some(Class::Integer),
            Self::Real(_) => Some(Class::Real),
            Self::Text(_) => Some(Class::Text),
            Self::Blob(_) => Some(Class::Blob),
        }
    }

    /// The text, where it is text and UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The same class and the same bits.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Real(a), Self::Real(b)) => a.to_bits() == b.to_bits(),
            _ => self == other,
        }
    }

    /// For people: harmless, cut short, quoted like a literal.
    pub fn shown(&self, limit: usize) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Integer(n) => n.to_string(),
            Self::Real(x) => format!("{x:?}"),
            Self::Text(bytes) => {
                let head = &bytes[..bytes.len().min(4 * limit + 4)];
                format!("'{}'", printable(&String::from_utf8_lossy(head), limit))
            }
            Self::Blob(bytes) => match bytes.get(..limit / 2) {
                Some(head) if head.len() < bytes.len() => {
                    format!("x'{}…' ({} bytes)", hex(head), bytes.len())
                }
                _ => format!("x'{}'", hex(bytes)),
            },
        }
    }

    /// For machines: JSON where it has such a value, else an object that names the class.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Integer(n) => (*n).into(),
            Self::Real(x) => serde_json::Number::from_f64(*x).map_or_else(
                || serde_json::json!({ "real": format!("{x:?}") }),
                serde_json::Value::Number,
            ),
            Self::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => serde_json::json!({ "text": hex(bytes) }),
            },
            Self::Blob(bytes) => serde_json::json!({ "blob": hex(bytes) }),
        }
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.value()))
    }
}
