//! Every row and every value: no false alarm, every kind of difference named, no early end taken for equal.

use super::pair::Pair;
use cutover::parity::{Compared, Kind, TableReport};

fn table<'a>(report: &'a cutover::parity::Report, name: &str) -> &'a TableReport {
    report
        .tables
        .iter()
        .find(|table| table.table == name)
        .unwrap_or_else(|| panic!("no {name} in {report:#?}"))
}

#[tokio::test]
async fn an_unchanged_pair_is_equal_and_says_what_policies_changed() {
    let pair = Pair::load().await;
    let report = pair.compare().await;
    assert!(report.equal, "{report:#?}");
    let rows: Vec<_> = report
        .tables
        .iter()
        .map(|t| (t.table.as_str(), t.source_rows, t.target_rows, t.compared))
        .collect();
    let all = Compared::All;
    assert_eq!(
        rows,
        [
            ("Categories", 12, 12, all),
            ("Empty", 0, 0, all),
            ("Log", 50, 50, all),
            ("ToolTags", 300, 300, all),
            ("Tools", 200, 200, all)
        ]
    );
    let by_policy = &table(&report, "Tools").by_policy;
    assert_eq!(by_policy.len(), 1, "{by_policy:?}");
    assert_eq!(
        (by_policy[0].column.as_str(), by_policy[0].values),
        ("CreatedAt", 100)
    );
    assert!(
        report.skipped.iter().any(|s| s.name == "Ignored")
            && report.skipped.iter().any(|s| s.name == "Names")
    );
}

#[tokio::test]
async fn every_kind_of_difference_is_counted_and_named() {
    let pair = Pair::load().await;
    pair.on_target(
        r#"DELETE FROM "ToolTags" WHERE "ToolId" = 17 AND "Tag" = 'other';
           INSERT INTO "Categories" VALUES (99, 'new', 'New', 1);
           UPDATE "Tools" SET "Price" = "Price" + 0.01, "CreatedAt" = "CreatedAt" + interval '1 microsecond' WHERE "Id" = 42;
           DELETE FROM "Log" WHERE ctid = (SELECT ctid FROM "Log" WHERE "Line" = 'same line' LIMIT 1);"#,
    )
    .await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let options = cutover::parity::Options {
        differences: Some(file.path().into()),
        ..Default::default()
    };
    let report = pair.compare_with(&options).await;
    assert!(!report.equal);
    let tags = table(&report, "ToolTags");
    assert_eq!((tags.missing, tags.extra, tags.different), (1, 0, 0));
    assert_eq!(
        (tags.examples[0].kind, tags.examples[0].key.as_str()),
        (Kind::Missing, "Tag='other', ToolId=17")
    );
    let categories = table(&report, "Categories");
    assert_eq!(
        (categories.missing, categories.extra, categories.different),
        (0, 1, 0)
    );
    assert_eq!(categories.examples[0].key, "Id=99");
    let tools = table(&report, "Tools");
    assert_eq!((tools.missing, tools.extra, tools.different), (0, 0, 1));
    let named: Vec<_> = tools
        .examples
        .iter()
        .map(|d| {
            (
                d.key.as_str(),
                d.column.as_str(),
                d.source.as_str(),
                d.target.as_str(),
            )
        })
        .collect();
    assert_eq!(
        named,
        [
            ("Id=42", "Price", "'42.42'", "42.43"),
            (
                "Id=42",
                "CreatedAt",
                "'2020-10-25 12:26:40.0518490'",
                "'2020-10-25 12:26:40.05185+00'"
            ),
        ]
    );
    let log = table(&report, "Log");
    assert_eq!(
        (log.missing, log.extra, log.different),
        (1, 0, 0),
        "duplicates are counted: {log:#?}"
    );
    let lines = std::fs::read_to_string(file.path()).expect("the file");
    assert_eq!(lines.lines().count(), 5, "{lines}");
}
