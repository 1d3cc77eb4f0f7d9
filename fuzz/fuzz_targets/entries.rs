//! Journal entries: a chain that reads as whole is, to the character, what is written of it; an event that is read back is the one that was
//! written; and whatever events follow upon each other, the state and what is due of it come to an end.
#![no_main]

use std::sync::LazyLock;

use cutover::journal::lines;
use cutover::session::advice::next_action;
use cutover::session::confidence::confidence;
use cutover::session::due::due;
use cutover::session::words;
use cutover::session::{Charter, Event, Recorded, Session};
use cutover_fuzz::{charter, reference};
use libfuzzer_sys::fuzz_target;

static CHARTER: LazyLock<Charter> = LazyLock::new(|| charter(&reference()));
/// More than any session has to do by itself at one moment.
const DUE_LIMIT: usize = 1_000;

fuzz_target!(|bytes: &[u8]| {
    match lines::read(bytes) {
        Ok(whole) => assert_eq!(lines::write(&whole.entries).as_bytes(), bytes),
        Err(damage) => {
            let count = bytes.split_inclusive(|b| *b == b'\n').count() as u64;
            assert!(
                (1..=count + 1).contains(&lines::place(&damage)),
                "{damage:?} of {count} lines"
            );
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let opened = Recorded {
        seq: 1,
        at_ms: 0,
        wall: chrono::DateTime::UNIX_EPOCH,
        event: Event::SessionOpened {
            charter: Box::new(CHARTER.clone()),
        },
    };
    let mut session = Session::open(&opened).expect("a session");
    for (n, line) in text.lines().enumerate() {
        let Ok(fields) = serde_json::from_str::<serde_json::Value>(line) else {
            continue;
        };
        let (kind, at_ms) = (
            fields["kind"].as_str().unwrap_or_default(),
            fields["at_ms"].as_i64(),
        );
        let body = fields["body"].clone();
        let wall = chrono::DateTime::UNIX_EPOCH;
        let at_ms = at_ms.unwrap_or(session.at_ms);
        let Ok(recorded) = Recorded::read(n as u64 + 2, at_ms, wall, kind, body) else {
            continue;
        };
        let (kind, body) = recorded.event.parts();
        let back = Recorded::read(recorded.seq, at_ms, wall, &kind, body).expect("it reads back");
        // A number that is none, such as NaN, equals nothing; as text it does.
        assert_eq!(format!("{back:?}"), format!("{recorded:?}"));
        session.apply(&recorded);
        let _ = words::words(&recorded.event);
    }
    // What screens and reports ask of the state.
    assert!(confidence(&session).score <= 100);
    for at_ms in [0, session.at_ms] {
        assert!(!next_action(&session, at_ms).sentence.is_empty());
    }
    let (_, _) = (session.gates(), session.first_undo_after_ms());
    let mut seq = session.seq;
    for _ in 0..DUE_LIMIT {
        let events = due(&session, session.at_ms);
        if events.is_empty() {
            return;
        }
        for event in events {
            seq = seq.saturating_add(1);
            session.apply(&Recorded {
                seq,
                event,
                ..opened.clone()
            });
        }
    }
    panic!("what is due never ends");
});
