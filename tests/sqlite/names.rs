//! Other names of the source, and what is done to the files beside it: what the fence refuses, and what it sees afterwards.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cutover::sqlite::Error;
use cutover::sqlite::fence::{Drift, Fence, Quiet};
use cutover::sqlite::names::OtherName;
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::Sample;
use super::other::Holder;
use crate::support;

const MODES: [&str; 2] = ["wal", "delete"];

fn raise(sample: &Sample) -> Result<Fence, Error> {
    let quiet = Quiet {
        period: Duration::from_millis(60),
        give_up_after: Duration::from_millis(600),
        busy_timeout: Duration::from_millis(200),
    };
    Fence::raise(&sample.path, &quiet, &CancellationToken::new())
}

/// What a fence that was raised in spite of nothing says once `harm` was done.
fn drift_after(sample: &Sample, harm: impl FnOnce(&Sample)) -> Option<Drift> {
    let fence = raise(sample).unwrap();
    assert_eq!(fence.drift().unwrap(), None, "before any harm");
    harm(sample);
    fence.drift().unwrap()
}

#[test]
fn a_hard_link_is_refused_and_one_that_is_made_later_is_drift() {
    for mode in MODES {
        let sample = Sample::new(mode, 10);
        let link = sample.beside("link.db");
        std::fs::hard_link(&sample.path, &link).unwrap();
        let error = raise(&sample).err().unwrap();
        let Error::PastTheFence { way, .. } = &error else {
            panic!("{mode}: {error:?}")
        };
        assert_eq!(*way, OtherName::Linked { links: 2 }, "{mode}");
        assert!(error.to_string().contains("-samefile"), "{error}");
        std::fs::remove_file(&link).unwrap();
        let seen = drift_after(&sample, |s| {
            std::fs::hard_link(&s.path, s.beside("link.db")).unwrap();
        });
        assert_eq!(seen, Some(Drift::SecondName), "{mode}");
    }
}

#[test]
fn an_older_copy_that_is_copied_over_the_file_is_drift() {
    for mode in MODES {
        let sample = Sample::new(mode, 10);
        let old = std::fs::read(&sample.path).unwrap();
        let seen = drift_after(&sample, |s| std::fs::write(&s.path, &old).unwrap());
        assert_eq!(seen, Some(Drift::Overwritten), "{mode}");
    }
}

#[test]
fn a_file_that_is_cut_short_or_grows_is_drift() {
    for mode in MODES {
        for change in [-4096_i64, 4096] {
            let sample = Sample::new(mode, 10);
            // Another connection of the application keeps the WAL.
            let _application = Connection::open(&sample.path).unwrap();
            let seen = drift_after(&sample, |s| {
                let file = std::fs::File::options().write(true).open(&s.path).unwrap();
                let size = file.metadata().unwrap().len().cast_signed();
                file.set_len((size + change).cast_unsigned()).unwrap();
            });
            assert!(seen.is_some(), "{mode} {change}");
        }
    }
}

#[test]
fn files_beside_the_source_that_are_removed_or_replaced_are_drift() {
    let cases = [
        ("app.db-shm", Drift::IndexChanged),
        ("app.db-wal", Drift::LogChanged),
    ];
    for (name, expected) in cases {
        for replaced in [false, true] {
            let sample = Sample::new("wal", 10);
            let _application = support::sqlite(&sample.path, "DELETE FROM Steps WHERE Id = 3");
            let seen = drift_after(&sample, |s| {
                let bytes = std::fs::read(s.beside(name)).unwrap();
                std::fs::remove_file(s.beside(name)).unwrap();
                if replaced {
                    std::fs::write(s.beside(name), bytes).unwrap();
                }
            });
            assert_eq!(seen, Some(expected), "{name}, replaced: {replaced}");
        }
    }
}

/// The application's own readers move marks in the index and check the log; that is none of our business.
#[test]
fn readers_and_their_checkpoints_are_no_drift() {
    let sample = Sample::new("wal", 10);
    let _application = support::sqlite(&sample.path, "DELETE FROM Steps WHERE Id = 3");
    let fence = raise(&sample).unwrap();
    for _ in 0..5 {
        let reader = Connection::open(&sample.path).unwrap();
        let rows: i64 = reader
            .query_row("SELECT count(*) FROM Steps", [], |r| r.get(0))
            .unwrap();
        assert_eq!(rows, 9);
        let _ = reader.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        let _ = reader.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    assert_eq!(fence.drift().unwrap(), None);
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_whose_log_was_removed_from_beside_the_file_is_named() {
    for name in ["app.db-shm", "app.db-wal"] {
        let sample = Sample::new("wal", 10);
        let holder = Holder::start(&sample.path);
        // Its transaction is open in files that nobody else can see any more; ours are new ones.
        for gone in ["app.db-shm", name] {
            let _ = std::fs::remove_file(sample.beside(gone));
        }
        let error = raise(&sample).err().unwrap();
        let Error::PastTheFence {
            way: OtherName::OtherLog { by, .. },
            ..
        } = &error
        else {
            panic!("{name}: {error:?}")
        };
        assert_eq!(by.pid, holder.pid(), "{error}");
    }
}

/// A log keeps the name that its file had when it was opened: whoever goes on writing to a file that was renamed writes where nobody looks.
#[cfg(target_os = "linux")]
#[test]
fn a_process_whose_file_was_renamed_under_it_is_named() {
    let mut sample = Sample::new("wal", 10);
    let holder = Holder::start(&sample.path);
    let elsewhere = sample.beside("moved");
    std::fs::create_dir(&elsewhere).unwrap();
    let moved = elsewhere.join("app.db");
    std::fs::rename(&sample.path, &moved).unwrap();
    sample.path = moved;
    let error = raise(&sample).err().unwrap();
    let Error::PastTheFence {
        way: OtherName::OtherLog { by, uses },
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(by.pid, holder.pid(), "{error}");
    let beside = uses.parent().unwrap();
    assert_eq!(beside, sample.folder.path().canonicalize().unwrap());
}

/// A process that has files open, as a shell's redirections say it; `$0` is the sample.
#[cfg(target_os = "linux")]
fn with_open(files: &str, sample: &Sample) -> Child {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("exec {files}; echo ready; exec sleep 60"))
        .arg(&sample.path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut said).unwrap();
    assert_eq!(said, "ready\n");
    child
}

/// As a backup is put back under an application that runs: the application goes on with what was removed.
#[cfg(target_os = "linux")]
#[test]
fn a_process_with_a_file_that_was_removed_is_told_of() {
    let sample = Sample::new("delete", 10);
    let mut other = with_open("3<\"$0\"", &sample);
    let fresh = sample.beside("fresh");
    std::fs::copy(&sample.path, &fresh).unwrap();
    std::fs::rename(&fresh, &sample.path).unwrap();
    let told = raise(&sample).map(|fence| fence.unproven());
    other.kill().unwrap();
    other.wait().unwrap();
    let said = told.unwrap().expect("told");
    assert!(said.contains(&format!("({})", other.id())), "{said}");
    assert!(said.contains("was removed"), "{said}");
}

/// As `mv app.db app.db.old; cp app.db.old app.db` does it under an application that runs.
#[cfg(target_os = "linux")]
#[test]
fn a_process_with_our_log_for_another_file_is_named() {
    let sample = Sample::new("wal", 10);
    let old = sample.beside("app.db.old");
    std::fs::rename(&sample.path, &old).unwrap();
    std::fs::copy(&old, &sample.path).unwrap();
    let _application = support::sqlite(&sample.path, "DELETE FROM Steps WHERE Id = 3");
    // A backup that reads the log on its way is nobody who writes.
    let mut copying = with_open("4<\"$0-wal\"", &sample);
    let raised = raise(&sample);
    copying.kill().unwrap();
    copying.wait().unwrap();
    drop(raised.unwrap());
    let mut other = with_open("3<>\"$0.old\" 4<>\"$0-wal\"", &sample);
    let raised = raise(&sample);
    other.kill().unwrap();
    other.wait().unwrap();
    let error = raised.err().unwrap();
    let Error::PastTheFence {
        way: OtherName::OtherFile { by, uses },
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(by.pid, other.id(), "{error}");
    assert!(uses.ends_with("app.db-wal"), "{error}");
}

/// A process in a mount namespace of its own, in which something was mounted. `None` where this system lets nobody make one.
#[cfg(target_os = "linux")]
struct Namespace(Child);

#[cfg(target_os = "linux")]
impl Namespace {
    fn with(script: &str) -> Option<Self> {
        let flags = if rustix::process::geteuid().is_root() {
            "-m"
        } else {
            "-Urm"
        };
        let mut child = Command::new("unshare")
            .args([flags, "sh", "-c"])
            .arg(format!("set -e\n{script}\necho ready\nexec sleep 60"))
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut said = String::new();
        BufReader::new(child.stdout.take()?)
            .read_line(&mut said)
            .ok()?;
        let ready = Self(child);
        (said.trim() == "ready").then_some(ready)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As `docker run -v app.db:/app/app.db` does it, and as `-v folder:/app` does.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_mounted_alone_is_refused_and_a_folder_is_not() {
    let Some(probe) = Namespace::with("true") else {
        // Nobody but root may mount here, so that nobody but root can make this trap; the table's reading is a test of its own.
        assert!(!rustix::process::geteuid().is_root(), "root can mount");
        return;
    };
    drop(probe);
    for mode in MODES {
        let sample = Sample::new(mode, 10);
        let (folder, elsewhere) = (sample.folder.path(), tempfile::tempdir().unwrap());
        std::fs::write(elsewhere.path().join("app.db"), "").unwrap();
        let (from, to) = (folder.display(), elsewhere.path().display());
        let whole = Namespace::with(&format!("mount --bind {from} {to}")).unwrap();
        let fence = raise(&sample).unwrap();
        assert_eq!(fence.drift().unwrap(), None, "{mode}");
        drop((fence, whole));
        let alone = format!("mount --bind {from}/app.db {to}/app.db");
        let container = Namespace::with(&alone).unwrap();
        let error = raise(&sample).err().unwrap();
        let Error::PastTheFence {
            way: OtherName::Mounted { at, by },
            ..
        } = &error
        else {
            panic!("{mode}: {error:?}")
        };
        assert_eq!(at, &elsewhere.path().join("app.db"));
        assert_eq!(by.pid, container.0.id());
    }
}
