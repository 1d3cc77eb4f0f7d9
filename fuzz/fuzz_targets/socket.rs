//! The socket's messages: a request that is understood is the one that was sent, its answer can be read, and whatever a person asks for, the
//! rules answer it.
#![no_main]

use std::sync::LazyLock;

use cutover::engine::protocol::{Answer, Ask, Request};
use cutover::engine::socket::understood;
use cutover::session::{Actor, Event, Recorded, Session, decide};
use cutover_fuzz::{charter, reference};
use libfuzzer_sys::fuzz_target;

static SESSION: LazyLock<Session> = LazyLock::new(|| {
    let opened = Recorded {
        seq: 1,
        at_ms: 0,
        wall: chrono::DateTime::UNIX_EPOCH,
        event: Event::SessionOpened {
            charter: Box::new(charter(&reference())),
        },
    };
    Session::open(&opened).expect("a session")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(request)) = understood::<Request>(bytes) else {
        return;
    };
    let line = serde_json::json!({ "request": request }).to_string();
    let again = understood::<Request>(line.as_bytes()).expect("it was understood");
    assert_eq!(again.as_ref(), Some(&request));
    let Ask::Command { command } = &request.ask else {
        return;
    };
    for person in &SESSION.charter.people {
        let actor =
            Actor::identify(&SESSION.charter, "nobody", Some(&person.id)).expect("on the bridge");
        let mut session = SESSION.clone();
        match decide(&session, &actor, command) {
            Ok(events) => {
                for (n, event) in events.into_iter().enumerate() {
                    session.apply(&Recorded {
                        seq: n as u64 + 2,
                        at_ms: 1,
                        wall: chrono::DateTime::UNIX_EPOCH,
                        event,
                    });
                }
            }
            Err(refusal) => {
                let answer = Answer::Refused { refusal };
                let text = serde_json::to_string(&answer).expect("an answer is plain data");
                assert_eq!(
                    serde_json::from_str::<Answer>(&text).expect("it reads back"),
                    answer
                );
            }
        }
    }
});
