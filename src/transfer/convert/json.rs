//! JSON: a strict reader (RFC 8259) that also refuses what `jsonb` would drop, and arrays written as JSON.

use std::borrow::Cow;

use rusqlite::types::ValueRef;

use crate::transfer::convert::{Converter, Field, Reject, Use, Uses, put_null, text as bytes};
use crate::transfer::kind::Kind;

/// Deeper nesting may exhaust the server's stack.
const MAX_DEPTH: usize = 1_000;
/// `jsonb` holds numbers as `numeric`.
const MAX_EXPONENT: i64 = 131_000;
const JSONB_VERSION: [u8; 1] = [1];

/// Text into `json` or `jsonb`, after checking all of it.
pub fn text<'v>(value: &'v [u8], kind: &Kind, out: &mut Vec<u8>) -> Result<Field<'v>, Reject> {
    check(value, *kind == Kind::Jsonb)?;
    bytes::pass(value, prefix(kind), out)
}

/// A number that is JSON as it stands.
pub fn scalar(value: &str, kind: &Kind, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    text(value.as_bytes(), kind, out).map(|field| field.uses)
}

/// SQLite's binary JSON, by policy.
pub fn blob(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    if !converter.policy.jsonb_blob_decode {
        return Err(Reject::unless(
            "jsonb_blob: decode",
            "a blob; SQLite's binary JSON would be read as text",
        ));
    }
    let decoded = decode_blob(value)
        .ok_or_else(|| Reject::never("a blob that is not SQLite's binary JSON"))?;
    check(decoded.as_bytes(), converter.kind == Kind::Jsonb)?;
    let mut field = prefix(&converter.kind).to_vec();
    field.extend_from_slice(decoded.as_bytes());
    bytes::put_bytes(&field, out)?;
    Ok(Uses::one(Use::JsonbBlob))
}

/// The format belongs to SQLite, so SQLite reads it.
fn decode_blob(value: &[u8]) -> Option<String> {
    thread_local! {
        static SQLITE: Option<rusqlite::Connection> = rusqlite::Connection::open_in_memory().ok();
    }
    SQLITE.with(|sqlite| {
        let mut statement = sqlite.as_ref()?.prepare_cached("SELECT json(?1)").ok()?;
        statement.query_row([ValueOf(value)], |row| row.get(0)).ok()
    })
}

struct ValueOf<'v>(&'v [u8]);

impl rusqlite::ToSql for ValueOf<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(ValueRef::Blob(
            self.0,
        )))
    }
}

fn prefix(kind: &Kind) -> &'static [u8] {
    if *kind == Kind::Jsonb {
        &JSONB_VERSION
    } else {
        &[]
    }
}

/// A JSON array into a one-dimensional array.
pub fn array(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
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
    let mut reader = Reader::new(value, false)?;
    reader.blank();
    if !reader.take(b'[') {
        return Err(Reject::never("not a JSON array"));
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
    let mut field = Vec::with_capacity(20 + fields.len());
    field.extend_from_slice(&i32::from(count > 0).to_be_bytes());
    field.extend_from_slice(&i32::from(has_null).to_be_bytes());
    field.extend_from_slice(&element_oid.to_be_bytes());
    if count > 0 {
        field.extend_from_slice(&count.to_be_bytes());
        field.extend_from_slice(&1i32.to_be_bytes());
        field.extend_from_slice(&fields);
    }
    bytes::put_bytes(&field, out)?;
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
        Some(b'-' | b'0'..=b'9') if !textual(&element.kind) && element.kind != Kind::Bool => {
            match std::str::from_utf8(token)
                .ok()
                .and_then(|digits| digits.parse().ok())
            {
                Some(integer) => encode_short(ValueRef::Integer(integer), element, out),
                None => encode_short(ValueRef::Text(token), element, out),
            }
        }
        _ => Err(Reject::never(
            "an element that does not convert into the array's type",
        )),
    }
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

/// Reads all of `value`. With `jsonb`, duplicate keys are refused as well, since the server would keep only the last.
pub fn check(value: &[u8], jsonb: bool) -> Result<(), Reject> {
    let mut reader = Reader::new(value, jsonb)?;
    reader.blank();
    reader.value(0)?;
    reader.end()
}

struct Reader<'v> {
    value: &'v [u8],
    at: usize,
    unique_keys: bool,
}

impl<'v> Reader<'v> {
    fn new(value: &'v [u8], unique_keys: bool) -> Result<Self, Reject> {
        match std::str::from_utf8(value) {
            Ok(_) => Ok(Self {
                value,
                at: 0,
                unique_keys,
            }),
            Err(_) => Err(Reject::never("JSON that is not valid UTF-8")),
        }
    }

    fn rest(&self) -> &'v [u8] {
        &self.value[self.at..]
    }

    fn broken(&self) -> Reject {
        Reject::never(format!("not JSON (at byte {})", self.at))
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.value.get(self.at) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.value.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn end(&mut self) -> Result<(), Reject> {
        self.blank();
        if self.at == self.value.len() {
            Ok(())
        } else {
            Err(self.broken())
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Reject> {
        if depth > MAX_DEPTH {
            return Err(Reject::never(format!(
                "JSON nested deeper than {MAX_DEPTH} levels"
            )));
        }
        match self.value.get(self.at) {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<(), Reject> {
        let word = [&b"true"[..], b"false", b"null"]
            .into_iter()
            .find(|word| self.rest().starts_with(word));
        self.at += word.ok_or_else(|| self.broken())?.len();
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<(), Reject> {
        self.at += 1;
        self.blank();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.blank();
            self.value(depth + 1)?;
            self.blank();
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.broken());
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Reject> {
        self.at += 1;
        self.blank();
        if self.take(b'}') {
            return Ok(());
        }
        let mut keys: Vec<Cow<'v, str>> = Vec::new();
        loop {
            self.blank();
            if self.value.get(self.at) != Some(&b'"') {
                return Err(self.broken());
            }
            let key = self.string()?;
            if self.unique_keys {
                keys.push(unescape(key)?);
            }
            self.blank();
            if !self.take(b':') {
                return Err(self.broken());
            }
            self.blank();
            self.value(depth + 1)?;
            self.blank();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.broken());
            }
        }
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(()),
            Some(pair) => {
                let key = crate::text::printable(&pair[0], 40);
                Err(Reject::never(format!(
                    "the key {key} twice in one object; jsonb keeps only the last"
                )))
            }
        }
    }

    /// The inside of a string, escapes checked but not resolved.
    fn string(&mut self) -> Result<&'v [u8], Reject> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.value.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.value[start..self.at - 1]);
                }
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) | None => return Err(self.broken()),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Reject> {
        match self.value.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let unit = hex4(self.value, self.at + 2).ok_or_else(|| self.broken())?;
                self.at += 6;
                match unit {
                    0 => Err(Reject::never(
                        "\\u0000, which PostgreSQL's text cannot hold",
                    )),
                    0xd800..=0xdbff if self.rest().starts_with(b"\\u") => {
                        let low = hex4(self.value, self.at + 2).ok_or_else(|| self.broken())?;
                        self.at += 6;
                        if (0xdc00..=0xdfff).contains(&low) {
                            Ok(())
                        } else {
                            Err(Self::lone())
                        }
                    }
                    0xd800..=0xdfff => Err(Self::lone()),
                    _ => Ok(()),
                }
            }
            _ => Err(self.broken()),
        }
    }

    fn lone() -> Reject {
        Reject::never("half of a surrogate pair in an escape")
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.value.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<(), Reject> {
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(self.broken());
        }
        if self.take(b'.') {
            let places = self.digits();
            if places == 0 {
                return Err(self.broken());
            }
            if places > 16_000 {
                return Err(Reject::never(
                    "a JSON number with more digits than numeric holds",
                ));
            }
        }
        if let Some(b'e' | b'E') = self.value.get(self.at) {
            self.at += 1;
            let negative = self.take(b'-');
            if !negative {
                self.take(b'+');
            }
            let start = self.at;
            if self.digits() == 0 {
                return Err(self.broken());
            }
            let exponent = std::str::from_utf8(&self.value[start..self.at])
                .ok()
                .and_then(|digits| digits.parse::<i64>().ok());
            let limit = if negative { 16_000 } else { MAX_EXPONENT };
            if exponent.is_none_or(|exponent| exponent > limit) {
                return Err(Reject::never("a JSON number beyond what numeric holds"));
            }
        }
        match self.value.get(self.at) {
            Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_') => Err(self.broken()),
            _ => Ok(()),
        }
    }
}

fn hex4(value: &[u8], at: usize) -> Option<u32> {
    let digits = value.get(at..at + 4)?;
    digits.iter().try_fold(0, |sum, digit| {
        Some(sum << 4 | (*digit as char).to_digit(16)?)
    })
}

/// A checked string's inside with its escapes resolved.
fn unescape(inside: &[u8]) -> Result<Cow<'_, str>, Reject> {
    let text =
        std::str::from_utf8(inside).map_err(|_| Reject::never("JSON that is not valid UTF-8"))?;
    if !inside.contains(&b'\\') {
        return Ok(Cow::Borrowed(text));
    }
    serde_json::from_str(&format!("\"{text}\""))
        .map(Cow::Owned)
        .map_err(|_| Reject::never("a JSON string that cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_json() {
        for text in [
            "null",
            " [1, 2.50, -0.1e+5] ",
            r#"{"a":{"b":[]},"c":"\u00e9\ud83d\ude00"}"#,
            "\"\"",
            "0",
        ] {
            assert_eq!(check(text.as_bytes(), true), Ok(()), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
        }
        for text in [
            "",
            "NaN",
            "[1,]",
            "{a:1}",
            "{'a':1}",
            "01",
            "1.",
            ".5",
            "+1",
            "[1 2]",
            "\"\t\"",
            "\"\\x\"",
            "tru",
            "nulls",
            "1_0",
            "[",
            r#""\ud800""#,
            r#""\u0000""#,
            "{\"a\":1,}",
            "1e999999",
            "// x\n1",
            "Infinity",
        ] {
            assert!(check(text.as_bytes(), true).is_err(), "{text}");
        }
    }

    #[test]
    fn duplicate_keys_count_after_unescaping() {
        assert!(check(br#"{"a":1,"\u0061":2}"#, true).is_err());
        assert!(
            check(br#"{"a":1,"a":2}"#, false).is_ok(),
            "json keeps its text"
        );
        assert!(check(br#"[{"a":1},{"a":2}]"#, true).is_ok());
    }

    #[test]
    fn deep_nesting_is_refused_without_recursing_for_ever() {
        let deep = "[".repeat(2_000_000);
        assert!(check(deep.as_bytes(), true).is_err());
    }
}
