//! `kill -9` of a writing engine at any moment leaves a journal that opens and holds everything that was acknowledged.

use std::time::{Duration, Instant};

use cutover::engine::lease::Lease;
use cutover::journal::{EngineState, Follower, Journal, Reading, Retention, Sample, Stream};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{child, engine, session};

/// The hidden test that writes.
pub const WRITER: &str = "journal::crash::child_writes_until_it_is_killed";
const MOST_EVENTS_AT_ONCE: u64 = 4;
const ROUNDS: u32 = 12;
const ROUNDS_OF_A_SOAK: u32 = 300;

#[test]
fn child_writes_until_it_is_killed() {
    let Some(folder) = child::asked_for(WRITER) else {
        return;
    };
    let mut engine = engine(&folder);
    let mut scribe = engine
        .journal
        .scribe(Retention::default())
        .expect("a scribe");
    let notes = scribe.notes();
    for n in 0.. {
        let entries = engine.note(1 + n % MOST_EVENTS_AT_ONCE);
        child::say(&entries.last().expect("an event").seq.to_string());
        notes.sample(Sample {
            signal: "lag".to_owned(),
            at_ms: n as i64,
            reading: Reading::Value(n as f64),
            n: Some(1),
        });
        notes.output("D2", 1, Stream::Step, n as i64, "a line");
        notes
            .publish("log", "log", n as i64, &n.to_be_bytes())
            .expect("an artefact");
        scribe.flush(n as i64, "boot", n as i64).expect("a flush");
    }
}

#[test]
fn killed_at_any_moment_it_opens_and_holds_what_was_acknowledged() {
    let seed = 20_260_301;
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let session = session();
    let folder = &session.folder;
    let mut last_fencing = 0;
    let rounds = match std::env::var_os("CUTOVER_SOAK") {
        None => ROUNDS,
        Some(_) => ROUNDS_OF_A_SOAK,
    };
    for round in 0..rounds {
        let mut writer = child::start(WRITER, folder);
        let mut acknowledged = 0;
        for _ in 0..rng.random_range(1..12) {
            acknowledged = writer
                .hear()
                .and_then(|seq| seq.parse().ok())
                .expect("a writer that writes");
        }
        spin(Duration::from_micros(rng.random_range(0..4_000)));
        if let Some(seq) = writer.kill().last() {
            acknowledged = seq.parse().expect("a number");
        }

        let mut follower = Follower::open(folder).expect("a follower opens it");
        let seen = follower.poll().expect("a sound chain").len() as u64;
        assert!(
            (acknowledged..=acknowledged + MOST_EVENTS_AT_ONCE).contains(&seen),
            "round {round}: {seen} events, {acknowledged} acknowledged"
        );
        assert!(matches!(
            follower.engine().expect("a state"),
            EngineState::Died { .. }
        ));
        for artefact in follower.artefacts().expect("artefacts") {
            follower
                .read_artefact(artefact.sha256)
                .expect("a listed artefact is there");
        }

        let lease = Lease::take(folder).expect("a dead engine's lease");
        assert!(lease.fencing() > last_fencing);
        last_fencing = lease.fencing();
        let (journal, found) = Journal::open(folder, lease.fencing()).expect("it opens");
        assert_eq!(found.len() as u64, seen);
        assert_eq!(journal.head().seq, seen);
    }
}

/// A pause too short for a timer.
fn spin(pause: Duration) {
    let end = Instant::now() + pause;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}
