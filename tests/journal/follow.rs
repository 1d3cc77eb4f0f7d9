//! Followers: beside a writing engine, after its end, where nobody may write, and what they read is what was written.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cutover::journal::{Entry, Error, Follower, Hash, verify};
use serde_json::json;

use super::{child, engine, session, wall};

#[test]
fn what_is_read_is_what_was_written() {
    let session = session();
    let mut engine = engine(&session.folder);
    let written = engine
        .journal
        .append(
            -5,
            wall(),
            &[
                (
                    "session_opened",
                    &json!({"z": 1, "a": [0.1, 1e300, -0.0, "é\u{0}\u{1b}"]}),
                ),
                ("gate_signed", &json!(null)),
            ],
        )
        .expect("two events");
    assert_eq!(written.len(), 2);
    assert_eq!(written[0].seq, 1);
    assert_eq!(
        written[0].wall.to_rfc3339(),
        "2026-03-01T02:00:00.123+00:00"
    );
    let mut follower = Follower::open(&session.folder).expect("a follower");
    assert_eq!(follower.poll().expect("a sound chain"), written);
    assert_eq!(follower.poll().expect("a sound chain"), []);
    let more = engine.note(3);
    assert_eq!(follower.poll().expect("a sound chain"), more);
    assert_eq!(follower.head(), engine.journal.head());
    drop(engine);

    let again = super::engine(&session.folder);
    let all: Vec<Entry> = written.into_iter().chain(more).collect();
    assert_eq!(again.found, all);
    assert_eq!(verify(&session.folder).expect("a sound chain").entries, all);
}

#[test]
fn a_refusal_writes_nothing_and_sees_the_head() {
    let session = session();
    let mut engine = engine(&session.folder);
    engine.note(2);
    let head = engine.journal.head();
    let refused = engine
        .journal
        .append_with(1, wall(), |view| {
            assert_eq!(view.head, head);
            Err::<Vec<_>, _>("not yours to sign")
        })
        .expect("the journal is well");
    assert_eq!(refused, Err("not yours to sign"));
    let none = engine
        .journal
        .append_with(1, wall(), |_| Ok::<_, ()>(Vec::new()))
        .expect("the journal is well");
    assert_eq!(none, Ok(Vec::new()));
    assert_eq!(engine.note(1)[0].seq, 3);
}

#[test]
fn many_followers_read_on_while_the_engine_writes() {
    let session = session();
    let folder = &session.folder;
    let mut engine = engine(folder);
    engine.note(1);
    const LAST: u64 = 60;
    std::thread::scope(|scope| {
        let followers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut follower = Follower::open(folder).expect("a follower");
                    let mut seen: Vec<u64> = Vec::new();
                    while seen.last() != Some(&LAST) {
                        let entries = follower.poll().expect("a sound chain");
                        seen.extend(entries.iter().map(|e| e.seq));
                        verify(folder).expect("a sound chain and head, at any moment");
                    }
                    seen
                })
            })
            .collect();
        while engine.journal.head().seq < LAST {
            engine.note(1);
        }
        for follower in followers {
            let seen = follower.join().expect("a follower");
            assert_eq!(seen, (1..=LAST).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_finished_folder_can_be_read_where_nobody_may_write() {
    let session = session();
    let folder = session.folder.clone();
    let mut engine = engine(&folder);
    let written = engine.note(4);
    engine.journal.finish().expect("an end");
    engine.lease.release().expect("an end");
    assert!(!folder.shared_dir().join("journal.db-wal").exists());
    read_where_nobody_may_write(folder, written);
}

#[test]
fn a_dead_engines_folder_can_be_read_where_nobody_may_write() {
    let session = session();
    let folder = session.folder.clone();
    let mut engine = child::start(super::crash::WRITER, &folder);
    engine.hear().expect("a writer that writes");
    engine.kill();
    let written = verify(&folder).expect("a sound chain").entries;
    assert!(!written.is_empty());
    assert!(folder.shared_dir().join("journal.db-wal").exists());
    read_where_nobody_may_write(folder.clone(), written.clone());
    // As somebody leaves it who copies the folder for evidence and not the index, which is no data.
    fs::remove_file(folder.shared_dir().join("journal.db-shm")).expect("the index");
    read_where_nobody_may_write(folder, written);
}

/// Reads in a thread that has given up the right to pass over modes, which root has.
fn read_where_nobody_may_write(folder: cutover::journal::Folder, written: Vec<Entry>) {
    let set_mode = |mode| {
        for dir in [folder.dir(), folder.shared_dir()] {
            fs::set_permissions(dir, fs::Permissions::from_mode(mode)).expect("a mode");
        }
    };
    set_mode(0o550);
    let reader = {
        let folder = folder.clone();
        std::thread::spawn(move || {
            give_up_privileges();
            assert!(
                fs::write(folder.shared_dir().join("x"), "").is_err(),
                "nothing may be written"
            );
            let mut follower = Follower::open(&folder)?;
            let entries = follower.poll()?;
            follower.engine()?;
            follower.progress()?;
            follower.poll()?;
            Ok::<_, Error>(entries)
        })
    };
    let read = reader.join();
    set_mode(0o770);
    assert_eq!(read.expect("a reader").expect("it can be read"), written);
}

#[cfg(target_os = "linux")]
fn give_up_privileges() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let mut sets = capabilities(None).expect("this thread's capabilities");
    sets.effective
        .remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
    set_capabilities(None, sets).expect("fewer of them");
}

#[cfg(not(target_os = "linux"))]
fn give_up_privileges() {}

#[test]
fn a_poll_without_news_does_not_read_entries() {
    let session = session();
    let mut engine = engine(&session.folder);
    engine.note(1);
    let mut follower = Follower::open(&session.folder).expect("a follower");
    follower.poll().expect("a sound chain");
    for _ in 0..1_000 {
        assert_eq!(follower.poll().expect("a sound chain"), []);
    }
}

#[test]
fn an_artefact_is_what_its_name_says_or_an_error() {
    let session = session();
    let folder = &session.folder;
    let engine = engine(folder);
    let scribe = engine.journal.scribe(Default::default()).expect("a scribe");
    let artefact = scribe
        .notes()
        .publish("parity", "parity_report", 1, b"equal")
        .expect("an artefact");
    assert_eq!(artefact.sha256, Hash::of(b"equal"));
    let follower = Follower::open(folder).expect("a follower");
    assert_eq!(
        follower.read_artefact(artefact.sha256).expect("its bytes"),
        b"equal"
    );
    let path = folder.artefacts_dir().join(artefact.sha256.to_string());
    fs::write(path, "different").expect("a change");
    assert!(matches!(
        follower.read_artefact(artefact.sha256),
        Err(Error::Artefact { .. })
    ));
    assert!(matches!(
        follower.read_artefact(Hash::of(b"never")),
        Err(Error::Io { .. })
    ));
}
