//! When a probe is asked, for how long, and what becomes of what it says. Each probe has a task of its own that runs this.

use std::future::Future;
use std::time::Duration;

use rand::Rng as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::runbook::Probe;
use crate::trigger::cadence::Rhythm;
use crate::trigger::{Reading, Sample};

/// What a kind of probe is.
pub(super) trait Take: Send + 'static {
    /// Asks once, within the probe's own time limit. `at_ms` is the session time at which it began.
    fn take(&mut self, at_ms: i64) -> impl Future<Output = Vec<(String, Reading)>> + Send;
}

/// Beyond its own limits, a probe gets this many times its time limit before it is given up.
const PATIENCE: u32 = 2;

/// Asks a probe at its interval until cancelled. The first time comes after a random part of the interval, so that probes do not
/// march in step; what is missed is left out, never made up for.
pub(super) fn run(
    mut probe: impl Take,
    line: &Probe,
    context: &Context,
    cancel: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let rhythm = Rhythm::of(line, context.speed);
    let interval = Duration::from_millis(rhythm.interval_ms.max(1) as u64);
    let patience = rhythm.limit() * PATIENCE;
    let signals = line.signals();
    let (id, clock, sink) = (line.id.clone(), context.clock.clone(), context.sink.clone());
    async move {
        let mut due = Instant::now() + interval.mul_f64(rand::rng().random_range(0.0..1.0));
        let wait = |due| tokio::time::sleep_until(due);
        while cancel.run_until_cancelled(wait(due)).await.is_some() {
            let at_ms = clock();
            let asked = tokio::time::timeout(patience, probe.take(at_ms));
            let Some(taken) = cancel.run_until_cancelled(asked).await else {
                return;
            };
            let readings = taken.unwrap_or_else(|_| too_late(&id, &signals, patience));
            for (signal, reading) in readings {
                sink.put(Sample::new(signal, at_ms, reading));
            }
            due = (due + interval).max(Instant::now());
        }
    }
}

fn too_late(id: &str, signals: &[String], patience: Duration) -> Vec<(String, Reading)> {
    let reason = format!("probe {id} did not end within {} ms", patience.as_millis());
    let late = |signal: &String| (signal.clone(), Reading::no_data(&reason));
    signals.iter().map(late).collect()
}
