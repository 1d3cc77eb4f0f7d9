//! Which instances were restarted on purpose, and when: their start-up is no failure for T1b, and a new boot marker is due.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::standstill::Standstill;

/// How long a restart waits for the end of a log to be looked up. Found later it may be behind what was logged since.
pub(super) const LOG_LOOKUP_LIMIT: Duration = Duration::from_secs(1);

/// The restarts of a fleet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Restarts {
    newest: Arc<Mutex<BTreeMap<String, Restart>>>,
    /// Time in which this process stood still is no time that an instance has had.
    standstill: Standstill,
}

/// The newest restart of an instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restart {
    pub(super) at: Instant,
    /// How long this process had stood still in all by then.
    lost: Duration,
    /// Where its log ended then: the file's number and length.
    pub(super) log_end: Option<(u64, u64)>,
}

impl Restarts {
    pub(super) fn beside(standstill: Standstill) -> Restarts {
        Restarts {
            newest: Arc::default(),
            standstill,
        }
    }

    /// An instance is about to be restarted, unless it already was within the grace. Its log's end is looked up beside, so that no
    /// slow file system delays the restart; the task that does it is given back.
    pub(super) fn began(
        &self,
        instance: &str,
        log: Option<PathBuf>,
        grace: Duration,
    ) -> Option<JoinHandle<()>> {
        if self.in_grace(instance, grace) {
            return None;
        }
        let restart = Restart {
            at: Instant::now(),
            lost: self.standstill.lost(),
            log_end: None,
        };
        self.lock().insert(instance.to_owned(), restart);
        let (restarts, instance) = (self.clone(), instance.to_owned());
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let log = log?;
        Some(runtime.spawn_blocking(move || {
            let end = std::fs::metadata(log).ok().map(|m| (m.ino(), m.len()));
            let is_late = restart.at.elapsed() >= LOG_LOOKUP_LIMIT;
            if let Some(restart) = restarts.lock().get_mut(&instance)
                && !is_late
            {
                restart.log_end = end;
            }
        }))
    }

    /// The newest restart of an instance.
    pub(super) fn of(&self, instance: &str) -> Option<Restart> {
        self.lock().get(instance).copied()
    }

    /// Whether an instance was restarted less than the grace ago.
    pub(super) fn in_grace(&self, instance: &str, grace: Duration) -> bool {
        self.of(instance).is_some_and(|restart| {
            let lost = self.standstill.lost().saturating_sub(restart.lost);
            restart.at.elapsed().saturating_sub(lost) < grace
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Restart>> {
        self.newest.lock().expect("BUG: no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_takes_nothing_from_the_grace() {
        let standstill = Standstill::default();
        let restarts = Restarts::beside(standstill.clone());
        // What was lost before is not given back.
        standstill.lose(Duration::from_secs(9));
        let no_log = restarts.began("app-1", None, Duration::from_secs(3));
        assert!(no_log.is_none());
        let a_moment = Duration::from_nanos(1);
        while restarts.in_grace("app-1", a_moment) {
            std::hint::spin_loop();
        }
        standstill.lose(Duration::from_secs(9));
        assert!(restarts.in_grace("app-1", a_moment));
    }
}
