//! The shortest decimal that reads back as a float; of two that are as near, the even one, as PostgreSQL and the languages of applications
//! write it. By another library than the one that `transfer` goes by.

use super::decimal::Decimal;

/// As a number.
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
}
