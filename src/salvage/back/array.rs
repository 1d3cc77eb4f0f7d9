//! A one-dimensional array from PostgreSQL's text (`{a,"b c",NULL}`) into a JSON array.

use crate::parity::ValueKind as Kind;

/// The array as JSON; none where it has other bounds or dimensions than a JSON array.
pub(super) fn json(text: &str, element: &Kind) -> Option<String> {
    let body = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (item, tail) = item(rest)?;
        items.push(as_json(item, element)?);
        rest = tail;
    }
    Some(format!("[{}]", items.join(",")))
}

/// The array as a list in text; none where an element is NULL.
pub(super) fn list(text: &str, separator: &str) -> Option<String> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (item, tail) = item(rest)?;
        items.push(item?);
        rest = tail;
    }
    Some(items.join(separator))
}

/// The first item, `None` for NULL, and what follows its comma.
fn item(body: &str) -> Option<(Option<String>, &str)> {
    let Some(quoted) = body.strip_prefix('"') else {
        let (item, rest) = body.split_once(',').unwrap_or((body, ""));
        if item.contains('{') {
            return None;
        }
        return Some(((item != "NULL").then(|| item.to_owned()), rest));
    };
    let mut item = String::new();
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                item.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => {
                let rest = &quoted[at + 1..];
                return Some((Some(item), rest.strip_prefix(',').unwrap_or(rest)));
            }
            _ => item.push(c),
        }
    }
    None
}

fn as_json(item: Option<String>, element: &Kind) -> Option<String> {
    let Some(item) = item else {
        return Some("null".to_owned());
    };
    match element {
        Kind::Integer | Kind::Numeric { .. } | Kind::Float64 | Kind::Float32 => {
            let number: serde_json::Value = serde_json::from_str(&item).ok()?;
            number.is_number().then_some(item)
        }
        Kind::Boolean => match item.as_str() {
            "t" => Some("true".to_owned()),
            "f" => Some("false".to_owned()),
            _ => None,
        },
        _ => serde_json::to_string(&item).ok(),
    }
}
