//! `cutover verify`: what scripts rely on, and bad input.

use super::pair::Pair;
use crate::support;
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn verify(arguments: &[&str]) -> Output {
    std::process::Command::new(support::cutover())
        .arg("verify")
        .args(arguments)
        .output()
        .expect("the binary runs")
}

const TRANSFER: &str = "zone: UTC\nexclude: [Ignored]\ncolumns:\n  \"*.CreatedAt\": { fraction: truncate }\nslugs:\n  - { table: Tools, column: Slug, trim: true, ignore_case: true }\n";

/// Runs `verify --json` on a pair.
fn on(pair: &Pair, more: &[&str]) -> (Option<i32>, Value) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), TRANSFER).expect("the section");
    let (source, section) = (pair.source.to_string_lossy(), file.path().to_string_lossy());
    let mut arguments = vec![
        "--from",
        &source,
        "--to",
        &pair.database.url,
        "--transfer",
        &section,
        "--json",
    ];
    arguments.extend(more);
    let output = verify(&arguments);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let parsed = serde_json::from_str(&printed)
        .unwrap_or_else(|e| panic!("{e}: {printed}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), parsed)
}

#[tokio::test]
async fn equal_is_0_and_one_object_on_stdout() {
    let pair = Pair::load().await;
    let (code, report) = on(&pair, &[]);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["equal"], true);
    let tools = report["tables"]
        .as_array()
        .and_then(|tables| tables.iter().find(|t| t["table"] == "Tools"))
        .expect("Tools");
    assert_eq!(
        (
            &tools["source_rows"],
            &tools["target_rows"],
            &tools["missing"]
        ),
        (&200.into(), &200.into(), &0.into())
    );
    assert!(
        report["checks"]
            .as_array()
            .is_some_and(|checks| checks.iter().any(|c| c["id"] == "T4b" && c["ok"] == true))
    );
    assert!(
        report["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0)
    );
}

#[tokio::test]
async fn different_is_3_and_names_key_column_and_values() {
    let pair = Pair::load().await;
    pair.on_target(r#"UPDATE "Tools" SET "Title" = 'other' WHERE "Id" = 9"#)
        .await;
    let (code, report) = on(&pair, &[]);
    assert_eq!(code, Some(3), "{report:#}");
    let tools = report["tables"]
        .as_array()
        .and_then(|tables| tables.iter().find(|t| t["table"] == "Tools"))
        .expect("Tools");
    let example = &tools["examples"][0];
    assert_eq!(
        (&example["key"], &example["column"]),
        (&"Id=9".into(), &"Title".into())
    );
    assert_eq!(
        (&example["source"], &example["target"]),
        (&"'Z number 9'".into(), &"'other'".into())
    );
}

#[tokio::test]
async fn a_table_or_column_that_is_missing_is_never_equal() {
    let pair = Pair::load().await;
    pair.on_target(r#"DROP TABLE "Empty"; ALTER TABLE "Log" DROP COLUMN "At""#)
        .await;
    let (code, report) = on(&pair, &[]);
    assert_eq!((code, &report["equal"]), (Some(3), &false.into()));
    let problem = |name: &str| {
        let tables = report["tables"].as_array().expect("tables");
        tables
            .iter()
            .find(|t| t["table"] == name)
            .map(|t| t["problem"].to_string())
            .expect("the table")
    };
    assert_eq!(problem("Empty"), "\"missing in the target\"");
    assert_eq!(problem("Log"), "\"column At: missing in the target\"");
}

#[tokio::test]
async fn a_column_of_another_type_differs_and_is_no_crash() {
    let pair = Pair::load().await;
    pair.on_target(r#"ALTER TABLE "Tools" ALTER "Slug" DROP NOT NULL; ALTER TABLE "Tools" ALTER "Slug" TYPE integer USING "Id""#).await;
    let (code, report) = on(&pair, &["--tables", "Tools"]);
    assert_eq!((code, &report["equal"]), (Some(3), &false.into()));
    assert_eq!(report["tables"][0]["different"], 200, "{report:#}");
}

#[test]
fn bad_input_is_refused_and_nothing_is_created() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let missing = folder.path().join("missing.db");
    let text = folder.path().join("text.db");
    std::fs::write(
        &text,
        "this is no database, whatever its name says, and it is long enough to be looked at",
    )
    .expect("a file");
    let url = "postgres://nobody@127.0.0.1:1/none";
    for (file, said) in [
        (missing.as_path(), "no file at"),
        (text.as_path(), "is not a SQLite database"),
        (folder.path(), "directory"),
    ] {
        let output = verify(&["--from", &file.to_string_lossy(), "--to", url]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    assert!(!missing.exists());
    assert_eq!(verify(&["--from", "x"]).status.code(), Some(2));
    assert_eq!(
        verify(&["--from", "x", "--to", "mysql://x"]).status.code(),
        Some(2)
    );
    assert!(Path::new(support::cutover()).exists());
}
