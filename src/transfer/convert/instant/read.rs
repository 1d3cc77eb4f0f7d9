//! Dates, times and offsets read from text, to the digit. Not in here: what a column makes of them (`instant`).

use crate::transfer::convert::{Reject, spelled};

/// Wall-clock text, as read.
#[derive(Debug, Default, PartialEq)]
pub(in crate::transfer::convert) struct Parsed {
    /// Days since 1970, when there is a date.
    pub(in crate::transfer::convert) days: Option<i64>,
    pub(in crate::transfer::convert) year: i32,
    /// Time of day with its fraction still in digits, when there is a time.
    pub(in crate::transfer::convert) time: Option<Clock>,
    /// Seconds east of UTC, when written.
    pub(in crate::transfer::convert) offset_s: Option<i64>,
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::transfer::convert) struct Clock {
    /// Whole seconds since midnight.
    pub(in crate::transfer::convert) seconds: i64,
    /// Microseconds of the fraction, cut off.
    pub(in crate::transfer::convert) micros: i64,
    /// What lies beyond the sixth digit, as one more digit and whether anything non-zero follows it.
    pub(in crate::transfer::convert) beyond: u8,
    pub(in crate::transfer::convert) beyond_more: bool,
}

/// Text that is a plain number: digits with an optional sign and fraction, not long enough to be a year alone.
pub(in crate::transfer::convert) fn plain_number(value: &[u8]) -> Option<&str> {
    let unsigned = value.strip_prefix(b"-").unwrap_or(value);
    let mut parts = unsigned.split(|byte| *byte == b'.');
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let ok = parts.next().is_some_and(digits)
        && parts.next().is_none_or(digits)
        && parts.next().is_none();
    if ok {
        std::str::from_utf8(value).ok()
    } else {
        None
    }
}

/// Reads a date, a time or both, with or without an offset.
pub(in crate::transfer::convert) fn parse(value: &[u8]) -> Result<Parsed, Reject> {
    if let Some(parsed) = spelled::with_month(value) {
        return parsed;
    }
    let refuse = |reason: &'static str| Err(Reject::never(reason));
    let mut cursor = Cursor(value);
    let mut parsed = Parsed::default();
    if !matches!(value, [_, _, b':', ..]) {
        let Some((year, month, day)) = cursor.date() else {
            return refuse("not an ISO date or time");
        };
        let Some(days) = self::day(year, month, day) else {
            return refuse("a date that does not exist");
        };
        parsed.year = year;
        parsed.days = Some(days);
        if cursor.0.is_empty() {
            return Ok(parsed);
        }
        if !(cursor.take(b' ') || cursor.take(b'T')) {
            return refuse("not an ISO date or time");
        }
    }
    match cursor.clock(false) {
        Some(clock) => parsed.time = Some(clock),
        None => return refuse("not an ISO time between 00:00:00 and 23:59:59"),
    }
    if !cursor.0.is_empty() {
        match spelled::offset(cursor.0) {
            Some(offset_s) => parsed.offset_s = Some(offset_s),
            None => return refuse("text after the time that is no offset like +02:00 or Z"),
        }
    }
    Ok(parsed)
}

/// The digits behind the point of a second, up to twelve, or none.
pub(in crate::transfer::convert) fn fraction_of_second(digits: &str) -> Option<Clock> {
    let mut clock = Clock::MIDNIGHT;
    if !digits.is_empty() {
        let mut cursor = Cursor(digits.as_bytes());
        cursor
            .fraction(&mut clock)
            .filter(|()| cursor.0.is_empty())?;
    }
    Some(clock)
}

impl Clock {
    /// 00:00:00
    pub(in crate::transfer::convert) const MIDNIGHT: Self = Self {
        seconds: 0,
        micros: 0,
        beyond: 0,
        beyond_more: false,
    };
}

/// What is left to read.
pub(in crate::transfer::convert) struct Cursor<'v>(pub(in crate::transfer::convert) &'v [u8]);

impl Cursor<'_> {
    fn take(&mut self, byte: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn two(&mut self) -> Option<i64> {
        let [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] = self.0 else {
            return None;
        };
        self.0 = rest;
        Some(i64::from(a - b'0') * 10 + i64::from(b - b'0'))
    }

    /// `YYYY-MM-DD`, with up to six digits of the year.
    fn date(&mut self) -> Option<(i32, u32, u32)> {
        let digits = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(4..=6).contains(&digits) {
            return None;
        }
        let (year, rest) = self.0.split_at(digits);
        self.0 = rest;
        let year = year
            .iter()
            .fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
        let month = self.take(b'-').then(|| self.two())??;
        let day = self.take(b'-').then(|| self.two())??;
        Some((year, month as u32, day as u32))
    }

    /// `HH:MM`, `HH:MM:SS`, `HH:MM:SS.f…` up to twelve digits; `with_seconds` insists on them.
    pub(in crate::transfer::convert) fn clock(&mut self, with_seconds: bool) -> Option<Clock> {
        let hours = self.two()?;
        let minutes = self.take(b':').then(|| self.two())??;
        let mut clock = Clock {
            seconds: hours * 3600 + minutes * 60,
            ..Clock::MIDNIGHT
        };
        let mut seconds = 0;
        if self.take(b':') {
            seconds = self.two()?;
            if self.take(b'.') {
                self.fraction(&mut clock)?;
            }
        } else if with_seconds {
            return None;
        }
        clock.seconds += seconds;
        (hours < 24 && minutes < 60 && seconds < 60).then_some(clock)
    }

    fn fraction(&mut self, clock: &mut Clock) -> Option<()> {
        let digits = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(1..=12).contains(&digits) {
            return None;
        }
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;
        let mut unit = 100_000;
        for digit in fraction.iter().take(6) {
            clock.micros += i64::from(digit - b'0') * unit;
            unit /= 10;
        }
        clock.beyond = fraction.get(6).map_or(0, |digit| digit - b'0');
        clock.beyond_more = fraction.iter().skip(7).any(|digit| *digit != b'0');
        Some(())
    }

    /// `Z`, `+HH`, `+HHMM`, `+HH:MM`, `+HH:MM:SS`; in seconds east.
    pub(in crate::transfer::convert) fn offset(&mut self) -> Option<i64> {
        if self.take(b'Z') {
            return Some(0);
        }
        let sign = if self.take(b'+') {
            1
        } else if self.take(b'-') {
            -1
        } else {
            return None;
        };
        let hours = self.two()?;
        let mut minutes = 0;
        let mut seconds = 0;
        if !self.0.is_empty() {
            self.take(b':');
            minutes = self.two()?;
            if self.take(b':') {
                seconds = self.two()?;
            }
        }
        (hours <= 15 && minutes < 60 && seconds < 60)
            .then_some(sign * (hours * 3600 + minutes * 60 + seconds))
    }
}

/// Days since 1970 of a day that exists.
pub(in crate::transfer::convert) fn day(year: i32, month: u32, day: u32) -> Option<i64> {
    let exists =
        year > 0 && (1..=12).contains(&month) && day > 0 && day <= days_in_month(year, month);
    exists.then(|| days_from_civil(year, month, day))
}

fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's algorithm).
fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
