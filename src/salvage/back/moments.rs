//! Dates, times, moments and time spans: from PostgreSQL's ISO text into the spelling or the unit that the column has.

use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::super::cell::{Cell, Class};
use super::super::form::Spelling;
use crate::runbook::transfer::{Epoch, Zone};

/// .NET ticks from year 1 to 1970.
const UNIX_EPOCH_TICKS: i128 = 621_355_968_000_000_000;
/// Microseconds in a day.
const DAY_US: i128 = 86_400_000_000;
/// Days from 1899-12-30 to 1970-01-01.
const UNIX_EPOCH_OADATE_DAYS: f64 = 25_569.0;
/// What marks a time of UTC in `DateTime.ToBinary()`.
const BINARY_UTC: i128 = 1 << 62;
/// Milliseconds from Julian day 0 to 1970.
const UNIX_EPOCH_JULIAN_MS: f64 = 210_866_760_000_000.0;

/// A moment, written in UTC (`2024-02-29 12:34:56.5+00`) or without an offset.
pub(super) fn instant(
    text: &str,
    class: Class,
    epoch: Option<Epoch>,
    zone: Option<Zone>,
    spelling: &Spelling,
) -> Option<Cell> {
    let moment = read_moment(text)?;
    if class != Class::Text || *spelling == Spelling::Digits {
        let wall = moment.checked_add_signed(Duration::try_seconds(
            zone.map_or(0, |zone| i64::from(zone.offset_s)),
        )?)?;
        return count(microseconds(moment), wall, false, class, epoch?);
    }
    let Spelling::Moment {
        separator,
        suffix,
        bare_date,
        ..
    } = spelling
    else {
        return None;
    };
    let offset_s = match suffix.as_str() {
        "" => zone.map_or(0, |zone| i64::from(zone.offset_s)),
        written => offset(written)?,
    };
    let here = moment.checked_add_signed(Duration::try_seconds(offset_s)?)?;
    if *bare_date && here.time() == NaiveTime::MIN {
        return Some(Cell::text(written_date(here.date())));
    }
    Some(Cell::text(format!(
        "{}{separator}{}{suffix}",
        written_date(here.date()),
        written_time(here.time(), spelling)?
    )))
}

/// A date. Numbers that count instants mean midnight in the zone.
pub(super) fn date(
    text: &str,
    class: Class,
    epoch: Option<Epoch>,
    zone: Option<Zone>,
    spelling: &Spelling,
) -> Option<Cell> {
    let date = read_date(text)?;
    if class != Class::Text || *spelling == Spelling::Digits {
        let midnight = date.and_time(NaiveTime::MIN);
        let ahead_us = zone.map_or(0, |zone| i128::from(zone.offset_s) * 1_000_000);
        return count(
            microseconds(midnight) - ahead_us,
            midnight,
            true,
            class,
            epoch?,
        );
    }
    let Spelling::Moment { midnight, .. } = spelling else {
        return None;
    };
    let midnight = midnight.as_deref().unwrap_or_default();
    Some(Cell::text(format!("{}{midnight}", written_date(date))))
}

/// A time of day.
pub(super) fn time(text: &str, since: Option<NaiveDate>, spelling: &Spelling) -> Option<Cell> {
    let time = written_time(read_time(text)?, spelling)?;
    Some(Cell::text(match since {
        Some(day) => format!("{} {time}", written_date(day)),
        None => time,
    }))
}

/// A time span, from ISO 8601 (`P1DT2H3M4.5S`) into .NET's `[-][d.]hh:mm:ss[.fffffff]` or a number. Months have no length there.
pub(super) fn span(
    text: &str,
    class: Class,
    epoch: Option<Epoch>,
    since: Option<NaiveDate>,
    spelling: &Spelling,
) -> Option<Cell> {
    let us = read_span(text)?;
    if class != Class::Text || (since.is_none() && epoch.is_some()) {
        return length(us, class, epoch?);
    }
    if let Some(day) = since {
        let span = Duration::microseconds(i64::try_from(us).ok()?);
        let moment = day.and_time(NaiveTime::MIN).checked_add_signed(span)?;
        let time = written_time(moment.time(), spelling)?;
        return Some(Cell::text(format!(
            "{} {time}",
            written_date(moment.date())
        )));
    }
    let (sign, us) = if us < 0 { ("-", -us) } else { ("", us) };
    let (seconds, micros) = (us / 1_000_000, (us % 1_000_000) as u32);
    let (days, seconds) = (seconds / 86_400, (seconds % 86_400) as u32);
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, micros * 1_000)?;
    let days = match days {
        0 => String::new(),
        days => format!("{days}."),
    };
    Some(Cell::text(format!(
        "{sign}{days}{}",
        written_time(time, spelling)?
    )))
}

fn read_moment(text: &str) -> Option<NaiveDateTime> {
    let (date, time) = text.split_once(' ')?;
    // In UTC there is one offset only; anything else (` BC`) is not understood.
    let time = time.strip_suffix("+00").unwrap_or(time);
    Some(read_date(date)?.and_time(read_time(time)?))
}

fn read_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

fn read_time(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok()
}

/// Microseconds of a span without months.
fn read_span(text: &str) -> Option<i128> {
    let (mut us, mut rest, mut in_time) = (0_i128, text.strip_prefix('P')?, false);
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            (rest, in_time) = (time, true);
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = (&rest[..end], &rest[end..=end]);
        rest = &rest[end + 1..];
        let unit_us = match (unit, in_time) {
            ("D", false) => 86_400_000_000,
            ("W", false) => 604_800_000_000,
            ("H", true) => 3_600_000_000,
            ("M", true) => 60_000_000,
            ("S", true) => 1_000_000,
            _ => return None,
        };
        us += scaled(number, unit_us)?;
    }
    Some(us)
}

/// A decimal times a unit of microseconds, exactly.
fn scaled(number: &str, unit_us: i128) -> Option<i128> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 6 {
        return None;
    }
    let part: i128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<i128>().ok()? * unit_us / 10_i128.pow(fraction.len() as u32)
    };
    let us = whole.parse::<i128>().ok()? * unit_us + part;
    Some(if negative { -us } else { us })
}

fn microseconds(moment: NaiveDateTime) -> i128 {
    let utc = moment.and_utc();
    i128::from(utc.timestamp()) * 1_000_000 + i128::from(utc.timestamp_subsec_micros())
}

/// A moment as a count in a unit: by its instant, or by what a clock on the wall shows where the unit counts that. What the unit cannot
/// express is cut off, which the caller notices.
fn count(us: i128, wall: NaiveDateTime, is_day: bool, class: Class, epoch: Epoch) -> Option<Cell> {
    let wall_us = microseconds(wall);
    let julian = || (us.div_euclid(1_000) as f64 + UNIX_EPOCH_JULIAN_MS) / 86_400_000.0;
    let oadate = || {
        let (days, of_day) = (wall_us.div_euclid(DAY_US), wall_us.rem_euclid(DAY_US));
        let (days, part) = (
            days as f64 + UNIX_EPOCH_OADATE_DAYS,
            of_day as f64 / DAY_US as f64,
        );
        // Below zero the time of the day still counts forward.
        if days < 0.0 { days - part } else { days + part }
    };
    let whole = match (epoch, class) {
        (Epoch::S, Class::Real) => return Some(Cell::Real(us as f64 / 1_000_000.0)),
        (Epoch::Ms, Class::Real) => return Some(Cell::Real(us as f64 / 1_000.0)),
        (Epoch::Us, Class::Real) => return Some(Cell::Real(us as f64)),
        (Epoch::Ns, Class::Real) => return Some(Cell::Real(us as f64 * 1_000.0)),
        (Epoch::Days, Class::Real) => return Some(Cell::Real(wall_us as f64 / DAY_US as f64)),
        (Epoch::Julian, Class::Real) => return Some(Cell::Real(julian())),
        (Epoch::Oadate, Class::Real) => return Some(Cell::Real(oadate())),
        (Epoch::Ticks | Epoch::DotnetBinary | Epoch::EfOffset | Epoch::Calendar, Class::Real) => {
            return None;
        }
        (Epoch::S, _) => us.div_euclid(1_000_000),
        (Epoch::Ms, _) => us.div_euclid(1_000),
        (Epoch::Us, _) => us,
        (Epoch::Ns, _) => us * 1_000,
        (Epoch::Days, _) => wall_us.div_euclid(DAY_US),
        (Epoch::Ticks, _) => us * 10 + UNIX_EPOCH_TICKS,
        (Epoch::Julian, _) => julian() as i128,
        (Epoch::Oadate, _) => oadate() as i128,
        (Epoch::DotnetBinary, _) if is_day => wall_us * 10 + UNIX_EPOCH_TICKS,
        (Epoch::DotnetBinary, _) => us * 10 + UNIX_EPOCH_TICKS + BINARY_UTC,
        (Epoch::EfOffset, _) => (us * 10 + UNIX_EPOCH_TICKS).div_euclid(1_000) << 11,
        (Epoch::Calendar, _) => {
            let form = if is_day { "%Y%m%d" } else { "%Y%m%d%H%M%S" };
            wall.format(form).to_string().parse().ok()?
        }
    };
    integer(whole, class)
}

/// A duration as a count in a unit.
fn length(us: i128, class: Class, epoch: Epoch) -> Option<Cell> {
    let unit_us = match epoch {
        Epoch::S => 1_000_000,
        Epoch::Ms => 1_000,
        Epoch::Us => 1,
        Epoch::Days => DAY_US,
        Epoch::Ns => return integer(us * 1_000, class),
        Epoch::Ticks => return integer(us * 10, class),
        Epoch::Julian | Epoch::Oadate | Epoch::DotnetBinary | Epoch::EfOffset | Epoch::Calendar => {
            return None;
        }
    };
    if class == Class::Real {
        return Some(Cell::Real(us as f64 / unit_us as f64));
    }
    integer(us / unit_us, class)
}

fn integer(whole: i128, class: Class) -> Option<Cell> {
    let whole = i64::try_from(whole).ok()?;
    match class {
        Class::Integer => Some(Cell::Integer(whole)),
        Class::Text => Some(Cell::text(whole.to_string())),
        Class::Real | Class::Blob => None,
    }
}

fn written_date(date: NaiveDate) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

fn written_time(time: NaiveTime, spelling: &Spelling) -> Option<String> {
    let Spelling::Moment {
        seconds, fraction, ..
    } = spelling
    else {
        return None;
    };
    let mut out = format!("{:02}:{:02}", time.hour(), time.minute());
    let micros = time.nanosecond() / 1_000;
    if *seconds || time.second() > 0 || micros > 0 {
        out.push_str(&format!(":{:02}", time.second()));
    }
    let mut digits = format!("{micros:06}").trim_end_matches('0').to_owned();
    while digits.len() < *fraction {
        digits.push('0');
    }
    if !digits.is_empty() {
        out.push('.');
        out.push_str(&digits);
    }
    Some(out)
}

/// Seconds east of UTC of `Z`, `+02:00`, `+0200`, `+02`.
fn offset(text: &str) -> Option<i64> {
    let text = text.trim_start_matches(' ');
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let part = |at: usize| match digits.get(at..at + 2) {
        Some(two) => two.parse::<i64>().ok(),
        None => Some(0),
    };
    Some(sign * (part(0)? * 3_600 + part(2)? * 60))
}
