//! The rules of a session: scenarios written as files, who may do what as a table, and a seeded simulation of whole nights.

mod facts;
mod hostile;
pub mod language;
mod membership;
pub mod permits;
mod rehearsed;
mod simulation;

use std::path::{Path, PathBuf};

use cutover::cli::{Exit, follow};
use cutover::runbook::{self, Runbook};
use cutover::session::live::ItemView;
use cutover::session::{Charter, Event, Opening, Outcome, completion};

/// The reference runbook; names of the environment stand for themselves.
pub fn reference() -> Runbook {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook.yaml");
    let text = std::fs::read_to_string(path).expect("the reference runbook");
    let env = |name: &str| {
        Some(match name {
            name if name.ends_with("_URL") => "postgres://a@b/c".to_owned(),
            name if name.starts_with("APP_") || name == "CHAT_WEBHOOK" => "http://a/b".to_owned(),
            name => format!("/{name}"),
        })
    };
    runbook::parse("runbook.yaml", &text, &env).expect("valid")
}

pub fn charter() -> Charter {
    Charter::new(&reference(), opening())
}

pub fn opening() -> Opening {
    Opening {
        session: "tonight".into(),
        target: "db:5432/tools".into(),
        production: cutover::session::Production::default(),
        again: None,
        sandbox: true,
        rehearsal: false,
        speed: 1.0,
        wait_before: Vec::new(),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session")
}

/// Compares a file with what it should say by now; `BLESS=1` writes it anew.
fn agrees(path: &Path, shown: &str) -> bool {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, shown).expect("written");
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    if wanted != shown {
        println!("=== {} ===\n{shown}", path.display());
    }
    wanted == shown
}

#[test]
fn scenarios_end_as_they_are_written() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).expect("the folder of scenarios") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "scenario") {
            continue;
        }
        seen += 1;
        let text = std::fs::read_to_string(&path).expect("a scenario");
        if !agrees(&path, &language::play(&text)) {
            wrong.push(path);
        }
    }
    assert!(seen > 0, "no scenarios");
    assert!(
        wrong.is_empty(),
        "BLESS=1 accepts what happens now: {wrong:?}"
    );
}

#[test]
fn what_keeps_a_release_open_is_said_with_the_time_that_is_left() {
    let mut bridge = language::Bridge::open();
    let open = |bridge: &language::Bridge, items: &[ItemView]| {
        completion::open(&bridge.session, items).expect("rows that are open")
    };
    let early = open(&bridge, &[]);
    assert!(early.contains("Gates that are not green: K1 "), "{early}");

    bridge.reach("G2");
    bridge.settle();
    let item = |id: &str, green: Option<bool>, minutes: i64| ItemView {
        id: id.to_owned(),
        green,
        green_for_ms: minutes * 60_000,
        reason: "0.3 %, at most 1 %".to_owned(),
    };
    let begin = "G2 (Every item within its thresholds) is running. ";
    let end = ". G2 is running: Every item within its thresholds. Wait for it";
    for (items, waits_for) in [
        (
            vec![item("M1", Some(true), 6), item("M2", Some(true), 8)],
            "Every item of the checklist is green; G2 ends in 4:00 min if all stay so",
        ),
        (
            vec![item("M1", Some(true), 6), item("M2", Some(false), 0)],
            "G2 ends when every item has stayed green for 10:00 min, and that has not begun: M2 is red: 0.3 %, at most 1 %",
        ),
        (
            Vec::new(),
            "G2 lasts until every item of the checklist has stayed green for 10:00 min",
        ),
    ] {
        assert_eq!(open(&bridge, &items), format!("{begin}{waits_for}{end}"));
    }
    bridge.reach("end");
    assert_eq!(completion::open(&bridge.session, &[]), None);
}

#[test]
fn a_rollback_is_summed_up() {
    let bridge = language::Bridge::rolled_back(1_000);
    let rows = bridge.session.charter.rollback.len();
    let summary = follow::summary(&bridge.session).expect("a rollback");
    let first = format!("rollback of tonight: {rows} of {rows} rows done in {rows} s\n");
    assert!(summary.starts_with(&first), "{summary}");
    assert!(summary.contains("\nRolled back"), "{summary}");
    assert_eq!(follow::exit_of_retry(&bridge.session), Exit::Done);
    // Whoever has it run again reads which rows are red, and why; the application being back does not make it green.
    let mut bridge = bridge;
    bridge.append(Event::RollbackRowFinished {
        row: "R6".into(),
        outcome: Outcome::failed("the disk is full"),
    });
    let summary = follow::summary(&bridge.session).expect("a rollback");
    let done = rows - 1;
    let first =
        format!("rollback of tonight: {done} of {rows} rows done in {rows} s, FAILED: R6\n");
    assert!(summary.starts_with(&first), "{summary}");
    says!(summary, "\nR6 FAILED: the disk is full\nRolled back");
    assert_eq!(follow::exit_of_retry(&bridge.session), Exit::Failed);
    assert_eq!(follow::exit_of(&bridge.session), Some(Exit::RolledBack));
    let none = follow::summary(&language::Bridge::open().session);
    assert_eq!(none, None);
}

#[test]
fn who_may_do_what() {
    assert!(agrees(&folder().join("permits.txt"), &permits::table()));
}

#[test]
fn random_nights_keep_every_promise() {
    let first = std::env::var("SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(1_u64);
    let soak = std::env::var_os("CUTOVER_SOAK").is_some();
    let nights: u64 = if soak { 2_000 } else { 30 };
    let mut ends = simulation::Ends::default();
    for seed in first..first + nights {
        let night = std::panic::catch_unwind(|| simulation::night(seed));
        match night {
            Ok(end) => ends.count(end),
            Err(why) => panic!("SEED={seed}: {why:?}"),
        }
    }
    println!("{ends:?} from SEED={first}");
    assert!(
        ends.completed > 0 && ends.rolled_back > 0,
        "one-sided nights: {ends:?}"
    );
}
