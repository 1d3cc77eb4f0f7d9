//! Client connections to the target, from `pg_stat_activity`, over a connection of its own that is held between samples: in all, for
//! whoever judges, and by application, for people.

use std::time::Duration;

use super::Context;
use super::schedule::Take;
use crate::postgres::activity::{Activity, ActivityProbe, PoolActivity};
use crate::postgres::{Endpoint, Error};
use crate::session::live::{ClientView, ClientsView};
use crate::text::printable;
use crate::trigger::Reading;
use crate::trigger::cadence::Rhythm;

const SIGNALS: [&str; 5] = [
    "pg_active",
    "pg_idle",
    "pg_idle_in_transaction",
    "pg_waiting",
    "pg_max",
];

/// Characters of a name that an application gave itself.
const NAME_CHARS: usize = 60;

pub(super) struct Pool {
    context: Context,
    limit: Duration,
    probe: Option<ActivityProbe>,
}

impl Pool {
    pub(super) fn new(context: Context, rhythm: Rhythm) -> Pool {
        Pool {
            limit: rhythm.limit(),
            probe: None,
            context,
        }
    }

    async fn sample(&mut self) -> Result<Activity, Error> {
        let probe = match &mut self.probe {
            Some(probe) => probe,
            None => {
                let endpoint = Endpoint::parse(&self.context.runbook.target.url)?;
                self.probe
                    .insert(ActivityProbe::open(&endpoint, self.limit).await?)
            }
        };
        probe.sample().await
    }
}

impl Take for Pool {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        let answer = tokio::time::timeout(self.limit, self.sample()).await;
        self.context.connected(clients(at_ms, &answer));
        let all = |reading: Reading| SIGNALS.map(|s| (s.to_owned(), reading.clone())).to_vec();
        match answer {
            Ok(Ok(activity)) => readings(activity.pool),
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

/// By application; of an answer that did not come in time as little is known as of one that is an error.
fn clients<E>(at_ms: i64, answer: &Result<Result<Activity, Error>, E>) -> ClientsView {
    let Ok(Ok(activity)) = answer else {
        return ClientsView {
            at_ms,
            ..ClientsView::default()
        };
    };
    let applications = activity.applications.iter().map(|of| ClientView {
        application: printable(&of.application, NAME_CHARS),
        active: of.active,
        idle: of.idle,
        idle_in_transaction: of.idle_in_transaction,
        waiting: of.waiting,
        hidden: of.hidden,
    });
    ClientsView {
        at_ms,
        most: activity.pool.server_limit,
        server_total: activity.pool.server_total,
        is_unasked: false,
        applications: Some(applications.collect()),
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
