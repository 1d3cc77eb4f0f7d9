//! Any value of a supported pair, written by SQLite's application in any of its spellings and by PostgreSQL in its own: the reverse
//! conversion, in the form of that value, gives the value again, to the bit. PostgreSQL's text is made here, not by `cutover`.

mod told;

use chrono::{DateTime, Utc};
use cutover::runbook::transfer::{ColumnPolicy, Zone};
use cutover::salvage::back::{Back, Reverse};
use cutover::salvage::cell::Cell;
use proptest::prelude::*;

/// A value on both sides.
#[derive(Debug, Clone)]
struct Pair {
    type_name: &'static str,
    policy: Vec<(&'static str, &'static str)>,
    here: Cell,
    there: String,
}

fn pair(type_name: &'static str, here: Cell, there: impl Into<String>) -> Pair {
    Pair {
        type_name,
        policy: Vec::new(),
        here,
        there: there.into(),
    }
}

impl Pair {
    fn under(mut self, key: &'static str, value: &'static str) -> Self {
        self.policy.push((key, value));
        self
    }
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    // The years 1 to 9999.
    (-62_135_596_800_000_000_i64..253_402_300_799_000_000)
        .prop_map(|us| DateTime::from_timestamp_micros(us).expect("a year below 10000"))
}

/// As PostgreSQL writes a fraction: no zeros at the end.
fn fraction(us: u32) -> String {
    match format!("{us:06}").trim_end_matches('0') {
        "" => String::new(),
        digits => format!(".{digits}"),
    }
}

fn moments() -> impl Strategy<Value = Pair> {
    let spelling = (
        prop_oneof![Just(' '), Just('T')],
        0..=7_usize,
        prop_oneof![
            Just(("", 0_i64)),
            Just(("Z", 0)),
            Just(("+00:00", 0)),
            Just(("+05:30", 19_800)),
            Just(("-08:00", -28_800))
        ],
    );
    (instant(), spelling).prop_filter_map(
        "within the years 1 to 9999",
        |(at, (separator, digits, (suffix, offset_s)))| {
            let us = at.timestamp_subsec_micros();
            let here = at.checked_add_signed(chrono::Duration::seconds(offset_s))?;
            let year = |at: DateTime<Utc>| at.format("%Y").to_string();
            if year(here).len() != 4 || year(here).starts_with('-') || year(here) == "0000" {
                return None;
            }
            let mut shown = format!("{us:06}0").trim_end_matches('0').to_owned();
            while shown.len() < digits {
                shown.push('0');
            }
            let point = if shown.is_empty() { "" } else { "." };
            let text = format!(
                "{}{separator}{}{point}{shown}{suffix}",
                here.format("%Y-%m-%d"),
                here.format("%H:%M:%S")
            );
            let there = format!("{}{}+00", at.format("%Y-%m-%d %H:%M:%S"), fraction(us));
            Some(pair("timestamptz", Cell::text(text), there).under("offset", "to_utc"))
        },
    )
}

fn counts_since_an_epoch() -> impl Strategy<Value = Pair> {
    let unit = prop_oneof![Just("s"), Just("ms"), Just("us"), Just("ticks")];
    (instant(), unit, any::<bool>()).prop_map(|(at, unit, as_text)| {
        let us = at.timestamp_micros();
        let (count, us) = match unit {
            "s" => (
                us.div_euclid(1_000_000),
                us.div_euclid(1_000_000) * 1_000_000,
            ),
            "ms" => (us.div_euclid(1_000), us.div_euclid(1_000) * 1_000),
            "us" => (us, us),
            _ => (us * 10 + 621_355_968_000_000_000, us),
        };
        let at = DateTime::from_timestamp_micros(us).expect("a year below 10000");
        let there = format!(
            "{}{}",
            at.format("%Y-%m-%d %H:%M:%S"),
            fraction(at.timestamp_subsec_micros())
        );
        let here = match as_text {
            true => Cell::text(count.to_string()),
            false => Cell::Integer(count),
        };
        pair("timestamp", here, there).under("epoch", unit)
    })
}

fn guids() -> impl Strategy<Value = Pair> {
    let wrapping = prop_oneof![
        Just(("", "")),
        Just(("{", "}")),
        Just(("(", ")")),
        Just(("urn:uuid:", ""))
    ];
    (
        any::<[u8; 16]>(),
        any::<bool>(),
        any::<bool>(),
        wrapping,
        0..3_u8,
    )
        .prop_map(|(bytes, upper, dashed, (before, after), how)| {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let parts = [
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..],
            ];
            let there = parts.join("-");
            if how == 1 {
                return pair("uuid", Cell::Blob(bytes.to_vec()), there)
                    .under("guid_bytes", "rfc4122");
            }
            if how == 2 {
                let mut mixed = bytes;
                mixed[..4].reverse();
                mixed[4..6].reverse();
                mixed[6..8].reverse();
                return pair("uuid", Cell::Blob(mixed.to_vec()), there)
                    .under("guid_bytes", "dotnet");
            }
            let id = if dashed { there.clone() } else { hex };
            let id = if upper { id.to_uppercase() } else { id };
            pair("uuid", Cell::text(format!("{before}{id}{after}")), there)
                .under("guid_text", "any")
        })
}

fn numbers() -> impl Strategy<Value = Pair> {
    let decimal = (any::<i64>(), 0..6_u32, 0..3_usize).prop_map(|(number, places, zeros)| {
        let (sign, digits) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
        let scale = 10_u64.pow(places);
        let (whole, rest) = (digits / scale, digits % scale);
        let rest = match places {
            0 => String::new(),
            _ => format!("{rest:0width$}", width = places as usize),
        };
        let bare = rest.trim_end_matches('0');
        let sign = if digits == 0 { "" } else { sign };
        let point = |rest: &str| {
            if rest.is_empty() {
                String::new()
            } else {
                format!(".{rest}")
            }
        };
        let here = format!(
            "{sign}{whole}{}",
            point(&format!("{bare}{}", "0".repeat(zeros)))
        );
        pair(
            "numeric",
            Cell::text(here),
            format!("{sign}{whole}{}", point(&rest)),
        )
    });
    let real = any::<f64>().prop_filter("SQLite has no NaN", |x| !x.is_nan());
    prop_oneof![
        decimal,
        any::<i64>().prop_map(|n| pair("int8", Cell::Integer(n), n.to_string())),
        any::<i64>().prop_map(|n| pair("int8", Cell::text(n.to_string()), n.to_string())),
        any::<i64>().prop_map(|n| pair("numeric", Cell::Integer(n), format!("{n}.00"))),
        any::<i64>().prop_map(|n| pair("text", Cell::Integer(n), n.to_string())),
        real.prop_map(|x| {
            let there = match x {
                f64::INFINITY => "Infinity".to_owned(),
                f64::NEG_INFINITY => "-Infinity".to_owned(),
                x => format!("{x:e}"),
            };
            pair("float8", Cell::Real(x), there)
        }),
        (-1.0e15..1.0e15_f64)
            .prop_map(|x| pair("numeric", Cell::Real(x), shortest(x)).under("real", "shortest")),
    ]
}

fn words_and_bytes() -> impl Strategy<Value = Pair> {
    let word = prop::sample::select(vec![
        ("true", true),
        ("FALSE", false),
        ("Yes", true),
        ("n", false),
        ("T", true),
        ("off", false),
        ("1", true),
    ]);
    let truth = |t: bool| if t { "t" } else { "f" };
    prop_oneof![
        word.prop_map(move |(word, t)| pair("bool", Cell::text(word), truth(t))
            .under("boolean_words", "true")),
        any::<bool>().prop_map(move |t| pair("bool", Cell::Integer(t.into()), truth(t))),
        any::<bool>().prop_map(move |t| pair("bool", Cell::Blob(vec![t.into()]), truth(t))
            .under("boolean_bytes", "true")),
        any::<Vec<u8>>().prop_map(|bytes| {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            pair("bytea", Cell::Blob(bytes), format!("\\x{hex}"))
        }),
        "[^\u{0}]{0,40}".prop_map(|text| pair("text", Cell::text(text.clone()), text)),
        prop::collection::vec(any::<i32>(), 0..5).prop_map(|numbers| {
            let list: Vec<_> = numbers.iter().map(i32::to_string).collect();
            let list = list.join(",");
            pair(
                "_int4",
                Cell::text(format!("[{list}]")),
                format!("{{{list}}}"),
            )
        }),
    ]
}

/// .NET's time spans; PostgreSQL keeps days apart from the rest.
fn spans() -> impl Strategy<Value = Pair> {
    (0..100_000_i64, 0..86_400_000_000_i64, any::<bool>()).prop_map(|(days, us, negative)| {
        let negative = negative && (days > 0 || us > 0);
        let (seconds, rest) = (us / 1_000_000, (us % 1_000_000) as u32);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let sign = if negative { "-" } else { "" };
        let of_days = if days > 0 {
            format!("{days}.")
        } else {
            String::new()
        };
        let fraction_here = match rest {
            0 => String::new(),
            rest => format!(".{rest:06}0"),
        };
        let here = format!("{sign}{of_days}{hours:02}:{minutes:02}:{seconds:02}{fraction_here}");
        let mut there = "P".to_owned();
        if days > 0 {
            there.push_str(&format!("{sign}{days}D"));
        }
        if us > 0 {
            there.push_str(&format!(
                "T{sign}{hours}H{sign}{minutes}M{sign}{seconds}{}S",
                fraction(rest)
            ));
        }
        if there == "P" {
            there = "PT0S".to_owned();
        }
        pair("interval", Cell::text(here), there)
    })
}

/// As PostgreSQL writes a float: of two decimals that are as short and as near, the even one.
fn shortest(x: f64) -> String {
    let plain = x.to_string();
    let even = serde_json::Number::from_f64(x).expect("finite").to_string();
    match even.contains('e') || even.parse::<f64>().expect("a number").to_string() == even {
        true => plain,
        false => even.strip_suffix(".0").unwrap_or(&even).to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_comes_back_to_the_bit(
        pair in prop_oneof![moments(), counts_since_an_epoch(), guids(), numbers(), words_and_bytes(), spans()]
    ) {
        let mut policy = ColumnPolicy::default();
        for (key, value) in &pair.policy {
            policy.set(key, value).expect("a setting");
        }
        let example = std::slice::from_ref(&pair.here);
        let reverse = Reverse::new(pair.type_name, -1, &policy, Some(Zone::UTC), "", example);
        let back = reverse.value(Some(&pair.there));
        let same = matches!(&back, Back::Exact(cell) if cell.is_same(&pair.here));
        prop_assert!(same, "{:?} came back as {:?}", pair, back);
    }
}
