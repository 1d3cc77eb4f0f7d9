//! The canonical form of a value as PostgreSQL writes it in text, under the settings that the checker pins for its session
//! (`TimeZone` UTC, `DateStyle` ISO, `IntervalStyle` iso_8601, `bytea_output` hex).

use super::Kind;
use super::decimal::Decimal;
use super::instant::{self, DAY_US, Digits, TimeOfDay};
use super::json::{self, Json};
use crate::parity::canon::{LARGE_BYTES, Row};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// The server wrote something that this reader does not understand. Never taken for equal, and never for a plain difference:
/// either the pinned settings did not hold, or this reader has a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Appends one cell for `text` (`None` for NULL) of a column of `kind` to `row`.
pub(crate) fn from_target(
    text: Option<&[u8]>,
    kind: &Kind,
    row: &mut Row,
) -> Result<(), Unreadable> {
    let Some(text) = text else {
        row.null();
        return Ok(());
    };
    match kind {
        Kind::Integer => row.number(integer(text).ok_or(Unreadable)?),
        Kind::Boolean if matches!(text, b"t" | b"f") => row.value(text),
        Kind::Boolean => return Err(Unreadable),
        Kind::Float64 => row.value(&float::<f64>(text)?.to_bits().to_be_bytes()),
        Kind::Float32 => row.value(&float::<f32>(text)?.to_bits().to_be_bytes()),
        Kind::Numeric { .. } => match Decimal::parse(text) {
            Some(number) => row.written(|out| number.write(out)),
            // NaN and infinity, which no SQLite value equals.
            None => row.value(text),
        },
        Kind::Text | Kind::Verbatim | Kind::JsonText | Kind::Label(_) => row.value(text),
        Kind::Padded => row.value(without_padding(text)),
        Kind::Bytes => bytes(text, row)?,
        Kind::Instant { .. } | Kind::Timestamp { .. } => row.number(moment(text)?),
        Kind::Date => row.number(date(text)?),
        Kind::Time { .. } => row.number(time(text)?),
        Kind::Interval { .. } => {
            let span = instant::iso_interval(text).ok_or(Unreadable)?;
            write_span(span.months, span.us, row);
        }
        Kind::Uuid => row.value(&uuid(text).ok_or(Unreadable)?),
        Kind::Json => {
            let text = std::str::from_utf8(text).map_err(|_| Unreadable)?;
            write_json(&json::parse(text).map_err(|_| Unreadable)?, row);
        }
        Kind::Address => row.value(&address(text).ok_or(Unreadable)?),
        Kind::Array(element) => array(text, element, row)?,
    }
    Ok(())
}

/// Digits with or without a minus before them, and nothing else.
fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // Eighteen digits cannot overflow; the few longer ones are read with care.
    if !(1..=18).contains(&digits.len()) {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let mut number = 0;
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        number = number * 10 + i64::from(value);
    }
    Some(if negative { -number } else { number })
}

fn float<T: std::str::FromStr>(text: &[u8]) -> Result<T, Unreadable> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.parse().ok())
        .ok_or(Unreadable)
}

/// `char(n)` without the blanks that fill it up.
pub(crate) fn without_padding(text: &[u8]) -> &[u8] {
    let kept = text.iter().rposition(|&b| b != b' ').map_or(0, |at| at + 1);
    &text[..kept]
}

/// `bytea` in hex; decoded straight into the row.
fn bytes(text: &[u8], row: &mut Row) -> Result<(), Unreadable> {
    let hex = text.strip_prefix(b"\\x").ok_or(Unreadable)?;
    if !hex.len().is_multiple_of(2) {
        return Err(Unreadable);
    }
    if hex.len() / 2 > LARGE_BYTES {
        let decoded: Vec<u8> = hex
            .chunks_exact(2)
            .map(pair)
            .collect::<Option<_>>()
            .ok_or(Unreadable)?;
        row.large(decoded.len() as u64, &Sha256::digest(&decoded));
        return Ok(());
    }
    row.written(|out| {
        for digits in hex.chunks_exact(2) {
            out.push(pair(digits).ok_or(Unreadable)?);
        }
        Ok(())
    })
}

/// The value of every hexadecimal digit; `NO_DIGIT` for other bytes.
const NIBBLES: [u8; 256] = {
    let mut nibbles = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        nibbles[b"0123456789abcdef"[value] as usize] = value as u8;
        nibbles[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    nibbles
};
const NO_DIGIT: u8 = 0xff;

fn pair(digits: &[u8]) -> Option<u8> {
    let (high, low) = (NIBBLES[digits[0] as usize], NIBBLES[digits[1] as usize]);
    (high | low != NO_DIGIT).then_some(high << 4 | low)
}

fn infinite(text: &[u8]) -> Option<i64> {
    match text {
        b"infinity" => Some(i64::MAX),
        b"-infinity" => Some(i64::MIN),
        _ => None,
    }
}

fn moment(text: &[u8]) -> Result<i64, Unreadable> {
    if let Some(end) = infinite(text) {
        return Ok(end);
    }
    let moment = instant::written(text).ok_or(Unreadable)?;
    let time = moment.time.unwrap_or(TimeOfDay { us: 0, rest: 0 });
    let (us, _) = time.fit(6, Digits::Exact).ok_or(Unreadable)?;
    let day = i128::from(moment.days) * i128::from(DAY_US);
    let of_day = i128::from(us - moment.offset_s.unwrap_or(0) * 1_000_000);
    instant::since_2000(day + of_day).ok_or(Unreadable)
}

fn date(text: &[u8]) -> Result<i64, Unreadable> {
    match infinite(text) {
        Some(end) => Ok(end),
        None => instant::written(text)
            .filter(|moment| moment.time.is_none())
            .map(|moment| moment.days)
            .ok_or(Unreadable),
    }
}

fn time(text: &[u8]) -> Result<i64, Unreadable> {
    if text == b"24:00:00" {
        return Ok(DAY_US);
    }
    let (time, _) = instant::time_of_day(text).ok_or(Unreadable)?;
    time.fit(6, Digits::Exact)
        .map(|(us, _)| us)
        .ok_or(Unreadable)
}

/// A span as bytes: months, then the rest.
pub(crate) fn write_span(months: i64, us: i128, row: &mut Row) {
    row.written(|out| {
        out.extend_from_slice(&months.to_be_bytes());
        out.extend_from_slice(&us.to_be_bytes());
    });
}

/// A document as bytes; a long one by its digest.
pub(crate) fn write_json(json: &Json, row: &mut Row) {
    let mut form = Vec::new();
    json.write(&mut form);
    row.value(&form);
}

/// Thirty-two hexadecimal digits, bare or grouped 8-4-4-4-12.
pub(crate) fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    /// Where the pairs of digits are when they are grouped.
    const GROUPED: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let mut id = [0; 16];
    match text.len() {
        32 => {
            for (byte, digits) in id.iter_mut().zip(text.chunks_exact(2)) {
                *byte = pair(digits)?;
            }
        }
        36 if [8, 13, 18, 23].iter().all(|&at| text[at] == b'-') => {
            for (byte, at) in id.iter_mut().zip(GROUPED) {
                *byte = pair(&text[at..])?;
            }
        }
        _ => return None,
    }
    Some(id)
}

/// An address and its prefix length, which is the whole address where none is written.
pub(crate) fn address(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let (mut form, whole) = match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => (v4.octets().to_vec(), 32),
        IpAddr::V6(v6) => (v6.octets().to_vec(), 128),
    };
    form.push(prefix.unwrap_or(whole));
    Some(form)
}

/// An array of one dimension: `{a,"b \"c\"",NULL}`.
fn array(text: &[u8], element: &Kind, row: &mut Row) -> Result<(), Unreadable> {
    let body = text.strip_prefix(b"{").and_then(|t| t.strip_suffix(b"}"));
    let Some(body) = body else {
        // Bounds other than 1..n (`[0:1]={…}`) have no JSON counterpart: as written.
        row.value(text);
        return Ok(());
    };
    if body.starts_with(b"{") {
        row.value(text);
        return Ok(());
    }
    let mut cells = Row::default();
    let mut rest = body;
    while !rest.is_empty() {
        let (item, quoted, tail) = array_item(rest)?;
        rest = tail;
        let null = !quoted && item == b"NULL";
        from_target((!null).then_some(item.as_slice()), element, &mut cells)?;
    }
    row.value(cells.bytes());
    Ok(())
}

/// The first item of an array's body, whether it was quoted, and what follows its comma.
fn array_item(body: &[u8]) -> Result<(Vec<u8>, bool, &[u8]), Unreadable> {
    let Some(quoted) = body.strip_prefix(b"\"") else {
        let end = body.iter().position(|&b| b == b',').unwrap_or(body.len());
        return Ok((
            body[..end].to_vec(),
            false,
            body.get(end + 1..).unwrap_or_default(),
        ));
    };
    let mut item = Vec::new();
    let mut at = 0;
    loop {
        match quoted.get(at).ok_or(Unreadable)? {
            b'"' => return Ok((item, true, quoted.get(at + 2..).unwrap_or_default())),
            b'\\' => {
                item.push(*quoted.get(at + 1).ok_or(Unreadable)?);
                at += 2;
            }
            byte => {
                item.push(*byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Rule, Taken, from_source};
    use super::*;
    use crate::runbook::transfer::{ColumnPolicy, Zone};
    use rusqlite::types::ValueRef;

    fn target(text: &str, kind: &Kind) -> Vec<u8> {
        let mut row = Row::default();
        from_target(Some(text.as_bytes()), kind, &mut row)
            .unwrap_or_else(|_| panic!("{text} as {kind:?}"));
        row.bytes().to_vec()
    }

    fn policy(settings: &[(&str, &str)]) -> ColumnPolicy {
        let mut policy = ColumnPolicy::default();
        settings
            .iter()
            .for_each(|(key, value)| policy.set(key, value).expect("a setting"));
        policy
    }

    fn source(value: ValueRef<'_>, kind: &Kind, policy: &ColumnPolicy) -> (Taken, Vec<u8>) {
        let mut row = Row::default();
        let rule = Rule {
            kind: kind.clone(),
            policy: policy.clone(),
            zone: Some(Zone::UTC),
            default: None,
        };
        let taken = from_source(value, &rule, &mut row);
        (taken, row.bytes().to_vec())
    }

    fn text(text: &str) -> ValueRef<'_> {
        ValueRef::Text(text.as_bytes())
    }

    #[test]
    fn equal_pairs_of_every_type_are_equal() {
        let none = ColumnPolicy::default();
        for (value, kind, shown) in [
            (ValueRef::Integer(-5), Kind::Integer, "-5"),
            (text("12"), Kind::Integer, "12"),
            (ValueRef::Integer(1), Kind::Boolean, "t"),
            (ValueRef::Real(0.1), Kind::Float64, "0.1"),
            (ValueRef::Real(1e308), Kind::Float64, "1e+308"),
            (ValueRef::Real(5e-324), Kind::Float64, "5e-324"),
            (ValueRef::Integer(3), Kind::Float64, "3"),
            (ValueRef::Real(0.5), Kind::Float32, "0.5"),
            (text("1.5"), Kind::Numeric { scale: Some(2) }, "1.50"),
            (
                ValueRef::Integer(7),
                Kind::Numeric { scale: Some(2) },
                "7.00",
            ),
            (text(""), Kind::Text, ""),
            (text("ab"), Kind::Padded, "ab  "),
            (ValueRef::Blob(b"\x00\xff"), Kind::Bytes, "\\x00ff"),
            (ValueRef::Blob(b""), Kind::Bytes, "\\x"),
            (
                text("2024-02-29 12:34:56.1234560+00:00"),
                Kind::Instant { digits: 6 },
                "2024-02-29 12:34:56.123456+00",
            ),
            (
                text("2024-02-29 12:34:56.5"),
                Kind::Timestamp { digits: 3 },
                "2024-02-29 12:34:56.5",
            ),
            (text("2024-02-29"), Kind::Date, "2024-02-29"),
            (
                text("12:34:56.5000000"),
                Kind::Time { digits: 6 },
                "12:34:56.5",
            ),
            (
                text("-1.02:03:04.5"),
                Kind::Interval { digits: 6 },
                "P-1DT-2H-3M-4.5S",
            ),
            (
                text("{A1B2C3D4-E5F6-4711-8899-AABBCCDDEEFF}"),
                Kind::Uuid,
                "a1b2c3d4-e5f6-4711-8899-aabbccddeeff",
            ),
            (
                text(r#"{"b":1,"a":[1.0]}"#),
                Kind::Json,
                r#"{"a": [1], "b": 1}"#,
            ),
            (
                text(r#"["a \"b\"",null,"NULL",""]"#),
                Kind::Array(Box::new(Kind::Text)),
                r#"{"a \"b\"",NULL,"NULL",""}"#,
            ),
            (text("[1,2]"), Kind::Array(Box::new(Kind::Integer)), "{1,2}"),
            (text("[]"), Kind::Array(Box::new(Kind::Integer)), "{}"),
            (text("paid"), Kind::Verbatim, "paid"),
            (text("FE80::1"), Kind::Address, "fe80::1"),
            (text("10.0.0.1/24"), Kind::Address, "10.0.0.1/24"),
            (
                text("2024-02-29 12:34:56"),
                Kind::Instant { digits: 6 },
                "2024-02-29 12:34:56+00",
            ),
        ] {
            assert_eq!(
                source(value, &kind, &none),
                (Taken::Exact, target(shown, &kind)),
                "{value:?} and {shown}"
            );
        }
    }

    #[test]
    fn unequal_pairs_are_unequal() {
        let none = ColumnPolicy::default();
        for (value, kind, shown) in [
            (ValueRef::Integer(2), Kind::Boolean, "t"),
            (ValueRef::Real(-0.0), Kind::Float64, "0"),
            (text("NaN"), Kind::Float64, "NaN"),
            (text("NaN"), Kind::Numeric { scale: None }, "NaN"),
            (text("12.345"), Kind::Numeric { scale: Some(2) }, "12.35"),
            (text("a"), Kind::Text, "A"),
            (text("e\u{301}"), Kind::Text, "é"),
            (ValueRef::Blob(b"A"), Kind::Text, "A"),
            (text("infinity"), Kind::Instant { digits: 6 }, "infinity"),
            (
                text("2024-02-29 12:34:56.1234567"),
                Kind::Instant { digits: 6 },
                "2024-02-29 12:34:56.123457+00",
            ),
            (
                text("2024-02-29 12:34:56"),
                Kind::Instant { digits: 6 },
                "2024-02-29 11:34:56+00",
            ),
            (
                text("2024-02-29 12:34:56+02:00"),
                Kind::Timestamp { digits: 6 },
                "2024-02-29 12:34:56",
            ),
            (text("2024-02-29 23:59:59"), Kind::Date, "2024-02-29"),
            (text(r#"{"a":1,"a":2}"#), Kind::Json, r#"{"a": 2}"#),
            (text(" 7"), Kind::Integer, "7"),
            (
                ValueRef::Integer(9_007_199_254_740_993),
                Kind::Float64,
                "9007199254740992",
            ),
        ] {
            assert_ne!(
                source(value, &kind, &none).1,
                target(shown, &kind),
                "{value:?} and {shown}"
            );
        }
    }

    #[test]
    fn what_a_policy_changes_is_known_as_such() {
        let lossy = policy(&[
            ("fraction", "truncate"),
            ("offset", "to_utc"),
            ("scale", "round"),
            ("nul", "strip"),
        ]);
        for (value, kind, shown) in [
            (
                text("2024-02-29 12:34:56.1234567+02:00"),
                Kind::Instant { digits: 6 },
                "2024-02-29 10:34:56.123456+00",
            ),
            (text("12.345"), Kind::Numeric { scale: Some(2) }, "12.35"),
            (text("a\0b"), Kind::Text, "ab"),
        ] {
            assert_eq!(
                source(value, &kind, &lossy),
                (Taken::ByPolicy, target(shown, &kind)),
                "{value:?}"
            );
        }
        let epoch = policy(&[("epoch", "ms")]);
        let instant = Kind::Instant { digits: 6 };
        assert_eq!(
            source(ValueRef::Integer(1_709_210_096_123), &instant, &epoch),
            (Taken::Exact, target("2024-02-29 12:34:56.123+00", &instant))
        );
        let julian = policy(&[("epoch", "julian")]);
        assert_eq!(
            source(ValueRef::Real(2_440_587.5), &instant, &julian),
            (Taken::Exact, target("1970-01-01 00:00:00+00", &instant))
        );
        let quarantine = policy(&[("on_problem", "quarantine")]);
        let ordinal = policy(&[("enum", "ordinal")]);
        let status = Kind::Label(vec!["pending".into(), "paid".into()]);
        assert_eq!(
            source(ValueRef::Integer(1), &status, &ordinal),
            (Taken::Exact, target("paid", &status))
        );
        assert_eq!(
            source(text("abc"), &Kind::Integer, &quarantine).0,
            Taken::Quarantined
        );
    }

    #[test]
    fn identifiers_and_integers_are_read_digit_by_digit() {
        let id = [
            0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x47, 0x11, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff,
        ];
        assert_eq!(uuid(b"a1b2c3d4-e5f6-4711-8899-aabbccddeeff"), Some(id));
        assert_eq!(uuid(b"A1B2C3D4E5F647118899AABBCCDDEEFF"), Some(id));
        for text in [
            &b"a1b2c3d4-e5f6-4711-8899-aabbccddeef"[..],
            b"a1b2c3d4-e5f6-4711-8899-aabbccddeefg",
            b"a1b2c3d4-e5f6-4711-8899aabbccddeeff0",
            b"-a1b2c3d4e5f647118899aabbccddeeff---",
            b"g1b2c3d4e5f647118899aabbccddeeff",
        ] {
            assert_eq!(uuid(text), None, "{}", String::from_utf8_lossy(text));
        }
        for number in [
            0,
            7,
            -7,
            i64::MAX,
            i64::MIN,
            999_999_999_999_999_999,
            1_000_000_000_000_000_000,
        ] {
            assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
        for text in [&b""[..], b"-", b"1 ", b"1a", b"9223372036854775808", b"--1"] {
            assert_eq!(integer(text), None, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn what_the_server_would_never_write_is_an_error() {
        for (shown, kind) in [
            ("yes", Kind::Boolean),
            ("29.02.2024", Kind::Date),
            ("00ff", Kind::Bytes),
            ("1 day", Kind::Interval { digits: 6 }),
            ("{", Kind::Json),
        ] {
            assert_eq!(
                from_target(Some(shown.as_bytes()), &kind, &mut Row::default()),
                Err(Unreadable),
                "{shown}"
            );
        }
    }
}
