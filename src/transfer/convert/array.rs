//! Arrays of one dimension: written as JSON, as PostgreSQL itself writes them or, by `split:`, as a list.

use rusqlite::types::ValueRef;

use crate::transfer::convert::json::{Reader, examine, unescape};
use crate::transfer::convert::{Converter, Reject, Use, Uses, put_null, text as bytes};
use crate::transfer::kind::Kind;

/// A JSON array, or a list in text, into a one-dimensional array.
pub fn array(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    match &converter.policy.split {
        Some(separator) => list(value, separator, converter, out),
        None if is_literal(value) => literal(value, converter, out),
        None => json_array(value, converter, out),
    }
}

/// How an element is converted, and its type's oid.
fn element_of(converter: &Converter) -> Result<(Converter, u32), Reject> {
    let Kind::Array {
        element,
        element_oid,
    } = &converter.kind
    else {
        return Err(Reject::never("not an array"));
    };
    let element = Converter {
        kind: (**element).clone(),
        not_null: false,
        ..converter.clone()
    };
    Ok((element, *element_oid))
}

fn json_array(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let (element, element_oid) = element_of(converter)?;
    let mut reader = Reader::new(value, false)?;
    reader.blank();
    if !reader.take(b'[') {
        let is_list = !matches!(value.first(), Some(b'{' | b'['));
        return Err(if is_list {
            Reject::unless("split: ,", "a list in text, not a JSON array")
        } else {
            Reject::never("not a JSON array")
        });
    }
    let mut uses = Uses::NONE;
    let mut fields = Vec::new();
    let (mut count, mut has_null) = (0i32, false);
    reader.blank();
    if !reader.take(b']') {
        loop {
            reader.blank();
            let start = reader.at;
            has_null |= reader.rest().starts_with(b"null");
            reader.value(1)?;
            uses.0 |= one_element(&value[start..reader.at], &element, &mut fields)?.0;
            count += 1;
            reader.blank();
            if reader.take(b']') {
                break;
            }
            if !reader.take(b',') {
                return Err(reader.broken());
            }
        }
    }
    reader.end()?;
    put_array(count, has_null, element_oid, &fields, out)?;
    Ok(uses)
}

/// `{a,"b c"}`, which is no JSON array, nor JSON at all but for `{}`: what PostgreSQL writes, and drivers that know only that.
fn is_literal(value: &[u8]) -> bool {
    matches!(value, [b'{', .., b'}'])
}

fn literal(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let (element, element_oid) = element_of(converter)?;
    let plain = matches!(
        element.kind,
        Kind::Text(_) | Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Uuid | Kind::Enum(_)
    );
    let items = literal_items(value).filter(|_| plain).ok_or_else(|| {
        Reject::never("neither a JSON array nor one of PostgreSQL's in one dimension")
    })?;
    let (mut uses, mut fields) = (Uses::NONE, Vec::new());
    for item in &items {
        let value = item.as_deref().map_or(ValueRef::Null, ValueRef::Text);
        uses = uses.and(encode_short(value, &element, &mut fields)?);
    }
    let count = i32::try_from(items.len()).map_err(|_| Reject::never("too many elements"))?;
    let has_null = items.iter().any(Option::is_none);
    put_array(count, has_null, element_oid, &fields, out)?;
    Ok(uses)
}

/// The elements between the braces: in quotation marks with backslashes, or bare without any character that means something.
fn literal_items(value: &[u8]) -> Option<Vec<Option<Vec<u8>>>> {
    let mut rest = value.strip_prefix(b"{")?.strip_suffix(b"}")?;
    let mut items = Vec::new();
    while !rest.is_empty() || !items.is_empty() {
        let (item, after) = match rest.strip_prefix(b"\"") {
            Some(quoted) => {
                let (item, after) = quoted_item(quoted)?;
                (Some(item), after)
            }
            None => {
                let end = rest.iter().position(|byte| *byte == b',');
                let (bare, after) = rest.split_at(end.unwrap_or(rest.len()));
                let special = |byte: &u8| b"{}\"\\ \t\n\r\x0b\x0c".contains(byte);
                if bare.is_empty() || bare.iter().any(special) {
                    return None;
                }
                let null = bare == b"NULL";
                if !null && bare.eq_ignore_ascii_case(b"NULL") {
                    return None;
                }
                ((!null).then(|| bare.to_vec()), after)
            }
        };
        items.push(item);
        match after {
            [] => break,
            [b',', more @ ..] => rest = more,
            _ => return None,
        }
    }
    Some(items)
}

/// Up to the closing quotation mark, and what follows it.
fn quoted_item(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut item, mut at) = (Vec::new(), 0);
    loop {
        match quoted.get(at)? {
            b'"' => return Some((item, &quoted[at + 1..])),
            b'\\' => at += 1,
            _ => {}
        }
        item.push(*quoted.get(at)?);
        at += 1;
    }
}

fn put_array(
    count: i32,
    has_null: bool,
    element_oid: u32,
    fields: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Reject> {
    let mut field = Vec::with_capacity(20 + fields.len());
    field.extend_from_slice(&i32::from(count > 0).to_be_bytes());
    field.extend_from_slice(&i32::from(has_null).to_be_bytes());
    field.extend_from_slice(&element_oid.to_be_bytes());
    if count > 0 {
        field.extend_from_slice(&count.to_be_bytes());
        field.extend_from_slice(&1i32.to_be_bytes());
        field.extend_from_slice(fields);
    }
    bytes::put_bytes(&field, out)
}

/// A list in text: what stands between the separators, each by the rule of the element's type for text. Nothing is trimmed, and the
/// empty text is the empty list. What could be a JSON array as well is refused.
fn list(
    value: &[u8],
    separator: &str,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let (element, element_oid) = element_of(converter)?;
    let text =
        std::str::from_utf8(value).map_err(|_| Reject::never("a list that is not valid UTF-8"))?;
    if is_literal(value) || text.starts_with('[') && examine(value, false).is_ok() {
        return Err(Reject::never(
            "an array of JSON or PostgreSQL, where `split:` says that there are lists",
        ));
    }
    let (mut uses, mut fields, mut count) = (Uses::one(Use::Split), Vec::new(), 0);
    if !text.is_empty() {
        for item in text.split(separator) {
            let item = ValueRef::Text(item.as_bytes());
            uses = uses.and(encode_short(item, &element, &mut fields)?);
            count += 1;
        }
    }
    put_array(count, false, element_oid, &fields, out)?;
    Ok(uses)
}

/// One JSON value, by the rules of the element's type: strings as TEXT, whole numbers as INTEGER, other numbers as their digits.
fn one_element(token: &[u8], element: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let textual = |kind: &Kind| {
        matches!(
            kind,
            Kind::Text(_) | Kind::Char(_) | Kind::Bytea | Kind::Enum(_)
        )
    };
    let token = token.trim_ascii();
    match token.first() {
        Some(b'n') => {
            put_null(out);
            Ok(Uses::NONE)
        }
        Some(b't' | b'f') if element.kind == Kind::Bool => element
            .encode(ValueRef::Integer(i64::from(token[0] == b't')), out)
            .map(|field| field.uses),
        Some(b'"') => {
            let string = unescape(&token[1..token.len() - 1])?;
            encode_short(ValueRef::Text(string.as_bytes()), element, out)
        }
        // As an INTEGER would go by itself: its digits, or 0 and 1 for truth.
        Some(b'-' | b'0'..=b'9')
            if matches!(element.kind, Kind::Text(_) | Kind::Bool) && whole(token).is_some() =>
        {
            let integer = whole(token).unwrap_or_default();
            encode_short(ValueRef::Integer(integer), element, out)
        }
        Some(b'-' | b'0'..=b'9') if !textual(&element.kind) && element.kind != Kind::Bool => {
            // A zero below zero is a value of its own to a float, and a spelling of its own to `json`; `numeric` and `jsonb` drop its sign.
            let has_sign = matches!(
                element.kind,
                Kind::Float4 | Kind::Float8 | Kind::Json | Kind::Jsonb | Kind::Numeric(_)
            );
            let integer = std::str::from_utf8(token)
                .ok()
                .and_then(|digits| digits.parse().ok())
                .filter(|_| token != b"-0" || !has_sign);
            match integer {
                Some(integer) => encode_short(ValueRef::Integer(integer), element, out),
                None => encode_short(ValueRef::Text(token), element, out),
            }
        }
        _ => Err(Reject::never(
            "an element that does not convert into the array's type",
        )),
    }
}

/// A token that is an integer and no other spelling of one.
fn whole(token: &[u8]) -> Option<i64> {
    let integer: i64 = std::str::from_utf8(token).ok()?.parse().ok()?;
    (integer.to_string().as_bytes() == token).then_some(integer)
}

fn encode_short(
    value: ValueRef<'_>,
    element: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let field = element.encode(value, out)?;
    if let Some(tail) = field.tail {
        out.extend_from_slice(tail);
    }
    Ok(field.uses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::convert::tests::column;

    #[test]
    fn what_postgresql_writes_is_read() {
        let items = |text: &str| {
            let items = literal_items(text.as_bytes())?;
            let text = |item: Option<Vec<u8>>| item.map(|i| String::from_utf8(i).expect("UTF-8"));
            Some(items.into_iter().map(text).collect::<Vec<_>>())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(items("{}"), Some(vec![]));
        assert_eq!(
            items(r#"{a,"b c",NULL,"NULL","","q\"\\,"}"#),
            Some(vec![
                some("a"),
                some("b c"),
                None,
                some("NULL"),
                some(""),
                some("q\"\\,")
            ])
        );
        for text in [
            "{a,}",
            "{,a}",
            "{{a},{b}}",
            "{a b}",
            r#"{"a}"#,
            r#"{"a"b}"#,
            r#"{"k":1}"#,
        ] {
            assert_eq!(items(text), None, "{text}");
        }
    }

    #[test]
    fn lists_are_split_and_nothing_else() {
        let array = |settings: &[(&str, &str)]| {
            let element = Box::new(Kind::Int4);
            column(
                Kind::Array {
                    element,
                    element_oid: 23,
                },
                settings,
            )
        };
        let read = |value: &str, settings: &[(&str, &str)]| {
            let mut out = Vec::new();
            super::array(value.as_bytes(), &array(settings), &mut out).map(|_| out)
        };
        let split = [("split", ",")];
        assert_eq!(read("1,2", &split), read("[1,2]", &[]));
        assert_eq!(read("", &split), read("[]", &[]));
        assert_eq!(read("1,2", &[]).unwrap_err().policy, Some("split: ,"));
        for value in ["1, 2", "1,,2", "[1,2]", "a"] {
            assert!(read(value, &split).is_err(), "{value}");
        }
    }
}
