//! The write fence against other processes.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cutover::sqlite::fence::{Drift, Fence, Quiet};
use cutover::sqlite::fingerprint::{Comparison, Fingerprint};
use cutover::sqlite::{Error, backup, open_read_only};
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::other::{self, Holder};
use super::{Sample, count};
use crate::support;

const MODES: [&str; 2] = ["wal", "delete"];

fn quick() -> Quiet {
    Quiet {
        period: Duration::from_millis(60),
        give_up_after: Duration::from_millis(600),
        busy_timeout: Duration::from_millis(200),
    }
}

fn raise(sample: &Sample) -> Result<Fence, Error> {
    raise_at(&sample.path)
}

pub fn raise_at(path: &std::path::Path) -> Result<Fence, Error> {
    Fence::raise(path, &quick(), &CancellationToken::new())
}

/// What becomes of another process that reads and writes.
#[track_caller]
fn writer_says(sample: &Sample, expected: &str, mode: &str) {
    assert_eq!(other::ask("write", &sample.path), expected, "{mode}");
}

#[test]
fn another_process_reads_and_cannot_write_until_the_release() {
    for mode in MODES {
        let sample = Sample::new(mode, 10);
        let fence = raise(&sample).unwrap();
        writer_says(&sample, "read 10, refused: DatabaseBusy", mode);
        assert_eq!(fence.drift().unwrap(), None, "{mode}");
        fence.release().unwrap();
        writer_says(&sample, "read 10, wrote", mode);
    }
}

#[test]
fn what_we_do_ourselves_on_the_fenced_file_does_not_drop_the_fence() {
    for mode in MODES {
        let sample = Sample::new(mode, 10);
        let fence = raise(&sample).unwrap();
        drop(open_read_only(&sample.path).unwrap());
        let copy = sample.beside("copy.db");
        backup::take(&sample.path, &copy, &mut |_| {}, &CancellationToken::new()).unwrap();
        assert_eq!(count(&copy), 10);
        Fingerprint::take(&open_read_only(&sample.path).unwrap(), &sample.path).unwrap();
        writer_says(&sample, "read 10, refused: DatabaseBusy", mode);
        assert_eq!(fence.drift().unwrap(), None, "{mode}");
    }
}

#[test]
fn a_second_fence_in_the_same_process_is_kept_out_too() {
    let sample = Sample::new("wal", 10);
    let _fence = raise(&sample).unwrap();
    assert!(matches!(raise(&sample), Err(Error::Busy { .. })));
}

/// The trap itself: opening and closing the file raw drops POSIX locks. The watch must see what comes through.
#[test]
fn a_write_through_a_dropped_fence_is_drift() {
    for mode in MODES {
        let sample = Sample::new(mode, 10);
        let fence = raise(&sample).unwrap();
        drop(File::open(&sample.path).unwrap());
        // In WAL mode the writers' lock is on the index beside the file.
        drop(File::open(sample.beside("app.db-shm")));
        writer_says(&sample, "read 10, wrote", mode);
        assert_eq!(fence.drift().unwrap(), Some(Drift::Written), "{mode}");
    }
}

#[test]
fn another_file_at_the_same_path_is_drift() {
    let sample = Sample::new("delete", 10);
    let fence = raise(&sample).unwrap();
    std::fs::copy(&sample.path, sample.beside("other.db")).unwrap();
    std::fs::rename(sample.beside("other.db"), &sample.path).unwrap();
    assert_eq!(fence.drift().unwrap(), Some(Drift::Replaced));
}

#[test]
fn a_writer_in_the_middle_of_a_transaction_is_named() {
    for mode in MODES {
        let sample = Sample::new(mode, 10);
        let holder = Holder::start(&sample.path);
        let error = raise(&sample).err().unwrap();
        let Error::Busy { holders_found, .. } = &error else {
            panic!("{error:?}")
        };
        if cfg!(target_os = "linux") {
            assert!(
                holders_found.iter().any(|found| found.pid == holder.pid()),
                "{error}"
            );
        }
        drop(holder);
        raise(&sample).unwrap();
    }
}

#[test]
fn without_a_quiet_period_there_is_no_fence() {
    std::thread::scope(|scope| {
        for mode in MODES {
            scope.spawn(move || stays_open_while_it_is_written(mode));
        }
    });
}

fn stays_open_while_it_is_written(mode: &str) {
    // Longer than any pause of the machine, so that only an end of the writes is a quiet period; and given up as soon as it could be over.
    let quiet = Quiet {
        period: Duration::from_secs(6),
        give_up_after: Duration::from_secs(6),
        ..quick()
    };
    let sample = Sample::new(mode, 10);
    let stop = AtomicBool::new(false);
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            let writer = Connection::open(&sample.path).unwrap();
            writer.busy_timeout(Duration::from_secs(60)).unwrap();
            while !stop.load(Ordering::Relaxed) {
                writer
                    .execute("INSERT INTO Tools (Slug) VALUES (hex(randomblob(8)))", [])
                    .unwrap();
                // Without a break nobody else ever gets the lock of a rollback journal.
                std::thread::park_timeout(Duration::from_millis(20));
            }
        });
        let outcome = Fence::raise(&sample.path, &quiet, &CancellationToken::new());
        stop.store(true, Ordering::Relaxed);
        outcome.err().unwrap()
    });
    let Error::StillWriting { changes, .. } = error else {
        panic!("{mode}: {error:?}")
    };
    assert!(changes > 0);
    assert!(
        other::ask("write", &sample.path).ends_with("wrote"),
        "{mode}: nothing is left fenced"
    );
}

#[test]
fn raising_can_be_cancelled() {
    let sample = Sample::new("wal", 10);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let quiet = Quiet {
        period: Duration::from_secs(3600),
        give_up_after: Duration::from_secs(7200),
        ..quick()
    };
    assert!(matches!(
        Fence::raise(&sample.path, &quiet, &cancel),
        Err(Error::Cancelled)
    ));
}

#[test]
fn a_fence_that_died_with_its_process_is_no_write() {
    let sample = Sample::new("wal", 10);
    let first = other::ask("die behind a fence", &sample.path);
    let first: Fingerprint = serde_json::from_str(&first).unwrap();
    assert!(first.settled && sample.beside("app.db-wal").exists());
    // Who raises it again is the first to open the file, and SQLite moves the whole log into it once more.
    let fence = raise(&sample).unwrap();
    assert!(matches!(
        first.compare(fence.fingerprint()),
        Comparison::Undecided(_)
    ));
    assert_eq!(first.compare(&fence.found()), Comparison::Same);
    fence.release().unwrap();
    assert_eq!(other::ask("write", &sample.path), "read 10, wrote");
    let found = raise(&sample).unwrap().found();
    assert!(!matches!(first.compare(&found), Comparison::Same));
}

#[test]
fn fingerprints_of_two_fences_tell_what_lies_between_them() {
    for mode in MODES {
        let sample = Sample::new(mode, 10);
        // The application keeps the file open, so that a WAL stays.
        let application = support::sqlite(&sample.path, "DELETE FROM Steps WHERE Id = 3");
        let fingerprint = || raise(&sample).unwrap().fingerprint().clone();

        let first = fingerprint();
        let stored: Fingerprint =
            serde_json::from_str(&serde_json::to_string(&first).unwrap()).unwrap();
        assert_eq!(stored.compare(&fingerprint()), Comparison::Same, "{mode}");

        application
            .execute("UPDATE Tools SET Slug = 'changed' WHERE Id = 1", [])
            .unwrap();
        let second = fingerprint();
        assert!(
            matches!(first.compare(&second), Comparison::Changed(_)),
            "{mode}: {second:?}"
        );

        if mode == "wal" {
            // The application closes its last connection, which removes the WAL; all it held was in the file before.
            drop(application);
            assert!(!sample.beside("app.db-wal").exists());
            let third = fingerprint();
            assert_eq!(second.compare(&third), Comparison::Same, "{third:?}");
            // Written and closed again: no WAL before, none after.
            let write = "UPDATE Tools SET Slug = 'again' WHERE Id = 1";
            support::sqlite(&sample.path, write);
            assert!(matches!(
                third.compare(&fingerprint()),
                Comparison::Undecided(_)
            ));
        }
    }
}
