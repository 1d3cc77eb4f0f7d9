//! Integers, decimals and floats, in PostgreSQL's binary forms.

use crate::runbook::transfer::{ColumnPolicy, Real, Scale, Unsigned};
use crate::transfer::convert::{Reject, Use, Uses, put, shortest};
use crate::transfer::kind::Kind;

/// PostgreSQL's limits for `numeric` without a precision.
const MAX_WHOLE_DIGITS: usize = 131_072;
const MAX_FRACTION_DIGITS: usize = 16_383;

/// An integer into an integer type, within its range.
pub fn integer(value: i64, kind: &Kind, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    match kind {
        Kind::Int8 => put(value.to_be_bytes(), out),
        Kind::Int4 => put(within::<i32>(value, "integer")?.to_be_bytes(), out),
        Kind::Int2 => put(within::<i16>(value, "smallint")?.to_be_bytes(), out),
        Kind::Oid => put(within::<u32>(value, "oid")?.to_be_bytes(), out),
        _ => return Err(Reject::never("not an integer type")),
    }
    Ok(Uses::NONE)
}

fn within<T: TryFrom<i64>>(value: i64, kind: &'static str) -> Result<T, Reject> {
    T::try_from(value).map_err(|_| range(kind))
}

fn range(kind: &'static str) -> Reject {
    Reject::never(format!("outside the range of {kind}"))
}

/// An integer into a float that holds it exactly.
pub fn integer_to_float(value: i64, kind: &Kind, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    // The way back saturates at the upper end, hence the comparison in 128 bits.
    let exact = |back: f64| back as i128 == i128::from(value);
    match kind {
        Kind::Float4 if exact(f64::from(value as f32)) => put((value as f32).to_be_bytes(), out),
        Kind::Float8 if exact(value as f64) => put((value as f64).to_be_bytes(), out),
        _ => return Err(Reject::never("the float cannot hold this integer exactly")),
    }
    Ok(Uses::NONE)
}

/// A REAL that is a whole number into an integer type, by policy.
pub fn real_to_integer(
    value: f64,
    kind: &Kind,
    policy: &ColumnPolicy,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    // 2^63, which a REAL holds exactly, as it does every whole number that it stands for.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if value.trunc() != value {
        return Err(Reject::never("a REAL that is not a whole number"));
    }
    if value == 0.0 && value.is_sign_negative() {
        return Err(Reject::never(
            "negative zero, which whole numbers do not have",
        ));
    }
    if !(-LIMIT..LIMIT).contains(&value) {
        return Err(range("bigint"));
    }
    if policy.real != Some(Real::Shortest) {
        return Err(Reject::unless(
            "real: shortest",
            "a REAL that is a whole number",
        ));
    }
    integer(value as i64, kind, out)?;
    Ok(Uses::one(Use::Real))
}

/// A REAL into `double precision`.
pub fn real_bits(value: f64, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    put(value.to_be_bytes(), out);
    Ok(Uses::NONE)
}

/// A REAL into `real`.
pub fn real_narrowed(value: f64, policy: &ColumnPolicy, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let narrow = value as f32;
    if f64::from(narrow).to_bits() == value.to_bits() {
        put(narrow.to_be_bytes(), out);
        return Ok(Uses::NONE);
    }
    if narrow.is_infinite() || (narrow == 0.0 && value != 0.0) {
        return Err(Reject::never("outside the range of real"));
    }
    if policy.real != Some(Real::Nearest) {
        return Err(Reject::unless(
            "real: nearest",
            "real cannot hold this value exactly",
        ));
    }
    put(narrow.to_be_bytes(), out);
    Ok(Uses::one(Use::Real))
}

/// The shortest decimal that reads back as this REAL, where the policy allows to take it for the value.
pub fn by_its_shortest(value: f64, policy: &ColumnPolicy) -> Result<String, Reject> {
    if !value.is_finite() {
        return Err(Reject::never("an infinite value"));
    }
    if policy.real != Some(Real::Shortest) {
        return Err(Reject::unless(
            "real: shortest",
            "a REAL, whose decimal form is a choice",
        ));
    }
    Ok(shortest::of_f64(value))
}

/// An integer into `numeric`. `numeric(20,0)` is what the books of 64-bit numbers without a sign are kept in (Entity Framework's `ulong`), and
/// SQLite has the upper half of them as negative integers: there a negative one may be either.
pub fn integer_to_numeric(
    value: i64,
    kind: &Kind,
    policy: &ColumnPolicy,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let wrapped = value.cast_unsigned();
    let negative = value < 0;
    let written = match policy.unsigned {
        Some(Unsigned::Wrap) if negative => wrapped.to_string(),
        None if negative && *kind == Kind::Numeric(Some((20, 0))) => {
            return Err(Reject::unless(
                "unsigned: wrap",
                format!("a negative number, or the number {wrapped} without a sign"),
            ));
        }
        Some(Unsigned::Wrap | Unsigned::Signed) | None => value.to_string(),
    };
    let mut uses = decimal(&written, kind, policy, out)?;
    if negative && policy.unsigned.is_some() {
        uses.add(Use::Unsigned);
    }
    Ok(uses)
}

/// A REAL into `numeric` by its shortest decimal.
pub fn real_to_numeric(
    value: f64,
    kind: &Kind,
    policy: &ColumnPolicy,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let uses = decimal(&by_its_shortest(value, policy)?, kind, policy, out)?;
    Ok(Uses(uses.0 | Uses::one(Use::Real).0))
}

/// Strict decimal digits into an integer type.
pub fn text_to_integer(value: &[u8], kind: &Kind, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    let strict = match digits {
        [b'0'] => value.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !strict {
        return Err(Reject::never("text that is not plain digits"));
    }
    let parsed = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok());
    integer(parsed.ok_or_else(|| range("bigint"))?, kind, out)
}

/// A strict decimal number into `numeric`.
pub fn text_to_numeric(
    value: &[u8],
    kind: &Kind,
    policy: &ColumnPolicy,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let text = strict_decimal(value)?;
    decimal(text, kind, policy, out)
}

/// `-`, digits without leading zeros, `.` and digits: nothing else is a decimal number here.
fn strict_decimal(value: &[u8]) -> Result<&str, Reject> {
    let refuse = || Reject::never("text that is not a plain decimal number");
    let unsigned = value.strip_prefix(b"-").unwrap_or(value);
    let point = unsigned
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(unsigned.len());
    let (whole, fraction) = unsigned.split_at(point);
    let fraction_ok =
        fraction.is_empty() || (fraction.len() > 1 && fraction[1..].iter().all(u8::is_ascii_digit));
    let whole_ok = !whole.is_empty()
        && whole.iter().all(u8::is_ascii_digit)
        && (whole.len() == 1 || whole[0] != b'0');
    if !(whole_ok && fraction_ok) {
        return Err(refuse());
    }
    std::str::from_utf8(value).map_err(|_| refuse())
}

/// A strict decimal number into a float whose own shortest form is that number.
pub fn text_to_float(value: &[u8], kind: &Kind, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let text = strict_decimal(value)?;
    let inexact = || Reject::never("the float cannot hold this decimal number exactly");
    match kind {
        Kind::Float4 => {
            let parsed: f32 = text.parse().map_err(|_| inexact())?;
            if !parsed.is_finite() || significant(&shortest::of_f32(parsed)) != significant(text) {
                return Err(inexact());
            }
            put(parsed.to_be_bytes(), out);
        }
        _ => {
            let parsed: f64 = text.parse().map_err(|_| inexact())?;
            if !parsed.is_finite() || significant(&shortest::of_f64(parsed)) != significant(text) {
                return Err(inexact());
            }
            put(parsed.to_be_bytes(), out);
        }
    }
    Ok(Uses::NONE)
}

/// The number without zeros that say nothing.
fn significant(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// A decimal number in plain form (`-12.340`) into `numeric`, checked against precision and scale.
pub fn decimal(
    text: &str,
    kind: &Kind,
    policy: &ColumnPolicy,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut uses = Uses::NONE;
    let mut digits = Digits {
        whole: whole.trim_start_matches('0').as_bytes(),
        fraction: fraction.as_bytes(),
    };
    if negative && digits.is_zero() {
        if !policy.negative_zero_drop {
            return Err(Reject::unless(
                "negative_zero: drop",
                "negative zero, which numeric does not have",
            ));
        }
        uses.add(Use::NegativeZero);
    }
    let Kind::Numeric(limits) = kind else {
        return Err(Reject::never("not a numeric type"));
    };
    let rounded;
    if let Some((precision, scale)) = *limits {
        if let Some(changed) = digits.fit(scale, policy)? {
            rounded = changed;
            digits = Digits {
                whole: rounded.0.as_bytes(),
                fraction: rounded.1.as_bytes(),
            };
            uses.add(Use::Scale);
        } else {
            let places = usize::try_from(scale).unwrap_or(0);
            digits.fraction = &digits.fraction[..digits.fraction.len().min(places)];
        }
        digits.check_precision(precision, scale)?;
    } else if digits.whole.len() > MAX_WHOLE_DIGITS || digits.fraction.len() > MAX_FRACTION_DIGITS {
        return Err(Reject::never("more digits than numeric holds"));
    }
    put_numeric(negative && !digits.is_zero(), &digits, out);
    Ok(uses)
}

/// A number without its sign: digits before the point without leading zeros, and behind it.
struct Digits<'t> {
    whole: &'t [u8],
    fraction: &'t [u8],
}

impl Digits<'_> {
    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.iter().all(|digit| *digit == b'0')
    }

    /// None when nothing but zeros lies beyond `scale`; else the number changed by policy, or refused.
    fn fit(&self, scale: i16, policy: &ColumnPolicy) -> Result<Option<(String, String)>, Reject> {
        let places = usize::try_from(scale).unwrap_or(0);
        if scale < 0 {
            let cut = usize::from(scale.unsigned_abs()).min(self.whole.len());
            let (_, low) = self.whole.split_at(self.whole.len() - cut);
            let exact = low.iter().chain(self.fraction).all(|digit| *digit == b'0');
            return if exact {
                Ok(None)
            } else {
                Err(Reject::never(format!(
                    "numeric with scale {scale} rounds it"
                )))
            };
        }
        let Some(beyond) = self.fraction.get(places..) else {
            return Ok(None);
        };
        if beyond.iter().all(|digit| *digit == b'0') {
            return Ok(None);
        }
        let up = match policy.scale {
            None => {
                return Err(Reject::unless(
                    "scale: round",
                    format!("more than {places} decimal places, which the target rounds"),
                ));
            }
            Some(Scale::Truncate) => false,
            Some(Scale::Round) => beyond[0] >= b'5',
        };
        let mut kept: Vec<u8> = [self.whole, &self.fraction[..places]].concat();
        if up {
            increment(&mut kept);
        }
        let fraction = kept.split_off(kept.len() - places);
        let ascii = |bytes: Vec<u8>| String::from_utf8(bytes).expect("BUG: digits are ASCII");
        Ok(Some((ascii(kept), ascii(fraction))))
    }

    /// Counts digits the way PostgreSQL does: those of the number written as an integer at its scale.
    fn check_precision(&self, precision: u16, scale: i16) -> Result<(), Reject> {
        let places = i64::from(scale);
        let leading_zeros = self
            .fraction
            .iter()
            .take_while(|digit| **digit == b'0')
            .count();
        let digits = match (self.whole.len(), self.is_zero()) {
            (_, true) => 0,
            (0, false) => places - leading_zeros as i64,
            (whole, false) => whole as i64 + places,
        };
        if digits > i64::from(precision) {
            return Err(Reject::never(format!(
                "more digits than numeric({precision},{scale}) holds"
            )));
        }
        Ok(())
    }
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return;
        }
    }
    digits.insert(0, b'1');
}

/// Base-10000 groups, aligned at the point, without zero groups at either end.
fn put_numeric(negative: bool, digits: &Digits<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 12]);
    let mut weight = digits.whole.len().div_ceil(4) as i32 - 1;
    let mut groups = 0usize;
    let mut pending_zeros = 0usize;
    let mut push = |group: u16, out: &mut Vec<u8>| {
        if group == 0 {
            if groups == 0 {
                weight -= 1;
            } else {
                pending_zeros += 1;
            }
            return;
        }
        for _ in 0..pending_zeros {
            out.extend_from_slice(&[0, 0]);
        }
        groups += pending_zeros + 1;
        pending_zeros = 0;
        out.extend_from_slice(&group.to_be_bytes());
    };
    let value = |digits: &[u8]| {
        digits
            .iter()
            .fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'))
    };
    let (head, rest) = digits.whole.split_at(digits.whole.len() % 4);
    if !head.is_empty() {
        push(value(head), out);
    }
    for group in rest.chunks(4) {
        push(value(group), out);
    }
    for group in digits.fraction.chunks(4) {
        push(value(group) * 10u16.pow(4 - group.len() as u32), out);
    }
    let (weight, sign) = if groups == 0 {
        (0, 0u16)
    } else {
        (weight, if negative { 0x4000 } else { 0 })
    };
    let length = (8 + 2 * groups) as i32;
    let header = &mut out[start..start + 12];
    header[..4].copy_from_slice(&length.to_be_bytes());
    header[4..6].copy_from_slice(&(groups as u16).to_be_bytes());
    header[6..8].copy_from_slice(&(weight as i16).to_be_bytes());
    header[8..10].copy_from_slice(&sign.to_be_bytes());
    header[10..12].copy_from_slice(&(digits.fraction.len() as u16).to_be_bytes());
}

#[cfg(test)]
mod tests;
