//! `cutover diff`, by the real binary: what it says, what it exits with, which files it refuses, and that it changes none of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::json;

use crate::support;

/// A folder with two files made by this SQL.
struct Two {
    folder: tempfile::TempDir,
}

impl Two {
    fn of(older: &str, newer: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let two = Self { folder };
        drop(support::sqlite(&two.at("old.db"), older));
        drop(support::sqlite(&two.at("new.db"), newer));
        two
    }

    /// The newer one is the older one, and this SQL.
    fn then(older: &str, since: &str) -> Self {
        Self::of(older, &format!("{older}; {since}"))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn diff(&self, options: &[&str]) -> (i32, String, String) {
        self.run(&[&["old.db", "new.db"], options].concat())
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(support::cutover());
        command.arg("diff").args(arguments);
        let output: Output = command.current_dir(self.folder.path()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        (code, text(output.stdout), text(output.stderr))
    }
}

const TOOLS: &str = "CREATE TABLE Tools (Id INTEGER PRIMARY KEY, Name TEXT COLLATE NOCASE, Price);
    INSERT INTO Tools VALUES (1, 'saw', 1), (2, 'file', 2), (3, 'plane', NULL), (4, 'axe', x'00');
    CREATE TABLE Tags (Tag TEXT COLLATE NOCASE PRIMARY KEY, Note) WITHOUT ROWID; INSERT INTO Tags VALUES ('new', 'it''s'), ('old', 'o');
    CREATE TABLE Log (Line); INSERT INTO Log VALUES ('a'), ('a'), ('b')";

#[test]
fn the_same_rows_are_the_same_after_a_vacuum_in_another_form() {
    let two = Two::then(
        TOOLS,
        "PRAGMA page_size = 1024; PRAGMA auto_vacuum = 1; DELETE FROM Log WHERE rowid = 1; INSERT INTO Log VALUES ('a'); VACUUM;
         CREATE INDEX ByName ON Tools (Name)",
    );
    let (code, out, err) = two.diff(&[]);
    assert_eq!(
        (code, out.as_str()),
        (
            0,
            "every row was read: the files differ in their page size\nthe same rows in all 3 tables\n"
        ),
        "{err}"
    );
    let (code, out, _) = two.diff(&["--by", "rows"]);
    assert_eq!((code, out.as_str()), (0, "the same rows in all 3 tables\n"));
    let (code, out, _) = two.diff(&["--json", "--by", "rows"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    let expected = json!({
        "same": true, "tables": [], "same_tables": ["Log", "Tags", "Tools"], "by_pages": [],
        "by_rows": [{ "table": "Log" }, { "table": "Tags" }, { "table": "Tools" }],
    });
    assert_eq!((code, told), (0, expected));
}

#[test]
fn rows_are_told_by_their_keys_and_columns_with_both_values() {
    let two = Two::then(
        TOOLS,
        "UPDATE Tools SET Name = 'Saw', Price = 1.0 WHERE Id = 1; DELETE FROM Tools WHERE Id = 2; INSERT INTO Tools VALUES (9, 'rasp', 9);
         UPDATE Tags SET Note = 'its' WHERE Tag = 'new'; UPDATE Tags SET Tag = 'OLD' WHERE Tag = 'old'; INSERT INTO Log VALUES ('a')",
    );
    let (code, out, err) = two.diff(&[]);
    let expected = "\
Log: 1 inserted, 0 updated, 0 deleted
    + rowid 4
Tags: 1 inserted, 1 updated, 1 deleted
    + Tag='OLD'
    ~ Tag='new': Note 'it''s' → 'its'
    - Tag='old'
Tools: 1 inserted, 1 updated, 1 deleted
    + Id=9
    ~ Id=1: Name 'saw' → 'Saw', Price 1 → 1.0
    - Id=2
every row of Tags was read: it is WITHOUT ROWID, and a page of it changed
different: 3 of 3 tables
";
    assert_eq!((code, out.as_str()), (1, expected), "{err}");

    let (code, out, _) = two.diff(&["--table", "Tags", "--json", "--rows", "1"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    let expected = json!({ "same": false, "same_tables": [], "tables": [{
        "table": "Tags", "way": "key", "inserted": 1, "updated": 1, "deleted": 1, "rows": [
            { "change": "inserted", "key": "Tag='OLD'" },
            { "change": "updated", "key": "Tag='new'", "columns": [{ "column": "Note", "older": "'it''s'", "newer": "'its'" }] },
            { "change": "deleted", "key": "Tag='old'" },
        ],
    }], "by_pages": [], "by_rows": [{ "table": "Tags", "why": "it is WITHOUT ROWID, and a page of it changed" }] });
    assert_eq!((code, told), (1, expected));
}

#[test]
fn rows_on_pages_that_are_the_same_are_not_read() {
    let two = Two::then(TOOLS, "INSERT INTO Log VALUES ('c')");
    let (code, out, err) = two.diff(&["--json"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 1, "{err}");
    assert_eq!(told["by_pages"], json!(["Log", "Tags", "Tools"]), "{out}");
    assert_eq!(told["by_rows"], json!([]), "{out}");
    let (_, by_rows, _) = two.diff(&["--by", "rows"]);
    assert_eq!(two.diff(&[]).1, by_rows);
}

#[test]
fn only_so_many_rows_are_named_and_a_file_keeps_all() {
    let two = Two::then(
        TOOLS,
        "INSERT INTO Tools WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 29) SELECT i, 'more', 0 FROM n",
    );
    let (code, out, err) = two.diff(&["--rows", "2", "--out", "changes.db"]);
    assert_eq!(code, 1, "{err}");
    says!(out, "    + Id=10\n    + Id=11\n    + and 18 more\n");
    let changes = Connection::open(two.at("changes.db")).unwrap();
    let sql =
        "SELECT count(*), sum(new_rowid = k1 AND old_rowid IS NULL AND change = 'i') FROM rows_1";
    let kept: (i64, i64) = changes
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(kept, (20, 20));
    drop(changes);
    // What is there is not overwritten.
    let before = std::fs::read(two.at("changes.db")).unwrap();
    let (code, _, err) = two.diff(&["--out", "changes.db"]);
    assert_eq!(code, 2);
    says!(err, "changes.db is already there and is never overwritten");
    assert_eq!(std::fs::read(two.at("changes.db")).unwrap(), before);
}

#[test]
fn another_table_is_another_and_another_index_is_none() {
    let cases = [
        (
            "ALTER TABLE Tools ADD COLUMN More",
            "its columns or their types are others",
        ),
        ("DROP TABLE Tools", "the newer file does not have it"),
        (
            "CREATE TABLE New (Id INTEGER PRIMARY KEY)",
            "the older file does not have it",
        ),
        (
            "DROP TABLE Tags; CREATE TABLE Tags (Tag TEXT PRIMARY KEY, Note) WITHOUT ROWID; INSERT INTO Tags VALUES ('new', 'it''s'), ('old', 'o')",
            "its primary key, or the order of it, is another",
        ),
        (
            "DROP TABLE Tags; CREATE TABLE Tags (Tag TEXT COLLATE NOCASE PRIMARY KEY, Note)",
            "it is WITHOUT ROWID in one of the files alone",
        ),
        (
            "DROP TABLE Kept; CREATE TABLE Kept (a INT, g INT AS (a * 3) STORED)",
            "its text is another, and what its generated columns are made of may be too",
        ),
        (
            "DROP TABLE Tight; CREATE TABLE Tight (a INT)",
            "it is STRICT in one of the files alone",
        ),
        (
            "UPDATE Nameless SET rowid = 'b'",
            "SQLite has no name by which one of them could be read",
        ),
    ];
    let older = format!(
        "{TOOLS}; CREATE TABLE Kept (a INT, g INT AS (a * 2) STORED); CREATE TABLE Tight (a INT) STRICT;
         CREATE TABLE Nameless (rowid, oid, _rowid_); INSERT INTO Nameless VALUES ('a', 1, 1)"
    );
    for (since, why) in cases {
        let (code, out, err) = Two::then(&older, since).diff(&[]);
        assert_eq!(code, 1, "{since}: {out}{err}");
        says!(out, why);
        assert_eq!(
            out.lines()
                .filter(|line| line.contains("another table"))
                .count(),
            1,
            "{out}"
        );
    }
    let same = "DROP TABLE Tight; CREATE TABLE \"Tight\" (a INT, CONSTRAINT positive CHECK (a > 0)) STRICT; CREATE INDEX i ON Tools (Price)";
    let (code, out, err) = Two::then(&older, same).diff(&[]);
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn files_that_store_text_each_in_its_own_way_are_compared_by_their_texts() {
    let rows = "CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ('ä', '😀'), ('b', 'same')";
    let wide = format!("PRAGMA encoding = 'UTF-16le'; {rows}");
    let (code, out, err) = Two::of(rows, &wide).diff(&[]);
    assert_eq!(code, 0, "{out}{err}");
    let changed =
        format!("{wide}; UPDATE t SET v = 'other' WHERE k = 'ä'; DELETE FROM t WHERE k = 'b'");
    let (code, out, err) = Two::of(rows, &changed).diff(&[]);
    assert_eq!(code, 1, "{err}");
    says!(out, "    ~ k='ä': v '😀' → 'other'\n    - k='b'\n");
}

#[test]
fn what_is_no_snapshot_is_refused_with_what_to_do() {
    let two = Two::then(TOOLS, "SELECT 1");
    let refused = |arguments: &[&str], why: &str| {
        let (code, out, err) = two.run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        says!(err, why);
    };
    refused(&["old.db", "none.db"], "there is no file at none.db");
    refused(
        &["old.db", "./old.db"],
        "old.db and ./old.db are the same file",
    );
    refused(&["old.db"], "Usage");
    refused(
        &["old.db", "new.db", "--table", "tools"],
        "there is no table tools in either file",
    );
    std::fs::write(two.at("text.db"), "not a database at all, and long enough for a header of one, which takes a hundred bytes or so").unwrap();
    refused(&["text.db", "new.db"], "text.db is not a SQLite database");

    // Somebody is at it: what they wrote last is in the log.
    let live = support::sqlite(
        &two.at("live.db"),
        "PRAGMA journal_mode = WAL; CREATE TABLE t (a)",
    );
    refused(&["old.db", "live.db"], "live.db is no snapshot");
    refused(&["live.db", "new.db"], ".backup COPY");
    drop(live);

    // Somebody died: the pages of a transaction are in the file, and those of before in the journal.
    let dying = support::sqlite(
        &two.at("dying.db"),
        "PRAGMA cache_size = 1; CREATE TABLE t (a); INSERT INTO t VALUES (1)",
    );
    dying
        .execute_batch("BEGIN; UPDATE t SET a = 2; INSERT INTO t SELECT zeroblob(9000) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9))")
        .unwrap();
    for suffix in ["", "-journal"] {
        std::fs::copy(
            two.at(&format!("dying.db{suffix}")),
            two.at(&format!("dead.db{suffix}")),
        )
        .unwrap();
    }
    refused(&["old.db", "dead.db"], "has a hot journal");
    // Nothing is left where nothing was compared.
    refused(
        &["old.db", "dead.db", "--out", "delta.db"],
        "has a hot journal",
    );
    assert!(!two.at("delta.db").exists());
}

#[test]
fn neither_file_is_changed() {
    let two = Two::then(TOOLS, "DELETE FROM Tools");
    let read = |name: &str| std::fs::read(two.at(name)).unwrap();
    let before = (read("old.db"), read("new.db"));
    assert_eq!(two.diff(&[]).0, 1);
    assert_eq!((read("old.db"), read("new.db")), before);
    assert_eq!(names(two.folder.path()), ["new.db", "old.db"]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}
