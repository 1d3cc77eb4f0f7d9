//! Whole nights in a real sandbox, played by scripted operators: the clean one, one per fault, and ones whose engine is killed.
//!
//! Each ends with the application serving from where it must, with every row and every acknowledged write. Not in here: the
//! screen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cutover::cli::demo::Night;
use cutover::cli::follow::{exit_of, words};
use cutover::cli::operators::Script;
use cutover::cli::{Exit, operators, rehearse};
use cutover::demo::faults::{self, Fault};
use cutover::demo::sandbox::{Options, Sandbox};
use cutover::engine::ledger::from_entry;
use cutover::journal::holder::read_holder;
use cutover::journal::{Folder, Follower};
use cutover::parity;
use cutover::runbook::{parse, render};
use cutover::salvage::cell::Cell;
use cutover::salvage::file::{Choice, Salvaged, SalvagedRow};
use cutover::salvage::{self, Operation};
use cutover::session::live::{self, CostView};
use cutover::session::{Event, RehearsalEvidence, Session, StepStatus, Undo};
use cutover::step::backup::Kept;
use cutover::target::Endpoint;
use rustix::process::Signal;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support;

/// A minute of the runbook lasts a second.
const SPEED: f64 = 60.0;

/// A sandbox has the machine for itself: two of them would measure each other.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A sandbox in which nights are played.
struct Stage {
    sandbox: Sandbox,
    night: Night,
    evidence: RehearsalEvidence,
    nights: u32,
}

impl Stage {
    /// A sandbox and a rehearsal in it. The runbook is the reference one, with shorter real-time waits: those do not scale.
    async fn set(window: &str) -> Stage {
        Stage::set_with(&[("window: 60m", window)], &[]).await
    }

    /// With further changes to the runbook, and programs of its own in the sandbox's folder.
    async fn set_with(changes: &[(&str, &str)], programs: &[(&str, &str)]) -> Stage {
        let options = Options {
            instances: 6,
            rate: 60,
            speed: SPEED as u32,
            ..Options::small(support::cutover())
        };
        let sandbox = tokio::task::spawn_blocking(|| Sandbox::start(options))
            .await
            .unwrap()
            .expect("a sandbox");
        let mut runbook = include_str!("../runbook.yaml").to_owned();
        for (long, short) in [
            ("quiet: 5s ", "quiet: 1s "),
            ("ready_within: 60s", "ready_within: 20s"),
            ("window: 5m, start: auto", "window: 2m, start: auto"),
            ("stays_green: 10m", "stays_green: 2m"),
        ]
        .iter()
        .chain(changes)
        {
            assert!(
                runbook.contains(long),
                "the reference runbook has no {long:?}"
            );
            runbook = runbook.replace(long, short);
        }
        for (name, text) in programs {
            let path = sandbox.dir().join(name);
            std::fs::write(&path, text).expect("a program");
            std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("its mode");
        }
        let night = Night::new(sandbox.dir(), &runbook, SPEED).with_program(support::cutover());
        let evidence = night.rehearse().await.expect("a rehearsal");
        Stage {
            sandbox,
            night,
            evidence,
            nights: 0,
        }
    }

    /// Plays a night to its end.
    async fn play(&mut self, fault: Option<(Fault, String)>) -> (Folder, Session) {
        self.play_with(fault, |_| ()).await
    }

    /// The same; `meanwhile` has the session's folder, in a thread of its own.
    async fn play_with(
        &mut self,
        fault: Option<(Fault, String)>,
        meanwhile: impl FnOnce(&Folder) + Send + 'static,
    ) -> (Folder, Session) {
        self.nights += 1;
        let wait_before = fault.as_ref().map(|(_, step)| step.as_str());
        let folder = self
            .night
            .open(self.nights, self.evidence.clone(), wait_before)
            .await
            .expect("a session");
        let beside = folder.clone();
        let aside = tokio::task::spawn_blocking(move || meanwhile(&beside));
        let script = Script {
            restarts: 20,
            ..self.night.script(fault)
        };
        let session = operators::play(&folder, script)
            .await
            .expect("the night ends");
        aside.await.expect("what was to be done meanwhile");
        (folder, session)
    }

    /// What a night left in PostgreSQL and in the processes goes, so that the next one begins on clean ground.
    async fn clear(&self) {
        let dir = self.sandbox.dir().to_owned();
        tokio::task::spawn_blocking(move || faults::heal(&dir))
            .await
            .unwrap()
            .expect("faults are taken back");
        let url = self.sandbox.environment().unwrap()["TARGET_URL"].clone();
        rehearse::empty(&Endpoint::parse(&url).unwrap(), "public")
            .await
            .expect("an empty target");
    }

    /// The writes that users were told had been stored, the oldest first.
    fn acknowledged(&self) -> Vec<Value> {
        let list =
            std::fs::read_to_string(self.sandbox.layout().acknowledged()).unwrap_or_default();
        let writes = list.lines().map(serde_json::from_str);
        writes.collect::<Result<_, _>>().expect("JSON lines")
    }

    /// Every instance answers from SQLite, which holds every row of the backup and every write that it acknowledged.
    async fn assert_on_sqlite(&self, session: &Session) {
        for n in 1..=6 {
            let url = &self.sandbox.environment().unwrap()[&format!("APP_{n}")];
            let ready: Value = support::http()
                .get(format!("{url}/ready"))
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            assert_eq!(ready["provider"], "Sqlite", "app-{n}: {ready}");
        }
        let live = rusqlite::Connection::open(self.sandbox.layout().live()).unwrap();
        let count = |table: &str| -> i64 {
            live.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |r| {
                r.get(0)
            })
            .unwrap()
        };
        let counts = session
            .steps
            .iter()
            .find_map(|s| s.outcome.as_ref()?.facts.get("counts"));
        for table in counts.and_then(Value::as_array).into_iter().flatten() {
            let (name, before) = (
                table["table"].as_str().unwrap(),
                table["rows"].as_i64().unwrap(),
            );
            assert!(
                count(name) >= before,
                "{name} has {} rows, had {before}",
                count(name)
            );
        }
        let acknowledged =
            std::fs::read_to_string(self.sandbox.layout().acknowledged()).unwrap_or_default();
        let on_sqlite = acknowledged
            .lines()
            .filter(|l| l.contains(r#""provider":"Sqlite""#));
        let missing: Vec<&str> = on_sqlite
            .filter(|line| {
                let write: Value = serde_json::from_str(line).unwrap();
                let slug = write["slug"].as_str().unwrap();
                let found: i64 = live
                    .query_row(
                        r#"SELECT count(*) FROM "ToolContents" WHERE "Slug" = ?1"#,
                        [slug],
                        |r| r.get(0),
                    )
                    .unwrap();
                found != 1
            })
            .collect();
        for line in &missing {
            let write: Value = serde_json::from_str(line).unwrap();
            let id = write["toolId"].as_i64().unwrap();
            let sql =
                r#"SELECT "Slug" || ' of ' || "CreatedAt" FROM "ToolContents" WHERE "Id" = ?1"#;
            let row: Result<String, _> = live.query_row(sql, [id], |r| r.get(0));
            let others = acknowledged
                .lines()
                .filter(|l| l.contains(&format!("\"toolId\":{id}}}")))
                .count();
            eprintln!("{line}\nits id {id} was acknowledged {others} times and now is {row:?}");
        }
        assert!(
            missing.is_empty(),
            "{} acknowledged writes are not there once",
            missing.len()
        );
    }
}

/// Kills the engine with no chance to tidy up, once a row has begun for the n-th time.
fn kill_at(folder: &Folder, row: &str, times: usize) {
    wait_for(folder, row, times);
    let engine = read_holder(folder).expect("a holder").pid;
    support::signal(engine, Signal::KILL);
}

/// Waits until a row has begun for the n-th time.
fn wait_for(folder: &Folder, row: &str, times: usize) {
    wait_until(folder, times, |event| match event {
        Event::StepStarted { step, .. } => *step == row,
        Event::RollbackRowStarted { row: begun } => *begun == row,
        _ => false,
    });
}

/// Waits for the n-th event of a kind.
fn wait_until(folder: &Folder, times: usize, is_it: impl Fn(&Event) -> bool) {
    let mut follower = Follower::open(folder).expect("a journal");
    let mut seen = 0;
    let deadline = Instant::now() + Duration::from_secs(180);
    while seen < times {
        assert!(Instant::now() < deadline, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
        let entries = follower.poll().expect("a sound chain");
        let events = entries.iter().map(|e| from_entry(e).unwrap().event);
        seen += events.filter(|event| is_it(event)).count();
    }
}

/// Kills the engine once a row of the rollback has begun for the `times`-th time, unless the row was quicker.
fn kill_unless_done(folder: &Folder, row: &str, times: usize) {
    let is_done = |event: &Event| matches!(event, Event::RollbackRowFinished { row: done, .. } if done == row);
    let mut follower = Follower::open(folder).expect("a journal");
    let (mut begun, mut done) = (0, false);
    let deadline = Instant::now() + Duration::from_secs(180);
    while begun < times && !done {
        assert!(Instant::now() < deadline, "waited in vain for {row}");
        std::thread::sleep(Duration::from_millis(5));
        for entry in follower.poll().expect("a sound chain") {
            let event = from_entry(&entry).unwrap().event;
            done |= is_done(&event);
            begun += usize::from(
                matches!(event, Event::RollbackRowStarted { row: begun } if begun == row),
            );
        }
    }
    if begun >= times
        && let Some(holder) = read_holder(folder)
        && support::is_alive(holder.pid)
    {
        support::signal(holder.pid, Signal::KILL);
    }
}

/// What a night said, for a failed assertion.
fn story(folder: &Folder) -> String {
    let entries = Follower::open(folder)
        .and_then(|mut f| f.poll())
        .expect("a sound chain");
    entries
        .iter()
        .filter_map(|e| words(&from_entry(e).ok()?.event))
        .collect::<Vec<_>>()
        .join("\n")
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

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_caught_by_its_row_and_leaves_the_application_on_sqlite() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut stage = Stage::set("window: 20m").await;
    assert!(
        stage.evidence.parts.iter().all(|(_, ok, _)| *ok),
        "{:?}",
        stage.evidence.parts
    );
    let long = if std::env::var_os("CUTOVER_SOAK").is_some() {
        include_str!("night/faults-soak.txt")
    } else {
        ""
    };
    let nights = include_str!("night/faults.txt").lines().chain(long.lines());
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
        eprintln!(
            "REASON {name}@{step}: {:?}",
            session.fired.as_ref().map(|f| &f.reason)
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
        if name == "5xx-low" {
            assert_cost_was_told(&folder);
            assert_salvaged(&stage, &folder, &session, acknowledged_before).await;
        }
        stage.clear().await;
    }
    assert_by_hand_from_any_moment(&mut stage).await;
}

/// From wherever somebody rolls back from any shell, the application ends on SQLite with all that it had.
async fn assert_by_hand_from_any_moment(stage: &mut Stage) {
    let long = if std::env::var_os("CUTOVER_SOAK").is_some() {
        include_str!("night/rollbacks-soak.txt")
    } else {
        ""
    };
    let moments = include_str!("night/rollbacks.txt").lines();
    for line in moments.chain(long.lines()).filter(|l| !l.starts_with('#')) {
        let [moment, exit] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("rollbacks.txt: {line}");
        };
        let (step, restarts) = moment.split_once(':').unwrap_or((moment, "0"));
        let (step, restarts) = (step.to_owned(), restarts.parse::<usize>().unwrap());
        let asked = exit.to_owned();
        let (folder, session) = stage
            .play_with(None, move |folder| {
                if restarts > 0 {
                    wait_until(folder, restarts, |event| {
                        matches!(
                            event,
                            Event::UndoRecorded {
                                undo: Undo::Restart { .. },
                                ..
                            }
                        )
                    });
                } else {
                    wait_for(folder, &step, 1);
                }
                let rolled_back = Command::new(support::cutover())
                    .args(["rollback", "--as", "qa", "--reason", "a drill", "--confirm"])
                    .arg(folder.session())
                    .arg("--dir")
                    .arg(folder.dir())
                    .output()
                    .expect("rollback");
                let code = rolled_back.status.code().map(|code| code.to_string());
                assert_eq!(code, Some(asked), "{rolled_back:?}");
            })
            .await;
        let story = story(&folder);
        let code = exit_of(&session).map(|e| (e as u8).to_string());
        assert_eq!(code.as_deref(), Some(exit), "{moment}:\n{story}");
        let rollback = session.rollback.as_ref().expect("a rollback");
        assert_eq!(rollback.healthy, Some(true), "{moment}:\n{story}");
        assert_eq!(rollback.reason, "a drill", "{moment}:\n{story}");
        stage.assert_on_sqlite(&session).await;
        stage.clear().await;
    }
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

/// The salvage file holds what users wrote to PostgreSQL, no more and no less: all that they were told had been stored; and brought
/// into the backup it gives what PostgreSQL had. No id was given out twice.
async fn assert_salvaged(stage: &Stage, folder: &Folder, session: &Session, before: usize) {
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
    // What was stored and not acknowledged (an answer lost to the fault) is there too, and nothing else.
    let backup: Kept = session
        .steps
        .iter()
        .find_map(|s| serde_json::from_value(s.outcome.as_ref()?.facts.get("backup")?.clone()).ok())
        .expect("a backup");
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
    // Brought into the backup, all of them make it what PostgreSQL is.
    let restored = stage.sandbox.dir().join("restored.db");
    std::fs::copy(&backup.path, &restored).expect("a copy");
    let applied = Command::new(support::cutover())
        .args(["salvage", "apply", "--all", "--json", "--dir"])
        .arg(folder.dir())
        .arg("--to")
        .arg(&restored)
        .output()
        .expect("the command");
    assert_eq!(applied.status.code(), Some(0), "{applied:?}");
    let outcome: Value = serde_json::from_slice(&applied.stdout).expect("one JSON object");
    assert_eq!(outcome["committed"], true, "{outcome}");
    let environment = stage.sandbox.environment().unwrap();
    let env = |name: &str| environment.get(name).cloned();
    let runbook = parse("runbook.yaml", include_str!("../runbook.yaml"), &env);
    let transfer = runbook
        .unwrap_or_else(|p| panic!("{}", render(&p)))
        .transfer;
    let options = parity::Options::default();
    let cancel = CancellationToken::new();
    let report = parity::compare(
        &restored,
        &endpoint,
        "public",
        &transfer,
        &options,
        &|_| {},
        &cancel,
    );
    let report = report.await.expect("a report");
    let different: Vec<_> = report.tables.iter().filter(|t| !t.is_equal()).collect();
    assert!(different.is_empty(), "{different:#?}");
    // SQLite, where users write again, gives out other ids.
    let live = rusqlite::Connection::open(stage.sandbox.layout().live()).unwrap();
    for (slug, id) in &kept {
        let sql = r#"SELECT "Slug" FROM "ToolContents" WHERE "Id" = ?1"#;
        let taken: Option<String> = live.query_row(sql, [id], |r| r.get(0)).ok();
        assert_eq!(taken, None, "{slug} has id {id:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_goes_on_where_it_was() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut stage = Stage::set("window: 5m").await;
    // In the middle of the import, and in the middle of the rollout of the same night.
    let (folder, session) = stage
        .play_with(None, |folder| {
            kill_at(folder, "D2", 1);
            kill_at(folder, "F2", 1);
        })
        .await;
    assert_eq!(exit_of(&session), Some(Exit::Done), "{}", story(&folder));
    assert!(
        session.seq > 0 && story(&folder).matches("runs it").count() == 3,
        "{}",
        story(&folder)
    );
    assert_rows_once(&stage, &session).await;
    let (code, said) = close(&stage, &folder, &["--drop-schema"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("was dropped from the target"), "{said}");
    assert_eq!(
        said.matches("is whole; to be kept until").count(),
        2,
        "{said}"
    );
    // Back to SQLite for the next night: the release is complete, so this is the sandbox's affair.
    stage = Stage::set("window: 5m").await;
    // And at every row of the rollback, twice each.
    let fault = Some(("5xx".parse().unwrap(), "G1".to_owned()));
    let (folder, session) = stage
        .play_with(fault, |folder| {
            for row in ["R1", "R2", "R3", "R4", "R4+", "R5", "R6"] {
                kill_unless_done(folder, row, 1);
                kill_unless_done(folder, row, 2);
            }
        })
        .await;
    assert_eq!(
        exit_of(&session),
        Some(Exit::RolledBack),
        "{}",
        story(&folder)
    );
    let rollback = session.rollback.as_ref().expect("a rollback");
    assert_eq!(rollback.healthy, Some(true), "{}", story(&folder));
    assert!(
        rollback
            .rows
            .iter()
            .all(|row| row.status == StepStatus::Done && row.attempt <= 3),
        "{:#?}",
        rollback.rows
    );
    // Rows that are over in a moment may be over before the signal comes; most are not.
    let engines = story(&folder).matches("runs it").count();
    assert!(engines > 7, "{engines} engines:\n{}", story(&folder));
    stage.assert_on_sqlite(&session).await;
    let kept = Salvaged::open(&folder.dir().join(salvage::file::NAME)).expect("a salvage file");
    assert!(kept.tables().unwrap().iter().all(|t| t.lacks.is_none()));
    drop(kept);
    let (code, said) = close(&stage, &folder, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("note schema cutover: still in the target"),
        "{said}"
    );
    assert!(story(&folder).contains("closed by "), "{}", story(&folder));
}

/// `cutover close` as the release manager: its exit code, and what it said.
fn close(stage: &Stage, folder: &Folder, more: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(support::cutover())
        .args(["close", "--as", "release_manager", "--dir"])
        .arg(folder.dir())
        .args(more)
        .current_dir(stage.sandbox.dir())
        .envs(stage.sandbox.environment().unwrap())
        .output()
        .expect("close");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Every row of the backup is in PostgreSQL once; what the application has written since is its own.
async fn assert_rows_once(stage: &Stage, session: &Session) {
    let url = stage.sandbox.environment().unwrap()["TARGET_URL"].clone();
    let client = Endpoint::parse(&url)
        .unwrap()
        .connect()
        .await
        .expect("the target");
    let imported: Vec<(String, u64)> = session
        .steps
        .iter()
        .find_map(|s| {
            serde_json::from_value(s.outcome.as_ref()?.facts.get("imported")?.clone()).ok()
        })
        .expect("what was imported");
    for (table, rows) in imported.iter().filter(|(t, _)| t != "ToolContents") {
        let sql = format!("SELECT count(*) FROM \"{table}\"");
        let there: i64 = client.query_one(&sql, &[]).await.unwrap().get(0);
        assert!(
            there as u64 >= *rows,
            "{table}: {there} rows, {rows} were imported"
        );
    }
    let twice: i64 = client
        .query_one(r#"SELECT count(*) FROM (SELECT "Slug" FROM "ToolContents" GROUP BY 1 HAVING count(*) > 1) t"#, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(twice, 0);
}

/// What others did to the configuration and to the restart while the night went on: named, with what to do; the rest goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_names_what_it_cannot_put_right_and_goes_on() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let changes = [
        ("window: 60m", "window: 20m"),
        ("ready_within: 20s", "ready_within: 5s"),
        (
            r#"["${APPCTL}", appctl, --dir, "${APP_DIR}", restart, "{instance}"]"#,
            r#"["${APP_DIR}/restart.sh", "{instance}", "${APPCTL}", appctl, --dir, "${APP_DIR}", restart, "{instance}"]"#,
        ),
    ];
    let programs = [("restart.sh", include_str!("night/restart.sh"))];
    let mut stage = Stage::set_with(&changes, &programs).await;
    let dir = stage.sandbox.dir().to_owned();
    let fault = Some(("5xx".parse().unwrap(), "G1".to_owned()));
    let there = dir.clone();
    let (folder, session) = stage
        .play_with(fault, move |folder| {
            wait_for(folder, "G1", 1);
            let config = |n: u32| there.join(format!("instances/app-{n}/app.env"));
            let switched = std::fs::read_to_string(config(2)).unwrap();
            std::fs::write(config(2), format!("{switched}# by hand\n")).unwrap();
            // From here on the restart of app-3 writes the old configuration, and that of app-4 is gone.
            std::fs::copy(config(3), there.join("app-3.again")).unwrap();
        })
        .await;
    let story = story(&folder);
    assert_eq!(exit_of(&session), Some(Exit::RolledBack), "{story}");
    let rollback = session.rollback.as_ref().expect("a rollback");
    assert_eq!(rollback.healthy, Some(false), "{story}");
    let row = |id: &str| rollback.rows.iter().find(|row| row.id == id).unwrap();
    let said = |id: &str| row(id).outcome.as_ref().unwrap().summary.clone();
    assert!(
        said("R2").contains("app-2/app.env was edited by somebody else; theirs is kept as"),
        "{story}"
    );
    let theirs = std::fs::read_dir(dir.join("instances/app-2")).unwrap();
    let theirs = theirs
        .flatten()
        .find(|f| f.file_name().to_string_lossy().contains(".theirs-"));
    let theirs = std::fs::read_to_string(theirs.expect("theirs is kept").path()).unwrap();
    assert!(theirs.ends_with("# by hand\n"), "{theirs}");
    assert_eq!(row("R3").status, StepStatus::Failed, "{story}");
    assert!(
        said("R3").contains("app-4: restart failed with exit code 127"),
        "{story}"
    );
    let checks = &row("R4").outcome.as_ref().unwrap().checks;
    let bad: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
    let again = bad.iter().find(|check| check.name == "configuration_app-3");
    let again = again.unwrap_or_else(|| panic!("{bad:#?}"));
    assert!(
        again.detail.contains("is switched to PostgreSQL again"),
        "{again:?}"
    );
    // The others are back, and what follows was done.
    for id in ["R1", "R2", "R4+", "R5", "R6"] {
        assert_eq!(row(id).status, StepStatus::Done, "{id}: {story}");
    }
    for n in [1, 2, 5, 6] {
        let url = &stage.sandbox.environment().unwrap()[&format!("APP_{n}")];
        let ready = support::http()
            .get(format!("{url}/ready"))
            .send()
            .await
            .unwrap();
        let ready: Value = ready.json().await.unwrap();
        assert_eq!(ready["provider"], "Sqlite", "app-{n}: {ready}");
    }
}

/// A target that says nothing, and one that can write nothing, when it comes to the rollback: the application is back all the same,
/// and what could not be kept is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_hangs_or_is_full_delays_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut stage = Stage::set("window: 20m").await;
    let url = stage.sandbox.environment().unwrap()["TARGET_URL"].clone();
    let fault = || Some(("5xx".parse().unwrap(), "G1".to_owned()));
    let client = Endpoint::parse(&url).unwrap().connect().await.unwrap();
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
    let backend: i32 = row.unwrap().get(0);
    let postmaster = parent(backend.unsigned_abs()).expect("a postmaster");
    drop(client);

    let (folder, session) = stage
        .play_with(fault(), move |folder| {
            wait_until(folder, 1, has_fired);
            // No new ones first, then those that are there.
            support::signal(postmaster, Signal::STOP);
            let stopped = children(postmaster);
            stopped
                .iter()
                .for_each(|pid| support::signal(*pid, Signal::STOP));
            wait_for(folder, "R6", 1);
            stopped
                .iter()
                .for_each(|pid| support::signal(*pid, Signal::CONT));
            support::signal(postmaster, Signal::CONT);
        })
        .await;
    let told = assert_back(&stage, &folder, &session).await;
    assert!(
        told("R3").contains("PostgreSQL did not answer within a second"),
        "{}",
        told("R3")
    );
    assert!(
        told("R5").contains("there is no salvage file"),
        "{}",
        told("R5")
    );
    let salvaged = session
        .rollback
        .as_ref()
        .unwrap()
        .rows
        .iter()
        .find(|r| r.id == "R5");
    assert_eq!(salvaged.unwrap().status, StepStatus::Failed);
    stage.clear().await;

    let (folder, session) = stage
        .play_with(fault(), move |folder| {
            wait_until(folder, 1, has_fired);
            let all = children(postmaster).into_iter().chain([postmaster]);
            all.for_each(support::no_more_room);
        })
        .await;
    let _ = assert_back(&stage, &folder, &session).await;
}

/// The countdown runs: half a second is left until the rollback.
fn has_fired(event: &Event) -> bool {
    matches!(event, Event::TriggerFired { .. })
}

/// The application serves from SQLite, and every row within the RTO was done. Gives what a row said.
async fn assert_back(
    stage: &Stage,
    folder: &Folder,
    session: &Session,
) -> impl Fn(&str) -> String + use<> {
    let story = story(folder);
    assert_eq!(exit_of(session), Some(Exit::RolledBack), "{story}");
    let rollback = session.rollback.clone().expect("a rollback");
    assert_eq!(rollback.healthy, Some(true), "{story}");
    stage.assert_on_sqlite(session).await;
    move |id| {
        let row = rollback.rows.iter().find(|row| row.id == id);
        row.and_then(|row| Some(row.outcome.as_ref()?.summary.clone()))
            .unwrap_or_default()
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

fn children(of: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("processes").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent(*pid) == Some(of)).collect()
}

#[test]
fn the_clean_night_ends_on_postgresql_with_every_row_done() {
    let _alone = ONE_AT_A_TIME.blocking_lock();
    let output = Command::new(support::cutover())
        .args([
            "demo",
            "--headless",
            "--speed",
            "60",
            "--rows",
            "2000",
            "--rate",
            "60",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("the demo runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let whole: Value = serde_json::from_slice(&output.stdout).expect("one JSON object on stdout");
    let rows: BTreeMap<&str, &Value> = whole["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["id"].as_str().unwrap(), r))
        .collect();
    let protocol = "P1 P2 P3 A1 A2 A3 A4 B1 B2 B3 C1 C2 C3 D1 D2 D3 D4 E1 E2 E3 E4 F1 F2 F3 F4 V1 V2 V3 V4 V5 G1 G2";
    for id in protocol.split(' ') {
        assert_eq!(rows[id]["status"], "done", "{id}: {}", rows[id]);
        assert!(rows[id]["seconds"].as_f64().is_some(), "{id}: {}", rows[id]);
    }
    for id in "K1 K2 K3 K4 K5 K6 K7 K8 T1a T1b T2a T2b T2c T3a T3b T4a T4b T4c T4d R1 R6 M1 M5 X1"
        .split(' ')
    {
        assert!(rows.contains_key(id), "{id} has no row");
    }
    assert_eq!(whole["confidence"], 100);
    let dir = whole["folder"].as_str().map(Path::new).unwrap();
    assert!(!dir.exists(), "the sandbox is gone with its folder");
}

/// What becomes of a night that is ended from outside.
#[test]
fn an_interrupted_night_leaves_nothing_behind() {
    let _alone = ONE_AT_A_TIME.blocking_lock();
    for end in [Signal::INT, Signal::KILL] {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path();
        let mut demo = Command::new(support::cutover())
            .args(["demo", "--headless", "--speed", "60", "--rows", "500"])
            .env("TMPDIR", dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the demo");
        let log = BufReader::new(demo.stderr.take().expect("a log"));
        let mut lines = log.lines().map(|line| line.expect("text"));
        let begun = |line: &String| line.contains("P3   started") && !line.contains("rehearsal");
        lines.find(begun).expect("the night began");
        assert!(processes_of(dir) > 8, "engine, instances, supervisor");
        it_is_found_from_any_folder(dir);
        support::signal(demo.id(), end);
        // Nobody is left to write to the log once all are gone.
        assert!(!lines.any(|line| line.contains("FAILED")), "{end:?}");
        let code = demo.wait().expect("an end").code();
        assert_eq!(code, (end == Signal::INT).then_some(1), "{end:?}");
        let deadline = Instant::now() + Duration::from_secs(30);
        while processes_of(dir) > 0 {
            assert!(Instant::now() < deadline, "{end:?} leaves processes behind");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// `cutover status` in a folder without sessions shows that of the running sandbox, whether or not anybody reads all of it.
fn it_is_found_from_any_folder(sandboxes: &Path) {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let status = || {
        let mut command = Command::new(support::cutover());
        command
            .arg("status")
            .env("TMPDIR", sandboxes)
            .current_dir(elsewhere.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("status")
    };
    let read = status().wait_with_output().expect("its end");
    let text = String::from_utf8_lossy(&read.stdout);
    assert!(text.contains("tool-catalogue"), "{read:?}");
    let mut unread = status();
    drop(unread.stdout.take());
    let unread = unread.wait_with_output().expect("its end");
    assert_eq!(unread.status.code(), read.status.code(), "{unread:?}");
    assert_eq!(unread.stderr, read.stderr, "{unread:?}");
}

/// Processes that have this folder among their arguments.
fn processes_of(dir: &Path) -> usize {
    let dir = dir.to_str().expect("UTF-8");
    let entries = std::fs::read_dir("/proc").expect("processes");
    let lines = entries.filter_map(|e| std::fs::read(e.ok()?.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(dir))
        .count()
}
