//! Whether two searches have found the same rows is told without holding them.

use cutover::salvage::file::{About, NAME, Salvaged, Writer};
use cutover::salvage::seen::Seen;

use super::Night;

const SOURCE: &str = r#"
    CREATE TABLE Tools (Id INTEGER PRIMARY KEY, Name TEXT, Picture BLOB);
    INSERT INTO Tools VALUES (1, 'axe', x'00ff'), (2, 'saw', NULL), (3, '', x'');
    CREATE TABLE Words (Word TEXT, Count REAL);
    INSERT INTO Words VALUES ('a', 1.5), ('a', 1.5), ('b', NULL);
"#;

const TARGET: &str = r#"
    CREATE TABLE "Tools" ("Id" bigint PRIMARY KEY, "Name" text, "Picture" bytea);
    CREATE TABLE "Words" ("Word" text, "Count" double precision);
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_search_has_what_the_file_of_an_earlier_one_has_until_somebody_writes() {
    let night = Night::import(SOURCE, TARGET, "{}").await;
    night
        .on_target(
            r#"INSERT INTO "Tools" VALUES (4, NULL, '\x00'); UPDATE "Tools" SET "Name" = 'adze' WHERE "Id" = 1;
               DELETE FROM "Tools" WHERE "Id" = 2; INSERT INTO "Words" VALUES ('a', 1.5), ('c', -0.0)"#,
        )
        .await;
    let path = night.folder.path().join(NAME);
    let about = About {
        session: "s-1".to_owned(),
        source: night.source.clone(),
        backup: night.source.clone(),
        backup_sha256: "0".repeat(64),
        snapshot: night.snapshot.clone(),
        made: "2026-01-01T00:00:00Z".to_owned(),
    };
    let writer = Writer::create(&path, &about).expect("a writer");
    let (_, writer) = night.search(night.since(), writer).await;
    writer.finish().expect("a file");
    let file = Salvaged::open(&path).expect("the file");
    let kept = Seen::in_file(&file).expect("its rows");
    assert_eq!(kept.rows(), 5);

    let differences = async || {
        let (_, now) = night.search(night.since(), Seen::default()).await;
        now.differences(&kept)
    };
    let none: [&str; 0] = [];
    assert_eq!(differences().await, none);
    // Written again as they are: nothing is another row.
    let again = r#"UPDATE "Tools" SET "Name" = "Name""#;
    night.on_target(again).await;
    assert_eq!(differences().await, none);
    let other = r#"UPDATE "Tools" SET "Picture" = '\x01' WHERE "Id" = 4"#;
    night.on_target(other).await;
    assert_eq!(differences().await, ["Tools: 3 rows, not the same ones"]);
    let more = r#"INSERT INTO "Words" VALUES ('c', 0); DELETE FROM "Tools" WHERE "Id" = 4"#;
    night.on_target(more).await;
    let both = ["Tools: 2 rows, not 3", "Words: 3 rows, not 2"];
    assert_eq!(differences().await, both);
}
