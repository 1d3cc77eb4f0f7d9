//! Dates, times and timestamps in text: ISO 8601, and what languages write beside it.
//!
//! Numbers are in [`super::epoch`], durations in [`super::span`], spellings of languages in [`super::spelled`].

use crate::runbook::transfer::Fraction;
use crate::transfer::convert::{Converter, Reject, Use, Uses, epoch, put, spelled};
use crate::transfer::kind::Kind;

/// Microseconds in a day.
pub(super) const DAY_US: i64 = 86_400_000_000;
/// From 1970-01-01 to PostgreSQL's own zero, 2000-01-01.
const POSTGRES_EPOCH_DAYS: i64 = 10_957;
/// The first instants of the years 1, 10000 and 294276 in microseconds since 1970.
const YEAR_1_US: i128 = -62_135_596_800_000_000;
const YEAR_10000_US: i128 = 253_402_300_800_000_000;
const YEAR_294276_US: i128 = 9_224_286_393_600_000_000;

/// Wall-clock text, as read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    /// Days since 1970, when there is a date.
    pub(super) days: Option<i64>,
    pub(super) year: i32,
    /// Time of day with its fraction still in digits, when there is a time.
    pub(super) time: Option<Clock>,
    /// Seconds east of UTC, when written.
    pub(super) offset_s: Option<i64>,
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Clock {
    /// Whole seconds since midnight.
    pub(super) seconds: i64,
    /// Microseconds of the fraction, cut off.
    micros: i64,
    /// What lies beyond the sixth digit, as one more digit and whether anything non-zero follows it.
    beyond: u8,
    beyond_more: bool,
}

/// ISO text into `date`, `time`, `timestamp` or `timestamptz`; digits alone by `epoch:`.
pub fn text(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    if let Some(number) = plain_number(value) {
        if matches!(converter.kind, Kind::Time(_)) {
            return Err(Reject::never("a number, not a time of day"));
        }
        return epoch::number(number, converter, out);
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
    let mut days = days;
    if let Some(clock) = parsed.time {
        // A moment of UTC is one of the stated zone's days, as a number is.
        let zone_s = converter.zone.map_or(0, |zone| i64::from(zone.offset_s));
        let ahead_s = if parsed.offset_s == Some(0) {
            zone_s
        } else {
            0
        };
        if ahead_s != 0 {
            if clock == Clock::MIDNIGHT {
                return Err(Reject::unless(
                    "zone: UTC",
                    "midnight in UTC, and not in the stated zone",
                ));
            }
            days += (clock.seconds + ahead_s).div_euclid(DAY_US / 1_000_000);
            uses.add(Use::Zone);
        }
        let at_midnight = Clock {
            seconds: (clock.seconds + ahead_s).rem_euclid(DAY_US / 1_000_000),
            ..clock
        } == Clock::MIDNIGHT;
        let to_utc = converter.policy.offset_to_utc && parsed.offset_s.is_some_and(|s| s != 0);
        match parsed.offset_s {
            // The midnight of its own offset is the day that is written.
            _ if at_midnight && !to_utc && converter.policy.midnight_allow => {
                uses.add(Use::Midnight);
            }
            _ if at_midnight && !to_utc && !converter.policy.time_drop => {
                return Err(Reject::unless(
                    "midnight: allow",
                    "the time 00:00:00, which date would drop",
                ));
            }
            // The midnight of a zone that nobody stated looks like this, and its day would be another: no guess.
            Some(_) if !converter.policy.time_drop => {
                return Err(Reject::unless(
                    "time: ?",
                    "a moment that is not midnight in the stated zone (in UTC, where none is stated)",
                ));
            }
            None if !converter.policy.time_drop => {
                return Err(Reject::unless(
                    "time: drop",
                    "a time of day, which date would drop",
                ));
            }
            // The day is that of UTC then, which only the runbook can want.
            Some(offset_s) if to_utc => {
                days += (clock.seconds - offset_s).div_euclid(DAY_US / 1_000_000);
                uses.add(Use::Offset);
                uses.add(Use::TimeDropped);
            }
            _ => uses.add(Use::TimeDropped),
        }
    }
    put_day(days, out)?;
    Ok(uses)
}

/// Appends days since 1970 as a date. Years beyond 9999 were asked for by then; the type's own range is far wider than a day count
/// here can be.
pub(super) fn put_day(days: i64, out: &mut Vec<u8>) -> Result<(), Reject> {
    let years = YEAR_1_US / i128::from(DAY_US)..YEAR_294276_US / i128::from(DAY_US);
    if !years.contains(&i128::from(days)) {
        return Err(Reject::never(
            "outside the years that PostgreSQL's dates are taken to",
        ));
    }
    put(((days - POSTGRES_EPOCH_DAYS) as i32).to_be_bytes(), out);
    Ok(())
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
    if parsed.offset_s.is_some() {
        return Err(Reject::never("an offset, which time would drop"));
    }
    let dated = match parsed.days {
        Some(days) => of_one_day(days, converter)?,
        None => Uses::NONE,
    };
    let (micros, uses) = rounded(clock, precision, converter)?;
    if micros >= DAY_US {
        return Err(Reject::never("rounds up to 24:00"));
    }
    put(micros.to_be_bytes(), out);
    Ok(uses.and(dated))
}

/// The day that frameworks write before a time of day, by the setting that says so.
fn of_one_day(days: i64, converter: &Converter) -> Result<Uses, Reject> {
    const KNOWN: [(i64, &str); 5] = [
        (POSTGRES_EPOCH_DAYS, "since: 2000-01-01"),
        (0, "since: 1970-01-01"),
        (-25_567, "since: 1900-01-01"),
        (-25_569, "since: 1899-12-30"),
        (-719_162, "since: 0001-01-01"),
    ];
    match converter.policy.since {
        Some(day) if i64::from(day.to_epoch_days()) == days => Ok(Uses::one(Use::Since)),
        Some(_) => Err(Reject::never(
            "a date other than the one that `since:` states",
        )),
        None => Err(match KNOWN.iter().find(|(known, _)| *known == days) {
            Some((_, setting)) => Reject::unless(
                setting,
                "a moment of the day that frameworks write before a time of day",
            ),
            None => Reject::never("a date, which time would drop"),
        }),
    }
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
        micros -= i128::from(offset_s) * 1_000_000;
    }
    put_micros(micros, uses, converter, out)
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
        micros - i128::from(offset_s) * 1_000_000,
        uses,
        converter,
        out,
    )
}

fn wall_clock(
    parsed: &Parsed,
    precision: u8,
    converter: &Converter,
) -> Result<(i128, Uses), Reject> {
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
    let day = i128::from(days) * i128::from(DAY_US);
    Ok((day + i128::from(of_day), uses))
}

/// Microseconds of the day at the target's precision.
pub(super) fn rounded(
    clock: Clock,
    precision: u8,
    converter: &Converter,
) -> Result<(i64, Uses), Reject> {
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
pub(super) fn put_micros(
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

/// Text that is a plain number: digits with an optional sign and fraction, not long enough to be a year alone.
pub(super) fn plain_number(value: &[u8]) -> Option<&str> {
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
pub(super) fn parse(value: &[u8]) -> Result<Parsed, Reject> {
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
pub(super) fn fraction_of_second(digits: &str) -> Option<Clock> {
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
    const MIDNIGHT: Self = Self {
        seconds: 0,
        micros: 0,
        beyond: 0,
        beyond_more: false,
    };
}

/// What is left to read.
pub(super) struct Cursor<'v>(pub(super) &'v [u8]);

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
    pub(super) fn clock(&mut self, with_seconds: bool) -> Option<Clock> {
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
    pub(super) fn offset(&mut self) -> Option<i64> {
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
pub(super) fn day(year: i32, month: u32, day: u32) -> Option<i64> {
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
            default: None,
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
}
