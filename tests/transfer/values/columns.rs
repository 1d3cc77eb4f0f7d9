//! The columns of the trial: a type, settings, and how a value is made together with what it is to become. Whatever is expected here is said
//! by arithmetic of its own or by `chrono`, never by the product's code.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, Timelike};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// What SQLite is given, as SQL, and what PostgreSQL is to hold.
type Pair = (String, Option<String>);

/// One column.
pub struct Column {
    /// In PostgreSQL.
    pub ty: &'static str,
    /// Words of the section.
    pub settings: &'static [(&'static str, &'static str)],
    /// `values:`
    pub values: &'static [(&'static str, &'static str)],
    /// How the column is read as text.
    pub read: &'static str,
    /// Makes a value.
    pub make: fn(&mut StdRng) -> Pair,
}

const fn column(
    ty: &'static str,
    settings: &'static [(&'static str, &'static str)],
    make: fn(&mut StdRng) -> Pair,
) -> Column {
    Column {
        ty,
        settings,
        values: &[],
        read: "{}::text",
        make,
    }
}

/// A duration, read in seconds.
const fn span(
    settings: &'static [(&'static str, &'static str)],
    make: fn(&mut StdRng) -> Pair,
) -> Column {
    Column {
        read: "extract(epoch FROM {})::text",
        ..column("interval", settings, make)
    }
}

pub const COLUMNS: &[Column] = &[
    column("bigint", &[], |r| {
        let n = whole(r);
        (n.to_string(), Some(n.to_string()))
    }),
    column("bigint", &[], |r| {
        let n = whole(r);
        (format!("'{n}'"), Some(n.to_string()))
    }),
    column("integer", &[("real", "shortest")], |r| {
        let n = r.random_range(-99_999..99_999);
        (format!("{n}.0"), Some(n.to_string()))
    }),
    column("integer", &[("on_problem", "null")], |r| {
        let n = r.random_range(0..9);
        if n < 3 {
            ("'many'".to_owned(), None)
        } else {
            (n.to_string(), Some(n.to_string()))
        }
    }),
    column("integer NOT NULL DEFAULT 7", &[("null", "default")], |r| {
        let n = r.random_range(0..9);
        if n < 3 {
            ("NULL".to_owned(), Some("7".to_owned()))
        } else {
            (n.to_string(), Some(n.to_string()))
        }
    }),
    column("numeric", &[("real", "shortest")], |r| {
        let cents = r.random_range(-99_999..99_999_i64);
        let text = trimmed(cents, 2);
        (format!("CAST('{text}' AS REAL)"), Some(text))
    }),
    column("numeric(8,2)", &[("scale", "round")], |r| {
        let mills = r.random_range(-999_999..999_999_i64);
        let cents = (mills.abs() + 5) / 10 * mills.signum();
        (format!("'{}'", fixed(mills, 3)), Some(fixed(cents, 2)))
    }),
    column(
        "numeric(8,2)",
        &[("scale", "truncate"), ("negative_zero", "drop")],
        |r| {
            if r.random_bool(0.2) {
                return ("'-0.00'".to_owned(), Some("0.00".to_owned()));
            }
            let mills = r.random_range(10..999_999_i64);
            (format!("'{}'", fixed(mills, 3)), Some(fixed(mills / 10, 2)))
        },
    ),
    column("numeric(20,0)", &[("unsigned", "wrap")], |r| {
        let n: i64 = r.random();
        let upper_half = i128::from(n) + if n < 0 { 1 << 64 } else { 0 };
        (n.to_string(), Some(upper_half.to_string()))
    }),
    column("numeric(20,0)", &[("unsigned", "signed")], |r| {
        let n = r.random_range(-99_999..99_999);
        (n.to_string(), Some(n.to_string()))
    }),
    column("real", &[("real", "nearest")], |r| {
        let text = trimmed(r.random_range(-999..999), 1);
        (format!("CAST('{text}' AS REAL)"), Some(text))
    }),
    column("double precision", &[], |r| {
        let text = trimmed(r.random_range(-99_999..99_999), 3);
        (format!("CAST('{text}' AS REAL)"), Some(text))
    }),
    column(
        "boolean",
        &[("boolean_words", "true"), ("boolean_bytes", "true")],
        |r| {
            let truth = r.random_bool(0.5);
            let written = match (r.random_range(0..3), truth) {
                (0, true) => "'Yes'",
                (0, false) => "'false'",
                (1, true) => "x'01'",
                (1, false) => "x'00'",
                (_, true) => "1",
                (_, false) => "0",
            };
            (written.to_owned(), Some(truth.to_string()))
        },
    ),
    column("text", &[("nul", "strip")], |r| {
        let n = r.random_range(0..99);
        (format!("'a' || char(0) || '{n}'"), Some(format!("a{n}")))
    }),
    column("text", &[("invalid_utf8", "replace")], |r| {
        let n = r.random_range(10..99);
        (
            format!("CAST(x'ff' || CAST('{n}' AS BLOB) AS TEXT)"),
            Some(format!("\u{fffd}{n}")),
        )
    }),
    column("varchar(9)", &[("bytes", "text")], |r| {
        let text = format!("é{}", r.random_range(0..9_999));
        (format!("CAST('{text}' AS BLOB)"), Some(text))
    }),
    column("bytea", &[("bytes", "utf8")], |r| {
        let n = r.random_range(0..9);
        let written = if r.random_bool(0.5) {
            n.to_string()
        } else {
            format!("'{n}'")
        };
        (written, Some(format!("\\x3{n}")))
    }),
    column("char(4)", &[("char_padding", "pad")], |r| {
        let text = format!("{}", r.random_range(10..99));
        (format!("'{text}'"), Some(text))
    }),
    column("uuid", &[("guid_bytes", "dotnet")], |r| {
        let id = digits(r);
        let swapped: Vec<&str> = [6, 4, 2, 0, 10, 8, 14, 12, 16, 18, 20, 22, 24, 26, 28, 30]
            .iter()
            .map(|at| &id[*at..at + 2])
            .collect();
        (format!("x'{}'", swapped.concat()), Some(dashed(&id)))
    }),
    column("uuid", &[("guid_bytes", "rfc4122")], |r| {
        let id = digits(r);
        (format!("x'{id}'"), Some(dashed(&id)))
    }),
    column("uuid", &[("guid_text", "any")], |r| {
        let id = dashed(&digits(r));
        (format!("'{{{}}}'", id.to_uppercase()), Some(id))
    }),
    column("mood", &[("enum", "ordinal")], |r| {
        let place = r.random_range(0..3);
        (
            place.to_string(),
            Some(["sad", "ok", "happy"][place].to_owned()),
        )
    }),
    Column {
        values: &[("Glad", "happy"), ("0", "null")],
        ..column("mood", &[], |r| match r.random_range(0..3) {
            0 => ("'Glad'".to_owned(), Some("happy".to_owned())),
            1 => ("0".to_owned(), None),
            _ => ("'sad'".to_owned(), Some("sad".to_owned())),
        })
    },
    column("inet", &[("netmask", "keep")], |r| {
        let address = format!(
            "10.0.{}.1/{}",
            r.random_range(0..256),
            r.random_range(8..31)
        );
        (format!("'{address}'"), Some(address))
    }),
    column("text[]", &[("split", ",")], |r| {
        let items: Vec<String> = (0..r.random_range(1..4))
            .map(|n| format!("a{n}{}", r.random_range(0..9)))
            .collect();
        (
            format!("'{}'", items.join(",")),
            Some(format!("{{{}}}", items.join(","))),
        )
    }),
    column("integer[]", &[], |r| {
        let (a, b) = (r.random_range(-9..9), r.random_range(0..99));
        (format!("'[{a}, {b}]'"), Some(format!("{{{a},{b}}}")))
    }),
    column("jsonb", &[("nul", "strip")], |r| {
        let n = r.random_range(0..99);
        (
            format!("'{{\"b\":\"\\u0000{n}\",\"a\":{n}}}'"),
            Some(format!("{{\"a\": {n}, \"b\": \"{n}\"}}")),
        )
    }),
    column("jsonb", &[("bytes", "text")], |r| {
        let n = r.random_range(1_000..9_999);
        (format!("CAST('{n}' AS BLOB)"), Some(n.to_string()))
    }),
    column("jsonb", &[("jsonb_blob", "decode")], |r| {
        let n = r.random_range(0..99);
        (
            format!("jsonb('[{n}, \"x\", null, {n}.5]')"),
            Some(format!("[{n}, \"x\", null, {n}.5]")),
        )
    }),
    column("json", &[("real", "shortest")], |r| {
        let text = trimmed(r.random_range(-999..999_i64) * 2 + 1, 1);
        (format!("CAST('{text}' AS REAL)"), Some(text))
    }),
    column("date", &[("midnight", "allow")], |r| {
        let day = moment(r).date();
        (format!("'{day} 00:00:00'"), Some(day.to_string()))
    }),
    column("date", &[("time", "drop")], |r| {
        let at = moment(r);
        (
            format!("'{}'", at.format("%Y-%m-%d %H:%M:01")),
            Some(at.date().to_string()),
        )
    }),
    column("date", &[("epoch", "ms"), ("zone", "+02:00")], |r| {
        let day = moment(r).date();
        let ms = day
            .and_hms_opt(0, 0, 0)
            .expect("midnight")
            .and_utc()
            .timestamp_millis();
        ((ms - 7_200_000).to_string(), Some(day.to_string()))
    }),
    column("date", &[("epoch", "days")], |r| {
        let day = moment(r).date();
        (
            day.signed_duration_since(unix().date())
                .num_days()
                .to_string(),
            Some(day.to_string()),
        )
    }),
    column("time(3)", &[("fraction", "round")], |r| {
        let (s, ms) = (r.random_range(0..59), r.random_range(100..998));
        let tail = r.random_range(0..10);
        let rounded = ms + i32::from(tail >= 5);
        let text = format!("12:34:{s:02}.{rounded:03}");
        (
            format!("'12:34:{s:02}.{ms:03}{tail}1'"),
            Some(text.trim_end_matches('0').to_owned()),
        )
    }),
    column("timestamp", &[("epoch", "s")], |r| {
        let at = whole_second(r);
        (at.and_utc().timestamp().to_string(), Some(shown(at)))
    }),
    column(
        "timestamptz",
        &[("epoch", "s"), ("fraction", "truncate")],
        |r| {
            let at = unix() + Duration::seconds(r.random_range(0..3_786_912_000));
            (
                format!("'{}.{}'", at.and_utc().timestamp(), "1234567891"),
                Some(format!("{}.123456+00", shown(at))),
            )
        },
    ),
    column("timestamptz", &[("epoch", "ms")], |r| {
        let at = whole_second(r) + Duration::milliseconds(r.random_range(0..1_000));
        (
            at.and_utc().timestamp_millis().to_string(),
            Some(format!("{}+00", shown(at))),
        )
    }),
    column("timestamp", &[("epoch", "us")], |r| {
        let at = moment(r);
        (at.and_utc().timestamp_micros().to_string(), Some(shown(at)))
    }),
    column(
        "timestamp",
        &[("epoch", "ns"), ("fraction", "truncate")],
        |r| {
            let at = moment(r);
            (
                (at.and_utc().timestamp_micros() * 1_000 + 999).to_string(),
                Some(shown(at)),
            )
        },
    ),
    column("timestamp", &[("epoch", "ticks")], |r| {
        let at = moment(r);
        (ticks(at).to_string(), Some(shown(at)))
    }),
    column("timestamp", &[("epoch", "julian")], |r| {
        let day = moment(r).date();
        let days = day.signed_duration_since(unix().date()).num_days();
        // Noon, which is a whole number of Julian days, or six hours later.
        let (part, clock) = if r.random_bool(0.5) {
            (".0", "12:00:00")
        } else {
            (".25", "18:00:00")
        };
        (
            format!("{}{part}", 2_440_588 + days),
            Some(format!("{day} {clock}")),
        )
    }),
    column("timestamp", &[("epoch", "oadate")], |r| {
        let day = moment(r).date();
        let zero = NaiveDate::from_ymd_opt(1899, 12, 30).expect("a day");
        let days = day.signed_duration_since(zero).num_days();
        (format!("{days}.75"), Some(format!("{day} 18:00:00")))
    }),
    column(
        "timestamptz",
        &[
            ("epoch", "dotnet_binary"),
            ("offset", "to_utc"),
            ("zone", "+01:00"),
        ],
        |r| {
            let at = moment(r);
            let (kind, utc) = match r.random_range(0..3_u64) {
                0 => (0, at - Duration::hours(1)),
                kind => (kind, at),
            };
            let value = (ticks(at) as u64 | kind << 62) as i64;
            (value.to_string(), Some(format!("{}+00", shown(utc))))
        },
    ),
    column(
        "timestamptz",
        &[("epoch", "ef_offset"), ("offset", "to_utc")],
        |r| {
            let at = whole_second(r);
            let minutes = r.random_range(-56..57_i64) * 15;
            let value = (ticks(at) / 1_000) << 11 | (minutes & 0x7ff);
            (
                value.to_string(),
                Some(format!("{}+00", shown(at - Duration::minutes(minutes)))),
            )
        },
    ),
    column(
        "timestamptz",
        &[("epoch", "calendar"), ("zone", "-03:30")],
        |r| {
            let at = whole_second(r);
            let digits = at.format("%Y%m%d%H%M%S").to_string();
            let utc = at + Duration::minutes(210);
            let written = if r.random_bool(0.5) {
                digits
            } else {
                format!("'{digits}'")
            };
            (written, Some(format!("{}+00", shown(utc))))
        },
    ),
    column("timestamp(3)", &[("fraction", "truncate")], |r| {
        let at = whole_second(r);
        let ms = r.random_range(100..999);
        (
            format!("'{}.{ms}9999999'", at.format("%Y-%m-%dT%H:%M:%S")),
            Some(shown(at + Duration::milliseconds(ms))),
        )
    }),
    column("timestamptz", &[("offset", "to_utc")], |r| {
        let at = whole_second(r);
        let minutes = r.random_range(-48..57_i64) * 15;
        let (sign, size) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
        let (h, m) = (size / 60, size % 60);
        let clock = at.format("%Y-%m-%d %H:%M:%S");
        let written = match r.random_range(0..6) {
            0 => format!("{clock}{sign}{h:02}:{m:02}"),
            1 => format!("{clock} {sign}{h:02}{m:02}"),
            2 => format!("{clock}.0000000 {sign}{h:02}{m:02} ABC m=+0.25"),
            3 => format!(
                "{}{sign}{h:02}:{m:02}[Area/City_Name]",
                at.format("%Y-%m-%dT%H:%M:%S")
            ),
            4 => at
                .format(&format!(
                    "%a %b %d %Y %H:%M:%S GMT{sign}{h:02}{m:02} (Some Time)"
                ))
                .to_string(),
            _ => at
                .format(&format!("%a, %d %b %Y %H:%M:%S {sign}{h:02}{m:02}"))
                .to_string(),
        };
        (
            format!("'{written}'"),
            Some(format!("{}+00", shown(at - Duration::minutes(minutes)))),
        )
    }),
    column("timestamptz", &[("zone", "+05:30")], |r| {
        let at = moment(r);
        (
            format!("'{}'", shown(at)),
            Some(format!("{}+00", shown(at - Duration::minutes(330)))),
        )
    }),
    column(
        "timestamp",
        &[("midnight", "allow"), ("far_years", "keep")],
        |r| {
            let year = r.random_range(10_000..20_000);
            if r.random_bool(0.5) {
                return (
                    format!("'{year}-03-04 05:06:07'"),
                    Some(format!("{year}-03-04 05:06:07")),
                );
            }
            let day = moment(r).date();
            (format!("'{day}'"), Some(format!("{day} 00:00:00")))
        },
    ),
    Column {
        values: &[
            ("0", "null"),
            ("-1", "-infinity"),
            ("253402300799999", "infinity"),
        ],
        ..column("timestamptz", &[("epoch", "ms")], |r| {
            match r.random_range(0..4) {
                0 => ("0".to_owned(), None),
                1 => ("-1".to_owned(), Some("-infinity".to_owned())),
                2 => ("253402300799999".to_owned(), Some("infinity".to_owned())),
                _ => {
                    let at = whole_second(r);
                    (
                        at.and_utc().timestamp_millis().to_string(),
                        Some(format!("{}+00", shown(at))),
                    )
                }
            }
        })
    },
    span(&[("epoch", "us")], |r| {
        let us = r.random_range(-9_999_999_999..9_999_999_999_i64);
        (us.to_string(), Some(fixed(us, 6)))
    }),
    span(&[("epoch", "s"), ("fraction", "truncate")], |r| {
        let us = r.random_range(1..9_999_999_999_i64) * if r.random_bool(0.5) { 1 } else { -1 };
        (format!("'{}9'", fixed(us, 6)), Some(fixed(us, 6)))
    }),
    span(&[("since", "1970-01-01")], |r| {
        let us = r.random_range(-9_999_999_999..9_999_999_999_i64);
        let at = unix() + Duration::microseconds(us);
        (
            format!("'{}'", at.format("%Y-%m-%d %H:%M:%S%.6f")),
            Some(fixed(us, 6)),
        )
    }),
    span(&[], |r| {
        let (d, h, m, s) = (
            r.random_range(1..99_i64),
            r.random_range(0..24_i64),
            r.random_range(0..60_i64),
            r.random_range(0..60_i64),
        );
        let us = (((d * 24 + h) * 60 + m) * 60 + s) * 1_000_000 + 500_000;
        let (sign, us) = if r.random_bool(0.5) {
            ("-", -us)
        } else {
            ("", us)
        };
        let written = if r.random_bool(0.5) {
            format!("{sign}{d}.{h:02}:{m:02}:{s:02}.5")
        } else {
            format!("{sign}P{d}DT{h}H{m}M{s}.5S")
        };
        (format!("'{written}'"), Some(fixed(us, 6)))
    }),
];

fn unix() -> NaiveDateTime {
    DateTime::UNIX_EPOCH.naive_utc()
}

fn whole(random: &mut StdRng) -> i64 {
    let edge = *[0, -1, 1, i64::MAX, i64::MIN, 1 << 53]
        .choose(random)
        .expect("some");
    if random.random_bool(0.3) {
        edge
    } else {
        random.random::<i64>() >> random.random_range(0..63)
    }
}

/// `units × 10^-places`, with all places.
fn fixed(units: i64, places: u32) -> String {
    let (sign, size) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
    let unit = 10_u64.pow(places);
    format!(
        "{sign}{}.{:0width$}",
        size / unit,
        size % unit,
        width = places as usize
    )
}

/// The same without zeros that say nothing.
fn trimmed(units: i64, places: u32) -> String {
    let text = fixed(units, places);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A GUID of version 4, as digits.
fn digits(random: &mut StdRng) -> String {
    let id = format!("{:032x}", random.random::<u128>());
    format!("{}4{}8{}", &id[..12], &id[13..16], &id[17..])
}

fn dashed(id: &str) -> String {
    [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-")
}

/// A moment between 1950 and 2090 with its microseconds.
fn moment(random: &mut StdRng) -> NaiveDateTime {
    whole_second(random) + Duration::microseconds(random.random_range(0..1_000_000))
}

fn whole_second(random: &mut StdRng) -> NaiveDateTime {
    unix() + Duration::seconds(random.random_range(-631_152_000..3_786_912_000))
}

/// .NET's ticks.
fn ticks(at: NaiveDateTime) -> i64 {
    at.and_utc().timestamp_micros() * 10 + 621_355_968_000_000_000
}

/// As PostgreSQL writes a `timestamp`.
fn shown(at: NaiveDateTime) -> String {
    let clock = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    match format!("{:06}", at.nanosecond() / 1_000).trim_end_matches('0') {
        "" => clock,
        fraction => format!("{clock}.{fraction}"),
    }
}
