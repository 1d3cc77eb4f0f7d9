//! A cockpit that stays open: its memory is the same after hours of samples, events and output as after the first two. `make soak` plays a
//! whole day.

use std::process::Command;

use cutover::cockpit::news::{News, Reading};
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::Theme;
use cutover::session::live::InstanceState::{NotReady, Ready};
use cutover::session::{Event, Recorded, TriggerPhase};

use super::story::Story;
use super::story::beside::{checklist, fleet, fuse, import_progress, printed};

/// Set in the process that the test starts of itself, so that nobody else's memory is in the figure.
const WITHIN: &str = "CUTOVER_TEST_SOAK_HOURS";
/// By then everything that is kept is full.
const FULL_AFTER_S: i64 = 2 * 3_600;
/// What an allocator may add by itself.
const SLACK_KIB: i64 = 4 * 1_024;

#[test]
fn memory_stays_flat_over_a_day_of_samples() {
    if let Ok(hours) = std::env::var(WITHIN) {
        return play(hours.parse().expect("hours"));
    }
    let hours = match std::env::var_os("CUTOVER_SOAK") {
        Some(_) => "24",
        None => "3",
    };
    let name = "cockpit::soak::memory_stays_flat_over_a_day_of_samples";
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let output = command
        .args(["--exact", name, "--nocapture"])
        .env(WITHIN, hours)
        .output()
        .expect("a process of its own");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let kib = |word: &str| -> i64 {
        let (_, rest) = said.split_once(word).unwrap_or_else(|| panic!("{said}"));
        let number = rest.split_whitespace().next().expect("a number");
        number.parse().expect("KiB")
    };
    let (full, end) = (kib("full at "), kib("at the end "));
    assert!(full > 1_024 && end - full < SLACK_KIB, "{said}");
}

fn play(hours: i64) {
    let mut story = Story::begin();
    story.pass(2_000).reach("D2").pass(1_000).start();
    let begun_ms = story.at_ms;
    let mut model = story.seen_by("robin");
    let theme = Theme::standard();
    for second in 1..=hours * 3_600 {
        let at_ms = begun_ms + second * 1_000;
        model.tick(Some(at_ms), model.wall);
        model.take(news(&story, second, at_ms));
        model.ringing();
        if second % 60 == 0 {
            snapshot::frame(&model, &theme, 200, 60);
        }
        if second == FULL_AFTER_S {
            println!("full at {} KiB", own_memory_kib());
        }
    }
    println!("at the end {} KiB", own_memory_kib());
}

/// Everything that can come in within a second.
fn news(story: &Story, second: i64, at_ms: i64) -> News {
    let signal = |n: i64| Reading {
        signal: format!("signal_{n}"),
        at_ms,
        value: (second % 97 != n).then_some((second % 60) as f64),
    };
    let state = if second % 2 == 0 {
        TriggerPhase::Burning
    } else {
        TriggerPhase::Clear
    };
    let moved = Event::TriggerMoved {
        trigger: "T3a".to_owned(),
        state,
        reason: format!("5xx, for the {second}th time"),
    };
    let entry = Recorded {
        seq: story.session.seq + second as u64,
        at_ms,
        wall: chrono::DateTime::from_timestamp_millis(1_790_000_000_000 + at_ms).expect("a time"),
        event: moved,
    };
    let line = printed("D2", at_ms, "ToolContents: a batch committed");
    News {
        entries: vec![entry],
        samples: (0..30).map(signal).collect(),
        progress: Some(import_progress(at_ms, (second % 90) as f64 / 92.0)),
        output: vec![line.clone()],
        last_line: Some(line),
        triggers: Some(vec![fuse("T3a", state, 1_000, 600_000, "5xx")]),
        checklist: Some(checklist(None)),
        fleet: Some(fleet("Postgres", &[Ready, NotReady, Ready])),
        presence: Some(story.presence(at_ms)),
        ..News::default()
    }
}

/// Memory that the process has made for itself. Pages of its program and libraries are not in it: the kernel takes and gives those as it
/// pleases, and what it swaps out is still memory.
fn own_memory_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this process");
    let kib = |name: &str| -> i64 {
        let line = status.lines().find_map(|l| l.strip_prefix(name));
        let figure = line.and_then(|l| l.split_whitespace().next());
        figure.expect("a figure").parse().expect("KiB")
    };
    kib("RssAnon:") + kib("VmSwap:")
}
