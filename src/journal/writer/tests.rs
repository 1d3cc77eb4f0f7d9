//! What only the inside can bring about: a full disk, a disk that does not confirm.

use std::io;

use rusqlite::ffi;
use serde_json::json;

use super::*;

fn journal() -> (tempfile::TempDir, Folder, Journal) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = Folder::create_at(dir.path()).expect("a session's folder");
    let fencing = count_lease(&folder, &json!({})).expect("a lease");
    let (journal, entries) = Journal::open(&folder, fencing).expect("a new journal");
    assert!(entries.is_empty());
    (dir, folder, journal)
}

fn note(journal: &mut Journal, body: &Value) -> Result<Vec<Entry>, Error> {
    journal.append(1, DateTime::UNIX_EPOCH, &[("noted", body)])
}

#[test]
fn a_full_disk_writes_nothing_and_room_lets_it_go_on() {
    let (_dir, folder, mut journal) = journal();
    note(&mut journal, &json!({"n": 1})).expect("room for one");
    let pages: i64 = journal
        .conn
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .expect("a page count");
    let allow = |journal: &Journal, pages: i64| {
        journal
            .conn
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .expect("a limit");
    };
    allow(&journal, pages);
    let large = json!("x".repeat(500_000));
    let reserve = Reserve::of(&folder);
    reserve.keep().expect("a reserve");
    let failed = note(&mut journal, &large);
    assert!(matches!(failed, Err(Error::DiskFull { .. })), "{failed:?}");
    assert!(!reserve.is_kept(), "the reserve is for this");
    assert_eq!(chain::verify(&folder).expect("a sound chain").head.seq, 1);
    allow(&journal, pages + 1_000);
    note(&mut journal, &large).expect("room again");
    assert_eq!(chain::verify(&folder).expect("a sound chain").head.seq, 2);
}

#[test]
fn an_unconfirmed_write_ends_the_writer_for_good() {
    let (_dir, folder, mut journal) = journal();
    note(&mut journal, &json!(1)).expect("a first event");
    let mut scribe = journal.scribe(Retention::default()).expect("a scribe");
    let fsync_failed = rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_IOERR_FSYNC),
        Some("disk I/O error".to_owned()),
    );
    let failed: Result<(), _> = journal.poison.watch(
        &journal.path,
        Err(Error::sqlite("write", &journal.path)(fsync_failed)),
    );
    assert!(matches!(failed, Err(Error::Poisoned { .. })), "{failed:?}");
    for _ in 0..2 {
        let refused = note(&mut journal, &json!(2));
        assert!(
            matches!(refused, Err(Error::Poisoned { .. })),
            "{refused:?}"
        );
    }
    let refused = scribe.flush(1, "boot", 1);
    assert!(
        matches!(refused, Err(Error::Poisoned { .. })),
        "{refused:?}"
    );
    assert_eq!(chain::verify(&folder).expect("a sound chain").head.seq, 1);
}

#[test]
fn what_the_disk_says_is_told_apart_by_class() {
    let path = Path::new("/nowhere/journal.db");
    let by_code = |code| {
        Error::sqlite("write", path)(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    };
    for code in [
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_CORRUPT,
    ] {
        assert!(by_code(code).is_unconfirmed_write(), "{code}");
    }
    for code in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY, ffi::SQLITE_NOMEM] {
        assert!(!by_code(code).is_unconfirmed_write(), "{code}");
    }
    let head = |kind: io::ErrorKind| Error::io("write", path)(kind.into());
    assert!(head(io::ErrorKind::Other).is_unconfirmed_write());
    assert!(!head(io::ErrorKind::StorageFull).is_unconfirmed_write());
}

#[test]
fn a_head_that_could_not_be_written_keeps_the_event_out() {
    let (_dir, folder, mut journal) = journal();
    note(&mut journal, &json!(1)).expect("a first event");
    let head = folder.head_path();
    std::fs::remove_file(&head).expect("the head");
    std::fs::create_dir(&head).expect("something that no file can be renamed over");
    assert!(matches!(
        note(&mut journal, &json!(2)),
        Err(Error::Poisoned { .. })
    ));
    let there = chain::stored_tail(&journal.conn).expect("a tail");
    assert_eq!(there.seq, 1);
}

#[test]
fn refuses_events_that_would_not_read_back() {
    let (_dir, _folder, mut journal) = journal();
    let deep = (0..200).fold(json!(0), |inner, _| json!([inner]));
    for (kind, body) in [
        ("", json!(0)),
        (&"k".repeat(65), json!(0)),
        ("noted", deep),
        ("noted", json!("x".repeat(MAX_BODY_BYTES))),
    ] {
        let refused = journal.append(1, DateTime::UNIX_EPOCH, &[(kind, &body)]);
        assert!(matches!(refused, Err(Error::Entry { .. })), "{refused:?}");
    }
    assert_eq!(
        note(&mut journal, &json!(1)).expect("the journal goes on")[0].seq,
        1
    );
}

#[test]
fn no_secret_gets_in_by_any_way() {
    let (dir, folder, mut journal) = journal();
    let secret = "journal/secret value";
    let plain = ["a step".to_owned()];
    let listed = crate::secret::Secret::Listed {
        name: "IN_JOURNAL".to_owned(),
        value: secret.to_owned(),
    };
    crate::secret::learn([listed], plain);
    let text = format!("said {secret} and journal%2Fsecret%20value");
    let entries = note(&mut journal, &json!({"text": text, secret: 1})).expect("an event");
    assert_eq!(
        entries[0].body,
        json!({"text": "said ${IN_JOURNAL} and ${IN_JOURNAL}", "${IN_JOURNAL}": 1})
    );
    let mut scribe = journal.scribe(Retention::default()).expect("a scribe");
    let notes = scribe.notes();
    notes.output("a step", 1, crate::journal::Stream::Stdout, 1, &text);
    notes.board("words", &text);
    let published = notes.publish(secret, secret, 1, text.as_bytes());
    let published = published.expect("an artefact");
    notes.sample(crate::journal::Sample {
        signal: text.clone(),
        at_ms: 1,
        reading: crate::journal::Reading::NoData(text.clone()),
        n: None,
    });
    scribe.flush(1, "boot", 1).expect("written");
    drop((journal, scribe));
    chain::verify(&folder).expect("a sound chain");
    let kept = std::fs::read(folder.artefacts_dir().join(published.sha256.to_string()));
    assert_eq!(
        kept.expect("there"),
        b"said ${IN_JOURNAL} and ${IN_JOURNAL}"
    );
    for entry in std::fs::read_dir(dir.path()).expect("a folder").flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        for form in [secret, "journal%2Fsecret"] {
            let found = memchr::memmem::find(&bytes, form.as_bytes());
            assert_eq!(found, None, "{}", entry.path().display());
        }
    }
}
