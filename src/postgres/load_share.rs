//! How much of the server's load is our own, while something of ours runs beside production: average active sessions, ours and all,
//! sampled from `pg_stat_activity` over a connection of its own.
//!
//! A session counts while the server works for it, or would if it did not wait for a lock or a disk; one that waits for its client to
//! read does not. Not in here: holding the load down; that is the pace of whoever reads.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Endpoint, Error};

const INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadShare {
    /// How often it was looked.
    pub samples: u64,
    /// Our sessions that were at work, over all samples.
    pub ours: u64,
    /// Everybody's, the sampler's own left out.
    pub all: u64,
    /// Sessions whose state the server hides from us, over all samples.
    pub hidden: u64,
}

impl fmt::Display for LoadShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.samples == 0 {
            return f.write_str("over before the server's load could be sampled");
        }
        let mean = |sum: u64| sum as f64 / self.samples as f64;
        write!(
            f,
            "{:.2} of {:.2} active sessions on average were ours, in {} samples",
            mean(self.ours),
            mean(self.all),
            self.samples
        )?;
        if self.hidden > 0 {
            write!(
                f,
                "; {:.1} more are hidden from this role (pg_monitor shows them)",
                mean(self.hidden)
            )?;
        }
        Ok(())
    }
}

/// Does `work`, and samples meanwhile. A sample that cannot be taken is left out: `work` never waits for one.
pub async fn during<T>(
    endpoint: &Endpoint,
    application_name: &str,
    work: impl Future<Output = T>,
) -> (T, LoadShare) {
    let tally = Arc::new(Mutex::new(LoadShare::default()));
    let (into, endpoint, ours) = (tally.clone(), endpoint.clone(), application_name.to_owned());
    // Ends with this function, also when nobody waits for it any more.
    let mut sampling = JoinSet::new();
    sampling.spawn(async move {
        if let Err(error) = sample(&endpoint, &ours, &into).await {
            tracing::debug!(%error, "the server's load is not sampled any more");
        }
    });
    let done = work.await;
    let share = *tally.lock().unwrap_or_else(PoisonError::into_inner);
    (done, share)
}

async fn sample(endpoint: &Endpoint, ours: &str, into: &Mutex<LoadShare>) -> Result<(), Error> {
    let client = endpoint.connect().await?;
    loop {
        let row = client
            .query_one(QUERY, &[&ours])
            .await
            .map_err(|error| Error::of_statement("read pg_stat_activity", &error))?;
        let count = |at| row.get::<_, i64>(at).unsigned_abs();
        {
            let mut tally = into.lock().unwrap_or_else(PoisonError::into_inner);
            tally.samples += 1;
            tally.ours += count(0);
            tally.all += count(1);
            tally.hidden += count(2);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

const QUERY: &str = "
SELECT count(*) FILTER (WHERE busy AND application_name = $1), count(*) FILTER (WHERE busy), count(*) FILTER (WHERE state IS NULL)
FROM (
  SELECT application_name, state, state = 'active' AND wait_event IS DISTINCT FROM 'ClientWrite' AS busy
  FROM pg_catalog.pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
) AS sessions";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_ours_and_what_was_hidden() {
        let none = LoadShare::default();
        assert_eq!(
            none.to_string(),
            "over before the server's load could be sampled"
        );
        let some = LoadShare {
            samples: 40,
            ours: 8,
            all: 56,
            hidden: 0,
        };
        assert_eq!(
            some.to_string(),
            "0.20 of 1.40 active sessions on average were ours, in 40 samples"
        );
        let hidden = LoadShare {
            hidden: 100,
            ..some
        };
        assert!(hidden.to_string().contains("2.5 more are hidden"));
    }
}
