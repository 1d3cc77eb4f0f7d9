//! Where an instance tells its figures, and under which names of its own. Not in here: the names that are known without being told
//! (`monitor::metrics::families`), and reading a page.

use strum::{EnumIter, IntoStaticStr};

use crate::runbook::action::HeadersCommand;

/// `fleet.metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsPage {
    /// Prometheus text endpoint; `{url}` is replaced.
    pub url: String,
    /// Prints headers that are sent along.
    pub headers_command: Option<HeadersCommand>,
    /// Names of the application's own. A figure that stands here is read from there alone.
    pub map: Vec<(Figure, Family)>,
    /// Values of the label for the route whose series are no traffic, beside the paths of the readiness and the metrics address.
    pub leave_out: Vec<String>,
}

impl MetricsPage {
    /// A page whose names are all known.
    pub fn at(url: &str) -> MetricsPage {
        MetricsPage {
            url: url.to_owned(),
            headers_command: None,
            map: Vec::new(),
            leave_out: Vec::new(),
        }
    }

    /// Its address at an instance.
    pub fn of(&self, instance_url: &str) -> String {
        self.url.replace("{url}", instance_url)
    }
}

/// What is read of a page; as written below `fleet.metrics.map`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Figure {
    /// A counter of requests by status.
    Requests,
    /// A classic histogram of durations.
    Latency,
    /// Connections in use.
    PoolActive,
    /// Connections that wait for work.
    PoolIdle,
    /// Requests that wait for a connection.
    PoolWaiting,
    /// Connections that the pool may have.
    PoolMax,
    /// A counter of requests that waited in vain.
    PoolTimeouts,
}

impl Figure {
    /// As written in a runbook.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Under which name our own documentation asks for it.
    pub fn plain_name(self) -> &'static str {
        match self {
            Figure::Requests => "http_requests_total",
            Figure::Latency => "http_request_duration_seconds",
            Figure::PoolActive => "db_pool_active",
            Figure::PoolIdle => "db_pool_idle",
            Figure::PoolWaiting => "db_pool_waiting",
            Figure::PoolMax => "db_pool_max",
            Figure::PoolTimeouts => "db_pool_timeouts_total",
        }
    }
}

/// Under which name a page tells a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The counter's or the gauge's, or the histogram's without `_bucket`.
    pub name: String,
    /// The label that has the status.
    pub code: Option<String>,
    /// The label that has the route.
    pub route: Option<String>,
    /// The label that has the method, shown beside the route.
    pub method: Option<String>,
    pub unit: Unit,
    /// Only series with these labels and values.
    pub only: Vec<(String, String)>,
}

impl Family {
    /// A name without labels of its own. A histogram may be named with the `_bucket` of its series.
    pub fn named(name: String, figure: Figure) -> Family {
        let name = match figure {
            Figure::Latency => name
                .strip_suffix("_bucket")
                .map(str::to_owned)
                .unwrap_or(name),
            Figure::Requests
            | Figure::PoolActive
            | Figure::PoolIdle
            | Figure::PoolWaiting
            | Figure::PoolMax
            | Figure::PoolTimeouts => name,
        };
        let seconds = Unit::Seconds;
        Family {
            name,
            code: None,
            route: None,
            method: None,
            unit: seconds,
            only: Vec::new(),
        }
    }
}

/// The unit of a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As Prometheus wants it.
    Seconds,
    /// As some measure.
    Milliseconds,
}

impl Unit {
    /// How many of them are a second.
    pub fn per_second(self) -> f64 {
        match self {
            Unit::Seconds => 1.0,
            Unit::Milliseconds => 1_000.0,
        }
    }
}
