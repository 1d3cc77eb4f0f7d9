//! Rollbacks: by hand from any moment, through a killed engine, with a target that hangs or is full, and with what others did meanwhile.

mod killed;

use cutover::cli::Exit;
use cutover::cli::follow::exit_of;
use cutover::cli::orders::Standing;
use cutover::journal::{Folder, is_engine_alive};
use cutover::salvage;
use cutover::salvage::file::{Choice, Salvaged};
use cutover::session::{Event, Session, StepStatus, Undo};
use cutover::step::salvage::rows_not_brought;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::moments::{story, until, wait_for, wait_until};
use super::secrets;
use super::stage::{Stage, acknowledged_in};
use crate::support;

/// From wherever somebody rolls back from any shell, the application ends on SQLite with all that it had, and with all that users were told
/// had been stored since.
#[tokio::test(flavor = "multi_thread")]
async fn by_hand_from_any_moment_nothing_is_lost() {
    let changes = [
        ("window: 60m", "window: 15m"),
        // From the beginning of G2 to the release, in seconds. Somebody rolls back before.
        ("stays_green: 2m", "stays_green: 60m"),
    ];
    let mut stage = Stage::set_with(&changes, &[], &[]).await;
    let long = if std::env::var_os("CUTOVER_SOAK").is_some() {
        include_str!("rollbacks-soak.txt")
    } else {
        ""
    };
    let moments = include_str!("rollbacks.txt").lines();
    for line in moments.chain(long.lines()).filter(|l| !l.starts_with('#')) {
        let [moment, exit] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("rollbacks.txt: {line}");
        };
        let (step, restarts) = moment.split_once(':').unwrap_or((moment, "0"));
        let (step, restarts) = (step.to_owned(), restarts.parse::<usize>().unwrap());
        let asked = exit.to_owned();
        let before = stage.acknowledged().len();
        let list = stage.sandbox.layout().acknowledged();
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
                if step == "G2" {
                    until("users write to PostgreSQL", || {
                        let writes = acknowledged_in(&list);
                        let mut night = writes[before..].iter();
                        night.any(|w| w["provider"] == "Postgres")
                    });
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
                let is_alive = is_engine_alive(folder).expect("a lease");
                assert!(!is_alive, "whoever waits for it finds the engine gone");
                // Whoever rolls back reads of the rollback, not of the whole night.
                let said = String::from_utf8_lossy(&rolled_back.stderr);
                let mut lines = said
                    .lines()
                    .skip_while(|line| !line.contains("ROLLBACK by"));
                assert!(lines.next().is_some(), "{said}");
                assert!(lines.any(|l| l.starts_with("rollback of ")), "{said}");
                assert!(!said.contains("P1   started"), "{said}");
            })
            .await;
        let story = story(&folder);
        let code = exit_of(&session).map(|e| (e as u8).to_string());
        assert_eq!(code.as_deref(), Some(exit), "{moment}:\n{story}");
        let rollback = session.rollback.as_ref().expect("a rollback");
        assert_eq!(rollback.healthy, Some(true), "{moment}:\n{story}");
        assert_eq!(rollback.reason, "a drill", "{moment}:\n{story}");
        stage.assert_on_sqlite(&session).await;
        assert_eq!(rows_not_brought(&folder).expect("a file"), 0, "{moment}");
        let written = stage.on_postgres_since(before);
        assert!(written > 0 || moment != "G2", "{moment}:\n{story}");
        stage.clear().await;
    }
}

/// A command on a session as the release manager, in the sandbox: its exit code, and what it said.
fn manage(stage: &Stage, folder: &Folder, command: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(support::cutover())
        .args(command)
        .args(["--as", "release_manager", "--dir"])
        .arg(folder.dir())
        .current_dir(stage.sandbox.dir())
        .envs(stage.sandbox.environment().unwrap())
        .output()
        .expect("cutover");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// What others did to the configuration and to the restart while the night went on: named, with what to do; the rest goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_names_what_it_cannot_put_right_and_goes_on() {
    let changes = [
        ("window: 60m", "window: 20m"),
        (
            r#"["${APPCTL}", appctl, --dir, "${APP_DIR}", restart, "{instance}"]"#,
            r#"["${APP_DIR}/restart.sh", "{instance}", "${APPCTL}", appctl, --dir, "${APP_DIR}", restart, "{instance}"]"#,
        ),
        (
            r#"["${APPCTL}", appctl, --dir, "${APP_DIR}", restart, --now, "{instance}"]"#,
            r#"["${APP_DIR}/restart.sh", "{instance}", "${APPCTL}", appctl, --dir, "${APP_DIR}", restart, --now, "{instance}"]"#,
        ),
    ];
    let changes = changes.into_iter().chain(secrets::CHANGES);
    let changes: Vec<_> = changes.chain(OWN_STEPS).collect();
    let restart =
        include_str!("restart.sh").replace("exec \"$@\"", &format!("{}exec \"$@\"", secrets::TALK));
    let own = format!(
        "#!/bin/sh\n{}cat\necho \"$HANDED\"\necho \"$1\" >> \"$2\"\n",
        secrets::TALK
    );
    let programs = [("restart.sh", restart.as_str()), ("own.sh", own.as_str())];
    let mut stage = Stage::set_with(&changes, &programs, &secrets::VARIABLES).await;
    let command_lines = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&command_lines);
    let dir = stage.sandbox.dir().to_owned();
    let fault = Some(("5xx".parse().unwrap(), "G1".to_owned()));
    let there = dir.clone();
    let (folder, session) = stage
        .play_with(fault, move |folder| {
            // Nothing reads a configuration or restarts anybody from here to the rollback.
            wait_for(folder, "V1", 1);
            let config = |n: u32| there.join(format!("instances/app-{n}/app.env"));
            let switched = std::fs::read_to_string(config(2)).unwrap();
            std::fs::write(config(2), format!("{switched}# by hand\n")).unwrap();
            // From here on the restart of app-3 writes the old configuration, and that of app-4 is gone.
            std::fs::copy(config(3), there.join("app-3.again")).unwrap();
            assert_sheets(folder, &there);
            let over = || !is_engine_alive(folder).unwrap_or(false);
            secrets::watch_command_lines(over, &seen);
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
    let failed = |id: &str| -> Vec<String> {
        let checks = &row(id).outcome.as_ref().unwrap().checks;
        let failed = checks.iter().filter(|check| !check.ok);
        failed.map(|check| check.detail.clone()).collect()
    };
    for says in [
        "app-3 serves from PostgreSQL",
        "app-4: restart failed with exit code 127",
    ] {
        assert!(failed("R3").iter().any(|why| why.contains(says)), "{story}");
    }
    let checks = &row("R4").outcome.as_ref().unwrap().checks;
    let bad: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
    let again = bad.iter().find(|check| check.name == "configuration_app-3");
    let again = again.unwrap_or_else(|| panic!("{bad:#?}"));
    assert!(
        again.detail.contains("so app-3 starts on PostgreSQL"),
        "{again:?}"
    );
    // The others are back, and what follows was done.
    for id in ["R1", "R1+", "R2", "R2+", "R4+", "R5", "R6"] {
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
    says!(story, "DatabaseProvider is ${SWITCH_TO}");
    // In the rehearsal and in the night, the latest first; and nothing that only a step of ours prints is on the screen.
    let own = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    assert_eq!(own("own.done"), "O1\nO2\n".repeat(2), "{story}");
    assert_eq!(own("own.undone"), "O2\nO1\n".repeat(2), "{story}");
    assert!(said("R2").contains("O2 undone in"), "{story}");
    secrets::assert_nowhere(&stage.sandbox, &folder, &command_lines.lock().unwrap());
    assert_tried_again(&mut stage, &folder, &dir).await;
}

/// A sheet is written, written anew, and never over a page that is somebody else's.
fn assert_sheets(folder: &Folder, dir: &Path) {
    let out = dir.join("sheets");
    let page = out.join("sheet.md");
    let write = || {
        Command::new(support::cutover())
            .args(["report", "--sheet", "--dir"])
            .arg(folder.dir())
            .arg("--out")
            .arg(&out)
            .output()
            .expect("report")
    };
    for _ in 0..2 {
        let written = write();
        assert!(written.status.success(), "{written:?}");
    }
    let sheet = std::fs::read_to_string(&page).expect("a sheet");
    assert!(sheet.contains("What O1 did:"), "{sheet}");
    std::fs::write(&page, "# Notes of mine\n").expect("a page");
    let refused = write();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "# Notes of mine\n");
}

/// Steps of the operators' own before and after the switch, which are handed secrets, and whose undoes are to run in the opposite order.
const OWN_STEPS: [(&str, &str); 2] = [
    (
        "  - { id: F1, kind: switch,",
        r#"  - id: O1
    kind: command
    title: Of our own, before the switch
    start: auto
    action: { command: ["${APP_DIR}/own.sh", O1, "${APP_DIR}/own.done"], stdin: "${NIGHT_TOKEN} {runtime_url}", rehearse: same }
    undo: { command: ["${APP_DIR}/own.sh", O1, "${APP_DIR}/own.undone"], env: { HANDED: "${NIGHT_TOKEN} {target_url}" }, rehearse: same }
  - { id: F1, kind: switch,"#,
    ),
    (
        "  - { id: F2, kind: rollout,",
        r#"  - id: O2
    kind: command
    title: Of our own, after the switch
    start: auto
    action: { command: ["${APP_DIR}/own.sh", O2, "${APP_DIR}/own.done"], rehearse: same }
    undo: { command: ["${APP_DIR}/own.sh", O2, "${APP_DIR}/own.undone"], rehearse: same }
  - { id: F2, kind: rollout,"#,
    ),
];

/// What stood in the way is gone: the same rows, run again, end well. After somebody has closed the session nothing runs any more.
async fn assert_tried_again(stage: &mut Stage, folder: &Folder, dir: &Path) {
    std::fs::remove_file(dir.join("app-3.again")).expect("mended");
    let (code, said) = manage(stage, folder, &["retry", "--row", "R2"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("R2, R2+, R3, R4, R4+, R5 run again"),
        "{said}"
    );
    let session = cutover::history::session(folder).expect("a session");
    assert_eq!(
        session.rollback.as_ref().unwrap().healthy,
        Some(true),
        "{said}"
    );
    stage.assert_on_sqlite(&session).await;
    let (_, said) = manage(stage, folder, &["retry"]);
    says!(said, "every row of the rollback was done");
    let (code, said) = manage(stage, folder, &["close", "--accept-open"]);
    assert_eq!(code, Some(0), "{said}");
    says!(said, "is closed");
    let (code, said) = manage(stage, folder, &["retry", "--row", "R4"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the session is closed"), "{said}");
}

/// A target that says nothing, and one that can write nothing, when it comes to the rollback: the application is back all the same, with what
/// was read before, and the moment after which something may be lacking is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_hangs_or_is_full_delays_nothing() {
    let changes = [
        ("window: 60m", "window: 20m"),
        ("countdown: 30s ", "countdown: 5m "),
    ];
    let mut stage = Stage::set_with(&changes, &[], &[]).await;
    let url = stage.sandbox.environment().unwrap()["TARGET_URL"].clone();
    let fault = || Some(("5xx".parse().unwrap(), "G1".to_owned()));
    let client = support::client(&url).await;
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
    let told = assert_back(&mut stage, &folder, &session).await;
    // By what the engine had read while it answered.
    says!(told("R2+"), "what was committed after ");
    says!(told("R3"), "raised beyond PostgreSQL's");
    says!(told("R5"), "is not complete (");
    let salvaged = session
        .rollback
        .as_ref()
        .unwrap()
        .rows
        .iter()
        .find(|r| r.id == "R5");
    assert_eq!(salvaged.unwrap().status, StepStatus::Failed);
    assert_salvaged_later(&stage, &folder);
    stage.clear().await;

    let (folder, session) = stage
        .play_with(fault(), move |folder| {
            wait_until(folder, 1, has_fired);
            // Whoever is forked from here on has none either.
            support::no_more_room(postmaster);
            let all = children(postmaster).into_iter();
            all.for_each(support::no_more_room);
        })
        .await;
    let _ = assert_back(&mut stage, &folder, &session).await;
}

/// PostgreSQL answers again: all that users wrote there is kept now, once, with what SQLite has of it already, and that is on record.
fn assert_salvaged_later(stage: &Stage, folder: &Folder) {
    // Until then nothing opens the way to a night that would delete it.
    let correct = ["correct", "--what", "the server was started again"];
    let (code, said) = manage(stage, folder, &correct);
    assert_eq!(code, Some(1), "{said}");
    says!(said, "not all is known to be anywhere but there");
    let (code, said) = manage(stage, folder, &["close"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("OPEN salvage:"), "{said}");
    // So rows of the rollback can be tried again still.
    says!(said, "is NOT closed: what is marked OPEN is left to do: ");
    let session = cutover::history::session(folder).expect("a session");
    assert!(!session.is_closed && Standing::is_in(folder.dir()));
    let (code, said) = manage(stage, folder, &["salvage", "make"]);
    assert_eq!(code, Some(0), "{said}");
    let kept = Salvaged::open(&folder.dir().join(salvage::file::NAME)).expect("a salvage file");
    assert!(kept.tables().unwrap().iter().all(|t| t.lacks.is_none()));
    let slugs: BTreeSet<_> = kept
        .chosen(&Choice::default())
        .unwrap()
        .iter()
        .map(|n| {
            let row = kept.row(*n).unwrap();
            let slug = row.values.iter().find(|v| v.name == "Slug").unwrap();
            slug.new.as_str().unwrap().to_owned()
        })
        .collect();
    let acknowledged = stage.acknowledged();
    let mut on_postgres = acknowledged.iter().filter(|w| w["provider"] == "Postgres");
    assert!(!slugs.is_empty(), "{said}");
    assert!(on_postgres.all(|w| slugs.contains(w["slug"].as_str().unwrap())));
    assert_not_twice(stage, &kept);
    assert!(story(folder).contains("salvaged after the rollback: "));
    let (code, said) = manage(stage, folder, &["salvage", "make"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("salvage.db is there."), "{said}");
    let (code, said) = manage(stage, folder, &correct);
    assert_eq!(code, Some(0), "{said}");
}

/// What SQLite has counts as brought in, and what it lacks does not.
fn assert_not_twice(stage: &Stage, kept: &Salvaged) {
    let file = stage.sandbox.layout().live();
    // By the one spelling that is noted.
    let file = file.canonicalize().expect("the file");
    let live = rusqlite::Connection::open(&file).expect("the file");
    for row in kept.chosen(&Choice::default()).expect("rows") {
        let of = kept.row(row).expect("a row");
        let slug = of.values.iter().find(|v| v.name == "Slug").expect("a slug");
        let slug = slug.new.as_str().expect("a text");
        let sql = r#"SELECT EXISTS (SELECT 1 FROM "ToolContents" WHERE "Slug" = ?1)"#;
        let is_there: bool = live.query_row(sql, [slug], |r| r.get(0)).expect("a row");
        let brought = kept.applied(row, &file).expect("a note");
        assert_eq!(brought.is_some(), is_there, "{slug}");
    }
}

/// The countdown runs: five seconds are left until the rollback.
fn has_fired(event: &Event) -> bool {
    matches!(event, Event::TriggerFired { .. })
}

/// The application serves from SQLite, and every row within the RTO was done. Gives what a row said.
async fn assert_back(
    stage: &mut Stage,
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
