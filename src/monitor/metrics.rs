//! `/metrics` of every instance: rates, quantiles and pool figures of the fleet, over a sliding window.
//!
//! Sums over the fleet come before ratios, and quantiles are merged from histograms, never averaged. Under which names and labels an
//! application tells its figures in Prometheus' text format is a table ([`families`]), and `fleet.metrics.map` adds to it.
//!
//! Series whose route is `maintenance`, or the path of the readiness or metrics address, are left out: refusals while writes are
//! stopped are no errors, and our own questions are no traffic.
//!
//! While maintenance is on, answers with its status are no errors either, whatever their endpoint, and are no requests in the share of
//! 5xx ([`scrape::Judged`]). Errors of another kind are in it as ever.
//!
//! What instances send by themselves ([`super::otlp`]) stands in for their pages: the same sums come of it.
//!
//! A process that has just begun may have counted nothing yet, and many libraries write a family only then: for one window its page tells of
//! no requests, which is no fault. One from which the requests have vanished otherwise is as bad as none.
//!
//! An instance that cannot be scraped makes the sums *partial*: what is bad in them counts, what is good proves nothing. One that was
//! restarted on purpose and is in its start-up grace is left out instead. What each instance carries by itself is told to people beside
//! the sums ([`loads`]), and so is where requests failed.

pub mod exposed;
pub mod families;
pub(super) mod loads;
mod pool;
pub mod scrape;
pub mod text;
pub mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Context;
use super::maintenance::{Marks, Stage};
use super::otlp::receiver::Receiver;
use super::readiness::IN_FLIGHT;
use super::schedule::Take;
use crate::fleet::signed::Signed;
use crate::runbook::{Figure, Fleet, Instance, OtlpReceiver, Probe, ProbeKind};
use crate::session::live::{LoadView, LoadsView};
use crate::trigger::Reading;
use crate::trigger::cadence::Rhythm;
use loads::Loads;
use pool::pool_readings;
use scrape::{Counters, Gauges, Scrape, ScrapeError, Selection};
use window::{Increment, Window};

/// A metrics page longer than this is no answer.
pub const PAGE_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Begins the reason of a signal that nobody exposes.
pub const NOT_EXPOSED: &str = "no instance exposes";

/// What is said of a page from which the requests have vanished.
const NO_LONGER: &str = "no longer tells of requests, which it did before";

const EMPTY: &str = "answered with an empty page";

const NOT_UTF8: &str = "the page is not UTF-8";

/// Under this name people see the details.
const TOPIC: &str = "requests";

/// Instances that a reason names; the rest are counted.
const NAMED: usize = 3;

pub(super) struct Metrics {
    context: Context,
    source: Source,
    window_ms: i64,
    selection: Selection,
    window: Window,
    /// The counters of each slot's instance at its last scrape.
    before: BTreeMap<String, Before>,
    /// Since when an instance's page tells nothing of requests although its former process did, and whether it had just begun.
    silent: BTreeMap<String, (i64, bool)>,
    /// By what maintenance's answers are known.
    marks: Marks,
    loads: Loads,
    /// Who is asked, in this look or the last one.
    asked: Vec<Instance>,
    /// Whether a look is under way; the next one finds it so where that was given up.
    looking: bool,
}

/// Where the pages come from.
enum Source {
    /// Every instance is asked, for so long.
    Asked { limit: Duration, signed: Signed },
    /// What the instances send stands in for them.
    Sent(Receiver),
}

/// What one instance's page says, or why it is not there.
type Looked = Result<Page, String>;

/// What was scraped last of a slot.
struct Before {
    /// Who filled it, and where.
    who: Instance,
    /// Where maintenance stood when that began.
    stage: Stage,
    counters: Counters,
}

struct Page {
    /// Where maintenance stood when the page was asked for, or was sent.
    asked: Stage,
    /// Where it stood when the page came.
    came: Stage,
    scrape: Scrape,
}

impl Metrics {
    pub(super) fn new(context: Context, rhythm: Rhythm, window_ms: i64) -> Metrics {
        let page = context.runbook.fleet.metrics.as_ref();
        let marks = Marks::of(&context.runbook);
        let left_out = left_out(&context.runbook.fleet);
        let selection = Selection::leaving_out(page, left_out).marking(marks.label());
        let command = page.and_then(|page| page.headers_command.as_ref());
        let ground = &context.ground;
        let source = Source::Asked {
            limit: rhythm.limit(),
            signed: Signed::new(&[], command, &ground.environment, &ground.folder),
        };
        Metrics::of(context, source, selection, window_ms)
    }

    /// The same of what instances send.
    pub(super) fn of_receiver(
        context: Context,
        otlp: &OtlpReceiver,
        selection: Selection,
        receiver: Receiver,
    ) -> Metrics {
        let source = Source::Sent(receiver);
        Metrics::of(context, source, selection, otlp.window_ms)
    }

    fn of(context: Context, source: Source, selection: Selection, window_ms: i64) -> Metrics {
        Metrics {
            source,
            window_ms,
            selection,
            window: Window::new(context.real_ms(window_ms)),
            before: BTreeMap::new(),
            silent: BTreeMap::new(),
            marks: Marks::of(&context.runbook),
            loads: Loads::new(context.real_ms(window_ms)),
            looking: false,
            asked: context.instances(),
            context,
        }
    }

    async fn scrape(
        &self,
        instance: &Instance,
        signed: &Signed,
        limit: Duration,
    ) -> Result<Scrape, String> {
        let Some(page) = &self.context.runbook.fleet.metrics else {
            return Err("the runbook names no metrics address".to_owned());
        };
        let url = page.of(&instance.url);
        let client = &self.context.client;
        let answer = signed.get(client, &url, limit, PAGE_LIMIT_BYTES).await?;
        if answer.status != 200 {
            return Err(format!("answered {}: {}", answer.status, answer.start()));
        }
        let page = std::str::from_utf8(&answer.body).map_err(|_| NOT_UTF8)?;
        if page.trim().is_empty() {
            return Err(EMPTY.to_owned());
        }
        self.selection.read(page).map_err(|e| e.to_string())
    }

    /// Every instance's page, in the runbook's order.
    ///
    /// # Errors
    /// None can come at all.
    async fn look(&mut self, stage: Stage) -> Result<Vec<Looked>, String> {
        if let Source::Sent(receiver) = &mut self.source {
            receiver.listen().await?;
        }
        let instances = &self.asked;
        match &self.source {
            Source::Asked { limit, signed } => {
                let scrapes = instances.iter().map(|i| self.scrape(i, signed, *limit));
                let scrapes: Vec<_> = scrapes.collect();
                let scrapes = stream::iter(scrapes).buffered(IN_FLIGHT);
                let page = |scrape: Result<Scrape, String>| {
                    scrape.map(|scrape| Page {
                        asked: stage,
                        came: self.context.maintenance.stage(),
                        scrape,
                    })
                };
                Ok(scrapes.map(page).collect().await)
            }
            Source::Sent(receiver) => {
                let sent = instances.iter().map(|i| self.sent(receiver, i));
                Ok(sent.collect())
            }
        }
    }

    fn sent(&self, receiver: &Receiver, instance: &Instance) -> Looked {
        let (stage, page) = receiver.page(&instance.id)?;
        let scrape = self.selection.read(&page).map_err(|e| e.to_string())?;
        Ok(Page {
            asked: stage,
            came: stage,
            scrape,
        })
    }

    /// Adds up what has been scraped.
    fn gather(&mut self, at_ms: i64, looked: Vec<Looked>) -> Round {
        let grace = self.context.grace();
        let mut round = Round::default();
        let asked = self.asked.clone();
        for (instance, looked) in asked.iter().zip(looked) {
            let looked = looked.and_then(|page| self.increment(instance, at_ms, page));
            match looked {
                Ok((increment, gauges)) => {
                    round.answered += 1;
                    round.increment.add(&increment);
                    let load = self.loads.scraped(&instance.id, at_ms, increment, &gauges);
                    round.loads.push(load);
                    round.gauges.push((instance.id.clone(), gauges));
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

    /// What an instance counted since its page was last seen, and its gauges now. What one that has come into a slot had counted before that
    /// counts for nothing: it may have served for days.
    ///
    /// # Errors
    /// The page does not tell what it has to; in words.
    fn increment(
        &mut self,
        instance: &Instance,
        at_ms: i64,
        page: Page,
    ) -> Result<(Increment, Gauges), String> {
        let Scrape { counters, gauges } = page.scrape;
        let id = &instance.id;
        let before = self.before.get(id);
        let told = before.is_some_and(|before| before.counters.tells(Figure::Requests));
        if !counters.tells(Figure::Requests) && told {
            self.began(instance, at_ms, &counters)?;
            return Ok((counters.first(), gauges));
        }
        if counters.is_silent() {
            return Err(self.nothing());
        }
        self.silent.remove(id);
        let increment = match before {
            Some(before) if before.who == *instance => {
                let judged = self.marks.judged(before.stage, page.asked, page.came);
                counters.since(&before.counters, judged)
            }
            Some(_) | None => counters.first(),
        };
        let seen = Before {
            who: instance.clone(),
            stage: page.asked,
            counters,
        };
        self.before.insert(id.clone(), seen);
        Ok((increment, gauges))
    }

    /// That a page which no longer tells of requests is of a process that has just begun. Many libraries write a family only once it has
    /// counted something. What the former process had counted is kept: nothing that this one counts gets lost.
    ///
    /// # Errors
    /// It is not, or began a window ago; in words.
    fn began(
        &mut self,
        instance: &Instance,
        at_ms: i64,
        counters: &Counters,
    ) -> Result<(), String> {
        let window_ms = self.context.real_ms(self.window_ms);
        let window = Duration::from_millis(window_ms.max(0).unsigned_abs());
        let id = &instance.id;
        let mut has_begun = self.context.restarts.in_grace(id, window);
        if let Some(before) = self.before.get_mut(id) {
            has_begun |= counters.began_anew(&before.counters);
            if before.who != *instance {
                has_begun = true;
                before.who = instance.clone();
                self.silent.remove(id);
            }
        }
        let silent = self.silent.entry(id.clone()).or_insert((at_ms, false));
        silent.1 |= has_begun;
        let (since_ms, has_begun) = *silent;
        match has_begun && at_ms - since_ms < window_ms {
            true => Ok(()),
            false => Err(NO_LONGER.to_owned()),
        }
    }

    /// What is said of a page that holds nothing of what is watched.
    fn nothing(&self) -> String {
        match &self.source {
            Source::Asked { .. } => ScrapeError::Nothing.to_string(),
            Source::Sent(_) => "has sent nothing yet of requests or of a pool".to_owned(),
        }
    }

    /// Where requests failed within the window, and who sends without being of an instance.
    fn details(&self) -> Vec<String> {
        let said = self.window.sum().failed_at.words();
        let line = |said: String| format!("5xx: {said}");
        let failed = Some(said).filter(|s| !s.is_empty()).map(line);
        failed.into_iter().chain(self.strangers()).collect()
    }

    fn strangers(&self) -> Vec<String> {
        self.receiver().map(Receiver::strangers).unwrap_or_default()
    }

    /// What listens, where instances send.
    pub(super) fn receiver(&self) -> Option<&Receiver> {
        match &self.source {
            Source::Asked { .. } => None,
            Source::Sent(receiver) => Some(receiver),
        }
    }

    /// What is said of instances whose pages are missing.
    fn not_there(&self) -> &'static str {
        match &self.source {
            Source::Asked { .. } => "not scraped",
            Source::Sent(_) => "not heard",
        }
    }
}

impl Take for Metrics {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        if std::mem::replace(&mut self.looking, true) {
            self.context.carry(loads::unknown(&self.asked, at_ms));
        }
        self.asked = self.context.instances();
        // Before the pages are asked for: what is answered while they are on their way may be from before a change.
        let stage = self.context.maintenance.stage();
        let looked = self.look(stage).await;
        self.looking = false;
        let mut round = match looked {
            Ok(looked) => self.gather(at_ms, looked),
            Err(why) => return no_data(&why),
        };
        self.context.carry(LoadsView {
            at_ms,
            instances: std::mem::take(&mut round.loads),
        });
        if round.answered == 0 {
            let strangers = self.strangers();
            if !strangers.is_empty() {
                self.context.tell(TOPIC, strangers);
            }
            let why = named(self.not_there(), &round.failed);
            let why = why.unwrap_or_else(|| "every instance is starting up".to_owned());
            return no_data(&why);
        }
        self.window
            .push(at_ms, std::mem::take(&mut round.increment));
        self.context.tell(TOPIC, self.details());
        let missing = named(self.not_there(), &round.failed);
        let mut readings = self.window.readings();
        readings.extend(pool_readings(&round.gauges));
        readings
            .into_iter()
            .map(|(signal, reading)| {
                let reading = match &missing {
                    Some(missing) => reading.partial(missing),
                    None => reading,
                };
                (signal.to_owned(), reading)
            })
            .collect()
    }
}

/// The paths at which our own questions are counted.
pub(super) fn left_out(fleet: &Fleet) -> impl Iterator<Item = String> + use<> {
    let pages = [
        Some(&fleet.ready),
        fleet.metrics.as_ref().map(|page| &page.url),
    ];
    let paths = pages.into_iter().flatten().map(|url| path_of(url));
    paths.collect::<Vec<_>>().into_iter()
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
pub(super) fn named(what: &str, which: &[String]) -> Option<String> {
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
