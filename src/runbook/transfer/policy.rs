//! What may be changed in one column on its way: the settings of `columns:`, one by one, and how a runbook spells them.
//!
//! Pure values. What a setting does to a value is `crate::transfer::convert`'s business, and, by rules of its own, `crate::parity`'s.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::Zone;
use super::words::{
    Bytes, Epoch, Fraction, GuidBytes, OnProblem, Real, Replacement, Scale, Unsigned, yaml_value,
};
use crate::text::yaml_scalar;

/// What may be changed in one column. Every setting unset: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ColumnPolicy {
    /// Fractions of a second beyond what the target keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<Fraction>,
    /// The unit of numbers that stand for instants (or, into `interval`, for durations).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// What text and numbers without an offset mean in this column; where it is stated, the section's own `zone:` does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// The day from which text that is a moment counts a duration, into `interval` (SQLAlchemy's `Interval`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<NaiveDate>,
    /// Values that stand for something else, by their text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Replacement>,
    /// What separates the elements of a list in text, into an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// `null: default`: NULL becomes the constant that the target column has for its default.
    #[serde(skip_serializing_if = "is_false")]
    pub null_default: bool,
    /// `time: drop`: the time of day is dropped on the way into `date`.
    #[serde(skip_serializing_if = "is_false")]
    pub time_drop: bool,
    /// `offset: to_utc`: keep the instant, drop the written offset.
    #[serde(skip_serializing_if = "is_false")]
    pub offset_to_utc: bool,
    /// `boolean_words: true`: true/false, t/f, yes/no, y/n, on/off and 1/0 as text.
    #[serde(skip_serializing_if = "is_false")]
    pub boolean_words: bool,
    /// `boolean_bytes: true`: a blob of one byte, 0 or 1.
    #[serde(skip_serializing_if = "is_false")]
    pub boolean_bytes: bool,
    /// Byte order of GUIDs that are 16-byte blobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid_bytes: Option<GuidBytes>,
    /// `guid_text: any`: GUIDs in braces or parentheses, or with `urn:uuid:` before them.
    #[serde(skip_serializing_if = "is_false")]
    pub guid_text_any: bool,
    /// What a REAL becomes where the target is exact or narrower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real: Option<Real>,
    /// Decimal places beyond what the target keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What negative integers are where the target has room for 64-bit numbers without a sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsigned: Option<Unsigned>,
    /// `negative_zero: drop`: `-0.0` becomes `0.0` where the target has no negative zero.
    #[serde(skip_serializing_if = "is_false")]
    pub negative_zero_drop: bool,
    /// `midnight: allow`: a date with the time 00:00:00 into `date`, a bare date into a timestamp.
    #[serde(skip_serializing_if = "is_false")]
    pub midnight_allow: bool,
    /// `far_years: keep`: years beyond 9999, which .NET and Python cannot read back.
    #[serde(skip_serializing_if = "is_false")]
    pub far_years_keep: bool,
    /// `nul: strip`: remove NUL characters, which PostgreSQL's text cannot hold.
    #[serde(skip_serializing_if = "is_false")]
    pub nul_strip: bool,
    /// `invalid_utf8: replace`: put U+FFFD for bytes that are not UTF-8.
    #[serde(skip_serializing_if = "is_false")]
    pub invalid_utf8_replace: bool,
    /// `char_padding: pad`: text shorter than `char(n)` is padded with blanks.
    #[serde(skip_serializing_if = "is_false")]
    pub char_padding_pad: bool,
    /// Bytes that are text: whichever side has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Bytes>,
    /// `jsonb_blob: decode`: SQLite's binary JSON becomes JSON text. Bytes that are JSON text as well are refused.
    #[serde(skip_serializing_if = "is_false")]
    pub jsonb_blob_decode: bool,
    /// `enum: ordinal`: numbers are positions in the enum's order, from 0.
    #[serde(skip_serializing_if = "is_false")]
    pub enum_ordinal: bool,
    /// `netmask: keep`: an address with a prefix length into `inet`.
    #[serde(skip_serializing_if = "is_false")]
    pub netmask_keep: bool,
    /// `duplicates: one`: rows whose keys are the same in the target are one, and what refers to the one that is put aside refers to the other.
    #[serde(skip_serializing_if = "is_false")]
    pub duplicates_one: bool,
    /// What happens to a value that still does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_problem: Option<OnProblem>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// The settings a column key may hold, each with the values it takes. The parser's hints and the docs come from here.
pub const POLICY_KEYS: &[(&str, &[&str])] = &[
    ("fraction", &["truncate", "round"]),
    (
        "epoch",
        &[
            "s",
            "ms",
            "us",
            "ns",
            "days",
            "ticks",
            "julian",
            "oadate",
            "dotnet_binary",
            "ef_offset",
            "calendar",
        ],
    ),
    ("offset", &["to_utc"]),
    ("boolean_words", &["true", "false"]),
    ("boolean_bytes", &["true", "false"]),
    ("guid_bytes", &["dotnet", "rfc4122"]),
    ("guid_text", &["any"]),
    ("real", &["shortest", "nearest"]),
    ("scale", &["round", "truncate"]),
    ("unsigned", &["wrap", "signed"]),
    ("negative_zero", &["drop"]),
    ("midnight", &["allow"]),
    ("far_years", &["keep"]),
    ("nul", &["strip"]),
    ("invalid_utf8", &["replace"]),
    ("char_padding", &["pad"]),
    ("bytes", &["utf8", "text"]),
    ("jsonb_blob", &["decode"]),
    ("enum", &["ordinal"]),
    ("netmask", &["keep"]),
    ("null", &["default"]),
    ("time", &["drop"]),
    ("duplicates", &["one"]),
    ("on_problem", &["refuse", "quarantine", "null"]),
];

/// The settings that take something else than a word, each with what it takes.
pub const FREE_KEYS: &[(&str, &str)] = &[
    ("zone", "UTC or a fixed offset such as +02:00"),
    ("since", "a date such as 1970-01-01"),
    ("split", "the text between two elements, such as \",\""),
    (
        "values",
        "a map such as { 0: null, 253402300799999: infinity }",
    ),
];

/// A setting that [`ColumnPolicy::set`] does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No such key.
    #[error("`{0}` is not a setting of a column")]
    UnknownKey(String),
    /// A known key with a value that it does not take.
    #[error("`{key}` takes {}, not `{value}`", allowed.join(", "))]
    UnknownValue {
        key: String,
        value: String,
        /// What may be written.
        allowed: &'static [&'static str],
    },
    /// A known key whose value cannot be read.
    #[error("`{key}` takes {expected}, not `{value}`")]
    Unreadable {
        key: &'static str,
        value: String,
        /// What may be written.
        expected: &'static str,
    },
}

impl ColumnPolicy {
    /// Applies one `key: value` of a column's map. [`POLICY_KEYS`] and [`FREE_KEYS`] list what there is; a map of values goes in by
    /// [`ColumnPolicy::replace`].
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), PolicyError> {
        if let Some((key, expected)) = FREE_KEYS.iter().find(|(name, _)| *name == key) {
            return self.set_free(key, value).ok_or(PolicyError::Unreadable {
                key,
                value: value.to_owned(),
                expected,
            });
        }
        let Some((_, allowed)) = POLICY_KEYS.iter().find(|(name, _)| *name == key) else {
            return Err(PolicyError::UnknownKey(key.to_owned()));
        };
        if !allowed.contains(&value) {
            return Err(PolicyError::UnknownValue {
                key: key.to_owned(),
                value: value.to_owned(),
                allowed,
            });
        }
        match (key, value) {
            ("fraction", "truncate") => self.fraction = Some(Fraction::Truncate),
            ("fraction", _) => self.fraction = Some(Fraction::Round),
            ("epoch", unit) => {
                let found = Epoch::ALL.iter().find(|(name, _)| *name == unit);
                self.epoch = found.map(|(_, unit)| *unit);
            }
            ("offset", _) => self.offset_to_utc = true,
            ("boolean_words", value) => self.boolean_words = value == "true",
            ("boolean_bytes", value) => self.boolean_bytes = value == "true",
            ("guid_bytes", "dotnet") => self.guid_bytes = Some(GuidBytes::Dotnet),
            ("guid_bytes", _) => self.guid_bytes = Some(GuidBytes::Rfc4122),
            ("guid_text", _) => self.guid_text_any = true,
            ("real", "shortest") => self.real = Some(Real::Shortest),
            ("real", _) => self.real = Some(Real::Nearest),
            ("scale", "round") => self.scale = Some(Scale::Round),
            ("scale", _) => self.scale = Some(Scale::Truncate),
            ("unsigned", "wrap") => self.unsigned = Some(Unsigned::Wrap),
            ("unsigned", _) => self.unsigned = Some(Unsigned::Signed),
            ("negative_zero", _) => self.negative_zero_drop = true,
            ("midnight", _) => self.midnight_allow = true,
            ("far_years", _) => self.far_years_keep = true,
            ("nul", _) => self.nul_strip = true,
            ("invalid_utf8", _) => self.invalid_utf8_replace = true,
            ("char_padding", _) => self.char_padding_pad = true,
            ("bytes", "utf8") => self.bytes = Some(Bytes::Utf8),
            ("bytes", _) => self.bytes = Some(Bytes::Text),
            ("jsonb_blob", _) => self.jsonb_blob_decode = true,
            ("enum", _) => self.enum_ordinal = true,
            ("netmask", _) => self.netmask_keep = true,
            ("null", _) => self.null_default = true,
            ("time", _) => self.time_drop = true,
            ("duplicates", _) => self.duplicates_one = true,
            ("on_problem", "refuse") => self.on_problem = Some(OnProblem::Refuse),
            ("on_problem", "quarantine") => self.on_problem = Some(OnProblem::Quarantine),
            ("on_problem", _) => self.on_problem = Some(OnProblem::Null),
            _ => return Err(PolicyError::UnknownKey(key.to_owned())),
        }
        Ok(())
    }

    fn set_free(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "zone" => self.zone = Some(Zone::parse(value)?),
            "since" => self.since = Some(NaiveDate::parse_from_str(value, "%Y-%m-%d").ok()?),
            "split" if !value.is_empty() => self.split = Some(value.to_owned()),
            _ => return None,
        }
        Some(())
    }

    /// States what a value, by its text, stands for.
    pub fn replace(&mut self, value: impl Into<String>, by: Replacement) {
        self.values.insert(value.into(), by);
    }

    /// What a value stands for, by its text: an integer's digits, the shortest decimal of a REAL (without `.0`), text as it is.
    pub fn replacement(&self, text: &str) -> Option<&Replacement> {
        self.values.get(text)
    }

    /// What is set, as a runbook writes it: keys, and values of YAML's flow style.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let all = POLICY_KEYS
            .iter()
            .flat_map(|(key, values)| values.iter().map(move |value| (*key, *value)));
        let words = all.filter(|(key, value)| {
            let mut alone = Self::default();
            *value != "false" && alone.set(key, value).is_ok() && self.states(&alone)
        });
        // `null` alone would be YAML's null, not the word.
        let quoted = |value: &str| match value {
            "null" => "\"null\"".to_owned(),
            word => word.to_owned(),
        };
        let mut pairs: Vec<(&'static str, String)> =
            words.map(|(key, value)| (key, quoted(value))).collect();
        pairs.extend(
            self.zone
                .map(|zone| ("zone", yaml_scalar(&zone.to_string()))),
        );
        pairs.extend(
            self.since
                .map(|day| ("since", day.format("%Y-%m-%d").to_string())),
        );
        pairs.extend(
            self.split
                .as_ref()
                .map(|text| ("split", serde_json::Value::from(text.as_str()).to_string())),
        );
        if !self.values.is_empty() {
            let entries: Vec<String> = self
                .values
                .iter()
                .map(|(from, to)| format!("{}: {}", yaml_value(from), to.written()))
                .collect();
            pairs.push(("values", format!("{{ {} }}", entries.join(", "))));
        }
        pairs
    }

    /// The line of a section that states it for a column or a pattern.
    pub fn line(&self, name: &str) -> String {
        let pairs: Vec<String> = self
            .pairs()
            .iter()
            .map(|(key, value)| format!("{}: {value}", yaml_scalar(key)))
            .collect();
        format!("  {}: {{ {} }}", yaml_scalar(name), pairs.join(", "))
    }

    /// Whether everything that `other` states is stated here too.
    pub(crate) fn states(&self, other: &Self) -> bool {
        let mut merged = self.clone();
        merged.overlay(other);
        merged == *self
    }

    /// Takes over what `other` states.
    pub(crate) fn overlay(&mut self, other: &Self) {
        self.fraction = other.fraction.or(self.fraction);
        self.epoch = other.epoch.or(self.epoch);
        self.zone = other.zone.or(self.zone);
        self.since = other.since.or(self.since);
        self.split = other.split.clone().or_else(|| self.split.take());
        self.null_default |= other.null_default;
        self.time_drop |= other.time_drop;
        self.values.extend(
            other
                .values
                .iter()
                .map(|(from, to)| (from.clone(), to.clone())),
        );
        self.offset_to_utc |= other.offset_to_utc;
        self.boolean_words |= other.boolean_words;
        self.boolean_bytes |= other.boolean_bytes;
        self.guid_bytes = other.guid_bytes.or(self.guid_bytes);
        self.guid_text_any |= other.guid_text_any;
        self.real = other.real.or(self.real);
        self.scale = other.scale.or(self.scale);
        self.unsigned = other.unsigned.or(self.unsigned);
        self.negative_zero_drop |= other.negative_zero_drop;
        self.midnight_allow |= other.midnight_allow;
        self.far_years_keep |= other.far_years_keep;
        self.nul_strip |= other.nul_strip;
        self.invalid_utf8_replace |= other.invalid_utf8_replace;
        self.char_padding_pad |= other.char_padding_pad;
        self.bytes = other.bytes.or(self.bytes);
        self.jsonb_blob_decode |= other.jsonb_blob_decode;
        self.enum_ordinal |= other.enum_ordinal;
        self.netmask_keep |= other.netmask_keep;
        self.duplicates_one |= other.duplicates_one;
        self.on_problem = other.on_problem.or(self.on_problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_setting_is_taken_and_nothing_else() {
        for (key, values) in POLICY_KEYS {
            for value in *values {
                let mut policy = ColumnPolicy::default();
                assert_eq!(policy.set(key, value), Ok(()), "{key}: {value}");
                assert!(
                    value == &"false" || policy != ColumnPolicy::default(),
                    "{key}: {value} changes nothing"
                );
            }
            assert!(ColumnPolicy::default().set(key, "nonsense").is_err());
        }
        for (key, _) in FREE_KEYS {
            let set = ColumnPolicy::default().set(key, "");
            assert!(matches!(set, Err(PolicyError::Unreadable { .. })), "{key}");
        }
        assert!(matches!(
            ColumnPolicy::default().set("fractoin", "round"),
            Err(PolicyError::UnknownKey(_))
        ));
    }

    #[test]
    fn what_is_stated_is_written_as_a_runbook_takes_it() {
        let mut policy = ColumnPolicy::default();
        for (key, value) in [
            ("epoch", "ms"),
            ("on_problem", "null"),
            ("null", "default"),
            ("zone", "+02:00"),
            ("since", "1970-01-01"),
            ("split", ","),
        ] {
            policy.set(key, value).expect("a known setting");
        }
        policy.replace("0", Replacement::Null);
        policy.replace("", Replacement::Null);
        policy.replace("-1", Replacement::Infinity);
        policy.replace("9999-12-31 23:59:59", Replacement::Value("x y".to_owned()));
        let written: Vec<String> = policy
            .pairs()
            .into_iter()
            .map(|(key, value)| format!("{}: {value}", yaml_scalar(key)))
            .collect();
        let section = format!("columns: {{ t.c: {{ {} }} }}", written.join(", "));
        let read = crate::runbook::parse_transfer("section", &section)
            .unwrap_or_else(|problems| panic!("{section}\n{problems:?}"));
        assert_eq!(read.column("t", "c"), policy, "{section}");
    }
}
