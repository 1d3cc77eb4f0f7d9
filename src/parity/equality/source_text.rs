//! The canonical form of a SQLite value that is text, JSON or a list. Bytes that are JSON are read by the checker's own code: as text,
//! as SQLite's binary form, and not at all where both would do and the runbook does not say which.

use super::json::{self, Json};
use super::source_form::{Fit, Misfit, Taken, ascii, fit};
use super::{Kind, Rule, binary_json, shortest};
use crate::parity::canon::Row;
use crate::runbook::transfer::{Bytes, ColumnPolicy, Real};
use rusqlite::types::ValueRef;
use std::borrow::Cow;

/// The text as PostgreSQL could hold it, and whether a policy had to change it.
fn clean<'a>(value: ValueRef<'a>, policy: &ColumnPolicy) -> Result<(Cow<'a, [u8]>, Taken), Misfit> {
    let bytes = match value {
        ValueRef::Text(text) => text,
        ValueRef::Integer(n) => return Ok((Cow::Owned(n.to_string().into_bytes()), Taken::Exact)),
        ValueRef::Real(x) if policy.real == Some(Real::Shortest) => {
            return Ok((Cow::Owned(shortest::text(x).into_bytes()), Taken::Exact));
        }
        _ => return Err(Misfit),
    };
    let mut out = Cow::Borrowed(bytes);
    let mut taken = Taken::Exact;
    if bytes.contains(&0) {
        if !policy.nul_strip {
            return Err(Misfit);
        }
        out = Cow::Owned(bytes.iter().copied().filter(|&b| b != 0).collect());
        taken = Taken::ByPolicy;
    }
    if std::str::from_utf8(&out).is_err() {
        if !policy.invalid_utf8_replace {
            return Err(Misfit);
        }
        out = Cow::Owned(String::from_utf8_lossy(&out).into_owned().into_bytes());
        taken = Taken::ByPolicy;
    }
    Ok((out, taken))
}

pub(super) fn text(value: ValueRef<'_>, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let (bytes, taken) = clean(value, policy)?;
    row.value(&bytes);
    Ok(taken)
}

pub(super) fn padded(value: ValueRef<'_>, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let (bytes, taken) = clean(value, policy)?;
    row.value(super::target_form::without_padding(&bytes));
    Ok(taken)
}

/// Into `jsonb`: as JSON.
pub(super) fn document(value: ValueRef<'_>, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let (text, taken) = json_text(value, policy, false)?;
    let json = json::parse(&text).map_err(|_| Misfit)?;
    super::target_form::write_json(&json, row);
    Ok(taken)
}

/// Into `json`: the text itself, which has to be JSON.
pub(super) fn document_text(value: ValueRef<'_>, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let (text, taken) = json_text(value, policy, true)?;
    match json::parse_lenient(&text) {
        Ok(_) | Err(json::NotJson::DuplicateKey) => {
            row.value(text.as_bytes());
            Ok(taken)
        }
        Err(_) => Err(Misfit),
    }
}

/// The JSON text that a value is; `keeps_text`, where the column keeps it as it is written.
fn json_text<'v>(
    value: ValueRef<'v>,
    policy: &ColumnPolicy,
    keeps_text: bool,
) -> Result<(Cow<'v, str>, Taken), Misfit> {
    let text = match value {
        ValueRef::Text(text) => Cow::Borrowed(std::str::from_utf8(text).map_err(|_| Misfit)?),
        ValueRef::Integer(n) => Cow::Owned(n.to_string()),
        ValueRef::Real(x) if policy.real == Some(Real::Shortest) => {
            // Where the text counts, a float is to be seen as one.
            Cow::Owned(if keeps_text {
                shortest::json(x)
            } else {
                shortest::text(x)
            })
        }
        ValueRef::Blob(bytes) => {
            let is_json = |text: &&str| {
                !matches!(
                    json::parse_lenient(text),
                    Err(json::NotJson::Syntax | json::NotJson::TooDeep)
                )
            };
            let as_text = std::str::from_utf8(bytes).ok().filter(is_json);
            let binary = binary_json::text(bytes);
            let (text_stated, binary_stated) =
                (policy.bytes == Some(Bytes::Text), policy.jsonb_blob_decode);
            match (as_text, binary) {
                (Some(_), Some(_)) if binary_stated || !text_stated => return Err(Misfit),
                (Some(text), _) if text_stated => Cow::Borrowed(text),
                (None, Some(text)) if binary_stated => Cow::Owned(text),
                _ => return Err(Misfit),
            }
        }
        _ => return Err(Misfit),
    };
    match json::without_nul(&text) {
        None => Ok((text, Taken::Exact)),
        Some(stripped) if policy.nul_strip => Ok((Cow::Owned(stripped), Taken::ByPolicy)),
        Some(_) if keeps_text => Ok((text, Taken::Exact)),
        Some(_) => Err(Misfit),
    }
}

/// Into an array: a JSON array, or a list by `split:`.
pub(super) fn array(value: ValueRef<'_>, element: &Kind, rule: &Rule, row: &mut Row) -> Fit {
    let braced = matches!(value, ValueRef::Text([b'{', .., b'}']));
    match &rule.policy.split {
        Some(_) if braced => Err(Misfit),
        Some(separator) => list(value, separator, element, rule, row),
        None if braced => literal(ascii(value)?, element, row),
        None => json_array(value, element, rule, row),
    }
}

/// As PostgreSQL writes an array. What is not written just so, an element without quotation marks that needs them for instance, is none.
fn literal(text: &[u8], element: &Kind, row: &mut Row) -> Fit {
    let plain = matches!(
        element,
        Kind::Text | Kind::Integer | Kind::Uuid | Kind::Label(_)
    );
    if !plain || !is_flat(text) {
        return Err(Misfit);
    }
    let array = Kind::Array(Box::new(element.clone()));
    super::from_target(Some(text), &array, row).map_err(|_| Misfit)?;
    Ok(Taken::Exact)
}

/// Whether text in braces is an array of one dimension: outside quotation marks there is no further brace, blank or empty element, and
/// each mark begins or ends an element.
fn is_flat(text: &[u8]) -> bool {
    let (mut quoted, mut escaped, mut before) = (false, false, b',');
    let body = text.strip_prefix(b"{").and_then(|t| t.strip_suffix(b"}"));
    let Some(body) = body.filter(|body| !body.is_empty()) else {
        return body.is_some();
    };
    for &byte in body {
        if quoted {
            let closes = byte == b'"' && !escaped;
            (quoted, escaped) = (!closes, byte == b'\\' && !escaped);
            before = if closes { b'"' } else { b'x' };
            continue;
        }
        let fits = match byte {
            b'"' => before == b',',
            b',' => before != b',',
            b'{' | b'}' | b'\\' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => false,
            _ => before != b'"',
        };
        if !fits {
            return false;
        }
        quoted = byte == b'"';
        before = if byte == b',' { b',' } else { b'x' };
    }
    !quoted && before != b','
}

/// What stands between the separators; the empty text is the empty list, and a JSON array is none.
fn list(value: ValueRef<'_>, separator: &str, element: &Kind, rule: &Rule, row: &mut Row) -> Fit {
    let text = std::str::from_utf8(ascii(value)?).map_err(|_| Misfit)?;
    if text.starts_with('[') && json::parse(text).is_ok() {
        return Err(Misfit);
    }
    let mut cells = Row::default();
    let items = text.split(separator).filter(|_| !text.is_empty());
    for item in items {
        fit(ValueRef::Text(item.as_bytes()), element, rule, &mut cells)?;
    }
    row.value(cells.bytes());
    Ok(Taken::ByPolicy)
}

fn json_array(value: ValueRef<'_>, element: &Kind, rule: &Rule, row: &mut Row) -> Fit {
    let text = std::str::from_utf8(ascii(value)?).map_err(|_| Misfit)?;
    // A character that PostgreSQL cannot hold is the element's own question.
    let Json::Array(items) = json::parse_lenient(text).map_err(|_| Misfit)? else {
        return Err(Misfit);
    };
    let mut cells = Row::default();
    let mut taken = Taken::Exact;
    for item in &items {
        let outcome = match item {
            Json::Null => {
                cells.null();
                Taken::Exact
            }
            Json::Bool(truth) if *element == Kind::Boolean => fit(
                ValueRef::Integer((*truth).into()),
                element,
                rule,
                &mut cells,
            )?,
            Json::Number(_, text) if matches!(element, Kind::Text | Kind::Boolean) => {
                let number: i64 = text.parse().map_err(|_| Misfit)?;
                if number.to_string() != *text {
                    return Err(Misfit);
                }
                fit(ValueRef::Integer(number), element, rule, &mut cells)?
            }
            Json::Number(_, text) => match element {
                Kind::Padded | Kind::Bytes | Kind::Label(_) | Kind::Verbatim => return Err(Misfit),
                // Whole numbers have one zero.
                Kind::Integer if text == "-0" => {
                    fit(ValueRef::Integer(0), element, rule, &mut cells)?
                }
                // By its digits, as any number that is written: a float has to be theirs to the last.
                _ => fit(ValueRef::Text(text.as_bytes()), element, rule, &mut cells)?,
            },
            Json::String(text) => fit(ValueRef::Text(text.as_bytes()), element, rule, &mut cells)?,
            _ => return Err(Misfit),
        };
        if outcome == Taken::ByPolicy {
            taken = Taken::ByPolicy;
        }
    }
    row.value(cells.bytes());
    Ok(taken)
}
