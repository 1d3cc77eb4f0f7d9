//! Numbers that stand for moments, days and durations: a count in the unit that `epoch:` states.
//!
//! What the units mean is in [`super::count`]. Text that spells a moment is in [`super::instant`], text that spells a duration in [`super::span`].

use crate::runbook::transfer::{Epoch, Fraction};
use crate::transfer::convert::count::{Base, Counted, counted, length_tenths};
use crate::transfer::convert::instant::{self, DAY_US};
use crate::transfer::convert::{Converter, Reject, Use, Uses, span};
use crate::transfer::kind::Kind;

/// Tenths of a microsecond, .NET's ticks, in a day.
const DAY_TENTHS: i128 = DAY_US as i128 * 10;
/// A number, in digits, into a timestamp, date or interval by the stated unit.
pub fn number(digits: &str, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let unit = stated_unit(converter)?;
    let uses = match converter.kind {
        Kind::Interval(precision) => return duration(digits, unit, precision, converter, out),
        Kind::Date => date(counted(digits, unit)?, converter, out)?,
        Kind::Timestamp(precision) | Kind::TimestampTz(precision) => {
            let counted = counted(digits, unit)?;
            let has_zone = matches!(converter.kind, Kind::TimestampTz(_));
            let (tenths, uses) = match counted.base {
                Base::WallClock if has_zone => in_zone(counted.tenths, converter)?,
                Base::Instant | Base::WallClock => (counted.tenths, Uses::NONE),
                Base::Local => (counted.tenths, local(converter)?),
                Base::Offset(offset_s) => at_offset(counted.tenths, offset_s, converter)?,
            };
            moment(
                Counted { tenths, ..counted },
                precision,
                uses,
                converter,
                out,
            )?
        }
        _ => return Err(Reject::never("a number, not a moment")),
    };
    Ok(uses.and(Uses::one(Use::Epoch)))
}

/// A REAL. It holds the units of .NET, which have eighteen digits, not exactly.
pub fn real(value: f64, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    if !value.is_finite() {
        return Err(Reject::never("an infinite value"));
    }
    match stated_unit(converter)? {
        Epoch::Ticks | Epoch::DotnetBinary | Epoch::EfOffset => {
            Err(Reject::never("a REAL cannot hold this unit exactly"))
        }
        Epoch::S
        | Epoch::Ms
        | Epoch::Us
        | Epoch::Ns
        | Epoch::Days
        | Epoch::Julian
        | Epoch::Oadate
        | Epoch::Calendar => number(&value.to_string(), converter, out),
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

/// The instant of a wall clock in the stated zone.
fn in_zone(tenths: i128, converter: &Converter) -> Result<(i128, Uses), Reject> {
    match converter.zone {
        Some(zone) => Ok((
            tenths - i128::from(zone.offset_s) * 10_000_000,
            Uses::one(Use::Zone),
        )),
        None => Err(Reject::unless(
            "zone: UTC",
            "no offset, and `zone:` does not say what that means",
        )),
    }
}

/// The instant of a wall clock whose offset goes lost.
fn at_offset(tenths: i128, offset_s: i64, converter: &Converter) -> Result<(i128, Uses), Reject> {
    if offset_s == 0 {
        return Ok((tenths, Uses::NONE));
    }
    if !converter.policy.offset_to_utc {
        return Err(Reject::unless(
            "offset: to_utc",
            "an offset other than zero, which the target drops",
        ));
    }
    Ok((
        tenths - i128::from(offset_s) * 10_000_000,
        Uses::one(Use::Offset),
    ))
}

fn local(converter: &Converter) -> Result<Uses, Reject> {
    if converter.policy.offset_to_utc {
        return Ok(Uses::one(Use::Offset));
    }
    Err(Reject::unless(
        "offset: to_utc",
        "a local time, which the target keeps in UTC",
    ))
}

/// The day, in the stated zone where the number counts instants: milliseconds of a local midnight are that day.
fn date(counted: Counted, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let mut uses = Uses::NONE;
    let zone_s = converter.zone.map_or(0, |zone| i128::from(zone.offset_s));
    let local = match counted.base {
        Base::Instant | Base::Local if zone_s != 0 => {
            uses.add(Use::Zone);
            counted.tenths + zone_s * 10_000_000
        }
        Base::Instant | Base::Local | Base::WallClock | Base::Offset(_) => counted.tenths,
    };
    if local.rem_euclid(DAY_TENTHS) != 0 || counted.finer {
        let in_utc = counted.tenths.rem_euclid(DAY_TENTHS) == 0 && !counted.finer;
        if in_utc {
            return Err(Reject::unless(
                "zone: UTC",
                "midnight in UTC, and not in the stated zone",
            ));
        }
        if !converter.policy.time_drop {
            // The midnight of a zone that nobody stated looks like this, and its day would be another: no guess.
            return Err(Reject::unless(
                "time: ?",
                "not midnight in the stated zone (in UTC, where none is stated)",
            ));
        }
        uses.add(Use::TimeDropped);
    }
    let days = i64::try_from(local.div_euclid(DAY_TENTHS))
        .map_err(|_| Reject::never("outside the years 1 to 9999"))?;
    instant::put_day(days, out)?;
    Ok(uses)
}

fn moment(
    counted: Counted,
    precision: u8,
    uses: Uses,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let (micros, more) = rounded(counted.tenths, counted.finer, precision, converter)?;
    instant::put_micros(micros, uses.and(more), converter, out)
}

/// Microseconds at the target's precision, downwards or to the nearest.
fn rounded(
    tenths: i128,
    finer: bool,
    precision: u8,
    converter: &Converter,
) -> Result<(i128, Uses), Reject> {
    let unit = 10_i128.pow(7 - u32::from(precision.min(6)));
    let remainder = tenths.rem_euclid(unit);
    let floor = tenths - remainder;
    if remainder == 0 && !finer {
        return Ok((floor / 10, Uses::NONE));
    }
    let fitted = match converter.policy.fraction {
        None => {
            return Err(Reject::unless(
                "fraction: truncate",
                format!("a fraction of a second beyond {precision} digits"),
            ));
        }
        Some(Fraction::Round) if remainder * 2 >= unit => floor + unit,
        Some(_) => floor,
    };
    Ok((fitted / 10, Uses::one(Use::Fraction)))
}

/// A number into `interval`: its length is fitted, whichever way it runs.
fn duration(
    digits: &str,
    unit: Epoch,
    precision: u8,
    converter: &Converter,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let (negative, length) = match digits.strip_prefix('-') {
        Some(length) => (true, length),
        None => (false, digits),
    };
    let (tenths, finer) = length_tenths(length, unit)?;
    let (micros, uses) = rounded(tenths, finer, precision, converter)?;
    let micros = i64::try_from(if negative { -micros } else { micros })
        .map_err(|_| Reject::never("a duration out of range"))?;
    span::put_span(0, 0, micros, out);
    Ok(uses.and(Uses::one(Use::Epoch)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::convert::tests::column;

    /// Microseconds since 2000, or of a duration; days since 2000.
    fn value(digits: &str, kind: Kind, settings: &[(&str, &str)]) -> Result<i64, Reject> {
        let mut out = Vec::new();
        number(digits, &column(kind, settings), &mut out)?;
        Ok(match out[4..].len() {
            4 => i64::from(i32::from_be_bytes(
                out[4..8].try_into().expect("four bytes"),
            )),
            _ => i64::from_be_bytes(out[4..12].try_into().expect("eight bytes")),
        })
    }

    const TZ: Kind = Kind::TimestampTz(6);

    #[test]
    fn every_unit_counts_from_its_own_zero() {
        // 2000-01-01 00:00:01 UTC
        for (unit, digits) in [
            ("s", "946684801"),
            ("s", "946684801.0"),
            ("ms", "946684801000"),
            ("us", "946684801000000"),
            ("ns", "946684801000000000"),
            ("ticks", "630822816010000000"),
            ("dotnet_binary", "5242508834437387904"),
        ] {
            let digits = match unit {
                "dotnet_binary" => (630_822_816_010_000_000_i64 | 1 << 62).to_string(),
                _ => digits.to_owned(),
            };
            assert_eq!(
                value(&digits, TZ, &[("epoch", unit)]),
                Ok(1_000_000),
                "{unit}"
            );
        }
        assert_eq!(value("2451544.5", TZ, &[("epoch", "julian")]), Ok(0));
        let in_utc = |unit| [("epoch", unit), ("zone", "UTC")];
        assert_eq!(value("10957", TZ, &in_utc("days")), Ok(0));
        assert_eq!(value("36526.5", TZ, &in_utc("oadate")), Ok(43_200_000_000));
        assert_eq!(
            value("20000101000001", TZ, &in_utc("calendar")),
            Ok(1_000_000)
        );
        assert_eq!(
            value("20000102", Kind::Date, &[("epoch", "calendar")]),
            Ok(1)
        );
        let east = |unit| [("epoch", unit), ("zone", "+02:00")];
        assert_eq!(value("10957", TZ, &east("days")), Ok(-7_200_000_000));
        assert!(value("10957", TZ, &[("epoch", "days")]).is_err(), "no zone");
    }

    #[test]
    fn dotnets_own_numbers_keep_what_they_say() {
        // 2024-02-29 12:34:56 +02:00, as DateTimeOffsetToBinaryConverter writes it.
        let ticks = 638_448_068_960_000_000_i64;
        let value_of =
            |ticks: i64, minutes: i64| ((ticks / 1_000) << 11 | minutes & 0x7ff).to_string();
        let settings = [("epoch", "ef_offset"), ("offset", "to_utc")];
        let utc = value(&value_of(ticks, 0), TZ, &settings);
        assert_eq!(
            value(&value_of(ticks, 120), TZ, &settings),
            utc.clone().map(|utc| utc - 7_200_000_000)
        );
        assert_eq!(
            value(&value_of(ticks, -330), TZ, &settings),
            utc.map(|utc| utc + 19_800_000_000)
        );
        assert!(value(&value_of(ticks, 120), TZ, &[("epoch", "ef_offset")]).is_err());
        let local = (ticks as u64 | 1 << 63) as i64;
        assert!(value(&local.to_string(), TZ, &[("epoch", "dotnet_binary")]).is_err());
        assert!(value(&ticks.to_string(), TZ, &[("epoch", "dotnet_binary")]).is_err());
        // Before 1899-12-30 the fraction of an OLE date still counts forward: -1.25 is 1899-12-29 06:00.
        let old = value("-1.25", Kind::Timestamp(6), &[("epoch", "oadate")]);
        let day = value("-1", Kind::Timestamp(6), &[("epoch", "oadate")]);
        assert_eq!(old, day.map(|day| day + 21_600_000_000));
    }

    #[test]
    fn a_fraction_of_any_length_is_cut_or_refused() {
        let cut = [("epoch", "s"), ("fraction", "truncate")];
        assert_eq!(value("946684800.1234567891", TZ, &cut), Ok(123_456));
        assert_eq!(value("946684799.99999999", TZ, &cut), Ok(-1));
        assert_eq!(
            value(
                "0.000000000000000000000000000000004",
                Kind::Interval(6),
                &cut
            ),
            Ok(0)
        );
        let round = [("epoch", "s"), ("fraction", "round")];
        assert_eq!(value("946684800.1234565001", TZ, &round), Ok(123_457));
        let refused = value("946684800.12345678", TZ, &[("epoch", "s")]).unwrap_err();
        assert_eq!(refused.policy, Some("fraction: truncate"));
    }

    #[test]
    fn a_local_midnight_is_a_day_of_its_zone() {
        let ms = |digits, zone: &[(&str, &str)]| {
            value(digits, Kind::Date, &[&[("epoch", "ms")], zone].concat())
        };
        let leap_day = 8_825;
        assert_eq!(ms("1709164800000", &[]), Ok(leap_day));
        assert_eq!(ms("1709157600000", &[("zone", "+02:00")]), Ok(leap_day));
        assert_eq!(
            ms("1709157600000", &[]).unwrap_err().policy,
            Some("time: ?")
        );
        assert_eq!(
            ms("1709164800000", &[("zone", "+02:00")])
                .unwrap_err()
                .policy,
            Some("zone: UTC")
        );
        // In winter midnight is an hour later: summer's zone and no time of day hold for both.
        let both = [("zone", "+02:00"), ("time", "drop")];
        assert_eq!(ms("1709161200000", &both), Ok(leap_day));
        assert_eq!(ms("1709157600000", &both), Ok(leap_day));
    }

    #[test]
    fn a_duration_has_a_length_whichever_way_it_runs() {
        let cut = [("epoch", "s"), ("fraction", "truncate")];
        assert_eq!(value("-1.2345678", Kind::Interval(6), &cut), Ok(-1_234_567));
        assert_eq!(
            value("1500000", Kind::Interval(6), &[("epoch", "us")]),
            Ok(1_500_000)
        );
        assert_eq!(
            value("1.5", Kind::Interval(6), &[("epoch", "days")]),
            Ok(129_600_000_000)
        );
        assert!(value("1.5", Kind::Interval(6), &[("epoch", "julian")]).is_err());
    }
}
