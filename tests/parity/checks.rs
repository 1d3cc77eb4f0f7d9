//! The checks: what the application sees, each fault caught by the right check with the right row in its message.

use super::pair::Pair;
use cutover::parity::checks::Equal;
use cutover::parity::{Check, Error, Opening, Sides, checks};
use cutover::runbook::transfer::{OrderedList, Slug};

/// Every check there is, under its row of the protocol.
async fn all(sides: &Sides) -> Result<Vec<Check>, Error> {
    let mut found = checks::row_counts(sides, "E1", None).await?;
    found.extend(checks::slugs(sides, "T4b").await?);
    found.extend(checks::lists(sides, "T4c").await?);
    found.extend(checks::joins(sides, "E2", &Equal::default()).await?);
    found.extend(checks::distributions(sides, "E2", &Equal::default()).await?);
    found.extend(checks::integrity(sides, "T4d").await?);
    found.extend(checks::sequences(sides, "V5").await?);
    Ok(found)
}

async fn wrong(pair: &Pair) -> Vec<String> {
    let found = all(&pair.sides().await)
        .await
        .expect("every check can be made");
    found
        .into_iter()
        .filter(|check| !check.ok)
        .map(|check| format!("{} {}: {}", check.id, check.name, check.detail))
        .collect()
}

#[tokio::test]
async fn nothing_is_wrong_with_an_unchanged_pair() {
    let pair = Pair::load().await;
    let found = all(&pair.sides().await)
        .await
        .expect("every check can be made");
    let wrong: Vec<_> = found.iter().filter(|check| !check.ok).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let names: Vec<_> = found.iter().map(|check| check.name.as_str()).collect();
    for name in [
        "rows of Tools",
        "slugs of Tools.Slug",
        "list tools",
        "join Tools.CategoryId → Categories",
        "orphans Categories.ParentId → Categories",
        "sequence of Tools.Id",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}

#[tokio::test]
async fn a_lost_row_is_counted() {
    let pair = Pair::load().await;
    pair.on_target(r#"DELETE FROM "ToolTags" WHERE "ToolId" = 17 AND "Tag" = 'other'"#)
        .await;
    let wrong = wrong(&pair).await;
    assert!(
        wrong.contains(
            &"E1 rows of ToolTags: ToolTags: 300 rows in the backup, 299 in PostgreSQL: 1 missing"
                .to_owned()
        ),
        "{wrong:#?}"
    );
    assert!(
        wrong.contains(&"E2 join ToolTags.ToolId → Tools: ToolTags.ToolId → Tools: 17 has 2 children in the backup and 1 in PostgreSQL".to_owned()),
        "{wrong:#?}"
    );
    assert_eq!(wrong.len(), 2, "{wrong:#?}");
}

#[tokio::test]
async fn swapped_slugs_lead_to_another_record() {
    let pair = Pair::load().await;
    pair.on_target(
        r#"UPDATE "Tools" SET "Slug" = 'x' WHERE "Id" = 5; UPDATE "Tools" SET "Slug" = 'tool-5' WHERE "Id" = 6;
           UPDATE "Tools" SET "Slug" = 'TOOL-6 ' WHERE "Id" = 5;"#,
    )
    .await;
    let wrong = wrong(&pair).await;
    let slugs = "T4b slugs of Tools.Slug: `tool-5` leads to record 5 in the backup and to record 6 in PostgreSQL; and 1 more";
    assert!(wrong.contains(&slugs.to_owned()), "{wrong:#?}");
    pair.on_target(r#"UPDATE "Tools" SET "Slug" = ' Tool-7' WHERE "Id" = 6; UPDATE "Tools" SET "Slug" = 'tool-6' WHERE "Id" = 5"#).await;
    let wrong = self::wrong(&pair).await;
    assert!(
        wrong.iter().any(|w| w.starts_with(
            "T4b unique slugs of Tools.Slug: `tool-7` leads to 2 records in PostgreSQL: "
        )),
        "{wrong:#?}"
    );
}

#[tokio::test]
async fn a_list_that_parts_names_the_place_and_the_collation_that_agrees() {
    let mut pair = Pair::load().await;
    pair.transfer.lists = vec![
        OrderedList {
            name: "by title".into(),
            table: "Tools".into(),
            order_by: vec!["Title".into(), "Id".into()],
            limit: Some(50),
        },
        OrderedList {
            name: "by day".into(),
            table: "Tools".into(),
            order_by: vec!["Day desc".into(), "Id".into()],
            limit: None,
        },
        OrderedList {
            name: "by code".into(),
            table: "Tools".into(),
            order_by: vec!["CategoryId".into()],
            limit: Some(20),
        },
    ];
    pair.on_target(r#"ALTER TABLE "Tools" ALTER "Title" TYPE varchar(200) COLLATE "und-x-icu""#)
        .await;
    let sides = pair.sides().await;
    let found = checks::lists(&sides, "V4").await.expect("lists");
    let [title, day, code] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert!(!title.ok && title.detail.contains("place 1: Id=1, Title='Z number 1' in the backup, Id=10, Title='_ number 10' in PostgreSQL"), "{title:#?}");
    assert!(
        title
            .detail
            .ends_with("ordered by COLLATE \"C\" with NULL first, PostgreSQL agrees"),
        "{title:#?}"
    );
    assert!(
        !day.ok && day.detail.contains("place 1:"),
        "NULL comes first in PostgreSQL's descending order: {day:#?}"
    );
    assert!(code.ok, "ties are no divergence: {code:#?}");
}

#[tokio::test]
async fn orphans_and_things_switched_off_are_named() {
    let pair = Pair::load().await;
    pair.on_target(
        r#"ALTER TABLE "ToolTags" DROP CONSTRAINT "FK_ToolTags_Tool"; UPDATE "ToolTags" SET "ToolId" = 999 WHERE "ToolId" = 3 AND "Tag" = 'other';
           ALTER TABLE "ToolTags" ADD CONSTRAINT "FK_ToolTags_Tool" FOREIGN KEY ("ToolId") REFERENCES "Tools" ("Id") NOT VALID;
           CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
           CREATE TRIGGER stamp BEFORE UPDATE ON "Tools" FOR EACH ROW EXECUTE FUNCTION stamp(); ALTER TABLE "Tools" DISABLE TRIGGER stamp;
           SELECT setval(pg_get_serial_sequence('"Tools"', 'Id'), 150);"#,
    )
    .await;
    let wrong = wrong(&pair).await;
    for expected in [
        "T4d orphans ToolTags.ToolId → Tools: ToolTags other, 999: its ToolId 999 is no row of Tools",
        "T4d constraints validated: FK_ToolTags_Tool on ToolTags is not validated",
        "T4d triggers enabled: stamp on Tools is disabled",
        "V5 sequence of Tools.Id: Tools.Id: the sequence would give 151 next, and the target's furthest id is 200; and 1 more",
    ] {
        assert!(
            wrong.contains(&expected.to_owned()),
            "{expected}\n{wrong:#?}"
        );
    }
}

#[tokio::test]
async fn orphans_that_the_backup_has_too_are_told_and_tolerated() {
    let pair = Pair::load().await;
    pair.on_source(
        r#"UPDATE "ToolTags" SET "ToolId" = 999 WHERE "ToolId" = 3 AND "Tag" = 'other'"#,
    );
    pair.on_target(r#"ALTER TABLE "ToolTags" DROP CONSTRAINT "FK_ToolTags_Tool"; UPDATE "ToolTags" SET "ToolId" = 999 WHERE "ToolId" = 3 AND "Tag" = 'other'"#).await;
    let found = checks::integrity(&pair.sides().await, "V5")
        .await
        .expect("integrity");
    let check = found
        .iter()
        .find(|check| check.name == "orphans ToolTags.ToolId → Tools")
        .expect("the relation");
    assert!(
        check.ok && check.detail.starts_with("1 orphans, and 1 in the backup"),
        "{check:#?}"
    );
}

#[tokio::test]
async fn a_sequence_never_gives_the_id_of_a_deleted_row() {
    let pair = Pair::load().await;
    pair.on_source(r#"UPDATE sqlite_sequence SET seq = 300 WHERE name = 'Tools'"#);
    let found = checks::sequences(&pair.sides().await, "V5")
        .await
        .expect("sequences");
    let check = found
        .iter()
        .find(|check| check.name == "sequence of Tools.Id")
        .expect("the sequence");
    assert!(
        !check.ok
            && check
                .detail
                .contains("would give 201 next, and the backup's furthest id is 300"),
        "{check:#?}"
    );
}

#[tokio::test]
async fn a_systematic_shift_is_named_as_one() {
    let pair = Pair::load().await;
    pair.on_target(r#"UPDATE "Tools" SET "CreatedAt" = "CreatedAt" + interval '1 hour', "Published" = NOT "Published""#).await;
    let found = checks::distributions(&pair.sides().await, "E2", &Equal::default())
        .await
        .expect("distributions");
    let check = found
        .iter()
        .find(|check| check.name == "distributions of Tools")
        .expect("the table");
    let said = check.examples.join("\n");
    says!(
        said,
        "Tools.CreatedAt: first and last are both off by +01:00:00: every value looks shifted"
    );
    assert!(said.contains("Tools.Published: 134 true and 66 false in the backup, 66 and 134 in PostgreSQL: the flag looks turned round"), "{said}");
}

#[tokio::test]
async fn what_the_application_writes_after_the_switch_is_set_apart() {
    let pair = Pair::load().await;
    let snapshot = pair.snapshot().await;
    pair.on_target(
        r#"INSERT INTO "Tools" SELECT 201, 'aaa', 'A', "Body", "Published", "Price", "Rating", "ExternalId", now(), "Day", "Opens", "Took", "Meta", "Payload", "Code", 2 FROM "Tools" WHERE "Id" = 1;
           UPDATE "Tools" SET "Title" = 'renamed', "Slug" = 'zzz', "CategoryId" = 3 WHERE "Id" = 7;
           SELECT nextval(pg_get_serial_sequence('"Tools"', 'Id'));"#,
    )
    .await;
    let opening = Opening {
        since_snapshot: Some(snapshot),
        ..Opening::default()
    };
    let sides = pair.sides_at(&opening).await;
    let wrong: Vec<_> = all(&sides)
        .await
        .expect("checks")
        .into_iter()
        .filter(|check| !check.ok)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let options = cutover::parity::Options {
        opening,
        ..Default::default()
    };
    let report = pair.compare_with(&options).await;
    let tools = report
        .tables
        .iter()
        .find(|table| table.table == "Tools")
        .expect("Tools");
    assert!(report.equal, "{tools:#?}");
    assert_eq!((tools.new_since_switch, tools.changed_since_switch), (1, 1));
    pair.on_target(r#"DELETE FROM "ToolTags" WHERE "ToolId" = 17; UPDATE "Tools" SET "Price" = 0 WHERE "Id" = 8"#).await;
    assert!(
        !pair.compare_with(&options).await.equal,
        "a lost row is a difference after the switch too"
    );
}

/// From F1 to F4 nobody writes but V2, which may leave a row behind. What is rewritten all the same was not the application's doing.
#[tokio::test]
async fn while_writes_are_frozen_only_a_new_row_is_set_apart() {
    let pair = Pair::load().await;
    let snapshot = pair.snapshot().await;
    let opening = Opening {
        since_snapshot: Some(snapshot),
        is_frozen: true,
        ..Opening::default()
    };
    let bad = async |pair: &Pair| -> Vec<String> {
        let sides = pair.sides_at(&opening).await;
        let mut found = checks::slugs(&sides, "V3").await.expect("slugs");
        found.extend(checks::lists(&sides, "V4").await.expect("lists"));
        found.extend(checks::integrity(&sides, "V5").await.expect("integrity"));
        let bad = found.into_iter().filter(|check| !check.ok);
        bad.map(|check| format!("{}: {}", check.id, check.detail))
            .collect()
    };
    pair.on_target(
        r#"INSERT INTO "Tools" SELECT 201, 'aaa', 'A', "Body", "Published", "Price", "Rating", "ExternalId", now(), "Day", "Opens", "Took", "Meta", "Payload", "Code", 2 FROM "Tools" WHERE "Id" = 1"#,
    )
    .await;
    assert_eq!(bad(&pair).await, [""; 0], "V2's own row");
    pair.on_target(r#"UPDATE "Tools" SET "Slug" = '000' WHERE "Id" = 7"#)
        .await;
    let said = bad(&pair).await.join("\n");
    assert!(said.contains("V3: ") && said.contains("V4: "), "{said}");
    assert!(said.contains("leads to record 7"), "{said}");
}

#[tokio::test]
async fn a_check_of_something_that_is_not_there_is_an_error() {
    let mut pair = Pair::load().await;
    pair.transfer.slugs.push(Slug {
        table: "Tools".into(),
        column: "Slugg".into(),
        trim: false,
        ignore_case: false,
    });
    let error = checks::slugs(&pair.sides().await, "V3")
        .await
        .expect_err("no such column");
    assert!(
        matches!(error, Error::Unknown { ref name, .. } if name == "Tools.Slugg"),
        "{error}"
    );
    let missing = ["Nowhere".to_owned()];
    assert!(matches!(
        checks::row_counts(&pair.sides().await, "V1", Some(&missing)).await,
        Err(Error::Unknown { .. })
    ));
}
