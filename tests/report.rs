//! The report: from a session's folder alone, after verifying its chain, with nothing foreign let through.

mod bundle;
mod confidence;
mod facts;
mod page;
mod schema;

use std::path::Path;

use cutover::engine::lease::Lease;
use cutover::engine::ledger::to_entry;
use cutover::journal::{Folder, Journal, Reading, Retention, Sample};
use cutover::report::sheet::Sheet;
use cutover::report::{self, Outcome, RowStatus};
use cutover::runbook::action::Placeholders;
use cutover::session::{Event, Recorded, Undo};

use crate::session::language::Bridge;

/// Writes a session's events into a journal of its own.
fn journal(events: &[Recorded]) -> (tempfile::TempDir, Folder) {
    let root = tempfile::tempdir().expect("a folder");
    let folder = journal_below(root.path(), events);
    (root, folder)
}

/// The same, in a folder of sessions.
pub fn journal_below(root: &Path, events: &[Recorded]) -> Folder {
    journal_called(root, "tonight", events)
}

/// The same, under a name of its own.
pub fn journal_called(root: &Path, name: &str, events: &[Recorded]) -> Folder {
    let folder = Folder::create(root, name).expect("a session's folder");
    let lease = Lease::take(&folder).expect("the lease");
    let (mut journal, _) = Journal::open(&folder, lease.fencing()).expect("a journal");
    for entry in events {
        let (kind, body) = to_entry(&entry.event);
        let since = chrono::TimeDelta::milliseconds(entry.at_ms);
        let wall = entry.wall.checked_add_signed(since).unwrap_or(entry.wall);
        journal
            .append(entry.at_ms, wall, &[(&kind, &body)])
            .expect("appended");
    }
    let mut scribe = journal.scribe(Retention::default()).expect("a scribe");
    let notes = scribe.notes();
    for (n, value) in [0.001, 0.02, 0.004].into_iter().enumerate() {
        notes.sample(Sample {
            signal: "http_5xx_ratio".into(),
            at_ms: n as i64 * 1_000,
            reading: Reading::Value(value),
            n: Some(100),
        });
    }
    notes
        .publish("C1 output", "output", 0, b"migrated")
        .expect("published");
    scribe.flush(10_000, "boot", 10_000).expect("written");
    drop(scribe);
    journal.finish().expect("finished");
    folder
}

fn row<'r>(report: &'r report::Report, id: &str) -> &'r report::RowReport {
    report
        .rows
        .iter()
        .find(|r| r.id == id)
        .unwrap_or_else(|| panic!("no row {id}"))
}

#[test]
fn a_completed_night_is_told_row_by_row() {
    let mut bridge = Bridge::open();
    bridge.reach("end");
    bridge.append(Event::SessionCompleted { by: "robin".into() });
    let (_root, folder) = journal(&bridge.journal);
    let report = report::collect(&folder).expect("a report");

    assert_eq!(report.result, Outcome::Completed);
    assert_eq!(report.confidence.score, 100);
    assert_eq!(report.chain.entries, bridge.journal.len() as u64);
    let ids: Vec<&str> = report.rows.iter().map(|r| r.id.as_str()).collect();
    for id in [
        "P1", "A2", "K8", "T3a", "T4d", "M5", "R4+", "V5", "G2", "X1",
    ] {
        assert!(ids.contains(&id), "{id} of {ids:?}");
    }
    assert_eq!(row(&report, "A2").status, RowStatus::Done);
    assert!(row(&report, "A2").seconds.is_some());
    assert_eq!(row(&report, "P2").by.len(), 4);
    assert_eq!(row(&report, "K8").by, ["robin", "ada", "quinn"]);
    assert_eq!(row(&report, "R3").status, RowStatus::NotNeeded);
    let freeze = &report.plan[0];
    assert_eq!(freeze.kept, Some(true), "{freeze:?}");
    let signal = report
        .signals
        .iter()
        .find(|s| s.signal == "http_5xx_ratio")
        .expect("judged");
    assert_eq!((signal.samples, signal.max), (3, Some(0.02)));
    assert_eq!(report.artefacts.len(), 1);
}

#[test]
fn a_rollback_is_told_with_its_cause_and_against_its_rto() {
    let bridge = Bridge::rolled_back(2_000);
    let (_root, folder) = journal(&bridge.journal);
    let report = report::collect(&folder).expect("a report");
    assert_eq!(report.result, Outcome::RolledBack);
    assert_eq!(report.confidence.score, 0);
    let rollback = report.rollback.as_ref().expect("a rollback");
    assert_eq!(
        (rollback.healthy, rollback.within_rto),
        (Some(true), Some(true))
    );
    assert_eq!(rollback.restored_seconds, Some(14.0));
    let first_undo = report
        .plan
        .iter()
        .find(|line| line.what.contains("first undo"));
    let first_undo = first_undo.expect("a line");
    // The countdown, and the first two rows, which take nothing back.
    assert_eq!(first_undo.actual_seconds, Some(34.0));
    assert_eq!(
        (first_undo.planned_seconds, first_undo.kept),
        (31.0, Some(false))
    );
    assert_eq!(row(&report, "T3b").status, RowStatus::Fired);
    assert_eq!(row(&report, "R4+").status, RowStatus::Done);
    let text = report.to_markdown();
    says!(text, "Begun by trigger T3b: 5xx at 3.2 % for 5 min.");
}

#[test]
fn nothing_foreign_reaches_a_reader_as_it_came() {
    let mut bridge = Bridge::open();
    bridge.reach("A1");
    let hostile = "\u{1b}]52;c;aGk=\u{7} <img src=x> | **bold** \u{202e}txt.exe\n# heading";
    bridge.append(Event::NoteWritten {
        by: "robin".into(),
        text: hostile.into(),
    });
    bridge.append(Event::alarm(hostile.into()));
    let (_root, folder) = journal(&bridge.journal);
    let out = tempfile::tempdir().expect("a folder");
    report::bundle::write(&folder, out.path()).expect("written");
    for name in ["report.md", "report.json"] {
        let path = out.path().join(name);
        let text = std::fs::read_to_string(&path).expect("text");
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(bad), "{}", path.display());
        assert!(!text.contains("\n# heading"), "{}", path.display());
    }
    let text = std::fs::read_to_string(out.path().join("report.md")).expect("text");
    assert!(!text.contains("<img") && !text.contains("**bold**"));
    assert!(text.contains("**Not over.**"));
}

#[test]
fn a_journal_that_was_changed_is_not_reported() {
    let mut bridge = Bridge::open();
    bridge.reach("A1");
    let (_root, folder) = journal(&bridge.journal);
    let connection = rusqlite::Connection::open(folder.journal_path()).expect("the file");
    let guards: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
        .expect("names");
    for guard in guards {
        connection
            .execute_batch(&format!("DROP TRIGGER \"{guard}\""))
            .expect("dropped");
    }
    let changed = connection
        .execute(
            "UPDATE entries SET body = replace(body, 'robin', 'mallory') WHERE seq = 2",
            [],
        )
        .expect("changed");
    assert_eq!(changed, 1);
    drop(connection);
    let refused = report::collect(&folder)
        .expect_err("the chain does not hold")
        .to_string();
    assert!(refused.contains("damaged or changed"), "{refused}");
}

#[test]
fn the_documentation_names_every_key() {
    let mut bridge = Bridge::open();
    bridge.reach("end");
    let (_root, folder) = journal(&bridge.journal);
    let json = report::collect(&folder).expect("a report").to_json();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.md");
    let docs = std::fs::read_to_string(path).expect("docs/report.md");
    let mut keys = std::collections::BTreeSet::new();
    gather(&json, &mut keys);
    keys.retain(|key| !docs.contains(&format!("`{key}`")));
    assert!(keys.is_empty(), "docs/report.md does not name {keys:?}");
}

fn gather(json: &serde_json::Value, keys: &mut std::collections::BTreeSet<String>) {
    match json {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                keys.insert(key.clone());
                gather(value, keys);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| gather(item, keys)),
        _ => {}
    }
}

#[test]
fn the_sheet_names_every_command_of_a_rollback_by_hand() {
    let mut bridge = Bridge::open();
    let page = |bridge: &Bridge, engine| {
        let sheet = Sheet {
            runbook: &crate::session::reference(),
            session: &bridge.session,
            folder: Path::new("/srv/.cutover/tonight"),
            engine,
            values: Placeholders::new(),
        };
        sheet.markdown()
    };
    let hash = &bridge.session.charter.runbook_hash.0;
    let before = page(&bridge, None).replace(hash.as_str(), "HASH");
    insta::assert_snapshot!("sheet_before_the_night", before);
    bridge.reach("G1");
    bridge.append(Event::UndoRecorded {
        step: "F1".into(),
        undo: Undo::Config {
            instance: "app-1".into(),
            path: "/srv/app 1/app.env".into(),
            former_sha256: "0f0f".into(),
            written_sha256: "1e1e".into(),
        },
    });
    for step in ["O1", "O2"] {
        let undo = Undo::Command;
        let step = step.into();
        bridge.append(Event::UndoRecorded { step, undo });
    }
    let after = page(&bridge, Some(4711));
    let at = |text: &str| {
        after
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {after}"))
    };
    // They ran after the switch: the latest is undone first, and the switch after both.
    assert!(at("What O2 did") < at("What O1 did") && at("What O1 did") < at("app.env'"));
    assert!(after.contains("    kill 4711\n"), "{after}");
    let copy = "    cp /srv/.cutover/tonight/former/0f0f '/srv/app 1/app.env'\n";
    assert!(after.contains(copy), "{after}");
    assert!(!after.contains("Not switched yet"), "{after}");
}

/// What somebody wrote into a session reaches no terminal as it is, by whatever command.
#[test]
fn words_of_others_are_harmless_on_every_terminal() {
    let mut bridge = Bridge::open();
    bridge.append(Event::SessionHeld {
        by: "ada".into(),
        reason: "x\u{1b}]0;PWN\u{7}\u{9b}31m\u{202e}".into(),
    });
    let (_root, folder) = journal(&bridge.journal);
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["report", "--json"],
    ] {
        let ended = std::process::Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(arguments)
            .arg("--dir")
            .arg(folder.dir())
            .output()
            .expect("it starts");
        let said = String::from_utf8(ended.stdout).expect("UTF-8");
        let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(
            said.contains("PWN") && !said.contains(obeyed),
            "{arguments:?}: {said:?}"
        );
    }
}

/// A journal whose times no session reaches is told of like any other.
#[test]
fn times_that_no_session_reaches_are_told_of() {
    let mut bridge = Bridge::rolled_back(2_000);
    bridge.append(Event::EngineStarted {
        pid: 1,
        version: "1".into(),
        boot_id: cutover::clock::boot_id(),
        boot_ms: i64::MIN,
    });
    bridge.now_ms = i64::MAX;
    bridge.append(Event::NoteWritten {
        by: "ada".into(),
        text: "late".into(),
    });
    let (root, folder) = journal(&bridge.journal);
    let page = root.path().join("page");
    let page = page.to_str().expect("UTF-8");
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["report", "--json"],
        &["report", "--out", page],
        &["snapshot"],
        &["snapshot", "--at", "0:01"],
    ] {
        let ended = std::process::Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(arguments)
            .arg("--dir")
            .arg(folder.dir())
            .output()
            .expect("it starts");
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {ended:?}");
    }
}
