//! Events that no engine writes, one after the other as they stand in `hostile.jsonl`: what can be read is folded in, and everything that
//! screens and reports ask of the state has an answer. A time that no session can have is not read.

use cutover::session::advice::next_action;
use cutover::session::confidence::confidence;
use cutover::session::due::due;
use cutover::session::words::words;
use cutover::session::{Event, Recorded, Session};
use serde_json::Value;

fn read(seq: u64, line: &Value) -> Result<Recorded, serde_json::Error> {
    let kind = line["kind"].as_str().expect("a kind");
    let at_ms = line["at_ms"].as_i64().expect("a time");
    let wall = chrono::DateTime::UNIX_EPOCH;
    Recorded::read(seq, at_ms, wall, kind, line["body"].clone())
}

#[test]
fn whatever_is_recorded_the_state_has_an_answer() {
    let path = super::folder().join("hostile.jsonl");
    let text = std::fs::read_to_string(path).expect("the events");
    let opened = Recorded {
        seq: 1,
        at_ms: 0,
        wall: chrono::DateTime::UNIX_EPOCH,
        event: Event::SessionOpened {
            charter: Box::new(super::charter()),
        },
    };
    let mut session = Session::open(&opened).expect("a session");
    let mut unread = Vec::new();
    for (seq, line) in (2..).zip(text.lines()) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        match read(seq, &line) {
            Ok(recorded) => {
                let _ = words(&recorded.event);
                session.apply(&recorded);
            }
            Err(why) => unread.push(why.to_string()),
        }
        for at_ms in [0, session.at_ms] {
            let _ = due(&session, at_ms);
            assert!(!next_action(&session, at_ms).sentence.is_empty());
        }
        assert!(confidence(&session).score <= 100);
        let (_, _) = (session.gates(), session.first_undo_after_ms());
    }
    assert_eq!(unread.len(), 4, "{unread:?}");
    assert!(unread[0].contains("no time of a session"), "{unread:?}");
}
