//! Which file, and which session: nothing is brought in from a file that the session does not have on record, and no rehearsal is taken for a
//! night.

use std::path::Path;
use std::process::{Command, Output};

use cutover::journal::Folder;
use cutover::salvage::TableCost;
use cutover::salvage::file::{About, Choice, NAME, Salvaged, Writer};
use cutover::session::{Check, Event, Outcome};
use cutover::step::salvage::{Record, known};

use crate::report::journal_called;
use crate::session::language::Bridge;
use crate::support::sqlite as execute;

/// A file with one row that was inserted and one that was deleted.
fn file_of(folder: &Path, session: &str) -> Record {
    let backup = folder.join("backup.db");
    execute(
        &backup,
        "CREATE TABLE T (Id INTEGER PRIMARY KEY, Name TEXT); INSERT INTO T VALUES (1, 'one'), (2, 'two')",
    );
    std::fs::copy(&backup, folder.join("app.db")).expect("a copy");
    let about = About {
        session: session.to_owned(),
        source: folder.join("app.db"),
        backup: backup.clone(),
        backup_sha256: "0".repeat(64),
        snapshot: "1:1:".to_owned(),
        made: "2026-01-01T00:00:00Z".to_owned(),
    };
    let path = folder.join(NAME);
    Writer::create(&path, &about)
        .expect("a writer")
        .finish()
        .expect("a file");
    execute(
        &path,
        "INSERT INTO cutover_tables VALUES ('T', 'public.T', 1, 0, 1, 0, '[\"Id\"]', NULL);
         INSERT INTO cutover_rows VALUES (1, 'T', 'inserted', '[3]'), (2, 'T', 'deleted', '[2]');
         INSERT INTO cutover_values VALUES (1, 0, 'Id', 1, 1, 3, NULL, '3', NULL), (1, 1, 'Name', 0, 1, 'three', NULL, 'three', NULL),
             (2, 0, 'Id', 1, 1, NULL, 2, NULL, NULL), (2, 1, 'Name', 0, 1, NULL, 'two', NULL, NULL)",
    );
    let salvaged = Salvaged::open(&path).expect("a salvage file");
    Record {
        file: Some(path),
        rows_sha256: Some(salvaged.rows_sha256().expect("a digest")),
        tables: vec![TableCost {
            table: "T".to_owned(),
            inserted: 1,
            deleted: 1,
            ..TableCost::default()
        }],
        ..Record::default()
    }
}

/// A night that was rolled back, with what R5 has put on record.
fn rolled_back(record: Option<&Record>) -> Bridge {
    let mut bridge = Bridge::rolled_back(2_000);
    if let Some(record) = record {
        let outcome = Outcome::done("kept").with_fact(record.clone());
        let row = "R5".to_owned();
        bridge.append(Event::RollbackRowFinished { row, outcome });
    }
    bridge
}

fn cutover(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let ended: Output = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("it starts");
    let said = [ended.stdout, ended.stderr].concat();
    (
        ended.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn only_the_file_on_record_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = file_of(folder.path(), "tonight");
    let path = folder.path().join(NAME);
    let look = |bridge: &Bridge| {
        let salvaged = Salvaged::open(&path).expect("a salvage file");
        known::look(&bridge.session, &path, &salvaged)
    };
    let night = rolled_back(Some(&record));
    assert_eq!(look(&night), Ok(None));
    // By the note of `salvage make` as well.
    let mut by_note = rolled_back(None);
    let why = look(&by_note).expect_err("nothing is on record");
    assert!(why.contains("no salvage file on record"), "{why}");
    by_note.append(Event::NoteWritten {
        by: "ada".to_owned(),
        text: known::note(&record),
    });
    assert_eq!(look(&by_note), Ok(None));
    // One that an earlier version put on record can be used, with a warning once it is not the same to the byte.
    let sha256 = cutover::sqlite::digest::of_bytes(&std::fs::read(&path).expect("bytes"));
    let older = rolled_back(Some(&Record {
        rows_sha256: None,
        sha256: Some(sha256),
        ..record.clone()
    }));
    assert_eq!(look(&older), Ok(None));
    let mut salvaged = Salvaged::open(&path).expect("a salvage file");
    salvaged
        .note_applied(&[1], &path, "2026-01-01T00:00:00Z")
        .expect("noted");
    assert_eq!(look(&night), Ok(None), "bringing rows in changes no row");
    assert!(
        look(&older)
            .expect("usable")
            .expect("a warning")
            .contains("earlier version")
    );
    for sql in [
        "UPDATE cutover_values SET new = 'drei' WHERE row = 1 AND place = 1",
        "UPDATE cutover_rows SET key = '[1]' WHERE row = 2",
        "UPDATE cutover_salvage SET value = '/elsewhere' WHERE name = 'source'",
    ] {
        execute(&path, sql);
        let why = look(&night).expect_err(sql);
        says!(why, "not the file that session tonight has on record");
    }
    execute(
        &path,
        "UPDATE cutover_salvage SET value = 'another' WHERE name = 'session'",
    );
    let why = look(&night).expect_err("another session's");
    assert!(why.contains("of session another"), "{why}");
}

/// A file that takes another's place knows which of its rows SQLite has already.
#[test]
fn what_was_brought_in_counts_of_the_file_that_is_made_anew() {
    let [before, anew] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let [old, new] = [&before, &anew].map(|folder| {
        file_of(folder.path(), "tonight");
        folder.path().join(NAME)
    });
    let (app, at) = (before.path().join("app.db"), "2026-01-01T00:00:00Z");
    let mut noted = Salvaged::open(&old).expect("a salvage file");
    noted.note_applied(&[1, 2], &app, at).expect("noted");
    // The inserted row was written once more.
    execute(
        &new,
        "UPDATE cutover_values SET new = 'drei' WHERE row = 1 AND place = 1",
    );
    let salvaged = Salvaged::open(&new).expect("a salvage file");
    salvaged.note_as_in(&old).expect("noted");
    assert_eq!(salvaged.not_in(&app).expect("rows"), [1]);
    let deleted = salvaged.applied(2, &app).expect("a note");
    assert_eq!(deleted.as_deref(), Some(at));
}

/// Rows of a table without a key are told apart by nothing but their values, and some have the same.
#[test]
fn of_equal_rows_without_a_key_as_many_count_as_were_brought_in() {
    let [before, anew] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    // A row each: two are alike, and a third that the file before has not; of the deleted ones each had another value.
    let row = |row: u32, operation: &str, value: &str| {
        let (new, was) = match operation {
            "deleted" => ("NULL", value),
            _ => (value, "NULL"),
        };
        format!(
            "INSERT INTO cutover_rows VALUES ({row}, 'Notes', '{operation}', '[]');
             INSERT INTO cutover_values VALUES ({row}, 0, 'Text', 0, 1, {new}, {was}, NULL, NULL);"
        )
    };
    let file = |folder: &Path, rows: &[String]| {
        file_of(folder, "tonight");
        let path = folder.join(NAME);
        execute(&path, &rows.concat());
        path
    };
    let old = file(
        before.path(),
        &[
            row(3, "inserted", "'x'"),
            row(4, "inserted", "'x'"),
            row(5, "deleted", "'y'"),
            row(6, "inserted", "5"),
        ],
    );
    let new = file(
        anew.path(),
        &[
            row(3, "deleted", "'z'"),
            row(4, "inserted", "'x'"),
            row(5, "inserted", "'x'"),
            row(6, "inserted", "'x'"),
            row(7, "inserted", "'5'"),
            row(8, "deleted", "'y'"),
        ],
    );
    let (app, at) = (before.path().join("app.db"), "2026-01-01T00:00:00Z");
    let mut noted = Salvaged::open(&old).expect("a salvage file");
    let all = noted.chosen(&Choice::default()).expect("rows");
    noted.note_applied(&all, &app, at).expect("noted");
    drop(noted);
    let salvaged = Salvaged::open(&new).expect("a salvage file");
    salvaged.note_as_in(&old).expect("noted");
    assert_eq!(salvaged.not_in(&app).expect("rows"), [3, 6, 7]);
}

/// The newest session is a rehearsal; the night before it is the one that has rows.
#[test]
fn what_is_about_a_nights_rows_finds_the_night() {
    let here = tempfile::tempdir().expect("a folder");
    let root = here.path().join(".cutover");
    let aside = tempfile::tempdir().expect("a folder");
    let record = file_of(aside.path(), "tonight");
    let night = journal_called(&root, "tonight", &rolled_back(Some(&record)).journal);
    let into = |name: &str| night.dir().join(name);
    std::fs::copy(aside.path().join(NAME), into(NAME)).expect("a copy");
    let mut rehearsal = Bridge::rolled_back(2_000);
    if let Event::SessionOpened { charter } = &mut rehearsal.journal[0].event {
        charter.rehearsal = true;
        charter.session = "rehearsal-2".to_owned();
    }
    let _: Folder = journal_called(&root, "rehearsal-2", &rehearsal.journal);

    let (code, said) = cutover(here.path(), &["salvage", "show"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("session tonight,") && !said.contains("WARNING"),
        "{said}"
    );
    for command in [&["salvage", "cost"][..], &["salvage", "make"], &["retry"]] {
        let (code, said) = cutover(here.path(), command);
        assert!(
            code != Some(0) && said.contains("tonight") && !said.contains("rehearsal-2"),
            "{command:?}: {said}"
        );
    }
    let (code, said) = cutover(here.path(), &["status"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("rehearsal rehearsal-2  "), "{said}");
    assert!(said.contains("`cutover status tonight`"), "{said}");
    // A rehearsal that is named is the one that is meant.
    let (_, said) = cutover(here.path(), &["salvage", "show", "rehearsal-2"]);
    says!(said, "session rehearsal-2 has no salvage file");

    // What would be deleted is said, and has to be agreed to.
    let app = aside.path().join("app.db");
    let apply = |more: &[&str]| {
        let arguments = [&["salvage", "apply", "--all"], more].concat();
        cutover(here.path(), &arguments)
    };
    let names = || -> String {
        let connection = rusqlite::Connection::open(&app).expect("the file");
        connection
            .query_row("SELECT group_concat(Name ORDER BY Id) FROM T", [], |row| {
                row.get(0)
            })
            .expect("a row")
    };
    for more in [&[][..], &["--deletes", "2"]] {
        let (code, said) = apply(more);
        assert_eq!(code, Some(3), "{said}");
        assert!(
            said.contains("1 rows of") && said.contains(": T 1") && said.contains("`--deletes 1`"),
            "{said}"
        );
        assert_eq!(names(), "one,two");
    }
    let (code, said) = apply(&["--deletes", "1"]);
    assert_eq!((code, names().as_str()), (Some(0), "one,three"), "{said}");
    says!(said, "session tonight: 2 rows brought into");
    let (code, said) = apply(&[]);
    assert_eq!(
        code,
        Some(0),
        "what was deleted is not deleted again: {said}"
    );
    // A file that somebody changed brings nothing.
    execute(
        &into(NAME),
        "INSERT INTO cutover_rows VALUES (3, 'T', 'deleted', '[1]')",
    );
    let (code, said) = apply(&["--deletes", "1"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("has on record") && said.contains("Nothing was changed"),
        "{said}"
    );
    let (_, said) = cutover(here.path(), &["salvage", "show"]);
    assert!(said.contains("WARNING"), "{said}");
}

/// A person who has to decide sees what SQLite has now, in `show` and in `apply`.
#[test]
fn a_conflict_shows_what_sqlite_has_now() {
    let here = tempfile::tempdir().expect("a folder");
    let root = here.path().join(".cutover");
    let aside = tempfile::tempdir().expect("a folder");
    let record = file_of(aside.path(), "tonight");
    let night = journal_called(&root, "tonight", &rolled_back(Some(&record)).journal);
    std::fs::copy(aside.path().join(NAME), night.dir().join(NAME)).expect("a copy");
    let (_, said) = cutover(here.path(), &["salvage", "show"]);
    lacks!(said, "SQLite now");
    execute(
        &aside.path().join("app.db"),
        "INSERT INTO T VALUES (3, 'theirs'); UPDATE T SET Name = 'zwei' WHERE Id = 2",
    );
    let inserted = "T [3] Name: was no row / PostgreSQL 'three' / SQLite now 'theirs'";
    let deleted = "T [2] Name: was 'two' / PostgreSQL no row / SQLite now 'zwei'";
    let (code, said) = cutover(here.path(), &["salvage", "show"]);
    assert_eq!(code, Some(0), "{said}");
    says!(said, &format!("      conflict: {inserted}\n"));
    says!(said, &format!("      conflict: {deleted}\n"));
    let apply = ["salvage", "apply", "--all", "--deletes", "1"];
    let (code, said) = cutover(here.path(), &apply);
    assert_eq!(code, Some(3), "{said}");
    says!(said, &format!("\n    {inserted}\n"));
    says!(said, &format!("\n    {deleted}\n"));
    let (_, said) = cutover(here.path(), &[&apply[..], &["--json"]].concat());
    let told = said.lines().find(|line| line.starts_with('{'));
    let told: serde_json::Value = serde_json::from_str(told.expect("JSON")).expect("JSON");
    assert_eq!(told["rows"][0]["sides"][0]["sqlite"], "'theirs'", "{told}");
}

/// Where the database is another one, nobody is told to try again.
#[test]
fn what_can_never_be_kept_is_not_tried_again() {
    let record = Record {
        lacks: vec!["another database".to_owned()],
        for_good: true,
        ..Record::default()
    };
    lacks!(record.sentence(), "salvage make");
    let mut bridge = Bridge::rolled_back(2_000);
    let rows = &mut bridge.session.rollback.as_mut().expect("a rollback").rows;
    let check = Check::new(
        cutover::session::attempt::SALVAGED,
        false,
        record.sentence(),
    );
    let outcome = Outcome::done("R5").with_check(check).with_fact(record);
    rows.last_mut().expect("rows").outcome = Some(outcome);
    let refused =
        cutover::session::attempt::rows_are_kept(&bridge.session, false).expect_err("not kept");
    let said = refused.to_string();
    assert!(
        !said.contains("salvage make") && said.contains("--give-up-rows"),
        "{said}"
    );
}
