//! Whatever is done to a journal's files from outside is seen, by everyone who opens it, and at the right place.
//!
//! The canonical form is written down here a second time, from its documentation: a journal must be checkable by somebody else's
//! program.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use cutover::journal::{Damage, Error, Folder, Follower, Hash, Journal, verify};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use super::{engine, session, wall};

const EVENTS: u64 = 6;

/// A finished journal of six events in three transactions, under two leases. Written once; each case gets a copy.
fn written() -> super::Session {
    static ORIGINAL: OnceLock<super::Session> = OnceLock::new();
    let original = ORIGINAL.get_or_init(|| {
        let session = session();
        engine(&session.folder).note(2);
        let mut engine = engine(&session.folder);
        engine.note(1);
        engine.note(3);
        engine.journal.finish().expect("an end");
        session
    });
    let copy = session();
    for from in [
        original.folder.journal_path(),
        original.folder.head_path(),
        original.folder.lease_path(),
    ] {
        let name = from.file_name().expect("a name");
        fs::copy(&from, copy.folder.shared_dir().join(name)).expect("a copy");
    }
    copy
}

/// A connection of somebody who knows how to take the guards off, and puts them back.
fn tamper(folder: &Folder, with: impl FnOnce(&Connection)) {
    let conn = Connection::open(folder.journal_path()).expect("the file");
    conn.pragma_update(None, "synchronous", "OFF")
        .expect("haste");
    let guards: Vec<(String, String)> = conn
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .and_then(|mut s| s.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect())
        .expect("the guards");
    assert_eq!(guards.len(), 2);
    for (name, _) in &guards {
        conn.execute_batch(&format!("DROP TRIGGER {name}"))
            .expect("no guard");
    }
    with(&conn);
    for (_, sql) in &guards {
        conn.execute_batch(sql).expect("the guard again");
    }
}

fn truncated(last_seq: u64, head_seq: u64) -> Damage {
    Damage::Truncated { last_seq, head_seq }
}

fn run(sql: &'static str) -> impl Fn(&Folder) {
    move |folder| tamper(folder, |conn| conn.execute_batch(sql).expect("the change"))
}

/// The damage that everyone who opens the journal reports; all must agree.
fn damage(folder: &Folder) -> Damage {
    let of = |who: &str, outcome: Result<(), Error>| match outcome {
        Err(Error::Damaged { damage, .. }) => damage,
        other => panic!("{who}: {other:?}"),
    };
    let by_verify = of("verify", verify(folder).map(drop));
    let by_follower = of("follower", Follower::open(folder).map(drop));
    assert_eq!(by_follower, by_verify);
    let fencing = last_fencing(folder);
    let by_engine = of("engine", Journal::open(folder, fencing).map(drop));
    assert_eq!(by_engine, by_verify);
    by_verify
}

fn last_fencing(folder: &Folder) -> u64 {
    let conn = Connection::open(folder.journal_path()).expect("the file");
    conn.query_row("SELECT max(fencing) FROM leases", [], |row| {
        row.get::<_, i64>(0)
    })
    .expect("a lease")
    .cast_unsigned()
}

#[test]
fn an_edit_of_any_field_is_found_at_its_event() {
    for seq in 1..=EVENTS {
        for (column, change) in [
            ("fencing", "fencing + 1"),
            ("at_ms", "at_ms + 1"),
            ("wall", "'2026-03-01T02:00:00.124Z'"),
            ("wall", "'yesterday'"),
            ("kind", "'step_failed'"),
            ("kind", "kind || ''''"),
            ("body", "replace(body, 'true', 'false')"),
            ("body", "body || ' '"),
            ("body", "'no JSON'"),
            ("body", "CAST(x'7bff7d' AS TEXT)"),
            ("previous", "randomblob(32)"),
            ("previous", "x''"),
            ("hash", "randomblob(32)"),
            ("hash", "x'00'"),
        ] {
            let session = written();
            tamper(&session.folder, |conn| {
                let sql = format!("UPDATE entries SET {column} = {change} WHERE seq = {seq}");
                assert_eq!(conn.execute(&sql, []).expect("the edit"), 1);
            });
            let damage = damage(&session.folder);
            let found = match damage {
                Damage::Content { seq } | Damage::HashColumn { seq } => seq,
                other => panic!("{column} of {seq}: {other:?}"),
            };
            assert_eq!(found, seq, "{column} = {change}");
            let says_hash = matches!(damage, Damage::HashColumn { .. });
            let of_32_bytes = change == "randomblob(32)";
            assert!(
                !says_hash || of_32_bytes,
                "{column} = {change} is no changed hash"
            );
        }
    }
}

#[test]
fn entries_that_go_come_or_move_are_found() {
    type Case = (&'static str, Box<dyn Fn(&Folder)>, Damage);
    let sql = |name, sql, damage| -> Case { (name, Box::new(run(sql)), damage) };
    let cases = [
        sql(
            "the first deleted",
            "DELETE FROM entries WHERE seq = 1",
            Damage::Missing { seq: 1 },
        ),
        sql(
            "one deleted",
            "DELETE FROM entries WHERE seq = 4",
            Damage::Missing { seq: 4 },
        ),
        sql(
            "the last deleted",
            "DELETE FROM entries WHERE seq = 6",
            truncated(5, 6),
        ),
        sql(
            "the last transaction deleted",
            "DELETE FROM entries WHERE seq > 3",
            truncated(3, 6),
        ),
        sql("all deleted", "DELETE FROM entries", truncated(0, 6)),
        sql(
            "two swapped",
            "UPDATE entries SET seq = -3 WHERE seq = 3; UPDATE entries SET seq = 3 WHERE seq = 4; UPDATE entries SET seq = 4 WHERE seq = -3",
            Damage::Order { seq: 3, found: 4 },
        ),
        sql(
            "one deleted and the rest moved up",
            "DELETE FROM entries WHERE seq = 3; UPDATE entries SET seq = seq - 1 WHERE seq > 3",
            Damage::Order { seq: 3, found: 4 },
        ),
        sql(
            "one moved far away",
            "UPDATE entries SET seq = 100 WHERE seq = 3",
            Damage::Missing { seq: 3 },
        ),
        sql(
            "one put in before the first",
            "INSERT INTO entries SELECT 0, fencing, at_ms, wall, kind, body, previous, hash FROM entries WHERE seq = 1",
            Damage::Extra { seq: 0 },
        ),
        sql(
            "one appended with a copied hash",
            "INSERT INTO entries SELECT 7, fencing, at_ms, wall, kind, body, previous, hash FROM entries WHERE seq = 6",
            Damage::Order { seq: 7, found: 6 },
        ),
    ];
    for (name, change, expected) in cases {
        let session = written();
        change(&session.folder);
        assert_eq!(damage(&session.folder), expected, "{name}");
    }
}

#[test]
fn forgers_who_compute_hashes_are_found() {
    let session = written();
    tamper(&session.folder, |conn| {
        rehash(
            conn,
            7,
            "INSERT INTO entries SELECT 7, fencing, at_ms, wall, 'gate_signed', body, hash, hash FROM entries WHERE seq = 6",
        );
    });
    let forged = Damage::BeyondHead {
        last_seq: 7,
        head_seq: 6,
    };
    assert_eq!(damage(&session.folder), forged, "one appended");

    let session = written();
    tamper(&session.folder, |conn| {
        rehash(
            conn,
            3,
            "UPDATE entries SET body = '{}', hash = hash WHERE seq = 3",
        );
    });
    assert_eq!(
        damage(&session.folder),
        Damage::Rewritten { seq: 3 },
        "one rewritten"
    );

    let session = written();
    tamper(&session.folder, |conn| {
        rehash_from(conn, 3, "UPDATE entries SET body = '{}' WHERE seq = 3");
    });
    assert_eq!(
        damage(&session.folder),
        Damage::HeadDiffers { seq: 6 },
        "all rewritten from one on"
    );

    let session = written();
    tamper(&session.folder, |conn| {
        rehash_from(conn, 4, "UPDATE entries SET fencing = 1 WHERE seq = 4");
    });
    assert_eq!(
        damage(&session.folder),
        Damage::Fencing { seq: 4 },
        "an older lease in the middle"
    );
}

#[test]
fn another_file_or_head_is_found() {
    let session = written();
    let folder = &session.folder;
    let older = older_copy(folder);
    engine(folder).note(2);
    replace_journal(folder, &older);
    assert_eq!(
        damage(folder),
        Damage::Truncated {
            last_seq: 6,
            head_seq: 8
        },
        "an older copy"
    );

    let session = written();
    let folder = &session.folder;
    let older = older_copy(folder);
    let older_head = fs::read(folder.head_path()).expect("a head");
    engine(folder).note(2);
    fs::write(folder.head_path(), older_head).expect("an older head");
    assert_eq!(
        damage(folder),
        Damage::BeyondHead {
            last_seq: 8,
            head_seq: 6
        },
        "an older head"
    );
    drop(older);

    for (name, head, expected) in [
        (
            "a head ahead",
            edited_head(9, &Hash::of(b"x").to_string()),
            truncated(6, 9),
        ),
        (
            "another hash in the head",
            edited_head(6, &Hash::of(b"x").to_string()),
            Damage::HeadDiffers { seq: 6 },
        ),
        (
            "another hash in an older head",
            edited_head(2, &Hash::of(b"x").to_string()),
            Damage::HeadDiffers { seq: 2 },
        ),
    ] {
        let session = written();
        fs::write(session.folder.head_path(), head).expect("another head");
        assert_eq!(damage(&session.folder), expected, "{name}");
    }

    let session = written();
    fs::remove_file(session.folder.head_path()).expect("the head");
    assert_eq!(damage(&session.folder), Damage::HeadMissing { last_seq: 6 });

    for garbage in ["", "{}", "\0\0\0", "{\"format\":1,\"head\":null}"] {
        let session = written();
        fs::write(session.folder.head_path(), garbage).expect("garbage");
        assert!(
            matches!(damage(&session.folder), Damage::HeadUnreadable { .. }),
            "{garbage:?}"
        );
    }
}

#[test]
fn tables_that_are_not_ours_are_not_written_to() {
    for sql in [
        "CREATE TRIGGER helpful AFTER INSERT ON entries BEGIN DELETE FROM leases; END",
        "DROP TABLE samples",
        "CREATE TABLE more (a)",
        "ALTER TABLE entries ADD COLUMN note TEXT",
    ] {
        let session = written();
        run(sql)(&session.folder);
        assert!(
            matches!(damage(&session.folder), Damage::File { .. }),
            "{sql}"
        );
    }
    let session = written();
    tamper_bare(&session.folder, "DROP TRIGGER entries_are_never_deleted");
    assert!(matches!(damage(&session.folder), Damage::File { .. }));
}

#[test]
fn the_guards_keep_honest_hands_from_changing_entries() {
    let session = written();
    let conn = Connection::open(session.folder.journal_path()).expect("the file");
    for sql in ["UPDATE entries SET kind = 'x'", "DELETE FROM entries"] {
        assert!(conn.execute_batch(sql).is_err(), "{sql}");
    }
    verify(&session.folder).expect("nothing was changed");
}

#[test]
fn files_that_are_no_journal_of_this_version_are_told_apart() {
    let newer = written();
    tamper_bare(&newer.folder, "PRAGMA user_version = 2");
    assert!(matches!(
        verify(&newer.folder),
        Err(Error::Newer { found: 2, .. })
    ));
    assert!(matches!(
        Journal::open(&newer.folder, 2),
        Err(Error::Newer { found: 2, .. })
    ));

    let missing = session();
    assert!(matches!(
        verify(&missing.folder),
        Err(Error::Missing { .. })
    ));

    let other = session();
    Connection::open(other.folder.journal_path())
        .and_then(|conn| conn.execute_batch("CREATE TABLE tools (id)"))
        .expect("another database");
    assert!(matches!(
        verify(&other.folder),
        Err(Error::NotAJournal { .. })
    ));

    let garbage = session();
    fs::write(garbage.folder.journal_path(), "not SQLite\n".repeat(1000)).expect("garbage");
    assert!(matches!(
        verify(&garbage.folder),
        Err(Error::NotAJournal { .. })
    ));

    let emptied = written();
    remove_log(&emptied.folder);
    fs::write(emptied.folder.journal_path(), "").expect("an empty file");
    assert!(verify(&emptied.folder).is_err());
    let fencing = cutover::journal::count_lease(&emptied.folder, &serde_json::json!({}));
    let reopened = Journal::open(&emptied.folder, fencing.expect("a lease"));
    let Err(Error::Damaged { damage, .. }) = reopened else {
        panic!("an emptied journal was taken for a new one")
    };
    assert_eq!(
        damage,
        Damage::Truncated {
            last_seq: 0,
            head_seq: 6
        }
    );
}

#[test]
fn pages_that_were_overwritten_never_verify_silently_as_more_than_was_written() {
    let session = written();
    let folder = &session.folder;
    let honest = verify(folder).expect("a sound chain");
    remove_log(folder);
    let bytes = fs::read(folder.journal_path()).expect("the file");
    for page in 0..bytes.len() / 4096 {
        let mut broken = bytes.clone();
        broken[page * 4096 + 8..page * 4096 + 2048].fill(0xA5);
        fs::write(folder.journal_path(), broken).expect("a broken page");
        // A page of another table may break without touching the chain; then every entry is there.
        if let Ok(verified) = verify(folder) {
            assert_eq!(verified.entries, honest.entries, "page {page}");
        }
    }
    fs::write(folder.journal_path(), &bytes[..bytes.len() / 2]).expect("a cut file");
    assert!(verify(folder).is_err(), "half a file");
}

#[test]
fn tampering_under_a_living_engine_and_follower_stops_both() {
    let session = session();
    let folder = &session.folder;
    let mut engine = engine(folder);
    engine.note(3);
    let mut follower = Follower::open(folder).expect("a follower");
    assert_eq!(follower.poll().expect("a sound chain").len(), 3);
    tamper(folder, |conn| {
        conn.execute("DELETE FROM entries WHERE seq = 3", [])
            .expect("a deletion");
    });
    let gone = truncated(2, 3);
    let Err(Error::Damaged { damage, .. }) = follower.poll() else {
        panic!("the follower went on")
    };
    assert_eq!(damage, gone);
    let body = serde_json::json!(0);
    let Err(Error::Damaged { damage, .. }) = engine.journal.append(1, wall(), &[("x", &body)])
    else {
        panic!("the engine went on")
    };
    assert_eq!(damage, gone);
    assert!(
        engine.journal.append(1, wall(), &[("x", &body)]).is_err(),
        "and does not write again"
    );
}

#[test]
fn a_file_put_in_place_under_a_living_engine_stops_it() {
    let session = session();
    let folder = &session.folder;
    let mut engine = engine(folder);
    engine.note(2);
    let mut follower = Follower::open(folder).expect("a follower");
    follower.poll().expect("a sound chain");
    let copy = older_copy(folder);
    engine.note(2);
    replace_journal(folder, &copy);
    let body = serde_json::json!(0);
    assert!(matches!(
        engine.journal.append(1, wall(), &[("x", &body)]),
        Err(Error::Damaged {
            damage: Damage::File { .. },
            ..
        })
    ));
    assert!(matches!(follower.poll(), Err(Error::Damaged { .. })));
}

/// A change that leaves the guards as they are.
fn tamper_bare(folder: &Folder, sql: &str) {
    Connection::open(folder.journal_path())
        .and_then(|conn| conn.execute_batch(sql))
        .expect("the change");
}

fn edited_head(seq: u64, hash: &str) -> String {
    format!(r#"{{"format":1,"head":{{"seq":{seq},"hash":"{hash}"}},"pending":null}}"#)
}

/// A complete copy of the journal as it is now.
fn older_copy(folder: &Folder) -> PathBuf {
    let copy = folder.dir().join("copy.db");
    let conn = Connection::open(folder.journal_path()).expect("the file");
    conn.execute("VACUUM INTO ?1", [copy.to_str().expect("a path")])
        .expect("a copy");
    copy
}

fn replace_journal(folder: &Folder, with: &PathBuf) {
    remove_log(folder);
    fs::rename(with, folder.journal_path()).expect("another file in its place");
}

/// What a quiet moment leaves: everything in the file, no log beside it.
fn remove_log(folder: &Folder) {
    let conn = Connection::open(folder.journal_path()).expect("the file");
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("a checkpoint");
    drop(conn);
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(folder.shared_dir().join(format!("journal.db{end}")));
    }
}

/// Appends an entry as the engine would, but by hand: with the guards back in place, and with the hash that belongs to it.
pub fn append_by_hand(folder: &Folder, kind: &str, body: &str) {
    tamper(folder, |conn| {
        let last: i64 = conn
            .query_row("SELECT max(seq) FROM entries", [], |row| row.get(0))
            .expect("an entry");
        conn.execute(
            "INSERT INTO entries SELECT ?1 + 1, fencing, at_ms, wall, ?2, ?3, hash, hash FROM entries WHERE seq = ?1",
            params![last, kind, body],
        )
        .expect("a row");
        rehash(conn, last + 1, "");
    });
}

/// Runs `sql` and gives the entry `seq` the hash that belongs to it.
fn rehash(conn: &Connection, seq: i64, sql: &str) {
    conn.execute_batch(sql).expect("the change");
    let hash = conn
        .query_row(
            "SELECT at_ms, body, fencing, kind, previous, seq, wall FROM entries WHERE seq = ?1",
            [seq],
            |row| {
                let previous: Vec<u8> = row.get(4)?;
                let previous: String = previous.iter().map(|b| format!("{b:02x}")).collect();
                let line = format!(
                    r#"{{"at_ms":{},"body":{},"fencing":{},"format":1,"kind":"{}","previous":"{previous}","seq":{},"wall":"{}"}}"#,
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, i64>(2)?,
                    row.get::<_, String>(3)?,
                    row.get::<_, i64>(5)?,
                    row.get::<_, String>(6)?,
                );
                Ok(Sha256::digest(line.as_bytes()).to_vec())
            },
        )
        .expect("the entry");
    conn.execute(
        "UPDATE entries SET hash = ?1 WHERE seq = ?2",
        params![hash, seq],
    )
    .expect("its hash");
}

/// [`rehash`] for `seq` and everything after it: a whole chain of one's own.
fn rehash_from(conn: &Connection, seq: i64, sql: &str) {
    rehash(conn, seq, sql);
    for later in seq + 1..=EVENTS.cast_signed() {
        rehash(
            conn,
            later,
            &format!(
                "UPDATE entries SET previous = (SELECT hash FROM entries WHERE seq = {later} - 1) WHERE seq = {later}"
            ),
        );
    }
}
