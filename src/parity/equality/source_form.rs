//! The canonical form of a SQLite value, under the policies of its column.
//!
//! Matches on the storage class that the value really has. A value that PostgreSQL's type cannot hold unchanged, and that no policy
//! speaks of, has no canonical form: it is *unfit*, and equal to nothing.

use super::decimal::Decimal;
use super::source_moments::{date, interval, moment, time};
use super::source_text::{array, document, document_text, padded, text};
use super::{Kind, Rule, shortest};
use crate::parity::canon::Row;
use crate::runbook::transfer::{
    Bytes, ColumnPolicy, GuidBytes, OnProblem, Real, Replacement, Scale, Unsigned,
};
use rusqlite::types::ValueRef;

/// What became of a source value on its way into the canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing was lost.
    Exact,
    /// A policy changed the value on purpose.
    ByPolicy,
    /// The type cannot hold it and no policy speaks of it.
    Unfit,
    /// The import was told to leave this row out.
    Quarantined,
}

/// A value that the type cannot hold.
pub(super) struct Misfit;

pub(super) type Fit = Result<Taken, Misfit>;

/// Appends one cell for `value` to `row`, as the target's column would hold it.
pub(crate) fn from_source(value: ValueRef<'_>, rule: &Rule, row: &mut Row) -> Taken {
    let mark = row.mark();
    let value = as_text(value, &rule.kind, &rule.policy);
    let fitted = match stands_for(value, &rule.policy) {
        Some(by) => replaced(by, rule, row),
        None if matches!(value, ValueRef::Null) => return null(rule, row),
        None => fit(value, &rule.kind, rule, row),
    };
    match fitted {
        Ok(taken) => taken,
        Err(Misfit) => {
            row.truncate(mark);
            misfit(value, rule.policy.on_problem, row)
        }
    }
}

/// NULL, or what the target has in its place.
fn null(rule: &Rule, row: &mut Row) -> Taken {
    let default = rule.default.as_ref().filter(|_| rule.policy.null_default);
    let mark = row.mark();
    if let Some(default) = default {
        if super::from_target(Some(default.as_bytes()), &rule.kind, row).is_ok() {
            return Taken::ByPolicy;
        }
        row.truncate(mark);
    }
    row.null();
    Taken::Exact
}

/// What the runbook says that a value stands for. Whole REALs are known without their point, blobs not at all.
fn stands_for<'r>(value: ValueRef<'_>, policy: &'r ColumnPolicy) -> Option<&'r Replacement> {
    if policy.values.is_empty() {
        return None;
    }
    match value {
        ValueRef::Integer(n) => policy.replacement(&format!("{n}")),
        ValueRef::Real(x) => policy.replacement(&format!("{x}")),
        ValueRef::Text(text) => policy.replacement(std::str::from_utf8(text).ok()?),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

fn replaced(by: &Replacement, rule: &Rule, row: &mut Row) -> Fit {
    let ends = |positive: bool, row: &mut Row| {
        let sign = if positive { 1.0 } else { -1.0 };
        match rule.kind {
            Kind::Instant { .. } | Kind::Timestamp { .. } | Kind::Date => {
                row.number(if positive { i64::MAX } else { i64::MIN });
            }
            Kind::Float64 => row.value(&(sign * f64::INFINITY).to_bits().to_be_bytes()),
            Kind::Float32 => {
                row.value(&(sign as f32 * f32::INFINITY).to_bits().to_be_bytes());
            }
            Kind::Integer
            | Kind::Boolean
            | Kind::Numeric { .. }
            | Kind::Text
            | Kind::Padded
            | Kind::Bytes
            | Kind::Time { .. }
            | Kind::Interval { .. }
            | Kind::Uuid
            | Kind::Json
            | Kind::JsonText
            | Kind::Address
            | Kind::Label(_)
            | Kind::Array(_)
            | Kind::Verbatim => return Err(Misfit),
        }
        Ok(Taken::ByPolicy)
    };
    match by {
        Replacement::Null => {
            null(rule, row);
            Ok(Taken::ByPolicy)
        }
        Replacement::Infinity => ends(true, row),
        Replacement::MinusInfinity => ends(false, row),
        Replacement::Value(text) => {
            let value = match (&rule.kind, text.as_str(), text.parse::<i64>()) {
                (Kind::Boolean, "true", _) => ValueRef::Integer(1),
                (Kind::Boolean, "false", _) => ValueRef::Integer(0),
                // A label of digits is a label where no positions are stated.
                (Kind::Label(labels), label, _)
                    if !rule.policy.enum_ordinal && labels.iter().any(|known| known == label) =>
                {
                    ValueRef::Text(text.as_bytes())
                }
                (_, _, Ok(n)) if n.to_string() == *text => ValueRef::Integer(n),
                _ => ValueRef::Text(text.as_bytes()),
            };
            fit(value, &rule.kind, rule, row).map(|_| Taken::ByPolicy)
        }
    }
}

fn misfit(value: ValueRef<'_>, on_problem: Option<OnProblem>, row: &mut Row) -> Taken {
    if on_problem == Some(OnProblem::Null) {
        row.null();
        return Taken::ByPolicy;
    }
    match value {
        ValueRef::Null => row.null(),
        ValueRef::Integer(n) => row.unfit(b'i', &n.to_be_bytes()),
        ValueRef::Real(x) => row.unfit(b'r', &x.to_bits().to_be_bytes()),
        ValueRef::Text(text) => row.unfit(b't', text),
        ValueRef::Blob(bytes) => row.unfit(b'b', bytes),
    }
    match on_problem {
        Some(OnProblem::Quarantine) => Taken::Quarantined,
        Some(OnProblem::Refuse | OnProblem::Null) | None => Taken::Unfit,
    }
}

/// Bytes that the runbook says are text, except where another of its settings speaks of just these bytes.
fn as_text<'v>(value: ValueRef<'v>, kind: &Kind, policy: &ColumnPolicy) -> ValueRef<'v> {
    let ValueRef::Blob(bytes) = value else {
        return value;
    };
    let has_meaning = match kind {
        Kind::Bytes => true,
        // No bytes are no document in either form.
        Kind::Json | Kind::JsonText => !bytes.is_empty(),
        Kind::Boolean => matches!(bytes, [0 | 1]),
        Kind::Uuid => bytes.len() == 16,
        Kind::Integer
        | Kind::Float64
        | Kind::Float32
        | Kind::Numeric { .. }
        | Kind::Text
        | Kind::Padded
        | Kind::Instant { .. }
        | Kind::Timestamp { .. }
        | Kind::Date
        | Kind::Time { .. }
        | Kind::Interval { .. }
        | Kind::Address
        | Kind::Label(_)
        | Kind::Array(_)
        | Kind::Verbatim => false,
    };
    let is_line = |byte: u8| byte >= b' ' && byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r');
    let readable = || {
        std::str::from_utf8(bytes)
            .is_ok_and(|text| !text.contains(|c| ('\u{80}'..'\u{a0}').contains(&c)))
            && bytes.iter().all(|&byte| is_line(byte))
    };
    if policy.bytes == Some(Bytes::Text) && !has_meaning && readable() {
        ValueRef::Text(bytes)
    } else {
        value
    }
}

pub(super) fn fit(value: ValueRef<'_>, kind: &Kind, rule: &Rule, row: &mut Row) -> Fit {
    let policy = &rule.policy;
    let value = as_text(value, kind, policy);
    match kind {
        Kind::Integer => integer(value, policy, row),
        Kind::Boolean => boolean(value, policy, row),
        Kind::Float64 => float64(value).map(|x| put(row, &x.to_bits().to_be_bytes())),
        Kind::Float32 => float32(value, policy, row),
        Kind::Numeric { scale, .. } => numeric(value, *scale, policy, row),
        Kind::Text | Kind::Verbatim => text(value, policy, row),
        Kind::Padded => padded(value, policy, row),
        Kind::Bytes => bytes(value, policy, row),
        Kind::Instant { digits } => moment(value, *digits, true, rule, row),
        Kind::Timestamp { digits } => moment(value, *digits, false, rule, row),
        Kind::Date => date(value, rule, row),
        Kind::Time { digits } => time(value, *digits, policy, row),
        Kind::Interval { digits } => interval(value, *digits, policy, row),
        Kind::Uuid => guid(value, policy).map(|bytes| put(row, &bytes)),
        Kind::Json => document(value, policy, row),
        Kind::JsonText => document_text(value, policy, row),
        Kind::Address => super::target_form::address(ascii(value)?)
            .map(|bytes| put(row, &bytes))
            .ok_or(Misfit),
        Kind::Label(labels) => label(value, labels, policy, row),
        Kind::Array(element) => array(value, element, rule, row),
    }
}

pub(super) fn put(row: &mut Row, bytes: &[u8]) -> Taken {
    row.value(bytes);
    Taken::Exact
}

/// The bytes of a text; anything else does not fit.
pub(super) fn ascii<'a>(value: ValueRef<'a>) -> Result<&'a [u8], Misfit> {
    match value {
        ValueRef::Text(text) => Ok(text),
        _ => Err(Misfit),
    }
}

/// One beyond the largest 64-bit integer.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

fn integer(value: ValueRef<'_>, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let number = match value {
        ValueRef::Integer(n) => n,
        // Written exactly as the server would write it, and no other way: ' 7', '+7' and '1_000' are text, not numbers.
        ValueRef::Text(text) => {
            let number: i64 = std::str::from_utf8(text)
                .ok()
                .and_then(|t| t.parse().ok())
                .ok_or(Misfit)?;
            if number.to_string().as_bytes() != text {
                return Err(Misfit);
            }
            number
        }
        ValueRef::Real(x)
            if policy.real == Some(Real::Shortest)
                && x.trunc() == x
                && (-TWO_TO_63..TWO_TO_63).contains(&x) =>
        {
            x as i64
        }
        _ => return Err(Misfit),
    };
    row.number(number);
    Ok(Taken::Exact)
}

fn boolean(value: ValueRef<'_>, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let truth = match value {
        ValueRef::Integer(0) => false,
        ValueRef::Integer(1) => true,
        ValueRef::Real(x) if policy.real == Some(Real::Shortest) => match x {
            0.0 => false,
            1.0 => true,
            _ => return Err(Misfit),
        },
        ValueRef::Text(word) if policy.boolean_words => {
            match word.to_ascii_lowercase().as_slice() {
                b"t" | b"true" | b"y" | b"yes" | b"on" | b"1" => true,
                b"f" | b"false" | b"n" | b"no" | b"off" | b"0" => false,
                _ => return Err(Misfit),
            }
        }
        ValueRef::Blob([byte @ (0 | 1)]) if policy.boolean_bytes => *byte == 1,
        _ => return Err(Misfit),
    };
    Ok(put(row, if truth { b"t" } else { b"f" }))
}

fn float64(value: ValueRef<'_>) -> Result<f64, Misfit> {
    match value {
        ValueRef::Real(x) => Ok(x),
        ValueRef::Integer(n) if (n as f64) as i128 == i128::from(n) => Ok(n as f64),
        ValueRef::Text(text) => spelled(text),
        _ => Err(Misfit),
    }
}

/// The float that a decimal spells, if it has no more digits than the float's own shortest form: of two that are as short and as near, one
/// language writes this one and one the other.
fn spelled<T: std::str::FromStr + std::fmt::LowerExp>(text: &[u8]) -> Result<T, Misfit> {
    let number = Decimal::parse(text).ok_or(Misfit)?;
    let float: T = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(Misfit)?;
    let shortest = Decimal::parse(format!("{float:e}").as_bytes());
    if shortest.is_some_and(|shortest| number == shortest || number.digits() == shortest.digits()) {
        Ok(float)
    } else {
        Err(Misfit)
    }
}

fn float32(value: ValueRef<'_>, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    if let ValueRef::Text(text) = value {
        row.value(&spelled::<f32>(text)?.to_bits().to_be_bytes());
        return Ok(Taken::Exact);
    }
    let wide = float64(value)?;
    let narrow = wide as f32;
    let exact = f64::from(narrow) == wide;
    if !exact && (policy.real != Some(Real::Nearest) || narrow.is_infinite()) {
        return Err(Misfit);
    }
    row.value(&narrow.to_bits().to_be_bytes());
    Ok(if exact { Taken::Exact } else { Taken::ByPolicy })
}

fn numeric(value: ValueRef<'_>, scale: Option<i64>, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let mut wrapped = Taken::Exact;
    let number = match value {
        ValueRef::Integer(n) if n < 0 && policy.unsigned == Some(Unsigned::Wrap) => {
            wrapped = Taken::ByPolicy;
            let upper_half = (1i128 << 64) + i128::from(n);
            Decimal::parse(upper_half.to_string().as_bytes())
        }
        ValueRef::Integer(n) => Decimal::parse(n.to_string().as_bytes()),
        ValueRef::Text(text) => Decimal::parse(text),
        ValueRef::Real(x) if policy.real == Some(Real::Shortest) || x.trunc() == x => {
            shortest::number(x)
        }
        _ => None,
    }
    .ok_or(Misfit)?;
    let (number, taken) = match scale {
        // Digits before the point are never rounded away.
        Some(..0) if scale.is_some_and(|scale| number.goes_beyond(scale)) => return Err(Misfit),
        Some(scale) if number.goes_beyond(scale) => {
            let fitted = match policy.scale.ok_or(Misfit)? {
                Scale::Round => number.rounded(scale),
                Scale::Truncate => number.truncated(scale),
            };
            (fitted, Taken::ByPolicy)
        }
        _ => (number, wrapped),
    };
    row.written(|out| number.write(out));
    Ok(taken)
}

fn bytes(value: ValueRef<'_>, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    match value {
        ValueRef::Blob(bytes) => Ok(put(row, bytes)),
        ValueRef::Text(text) if policy.bytes == Some(Bytes::Utf8) => Ok(put(row, text)),
        ValueRef::Integer(n) if policy.bytes == Some(Bytes::Utf8) => {
            Ok(put(row, n.to_string().as_bytes()))
        }
        _ => Err(Misfit),
    }
}

fn label(value: ValueRef<'_>, labels: &[String], policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let text = match value {
        ValueRef::Text(text) => match std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()) {
            Some(ordinal) if policy.enum_ordinal => nth_label(labels, ordinal)?,
            _ => text,
        },
        ValueRef::Integer(ordinal) if policy.enum_ordinal => nth_label(labels, ordinal)?,
        _ => return Err(Misfit),
    };
    Ok(put(row, text))
}

fn nth_label(labels: &[String], ordinal: i64) -> Result<&[u8], Misfit> {
    usize::try_from(ordinal)
        .ok()
        .and_then(|at| labels.get(at))
        .map(String::as_bytes)
        .ok_or(Misfit)
}

fn guid(value: ValueRef<'_>, policy: &ColumnPolicy) -> Result<[u8; 16], Misfit> {
    match (value, policy.guid_bytes) {
        (ValueRef::Text(text), _) => {
            let bare = text.strip_prefix(b"urn:uuid:").unwrap_or(text);
            let body = match bare {
                [b'{', body @ .., b'}'] | [b'(', body @ .., b')'] => body,
                _ => bare,
            };
            super::target_form::uuid(body).ok_or(Misfit)
        }
        (ValueRef::Blob(bytes), Some(order)) => {
            let mut id: [u8; 16] = bytes.try_into().map_err(|_| Misfit)?;
            if order == GuidBytes::Dotnet {
                id[..4].reverse();
                id[4..6].reverse();
                id[6..8].reverse();
            }
            Ok(id)
        }
        _ => Err(Misfit),
    }
}
