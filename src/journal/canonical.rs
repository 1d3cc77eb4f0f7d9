//! The canonical form of an entry and the hash over it. Pure.
//!
//! # The canonical form, version 1
//! The hash of an entry is the SHA-256 of one line of JSON, without line end, with exactly these members in this order:
//!
//! ```text
//! {"at_ms":A,"body":B,"fencing":F,"format":1,"kind":"K","previous":"P","seq":N,"wall":"W"}
//! ```
//!
//! - `A`, `F`, `N`: decimal integers (`at_ms` may be negative);
//! - `B`: the body as it is stored: JSON without white space, the members of every object sorted by the bytes of their names, strings
//!   escaped only where JSON demands it, numbers in their shortest form that reads back to the same number;
//! - `K`: the kind; `P`: the hash of the entry before as 64 lower-case hexadecimal digits, for the first entry 64 zeros;
//! - `W`: the wall clock, UTC, RFC 3339 with three fractional digits and `Z`.
//!
//! The body goes in as the text that lies in the file, so that a verifier in another language need not know how Rust writes a
//! number. A body that is not JSON does not verify, which keeps the form unambiguous.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Version of the canonical form and of the tables.
pub const FORMAT: u32 = 1;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands for the hash before the first entry.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From 32 bytes; `None` for any other number of them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The text was not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is written as 64 lower-case hexadecimal digits")]
pub struct NotAHash;

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digit = |b: u8| match b {
            b'0'..=b'9' => Ok(b - b'0'),
            b'a'..=b'f' => Ok(b - b'a' + 10),
            _ => Err(NotAHash),
        };
        if text.len() != 64 {
            return Err(NotAHash);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Everything of an entry that its hash covers, as it lies in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link<'a> {
    pub previous: Hash,
    pub seq: u64,
    pub fencing: u64,
    pub at_ms: i64,
    pub wall: &'a str,
    pub kind: &'a str,
    pub body: &'a str,
}

impl Link<'_> {
    /// The hash over the canonical form.
    pub fn hash(&self) -> Hash {
        Hash::of(self.canonical().as_bytes())
    }

    /// The line that is hashed.
    pub fn canonical(&self) -> String {
        format!(
            r#"{{"at_ms":{},"body":{},"fencing":{},"format":{FORMAT},"kind":{},"previous":"{}","seq":{},"wall":{}}}"#,
            self.at_ms,
            self.body,
            self.fencing,
            Value::from(self.kind),
            self.previous,
            self.seq,
            Value::from(self.wall),
        )
    }
}

/// A JSON value in its canonical form: no white space, members sorted by the bytes of their names.
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            out.push('{');
            for (n, (name, item)) in sorted.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write_scalar(&Value::from(name.as_str()), out);
                out.push(':');
                write_json(item, out);
            }
            out.push('}');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn write_scalar(value: &Value, out: &mut String) {
    write!(out, "{value}").expect("BUG: writing to a String failed");
}

/// The wall clock as an entry keeps it: cut to milliseconds, so that what the writer returns is what a reader reads.
pub(super) fn wall_cut(wall: DateTime<Utc>) -> DateTime<Utc> {
    wall.trunc_subsecs(3)
}

/// The wall clock as text of the canonical form.
pub(super) fn wall_text(wall: DateTime<Utc>) -> String {
    wall.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn sorts_members_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": null}], "a": "é\n", "B": 1.5});
        assert_eq!(
            json(&value),
            r#"{"B":1.5,"a":"é\n","b":[{"a":null,"z":1}]}"#
        );
    }

    #[test]
    fn the_documented_form_is_the_hashed_form() {
        let link = Link {
            previous: Hash::ZERO,
            seq: 1,
            fencing: 2,
            at_ms: -3,
            wall: "2026-03-01T02:00:00.000Z",
            kind: "session_opened",
            body: "{}",
        };
        let line = format!(
            r#"{{"at_ms":-3,"body":{{}},"fencing":2,"format":1,"kind":"session_opened","previous":"{}","seq":1,"wall":"2026-03-01T02:00:00.000Z"}}"#,
            "0".repeat(64)
        );
        assert_eq!(link.hash(), Hash::of(line.as_bytes()));
    }

    #[test]
    fn a_hash_reads_back() {
        let hash = Hash::of(b"cutover");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("00".parse::<Hash>(), Err(NotAHash));
        assert_eq!("G".repeat(64).parse::<Hash>(), Err(NotAHash));
        assert_eq!("é".repeat(32).parse::<Hash>(), Err(NotAHash));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        scalar.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((".*", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn reversed(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(reversed).collect(),
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .rev()
                    .map(|(name, item)| (name.clone(), reversed(item)))
                    .collect(),
            ),
            scalar => scalar.clone(),
        }
    }

    proptest! {
        #[test]
        fn canonical_json_reads_back_to_the_same_value(value in any_json()) {
            let text = json(&value);
            let back: Value = serde_json::from_str(&text).expect("canonical JSON is JSON");
            prop_assert_eq!(&back, &value);
            prop_assert_eq!(json(&back), text);
        }

        #[test]
        fn the_order_of_members_makes_no_difference(value in any_json()) {
            prop_assert_eq!(json(&reversed(&value)), json(&value));
        }

        #[test]
        fn every_member_of_a_link_counts(seq in 1..u64::MAX, fencing: u64, at_ms: i64, kind in "[a-z_\"\\\\]{1,12}", body in any_json()) {
            let body = json(&body);
            let wall = "2026-03-01T02:00:00.000Z";
            let link = Link { previous: Hash::ZERO, seq, fencing, at_ms, wall, kind: &kind, body: &body };
            let hash = link.hash();
            let other_kind = format!("{kind}x");
            let other_body = format!("[{body}]");
            for changed in [
                Link { previous: Hash::of(b"x"), ..link },
                Link { seq: seq - 1, ..link },
                Link { fencing: fencing.wrapping_add(1), ..link },
                Link { at_ms: at_ms.wrapping_add(1), ..link },
                Link { wall: "2026-03-01T02:00:00.001Z", ..link },
                Link { kind: &other_kind, ..link },
                Link { body: &other_body, ..link },
            ] {
                prop_assert_ne!(changed.hash(), hash);
            }
            prop_assert!(serde_json::from_str::<Value>(&link.canonical()).is_ok());
        }
    }
}
