//! How the application writes the values of one column in SQLite, learned from the column's own values in the backup: the storage
//! class, and for text how a GUID, a moment or a decimal is spelled. PostgreSQL keeps values, not spellings.
//!
//! Not in here: writing values in a form ([`super::back`]).

use super::cell::{Cell, Class};
use crate::parity::ValueKind as Kind;
use crate::runbook::transfer::{Bytes, ColumnPolicy};

/// The form of one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Form {
    /// The storage class of most values.
    pub(crate) class: Class,
    /// How text is spelled.
    pub(crate) spelling: Spelling,
}

/// How text stands for a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Spelling {
    /// There is one way only.
    Plain,
    Guid {
        upper: bool,
        dashed: bool,
        before: String,
        after: String,
    },
    /// A date, a time or both.
    Moment {
        separator: char,
        seconds: bool,
        /// Digits of a fraction that are written even when they are zero.
        fraction: usize,
        /// What follows the time: nothing, `Z`, an offset.
        suffix: String,
        /// Midnight is left out.
        bare_date: bool,
        /// A date is followed by midnight.
        midnight: Option<String>,
    },
    /// A count since an epoch, or a place among labels, in digits.
    Digits,
    /// A decimal with at least so many places.
    Decimal { places: usize },
    /// `true` and `false` in words.
    Words { yes: String, no: String },
    /// JSON without blanks between its parts.
    Json { compact: bool },
    /// Text in `char(n)`, which PostgreSQL fills up with blanks.
    Padded {
        /// Characters of the shortest text; none where there are no texts.
        shortest: Option<usize>,
        /// Texts that end in blanks of their own.
        blanks: Vec<String>,
    },
}

const WORDS: [(&str, &str); 6] = [
    ("true", "false"),
    ("t", "f"),
    ("yes", "no"),
    ("y", "n"),
    ("on", "off"),
    ("1", "0"),
];

impl Form {
    /// Learns from examples; by the declared type where there are none.
    pub(crate) fn learn<'c>(
        kind: &Kind,
        policy: &ColumnPolicy,
        declared: &str,
        examples: &'c [Cell],
    ) -> Self {
        let classes = examples.iter().filter_map(Cell::class);
        let text = |cell: &'c Cell| match cell {
            Cell::Blob(bytes) if policy.bytes == Some(Bytes::Text) => {
                std::str::from_utf8(bytes).ok()
            }
            _ => cell.as_str(),
        };
        let texts: Vec<&str> = examples.iter().filter_map(text).collect();
        let seen = most(classes);
        Self {
            class: seen.unwrap_or_else(|| usual_class(kind, policy, declared)),
            spelling: spelling(kind, &texts),
        }
    }
}

/// What occurs most often; the first of several.
fn most<T: PartialEq>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut counted: Vec<(T, usize)> = Vec::new();
    for one in all {
        match counted.iter_mut().find(|(known, _)| *known == one) {
            Some((_, count)) => *count += 1,
            None => counted.push((one, 1)),
        }
    }
    let mut best: Option<(T, usize)> = None;
    for (one, count) in counted {
        if best.as_ref().is_none_or(|(_, most)| count > *most) {
            best = Some((one, count));
        }
    }
    best.map(|(one, _)| one)
}

/// SQLite's affinity of a declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

pub(super) fn affinity(declared: &str) -> Affinity {
    let upper = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| upper.contains(word));
    match () {
        () if has(&["INT"]) => Affinity::Integer,
        () if has(&["CHAR", "CLOB", "TEXT"]) => Affinity::Text,
        () if upper.is_empty() || has(&["BLOB"]) => Affinity::Blob,
        () if has(&["REAL", "FLOA", "DOUB"]) => Affinity::Real,
        () => Affinity::Numeric,
    }
}

fn usual_class(kind: &Kind, policy: &ColumnPolicy, declared: &str) -> Class {
    let affinity = affinity(declared);
    match (kind, affinity) {
        (Kind::Integer | Kind::Numeric { .. }, Affinity::Text) => Class::Text,
        (Kind::Integer | Kind::Boolean, _) => Class::Integer,
        (Kind::Numeric { .. }, Affinity::Integer | Affinity::Numeric | Affinity::Real)
        | (Kind::Float64 | Kind::Float32, _) => Class::Real,
        (Kind::Bytes, _) => Class::Blob,
        (Kind::Uuid, Affinity::Blob) if policy.guid_bytes.is_some() => Class::Blob,
        (Kind::Label(_), Affinity::Integer) if policy.enum_ordinal => Class::Integer,
        (
            Kind::Instant { .. } | Kind::Timestamp { .. } | Kind::Date | Kind::Interval { .. },
            Affinity::Integer | Affinity::Numeric,
        ) if policy.epoch.is_some() => Class::Integer,
        (Kind::Instant { .. } | Kind::Timestamp { .. } | Kind::Date, Affinity::Real)
            if policy.epoch.is_some() =>
        {
            Class::Real
        }
        _ => Class::Text,
    }
}

fn spelling(kind: &Kind, texts: &[&str]) -> Spelling {
    match kind {
        Kind::Uuid => guid(texts),
        Kind::Instant { .. } | Kind::Timestamp { .. } | Kind::Date => moment(texts),
        Kind::Time { .. } | Kind::Interval { .. } => clock(texts),
        Kind::Numeric { .. } | Kind::Float64 | Kind::Float32 => Spelling::Decimal {
            places: texts.iter().map(|text| places(text)).min().unwrap_or(0),
        },
        Kind::Boolean => words(texts),
        Kind::Label(labels) => {
            let is_label = |text: &&&str| labels.iter().any(|label| label == **text);
            match texts.iter().filter(is_label).count() * 2 < texts.len() {
                true => Spelling::Digits,
                false => Spelling::Plain,
            }
        }
        Kind::Json | Kind::JsonText => Spelling::Json {
            compact: !texts.is_empty()
                && !texts
                    .iter()
                    .any(|text| text.contains("\": ") || text.contains(", ")),
        },
        Kind::Padded => Spelling::Padded {
            shortest: texts.iter().map(|text| text.chars().count()).min(),
            blanks: texts
                .iter()
                .filter(|text| text.ends_with(' '))
                .map(|text| (*text).to_owned())
                .collect(),
        },
        _ => Spelling::Plain,
    }
}

fn guid(texts: &[&str]) -> Spelling {
    let forms = texts.iter().filter_map(|text| {
        let start = text.find(|c: char| c.is_ascii_hexdigit() && !text.starts_with("urn:uuid:"));
        let start = match text.starts_with("urn:uuid:") {
            true => "urn:uuid:".len(),
            false => start?,
        };
        let digits = text[start..]
            .find(|c: char| !c.is_ascii_hexdigit() && c != '-')
            .map_or(text.len(), |at| start + at);
        let id = &text[start..digits];
        // Of mixed case there is no second one.
        let upper = id.contains(|c: char| c.is_ascii_uppercase());
        let lower = id.contains(|c: char| c.is_ascii_lowercase());
        (!(upper && lower)).then(|| {
            (
                upper,
                id.contains('-'),
                text[..start].to_owned(),
                text[digits..].to_owned(),
            )
        })
    });
    let (upper, dashed, before, after) =
        most(forms).unwrap_or((false, true, String::new(), String::new()));
    Spelling::Guid {
        upper,
        dashed,
        before,
        after,
    }
}

/// One written moment, taken apart.
struct Written<'t> {
    separator: Option<char>,
    seconds: bool,
    fraction: usize,
    suffix: &'t str,
    time: &'t str,
}

fn take_apart(text: &str) -> Option<Written<'_>> {
    let date = text
        .find(|c: char| !(c.is_ascii_digit() || c == '-'))
        .unwrap_or(text.len());
    let (head, rest) = text.split_at(date);
    if !head.contains('-') {
        return None;
    }
    let separator = rest.chars().next();
    let time = rest.get(1..).unwrap_or_default();
    let end = time
        .find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'))
        .unwrap_or(time.len());
    let (clock, suffix) = time.split_at(end);
    Some(Written {
        separator,
        seconds: clock.matches(':').count() == 2,
        fraction: clock
            .split_once('.')
            .map_or(0, |(_, fraction)| fraction.len()),
        suffix,
        time,
    })
}

fn moment(texts: &[&str]) -> Spelling {
    let digits = |text: &&&str| text.parse::<i64>().is_ok();
    if texts.iter().filter(digits).count() * 2 > texts.len() {
        return Spelling::Digits;
    }
    let written: Vec<_> = texts.iter().filter_map(|text| take_apart(text)).collect();
    let timed = || written.iter().filter(|one| one.separator.is_some());
    let after_date = || written.iter().map(|one| (one.separator, one.time));
    let midnight = most(after_date())
        .and_then(|(separator, time)| separator.map(|separator| format!("{separator}{time}")));
    Spelling::Moment {
        separator: most(timed().filter_map(|one| one.separator)).unwrap_or(' '),
        seconds: timed().count() == 0 || timed().any(|one| one.seconds),
        fraction: timed().map(|one| one.fraction).min().unwrap_or(0),
        suffix: most(timed().map(|one| one.suffix))
            .unwrap_or_default()
            .to_owned(),
        bare_date: !written.is_empty() && timed().count() == 0,
        midnight,
    }
}

/// A time of day or a time span: only its fraction has a choice.
fn clock(texts: &[&str]) -> Spelling {
    let fractions = texts.iter().map(|text| {
        text.rsplit_once(':')
            .and_then(|(_, seconds)| seconds.split_once('.'))
            .map_or(0, |(_, fraction)| fraction.len())
    });
    let seconds = |text: &&str| text.matches(':').count() == 2;
    Spelling::Moment {
        separator: ' ',
        seconds: texts.is_empty() || texts.iter().any(seconds),
        fraction: fractions.min().unwrap_or(0),
        suffix: String::new(),
        bare_date: false,
        midnight: None,
    }
}

/// Digits after the point.
fn places(text: &str) -> usize {
    text.split_once('.')
        .map_or(0, |(_, fraction)| fraction.len())
}

fn words(texts: &[&str]) -> Spelling {
    let known = texts.iter().filter_map(|text| {
        let lower = text.to_ascii_lowercase();
        let (yes, no) = WORDS
            .iter()
            .find(|(yes, no)| *yes == lower || *no == lower)?;
        let case: fn(&str) -> String = match text.chars().next() {
            Some(first) if first.is_ascii_uppercase() => {
                let all = text.len() > 1 && text.chars().all(|c| c.is_ascii_uppercase());
                let one = text.len() == 1;
                if all || one {
                    |word| word.to_ascii_uppercase()
                } else {
                    |word| word[..1].to_ascii_uppercase() + &word[1..]
                }
            }
            _ => |word| word.to_owned(),
        };
        Some((case(yes), case(no)))
    });
    let (yes, no) = most(known).unwrap_or_else(|| ("true".to_owned(), "false".to_owned()));
    Spelling::Words { yes, no }
}
