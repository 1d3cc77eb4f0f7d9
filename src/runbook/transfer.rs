//! The plain model of the `transfer:` section: what may be left out, renamed, or changed on the way, and where.
//!
//! Pure values and the rule by which the most specific key wins. Reading YAML is `runbook::parse`'s business; what a policy does to a
//! value is `crate::transfer`'s.

use std::collections::BTreeMap;

use serde::Serialize;

/// The `transfer:` section. `Transfer::default()` is the section of a runbook that states no policy: everything exact or refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Transfer {
    /// What text without an offset means when it goes into `timestamptz`.
    pub zone: Option<Zone>,
    /// Tables (`Table`) and columns (`Table.Column`) that are left behind on purpose; wildcards allowed.
    pub exclude: Vec<Pattern>,
    /// Source name (`Table` or `Table.Column`) to target name (the bare table or column).
    pub rename: BTreeMap<String, String>,
    /// What to do with rows that the target tables already hold.
    pub target_rows: TargetRows,
    /// Policies by column, in the order written. See [`Transfer::column`].
    pub columns: Vec<(Pattern, ColumnPolicy)>,
    /// The application's ordered lists (`T4c`, `V4`).
    pub lists: Vec<OrderedList>,
    /// The application's slugs (`T4b`, `V3`).
    pub slugs: Vec<Slug>,
}

impl Transfer {
    /// The policy of one column. Every setting comes from the most specific key that names it: an exact `Table.Column` beats a
    /// wildcard, among wildcards the one with more literal characters wins, among equals the later one.
    pub fn column(&self, table: &str, column: &str) -> ColumnPolicy {
        let name = format!("{table}.{column}");
        let mut matching: Vec<(usize, &ColumnPolicy)> = self
            .columns
            .iter()
            .filter(|(pattern, _)| pattern.matches(&name))
            .map(|(pattern, policy)| (pattern.specificity(), policy))
            .collect();
        matching.sort_by_key(|(specificity, _)| *specificity);
        let mut merged = ColumnPolicy::default();
        for (_, policy) in matching {
            merged.overlay(policy);
        }
        merged
    }

    /// Whether this table is left behind on purpose.
    pub fn excludes_table(&self, table: &str) -> bool {
        self.exclude.iter().any(|pattern| pattern.matches(table))
    }

    /// Whether this column is left behind on purpose.
    pub fn excludes_column(&self, table: &str, column: &str) -> bool {
        let name = format!("{table}.{column}");
        self.exclude.iter().any(|pattern| pattern.matches(&name))
    }

    /// The target name stated for this source table, if any.
    pub fn renamed_table(&self, table: &str) -> Option<&str> {
        self.rename.get(table).map(String::as_str)
    }

    /// The target name stated for this source column, if any.
    pub fn renamed_column(&self, table: &str, column: &str) -> Option<&str> {
        self.rename
            .get(&format!("{table}.{column}"))
            .map(String::as_str)
    }
}

/// A name with `*` for any run of characters. Letter case counts. `*` crosses the dot between table and column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern from its written form. Every text is a valid pattern.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let mut middle: Vec<&str> = parts.collect();
        let Some(last) = middle.pop() else {
            return rest.is_empty();
        };
        for part in middle {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    /// Exact names above all wildcards, longer wildcards above shorter ones.
    fn specificity(&self) -> usize {
        if self.0.contains('*') {
            self.0.chars().filter(|c| *c != '*').count()
        } else {
            usize::MAX
        }
    }
}

/// What wall-clock text without an offset means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Zone {
    /// Seconds east of UTC.
    pub offset_s: i32,
}

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self { offset_s: 0 };

    /// `UTC`, `Z`, `+02:00`, `-0530`. Names with daylight saving are refused: an hour of every autumn would be ambiguous.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "Z" || text.eq_ignore_ascii_case("utc") {
            return Some(Self::UTC);
        }
        let (sign, rest) = match text.as_bytes().first()? {
            b'+' => (1, &text[1..]),
            b'-' => (-1, &text[1..]),
            _ => return None,
        };
        let digits: String = rest.chars().filter(|c| *c != ':').collect();
        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
        (hours <= 15 && minutes < 60).then_some(Self {
            offset_s: sign * (hours * 3600 + minutes * 60),
        })
    }
}

/// What to do with rows that the target tables already hold (seeds that migrations inserted).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetRows {
    /// Stop and show them.
    #[default]
    Refuse,
    /// Empty exactly the planned tables inside the import's own transactions.
    Replace,
}

/// An ordered list that the application shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderedList {
    /// How checks and reports call it.
    pub name: String,
    /// Source table.
    pub table: String,
    /// Source columns in order; a trailing ` desc` reverses one.
    pub order_by: Vec<String>,
    /// How many rows of it are compared; none means all.
    pub limit: Option<u64>,
}

/// A column by which the application looks records up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slug {
    /// Source table.
    pub table: String,
    /// Source column.
    pub column: String,
    /// Lookups ignore blanks at both ends.
    pub trim: bool,
    /// Lookups ignore letter case.
    pub ignore_case: bool,
}

/// What may be changed in one column. Every setting unset: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ColumnPolicy {
    /// Fractions of a second beyond what the target keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<Fraction>,
    /// The unit of numbers that stand for instants (or, into `interval`, for durations).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
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
    /// `bytes: utf8`: text and integers into `bytea` as the bytes of their text.
    #[serde(skip_serializing_if = "is_false")]
    pub bytes_utf8: bool,
    /// `jsonb_blob: decode`: SQLite's binary JSON becomes JSON text.
    #[serde(skip_serializing_if = "is_false")]
    pub jsonb_blob_decode: bool,
    /// `enum: ordinal`: numbers are positions in the enum's order, from 0.
    #[serde(skip_serializing_if = "is_false")]
    pub enum_ordinal: bool,
    /// `netmask: keep`: an address with a prefix length into `inet`.
    #[serde(skip_serializing_if = "is_false")]
    pub netmask_keep: bool,
    /// What happens to a value that still does not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_problem: Option<OnProblem>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// Fractions of a second beyond what the target keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fraction {
    /// Cut them off.
    Truncate,
    /// To the nearest, half away from zero.
    Round,
}

/// The unit of numbers that stand for instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Epoch {
    /// Unix seconds.
    S,
    /// Unix milliseconds.
    Ms,
    /// Unix microseconds.
    Us,
    /// .NET ticks: 100 ns since the year 1 (into `interval`: 100 ns).
    Ticks,
    /// Julian days, as SQLite's `julianday()` makes them, to the millisecond.
    Julian,
}

/// Byte order of GUIDs that are 16-byte blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GuidBytes {
    /// `Guid.ToByteArray()`: the first three groups little-endian.
    Dotnet,
    /// As written in the text form.
    Rfc4122,
}

/// What a REAL becomes where the target is exact or narrower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Real {
    /// Its shortest decimal that reads back as the same REAL, into `numeric`, text and JSON.
    Shortest,
    /// The nearest value of `real`.
    Nearest,
}

/// Decimal places beyond what the target keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// To the nearest, half away from zero, as PostgreSQL rounds.
    Round,
    /// Cut them off.
    Truncate,
}

/// What happens to a value that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnProblem {
    /// The plan has a problem and the import stops.
    Refuse,
    /// The row is put aside in `cutover.quarantine` and not loaded.
    Quarantine,
    /// The value becomes NULL; the former one is kept in `cutover.quarantine`.
    Null,
}

/// The settings a column key may hold, each with the values it takes. The parser's hints and the docs come from here.
pub const POLICY_KEYS: &[(&str, &[&str])] = &[
    ("fraction", &["truncate", "round"]),
    ("epoch", &["s", "ms", "us", "ticks", "julian"]),
    ("offset", &["to_utc"]),
    ("boolean_words", &["true", "false"]),
    ("boolean_bytes", &["true", "false"]),
    ("guid_bytes", &["dotnet", "rfc4122"]),
    ("guid_text", &["any"]),
    ("real", &["shortest", "nearest"]),
    ("scale", &["round", "truncate"]),
    ("negative_zero", &["drop"]),
    ("midnight", &["allow"]),
    ("far_years", &["keep"]),
    ("nul", &["strip"]),
    ("invalid_utf8", &["replace"]),
    ("char_padding", &["pad"]),
    ("bytes", &["utf8"]),
    ("jsonb_blob", &["decode"]),
    ("enum", &["ordinal"]),
    ("netmask", &["keep"]),
    ("on_problem", &["refuse", "quarantine", "null"]),
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
        /// The key.
        key: String,
        /// What was written.
        value: String,
        /// What may be written.
        allowed: &'static [&'static str],
    },
}

impl ColumnPolicy {
    /// Applies one `key: value` of a column's map. [`POLICY_KEYS`] lists what there is.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), PolicyError> {
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
            ("epoch", "s") => self.epoch = Some(Epoch::S),
            ("epoch", "ms") => self.epoch = Some(Epoch::Ms),
            ("epoch", "us") => self.epoch = Some(Epoch::Us),
            ("epoch", "ticks") => self.epoch = Some(Epoch::Ticks),
            ("epoch", _) => self.epoch = Some(Epoch::Julian),
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
            ("negative_zero", _) => self.negative_zero_drop = true,
            ("midnight", _) => self.midnight_allow = true,
            ("far_years", _) => self.far_years_keep = true,
            ("nul", _) => self.nul_strip = true,
            ("invalid_utf8", _) => self.invalid_utf8_replace = true,
            ("char_padding", _) => self.char_padding_pad = true,
            ("bytes", _) => self.bytes_utf8 = true,
            ("jsonb_blob", _) => self.jsonb_blob_decode = true,
            ("enum", _) => self.enum_ordinal = true,
            ("netmask", _) => self.netmask_keep = true,
            ("on_problem", "refuse") => self.on_problem = Some(OnProblem::Refuse),
            ("on_problem", "quarantine") => self.on_problem = Some(OnProblem::Quarantine),
            ("on_problem", _) => self.on_problem = Some(OnProblem::Null),
            _ => return Err(PolicyError::UnknownKey(key.to_owned())),
        }
        Ok(())
    }

    /// What is set, as [`ColumnPolicy::set`] takes it.
    pub fn pairs(&self) -> Vec<(&'static str, &'static str)> {
        let all = POLICY_KEYS
            .iter()
            .flat_map(|(key, values)| values.iter().map(move |value| (*key, *value)));
        all.filter(|(key, value)| {
            let mut alone = Self::default();
            *value != "false" && alone.set(key, value).is_ok() && self.states(&alone)
        })
        .collect()
    }

    /// Whether everything that `other` states is stated here too.
    fn states(&self, other: &Self) -> bool {
        let mut merged = self.clone();
        merged.overlay(other);
        merged == *self
    }

    /// Takes over what `other` states.
    fn overlay(&mut self, other: &Self) {
        self.fraction = other.fraction.or(self.fraction);
        self.epoch = other.epoch.or(self.epoch);
        self.offset_to_utc |= other.offset_to_utc;
        self.boolean_words |= other.boolean_words;
        self.boolean_bytes |= other.boolean_bytes;
        self.guid_bytes = other.guid_bytes.or(self.guid_bytes);
        self.guid_text_any |= other.guid_text_any;
        self.real = other.real.or(self.real);
        self.scale = other.scale.or(self.scale);
        self.negative_zero_drop |= other.negative_zero_drop;
        self.midnight_allow |= other.midnight_allow;
        self.far_years_keep |= other.far_years_keep;
        self.nul_strip |= other.nul_strip;
        self.invalid_utf8_replace |= other.invalid_utf8_replace;
        self.char_padding_pad |= other.char_padding_pad;
        self.bytes_utf8 |= other.bytes_utf8;
        self.jsonb_blob_decode |= other.jsonb_blob_decode;
        self.enum_ordinal |= other.enum_ordinal;
        self.netmask_keep |= other.netmask_keep;
        self.on_problem = other.on_problem.or(self.on_problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(pairs: &[(&str, &str)]) -> ColumnPolicy {
        let mut policy = ColumnPolicy::default();
        for (key, value) in pairs {
            policy.set(key, value).expect("a known setting");
        }
        policy
    }

    #[test]
    fn wildcards_match_whole_names() {
        for (pattern, name, fits) in [
            ("SearchIndex*", "SearchIndex_data", true),
            ("SearchIndex*", "MySearchIndex", false),
            ("*.CreatedAt", "Tools.CreatedAt", true),
            ("*.CreatedAt", "Tools.CreatedAtUtc", false),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "acb", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("*", "", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                fits,
                "{pattern} on {name}"
            );
        }
    }

    #[test]
    fn the_most_specific_key_wins_per_setting() {
        let transfer = Transfer {
            columns: vec![
                (Pattern::new("Orders.At"), policy(&[("fraction", "round")])),
                (
                    Pattern::new("*.At"),
                    policy(&[("fraction", "truncate"), ("offset", "to_utc")]),
                ),
                (Pattern::new("*"), policy(&[("on_problem", "quarantine")])),
            ],
            ..Transfer::default()
        };
        let merged = transfer.column("Orders", "At");
        assert_eq!(merged.fraction, Some(Fraction::Round));
        assert!(merged.offset_to_utc);
        assert_eq!(merged.on_problem, Some(OnProblem::Quarantine));
        assert_eq!(
            transfer.column("Other", "At").fraction,
            Some(Fraction::Truncate)
        );
    }

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
        assert!(matches!(
            ColumnPolicy::default().set("fractoin", "round"),
            Err(PolicyError::UnknownKey(_))
        ));
    }

    #[test]
    fn zones_are_fixed_offsets() {
        assert_eq!(Zone::parse("utc"), Some(Zone::UTC));
        assert_eq!(Zone::parse("+05:30"), Some(Zone { offset_s: 19800 }));
        assert_eq!(Zone::parse("-0100"), Some(Zone { offset_s: -3600 }));
        assert_eq!(Zone::parse("Europe/Berlin"), None);
    }
}
