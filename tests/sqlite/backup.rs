//! Backup, second place and restore drill, on sound and on bad sources and disks.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use cutover::sqlite::{Error, backup, digest, drill, store};
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::{Sample, count, other};
use crate::support;

fn take(sample: &Sample, name: &str) -> Result<backup::Backup, Error> {
    backup::take(
        &sample.path,
        &sample.beside(name),
        &mut |_| {},
        &CancellationToken::new(),
    )
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_has_what_is_in_the_wal_and_leaves_nothing_beside_it() {
    let sample = Sample::new("wal", 9_000);
    let write = "INSERT INTO Tools (Slug) VALUES ('in the WAL')";
    let _application = support::sqlite(&sample.path, write);
    let to = tempfile::tempdir().unwrap();
    let path = to.path().join("night/app.db");
    let mut seen = Vec::new();
    let made = backup::take(
        &sample.path,
        &path,
        &mut |progress| seen.push(progress),
        &CancellationToken::new(),
    )
    .unwrap();

    assert_eq!(names(path.parent().unwrap()), ["app.db", "app.db.sha256"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o440);
    assert_eq!(made.size_bytes, path.metadata().unwrap().len());
    assert_eq!(seen.last().unwrap().pages_done, made.pages);
    assert!(seen.is_sorted_by_key(|progress| progress.pages_done) && seen.len() > 1);
    assert_eq!(count(&path), 9_001);
    assert_eq!(
        names(path.parent().unwrap()),
        ["app.db", "app.db.sha256"],
        "reading it leaves nothing either"
    );
    assert_eq!(digest::recorded(&path).unwrap(), made.sha256);
    backup::verify(&path, &made.sha256).unwrap();
    let check = Command::new("sha256sum")
        .args(["--check", "app.db.sha256"])
        .current_dir(path.parent().unwrap())
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn a_backup_is_never_overwritten() {
    let sample = Sample::new("delete", 10);
    let first = take(&sample, "b.db").unwrap();
    assert!(matches!(
        take(&sample, "b.db"),
        Err(Error::AlreadyThere { .. })
    ));
    backup::verify(&first.path, &first.sha256).unwrap();
}

/// The disk was full, or the process was killed, after the file had its name and before its checksum was written.
#[test]
fn a_whole_copy_that_lacks_its_checksum_gets_it() {
    use std::os::unix::fs::MetadataExt as _;
    for mode in ["delete", "wal"] {
        let sample = Sample::new(mode, 2_000);
        let first = take(&sample, "b.db").unwrap();
        let inode = first.path.metadata().unwrap().ino();
        let beside = digest::file_beside(&first.path);
        std::fs::remove_file(&beside).unwrap();

        let again = take(&sample, "b.db").unwrap();
        assert_eq!(again.sha256, first.sha256);
        assert_eq!(again.size_bytes, first.size_bytes);
        assert_eq!(again.pages, first.pages);
        assert_eq!(first.path.metadata().unwrap().ino(), inode, "the same file");
        assert_eq!(digest::recorded(&first.path).unwrap(), first.sha256);
        assert!(
            names(sample.folder.path())
                .iter()
                .all(|name| !name.starts_with("b.db-"))
        );

        let to = tempfile::tempdir().unwrap();
        let store = || {
            let cancel = CancellationToken::new();
            store::store_directory(&first.path, &first.sha256, to.path(), &mut |_| {}, &cancel)
        };
        let stored = store().unwrap();
        std::fs::remove_file(digest::file_beside(&stored.path)).unwrap();
        store().unwrap();
        assert_eq!(digest::recorded(&stored.path).unwrap(), first.sha256);
    }
}

/// What lies under the name and is not what we would have left stays as it is, and is named.
#[test]
fn no_file_of_somebody_else_gets_a_checksum() {
    let sample = Sample::new("delete", 100);
    let first = take(&sample, "b.db").unwrap();
    std::fs::remove_file(digest::file_beside(&first.path)).unwrap();
    let refused = |why: &str| {
        let before = std::fs::read(&first.path).unwrap();
        let error = take(&sample, "b.db").unwrap_err();
        assert!(
            matches!(&error, Error::AlreadyThere { .. }),
            "{why}: {error}"
        );
        assert!(error.to_string().contains("move it away"), "{error}");
        assert_eq!(std::fs::read(&first.path).unwrap(), before, "{why}");
        assert!(!digest::file_beside(&first.path).exists(), "{why}");
    };
    let mode = |mode| {
        std::fs::set_permissions(&first.path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o640);
    refused("it can be written");
    mode(0o440);
    std::fs::write(sample.beside("b.db-wal"), "frames").unwrap();
    refused("a log is beside it");
    std::fs::remove_file(sample.beside("b.db-wal")).unwrap();
    let write = "INSERT INTO Tools (Slug) VALUES ('later')";
    support::sqlite(&sample.path, write);
    refused("the source holds another row");
}

#[test]
fn a_changed_byte_is_found() {
    let sample = Sample::new("delete", 10);
    let made = take(&sample, "b.db").unwrap();
    std::fs::set_permissions(&made.path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let mut bytes = std::fs::read(&made.path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&made.path, bytes).unwrap();
    let error = backup::verify(&made.path, &made.sha256).unwrap_err();
    assert!(
        matches!(&error, Error::Checksum { recorded, .. } if *recorded == made.sha256),
        "{error:?}"
    );
    assert!(matches!(
        drill::run(
            &made.path,
            &made.sha256,
            &[],
            None,
            &CancellationToken::new()
        ),
        Err(Error::Checksum { .. })
    ));
    let to = tempfile::tempdir().unwrap();
    let stored = store::store_directory(
        &made.path,
        &made.sha256,
        to.path(),
        &mut |_| {},
        &CancellationToken::new(),
    );
    assert!(matches!(stored, Err(Error::Checksum { .. })), "{stored:?}");
    assert_eq!(
        names(to.path()),
        [""; 0],
        "a copy that is not the backup is not kept"
    );
}

#[test]
fn a_corrupt_source_gives_no_backup() {
    let sample = Sample::new("delete", 2_000);
    let mut bytes = std::fs::read(&sample.path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(&sample.path, &bytes).unwrap();
    let error = take(&sample, "b.db").unwrap_err();
    assert!(
        matches!(&error, Error::Corrupt { findings, .. } if !findings.is_empty()),
        "{error:?}"
    );
    assert_eq!(names(sample.folder.path()), ["app.db"]);
}

#[test]
fn an_index_that_lies_is_found() {
    let sample = Sample::new("delete", 2_000);
    let connection = Connection::open(&sample.path).unwrap();
    // Rows that the index does not know of: what a quick check does not see.
    connection
        .execute_batch(
            "CREATE TABLE Plain (v INTEGER); CREATE INDEX IX_Plain ON Plain (v) WHERE v > 0;
             INSERT INTO Plain SELECT Id FROM Tools; PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE INDEX IX_Plain ON Plain (v)' WHERE name = 'IX_Plain';
             INSERT INTO Plain VALUES (-1); PRAGMA writable_schema = RESET;",
        )
        .unwrap();
    drop(connection);
    let error = take(&sample, "b.db").unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_collation_of_the_applications_own_is_named() {
    let sample = Sample::new("delete", 10);
    let connection = Connection::open(&sample.path).unwrap();
    connection
        .create_collation("AppOrder", |a, b| b.cmp(a))
        .unwrap();
    connection
        .execute_batch("CREATE INDEX IX_App ON Tools (Slug COLLATE AppOrder)")
        .unwrap();
    drop(connection);
    let error = take(&sample, "b.db").unwrap_err();
    assert!(
        matches!(&error, Error::UnknownCollation { collation, used_by, .. } if collation == "AppOrder" && used_by == "IX_App"),
        "{error:?}"
    );
}

#[test]
fn orphans_are_counted_and_no_reason_to_stop() {
    let sample = Sample::new("delete", 10);
    let write = "PRAGMA foreign_keys = OFF; DELETE FROM Tools WHERE Id IN (3, 4)";
    support::sqlite(&sample.path, write);
    let made = take(&sample, "b.db").unwrap();
    assert_eq!(made.orphans.len(), 1);
    assert_eq!(
        (
            made.orphans[0].table.as_str(),
            made.orphans[0].rows,
            made.orphans[0].example_rowid
        ),
        ("Steps", 2, Some(3))
    );
}

#[test]
fn cancelled_in_the_middle_nothing_is_left() {
    let sample = Sample::new("delete", 20_000);
    let cancel = CancellationToken::new();
    let to = tempfile::tempdir().unwrap();
    let taken = backup::take(
        &sample.path,
        &to.path().join("b.db"),
        &mut |_| cancel.cancel(),
        &cancel,
    );
    assert!(matches!(taken, Err(Error::Cancelled)), "{taken:?}");
    assert_eq!(names(to.path()), [""; 0]);
}

#[test]
fn the_second_place_is_read_back_and_may_be_asked_twice() {
    let sample = Sample::new("delete", 1_000);
    let made = take(&sample, "b.db").unwrap();
    let place = tempfile::tempdir().unwrap();
    let mut last = None;
    let mut store = || {
        store::store_directory(
            &made.path,
            &made.sha256,
            place.path(),
            &mut |p| last = Some(p),
            &CancellationToken::new(),
        )
        .unwrap()
    };
    let first = store();
    let second = store();
    assert_eq!((&first.path, &first.sha256), (&second.path, &made.sha256));
    assert_eq!(last.unwrap().pages_done, last.unwrap().pages_total);
    assert_eq!(names(place.path()), ["b.db", "b.db.sha256"]);
    assert_eq!(digest::recorded(&first.path).unwrap(), made.sha256);
    assert!(!first.on_another_disk);
}

#[test]
fn the_drill_counts_asks_and_cleans_up() {
    let sample = Sample::new("wal", 100);
    let made = take(&sample, "b.db").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let queries = ["SELECT Slug, Id, NULL FROM Tools ORDER BY Id".to_owned()];
    let cancel = CancellationToken::new();
    for place in [None, Some(scratch.path())] {
        let drill = drill::run(&made.path, &made.sha256, &queries, place, &cancel).unwrap();
        let counts: Vec<_> = drill
            .tables
            .iter()
            .map(|table| (table.table.as_str(), table.rows))
            .collect();
        assert_eq!(counts, [("Steps", 100), ("Tools", 100)]);
        assert_eq!(
            (drill.samples[0].rows, drill.samples[0].first.join("|")),
            (100, "tool-1|1|NULL".to_owned())
        );
    }
    assert_eq!(names(scratch.path()), [""; 0]);
    let wrong = ["DELETE FROM Tools".to_owned()];
    assert!(matches!(
        drill::run(&made.path, &made.sha256, &wrong, None, &cancel),
        Err(Error::SampleQuery { .. })
    ));
    backup::verify(&made.path, &made.sha256).unwrap();
}

/// A disk of 3 MiB: a tmpfs in a mount namespace of its own, so that it goes with its process.
#[test]
fn a_full_disk_is_named_and_nothing_is_left_on_it() {
    let sample = Sample::new("wal", 4_000);
    let disk = sample.beside("disk");
    std::fs::create_dir(&disk).unwrap();
    let inner = other::command("backup on a full disk", &sample.path);
    let mut command = Command::new("unshare");
    command.args([
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs -o size=3m tmpfs \"$0\" && exec \"$@\"",
    ]);
    command
        .arg(&disk)
        .arg(inner.get_program())
        .args(inner.get_args());
    command.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let output = command.output();
    let mounted = Command::new("unshare")
        .args([
            "--map-root-user",
            "--mount",
            "mount",
            "-t",
            "tmpfs",
            "tmpfs",
        ])
        .arg(&disk)
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        eprintln!(
            "NOT RUN: this machine lets nobody mount a tmpfs in a namespace, so that there is no small disk to fill"
        );
        return;
    }
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("answer: full before, full on the way, nothing left"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs in the process that has the small disk.
pub fn on_a_full_disk(source: &Path) {
    let disk = source.parent().unwrap().join("disk");
    let to = disk.join("b.db");
    let cancel = CancellationToken::new();
    let is_full = |error: Error| match error {
        Error::DiskFull { disk: named, .. } => assert_eq!(named, disk.canonicalize().unwrap()),
        other => panic!("{other:?}"),
    };
    // Known before the first byte: somebody else's file takes the room.
    std::fs::write(disk.join("other"), vec![0; 2 << 20]).unwrap();
    let mut begun = false;
    is_full(backup::take(source, &to, &mut |_| begun = true, &cancel).unwrap_err());
    assert!(!begun);
    // Met on the way: somebody else takes it while we copy.
    std::fs::remove_file(disk.join("other")).unwrap();
    let mut fill = |_| drop(std::fs::write(disk.join("other"), vec![0; 3 << 20]));
    is_full(backup::take(source, &to, &mut fill, &cancel).unwrap_err());
    assert_eq!(names(&disk), ["other"]);
    // The second place.
    std::fs::remove_file(disk.join("other")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let made = backup::take(source, &elsewhere.path().join("b.db"), &mut |_| {}, &cancel).unwrap();
    let mut fill = |_| drop(std::fs::write(disk.join("other"), vec![0; 3 << 20]));
    is_full(
        store::store_directory(&made.path, &made.sha256, &disk, &mut fill, &cancel).unwrap_err(),
    );
    assert_eq!(names(&disk), ["other"]);
    other::answer("full before, full on the way, nothing left");
}
