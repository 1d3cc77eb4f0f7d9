//! Numbers, at the edges of what each type holds.

use super::*;

fn money() -> Kind {
    Kind::Numeric(Some((6, 2)))
}

fn groups(text: &str, kind: &Kind, policy: &ColumnPolicy) -> Result<Vec<i16>, Reject> {
    let mut out = Vec::new();
    decimal(text, kind, policy, &mut out)?;
    Ok(out[4..]
        .chunks(2)
        .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
        .collect())
}

#[test]
fn numerics_are_base_ten_thousand() {
    let none = ColumnPolicy::default();
    let free = Kind::Numeric(None);
    // ndigits, weight, sign, dscale, groups
    assert_eq!(
        groups("12345.678", &free, &none),
        Ok(vec![3, 1, 0, 3, 1, 2345, 6780])
    );
    assert_eq!(
        groups("-0.00001", &free, &none),
        Ok(vec![1, -2, 0x4000, 5, 1000])
    );
    assert_eq!(groups("10000", &free, &none), Ok(vec![1, 1, 0, 0, 1]));
    assert_eq!(
        groups("100000000.5", &free, &none),
        Ok(vec![4, 2, 0, 1, 1, 0, 0, 5000])
    );
    assert_eq!(groups("0.0", &free, &none), Ok(vec![0, 0, 0, 1]));
}

#[test]
fn nothing_rounds_unless_stated() {
    let none = ColumnPolicy::default();
    let round = ColumnPolicy {
        scale: Some(Scale::Round),
        ..ColumnPolicy::default()
    };
    assert!(groups("12.345", &money(), &none).is_err());
    assert_eq!(
        groups("12.340", &money(), &none),
        groups("12.34", &money(), &none)
    );
    assert_eq!(
        groups("9.995", &money(), &round),
        groups("10.00", &money(), &none)
    );
    assert_eq!(
        groups("0.005", &money(), &round),
        groups("0.01", &money(), &none)
    );
    assert!(
        groups("9999.995", &money(), &round).is_err(),
        "rounding carries beyond the precision"
    );
    assert!(groups("10000", &money(), &none).is_err());
    assert!(groups("9999.99", &money(), &none).is_ok());
}

#[test]
fn strict_text_only() {
    for text in [
        "", " 5", "5 ", "+5", "05", "1,5", "1e3", "NaN", "0x10", "1_000", ".5", "5.", "--1", "١",
    ] {
        assert!(
            text_to_numeric(
                text.as_bytes(),
                &Kind::Numeric(None),
                &ColumnPolicy::default(),
                &mut Vec::new()
            )
            .is_err(),
            "{text}"
        );
        assert!(
            text_to_integer(text.as_bytes(), &Kind::Int8, &mut Vec::new()).is_err(),
            "{text}"
        );
    }
    assert!(text_to_integer(b"-9223372036854775808", &Kind::Int8, &mut Vec::new()).is_ok());
    assert!(text_to_integer(b"9223372036854775808", &Kind::Int8, &mut Vec::new()).is_err());
}

#[test]
fn floats_take_only_what_they_hold() {
    assert!(integer_to_float(1 << 53, &Kind::Float8, &mut Vec::new()).is_ok());
    assert!(integer_to_float((1 << 53) + 1, &Kind::Float8, &mut Vec::new()).is_err());
    assert!(integer_to_float(i64::MAX, &Kind::Float8, &mut Vec::new()).is_err());
    assert!(real_narrowed(0.1, &ColumnPolicy::default(), &mut Vec::new()).is_err());
    assert!(real_narrowed(-0.0, &ColumnPolicy::default(), &mut Vec::new()).is_ok());
    assert!(text_to_float(b"0.10", &Kind::Float8, &mut Vec::new()).is_ok());
    assert!(text_to_float(b"0.1000000000000000055", &Kind::Float8, &mut Vec::new()).is_err());
}
