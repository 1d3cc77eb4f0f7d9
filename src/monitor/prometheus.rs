//! A Prometheus server: each signal is a PromQL query that comes to one number. The baseline (P3) asks the server for its own past.
//!
//! A query is a share of 5xx by its signal's name. While maintenance is on it cannot tell maintenance's answers from others, unless it
//! leaves them out by itself; from then on its windows reach back to the end of maintenance at most ([`clamp`]).
//!
//! What an answer means is [`answer`].

pub mod answer;
pub mod clamp;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::maintenance::{Maintenance, Marks, Stage, nothing_yet};
use super::schedule::Take;
use super::{Context, Ground};
use crate::clock;
use crate::fleet::signed::Signed;
use crate::runbook::{ProbeKind, PromQuery, PrometheusServer};
use crate::trigger::cadence::Rhythm;
use crate::trigger::shadow::is_of_5xx;
use crate::trigger::{Reading, Sample};
use answer::{Point, Points};

/// An answer longer than this is none; a query that comes to one number has some hundred bytes.
const ANSWER_LIMIT_BYTES: usize = 256 * 1024;

/// Bytes of the answer for a whole baseline.
const RANGE_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// Points of a baseline at most.
const RANGE_POINTS: i64 = 1_000;

/// Between two points of a baseline at least; servers scrape no more often.
const MIN_STEP_MS: i64 = 1_000;

/// Queries on their way at the same time.
const IN_FLIGHT: usize = 16;

pub(super) struct Prometheus {
    client: reqwest::Client,
    limit: Duration,
    server: PrometheusServer,
    signed: Signed,
    maintenance: Maintenance,
    marks: Option<Marks>,
}

/// The stretch of the server's past that is asked for.
#[derive(Debug, Clone, Copy)]
struct Range {
    end_ms: i64,
    length_ms: i64,
    step_ms: i64,
}

impl Prometheus {
    pub(super) fn new(
        client: reqwest::Client,
        limit: Duration,
        server: &PrometheusServer,
        ground: &Ground,
    ) -> Prometheus {
        let command = server.headers_command.as_ref();
        Prometheus {
            client,
            limit,
            signed: Signed::new(
                &server.headers,
                command,
                &ground.environment,
                &ground.folder,
            ),
            server: server.clone(),
            maintenance: Maintenance::default(),
            marks: None,
        }
    }

    /// The same, which takes care of maintenance's answers.
    pub(super) fn heeding(self, maintenance: Maintenance, marks: Marks) -> Prometheus {
        Prometheus {
            maintenance,
            marks: Some(marks),
            ..self
        }
    }

    /// Has its headers ready where nobody is in a hurry.
    pub(super) async fn prepare(&self) {
        self.signed.prepare().await;
    }

    /// A query as it is to be asked at this time; `None` where its answer could not be judged.
    fn heeded(&self, query: &PromQuery, at_ms: i64) -> Option<PromQuery> {
        let marks = self.marks.as_ref();
        let names = marks.is_some_and(|marks| marks.is_named_in(&query.query));
        match self.maintenance.stage() {
            Stage::Over { at_ms: end_ms } if is_of_5xx(&query.signal) => {
                let reach_ms = at_ms - end_ms;
                let clamped = |promql: &String| clamp::clamped(promql, reach_ms);
                (reach_ms > 0).then(|| PromQuery {
                    signal: query.signal.clone(),
                    query: clamped(&query.query),
                    requests: query.requests.as_ref().map(clamped),
                })
            }
            Stage::On | Stage::Switched if is_of_5xx(&query.signal) && !names => None,
            Stage::Usual | Stage::On | Stage::Switched | Stage::Over { .. } => Some(query.clone()),
        }
    }

    async fn ask(&self, path: &str, limit_bytes: usize) -> Result<Points, String> {
        let url = format!("{}/api/v1/{path}", self.server.url);
        let asked = self.signed.get(&self.client, &url, self.limit, limit_bytes);
        let answer = asked
            .await
            .map_err(|error| format!("the Prometheus server: {error}"))?;
        answer::read(&answer)
    }

    /// One query's number now.
    async fn number(&self, query: &str) -> Result<Points, String> {
        let path = format!("query?query={}", encoded(query));
        self.ask(&path, ANSWER_LIMIT_BYTES).await
    }

    async fn now(&self, query: &PromQuery, at_ms: i64) -> (String, Reading) {
        let Some(query) = self.heeded(query, at_ms) else {
            return (query.signal.clone(), nothing_yet());
        };
        let requests = async {
            match &query.requests {
                Some(requests) => Some(self.number(requests).await),
                None => None,
            }
        };
        let (value, requests) = futures_util::join!(self.number(&query.query), requests);
        let reading = value.and_then(|points| {
            let requests = requests.transpose()?;
            let latest = |points: &Points| points.points.last().map(|point| point.value);
            // Where nobody knows how many there were, there were none to speak of.
            let n = requests
                .as_ref()
                .map(|points| latest(points).map(count).unwrap_or_default());
            let value = latest(&points).ok_or("the query has no result")?;
            let warning = points.warning.or(requests.and_then(|r| r.warning));
            let reading = Reading::over(value, n);
            Ok(match warning {
                Some(warning) => reading.partial(warning),
                None => reading,
            })
        });
        let reading = reading.unwrap_or_else(Reading::no_data);
        (query.signal, reading)
    }

    /// One query's past, oldest first.
    async fn past(&self, query: &PromQuery, range: Range) -> Result<Vec<Sample>, String> {
        let values = self.range(&query.query, range).await?;
        let requests = match &query.requests {
            Some(requests) => Some(self.range(requests, range).await?),
            None => None,
        };
        let sample = |point: Point| {
            let at = |points: &Vec<Point>| {
                let same = points.iter().find(|p| p.at_ms == point.at_ms);
                same.map(|p| count(p.value))
            };
            // Where nobody knows how many there were, there were none to speak of.
            let n = requests
                .as_ref()
                .map(|points| at(points).unwrap_or_default());
            Sample::new(
                &query.signal,
                point.at_ms - range.end_ms,
                Reading::over(point.value, n),
            )
        };
        Ok(values.into_iter().map(sample).collect())
    }

    async fn range(&self, query: &str, range: Range) -> Result<Vec<Point>, String> {
        let seconds = |ms: i64| ms as f64 / 1_000.0;
        let path = format!(
            "query_range?query={}&start={}&end={}&step={}",
            encoded(query),
            seconds(range.end_ms - range.length_ms),
            seconds(range.end_ms),
            seconds(range.step_ms),
        );
        let points = self.ask(&path, RANGE_LIMIT_BYTES).await?;
        match points.warning {
            Some(warning) => Err(warning),
            None => Ok(points.points),
        }
    }
}

impl Take for Prometheus {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        let queries: Vec<_> = self
            .server
            .queries
            .iter()
            .map(|q| self.now(q, at_ms))
            .collect();
        stream::iter(queries).buffered(IN_FLIGHT).collect().await
    }
}

/// Puts the servers' own past in the place of what was captured: it has no gaps of ours, and reaches back as far as the runbook says.
/// Where a server cannot tell, the captured samples stay.
pub(super) async fn recall(context: &Context, window_ms: i64, samples: &mut Vec<Sample>) {
    for probe in &context.runbook.probes {
        let ProbeKind::Prometheus(server) = &probe.kind else {
            continue;
        };
        let rhythm = Rhythm::of(probe, context.speed);
        let length_ms = context
            .real_ms(server.baseline_ms.unwrap_or(window_ms))
            .max(MIN_STEP_MS);
        let range = Range {
            end_ms: clock::wall().timestamp_millis(),
            length_ms,
            step_ms: rhythm
                .interval_ms
                .max(length_ms / RANGE_POINTS)
                .max(MIN_STEP_MS),
        };
        let asking = Prometheus::new(
            context.client.clone(),
            rhythm.limit(),
            server,
            &context.ground,
        );
        for query in &server.queries {
            match asking.past(query, range).await {
                Ok(past) if !past.is_empty() => {
                    samples.retain(|sample| sample.signal != query.signal);
                    samples.extend(past);
                }
                Ok(_) => {}
                Err(why) => tracing::warn!(signal = query.signal, why, "no past to compare with"),
            }
        }
    }
}

/// Requests, of a number that may be a rate times a time.
fn count(value: f64) -> u64 {
    value.max(0.0) as u64
}

fn encoded(query: &str) -> String {
    url::form_urlencoded::byte_serialize(query.as_bytes()).collect()
}
