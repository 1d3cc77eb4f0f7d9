//! Starting an engine that no terminal can end, and what is said when it does not start.

use std::process::Command;
use std::time::Duration;

use cutover::engine::lease::Lease;
use cutover::engine::{detach, socket};
use cutover::journal::is_engine_alive;
use rustix::process::{Pid, Signal, getsid, kill_process};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{child, session};

const ENGINE: &str = "journal::detach::child_is_an_engine";

/// The log of an engine may lie on a full disk.
#[tokio::test]
async fn the_last_words_of_an_engine_come_by_a_pipe() {
    let session = session();
    let mut command = Command::new("sh");
    command.args(["-c", "echo 'no room in the journal'; exit 3"]);
    let ended = detach::spawn_command(&session.folder, command).await;
    let said = ended.expect_err("it ended").to_string();
    assert!(said.contains("no room in the journal"), "{said}");
}

#[tokio::test]
async fn child_is_an_engine() {
    let Some(folder) = child::asked_for(ENGINE) else {
        return;
    };
    detach::leave_terminal().expect("a session of its own");
    detach::leave_terminal().expect("which it leads");
    let lease = match Lease::take(&folder) {
        Ok(lease) => lease,
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(1)
        }
    };
    let cancel = CancellationToken::new();
    let mut calls = socket::serve::<String, String>(&folder, &lease, cancel).expect("a socket");
    // Nobody asks when the test that started it has failed.
    if let Ok(Some(call)) = timeout(Duration::from_secs(120), calls.recv()).await {
        call.answer("ending".to_owned());
    }
    socket::ping(&folder).await.expect("the answer is out");
}

#[tokio::test]
async fn it_runs_in_a_session_of_its_own_and_is_found_by_the_second_starter() {
    let session = session();
    let folder = &session.folder;
    let starters = (0..2).map(|_| detach::spawn_command(folder, child::command(ENGINE, folder)));
    let started = futures_util::future::join_all(starters).await;
    let pids: Vec<_> = started
        .into_iter()
        .map(|one| one.expect("an engine").pid)
        .collect();
    assert_eq!(pids[0], pids[1], "both found the same engine");
    let engine = Pid::from_raw(pids[0].cast_signed()).expect("a process");
    assert_eq!(getsid(Some(engine)), Ok(engine), "it leads its own session");
    let answer: String = socket::send(folder, &"end").await.expect("an answer");
    assert_eq!(answer, "ending");
    // It may have ended by itself already, and the slower of the two begun in its place.
    let _ = kill_process(engine, Signal::KILL);
    while is_engine_alive(folder).expect("a look") {
        if let Ok(next) = socket::ping(folder).await {
            let next = Pid::from_raw(next.pid.cast_signed()).expect("a process");
            let _ = kill_process(next, Signal::KILL);
        }
    }
}

#[tokio::test]
async fn one_that_dies_at_once_leaves_its_last_words() {
    let session = session();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "echo 'runbook.yaml:3:1: unknown key' >&2; printf '\\033[2Jgone\\n'; exit 3",
    ]);
    let e = detach::spawn_command(&session.folder, command)
        .await
        .expect_err("no engine");
    let detach::Error::Died {
        status, log_tail, ..
    } = &e
    else {
        panic!("{e:?}")
    };
    assert_eq!(status.code(), Some(3));
    assert_eq!(
        log_tail,
        &["runbook.yaml:3:1: unknown key", "\\u{1b}[2Jgone"]
    );
    assert!(e.to_string().contains("unknown key"));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let session = session();
    let e = detach::spawn_command(&session.folder, Command::new("/nowhere/cutover"))
        .await
        .expect_err("no engine");
    assert!(e.to_string().contains("/nowhere/cutover"), "{e}");
}
