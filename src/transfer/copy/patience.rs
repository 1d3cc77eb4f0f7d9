//! Waiting after a fault that passes: longer each time, said each time, and not for ever.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::transfer::{Error, Progress};

/// Attempts without any progress before a passing fault counts as definite.
const ATTEMPTS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// How often one thing has failed in a row.
#[derive(Debug, Default)]
pub struct Patience {
    failed: u32,
}

impl Patience {
    /// Something moved since the last fault.
    pub fn renew(&mut self) {
        self.failed = 0;
    }

    /// Waits and returns for another attempt, or hands the error back: it is definite, or has come too often.
    pub async fn wait_after(
        &mut self,
        error: Error,
        doing: &str,
        progress: &(dyn Fn(Progress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        self.failed += 1;
        if !error.is_passing() || self.failed >= ATTEMPTS {
            return Err(error);
        }
        let wait = (FIRST_WAIT * 2_u32.pow(self.failed - 1)).min(LONGEST_WAIT);
        progress(Progress::Retrying {
            doing: doing.to_owned(),
            attempt: self.failed,
            wait_ms: wait.as_millis() as u64,
            reason: error.to_string(),
        });
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = cancel.cancelled() => Err(Error::Cancelled),
        }
    }
}
