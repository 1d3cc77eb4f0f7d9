//! The salvage file, and rows brought from it into SQLite: all of them give what PostgreSQL had, and nothing is written over.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cutover::parity;
use cutover::salvage::TableCost;
use cutover::salvage::apply::{Fate, Means, Outcome, apply};
use cutover::salvage::file::{About, Choice, Salvaged, Writer};
use cutover::step::salvage::{Record, Wanted, make};
use cutover::target::Endpoint;
use tokio_util::sync::CancellationToken;

use super::Night;

const SOURCE: &str = include_str!("source.sql");
const TARGET: &str = include_str!("target.sql");
const WRITES: &str = include_str!("writes.sql");
const TRANSFER: &str = "zone: UTC\ncolumns: { Orders.At: { epoch: s }, Tools.Price: { scale: round }, Tools.Blob: { guid_bytes: dotnet } }";

/// A night on which users wrote, with its salvage file.
struct Left {
    night: Night,
    file: PathBuf,
}

impl Left {
    async fn behind(writes: &str) -> Self {
        let night = Night::import(SOURCE, TARGET, TRANSFER).await;
        night.on_target(writes).await;
        let left = Self::lacking(night).await;
        let tables = left.salvaged().tables().expect("tables");
        assert!(
            tables.iter().all(|table| table.lacks.is_none()),
            "{tables:#?}"
        );
        left
    }

    /// As [`Self::behind`], of a night of which not everything can be told.
    async fn lacking(night: Night) -> Self {
        let file = night.folder.path().join("salvage.db");
        let about = About {
            session: "s-1".to_owned(),
            source: night.source.clone(),
            backup: night.source.clone(),
            backup_sha256: "0".repeat(64),
            snapshot: night.snapshot.clone(),
            made: "2026-01-01T00:00:00Z".to_owned(),
        };
        let writer = Writer::create(&file, &about).expect("a writer");
        let (_, writer) = night.search(night.since(), writer).await;
        writer.finish().expect("a file");
        Self { night, file }
    }

    fn salvaged(&self) -> Salvaged {
        Salvaged::open(&self.file).expect("a salvage file")
    }

    /// SQLite as it is after a rollback.
    fn live(&self) -> PathBuf {
        let live = self.night.folder.path().join("live.db");
        std::fs::copy(&self.night.source, &live).expect("a copy");
        live
    }

    fn apply(&self, into: &Path, choice: &Choice, means: Means) -> Outcome {
        let salvaged = self.salvaged();
        let chosen = salvaged.chosen(choice).expect("rows");
        apply(&salvaged, &chosen, into, means).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether `cutover verify` finds both equal.
    async fn differences(&self, file: &Path) -> Vec<String> {
        let report = parity::compare(
            file,
            &self.night.endpoint(),
            "public",
            &self.night.transfer,
            &parity::Options::default(),
            &|_| {},
            &CancellationToken::new(),
        )
        .await
        .expect("a report");
        let different = report.tables.iter().filter(|table| !table.is_equal());
        different.map(|table| format!("{table:?}")).collect()
    }
}

fn execute(file: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(file).expect("the file");
    connection.execute_batch(sql).expect(sql);
}

fn conflicts(outcome: &Outcome) -> Vec<String> {
    let rows = outcome.rows.iter();
    rows.filter_map(|row| match &row.fate {
        Fate::Conflict(why) => Some(format!("{}{}: {why}", row.table, row.key)),
        _ => None,
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_brought_in_give_what_postgresql_has() {
    let left = Left::behind(WRITES).await;
    let live = left.live();
    assert!(!left.differences(&live).await.is_empty());
    let dry = left.apply(
        &live,
        &Choice::default(),
        Means {
            dry_run: true,
            ..Means::default()
        },
    );
    assert_eq!((dry.committed, conflicts(&dry)), (false, vec![]));
    assert!(!left.differences(&live).await.is_empty());
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert_eq!(conflicts(&outcome), Vec::<String>::new());
    assert!(outcome.committed, "{outcome:#?}");
    assert_eq!(left.differences(&live).await, Vec::<String>::new());
    // Values have the classes and the spellings that the application is used to.
    let connection = rusqlite::Connection::open(&live).expect("the file");
    let told: String = connection
        .query_row(include_str!("spelled.sql"), [], |row| row.get(0))
        .expect("a row");
    assert_eq!(told, include_str!("spelled.txt").trim_end());
    // A second time there is nothing to do, but for rows without a key, which only the note tells apart.
    let mut salvaged = left.salvaged();
    salvaged
        .note_applied(&outcome.applied(), &live, "2026-01-01T00:00:00Z")
        .expect("noted");
    let again = left.apply(&live, &Choice::default(), Means::default());
    assert!(
        again.rows.iter().all(|row| row.fate == Fate::Already),
        "{again:#?}"
    );
}

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
}

/// PostgreSQL was away when the rollback came to R5, and is there again.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_could_not_be_made_is_made_later() {
    let night = Night::import(SOURCE, TARGET, TRANSFER).await;
    night.on_target(WRITES).await;
    let path = night.folder.path().join("salvage.db");
    let mut wanted = Wanted {
        path: path.clone(),
        about: About {
            session: "s-1".to_owned(),
            source: night.source.clone(),
            backup: night.source.clone(),
            backup_sha256: "0".repeat(64),
            snapshot: night.snapshot.clone(),
            made: "2026-01-01T00:00:00Z".to_owned(),
        },
        since: night.since(),
        endpoint: Endpoint::parse("postgres://x@127.0.0.1:1/x").expect("a URL"),
    };
    let cancel = CancellationToken::new();
    make(wanted.clone(), &cancel)
        .await
        .expect_err("nobody there");
    assert!(!path.exists());
    wanted.endpoint = night.endpoint();
    let record = make(wanted, &cancel).await.expect("a file");
    assert_eq!((record.lacks.len(), record.file), (0, Some(path.clone())));
    let left = Left { night, file: path };
    let live = left.live();
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert!(outcome.committed, "{outcome:#?}");
    assert_eq!(left.differences(&live).await, Vec::<String>::new());
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
        path: left.night.folder.path().join("again.db"),
        about: left.salvaged().about().expect("about"),
        since: left.night.since(),
        endpoint: left.night.endpoint(),
    };
    let record = make(wanted, &CancellationToken::new())
        .await
        .expect("a file");
    assert!(
        record.lacks.iter().any(|why| why.contains("do not fit")),
        "{record:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_over_and_nothing_points_nowhere() {
    let left = Left::behind(WRITES).await;
    let live = left.live();
    execute(
        &live,
        "UPDATE Tools SET Title = 'ours' WHERE Id = 2; DELETE FROM Tools WHERE Id = 3;
         INSERT INTO Tools (Id, Slug, Title, Blob, Active) VALUES (1000, 'five', 'Theirs', x'00000000000000000000000000000000', 1)",
    );
    let before = std::fs::read(&live).expect("bytes");
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert!(!outcome.committed);
    assert_eq!(std::fs::read(&live).expect("bytes"), before);
    let told = conflicts(&outcome).join("\n");
    for part in [
        "Tools[2]: changed in SQLite since: Title was 'Two'",
        "Tools[5]: another row of SQLite has the same Tools.Slug",
    ] {
        assert!(told.contains(part), "{told}");
    }
    // Left out on demand; what pointed to the row left out is a foreign key that would break, and stops everything.
    let means = Means {
        skip_conflicts: true,
        ..Means::default()
    };
    let without = left.apply(&live, &Choice::default(), means);
    assert!(!without.committed);
    assert_eq!(
        without.violations,
        ["Orders row 4 points to a row of Tools that is not there"]
    );
    let choice = Choice {
        tables: vec!["Tools".to_owned(), "Notes".to_owned()],
        ..Choice::default()
    };
    let chosen = left.apply(&live, &choice, means);
    assert!(chosen.committed, "{chosen:#?}");
    let connection = rusqlite::Connection::open(&live).expect("the file");
    let title: String = connection
        .query_row("SELECT Title FROM Tools WHERE Id = 2", [], |row| row.get(0))
        .expect("ours");
    assert_eq!(title, "ours");
}

/// SQLite cascades only when it is asked to delete a row by somebody else: a child that came meanwhile is not taken along.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_does_not_cascade() {
    let left = Left::behind(
        r#"DELETE FROM "Orders" WHERE "ToolId" = 1; DELETE FROM "Tools" WHERE "Id" = 1"#,
    )
    .await;
    let live = left.live();
    execute(
        &live,
        "INSERT INTO Orders (Id, ToolId, At) VALUES (77, 1, 5)",
    );
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert!(!outcome.committed);
    assert_eq!(
        outcome.violations,
        ["Orders row 77 points to a row of Tools that is not there"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chosen_rows_by_number_and_by_key() {
    let left = Left::behind(WRITES).await;
    let live = left.live();
    let by_key = Choice {
        keys: vec![("Tools".to_owned(), "[2]".to_owned())],
        ..Choice::default()
    };
    let one = left.apply(&live, &by_key, Means::default());
    assert!(one.committed);
    assert_eq!((one.rows.len(), one.rows[0].key.as_str()), (1, "[2]"));
    let by_number = Choice {
        rows: vec![one.rows[0].row],
        ..Choice::default()
    };
    let again = left.apply(&live, &by_number, Means::default());
    assert_eq!(again.rows[0].fate, Fate::Already);
}

/// A trigger that leaves a row out is no error to SQLite, and the row is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_a_trigger_leaves_out_is_a_conflict() {
    let left = Left::behind(WRITES).await;
    let live = left.live();
    execute(
        &live,
        "CREATE TRIGGER no_five BEFORE INSERT ON Tools WHEN NEW.Slug = 'five' BEGIN SELECT RAISE(IGNORE); END;
         CREATE TRIGGER keep_three BEFORE DELETE ON Orders WHEN OLD.Id = 3 BEGIN SELECT RAISE(IGNORE); END;
         CREATE TRIGGER keep_two BEFORE UPDATE ON Tools WHEN OLD.Id = 2 BEGIN SELECT RAISE(IGNORE); END",
    );
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert!(!outcome.committed);
    let told = conflicts(&outcome);
    assert_eq!(told.len(), 3, "{told:?}");
    let all = told.iter().all(|why| why.contains("a trigger left it out"));
    assert!(all, "{told:?}");
}

/// A foreign key that was broken before is not held against what comes in.
#[tokio::test(flavor = "multi_thread")]
async fn what_pointed_nowhere_before_stops_nothing() {
    let left = Left::behind(WRITES).await;
    let live = left.live();
    execute(
        &live,
        "PRAGMA foreign_keys = OFF; INSERT INTO Orders VALUES (90, 4711, 1)",
    );
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert!(outcome.committed, "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_a_note_can_be_written_shows_before_rows_come_in() {
    let left = Left::behind(WRITES).await;
    let mut salvaged = left.salvaged();
    salvaged.can_note().expect("a note");
    let nothing = salvaged.applied_rows(Path::new(""));
    assert_eq!(nothing.expect("a count"), 0);
    execute(
        &left.file,
        "CREATE TRIGGER full BEFORE INSERT ON cutover_applied BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
    );
    let error = salvaged.can_note().expect_err("refused").to_string();
    assert!(error.contains("disk is full"), "{error}");
}

/// A unique value that moved from one row to another, and one that was freed by a deletion.
#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_rows_does_not_matter_to_unique_keys() {
    let left = Left::behind(
        r#"DELETE FROM "Orders"; DELETE FROM "Tools" WHERE "Slug" = 'three';
           UPDATE "Tools" SET "Slug" = 'free' WHERE "Slug" = 'two';
           UPDATE "Tools" SET "Slug" = 'two' WHERE "Slug" = 'one';
           INSERT INTO "Tools" ("Slug", "Title", "Active", "Blob") VALUES ('three', 'New', true, gen_random_uuid())"#,
    )
    .await;
    let live = left.live();
    let outcome = left.apply(&live, &Choice::default(), Means::default());
    assert!(outcome.committed, "{outcome:#?}");
    assert_eq!(left.differences(&live).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_form_cannot_hold_waits_for_a_word() {
    let left =
        Left::behind(r#"UPDATE "Orders" SET "At" = "At" + interval '0.25 s' WHERE "Id" = 1"#).await;
    let live = left.live();
    let refused = left.apply(&live, &Choice::default(), Means::default());
    assert!(!refused.committed);
    assert!(conflicts(&refused)[0].contains("--nearest"), "{refused:#?}");
    let means = Means {
        nearest: true,
        ..Means::default()
    };
    // To the second nothing has changed.
    let taken = left.apply(&live, &Choice::default(), means);
    assert_eq!(taken.rows[0].fate, Fate::Already, "{taken:#?}");
}

#[test]
fn a_file_that_is_no_salvage_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("salvage.db");
    assert!(Salvaged::open(&path).is_err());
    rusqlite::Connection::open(&path)
        .expect("a file")
        .execute_batch("CREATE TABLE t (a)")
        .expect("a table");
    let error = Salvaged::open(&path).err().expect("refused").to_string();
    assert!(error.contains("not a salvage file"), "{error}");
}
