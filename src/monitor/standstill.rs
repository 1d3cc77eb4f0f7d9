//! For how long this process has stood still: it was stopped, or its machine was, or had no time for it. What an instance did not answer then
//! says nothing of the instance, which may have stood still with it.
//!
//! Not in here: what that costs (`readiness`: an answer that did not come is no data; `restarts`: the start-up grace goes on).

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How often it is noted that this process runs.
const NOTE_EVERY: Duration = Duration::from_millis(100);
/// A note that comes late by less is one of a busy machine.
const LEAST: Duration = Duration::from_secs(1);

/// What was noted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Standstill(Arc<Mutex<Noted>>);

#[derive(Debug, Clone, Copy, Default)]
struct Noted {
    /// The last time that this process was seen to run; `None` before the first note.
    last: Option<Instant>,
    /// How long it has stood still in all until then.
    lost: Duration,
}

impl Noted {
    /// Whoever looks first after a standstill sees it, and not only the next note.
    fn lost_until(self, now: Instant) -> Duration {
        let since = self
            .last
            .map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let late = since.saturating_sub(NOTE_EVERY);
        match late < LEAST {
            true => self.lost,
            false => self.lost + late,
        }
    }
}

impl Standstill {
    /// Notes that this process runs, again and again. Never returns.
    pub(super) async fn watch(self) {
        loop {
            self.note(Instant::now());
            tokio::time::sleep(NOTE_EVERY).await;
        }
    }

    /// How long this process has stood still in all.
    pub(super) fn lost(&self) -> Duration {
        self.lock().lost_until(Instant::now())
    }

    fn note(&self, now: Instant) {
        let mut noted = self.lock();
        noted.lost = noted.lost_until(now);
        noted.last = Some(now);
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().expect("BUG: no holder panics")
    }

    /// As if it had stood still for so long.
    #[cfg(test)]
    pub(super) fn lose(&self, time: Duration) {
        self.lock().lost += time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_by_more_than_a_busy_machine_is_a_standstill_and_counts_once() {
        let standstill = Standstill::default();
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let lost_ms = |ms: u64| standstill.lock().lost_until(at(ms)).as_millis();
        assert_eq!(lost_ms(60_000), 0, "nobody has noted anything yet");
        standstill.note(at(0));
        assert_eq!((lost_ms(100), lost_ms(1_000)), (0, 0));
        // Seen before it is noted, and not twice after.
        assert_eq!(lost_ms(4_100), 4_000);
        standstill.note(at(4_100));
        assert_eq!((lost_ms(4_100), lost_ms(5_000)), (4_000, 4_000));
        standstill.note(at(4_200));
        assert_eq!(lost_ms(6_300), 6_000);
    }
}
