//! What a number counts in each unit of `epoch:`, and how people are shown it. What becomes of it in a column is in [`super::epoch`].

use crate::runbook::transfer::Epoch;
use crate::transfer::convert::{Reject, instant};

/// .NET ticks from year 1 to 1970.
const UNIX_EPOCH_TICKS: i128 = 621_355_968_000_000_000;
/// Milliseconds from Julian day 0 to 1970.
const UNIX_EPOCH_JULIAN_MS: f64 = 210_866_760_000_000.0;
/// Days from 1899-12-30 to 1970-01-01.
const UNIX_EPOCH_OADATE_DAYS: i64 = 25_569;
/// The highest two bits of `DateTime.ToBinary()`, which tell the kind of the time.
const BINARY_TICKS: i64 = 0x3fff_ffff_ffff_ffff;

/// A number in a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counted {
    /// Tenths of a microsecond since 1970, rounded down.
    pub(super) tenths: i128,
    /// Something finer than a tenth was left over.
    pub(super) finer: bool,
    /// What it was counted in.
    pub(super) base: Base,
}

/// What a count is relative to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Base {
    Instant,
    /// Wall clocks of a zone that the number does not tell.
    WallClock,
    /// UTC, of a moment that was local, with an offset that is not on record.
    Local,
    /// Wall clocks at so many seconds east of Greenwich.
    Offset(i64),
}

/// What a number, in digits, counts in a unit.
pub(super) fn counted(digits: &str, unit: Epoch) -> Result<Counted, Reject> {
    let scaled = |numerator, places, base| {
        scaled(digits, numerator, places).map(|(tenths, finer)| Counted {
            tenths,
            finer,
            base,
        })
    };
    let exact = |tenths, base| Counted {
        tenths,
        finer: false,
        base,
    };
    Ok(match unit {
        Epoch::S => scaled(1, 7, Base::Instant)?,
        Epoch::Ms => scaled(1, 4, Base::Instant)?,
        Epoch::Us => scaled(1, 1, Base::Instant)?,
        Epoch::Ns => scaled(1, -2, Base::Instant)?,
        Epoch::Days => scaled(864, 9, Base::WallClock)?,
        Epoch::Ticks => exact(i128::from(whole(digits)?) - UNIX_EPOCH_TICKS, Base::Instant),
        Epoch::Julian => exact(julian(digits)?, Base::Instant),
        Epoch::Oadate => exact(oadate(digits)?, Base::WallClock),
        Epoch::DotnetBinary => dotnet_binary(whole(digits)?)?,
        Epoch::EfOffset => {
            let value = whole(digits)?;
            // Eleven bits, the highest of them the sign.
            let minutes = value << 53 >> 53;
            exact(
                i128::from(value >> 11) * 1_000 - UNIX_EPOCH_TICKS,
                Base::Offset(minutes * 60),
            )
        }
        Epoch::Calendar => exact(calendar(digits)?, Base::WallClock),
    })
}

/// An integer; units of .NET have no fractions.
fn whole(digits: &str) -> Result<i64, Reject> {
    digits
        .parse()
        .map_err(|_| Reject::never("not a 64-bit integer, which this unit wants"))
}

/// A plain decimal times `numerator × 10^places`, rounded down, and whether anything was left over.
fn scaled(digits: &str, numerator: i128, places: i32) -> Result<(i128, bool), Reject> {
    let out_of_range = || Reject::never("a number out of range");
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let (negative, whole) = match whole.strip_prefix('-') {
        Some(whole) => (true, whole),
        None => (false, whole),
    };
    let mantissa = format!("{whole}{fraction}");
    let mantissa = mantissa.trim_start_matches('0');
    if mantissa.is_empty() {
        return Ok((0, false));
    }
    if mantissa.len() > 30 {
        return Err(out_of_range());
    }
    let mantissa: i128 = mantissa.parse().map_err(|_| out_of_range())?;
    let mantissa = if negative { -mantissa } else { mantissa } * numerator;
    let power = places - fraction.len() as i32;
    if power >= 0 {
        let factor = 10_i128.checked_pow(power.unsigned_abs());
        let scaled = factor.and_then(|factor| mantissa.checked_mul(factor));
        return scaled
            .map(|tenths| (tenths, false))
            .ok_or_else(out_of_range);
    }
    match 10_i128.checked_pow(power.unsigned_abs()) {
        Some(divisor) => Ok((
            mantissa.div_euclid(divisor),
            mantissa.rem_euclid(divisor) != 0,
        )),
        None => Ok((if negative { -1 } else { 0 }, true)),
    }
}

/// SQLite's own reading of a Julian day, which is exact to the millisecond.
fn julian(digits: &str) -> Result<i128, Reject> {
    let days: f64 = digits
        .parse()
        .map_err(|_| Reject::never("a number out of range"))?;
    if !(0.0..5_373_484.5).contains(&days) {
        return Err(Reject::never(
            "not a Julian day between the years -4713 and 9999",
        ));
    }
    let ms = (days * 86_400_000.0 + 0.5).floor() - UNIX_EPOCH_JULIAN_MS;
    Ok(ms as i128 * 10_000)
}

/// .NET's own reading of an OLE automation date, which is exact to the millisecond. Below zero the fraction still counts forward.
fn oadate(digits: &str) -> Result<i128, Reject> {
    const DAY_MS: i64 = 86_400_000;
    let days: f64 = digits
        .parse()
        .map_err(|_| Reject::never("a number out of range"))?;
    if !(-657_435.0..2_958_466.0).contains(&days) {
        return Err(Reject::never(
            "not an OLE automation date between the years 100 and 9999",
        ));
    }
    let mut ms = (days * DAY_MS as f64 + if days >= 0.0 { 0.5 } else { -0.5 }) as i64;
    if ms < 0 {
        ms -= ms % DAY_MS * 2;
    }
    Ok(i128::from(ms - UNIX_EPOCH_OADATE_DAYS * DAY_MS) * 10_000)
}

fn dotnet_binary(value: i64) -> Result<Counted, Reject> {
    const DAY_TICKS: i64 = 864_000_000_000;
    const MAX_TICKS: i64 = 3_155_378_975_999_999_999;
    let mut ticks = value & BINARY_TICKS;
    let base = match (value as u64) >> 62 {
        0 => Base::WallClock,
        1 => Base::Instant,
        _ => {
            // .NET adds the range of the field to local times that lie before the year 1 in UTC.
            if ticks > BINARY_TICKS - DAY_TICKS {
                ticks -= BINARY_TICKS;
                ticks -= 1;
            }
            Base::Local
        }
    };
    if ticks > MAX_TICKS {
        return Err(Reject::never("not a value of DateTime.ToBinary()"));
    }
    Ok(Counted {
        tenths: i128::from(ticks) - UNIX_EPOCH_TICKS,
        finer: false,
        base,
    })
}

/// `YYYYMMDD`, with `hhmmss` behind it, or `hhmmssfff`; from the year 1000 on.
fn calendar(digits: &str) -> Result<i128, Reject> {
    let refuse = || Reject::never("not a date, or date and time, in 8, 14 or 17 digits");
    let bytes = digits.as_bytes();
    let has_length = matches!(bytes.len(), 8 | 14 | 17) && bytes[0] != b'0';
    if !has_length || !bytes.iter().all(u8::is_ascii_digit) {
        return Err(refuse());
    }
    let part = |from: usize, to: usize| -> i64 {
        bytes
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
    };
    let days = instant::day(part(0, 4) as i32, part(4, 6) as u32, part(6, 8) as u32)
        .ok_or_else(|| Reject::never("a date that does not exist"))?;
    let (hour, minute, second) = (part(8, 10), part(10, 12), part(12, 14));
    if hour > 23 || minute > 59 || second > 59 {
        return Err(Reject::never("not a time between 00:00:00 and 23:59:59"));
    }
    let ms = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + part(14, 17);
    Ok(i128::from(ms) * 10_000)
}

/// A length in tenths of a microsecond, rounded down, and whether something finer was left over.
pub(super) fn length_tenths(length: &str, unit: Epoch) -> Result<(i128, bool), Reject> {
    match unit {
        Epoch::S => scaled(length, 1, 7),
        Epoch::Ms => scaled(length, 1, 4),
        Epoch::Us => scaled(length, 1, 1),
        Epoch::Ns => scaled(length, 1, -2),
        Epoch::Days => scaled(length, 864, 9),
        // The length of the smallest integer has no sign and no room in 64 bits.
        Epoch::Ticks => match length.parse::<u64>() {
            Ok(ticks) => Ok((ticks.into(), false)),
            Err(_) => Err(Reject::never("not a 64-bit integer, which this unit wants")),
        },
        Epoch::Julian | Epoch::Oadate | Epoch::DotnetBinary | Epoch::EfOffset | Epoch::Calendar => {
            Err(Reject::never(
                "a number in a unit that counts moments, not durations",
            ))
        }
    }
}

/// The year in which a number comes out, if it does.
pub fn year(digits: &str, unit: Epoch) -> Option<i32> {
    use chrono::Datelike;
    Some(shown_moment(digits, unit)?.year())
}

/// What a unit makes of a number, for people: `2024-02-29 12:34:56.5`.
pub fn moment_shown(digits: &str, unit: Epoch) -> Option<String> {
    Some(
        shown_moment(digits, unit)?
            .format("%Y-%m-%d %H:%M:%S%.f")
            .to_string(),
    )
}

fn shown_moment(digits: &str, unit: Epoch) -> Option<chrono::NaiveDateTime> {
    let micros = counted(digits, unit).ok()?.tenths.div_euclid(10);
    let moment = chrono::DateTime::from_timestamp_micros(i64::try_from(micros).ok()?)?;
    Some(moment.naive_utc())
}

/// What a unit makes of a number as a duration, for people: `1.5 s`, `17 d 08:40:00`.
pub fn duration_shown(digits: &str, unit: Epoch) -> Option<String> {
    let (sign, length) = match digits.strip_prefix('-') {
        Some(length) => ("-", length),
        None => ("", digits),
    };
    let tenths = length_tenths(length, unit).ok()?.0;
    let (seconds, tenths) = (tenths / 10_000_000, tenths % 10_000_000);
    let fraction = match format!("{tenths:07}").trim_end_matches('0') {
        "" => String::new(),
        fraction => format!(".{fraction}"),
    };
    if seconds < 60 {
        return Some(format!("{sign}{seconds}{fraction} s"));
    }
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (hours, minutes, seconds) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let days = if days > 0 {
        format!("{days} d ")
    } else {
        String::new()
    };
    Some(format!(
        "{sign}{days}{hours:02}:{minutes:02}:{seconds:02}{fraction}"
    ))
}
