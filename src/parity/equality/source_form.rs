//! The canonical form of a SQLite value, under the policies of its column.
//!
//! Matches on the storage class that the value really has. A value that PostgreSQL's type cannot hold unchanged, and that no policy
//! speaks of, has no canonical form: it is *unfit*, and equal to nothing.

use super::decimal::Decimal;
use super::instant::{self, DAY_US, Digits, TimeOfDay};
use super::json::{self, Json};
use super::{Epoch, GuidOrder, Kind, OnProblem, Policy};
use crate::parity::canon::Row;
use rusqlite::types::ValueRef;
use std::borrow::Cow;

/// What became of a source value on its way into the canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing was lost.
    Exact,
    /// A policy changed the value on purpose.
    ByPolicy,
    /// The type cannot hold it and no policy speaks of it.
    Unfit,
    /// The import was told to leave this row out.
    Quarantined,
}

/// A value that the type cannot hold.
struct Misfit;

type Fit = Result<Taken, Misfit>;

/// Appends one cell for `value` to `row`, as a column of `kind` would hold it under `policy`.
pub(crate) fn from_source(value: ValueRef<'_>, kind: &Kind, policy: &Policy, row: &mut Row) -> Taken {
    if matches!(value, ValueRef::Null) {
        row.null();
        return Taken::Exact;
    }
    let mark = row.mark();
    match fit(value, kind, policy, row) {
        Ok(taken) => taken,
        Err(Misfit) => {
            row.truncate(mark);
            misfit(value, policy, row)
        }
    }
}

fn misfit(value: ValueRef<'_>, policy: &Policy, row: &mut Row) -> Taken {
    match policy.on_problem {
        OnProblem::Null => {
            row.null();
            Taken::ByPolicy
        }
        OnProblem::Quarantine => {
            row.null();
            Taken::Quarantined
        }
        OnProblem::Refuse => {
            match value {
                ValueRef::Null => row.null(),
                ValueRef::Integer(n) => row.unfit(b'i', &n.to_be_bytes()),
                ValueRef::Real(x) => row.unfit(b'r', &x.to_bits().to_be_bytes()),
                ValueRef::Text(text) => row.unfit(b't', text),
                ValueRef::Blob(bytes) => row.unfit(b'b', bytes),
            }
            Taken::Unfit
        }
    }
}

fn fit(value: ValueRef<'_>, kind: &Kind, policy: &Policy, row: &mut Row) -> Fit {
    match kind {
        Kind::Integer => integer(value, row),
        Kind::Boolean => boolean(value, policy, row),
        Kind::Float64 => float64(value).map(|x| put(row, &x.to_bits().to_be_bytes())),
        Kind::Float32 => float32(value, policy, row),
        Kind::Numeric { scale } => numeric(value, *scale, policy, row),
        Kind::Text | Kind::Verbatim => text(value, policy, row),
        Kind::Padded => padded(value, policy, row),
        Kind::Bytes => match value {
            ValueRef::Blob(bytes) => Ok(put(row, bytes)),
            _ => Err(Misfit),
        },
        Kind::Instant { digits } => moment(value, *digits, true, policy, row),
        Kind::Timestamp { digits } => moment(value, *digits, false, policy, row),
        Kind::Date => date(value, policy, row),
        Kind::Time { digits } => time(value, *digits, policy, row),
        Kind::Interval => interval(value, policy, row),
        Kind::Uuid => guid(value, policy).map(|bytes| put(row, &bytes)),
        Kind::Json => document(value, row),
        Kind::Array(element) => array(value, element, policy, row),
    }
}

fn put(row: &mut Row, bytes: &[u8]) -> Taken {
    row.value(bytes);
    Taken::Exact
}

fn ascii<'a>(value: ValueRef<'a>) -> Result<&'a [u8], Misfit> {
    match value {
        ValueRef::Text(text) => Ok(text),
        _ => Err(Misfit),
    }
}

fn integer(value: ValueRef<'_>, row: &mut Row) -> Fit {
    let number = match value {
        ValueRef::Integer(n) => n,
        // Written exactly as the server would write it, and no other way: ' 7', '+7' and '1_000' are text, not numbers.
        ValueRef::Text(text) => {
            let number: i64 = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or(Misfit)?;
            if number.to_string().as_bytes() != text {
                return Err(Misfit);
            }
            number
        }
        ValueRef::Real(x) if x.trunc() == x && x.abs() < 9_007_199_254_740_992.0 => x as i64,
        _ => return Err(Misfit),
    };
    row.number(number);
    Ok(Taken::Exact)
}

fn boolean(value: ValueRef<'_>, policy: &Policy, row: &mut Row) -> Fit {
    let truth = match value {
        ValueRef::Integer(0) => false,
        ValueRef::Integer(1) => true,
        ValueRef::Text(word) if policy.boolean_words => match word.to_ascii_lowercase().as_slice() {
            b"t" | b"true" | b"y" | b"yes" | b"on" | b"1" => true,
            b"f" | b"false" | b"n" | b"no" | b"off" | b"0" => false,
            _ => return Err(Misfit),
        },
        ValueRef::Blob([byte @ (0 | 1)]) if policy.boolean_words => *byte == 1,
        _ => return Err(Misfit),
    };
    Ok(put(row, if truth { b"t" } else { b"f" }))
}

fn float64(value: ValueRef<'_>) -> Result<f64, Misfit> {
    match value {
        ValueRef::Real(x) => Ok(x),
        ValueRef::Integer(n) if (n as f64) as i128 == i128::from(n) => Ok(n as f64),
        _ => Err(Misfit),
    }
}

fn float32(value: ValueRef<'_>, policy: &Policy, row: &mut Row) -> Fit {
    let wide = float64(value)?;
    let narrow = wide as f32;
    let exact = f64::from(narrow) == wide;
    if !exact && (!policy.real_shortest || narrow.is_infinite()) {
        return Err(Misfit);
    }
    row.value(&narrow.to_bits().to_be_bytes());
    Ok(if exact { Taken::Exact } else { Taken::ByPolicy })
}

fn numeric(value: ValueRef<'_>, scale: Option<i64>, policy: &Policy, row: &mut Row) -> Fit {
    let number = match value {
        ValueRef::Integer(n) => Decimal::parse(n.to_string().as_bytes()),
        ValueRef::Text(text) => Decimal::parse(text),
        ValueRef::Real(x) if policy.real_shortest || x.trunc() == x => Decimal::parse(format!("{x:e}").as_bytes()),
        _ => None,
    }
    .ok_or(Misfit)?;
    let (number, taken) = match scale {
        Some(scale) if number.scale() > scale => {
            if !policy.scale_round {
                return Err(Misfit);
            }
            (number.rounded(scale), Taken::ByPolicy)
        }
        _ => (number, Taken::Exact),
    };
    row.written(|out| number.write(out));
    Ok(taken)
}

/// The text as PostgreSQL could hold it, and whether a policy had to change it.
fn clean<'a>(value: ValueRef<'a>, policy: &Policy) -> Result<(Cow<'a, [u8]>, Taken), Misfit> {
    let bytes = match value {
        ValueRef::Text(text) => text,
        ValueRef::Integer(n) => return Ok((Cow::Owned(n.to_string().into_bytes()), Taken::Exact)),
        _ => return Err(Misfit),
    };
    let mut out = Cow::Borrowed(bytes);
    let mut taken = Taken::Exact;
    if bytes.contains(&0) {
        if !policy.strip_nul {
            return Err(Misfit);
        }
        out = Cow::Owned(bytes.iter().copied().filter(|&b| b != 0).collect());
        taken = Taken::ByPolicy;
    }
    if std::str::from_utf8(&out).is_err() {
        if !policy.replace_invalid_utf8 {
            return Err(Misfit);
        }
        out = Cow::Owned(String::from_utf8_lossy(&out).into_owned().into_bytes());
        taken = Taken::ByPolicy;
    }
    Ok((out, taken))
}

fn text(value: ValueRef<'_>, policy: &Policy, row: &mut Row) -> Fit {
    let (bytes, taken) = clean(value, policy)?;
    row.value(&bytes);
    Ok(taken)
}

fn padded(value: ValueRef<'_>, policy: &Policy, row: &mut Row) -> Fit {
    let (bytes, taken) = clean(value, policy)?;
    row.value(super::target_form::without_padding(&bytes));
    Ok(taken)
}

/// Microseconds since 1970 for a number in the unit that the runbook confirmed, and whether digits were dropped.
fn epoch(value: ValueRef<'_>, unit: Epoch, policy: &Policy) -> Result<(i64, Taken), Misfit> {
    let number = match value {
        ValueRef::Integer(n) => i128::from(n),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or(Misfit)?,
        ValueRef::Real(x) => return epoch_real(x, unit, policy),
        _ => return Err(Misfit),
    };
    let us = match unit {
        Epoch::Unix { unit_us } => number * i128::from(unit_us),
        Epoch::Ticks => {
            let since_1970 = number - 621_355_968_000_000_000;
            let floor = since_1970.div_euclid(10);
            match (since_1970.rem_euclid(10), policy.fraction) {
                (0, _) => floor,
                (_, Some(Digits::Truncate)) => return micros(floor, Taken::ByPolicy),
                (rest, Some(Digits::Round)) => return micros(floor + i128::from(rest >= 5), Taken::ByPolicy),
                _ => return Err(Misfit),
            }
        }
        Epoch::Julian => number * i128::from(DAY_US) - 210_866_760_000_000_000,
    };
    micros(us, Taken::Exact)
}

/// A REAL moment: read to the unit's nearest microsecond, which is finer than a REAL of this size can say.
fn epoch_real(x: f64, unit: Epoch, policy: &Policy) -> Result<(i64, Taken), Misfit> {
    let us = match unit {
        Epoch::Unix { unit_us } => x * unit_us as f64,
        Epoch::Ticks => (x - 621_355_968_000_000_000.0) / 10.0,
        // SQLite itself keeps Julian days to the millisecond.
        Epoch::Julian => return micros(((x * 86_400_000.0).round() as i128 - 210_866_760_000_000) * 1000, Taken::Exact),
    };
    let whole = match policy.fraction {
        Some(Digits::Truncate) => us.floor(),
        Some(Digits::Round) => us.round(),
        _ if us.trunc() == us => us,
        _ => return Err(Misfit),
    };
    micros(whole as i128, if whole == us { Taken::Exact } else { Taken::ByPolicy })
}

fn micros(us: i128, taken: Taken) -> Result<(i64, Taken), Misfit> {
    i64::try_from(us).map(|us| (us, taken)).map_err(|_| Misfit)
}

fn moment(value: ValueRef<'_>, digits: u8, zoned: bool, policy: &Policy, row: &mut Row) -> Fit {
    let (us, taken) = match policy.epoch {
        Some(unit) => epoch(value, unit, policy)?,
        None => written_moment(ascii(value)?, digits, zoned, policy)?,
    };
    row.number(us);
    Ok(taken)
}

fn written_moment(text: &[u8], digits: u8, zoned: bool, policy: &Policy) -> Result<(i64, Taken), Misfit> {
    let moment = instant::written(text).ok_or(Misfit)?;
    let time = moment.time.unwrap_or(TimeOfDay { us: 0, rest: 0 });
    let (us, mut changed) = time.fit(digits, policy.fraction.unwrap_or(Digits::Exact)).ok_or(Misfit)?;
    let offset_s = match (moment.offset_s, zoned) {
        (Some(0), _) => 0,
        // The instant is kept in a `timestamptz`; what is lost is the offset that was written.
        (Some(offset), _) if policy.offset_to_utc => {
            changed = true;
            offset
        }
        (Some(_), _) => return Err(Misfit),
        (None, false) => 0,
        (None, true) => policy.zone_offset_s.ok_or(Misfit)?,
    };
    Ok((moment.days * DAY_US + us - offset_s * 1_000_000, if changed { Taken::ByPolicy } else { Taken::Exact }))
}

fn date(value: ValueRef<'_>, policy: &Policy, row: &mut Row) -> Fit {
    let (days, taken) = match policy.epoch {
        Some(unit) => {
            let (us, taken) = epoch(value, unit, policy)?;
            if us.rem_euclid(DAY_US) != 0 {
                return Err(Misfit);
            }
            (us.div_euclid(DAY_US), taken)
        }
        None => {
            let moment = instant::written(ascii(value)?).ok_or(Misfit)?;
            match (moment.time, policy.fraction) {
                (None, _) => (moment.days, Taken::Exact),
                (Some(TimeOfDay { us: 0, rest: 0 }), _) if moment.offset_s.is_none() => (moment.days, Taken::Exact),
                (Some(_), Some(Digits::Truncate)) => (moment.days, Taken::ByPolicy),
                _ => return Err(Misfit),
            }
        }
    };
    row.number(days);
    Ok(taken)
}

fn time(value: ValueRef<'_>, digits: u8, policy: &Policy, row: &mut Row) -> Fit {
    let (time, offset) = instant::time_of_day(ascii(value)?).ok_or(Misfit)?;
    if offset.is_some() {
        return Err(Misfit);
    }
    let (us, changed) = time.fit(digits, policy.fraction.unwrap_or(Digits::Exact)).ok_or(Misfit)?;
    row.number(us);
    Ok(if changed { Taken::ByPolicy } else { Taken::Exact })
}

fn interval(value: ValueRef<'_>, policy: &Policy, row: &mut Row) -> Fit {
    let text = ascii(value)?;
    let span = instant::timespan(text).or_else(|| instant::iso_interval(text)).ok_or(Misfit)?;
    let (us, taken) = match (span.rest, policy.fraction) {
        (0, _) => (span.us, Taken::Exact),
        (_, Some(Digits::Truncate)) => (span.us, Taken::ByPolicy),
        (rest, Some(Digits::Round)) if rest >= 500_000_000_000 => (span.us + if text.starts_with(b"-") { -1 } else { 1 }, Taken::ByPolicy),
        (_, Some(Digits::Round)) => (span.us, Taken::ByPolicy),
        _ => return Err(Misfit),
    };
    super::target_form::write_span(span.months, us, row);
    Ok(taken)
}

fn guid(value: ValueRef<'_>, policy: &Policy) -> Result<[u8; 16], Misfit> {
    match (value, policy.guid_bytes) {
        (ValueRef::Text(text), _) => {
            let body = text.strip_prefix(b"{").and_then(|t| t.strip_suffix(b"}")).unwrap_or(text);
            super::target_form::uuid(body).ok_or(Misfit)
        }
        (ValueRef::Blob(bytes), Some(order)) => {
            let mut id: [u8; 16] = bytes.try_into().map_err(|_| Misfit)?;
            if order == GuidOrder::Dotnet {
                id[..4].reverse();
                id[4..6].reverse();
                id[6..8].reverse();
            }
            Ok(id)
        }
        _ => Err(Misfit),
    }
}

fn document(value: ValueRef<'_>, row: &mut Row) -> Fit {
    let text = match value {
        ValueRef::Text(text) => Cow::Borrowed(std::str::from_utf8(text).map_err(|_| Misfit)?),
        ValueRef::Integer(n) => Cow::Owned(n.to_string()),
        _ => return Err(Misfit),
    };
    let json = json::parse(&text).map_err(|_| Misfit)?;
    super::target_form::write_json(&json, row);
    Ok(Taken::Exact)
}

fn array(value: ValueRef<'_>, element: &Kind, policy: &Policy, row: &mut Row) -> Fit {
    let text = std::str::from_utf8(ascii(value)?).map_err(|_| Misfit)?;
    let Json::Array(items) = json::parse(text).map_err(|_| Misfit)? else {
        return Err(Misfit);
    };
    let mut cells = Row::default();
    let mut taken = Taken::Exact;
    for item in &items {
        let outcome = match item {
            Json::Null => {
                cells.null();
                Taken::Exact
            }
            Json::Bool(truth) if *element == Kind::Boolean => fit(ValueRef::Integer((*truth).into()), element, policy, &mut cells)?,
            Json::Number(_, text) => match (element, text.parse::<f64>()) {
                (Kind::Float64 | Kind::Float32, Ok(x)) => fit(ValueRef::Real(x), element, policy, &mut cells)?,
                (Kind::Integer | Kind::Numeric { .. }, _) => fit(ValueRef::Text(text.as_bytes()), element, policy, &mut cells)?,
                _ => return Err(Misfit),
            },
            Json::String(text) => fit(ValueRef::Text(text.as_bytes()), element, policy, &mut cells)?,
            _ => return Err(Misfit),
        };
        if outcome == Taken::ByPolicy {
            taken = Taken::ByPolicy;
        }
    }
    row.value(cells.bytes());
    Ok(taken)
}
