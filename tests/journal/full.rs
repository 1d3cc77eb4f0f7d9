//! The session's disk is full, for real: a small tmpfs in a mount namespace of its own, so that it goes with its process. Events go to the
//! spare folder or stay in memory, a rollback begins and ends, and all of it is in the journal once there is room.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cutover::engine::protocol::{Answer, Ask, Request};
use cutover::engine::socket;
use cutover::journal::{Error, Folder, Journal, Reserve, Spare, verify};
use cutover::runbook::Runbook;
use cutover::session::{Command as Act, Phase, Refusal};
use serde_json::{Value, json};
use tracing::span;

use super::{child, engine, wall};
use crate::support;

/// Runs a hidden test on a session's folder on a disk of 8 MiB. `None` where nobody may mount one.
fn on_a_small_disk(role: &str) -> Option<String> {
    // The spare folder beside it is on no disk that others make slow.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let dir = dir.expect("a folder");
    let disk = dir.path().join("disk");
    std::fs::create_dir_all(disk.join("tonight")).expect("a folder");
    std::fs::create_dir(dir.path().join("spare")).expect("a folder");
    let folder = Folder::create_at(&disk.join("tonight")).expect("a session's folder");
    let inner = child::command(role, &folder);
    // The folder was made on the disk below; the one that is mounted over it is empty.
    let script = "mount -t tmpfs -o size=8m tmpfs \"$0\" && exec \"$@\"";
    let mount = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script]);
        command.arg(&disk);
        command
    };
    if !mount("mount -t tmpfs tmpfs \"$0\"")
        .status()
        .is_ok_and(|s| s.success())
    {
        println!(
            "NOT RUN: this machine lets nobody mount a tmpfs in a namespace, so that there is no small disk to fill"
        );
        return None;
    }
    let mut command = mount(script);
    command.arg(inner.get_program()).args(inner.get_args());
    let envs = inner.get_envs();
    command.envs(envs.filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text + &String::from_utf8_lossy(&output.stderr))
}

/// Takes all the room that is left.
fn fill(folder: &Folder) -> PathBuf {
    let path = folder.dir().parent().expect("the disk").join("other");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .expect("a file");
    for size in [64 * 1024, 4096, 512, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    path
}

fn spare_folder(folder: &Folder) -> PathBuf {
    let disk = folder.dir().parent().expect("the disk");
    disk.parent().expect("a folder").join("spare")
}

fn large(n: u64) -> Value {
    json!({ "n": n, "text": "x".repeat(100 * 1024) })
}

#[test]
fn what_finds_no_room_lies_on_the_spare_folder_until_there_is_some() {
    let Some(said) = on_a_small_disk("journal::full::the_journal_on_a_small_disk") else {
        return;
    };
    says!(
        said,
        "> kept, taken up, stored, and refused what may not wait"
    );
}

#[test]
fn the_journal_on_a_small_disk() {
    let Some(folder) = child::asked_for("journal::full::the_journal_on_a_small_disk") else {
        return;
    };
    let may_wait: cutover::journal::MayWait = |kind, _| kind == "may_wait";
    let mut first = engine(&folder);
    let opened = first.note(1);
    let spare = Spare::of(&spare_folder(&folder), "tonight", opened[0].hash);
    let taken = first.journal.keep_spare(Some(spare.clone()), may_wait);
    assert!(taken.expect("none yet").is_empty());
    let theirs = spare_folder(&folder).join("theirs");
    std::fs::write(&theirs, "theirs").expect("written");
    let other = fill(&folder);
    let mut n = 1;
    // The log may have room of its own for the first ones.
    while first.journal.unstored() < 3 {
        n += 1;
        append(&mut first.journal, "must_not_wait", n).expect("it lies on the spare folder");
    }
    assert!(first.journal.is_kept() && spare.path().exists());
    let head = first.journal.head();
    // The engine dies, and the next one takes up the whole chain.
    drop(first);
    std::fs::remove_file(&other).expect("room");
    let mut second = engine(&folder);
    let taken = second.journal.keep_spare(Some(spare.clone()), may_wait);
    assert_eq!(taken.expect("taken up").len(), 3);
    assert_eq!(
        (second.journal.head(), second.journal.unstored()),
        (head, 0)
    );
    assert!(!spare.path().exists(), "all of it is in the journal");
    assert_eq!(verify(&folder).expect("whole").entries.len() as u64, n);
    drop(second);
    // Without a spare folder: in memory what may wait, and nothing else.
    let mut third = engine(&folder);
    third.journal.keep_spare(None, may_wait).expect("none");
    let other = fill(&folder);
    while third.journal.unstored() == 0 {
        n += 1;
        append(&mut third.journal, "may_wait", n).expect("it is in memory");
    }
    let refused = append(&mut third.journal, "must_not_wait", n + 1);
    assert!(
        matches!(refused, Err(Error::DiskFull { .. })),
        "{refused:?}"
    );
    assert!(!third.journal.is_kept());
    std::fs::remove_file(&other).expect("room");
    assert!(third.journal.store_if_room().expect("room") && third.journal.is_kept());
    assert_eq!(verify(&folder).expect("whole").entries.len() as u64, n);
    assert_eq!(std::fs::read(&theirs).expect("it stays"), b"theirs");
    child::say("kept, taken up, stored, and refused what may not wait");
}

fn append(journal: &mut Journal, kind: &str, n: u64) -> Result<(), Error> {
    journal
        .append(n as i64, wall(), &[(kind, &large(n))])
        .map(|_| ())
}

/// Counts how often this thread has waited for the spare folder in vain: each time it is warned of.
struct InVain(Arc<AtomicU32>);

impl tracing::Subscriber for InVain {
    fn enabled(&self, about: &tracing::Metadata<'_>) -> bool {
        about.target().ends_with("::spare::hand")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// A pipe that nobody reads or writes holds whoever opens it, as a disk behind a network that is gone does.
fn hang(spare: &Spare) {
    let made = Command::new("mkfifo").arg(spare.path()).status();
    assert!(made.expect("mkfifo").success());
}

#[test]
fn a_spare_folder_that_hangs_holds_nobody() {
    let Some(said) = on_a_small_disk("journal::full::the_journal_beside_a_spare_folder_that_hangs")
    else {
        return;
    };
    says!(said, "> kept in memory what may wait, and waited once");
}

#[test]
fn the_journal_beside_a_spare_folder_that_hangs() {
    let role = "journal::full::the_journal_beside_a_spare_folder_that_hangs";
    let Some(folder) = child::asked_for(role) else {
        return;
    };
    let may_wait: cutover::journal::MayWait = |kind, _| kind == "may_wait";
    let mut first = engine(&folder);
    let opened = first.note(1);
    let spare = Spare::of(&spare_folder(&folder), "tonight", opened[0].hash);
    let taken = first.journal.keep_spare(Some(spare.clone()), may_wait);
    assert!(taken.expect("none yet").is_empty());
    hang(&spare);
    let other = fill(&folder);
    let in_vain = Arc::new(AtomicU32::new(0));
    let _counted = tracing::subscriber::set_default(InVain(Arc::clone(&in_vain)));
    let mut n = 1;
    while first.journal.unstored() < 4 {
        n += 1;
        append(&mut first.journal, "may_wait", n).expect("it is in memory");
    }
    // The first one waits for the disk, and nobody after it.
    assert_eq!(in_vain.load(Ordering::Relaxed), 1);
    let refused = append(&mut first.journal, "must_not_wait", n + 1);
    assert!(
        matches!(refused, Err(Error::DiskFull { .. })),
        "{refused:?}"
    );
    assert!(!first.journal.is_kept());
    std::fs::remove_file(&other).expect("room");
    assert!(first.journal.store_if_room().expect("room") && first.journal.is_kept());
    assert_eq!(verify(&folder).expect("whole").entries.len() as u64, n);
    child::say("kept in memory what may wait, and waited once");
}

/// That the reserve is there says that the spare folder was never needed: then an engine begins without it. Else it says what it lacks.
#[test]
fn an_engine_begins_beside_a_spare_folder_that_hangs() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(root.path(), "tonight").expect("a session's folder");
    let may_wait: cutover::journal::MayWait = |_, _| true;
    let opened = engine(&folder).note(1);
    let spare = Spare::of(root.path(), "tonight", opened[0].hash);
    hang(&spare);
    let mut second = engine(&folder);
    let silent = second.journal.keep_spare(Some(spare.clone()), may_wait);
    let Err(Error::SpareSilent { path }) = silent else {
        panic!("{silent:?}");
    };
    assert_eq!(path, spare.path());
    drop(second);
    assert!(Reserve::of(&folder).keep().expect("room"));
    let mut third = engine(&folder);
    let taken = third.journal.keep_spare(Some(spare), may_wait);
    assert!(taken.expect("nothing can lie there").is_empty());
    third.note(1);
}

#[test]
fn a_rollback_begins_and_ends_on_a_full_disk() {
    let Some(said) = on_a_small_disk("journal::full::a_night_on_a_small_disk") else {
        return;
    };
    says!(said, "> rolled back without room, and recorded with it");
}

#[test]
fn a_rollback_begins_and_ends_on_a_full_disk_beside_a_spare_folder_that_hangs() {
    let Some(said) = on_a_small_disk("journal::full::a_night_on_a_small_disk_and_no_spare") else {
        return;
    };
    says!(said, "> rolled back without room, and recorded with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_a_small_disk() {
    if let Some(folder) = child::asked_for("journal::full::a_night_on_a_small_disk") {
        night(&folder, &crate::session::reference(), || ()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_a_small_disk_and_no_spare() {
    if let Some(folder) = child::asked_for("journal::full::a_night_on_a_small_disk_and_no_spare") {
        let mut runbook = crate::session::reference();
        let place = spare_folder(&folder);
        runbook.bridge_spare = Some(place.clone());
        let gone = || {
            let first = verify(&folder).expect("a chain").entries[0].hash;
            hang(&Spare::of(&place, "tonight", first));
        };
        night(&folder, &runbook, gone).await;
    }
}

/// `begun` is done once the engine answers.
async fn night(folder: &Folder, runbook: &Runbook, begun: impl FnOnce()) {
    let engine = support::Engine::start(folder, runbook, true, None).await;
    begun();
    let other = fill(folder);
    // Notes go into the log until it is full, and are refused then: they may not wait.
    let mut refused = None;
    while refused.is_none() {
        let note = Act::Note {
            text: "x".repeat(900),
        };
        match ask(folder, note).await {
            Answer::Refused { refusal } => refused = Some(refusal),
            Answer::Done { .. } | Answer::Here { .. } => {}
            failed @ Answer::Failed { .. } => panic!("{failed:?}"),
        }
    }
    assert!(matches!(refused, Some(Refusal::NoRoom)), "{refused:?}");
    let rollback = Act::RollBack {
        reason: "the disk is full".to_owned(),
        confirm: Some(folder.session()),
    };
    let answer = ask(folder, rollback).await;
    assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    // It ends without room, and the engine stays until it is on record.
    let again = Act::RollBack {
        reason: "is it over?".to_owned(),
        confirm: Some(folder.session()),
    };
    support::until("the rollback's end", async || {
        let answer = ask(folder, again.clone()).await;
        matches!(
            answer,
            Answer::Refused {
                refusal: Refusal::Over { .. }
            }
        )
    })
    .await;
    assert_eq!(phase(folder), Phase::Open, "nothing of it is on the disk");
    std::fs::remove_file(&other).expect("room");
    support::until("the record", async || phase(folder) == Phase::RolledBack).await;
    engine.ended_in_order().await;
    verify(folder).expect("a whole chain");
    child::say("rolled back without room, and recorded with it");
}

async fn ask(folder: &Folder, command: Act) -> Answer {
    let request = Request {
        ask: Ask::Command { command },
        claim: Some("release_manager".to_owned()),
    };
    socket::send(folder, &request).await.expect("an answer")
}

fn phase(folder: &Folder) -> Phase {
    let entries = verify(folder).expect("a chain").entries;
    let recorded = cutover::history::events(&entries).expect("events");
    let session = cutover::session::Session::replay(&recorded).expect("a session");
    session.phase
}
