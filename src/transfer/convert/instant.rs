//! Dates, times and timestamps in text: ISO 8601, and what languages write beside it.
//!
//! Numbers are in [`super::epoch`], durations in [`super::span`], spellings of languages in [`super::spelled`].

mod read;

use crate::runbook::transfer::Fraction;
use crate::transfer::convert::{Converter, Reject, Use, Uses, epoch, put};
use crate::transfer::kind::Kind;

pub(super) use read::{Clock, Cursor, Parsed, day, fraction_of_second, parse, plain_number};

/// Microseconds in a day.
pub(super) const DAY_US: i64 = 86_400_000_000;
/// From 1970-01-01 to PostgreSQL's own zero, 2000-01-01.
const POSTGRES_EPOCH_DAYS: i64 = 10_957;
/// The first instants of the years 1, 10000 and 294276 in microseconds since 1970.
const YEAR_1_US: i128 = -62_135_596_800_000_000;
const YEAR_10000_US: i128 = 253_402_300_800_000_000;
const YEAR_294276_US: i128 = 9_224_286_393_600_000_000;

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

#[cfg(test)]
mod tests;
