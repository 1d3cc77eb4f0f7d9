//! The rules of a session: scenarios written as files, who may do what as a table, and a seeded simulation of whole nights.

pub mod language;
pub mod permits;
mod simulation;

use std::path::{Path, PathBuf};

use cutover::runbook::{self, Runbook};
use cutover::session::{Charter, Opening};

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
    let opening = Opening {
        session: "tonight".into(),
        target: "db:5432/tools".into(),
        production: cutover::session::Production::default(),
        again: None,
        sandbox: true,
        rehearsal: false,
        speed: 1.0,
        wait_before: Vec::new(),
    };
    Charter::new(&reference(), opening)
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
