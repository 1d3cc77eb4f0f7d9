//! The values at the edges of each type of the target, as PostgreSQL writes them: where all of these come back from SQLite, every value of
//! the type does (`tests/salvage/property.rs` holds that against values at random). Not in here: what becomes of them ([`super::exactness`]).

mod moments;

use crate::parity::{Canonical, ValueKind as Kind, from_target};
use crate::runbook::transfer::{ColumnPolicy, Unsigned};

/// As many digits as any number needs that a float of SQLite cannot hold.
const MOST_DIGITS: usize = 38;

/// A value, and which ones it stands for.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub(super) values: String,
    pub(super) text: String,
    /// Applications that have lived on SQLite hardly write it.
    pub(super) rare: bool,
}

/// Values of which each is harder to keep than those before it: where one does not come back, it tells for those behind it.
type Ladder = Vec<Edge>;

fn edge(values: &str, text: impl Into<String>) -> Edge {
    Edge {
        values: values.to_owned(),
        text: text.into(),
        rare: false,
    }
}

fn rare(values: &str, text: impl Into<String>) -> Edge {
    Edge {
        rare: true,
        ..edge(values, text)
    }
}

/// All edges of a column.
pub(super) fn edges(kind: &Kind, policy: &ColumnPolicy) -> Vec<Ladder> {
    let mut ladders = of_kind(kind, policy);
    ladders.extend(stand_for_others(kind, policy));
    ladders
}

fn of_kind(kind: &Kind, policy: &ColumnPolicy) -> Vec<Ladder> {
    match kind {
        Kind::Integer => vec![vec![
            edge("whole numbers", "7"),
            edge("numbers below zero", "-7"),
            edge("whole numbers beyond 2^53", "9007199254740993"),
            edge("whole numbers beyond 2^53", "-9223372036854775807"),
        ]],
        Kind::Boolean => vec![vec![edge("true", "t"), edge("false", "f")]],
        Kind::Float64 => floats(&["0.30000000000000004", "123456789012345.12"], "1e+300"),
        Kind::Float32 => floats(&["0.1", "1.6777216e+07"], "1e+30"),
        Kind::Numeric { precision, scale } => decimals(*precision, *scale, policy),
        Kind::Text | Kind::Verbatim | Kind::Padded => texts(),
        Kind::Bytes => vec![vec![
            edge("bytes that are digits", "\\x3131"),
            edge("bytes that are letters", "\\x61"),
            edge("no bytes", "\\x"),
            edge("bytes that are digits with a zero before them", "\\x303031"),
            edge("bytes that are no text", "\\x00ff"),
        ]],
        Kind::Instant { digits } => moments::moments(*digits, "+00"),
        Kind::Timestamp { digits } => moments::moments(*digits, ""),
        Kind::Date => moments::dates(),
        Kind::Time { digits } => moments::times(*digits),
        Kind::Interval { digits } => moments::spans(*digits),
        Kind::Uuid => vec![
            vec![edge("GUIDs", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")],
            vec![
                edge("the GUID of zeros", "00000000-0000-0000-0000-000000000000"),
                rare(
                    "GUIDs that read as numbers",
                    "12345678-9012-3456-7890-123456789012",
                ),
                rare(
                    "GUIDs that read as numbers",
                    "12345678-9012-3456-7890-1234567890e1",
                ),
            ],
        ],
        Kind::Json => documents(&["{\"a\": [1, \"b c\", null]}"]),
        Kind::JsonText => {
            let mut ladders = documents(&["{\"a\":[1,\"b c\",null]}", "{\"a\" : [ 1,2 ] }"]);
            ladders.push(vec![
                rare("the escape \\u0000", "\"a\\u0000b\""),
                rare("half a pair of escapes", "\"\\ud800\""),
            ]);
            ladders
        }
        Kind::Address => vec![vec![
            edge("addresses", "192.168.0.1"),
            edge("networks", "10.0.0.0/8"),
            edge("addresses of IPv6", "2001:db8::1"),
        ]],
        Kind::Label(labels) => {
            let label = |label: &String| vec![edge("this label", label.as_str())];
            labels.iter().map(label).collect()
        }
        Kind::Array(element) => arrays(element, policy),
    }
}

fn texts() -> Vec<Ladder> {
    let as_number = "texts that read as numbers, which SQLite takes for those in this column";
    vec![
        vec![
            edge("texts", "a"),
            edge("the empty text", ""),
            edge("texts of several lines", "é\r\n\tb "),
            edge("control characters", "\u{1}\u{85}"),
        ],
        vec![
            edge(as_number, "0011"),
            edge(as_number, "7.0"),
            edge(as_number, "1e5"),
            edge(as_number, " 7"),
        ],
    ]
}

fn floats(digits: &[&str], large: &str) -> Vec<Ladder> {
    let mut plain = vec![edge("whole numbers", "7"), edge("fractions", "-1.5")];
    plain.extend(
        digits
            .iter()
            .map(|text| edge("numbers of all digits", *text)),
    );
    plain.push(rare("very large numbers", large));
    plain.push(rare("very small numbers", "1e-30"));
    vec![
        plain,
        vec![rare("the zero below zero", "-0")],
        vec![rare("infinity", "Infinity"), rare("infinity", "-Infinity")],
        vec![rare("NaN", "NaN")],
    ]
}

/// `digits` as a number with so many of them behind the point.
fn placed(digits: &str, places: i64) -> String {
    let size = usize::try_from(places.unsigned_abs()).unwrap_or(0);
    if places <= 0 {
        return format!("{digits}{}", "0".repeat(size));
    }
    let padded = format!("{digits:0>width$}", width = size + 1);
    let (whole, fraction) = padded.split_at(padded.len() - size);
    format!("{whole}.{fraction}")
}

fn decimals(precision: Option<i64>, scale: Option<i64>, policy: &ColumnPolicy) -> Vec<Ladder> {
    let most = precision.and_then(|digits| usize::try_from(digits).ok());
    let most = most.unwrap_or(MOST_DIGITS).clamp(1, MOST_DIGITS);
    // Where nothing limits them.
    let places = precision.map_or(10, |_| scale.unwrap_or(0));
    let is_unsigned = policy.unsigned == Some(Unsigned::Wrap);
    let step = placed("1", places);
    let mut plain = Vec::new();
    let behind = usize::try_from(places).unwrap_or(0);
    if most > behind {
        let seven = format!("7{}", "0".repeat(behind));
        plain.push(edge("whole numbers", placed(&seven, places)));
    }
    plain.push(edge("numbers in its smallest step", step.as_str()));
    let fifteen = placed(&"7".repeat(most.min(15)), places);
    plain.push(edge("numbers of up to 15 digits", fifteen));
    let above_signed = "18446744073709551615";
    if is_unsigned && most >= above_signed.len() && places == 0 {
        plain.push(edge("numbers from 2^63 on", above_signed));
    }
    // Among twenty that follow each other, floats have to have two in one from the 16th digit on.
    let long = format!("numbers of {most} digits");
    let long = if most > 15 {
        "numbers of more than 15 digits"
    } else {
        long.as_str()
    };
    plain.extend((80..100).map(|last| {
        let digits = format!("{}{last}", "9".repeat(most.saturating_sub(2)));
        let text = placed(&digits[digits.len() - most..], places);
        Edge {
            rare: is_unsigned,
            ..edge(long, text)
        }
    }));
    let below_zero = Edge {
        rare: is_unsigned,
        ..edge("numbers below zero", format!("-{step}"))
    };
    let mut ladders = vec![plain, vec![below_zero], vec![rare("NaN", "NaN")]];
    if precision.is_none() {
        ladders.push(vec![
            rare("infinity", "Infinity"),
            rare("infinity", "-Infinity"),
        ]);
        let beyond = format!("1{}", "0".repeat(400));
        ladders.push(vec![rare("numbers beyond 1.8e308", beyond)]);
    }
    ladders
}

fn documents(plain: &[&str]) -> Vec<Ladder> {
    let mut objects: Ladder = plain.iter().map(|text| edge("objects", *text)).collect();
    objects.push(edge(
        "numbers of many digits",
        "{\"a\": 1234567890.12345678901234567890}",
    ));
    objects.push(edge("empty objects and arrays", "[{}, [], \"\"]"));
    objects.push(rare(
        "documents nested deeper than 1000",
        format!("{}{}", "[".repeat(1001), "]".repeat(1001)),
    ));
    let lone = "documents that are a number by themselves";
    vec![
        objects,
        vec![rare("documents that are a text by themselves", "\"0011\"")],
        vec![
            rare(lone, "7"),
            rare(lone, "1.5"),
            rare(lone, "1.50"),
            rare(lone, "12345678901234567890.5"),
        ],
        vec![
            rare(
                "documents that are null, true or false by themselves",
                "null",
            ),
            rare(
                "documents that are null, true or false by themselves",
                "true",
            ),
        ],
    ]
}

fn arrays(element: &Kind, policy: &ColumnPolicy) -> Vec<Ladder> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let alone = |one: Edge| Edge {
        values: format!("elements: {}", one.values),
        text: format!("{{{}}}", quoted(&one.text)),
        rare: one.rare,
    };
    let elements = of_kind(element, policy);
    let first = elements.first().and_then(|ladder| ladder.first());
    let first = first.map_or_else(String::new, |one| quoted(&one.text));
    let mut ladders = vec![
        vec![edge(
            "arrays of several elements",
            format!("{{{first},{first}}}"),
        )],
        vec![edge("empty arrays", "{}")],
        vec![
            rare("elements that are NULL", "{NULL}"),
            rare("elements that are NULL", format!("{{{first},NULL}}")),
        ],
        vec![rare(
            "arrays of two dimensions",
            format!("{{{{{first}}},{{{first}}}}}"),
        )],
        vec![rare(
            "arrays that do not begin at 1",
            format!("[0:0]={{{first}}}"),
        )],
    ];
    if let (Some(separator), Kind::Text | Kind::Padded) = (&policy.split, element) {
        let text = quoted(&format!("a{separator}b"));
        ladders.push(vec![edge(
            "elements with the separator in them",
            format!("{{{text}}}"),
        )]);
    }
    let all_alone = |ladder: Ladder| -> Ladder { ladder.into_iter().map(alone).collect() };
    ladders.extend(elements.into_iter().map(all_alone));
    ladders
}

/// What the runbook takes for something else in SQLite, as a value of PostgreSQL's (`values: { "": null }`).
fn stand_for_others(kind: &Kind, policy: &ColumnPolicy) -> Vec<Ladder> {
    let is_value = |text: &String| {
        if let Kind::Label(labels) = kind {
            return labels.contains(text);
        }
        from_target(Some(text.as_bytes()), kind, &mut Canonical::default()).is_ok()
    };
    let is_instant = matches!(kind, Kind::Instant { .. });
    let offset = if is_instant { "+00" } else { "" };
    let texts = policy.values.keys().map(|from| format!("{from}{offset}"));
    let ladder = |text: String| vec![rare("what stands for something else in SQLite", text)];
    texts.filter(is_value).map(ladder).collect()
}
