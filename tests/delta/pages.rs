//! Pages compared: every row that differs is among the candidates, on files that SQLite wrote in every manner, and few others are; bytes that it
//! did not write harm nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cutover::delta::pages::{InMemory, NotUnderstood, Rows, Why, between, candidates};
use rusqlite::{Connection, MAIN_DB};

use crate::support::sqlite;

const NEVER: &dyn Fn() -> bool = &|| false;

/// A file before and after something was done to it.
struct Pair {
    _folder: tempfile::TempDir,
    older: PathBuf,
    newer: PathBuf,
}

impl Pair {
    /// Both are closed, so that nothing lies beside them.
    fn of(begin: &str, then: impl FnOnce(&mut Connection)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let older = folder.path().join("older.db");
        let newer = folder.path().join("newer.db");
        drop(sqlite(&older, begin));
        std::fs::copy(&older, &newer).unwrap();
        let mut connection = Connection::open(&newer).unwrap();
        then(&mut connection);
        drop(connection);
        Self {
            _folder: folder,
            older,
            newer,
        }
    }

    fn sql(begin: &str, then: &str) -> Self {
        Self::of(begin, |connection| connection.execute_batch(then).unwrap())
    }

    fn found(&self) -> BTreeMap<String, Rows> {
        let found = candidates(&self.older, &self.newer, NEVER).unwrap();
        found.into_iter().map(|c| (c.table, c.rows)).collect()
    }

    fn ranges(&self, table: &str) -> Vec<(i64, i64)> {
        match &self.found()[table] {
            Rows::Ranges(ranges) => ranges.iter().map(|r| (*r.start(), *r.end())).collect(),
            Rows::Whole(why) => panic!("{table}: {}", why.sentence()),
        }
    }

    /// The rowids under which the two do not have the same, by storage class and bytes.
    fn differing(&self, table: &str) -> BTreeSet<i64> {
        let [before, after] = [&self.older, &self.newer].map(|path| rows(path, table));
        let all = before.keys().chain(after.keys());
        all.filter(|rowid| before.get(*rowid) != after.get(*rowid))
            .copied()
            .collect()
    }

    /// Every row that differs is in a range; how many rows of the newer file the ranges have.
    fn assert_covered(&self, table: &str) -> usize {
        let ranges = self.ranges(table);
        let is_in = |row: i64| ranges.iter().any(|(from, to)| (*from..=*to).contains(&row));
        let missed: Vec<i64> = self
            .differing(table)
            .into_iter()
            .filter(|row| !is_in(*row))
            .collect();
        assert!(
            missed.is_empty(),
            "{missed:?} of {table} in none of {ranges:?}"
        );
        let all = rows(&self.newer, table);
        all.keys().filter(|row| is_in(**row)).count()
    }

    fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        let read = |path: &Path| std::fs::read(path).unwrap();
        (read(&self.older), read(&self.newer))
    }
}

/// All rows of a table with a rowid, each as the text that SQLite writes for its values.
fn rows(path: &Path, table: &str) -> BTreeMap<i64, Vec<String>> {
    let connection = Connection::open(path).unwrap();
    let mut columns = connection
        .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))
        .unwrap();
    let columns = columns
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    let values: Vec<String> = columns
        .map(|name| {
            format!(
                "typeof(\"{0}\") || quote(CAST(\"{0}\" AS BLOB))",
                name.unwrap()
            )
        })
        .collect();
    let mut statement = connection
        .prepare(&format!("SELECT rowid, {} FROM {table}", values.join(", ")))
        .unwrap();
    let all = statement.query_map([], |row| {
        let values = (1..=values.len())
            .map(|n| row.get(n))
            .collect::<Result<_, _>>()?;
        Ok((row.get(0)?, values))
    });
    all.unwrap().map(Result::unwrap).collect()
}

/// Rows of all lengths: most on their leaf, some on an overflow page, some on many; an index has overflow pages too.
const FILLED: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, long BLOB); CREATE INDEX word ON t (word);
    WITH RECURSIVE n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 1500)
    INSERT INTO t SELECT value * 3, CASE value % 100 WHEN 9 THEN printf('%03000d', value) ELSE 'word ' || value END,
    zeroblob(CASE value % 100 WHEN 7 THEN 5000 WHEN 8 THEN 150000 ELSE value % 40 END) FROM n;";

fn write_into(connection: &Connection, table: &str, column: &str, row: i64, at: usize) {
    let mut blob = connection
        .blob_open(MAIN_DB, table, column, row, false)
        .unwrap();
    blob.write_at(b"written in place", at).unwrap();
}

#[test]
fn every_row_that_differs_is_named_at_every_page_size_and_few_others_are() {
    let manners = [
        "auto_vacuum = 0",
        "auto_vacuum = 1",
        "auto_vacuum = 2",
        "encoding = 'UTF-16le'",
        "journal_mode = WAL",
    ];
    for exponent in 9..=16 {
        // Every second manner at each size, the others at the next one.
        for manner in manners.iter().skip(exponent % 2).step_by(2) {
            let page_bytes = 1 << exponent;
            let begin = format!("PRAGMA page_size = {page_bytes}; PRAGMA {manner}; {FILLED}");
            let pair = Pair::of(&begin, |connection| {
                let some = "UPDATE t SET word = 'other' WHERE id IN (300, 303); DELETE FROM t WHERE id BETWEEN 1200 AND 1290;
                    INSERT INTO t VALUES (1231, 'new', zeroblob(9000)), (100000, 'last', NULL); UPDATE t SET id = -5 WHERE id = 2100;";
                connection.execute_batch(some).unwrap();
                write_into(connection, "t", "long", 3 * 308, 140_000);
            });
            let named = pair.assert_covered("t");
            assert!(!pair.differing("t").is_empty());
            assert!(
                page_bytes > 4096 || named < 500,
                "{named} rows at {page_bytes}, {manner}"
            );
        }
    }
}

#[test]
fn of_files_that_hold_the_same_no_row_is_named() {
    let without = "CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES ('a', zeroblob(20000));";
    let pair = Pair::sql(&(FILLED.to_owned() + without), "");
    let expected = [("t", Rows::Ranges(vec![])), ("w", Rows::Ranges(vec![]))];
    assert_eq!(
        pair.found(),
        BTreeMap::from(expected.map(|(table, rows)| (table.to_owned(), rows)))
    );
}

#[test]
fn a_long_row_whose_overflow_page_alone_changed_is_named_and_no_other_is() {
    let pair = Pair::of(FILLED, |connection| {
        write_into(connection, "t", "long", 3 * 208, 149_900);
        write_into(connection, "t", "long", 3 * 1108, 70_000);
    });
    assert_eq!(pair.differing("t"), BTreeSet::from([624, 3324]));
    assert_eq!(pair.ranges("t"), [(624, 624), (3324, 3324)]);
}

#[test]
fn rows_on_leaves_that_were_freed_and_not_written_are_named() {
    let begin = format!("PRAGMA secure_delete = 0; {FILLED}");
    let pair = Pair::sql(
        &begin,
        "PRAGMA secure_delete = 0; DELETE FROM t WHERE id > 2000;",
    );
    pair.assert_covered("t");
    let all = Pair::sql(&begin, "PRAGMA secure_delete = 0; DELETE FROM t;");
    all.assert_covered("t");
    assert_eq!(all.differing("t").len(), 1500);
}

#[test]
fn a_table_without_rowids_is_named_where_a_page_of_it_changed() {
    let begin = "CREATE TABLE w (k INTEGER PRIMARY KEY, v BLOB) WITHOUT ROWID; CREATE TABLE t (v); INSERT INTO t VALUES (1);
        INSERT INTO w VALUES (1, 'a'), (2, zeroblob(90000)), (3, 'c');";
    let whole = Rows::Whole(Why::WithoutRowid);
    let none = Rows::Ranges(Vec::new());
    for (then, of_w, of_t) in [
        ("UPDATE w SET v = 'b' WHERE k = 1", &whole, &none),
        (
            "UPDATE w SET v = CAST(zeroblob(89999) || 'x' AS BLOB) WHERE k = 2",
            &whole,
            &none,
        ),
        ("UPDATE t SET v = 2", &none, &Rows::Ranges(vec![1..=1])),
    ] {
        let found = Pair::sql(begin, then).found();
        assert_eq!((&found["w"], &found["t"]), (of_w, of_t), "{then}");
    }
}

#[test]
fn a_table_that_is_another_is_named_as_a_whole_and_says_why() {
    let begin = "CREATE TABLE gone (v); CREATE TABLE kept (v); CREATE TABLE wider (v); INSERT INTO kept VALUES (1); INSERT INTO wider VALUES (1);
        CREATE VIEW v AS SELECT 1; CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT);";
    let then = "DROP TABLE gone; CREATE TABLE new (v); ALTER TABLE wider ADD COLUMN w DEFAULT 5; CREATE INDEX i ON kept (v);";
    let found = Pair::sql(begin, then).found();
    let expected = [
        ("counted", Rows::Ranges(vec![])),
        ("gone", Rows::Whole(Why::InOneAlone)),
        ("kept", Rows::Ranges(vec![])),
        ("new", Rows::Whole(Why::InOneAlone)),
        ("wider", Rows::Whole(Why::OtherSchema)),
    ];
    assert_eq!(
        found,
        BTreeMap::from(expected.map(|(table, rows)| (table.to_owned(), rows)))
    );
}

#[test]
fn pages_that_moved_hide_no_row() {
    for manner in ["auto_vacuum = 0", "auto_vacuum = 1", "auto_vacuum = 2"] {
        let begin = format!(
            "PRAGMA page_size = 1024; PRAGMA {manner}; CREATE TABLE first (v); INSERT INTO first VALUES (zeroblob(300000)); {FILLED}"
        );
        for then in [
            "DELETE FROM first; UPDATE t SET word = 'x' WHERE id = 2400; VACUUM;",
            "DROP TABLE first; UPDATE t SET word = 'x' WHERE id = 2400;",
            "DROP TABLE first; UPDATE t SET word = 'x' WHERE id = 2400; PRAGMA incremental_vacuum;",
            "DROP TABLE first; CREATE TABLE again (id INTEGER PRIMARY KEY, w); INSERT INTO again SELECT id, long FROM t; DELETE FROM t WHERE id % 2;",
        ] {
            let pair = Pair::sql(&begin, then);
            pair.assert_covered("t");
            assert!(!pair.differing("t").is_empty(), "{then}");
        }
    }
}

/// A statement of 1,500 columns lies on overflow pages of the schema.
#[test]
fn a_long_statement_is_read_whole() {
    let columns: Vec<String> = (0..1500).map(|n| format!("column_{n} TEXT")).collect();
    let begin = format!(
        "PRAGMA page_size = 512; PRAGMA encoding = 'UTF-16be'; CREATE TABLE \"größe\" ({});",
        columns.join(", ")
    );
    let last = "ALTER TABLE \"größe\" RENAME COLUMN column_1499 TO column_xxxx;";
    assert_eq!(Pair::sql(&begin, "").found()["größe"], Rows::Ranges(vec![]));
    assert_eq!(
        Pair::sql(&begin, last).found()["größe"],
        Rows::Whole(Why::OtherSchema)
    );
}

#[test]
fn what_is_not_two_snapshots_of_one_kind_is_not_understood() {
    let pair = Pair::sql("CREATE TABLE t (v);", "PRAGMA page_size = 8192; VACUUM;");
    let found = candidates(&pair.older, &pair.newer, NEVER);
    assert!(
        matches!(found, Err(NotUnderstood::Unlike { .. })),
        "{found:?}"
    );

    let pair = Pair::sql("CREATE TABLE t (v);", "INSERT INTO t VALUES (1);");
    let stopped = candidates(&pair.older, &pair.newer, &|| true);
    assert!(
        matches!(stopped, Err(NotUnderstood::Stopped)),
        "{stopped:?}"
    );
    let log = pair.newer.with_file_name("newer.db-wal");
    std::fs::write(&log, "frames").unwrap();
    let found = candidates(&pair.older, &pair.newer, NEVER);
    assert!(matches!(found, Err(NotUnderstood::Log(_))), "{found:?}");
    std::fs::write(&log, "").unwrap();
    assert!(candidates(&pair.older, &pair.newer, NEVER).is_ok());

    std::fs::write(&pair.newer, "no database").unwrap();
    let found = candidates(&pair.older, &pair.newer, NEVER);
    assert!(
        matches!(found, Err(NotUnderstood::Header { .. })),
        "{found:?}"
    );
    std::fs::remove_file(&pair.newer).unwrap();
    let found = candidates(&pair.older, &pair.newer, NEVER);
    assert!(matches!(found, Err(NotUnderstood::Read(_))), "{found:?}");
}

/// Each byte in turn, and each length: an answer or none, and never a row of a file against itself.
#[test]
fn bytes_that_sqlite_did_not_write_harm_nothing() {
    let begin = "PRAGMA page_size = 512; PRAGMA auto_vacuum = 2; CREATE TABLE t (v); CREATE TABLE w (k PRIMARY KEY, v) WITHOUT ROWID; CREATE INDEX i ON t (v);
        INSERT INTO t VALUES (zeroblob(900)), ('b'), (zeroblob(300)); INSERT INTO w VALUES (1, zeroblob(600)), (2, 'b');
        CREATE TABLE x (v); INSERT INTO x VALUES (zeroblob(900)); DROP TABLE x;";
    let pair = Pair::sql(begin, "UPDATE t SET v = 'c' WHERE rowid = 2");
    let (older, newer) = pair.bytes();
    let ask =
        |older: &[u8], newer: &[u8]| between(&mut InMemory(older), &mut InMemory(newer), NEVER);
    let whole = ask(&older, &newer).unwrap();
    assert_eq!(whole.len(), 2);
    let mut understood = 0;
    for at in 0..newer.len() {
        for value in [newer[at] ^ 1, [0, 0xff][at % 2]] {
            let mut harmed = newer.clone();
            harmed[at] = value;
            let both = [ask(&older, &harmed), ask(&harmed, &older)];
            understood += both.iter().filter(|found| found.is_ok()).count();
            for candidates in ask(&harmed, &harmed).into_iter().flatten() {
                assert_eq!(
                    candidates.rows,
                    Rows::Ranges(vec![]),
                    "byte {at} is {value}"
                );
            }
        }
        let _ = ask(&older, &newer[..at]);
    }
    assert!(understood > 0);
}
