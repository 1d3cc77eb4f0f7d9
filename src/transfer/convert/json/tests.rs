//! JSON: what is one document, and what PostgreSQL would refuse of it.

use super::*;
use crate::transfer::convert::tests::column;

/// As without a policy.
fn check(value: &[u8], for_jsonb: bool) -> Result<(), Reject> {
    let kind = if for_jsonb { Kind::Jsonb } else { Kind::Json };
    text(value, &column(kind, &[]), &mut Vec::new()).map(|_| ())
}

#[test]
fn bytes_have_one_meaning_or_none() {
    let read = |value: &[u8], settings: &[(&str, &str)]| {
        let mut out = Vec::new();
        blob(value, &column(Kind::Json, settings), &mut out)
            .map(|_| String::from_utf8_lossy(&out[4..]).into_owned())
    };
    let (text, binary) = ([("bytes", "text")], [("jsonb_blob", "decode")]);
    let both = [text[0], binary[0]];
    assert_eq!(read(b"8080", &text).as_deref(), Ok("8080"));
    for settings in [&[][..], &binary, &both] {
        assert!(read(b"8080", settings).is_err(), "{settings:?}");
        assert!(read(b"[1,2]x", settings).is_err(), "{settings:?}");
    }
    assert_eq!(read(b"[1, 2]", &both).as_deref(), Ok("[1, 2]"));
    assert_eq!(read(b"[1,2]", &[]).unwrap_err().policy, Some("bytes: text"));
    // An array of one integer, 7.
    assert_eq!(read(b"\x2b\x137", &both).as_deref(), Ok("[7]"));
    assert!(read(b"\x2b\x137", &text).is_err());
    assert_eq!(
        read(b"\x2b\x137", &[]).unwrap_err().policy,
        Some("jsonb_blob: decode")
    );
}

#[test]
fn nuls_are_cut_out_of_strings_and_keys() {
    let strip = column(Kind::Jsonb, &[("nul", "strip")]);
    let read = |value: &str| {
        let mut out = Vec::new();
        text(value.as_bytes(), &strip, &mut out)
            .map(|_| String::from_utf8_lossy(&out[5..]).into_owned())
    };
    assert_eq!(
        read(r#"{"a\u0000":"\\u0000\u0000x"}"#).as_deref(),
        Ok(r#"{"a":"\\u0000x"}"#)
    );
    assert!(read(r#"{"a":1,"a\u0000":2}"#).is_err(), "one key twice");
    assert!(read(r#""\ud800\u0000\udc00""#).is_err(), "no pair is made");
}

#[test]
fn strict_json() {
    for text in [
        "null",
        " [1, 2.50, -0.1e+5] ",
        r#"{"a":{"b":[]},"c":"\u00e9\ud83d\ude00"}"#,
        "\"\"",
        "0",
    ] {
        assert_eq!(check(text.as_bytes(), true), Ok(()), "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
    }
    for text in [
        "",
        "NaN",
        "[1,]",
        "{a:1}",
        "{'a':1}",
        "01",
        "1.",
        ".5",
        "+1",
        "[1 2]",
        "\"\t\"",
        "\"\\x\"",
        "tru",
        "nulls",
        "1_0",
        "[",
        r#""\ud800""#,
        r#""\u0000""#,
        "{\"a\":1,}",
        "1e999999",
        "// x\n1",
        "Infinity",
    ] {
        assert!(check(text.as_bytes(), true).is_err(), "{text}");
    }
}

#[test]
fn numbers_at_the_edge_of_numeric() {
    let ones = |count: usize| "1".repeat(count);
    for (number, is_held) in [
        (ones(131_072), true),
        (ones(131_073), false),
        ("1e131071".to_owned(), true),
        ("1e131072".to_owned(), false),
        (format!("{}e31072", ones(100_000)), true),
        (format!("{}e31073", ones(100_000)), false),
        ("1e-16383".to_owned(), true),
        ("1e-16384".to_owned(), false),
        ("1.5e-16382".to_owned(), true),
        ("1.5e-16383".to_owned(), false),
        (format!("0.{}e-383", ones(16_000)), true),
        (format!("0.{}e-384", ones(16_000)), false),
        (format!("{}.{}", ones(131_072), ones(16_383)), true),
        (format!("0.{}", ones(16_384)), false),
        ("1e9223372036854775808".to_owned(), false),
        ("1e-9223372036854775808".to_owned(), false),
    ] {
        let shown = &number[..number.len().min(40)];
        assert_eq!(check(number.as_bytes(), true).is_ok(), is_held, "{shown}");
        assert_eq!(check(number.as_bytes(), false), Ok(()), "json: {shown}");
    }
}

#[test]
fn a_zero_below_zero_is_dropped_by_policy_alone() {
    let dropping = column(Kind::Jsonb, &[("negative_zero", "drop")]);
    for number in ["-0", "[1,-0.0]", r#"{"a":-0e5}"#] {
        let refused = check(number.as_bytes(), true).expect_err(number);
        assert_eq!(refused.policy, Some("negative_zero: drop"), "{number}");
        assert_eq!(check(number.as_bytes(), false), Ok(()), "{number}");
        let field = text(number.as_bytes(), &dropping, &mut Vec::new());
        let uses = field.map(|field| field.uses);
        assert_eq!(uses, Ok(Uses::one(Use::NegativeZero)), "{number}");
    }
    for number in ["0", "-1", "-0.5", "[0,\"-0\"]"] {
        assert_eq!(check(number.as_bytes(), true), Ok(()), "{number}");
    }
}

#[test]
fn duplicate_keys_count_after_unescaping() {
    assert!(check(br#"{"a":1,"\u0061":2}"#, true).is_err());
    assert!(
        check(br#"{"a":1,"a":2}"#, false).is_ok(),
        "json keeps its text"
    );
    assert!(check(br#"[{"a":1},{"a":2}]"#, true).is_ok());
}

#[test]
fn deep_nesting_is_refused_without_recursing_for_ever() {
    let deep = "[".repeat(2_000_000);
    assert!(check(deep.as_bytes(), true).is_err());
}
