//! What one page says that matters here: counters since its process began, and gauges. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use super::text::{Series, TextError, series};
use super::window::{Increment, Le};
use crate::text::printable;

const REQUESTS: &str = "http_requests_total";
const DURATION_BUCKET: &str = "http_request_duration_seconds_bucket";
const POOL_TIMEOUTS: &str = "db_pool_timeouts_total";
const GAUGES: [&str; 4] = [
    "db_pool_active",
    "db_pool_idle",
    "db_pool_waiting",
    "db_pool_max",
];
/// Characters of a series, labels included.
const SERIES_CHARS: usize = 160;
/// Characters of an endpoint's name.
const ENDPOINT_CHARS: usize = 60;

const STARTED: &str = "process_start_time_seconds";
/// Some exporters work the start out anew for each page, from clocks that are no better than this.
const START_JITTER_S: f64 = 2.0;

/// The endpoint under which an application counts what its maintenance refuses.
const MAINTENANCE: &str = "maintenance";

/// Which series count.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    left_out: Vec<String>,
}

/// Sums of gauges over an instance's series, by family.
pub type Gauges = BTreeMap<&'static str, f64>;

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrape {
    /// Since the process began.
    pub counters: Counters,
    /// As they are now.
    pub gauges: Gauges,
}

/// Every counting series of an instance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    /// By a hash of name and labels: a fleet has hundreds of thousands of these, and their names are of no interest.
    series: HashMap<u64, Counter>,
    /// Endpoints of those series that count 5xx, made harmless.
    failing: HashMap<u64, String>,
    started: Option<f64>,
    /// What series lack, so that what they count is in no sum.
    lacking: BTreeSet<Lacking>,
}

/// A label without which a series cannot be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lacking {
    /// `code`, of requests.
    Code,
    /// `le`, of the latency's buckets.
    Le,
}

impl Lacking {
    fn label(self) -> &'static str {
        match self {
            Lacking::Code => "code",
            Lacking::Le => "le",
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Lacking::Code => {
                "a series of http_requests_total has no label `code`, so that what it counts is in no share"
            }
            Lacking::Le => {
                "a series of http_request_duration_seconds_bucket has no label `le`, so that it is no part of a histogram"
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Counter {
    kind: Kind,
    value: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Requests(Status),
    Bucket(Le),
    PoolTimeouts,
}

/// With what requests were answered, as far as the page tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// `503`.
    Code(u16),
    /// The 5 of `5xx`.
    Class(u8),
}

/// Which of the answers that were counted between two scrapes the share of 5xx is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// All.
    All,
    /// Maintenance was on and answered with this status: all others. Where a page does not tell codes, none: its errors may be
    /// maintenance's, and what is not among them could be.
    Without(u16),
}

/// Why a page says nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScrapeError {
    /// It is something else.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A number that cannot be.
    #[error("{family} is {value}, which no such series can be")]
    Value {
        /// Which.
        family: String,
        /// What it says.
        value: f64,
    },
    /// The same series twice: which of the two is meant nobody can say.
    #[error("{series} stands on the page twice; what is true of it is not known")]
    Duplicate {
        /// Name and labels, made harmless.
        series: String,
    },
    /// Nothing in it.
    #[error("the page holds none of the series that are watched")]
    Nothing,
}

impl Selection {
    /// All but these endpoints, and but what maintenance refuses.
    pub fn leaving_out(paths: impl Iterator<Item = String>) -> Selection {
        let left_out = paths.chain([MAINTENANCE.to_owned()]).collect();
        Selection { left_out }
    }

    /// What a page says.
    ///
    /// # Errors
    /// It is not in the format, says something impossible, or nothing that matters here.
    pub fn scrape(&self, page: &str) -> Result<Scrape, ScrapeError> {
        let mut scrape = Scrape {
            counters: Counters::default(),
            gauges: Gauges::new(),
        };
        let mut seen = HashSet::new();
        for one in series(page) {
            let one = one?;
            let is_gauge = GAUGES.contains(&one.name) || one.name == STARTED;
            if is_gauge && !seen.insert((one.name, one.labels)) {
                return Err(twice(&one));
            }
            if let Some(family) = GAUGES.iter().find(|family| **family == one.name) {
                *scrape.gauges.entry(family).or_default() += finite(&one)?;
            } else if one.name == STARTED {
                scrape.counters.started = Some(finite(&one)?);
            } else if let Some((kind, endpoint)) = self.counted(&one) {
                let value = finite(&one)?;
                if value < 0.0 {
                    return Err(impossible(&one));
                }
                let hasher = BuildHasherDefault::<DefaultHasher>::default();
                let key = hasher.hash_one((one.name, one.labels));
                let counter = Counter { kind, value };
                if kind.is_server_error() && !endpoint.is_empty() {
                    let endpoint = printable(&endpoint, ENDPOINT_CHARS);
                    scrape.counters.failing.insert(key, endpoint);
                }
                if scrape.counters.series.insert(key, counter).is_some() {
                    return Err(twice(&one));
                }
            } else if let Some(lacks) = self.lacking(&one) {
                scrape.counters.lacking.insert(lacks);
            }
        }
        let nothing = scrape.gauges.is_empty() && scrape.counters.series.is_empty();
        if nothing && !page.contains(REQUESTS) {
            return Err(ScrapeError::Nothing);
        }
        Ok(scrape)
    }

    /// The label that a series which should count does not have.
    fn lacking(&self, one: &Series<'_>) -> Option<Lacking> {
        let lacks = match one.name {
            REQUESTS => Lacking::Code,
            DURATION_BUCKET => Lacking::Le,
            _ => return None,
        };
        let endpoint = one.label("endpoint").unwrap_or(Cow::Borrowed(""));
        let is_left_out = self.left_out.iter().any(|path| *path == endpoint);
        (!is_left_out && one.label(lacks.label()).is_none()).then_some(lacks)
    }

    /// What a series counts as, if at all, and at which endpoint.
    fn counted<'p>(&self, one: &Series<'p>) -> Option<(Kind, Cow<'p, str>)> {
        if one.name == POOL_TIMEOUTS {
            return Some((Kind::PoolTimeouts, Cow::Borrowed("")));
        }
        let requests = one.name == REQUESTS;
        if !requests && one.name != DURATION_BUCKET {
            return None;
        }
        let endpoint = one.label("endpoint").unwrap_or(Cow::Borrowed(""));
        if self.left_out.iter().any(|path| *path == endpoint) {
            return None;
        }
        if requests {
            let code = one.label("code")?;
            return Some((Kind::Requests(Status::parse(&code)?), endpoint));
        }
        Some((Kind::Bucket(Le::parse(&one.label("le")?)?), endpoint))
    }
}

impl Status {
    fn parse(code: &str) -> Option<Status> {
        let class = code.bytes().next().filter(u8::is_ascii_digit)? - b'0';
        let exact = code.parse().ok().filter(|n| (100..1_000).contains(n));
        Some(exact.map_or(Status::Class(class), Status::Code))
    }

    fn class(self) -> u8 {
        match self {
            Status::Code(code) => (code / 100) as u8,
            Status::Class(class) => class,
        }
    }
}

impl Kind {
    fn is_server_error(self) -> bool {
        matches!(self, Kind::Requests(status) if status.class() == 5)
    }
}

impl Judged {
    fn counts(self, status: Status, tells_codes: bool) -> bool {
        match self {
            Judged::All => true,
            Judged::Without(of_maintenance) => {
                tells_codes && status != Status::Code(of_maintenance)
            }
        }
    }
}

impl Counters {
    /// Whether it counts requests by their codes.
    pub fn has_requests(&self) -> bool {
        let is_request = |c: &Counter| matches!(c.kind, Kind::Requests(_));
        self.series.values().any(is_request)
    }

    fn tells_codes(&self) -> bool {
        let is_class = |c: &Counter| matches!(c.kind, Kind::Requests(Status::Class(_)));
        !self.series.values().any(is_class)
    }

    /// What has been counted since an earlier scrape of the same instance. A counter that went down, or a process that began anew,
    /// started from zero in between; a series that was not there before began at zero.
    pub fn since(&self, before: &Counters, judged: Judged) -> Increment {
        let tells_codes = self.tells_codes();
        let restarted = match (self.started, before.started) {
            (Some(now), Some(before)) => (now - before).abs() > START_JITTER_S,
            // Nothing tells; a counter that fell does.
            (None, _) | (_, None) => false,
        };
        let mut increment = Increment::default();
        increment.lacking.extend(&self.lacking);
        for (key, counter) in &self.series {
            let former = before.series.get(key).map_or(0.0, |c| c.value);
            let grown = if restarted || counter.value < former {
                counter.value
            } else {
                counter.value - former
            };
            match counter.kind {
                Kind::Requests(status) if !judged.counts(status, tells_codes) => {
                    increment.count_unjudged(status.class(), grown);
                }
                Kind::Requests(status) => {
                    increment.count(status.class(), grown);
                    let failing = self.failing.get(key).filter(|_| grown >= 1.0);
                    if let Some(endpoint) = failing {
                        increment.failed_at.add(endpoint, grown as u64);
                    }
                }
                Kind::Bucket(le) => increment.fill(le, grown),
                Kind::PoolTimeouts => {
                    *increment.pool_timeouts.get_or_insert(0.0) += grown;
                }
            }
        }
        increment
    }
}

fn twice(one: &Series<'_>) -> ScrapeError {
    let series = format!("{}{{{}}}", one.name, one.labels);
    ScrapeError::Duplicate {
        series: printable(&series, SERIES_CHARS),
    }
}

fn finite(one: &Series<'_>) -> Result<f64, ScrapeError> {
    if one.value.is_finite() {
        Ok(one.value)
    } else {
        Err(impossible(one))
    }
}

fn impossible(one: &Series<'_>) -> ScrapeError {
    ScrapeError::Value {
        family: one.name.to_owned(),
        value: one.value,
    }
}
