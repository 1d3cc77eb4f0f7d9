//! Numbers of the source that stand for moments and durations, in the unit that the runbook states, as the checker reads them.

use super::decimal::Decimal;
use super::instant::{DAY_US, Digits, days_from_civil};
use super::shortest;
use super::source_form::{Misfit, Taken};
use crate::runbook::transfer::{ColumnPolicy, Epoch, Fraction};
use rusqlite::types::ValueRef;
use std::ops::Range;

/// Tenths of a microsecond, .NET's ticks, in a day.
pub(super) const DAY_TICKS: i128 = DAY_US as i128 * 10;
/// .NET's zero, the year 1, in ticks before 1970.
const TICKS_TO_1970: i128 = 621_355_968_000_000_000;
/// Noon of the first Julian day, in milliseconds before 1970.
const JULIAN_TO_1970_MS: i128 = 210_866_760_000_000;
/// The zero of OLE automation dates, 1899-12-30, in milliseconds before 1970.
const OADATE_TO_1970_MS: i128 = 25_569 * 86_400_000;

/// What a number says.
pub(super) struct Count {
    /// Units of 100 ns since 1970, rounded down.
    pub(super) ticks: i128,
    /// Something was rounded.
    pub(super) more: bool,
    /// What the ticks are relative to.
    pub(super) of: Clock,
}

/// Whose clock a number was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Utc,
    /// One on a wall, in a zone that is not said.
    Wall,
    /// UTC; the offset of the clock that was read is lost.
    LostOffset,
    /// One that goes so many seconds ahead of UTC.
    Ahead(i64),
}

/// The number that a value is; none for a text that is not written as one.
pub(super) fn number(value: ValueRef<'_>) -> Result<Option<Decimal>, Misfit> {
    Ok(match value {
        ValueRef::Integer(n) => Some(Decimal::of(n)),
        ValueRef::Real(x) => Some(shortest::number(x).ok_or(Misfit)?),
        // A written date, which most are, is told from a number by its first dash.
        ValueRef::Text([_, _, _, _, b'-', ..]) => None,
        ValueRef::Text(text) => Decimal::parse(text),
        _ => return Err(Misfit),
    })
}

/// A number as a moment.
pub(super) fn moment(number: &Decimal, unit: Epoch) -> Result<Count, Misfit> {
    let scaled = |factor, places, of| {
        let (ticks, more) = number.floor(factor, places).ok_or(Misfit)?;
        Ok(Count { ticks, more, of })
    };
    let exact = |ticks, of| {
        Ok(Count {
            ticks,
            more: false,
            of,
        })
    };
    let float = |within: Range<f64>| {
        let days = number.to_string().parse::<f64>().map_err(|_| Misfit)?;
        within.contains(&days).then_some(days).ok_or(Misfit)
    };
    let integer = || number.integer().ok_or(Misfit);
    match unit {
        Epoch::S => scaled(1, 7, Clock::Utc),
        Epoch::Ms => scaled(1, 4, Clock::Utc),
        Epoch::Us => scaled(1, 1, Clock::Utc),
        Epoch::Ns => scaled(1, -2, Clock::Utc),
        Epoch::Days => scaled(864, 9, Clock::Wall),
        Epoch::Ticks => exact(i128::from(integer()?) - TICKS_TO_1970, Clock::Utc),
        // SQLite itself keeps Julian days to the millisecond, and knows those up to the end of the year 9999.
        Epoch::Julian => {
            let ms = (float(0.0..5_373_484.5)? * 86_400_000.0 + 0.5).floor() as i128;
            exact((ms - JULIAN_TO_1970_MS) * 10_000, Clock::Utc)
        }
        // .NET rounds to the millisecond away from zero; below zero whole days count back and the rest forward.
        // It knows the years 100 to 9999.
        Epoch::Oadate => {
            let days = float(-657_435.0..2_958_466.0)?;
            let ms = (days.abs() * 86_400_000.0 + 0.5).floor() as i128;
            let (whole, rest) = (ms / 86_400_000, ms % 86_400_000);
            let ms = if days < 0.0 {
                rest - whole * 86_400_000
            } else {
                ms
            };
            exact((ms - OADATE_TO_1970_MS) * 10_000, Clock::Wall)
        }
        Epoch::DotnetBinary => binary(integer()?),
        Epoch::EfOffset => {
            let value = integer()?;
            let minutes = match value.rem_euclid(2048) {
                ahead @ 0..1024 => ahead,
                behind => behind - 2048,
            };
            let ticks = i128::from(value.div_euclid(2048)) * 1_000 - TICKS_TO_1970;
            exact(ticks, Clock::Ahead(minutes * 60))
        }
        Epoch::Calendar => exact(calendar(integer()?).ok_or(Misfit)?, Clock::Wall),
    }
}

/// `DateTime.ToBinary()`: two bits for the kind, and ticks; a local time is kept in UTC, where it may lie before the year 1.
fn binary(value: i64) -> Result<Count, Misfit> {
    const RANGE: i128 = 1 << 62;
    let value = i128::from(value as u64);
    let (kind, mut ticks) = (value / RANGE, value % RANGE);
    let of = match kind {
        0 => Clock::Wall,
        1 => Clock::Utc,
        _ => Clock::LostOffset,
    };
    if of == Clock::LostOffset && ticks > RANGE - DAY_TICKS {
        ticks -= RANGE;
    }
    if ticks > 3_155_378_975_999_999_999 {
        return Err(Misfit);
    }
    Ok(Count {
        ticks: ticks - TICKS_TO_1970,
        more: false,
        of,
    })
}

/// The digits of a calendar, from the year 1000 on: a day, a second, or a millisecond.
fn calendar(number: i64) -> Option<i128> {
    let (number, ms) = match number {
        10_000_101..=99_991_231 => (number * 1_000_000, 0),
        10_000_101_000_000..=99_991_231_235_959 => (number, 0),
        10_000_101_000_000_000..=99_991_231_235_959_999 => (number / 1_000, number % 1_000),
        _ => return None,
    };
    let two = |at: u32| number / 100_i64.pow(at) % 100;
    let days = days_from_civil(number / 10_000_000_000, two(4), two(3))?;
    if two(2) > 23 || two(1) > 59 || two(0) > 59 {
        return None;
    }
    let of_day = (two(2) * 60 + two(1)) * 60 + two(0);
    Some((i128::from(days * 86_400 + of_day) * 1_000 + i128::from(ms)) * 10_000)
}

/// The length of a duration in ticks, whether something was rounded, and its sign.
pub(super) fn duration(number: &Decimal, unit: Epoch) -> Result<(i128, bool, i128), Misfit> {
    let (factor, places) = match unit {
        Epoch::S => (1, 7),
        Epoch::Ms => (1, 4),
        Epoch::Us => (1, 1),
        Epoch::Ns => (1, -2),
        Epoch::Days => (864, 9),
        Epoch::Ticks => (1, 0),
        Epoch::Julian | Epoch::Oadate | Epoch::DotnetBinary | Epoch::EfOffset | Epoch::Calendar => {
            return Err(Misfit);
        }
    };
    let (ticks, more) = number.floor(factor, places).ok_or(Misfit)?;
    if unit == Epoch::Ticks && more {
        return Err(Misfit);
    }
    if ticks >= 0 {
        return Ok((ticks, more, 1));
    }
    // Rounded towards zero: by the length.
    Ok((-ticks - i128::from(more), more, -1))
}

/// Microseconds with so many digits after the second.
pub(super) fn fit(
    ticks: i128,
    more: bool,
    digits: u8,
    policy: &ColumnPolicy,
) -> Result<(i128, Taken), Misfit> {
    let unit = 10_i128.pow(7 - u32::from(digits.min(6)));
    let rest = ticks.rem_euclid(unit);
    let floor = ticks - rest;
    let (fitted, taken) = match (rest, more, beyond(policy)) {
        (0, false, _) => (floor, Taken::Exact),
        (_, _, Digits::Exact) => return Err(Misfit),
        (_, _, Digits::Round) if rest * 2 >= unit => (floor + unit, Taken::ByPolicy),
        _ => (floor, Taken::ByPolicy),
    };
    Ok((fitted / 10, taken))
}

/// What happens to digits beyond a precision.
pub(super) fn beyond(policy: &ColumnPolicy) -> Digits {
    match policy.fraction {
        None => Digits::Exact,
        Some(Fraction::Truncate) => Digits::Truncate,
        Some(Fraction::Round) => Digits::Round,
    }
}
