//! Who you are is proven and not declared: every act by every role, with the right identity and with wrong ones, over a real engine's
//! socket, by hand; and rows that somebody writes into the journal past the engine.

use cutover::engine::lease::Lease;
use cutover::engine::protocol::Answer;
use cutover::engine::{self, socket};
use cutover::journal::{Damage, Error, Folder, Follower, Journal};
use cutover::runbook::{Role, Runbook};
use cutover::session::roles::permit;
use cutover::session::{Command, Refusal};
use serde_json::{Value, json};

use crate::journal::tamper::append_by_hand;
use crate::session::permits;
use crate::support::{self, Engine};

/// The reference runbook, in which the user who runs this test is this person, and everybody else is somebody else.
fn bridge_where_i_am(me: Option<&str>) -> Runbook {
    let mut runbook = crate::session::reference();
    for person in &mut runbook.people {
        person.user = match me {
            Some(id) if id == person.id => socket::user_of_this_process(),
            _ => format!("somebody-elses-{}", person.user),
        };
    }
    runbook
}

/// A command for each act, of which none does more than write an event: what is asked here is only whether it is let through.
fn harmless() -> Vec<Command> {
    let harmless = |command| match command {
        Command::StartStep { .. } => Command::StartStep {
            step: Some("P3".to_owned()),
        },
        Command::RollBack { reason, .. } => Command::RollBack {
            reason,
            confirm: Some("another session".to_owned()),
        },
        other => other,
    };
    permits::commands().into_iter().map(harmless).collect()
}

/// Everything that a message could say about who sends it.
fn claims(runbook: &Runbook) -> Vec<Option<String>> {
    let ids = runbook.people.iter().map(|p| p.id.clone());
    let users = runbook.people.iter().map(|p| p.user.clone());
    let roles = Role::ALL.iter().map(|role| role.key().to_owned());
    let odd = ["", "root", "*", "nobody"].map(str::to_owned);
    let claims = ids.chain(users).chain(roles).chain(odd).map(Some);
    [None].into_iter().chain(claims).collect()
}

/// What the engine answers to a request that claims to be somebody's, in every place where a message could claim it.
async fn answer(folder: &Folder, claim: Option<&str>, command: &Command) -> Answer {
    let mut command = serde_json::to_value(command).expect("JSON");
    let mut request = json!({"claim": claim, "ask": {"ask": "command"}});
    if let Some(name) = claim {
        for place in [&mut command, &mut request] {
            let fields = place.as_object_mut().expect("an object");
            for field in ["by", "user", "person", "actor", "as"] {
                fields.insert(field.to_owned(), name.into());
            }
            fields.insert("uid".to_owned(), 0.into());
        }
    }
    request["ask"]["command"] = command;
    let said = support::say(folder, &json!({ "request": request }).to_string()).await;
    let said: Value = serde_json::from_str(&said).expect("JSON");
    serde_json::from_value(said["answer"].clone()).unwrap_or_else(|e| panic!("{said}: {e}"))
}

/// The names in the events after a number.
fn names_after(folder: &Folder, seq: u64) -> Vec<String> {
    let entries = Follower::open(folder).and_then(|mut f| f.poll());
    let entries = entries.expect("a sound chain");
    let new = entries.iter().filter(|e| e.seq > seq);
    new.flat_map(|entry| {
        [
            entry.body["by"].clone(),
            entry.body["signature"]["by"].clone(),
        ]
    })
    .filter_map(|name| name.as_str().map(str::to_owned))
    .collect::<std::collections::BTreeSet<_>>()
    .into_iter()
    .collect()
}

/// Asserts that every act is let through exactly where these roles may do it, whatever the message says, and in my name alone.
async fn each_act_as(me: Option<(&str, &[Role])>) -> (usize, usize) {
    let runbook = bridge_where_i_am(me.map(|(id, _)| id));
    let dir = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(dir.path(), "tonight").expect("a session's folder");
    let engine = Engine::start(&folder, &runbook, false, None).await;
    let seq = || cutover::history::session(&folder).expect("a session").seq;
    let (mut let_through, mut turned_away) = (0, 0);
    for command in harmless() {
        for claim in claims(&runbook) {
            let before = seq();
            let answer = answer(&folder, claim.as_deref(), &command).await;
            let case = format!("{command:?} as {me:?} claiming {claim:?}: {answer:?}");
            match (&answer, me) {
                (Answer::Done { .. }, Some((id, _))) => {
                    assert_eq!(names_after(&folder, before), [id], "{case}");
                }
                // The engine may have something to say of its own meanwhile; in nobody's name has anything been said.
                _ => assert_eq!(names_after(&folder, before), [""; 0], "{case}"),
            }
            let expected = me.map(|(_, roles)| permit(command.act(), roles).is_ok());
            let found = match &answer {
                Answer::Refused {
                    refusal: Refusal::NotOnBridge { user },
                } => {
                    assert_eq!(*user, socket::user_of_this_process(), "{case}");
                    None
                }
                Answer::Refused {
                    refusal: Refusal::NotAllowed { who, .. },
                } => {
                    assert_eq!(Some(who.as_str()), me.map(|(id, _)| id), "{case}");
                    Some(false)
                }
                Answer::Refused { .. } | Answer::Done { .. } => Some(true),
                other => panic!("{case}: {other:?}"),
            };
            assert_eq!(found, expected, "{case}");
            match found {
                Some(true) => let_through += 1,
                _ => turned_away += 1,
            }
        }
    }
    engine.end().await;
    (let_through, turned_away)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_act_by_every_role_over_the_socket_whatever_the_message_claims() {
    use Role::{Dba, Engineer, Qa, ReleaseManager};
    let people: [(&str, &[Role]); 4] = [
        ("robin", &[ReleaseManager]),
        // A deputy acts in both.
        ("ada", &[Engineer, ReleaseManager]),
        ("dan", &[Dba]),
        ("quinn", &[Qa]),
    ];
    for me in people {
        let (let_through, turned_away) = each_act_as(Some(me)).await;
        assert!(let_through > 0, "{me:?}");
        assert_eq!(turned_away == 0, me.1.contains(&ReleaseManager), "{me:?}");
    }
    let (let_through, turned_away) = each_act_as(None).await;
    assert!(let_through == 0 && turned_away > 0, "a stranger");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_written_into_the_journal_by_hand_is_nobodys_act() {
    let mut runbook = bridge_where_i_am(Some("dan"));
    // Whoever could not be told of something would be an event of the engine's own, which would meet the row before anybody asks.
    runbook.notify.clear();
    let dir = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(dir.path(), "tonight").expect("a session's folder");
    let engine = Engine::start(&folder, &runbook, false, None).await;
    let hash = &runbook.hash.0;
    let evidence = cutover::history::session(&folder)
        .expect("a session")
        .gates();
    let evidence = &evidence
        .iter()
        .find(|g| g.id == "K8")
        .expect("K8")
        .evidence_hash;
    let forged = format!(
        r#"{{"gate":"K8","signature":{{"by":"quinn","evidence_hash":"{evidence}","role":"qa","runbook_hash":"{hash}"}}}}"#
    );
    append_by_hand(&folder, "gate_signed", &forged);

    // Nobody believes it: not those who look, not the engine that runs, not the next one.
    let why = cutover::history::session(&folder)
        .expect_err("a row too many")
        .to_string();
    assert!(why.contains("journal"), "{why}");
    let note = Command::Note {
        text: "is somebody there?".to_owned(),
    };
    let said = json!({"request": {"ask": {"ask": "command", "command": note}}});
    let said = support::say(&folder, &said.to_string()).await;
    assert!(!said.contains("done"), "{said}");
    let beyond = |error: &Error| {
        let found = matches!(
            error,
            Error::Damaged {
                damage: Damage::BeyondHead { .. },
                ..
            }
        );
        assert!(found, "{error}");
    };
    match engine.ended_because().await {
        engine::Error::Journal(error) => beyond(&error),
        other => panic!("{other}"),
    }
    let lease = Lease::take(&folder).expect("the lease");
    beyond(&Journal::open(&folder, lease.fencing()).expect_err("the same row"));
}

/// An engine that was asked to end while its session was open is missed: nothing watches any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_ends_before_its_session_has_not_ended_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(folder.path(), "tonight").expect("a session's folder");
    let runbook = crate::session::reference();
    Engine::start(&folder, &runbook, true, None)
        .await
        .end()
        .await;
    let follower = Follower::open(&folder).expect("a journal");
    let state = follower.engine().expect("a state");
    assert!(
        matches!(state, cutover::journal::EngineState::Died { .. }),
        "{state:?}"
    );
}
