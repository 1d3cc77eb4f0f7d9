//! The guard beside an engine: whom it tells when the engine is gone, and when it keeps quiet.

use std::sync::Arc;
use std::time::Duration;

use cutover::clock;
use cutover::engine::guard;
use cutover::engine::notify::Desk;
use cutover::journal::Retention;
use cutover::runbook::action::Effect;
use cutover::runbook::{Action, Channel, Means, Occasion, Ring};
use tokio::io::DuplexStream;

use super::{Session, engine, session};
use crate::report::journal_below;
use crate::session::language::Bridge;

fn channel(id: &str, line: String, events: &[Occasion]) -> Channel {
    Channel {
        id: id.to_owned(),
        means: Means::Command(Action::new(Effect::Shell { line }, Duration::from_secs(60))),
        events: events.to_vec(),
        timeout_ms: 60_000,
    }
}

/// Stands guard beside a session until the other end of the pipe closes. Gives what was told, and what was left for the next engine.
async fn stand(session: &Session, pipe: DuplexStream, is_moot: bool) -> (String, Vec<String>) {
    let folder = &session.folder;
    let told = folder.dir().join("told");
    let line = |name: &str| format!("(echo {name}; cat) >> {}", told.display());
    let channels = [
        channel("pager", line("pager"), &Occasion::ALL),
        channel("broken", "exit 3".to_owned(), &[Occasion::Engine]),
        channel("others", line("others"), &[Occasion::Fired]),
    ];
    let desk = Desk {
        folder: folder.dir().to_owned(),
        environment: Arc::default(),
    };
    let stood = guard::stand(folder, &channels, &desk, pipe, || is_moot);
    stood.await.expect("a look");
    let told = std::fs::read_to_string(told);
    (told.unwrap_or_default(), guard::take_untold(folder))
}

/// A pipe whose other end has closed.
fn closed() -> DuplexStream {
    tokio::io::duplex(1).0
}

#[tokio::test]
async fn an_engine_that_died_is_told_of_and_who_could_not_be_told_is_left_for_the_next() {
    let session = session();
    let running = engine(&session.folder);
    let pid = running.lease.holder().pid;
    drop(running);
    let (told, untold) = stand(&session, closed(), false).await;
    let begins = format!("pager\n[tonight] The engine (process {pid}) has died");
    assert!(told.starts_with(&begins), "{told}");
    says!(
        told,
        "`cutover rollback tonight` starts one that rolls back."
    );
    assert_eq!(told.lines().count(), 2, "{told}");
    let [line] = untold.as_slice() else {
        panic!("{untold:?}")
    };
    assert!(
        line.starts_with("broken could not be told (engine): exit status: 3"),
        "{line}"
    );
    assert!(guard::take_untold(&session.folder).is_empty(), "told once");
}

#[tokio::test]
async fn of_an_orderly_end_of_a_sandbox_that_went_and_of_another_engine_nothing_is_said() {
    let nothing = (String::new(), Vec::new());
    let orderly = session();
    let running = engine(&orderly.folder);
    running.journal.finish().expect("closed");
    running.lease.release().expect("let go");
    assert_eq!(stand(&orderly, closed(), false).await, nothing);

    let sandbox = session();
    drop(engine(&sandbox.folder));
    assert_eq!(stand(&sandbox, closed(), true).await, nothing);

    let resumed = session();
    drop(engine(&resumed.folder));
    let _next = engine(&resumed.folder);
    assert_eq!(stand(&resumed, closed(), false).await, nothing);
}

#[tokio::test]
async fn an_engine_that_gives_no_sign_of_life_is_told_of_once() {
    let session = session();
    let running = engine(&session.folder);
    let mut scribe = running
        .journal
        .scribe(Retention::default())
        .expect("a scribe");
    let mut beat = |at_ms| {
        scribe
            .flush(0, &clock::boot_id(), at_ms)
            .expect("a sign of life")
    };
    beat(clock::now_ms() - 60_000);
    let told = session.folder.dir().join("told");
    let (pipe, end) = tokio::io::duplex(1);
    let wakes_up = async {
        crate::support::until("it is told", async || {
            std::fs::read_to_string(&told).is_ok_and(|text| text.ends_with("`.\n"))
        })
        .await;
        beat(clock::now_ms());
        running.lease.release().expect("let go");
        drop(end);
    };
    let ((told, _), ()) = tokio::join!(stand(&session, pipe, false), wakes_up);
    assert_eq!(told.matches("gives no sign of life").count(), 1, "{told}");
    assert!(!told.contains("has died"), "{told}");
}

/// After the end it marks the release and takes away what it put into PostgreSQL, which may take longer than an engine may be silent.
#[tokio::test]
async fn an_engine_that_lets_go_after_the_end_of_its_session_is_not_told_of() {
    let dir = tempfile::tempdir().expect("a folder");
    let ended = Bridge::rolled_back(1_000).journal;
    let over = Session {
        folder: journal_below(dir.path(), &ended),
        _dir: dir,
    };
    let goes_on = session();
    let silent = |session: &Session| {
        let running = engine(&session.folder);
        let scribe = running.journal.scribe(Retention::default());
        let beat = clock::now_ms() - 60_000;
        let flushed = scribe.expect("a scribe").flush(0, &clock::boot_id(), beat);
        flushed.expect("a sign of life");
        running
    };
    let (lets_go, hangs) = (silent(&over), silent(&goes_on));
    let told = goes_on.folder.dir().join("told");
    let (of_over, end_of_over) = tokio::io::duplex(1);
    let (of_other, end_of_other) = tokio::io::duplex(1);
    // Both guards look at the same moments.
    let both_end = async {
        crate::support::until("the other is told of", async || {
            std::fs::read_to_string(&told).is_ok_and(|text| text.ends_with("`.\n"))
        })
        .await;
        lets_go.lease.release().expect("let go");
        hangs.lease.release().expect("let go");
        drop((end_of_over, end_of_other));
    };
    let (of_over, of_other, ()) = tokio::join!(
        stand(&over, of_over, false),
        stand(&goes_on, of_other, false),
        both_end
    );
    assert_eq!(of_over, (String::new(), Vec::new()));
    says!(of_other.0, "gives no sign of life");
}

#[test]
fn a_terminal_is_nobody_a_guard_could_tell() {
    let screens = Channel {
        id: "screens".to_owned(),
        means: Means::Terminal(Ring::Bell),
        events: Occasion::ALL.to_vec(),
        timeout_ms: 1_000,
    };
    assert!(!guard::is_wanted(&[screens]));
    assert!(!guard::is_wanted(&[channel(
        "pager",
        "true".to_owned(),
        &[Occasion::Fired]
    )]));
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_any_more_is_told_of() {
    let session = session();
    drop(engine(&session.folder));
    let beside = tempfile::tempdir().expect("a folder");
    let told = beside.path().join("told");
    let channels = [channel(
        "pager",
        format!("cat >> {}", told.display()),
        &Occasion::ALL,
    )];
    let desk = Desk {
        folder: beside.path().to_owned(),
        environment: Arc::default(),
    };
    std::fs::rename(session.folder.dir(), beside.path().join("away")).expect("it goes");
    let stood = guard::stand(&session.folder, &channels, &desk, closed(), || false).await;
    assert!(stood.is_err(), "its own log has it too");
    let told = std::fs::read_to_string(told).expect("somebody was told");
    assert!(told.contains("folder cannot be read"), "{told}");
}
