//! Which instances were restarted on purpose, and when: their start-up is no failure for T1b, and a new boot marker is due.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// How long a restart waits for the end of a log to be looked up. Found later it may be behind what was logged since.
pub(super) const LOG_LOOKUP_LIMIT: Duration = Duration::from_secs(1);

/// The restarts of a fleet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Restarts(Arc<Mutex<BTreeMap<String, Restart>>>);

/// The newest restart of an instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restart {
    /// When it began.
    pub(super) at: Instant,
    /// Where its log ended then: the file's number and length.
    pub(super) log_end: Option<(u64, u64)>,
}

impl Restarts {
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
        self.of(instance).is_some_and(|r| r.at.elapsed() < grace)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Restart>> {
        self.0.lock().expect("BUG: no holder panics")
    }
}
