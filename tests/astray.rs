//! An engine that begins where the databases are not those of its session any more: it does not, unless it is to roll back.

use std::path::Path;

use cutover::engine::lease::Lease;
use cutover::engine::ledger::to_entry;
use cutover::engine::protocol::{Answer, Ask, Request};
use cutover::engine::{Error, socket};
use cutover::journal::{Folder, Journal, verify};
use cutover::runbook::Runbook;
use cutover::session::{Command, Event, Phase, Refusal, RollbackCause, Session};
use tempfile::TempDir;

use crate::support::Engine;

fn database(path: &Path) {
    crate::support::sqlite(path, "CREATE TABLE t (id integer PRIMARY KEY)");
}

/// A session that an engine has opened on a SQLite file, and left.
async fn opened() -> (TempDir, Folder, Runbook) {
    let root = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(root.path(), "tonight").expect("a session's folder");
    let mut runbook = crate::session::reference();
    runbook.source.file = root.path().join("app.db");
    database(&runbook.source.file);
    Engine::start(&folder, &runbook, true, None)
        .await
        .end()
        .await;
    (root, folder, runbook)
}

/// Another file has the name of the source from here on.
fn replace(runbook: &Runbook) {
    let other = runbook.source.file.with_extension("new");
    database(&other);
    std::fs::rename(&other, &runbook.source.file).expect("it is replaced");
}

fn session(folder: &Folder) -> Session {
    cutover::history::session(folder).expect("a session")
}

async fn ask(folder: &Folder, command: Command) -> Answer {
    let request = Request {
        ask: Ask::Command { command },
        claim: Some("release_manager".to_owned()),
    };
    socket::send(folder, &request).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_engine_begins_on_another_file_than_that_of_the_opening() {
    let (_root, folder, runbook) = opened().await;
    replace(&runbook);
    let before = verify(&folder).expect("a chain").entries.len();
    let refused = Engine::refuses(&folder, &runbook).await;
    assert!(
        matches!(refused, Error::OtherDatabases { .. }),
        "{refused:?}"
    );
    let why = refused.to_string();
    for part in [
        "app.db is another file (device ",
        "neither database was touched",
        "`cutover rollback tonight`",
    ] {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!(verify(&folder).expect("a chain").entries.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_to_roll_back_begins_and_does_nothing_else() {
    let (_root, folder, runbook) = opened().await;
    replace(&runbook);
    let engine = Engine::start_to_roll_back(&folder, &runbook).await;
    let notes = session(&folder).notes;
    assert!(
        notes
            .iter()
            .any(|(_, _, text)| text.contains("is another file")),
        "{notes:?}"
    );
    let refused = ask(&folder, Command::StartStep { step: None }).await;
    assert!(
        matches!(
            refused,
            Answer::Refused {
                refusal: Refusal::OnlyRollsBack
            }
        ),
        "{refused:?}"
    );
    let rollback = Command::RollBack {
        reason: "another file is there".to_owned(),
        confirm: Some(folder.session()),
    };
    let answer = ask(&folder, rollback).await;
    assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    engine.ended_in_order().await;
    assert_eq!(session(&folder).phase, Phase::RolledBack);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_is_under_way_goes_on() {
    let (_root, folder, runbook) = opened().await;
    let lease = Lease::take(&folder).expect("the lease");
    let (mut journal, _) = Journal::open(&folder, lease.fencing()).expect("the journal");
    let (kind, body) = to_entry(&Event::RollbackStarted {
        cause: RollbackCause::Person {
            by: "robin".to_owned(),
        },
        reason: "a test".to_owned(),
    });
    let wall = chrono::Utc::now();
    journal
        .append(session(&folder).at_ms, wall, &[(&kind, &body)])
        .expect("the event");
    drop(journal);
    lease.release().expect("it is free");
    replace(&runbook);
    Engine::runs_to_its_end(&folder, &runbook).await;
    assert_eq!(session(&folder).phase, Phase::RolledBack);
}

/// Steps look themselves at a file that is not there; nothing says that it is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_looked_at_is_told_of() {
    let (_root, folder, runbook) = opened().await;
    std::fs::remove_file(&runbook.source.file).expect("it is gone");
    let engine = Engine::start(&folder, &runbook, true, None).await;
    let notes = session(&folder).notes;
    assert!(
        notes
            .iter()
            .any(|(_, _, text)| text.contains("cannot be looked at")),
        "{notes:?}"
    );
    engine.end().await;
}
