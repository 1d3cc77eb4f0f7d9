//! The copy that a rehearsal works on: whatever lies at its place, beside it or above it and is not ours stays, byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cutover::ours::copy::{Error, Stage, look, make};
use proptest::prelude::*;
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use crate::support;

fn live_in(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t (a) VALUES (1), (2), (3)";
    support::sqlite(&file, sql);
    file
}

fn make_copy(live: &Path, copy: &Path, n: u32) -> Result<(), Error> {
    let session = format!("app-rehearsal-{n}");
    make(live, copy, &session, &CancellationToken::new(), &mut |_| {
        Ok(())
    })
    .map(drop)
}

fn rows(file: &Path) -> i64 {
    let connection = Connection::open(file).unwrap();
    connection
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap()
}

/// Every file below a folder and its bytes.
fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => {
                    found.insert(entry.path(), fs::read(entry.path()).unwrap());
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn the_folder_that_holds_the_copy_keeps_everything_that_was_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let live = live_in(folder.path(), "data/app.db");
    let upload = folder.path().join("data/uploads/photo.jpg");
    fs::create_dir_all(upload.parent().unwrap()).unwrap();
    fs::write(&upload, "a photo").unwrap();
    fs::write(folder.path().join("data/app.db-notes"), "notes").unwrap();
    let before = bytes(folder.path());
    let copy = folder.path().join("data/rehearsal.db");
    for n in 1..=2 {
        make_copy(&live, &copy, n).unwrap();
        assert_eq!(rows(&copy), 3);
        // The rehearsed application writes to it, and leaves a log.
        let _written = support::sqlite(&copy, "PRAGMA journal_mode = WAL; DELETE FROM t");
        fs::write(folder.path().join("data/rehearsal.db-wal"), "").unwrap();
    }
    let after = bytes(folder.path());
    for (path, content) in before {
        assert_eq!(after.get(&path), Some(&content), "{}", path.display());
    }
}

#[test]
fn a_place_that_is_the_live_files_or_somebody_elses_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let live = live_in(folder.path(), "app.db");
    fs::write(at("other.db"), "somebody else's").unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::hard_link(&live, at("hard.db")).unwrap();
    std::os::unix::fs::symlink(&live, at("soft.db")).unwrap();
    std::os::unix::fs::symlink(at("nowhere"), at("dangling.db")).unwrap();
    std::os::unix::fs::symlink(folder.path(), at("same")).unwrap();
    fs::write(at("lone.db-wal"), "a log of what was there").unwrap();
    fs::write(at("taken.db.rehearsal"), "a file").unwrap();
    fs::create_dir(at("kept.db.rehearsal")).unwrap();
    fs::write(at("kept.db.rehearsal/letter"), "dear").unwrap();
    let before = bytes(folder.path());
    for (name, said) in [
        ("app.db", "is the live file"),
        ("same/app.db", "is the live file"),
        ("hard.db", "is the live file"),
        ("soft.db", "is the live file"),
        ("app.db-wal", "is the live file's `-wal`"),
        ("app.db-shm", "is the live file's `-shm`"),
        ("app.db-journal", "is the live file's `-journal`"),
        ("dangling.db", "a symbolic link"),
        ("other.db", "carries no mark of ours"),
        ("folder", "a folder"),
        ("lone.db", "lone.db-wal"),
        ("taken.db", "not a folder"),
        ("kept.db", "letter"),
    ] {
        let refused = look(&live, &at(name)).expect_err(name).to_string();
        assert!(refused.contains(said), "{name}: {refused}");
        let refused = make_copy(&live, &at(name), 1).expect_err(name).to_string();
        assert!(refused.contains(said), "{name}: {refused}");
    }
    assert_eq!(bytes(folder.path()), before);
}

#[test]
fn a_copy_is_replaced_only_while_it_is_the_very_file_that_we_made() {
    let folder = tempfile::tempdir().unwrap();
    let live = live_in(folder.path(), "app.db");
    let copy = folder.path().join("new/below/copy.db");
    make_copy(&live, &copy, 1).unwrap();
    make_copy(&live, &copy, 2).unwrap();
    // Somebody put a file of theirs there.
    fs::remove_file(&copy).unwrap();
    fs::write(&copy, "precious").unwrap();
    let refused = make_copy(&live, &copy, 3).unwrap_err().to_string();
    assert!(refused.contains("was not made by a rehearsal"), "{refused}");
    assert_eq!(fs::read(&copy).unwrap(), b"precious");
    // Another name for ours means that somebody wants it.
    fs::remove_file(&copy).unwrap();
    make_copy(&live, &copy, 4).unwrap();
    fs::hard_link(&copy, folder.path().join("wanted.db")).unwrap();
    let refused = make_copy(&live, &copy, 5).unwrap_err().to_string();
    assert!(refused.contains("another name"), "{refused}");
    assert_eq!(rows(&folder.path().join("wanted.db")), 3);
    // A folder that was copied as a whole is not ours.
    let moved = folder.path().join("copied");
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([&folder.path().join("new/below"), &moved])
        .status();
    assert!(status.unwrap().success());
    let refused = make_copy(&live, &moved.join("copy.db"), 6).unwrap_err();
    assert!(refused.to_string().contains("another folder"), "{refused}");
}

const STAGES: [Stage; 7] = [
    Stage::Looked,
    Stage::Marked,
    Stage::Removed,
    Stage::Cleared,
    Stage::Copied,
    Stage::Recorded,
    Stage::Placed,
];

/// One layout: where the live file and the copy are, what else lies there, and after which stages earlier rehearsals were cut off.
#[derive(Debug, Clone)]
struct Layout {
    live: &'static str,
    copy: &'static str,
    strangers: Vec<&'static str>,
    stops: Vec<Option<usize>>,
}

fn layouts() -> impl Strategy<Value = Layout> {
    let live = prop::sample::select(vec!["app.db", "data/app.db", "r/app.db", "a/b/app.db"]);
    let copy = prop::sample::select(vec![
        "copy.db",
        "data/copy.db",
        "data/app.db",
        "app.db-wal",
        "r/app.db",
        "a/b/c/d.db",
    ]);
    let names = vec![
        "runbook.yaml",
        "data/uploads/1.jpg",
        "data/app.db-notes",
        "r/letter",
        "copy.db-wal",
        "copy.db.rehearsal/photo.jpg",
        "copy.db.rehearsal/backup/mine.db",
        "data/copy.db",
        "a/b/c/d.db.sha256",
        "data/.partial-1",
        "a/b/c/.cutover-mine",
    ];
    let strangers = prop::sample::subsequence(names, 0..=6);
    let stops = prop::collection::vec(prop::option::of(0..STAGES.len()), 0..4);
    (live, copy, strangers, stops).prop_map(|(live, copy, strangers, stops)| Layout {
        live,
        copy,
        strangers,
        stops,
    })
}

fn hold(layout: &Layout) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let live = live_in(folder.path(), layout.live);
    for name in layout.strangers.iter().filter(|name| **name != layout.live) {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), format!("canary {name}")).unwrap();
    }
    let before = bytes(folder.path());
    let copy = at(layout.copy);
    let mut last = Ok(());
    for (n, stop) in layout.stops.iter().copied().chain([None]).enumerate() {
        let mut until = |stage: Stage| match stop.map(|at| STAGES[at]) == Some(stage) {
            true => Err(Error::Stopped),
            false => Ok(()),
        };
        let session = format!("app-rehearsal-{n}");
        let made = make(
            &live,
            &copy,
            &session,
            &CancellationToken::new(),
            &mut until,
        );
        last = made.map(drop);
        let after = bytes(folder.path());
        for (path, content) in &before {
            assert_eq!(
                after.get(path),
                Some(content),
                "{} in {layout:?}",
                path.display()
            );
        }
    }
    match last {
        Ok(()) => assert_eq!(rows(&copy), 3),
        Err(Error::NotOurs { .. } | Error::IsLive { .. } | Error::Folder(_)) => {}
        Err(other) => panic!("{other} in {layout:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_canary_changes_whatever_the_layout_and_wherever_it_stops(layout in layouts()) {
        hold(&layout);
    }
}
