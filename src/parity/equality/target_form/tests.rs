//! PostgreSQL's text in canonical form: pairs that are equal, pairs that are not, and what the server would never write.

use super::super::{Rule, Taken, from_source};
use super::*;
use crate::runbook::transfer::{ColumnPolicy, Zone};
use rusqlite::types::ValueRef;

fn target(text: &str, kind: &Kind) -> Vec<u8> {
    let mut row = Row::default();
    from_target(Some(text.as_bytes()), kind, &mut row)
        .unwrap_or_else(|_| panic!("{text} as {kind:?}"));
    row.bytes().to_vec()
}

fn policy(settings: &[(&str, &str)]) -> ColumnPolicy {
    let mut policy = ColumnPolicy::default();
    settings
        .iter()
        .for_each(|(key, value)| policy.set(key, value).expect("a setting"));
    policy
}

fn source(value: ValueRef<'_>, kind: &Kind, policy: &ColumnPolicy) -> (Taken, Vec<u8>) {
    let mut row = Row::default();
    let rule = Rule {
        kind: kind.clone(),
        policy: policy.clone(),
        zone: Some(Zone::UTC),
        default: None,
    };
    let taken = from_source(value, &rule, &mut row);
    (taken, row.bytes().to_vec())
}

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

#[test]
fn equal_pairs_of_every_type_are_equal() {
    let none = ColumnPolicy::default();
    for (value, kind, shown) in [
        (ValueRef::Integer(-5), Kind::Integer, "-5"),
        (text("12"), Kind::Integer, "12"),
        (ValueRef::Integer(1), Kind::Boolean, "t"),
        (ValueRef::Real(0.1), Kind::Float64, "0.1"),
        (ValueRef::Real(1e308), Kind::Float64, "1e+308"),
        (ValueRef::Real(5e-324), Kind::Float64, "5e-324"),
        (ValueRef::Integer(3), Kind::Float64, "3"),
        (ValueRef::Real(0.5), Kind::Float32, "0.5"),
        (
            text("1.5"),
            Kind::Numeric {
                precision: None,
                scale: Some(2),
            },
            "1.50",
        ),
        (
            ValueRef::Integer(7),
            Kind::Numeric {
                precision: None,
                scale: Some(2),
            },
            "7.00",
        ),
        (text(""), Kind::Text, ""),
        (text("ab"), Kind::Padded, "ab  "),
        (ValueRef::Blob(b"\x00\xff"), Kind::Bytes, "\\x00ff"),
        (ValueRef::Blob(b""), Kind::Bytes, "\\x"),
        (
            text("2024-02-29 12:34:56.1234560+00:00"),
            Kind::Instant { digits: 6 },
            "2024-02-29 12:34:56.123456+00",
        ),
        (
            text("2024-02-29 12:34:56.5"),
            Kind::Timestamp { digits: 3 },
            "2024-02-29 12:34:56.5",
        ),
        (text("2024-02-29"), Kind::Date, "2024-02-29"),
        (
            text("12:34:56.5000000"),
            Kind::Time { digits: 6 },
            "12:34:56.5",
        ),
        (
            text("-1.02:03:04.5"),
            Kind::Interval { digits: 6 },
            "P-1DT-2H-3M-4.5S",
        ),
        (
            text("{A1B2C3D4-E5F6-4711-8899-AABBCCDDEEFF}"),
            Kind::Uuid,
            "a1b2c3d4-e5f6-4711-8899-aabbccddeeff",
        ),
        (
            text(r#"{"b":1,"a":[1.0]}"#),
            Kind::Json,
            r#"{"a": [1], "b": 1}"#,
        ),
        (
            text(r#"["a \"b\"",null,"NULL",""]"#),
            Kind::Array(Box::new(Kind::Text)),
            r#"{"a \"b\"",NULL,"NULL",""}"#,
        ),
        (text("[1,2]"), Kind::Array(Box::new(Kind::Integer)), "{1,2}"),
        (text("[]"), Kind::Array(Box::new(Kind::Integer)), "{}"),
        (text("paid"), Kind::Verbatim, "paid"),
        (text("FE80::1"), Kind::Address, "fe80::1"),
        (text("10.0.0.1/24"), Kind::Address, "10.0.0.1/24"),
        (
            text("2024-02-29 12:34:56"),
            Kind::Instant { digits: 6 },
            "2024-02-29 12:34:56+00",
        ),
    ] {
        assert_eq!(
            source(value, &kind, &none),
            (Taken::Exact, target(shown, &kind)),
            "{value:?} and {shown}"
        );
    }
}

#[test]
fn unequal_pairs_are_unequal() {
    let none = ColumnPolicy::default();
    for (value, kind, shown) in [
        (ValueRef::Integer(2), Kind::Boolean, "t"),
        (ValueRef::Real(-0.0), Kind::Float64, "0"),
        (text("NaN"), Kind::Float64, "NaN"),
        (
            text("NaN"),
            Kind::Numeric {
                precision: None,
                scale: None,
            },
            "NaN",
        ),
        (
            text("12.345"),
            Kind::Numeric {
                precision: None,
                scale: Some(2),
            },
            "12.35",
        ),
        (text("a"), Kind::Text, "A"),
        (text("e\u{301}"), Kind::Text, "é"),
        (ValueRef::Blob(b"A"), Kind::Text, "A"),
        (text("infinity"), Kind::Instant { digits: 6 }, "infinity"),
        (
            text("2024-02-29 12:34:56.1234567"),
            Kind::Instant { digits: 6 },
            "2024-02-29 12:34:56.123457+00",
        ),
        (
            text("2024-02-29 12:34:56"),
            Kind::Instant { digits: 6 },
            "2024-02-29 11:34:56+00",
        ),
        (
            text("2024-02-29 12:34:56+02:00"),
            Kind::Timestamp { digits: 6 },
            "2024-02-29 12:34:56",
        ),
        (text("2024-02-29 23:59:59"), Kind::Date, "2024-02-29"),
        (text(r#"{"a":1,"a":2}"#), Kind::Json, r#"{"a": 2}"#),
        (text(" 7"), Kind::Integer, "7"),
        (
            ValueRef::Integer(9_007_199_254_740_993),
            Kind::Float64,
            "9007199254740992",
        ),
    ] {
        assert_ne!(
            source(value, &kind, &none).1,
            target(shown, &kind),
            "{value:?} and {shown}"
        );
    }
}

#[test]
fn what_a_policy_changes_is_known_as_such() {
    let lossy = policy(&[
        ("fraction", "truncate"),
        ("offset", "to_utc"),
        ("scale", "round"),
        ("nul", "strip"),
    ]);
    for (value, kind, shown) in [
        (
            text("2024-02-29 12:34:56.1234567+02:00"),
            Kind::Instant { digits: 6 },
            "2024-02-29 10:34:56.123456+00",
        ),
        (
            text("12.345"),
            Kind::Numeric {
                precision: None,
                scale: Some(2),
            },
            "12.35",
        ),
        (text("a\0b"), Kind::Text, "ab"),
    ] {
        assert_eq!(
            source(value, &kind, &lossy),
            (Taken::ByPolicy, target(shown, &kind)),
            "{value:?}"
        );
    }
    let epoch = policy(&[("epoch", "ms")]);
    let instant = Kind::Instant { digits: 6 };
    assert_eq!(
        source(ValueRef::Integer(1_709_210_096_123), &instant, &epoch),
        (Taken::Exact, target("2024-02-29 12:34:56.123+00", &instant))
    );
    let julian = policy(&[("epoch", "julian")]);
    assert_eq!(
        source(ValueRef::Real(2_440_587.5), &instant, &julian),
        (Taken::Exact, target("1970-01-01 00:00:00+00", &instant))
    );
    let quarantine = policy(&[("on_problem", "quarantine")]);
    let ordinal = policy(&[("enum", "ordinal")]);
    let status = Kind::Label(vec!["pending".into(), "paid".into()]);
    assert_eq!(
        source(ValueRef::Integer(1), &status, &ordinal),
        (Taken::Exact, target("paid", &status))
    );
    assert_eq!(
        source(text("abc"), &Kind::Integer, &quarantine).0,
        Taken::Quarantined
    );
}

#[test]
fn identifiers_and_integers_are_read_digit_by_digit() {
    let id = [
        0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x47, 0x11, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
        0xff,
    ];
    assert_eq!(uuid(b"a1b2c3d4-e5f6-4711-8899-aabbccddeeff"), Some(id));
    assert_eq!(uuid(b"A1B2C3D4E5F647118899AABBCCDDEEFF"), Some(id));
    for text in [
        &b"a1b2c3d4-e5f6-4711-8899-aabbccddeef"[..],
        b"a1b2c3d4-e5f6-4711-8899-aabbccddeefg",
        b"a1b2c3d4-e5f6-4711-8899aabbccddeeff0",
        b"-a1b2c3d4e5f647118899aabbccddeeff---",
        b"g1b2c3d4e5f647118899aabbccddeeff",
    ] {
        assert_eq!(uuid(text), None, "{}", String::from_utf8_lossy(text));
    }
    for number in [
        0,
        7,
        -7,
        i64::MAX,
        i64::MIN,
        999_999_999_999_999_999,
        1_000_000_000_000_000_000,
    ] {
        assert_eq!(integer(number.to_string().as_bytes()), Some(number));
    }
    for text in [&b""[..], b"-", b"1 ", b"1a", b"9223372036854775808", b"--1"] {
        assert_eq!(integer(text), None, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn what_the_server_would_never_write_is_an_error() {
    for (shown, kind) in [
        ("yes", Kind::Boolean),
        ("29.02.2024", Kind::Date),
        ("00ff", Kind::Bytes),
        ("1 day", Kind::Interval { digits: 6 }),
        ("{", Kind::Json),
    ] {
        assert_eq!(
            from_target(Some(shown.as_bytes()), &kind, &mut Row::default()),
            Err(Unreadable),
            "{shown}"
        );
    }
}
