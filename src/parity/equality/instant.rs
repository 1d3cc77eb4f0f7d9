//! Dates, times, instants and spans: one moment has one normal form however it is written.
//!
//! One strict reader serves both sides. It knows no words (`now`, `infinity`), guesses no order of day and month, and reads no
//! zone names. What a missing offset means and which digits may be dropped is decided by the caller.

/// Microseconds in a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// Microseconds from 1970 to 2000.
const TO_2000_US: i128 = 10_957 * DAY_US as i128;

/// A moment by its microseconds since 2000, from which 64 bits reach as far as PostgreSQL's own; given in microseconds since 1970.
pub(crate) fn since_2000(us: i128) -> Option<i64> {
    i64::try_from(us - TO_2000_US).ok()
}

/// A written moment, taken apart. Ranges are checked, the calendar included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Days since 1970-01-01 in the proleptic Gregorian calendar.
    pub(crate) days: i64,
    /// Time of the day, if one was written.
    pub(crate) time: Option<TimeOfDay>,
    /// Offset from UTC in seconds, if one was written.
    pub(crate) offset_s: Option<i64>,
}

/// A time of the day to the microsecond, and what its further digits were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeOfDay {
    /// Microseconds since midnight.
    pub(crate) us: i64,
    /// The digits after the microsecond, as a fraction of a microsecond in units of 10^-12 of it.
    pub(crate) rest: u64,
}

/// What happens to digits beyond a precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digits {
    /// They must be zero.
    Exact,
    /// They are dropped.
    Truncate,
    /// The nearest value is taken, halves upward.
    Round,
}

impl TimeOfDay {
    /// Microseconds since midnight with at most `precision` digits after the second, and whether that dropped anything.
    /// `None` if digits would be lost and must not be.
    pub(crate) fn fit(self, precision: u8, digits: Digits) -> Option<(i64, bool)> {
        let unit = 10_i64.pow(6 - u32::from(precision.min(6)));
        let below = self.us % unit;
        if below == 0 && self.rest == 0 {
            return Some((self.us, false));
        }
        let floor = self.us - below;
        match digits {
            Digits::Exact => None,
            Digits::Truncate => Some((floor, true)),
            Digits::Round => {
                let up = if unit == 1 {
                    self.rest >= 500_000_000_000
                } else {
                    below * 2 >= unit
                };
                Some((floor + if up { unit } else { 0 }, true))
            }
        }
    }
}

/// Reads what an application wrote: as [`written`], and as languages spell a moment.
pub(crate) fn spelled(text: &[u8]) -> Option<Written> {
    written(text).or_else(|| super::spelled::with_month(text))
}

/// Seconds east of `Z`, `±HH`, `±HHMM`, `±HH:MM`; nothing else.
pub(super) fn offset_s(text: &[u8]) -> Option<i64> {
    Reader(text).offset()?
}

/// Reads `YYYY-MM-DD[(space|T)HH:MM[:SS[.f…]]][Z|±HH[:MM[:SS]]]`, optionally with more year digits and a trailing ` BC`.
pub(crate) fn written(text: &[u8]) -> Option<Written> {
    let (text, before_christ) = match text.strip_suffix(b" BC") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let year_digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(4..=6).contains(&year_digits) {
        return None;
    }
    let mut at = Reader(text);
    let year = at.digits(year_digits)?;
    let month = at.after(b'-')?.digits(2)?;
    let day = at.after(b'-')?.digits(2)?;
    if year == 0 {
        return None;
    }
    let days = days_from_civil(if before_christ { 1 - year } else { year }, month, day)?;
    if at.0.is_empty() {
        return Some(Written {
            days,
            time: None,
            offset_s: None,
        });
    }
    match at.0[0] {
        b' ' | b'T' => at.0 = &at.0[1..],
        _ => return None,
    }
    let time = at.time()?;
    let offset_s = match at.0 {
        rest if rest.starts_with(b" ") || rest.ends_with(b"]") => Some(super::spelled::tail(rest)?),
        _ => at.offset()?,
    };
    Some(Written {
        days,
        time: Some(time),
        offset_s,
    })
}

/// Reads `HH:MM[:SS[.f…]]` and an optional offset.
pub(crate) fn time_of_day(text: &[u8]) -> Option<(TimeOfDay, Option<i64>)> {
    let mut at = Reader(text);
    let time = at.time()?;
    let offset_s = at.offset()?;
    Some((time, offset_s))
}

/// Days since 1970-01-01, or `None` where the calendar has no such day.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// A span: months apart from days and time, because a month has no fixed length. A day is 24 hours, as in PostgreSQL's `=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Whole months.
    pub(crate) months: i64,
    /// Days and time together, in microseconds.
    pub(crate) us: i128,
    /// Further digits of the last second, in units of 10^-12 of a microsecond, with the span's sign left out.
    pub(crate) rest: u64,
}

/// Reads .NET's `[-][d.]hh:mm:ss[.fffffff]`.
pub(crate) fn timespan(text: &[u8]) -> Option<Span> {
    let (negative, body) = match text.strip_prefix(b"-") {
        Some(body) => (true, body),
        None => (false, text),
    };
    let lead = body.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = Reader(body);
    let days = if body.get(lead) == Some(&b'.') {
        let days = (1..=8).contains(&lead).then(|| at.digits(lead))??;
        at.after(b'.')?;
        days
    } else {
        0
    };
    if at.0.len() < 8 {
        return None;
    }
    let time = at.time()?;
    if !at.0.is_empty() {
        return None;
    }
    let us = i128::from(days) * i128::from(DAY_US) + i128::from(time.us);
    Some(Span {
        months: 0,
        us: if negative { -us } else { us },
        rest: time.rest,
    })
}

/// Reads PostgreSQL's `IntervalStyle = iso_8601`: `P1Y2M3DT4H5M6.5S`, each number with its own sign.
pub(crate) fn iso_interval(text: &[u8]) -> Option<Span> {
    let (all_negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let mut rest = text.strip_prefix(b"P").filter(|rest| !rest.is_empty())?;
    let mut span = Span {
        months: 0,
        us: 0,
        rest: 0,
    };
    let mut in_time = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b"T") {
            (rest, in_time) = (after, true);
            continue;
        }
        let (negative, body) = match rest.strip_prefix(b"-") {
            Some(body) => (!all_negative, body),
            None => (all_negative, rest.strip_prefix(b"+").unwrap_or(rest)),
        };
        let length = body.iter().take_while(|b| b.is_ascii_digit()).count();
        let whole: i64 = std::str::from_utf8(&body[..length]).ok()?.parse().ok()?;
        let mut tail = &body[length..];
        let mut fraction = TimeOfDay { us: 0, rest: 0 };
        if let Some(after) = tail.strip_prefix(b".") {
            let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
            fraction = fraction_of_second(&after[..digits])?;
            tail = &after[digits..];
        }
        let sign = if negative { -1 } else { 1 };
        let day = i128::from(DAY_US);
        match (tail.first()?, in_time) {
            (b'Y', false) => add_months(&mut span, (sign * whole).checked_mul(12)?)?,
            (b'M', false) => add_months(&mut span, sign * whole)?,
            (b'W', false) => span.us += i128::from(sign * whole) * 7 * day,
            (b'D', false) => span.us += i128::from(sign * whole) * day,
            (b'H', true) => span.us += i128::from(sign * whole) * 3_600_000_000,
            (b'M', true) => span.us += i128::from(sign * whole) * 60_000_000,
            (b'S', true) => {
                span.rest = fraction.rest;
                span.us +=
                    i128::from(sign) * (i128::from(whole) * 1_000_000 + i128::from(fraction.us))
            }
            _ => return None,
        }
        rest = &tail[1..];
    }
    Some(span)
}

fn add_months(span: &mut Span, months: i64) -> Option<()> {
    span.months = span.months.checked_add(months)?;
    Some(())
}

/// A cursor over ASCII text; every method gives `None` where the text is not what it asks for.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (head, tail) = self.0.split_at_checked(count)?;
        let mut value = 0;
        for &byte in head {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(byte - b'0');
        }
        self.0 = tail;
        Some(value)
    }

    fn after(&mut self, byte: u8) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(self)
    }

    fn time(&mut self) -> Option<TimeOfDay> {
        let hour = self.digits(2)?;
        let minute = self.after(b':')?.digits(2)?;
        let mut second = 0;
        let mut fraction = TimeOfDay { us: 0, rest: 0 };
        if self.0.first() == Some(&b':') {
            second = self.after(b':')?.digits(2)?;
            if self.0.first() == Some(&b'.') {
                let body = &self.0[1..];
                let count = body.iter().take_while(|b| b.is_ascii_digit()).count();
                fraction = fraction_of_second(&body[..count])?;
                self.0 = &body[count..];
            }
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        Some(TimeOfDay {
            us: (hour * 3600 + minute * 60 + second) * 1_000_000 + fraction.us,
            rest: fraction.rest,
        })
    }

    /// `None` for rubbish, `Some(None)` where nothing is left.
    fn offset(&mut self) -> Option<Option<i64>> {
        let sign = match self.0.first() {
            None => return Some(None),
            Some(b'Z') if self.0.len() == 1 => return Some(Some(0)),
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => return None,
        };
        self.0 = &self.0[1..];
        let mut seconds = self.digits(2)? * 3600;
        for unit in [60, 1] {
            if self.0.first() == Some(&b':') {
                self.after(b':')?;
            } else if self.0.is_empty() {
                break;
            }
            let part = self.digits(2)?;
            if part > 59 {
                return None;
            }
            seconds += part * unit;
        }
        (self.0.is_empty() && seconds <= 57_600).then_some(Some(sign * seconds))
    }
}

/// The digits after the point of a second; at least one, at most eighteen.
fn fraction_of_second(digits: &[u8]) -> Option<TimeOfDay> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let number = |range: &[u8], width: usize| {
        (0..width).fold(0_u64, |value, at| {
            value * 10 + range.get(at).map_or(0, |b| u64::from(b - b'0'))
        })
    };
    let (head, tail) = digits.split_at(digits.len().min(6));
    Some(TimeOfDay {
        us: number(head, 6) as i64,
        rest: number(tail, 12),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Option<i64> {
        let moment = written(text.as_bytes())?;
        let (us, _) = moment
            .time
            .unwrap_or(TimeOfDay { us: 0, rest: 0 })
            .fit(6, Digits::Exact)?;
        Some(moment.days * DAY_US + us - moment.offset_s.unwrap_or(0) * 1_000_000)
    }

    #[test]
    fn an_instant_is_an_instant_however_it_is_written() {
        let expected = Some(1_709_210_096_123_456);
        for text in [
            "2024-02-29 12:34:56.123456",
            "2024-02-29T12:34:56.123456Z",
            "2024-02-29 12:34:56.1234560+00:00",
            "2024-02-29 14:34:56.123456+02",
            "2024-02-29 07:04:56.123456-05:30",
            "2024-02-29 14:34:56.123456+0200",
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
        assert_eq!(micros("1970-01-01"), Some(0));
        assert_eq!(micros("0001-01-01 00:00:00"), Some(-62_135_596_800_000_000));
        assert_eq!(
            micros("9999-12-31 23:59:59.999999"),
            Some(253_402_300_799_999_999)
        );
        assert_eq!(
            micros("0001-01-01 00:00:00+00 BC"),
            Some(-62_135_596_800_000_000 - 366 * DAY_US)
        );
    }

    #[test]
    fn guesses_nothing() {
        for text in [
            "now",
            "infinity",
            "",
            " ",
            "2023-02-29",
            "0000-00-00",
            "2024-02-30",
            "2024-13-01",
            "2024-01-01 24:00:00",
            "2024-01-01 23:59:60",
            "01/02/2024",
            "2024-1-2",
            "2024-01-01 1:02",
            "2024-01-01 12:34:56 CET",
            "2024-01-01 12:34:56.",
            "2024-01-01 12:34:56+99",
            "2024-01-01  12:34",
            "0000-01-01",
            "2024-01-01 12",
            "20240101",
            "2024-01-01 12:34:56Z ",
        ] {
            assert_eq!(written(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn digits_are_dropped_only_when_asked() {
        let time = |text: &str| time_of_day(text.as_bytes()).expect("a time").0;
        assert_eq!(time("00:00:00.1234567").fit(6, Digits::Exact), None);
        assert_eq!(
            time("00:00:00.1234567").fit(6, Digits::Truncate),
            Some((123_456, true))
        );
        assert_eq!(
            time("00:00:00.1234567").fit(6, Digits::Round),
            Some((123_457, true))
        );
        assert_eq!(
            time("23:59:59.9999999").fit(6, Digits::Round),
            Some((DAY_US, true))
        );
        assert_eq!(
            time("00:00:00.1234560").fit(6, Digits::Exact),
            Some((123_456, false))
        );
        assert_eq!(
            time("00:00:00.1235").fit(3, Digits::Round),
            Some((124_000, true))
        );
        assert_eq!(
            time("00:00:00.123").fit(3, Digits::Exact),
            Some((123_000, false))
        );
    }

    #[test]
    fn spans_of_both_sides_meet() {
        for (net, iso) in [
            ("-1.02:03:04.5", "P-1DT-2H-3M-4.5S"),
            ("00:00:00", "PT0S"),
            ("10.00:00:00", "P10D"),
            ("01:00:00", "PT1H"),
            ("1.00:00:00", "PT24H"),
        ] {
            assert_eq!(
                timespan(net.as_bytes()),
                iso_interval(iso.as_bytes()),
                "{net}"
            );
            assert!(timespan(net.as_bytes()).is_some(), "{net}");
        }
        assert_eq!(iso_interval(b"P1Y2M").map(|s| s.months), Some(14));
        for text in ["1:02:03", "24:00:00", "1.2.3", "", "P1D"] {
            assert_eq!(timespan(text.as_bytes()), None, "{text}");
        }
    }
}
