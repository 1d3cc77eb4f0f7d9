//! Booleans, GUIDs, enums, addresses, bit strings, and text into `bytea`.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::runbook::transfer::{Bytes, ColumnPolicy, GuidBytes, Real};
use crate::transfer::convert::{Converter, Reject, Use, Uses, put, text};
use crate::transfer::kind::Kind;

/// 0 and 1 into `boolean`.
pub fn zero_one(value: i64, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    match value {
        0 | 1 => {
            put([value as u8], out);
            Ok(Uses::NONE)
        }
        _ => Err(Reject::never("neither 0 nor 1")),
    }
}

/// 0.0 and 1.0 into `boolean`, by policy: columns without a numeric affinity keep what a program bound.
pub fn real_zero_one(value: f64, policy: &ColumnPolicy, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    if value != 0.0 && value != 1.0 {
        return Err(Reject::never("neither 0 nor 1"));
    }
    if policy.real != Some(Real::Shortest) {
        return Err(Reject::unless(
            "real: shortest",
            "a REAL that is a whole number",
        ));
    }
    put([u8::from(value != 0.0)], out);
    Ok(Uses::one(Use::Real))
}

/// Words into `boolean`, by policy.
pub fn boolean_word(
    value: &[u8],
    policy: &ColumnPolicy,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    let truth = match value.to_ascii_lowercase().as_slice() {
        b"true" | b"t" | b"yes" | b"y" | b"on" | b"1" => true,
        b"false" | b"f" | b"no" | b"n" | b"off" | b"0" => false,
        _ => return Err(Reject::never("text that is no word for true or false")),
    };
    if !policy.boolean_words {
        return Err(Reject::unless(
            "boolean_words: true",
            "a word for true or false",
        ));
    }
    put([u8::from(truth)], out);
    Ok(Uses::one(Use::BooleanWords))
}

/// A blob of one byte into `boolean`, by policy.
pub fn boolean_byte(
    value: &[u8],
    policy: &ColumnPolicy,
    out: &mut Vec<u8>,
) -> Result<Uses, Reject> {
    match value {
        [byte @ (0 | 1)] if policy.boolean_bytes => {
            put([*byte], out);
            Ok(Uses::one(Use::BooleanBytes))
        }
        [0 | 1] => Err(Reject::unless("boolean_bytes: true", "a blob of one byte")),
        _ => Err(Reject::never("a blob that is neither 0 nor 1")),
    }
}

/// The text form of a GUID: 32 digits, with dashes after 8, 12, 16 and 20 of them or with none, in any letter case. Wrapped ones by
/// policy.
pub fn guid_text(value: &[u8], policy: &ColumnPolicy, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let (bare, wrapped) = match value {
        [b'{', inner @ .., b'}'] | [b'(', inner @ .., b')'] => (inner, true),
        [
            b'u',
            b'r',
            b'n',
            b':',
            b'u',
            b'u',
            b'i',
            b'd',
            b':',
            inner @ ..,
        ] => (inner, true),
        _ => (value, false),
    };
    let digits = guid_digits(bare).ok_or_else(|| Reject::never("not a GUID"))?;
    if wrapped && !policy.guid_text_any {
        return Err(Reject::unless(
            "guid_text: any",
            "a GUID in a wrapping that uuid does not keep",
        ));
    }
    put(digits, out);
    Ok(if wrapped {
        Uses::one(Use::GuidText)
    } else {
        Uses::NONE
    })
}

fn guid_digits(value: &[u8]) -> Option<[u8; 16]> {
    let dashed = match value.len() {
        36 => true,
        32 => false,
        _ => return None,
    };
    let mut bytes = [0; 16];
    let mut at = 0;
    for (index, byte) in bytes.iter_mut().enumerate() {
        if dashed && matches!(index, 4 | 6 | 8 | 10) {
            if value[at] != b'-' {
                return None;
            }
            at += 1;
        }
        *byte = hex(value[at])? << 4 | hex(value[at + 1])?;
        at += 2;
    }
    Some(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A GUID of 16 bytes, by the policy that names their order.
pub fn guid_bytes(value: &[u8], policy: &ColumnPolicy, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let Ok(mut bytes) = <[u8; 16]>::try_from(value) else {
        return Err(Reject::never("a blob that has not 16 bytes"));
    };
    match policy.guid_bytes {
        None => {
            return Err(Reject::unless(
                "guid_bytes: dotnet",
                "a GUID as bytes, whose order must be stated (dotnet or rfc4122)",
            ));
        }
        Some(GuidBytes::Rfc4122) => {}
        Some(GuidBytes::Dotnet) => {
            bytes[..4].reverse();
            bytes[4..6].reverse();
            bytes[6..8].reverse();
        }
    }
    put(bytes, out);
    Ok(Uses::one(Use::GuidBytes))
}

/// Text or the digits of an integer into `bytea`, by policy.
pub fn text_bytes(value: &[u8], policy: &ColumnPolicy, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    if policy.bytes != Some(Bytes::Utf8) {
        return Err(Reject::unless(
            "bytes: utf8",
            "not a blob; bytea would hold the bytes of its text",
        ));
    }
    text::put_bytes(value, out)?;
    Ok(Uses::one(Use::Bytes))
}

/// Text into an enum: a label exactly, or by policy a position written in digits.
pub fn label(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let Kind::Enum(labels) = &converter.kind else {
        return Err(Reject::never("not an enum"));
    };
    if labels.iter().any(|label| label.as_bytes() == value) {
        text::put_bytes(value, out)?;
        return Ok(Uses::NONE);
    }
    let digits = !value.is_empty() && value.len() < 10 && value.iter().all(u8::is_ascii_digit);
    match std::str::from_utf8(value)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
    {
        Some(position) => ordinal(position, converter, out),
        None => Err(Reject::never(
            "not a label of the enum (letter case counts)",
        )),
    }
}

/// A position in the enum's order into its label, by policy.
pub fn ordinal(value: i64, converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let Kind::Enum(labels) = &converter.kind else {
        return Err(Reject::never("not an enum"));
    };
    let Some(label) = usize::try_from(value)
        .ok()
        .and_then(|position| labels.get(position))
    else {
        return Err(Reject::never("neither a label nor a position of the enum"));
    };
    if !converter.policy.enum_ordinal {
        return Err(Reject::unless(
            "enum: ordinal",
            "a number; as a position in the enum's order it would be a label",
        ));
    }
    text::put_bytes(label.as_bytes(), out)?;
    Ok(Uses::one(Use::EnumOrdinal))
}

/// An address into `inet` or `cidr`.
pub fn inet(value: &[u8], converter: &Converter, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    const IPV4: u8 = 2;
    const IPV6: u8 = 3;
    let refuse = || Reject::never("not a network address");
    let written = std::str::from_utf8(value).map_err(|_| refuse())?;
    let (address, prefix) = match written.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (written, None),
    };
    // The standard parsers refuse leading zeros and zone names, which the server's would take or misread.
    let (family, bytes) = if let Ok(four) = address.parse::<Ipv4Addr>() {
        (IPV4, four.octets().to_vec())
    } else if let Ok(six) = address.parse::<Ipv6Addr>() {
        (IPV6, six.octets().to_vec())
    } else {
        return Err(refuse());
    };
    let all = bytes.len() as u8 * 8;
    let is_cidr = converter.kind == Kind::Cidr;
    let mut uses = Uses::NONE;
    let bits = match prefix {
        None => all,
        Some(prefix) => {
            let bits: u8 = prefix
                .parse()
                .ok()
                .filter(|bits: &u8| *bits <= all && bits.to_string() == prefix)
                .ok_or_else(refuse)?;
            if !is_cidr && !converter.policy.netmask_keep {
                return Err(Reject::unless(
                    "netmask: keep",
                    "an address with a prefix length",
                ));
            }
            if !is_cidr {
                uses.add(Use::Netmask);
            }
            bits
        }
    };
    if is_cidr && has_host_bits(&bytes, bits) {
        return Err(Reject::never("bits set to the right of the prefix"));
    }
    let mut field = vec![family, bits, u8::from(is_cidr), bytes.len() as u8];
    field.extend_from_slice(&bytes);
    text::put_bytes(&field, out)?;
    Ok(uses)
}

fn has_host_bits(bytes: &[u8], bits: u8) -> bool {
    bytes.iter().enumerate().any(|(index, byte)| {
        let kept = (usize::from(bits)).saturating_sub(index * 8).min(8) as u32;
        let mask = 0xffu8.checked_shr(kept).unwrap_or(0);
        byte & mask != 0
    })
}

/// Zeros and ones into `bit(n)` or `varbit(n)`.
pub fn bits(value: &[u8], kind: &Kind, out: &mut Vec<u8>) -> Result<Uses, Reject> {
    let Kind::Bit { bits, varying } = kind else {
        return Err(Reject::never("not a bit string"));
    };
    if !value.iter().all(|byte| matches!(byte, b'0' | b'1')) {
        return Err(Reject::never("not a string of zeros and ones"));
    }
    let limit = bits.map_or(usize::MAX, |bits| bits as usize);
    if value.len() > limit || (!varying && value.len() != limit) {
        return Err(Reject::never(format!(
            "{} bits, the target holds {limit}",
            value.len()
        )));
    }
    let mut field = (value.len() as i32).to_be_bytes().to_vec();
    field.extend(value.chunks(8).map(|chunk| {
        chunk.iter().enumerate().fold(0u8, |byte, (index, digit)| {
            byte | (digit - b'0') << (7 - index)
        })
    }));
    text::put_bytes(&field, out)?;
    Ok(Uses::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_in_their_forms() {
        let plain = ColumnPolicy::default();
        let any = ColumnPolicy {
            guid_text_any: true,
            ..ColumnPolicy::default()
        };
        let bytes = |value: &str, policy| {
            let mut out = Vec::new();
            guid_text(value.as_bytes(), policy, &mut out).map(|_| out)
        };
        let reference = bytes("a1b2c3d4-e5f6-4711-8899-aabbccddeeff", &plain);
        assert!(reference.is_ok());
        assert_eq!(
            bytes("A1B2C3D4-E5F6-4711-8899-AABBCCDDEEFF", &plain),
            reference
        );
        assert_eq!(bytes("a1b2c3d4e5f647118899aabbccddeeff", &plain), reference);
        assert_eq!(
            bytes("{a1b2c3d4-e5f6-4711-8899-aabbccddeeff}", &any),
            reference
        );
        assert!(bytes("{a1b2c3d4-e5f6-4711-8899-aabbccddeeff}", &plain).is_err());
        assert!(bytes("a1b2c3d4-e5f6-4711-8899-aabbccddeef", &any).is_err());
        assert!(bytes("a1b2c3d4-e5f64-711-8899-aabbccddeeff", &any).is_err());
        let dotnet = ColumnPolicy {
            guid_bytes: Some(GuidBytes::Dotnet),
            ..ColumnPolicy::default()
        };
        let mut out = Vec::new();
        guid_bytes(
            &[
                0xd4, 0xc3, 0xb2, 0xa1, 0xf6, 0xe5, 0x11, 0x47, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
                0xee, 0xff,
            ],
            &dotnet,
            &mut out,
        )
        .expect("16 bytes");
        assert_eq!(Ok(out), reference);
    }

    #[test]
    fn addresses() {
        let inet_column = Converter {
            kind: Kind::Inet,
            policy: ColumnPolicy::default(),
            zone: None,
            not_null: false,
            default: None,
        };
        let cidr_column = Converter {
            kind: Kind::Cidr,
            ..inet_column.clone()
        };
        assert!(inet(b"10.0.0.1", &inet_column, &mut Vec::new()).is_ok());
        assert!(inet(b"::1", &inet_column, &mut Vec::new()).is_ok());
        for text in ["010.0.0.1", "10.0.0.1/24", "10.0.0", "fe80::1%eth0", ""] {
            assert!(
                inet(text.as_bytes(), &inet_column, &mut Vec::new()).is_err(),
                "{text}"
            );
        }
        assert!(inet(b"10.0.0.0/24", &cidr_column, &mut Vec::new()).is_ok());
        assert!(inet(b"10.0.0.1/24", &cidr_column, &mut Vec::new()).is_err());
        assert!(inet(b"10.0.0.1/024", &cidr_column, &mut Vec::new()).is_err());
    }
}
