//! All of an event: every field that the journal keeps, as a line that can be read and copied. Not in here: its one line (`telling`).

use chrono::{DateTime, FixedOffset, Utc};
use serde_json::Value;

use super::telling::Told;
use crate::format::span;
use crate::text::printable;

/// Characters of a field that are copied; the journal keeps more of few.
const COPIED_CHARS: usize = 10_000;

/// A field, by its path: `outcome.summary`. Both hold foreign text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    /// Its value in words.
    pub value: String,
}

/// Every field of an event, beginning with its number, kind and times.
pub fn fields(told: &Told, zone: FixedOffset) -> Vec<Field> {
    let (kind, body) = told.entry.event.parts();
    let mut all = Vec::new();
    let mut add = |name: &str, value: String| {
        all.push(Field {
            name: name.to_owned(),
            value,
        });
    };
    add("event", format!("{} {kind}", told.seq));
    add("when", local(told.wall, zone));
    add("session time", timed(told.at_ms));
    add("in words", told.text.clone());
    flatten(&mut all, "", &body, zone);
    all
}

/// An event as text for a clipboard: a line for each field, and nothing in it that a terminal or a shell's prompt would obey, for a
/// foreign line break does not begin a line.
pub fn text(told: &Told, zone: FixedOffset) -> String {
    let lines = fields(told, zone).into_iter().map(|field| {
        let name = printable(&field.name, COPIED_CHARS);
        format!("{name}: {}\n", printable(&field.value, COPIED_CHARS))
    });
    lines.collect()
}

fn flatten(all: &mut Vec<Field>, path: &str, value: &Value, zone: FixedOffset) {
    let under = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(all, &under(name), value, zone);
            }
        }
        Value::Array(items) if items.iter().any(|i| i.is_object() || i.is_array()) => {
            for (n, item) in items.iter().enumerate() {
                flatten(all, &under(&(n + 1).to_string()), item, zone);
            }
        }
        value => all.push(Field {
            name: path.to_owned(),
            value: words(path, value, zone),
        }),
    }
}

fn words(path: &str, value: &Value, zone: FixedOffset) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => {
            let each: Vec<_> = items.iter().map(|item| words(path, item, zone)).collect();
            each.join(", ")
        }
        Value::Object(_) => "none".to_owned(),
        Value::Number(n) => match n.as_i64() {
            Some(ms) if path.ends_with("_ms") => timed(ms),
            Some(s) if path.ends_with("_unix_s") => match DateTime::from_timestamp(s, 0) {
                Some(wall) => local(wall, zone),
                None => n.to_string(),
            },
            _ => n.to_string(),
        },
        Value::Bool(is_so) => (if *is_so { "yes" } else { "no" }).to_owned(),
    }
}

fn timed(ms: i64) -> String {
    format!("{} ({ms} ms)", span(ms))
}

fn local(wall: DateTime<Utc>, zone: FixedOffset) -> String {
    let here = wall.with_timezone(&zone);
    here.format("%Y-%m-%d %H:%M:%S %:z").to_string()
}
