//! How long a rehearsal watches where the night watches for an hour, and what it can see in that time: nobody uses the staging slot but our
//! own synthetic requests. Pure. Not in here: which probes are asked at all (`rehearsal`).

use std::collections::BTreeSet;

use crate::runbook::{Probe, ProbeKind, Runbook, StepKind, disks, feed};

/// How long it watches, unless that is too short for the slowest signal.
const WINDOW_MS: i64 = 60_000;
/// No window is shortened below so many samples of the slowest signal.
const SAMPLES: i64 = 10;
/// A ratio says something from this part of the requests on that a window should hold: a busy machine makes fewer.
const PART_OF_REQUESTS: u64 = 3;
/// Signals of a metrics page that are about requests: where nobody asks anything, nothing can be said of them.
const OF_REQUESTS: [&str; 5] = [
    "http_5xx_ratio",
    "http_4xx_ratio",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
];

/// Signals that somebody makes in this rehearsal, so that they can be judged; those of its disks and of the feed among them.
pub fn judged_signals(rehearsed: &Runbook) -> BTreeSet<String> {
    let is_asked = asks_synthetically(rehearsed);
    let made = rehearsed.probes.iter().flat_map(|probe| {
        let of_page = probe.kind.tells_of_requests();
        let mut signals = probe.signals();
        signals.retain(|s| is_asked || !of_page || !OF_REQUESTS.contains(&s.as_str()));
        signals
    });
    let of_disks = disks::signals(rehearsed);
    made.chain(of_disks)
        .chain(feed::signals(rehearsed))
        .collect()
}

/// Whether our own requests reach the staging slot.
pub(super) fn asks_synthetically(rehearsed: &Runbook) -> bool {
    let is_synthetic = |probe: &Probe| matches!(probe.kind, ProbeKind::Synthetic);
    !rehearsed.verification.requests.is_empty() && rehearsed.probes.iter().any(is_synthetic)
}

/// Shortens every window to what a rehearsal needs, and asks for no more requests than it makes by itself.
pub(super) fn shorten(rehearsed: &mut Runbook, speed: f64) {
    let window_ms = window_ms(rehearsed, speed);
    let mut shortest_ms = window_ms;
    for step in &mut rehearsed.steps {
        let is_baseline = matches!(step.kind, StepKind::Baseline { .. });
        let Some(own) = watched_mut(&mut step.kind) else {
            continue;
        };
        *own = (*own).min(window_ms);
        // Its ratios are over what was asked by then.
        if is_baseline {
            shortest_ms = shortest_ms.min(*own);
        }
    }
    for own in rehearsed.probes.iter_mut().filter_map(Probe::window_mut) {
        *own = (*own).min(window_ms);
        shortest_ms = shortest_ms.min(*own);
    }
    let expected = requests_within(rehearsed, shortest_ms, speed);
    let enough = (expected / PART_OF_REQUESTS).max(1);
    let limits = &mut rehearsed.limits;
    limits.min_requests = limits.min_requests.min(enough);
}

/// How long a step of this kind watches; `None` where it does not.
fn watched_mut(kind: &mut StepKind) -> Option<&mut i64> {
    if let StepKind::Baseline { window_ms }
    | StepKind::Stabilise { window_ms }
    | StepKind::Checklist {
        stays_green_ms: window_ms,
    } = kind
    {
        return Some(window_ms);
    }
    None
}

/// The longest time back that a probe looks, in runbook time.
pub fn longest_look_ms(runbook: &Runbook) -> i64 {
    let mut probes = runbook.probes.clone();
    let windows = probes.iter_mut().filter_map(Probe::window_mut);
    windows.map(|window| *window).max().unwrap_or_default()
}

/// In runbook time.
fn window_ms(rehearsed: &Runbook, speed: f64) -> i64 {
    let probes = rehearsed.probes.iter();
    let slowest_ms = probes.map(|probe| interval_ms(probe, speed)).max();
    WINDOW_MS.max(SAMPLES * slowest_ms.unwrap_or_default())
}

/// How many synthetic requests a window holds.
fn requests_within(rehearsed: &Runbook, window_ms: i64, speed: f64) -> u64 {
    let synthetic = rehearsed.probes.iter();
    let synthetic = synthetic.filter(|probe| matches!(probe.kind, ProbeKind::Synthetic));
    let rounds = synthetic.map(|probe| window_ms / interval_ms(probe, speed).max(1));
    let rounds: i64 = rounds.sum();
    rounds.unsigned_abs() * rehearsed.verification.requests.len() as u64
}

/// Runbook time between two samples that can differ, as the clock has it: at a high speed no probe is asked any faster.
fn interval_ms(probe: &Probe, speed: f64) -> i64 {
    (probe.real_news_ms(speed) as f64 * speed) as i64
}
