//! Client connections to the target, from `pg_stat_activity`, over a connection of its own that is held between samples.

use std::time::Duration;

use super::Context;
use super::schedule::Take;
use crate::target::activity::{ActivityProbe, PoolActivity};
use crate::target::{Endpoint, Error};
use crate::trigger::Reading;
use crate::trigger::cadence::Rhythm;

const SIGNALS: [&str; 5] = [
    "pg_active",
    "pg_idle",
    "pg_idle_in_transaction",
    "pg_waiting",
    "pg_max",
];

pub(super) struct Pool {
    url: String,
    limit: Duration,
    probe: Option<ActivityProbe>,
}

impl Pool {
    pub(super) fn new(context: Context, rhythm: Rhythm) -> Pool {
        Pool {
            url: context.runbook.target.url.clone(),
            limit: rhythm.limit(),
            probe: None,
        }
    }

    async fn sample(&mut self) -> Result<PoolActivity, Error> {
        let probe = match &mut self.probe {
            Some(probe) => probe,
            None => {
                let endpoint = Endpoint::parse(&self.url)?;
                self.probe
                    .insert(ActivityProbe::open(&endpoint, self.limit).await?)
            }
        };
        probe.sample().await
    }
}

impl Take for Pool {
    async fn take(&mut self, _at_ms: i64) -> Vec<(String, Reading)> {
        let answer = tokio::time::timeout(self.limit, self.sample()).await;
        let all = |reading: Reading| SIGNALS.map(|s| (s.to_owned(), reading.clone())).to_vec();
        match answer {
            Ok(Ok(activity)) => readings(activity),
            Ok(Err(error)) => all(Reading::no_data(error.to_string())),
            Err(_) => {
                // Whatever it waits for, the next sample does not wait behind it.
                self.probe = None;
                let limit_ms = self.limit.as_millis();
                all(Reading::no_data(format!(
                    "PostgreSQL did not answer within {limit_ms} ms"
                )))
            }
        }
    }
}

fn readings(activity: PoolActivity) -> Vec<(String, Reading)> {
    let counts = [
        activity.active,
        activity.idle,
        activity.idle_in_transaction,
        activity.waiting,
    ];
    let count = |n: u32| {
        let reading = Reading::value(f64::from(n));
        match activity.hidden {
            0 => reading,
            hidden => reading.partial(format!(
                "the state of {hidden} connections is hidden; grant pg_monitor to see it"
            )),
        }
    };
    let mut readings: Vec<_> = counts.into_iter().map(count).collect();
    readings.push(Reading::value(f64::from(activity.server_limit)));
    SIGNALS
        .iter()
        .map(|s| (*s).to_owned())
        .zip(readings)
        .collect()
}
