//! The salvage file, and rows brought from it into SQLite: all of them give what PostgreSQL had, and nothing is written over.

mod kept;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cutover::salvage::TableCost;
use cutover::salvage::apply::derived::Anew;
use cutover::salvage::apply::{Fate, Means, Outcome, apply, whole};
use cutover::salvage::file::{About, Choice, Salvaged, Writer};
use cutover::session::facts::{Brought, BroughtTable};
use cutover::sqlite::fence::{Fence, Quiet};
use cutover::sqlite::writer::Writer as Fenced;
use cutover::step::salvage::Record;
use tokio_util::sync::CancellationToken;

use super::Night;
use crate::parity::pair::compared;
use crate::support::sqlite as execute;

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

    /// A copy of it, to try on.
    fn tried_on(&self, live: &Path) -> PathBuf {
        let copy = self.night.folder.path().join("tried.db");
        std::fs::copy(live, &copy).expect("a copy");
        copy
    }

    fn apply(&self, into: &Path, choice: &Choice, means: Means) -> Outcome {
        let salvaged = self.salvaged();
        let chosen = salvaged.chosen(choice).expect("rows");
        apply(&salvaged, &chosen, into, means).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether `cutover verify` finds both equal.
    async fn differences(&self, file: &Path) -> Vec<String> {
        let report = compared(file, &self.night.endpoint(), &self.night.transfer).await;
        let different = report.tables.iter().filter(|table| !table.is_equal());
        different.map(|table| format!("{table:?}")).collect()
    }
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

/// As a rollback does it: through the fence's connection, every row of every kind of value read again to the byte.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_rollback_brings_back_is_what_postgresql_has() {
    let left = Left::behind(WRITES).await;
    let live = left.live();
    let quiet = Quiet {
        period: Duration::from_millis(40),
        ..Quiet::default()
    };
    let fence = Fence::raise(&live, &quiet, &CancellationToken::new()).expect("a fence");
    let fenced = Fenced::of(fence, Duration::from_secs(2)).expect("its connection");
    let salvaged = left.salvaged();
    let rows = salvaged.rows_not_in(&live).expect("rows");
    let brought = whole::bring(
        fenced.connection(),
        &salvaged,
        &live,
        false,
        &Anew::within(Duration::from_secs(60)),
        &|_| (),
    );
    let brought = brought.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((brought.left, brought.brought), (0, rows), "{brought:?}");
    fenced.commit().expect("a commit");
    assert_eq!(left.differences(&live).await, Vec::<String>::new());
}

#[test]
fn with_everything_brought_back_nothing_is_left_to_do() {
    let record = Record {
        file: Some("salvage.db".into()),
        tables: vec![TableCost {
            table: "Tools".to_owned(),
            inserted: 2,
            deleted: 1,
            ..TableCost::default()
        }],
        ..Record::default()
    };
    let mut brought = Brought {
        tables: vec![BroughtTable {
            table: "Tools".to_owned(),
            inserted: 2,
            deleted: 1,
            ..BroughtTable::default()
        }],
        ..Brought::default()
    };
    assert_eq!(
        record.sentence_of(&brought),
        "3 rows that users wrote to PostgreSQL are in SQLite: 2 inserted, 0 changed, 1 deleted. Nothing is left to be brought in; salvage.db has a \
         copy of them"
    );
    brought.left_rows = 2;
    brought.left = vec!["Tools [7] (changed): it is another".to_owned()];
    let said = record.sentence_of(&brought);
    says!(said, "2 rows stay in salvage.db, first: Tools [7]");
    says!(said, "`cutover salvage apply` brings it in");
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
    // Left out on demand, with what refers to it.
    let means = Means {
        skip_conflicts: true,
        ..Means::default()
    };
    let without = left.apply(&left.tried_on(&live), &Choice::default(), means);
    assert!(without.committed, "{without:#?}");
    let skipped = without.rows.iter().filter_map(|row| match &row.fate {
        Fate::Skipped(why) => Some((row.table.as_str(), row.key.as_str(), why.as_str())),
        _ => None,
    });
    assert_eq!(
        skipped.collect::<Vec<_>>(),
        [("Orders", "[4]", "refers to Tools [5], which was skipped")]
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
    execute(&path, "CREATE TABLE t (a)");
    let error = Salvaged::open(&path).err().expect("refused").to_string();
    assert!(error.contains("not a salvage file"), "{error}");
}

/// Without AUTOINCREMENT SQLite gives the numbers away again that PostgreSQL had given, within seconds of a rollback.
#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_number_was_given_away_get_another_and_what_points_to_them_follows() {
    const SOURCE: &str = "
        CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT, friend INTEGER REFERENCES authors(id));
        CREATE TABLE books (id INTEGER PRIMARY KEY, author INTEGER NOT NULL REFERENCES authors, title TEXT);
        CREATE TABLE tags (book INTEGER NOT NULL REFERENCES books(id), tag TEXT NOT NULL, PRIMARY KEY (book, tag));
        CREATE TABLE covers (id INTEGER PRIMARY KEY REFERENCES books(id), colour TEXT);
        INSERT INTO authors VALUES (1, 'Ada', NULL);
        INSERT INTO books VALUES (1, 1, 'One');";
    const TARGET: &str = "
        CREATE TABLE authors (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text, friend bigint REFERENCES authors);
        CREATE TABLE books (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, author bigint NOT NULL REFERENCES authors, title text);
        CREATE TABLE tags (book bigint NOT NULL REFERENCES books, tag text NOT NULL, PRIMARY KEY (book, tag));
        CREATE TABLE covers (id bigint PRIMARY KEY REFERENCES books, colour text);";
    const WRITES: &str = "
        INSERT INTO authors VALUES (2, 'Bob', 2);
        INSERT INTO books VALUES (2, 2, 'Two'), (3, 1, 'Three');
        INSERT INTO tags VALUES (2, 'x'), (3, 'y');
        INSERT INTO covers VALUES (2, 'red'), (3, 'blue');
        UPDATE books SET author = 2 WHERE id = 1;";
    let night = Night::import(SOURCE, TARGET, "{}").await;
    night.on_target(WRITES).await;
    let left = Left::lacking(night).await;
    let live = left.live();
    execute(
        &live,
        "INSERT INTO authors (name) VALUES ('Eve'); INSERT INTO books (author, title) VALUES (2, 'Hers'); INSERT INTO tags VALUES (2, 'hers')",
    );
    let refused = left.apply(&live, &Choice::default(), Means::default());
    assert!(
        !refused.committed && conflicts(&refused).len() >= 2,
        "{:?}",
        conflicts(&refused)
    );
    assert!(
        conflicts(&refused)[0].contains("--new-ids"),
        "{:?}",
        conflicts(&refused)
    );
    let means = Means {
        new_ids: true,
        ..Means::default()
    };
    let outcome = left.apply(&live, &Choice::default(), means);
    assert!(
        outcome.committed,
        "{:?} {:?}",
        conflicts(&outcome),
        outcome.violations
    );
    let given = outcome
        .rows
        .iter()
        .filter_map(|row| Some((row.table.as_str(), row.key.as_str(), row.new_id?)));
    assert_eq!(
        given.collect::<Vec<_>>(),
        [("authors", "[2]", 3), ("books", "[2]", 4)]
    );
    let all = |sql: &str| {
        let connection = rusqlite::Connection::open(&live).expect("the file");
        connection
            .query_row(sql, [], |row| row.get::<_, String>(0))
            .expect(sql)
    };
    let lines = |columns: &str, table: &str| {
        all(&format!(
            "SELECT group_concat(line, '; ') FROM (SELECT concat_ws(' ', {columns}) AS line FROM {table} ORDER BY 1)"
        ))
    };
    assert_eq!(
        lines("id, name, friend", "authors"),
        "1 Ada; 2 Eve; 3 Bob 3"
    );
    assert_eq!(
        lines("id, author, title", "books"),
        "1 3 One; 2 2 Hers; 3 1 Three; 4 3 Two"
    );
    assert_eq!(lines("book, tag", "tags"), "2 hers; 3 y; 4 x");
    assert_eq!(lines("id, colour", "covers"), "3 blue; 4 red");

    // Once more: what came in under another number is not brought in twice.
    let salvaged = &mut left.salvaged();
    salvaged
        .note_applied(&outcome.applied(), &live, "2026-01-01T00:00:00Z")
        .expect("noted");
    let again = left.apply(&live, &Choice::default(), means);
    assert!(
        again.applied().is_empty() && conflicts(&again).is_empty(),
        "{:?}",
        conflicts(&again)
    );
}
