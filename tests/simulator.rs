//! The engine itself, played by the hundred thousand on virtual time: its loop, ledger, judge, notices and the taking up after a crash are the
//! real code; steps, probes, people, the fleet, disks and both databases are models, with faults at every point where an engine could be
//! interrupted. A run is its seed.
//!
//! `CUTOVER_NIGHTS` says how many are played, `CUTOVER_FIRST_NIGHT` with which seed it begins, `CUTOVER_DEEDS` names a file that a failing one
//! left. Not in here: the rules without an engine (`session::simulation`), and engines with real databases (`night`).

mod book;
mod deeds;
mod outside;
mod people;
mod play;
mod rules;
mod script;
mod shrink;
mod signals;
mod steps;
mod tasks;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use play::{End, night};
use script::{Deed, KINDS, Sabotage, Script};
use world::Breach;

/// Seeds of `make test`, and of `make soak`.
const NIGHTS: u64 = 500;
const SOAK_NIGHTS: u64 = 100_000;
/// Failing seeds that are made smaller; the others are named.
const SMALLER: usize = 5;
/// From so many on, every kind of fault and of end has to have occurred.
const ALL_KINDS_FROM: u64 = 500;
/// What else has to occur: by which an engine ended, what was found, what was said.
const ALSO: [&str; 9] = [
    "fenced",
    "kept in memory",
    "no room",
    "drift found",
    "steps lost",
    "triggers fired",
    "switches begun",
    "notices",
    "writes",
];
/// Deeds that are tried until a sabotage has to have been caught.
const TRIES: u64 = 400;

#[derive(Default)]
struct Tally {
    ends: BTreeMap<End, u64>,
    counts: BTreeMap<&'static str, u64>,
    broken: Vec<(Script, Breach)>,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays seeds on two threads.
fn play_all(first: u64, count: u64) -> Tally {
    let (next, tally) = (AtomicU64::new(first), Mutex::new(Tally::default()));
    let plays = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let script = Script::random(seed);
            let played = night(&script, None);
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            for (what, n) in played.counts {
                *tally.counts.entry(what).or_default() += n;
            }
            match played.end {
                Ok(end) => *tally.ends.entry(end).or_default() += 1,
                Err(breach) => tally.broken.push((script, breach)),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(plays);
        plays();
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn an_engine_keeps_every_promise_whatever_happens() {
    if let Ok(path) = std::env::var("CUTOVER_DEEDS") {
        return replay(Path::new(&path));
    }
    let soak = std::env::var_os("CUTOVER_SOAK").is_some();
    let count = number("CUTOVER_NIGHTS").unwrap_or(if soak { SOAK_NIGHTS } else { NIGHTS });
    let first = number("CUTOVER_FIRST_NIGHT").unwrap_or(1);
    let began = Instant::now();
    let tally = play_all(first, count);
    let took_s = began.elapsed().as_secs_f64();
    println!(
        "{count} runs from seed {first} in {took_s:.1} s: {:?}",
        tally.ends
    );
    println!("{:?}", tally.counts);
    let mut told = Vec::new();
    for (n, (script, breach)) in tally.broken.iter().enumerate() {
        let seed = script.seed;
        if n >= SMALLER {
            told.push(format!("seed {seed}: {}: {}", breach.rule, breach.what));
            continue;
        }
        let (script, breach) = shrink::smaller(script, breach, None);
        let kept = shrink::keep(&script, &breach);
        let (rule, what) = (breach.rule, breach.what);
        told.push(format!(
            "seed {seed}: {rule}: {what}\n{}  CUTOVER_DEEDS={} replays it",
            script.text(),
            kept.display()
        ));
    }
    assert!(
        told.is_empty(),
        "{} seeds break a promise:\n{}",
        told.len(),
        told.join("\n")
    );
    if count >= ALL_KINDS_FROM {
        let all = [End::Completed, End::RolledBack, End::NoGo, End::NotHealthy];
        for end in all {
            assert!(tally.ends.contains_key(&end), "none ended {end:?}");
        }
        for kind in KINDS.iter().chain(&ALSO) {
            let n = tally.counts.get(kind).copied().unwrap_or_default();
            assert!(n > 0, "`{kind}` never occurred");
        }
    }
}

fn replay(path: &Path) {
    let text = std::fs::read_to_string(path).expect("a file of deeds");
    let played = night(&Script::read(&text), None);
    println!("{}", shrink::scenario(&played.recorded));
    assert!(played.end.is_ok(), "{:?}", played.end);
}

/// Runs that once broke a promise, as they were left.
#[test]
fn what_once_broke_a_promise_does_not_any_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulator");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "deeds") {
            continue;
        }
        seen += 1;
        let text = std::fs::read_to_string(&path).expect("a file of deeds");
        let end = night(&Script::read(&text), None).end;
        assert!(end.is_ok(), "{}: {end:?}", path.display());
    }
    assert!(seen > 0, "no files of deeds");
}

#[test]
fn a_script_reads_back_as_it_was_written() {
    for seed in 0..300 {
        let script = Script::random(seed);
        assert_eq!(Script::read(&script.text()), script);
    }
}

/// The same seed is the same run, or no failing one could be made smaller.
#[test]
fn a_run_is_its_seed() {
    for seed in [2, 5, 50] {
        let one = || night(&Script::random(seed), None).recorded;
        assert_eq!(one(), one(), "seed {seed}");
    }
}

/// What is left of a failing run can be played by the pure rules, and comes to the same end.
#[test]
fn what_was_recorded_plays_as_a_scenario() {
    for seed in 1..30 {
        let played = night(&Script::random(seed), None);
        let text = shrink::scenario(&played.recorded) + "show phase\n";
        let shown = crate::session::language::play(&text);
        let phase = shown.lines().last().unwrap_or_default().trim().to_owned();
        let wanted = match played.end {
            Ok(End::Completed) => "Completed",
            Ok(End::RolledBack | End::NoGo | End::NotHealthy) => "RolledBack",
            Err(breach) => panic!("seed {seed}: {breach:?}"),
        };
        assert!(phase.starts_with(wanted), "seed {seed}: {phase}\n{shown}");
    }
}

/// A model that is broken on purpose is caught by the rule that is there for it.
fn is_caught(sabotage: Sabotage, rule: &str, more: &[Deed]) {
    for seed in 1..TRIES {
        let mut script = Script::random(seed);
        let row = Some("F1".to_owned());
        for deed in more {
            let when = script::When {
                row: row.clone(),
                delay_ms: 100,
            };
            script.deeds.push((when, deed.clone()));
        }
        script.real = false;
        let Err(breach) = night(&script, Some(sabotage)).end else {
            continue;
        };
        assert_eq!(breach.rule, rule, "seed {seed}: {}", breach.what);
        let (fewer, still) = shrink::smaller(&script, &breach, Some(sabotage));
        assert_eq!(still.rule, rule);
        assert!(fewer.deeds.len() <= script.deeds.len());
        println!(
            "{sabotage:?}: seed {seed}: {}\n{}",
            still.what,
            fewer.text()
        );
        return;
    }
    panic!("{sabotage:?} was not caught");
}

#[test]
fn writes_to_both_databases_are_caught() {
    is_caught(Sabotage::OpensEarly, "two databases", &[]);
}

#[test]
fn a_switch_on_what_drifted_is_caught() {
    is_caught(Sabotage::BlindToDrift, "switch", &[]);
}

#[test]
fn a_trigger_that_is_not_recorded_is_caught() {
    is_caught(Sabotage::DeafToTriggers, "fired", &[]);
}

#[test]
fn an_effect_before_its_undo_is_caught() {
    is_caught(Sabotage::NoUndo, "undo", &[]);
}

#[test]
fn work_under_an_older_lease_is_caught() {
    is_caught(Sabotage::Unfenced, "fencing", &[Deed::SecondEngine]);
}

#[test]
fn a_row_that_is_lost_is_caught() {
    is_caught(Sabotage::LosesRow, "writes", &[]);
}

#[test]
fn a_board_that_flatters_is_caught() {
    is_caught(
        Sabotage::Flatters,
        "said",
        &[Deed::Errors { for_ms: 9_000 }],
    );
}

#[test]
fn a_rollback_that_says_too_much_is_caught() {
    is_caught(Sabotage::SaysHealthy, "said", &[]);
}

#[test]
fn a_word_that_is_forgotten_is_caught() {
    is_caught(Sabotage::ForgetsWords, "words", &[]);
}

#[test]
fn a_run_without_an_end_is_caught() {
    is_caught(Sabotage::NeverEnds, "ends", &[]);
}

#[test]
fn a_second_session_on_the_source_is_caught() {
    is_caught(Sabotage::TwoSessions, "sessions", &[Deed::SecondSession]);
}
