//! A night per fault: the row that must catch it does, and says what it found.

use cutover::cli::follow::exit_of;
use cutover::cli::rehearse;
use cutover::demo::faults::Fault;
use cutover::journal::{Folder, Follower};
use cutover::postgres::Endpoint;
use cutover::runbook::{parse, render};
use cutover::salvage::cell::Cell;
use cutover::salvage::file::{Choice, Salvaged, SalvagedRow};
use cutover::salvage::{self, Operation};
use cutover::session::facts::{Backup, Brought, GrantsGivenBack};
use cutover::session::live::{self, CostView};
use cutover::session::{EvidenceState, Session, StepStatus};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::moments::story;
use super::stage::Stage;
use crate::parity::pair::compared;
use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_caught_by_its_row_and_leaves_the_application_on_sqlite() {
    let changes = [
        ("window: 60m", "window: 40m"),
        // Of few requests few fail: T3a may see no error for seconds, and believes that after half of its time.
        (
            "above_baseline: 2, floor: 0.1%, for: 10m",
            "above_baseline: 2, floor: 0.1%, for: 20m",
        ),
    ];
    let mut stage = Stage::set_with(&changes, &[], &[]).await;
    assert!(
        stage.evidence.parts.iter().all(|(_, ok, _)| *ok),
        "{:?}",
        stage.evidence.parts
    );
    let long = if std::env::var_os("CUTOVER_SOAK").is_some() {
        include_str!("faults-soak.txt")
    } else {
        ""
    };
    let nights = include_str!("faults.txt").lines().chain(long.lines());
    // Sessions whose R1+ took rights away that nobody has given back.
    let mut closed_to_writers = Vec::new();
    for line in nights.filter(|l| !l.starts_with('#')) {
        let words: Vec<_> = line.split_whitespace().collect();
        let [name, step, row, exit, ref named @ ..] = words[..] else {
            panic!("faults.txt: {line}");
        };
        let fault: Fault = name.parse().unwrap();
        let acknowledged_before = stage.acknowledged().len();
        let (folder, session) = stage.play(Some((fault, step.to_owned()))).await;
        let code = exit_of(&session).map(|e| (e as u8).to_string());
        assert_eq!(
            code.as_deref(),
            Some(exit),
            "{name}@{step}:\n{}",
            story(&folder)
        );
        let caught_by = caught_by(&session);
        assert!(
            caught_by.iter().any(|r| r == row),
            "{name}@{step} was caught by {caught_by:?}, not by {row}:\n{}",
            story(&folder)
        );
        for name in named {
            let reason = session.fired.as_ref().map(|fired| fired.reason.as_str());
            assert!(
                reason.is_some_and(|r| r.contains(name)),
                "{line}: {reason:?}"
            );
        }
        stage.assert_on_sqlite(&session).await;
        assert_preserved(&folder);
        let b1 = session.step("B1").map(|b1| b1.status);
        if b1 == Some(StepStatus::Done) {
            let given = session.fact().unwrap();
            let given = given.map_or_else(Vec::new, |GrantsGivenBack(sessions)| sessions);
            assert_eq!(given, closed_to_writers, "{line}:\n{}", story(&folder));
            closed_to_writers.clear();
        }
        if !session.former_grants().is_empty() {
            closed_to_writers.push(session.charter.session.clone());
        }
        if ["row-loss", "slug-mismatch", "order-mismatch", "orphan"].contains(&name) {
            let brought: Option<Brought> = session.rollback_fact().unwrap();
            assert_eq!(brought, None, "{line}: what was damaged came back");
        }
        if name == "5xx-low" {
            assert_cost_was_told(&folder);
            stage.assert_nothing_notes_writes().await;
            assert_brought_back(&stage, &folder, &session, acknowledged_before).await;
        }
        stage.clear().await;
    }
    assert_counts_for_its_schema_alone(&stage).await;
}

/// A rehearsal is no evidence once somebody has edited what it came to, or the source's schema is another (K3, K4, K6).
async fn assert_counts_for_its_schema_alone(stage: &Stage) {
    let environment = stage.sandbox.environment().unwrap();
    let env = |name: &str| environment.get(name).cloned();
    let text = std::fs::read_to_string(stage.sandbox.dir().join("runbook.yaml")).expect("it");
    let runbook = parse("runbook.yaml", &text, &env).unwrap_or_else(|p| panic!("{}", render(&p)));
    let root = stage.night.root();
    assert_eq!(
        rehearse::newest(&root, &runbook).as_ref(),
        Some(&stage.evidence)
    );
    let file = format!("rehearsals/{}.json", stage.evidence.session);
    let path = root.join(file);
    let mut told: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    told["rollback_ms"] = 1.into();
    std::fs::write(&path, told.to_string()).expect("edited");
    assert_eq!(rehearse::newest(&root, &runbook), None);

    let index = r#"CREATE INDEX "later" ON "Tags" ("Id")"#;
    support::sqlite(&stage.sandbox.layout().live(), index);
    let evidence = stage.evidence.clone();
    let opened = stage.night.open(0, evidence, None).await;
    let gates = cutover::history::session(&opened.expect("a session"))
        .expect("a session")
        .gates();
    for id in ["K3", "K4", "K6"] {
        let gate = gates.iter().find(|g| g.id == id).unwrap();
        let red = gate
            .evidence
            .iter()
            .filter(|e| e.state == EvidenceState::Red);
        let why: Vec<_> = red.map(|e| e.detail.as_str()).collect();
        assert!(
            matches!(why[..], [why] if why.contains("index later is new")),
            "{id}: {gate:?}"
        );
    }
}

/// The rows that caught it: the triggers that fired, for one fault may burn several; or the step that failed or was waited for in
/// vain.
fn caught_by(session: &Session) -> Vec<String> {
    let fired = session.fired_triggers();
    if fired.is_empty() {
        let failed = session
            .steps
            .iter()
            .filter(|s| s.status == StepStatus::Failed);
        return failed.take(1).map(|s| s.id.clone()).collect();
    }
    let rule = |id: &&str| id.split('.').next().unwrap_or_default().to_owned();
    fired.iter().map(rule).collect()
}

/// The end of the server's log is kept, also of a server that is down, and every hash is right.
fn assert_preserved(folder: &Folder) {
    let log = std::fs::read_dir(folder.dir().join("preserved")).expect("R5's folder");
    let mut names = log.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.any(|name| name.starts_with("log-")));
    let checked = Command::new("sha256sum")
        .args(["--check", "--strict", "preserved/SHA256SUMS"])
        .current_dir(folder.dir())
        .output()
        .expect("sha256sum");
    assert!(checked.status.success(), "{checked:?}");
}

/// Users wrote for ten minutes of the runbook, and whoever had a finger on the key could read how much.
fn assert_cost_was_told(folder: &Folder) {
    let cost: Option<CostView> = Follower::open(folder)
        .and_then(|f| f.board(live::key::COST))
        .expect("a board");
    let cost = cost.expect("an estimate");
    let inserted = |t: &live::WrittenTable| t.table == "ToolContents" && t.inserted > 0;
    assert!(cost.tables.iter().any(inserted), "{cost:?}");
}

/// SQLite has what users wrote to PostgreSQL, under the ids that it had there, and the salvage file is a copy of that, no more and no less: all
/// that they were told had been stored; and brought into the backup it gives what PostgreSQL had.
async fn assert_brought_back(stage: &Stage, folder: &Folder, session: &Session, before: usize) {
    let path = folder.dir().join(salvage::file::NAME);
    let salvaged = Salvaged::open(&path).unwrap_or_else(|e| panic!("{e}:\n{}", story(folder)));
    let costs = salvaged.tables().expect("tables");
    assert!(costs.iter().all(|c| c.lacks.is_none()), "{costs:#?}");
    let chosen = salvaged.chosen(&Choice::default()).expect("rows");
    let rows: Vec<_> = chosen.iter().map(|n| salvaged.row(*n).unwrap()).collect();
    assert!(
        rows.iter()
            .all(|r| r.table == "ToolContents" && r.operation == Operation::Inserted),
        "{rows:#?}"
    );
    let value = |row: &SalvagedRow, name: &str| -> Cell {
        let mut values = row.values.iter();
        values.find(|v| v.name == name).unwrap().new.clone()
    };
    let kept: BTreeMap<String, Cell> = rows
        .iter()
        .map(|row| {
            (
                value(row, "Slug").as_str().unwrap().to_owned(),
                value(row, "Id"),
            )
        })
        .collect();
    let night = &stage.acknowledged()[before..];
    let on_postgres = night.iter().filter(|w| w["provider"] == "Postgres");
    let acknowledged: Vec<&str> = on_postgres.map(|w| w["slug"].as_str().unwrap()).collect();
    assert!(acknowledged.len() > 5, "{} writes", acknowledged.len());
    assert!(
        acknowledged.iter().all(|slug| kept.contains_key(*slug)),
        "{acknowledged:?} {kept:?}"
    );
    assert_eq!(salvaged.rows_not_brought().expect("rows"), 0);
    let brought: Option<Brought> = session.rollback_fact().unwrap();
    let brought = brought.expect("what R2+ brought in");
    assert_eq!(
        (brought.sums(), brought.left_rows),
        ([kept.len() as u64, 0, 0], 0)
    );
    // What was stored and not acknowledged (an answer lost to the fault) is there too, and nothing else.
    let Backup(backup) = session.fact().unwrap().expect("a backup");
    let url = stage.sandbox.environment().unwrap()["TARGET_URL"].clone();
    let endpoint = Endpoint::parse(&url).unwrap();
    let client = endpoint.connect().await.expect("the target");
    let stored = client
        .query(r#"SELECT "Slug" FROM "ToolContents""#, &[])
        .await
        .unwrap();
    let old = rusqlite::Connection::open(&backup.path).unwrap();
    let is_old = |slug: &str| -> bool {
        let sql = r#"SELECT EXISTS (SELECT 1 FROM "ToolContents" WHERE "Slug" = ?1)"#;
        old.query_row(sql, [slug], |r| r.get(0)).unwrap()
    };
    let new: BTreeSet<String> = stored
        .iter()
        .map(|row| row.get::<_, String>(0))
        .filter(|slug| !is_old(slug))
        .collect();
    assert_eq!(kept.keys().cloned().collect::<BTreeSet<_>>(), new);
    // Into the backup itself nothing is brought, by whatever name it is called.
    let link = stage.sandbox.dir().join("link.db");
    std::os::unix::fs::symlink(&backup.path, &link).expect("a link");
    let refused = Command::new(support::cutover())
        .args(["salvage", "apply", "--all", "--dir"])
        .arg(folder.dir())
        .arg("--to")
        .arg(&link)
        .output()
        .expect("the command");
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(why.contains("the session's own backup"), "{why}");
    // Brought into a copy of it, all of them make it what PostgreSQL is.
    let restored = stage.sandbox.dir().join("restored.db");
    std::fs::copy(&backup.path, &restored).expect("a copy");
    let salvaged = Salvaged::open(&folder.dir().join(salvage::file::NAME)).expect("a salvage file");
    let tables = salvaged.tables().expect("tables");
    let deletes: u64 = tables.iter().map(|table| table.deleted).sum();
    let applied = Command::new(support::cutover())
        .args(["salvage", "apply", "--all", "--json", "--dir"])
        .arg(folder.dir())
        .args(["--deletes", &deletes.to_string()])
        .arg("--to")
        .arg(&restored)
        .output()
        .expect("the command");
    assert_eq!(applied.status.code(), Some(0), "{applied:?}");
    let outcome: Value = serde_json::from_slice(&applied.stdout).expect("one JSON object");
    assert_eq!(outcome["committed"], true, "{outcome}");
    let environment = stage.sandbox.environment().unwrap();
    let env = |name: &str| environment.get(name).cloned();
    let runbook = parse("runbook.yaml", include_str!("../../runbook.yaml"), &env);
    let transfer = runbook
        .unwrap_or_else(|p| panic!("{}", render(&p)))
        .transfer;
    let report = compared(&restored, &endpoint, &transfer).await;
    let different: Vec<_> = report.tables.iter().filter(|t| !t.is_equal()).collect();
    assert!(different.is_empty(), "{different:#?}");
    // SQLite, where users write again, gives out other ids.
    let live = rusqlite::Connection::open(stage.sandbox.layout().live()).unwrap();
    for (slug, id) in &kept {
        let sql = r#"SELECT "Slug" FROM "ToolContents" WHERE "Id" = ?1"#;
        let has_it: Option<String> = live.query_row(sql, [id], |r| r.get(0)).ok();
        assert_eq!(has_it.as_ref(), Some(slug), "{id:?}");
    }
}
