//! Dates, times, timestamps and intervals: ISO text, counts since an epoch, .NET time spans.

use crate::runbook::transfer::{Epoch, Fraction};
use crate::transfer::convert::{Converter, Reject, Use, Uses, put};
use crate::transfer::kind::Kind;

const DAY_US: i64 = 86_400_000_000;
/// From 1970-01-01 to PostgreSQL's own zero, 2000-01-01.
const POSTGRES_EPOCH_DAYS: i64 = 10_957;
/// .NET ticks from year 1 to 1970.
const UNIX_EPOCH_TICKS: i128 = 621_355_968_000_000_000;
/// Milliseconds from Julian day 0 to 1970.
const UNIX_EPOCH_JULIAN_MS: f64 = 210_866_760_000_000.0;
/// The first instants of the years 1, 10000 and 294276 in microseconds since 1970.
const YEAR_1_US: i128 = -62_135_596_800_000_000;
const YEAR_10000_US: i128 = 253_402_300_800_000_000;
const YEAR_294276_US: i128 = 9_224_286_307_200_000_000;

/// Wall-clock text, as read.
#[derive(Debug, Default, PartialEq)]
struct Parsed {
    /// Days since 1970, when there is a date.
    days: Option<i64>,
    year: i32,
    /// Time of day with its fraction still in digits, when there is a time.
    time: Option<Clock>,
    /// Seconds east of UTC, when written.
    offset_s: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Clock {
    seconds: i64,
    /// Microseconds of the fraction, cut off.
    micros: i64,
    /// What lies beyond the sixth digit, as one more digit and whether anything non-zero follows it.
    beyond: u8,
    beyond_more: bool,
}

/// ISO text into `date`, `time`, `timestamp` or `timestamptz`; digits alone by `epoch:`.
pub fn text(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    if let Some(number) = plain_number(value) {
        return epoch_text(number, converter, out);
    }
    let parsed = parse(value)?;
    match converter.kind {
        Kind::Date => date(&parsed, converter, out),
        Kind::Time(precision) => time(&parsed, precision, converter, out),
        Kind::Timestamp(precision) => timestamp(&parsed, precision, converter, out),
        Kind::TimestampTz(precision) => timestamp_tz(&parsed, precision, converter, out),
        _ => Err(Reject::never("not a type for instants")),
    }
}

fn date(parsed: &Parsed, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let days = parsed
        .days
        .ok_or_else(|| Reject::never("a time without a date"))?;
    let mut uses = far_year(parsed.year, converter)?;
    if let Some(clock) = parsed.time {
        if clock
            != (Clock {
                seconds: 0,
                micros: 0,
                beyond: 0,
                beyond_more: false,
            })
            || parsed.offset_s.is_some()
        {
            return Err(Reject::never("a time of day, which date would drop"));
        }
        if !converter.policy.midnight_allow {
            return Err(Reject::unless(
                "midnight: allow",
                "the time 00:00:00, which date would drop",
            ));
        }
        uses.add(Use::Midnight);
    }
    put(((days - POSTGRES_EPOCH_DAYS) as i32).to_be_bytes(), out);
    Ok(uses)
}

fn time(
    parsed: &Parsed,
    precision: u8,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let Some(clock) = parsed.time else {
        return Err(Reject::never("a date, not a time of day"));
    };
    if parsed.days.is_some() {
        return Err(Reject::never("a date, which time would drop"));
    }
    if parsed.offset_s.is_some() {
        return Err(Reject::never("an offset, which time would drop"));
    }
    let (micros, uses) = rounded(clock, precision, converter)?;
    if micros >= DAY_US {
        return Err(Reject::never("rounds up to 24:00"));
    }
    put(micros.to_be_bytes(), out);
    Ok(uses)
}

fn timestamp(
    parsed: &Parsed,
    precision: u8,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let (mut micros, mut uses) = wall_clock(parsed, precision, converter)?;
    if let Some(offset_s) = parsed.offset_s {
        if !converter.policy.offset_to_utc {
            return Err(Reject::unless(
                "offset: to_utc",
                "an offset, which timestamp would drop",
            ));
        }
        uses.add(Use::Offset);
        micros -= offset_s * 1_000_000;
    }
    put_micros(i128::from(micros), uses, converter, out)
}

fn timestamp_tz(
    parsed: &Parsed,
    precision: u8,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let (micros, mut uses) = wall_clock(parsed, precision, converter)?;
    let offset_s = match (parsed.offset_s, converter.zone) {
        (Some(0), _) => 0,
        (Some(_), _) if !converter.policy.offset_to_utc => {
            return Err(Reject::unless(
                "offset: to_utc",
                "an offset other than zero: timestamptz keeps the instant and drops the offset",
            ));
        }
        (Some(offset_s), _) => {
            uses.add(Use::Offset);
            offset_s
        }
        (None, Some(zone)) => {
            uses.add(Use::Zone);
            i64::from(zone.offset_s)
        }
        (None, None) => {
            return Err(Reject::unless(
                "zone: UTC",
                "no offset, and `zone:` does not say what that means",
            ));
        }
    };
    put_micros(
        i128::from(micros) - i128::from(offset_s) * 1_000_000,
        uses,
        converter,
        out,
    )
}

fn wall_clock(
    parsed: &Parsed,
    precision: u8,
    converter: &Converter,
) -> Result<(i64, Uses), Reject> {
    let days = parsed
        .days
        .ok_or_else(|| Reject::never("a time without a date"))?;
    let mut uses = far_year(parsed.year, converter)?;
    let of_day = match parsed.time {
        Some(clock) => {
            let (micros, more) = rounded(clock, precision, converter)?;
            uses.0 |= more.0;
            micros
        }
        None if converter.policy.midnight_allow => {
            uses.add(Use::Midnight);
            0
        }
        None => return Err(Reject::unless("midnight: allow", "a date without a time")),
    };
    Ok((days * DAY_US + of_day, uses))
}

/// Microseconds of the day at the target's precision.
fn rounded(clock: Clock, precision: u8, converter: &Converter) -> Result<(i64, Uses), Reject> {
    let unit = 10_i64.pow(6 - u32::from(precision.min(6)));
    let exact = clock.seconds * 1_000_000 + clock.micros;
    let remainder = clock.micros % unit;
    if remainder == 0 && clock.beyond == 0 && !clock.beyond_more {
        return Ok((exact, Uses::NONE));
    }
    let cut = exact - remainder;
    let micros = match converter.policy.fraction {
        None => {
            return Err(Reject::unless(
                "fraction: truncate",
                format!("a fraction of a second beyond {precision} digits"),
            ));
        }
        Some(Fraction::Truncate) => cut,
        Some(Fraction::Round) => {
            let half = if unit == 1 {
                clock.beyond >= 5
            } else {
                remainder * 2 >= unit
            };
            if half { cut + unit } else { cut }
        }
    };
    Ok((micros, Uses::one(Use::Fraction)))
}

fn far_year(year: i32, converter: &Converter) -> Result<Uses, Reject> {
    match year {
        1..=9999 => Ok(Uses::NONE),
        i32::MIN..=0 => Err(Reject::never("a year below 1")),
        294_276.. => Err(Reject::never("a year that PostgreSQL cannot hold")),
        _ if converter.policy.far_years_keep => Ok(Uses::one(Use::FarYears)),
        _ => Err(Reject::unless(
            "far_years: keep",
            "a year beyond 9999, which many clients cannot read back",
        )),
    }
}

/// Microseconds since 1970 into a timestamp, checked against the range of years.
fn put_micros(
    micros: i128,
    mut uses: Uses,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    if micros < YEAR_1_US {
        return Err(Reject::never("before the year 1"));
    }
    if micros >= YEAR_294276_US {
        return Err(Reject::never("a year that PostgreSQL cannot hold"));
    }
    if micros >= YEAR_10000_US {
        if !converter.policy.far_years_keep {
            return Err(Reject::unless(
                "far_years: keep",
                "beyond the year 9999, which many clients cannot read back",
            ));
        }
        uses.add(Use::FarYears);
    }
    let since_2000 = micros - i128::from(POSTGRES_EPOCH_DAYS) * i128::from(DAY_US);
    put((since_2000 as i64).to_be_bytes(), out);
    Ok(uses)
}

/// An integer into a timestamp, date or interval by the stated unit.
pub fn epoch_integer(value: i64, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let unit = stated_unit(converter)?;
    // Tenths of a microsecond carry .NET's ticks without loss.
    let tenths = match unit {
        Epoch::S => i128::from(value) * 10_000_000,
        Epoch::Ms => i128::from(value) * 10_000,
        Epoch::Us => i128::from(value) * 10,
        Epoch::Ticks if matches!(converter.kind, Kind::Interval(_)) => i128::from(value),
        Epoch::Ticks => i128::from(value) - UNIX_EPOCH_TICKS,
        Epoch::Julian => return julian(value as f64, converter, out),
    };
    from_tenths(tenths, converter, out)
}

/// A REAL into a timestamp or date by the stated unit.
pub fn epoch_real(value: f64, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    if !value.is_finite() {
        return Err(Reject::never("an infinite value"));
    }
    let factor = match stated_unit(converter)? {
        Epoch::Julian => return julian(value, converter, out),
        Epoch::Ticks => return Err(Reject::never("a REAL cannot hold ticks exactly")),
        Epoch::S => 7,
        Epoch::Ms => 4,
        Epoch::Us => 1,
    };
    epoch_decimal(&value.to_string(), factor, converter, out)
}

/// Digits as text into a timestamp or date by the stated unit.
fn epoch_text(value: &str, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    if matches!(converter.kind, Kind::Time(_)) {
        return Err(Reject::never("a number, not a time of day"));
    }
    match (stated_unit(converter)?, value.parse::<i64>()) {
        (_, Ok(integer)) => epoch_integer(integer, converter, out),
        (_, Err(_)) => match value.parse::<f64>() {
            Ok(real) => epoch_real(real, converter, out),
            Err(_) => Err(Reject::never("a number out of range")),
        },
    }
}

fn stated_unit(converter: &Converter) -> Result<Epoch, Reject> {
    converter.policy.epoch.ok_or_else(|| {
        Reject::unless(
            "epoch: ?",
            "a number, and `epoch:` does not say in which unit",
        )
    })
}

/// SQLite's own reading of a Julian day, which is exact to the millisecond.
fn julian(value: f64, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    if !(0.0..5_373_484.5).contains(&value) {
        return Err(Reject::never(
            "not a Julian day between the years -4713 and 9999",
        ));
    }
    let ms = (value * 86_400_000.0 + 0.5).floor() - UNIX_EPOCH_JULIAN_MS;
    from_tenths(ms as i128 * 10_000, converter, out)
}

/// A decimal number times `10^factor`, in tenths of a microsecond.
fn epoch_decimal(
    text: &str,
    factor: usize,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > factor {
        return Err(Reject::never("a fraction finer than 100 ns"));
    }
    let digits = format!("{whole}{fraction}{}", "0".repeat(factor - fraction.len()));
    let tenths = digits
        .parse::<i128>()
        .map_err(|_| Reject::never("a number out of range"))?;
    from_tenths(tenths, converter, out)
}

/// Tenths of a microsecond since 1970 (or, into an interval, of duration).
fn from_tenths(tenths: i128, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let mut uses = Uses::one(Use::Epoch);
    let precision = match converter.kind {
        Kind::Timestamp(precision) | Kind::TimestampTz(precision) | Kind::Interval(precision) => {
            precision
        }
        _ => 6,
    };
    let unit = 10_i128.pow(7 - u32::from(precision.min(6)));
    let remainder = tenths.rem_euclid(unit);
    let mut exact = tenths - remainder;
    if remainder != 0 {
        match converter.policy.fraction {
            None => {
                return Err(Reject::unless(
                    "fraction: truncate",
                    format!("a fraction of a second beyond {precision} digits"),
                ));
            }
            Some(Fraction::Round) if remainder * 2 >= unit => exact += unit,
            Some(_) => {}
        }
        uses.add(Use::Fraction);
    }
    let micros = exact / 10;
    match converter.kind {
        Kind::Date => {
            if micros.rem_euclid(i128::from(DAY_US)) != 0 {
                return Err(Reject::never("a time of day, which date would drop"));
            }
            let year_ok = (YEAR_1_US..YEAR_10000_US).contains(&micros);
            if !year_ok {
                return Err(Reject::never("outside the years 1 to 9999"));
            }
            let days = micros.div_euclid(i128::from(DAY_US)) as i64;
            put(((days - POSTGRES_EPOCH_DAYS) as i32).to_be_bytes(), out);
            Ok(uses)
        }
        Kind::Interval(_) => {
            put_interval(
                0,
                i64::try_from(micros).map_err(|_| Reject::never("a duration out of range"))?,
                out,
            );
            Ok(uses)
        }
        _ => put_micros(micros, uses, converter, out),
    }
}

fn put_interval(days: i32, micros: i64, out: &mut Vec<u8>) {
    let mut field = [0; 16];
    field[..8].copy_from_slice(&micros.to_be_bytes());
    field[8..12].copy_from_slice(&days.to_be_bytes());
    put(field, out);
}

/// .NET's `TimeSpan`: `[-][d.]hh:mm:ss[.fffffff]`. PostgreSQL's own parser would read the days as seconds.
pub fn time_span(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let refuse = || Reject::never("not a time span of the form [-][d.]hh:mm:ss[.fffffff]");
    let Kind::Interval(precision) = converter.kind else {
        return Err(Reject::never("not an interval"));
    };
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
    put_interval(sign * days, i64::from(sign) * micros, out);
    Ok(uses)
}

/// Text that is a plain number: digits with an optional sign and fraction, not long enough to be a year alone.
fn plain_number(value: &[u8]) -> Option<&str> {
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

fn parse(value: &[u8]) -> Result<Parsed, Reject> {
    let refuse = |reason: &'static str| Err(Reject::never(reason));
    let mut cursor = Cursor(value);
    let mut parsed = Parsed::default();
    if !matches!(value, [_, _, b':', ..]) {
        let Some((year, month, day)) = cursor.date() else {
            return refuse("not an ISO date or time");
        };
        if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
            return refuse("a date that does not exist");
        }
        parsed.year = year;
        parsed.days = Some(days_from_civil(year, month, day));
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
        match cursor.offset() {
            Some(offset_s) if cursor.0.is_empty() => parsed.offset_s = Some(offset_s),
            _ => return refuse("text after the time that is no offset like +02:00 or Z"),
        }
    }
    Ok(parsed)
}

/// What is left to read.
struct Cursor<'v>(&'v [u8]);

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
    fn clock(&mut self, with_seconds: bool) -> Option<Clock> {
        let hours = self.two()?;
        let minutes = self.take(b':').then(|| self.two())??;
        let mut clock = Clock {
            seconds: hours * 3600 + minutes * 60,
            micros: 0,
            beyond: 0,
            beyond_more: false,
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
    fn offset(&mut self) -> Option<i64> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::transfer::{ColumnPolicy, Zone};

    fn converter(kind: Kind, settings: &[(&str, &str)], zone: Option<Zone>) -> Converter {
        let mut policy = ColumnPolicy::default();
        for (key, value) in settings {
            policy.set(key, value).expect("a known setting");
        }
        Converter {
            kind,
            policy,
            zone,
            not_null: false,
        }
    }

    /// Microseconds since 2000.
    fn micros(value: &str, converter: &Converter) -> Result<i64, Reject> {
        let mut out = Vec::new();
        text(value.as_bytes(), converter, &mut out)?;
        Ok(i64::from_be_bytes(
            out[4..12].try_into().expect("eight bytes"),
        ))
    }

    #[test]
    fn the_calendar_agrees_with_chrono() {
        let first = chrono::NaiveDate::from_ymd_opt(1, 1, 1).expect("a date");
        let unix = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date");
        for step in 0..20_000 {
            let date = first + chrono::Days::new(step * 182);
            let mine = {
                use chrono::Datelike;
                days_from_civil(date.year(), date.month(), date.day())
            };
            assert_eq!(mine, (date - unix).num_days(), "{date}");
        }
    }

    #[test]
    fn offsets_and_zones() {
        let plain = converter(Kind::TimestampTz(6), &[], None);
        assert_eq!(micros("2000-01-01 00:00:01+00:00", &plain), Ok(1_000_000));
        assert_eq!(micros("2000-01-01T00:00:01Z", &plain), Ok(1_000_000));
        assert_eq!(
            micros("2000-01-01 00:00:01", &plain).unwrap_err().policy,
            Some("zone: UTC")
        );
        assert_eq!(
            micros("2000-01-01 00:00:01+02:00", &plain)
                .unwrap_err()
                .policy,
            Some("offset: to_utc")
        );
        let stated = converter(
            Kind::TimestampTz(6),
            &[("offset", "to_utc")],
            Some(Zone { offset_s: 3600 }),
        );
        assert_eq!(micros("2000-01-01 02:00:01+02:00", &stated), Ok(1_000_000));
        assert_eq!(micros("2000-01-01 01:00:01", &stated), Ok(1_000_000));
    }

    #[test]
    fn fractions() {
        let plain = converter(Kind::Timestamp(6), &[], None);
        assert_eq!(micros("2000-01-01 00:00:00.1234560", &plain), Ok(123_456));
        assert!(micros("2000-01-01 00:00:00.1234567", &plain).is_err());
        let cut = converter(Kind::Timestamp(6), &[("fraction", "truncate")], None);
        assert_eq!(micros("2000-01-01 00:00:00.9999999", &cut), Ok(999_999));
        let round = converter(Kind::Timestamp(6), &[("fraction", "round")], None);
        assert_eq!(micros("2000-01-01 00:00:00.9999995", &round), Ok(1_000_000));
        let coarse = converter(Kind::Timestamp(3), &[("fraction", "round")], None);
        assert_eq!(micros("2000-01-01 00:00:00.1235", &coarse), Ok(124_000));
        assert!(
            micros(
                "2000-01-01 00:00:00.1235",
                &converter(Kind::Timestamp(3), &[], None)
            )
            .is_err()
        );
        let last = converter(Kind::Timestamp(6), &[("fraction", "round")], None);
        assert_eq!(
            micros("9999-12-31 23:59:59.9999999", &last)
                .unwrap_err()
                .policy,
            Some("far_years: keep")
        );
    }

    #[test]
    fn guesses_are_refused() {
        let plain = converter(Kind::Timestamp(6), &[("midnight", "allow")], None);
        for text in [
            "now",
            "infinity",
            "today",
            "",
            " ",
            "01/02/2024",
            "2024-02-30 00:00:00",
            "0000-00-00 00:00:00",
            "2024-01-01 24:00:00",
            "2024-01-01 23:59:60",
            "2024-01-01 00:00:00 Europe/Berlin",
            "2024-1-1",
            "2024-01-01 00:00:00+",
            "0000-01-01",
            "2024-01-01  00:00:00",
            "2024-01-01 00:00:00.",
            "2024-01-01 00",
        ] {
            assert!(micros(text, &plain).is_err(), "{text}");
        }
    }

    #[test]
    fn epochs() {
        let at = |unit, kind| converter(kind, &[("epoch", unit)], None);
        let mut out = Vec::new();
        let mut value = |converter: &Converter, value: i64| {
            out.clear();
            epoch_integer(value, converter, &mut out)
                .map(|_| i64::from_be_bytes(out[4..12].try_into().expect("eight bytes")))
        };
        assert_eq!(
            value(&at("s", Kind::TimestampTz(6)), 946_684_801),
            Ok(1_000_000)
        );
        assert_eq!(
            value(&at("ms", Kind::TimestampTz(6)), 946_684_800_001),
            Ok(1_000)
        );
        assert_eq!(
            value(&at("ticks", Kind::TimestampTz(6)), 630_822_816_000_000_010),
            Ok(1)
        );
        assert!(value(&at("ticks", Kind::TimestampTz(6)), 630_822_816_000_000_011).is_err());
        assert!(value(&at("s", Kind::TimestampTz(6)), i64::MAX).is_err());
        let mut out = Vec::new();
        epoch_real(2_451_544.5, &at("julian", Kind::TimestampTz(6)), &mut out)
            .expect("a Julian day");
        assert_eq!(out[4..12], 0i64.to_be_bytes());
    }

    #[test]
    fn time_spans_are_dotnets() {
        let plain = converter(Kind::Interval(6), &[], None);
        let mut out = Vec::new();
        time_span(b"-1.02:03:04.5", &plain, &mut out).expect("a time span");
        assert_eq!(
            out[4..12],
            (-(2 * 3600 + 3 * 60 + 4) * 1_000_000i64 - 500_000).to_be_bytes()
        );
        assert_eq!(out[12..16], (-1i32).to_be_bytes());
        for text in [
            "1.24:00:00",
            "1:02",
            "P1D",
            "1 day",
            "02:03:04.12345678901234",
            "--01:00:00",
        ] {
            assert!(
                time_span(text.as_bytes(), &plain, &mut Vec::new()).is_err(),
                "{text}"
            );
        }
    }
}
