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
mod tests;
