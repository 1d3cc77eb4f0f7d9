//! JSON: a strict reader (RFC 8259) that also refuses what `jsonb` would drop or cannot hold, and bytes that are JSON in one of two ways.
//! Arrays are in [`super::array`].

use std::borrow::Cow;

use rusqlite::types::ValueRef;

use crate::runbook::transfer::Bytes;
use crate::transfer::convert::{Converter, Field, Reject, Use, Uses, text as bytes};
use crate::transfer::kind::Kind;

/// Deeper nesting may exhaust the server's stack.
const MAX_DEPTH: usize = 1_000;
/// `jsonb` holds numbers as `numeric`: so many digits before the point, and so many behind it.
const MAX_WHOLE_DIGITS: i64 = 131_072;
const MAX_PLACES: i64 = 16_383;
const JSONB_VERSION: [u8; 1] = [1];

/// Text into `json` or `jsonb`, after checking all of it.
pub fn text<'v>(
    value: &'v [u8],
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Field<'v>, Reject> {
    let (kind, for_jsonb) = (&converter.kind, converter.kind == Kind::Jsonb);
    let Examined {
        nuls,
        has_negative_zero,
    } = examine(value, for_jsonb)?;
    let mut uses = Uses::NONE;
    if for_jsonb && has_negative_zero {
        if !converter.policy.negative_zero_drop {
            return Err(Reject::unless(
                "negative_zero: drop",
                "negative zero in JSON, of which jsonb does not keep the sign",
            ));
        }
        uses.add(Use::NegativeZero);
    }
    // `json` keeps the text as it is written, escapes included.
    if nuls.is_empty() || !for_jsonb && !converter.policy.nul_strip {
        let field = bytes::pass(value, prefix(kind), out)?;
        return Ok(Field {
            uses: field.uses.and(uses),
            ..field
        });
    }
    if !converter.policy.nul_strip {
        return Err(Reject::unless(
            "nul: strip",
            "\\u0000, which PostgreSQL's text cannot hold",
        ));
    }
    let stripped = without(value, &nuls);
    // Two keys may be one without their NULs.
    examine(&stripped, for_jsonb)?;
    bytes::put_bytes(&[prefix(kind), &stripped].concat(), out)?;
    Ok(Field::with(uses.and(Uses::one(Use::Nul))))
}

/// The text without the escapes at these places.
fn without(value: &[u8], nuls: &[usize]) -> Vec<u8> {
    const ESCAPE_BYTES: usize = 6;
    let mut kept = Vec::with_capacity(value.len());
    let mut from = 0;
    for at in nuls {
        kept.extend_from_slice(&value[from..*at]);
        from = at + ESCAPE_BYTES;
    }
    kept.extend_from_slice(&value[from..]);
    kept
}

/// A number that is JSON as it stands.
pub fn scalar(value: &str, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    text(value.as_bytes(), converter, out).map(|field| field.uses)
}

/// Bytes: JSON text by `bytes: text`, SQLite's binary JSON by `jsonb_blob: decode`. Some are both: `8080` is a number as text, and as
/// binary JSON the string `080`. Those are only read as what the runbook says that all of the column are, and never by guess.
pub fn blob<'v>(
    value: &'v [u8],
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Field<'v>, Reject> {
    let policy = &converter.policy;
    let as_text = policy.bytes == Some(Bytes::Text);
    let is_text = examine(value, false).is_ok();
    let decoded = decode_blob(value);
    match (is_text, decoded) {
        (false, None) => Err(Reject::never(
            "a blob that is neither JSON text nor SQLite's binary JSON",
        )),
        (true, Some(decoded)) if !as_text || policy.jsonb_blob_decode => {
            let ours = crate::text::printable(&String::from_utf8_lossy(value), 40);
            let theirs = crate::text::printable(&decoded, 40);
            let reason = format!(
                "bytes that are JSON in two ways: {ours} as text, {theirs} as SQLite's binary JSON"
            );
            Err(Reject {
                reason: reason.into(),
                policy: Some("bytes: ?"),
            })
        }
        (true, _) if as_text => {
            let field = text(value, converter, out)?;
            Ok(Field {
                uses: field.uses.and(Uses::one(Use::Bytes)),
                ..field
            })
        }
        (true, _) => Err(Reject::unless("bytes: text", "a blob that is JSON text")),
        (false, Some(decoded)) if policy.jsonb_blob_decode => {
            let field = text(decoded.as_bytes(), converter, out)?;
            if let Some(tail) = field.tail {
                out.extend_from_slice(tail);
            }
            Ok(Field::with(field.uses.and(Uses::one(Use::JsonbBlob))))
        }
        (false, Some(_)) => Err(Reject::unless(
            "jsonb_blob: decode",
            "a blob that is SQLite's binary JSON",
        )),
    }
}

/// The format belongs to SQLite, so SQLite reads it, after a strict look: its `json()` would take a blob of JSON text as well.
fn decode_blob(value: &[u8]) -> Option<String> {
    thread_local! {
        static SQLITE: Option<rusqlite::Connection> = rusqlite::Connection::open_in_memory().ok();
    }
    SQLITE.with(|sqlite| {
        let mut statement = sqlite
            .as_ref()?
            .prepare_cached("SELECT json(?1) WHERE json_valid(?1, 8)")
            .ok()?;
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

/// What a look at JSON text finds besides errors.
pub(super) struct Examined {
    /// Where `\u0000` stands.
    nuls: Vec<usize>,
    /// `-0`, `-0.0`, `-0e5`.
    has_negative_zero: bool,
}

/// Reads all of `value`. With `for_jsonb`, keys that occur twice are refused, of which it would keep only the last.
pub(super) fn examine(value: &[u8], for_jsonb: bool) -> Result<Examined, Reject> {
    let mut reader = Reader::new(value, for_jsonb)?;
    reader.blank();
    reader.value(0)?;
    reader.end()?;
    Ok(Examined {
        nuls: reader.nuls,
        has_negative_zero: reader.has_negative_zero,
    })
}

/// A look at JSON text, from the front.
pub(super) struct Reader<'v> {
    value: &'v [u8],
    /// How far it is.
    pub(super) at: usize,
    for_jsonb: bool,
    /// Where `\u0000` stands.
    nuls: Vec<usize>,
    has_negative_zero: bool,
}

impl<'v> Reader<'v> {
    pub(super) fn new(value: &'v [u8], for_jsonb: bool) -> Result<Self, Reject> {
        match std::str::from_utf8(value) {
            Ok(_) => Ok(Self {
                value,
                at: 0,
                for_jsonb,
                nuls: Vec::new(),
                has_negative_zero: false,
            }),
            Err(_) => Err(Reject::never("JSON that is not valid UTF-8")),
        }
    }

    pub(super) fn rest(&self) -> &'v [u8] {
        &self.value[self.at..]
    }

    pub(super) fn broken(&self) -> Reject {
        Reject::never(format!("not JSON (at byte {})", self.at))
    }

    pub(super) fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.value.get(self.at) {
            self.at += 1;
        }
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.value.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn end(&mut self) -> Result<(), Reject> {
        self.blank();
        if self.at == self.value.len() {
            Ok(())
        } else {
            Err(self.broken())
        }
    }

    pub(super) fn value(&mut self, depth: usize) -> Result<(), Reject> {
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
            if self.for_jsonb {
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
                    0 => {
                        self.nuls.push(self.at - 6);
                        Ok(())
                    }
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

    /// The exponent of a number; zero where none is written, and none where it is beyond 64 bits.
    fn exponent(&mut self) -> Result<Option<i64>, Reject> {
        let Some(b'e' | b'E') = self.value.get(self.at) else {
            return Ok(Some(0));
        };
        self.at += 1;
        let is_negative = self.take(b'-');
        if !is_negative {
            self.take(b'+');
        }
        let start = self.at;
        if self.digits() == 0 {
            return Err(self.broken());
        }
        let digits = std::str::from_utf8(&self.value[start..self.at]).ok();
        let exponent = digits.and_then(|digits| digits.parse::<i64>().ok());
        Ok(exponent.map(|exponent| if is_negative { -exponent } else { exponent }))
    }

    fn number(&mut self) -> Result<(), Reject> {
        let is_negative = self.take(b'-');
        let start = self.at;
        let whole = match self.take(b'0') {
            true => 1,
            false => self.digits(),
        };
        if whole == 0 {
            return Err(self.broken());
        }
        let mut places = 0;
        if self.take(b'.') {
            places = self.digits();
            if places == 0 {
                return Err(self.broken());
            }
        }
        let mantissa = &self.value[start..self.at];
        let is_zero = mantissa.iter().all(|byte| matches!(byte, b'0' | b'.'));
        self.has_negative_zero |= is_negative && is_zero;
        let exponent = self.exponent()?;
        // What is beyond 64 bits is beyond both limits.
        let length = |digits: usize| i64::try_from(digits).unwrap_or(i64::MAX);
        let before = exponent.and_then(|exponent| length(whole).checked_add(exponent));
        let behind = exponent.and_then(|exponent| length(places).checked_sub(exponent));
        let fits = before.is_some_and(|digits| digits <= MAX_WHOLE_DIGITS)
            && behind.is_some_and(|places| places <= MAX_PLACES);
        if self.for_jsonb && !fits {
            return Err(Reject::never("a JSON number beyond what numeric holds"));
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
pub(super) fn unescape(inside: &[u8]) -> Result<Cow<'_, str>, Reject> {
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
mod tests;
