//! Decimals: two spellings of one number have one normal form. `1.50`, `01.5` and `15E-1` are equal; no digit is ever lost.

/// No number that PostgreSQL can hold has an exponent beyond this.
const MAX_EXPONENT: i64 = 200_000;

/// A decimal in normal form: `digits × 10^exponent`, without leading or trailing zeros; zero has no digits and no sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`, ASCII only, nothing before or after.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, rest) = match text.first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, mut exponent) = match rest.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(at) => (&rest[..at], exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let mut digits = Vec::with_capacity(mantissa.len());
        let mut fraction = None;
        for &byte in mantissa {
            match byte {
                b'0'..=b'9' => digits.push(byte),
                b'.' if fraction.is_none() => fraction = Some(digits.len()),
                _ => return None,
            }
        }
        if digits.is_empty() {
            return None;
        }
        exponent -= fraction.map_or(0, |at| digits.len() - at) as i64;
        Some(
            Self {
                negative,
                digits,
                exponent,
            }
            .normal(),
        )
    }

    /// How many digits after the point it takes to write the number.
    pub(crate) fn scale(&self) -> i64 {
        (-self.exponent).max(0)
    }

    /// The number with at most `scale` digits after the point, halves away from zero, as PostgreSQL rounds a `numeric`.
    pub(crate) fn rounded(mut self, scale: i64) -> Self {
        let drop = self.scale() - scale;
        if drop <= 0 {
            return self;
        }
        let keep = self.digits.len() as i64 - drop;
        let up = keep >= 0 && self.digits[keep as usize] >= b'5';
        self.digits.truncate(keep.max(0) as usize);
        self.exponent += drop;
        if up {
            self.increment();
        }
        self.normal()
    }

    /// The number with at most `scale` digits after the point, the others dropped.
    pub(crate) fn truncated(mut self, scale: i64) -> Self {
        let drop = self.scale() - scale;
        if drop > 0 {
            let keep = (self.digits.len() as i64 - drop).max(0);
            self.digits.truncate(keep as usize);
            self.exponent += drop;
        }
        self.normal()
    }

    /// The bytes that are equal exactly when the numbers are.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(if self.negative { b'-' } else { b'+' });
        out.extend_from_slice(&self.exponent.to_be_bytes());
        out.extend_from_slice(&self.digits);
    }

    fn increment(&mut self) {
        for digit in self.digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        self.digits.insert(0, b'1');
    }

    fn normal(mut self) -> Self {
        let leading = self.digits.iter().take_while(|&&d| d == b'0').count();
        self.digits.drain(..leading);
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
            self.exponent += 1;
        }
        if self.digits.is_empty() {
            (self.negative, self.exponent) = (false, 0);
        }
        self
    }
}

fn exponent(text: &[u8]) -> Option<i64> {
    let value: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.abs() <= MAX_EXPONENT).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Option<Decimal> {
        Decimal::parse(text.as_bytes())
    }

    #[test]
    fn spellings_of_one_number_are_equal() {
        for (a, b) in [
            ("1.50", "1.5"),
            ("15E-1", "1.5"),
            ("+1", "1"),
            ("-0.0", "0"),
            ("1e3", "1000"),
            ("00.10", ".1"),
            ("5.", "5"),
        ] {
            assert_eq!(form(a), form(b), "{a} {b}");
            assert!(form(a).is_some());
        }
        for (a, b) in [("1.5", "15"), ("1", "-1"), ("1.0000000000000000001", "1")] {
            assert_ne!(form(a), form(b), "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "",
            "-",
            ".",
            "1_000",
            "0x10",
            "NaN",
            "Infinity",
            " 1",
            "1 ",
            "1e",
            "1e999999999",
            "1,5",
            "--1",
            "1.2.3",
            "１",
        ] {
            assert_eq!(form(text), None, "{text:?}");
        }
    }

    #[test]
    fn rounds_halves_away_from_zero() {
        for (text, scale, expected) in [
            ("12.345", 2, "12.35"),
            ("-12.345", 2, "-12.35"),
            ("9.995", 2, "10"),
            ("0.004", 2, "0"),
            ("0.005", 2, "0.01"),
            ("0.0005", 2, "0"),
            ("0.5", 0, "1"),
        ] {
            assert_eq!(
                form(text).map(|d| d.rounded(scale)),
                form(expected),
                "{text}"
            );
        }
    }
}
