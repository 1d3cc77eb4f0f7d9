//! Values that the checker fetches in its own way: text in UTF-16 files, and long values, which no side holds whole.

use super::pair::Pair;
use crate::support;
use cutover::parity::Report;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use rusqlite::Connection;

const TEXTS: &str = r#"
    PRAGMA encoding = 'UTF-16le';
    CREATE TABLE "Texts" ("Id" INTEGER NOT NULL PRIMARY KEY, "V" TEXT);
    INSERT INTO "Texts" VALUES (1, 'aé€𝄞'), (2, ''), (3, NULL), (4, 7), (5, CAST(x'00d84100' AS TEXT));"#;

/// The pair, with another source that has one table of the target.
async fn with_source(source: &str, target: &str) -> Pair {
    let mut pair = Pair::load().await;
    pair.source = pair.source.with_file_name("other.db");
    support::sqlite(&pair.source, source);
    pair.on_target(target).await;
    pair
}

fn counts(report: &Report) -> (u64, u64, u64) {
    let [table] = report.tables.as_slice() else {
        panic!("one table: {report:#?}")
    };
    (table.missing, table.extra, table.different)
}

#[tokio::test]
async fn half_a_surrogate_pair_equals_nothing_that_sqlite_makes_of_it() {
    let target = r#"CREATE TABLE "Texts" ("Id" bigint PRIMARY KEY, "V" text);
        INSERT INTO "Texts" VALUES (1, 'aé€𝄞'), (2, ''), (3, NULL), (4, '7')"#;
    let pair = with_source(TEXTS, target).await;
    let made: String = Connection::open(&pair.source)
        .expect("the file")
        .query_row("SELECT \"V\" FROM \"Texts\" WHERE \"Id\" = 5", [], |row| {
            row.get(0)
        })
        .expect("SQLite gives it as if it were whole");
    pair.client
        .execute("INSERT INTO \"Texts\" VALUES (5, $1)", &[&made])
        .await
        .expect("a row");
    let report = pair.compare().await;
    assert_eq!(counts(&report), (0, 0, 1), "{report:#?}");
    assert_eq!(report.tables[0].examples[0].key, "Id=5");
    pair.on_source(r#"DELETE FROM "Texts" WHERE "Id" = 5"#);
    pair.on_target(r#"DELETE FROM "Texts" WHERE "Id" = 5"#)
        .await;
    let report = pair.compare().await;
    assert!(report.equal, "{report:#?}");
}

#[tokio::test]
async fn long_values_are_compared_to_the_last_byte() {
    let source =
        r#"CREATE TABLE "Files" ("Id" INTEGER NOT NULL PRIMARY KEY, "Data" BLOB, "Body" TEXT)"#;
    let target = r#"CREATE TABLE "Files" ("Id" bigint PRIMARY KEY, "Data" bytea, "Body" text)"#;
    let pair = with_source(source, target).await;
    let mut bytes = vec![0; 1_000_000];
    StdRng::seed_from_u64(20_240_229).fill_bytes(&mut bytes);
    let text: String = bytes.iter().map(|byte| char::from(byte | 1)).collect();
    assert!(
        text.len() > bytes.len(),
        "characters of two bytes lie across pieces"
    );
    {
        let connection = Connection::open(&pair.source).expect("the file");
        let insert = "INSERT INTO \"Files\" VALUES (1, ?1, ?2), (2, x'00', 'short')";
        connection.execute(insert, (&bytes, &text)).expect("rows");
    }
    let insert = "INSERT INTO \"Files\" VALUES (1, $1, $2), (2, '\\x00', 'short')";
    pair.client
        .execute(insert, &[&bytes, &text])
        .await
        .expect("rows");
    let report = pair.compare().await;
    assert!(report.equal, "{report:#?}");
    for (change, column) in [
        (
            r#"UPDATE "Files" SET "Data" = set_byte("Data", 999999, (get_byte("Data", 999999) + 1) % 256) WHERE "Id" = 1"#,
            "Data",
        ),
        (
            r#"UPDATE "Files" SET "Body" = left("Body", -1) || 'x' WHERE "Id" = 1"#,
            "Body",
        ),
    ] {
        pair.on_target(&format!("BEGIN; {change}; COMMIT")).await;
        let report = pair.compare().await;
        assert_eq!(counts(&report), (0, 0, 1), "{report:#?}");
        let examples = &report.tables[0].examples;
        let found = examples.iter().find(|example| example.column == column);
        let found = found.unwrap_or_else(|| panic!("{column}: {examples:#?}"));
        assert!(found.source.contains("bytes, sha256 "), "{found:#?}");
    }
}

#[tokio::test]
async fn computed_columns_are_compared_and_rows_of_heirs_are_their_own() {
    let source = r#"CREATE TABLE "Sums" ("Id" INTEGER NOT NULL PRIMARY KEY, "A" INTEGER, "B" INTEGER);
        INSERT INTO "Sums" VALUES (1, 2, 4), (2, 3, 6);"#;
    let target = r#"CREATE TABLE "Sums" ("Id" bigint PRIMARY KEY, "A" bigint, "B" bigint GENERATED ALWAYS AS ("A" * 2) STORED);
        INSERT INTO "Sums" VALUES (1, 2), (2, 3)"#;
    let pair = with_source(source, target).await;
    let report = pair.compare().await;
    assert!(report.equal, "{report:#?}");
    pair.on_target(r#"CREATE TABLE "More" () INHERITS ("Sums"); INSERT INTO "More" VALUES (3, 4)"#)
        .await;
    let report = pair.compare().await;
    assert!(report.equal, "{report:#?}");
    pair.on_target(r#"UPDATE ONLY "Sums" SET "A" = 5 WHERE "Id" = 2"#)
        .await;
    let report = pair.compare().await;
    assert_eq!(counts(&report), (0, 0, 1), "{report:#?}");
}

/// What the application has put into a plain column is data; only what SQLite computes itself may PostgreSQL compute otherwise.
#[tokio::test]
async fn a_plain_column_that_the_target_computes_otherwise_is_a_difference() {
    let rows = r#"INSERT INTO "Pages" ("Id", "Title", "Slug") VALUES (1, 'About', 'who-we-are'), (2, 'Help', 'help')"#;
    let plain = format!(
        r#"CREATE TABLE "Pages" ("Id" INTEGER NOT NULL PRIMARY KEY, "Title" TEXT, "Slug" TEXT); {rows}"#
    );
    let target = r#"CREATE TABLE "Pages" ("Id" bigint PRIMARY KEY, "Title" text, "Slug" text GENERATED ALWAYS AS (lower("Title")) STORED);
        INSERT INTO "Pages" VALUES (1, 'About'), (2, 'Help')"#;
    let pair = with_source(&plain, target).await;
    let report = pair.compare().await;
    assert!(!report.equal, "{report:#?}");
    assert_eq!(counts(&report), (0, 0, 1), "{report:#?}");
    let table = &report.tables[0];
    assert_eq!(table.computed_otherwise, 0);
    let found = &table.examples[0];
    assert_eq!(
        (found.key.as_str(), found.column.as_str()),
        ("Id=1", "Slug")
    );

    pair.on_source(
        r#"DROP TABLE "Pages"; CREATE TABLE "Pages" ("Id" INTEGER NOT NULL PRIMARY KEY, "Title" TEXT, "Slug" TEXT AS (upper("Title")));
           INSERT INTO "Pages" VALUES (1, 'About'), (2, 'Help')"#,
    );
    let report = pair.compare().await;
    assert!(report.equal, "{report:#?}");
    assert_eq!(report.tables[0].computed_otherwise, 2);
}
