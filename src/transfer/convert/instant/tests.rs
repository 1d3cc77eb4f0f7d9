//! Instants from text into PostgreSQL's units. Not in here: numbers that stand for instants (`epoch`).

use super::*;
use crate::runbook::transfer::Zone;
use crate::transfer::convert::tests::column;

fn converter(kind: Kind, settings: &[(&str, &str)], zone: Option<Zone>) -> Converter {
    Converter {
        zone,
        ..column(kind, settings)
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
            day(date.year(), date.month(), date.day())
        };
        assert_eq!(mine, Some((date - unix).num_days()), "{date}");
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
