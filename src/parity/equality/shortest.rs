//! The shortest decimal that reads back as a float; of two that are as near, the even one, as PostgreSQL and the languages of applications
//! write it. By another library than the one that `transfer` goes by.

use super::decimal::Decimal;

pub(crate) fn number(value: f64) -> Option<Decimal> {
    Decimal::parse(serde_json::Number::from_f64(value)?.to_string().as_bytes())
}

/// As a text without an exponent.
pub(crate) fn text(value: f64) -> String {
    let plain = value.to_string();
    let (Some(even), Some(odd)) = (number(value), Decimal::parse(plain.as_bytes())) else {
        return plain;
    };
    if even == odd {
        return plain;
    }
    // One digit differs, the last that is not a zero, and by one.
    let last = plain.rfind(|c: char| ('1'..='9').contains(&c));
    let neighbours = last.into_iter().flat_map(|at| {
        let digit = plain.as_bytes()[at];
        let with = |digit: u8| format!("{}{}{}", &plain[..at], char::from(digit), &plain[at + 1..]);
        [with(digit - 1), with(digit + 1)]
    });
    let is_even = |text: &String| Decimal::parse(text.as_bytes()).as_ref() == Some(&even);
    neighbours
        .into_iter()
        .find(is_even)
        .unwrap_or_else(|| plain.clone())
}

/// As JSON that keeps its text and is a float for whoever reads it: with a point, or an exponent of two digits at least below 0.0001 and from
/// 10^16 on.
pub(crate) fn json(value: f64) -> String {
    let plain = text(value);
    let is_plain = value == 0.0 || (1e-4..1e16).contains(&value.abs());
    let parts = number(value).filter(|_| !is_plain).and_then(|number| {
        let number = number.to_string();
        let (digits, zeros) = number.trim_start_matches('-').split_once('e')?;
        Some((digits.to_owned(), zeros.parse::<i64>().ok()?))
    });
    let Some((digits, zeros)) = parts else {
        return match plain.contains('.') {
            true => plain,
            false => plain + ".0",
        };
    };
    let sign = if value < 0.0 { "-" } else { "" };
    let power = zeros + digits.len() as i64 - 1;
    let (first, rest) = digits.split_at(1);
    let rest = match rest {
        "" => String::new(),
        rest => format!(".{rest}"),
    };
    format!("{sign}{first}{rest}e{power:+03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> f64 {
        text.parse().expect("a number")
    }

    #[test]
    fn of_two_that_are_as_near_the_even_one() {
        assert_eq!(text(read("-123456789012345.125")), "-123456789012345.12");
        assert_eq!(text(read("123456789012345.375")), "123456789012345.38");
        assert_eq!(text(0.1), "0.1");
        assert_eq!(text(1e22), "10000000000000000000000");
        let even = Decimal::parse(b"-123456789012345.12");
        assert_eq!(number(read("-123456789012345.125")), even);
    }

    #[test]
    fn json_that_keeps_its_text_says_that_it_is_a_float() {
        for written in [
            "0.0",
            "-0.0",
            "7.0",
            "0.0001",
            "9.9e-05",
            "-1e-07",
            "9999999999999998.0",
            "1e+16",
            "1.5e+300",
            "5e-324",
        ] {
            assert_eq!(json(read(written)), written);
        }
    }
}
