//! What is told of a column beforehand (`Reverse::exactness`) and what becomes of its values (`Reverse::value`) agree: where nothing is told,
//! every value at random comes back, and is the same once SQLite's own column has taken it; what is told does not come back.

use chrono::{DateTime, Utc};
use cutover::runbook::transfer::{ColumnPolicy, Zone};
use cutover::salvage::back::{Back, Reverse};
use cutover::salvage::cell::Cell;
use proptest::prelude::*;

use super::{fraction, spans};

/// A column of the target with the form that SQLite has for it.
struct Held {
    type_name: &'static str,
    modifier: i32,
    settings: &'static [(&'static str, &'static str)],
    declared: &'static str,
    example: Cell,
}

fn held(
    (type_name, modifier): (&'static str, i32),
    settings: &'static [(&'static str, &'static str)],
    declared: &'static str,
    example: Cell,
) -> Held {
    Held {
        type_name,
        modifier,
        settings,
        declared,
        example,
    }
}

/// `atttypmod` of `numeric(p,s)`.
const fn numeric_of(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | scale) + 4
}

/// Columns of every type, of which some hold all of their type's values and some do not.
fn all_held() -> Vec<Held> {
    let (seconds, moment) = (Cell::Integer(1_709_210_096), "2024-02-29 12:34:56.5");
    let at = || Cell::text(moment);
    let guid = "a0eebc999c0b4ef8bb6d6bb9bd380a11";
    vec![
        held(("int8", -1), &[], "INTEGER", Cell::Integer(7)),
        held(("int8", -1), &[], "TEXT", Cell::text("7")),
        held(
            ("int8", -1),
            &[("real", "shortest")],
            "REAL",
            Cell::Real(7.0),
        ),
        held(("float8", -1), &[], "REAL", Cell::Real(1.5)),
        held(("float8", -1), &[], "NUMERIC", Cell::Integer(7)),
        held(("float8", -1), &[], "TEXT", Cell::text("1.5")),
        held(
            ("numeric", numeric_of(15, 2)),
            &[("real", "shortest")],
            "REAL",
            Cell::Real(1.5),
        ),
        held(
            ("numeric", numeric_of(15, 2)),
            &[("real", "shortest")],
            "DECIMAL",
            Cell::Integer(7),
        ),
        held(
            ("numeric", numeric_of(16, 2)),
            &[("real", "shortest")],
            "REAL",
            Cell::Real(1.5),
        ),
        held(
            ("numeric", numeric_of(18, 4)),
            &[],
            "TEXT",
            Cell::text("1.5000"),
        ),
        held(
            ("numeric", numeric_of(18, 0)),
            &[],
            "INTEGER",
            Cell::Integer(7),
        ),
        held(("text", -1), &[], "TEXT", Cell::text("a")),
        held(("text", -1), &[], "STRING", Cell::text("a")),
        held(("text", -1), &[], "", Cell::Integer(7)),
        held(("bytea", -1), &[], "BLOB", Cell::Blob(vec![7])),
        held(("bytea", -1), &[("bytes", "utf8")], "TEXT", Cell::text("a")),
        held(("bool", -1), &[], "BOOLEAN", Cell::Integer(1)),
        held(
            ("bool", -1),
            &[("boolean_words", "true")],
            "TEXT",
            Cell::text("yes"),
        ),
        held(("uuid", -1), &[], "TEXT", Cell::text(guid)),
        held(
            ("uuid", -1),
            &[],
            "GUID",
            Cell::text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        held(
            ("uuid", -1),
            &[("guid_bytes", "dotnet")],
            "BLOB",
            Cell::Blob(vec![7; 16]),
        ),
        held(("jsonb", -1), &[], "TEXT", Cell::text("{}")),
        held(("timestamp", -1), &[], "TEXT", at()),
        held(("timestamp", -1), &[], "DATETIME", at()),
        held(
            ("timestamp", -1),
            &[("epoch", "s")],
            "INTEGER",
            seconds.clone(),
        ),
        held(("timestamp", 0), &[("epoch", "s")], "INTEGER", seconds),
        held(
            ("timestamp", -1),
            &[("epoch", "us")],
            "INTEGER",
            Cell::Integer(1_709_210_096_000_000),
        ),
        held(
            ("timestamp", -1),
            &[("epoch", "s")],
            "REAL",
            Cell::Real(1_709_210_096.5),
        ),
        held(
            ("timestamp", -1),
            &[("epoch", "julian")],
            "REAL",
            Cell::Real(2_460_370.0),
        ),
        held(("date", -1), &[], "DATE", Cell::text("2024-02-29")),
        held(
            ("date", -1),
            &[("epoch", "days")],
            "INTEGER",
            Cell::Integer(19_782),
        ),
        held(("time", -1), &[], "TEXT", Cell::text("12:34:56")),
        held(("interval", -1), &[], "TEXT", Cell::text("12:34:56")),
        held(
            ("interval", -1),
            &[("epoch", "ticks")],
            "INTEGER",
            Cell::Integer(70),
        ),
        held(
            ("interval", -1),
            &[("epoch", "ms")],
            "INTEGER",
            Cell::Integer(7),
        ),
        held(("_int4", -1), &[], "TEXT", Cell::text("[1]")),
    ]
}

impl Held {
    fn reverse(&self) -> Reverse {
        let mut policy = ColumnPolicy::default();
        for (key, value) in self.settings {
            policy.set(key, value).expect("a setting");
        }
        let example = std::slice::from_ref(&self.example);
        let (kind, declared) = (self.type_name, self.declared);
        Reverse::new(
            kind,
            self.modifier,
            &policy,
            Some(Zone::UTC),
            declared,
            example,
        )
    }

    /// Values that applications write, as PostgreSQL writes them.
    fn values(&self) -> BoxedStrategy<String> {
        // The years 1901 to 2099.
        let us = -2_177_452_800_000_000..4_102_444_800_000_000_i64;
        let at = us.prop_map(|us| DateTime::from_timestamp_micros(us).expect("a moment"));
        let whole = self.modifier == 0;
        let part = move |at: &DateTime<Utc>| match whole {
            true => String::new(),
            false => fraction(at.timestamp_subsec_micros()),
        };
        match self.type_name {
            "int8" => any::<i64>().prop_map(|n| n.to_string()).boxed(),
            "float8" => (-1.0e15..1.0e15_f64)
                .prop_filter("another zero", |x| *x != 0.0)
                .prop_map(|x| format!("{x:e}"))
                .boxed(),
            "numeric" => decimals_of(self.modifier),
            "text" => {
                prop_oneof!["[^\u{0}]{0,20}", " ?[0-9]{1,4}([.][0-9]{1,3})?(e[0-9])?"].boxed()
            }
            "bytea" => any::<Vec<u8>>()
                .prop_map(|bytes| format!("\\x{}", hex(&bytes)))
                .boxed(),
            "bool" => any::<bool>()
                .prop_map(|t| if t { "t" } else { "f" }.to_owned())
                .boxed(),
            "uuid" => any::<[u8; 16]>()
                .prop_map(|bytes| dashed(&hex(&bytes)))
                .boxed(),
            "jsonb" => ("[a-z]{1,4}", any::<i64>())
                .prop_map(|(key, n)| format!("{{\"{key}\": [{n}, {n}.50, \"{key}\", null]}}"))
                .boxed(),
            "timestamp" => at
                .prop_map(move |at| format!("{}{}", at.format("%Y-%m-%d %H:%M:%S"), part(&at)))
                .boxed(),
            "date" => at.prop_map(|at| at.format("%Y-%m-%d").to_string()).boxed(),
            "time" => at
                .prop_map(move |at| format!("{}{}", at.format("%H:%M:%S"), part(&at)))
                .boxed(),
            "interval" => spans().prop_map(|pair| pair.there).boxed(),
            "_int4" => prop::collection::vec(any::<i32>(), 0..5)
                .prop_map(|all| {
                    let all: Vec<_> = all.iter().map(i32::to_string).collect();
                    format!("{{{}}}", all.join(","))
                })
                .boxed(),
            other => panic!("no values of {other}"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn dashed(hex: &str) -> String {
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// Numbers of as many digits as the column keeps, at most eighteen.
fn decimals_of(modifier: i32) -> BoxedStrategy<String> {
    let (precision, scale) = ((modifier - 4) >> 16, ((modifier - 4) & 0x7ff) as usize);
    let most = 10_i64.pow(precision.unsigned_abs());
    (1..most, any::<bool>())
        .prop_map(move |(number, negative)| {
            let digits = format!("{number:0>width$}", width = scale + 1);
            let (whole, rest) = digits.split_at(digits.len() - scale);
            let sign = if negative { "-" } else { "" };
            let point = if scale > 0 { "." } else { "" };
            format!("{sign}{whole}{point}{rest}")
        })
        .boxed()
}

/// What is told of a column beforehand is so: each example does not come back. And there are columns of either sort.
#[test]
fn what_is_told_beforehand_does_not_come_back() {
    let (mut exact, mut others) = (0, 0);
    for column in all_held() {
        let reverse = column.reverse();
        let told = reverse.exactness();
        match told.is_exact_but_for_rare() {
            true => exact += 1,
            false => others += 1,
        }
        for exception in &told.exceptions {
            let is_cut = exception.example.contains(['…', '\\']);
            let back = reverse.value(Some(&exception.example));
            let came = matches!(back, Back::Exact(_));
            let (name, declared) = (column.type_name, column.declared);
            assert!(is_cut || !came, "{name} in {declared}: {exception:?}");
        }
    }
    assert!(exact > 20 && others > 5, "{exact} and {others}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where nothing is told of a column beforehand, every value of it comes back; and what comes back is what SQLite then holds.
    #[test]
    fn what_is_not_told_beforehand_comes_back(
        (at, text) in (0..all_held().len()).prop_flat_map(|at| (Just(at), all_held()[at].values()))
    ) {
        let columns = all_held();
        let column = &columns[at];
        let reverse = column.reverse();
        if reverse.exactness().is_exact_but_for_rare() {
            let back = reverse.value(Some(&text));
            let (name, declared) = (column.type_name, column.declared);
            let Back::Exact(cell) = &back else {
                return Err(TestCaseError::fail(format!("{text:?} of {name} in {declared}: {back:?}")));
            };
            let file = rusqlite::Connection::open_in_memory().expect("a database");
            file.execute_batch(&format!("CREATE TABLE t (v {declared})")).expect("a table");
            file.execute("INSERT INTO t VALUES (?1)", [cell]).expect("a row");
            let held = file.query_row("SELECT v FROM t", [], |row| row.get_ref(0).map(Cell::of));
            let held = held.expect("a row");
            // Another form of the same value is still that value.
            let again = Held { example: held.clone(), ..all_held().swap_remove(at) };
            let again = again.reverse().value(Some(&text));
            prop_assert!(matches!(again, Back::Exact(_)), "{:?} of {} in {}: held as {:?}", text, name, declared, held);
        }
    }
}
