//! The shortest decimal that reads back as a float, as PostgreSQL, JavaScript, Python and Java write it: where two are as near, the even one.
//! The standard library chooses the larger there (`-123456789012345.13` for `….125`). Pure. Not in here: whether a policy lets it stand for
//! the value (`number`).

/// Of a number with 64 bits, in plain form.
pub fn of_f64(value: f64) -> String {
    match value.is_finite() {
        true => with_digits(value.to_string(), ryu::Buffer::new().format_finite(value)),
        false => value.to_string(),
    }
}

/// Of a number with 32 bits, in plain form.
pub fn of_f32(value: f32) -> String {
    match value.is_finite() {
        true => with_digits(value.to_string(), ryu::Buffer::new().format_finite(value)),
        false => value.to_string(),
    }
}

/// Of a number with 64 bits as JSON that is a float for whoever reads it: with a point or an exponent, as Python writes one.
pub fn json_of_f64(value: f64) -> String {
    let plain = of_f64(value);
    if !value.is_finite() {
        return plain;
    }
    if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
        return match plain.contains('.') {
            true => plain,
            false => plain + ".0",
        };
    }
    let digits = significant(&plain);
    let digits = String::from_utf8_lossy(&digits);
    let (first, rest) = digits.split_at(1);
    let scientific = format!("{value:e}");
    let power = scientific.split_once('e').map(|(_, power)| power);
    let power: i32 = power
        .and_then(|power| power.parse().ok())
        .expect("BUG: a finite float has an exponent");
    let sign = if value < 0.0 { "-" } else { "" };
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}e{power:+03}")
}

/// The plain form with the digits of another form of the same number, where they are as many.
fn with_digits(plain: String, other: &str) -> String {
    let digits = significant(other);
    if significant(&plain).len() != digits.len() {
        return plain;
    }
    let mut digits = digits.into_iter();
    let mut begun = false;
    let replaced = plain.chars().map(|c| {
        begun |= ('1'..='9').contains(&c);
        match c.is_ascii_digit() && begun {
            true => digits.next().map_or(c, char::from),
            false => c,
        }
    });
    replaced.collect()
}

fn significant(text: &str) -> Vec<u8> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: Vec<u8> = mantissa
        .bytes()
        .filter(u8::is_ascii_digit)
        .skip_while(|b| *b == b'0')
        .collect();
    let end = digits
        .iter()
        .rposition(|b| *b != b'0')
        .map_or(0, |at| at + 1);
    digits[..end].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_that_are_as_near_the_even_one() {
        let read = |text: &str| text.parse::<f64>().expect("a number");
        assert_eq!(of_f64(read("-123456789012345.125")), "-123456789012345.12");
        assert_eq!(of_f64(read("123456789012345.375")), "123456789012345.38");
        for plain in [
            "0",
            "-0",
            "0.1",
            "1",
            "100",
            "-12.5",
            "0.000001",
            "1e300",
            "5e-324",
            "9007199254740993",
        ] {
            let value: f64 = plain.parse().expect("a number");
            assert_eq!(of_f64(value), value.to_string());
            assert_eq!(
                of_f64(value).parse::<f64>().expect("a number").to_bits(),
                value.to_bits()
            );
        }
        assert_eq!(of_f32(0.1), "0.1");
        assert_eq!(
            json_of_f64(read("-123456789012345.125")),
            "-123456789012345.12"
        );
        assert_eq!(of_f64(f64::INFINITY), "inf");
    }

    #[test]
    fn as_json_a_float_stays_one() {
        for written in [
            "0.0",
            "-0.0",
            "1.0",
            "-12.5",
            "0.0001",
            "1e-05",
            "-1.5e-07",
            "1000000000000000.0",
            "9999999999999998.0",
            "1e+16",
            "1e+20",
            "-1.5e+300",
            "5e-324",
            "1.7976931348623157e+308",
        ] {
            assert_eq!(json_of_f64(written.parse().expect("a number")), written);
        }
    }
}
