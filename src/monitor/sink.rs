//! Where samples go. Bounded: when nobody takes them they are dropped, and that is said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::trigger::{Reading, Sample};

/// Samples that a capture keeps at most; a window of minutes has some thousands.
const CAPTURE_LIMIT: usize = 200_000;

/// The probes' end of the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Sink {
    to: mpsc::Sender<Sample>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Dropped samples by signal.
    lost: BTreeMap<String, u64>,
    /// What a baseline is being made of.
    capture: Option<Vec<Sample>>,
}

impl Sink {
    pub(super) fn new(to: mpsc::Sender<Sample>) -> Sink {
        Sink {
            to,
            shared: Arc::default(),
        }
    }

    /// Hands a sample over, or notes that it was lost. Never waits.
    pub(super) fn put(&self, sample: Sample) {
        let mut shared = self.lock();
        if let Some(capture) = &mut shared.capture
            && capture.len() < CAPTURE_LIMIT
        {
            capture.push(sample.clone());
        }
        if let Some(lost) = shared.lost.get(&sample.signal).copied() {
            let reason = format!("{lost} samples were lost: they were not taken in time");
            let gap = Sample::new(&sample.signal, sample.at_ms, Reading::no_data(reason));
            if let Err(TrySendError::Full(gap)) = self.to.try_send(gap) {
                shared.lost.insert(gap.signal, lost + 1);
                return;
            }
            shared.lost.remove(&sample.signal);
        }
        if let Err(TrySendError::Full(sample)) = self.to.try_send(sample) {
            *shared.lost.entry(sample.signal).or_default() += 1;
        }
    }

    /// Begins to keep a copy of every sample.
    pub(super) fn begin_capture(&self) {
        self.lock().capture = Some(Vec::new());
    }

    /// What has been kept.
    pub(super) fn end_capture(&self) -> Vec<Sample> {
        self.lock().capture.take().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("BUG: no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_said_and_never_waited_for() {
        let (to, mut from) = mpsc::channel(2);
        let sink = Sink::new(to);
        let sample = |at_ms| Sample::new("x", at_ms, Reading::value(1.0));
        for at_ms in 0..5 {
            sink.put(sample(at_ms));
        }
        assert_eq!(from.try_recv().map(|s| s.at_ms), Ok(0));
        assert_eq!(from.try_recv().map(|s| s.at_ms), Ok(1));
        sink.put(sample(5));
        let reason = "3 samples were lost: they were not taken in time";
        assert_eq!(
            from.try_recv().map(|s| s.reading),
            Ok(Reading::no_data(reason))
        );
        assert_eq!(from.try_recv(), Ok(sample(5)));
    }
}
