//! JSON as `jsonb` sees it: key order and white space do not matter, numbers compare as numbers, strings as characters.
//!
//! A strict reader of its own, because the checker must see duplicate keys and keep every digit of a number.

use super::decimal::Decimal;
use std::collections::BTreeMap;

/// Deeper nesting is refused; SQLite's own functions stop at the same depth.
const MAX_DEPTH: usize = 1000;

/// A JSON value with exact numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, every digit kept.
    Number(Decimal, String),
    /// A string, its escapes resolved.
    String(String),
    /// An array in its order.
    Array(Vec<Json>),
    /// An object without duplicate keys.
    Object(BTreeMap<String, Json>),
}

/// Why a text is not JSON that `jsonb` holds unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotJson {
    /// It does not follow the grammar.
    Syntax,
    /// A key occurs twice in an object: `jsonb` would keep only the last.
    DuplicateKey,
    /// A lone surrogate or `\u0000`, which `jsonb` cannot hold.
    Character,
    /// Nested deeper than this reader goes.
    TooDeep,
}

/// Reads one JSON document as `jsonb` would hold it.
pub(crate) fn parse(text: &str) -> Result<Json, NotJson> {
    read(text, false)
}

/// Reads one JSON document in which `\\u0000` may stand, and numbers of any size. For those it gives zero: only whether it is JSON counts.
pub(crate) fn parse_lenient(text: &str) -> Result<Json, NotJson> {
    read(text, true)
}

/// The text without its escapes `\\u0000`; `None` where it has none.
pub(crate) fn without_nul(text: &str) -> Option<String> {
    const NUL: &str = "\\u0000";
    if !text.contains(NUL) {
        return None;
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    let mut found = false;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // An escape is a backslash with what follows it, another backslash too.
        let length = match rest.strip_prefix(NUL) {
            Some(after) => {
                (rest, found) = (after, true);
                continue;
            }
            None => rest.chars().take(2).map(char::len_utf8).sum(),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out.push_str(rest);
    found.then_some(out)
}

fn read(text: &str, nul: bool) -> Result<Json, NotJson> {
    let mut reader = Reader {
        bytes: text.as_bytes(),
        text,
        at: 0,
        nul,
    };
    let value = reader.value(0)?;
    reader.space();
    if reader.at == text.len() {
        Ok(value)
    } else {
        Err(NotJson::Syntax)
    }
}

impl Json {
    /// The bytes that are equal exactly when the documents are.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Json::Null => out.push(b'n'),
            Json::Bool(value) => out.push(if *value { b't' } else { b'f' }),
            Json::Number(number, _) => sized(out, b'#', |out| number.write(out)),
            Json::String(text) => sized(out, b'"', |out| out.extend_from_slice(text.as_bytes())),
            Json::Array(items) => sized(out, b'[', |out| {
                items.iter().for_each(|item| item.write(out))
            }),
            Json::Object(members) => sized(out, b'{', |out| {
                for (key, value) in members {
                    sized(out, b'"', |out| out.extend_from_slice(key.as_bytes()));
                    value.write(out);
                }
            }),
        }
    }
}

fn sized(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    /// `\\u0000` is let pass.
    nul: bool,
}

impl Reader<'_> {
    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(NotJson::Syntax)
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, NotJson> {
        if depth > MAX_DEPTH {
            return Err(NotJson::TooDeep);
        }
        self.space();
        match self.bytes.get(self.at).ok_or(NotJson::Syntax)? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Json::String),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Json, NotJson> {
        for (word, value) in [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
        ] {
            if self.bytes[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(NotJson::Syntax)
    }

    fn number(&mut self) -> Result<Json, NotJson> {
        let start = self.at;
        while matches!(
            self.bytes.get(self.at),
            Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
        ) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let mantissa = text
            .trim_start_matches('-')
            .split(['e', 'E'])
            .next()
            .unwrap_or("");
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || fraction.is_empty() || leading_zero {
            return Err(NotJson::Syntax);
        }
        let exponent = text.split(['e', 'E']).nth(1).unwrap_or("0");
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let written = !exponent.is_empty() && exponent.bytes().all(|b| b.is_ascii_digit());
        let number = match Decimal::parse(text.as_bytes()) {
            Some(number) => number,
            None if self.nul && written => Decimal::of(0),
            None => return Err(NotJson::Syntax),
        };
        Ok(Json::Number(number, text.to_owned()))
    }

    fn array(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.at += 1;
        let mut members = BTreeMap::new();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(NotJson::Syntax);
            }
            let key = self.string()?;
            self.expect(b':')?;
            let value = self.value(depth + 1)?;
            if members.insert(key, value).is_some() {
                return Err(NotJson::DuplicateKey);
            }
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Result<String, NotJson> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.bytes[self.at..]
                .iter()
                .position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f))
                .ok_or(NotJson::Syntax)?;
            out.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain + 1;
            match self.bytes[self.at - 1] {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escape()?),
                _ => return Err(NotJson::Syntax),
            }
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        let byte = *self.bytes.get(self.at).ok_or(NotJson::Syntax)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(NotJson::Syntax),
        })
    }

    fn unicode(&mut self) -> Result<char, NotJson> {
        let high = self.hex4()?;
        let code = match high {
            0xD800..=0xDBFF => {
                if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                    return Err(NotJson::Character);
                }
                self.at += 2;
                let low = self.hex4()?;
                if !(0xDC00..=0xDFFF).contains(&low) {
                    return Err(NotJson::Character);
                }
                0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            }
            0 if !self.nul => return Err(NotJson::Character),
            other => other,
        };
        char::from_u32(code).ok_or(NotJson::Character)
    }

    fn hex4(&mut self) -> Result<u32, NotJson> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(NotJson::Syntax)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotJson::Syntax);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| NotJson::Syntax)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        parse(text)
            .unwrap_or_else(|e| panic!("{text}: {e:?}"))
            .write(&mut out);
        out
    }

    #[test]
    fn documents_are_equal_as_json() {
        for (a, b) in [
            (r#"{"a":1,"b":[2, 3]}"#, r#"{ "b": [2.0,3e0], "a": 1.00 }"#),
            (r#""\u00e9\ud83d\ude00\n""#, "\"é😀\\n\""),
            ("[]", " [ ] "),
        ] {
            assert_eq!(form(a), form(b), "{a}");
        }
        for (a, b) in [
            ("[1,2]", "[2,1]"),
            ("1", "\"1\""),
            ("null", "\"\""),
            ("[[],1]", "[[1]]"),
            ("1", "1.0000000000000000000001"),
        ] {
            assert_ne!(form(a), form(b), "{a}");
        }
    }

    #[test]
    fn nuls_are_cut_out_and_nothing_that_looks_like_one() {
        let cut = |text: &str| without_nul(text);
        assert_eq!(cut(r#""\\u0000""#).as_deref(), None);
        assert_eq!(cut(r#""\\\u0000é\u0000""#).as_deref(), Some(r#""\\é""#));
        assert_eq!(cut("\"plain\""), None);
    }

    #[test]
    fn names_what_jsonb_would_change_or_refuse() {
        assert_eq!(parse(r#"{"a":1,"a":1}"#), Err(NotJson::DuplicateKey));
        assert_eq!(parse(r#""\u0000""#), Err(NotJson::Character));
        assert_eq!(parse(r#""\ud83d""#), Err(NotJson::Character));
        assert_eq!(parse(&"[".repeat(5000)), Err(NotJson::TooDeep));
        for text in [
            "", "NaN", "{a:1}", "[1,]", "01", "1.", "-", "'a'", "{\"a\"}", "\"a", "1 2", "\"\t\"",
            "tru",
        ] {
            assert_eq!(parse(text), Err(NotJson::Syntax), "{text}");
        }
    }
}
