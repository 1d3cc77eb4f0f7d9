//! The canonical form of a SQLite value that stands for a moment or a span: written out, or as a number in a unit that the runbook
//! confirmed.

use super::Rule;
use super::decimal::Decimal;
use super::instant::{self, DAY_US, Digits, TimeOfDay};
use super::source_form::{Fit, Misfit, Taken, ascii};
use crate::parity::canon::Row;
use crate::runbook::transfer::{ColumnPolicy, Epoch, Fraction};
use rusqlite::types::ValueRef;

/// .NET's zero, the year 1, in ticks before 1970.
const TICKS_TO_1970: i128 = 621_355_968_000_000_000;
/// Noon of the first Julian day, in milliseconds before 1970.
const JULIAN_TO_1970_MS: i128 = 210_866_760_000_000;
/// Tenths of a microsecond, .NET's ticks, in a day.
const DAY_TICKS: i128 = DAY_US as i128 * 10;

/// Into `timestamptz` (`zoned` says what a missing offset means) or `timestamp`.
pub(super) fn moment(
    value: ValueRef<'_>,
    digits: u8,
    zoned: Option<&Rule>,
    policy: &ColumnPolicy,
    row: &mut Row,
) -> Fit {
    let (us, taken) = match ticks_since_1970(value, policy)? {
        Some(ticks) => fit_ticks(ticks, digits, policy)?,
        None => written_moment(ascii(value)?, digits, zoned, policy)?,
    };
    row.number(us);
    Ok(taken)
}

/// Into `date`: a day, or midnight of one.
pub(super) fn date(value: ValueRef<'_>, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let days = match ticks_since_1970(value, policy)? {
        Some(ticks) if ticks.rem_euclid(DAY_TICKS) == 0 => {
            i64::try_from(ticks / DAY_TICKS).map_err(|_| Misfit)?
        }
        Some(_) => return Err(Misfit),
        None => {
            let moment = instant::written(ascii(value)?).ok_or(Misfit)?;
            match (moment.time, moment.offset_s) {
                (None | Some(TimeOfDay { us: 0, rest: 0 }), None) => moment.days,
                _ => return Err(Misfit),
            }
        }
    };
    row.number(days);
    Ok(Taken::Exact)
}

/// Into `time`.
pub(super) fn time(value: ValueRef<'_>, digits: u8, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let (time, offset) = instant::time_of_day(ascii(value)?).ok_or(Misfit)?;
    if offset.is_some() {
        return Err(Misfit);
    }
    let (us, changed) = time.fit(digits, beyond(policy)).ok_or(Misfit)?;
    row.number(us);
    Ok(taken(changed))
}

/// Into `interval`.
pub(super) fn interval(
    value: ValueRef<'_>,
    digits: u8,
    policy: &ColumnPolicy,
    row: &mut Row,
) -> Fit {
    let (months, us, taken) = match (value, policy.epoch) {
        (ValueRef::Integer(n), Some(unit)) => {
            let ticks = in_ticks(&Decimal::of(n), unit)?;
            // Digits are dropped from the length of a span, whichever way it runs.
            let (us, taken) = fit_ticks(ticks.abs(), digits, policy)?;
            (0, i128::from(us) * ticks.signum(), taken)
        }
        _ => written_span(ascii(value)?, digits, policy)?,
    };
    super::target_form::write_span(months, us, row);
    Ok(taken)
}

fn taken(changed: bool) -> Taken {
    if changed {
        Taken::ByPolicy
    } else {
        Taken::Exact
    }
}

/// What happens to digits beyond a precision.
fn beyond(policy: &ColumnPolicy) -> Digits {
    match policy.fraction {
        None => Digits::Exact,
        Some(Fraction::Truncate) => Digits::Truncate,
        Some(Fraction::Round) => Digits::Round,
    }
}

fn written_moment(
    text: &[u8],
    digits: u8,
    zoned: Option<&Rule>,
    policy: &ColumnPolicy,
) -> Result<(i64, Taken), Misfit> {
    let moment = instant::written(text).ok_or(Misfit)?;
    let time = moment.time.unwrap_or(TimeOfDay { us: 0, rest: 0 });
    let (us, mut changed) = time.fit(digits, beyond(policy)).ok_or(Misfit)?;
    let offset_s = match (moment.offset_s, zoned) {
        (Some(0), _) => 0,
        // The instant is kept; what is lost is the offset that was written.
        (Some(offset), _) if policy.offset_to_utc => {
            changed = true;
            offset
        }
        (Some(_), _) => return Err(Misfit),
        (None, None) => 0,
        (None, Some(rule)) => i64::from(rule.zone.ok_or(Misfit)?.offset_s),
    };
    Ok((
        moment.days * DAY_US + us - offset_s * 1_000_000,
        taken(changed),
    ))
}

fn written_span(
    text: &[u8],
    digits: u8,
    policy: &ColumnPolicy,
) -> Result<(i64, i128, Taken), Misfit> {
    let span = instant::timespan(text)
        .or_else(|| instant::iso_interval(text))
        .ok_or(Misfit)?;
    let sign = if span.us < 0 || text.starts_with(b"-") {
        -1
    } else {
        1
    };
    let length = span.us.unsigned_abs();
    let day = u128::from(DAY_US.unsigned_abs());
    // The time of the day carries the digits; whole days stay out of it.
    let of_day = TimeOfDay {
        us: i64::try_from(length % day).map_err(|_| Misfit)?,
        rest: span.rest,
    };
    let (us, changed) = of_day.fit(digits, beyond(policy)).ok_or(Misfit)?;
    let whole = i128::try_from(length - length % day).map_err(|_| Misfit)?;
    Ok((span.months, sign * (whole + i128::from(us)), taken(changed)))
}

/// Units of 100 ns since 1970, for a number; none for anything that is not written as one.
fn ticks_since_1970(value: ValueRef<'_>, policy: &ColumnPolicy) -> Result<Option<i128>, Misfit> {
    let number = match value {
        ValueRef::Integer(n) => Decimal::of(n),
        ValueRef::Real(x) => Decimal::parse(format!("{x:e}").as_bytes()).ok_or(Misfit)?,
        // A written date, which most are, is told from a number by its first dash.
        ValueRef::Text([_, _, _, _, b'-', ..]) => return Ok(None),
        ValueRef::Text(text) => match Decimal::parse(text) {
            Some(number) => number,
            None => return Ok(None),
        },
        _ => return Err(Misfit),
    };
    let unit = policy.epoch.ok_or(Misfit)?;
    let ticks = match (unit, value) {
        // SQLite itself keeps Julian days to the millisecond.
        (Epoch::Julian, _) => {
            let days: f64 = number.to_string().parse().map_err(|_| Misfit)?;
            return Ok(Some(
                ((days * 86_400_000.0 + 0.5).floor() as i128 - JULIAN_TO_1970_MS) * 10_000,
            ));
        }
        _ => in_ticks(&number, unit)?,
    };
    Ok(Some(if unit == Epoch::Ticks {
        ticks - TICKS_TO_1970
    } else {
        ticks
    }))
}

/// A number of units as units of 100 ns, if that is a whole number.
fn in_ticks(number: &Decimal, unit: Epoch) -> Result<i128, Misfit> {
    let places = match unit {
        Epoch::S => 7,
        Epoch::Ms => 4,
        Epoch::Us => 1,
        Epoch::Ticks => 0,
        Epoch::Julian => return Err(Misfit),
    };
    number.whole(places).ok_or(Misfit)
}

/// Microseconds with so many digits after the second.
fn fit_ticks(ticks: i128, digits: u8, policy: &ColumnPolicy) -> Result<(i64, Taken), Misfit> {
    let unit = 10_i128.pow(7 - u32::from(digits.min(6)));
    let rest = ticks.rem_euclid(unit);
    let floor = ticks - rest;
    let (fitted, taken) = match (rest, beyond(policy)) {
        (0, _) => (floor, Taken::Exact),
        (_, Digits::Exact) => return Err(Misfit),
        (_, Digits::Round) if rest * 2 >= unit => (floor + unit, Taken::ByPolicy),
        _ => (floor, Taken::ByPolicy),
    };
    Ok((i64::try_from(fitted / 10).map_err(|_| Misfit)?, taken))
}
