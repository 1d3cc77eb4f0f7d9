//! After a rollback the same target is attempted again only once somebody has said what was corrected, and a newer rehearsal is green
//! (R6).

use std::path::Path;
use std::process::{Command, Output};

use cutover::session::attempt::{NotYet, may_follow};
use cutover::session::{Event, RehearsalEvidence, Session};

use crate::session::language::Bridge;
use crate::{report, support};

/// The target of the charters in these tests.
const TARGET: &str = "db:5432/tools";

fn rehearsed(session: &Session, ended_unix_s: i64, ok: bool) -> RehearsalEvidence {
    let mut evidence = session.rehearsal.clone().expect("the story has one");
    evidence.ended_unix_s = ended_unix_s;
    evidence.parts.iter_mut().for_each(|part| part.1 = ok);
    evidence
}

#[test]
fn a_correction_and_a_newer_green_rehearsal_open_the_way() {
    let mut bridge = Bridge::rolled_back(2_000);
    let corrected_s = 1_000;
    let before = &bridge.session;
    let newer = rehearsed(before, corrected_s + 1, true);
    assert!(matches!(
        may_follow(before, TARGET, Some(&newer)),
        Err(NotYet::Uncorrected { .. })
    ));
    assert_eq!(may_follow(before, "db:5432/other", None), Ok(()));

    bridge.append(Event::CorrectionRecorded {
        by: "ada".into(),
        what: "an index".into(),
    });
    let mut session = bridge.session;
    session.correction.as_mut().expect("just recorded").unix_s = corrected_s;
    for (rehearsal, opens) in [
        (None, false),
        (Some(rehearsed(&session, corrected_s, true)), false),
        (Some(rehearsed(&session, corrected_s + 1, false)), false),
        (Some(newer), true),
    ] {
        let answer = may_follow(&session, TARGET, rehearsal.as_ref());
        assert_eq!(answer.is_ok(), opens, "{rehearsal:?}: {answer:?}");
    }
}

#[test]
fn a_no_go_and_an_unfinished_session_ask_for_nothing() {
    let mut bridge = Bridge::open();
    bridge.reach("A1");
    assert_eq!(may_follow(&bridge.session, TARGET, None), Ok(()));
    bridge.append(Event::RollbackStarted {
        cause: cutover::session::RollbackCause::Person { by: "robin".into() },
        reason: "not tonight".into(),
    });
    bridge.settle();
    bridge.do_rollback_rows(10);
    assert!(bridge.session.is_no_go());
    assert_eq!(may_follow(&bridge.session, TARGET, None), Ok(()));
}

#[test]
fn the_door_stays_shut_until_then() {
    let folder = tempfile::tempdir().expect("a folder");
    report::journal_below(
        &folder.path().join(".cutover"),
        &Bridge::rolled_back(2_000).journal,
    );

    let shut = cutover(folder.path(), &["run", "--log", RUNBOOK]);
    assert_eq!(shut.status.code(), Some(3), "{shut:?}");
    assert!(
        said(&shut).contains("nobody has recorded what was corrected"),
        "{shut:?}"
    );

    let correct = ["correct", "tonight", "--what", "an index", "--as"];
    for (who, code, answer) in [
        ("dan", 1, "dan may not record what was corrected"),
        ("ada", 0, "recorded in tonight"),
    ] {
        let said_so = cutover(folder.path(), &[&correct[..], &[who]].concat());
        assert_eq!(said_so.status.code(), Some(code), "{said_so:?}");
        assert!(said(&said_so).contains(answer), "{said_so:?}");
    }

    let shut = cutover(folder.path(), &["run", "--log", RUNBOOK]);
    assert_eq!(shut.status.code(), Some(3), "{shut:?}");
    let words = said(&shut);
    assert!(
        words.contains("ada has recorded what was corrected (an index)"),
        "{words}"
    );
    assert!(words.contains("cutover rehearse"), "{words}");
    let sessions = std::fs::read_dir(folder.path().join(".cutover")).expect("sessions");
    assert_eq!(sessions.count(), 1, "no session was opened");
}

pub(crate) const RUNBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbook.yaml");

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn cutover(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().expect("cutover")
}

/// A command in `folder`, with everything that the reference runbook takes from the environment; nobody is at its addresses.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(support::cutover());
    command.args(args).current_dir(folder);
    for name in ["TARGET", "TARGET_RUNTIME", "SCRATCH", "SCRATCH_RUNTIME"] {
        command.env(
            format!("{name}_URL"),
            format!("postgres://role:secret@{TARGET}"),
        );
    }
    for name in [
        "APP_1",
        "APP_2",
        "APP_3",
        "APP_4",
        "APP_5",
        "APP_6",
        "APP_STAGING",
        "CHAT_WEBHOOK",
    ] {
        command.env(name, "http://127.0.0.1:1");
    }
    for name in [
        "APP_SQLITE",
        "BACKUP_DIR",
        "OFFSITE_DIR",
        "MIGRATIONS_SQL",
        "APP_DIR",
        "APPCTL",
        "PROBE_TOKEN",
        "TARGET_LOG",
    ] {
        command.env(name, folder.join("nothing"));
    }
    command
}
