//! `/metrics` of every instance: rates, quantiles and pool figures of the fleet, over a sliding window.
//!
//! Sums over the fleet come before ratios, and quantiles are merged from histograms, never averaged. What is expected of an
//! application, in Prometheus' text format:
//!
//! | family | kind | labels that are read |
//! |---|---|---|
//! | `http_requests_total` | counter | `code`, `endpoint` |
//! | `http_request_duration_seconds` | classic histogram | `endpoint`, `le` |
//! | `db_pool_active`, `db_pool_idle`, `db_pool_waiting`, `db_pool_max` | gauges | |
//! | `db_pool_timeouts_total` | counter | |
//!
//! Series whose `endpoint` is `maintenance`, or the path of the readiness or metrics address, are left out: refusals while writes are
//! stopped are no errors, and our own questions are no traffic.
//!
//! While maintenance is on, answers with its status are no errors either, whatever their endpoint, and are no requests in the share of
//! 5xx ([`Judged`]). Errors of another kind are in it as ever.
//!
//! An instance that cannot be scraped makes the sums *partial*: what is bad in them counts, what is good proves nothing. One that was
//! restarted on purpose and is in its start-up grace is left out instead. What each instance carries by itself is told to people beside
//! the sums ([`loads`]), and so is where requests failed.

pub mod exposed;
pub(super) mod loads;
pub mod scrape;
pub mod text;
pub mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Context;
use super::maintenance::{Stage, nothing_yet};
use super::readiness::IN_FLIGHT;
use super::schedule::Take;
use crate::fleet::request::get;
use crate::runbook::{Instance, Probe, ProbeKind};
use crate::session::live::{LoadView, LoadsView};
use crate::trigger::Reading;
use crate::trigger::cadence::Rhythm;
use crate::trigger::shadow::is_of_5xx;
use loads::Loads;
use scrape::{Counters, Gauges, Judged, Scrape, Selection};
use window::{Increment, Window};

/// A metrics page longer than this is no answer.
const PAGE_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Begins the reason of a signal that nobody exposes.
pub const NOT_EXPOSED: &str = "no instance exposes";

/// Under this name people see the details.
const TOPIC: &str = "requests";

/// Instances that a reason names; the rest are counted.
const NAMED: usize = 3;

pub(super) struct Metrics {
    context: Context,
    limit: Duration,
    window_ms: i64,
    selection: Selection,
    window: Window,
    /// The counters of each instance at its last scrape, and where maintenance stood when that began.
    before: BTreeMap<String, (Stage, Counters)>,
    /// With what maintenance answers.
    maintenance_status: u16,
    /// Where maintenance stood at the last look.
    stage: Stage,
    loads: Loads,
    /// Whether a look is under way; the next one finds it so where that was given up.
    looking: bool,
}

impl Metrics {
    pub(super) fn new(context: Context, rhythm: Rhythm, window_ms: i64) -> Metrics {
        let fleet = &context.runbook.fleet;
        let pages = [Some(&fleet.ready), fleet.metrics.as_ref()];
        let paths = pages.into_iter().flatten().map(|url| path_of(url));
        Metrics {
            limit: rhythm.limit(),
            window_ms,
            selection: Selection::leaving_out(paths),
            window: Window::new(context.real_ms(window_ms)),
            before: BTreeMap::new(),
            maintenance_status: context.runbook.maintenance_status(),
            stage: Stage::Usual,
            loads: Loads::new(context.real_ms(window_ms), window_ms),
            looking: false,
            context,
        }
    }

    async fn scrape(&self, instance: &Instance) -> Result<Scrape, String> {
        let Some(address) = &self.context.runbook.fleet.metrics else {
            return Err("the runbook names no metrics address".to_owned());
        };
        let url = address.replace("{url}", &instance.url);
        let answer = get(&self.context.client, &url, self.limit, PAGE_LIMIT_BYTES)
            .await
            .map_err(|e| e.to_string())?;
        if answer.status != 200 {
            return Err(format!("answered {}: {}", answer.status, answer.start()));
        }
        let page = std::str::from_utf8(&answer.body).map_err(|_| "the page is not UTF-8")?;
        self.selection.scrape(page).map_err(|e| e.to_string())
    }

    async fn scrape_all(&self) -> Vec<Result<Scrape, String>> {
        let instances = &self.context.runbook.fleet.instances;
        let scrapes: Vec<_> = instances.iter().map(|i| self.scrape(i)).collect();
        stream::iter(scrapes).buffered(IN_FLIGHT).collect().await
    }

    /// Adds up what has been scraped.
    fn gather(&mut self, at_ms: i64, stage: Stage, scrapes: Vec<Result<Scrape, String>>) -> Round {
        let grace = self.context.grace();
        let mut round = Round::default();
        let instances = &self.context.runbook.fleet.instances;
        for (instance, scrape) in instances.iter().zip(scrapes) {
            match scrape {
                Ok(scrape) => {
                    round.answered += 1;
                    let before = self.before.get(&instance.id);
                    let increment = before.map(|(stage_before, before)| {
                        let judged = self.judged(*stage_before, stage);
                        scrape.counters.since(before, judged)
                    });
                    self.before
                        .insert(instance.id.clone(), (stage, scrape.counters));
                    let increment = increment.unwrap_or_default();
                    round.increment.add(&increment);
                    let load = self
                        .loads
                        .scraped(&instance.id, at_ms, increment, &scrape.gauges);
                    round.loads.push(load);
                    round.gauges.push((instance.id.clone(), scrape.gauges));
                }
                Err(why) => {
                    round.loads.push(LoadView::unknown(&instance.id));
                    if !self.context.restarts.in_grace(&instance.id, grace) {
                        round.failed.push(format!("{} {why}", instance.id));
                    }
                }
            }
        }
        round
    }

    /// Which answers between two scrapes count, by where maintenance stood when each began.
    fn judged(&self, before: Stage, now: Stage) -> Judged {
        match (before, now) {
            (before, now) if before == now && now != Stage::On => Judged::All,
            // Maintenance was on for a part of the time at least.
            (_, Stage::Usual | Stage::On | Stage::Over { .. }) => {
                Judged::Without(self.maintenance_status)
            }
        }
    }

    /// The share of 5xx, which has nothing to say where only maintenance's answers were counted.
    fn share(&self, signal: &str, reading: Reading, at_ms: i64) -> Reading {
        let in_shadow = self
            .stage
            .reaches(at_ms, self.context.real_ms(self.window_ms));
        match reading {
            Reading::NoData { .. } if in_shadow && is_of_5xx(signal) => nothing_yet(),
            reading => reading,
        }
    }

    /// Where requests failed within the window.
    fn details(&self) -> Vec<String> {
        let said = self.window.sum().failed_at.words();
        let line = |said: String| format!("5xx: {said}");
        Some(said)
            .filter(|s| !s.is_empty())
            .map(line)
            .into_iter()
            .collect()
    }
}

impl Take for Metrics {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        if std::mem::replace(&mut self.looking, true) {
            let instances = &self.context.runbook.fleet.instances;
            self.context.carry(loads::unknown(instances, at_ms));
        }
        // Before the pages are asked for: what is answered while they are on their way may be from before a change.
        let stage = self.context.maintenance.stage();
        self.stage = stage;
        let scrapes = self.scrape_all().await;
        self.looking = false;
        let mut round = self.gather(at_ms, stage, scrapes);
        self.context.carry(LoadsView {
            at_ms,
            instances: std::mem::take(&mut round.loads),
        });
        if round.answered == 0 {
            let why = named("not scraped", &round.failed);
            let why = why.unwrap_or_else(|| "every instance is starting up".to_owned());
            return no_data(&why);
        }
        self.window
            .push(at_ms, std::mem::take(&mut round.increment));
        self.context.tell(TOPIC, self.details());
        let missing = named("not scraped", &round.failed);
        let mut readings = self.window.readings(self.window_ms);
        readings.extend(pool_readings(&round.gauges));
        readings
            .into_iter()
            .map(|(signal, reading)| {
                let reading = self.share(signal, reading, at_ms);
                let reading = match &missing {
                    Some(missing) => reading.partial(missing),
                    None => reading,
                };
                (signal.to_owned(), reading)
            })
            .collect()
    }
}

/// What one look at the whole fleet brought.
#[derive(Default)]
struct Round {
    answered: usize,
    increment: Increment,
    gauges: Vec<(String, Gauges)>,
    loads: Vec<LoadView>,
    failed: Vec<String>,
}

/// Sums of the pool's gauges. Instances that do not expose one make its sum partial.
fn pool_readings(gauges: &[(String, Gauges)]) -> Vec<(&'static str, Reading)> {
    let sum = |family: &str| {
        let with = gauges.iter().map(|(id, g)| (id, g.get(family).copied()));
        let (mut sum, mut without) = (0.0, Vec::new());
        for (id, value) in with {
            match value {
                Some(value) => sum += value,
                None => without.push(id.clone()),
            }
        }
        match without.len() {
            0 => Reading::value(sum),
            n if n == gauges.len() => Reading::no_data(format!("{NOT_EXPOSED} {family}")),
            _ => {
                let missing = named(&format!("{family} is not exposed by"), &without);
                Reading::value(sum).partial(missing.unwrap_or_default())
            }
        }
    };
    let (active, max) = (sum("db_pool_active"), sum("db_pool_max"));
    vec![
        ("pool_used_ratio", ratio(&active, &max)),
        ("pool_active", active),
        ("pool_idle", sum("db_pool_idle")),
        ("pool_waiting", sum("db_pool_waiting")),
        ("pool_max", max),
    ]
}

/// One sum by another.
fn ratio(active: &Reading, max: &Reading) -> Reading {
    match (active, max) {
        (_, Reading::NoData { .. }) => max.clone(),
        (Reading::NoData { .. }, _) => active.clone(),
        (Reading::Value { value: a, .. }, Reading::Value { value: m, .. }) if *m > 0.0 => {
            Reading::value(a / m)
        }
        (Reading::Value { .. }, Reading::Value { .. }) => {
            Reading::no_data("no instance has a pool: db_pool_max is 0")
        }
        // Which instances each sum is over may differ.
        (Reading::Partial { reason, .. }, _) | (_, Reading::Partial { reason, .. }) => {
            Reading::no_data(reason)
        }
    }
}

fn no_data(why: &str) -> Vec<(String, Reading)> {
    let probe = Probe {
        id: String::new(),
        kind: ProbeKind::Metrics { window_ms: 0 },
        interval_ms: 0,
        timeout_ms: 0,
    };
    let signals = probe.signals().into_iter();
    signals.map(|s| (s, Reading::no_data(why))).collect()
}

/// The first few by name, the rest as a number.
fn named(what: &str, which: &[String]) -> Option<String> {
    let some = which.iter().take(NAMED).cloned().collect::<Vec<_>>();
    match which.len() {
        0 => None,
        n if n > NAMED => Some(format!(
            "{what}: {} and {} more",
            some.join(", "),
            n - NAMED
        )),
        _ => Some(format!("{what}: {}", some.join(", "))),
    }
}

/// `/ready` of `{url}/ready` or of a whole address.
fn path_of(address: &str) -> String {
    let address = address.replace("{url}", "http://instance");
    reqwest::Url::parse(&address).map_or(address, |url| url.path().to_owned())
}
