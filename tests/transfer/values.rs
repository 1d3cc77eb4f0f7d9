//! Every type, storage class and setting of `docs/types.md`, with values made at random whose result the generator states by itself: the
//! import has to arrive there, the checker has to agree, and to disagree as soon as one value of any column is another.

mod columns;

use std::collections::BTreeSet;
use std::process::Command;

use cutover::runbook::transfer::{ColumnPolicy, FREE_KEYS, POLICY_KEYS, Replacement, Transfer};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Pair;
use columns::{COLUMNS, Column};

const ROWS: usize = 60;

/// The section for all columns, as YAML.
fn section() -> String {
    let lines = COLUMNS.iter().enumerate().map(|(place, column)| {
        let mut policy = ColumnPolicy::default();
        for (key, value) in column.settings {
            policy.set(key, value).expect("a known setting");
        }
        for (from, to) in column.values {
            // YAML's own null, and not a text.
            let by = match *to {
                "null" => Replacement::Null,
                to => Replacement::parse(to),
            };
            policy.replace(*from, by);
        }
        let pairs: Vec<String> = policy
            .pairs()
            .into_iter()
            .map(|(key, value)| format!("\"{key}\": {value}"))
            .collect();
        format!("  t.c{place}: {{ {} }}\n", pairs.join(", "))
    });
    format!("columns:\n{}", lines.collect::<String>())
}

/// One value per row: what SQLite is given, as SQL, and what PostgreSQL is to hold, as its own text.
type Made = Vec<(String, Option<String>)>;

fn make(random: &mut StdRng, column: &Column) -> Made {
    (0..ROWS).map(|_| (column.make)(random)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_does_what_the_generator_says_and_the_checker_sees_it() {
    let seed: u64 = std::env::var("CUTOVER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| rand::rng().random());
    println!("CUTOVER_SEED={seed}");
    every_setting_is_on_trial();
    let mut random = StdRng::seed_from_u64(seed);
    let made: Vec<Made> = COLUMNS
        .iter()
        .map(|column| make(&mut random, column))
        .collect();
    let target: Vec<String> = COLUMNS
        .iter()
        .enumerate()
        .map(|(place, column)| format!("c{place} {}", column.ty))
        .collect();
    let names: Vec<String> = (0..COLUMNS.len())
        .map(|place| format!("c{place}"))
        .collect();
    let rows: Vec<String> = (0..ROWS)
        .map(|row| {
            let cells: Vec<&str> = made.iter().map(|column| column[row].0.as_str()).collect();
            format!("({row}, {})", cells.join(", "))
        })
        .collect();
    let pair = Pair::new(
        &format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, {}); INSERT INTO t VALUES {};",
            names.join(", "),
            rows.join(", ")
        ),
        &format!(
            "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE TABLE t (id bigint PRIMARY KEY, {});",
            target.join(", ")
        ),
    )
    .await;
    let section = section();
    let transfer = cutover::runbook::parse_transfer("section", &section)
        .unwrap_or_else(|problems| panic!("{}\n{section}", cutover::runbook::render(&problems)));
    let plan = pair.plan(&transfer).await;
    let problems: Vec<String> = plan
        .problems
        .iter()
        .take(10)
        .map(ToString::to_string)
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let copied = pair.copy(&transfer).await.expect("the import");
    assert_eq!(copied.rows, ROWS as u64);

    let wrong = wrong_values(&pair, &made).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (code, said) = verify(&pair, &section);
    assert_eq!(code, Some(0), "{said}");
    for (place, column) in COLUMNS.iter().enumerate() {
        for (key, _) in column
            .settings
            .iter()
            .filter(|(key, _)| !SILENT.contains(key))
        {
            let used = copied
                .policies
                .keys()
                .any(|name| name.starts_with(&format!("t.c{place}: {key}")));
            assert!(
                used,
                "{key} of {} was not counted: {:?}",
                column.ty, copied.policies
            );
        }
    }
    damage(&pair, &made).await;
    let (code, said) = verify(&pair, &section);
    assert_eq!(code, Some(3), "{said}");
    let unseen: Vec<String> = (0..COLUMNS.len())
        .filter(|place| differing_rows(&made[*place]).is_some())
        .filter(|place| !said.contains(&format!("\"column\":\"c{place}\"")))
        .map(|place| {
            format!(
                "c{place} {} {:?}",
                COLUMNS[place].ty, COLUMNS[place].settings
            )
        })
        .collect();
    assert!(
        unseen.is_empty(),
        "another value was not seen in {}",
        unseen.join(", ")
    );
}

/// A zone needs no use of its own where the unit says what counts, and the others are counted under the value's own policy.
const SILENT: [&str; 2] = ["zone", "on_problem"];

/// No setting of the documentation is left out of this test.
fn every_setting_is_on_trial() {
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for column in COLUMNS {
        used.extend(column.settings);
        used.extend((!column.values.is_empty()).then_some(("values", "")));
    }
    let words = POLICY_KEYS
        .iter()
        .flat_map(|(key, values)| values.iter().map(move |value| (*key, *value)));
    for (key, value) in
        words.filter(|(_, value)| !["false", "refuse", "quarantine", "one"].contains(value))
    {
        assert!(
            used.contains(&(key, value)),
            "{key}: {value} is not on trial"
        );
    }
    for (key, _) in FREE_KEYS {
        assert!(
            used.iter().any(|(known, _)| known == key),
            "{key} is not on trial"
        );
    }
}

async fn wrong_values(pair: &Pair, made: &[Made]) -> Vec<String> {
    let client = pair.client().await;
    client
        .batch_execute("SET TIME ZONE 'UTC'; SET extra_float_digits = 1; SET bytea_output = 'hex'; SET DateStyle = ISO")
        .await
        .expect("settings");
    let mut wrong = Vec::new();
    for (place, column) in COLUMNS.iter().enumerate() {
        let read = column.read.replace("{}", &format!("c{place}"));
        let sql = format!("SELECT {read} FROM t ORDER BY id");
        let rows = client.query(sql.as_str(), &[]).await.expect("the column");
        for (row, (given, expected)) in rows.iter().zip(&made[place]) {
            let held: Option<String> = row.get(0);
            if held != *expected {
                wrong.push(format!(
                    "{} {:?}: {given} became {held:?}, not {expected:?}",
                    column.ty, column.settings
                ));
            }
        }
    }
    wrong
}

/// Two rows whose values differ, if there are such.
fn differing_rows(made: &Made) -> Option<(usize, usize)> {
    let other = made.iter().position(|(_, value)| *value != made[0].1)?;
    Some((0, other))
}

/// Gives row 0 of every column the value of another row.
async fn damage(pair: &Pair, made: &[Made]) {
    let sets = made.iter().enumerate().filter_map(|(place, column)| {
        let (_, other) = differing_rows(column)?;
        Some(format!(
            "c{place} = (SELECT c{place} FROM t WHERE id = {other})"
        ))
    });
    let sets: Vec<String> = sets.collect();
    pair.execute(&format!("UPDATE t SET {} WHERE id = 0", sets.join(", ")))
        .await;
}

fn verify(pair: &Pair, section: &str) -> (Option<i32>, String) {
    let file = pair.file.with_extension("yaml");
    std::fs::write(&file, section).expect("the section");
    let differences = pair.file.with_extension("jsonl");
    let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["verify", "--from"])
        .arg(&pair.file)
        .args(["--to", &pair.database.url, "--transfer"])
        .arg(&file)
        .arg("--differences")
        .arg(&differences)
        .output()
        .expect("the binary");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    said.push_str(&std::fs::read_to_string(&differences).unwrap_or_default());
    (output.status.code(), said)
}

#[tokio::test]
async fn suggestions_hold_for_columns_that_are_empty_tonight() {
    let pair = Pair::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, created_at TEXT, price DECIMAL(8,2), at INTEGER);
         CREATE TABLE b (id INTEGER PRIMARY KEY, created_at TEXT, cost DECIMAL(8,2)); CREATE TABLE c (id INTEGER PRIMARY KEY, created_at TEXT);
         INSERT INTO a VALUES (1, '2024-02-29 12:34:56.1234567', 0.25, 1709210096);
         INSERT INTO b VALUES (1, '2024-02-29 12:34:56', NULL);",
        "CREATE TABLE a (id integer PRIMARY KEY, created_at timestamp, price numeric(8,2), at timestamptz);
         CREATE TABLE b (id integer PRIMARY KEY, created_at timestamp, cost numeric(8,2)); CREATE TABLE c (id integer PRIMARY KEY, created_at timestamp);",
    )
    .await;
    let plan = pair.plan(&Transfer::default()).await;
    for line in [
        "\"*.created_at\": { fraction: truncate }  # 1 value in 3 columns; '2024-02-29 12:34:56.1234567' → 2024-02-29 12:34:56.123456",
        "a.price: { real: shortest }  # 1 value",
        "b.cost: { real: shortest }",
        "a.at: { epoch: s }  # 1 value; 1709210096 → 2024-02-29 12:34:56",
    ] {
        assert!(plan.suggested.contains(line), "{line}\n{}", plan.suggested);
    }
    let section =
        cutover::runbook::parse_transfer("suggested", &plan.suggested).expect("a section");
    let again = pair.plan(&section).await;
    assert!(again.problems.is_empty(), "{:?}", again.problems);
    assert_eq!(again.suggested, "", "nothing is suggested twice");
}
