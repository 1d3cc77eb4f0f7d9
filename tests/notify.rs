//! People who are not looking are told: each thing once, by real servers and real programs, and what could not be told is said.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use cutover::engine::Input;
use cutover::engine::notify::{Desk, Notifier};
use cutover::runbook::action::Effect;
use cutover::runbook::{Action, Channel, Means, Occasion};
use cutover::session::live::TriggerView;
use cutover::session::notice::{Notice, Notices};
use cutover::session::{Event, Outcome, Recorded, Session, TriggerPhase};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::fleet::instance::{Reply, Server};
use crate::support;

/// Whatever is waited for comes within this time, or the test fails.
const DEADLINE: Duration = Duration::from_secs(120);
/// A channel that answers does so within this time, however busy the machine is.
const LONG_MS: i64 = 60_000;

/// A chat: what was posted to it, each with its authorisation.
async fn chat() -> (String, Arc<Mutex<Vec<(String, Value)>>>) {
    let posted = Arc::new(Mutex::new(Vec::new()));
    let kept = posted.clone();
    let hook = move |headers: HeaderMap, body: axum::Json<Value>| async move {
        let header = headers.get("authorization").map(|v| v.as_bytes().to_vec());
        let header = String::from_utf8(header.unwrap_or_default()).expect("text");
        kept.lock().expect("a lock").push((header, body.0));
        StatusCode::NO_CONTENT
    };
    let app = axum::Router::new().route("/hook", axum::routing::post(hook));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!(
        "http://{}/hook",
        listener.local_addr().expect("its address")
    );
    tokio::spawn(async move { axum::serve(listener, app).await.expect("serving") });
    (url, posted)
}

fn webhook(id: &str, url: &str, events: &[Occasion]) -> Channel {
    Channel {
        id: id.to_owned(),
        means: Means::Webhook {
            url: url.to_owned(),
            headers: vec![("authorization".to_owned(), "Bearer token".to_owned())],
        },
        events: events.to_vec(),
        timeout_ms: LONG_MS,
    }
}

fn shell(id: &str, line: &str) -> Channel {
    Channel {
        id: id.to_owned(),
        means: Means::Command(Action::new(
            Effect::Shell {
                line: line.to_owned(),
            },
            Duration::from_millis(LONG_MS.unsigned_abs()),
        )),
        events: Occasion::ALL.to_vec(),
        timeout_ms: LONG_MS,
    }
}

fn notifier(channels: &[Channel]) -> (Notifier, mpsc::UnboundedReceiver<Input>) {
    let (inputs, received) = mpsc::unbounded_channel();
    let mut environment = cutover::action::Environment::default();
    environment.secrets = vec![("TOKEN".to_owned(), "pager-secret".to_owned())];
    let desk = Desk {
        folder: std::env::temp_dir(),
        environment: Arc::new(environment),
    };
    (
        Notifier::start(channels, "tonight", &desk, inputs),
        received,
    )
}

fn notice(occasion: Occasion) -> Notice {
    Notice {
        occasion,
        text: "T3b fired: 5xx 2 %.".to_owned(),
        act: "Roll back.".to_owned(),
        roles: Vec::new(),
    }
}

async fn untold(received: &mut mpsc::UnboundedReceiver<Input>) -> String {
    match tokio::time::timeout(DEADLINE, received.recv()).await {
        Ok(Some(Input::Untold { text })) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_chat_and_a_pager_are_told_what_they_are_for() {
    let (url, posted) = chat().await;
    let folder = tempfile::tempdir().expect("a folder");
    let paged = folder.path().join("paged");
    let line = format!(
        "(echo \"$CUTOVER_EVENT $TOKEN\"; cat) >> {}",
        paged.display()
    );
    let channels = [
        webhook("chat", &url, &[Occasion::Fired]),
        shell("pager", &line),
    ];
    let (mut notifier, mut received) = notifier(&channels);
    notifier.tell(&notice(Occasion::Blind));
    notifier.tell(&notice(Occasion::Fired));
    notifier.end(DEADLINE).await;
    drop(notifier);
    let posted = posted.lock().expect("a lock").clone();
    let [(header, json)] = posted.as_slice() else {
        panic!("{posted:?}")
    };
    assert_eq!(header, "Bearer token");
    assert_eq!(json["text"], "[tonight] T3b fired: 5xx 2 %. Roll back.");
    assert_eq!(json["event"], "fired");
    assert_eq!(json["do"], "Roll back.");
    let said = "[tonight] T3b fired: 5xx 2 %. Roll back.\n";
    assert_eq!(
        std::fs::read_to_string(&paged).expect("paged"),
        format!("blind pager-secret\n{said}fired pager-secret\n{said}")
    );
    assert!(received.recv().await.is_none(), "everybody was told");
}

#[tokio::test]
async fn what_could_not_be_told_is_said_and_nobody_waits_for_it() {
    let (url, posted) = chat().await;
    let server = Server::start("chat").await;
    server.set("/secret-path", Reply::Silence);
    server.text("/broken", 500, "no");
    let at = |path: &str| format!("{}{path}", server.instance.url);
    let channels = [
        Channel {
            timeout_ms: 500,
            ..webhook("slow", &at("/secret-path"), &Occasion::ALL)
        },
        webhook("broken", &at("/broken"), &Occasion::ALL),
        shell("pager", "echo \"$TOKEN is wrong\" >&2; exit 7"),
        webhook("chat", &url, &Occasion::ALL),
    ];
    let (notifier, mut received) = notifier(&channels);
    notifier.tell(&notice(Occasion::Fired));
    support::until("the chat has it", async || {
        !posted.lock().expect("a lock").is_empty()
    })
    .await;
    let mut said = Vec::new();
    while said.len() < 3 {
        said.push(untold(&mut received).await);
    }
    said.sort();
    let begins = [
        "broken could not be told (fired): it answered 500",
        "pager could not be told (fired): exit status: 7: ${TOKEN} is wrong.",
        "slow could not be told (fired): no answer within 500 ms.",
    ];
    for (text, begin) in said.iter().zip(begins) {
        assert!(text.starts_with(begin), "{text}");
        assert!(text.ends_with("T3b fired: 5xx 2 %."), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(server.asked("/broken"), 3, "three attempts");
    assert_eq!(posted.lock().expect("a lock").len(), 1);
}

#[tokio::test]
async fn more_than_a_channel_can_take_is_said_at_once() {
    let server = Server::start("chat").await;
    server.set("/hook", Reply::Silence);
    let url = format!("{}/hook", server.instance.url);
    let (notifier, mut received) = notifier(&[webhook("chat", &url, &Occasion::ALL)]);
    for _ in 0..100 {
        notifier.tell(&notice(Occasion::Fired));
    }
    let text = untold(&mut received).await;
    assert!(text.contains("64 others wait before it"), "{text}");
}

/// A session on the reference runbook, and what is told of it.
struct Night {
    session: Session,
    notices: Notices,
    told: Vec<Notice>,
}

impl Night {
    fn begin() -> Night {
        let charter = crate::trigger::charter(&crate::trigger::reference(), 1.0);
        let opened = Event::SessionOpened {
            charter: Box::new(charter),
        };
        let session = Session::open(&recorded(1, 0, opened)).expect("a session");
        Night {
            notices: Notices::begin(&session, 0),
            session,
            told: Vec::new(),
        }
    }

    fn happens(&mut self, at_ms: i64, event: Event) {
        let entry = recorded(self.session.seq + 1, at_ms, event);
        self.session.apply(&entry);
        let told = self.notices.take_event(&self.session, &entry);
        self.told.extend(told);
    }

    fn looks(&mut self, at_ms: i64, triggers: &[TriggerView]) {
        let told = self.notices.observe(&self.session, triggers, at_ms);
        self.told.extend(told);
    }

    /// What was told of this kind since the last time.
    fn told(&mut self, occasion: Occasion) -> Vec<String> {
        let told = std::mem::take(&mut self.told);
        let of_kind = told.into_iter().filter(|n| n.occasion == occasion);
        of_kind.map(|n| format!("{} {}", n.text, n.act)).collect()
    }
}

fn recorded(seq: u64, at_ms: i64, event: Event) -> Recorded {
    Recorded {
        seq,
        at_ms,
        wall: chrono::DateTime::UNIX_EPOCH,
        event,
    }
}

fn started(step: &str) -> Event {
    Event::StepStarted {
        step: step.to_owned(),
        attempt: 1,
        by: None,
    }
}

fn engine() -> Event {
    Event::EngineStarted {
        pid: 7,
        version: "0".to_owned(),
        boot_id: "boot".to_owned(),
        boot_ms: 0,
    }
}

fn view(id: &str, phase: TriggerPhase, streak_ms: i64) -> TriggerView {
    TriggerView {
        id: id.to_owned(),
        armed: true,
        phase,
        streak_ms,
        full_ms: 300_000,
        reason: "5xx 2 %".to_owned(),
    }
}

#[test]
fn a_signature_is_asked_for_once_and_not_again_by_the_next_engine() {
    let mut night = Night::begin();
    night.happens(0, engine());
    night.looks(1_000, &[]);
    let told = night.told(Occasion::Signature);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("K8 waits for the signature of: release manager, engineer, QA."));
    night.looks(2_000, &[]);
    assert!(night.told(Occasion::Signature).is_empty());
    night.notices = Notices::begin(&night.session, 3_000);
    night.happens(3_000, engine());
    let told = night.told(Occasion::Engine);
    assert!(
        told[0].starts_with("The engine was gone and is back (process 7)."),
        "{told:?}"
    );
    night.looks(4_000, &[]);
    assert!(night.told(Occasion::Signature).is_empty());
}

#[test]
fn burning_past_half_is_told_once_until_it_is_clear_and_blind_is_not_clear() {
    use TriggerPhase::{Blind, Burning, Clear};
    let mut night = Night::begin();
    night.looks(0, &[view("T3b", Burning, 149_000)]);
    assert!(night.told(Occasion::Burning).is_empty());
    let half = [
        view("T3b", Burning, 150_000),
        view("T1a.app-1", Burning, 200_000),
    ];
    night.looks(1_000, &half);
    assert_eq!(night.told(Occasion::Burning).len(), 2);
    night.looks(
        2_000,
        &[
            view("T3b", Blind, 160_000),
            view("T1a.app-2", Burning, 200_000),
        ],
    );
    assert!(night.told.is_empty(), "{:?}", night.told);
    night.looks(
        3_000,
        &[view("T3b", Clear, 0), view("T1a.app-2", Burning, 200_000)],
    );
    assert_eq!(
        night.told(Occasion::AllClear),
        ["T3b is clear again. Nothing has to be done now."]
    );
    night.looks(4_000, &[view("T3b", Burning, 150_000)]);
    assert_eq!(night.told(Occasion::Burning).len(), 1);
}

#[test]
fn of_several_triggers_that_fire_the_first_is_told_and_so_is_the_end() {
    let mut night = Night::begin();
    night.happens(0, started("F2"));
    let fired = |trigger: &str| Event::TriggerFired {
        trigger: trigger.to_owned(),
        reason: "5xx 2 %".to_owned(),
    };
    night.happens(1_000, fired("T3b"));
    night.happens(1_000, fired("T3a"));
    let told = night.told(Occasion::Fired);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("by itself in 0:30; `cutover rollback scenario`"),
        "{told:?}"
    );
    night.happens(
        2_000,
        Event::AlarmRaised {
            text: "T3a is blind: no sample yet".to_owned(),
            blind: Some("T3a".to_owned()),
        },
    );
    night.happens(
        2_000,
        Event::AlarmRaised {
            text: "chat is blind: no".to_owned(),
            blind: None,
        },
    );
    assert_eq!(night.told(Occasion::Blind).len(), 1);
    night.happens(3_000, Event::RolledBack { healthy: true });
    assert_eq!(night.told(Occasion::RolledBack).len(), 1);
}

#[test]
fn a_freeze_near_its_limit_is_told_once() {
    let mut night = Night::begin();
    night.happens(0, started("A1"));
    night.looks(35 * 60_000, &[]);
    assert!(night.told(Occasion::Freeze).is_empty());
    night.looks(36 * 60_000, &[]);
    night.looks(37 * 60_000, &[]);
    let told = night.told(Occasion::Freeze);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("Writes have been stopped for 36:00 of the agreed 45:00."),
        "{told:?}"
    );
}

#[test]
fn a_step_that_failed_for_good_is_told_once_for_each_attempt() {
    let mut night = Night::begin();
    let failed = |attempt| Event::StepFinished {
        step: "P1".to_owned(),
        attempt,
        outcome: Outcome::failed("the chat is gone"),
    };
    night.happens(0, started("P1"));
    night.looks(0, &[]);
    assert!(night.told(Occasion::Decision).is_empty());
    night.happens(1_000, failed(1));
    night.looks(1_000, &[]);
    night.looks(2_000, &[]);
    let told = night.told(Occasion::Decision);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("P1 needs a decision. P1 FAILED: the chat is gone."),
        "{told:?}"
    );
    night.happens(
        3_000,
        Event::StepStarted {
            step: "P1".to_owned(),
            attempt: 2,
            by: None,
        },
    );
    night.happens(4_000, failed(2));
    night.looks(4_000, &[]);
    assert_eq!(night.told(Occasion::Decision).len(), 1);
}
