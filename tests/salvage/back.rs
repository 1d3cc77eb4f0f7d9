//! PostgreSQL's values back into SQLite's: each is what it was, or is named.

use cutover::runbook::parse_transfer;
use cutover::salvage::back::{Back, Reverse};
use cutover::salvage::cell::Cell;
use rusqlite::types::ValueRef;

use super::Night;
use crate::transfer::torture::{SETTLED, file as torture};

/// Pairs that lose their spelling on the way, as `Table.Column: original → what comes back`.
const NAMED: &str = include_str!("respelled.txt");

/// Every value of the corpus that PostgreSQL took, in the form of that one value: the same value again, to the bit, or on the list.
#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_the_corpus_comes_back_or_is_named() {
    let target = torture("postgres.sql").replace("CREATE EXTENSION IF NOT EXISTS citext;", "");
    let target = target.replace("citext", "text");
    let night = Night::import(&torture("sqlite.sql"), &target, SETTLED).await;
    let transfer = parse_transfer("transfer", SETTLED).expect("a transfer section");
    let client = night.endpoint().connect().await.expect("a connection");
    client
        .batch_execute(
            "SET TimeZone = 'UTC'; SET IntervalStyle = 'iso_8601'; SET bytea_output = 'hex'; SET DateStyle = 'ISO'",
        )
        .await
        .expect("settings");
    let types = client
        .query(
            r#"SELECT c.relname::text, coalesce(b.typname, t.typname)::text,
                      CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END
               FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
               LEFT JOIN pg_type b ON b.oid = nullif(t.typbasetype, 0)
               WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attname = 'V' AND a.attgenerated = '' AND t.typtype <> 'e'
               ORDER BY 1"#,
            &[],
        )
        .await
        .expect("the catalogue");
    let sqlite = rusqlite::Connection::open(&night.source).expect("the source");
    let (mut told, mut values) = (Vec::new(), 0);
    for row in types {
        let (table, type_name, modifier): (String, String, i32) =
            (row.get(0), row.get(1), row.get(2));
        let Ok(mut statement) =
            sqlite.prepare(&format!("SELECT Id, V FROM \"{table}\" ORDER BY 1"))
        else {
            continue;
        };
        let originals: Vec<(i64, Cell)> = statement
            .query_map([], |row| Ok((row.get(0)?, Cell::of(row.get_ref(1)?))))
            .expect("rows")
            .filter_map(Result::ok)
            .collect();
        for (id, original) in originals {
            let sql = format!("SELECT \"V\" FROM \"{table}\" WHERE \"Id\" = {id}");
            let answer = client.simple_query(&sql).await.expect("an answer");
            let Some(text) = answer.iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
                _ => None,
            }) else {
                continue; // put aside by the import
            };
            let reverse = Reverse::new(
                &type_name,
                modifier,
                &transfer.column(&table, "V"),
                transfer.zone,
                "",
                std::slice::from_ref(&original),
            );
            values += 1;
            match reverse.value(text.as_deref()) {
                Back::Exact(back) if back.is_same(&original) => {}
                other => told.push(format!(
                    "{table}.V: {} → {}",
                    original.shown(60),
                    shown(&other)
                )),
            }
        }
    }
    assert!(values > 60, "{values} values");
    let named: Vec<&str> = NAMED.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(told, named, "\n{}", told.join("\n"));
}

fn shown(back: &Back) -> String {
    match back {
        Back::Exact(cell) => cell.shown(60),
        Back::Nearest(cell) => format!("nearest {}", cell.shown(60)),
        Back::None => "nothing".to_owned(),
    }
}

/// What the checker would not find equal never passes for exact, whatever the form.
#[test]
fn what_the_form_cannot_hold_is_not_rounded_off_in_silence() {
    let transfer = parse_transfer(
        "t",
        "columns: { T.S: { epoch: s }, T.R: { real: shortest } }",
    );
    let transfer = transfer.expect("a transfer section");
    let seconds = [Cell::of(ValueRef::Integer(1_709_210_096))];
    let epoch = Reverse::new(
        "timestamp",
        -1,
        &transfer.column("T", "S"),
        None,
        "INTEGER",
        &seconds,
    );
    assert_eq!(
        epoch.value(Some("2024-02-29 12:34:56")),
        Back::Exact(Cell::Integer(1_709_210_096))
    );
    assert_eq!(
        epoch.value(Some("2024-02-29 12:34:56.5")),
        Back::Nearest(Cell::Integer(1_709_210_096))
    );
    assert_eq!(epoch.value(Some("infinity")), Back::None);
    let price = Reverse::new("numeric", -1, &transfer.column("T", "R"), None, "REAL", &[]);
    assert_eq!(price.value(Some("12.5")), Back::Exact(Cell::Real(12.5)));
    let long = price.value(Some("0.123456789012345678901"));
    assert!(matches!(long, Back::Nearest(Cell::Real(_))), "{long:?}");
}
