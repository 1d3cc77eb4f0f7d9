//! Clients that wait in a PgBouncer, from its console, over a connection of its own that is held between samples.

use std::time::Duration;

use super::schedule::Take;
use crate::postgres::bouncer::{BouncerProbe, Pools, Totals};
use crate::postgres::{Endpoint, Error};
use crate::runbook::{PgBouncer, Probe, ProbeKind};
use crate::trigger::Reading;

pub(super) struct Bouncer {
    bouncer: PgBouncer,
    limit: Duration,
    probe: Option<BouncerProbe>,
    /// What had been counted at the last sample, and when that was.
    before: Option<(i64, Totals)>,
}

impl Bouncer {
    pub(super) fn new(limit: Duration, bouncer: &PgBouncer) -> Bouncer {
        Bouncer {
            bouncer: bouncer.clone(),
            limit,
            probe: None,
            before: None,
        }
    }

    async fn sample(&mut self) -> Result<(Pools, Totals), Error> {
        let kept = self.probe.take().filter(|probe| !probe.is_closed());
        let probe = match kept {
            Some(probe) => probe,
            None => {
                let endpoint = Endpoint::parse(&self.bouncer.url)?;
                BouncerProbe::open(&endpoint, self.bouncer.database.clone(), self.limit).await?
            }
        };
        // Whatever an error left on the connection, the next sample has a new one.
        let sample = probe.sample().await?;
        self.probe = Some(probe);
        Ok(sample)
    }

    /// Statements a second, and how long one took, since the last sample.
    fn rates(&mut self, at_ms: i64, now: Totals) -> [Reading; 2] {
        let before = self.before.replace((at_ms, now));
        let Some((before_ms, before)) = before.filter(|(before_ms, _)| at_ms > *before_ms) else {
            let once = Reading::no_data("it has been counted only once");
            return [once.clone(), once];
        };
        // One that began anew counts from zero.
        let before = match now.queries < before.queries || now.query_us < before.query_us {
            true => Totals::default(),
            false => before,
        };
        let queries = now.queries - before.queries;
        let per_s = queries as f64 * 1_000.0 / (at_ms - before_ms) as f64;
        let each_ms = match queries {
            0 => Reading::no_data("no statement came by"),
            n => Reading::value((now.query_us - before.query_us) as f64 / n as f64 / 1_000.0),
        };
        [Reading::value(per_s), each_ms]
    }
}

impl Take for Bouncer {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        let answer = tokio::time::timeout(self.limit, self.sample()).await;
        let (pools, totals) = match answer {
            Ok(Ok(sample)) => sample,
            Ok(Err(error)) => return self.nothing(&error.to_string()),
            Err(_) => {
                let limit_ms = self.limit.as_millis();
                return self.nothing(&format!("PgBouncer did not answer within {limit_ms} ms"));
            }
        };
        let rates = self.rates(at_ms, totals);
        if let (0, Some(database)) = (pools.pools, &self.bouncer.database) {
            return self.nothing(&format!("PgBouncer has no pool for {database}"));
        }
        let counts = [
            pools.clients_active,
            pools.clients_waiting,
            pools.maxwait_ms,
            pools.servers_active,
            pools.servers_idle,
        ];
        let counts = counts.map(|n| Reading::value(n as f64)).into_iter();
        self.signals()
            .into_iter()
            .zip(counts.chain(rates))
            .collect()
    }
}

impl Bouncer {
    fn signals(&self) -> Vec<String> {
        let probe = Probe {
            id: String::new(),
            kind: ProbeKind::PgBouncer(self.bouncer.clone()),
            interval_ms: 0,
            timeout_ms: 0,
        };
        probe.signals()
    }

    fn nothing(&self, why: &str) -> Vec<(String, Reading)> {
        let signals = self.signals().into_iter();
        signals.map(|s| (s, Reading::no_data(why))).collect()
    }
}
