//! What an instance has counted since its process began, and how much of that between two of its pages. Pure. Not in here: how a page is
//! read (`scrape`), and sums over the fleet (`window`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::monitor::metrics::families::Rank;
use crate::monitor::metrics::window::{Increment, Le};
use crate::runbook::Figure;

/// Some exporters work the start out anew for each page, from clocks that are no better than this.
const START_JITTER_S: f64 = 2.0;

/// Every counting series of an instance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    /// By a hash of name and labels: a fleet has hundreds of thousands of these, and their names are of no interest.
    pub(super) series: HashMap<u64, Counter>,
    /// Endpoints of those series that count 5xx, made harmless.
    pub(super) failing: HashMap<u64, String>,
    pub(super) started: Option<f64>,
    /// Which name each figure was read from: the same figure under another name is another count.
    pub(super) ranks: BTreeMap<Figure, Rank>,
    /// What series lack, so that what they count is in no sum.
    pub(super) lacking: BTreeSet<Lacking>,
    /// What series lack that have counted nothing yet, so that nothing is missing from a sum yet.
    pub(super) idle: BTreeSet<Lacking>,
    /// Figures of which the page has series or announces a family: where it counts nothing of them, there was nothing.
    pub(super) told: BTreeSet<Figure>,
}

/// What a series does not have, so that it cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lacking {
    /// Requests without the label that has the status.
    Code {
        /// Of the series.
        name: String,
        label: String,
    },
    /// Requests with a status that is none.
    Status {
        /// Of the series.
        name: String,
        /// What stands there, made harmless.
        code: String,
    },
    /// Buckets of the latency without `le`.
    Le {
        /// Of the series.
        name: String,
    },
}

impl Lacking {
    /// The figure that is not whole.
    pub fn figure(&self) -> Figure {
        match self {
            Lacking::Code { .. } | Lacking::Status { .. } => Figure::Requests,
            Lacking::Le { .. } => Figure::Latency,
        }
    }

    pub fn words(&self) -> String {
        match self {
            Lacking::Code { name, label } => {
                format!(
                    "a series of {name} has no label `{label}`, so that what it counts is in no share"
                )
            }
            Lacking::Status { name, code } => {
                format!(
                    "a series of {name} has the status `{code}`, which is none, so that what it counts is in no share"
                )
            }
            Lacking::Le { name } => {
                format!(
                    "a series of {name} has no label `le`, so that it is no part of a histogram"
                )
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counter {
    pub(super) kind: Kind,
    pub(super) value: f64,
    pub(super) rank: Rank,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Requests(Status, Whose),
    Bucket(Le),
    PoolTimeouts,
}

/// Who answered requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// As far as the page tells.
    Applications,
    /// The series bears maintenance's label.
    Maintenances,
}

/// With what requests were answered, as far as the page tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// `503`.
    Code(u16),
    /// The 5 of `5xx`.
    Class(u8),
}

/// Which of the answers that were counted between two scrapes the share of 5xx is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// All but those that bear maintenance's label.
    All,
    /// Maintenance was on and answered with this status: all others. Where a page does not tell codes, none: its errors may be
    /// maintenance's, and what is not among them could be.
    Without(u16),
}

impl Status {
    pub(super) fn parse(code: &str) -> Option<Status> {
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
    pub(super) fn figure(self) -> Figure {
        match self {
            Kind::Requests(..) => Figure::Requests,
            Kind::Bucket(_) => Figure::Latency,
            Kind::PoolTimeouts => Figure::PoolTimeouts,
        }
    }

    pub(super) fn is_server_error(self) -> bool {
        matches!(self, Kind::Requests(status, _) if status.class() == 5)
    }
}

impl Judged {
    fn counts(self, status: Status, whose: Whose, tells_codes: bool) -> bool {
        match (whose, self) {
            (Whose::Maintenances, _) => false,
            (Whose::Applications, Judged::All) => true,
            (Whose::Applications, Judged::Without(of_maintenance)) => {
                tells_codes && status != Status::Code(of_maintenance)
            }
        }
    }
}

impl Counters {
    /// What series lack, so that what they count is in no sum, or will be in none.
    pub fn lacking(&self) -> impl Iterator<Item = &Lacking> {
        self.lacking.iter().chain(&self.idle)
    }

    /// Whether the page has series of a figure, or announces a family of it.
    pub fn tells(&self, figure: Figure) -> bool {
        self.told.contains(&figure)
    }

    /// Whether the page tells of nothing that is watched.
    pub fn is_silent(&self) -> bool {
        self.told.is_empty()
    }

    /// Whether the process is another than that of an earlier scrape, as far as both pages tell.
    pub fn began_anew(&self, before: &Counters) -> bool {
        match (self.started, before.started) {
            (Some(now), Some(before)) => (now - before).abs() > START_JITTER_S,
            // Nothing tells; a counter that fell does.
            (None, _) | (_, None) => false,
        }
    }

    /// What a first scrape of an instance tells: which figures there are. What was counted before it counts for nothing.
    pub fn first(&self) -> Increment {
        let mut increment = Increment::default();
        increment.lacking.extend(self.lacking.iter().cloned());
        increment.told.extend(&self.told);
        increment
    }

    fn tells_codes(&self) -> bool {
        let is_class = |c: &Counter| matches!(c.kind, Kind::Requests(Status::Class(_), _));
        !self.series.values().any(is_class)
    }

    /// What has been counted since an earlier scrape of the same instance. A counter that went down, or a process that began anew,
    /// started from zero in between; a series that was not there before began at zero.
    pub fn since(&self, before: &Counters, judged: Judged) -> Increment {
        let tells_codes = self.tells_codes();
        let restarted = self.began_anew(before);
        let mut increment = self.first();
        for (key, counter) in &self.series {
            // Under another name it was counted from another beginning.
            let figure = counter.kind.figure();
            if before
                .ranks
                .get(&figure)
                .is_some_and(|rank| *rank != counter.rank)
            {
                continue;
            }
            let former = before.series.get(key).map_or(0.0, |c| c.value);
            let grown = if restarted || counter.value < former {
                counter.value
            } else {
                counter.value - former
            };
            match counter.kind {
                Kind::Requests(status, whose) if !judged.counts(status, whose, tells_codes) => {
                    increment.count_unjudged(status.class(), grown);
                }
                Kind::Requests(status, _) => {
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
