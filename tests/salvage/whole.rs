//! What a rollback brings back by itself: everything that nothing is in the way of, in one transaction, with nothing following from it in SQLite;
//! the rest stays in the salvage file, named.

mod stays;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cutover::salvage::apply::derived::Anew;
use cutover::salvage::apply::whole::{Left, Reason, Whole, bring};
use cutover::salvage::file::{About, Salvaged, Writer as Salvage};
use cutover::salvage::mark::{Mark, Stays, find, leave, remove_mark};
use cutover::sqlite::fence::{Fence, Quiet};
use cutover::sqlite::schema::Schema;
use cutover::sqlite::writer::Writer;
use cutover::sqlite::{Error, content, open_read_only, shape};
use tokio_util::sync::CancellationToken;

use crate::support::sqlite as execute;

const MODES: [&str; 2] = ["wal", "delete"];
const BUSY: Duration = Duration::from_millis(200);
const SCHEMA: &str = "
    CREATE TABLE Posts (Id INTEGER PRIMARY KEY, Slug TEXT UNIQUE, Body TEXT);
    CREATE TABLE Comments (Id INTEGER PRIMARY KEY, PostId INTEGER REFERENCES Posts (Id) ON DELETE CASCADE, Body TEXT);
    CREATE TABLE Log (What TEXT);
    CREATE VIRTUAL TABLE Found USING fts5(Body, content='Posts', content_rowid='Id');
    CREATE TRIGGER fill AFTER INSERT ON Posts BEGIN INSERT INTO Found (rowid, Body) VALUES (new.Id, new.Body); END;
    CREATE TRIGGER logged AFTER INSERT ON Posts BEGIN INSERT INTO Log VALUES ('post ' || new.Id); END;
    CREATE TRIGGER never AFTER UPDATE OF Body ON Comments BEGIN INSERT INTO Log VALUES ('comment'); END;
    INSERT INTO Posts VALUES (1, 'a', 'first'), (2, 'b', 'second'), (3, 'c', 'third');
    INSERT INTO Comments VALUES (1, 2, 'x'), (2, 2, 'y'), (3, 1, 'z');";

/// A value: column, whether it belongs to the key, as it would be, as the backup has it; the last two in SQL.
pub(super) type Value<'a> = (&'a str, bool, &'a str, &'a str);
/// A row: table, what was done to it, values.
pub(super) type Row<'a> = (&'a str, &'a str, &'a [Value<'a>]);

/// An application's file as it is when a rollback comes to R2+, and the session's salvage file.
pub(super) struct Night {
    _folder: tempfile::TempDir,
    pub(super) file: PathBuf,
    salvage: PathBuf,
}

impl Night {
    /// `rows` are those of the salvage file.
    pub(super) fn new(mode: &str, schema: &str, rows: &[Row<'_>]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (backup, file) = (
            folder.path().join("backup.db"),
            folder.path().join("app.db"),
        );
        drop(execute(
            &backup,
            &format!("PRAGMA journal_mode = {mode}; {schema}"),
        ));
        std::fs::copy(&backup, &file).expect("a copy");
        let salvage = folder.path().join("salvage.db");
        let about = About {
            session: "s-1".to_owned(),
            source: file.clone(),
            backup,
            backup_sha256: "0".repeat(64),
            snapshot: "1:1:".to_owned(),
            made: "2026-01-01T00:00:00Z".to_owned(),
        };
        let writer = Salvage::create(&salvage, &about).expect("a writer");
        writer.finish().expect("a file");
        for (row, (table, operation, values)) in rows.iter().enumerate() {
            let row = row + 1;
            let keys = values.iter().filter(|value| value.1);
            let keys = keys.map(|value| match *operation {
                "deleted" => value.3,
                _ => value.2,
            });
            let keys: Vec<&str> = keys.collect();
            let key = keys.join(",").replace('\'', "\"");
            execute(
                &salvage,
                &format!(
                    "INSERT INTO cutover_rows VALUES ({row}, '{table}', '{operation}', '[{key}]')"
                ),
            );
            for (place, (name, is_key, new, was)) in values.iter().enumerate() {
                execute(
                    &salvage,
                    &format!(
                        "INSERT INTO cutover_values VALUES ({row}, {place}, '{name}', {is_key}, ({new}) IS NOT ({was}), {new}, {was}, NULL, NULL)"
                    ),
                );
            }
        }
        Self {
            _folder: folder,
            file,
            salvage,
        }
    }

    fn fence(&self) -> Fence {
        let quiet = Quiet {
            period: Duration::from_millis(40),
            give_up_after: Duration::from_secs(5),
            busy_timeout: BUSY,
        };
        Fence::raise(&self.file, &quiet, &CancellationToken::new()).expect("a fence")
    }

    fn writer(&self) -> Writer {
        Writer::begin(&self.file, BUSY).expect("the write lock")
    }

    pub(super) fn salvaged(&self) -> Salvaged {
        Salvaged::open(&self.salvage).expect("a salvage file")
    }

    /// Brings in what can be, and commits.
    fn bring(&self, writer: Writer, nearest: bool) -> Whole {
        let salvaged = self.salvaged();
        let whole = bring(
            writer.connection(),
            &salvaged,
            &self.file,
            nearest,
            &Anew::within(Duration::from_secs(60)),
            &|_| {},
        );
        let whole = whole.unwrap_or_else(|error| panic!("{error}"));
        writer.commit().expect("a commit");
        assert_eq!(whole.left, self.stays().len() as u64);
        whole
    }

    /// The rows that stay, as the salvage file has them down.
    fn stays(&self) -> Vec<Left> {
        let staying = self.salvaged().staying(&self.file, u32::MAX);
        staying.expect("what stays").first
    }

    /// Which rows stay, and of which kind the reason is.
    fn left(&self) -> Vec<(i64, Reason)> {
        let left = self.stays().into_iter();
        left.map(|one| (one.row, one.reason)).collect()
    }

    /// The first column of what SQLite has, joined.
    pub(super) fn has(&self, sql: &str) -> String {
        let connection = open_read_only(&self.file).expect("the file");
        let mut statement = connection.prepare(sql).expect(sql);
        let rows = statement.query_map([], |row| row.get::<_, String>(0));
        let rows: Vec<String> = rows.expect(sql).map(|row| row.expect(sql)).collect();
        rows.join(" ")
    }
}

fn can_write(path: &Path) -> bool {
    let connection = rusqlite::Connection::open(path).expect("a connection");
    connection.busy_timeout(Duration::ZERO).expect("no waiting");
    connection
        .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
        .is_ok()
}

#[test]
fn what_was_written_comes_back_and_nothing_follows_from_it() {
    for mode in MODES {
        let night = Night::new(
            mode,
            SCHEMA,
            &[
                (
                    "Posts",
                    "inserted",
                    &[
                        ("Id", true, "4", "NULL"),
                        ("Slug", false, "'d'", "NULL"),
                        ("Body", false, "'fourth word'", "NULL"),
                    ],
                ),
                (
                    "Posts",
                    "changed",
                    &[
                        ("Id", true, "1", "1"),
                        ("Slug", false, "'a'", "'a'"),
                        ("Body", false, "'other'", "'first'"),
                    ],
                ),
                (
                    "Comments",
                    "deleted",
                    &[
                        ("Id", true, "NULL", "1"),
                        ("PostId", false, "NULL", "2"),
                        ("Body", false, "NULL", "'x'"),
                    ],
                ),
                (
                    "Comments",
                    "deleted",
                    &[
                        ("Id", true, "NULL", "2"),
                        ("PostId", false, "NULL", "2"),
                        ("Body", false, "NULL", "'y'"),
                    ],
                ),
                (
                    "Posts",
                    "deleted",
                    &[
                        ("Id", true, "NULL", "2"),
                        ("Slug", false, "NULL", "'b'"),
                        ("Body", false, "NULL", "'second'"),
                    ],
                ),
                (
                    "Comments",
                    "inserted",
                    &[
                        ("Id", true, "9", "NULL"),
                        ("PostId", false, "4", "NULL"),
                        ("Body", false, "'new'", "NULL"),
                    ],
                ),
            ],
        );
        let writer = Writer::of(night.fence(), BUSY).expect("the fence's connection");
        assert!(!can_write(&night.file), "{mode}: nobody comes in between");
        let whole = night.bring(writer, false);
        assert!(can_write(&night.file), "{mode}: the fence is over");
        assert_eq!((whole.brought, whole.left), (6, 0), "{mode}");
        assert_eq!(
            night.has("SELECT Id || Slug || Body FROM Posts"),
            "1aother 3cthird 4dfourth word",
            "{mode}"
        );
        assert_eq!(
            night.has("SELECT Id || '-' || PostId FROM Comments"),
            "3-1 9-4",
            "{mode}"
        );
        // The trigger that only fills the index is not named, for the index was made anew; the other is, and has not run.
        let found = "SELECT group_concat(rowid) FROM Found WHERE Found MATCH 'word OR other OR second OR first'";
        assert_eq!(night.has(found), "1,4", "{mode}");
        assert_eq!(night.has("SELECT count(*) || '' FROM Log"), "3", "{mode}");
        let named = &whole.unfilled.not_run;
        assert_eq!(named.len(), 1, "{mode}: {named:?}");
        assert!(
            named[0].starts_with("trigger logged on Posts was not run; what it fills is as before"),
            "{named:?}"
        );
        assert_eq!(whole.unfilled.stale, Vec::<String>::new(), "{mode}");
    }
}

#[test]
fn unique_values_that_were_swapped_are_swapped_and_one_that_is_taken_stays() {
    let post = |id: &'static str, new: &'static str, was: &'static str| {
        [("Id", true, id, id), ("Slug", false, new, was)]
    };
    let rows = [
        post("1", "'b'", "'a'"),
        post("2", "'c'", "'b'"),
        post("3", "'a'", "'c'"),
        // In the way of this one is a row that nobody takes away, and its own value is wanted by the next.
        post("4", "'e'", "'d'"),
        post("5", "'d'", "'f'"),
    ];
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|row| ("Posts", "changed", &row[..]))
        .collect();
    let schema = "CREATE TABLE Posts (Id INT NOT NULL PRIMARY KEY, Slug TEXT NOT NULL UNIQUE ON CONFLICT REPLACE, Kept TEXT DEFAULT 'k');
        INSERT INTO Posts (rowid, Id, Slug, Kept) VALUES (11, 1, 'a', 'one'), (12, 2, 'b', 'two'), (13, 3, 'c', 'three'), (14, 4, 'd', 'four'),
            (15, 5, 'f', 'five')";
    let night = Night::new("delete", schema, &rows);
    // Somebody has written although SQLite was frozen.
    drop(execute(
        &night.file,
        "INSERT INTO Posts (rowid, Id, Slug) VALUES (16, 6, 'e')",
    ));
    night.bring(night.writer(), false);
    assert_eq!(night.left(), [(4, Reason::Conflict), (5, Reason::Conflict)]);
    says!(night.stays()[0].why, "another row of SQLite has the same");
    // Columns that the salvage file does not know, and the rowid, are what they were.
    assert_eq!(
        night.has("SELECT rowid || Slug || Kept FROM Posts ORDER BY rowid"),
        "11bone 12ctwo 13athree 14dfour 15ffive 16ek"
    );
}

/// Where each row wants what the next one has, in either direction, and in a ring; and rows of which all stay.
#[test]
fn many_rows_that_are_in_each_others_way_come_in_and_many_that_stay_are_all_named() {
    let many = |from: u32, to: u32| {
        format!(
            "WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {to})"
        )
    };
    let schema = format!(
        "CREATE TABLE T (Id INTEGER PRIMARY KEY, Place INTEGER NOT NULL UNIQUE, Name TEXT);
         {} INSERT INTO T SELECT i, 10 * i, 'n' FROM n",
        many(1, 3_000)
    );
    let night = Night::new("wal", &schema, &[]);
    // A thousand go up by one, a thousand go down by one, and a thousand go round.
    let rows = format!(
        "{} INSERT INTO cutover_rows SELECT i, 'T', 'changed', '[' || i || ']' FROM n;
         INSERT INTO cutover_values SELECT row, 0, 'Id', 1, 0, row, row, row, NULL FROM cutover_rows;
         INSERT INTO cutover_values SELECT row, 1, 'Place', 0, 1,
             10 * CASE WHEN row <= 1000 THEN row + 1 WHEN row <= 2000 THEN row - 1 WHEN row = 3000 THEN 2001 ELSE row + 1 END,
             10 * row, NULL, NULL FROM cutover_rows;
         UPDATE cutover_values SET new = 5 WHERE row = 1000 AND place = 1;
         UPDATE cutover_values SET new = 6 WHERE row = 1001 AND place = 1",
        many(1, 3_000)
    );
    drop(execute(&night.salvage, &rows));
    let whole = night.bring(night.writer(), false);
    assert_eq!((whole.brought, whole.left), (3_000, 0));
    let moved = "SELECT count(*) || '' FROM T WHERE Place = 10 * CASE WHEN Id <= 1000 THEN Id + 1 WHEN Id <= 2000 THEN Id - 1
        WHEN Id = 3000 THEN 2001 ELSE Id + 1 END OR (Id, Place) IN (VALUES (1000, 5), (1001, 6))";
    assert_eq!(night.has(moved), "3000");

    let other = Night::new("wal", &schema, &[]);
    drop(execute(&other.salvage, &rows));
    let inexact = "UPDATE cutover_values SET problem = 'no form', target = 'x' WHERE place = 1";
    drop(execute(&other.salvage, inexact));
    let whole = other.bring(other.writer(), false);
    assert_eq!((whole.brought, whole.left), (0, 3_000));
    let staying = other
        .salvaged()
        .staying(&other.file, 2)
        .expect("what stays");
    assert_eq!((staying.rows, staying.first.len()), (3_000, 2));
    let (rows, first) = &staying.kinds[&Reason::NotExact];
    assert_eq!((*rows, first.row), (3_000, 1));
    assert_eq!(
        other.has("SELECT count(*) || '' FROM T WHERE Place = 10 * Id"),
        "3000"
    );
}

#[test]
fn a_disk_without_room_and_a_lock_of_somebody_else_leave_all_as_it_was() {
    let long = "'".to_owned() + &"long ".repeat(20_000) + "'";
    for mode in MODES {
        let night = Night::new(
            mode,
            SCHEMA,
            &[
                (
                    "Posts",
                    "deleted",
                    &[
                        ("Id", true, "NULL", "3"),
                        ("Slug", false, "NULL", "'c'"),
                        ("Body", false, "NULL", "'third'"),
                    ],
                ),
                (
                    "Posts",
                    "inserted",
                    &[
                        ("Id", true, "4", "NULL"),
                        ("Slug", false, "'d'", "NULL"),
                        ("Body", false, long.as_str(), "NULL"),
                    ],
                ),
            ],
        );
        let before = content::digest(&night.file).expect("a digest");
        let writer = night.writer();
        let pages: i64 = writer
            .connection()
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .expect("pages");
        writer
            .connection()
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            .expect("no room");
        let salvaged = night.salvaged();
        let failed = bring(
            writer.connection(),
            &salvaged,
            &night.file,
            false,
            &Anew::within(Duration::from_secs(60)),
            &|_| {},
        );
        let why = failed.expect_err("there is no room").to_string();
        assert!(why.contains("full"), "{mode}: {why}");
        writer.undo();
        assert_eq!(
            content::digest(&night.file).expect("a digest"),
            before,
            "{mode}"
        );

        let other = execute(&night.file, "BEGIN IMMEDIATE");
        let refused = Writer::begin(&night.file, BUSY).err();
        assert!(
            matches!(refused, Some(Error::Sqlite { doing: "lock", .. })),
            "{mode}: {refused:?}"
        );
        drop(other);
        assert_eq!(night.bring(night.writer(), false).left, 0, "{mode}");
    }
}

#[test]
fn the_mark_is_in_the_transaction_and_no_part_of_the_schema() {
    let night = Night::new("wal", SCHEMA, &[]);
    let shape = || {
        let connection = open_read_only(&night.file).expect("the file");
        let tables = Schema::read(&connection).expect("a schema").tables.len();
        (
            shape::read(&connection, &|_| false).expect("a shape"),
            tables,
        )
    };
    let before = shape();
    let mark = Mark {
        session: "s-1".to_owned(),
        rows_sha256: "ab".repeat(32),
        at: "2026-01-01T00:00:00Z".to_owned(),
        rows: 3,
        stays: Stays::default(),
    };
    let writer = night.writer();
    leave(writer.connection(), &mark).expect("a mark");
    writer.undo();
    assert_eq!(find(&night.file, "s-1").expect("read"), None);
    let writer = night.writer();
    leave(writer.connection(), &mark).expect("a mark");
    writer.commit().expect("a commit");
    assert_eq!(find(&night.file, "s-1").expect("read"), Some(mark));
    assert_eq!(find(&night.file, "s-2").expect("read"), None);
    assert_eq!(shape(), before);
    assert!(remove_mark(&night.file).expect("removed"));
    assert!(!remove_mark(&night.file).expect("there is none"));
    // A table of that name that is not ours stays.
    drop(execute(
        &night.file,
        "CREATE TABLE cutover_brought_back (theirs TEXT)",
    ));
    assert!(!remove_mark(&night.file).expect("looked at"));
    assert_eq!(
        night.has("SELECT name FROM sqlite_schema WHERE name = 'cutover_brought_back'"),
        "cutover_brought_back"
    );
}
