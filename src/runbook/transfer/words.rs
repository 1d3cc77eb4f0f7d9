//! The words of a column's settings: what may be stated for each of them. The settings themselves are in [`super::policy`].

use serde::Serialize;

use crate::text::yaml_scalar;

/// Fractions of a second beyond what the target keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fraction {
    Truncate,
    /// To the nearest, half away from zero.
    Round,
}

/// The unit of numbers that stand for instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Epoch {
    /// Unix seconds.
    S,
    /// Unix milliseconds.
    Ms,
    /// Unix microseconds.
    Us,
    /// Unix nanoseconds.
    Ns,
    /// Days since 1970-01-01.
    Days,
    /// .NET ticks: 100 ns since the year 1 (into `interval`: 100 ns).
    Ticks,
    /// Julian days, as SQLite's `julianday()` makes them, to the millisecond.
    Julian,
    /// OLE automation dates: days since 1899-12-30, to the millisecond, as `DateTime.FromOADate` reads them. Without a zone.
    Oadate,
    /// `DateTime.ToBinary()`: ticks with the kind of the time (none, UTC, local) in the highest two bits.
    DotnetBinary,
    /// Entity Framework's `DateTimeOffsetToBinaryConverter`: units of 100 µs of the local time, and the offset in minutes in the
    /// lowest eleven bits.
    EfOffset,
    /// Digits of the calendar: `20240229123456`, or `20240229` for a day. Without a zone.
    Calendar,
}

impl Epoch {
    /// All units with their names.
    pub const ALL: [(&'static str, Self); 11] = [
        ("s", Self::S),
        ("ms", Self::Ms),
        ("us", Self::Us),
        ("ns", Self::Ns),
        ("days", Self::Days),
        ("ticks", Self::Ticks),
        ("julian", Self::Julian),
        ("oadate", Self::Oadate),
        ("dotnet_binary", Self::DotnetBinary),
        ("ef_offset", Self::EfOffset),
        ("calendar", Self::Calendar),
    ];
}

/// Bytes that are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bytes {
    /// Text and integers into `bytea`, as the bytes of their text.
    Utf8,
    /// Blobs into any other type, as the text that their bytes are.
    Text,
}

/// What a value stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// No value.
    Null,
    /// After every moment.
    Infinity,
    /// Before every moment.
    MinusInfinity,
    /// Another value: an integer where it is written as one, else text.
    Value(String),
}

impl Replacement {
    /// From its written form. The word `null` is a text here: no value is YAML's own null, which is no text.
    pub fn parse(text: &str) -> Self {
        match text {
            "infinity" => Self::Infinity,
            "-infinity" => Self::MinusInfinity,
            other => Self::Value(other.to_owned()),
        }
    }

    /// As a runbook writes it.
    pub fn written(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Infinity => "infinity".to_owned(),
            Self::MinusInfinity => "-infinity".to_owned(),
            Self::Value(value) => yaml_value(value),
        }
    }
}

/// Byte order of GUIDs that are 16-byte blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GuidBytes {
    /// `Guid.ToByteArray()`: the first three groups little-endian.
    Dotnet,
    /// As written in the text form.
    Rfc4122,
}

/// What a REAL becomes where the target is exact or narrower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Real {
    /// Its shortest decimal that reads back as the same REAL, into `numeric`, text and JSON.
    Shortest,
    /// The nearest value of `real`.
    Nearest,
}

/// Decimal places beyond what the target keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// To the nearest, half away from zero, as PostgreSQL rounds.
    Round,
    Truncate,
}

/// Negative integers in a column that may hold 64-bit numbers without a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsigned {
    /// They are numbers from 2^63 on, which SQLite keeps as negative ones.
    Wrap,
    /// They are negative.
    Signed,
}

/// What happens to a value that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnProblem {
    /// The plan has a problem and the import stops.
    Refuse,
    /// The row is put aside in `cutover.quarantine` and not loaded.
    Quarantine,
    /// The value becomes NULL; the former one is kept in `cutover.quarantine`.
    Null,
}

/// A value of YAML's flow style: integers as they are, everything that is not plainly a word in quotes.
pub(super) fn yaml_value(text: &str) -> String {
    let is_integer = text
        .parse::<i64>()
        .is_ok_and(|number| number.to_string() == text);
    if is_integer || matches!(text, "infinity" | "-infinity") {
        text.to_owned()
    } else {
        yaml_scalar(text)
    }
}
