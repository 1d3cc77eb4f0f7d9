//! Moments as languages and mail spell them: Go's and Ruby's offsets behind a blank, Java's zone in brackets, dates with the month's
//! name. What they say is unambiguous or refused: a zone's name alone (`CET`) is never taken for an offset.

use crate::transfer::convert::Reject;
use crate::transfer::convert::instant::{Cursor, Parsed, day};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// From 1970-01-01, a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Seconds east, from what follows a time: `Z`, `+02:00`, ` UTC`, ` +0200`, ` +0200 CEST m=+0.01`, `+01:00[Europe/Berlin]`.
pub(super) fn offset(rest: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(rest).ok()?;
    let text = without_monotonic(text);
    if let Some((offset, zone)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        let is_zone = |c: char| c.is_ascii_alphanumeric() || "/_+-:".contains(c);
        return zone.chars().all(is_zone).then(|| written(offset))?;
    }
    let Some(words) = text.strip_prefix(' ') else {
        return written(text);
    };
    match words.split_once(' ') {
        None => named(words).or_else(|| written(words)),
        Some((offset, name)) => {
            let offset_s = written(offset)?;
            let is_name = (1..=6).contains(&name.len())
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-".contains(c));
            let agrees = named(name).is_none_or(|zero| zero == offset_s);
            (is_name && agrees).then_some(offset_s)
        }
    }
}

/// Go's reading of its monotonic clock, which says nothing about the moment.
fn without_monotonic(text: &str) -> &str {
    let Some((before, reading)) = text.rsplit_once(" m=") else {
        return text;
    };
    let is_reading = reading.starts_with(['+', '-'])
        && reading.len() > 1
        && reading[1..]
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_reading { before } else { text }
}

/// The zones whose names are offsets.
fn named(name: &str) -> Option<i64> {
    matches!(name, "UTC" | "GMT" | "Z").then_some(0)
}

fn written(text: &str) -> Option<i64> {
    let mut cursor = Cursor(text.as_bytes());
    cursor.offset().filter(|_| cursor.0.is_empty())
}

/// A date with the name of its month, if it looks like one: of `Date.toString()` in Java and JavaScript, of mail and HTTP, of `ctime`.
pub(super) fn with_month(value: &[u8]) -> Option<Result<Parsed, Reject>> {
    let text = std::str::from_utf8(value).ok()?;
    let has_month = MONTHS.iter().any(|month| text.contains(month));
    (has_month && text.is_ascii()).then(|| {
        read(text).ok_or_else(|| {
            Reject::never(
                "not a date with the name of its month that says its zone as an offset, UTC or GMT",
            )
        })
    })
}

fn read(text: &str) -> Option<Parsed> {
    // JavaScript says the zone's name in parentheses behind its offset.
    let text = match text.strip_suffix(')') {
        Some(inner) => inner.split_once(" (")?.0,
        None => text,
    };
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    let first = words.first()?;
    let weekday = WEEKDAYS
        .iter()
        .position(|name| *name == first.trim_end_matches(','));
    if weekday.is_some() {
        words.remove(0);
    }
    let (month, day_of_month, year, time, zone) = match *words.as_slice() {
        // Feb 29 12:34:56 UTC 2024
        [month, day, time, zone, year] if time.contains(':') => {
            (month, day, year, time, Some(zone))
        }
        // Feb 29 12:34:56 2024
        [month, day, time, year] if time.contains(':') => (month, day, year, time, None),
        // 29 Feb 2024 12:34:56 GMT, Feb 29 2024 12:34:56 GMT+0100
        [one, other, year, time, zone] if time.contains(':') => {
            if one.starts_with(|c: char| c.is_ascii_digit()) {
                (other, one, year, time, Some(zone))
            } else {
                (one, other, year, time, Some(zone))
            }
        }
        _ => return None,
    };
    let number = |text: &str, most: usize| -> Option<i64> {
        let plain = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok())?
    };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let year = number(year, 4).filter(|year| *year >= 1_000)? as i32;
    let days = day(year, month as u32, number(day_of_month, 2)? as u32)?;
    if weekday.is_some_and(|weekday| days.rem_euclid(7) != weekday as i64) {
        return None;
    }
    let mut cursor = Cursor(time.as_bytes());
    let clock = cursor.clock(true).filter(|_| cursor.0.is_empty())?;
    let offset_s = match zone {
        None => None,
        Some(zone) => {
            Some(named(zone).or_else(|| written(zone.strip_prefix("GMT").unwrap_or(zone)))?)
        }
    };
    Some(Parsed {
        days: Some(days),
        year,
        time: Some(clock),
        offset_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_in_words() {
        for (rest, seconds) in [
            (" +0000 UTC", 0),
            (" +0545 +0545 m=+0.014533293", 20_700),
            (" +0200 CEST", 7_200),
            (" -0700 MST m=-1.5", -25_200),
            (" UTC", 0),
            (" +0200", 7_200),
            (" +02:00", 7_200),
            ("+01:00[Europe/Berlin]", 3_600),
            ("Z[UTC]", 0),
            ("Z", 0),
        ] {
            assert_eq!(offset(rest.as_bytes()), Some(seconds), "{rest}");
        }
        for rest in [
            " CET",
            " Europe/Berlin",
            " +0200 UTC",
            " m=+0.1",
            "[Europe/Berlin]",
            " +0200 CEST x",
            "  UTC",
            " +02",
            "x",
        ] {
            let is_offset = rest == " +02";
            assert_eq!(offset(rest.as_bytes()).is_some(), is_offset, "{rest}");
        }
    }

    #[test]
    fn dates_with_the_name_of_their_month() {
        let expected = Some((19_782, 45_296, Some(0)));
        let read = |text: &str| {
            let parsed = with_month(text.as_bytes())?.ok()?;
            let clock = parsed.time?;
            Some((parsed.days?, clock.seconds, parsed.offset_s))
        };
        for text in [
            "Thu Feb 29 12:34:56 UTC 2024",
            "Thu, 29 Feb 2024 12:34:56 GMT",
            "Thu, 29 Feb 2024 12:34:56 +0000",
            "29 Feb 2024 12:34:56 GMT",
            "Thu Feb 29 2024 12:34:56 GMT+0000 (Coordinated Universal Time)",
            "Thu Feb 29 12:34:56 +0000 2024",
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        let hour_east = read("Thu Feb 29 2024 12:34:56 GMT+0100 (CET)");
        assert_eq!(hour_east, Some((19_782, 45_296, Some(3_600))));
        assert_eq!(
            read("Thu Feb 29 12:34:56 2024"),
            Some((19_782, 45_296, None))
        );
        for text in [
            "Thu Feb 29 12:34:56 CET 2024",
            "Fri Feb 29 12:34:56 UTC 2024",
            "Thu Feb 30 12:34:56 UTC 2024",
            "Feb 2024",
            "Thu Feb 29 12:34 UTC 2024",
        ] {
            assert!(
                with_month(text.as_bytes()).expect("a month").is_err(),
                "{text}"
            );
        }
        assert!(with_month(b"2024-02-29").is_none());
    }
}
