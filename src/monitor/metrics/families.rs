//! Under which names a page tells what is watched: those of widely used client libraries, or those that the runbook gives. Pure. Not in
//! here: reading a page (`scrape`), and what a figure means.
//!
//! A page may tell a figure under more than one of these names. The first in the table is read, and it alone: the same requests counted
//! under two names are not twice as many.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::text::Series;
use crate::runbook::{Family, Figure, MetricsPage, Unit};

/// A name that is known without being told. A histogram stands here with the `_bucket` of its series.
struct Known {
    figure: Figure,
    name: &'static str,
    /// Only series with this label and value.
    only: Option<(&'static str, &'static str)>,
    /// Only where the page does not announce this name: the same library's, with the route.
    unless: Option<&'static str>,
    unit: Unit,
}

const fn known(figure: Figure, name: &'static str) -> Known {
    Known {
        figure,
        name,
        only: None,
        unless: None,
        unit: Unit::Seconds,
    }
}

const fn only(
    figure: Figure,
    name: &'static str,
    label: &'static str,
    value: &'static str,
) -> Known {
    Known {
        only: Some((label, value)),
        ..known(figure, name)
    }
}

const fn unless(figure: Figure, name: &'static str, other: &'static str) -> Known {
    Known {
        unless: Some(other),
        ..known(figure, name)
    }
}

const fn milliseconds(name: &'static str) -> Known {
    Known {
        unit: Unit::Milliseconds,
        ..known(Latency, name)
    }
}

use Figure::{Latency, PoolActive, PoolIdle, PoolMax, PoolTimeouts, PoolWaiting, Requests};

/// In the order in which they are preferred: where a library has two, the one with the route comes first, so that our own questions can be
/// told from the application's traffic.
const KNOWN: &[Known] = &[
    // Ours, promhttp by its documentation, prometheus-fastapi-instrumentator, Fiber.
    known(Requests, "http_requests_total"),
    // prometheus-net.
    known(Requests, "http_requests_received_total"),
    // OpenTelemetry: ASP.NET Core, otelhttp, Node, Python and Java agents; then the names before they were stable.
    known(Requests, "http_server_request_duration_seconds_count"),
    // Node's exporter leaves out the unit.
    known(Requests, "http_server_request_duration_count"),
    known(Requests, "http_server_duration_milliseconds_count"),
    known(Requests, "http_server_duration_count"),
    // Micrometer, as Spring Boot has it.
    known(Requests, "http_server_requests_seconds_count"),
    // django-prometheus.
    known(
        Requests,
        "django_http_responses_total_by_status_view_method_total",
    ),
    unless(
        Requests,
        "django_http_responses_total_by_status_total",
        "django_http_responses_total_by_status_view_method_total",
    ),
    // prometheus-flask-exporter.
    known(Requests, "flask_http_request_duration_seconds_count"),
    unless(
        Requests,
        "flask_http_request_total",
        "flask_http_request_duration_seconds_count",
    ),
    // starlette-prometheus, whose own `starlette_requests_total` has no status; starlette_exporter.
    known(Requests, "starlette_responses_total"),
    known(Requests, "starlette_requests_total"),
    // aiohttp-prometheus-exporter, swagger-stats.
    known(Requests, "aiohttp_responses_total"),
    known(Requests, "api_request_total"),
    // yabeda-rails, prometheus_exporter, the Rack collector of Ruby's client.
    known(Requests, "rails_requests_total"),
    known(Requests, "ruby_http_requests_total"),
    known(Requests, "http_server_requests_total"),
    // Middleware of Gin and Echo.
    known(Requests, "gin_requests_total"),
    known(Requests, "echo_requests_total"),
    // express-prom-bundle, fastify-metrics, and prom-client by its documentation.
    known(Requests, "http_request_duration_seconds_count"),
    known(Latency, "http_request_duration_seconds_bucket"),
    known(Latency, "http_server_request_duration_seconds_bucket"),
    known(Latency, "http_server_request_duration_bucket"),
    milliseconds("http_server_duration_milliseconds_bucket"),
    milliseconds("http_server_duration_bucket"),
    known(Latency, "http_server_requests_seconds_bucket"),
    known(
        Latency,
        "django_http_requests_latency_seconds_by_view_method_bucket",
    ),
    unless(
        Latency,
        "django_http_requests_latency_including_middlewares_seconds_bucket",
        "django_http_requests_latency_seconds_by_view_method_bucket",
    ),
    known(Latency, "flask_http_request_duration_seconds_bucket"),
    known(Latency, "starlette_requests_processing_time_seconds_bucket"),
    known(Latency, "starlette_request_duration_seconds_bucket"),
    known(Latency, "aiohttp_request_duration_seconds_bucket"),
    milliseconds("api_request_duration_milliseconds_bucket"),
    // The prometheus-client of GitLab.
    known(Latency, "http_req_duration_seconds_bucket"),
    known(Latency, "rails_request_duration_seconds_bucket"),
    known(Latency, "ruby_http_request_duration_seconds_bucket"),
    known(Latency, "gin_request_duration_seconds_bucket"),
    known(Latency, "echo_request_duration_seconds_bucket"),
    known(PoolActive, "db_pool_active"),
    // OpenTelemetry's database conventions, the present ones (Npgsql 10) and those before (Npgsql 8, SQLAlchemy).
    only(
        PoolActive,
        "db_client_connection_count",
        "db_client_connection_state",
        "used",
    ),
    only(PoolActive, "db_client_connections_usage", "state", "used"),
    only(
        PoolActive,
        "db_client_connections_usage_connections",
        "state",
        "used",
    ),
    // HikariCP.
    known(PoolActive, "hikaricp_connections_active"),
    // ActiveRecord's, by yabeda-activerecord and by prometheus_exporter.
    known(PoolActive, "activerecord_connection_pool_busy"),
    known(PoolActive, "ruby_active_record_connection_pool_busy"),
    // Go's database/sql.
    known(PoolActive, "go_sql_in_use_connections"),
    // node-postgres, Prisma.
    known(PoolActive, "pg_pool_active_connections"),
    known(PoolActive, "prisma_pool_connections_busy"),
    known(PoolIdle, "db_pool_idle"),
    only(
        PoolIdle,
        "db_client_connection_count",
        "db_client_connection_state",
        "idle",
    ),
    only(PoolIdle, "db_client_connections_usage", "state", "idle"),
    only(
        PoolIdle,
        "db_client_connections_usage_connections",
        "state",
        "idle",
    ),
    known(PoolIdle, "hikaricp_connections_idle"),
    known(PoolIdle, "activerecord_connection_pool_idle"),
    known(PoolIdle, "ruby_active_record_connection_pool_idle"),
    known(PoolIdle, "go_sql_idle_connections"),
    known(PoolIdle, "pg_pool_idle_connections"),
    known(PoolIdle, "prisma_pool_connections_idle"),
    known(PoolWaiting, "db_pool_waiting"),
    known(PoolWaiting, "db_client_connection_pending_requests"),
    known(PoolWaiting, "db_client_connections_pending_requests"),
    known(PoolWaiting, "hikaricp_connections_pending"),
    known(PoolWaiting, "activerecord_connection_pool_waiting"),
    known(PoolWaiting, "ruby_active_record_connection_pool_waiting"),
    known(PoolWaiting, "pg_pool_waiting_connections"),
    known(PoolWaiting, "prisma_client_queries_wait"),
    known(PoolMax, "db_pool_max"),
    known(PoolMax, "db_client_connection_max"),
    known(PoolMax, "db_client_connections_max"),
    known(PoolMax, "hikaricp_connections_max"),
    known(PoolMax, "activerecord_connection_pool_size"),
    known(PoolMax, "ruby_active_record_connection_pool_size"),
    known(PoolMax, "go_sql_max_open_connections"),
    known(PoolMax, "pg_pool_max"),
    known(PoolTimeouts, "db_pool_timeouts_total"),
    known(PoolTimeouts, "db_client_connection_timeouts_total"),
    known(PoolTimeouts, "db_client_connections_timeouts_total"),
    known(PoolTimeouts, "hikaricp_connections_timeout_total"),
];

/// Labels that have the status, the best first.
const CODES: [&str; 6] = [
    "code",
    "status",
    "status_code",
    "http_response_status_code",
    "http_status_code",
    "http_status",
];
/// Labels that have the route.
const ROUTES: [&str; 10] = [
    "endpoint",
    "path",
    "route",
    "http_route",
    "handler",
    "uri",
    "url",
    "view",
    "http_target",
    "path_template",
];

/// How far a name is down the table; the least is read.
pub type Rank = u8;

/// One name, and how its series are read.
#[derive(Debug, Clone)]
pub struct Reading {
    pub figure: Figure,
    /// Before others of the same figure where it is less.
    pub rank: Rank,
    /// It is not read where the page announces the name of this rank.
    pub unless: Option<Rank>,
    only: Vec<(String, String)>,
    code: Option<String>,
    route: Option<String>,
    method: Option<String>,
    unit: Unit,
}

impl Reading {
    /// Whether this series is one of those that tell it.
    pub fn takes(&self, series: &Series<'_>) -> bool {
        self.only
            .iter()
            .all(|(label, value)| series.label(label).is_some_and(|found| found == *value))
    }

    /// The status as the page has it, with the place of its label in the order of preference.
    pub fn code<'p>(&self, series: &Series<'p>) -> Option<(u8, Cow<'p, str>)> {
        match &self.code {
            Some(label) => series.label(label).map(|code| (0, code)),
            None => (0..)
                .zip(CODES)
                .find_map(|(place, label)| Some((place, series.label(label)?))),
        }
    }

    /// The label that should have the status.
    pub fn code_label(&self, place: u8) -> &str {
        self.code.as_deref().unwrap_or(CODES[usize::from(place)])
    }

    /// Everything that stands in a label for the route, the best first: some libraries have the path beside the name of a function.
    pub fn routes<'p>(&self, series: &Series<'p>) -> Vec<Cow<'p, str>> {
        if let Some(label) = &self.route {
            return series.label(label).into_iter().collect();
        }
        let place = |label: &str| ROUTES.iter().position(|known| *known == label);
        let mut routes: Vec<_> = series
            .labels()
            .filter_map(|(label, value)| Some((place(label)?, value)))
            .collect();
        routes.sort_by_key(|(place, _)| *place);
        routes.into_iter().map(|(_, value)| value).collect()
    }

    /// The method, where the runbook names its label.
    pub fn method<'p>(&self, series: &Series<'p>) -> Option<Cow<'p, str>> {
        series.label(self.method.as_deref()?)
    }

    /// How many of its unit are a second.
    pub fn per_second(&self) -> f64 {
        self.unit.per_second()
    }
}

/// Every name that is understood of one runbook's instances.
#[derive(Debug, Clone)]
pub struct Families {
    by_name: HashMap<String, Vec<Reading>>,
}

impl Default for Families {
    fn default() -> Families {
        Families::of(&[])
    }
}

impl Families {
    /// Those of a runbook. A figure that it maps is read from there alone.
    pub fn of_page(page: Option<&MetricsPage>) -> Families {
        Families::of(page.map_or(&[], |page| page.map.as_slice()))
    }

    fn of(map: &[(Figure, Family)]) -> Families {
        let mut by_name: HashMap<String, Vec<Reading>> = HashMap::new();
        let is_mapped = |figure: Figure| map.iter().any(|(mapped, _)| *mapped == figure);
        for (rank, known) in (1..)
            .zip(KNOWN)
            .filter(|(_, known)| !is_mapped(known.figure))
        {
            let only = known
                .only
                .iter()
                .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()));
            let reading = Reading {
                figure: known.figure,
                rank,
                unless: known.unless.and_then(|other| rank_of(known.figure, other)),
                only: only.collect(),
                code: None,
                route: None,
                method: None,
                unit: known.unit,
            };
            by_name
                .entry(known.name.to_owned())
                .or_default()
                .push(reading);
        }
        for (figure, family) in map {
            let reading = Reading {
                figure: *figure,
                rank: 0,
                unless: None,
                only: family.only.clone(),
                code: family.code.clone(),
                route: family.route.clone(),
                method: family.method.clone(),
                unit: family.unit,
            };
            by_name
                .entry(series_name(*figure, &family.name))
                .or_default()
                .push(reading);
        }
        Families { by_name }
    }

    /// What series of this name tell.
    pub fn named(&self, name: &str) -> &[Reading] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// What a page announces, with or without series, by its families' types.
    pub fn announced(&self, types: &BTreeMap<&str, &str>) -> BTreeSet<(Figure, Rank)> {
        let announced = self
            .by_name
            .iter()
            .filter(|(name, _)| is_announced(name, types));
        let readings = announced.flat_map(|(_, readings)| readings);
        readings.map(|r| (r.figure, r.rank)).collect()
    }

    /// The names under which a figure may stand, the preferred first.
    pub fn names(&self, figure: Figure) -> Vec<&str> {
        let of_figure = self.by_name.iter().filter_map(|(name, readings)| {
            let reading = readings.iter().find(|r| r.figure == figure)?;
            Some((reading.rank, name.as_str()))
        });
        let mut names: Vec<_> = of_figure.collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }
}

/// Whether a page announces the family of this series. Some announce a counter without its `_total`, and all a histogram without what its
/// series add.
pub fn is_announced(name: &str, types: &BTreeMap<&str, &str>) -> bool {
    let is_of = |suffix: &str, kinds: &[&str]| {
        let kind = name
            .strip_suffix(suffix)
            .and_then(|family| types.get(family));
        kind.is_some_and(|kind| kinds.contains(kind))
    };
    types.contains_key(name)
        || is_of("_total", &["counter", "unknown"])
        || is_of("_bucket", &["histogram"])
        || is_of("_count", &["histogram", "summary"])
}

/// Where a name stands in the table.
fn rank_of(figure: Figure, name: &str) -> Option<Rank> {
    let is_it = |known: &Known| known.figure == figure && known.name == name;
    (1..)
        .zip(KNOWN)
        .find_map(|(rank, known)| is_it(known).then_some(rank))
}

/// What a family's series are called that tell the figure.
fn series_name(figure: Figure, family: &str) -> String {
    match figure {
        Latency => format!("{family}_bucket"),
        Requests | PoolActive | PoolIdle | PoolWaiting | PoolMax | PoolTimeouts => {
            family.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_names_nothing_twice_and_every_plain_name_first() {
        let mut seen = HashSet::new();
        assert!(KNOWN.iter().all(|k| seen.insert((k.figure, k.name))));
        assert!(KNOWN.len() < usize::from(Rank::MAX));
        let aside = KNOWN.iter().filter_map(|k| Some((k.figure, k.unless?)));
        for (figure, other) in aside {
            assert!(rank_of(figure, other).is_some(), "{other}");
        }
        let families = Families::default();
        for figure in [
            Requests,
            Latency,
            PoolActive,
            PoolIdle,
            PoolWaiting,
            PoolMax,
            PoolTimeouts,
        ] {
            assert_eq!(
                families.names(figure)[0],
                series_name(figure, figure.plain_name())
            );
        }
    }

    #[test]
    fn the_manual_has_every_name() {
        let manual = include_str!("../../../docs/runbook.md");
        // Of these it says: the same libraries'.
        for known in KNOWN.iter().filter(|known| known.figure != PoolIdle) {
            let name = known.name.strip_suffix("_bucket").unwrap_or(known.name);
            assert!(manual.contains(&format!("`{name}`")), "{name}");
        }
        for label in CODES.iter().chain(&ROUTES) {
            assert!(manual.contains(&format!("`{label}`")), "{label}");
        }
    }

    #[test]
    fn a_mapped_figure_is_read_from_its_own_name_alone() {
        let own = Family::named("shop_latency_bucket".to_owned(), Latency);
        let families = Families::of(&[(Latency, own)]);
        assert_eq!(families.names(Latency), ["shop_latency_bucket"]);
        assert!(
            families
                .named("http_request_duration_seconds_bucket")
                .is_empty()
        );
        assert_eq!(families.names(Requests)[0], "http_requests_total");
    }
}
