//! The salvage file itself: whose it is, what it holds, and how one is made later or made anew.

use super::super::Night;
use super::{Left, SOURCE, TARGET, TRANSFER, WRITES};
use cutover::postgres::Endpoint;
use cutover::salvage::TableCost;
use cutover::salvage::apply::Means;
use cutover::salvage::file::{About, Choice, Salvaged};
use cutover::step::salvage::{Record, Wanted, make};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_its_owners_and_holds_both_sides() {
    let left = Left::behind(WRITES).await;
    let mode = std::fs::metadata(&left.file)
        .expect("the file")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert!(!left.file.with_extension("db.partial").exists());
    let file = rusqlite::Connection::open(&left.file).expect("SQLite");
    // The application's own tables hold the rows as they would be.
    let slug: String = file
        .query_row("SELECT Slug FROM Tools WHERE Id = 2", [], |row| row.get(0))
        .expect("the changed row");
    assert_eq!(slug, "zwei");
    let (new, was, target): (String, String, String) = file
        .query_row(
            "SELECT new, was, target FROM cutover_values JOIN cutover_rows USING (row)
             WHERE table_name = 'Tools' AND key = '[2]' AND name = 'Price'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .expect("a value");
    assert_eq!((&*new, &*was, &*target), ("99.5", "12.25", "99.5000"));
}

/// What cannot be told of a table's old rows does not take its new ones away.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_read_whole_are_kept_whatever_else_is_not_known() {
    let mut night = Night::import(SOURCE, TARGET, TRANSFER).await;
    night
        .on_target(r#"INSERT INTO "Tags" VALUES ('stranger', 9, 9)"#)
        .await;
    let client = night.endpoint().connect().await.expect("a connection");
    let row = client.query_one("SELECT pg_current_snapshot()::text", &[]);
    night.snapshot = row.await.expect("a snapshot").get(0);
    night
        .on_target(
            r#"INSERT INTO "Tags" VALUES ('new', 1, 7); UPDATE "Tags" SET "Weight" = 8 WHERE "Name" = 'b'"#,
        )
        .await;
    let left = Left::lacking(night).await;
    let salvaged = left.salvaged();
    let tables = salvaged.tables().expect("tables");
    let tags = tables.iter().find(|table| table.table == "Tags");
    let tags = tags.expect("the table is named");
    assert!(tags.lacks.is_some() && !tags.broke_off, "{tags:?}");
    assert_eq!((tags.inserted, tags.changed), (1, 1));
    let outcome = left.apply(&left.live(), &Choice::default(), Means::default());
    assert_eq!((outcome.committed, outcome.applied().len()), (true, 2));
}

#[test]
fn rows_that_are_not_in_the_file_are_not_counted_as_kept() {
    let table = |name: &str, inserted, broke_off: bool| TableCost {
        table: name.to_owned(),
        inserted,
        lacks: broke_off.then(|| "it broke off".to_owned()),
        broke_off,
        ..TableCost::default()
    };
    let record = Record {
        file: Some("salvage.db".into()),
        tables: vec![table("Orders", 5, true), table("Tools", 2, false)],
        lacks: vec!["Orders: it broke off".to_owned()],
        ..Record::default()
    };
    let said = record.sentence();
    assert!(said.starts_with("2 inserted, 0 changed"), "{said}");
    assert!(said.ends_with("5 of Orders seen, not kept"), "{said}");
    let none = |tables| Record {
        tables,
        ..record.clone()
    };
    let said = none(Vec::new()).sentence();
    let whole = "no row was read: salvage.db is not complete (1 lacking): Orders: it broke off";
    assert_eq!(said, whole);
    let said = none(vec![table("Orders", 5, true)]).sentence();
    assert!(said.starts_with("no row was kept: salvage.db"), "{said}");
}

fn wanted(night: &Night, path: &Path) -> Wanted {
    Wanted {
        path: path.to_owned(),
        about: About {
            session: "s-1".to_owned(),
            source: night.source.clone(),
            backup: night.source.clone(),
            backup_sha256: "0".repeat(64),
            snapshot: night.snapshot.clone(),
            made: "2026-01-01T00:00:00Z".to_owned(),
        },
        since: night.since(),
        endpoint: night.endpoint(),
        before: None,
        even_if_empty: false,
    }
}

/// PostgreSQL was away when the rollback came to R5, and is there again.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_could_not_be_made_is_made_later() {
    let night = Night::import(SOURCE, TARGET, TRANSFER).await;
    night.on_target(WRITES).await;
    let path = night.folder.path().join("salvage.db");
    let mut wanted = Wanted {
        endpoint: Endpoint::parse("postgres://x@127.0.0.1:1/x").expect("a URL"),
        ..wanted(&night, &path)
    };
    let cancel = CancellationToken::new();
    make(wanted.clone(), &cancel)
        .await
        .expect_err("nobody there");
    assert!(!path.exists());
    wanted.endpoint = night.endpoint();
    let record = make(wanted.clone(), &cancel).await.expect("a file");
    assert_eq!((record.lacks.len(), record.file), (0, Some(path.clone())));
    // Users wrote more: the new file holds both, and the one before is kept.
    night
        .on_target(r#"UPDATE "Tools" SET "Title" = 'later' WHERE "Id" = 2"#)
        .await;
    make(wanted.clone(), &cancel)
        .await
        .expect_err("one is there");
    let before = path.with_file_name("salvage.before.db");
    wanted.before = Some(before.clone());
    let elsewhere = Path::new("/elsewhere/app.db");
    let mut noted = Salvaged::open(&path).expect("a salvage file");
    let all = noted.chosen(&Choice::default()).expect("rows");
    noted
        .note_applied(&all, elsewhere, "2026-01-01T00:00:00Z")
        .expect("noted");
    drop(noted);
    let first = std::fs::read(&path).expect("the first");
    make(wanted.clone(), &cancel).await.expect("the second");
    assert_eq!(std::fs::read(&before).expect("kept"), first);
    // What was brought in of the first counts, but for the row that was written since.
    let anew = Salvaged::open(&path).expect("a salvage file");
    assert_eq!(anew.not_in(elsewhere).expect("rows").len(), 1);
    drop(anew);
    let second = std::fs::read(&path).expect("the second");
    make(wanted, &cancel)
        .await
        .expect_err("two are kept, and no third");
    assert_eq!(std::fs::read(&path).expect("still there"), second);
    let left = Left { night, file: path };
    let live = left.live();
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert!(outcome.committed, "{outcome:#?}");
    assert_eq!(left.differences(&live).await, Vec::<String>::new());
}

/// Users went on writing after rows were brought in, as where our link alone was cut: what they changed once more, or took back, is told against what
/// SQLite has.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_made_anew_names_what_sqlite_has_otherwise() {
    let night = Night::import(SOURCE, TARGET, TRANSFER).await;
    night
        .on_target(
            r#"INSERT INTO "Tags" VALUES ('new', 1, 1), ('gone', 1, 1), ('same', 1, 1); DELETE FROM "Tags" WHERE "Name" = 'b';
               UPDATE "Tags" SET "Weight" = 10 WHERE "Name" = 'a'; DELETE FROM "Orders" WHERE "Id" = 1;
               UPDATE "Orders" SET "ToolId" = 1 WHERE "Id" = 2"#,
        )
        .await;
    let folder = night.folder.path().to_owned();
    let (path, live) = (folder.join("salvage.db"), folder.join("live.db"));
    std::fs::copy(&night.source, &live).expect("a copy");
    let live = live.canonicalize().expect("its name");
    let mut wanted = wanted(&night, &path);
    wanted.about.source.clone_from(&live);
    let cancel = CancellationToken::new();
    make(wanted.clone(), &cancel).await.expect("a file");
    let left = Left { night, file: path };
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert!(outcome.committed, "{outcome:#?}");
    let noted = left
        .salvaged()
        .note_applied(&outcome.applied(), &live, "now");
    noted.expect("noted");

    left.night
        .on_target(
            r#"UPDATE "Tags" SET "Weight" = 2 WHERE "Name" = 'new'; DELETE FROM "Tags" WHERE "Name" = 'gone'; INSERT INTO "Tags" VALUES ('b', 1, 3), ('later', 1, 1);
               UPDATE "Tags" SET "Weight" = 1 WHERE "Name" = 'a' AND "ToolId" = 1; UPDATE "Tags" SET "Weight" = 20 WHERE "Name" = 'a' AND "ToolId" = 2;
               INSERT INTO "Orders" ("Id", "ToolId", "At") VALUES (1, 2, '2024-02-29 12:34:56+00'); DELETE FROM "Orders" WHERE "Id" = 2"#,
        )
        .await;
    let before = folder.join("salvage.before.db");
    wanted.before = Some(before.clone());
    let record = make(wanted.clone(), &cancel).await.expect("a file");
    assert!(record.lacks.is_empty(), "{record:#?}");
    let salvaged = left.salvaged();
    assert!(salvaged.is_told_against().expect("read"));
    salvaged.note_as_in(&before).expect("noted");
    let mut named = Vec::new();
    for number in salvaged.not_in(&live).expect("rows") {
        let row = salvaged.row(number).expect("a row");
        named.push(format!(
            "{} {} {}",
            row.table,
            row.operation.word(),
            row.key
        ));
    }
    named.sort();
    assert_eq!(
        named,
        [
            "Orders deleted [2]",
            "Orders inserted [1]",
            r#"Tags changed ["a",1]"#,
            r#"Tags changed ["a",2]"#,
            r#"Tags changed ["new",1]"#,
            r#"Tags deleted ["gone",1]"#,
            r#"Tags inserted ["b",1]"#,
            r#"Tags inserted ["later",1]"#,
        ]
    );
    let tables = salvaged.tables().expect("tables");
    let counts = |name: &str| {
        let table = tables.iter().find(|table| table.table == name);
        table.map(|table| [table.inserted, table.changed, table.deleted])
    };
    assert_eq!(counts("Tags"), Some([3, 3, 1]));
    assert_eq!(counts("Orders"), Some([1, 0, 1]));
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert!(outcome.committed, "{outcome:#?}");
    assert_eq!(left.differences(&live).await, Vec::<String>::new());

    // Once more, with nothing written since: what was taken back is not taken back to what users had before.
    let noted = left
        .salvaged()
        .note_applied(&outcome.applied(), &live, "later");
    noted.expect("noted");
    std::fs::rename(&before, folder.join("salvage.first.db")).expect("moved aside");
    make(wanted, &cancel).await.expect("a third file");
    assert!(!left.salvaged().is_told_against().expect("read"));
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert!(outcome.committed, "{outcome:#?}");
    assert_eq!(outcome.applied(), Vec::<i64>::new(), "{outcome:#?}");
    assert_eq!(left.differences(&live).await, Vec::<String>::new());
}

/// An R5 that got no answer leaves open whether users wrote: a file without a row settles it.
#[tokio::test(flavor = "multi_thread")]
async fn that_nothing_was_written_is_a_file_where_one_is_asked_for() {
    let night = Night::import(SOURCE, TARGET, TRANSFER).await;
    let path = night.folder.path().join("salvage.db");
    let mut wanted = wanted(&night, &path);
    let cancel = CancellationToken::new();
    let record = make(wanted.clone(), &cancel).await.expect("a look");
    assert_eq!((record.file, path.exists()), (None, false));
    wanted.even_if_empty = true;
    let record = make(wanted, &cancel).await.expect("a file");
    assert_eq!(record.file.as_ref(), Some(&path));
    assert!(record.rows_sha256.is_some() && record.lacks.is_empty());
    let said = record.sentence();
    assert!(
        said.starts_with("nothing was written to PostgreSQL"),
        "{said}"
    );
    let kept = Salvaged::open(&path).expect("a salvage file");
    assert_eq!(kept.rows_not_brought().expect("a count"), 0);
    assert!(
        kept.tables()
            .expect("tables")
            .iter()
            .all(|t| t.lacks.is_none())
    );
}

/// A row that the application's own table refuses is in the values alone: the file knows it, and R5 has to be red for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_is_what_the_file_says() {
    let night = Night::import(SOURCE, TARGET, TRANSFER).await;
    night
        .on_target(r#"ALTER TABLE "Tools" ALTER "Title" DROP NOT NULL; UPDATE "Tools" SET "Title" = NULL WHERE "Id" = 4"#)
        .await;
    let left = Left::lacking(night).await;
    let wanted = Wanted {
        about: left.salvaged().about().expect("about"),
        ..wanted(&left.night, &left.night.folder.path().join("again.db"))
    };
    let record = make(wanted, &CancellationToken::new())
        .await
        .expect("a file");
    assert!(
        record.lacks.iter().any(|why| why.contains("do not fit")),
        "{record:?}"
    );
}
