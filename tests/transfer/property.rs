//! Any value of any storage class into any supported type: it arrives equal, or it is reported; never neither, never both.
//!
//! The judge of "equal" is the server's own reading of the source value as text: for what we accept, which is a strict part of what the
//! server accepts, both must agree.

use std::collections::BTreeSet;

use cutover::runbook::transfer::{ColumnPolicy, OnProblem, Pattern, Transfer};
use cutover::transfer::plan::RowKey;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rusqlite::types::Value;

use super::Pair;

/// Column names are places in this list.
const TYPES: &[&str] = &[
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "numeric(8,2)",
    "real",
    "double precision",
    "boolean",
    "text",
    "varchar(5)",
    "char(4)",
    "uuid",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamp(3)",
    "timestamptz",
    "interval",
    "json",
    "jsonb",
    "inet",
    "cidr",
    "mood",
    "positive",
    "integer[]",
    "text[]",
    "bit(3)",
    "varbit(5)",
    "oid",
    "numeric(3,5)",
    "time(0)",
];

fn integer(random: &mut StdRng) -> i64 {
    let edges = [
        0,
        1,
        -1,
        2,
        32767,
        32768,
        -32768,
        2147483647,
        2147483648,
        9007199254740993,
        i64::MAX,
        i64::MIN,
        1709210096,
    ];
    if random.random_bool(0.5) {
        *edges.choose(random).unwrap()
    } else {
        random.random::<i64>() >> random.random_range(0..63)
    }
}

fn real(random: &mut StdRng) -> f64 {
    let edges = [
        0.0,
        -0.0,
        0.5,
        0.1,
        1e308,
        5e-324,
        1e23,
        16777217.0,
        f64::INFINITY,
        123456.78,
        -2.5,
    ];
    if random.random_bool(0.6) {
        *edges.choose(random).unwrap()
    } else {
        f64::from_bits(random.random())
    }
}

fn text(random: &mut StdRng) -> String {
    let two = |random: &mut StdRng, high: u32| format!("{:02}", random.random_range(0..high));
    let fraction = |random: &mut StdRng| match random.random_range(0..4) {
        0 => String::new(),
        _ => format!(
            ".{}",
            "1234567890"
                .chars()
                .take(random.random_range(1..9))
                .collect::<String>()
        ),
    };
    let clock = |random: &mut StdRng| {
        format!(
            "{}:{}:{}{}",
            two(random, 26),
            two(random, 61),
            two(random, 61),
            fraction(random)
        )
    };
    let date = |random: &mut StdRng| {
        let year = *["2024", "0001", "9999", "0000", "10000", "1900", "2023"]
            .choose(random)
            .unwrap();
        format!("{year}-{}-{}", two(random, 14), two(random, 32))
    };
    let offset = |random: &mut StdRng| {
        *["", "Z", "+00:00", "+02:00", "-05", " UTC", "+0530"]
            .choose(random)
            .unwrap()
    };
    match random.random_range(0..16) {
        0 => integer(random).to_string(),
        1 => format!(
            "{}.{}",
            random.random_range(-9999..9999),
            random.random_range(0..100_000)
        ),
        2 => date(random),
        3 => clock(random),
        4 => format!("{} {}{}", date(random), clock(random), offset(random)),
        5 => format!("{}T{}{}", date(random), clock(random), offset(random)),
        6 => format!("{}.{}", random.random_range(-3..40), clock(random)),
        7 => {
            let digits = format!("{:032x}", random.random::<u128>());
            let dashed = [
                &digits[..8],
                &digits[8..12],
                &digits[12..16],
                &digits[16..20],
                &digits[20..],
            ]
            .join("-");
            [
                digits.clone(),
                dashed.clone(),
                dashed.to_uppercase(),
                format!("{{{dashed}}}"),
                dashed[1..].to_owned(),
            ]
            .choose(random)
            .unwrap()
            .clone()
        }
        8 => [
            "null",
            "{\"a\":1}",
            "{\"a\":1,\"a\":2}",
            "[1,2,3]",
            "[\"x\",null]",
            "[]",
            "[1.5]",
            "{",
            "\"\\u0000\"",
            "[[1]]",
            "1e5",
            "[1,]",
        ]
        .choose(random)
        .unwrap()
        .to_string(),
        9 => [
            "true", "t", "yes", "0", "1", "off", "", " ", "NaN", "Infinity", "now", "0x10",
            "1_000", "1e3", "+5", "007",
        ]
        .choose(random)
        .unwrap()
        .to_string(),
        10 => [
            "10.0.0.1",
            "10.0.0.1/8",
            "10.0.0.0/8",
            "::1",
            "fe80::/10",
            "010.0.0.1",
            "1.2.3",
        ]
        .choose(random)
        .unwrap()
        .to_string(),
        11 => ["sad", "ok", "happy", "Happy", "2", "3"]
            .choose(random)
            .unwrap()
            .to_string(),
        12 => (0..random.random_range(0..7))
            .map(|_| if random.random_bool(0.5) { '0' } else { '1' })
            .collect(),
        13 => "é\0b".to_owned(),
        _ => (0..random.random_range(0..8))
            .map(|_| {
                *['a', 'Z', ' ', 'é', '😀', '\'', '\\', '\n', '"', '{']
                    .choose(random)
                    .unwrap()
            })
            .collect(),
    }
}

fn value(random: &mut StdRng) -> Value {
    match random.random_range(0..12) {
        0 => Value::Null,
        1..=3 => Value::Integer(integer(random)),
        4 | 5 => Value::Real(real(random)),
        6 => Value::Blob(
            (0..*[0, 1, 3, 16].choose(random).unwrap())
                .map(|_| random.random())
                .collect(),
        ),
        _ => Value::Text(text(random)),
    }
}

/// The value as text that the server reads by its own means, and as which type it reads it before comparing.
fn oracle(value: &Value, kind: &str) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Integer(integer) if kind == "boolean" => (*integer == 1).to_string(),
        Value::Integer(integer) => integer.to_string(),
        Value::Real(real) => format!("{real:?}"),
        Value::Blob(bytes) => format!(
            "\\x{}",
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        ),
        // The server reads `1.02:03:04` as seconds; in words it cannot err.
        Value::Text(text) if kind == "interval" => {
            let (sign, rest) = text
                .strip_prefix('-')
                .map_or(("", text.as_str()), |rest| ("-", rest));
            match rest.split_once('.').filter(|(days, _)| !days.contains(':')) {
                Some((days, clock)) => format!("{sign}{days} days {sign}{clock}"),
                None => text.clone(),
            }
        }
        Value::Text(text) if kind.ends_with("[]") => text.replacen('[', "{", 1).replace(']', "}"),
        Value::Text(text) => text.clone(),
    })
}

#[tokio::test]
async fn any_value_arrives_equal_or_is_reported() {
    let rows = if std::env::var_os("CUTOVER_SOAK").is_some() {
        100_000
    } else {
        1_000
    };
    let seed: u64 = std::env::var("CUTOVER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| rand::rng().random());
    println!("CUTOVER_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let columns: Vec<String> = (0..TYPES.len()).map(|place| format!("c{place}")).collect();
    let target: Vec<String> = columns
        .iter()
        .zip(TYPES)
        .map(|(column, kind)| format!("{column} {kind}"))
        .collect();
    let pair = Pair::new(
        &format!("CREATE TABLE t (id INTEGER PRIMARY KEY, {})", columns.join(", ")),
        &format!(
            "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
             CREATE TABLE t (id bigint PRIMARY KEY, {});",
            target.join(", ")
        ),
    )
    .await;
    let mut values: Vec<Vec<Value>> = Vec::new();
    let source = rusqlite::Connection::open(&pair.file).expect("the file");
    source.execute_batch("BEGIN").expect("a transaction");
    let places: Vec<String> = (1..=columns.len() + 1)
        .map(|place| format!("?{place}"))
        .collect();
    let insert = format!("INSERT INTO t VALUES ({})", places.join(", "));
    for id in 0..rows {
        let row: Vec<Value> = columns.iter().map(|_| value(&mut random)).collect();
        let all = std::iter::once(Value::Integer(id)).chain(row.iter().cloned());
        source
            .prepare_cached(&insert)
            .expect("the statement")
            .execute(rusqlite::params_from_iter(all))
            .expect("a row");
        values.push(row);
    }
    source.execute_batch("COMMIT").expect("the rows");
    // NaN has no place in SQLite: it stores NULL.
    for row in &mut values {
        row.iter_mut()
            .filter(|value| matches!(value, Value::Real(real) if real.is_nan()))
            .for_each(|value| *value = Value::Null);
    }

    let plan = pair.plan(&Transfer::default()).await;
    assert!(
        plan.unlisted.is_empty() || rows > 1_000,
        "{:?}",
        plan.unlisted
    );
    let reported: BTreeSet<(i64, String)> = plan
        .problems
        .iter()
        .filter_map(|problem| match problem.rowid {
            RowKey::Rowid(rowid) => Some((rowid, problem.column.clone())),
            _ => None,
        })
        .collect();
    let null = ColumnPolicy {
        on_problem: Some(OnProblem::Null),
        ..ColumnPolicy::default()
    };
    // A domain's check is the server's; those rows are put aside whole, in a column of their own.
    let mut transfer = Transfer {
        columns: vec![(Pattern::new("*"), null)],
        ..Transfer::default()
    };
    let aside = ColumnPolicy {
        on_problem: Some(OnProblem::Quarantine),
        ..ColumnPolicy::default()
    };
    let domain = TYPES
        .iter()
        .position(|kind| *kind == "positive")
        .expect("the domain");
    transfer
        .columns
        .push((Pattern::new(format!("t.c{domain}")), aside));
    pair.copy(&transfer).await.expect("the import");

    let client = pair.client().await;
    client
        .batch_execute("SET TIME ZONE 'UTC'; SET extra_float_digits = 1; SET bytea_output = 'hex'")
        .await
        .expect("settings");
    let here: BTreeSet<i64> = client
        .query("SELECT id FROM t", &[])
        .await
        .expect("ids")
        .iter()
        .map(|row| row.get(0))
        .collect();
    let mut wrong = Vec::new();
    for (place, kind) in TYPES.iter().enumerate() {
        let column = &columns[place];
        let (mut ids, mut expected) = (Vec::new(), Vec::new());
        for (id, row) in values
            .iter()
            .enumerate()
            .map(|(id, row)| (id as i64, row))
            .filter(|(id, _)| here.contains(id))
        {
            ids.push(id);
            let refused = reported.contains(&(id, column.clone()));
            expected.push(if refused {
                None
            } else {
                oracle(&row[place], kind)
            });
        }
        let read = match *kind {
            // A REAL in PostgreSQL prints shorter than the double that it equals.
            "real" => "x::float8::real".to_owned(),
            "positive" => "x::integer".to_owned(),
            // The server cuts what does not fit when casting; what fits must be the same without a cast.
            "varchar(5)" | "char(4)" => "x".to_owned(),
            _ => format!("x::{kind}"),
        };
        let mine = match *kind {
            "json" => format!("t.{column}::text"),
            "double precision" => format!("float8send(t.{column})::text"),
            "char(4)" => {
                format!("CASE WHEN t.{column} IS NOT NULL THEN format('%s', t.{column}) END")
            }
            _ => format!("t.{column}"),
        };
        let theirs = match *kind {
            "json" => "x".to_owned(),
            "double precision" => "float8send(x::float8)::text".to_owned(),
            _ => read,
        };
        let sql = format!(
            "SELECT e.id, t.{column}::text, x FROM unnest($1::bigint[], $2::text[]) AS e(id, x) JOIN t ON t.id = e.id
             WHERE ({mine}) IS DISTINCT FROM CASE WHEN x IS NULL THEN NULL ELSE {theirs} END"
        );
        for row in client
            .query(&sql, &[&ids, &expected])
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error:?}"))
        {
            let (id, found, wanted): (i64, Option<String>, Option<String>) =
                (row.get(0), row.get(1), row.get(2));
            wrong.push(format!(
                "{kind}: {:?} arrived as {found:?}, the server reads {wanted:?}",
                values[id as usize][place]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}",
        wrong
            .iter()
            .take(40)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
    let accepted = rows as usize * TYPES.len() - reported.len();
    assert!(
        accepted > rows as usize * 3,
        "too few values pass for the test to mean much: {accepted}"
    );
}
