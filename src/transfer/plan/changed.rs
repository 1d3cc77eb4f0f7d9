//! What a setting that changes values makes of one of them, for people who are to paste it: `0.125 → 0.13`. The field that the import would send
//! is read back. Pure.

use chrono::{DateTime, Days, NaiveDate};
use rusqlite::types::ValueRef;

use crate::runbook::transfer::{ColumnPolicy, Zone};
use crate::transfer::convert::{Converter, shortest, shown};
use crate::transfer::kind::Kind;

/// Microseconds from 1970 to 2000, from which PostgreSQL counts.
const UNTIL_2000_US: i64 = 946_684_800_000_000;

/// Whether a setting, as `key: value`, makes other values of some; far years are kept, but few programs read them back.
pub(super) fn changes(policy: &str) -> bool {
    let Some((key, value)) = policy.split_once(": ") else {
        return false;
    };
    let mut alone = ColumnPolicy::default();
    key == "far_years" || alone.set(key, value).is_ok() && !alone.losses().is_empty()
}

/// The value and what these settings, together, make of it; none where that cannot be shown in a few words.
pub(super) fn example(
    converter: &Converter,
    value: ValueRef<'_>,
    policies: &[&'static str],
) -> Option<String> {
    let mut tried = converter.clone();
    for policy in policies {
        match policy.split_once(": ")? {
            ("zone", _) => tried.zone = Some(Zone::UTC),
            (key, setting) => tried.policy.set(key, setting).ok()?,
        }
    }
    let mut field = Vec::new();
    // One that is too long to be copied is too long to be shown.
    let sent = tried.encode(value, &mut field).ok()?;
    if sent.tail.is_some() {
        return None;
    }
    let becomes = written(&tried.kind, field.get(4..)?)?;
    let was = match value {
        // What is no UTF-8 would be shown as what becomes of it.
        ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_err() => {
            shown(ValueRef::Blob(bytes))
        }
        other => shown(other),
    };
    Some(format!("{was} → {becomes}"))
}

/// A field of binary COPY as people write it.
fn written(kind: &Kind, body: &[u8]) -> Option<String> {
    let us = || Some(i64::from_be_bytes(body.try_into().ok()?));
    match kind {
        Kind::Int2 => Some(i16::from_be_bytes(body.try_into().ok()?).to_string()),
        Kind::Int4 => Some(i32::from_be_bytes(body.try_into().ok()?).to_string()),
        Kind::Oid => Some(u32::from_be_bytes(body.try_into().ok()?).to_string()),
        Kind::Int8 => us().map(|number| number.to_string()),
        Kind::Numeric(_) => numeric(body),
        Kind::Float4 => {
            let float = f32::from_be_bytes(body.try_into().ok()?);
            Some(shortest::of_f32(float))
        }
        Kind::Float8 => {
            let float = f64::from_be_bytes(body.try_into().ok()?);
            Some(shortest::of_f64(float))
        }
        Kind::Text(_) | Kind::Char(_) | Kind::Json | Kind::Enum(_) => {
            Some(shown(ValueRef::Text(body)))
        }
        // After the number of its version.
        Kind::Jsonb => Some(shown(ValueRef::Text(body.get(1..)?))),
        Kind::Date => {
            let days = i32::from_be_bytes(body.try_into().ok()?);
            let first = NaiveDate::from_ymd_opt(2000, 1, 1)?;
            let far = Days::new(u64::from(days.unsigned_abs()));
            let date = match days < 0 {
                true => first.checked_sub_days(far),
                false => first.checked_add_days(far),
            };
            Some(date?.format("%Y-%m-%d").to_string())
        }
        Kind::Time(_) => moment(us()?, "%H:%M:%S%.f"),
        Kind::Timestamp(_) => moment(us()?.checked_add(UNTIL_2000_US)?, "%Y-%m-%d %H:%M:%S%.f"),
        Kind::TimestampTz(_) => {
            moment(us()?.checked_add(UNTIL_2000_US)?, "%Y-%m-%d %H:%M:%S%.f+00")
        }
        Kind::Bool
        | Kind::Uuid
        | Kind::Bytea
        | Kind::Interval(_)
        | Kind::Inet
        | Kind::Cidr
        | Kind::Bit { .. }
        | Kind::Array { .. }
        | Kind::Unsupported => None,
    }
}

/// Microseconds since 1970.
fn moment(us: i64, format: &str) -> Option<String> {
    let moment = DateTime::from_timestamp_micros(us)?;
    Some(moment.format(format).to_string())
}

/// Groups of four digits: how many, the place of the first before the point, the sign, the digits behind the point, and the groups.
fn numeric(body: &[u8]) -> Option<String> {
    let part = |at: usize| -> Option<u16> {
        Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?))
    };
    let weight = i64::from(part(2)?.cast_signed());
    let (negative, scale) = (part(4)? == 0x4000, usize::from(part(6)?));
    let group = |index: i64| {
        let index = usize::try_from(index).ok();
        index.and_then(|index| part(8 + 2 * index)).unwrap_or(0)
    };
    let digits = |from: i64, to: i64| -> String {
        (from..to)
            .map(|index| format!("{:04}", group(index)))
            .collect()
    };
    let whole = digits(0, weight + 1);
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let point = weight + 1;
    let mut fraction = digits(point, point + i64::try_from(scale.div_ceil(4)).ok()?);
    fraction.truncate(scale);
    let sign = if negative { "-" } else { "" };
    Some(match fraction.is_empty() {
        true => format!("{sign}{whole}"),
        false => format!("{sign}{whole}.{fraction}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(kind: Kind, value: ValueRef<'_>, policies: &[&'static str]) -> Option<String> {
        let converter = Converter {
            kind,
            policy: ColumnPolicy::default(),
            zone: None,
            not_null: false,
            default: None,
        };
        example(&converter, value, policies)
    }

    #[test]
    fn what_becomes_of_a_value_is_shown() {
        let scale = ["real: shortest", "scale: round"];
        let text = |text: &'static str| ValueRef::Text(text.as_bytes());
        for (kind, value, policies, shown) in [
            (
                Kind::Numeric(Some((38, 0))),
                ValueRef::Real(0.1),
                &scale[..],
                "0.1 → 0",
            ),
            (
                Kind::Numeric(Some((38, 2))),
                ValueRef::Real(-0.125),
                &scale[..],
                "-0.125 → -0.13",
            ),
            (
                Kind::Numeric(Some((38, 2))),
                text("1234567.005"),
                &scale[1..],
                "'1234567.005' → 1234567.01",
            ),
            (
                Kind::Numeric(Some((38, 6))),
                text("0.00001234"),
                &scale[1..],
                "'0.00001234' → 0.000012",
            ),
            (
                Kind::Float4,
                ValueRef::Real(0.1),
                &["real: nearest"][..],
                "0.1 → 0.1",
            ),
            (
                Kind::Timestamp(6),
                text("2024-02-29 12:34:56.1234567"),
                &["fraction: truncate"][..],
                "'2024-02-29 12:34:56.1234567' → 2024-02-29 12:34:56.123456",
            ),
            (
                Kind::Time(0),
                text("12:34:56.7"),
                &["fraction: truncate"][..],
                "'12:34:56.7' → 12:34:56",
            ),
            (
                Kind::Date,
                text("2024-02-29 12:34:56"),
                &["time: drop"][..],
                "'2024-02-29 12:34:56' → 2024-02-29",
            ),
        ] {
            let made = made(kind.clone(), value, policies).unwrap_or_default();
            assert_eq!(made, shown, "{kind:?}");
        }
    }

    #[test]
    fn settings_that_change_values_are_known() {
        for policy in [
            "scale: round",
            "fraction: truncate",
            "real: nearest",
            "time: drop",
            "far_years: keep",
        ] {
            assert!(changes(policy), "{policy}");
        }
        for policy in [
            "real: shortest",
            "epoch: ?",
            "midnight: allow",
            "char_padding: pad",
        ] {
            assert!(!changes(policy), "{policy}");
        }
    }
}
