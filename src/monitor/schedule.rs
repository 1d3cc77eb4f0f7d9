//! When a probe is asked, for how long, and what becomes of what it says. Each probe has a task of its own that runs this.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
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
            let asked = ask(&mut probe, at_ms, patience);
            let Some(taken) = cancel.run_until_cancelled(asked).await else {
                return;
            };
            let readings = taken.unwrap_or_else(|why| nothing(&id, &signals, &why));
            for (signal, reading) in readings {
                sink.put(Sample::new(signal, at_ms, reading));
            }
            due = (due + interval).max(Instant::now());
        }
    }
}

/// Asks once. A probe that panics is asked again at its next turn: one that is gone for good would leave its last numbers standing.
async fn ask(
    probe: &mut impl Take,
    at_ms: i64,
    patience: Duration,
) -> Result<Vec<(String, Reading)>, String> {
    let asked = AssertUnwindSafe(probe.take(at_ms)).catch_unwind();
    match tokio::time::timeout(patience, asked).await {
        Ok(Ok(readings)) => Ok(readings),
        Ok(Err(_)) => Err("broke off by an error of ours, and is asked again".to_owned()),
        Err(_) => Err(format!("did not end within {} ms", patience.as_millis())),
    }
}

fn nothing(id: &str, signals: &[String], why: &str) -> Vec<(String, Reading)> {
    let reason = format!("probe {id} {why}");
    let none = |signal: &String| (signal.clone(), Reading::no_data(&reason));
    signals.iter().map(none).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Faulty {
        asked: u32,
    }

    impl Take for Faulty {
        async fn take(&mut self, _: i64) -> Vec<(String, Reading)> {
            self.asked += 1;
            assert_ne!(self.asked, 1, "the first time it panics");
            vec![("x".to_owned(), Reading::value(1.0))]
        }
    }

    #[tokio::test]
    async fn a_probe_that_panics_says_no_data_and_is_asked_again() {
        let mut probe = Faulty { asked: 0 };
        let patience = Duration::from_secs(60);
        let why = ask(&mut probe, 0, patience).await.expect_err("a panic");
        let told = nothing("p", &["x".to_owned()], &why);
        assert!(matches!(&told[0].1, Reading::NoData { .. }), "{told:?}");
        assert!(ask(&mut probe, 1, patience).await.is_ok());
    }
}
