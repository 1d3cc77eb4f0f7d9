//! The checker's own reading of moments as languages spell them: what follows a time (` +0200 CEST m=+0.1`, ` UTC`,
//! `+01:00[Europe/Berlin]`), and dates with the name of their month. A zone by its name alone is no offset.

use super::instant::{DAY_US, Span, Written, days_from_civil, offset_s, time_of_day};

/// Seconds east that a tail says.
pub(super) fn tail(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words: Vec<&str> = text.split(' ').collect();
    if words.len() > 1 && is_monotonic(words[words.len() - 1]) {
        words.pop();
    }
    match *words.as_slice() {
        [bracketed] => {
            let (offset, zone) = bracketed.strip_suffix(']')?.split_once('[')?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-:".contains(&byte);
            (!zone.is_empty() && zone.bytes().all(plain)).then(|| offset_s(offset.as_bytes()))?
        }
        ["", "UTC" | "GMT" | "Z"] => Some(0),
        ["", offset] => offset_s(offset.as_bytes()),
        ["", offset, name] => {
            let seconds = offset_s(offset.as_bytes())?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-".contains(&byte);
            let short = matches!(name.len(), 1..=6) && name.bytes().all(plain);
            let contradicts = seconds != 0 && matches!(name, "UTC" | "GMT" | "Z");
            (short && !contradicts).then_some(seconds)
        }
        _ => None,
    }
}

fn is_monotonic(word: &str) -> bool {
    match word
        .strip_prefix("m=+")
        .or_else(|| word.strip_prefix("m=-"))
    {
        Some(reading) => {
            !reading.is_empty() && reading.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        }
        None => false,
    }
}

/// A date with the name of its month. Each word is told by its own look, and there may be one of each.
pub(super) fn with_month(text: &[u8]) -> Option<Written> {
    const NAMES: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const WEEK: &str = "MonTueWedThuFriSatSun";
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.is_ascii())?;
    let text = text.split(" (").next()?;
    let place = |names: &str, word: &str| {
        (word.len() == 3)
            .then(|| names.find(word))?
            .filter(|at| at % 3 == 0)
            .map(|at| at as i64 / 3)
    };
    let (mut weekday, mut month, mut day, mut year, mut time, mut zone) =
        (None, None, None, None, None, None);
    for (at, word) in text.split_ascii_whitespace().enumerate() {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let slot_taken = if at == 0 && place(WEEK, word.trim_end_matches(',')).is_some() {
            weekday
                .replace(place(WEEK, word.trim_end_matches(','))?)
                .is_some()
        } else if let Some(found) = place(NAMES, word) {
            month.replace(found + 1).is_some()
        } else if digits && word.len() <= 2 {
            day.replace(word.parse::<i64>().ok()?).is_some()
        } else if digits && word.len() == 4 {
            year.replace(word.parse::<i64>().ok()?).is_some()
        } else if word.as_bytes().get(2) == Some(&b':') {
            if word.matches(':').count() != 2 {
                return None;
            }
            let (of_day, none) = time_of_day(word.as_bytes())?;
            time.replace(of_day).is_some() || none.is_some()
        } else {
            let offset = match word {
                "UTC" | "GMT" | "Z" => 0,
                _ => offset_s(word.strip_prefix("GMT").unwrap_or(word).as_bytes())?,
            };
            zone.replace(offset).is_some()
        };
        if slot_taken {
            return None;
        }
    }
    let days = days_from_civil(year.filter(|year| *year >= 1_000)?, month?, day?)?;
    // 1970-01-01 was a Thursday.
    if weekday.is_some_and(|weekday| (days + 3).rem_euclid(7) != weekday) {
        return None;
    }
    Some(Written {
        days,
        time: Some(time?),
        offset_s: zone,
    })
}

/// A span with its days in words, or with more hours than a day has: `1 day, 2:03:04`, `-1 days +02:03:04`, `26:03:04`. None where digits
/// beyond those that the column keeps would be cut from days and time of different signs.
pub(super) fn span(text: &[u8], digits: u8) -> Option<Span> {
    let text = std::str::from_utf8(text).ok()?;
    let number = |digits: &str, longest: usize| -> Option<i64> {
        let plain = (1..=longest).contains(&digits.len());
        let plain = plain && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    let words: Vec<&str> = text.split(' ').collect();
    let (days, clock) = match *words.as_slice() {
        [clock] => (None, clock),
        [count, "day" | "days" | "day," | "days,", clock] => {
            let size = number(count.trim_start_matches('-'), 10)?;
            let negative = match count.len() - count.trim_start_matches('-').len() {
                0 => false,
                1 => true,
                _ => return None,
            };
            let days = if negative { -size } else { size };
            // As far as PostgreSQL counts days.
            (Some(i64::from(i32::try_from(days).ok()?)), clock)
        }
        _ => return None,
    };
    let (negative, clock) = match clock.strip_prefix('-') {
        Some(clock) => (true, clock),
        None if days.is_some() => (false, clock.strip_prefix('+').unwrap_or(clock)),
        None => (false, clock),
    };
    let (hours, rest) = clock.split_once(':')?;
    let hours = number(hours, 8).filter(|hours| *hours < 24 || days.is_none())?;
    let (within, none) = time_of_day(format!("00:{rest}").as_bytes())?;
    let days = days.unwrap_or(0);
    let apart = days != 0 && (days < 0) != negative;
    let cut = rest
        .split_once('.')
        .is_some_and(|(_, fraction)| fraction.len() > usize::from(digits));
    if none.is_some() || rest.matches(':').count() != 1 || apart && cut {
        return None;
    }
    let of_clock = i128::from(hours) * 3_600_000_000 + i128::from(within.us);
    let of_days = i128::from(days) * i128::from(DAY_US);
    Some(Span {
        months: 0,
        us: of_days + if negative { -of_clock } else { of_clock },
        rest: within.rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_languages_write_is_read() {
        for (text, seconds) in [
            (" +0545 +0545 m=+0.014533293", Some(20_700)),
            (" +0200 CEST", Some(7_200)),
            (" UTC", Some(0)),
            ("+01:00[Europe/Berlin]", Some(3_600)),
            (" +0200 UTC", None),
            (" CEST", None),
            (" Europe/Berlin", None),
            ("[UTC]", None),
        ] {
            assert_eq!(tail(text.as_bytes()), seconds, "{text}");
        }
        for (text, offset) in [
            ("Thu Feb 29 12:34:56 UTC 2024", Some(0)),
            ("Thu, 29 Feb 2024 12:34:56 GMT", Some(0)),
            ("Thu Feb 29 2024 12:34:56 GMT+0100 (CET)", Some(3_600)),
            ("Thu Feb 29 12:34:56 2024", None),
        ] {
            let read = with_month(text.as_bytes()).expect(text);
            assert_eq!((read.days, read.offset_s), (19_782, offset), "{text}");
        }
        for text in [
            "Fri Feb 29 12:34:56 UTC 2024",
            "Thu Feb 29 12:34:56 CET 2024",
            "Feb 2024",
        ] {
            assert_eq!(with_month(text.as_bytes()), None, "{text}");
        }
    }
}
