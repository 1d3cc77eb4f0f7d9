//! SQLite's binary JSON, read by the format's description and not by SQLite: the checker must not share a reading with the import.
//!
//! Each element has a header: the type in the low four bits of its first byte, in the high ones the size of what follows, or how many
//! bytes (12: one, 13: two, 14: four, 15: eight) hold that size. Not in here: what the JSON means ([`super::json`]).

/// Deeper nesting is refused, as in JSON text.
const MAX_DEPTH: usize = 1000;

/// The document as JSON text without blanks, or `None` where the bytes are not well-formed to the last.
pub(crate) fn text(bytes: &[u8]) -> Option<String> {
    let mut out = String::new();
    let rest = element(bytes, 0, &mut out)?;
    rest.is_empty().then_some(out)
}

/// Takes one element off the front.
fn element<'b>(bytes: &'b [u8], depth: usize, out: &mut String) -> Option<&'b [u8]> {
    if depth > MAX_DEPTH {
        return None;
    }
    let (kind, payload, rest) = parts(bytes)?;
    match kind {
        0 => word("null", payload, out)?,
        1 => word("true", payload, out)?,
        2 => word("false", payload, out)?,
        3 | 5 => number(payload, out)?,
        4 => hexadecimal(payload, out)?,
        6 => loose_float(payload, out)?,
        7..=10 => string(kind, payload, out)?,
        11 => array(payload, depth, out)?,
        12 => object(payload, depth, out)?,
        _ => return None,
    }
    Some(rest)
}

/// Type, content, and what follows.
fn parts(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let size_bytes = match first >> 4 {
        12 => 1,
        13 => 2,
        14 => 4,
        15 => 8,
        _ => 0,
    };
    let (size, rest) = rest.split_at_checked(size_bytes)?;
    let size = match size_bytes {
        0 => u64::from(first >> 4),
        _ => size
            .iter()
            .fold(0, |size, byte| size << 8 | u64::from(*byte)),
    };
    let (payload, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
    Some((first & 0x0f, payload, rest))
}

fn word(word: &str, payload: &[u8], out: &mut String) -> Option<()> {
    out.push_str(word);
    payload.is_empty().then_some(())
}

/// A number as JSON spells it.
fn number(payload: &[u8], out: &mut String) -> Option<()> {
    let text = std::str::from_utf8(payload).ok()?;
    let is_number = matches!(super::json::parse(text), Ok(super::json::Json::Number(..)));
    out.push_str(text);
    (is_number && !text.starts_with([' ', '\t', '\n', '\r'])).then_some(())
}

/// JSON5's `0x1F`, also `-0x1F`.
fn hexadecimal(payload: &[u8], out: &mut String) -> Option<()> {
    let text = std::str::from_utf8(payload).ok()?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(digits, 16).ok().filter(|_| plain)?;
    out.push_str(&format!("{sign}{number}"));
    Some(())
}

/// JSON5's `.5`, `5.` and `+5`.
fn loose_float(payload: &[u8], out: &mut String) -> Option<()> {
    let text = std::str::from_utf8(payload).ok()?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let lead = if digits.starts_with('.') { "0" } else { "" };
    let strict = format!("{sign}{lead}{digits}");
    let strict = match strict.find('.') {
        Some(at) if !strict[at + 1..].starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{}.0{}", &strict[..at], &strict[at + 1..])
        }
        _ => strict,
    };
    number(strict.as_bytes(), out)
}

/// 7: as it is; 8: with JSON's escapes; 9: with JSON5's; 10: not escaped yet.
fn string(kind: u8, payload: &[u8], out: &mut String) -> Option<()> {
    let text = std::str::from_utf8(payload).ok()?;
    let quoted = match kind {
        7 | 8 => format!("\"{text}\""),
        9 => format!("\"{}\"", strict_escapes(text)?),
        _ => serde_json::to_string(text).ok()?,
    };
    // Whatever it claims to be, it has to be one JSON string.
    if !matches!(
        super::json::parse_lenient(&quoted),
        Ok(super::json::Json::String(_))
    ) {
        return None;
    }
    out.push_str(&quoted);
    Some(())
}

/// JSON5's escapes as JSON's.
fn strict_escapes(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '"' {
            out.push_str("\\\"");
            continue;
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next()? {
            '\'' => out.push('\''),
            'v' => out.push_str("\\u000b"),
            '0' => out.push_str("\\u0000"),
            'x' => {
                let code: String = chars.by_ref().take(2).collect();
                out.push_str(&format!("\\u00{code}"));
            }
            '\n' | '\u{2028}' | '\u{2029}' => {}
            '\r' => {
                let mut ahead = chars.clone();
                if ahead.next() == Some('\n') {
                    chars = ahead;
                }
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Some(out)
}

fn array(mut payload: &[u8], depth: usize, out: &mut String) -> Option<()> {
    out.push('[');
    let mut first = true;
    while !payload.is_empty() {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        payload = element(payload, depth + 1, out)?;
    }
    out.push(']');
    Some(())
}

fn object(mut payload: &[u8], depth: usize, out: &mut String) -> Option<()> {
    out.push('{');
    let mut first = true;
    while !payload.is_empty() {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        let (kind, ..) = parts(payload)?;
        if !(7..=10).contains(&kind) {
            return None;
        }
        payload = element(payload, depth + 1, out)?;
        out.push(':');
        payload = element(payload, depth + 1, out)?;
    }
    out.push('}');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What SQLite writes is read as SQLite reads it.
    #[test]
    fn sqlites_own_documents_are_understood() {
        let sqlite = rusqlite::Connection::open_in_memory().expect("a database");
        for document in [
            "null",
            "[true,false]",
            "-12.5e3",
            r#"{"a":{"b":[1,2,"x"]},"c":"\u00e9\"\\"}"#,
            "\"plain\"",
            "[0x1F,.5,5.,-.5]",
            "{a:'it\\'s',b:\"\\x41\"}",
            "[]",
            "{}",
        ] {
            let (blob, expected): (Vec<u8>, String) = sqlite
                .query_row("SELECT jsonb(?1), json(jsonb(?1))", [document], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .expect("binary JSON");
            let ours = text(&blob).unwrap_or_else(|| panic!("{document}: {blob:x?}"));
            let parsed = |text: &str| super::super::json::parse_lenient(text);
            assert_eq!(parsed(&ours), parsed(&expected), "{document}: {ours}");
        }
        let long = format!("[\"{}\"]", "x".repeat(70_000));
        let blob: Vec<u8> = sqlite
            .query_row("SELECT jsonb(?1)", [&long], |row| row.get(0))
            .expect("binary JSON");
        assert_eq!(text(&blob), Some(long));
    }

    #[test]
    fn bytes_that_end_early_or_late_are_none() {
        for bytes in [
            &b""[..],
            b"\x2b\x13",
            b"\x2b\x1377",
            b"\x00\x00",
            b"\x0d",
            b"\x13x",
            b"\x2c\x137",
            b"\xfb\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(text(bytes), None, "{bytes:x?}");
        }
        assert_eq!(
            text(b"8080").as_deref(),
            Some("\"080\""),
            "JSON text as well"
        );
    }
}
