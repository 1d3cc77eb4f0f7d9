//! Numbers as OTLP's JSON has them: 64 bits as text or as numbers, floats that are no numbers as text, enums by number or by name. Not in
//! here: the messages (`messages`).

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

use super::messages::{CUMULATIVE, DELTA};

pub(super) fn unsigned<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    of_unsigned(&Value::deserialize(from)?)
}

pub(super) fn unsigned_list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    let values = Vec::<Value>::deserialize(from)?;
    values.iter().map(of_unsigned).collect()
}

fn of_unsigned<E: Error>(value: &Value) -> Result<u64, E> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        Value::Null => Some(0),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.ok_or_else(|| E::custom("a whole number from 0 on was expected"))
}

pub(super) fn optional_signed<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let number = match Value::deserialize(from)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64(),
        Value::Null => return Ok(None),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let wrong = || Error::custom("a whole number was expected");
    number.map(Some).ok_or_else(wrong)
}

pub(super) fn optional_float<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let number = match Value::deserialize(from)? {
        // `NaN`, `Infinity` and `-Infinity` among them.
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_f64(),
        Value::Null => return Ok(None),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let wrong = || Error::custom("a number was expected");
    number.map(Some).ok_or_else(wrong)
}

pub(super) fn temporality<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    let known = match Value::deserialize(from)? {
        Value::Number(number) => number.as_i64().and_then(|n| i32::try_from(n).ok()),
        Value::String(name) => match name.as_str() {
            "AGGREGATION_TEMPORALITY_DELTA" => Some(DELTA),
            "AGGREGATION_TEMPORALITY_CUMULATIVE" => Some(CUMULATIVE),
            _ => Some(0),
        },
        Value::Null => Some(0),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    known.ok_or_else(|| Error::custom("an aggregation temporality was expected"))
}
