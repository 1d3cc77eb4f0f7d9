//! Values that stand for something else by `values:`: no value, a moment after or before all others, another value.

use std::borrow::Cow;

use rusqlite::types::ValueRef;

use crate::runbook::transfer::{ColumnPolicy, Replacement};
use crate::transfer::convert::{Converter, Reject, Uses, put as put_fixed, put_null, shortest};
use crate::transfer::kind::Kind;

/// The text by which `values:` knows a value: digits, the shortest decimal of a REAL, text itself. Blobs and NULL have none.
pub fn key(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    match value {
        ValueRef::Integer(integer) => Some(integer.to_string().into()),
        ValueRef::Real(real) => Some(shortest::of_f64(real).into()),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().map(Cow::Borrowed),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

/// What the policy says that a value stands for.
pub fn replacement<'p>(value: ValueRef<'_>, policy: &'p ColumnPolicy) -> Option<&'p Replacement> {
    if policy.values.is_empty() {
        return None;
    }
    policy.replacement(&key(value)?)
}

/// Appends the field of what a value stands for.
pub fn put(by: &Replacement, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    match by {
        // As any other NULL there.
        Replacement::Null
            if converter.not_null
                && converter.policy.null_default
                && converter.default.is_some() =>
        {
            converter.null(out)
        }
        Replacement::Null if converter.not_null => Err(Reject::never(
            "`values:` makes NULL of it, and the target column is NOT NULL",
        )),
        Replacement::Null => {
            put_null(out);
            Ok(Uses::NONE)
        }
        Replacement::Infinity => infinity(true, converter, out),
        Replacement::MinusInfinity => infinity(false, converter, out),
        Replacement::Value(written) => {
            // Labels may be digits; positions are stated.
            let is_label =
                matches!(&converter.kind, Kind::Enum(labels) if labels.contains(written));
            let is_label = is_label && !converter.policy.enum_ordinal;
            let integer = written.parse::<i64>().ok().filter(|_| !is_label);
            let truth = match written.as_str() {
                "true" => Some(1),
                "false" => Some(0),
                _ => None,
            };
            let value = match (&converter.kind, integer, truth) {
                (Kind::Bool, _, Some(truth)) => ValueRef::Integer(truth),
                (_, Some(integer), _) if integer.to_string() == *written => {
                    ValueRef::Integer(integer)
                }
                _ => ValueRef::Text(written.as_bytes()),
            };
            let field = converter.convert(value, out)?;
            if let Some(tail) = field.tail {
                out.extend_from_slice(tail);
            }
            Ok(field.uses)
        }
    }
}

fn infinity(positive: bool, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let sign = if positive { 1.0 } else { -1.0 };
    match converter.kind {
        Kind::Timestamp(_) | Kind::TimestampTz(_) => {
            put_fixed(
                if positive { i64::MAX } else { i64::MIN }.to_be_bytes(),
                out,
            );
        }
        Kind::Date => put_fixed(
            if positive { i32::MAX } else { i32::MIN }.to_be_bytes(),
            out,
        ),
        Kind::Float8 => put_fixed((sign * f64::INFINITY).to_be_bytes(), out),
        Kind::Float4 => put_fixed((sign as f32 * f32::INFINITY).to_be_bytes(), out),
        _ => {
            return Err(Reject::never(format!(
                "`values:` makes infinity of it, and {} has none",
                converter.kind.words()
            )));
        }
    }
    Ok(Uses::NONE)
}
