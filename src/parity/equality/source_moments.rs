//! The canonical form of a SQLite value that stands for a moment or a span: written out, or as a number in a unit that the runbook
//! confirmed ([`super::source_count`]).

use super::instant::{self, DAY_US, TimeOfDay};
use super::source_count::{self, Clock, DAY_TICKS, beyond};
use super::source_form::{Fit, Misfit, Taken, ascii};
use super::{Rule, spelled};
use crate::parity::canon::Row;
use crate::runbook::transfer::{ColumnPolicy, Epoch};
use chrono::NaiveDate;
use rusqlite::types::ValueRef;

const MIDNIGHT: TimeOfDay = TimeOfDay { us: 0, rest: 0 };

/// Into `timestamptz` (`is_instant`: the zone says what a missing offset means) or `timestamp`.
pub(super) fn moment(
    value: ValueRef<'_>,
    digits: u8,
    is_instant: bool,
    rule: &Rule,
    row: &mut Row,
) -> Fit {
    let policy = &rule.policy;
    let (us, taken) = match counted(value, policy)? {
        Some(count) => {
            let zone_s = || rule.zone.map(|zone| i64::from(zone.offset_s));
            let (behind_s, lost) = match count.of {
                Clock::Utc => (0, false),
                Clock::Wall if is_instant => (zone_s().ok_or(Misfit)?, false),
                Clock::Wall => (0, false),
                Clock::LostOffset => (0, true),
                Clock::Ahead(seconds) => (seconds, seconds != 0),
            };
            if lost && !policy.offset_to_utc {
                return Err(Misfit);
            }
            let ticks = count.ticks - i128::from(behind_s) * 10_000_000;
            let (us, fitted) = source_count::fit(ticks, count.more, digits, policy)?;
            (us, if lost { Taken::ByPolicy } else { fitted })
        }
        None => written_moment(ascii(value)?, digits, is_instant, rule)?,
    };
    row.number(instant::since_2000(us).ok_or(Misfit)?);
    Ok(taken)
}

/// Into `date`: a day, midnight of one, or the day of a moment whose time may be dropped.
pub(super) fn date(value: ValueRef<'_>, rule: &Rule, row: &mut Row) -> Fit {
    let policy = &rule.policy;
    let (days, has_time) = match counted(value, policy)? {
        Some(count) => {
            let ahead_s = match count.of {
                Clock::Utc | Clock::LostOffset => rule.zone.map_or(0, |zone| zone.offset_s),
                Clock::Wall | Clock::Ahead(_) => 0,
            };
            let here = count.ticks + i128::from(ahead_s) * 10_000_000;
            // A day of UTC is none of another zone, and the runbook has to say which is meant.
            if ahead_s != 0 && !count.more && count.ticks.rem_euclid(DAY_TICKS) == 0 {
                return Err(Misfit);
            }
            let days = i64::try_from(here.div_euclid(DAY_TICKS)).map_err(|_| Misfit)?;
            (days, here.rem_euclid(DAY_TICKS) != 0 || count.more)
        }
        None => {
            let moment = instant::spelled(ascii(value)?).ok_or(Misfit)?;
            let time = moment.time.unwrap_or(MIDNIGHT);
            match moment.offset_s {
                Some(0) => day_of_utc(moment.days, time, rule)?,
                Some(ahead_s) if policy.offset_to_utc => {
                    let us = time.us - ahead_s * 1_000_000;
                    (moment.days + us.div_euclid(DAY_US), true)
                }
                // As written, whatever the offset is.
                None | Some(_) => (moment.days, time != MIDNIGHT),
            }
        }
    };
    if has_time && !policy.time_drop {
        return Err(Misfit);
    }
    row.number(days);
    Ok(taken(has_time))
}

/// The day of a moment of UTC, in the zone that is stated, and whether a time of day is left. Midnight in UTC is none in another zone.
fn day_of_utc(days: i64, time: TimeOfDay, rule: &Rule) -> Result<(i64, bool), Misfit> {
    let ahead_us = rule.zone.map_or(0, |zone| i64::from(zone.offset_s)) * 1_000_000;
    if ahead_us != 0 && time == MIDNIGHT {
        return Err(Misfit);
    }
    let here = time.us + ahead_us;
    let of_day = here.rem_euclid(DAY_US);
    Ok((
        days + here.div_euclid(DAY_US),
        of_day != 0 || time.rest != 0,
    ))
}

/// Into `time`.
pub(super) fn time(value: ValueRef<'_>, digits: u8, policy: &ColumnPolicy, row: &mut Row) -> Fit {
    let text = ascii(value)?;
    let (time, offset_s, dated) = match (instant::time_of_day(text), policy.since) {
        (Some((time, offset_s)), _) => (time, offset_s, false),
        (None, Some(day)) => {
            let moment = instant::spelled(text).ok_or(Misfit)?;
            let days = day.signed_duration_since(NaiveDate::default()).num_days();
            if moment.days != days {
                return Err(Misfit);
            }
            (moment.time.ok_or(Misfit)?, moment.offset_s, true)
        }
        (None, None) => return Err(Misfit),
    };
    if offset_s.is_some() {
        return Err(Misfit);
    }
    let (us, changed) = time.fit(digits, beyond(policy)).ok_or(Misfit)?;
    row.number(us);
    Ok(taken(changed || dated))
}

/// Into `interval`.
pub(super) fn interval(
    value: ValueRef<'_>,
    digits: u8,
    policy: &ColumnPolicy,
    row: &mut Row,
) -> Fit {
    let (months, us, taken) = match source_count::number(value)? {
        Some(number) => {
            let unit = policy.epoch.ok_or(Misfit)?;
            is_countable(value, unit)?;
            let (ticks, more, sign) = source_count::duration(&number, unit)?;
            let (us, taken) = source_count::fit(ticks, more, digits, policy)?;
            (0, us * sign, taken)
        }
        None => match policy.since {
            Some(zero) if ascii(value)?.get(4) == Some(&b'-') => {
                moment_since(ascii(value)?, zero, digits, policy)?
            }
            _ => written_span(ascii(value)?, digits, policy)?,
        },
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

/// A number as a count; none for a text that is no number.
fn counted(
    value: ValueRef<'_>,
    policy: &ColumnPolicy,
) -> Result<Option<source_count::Count>, Misfit> {
    let Some(number) = source_count::number(value)? else {
        return Ok(None);
    };
    let unit = policy.epoch.ok_or(Misfit)?;
    is_countable(value, unit)?;
    source_count::moment(&number, unit).map(Some)
}

/// A REAL does not hold the units of .NET exactly.
fn is_countable(value: ValueRef<'_>, unit: Epoch) -> Result<(), Misfit> {
    let exact_only = matches!(unit, Epoch::Ticks | Epoch::DotnetBinary | Epoch::EfOffset);
    match value {
        ValueRef::Real(_) if exact_only => Err(Misfit),
        _ => Ok(()),
    }
}

fn written_moment(
    text: &[u8],
    digits: u8,
    is_instant: bool,
    rule: &Rule,
) -> Result<(i128, Taken), Misfit> {
    let moment = instant::spelled(text).ok_or(Misfit)?;
    let time = moment.time.unwrap_or(MIDNIGHT);
    let (us, mut changed) = time.fit(digits, beyond(&rule.policy)).ok_or(Misfit)?;
    let offset_s = match moment.offset_s {
        // A `timestamp` has no offset to keep, not even of zero.
        Some(0) if is_instant => 0,
        // The instant is kept; what is lost is the offset that was written.
        Some(offset) if rule.policy.offset_to_utc => {
            changed = true;
            offset
        }
        Some(0) => 0,
        Some(_) => return Err(Misfit),
        None if is_instant => i64::from(rule.zone.ok_or(Misfit)?.offset_s),
        None => 0,
    };
    let day = i128::from(moment.days) * i128::from(DAY_US);
    let of_day = i128::from(us - offset_s * 1_000_000);
    Ok((day + of_day, taken(changed)))
}

/// The time from midnight of a day to a moment.
fn moment_since(
    text: &[u8],
    zero: NaiveDate,
    digits: u8,
    policy: &ColumnPolicy,
) -> Result<(i64, i128, Taken), Misfit> {
    let moment = instant::spelled(text).ok_or(Misfit)?;
    if moment.offset_s.unwrap_or(0) != 0 {
        return Err(Misfit);
    }
    let (us, changed) = moment
        .time
        .unwrap_or(MIDNIGHT)
        .fit(digits, beyond(policy))
        .ok_or(Misfit)?;
    let zero_days = zero.signed_duration_since(NaiveDate::default()).num_days();
    let whole = i128::from(moment.days - zero_days) * i128::from(DAY_US);
    Ok((0, whole + i128::from(us), taken(changed)))
}

fn written_span(
    text: &[u8],
    digits: u8,
    policy: &ColumnPolicy,
) -> Result<(i64, i128, Taken), Misfit> {
    let span = instant::timespan(text)
        .or_else(|| instant::iso_interval(text))
        .or_else(|| spelled::span(text, digits))
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
