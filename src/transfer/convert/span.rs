//! Durations in text: .NET's time spans, ISO 8601, moments counted from a day (`since:`), digits by `epoch:`.

use crate::transfer::convert::instant::{self, Cursor, rounded};
use crate::transfer::convert::{Converter, Reject, Use, Uses, epoch, put};
use crate::transfer::kind::Kind;

/// Text into `interval`.
pub fn text(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let Kind::Interval(precision) = converter.kind else {
        return Err(Reject::never("not an interval"));
    };
    if let Some(number) = instant::plain_number(value) {
        return epoch::number(number, converter, out);
    }
    if matches!(value, [b'P', ..] | [b'-', b'P', ..]) {
        return iso(value, precision, converter, out);
    }
    match converter.policy.since {
        Some(_) => since(value, precision, converter, out),
        // Those that count durations from 1970 come out near it.
        None if matches!(value, [b'1', b'9', b'6' | b'7', _, b'-', ..]) => Err(Reject::unless(
            "since: 1970-01-01",
            "a moment; counted from a day it would be a duration",
        )),
        None => match worded(value, precision) {
            Some(span) => {
                let (part, uses) = rounded(span.fraction, precision, converter)?;
                let micros = span.sign * (span.seconds * 1_000_000 + part);
                put_span(0, span.days, micros, out);
                Ok(uses)
            }
            None => time_span(value, precision, converter, out),
        },
    }
}

/// A span as Python and PostgreSQL write it.
struct Worded {
    days: i32,
    /// Of the time; days have their own.
    sign: i64,
    seconds: i64,
    fraction: instant::Clock,
}

/// `1 day, 2:03:04.5`, `-1 days +02:03:04`, `26:03:04`: days in words, and hours, minutes and seconds, of which there may be more than 24 hours
/// where there are no days.
fn worded(value: &[u8], precision: u8) -> Option<Worded> {
    let text = std::str::from_utf8(value).ok()?;
    let (days, time) = match text.split_once(" day") {
        Some((days, rest)) => {
            let rest = rest.strip_prefix('s').unwrap_or(rest);
            let rest = rest.strip_prefix(',').unwrap_or(rest);
            let number = plain(days.strip_prefix('-').unwrap_or(days))?;
            let number = if days.starts_with('-') {
                -number
            } else {
                number
            };
            (Some(i32::try_from(number).ok()?), rest.strip_prefix(' ')?)
        }
        None => (None, text),
    };
    let (sign, time) = match time.as_bytes().first()? {
        b'-' => (-1, &time[1..]),
        b'+' if days.is_some() => (1, &time[1..]),
        _ => (1, time),
    };
    let mut parts = time.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let (seconds, fraction) = match seconds.split_once('.') {
        Some((_, "")) => return None,
        Some(both) => both,
        None => (seconds, ""),
    };
    let two = |digits: &str| plain(digits).filter(|n| digits.len() == 2 && *n < 60);
    let hours = plain(hours).filter(|n| hours.len() <= 8 && (*n < 24 || days.is_none()))?;
    let (minutes, seconds) = (two(minutes)?, two(seconds)?);
    // Digits that are cut off would count from another side than the days.
    let mixed = days.is_some_and(|days| days != 0 && (days < 0) != (sign < 0));
    if parts.next().is_some() || mixed && fraction.len() > usize::from(precision) {
        return None;
    }
    Some(Worded {
        days: days.unwrap_or_default(),
        sign,
        seconds: hours * 3_600 + minutes * 60 + seconds,
        fraction: instant::fraction_of_second(fraction)?,
    })
}

/// Appends an interval: months, days and microseconds.
pub(super) fn put_span(months: i32, days: i32, micros: i64, out: &mut Vec<u8>) {
    let mut field = [0; 16];
    field[..8].copy_from_slice(&micros.to_be_bytes());
    field[8..12].copy_from_slice(&days.to_be_bytes());
    field[12..].copy_from_slice(&months.to_be_bytes());
    put(field, out);
}

/// .NET's `TimeSpan`: `[-][d.]hh:mm:ss[.fffffff]`. PostgreSQL's own parser would read the days as seconds.
fn time_span(
    value: &[u8],
    precision: u8,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let refuse =
        || Reject::never("not a time span of the form [-][d.]hh:mm:ss[.fffffff] or P1DT2H3M4.5S");
    let (negative, mut rest) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut days = 0i32;
    let colon = rest
        .iter()
        .position(|byte| *byte == b':')
        .ok_or_else(refuse)?;
    if let Some(dot) = rest[..colon].iter().position(|byte| *byte == b'.') {
        let digits = &rest[..dot];
        if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(refuse());
        }
        days = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
        rest = &rest[dot + 1..];
    }
    let mut cursor = Cursor(rest);
    let clock = cursor
        .clock(true)
        .filter(|_| cursor.0.is_empty())
        .ok_or_else(refuse)?;
    let (micros, uses) = rounded(clock, precision, converter)?;
    let sign = if negative { -1 } else { 1 };
    put_span(0, sign * days, i64::from(sign) * micros, out);
    Ok(uses)
}

/// A moment as its distance from midnight of the stated day.
fn since(
    value: &[u8],
    precision: u8,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let parsed = instant::parse(value)?;
    let (Some(days), Some(zero)) = (parsed.days, converter.policy.since) else {
        return Err(Reject::never("a time without a date"));
    };
    if parsed.offset_s.is_some_and(|offset_s| offset_s != 0) {
        return Err(Reject::never("an offset other than zero"));
    }
    let (of_day, uses) = match parsed.time {
        Some(clock) => rounded(clock, precision, converter)?,
        None => (0, Uses::NONE),
    };
    let zero = chrono::NaiveDate::from_ymd_opt(1970, 1, 1)
        .map_or(0, |unix| zero.signed_duration_since(unix).num_days());
    let length = (days - zero)
        .checked_mul(instant::DAY_US)
        .and_then(|whole| whole.checked_add(of_day))
        .ok_or_else(out_of_range)?;
    put_span(0, 0, length, out);
    Ok(uses.and(Uses::one(Use::Since)))
}

/// ISO 8601: `P1Y2M3W4DT5H6M7.5S`, each number with a sign of its own or one before all.
fn iso(
    value: &[u8],
    precision: u8,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let refuse = || Reject::never("not a duration of the form P1Y2M3DT4H5M6.7S");
    let text = std::str::from_utf8(value).map_err(|_| refuse())?;
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1_i64, text),
        None => (1, text),
    };
    let mut rest = text.strip_prefix('P').ok_or_else(refuse)?;
    let (mut months, mut days, mut micros) = (0_i64, 0_i64, 0_i64);
    let (mut uses, mut in_time, mut last) = (Uses::NONE, false, 0_usize);
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T').filter(|_| !in_time) {
            (rest, in_time) = (time, true);
            if rest.is_empty() {
                return Err(refuse());
            }
            continue;
        }
        let end = rest
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or_else(refuse)?;
        let (number, unit) = (&rest[..end], rest.as_bytes()[end]);
        rest = &rest[end + 1..];
        let (number_sign, digits) = match number.strip_prefix('-') {
            Some(digits) => (-sign, digits),
            None => (sign, number.strip_prefix('+').unwrap_or(number)),
        };
        // Units come in this order, each at most once.
        let place = b"YMWDHmS"
            .iter()
            .position(|known| *known == if in_time && unit == b'M' { b'm' } else { unit })
            .filter(|place| *place >= last && (*place >= 4) == in_time)
            .ok_or_else(refuse)?;
        last = place + 1;
        if place == 6 {
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            let seconds = plain(whole).ok_or_else(refuse)?;
            let clock = instant::fraction_of_second(fraction).ok_or_else(refuse)?;
            let (part, more) = rounded(clock, precision, converter)?;
            uses = uses.and(more);
            micros = add(micros, number_sign, seconds, 1_000_000)?;
            micros = add(micros, number_sign, part, 1)?;
            continue;
        }
        let number = plain(digits).ok_or_else(refuse)?;
        match place {
            0 => months = add(months, number_sign, number, 12)?,
            1 => months = add(months, number_sign, number, 1)?,
            2 => days = add(days, number_sign, number, 7)?,
            3 => days = add(days, number_sign, number, 1)?,
            4 => micros = add(micros, number_sign, number, 3_600_000_000)?,
            _ => micros = add(micros, number_sign, number, 60_000_000)?,
        }
    }
    let narrow = |number: i64| i32::try_from(number).map_err(|_| out_of_range());
    put_span(narrow(months)?, narrow(days)?, micros, out);
    Ok(uses)
}

fn out_of_range() -> Reject {
    Reject::never("a duration out of range")
}

fn plain(digits: &str) -> Option<i64> {
    let ok = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    ok.then(|| digits.parse().ok())?
}

fn add(sum: i64, sign: i64, number: i64, unit: i64) -> Result<i64, Reject> {
    number
        .checked_mul(unit)
        .and_then(|product| sum.checked_add(sign * product))
        .ok_or_else(out_of_range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::convert::tests::column;

    /// Months, days, microseconds.
    fn span(value: &str, settings: &[(&str, &str)]) -> Result<(i32, i32, i64), Reject> {
        let converter = column(Kind::Interval(6), settings);
        let mut out = Vec::new();
        text(value.as_bytes(), &converter, &mut out)?;
        let four = |at: usize| i32::from_be_bytes(out[at..at + 4].try_into().expect("four bytes"));
        let micros = i64::from_be_bytes(out[4..12].try_into().expect("eight bytes"));
        Ok((four(16), four(12), micros))
    }

    #[test]
    fn time_spans_are_dotnets() {
        let micros = -(2 * 3600 + 3 * 60 + 4) * 1_000_000i64 - 500_000;
        assert_eq!(span("-1.02:03:04.5", &[]), Ok((0, -1, micros)));
        for text in [
            "1.24:00:00",
            "1:02",
            "1 day",
            "02:03:04.12345678901234",
            "--01:00:00",
            "",
        ] {
            assert!(span(text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn days_in_words_and_many_hours_are_read() {
        let hour = 3_600_000_000_i64;
        for (text, expected) in [
            ("1 day, 2:00:00", (0, 1, 2 * hour)),
            ("-1 day, 23:00:00.5", (0, -1, 23 * hour + 500_000)),
            ("2 days 01:00:00", (0, 2, hour)),
            ("-1 days -01:00:00", (0, -1, -hour)),
            ("-1 days +01:00:00", (0, -1, hour)),
            ("26:00:00", (0, 0, 26 * hour)),
            ("-26:00:00", (0, 0, -26 * hour)),
            ("2:00:00", (0, 0, 2 * hour)),
        ] {
            assert_eq!(span(text, &[]), Ok(expected), "{text}");
        }
        for text in [
            "1 day, 24:00:00",
            "1 month 01:00:00",
            "1 day, 1:00",
            "+1:00:00",
            "1 days",
            "1:60:00",
            "1:00:00:00",
        ] {
            assert!(span(text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn iso_durations_keep_months_days_and_time_apart() {
        for (text, expected) in [
            ("P1DT2H3M4.5S", (0, 1, 7_384_500_000)),
            ("P1Y2M", (14, 0, 0)),
            ("P2W", (0, 14, 0)),
            ("-P1DT1S", (0, -1, -1_000_000)),
            ("P1DT-1S", (0, 1, -1_000_000)),
            ("PT0S", (0, 0, 0)),
        ] {
            assert_eq!(span(text, &[]), Ok(expected), "{text}");
        }
        for text in [
            "P", "PT", "P1", "P1S", "PT1D", "P1DT", "P1D1D", "PT1H1H", "P1.5D", "P-",
        ] {
            assert!(span(text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_counts_from_the_stated_day() {
        let since = [("since", "1970-01-01")];
        assert_eq!(
            span("1970-01-01 00:00:01.500000", &since),
            Ok((0, 0, 1_500_000))
        );
        assert_eq!(span("1969-12-31 23:59:59", &since), Ok((0, 0, -1_000_000)));
        assert_eq!(
            span("1970-01-01 00:00:01.500000", &[]).unwrap_err().policy,
            Some("since: 1970-01-01")
        );
    }
}
