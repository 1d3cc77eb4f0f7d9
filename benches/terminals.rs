//! How long after somebody pressed a key it is on the other terminals: a real engine, a person's bridge to its socket, and two cockpits'
//! followers, each in a thread of its own that looks as a cockpit looks. What a terminal then takes to draw is one frame more.
//!
//! Usage: cargo bench --bench terminals -- [ACTIONS]        (default 1000)

#![allow(clippy::disallowed_methods)] // benches make and remove what is theirs
#![allow(clippy::print_stdout)] // whoever runs it reads it

mod reference;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use cutover::cli::bridge::SocketBridge;
use cutover::cockpit::Bridge;
use cutover::cockpit::driver::{FRAME, LOOK};
use cutover::cockpit::follow::Follow;
use cutover::engine::{self, socket};
use cutover::journal::{Folder, Follower};
use cutover::session::{Command, Event};
use reference::orders;
use tokio_util::sync::CancellationToken;

/// Other terminals than the one at which the key is pressed.
const FOLLOWERS: usize = 2;
/// What was agreed for the 99th percentile.
const AGREED: Duration = Duration::from_millis(150);
/// An action that does not show within this is a failure, not a figure.
const GIVE_UP: Duration = Duration::from_secs(10);

fn main() {
    let first = std::env::args().skip(1).find(|a| a != "--bench");
    let actions = first.map_or(1_000, |n| n.parse().expect("a number of actions"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure(actions));
}

async fn measure(actions: usize) {
    let root = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(root.path(), "bench").expect("a session's folder");
    let stop = CancellationToken::new();
    let engine = tokio::spawn(engine::run(orders(&folder), stop.clone()));
    while socket::ping(&folder).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (shown, seen) = channel();
    for terminal in 0..FOLLOWERS {
        let follow = Follow::new(Follower::open(&folder).expect("a journal"));
        let shown = shown.clone();
        std::thread::spawn(move || look(follow, terminal, &shown));
    }
    let bridge = SocketBridge::new(folder.clone(), Some("robin".to_owned()), None);
    let took = tokio::task::spawn_blocking(move || act(&bridge, &seen, actions)).await;
    report(took.expect("figures"));
    stop.cancel();
    engine.await.expect("an end").expect("an orderly one");
}

/// Notes one after the other, at moments that have nothing to do with the rhythm in which the followers look.
fn act(
    bridge: &SocketBridge,
    seen: &Receiver<(usize, String, Instant)>,
    actions: usize,
) -> Vec<Took> {
    let mut took = Vec::with_capacity(actions);
    for n in 0..actions {
        std::thread::sleep(Duration::from_millis(n as u64 * 61 % 127));
        let text = format!("action {n}");
        let command = Command::Note { text: text.clone() };
        let pressed = Instant::now();
        bridge.send(&command, None).expect("an answer");
        let answered = pressed.elapsed();
        let mut last = Duration::ZERO;
        for _ in 0..FOLLOWERS {
            let (_, note, at) = seen.recv_timeout(GIVE_UP).expect("it shows everywhere");
            assert_eq!(note, text, "in order, and once on each");
            last = last.max(at.duration_since(pressed));
        }
        took.push(Took { answered, last });
    }
    took
}

/// A cockpit's thread that follows the journal.
fn look(mut follow: Follow, terminal: usize, shown: &Sender<(usize, String, Instant)>) {
    loop {
        std::thread::sleep(LOOK);
        let Ok(news) = follow.look() else { return };
        let at = Instant::now();
        for entry in news.entries {
            if let Event::NoteWritten { text, .. } = entry.event
                && shown.send((terminal, text, at)).is_err()
            {
                return;
            }
        }
    }
}

/// What one action took.
struct Took {
    /// Until the engine had it on record and answered.
    answered: Duration,
    /// Until the last of the other terminals had read it.
    last: Duration,
}

fn report(took: Vec<Took>) {
    let line = |name: &str, mut all: Vec<Duration>| {
        all.sort();
        let at = |share: f64| all[((all.len() - 1) as f64 * share).round() as usize];
        let ms = |d: Duration| d.as_secs_f64() * 1_000.0;
        println!(
            "{name:<44} p50 {:6.1} ms  p95 {:6.1} ms  p99 {:6.1} ms  most {:6.1} ms",
            ms(at(0.5)),
            ms(at(0.95)),
            ms(at(0.99)),
            ms(at(1.0))
        );
        at(0.99)
    };
    println!("{} actions, {FOLLOWERS} other terminals", took.len());
    line(
        "engine: on record and answered",
        took.iter().map(|t| t.answered).collect(),
    );
    line(
        "read by the last of the other terminals",
        took.iter().map(|t| t.last).collect(),
    );
    let p99 = line(
        "and drawn, one frame later at most",
        took.iter().map(|t| t.last + FRAME).collect(),
    );
    let held = if p99 <= AGREED {
        "holds"
    } else {
        "DOES NOT HOLD"
    };
    println!("99th percentile within {} ms: {held}", AGREED.as_millis());
}
