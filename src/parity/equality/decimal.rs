//! Decimals: two spellings of one number have one normal form. `1.50`, `01.5` and `15E-1` are equal; no digit is ever lost.

use std::fmt;

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

    /// How many digits it has, zeros at either end not counted.
    pub(crate) fn digits(&self) -> usize {
        self.digits.len()
    }

    /// A whole number.
    pub(crate) fn of(number: i64) -> Self {
        let digits = number.unsigned_abs().to_string().into_bytes();
        Self {
            negative: number < 0,
            digits,
            exponent: 0,
        }
        .normal()
    }

    /// The largest whole number that is not above the number times `factor × 10^places`, and whether it is below.
    pub(crate) fn floor(&self, factor: u32, places: i64) -> Option<(i128, bool)> {
        const MOST_DIGITS: usize = 30;
        if self.digits.len() > MOST_DIGITS {
            return None;
        }
        let digits = self
            .digits
            .iter()
            .fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        let scaled = digits * i128::from(factor) * if self.negative { -1 } else { 1 };
        let power = self.exponent + places;
        let size = u32::try_from(power.unsigned_abs()).ok()?;
        match (10_i128.checked_pow(size), power >= 0) {
            _ if scaled == 0 => Some((0, false)),
            (Some(size), true) => Some((scaled.checked_mul(size)?, false)),
            (None, true) => None,
            (Some(size), false) => Some((scaled.div_euclid(size), scaled.rem_euclid(size) != 0)),
            // Next to nothing.
            (None, false) => Some((if scaled < 0 { -1 } else { 0 }, true)),
        }
    }

    /// The number as an integer of 64 bits, if it is one.
    pub(crate) fn integer(&self) -> Option<i64> {
        i64::try_from(self.whole(0)?).ok()
    }

    /// The number times `10^places`, if that is whole and fits.
    pub(crate) fn whole(&self, places: u32) -> Option<i128> {
        let zeros = usize::try_from(self.exponent + i64::from(places))
            .ok()
            .filter(|zeros| zeros + self.digits.len() <= 38);
        if self.digits.is_empty() {
            return Some(0);
        }
        let digits = self
            .digits
            .iter()
            .copied()
            .chain(std::iter::repeat_n(b'0', zeros?));
        let value = digits.fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        Some(if self.negative { -value } else { value })
    }

    /// Whether a column that keeps so many digits after the point would round it; with fewer than none, digits before the point.
    pub(crate) fn goes_beyond(&self, scale: i64) -> bool {
        !self.digits.is_empty() && -self.exponent > scale
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

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.digits.is_empty() {
            "0"
        } else {
            std::str::from_utf8(&self.digits).map_err(|_| fmt::Error)?
        };
        write!(
            f,
            "{}{digits}e{}",
            if self.negative { "-" } else { "" },
            self.exponent
        )
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
    fn a_whole_number_of_smaller_units() {
        let whole = |text: &str, places| form(text).and_then(|d| d.whole(places));
        assert_eq!(whole("1709210096.123", 7), Some(17_092_100_961_230_000));
        assert_eq!(whole("-1.5", 1), Some(-15));
        assert_eq!(whole("0", 3), Some(0));
        assert_eq!(whole("1.25", 1), None);
        assert_eq!(whole("1e60", 1), None);
        assert_eq!(Decimal::of(i64::MIN).whole(0), Some(i64::MIN.into()));
        let floor = |text: &str, factor, places| form(text).and_then(|d| d.floor(factor, places));
        assert_eq!(floor("-1.25", 1, 1), Some((-13, true)));
        assert_eq!(floor("1.5", 864, 1), Some((12_960, false)));
        assert_eq!(floor("-1e-300", 1, 7), Some((-1, true)));
        assert_eq!(floor("0", 1, 7), Some((0, false)));
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
