//! What happens beside a night: waiting for a moment of it, killing its engine there, and telling what it said.

use cutover::cli::follow::words;
use cutover::history::{self, History};
use cutover::journal::Folder;
use cutover::journal::holder::read_holder;
use cutover::session::Event;
use rustix::process::Signal;
use std::time::{Duration, Instant};

use crate::support;

/// Kills the engine with no chance to tidy up, once a row has begun for the n-th time.
pub(super) fn kill_at(folder: &Folder, row: &str, times: usize) {
    wait_for(folder, row, times);
    kill(folder);
}

/// The same for a row of the rollback, unless the row was quicker.
pub(super) fn kill_unless_done(folder: &Folder, row: &str, times: usize) {
    let (mut begun, mut done) = (0, false);
    watch(folder, row, |event| {
        done |= matches!(event, Event::RollbackRowFinished { row: ended, .. } if ended == row);
        begun += usize::from(begins(event, row));
        done || begun >= times
    });
    if begun >= times {
        kill(folder);
    }
}

fn kill(folder: &Folder) {
    let engine = read_holder(folder).expect("a holder").pid;
    // One that has just ended by itself is as dead as it was to be.
    if support::is_alive(engine) {
        support::signal(engine, Signal::KILL);
    }
}

/// Waits until a row has begun for the n-th time.
pub(super) fn wait_for(folder: &Folder, row: &str, times: usize) {
    wait_until(folder, times, |event| begins(event, row));
}

fn begins(event: &Event, row: &str) -> bool {
    match event {
        Event::StepStarted { step, .. } => step == row,
        Event::RollbackRowStarted { row: begun } => begun == row,
        _ => false,
    }
}

/// Waits for the n-th event of a kind.
pub(super) fn wait_until(folder: &Folder, times: usize, is_it: impl Fn(&Event) -> bool) {
    let mut seen = 0;
    watch(folder, "an event", |event| {
        seen += usize::from(is_it(event));
        seen >= times
    });
}

/// Waits for what no journal tells, in a thread that may block.
pub(super) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(180);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Follows a journal from its beginning until `enough` says so.
fn watch(folder: &Folder, what: &str, mut enough: impl FnMut(&Event) -> bool) {
    let mut history = History::open(folder).expect("a journal");
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        for entry in history.read_on().expect("a sound chain") {
            if enough(&entry.event) {
                return;
            }
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What a night said, for a failed assertion.
///
/// Why it was rolled back stands at the end once more: of a long output that is what is kept.
pub(super) fn story(folder: &Folder) -> String {
    let (history, _) = history::of(folder).expect("a sound chain");
    let told = history.events().iter().filter_map(|e| words(&e.event));
    let mut lines: Vec<String> = told.collect();
    let rolled_back = |line: &&String| line.starts_with("ROLLBACK");
    let why = lines.iter().filter(rolled_back).cloned();
    lines.extend(why.collect::<Vec<_>>());
    lines.join("\n")
}
