//! After a rollback the same target is attempted again only once somebody has said what was corrected, and a newer rehearsal is green
//! (R6).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use cutover::cli::orders::Standing;
use cutover::identity::{SourceIdentity, TargetIdentity};
use cutover::session::attempt::{
    Ground, NotYet, SALVAGED, TARGET_CLOSED, is_target_closed, may_follow, rows_are_kept_on,
};
use cutover::session::{Check, Event, Outcome, Production, RehearsalEvidence, Session};

use crate::session::language::Bridge;
use crate::{report, support};

/// The target of the charters in these tests.
const TARGET: &str = "db:5432/tools";

fn on(target: &str) -> Ground {
    Ground {
        target: target.to_owned(),
        database: "tools".to_owned(),
        ..Ground::default()
    }
}

fn rehearsed(session: &Session, ended_unix_s: i64, ok: bool) -> RehearsalEvidence {
    let mut evidence = session.rehearsal.clone().expect("the story has one");
    evidence.ended_unix_s = ended_unix_s;
    evidence.parts.iter_mut().for_each(|part| part.1 = ok);
    evidence
}

/// A row of the rollback says so by its check, and only a green one counts.
#[test]
fn postgresql_is_closed_where_a_row_has_seen_to_it() {
    let mut bridge = Bridge::rolled_back(2_000);
    assert!(!is_target_closed(&bridge.session));
    for closed in [false, true] {
        let rows = &mut bridge.session.rollback.as_mut().expect("a rollback").rows;
        let row = rows.first_mut().expect("rows");
        let check = Check::new(TARGET_CLOSED, closed, "nobody writes");
        row.outcome = Some(Outcome::done("R1+").with_check(check));
        assert_eq!(is_target_closed(&bridge.session), closed);
    }
}

/// What R5 could not keep is kept by hand, or given up by a person's word, before another night.
#[test]
fn rows_that_are_nowhere_else_stand_against_another_night() {
    let mut bridge = Bridge::rolled_back(2_000);
    let kept = |bridge: &Bridge, target, has_file| {
        rows_are_kept_on(&bridge.session, &on(target), has_file)
    };
    assert_eq!(kept(&bridge, TARGET, false), Ok(()));
    let rows = &mut bridge.session.rollback.as_mut().expect("a rollback").rows;
    let row = rows.last_mut().expect("rows");
    let outcome = Outcome::done("R5");
    row.outcome =
        Some(outcome.with_check(Check::new(SALVAGED, false, "PostgreSQL did not answer")));
    let refused = kept(&bridge, TARGET, false);
    let Err(NotYet::Unsalvaged { why, .. }) = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(why, "PostgreSQL did not answer");
    assert_eq!(kept(&bridge, TARGET, true), Ok(()));
    assert_eq!(kept(&bridge, "db:5432/other", false), Ok(()));
    for (gives_up_rows, is_open) in [(false, false), (true, true)] {
        bridge.append(Event::CorrectionRecorded {
            by: "ada".into(),
            what: "an index".into(),
            gives_up_rows,
        });
        assert_eq!(kept(&bridge, TARGET, false).is_ok(), is_open);
    }
}

#[test]
fn a_correction_and_a_newer_green_rehearsal_open_the_way() {
    let mut bridge = Bridge::rolled_back(2_000);
    let corrected_s = 1_000;
    let before = &bridge.session;
    let newer = rehearsed(before, corrected_s + 1, true);
    assert!(matches!(
        may_follow(before, &on(TARGET), Some(&newer), false),
        Err(NotYet::Uncorrected { .. })
    ));
    assert_eq!(
        may_follow(before, &on("db:5432/other"), None, false),
        Ok(())
    );

    bridge.append(Event::CorrectionRecorded {
        by: "ada".into(),
        what: "an index".into(),
        gives_up_rows: false,
    });
    let mut session = bridge.session;
    session.correction.as_mut().expect("just recorded").unix_s = corrected_s;
    for (rehearsal, opens) in [
        (None, false),
        (Some(rehearsed(&session, corrected_s, true)), false),
        (Some(rehearsed(&session, corrected_s + 1, false)), false),
        (Some(newer), true),
    ] {
        let answer = may_follow(&session, &on(TARGET), rehearsal.as_ref(), false);
        assert_eq!(answer.is_ok(), opens, "{rehearsal:?}: {answer:?}");
    }
}

#[test]
fn a_no_go_and_an_unfinished_session_ask_for_nothing() {
    let mut bridge = Bridge::open();
    bridge.reach("A1");
    assert_eq!(
        may_follow(&bridge.session, &on(TARGET), None, false),
        Ok(())
    );
    bridge.append(Event::RollbackStarted {
        cause: cutover::session::RollbackCause::Person { by: "robin".into() },
        reason: "not tonight".into(),
    });
    bridge.settle();
    bridge.do_rollback_rows(10);
    assert!(bridge.session.is_no_go());
    assert_eq!(
        may_follow(&bridge.session, &on(TARGET), None, false),
        Ok(())
    );
}

#[test]
fn run_after_a_completed_release_opens_no_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bridge = Bridge::open();
    bridge.reach("end");
    bridge.append(Event::SessionCompleted { by: "robin".into() });
    report::journal_below(&folder.path().join(".cutover"), &bridge.journal);
    let shut = cutover(folder.path(), &["run", "--log", RUNBOOK]);
    assert_eq!(shut.status.code(), Some(3), "{shut:?}");
    let words = said(&shut);
    for says in [
        "session tonight has completed this cutover",
        "Nothing was touched",
        "--again tools",
    ] {
        assert!(words.contains(says), "{words}");
    }
    let sessions = std::fs::read_dir(folder.path().join(".cutover")).expect("sessions");
    assert_eq!(sessions.count(), 1, "no session was opened");
}

/// Whoever types `run` where `join` was meant leaves nothing behind that stands in the way of those who may.
#[test]
fn an_account_that_cannot_hold_the_file_opens_no_session() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let folder = tempfile::tempdir().expect("a folder");
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everybody).expect("a mode");
    let file = folder.path().join("app.db");
    std::fs::write(&file, "").expect("a file");
    let mut run = command(folder.path(), &["run", "--log", RUNBOOK]);
    let shut = run
        .env("APP_SQLITE", &file)
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("cutover");
    assert_eq!(shut.status.code(), Some(3), "{shut:?}");
    let words = said(&shut);
    for says in [
        "cannot be written by this account",
        "Let root run it",
        "`cutover join`",
        "No session was opened",
    ] {
        assert!(words.contains(says), "{words}");
    }
    assert!(!folder.path().join(".cutover").exists());
}

/// A release that was completed is known by its target's identity, by its target's name, and by the SQLite file; each is enough.
#[test]
fn a_completed_release_is_not_attempted_again_unless_its_name_is_typed() {
    let mut bridge = Bridge::open();
    let source = SourceIdentity {
        device: 1,
        inode: 2,
    };
    let target = |database_oid| TargetIdentity {
        system_identifier: "7".into(),
        database_oid,
    };
    bridge.session.charter.production = Production {
        source: Some(source),
        target: Some(target(3)),
    };
    bridge.reach("end");
    let other = Ground {
        source_identity: Some(SourceIdentity { inode: 9, ..source }),
        target_identity: Some(target(9)),
        ..on("elsewhere:5432/other")
    };
    let follow =
        |session: &Session, ground: &Ground, again| may_follow(session, ground, None, again);
    assert_eq!(
        follow(&bridge.session, &on(TARGET), false),
        Ok(()),
        "not complete yet"
    );
    bridge.append(Event::SessionCompleted { by: "robin".into() });
    let session = &bridge.session;
    assert_eq!(follow(session, &other, false), Ok(()));
    for ground in [
        Ground {
            target: TARGET.into(),
            ..other.clone()
        },
        Ground {
            target_identity: Some(target(3)),
            ..other.clone()
        },
        Ground {
            source_identity: Some(source),
            ..other.clone()
        },
    ] {
        let refused = follow(session, &ground, false).expect_err("in production");
        assert!(refused.to_string().contains("--again tools"), "{refused}");
        assert_eq!(follow(session, &ground, true), Ok(()));
    }
    // What nobody could read is no sign of being the same.
    let blind = on("elsewhere:5432/other");
    let mut unread = session.clone();
    unread.charter.production = Production::default();
    assert_eq!(follow(&unread, &blind, false), Ok(()));
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
    says!(words, "ada has recorded what was corrected (an index)");
    assert!(words.contains("cutover rehearse"), "{words}");
    let sessions = std::fs::read_dir(folder.path().join(".cutover")).expect("sessions");
    assert_eq!(sessions.count(), 1, "no session was opened");
}

/// What stays in the target concerns whoever has loaded something there and does not have it emptied.
#[test]
fn that_rows_stay_is_said_where_they_are_in_the_way() {
    let text = std::fs::read_to_string(RUNBOOK).expect("the reference runbook");
    let replacing = text.replace("\ntransfer:\n", "\ntransfer:\n  target_rows: replace\n");
    assert_ne!(text, replacing);
    let loaded = Bridge::rolled_back(2_000).journal;
    let mut before = Bridge::open();
    before.reach("D2");
    before.append(Event::RollbackStarted {
        cause: cutover::session::RollbackCause::Person { by: "robin".into() },
        reason: "the migrations fail".into(),
    });
    before.settle();
    before.do_rollback_rows(1_000);
    for (journal, runbook, expected) in [
        (&loaded, Some(&text), Some("until the runbook has")),
        (&loaded, Some(&replacing), None),
        (&loaded, None, Some("unless the runbook has")),
        (&before.journal, Some(&text), None),
    ] {
        let here = tempfile::tempdir().expect("a folder");
        let folder = report::journal_below(&here.path().join(".cutover"), journal);
        if let Some(runbook) = runbook {
            let standing = Standing {
                runbook_path: RUNBOOK.into(),
                runbook: runbook.clone(),
                base: here.path().to_owned(),
                environment: BTreeMap::new(),
                instances: None,
                sandbox: false,
                rehearsal: false,
                speed: 1.0,
                again: None,
                spare: None,
                wait_before: Vec::new(),
                evidence: None,
            };
            standing.write(&folder).expect("written");
        }
        let correct = ["correct", "tonight", "--what", "an index", "--as", "ada"];
        let corrected = cutover(here.path(), &correct);
        assert_eq!(corrected.status.code(), Some(0), "{corrected:?}");
        let words = said(&corrected);
        match expected {
            Some(part) => says!(words, part),
            None => lacks!(words, "target_rows"),
        }
    }
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
