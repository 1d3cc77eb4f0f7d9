//! What is watched: probes, and the signals that come of them. Not in here: asking (`monitor`).

use std::net::SocketAddr;

use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::metrics::MetricsPage;
use crate::runbook::action::{Action, HeadersCommand};

/// Real time below which no probe is asked again, whatever the speed.
pub const MIN_INTERVAL_MS: i64 = 200;

/// What instances tell of themselves.
const OF_INSTANCES: [&str; 12] = [
    "http_5xx_ratio",
    "http_4xx_ratio",
    "requests_per_s",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "pool_active",
    "pool_idle",
    "pool_waiting",
    "pool_max",
    "pool_used_ratio",
    "pool_timeouts",
];

/// Something that is watched.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Short and unique.
    pub id: String,
    pub kind: ProbeKind,
    /// Runbook time between two samples; never scaled below 200 ms.
    pub interval_ms: i64,
    /// Real time limit of one sample.
    pub timeout_ms: i64,
}

/// What a probe asks, and which signals come of it (see [`Probe::signals`]). [`ProbeWord`] is the kind alone.
#[derive(Debug, Clone, EnumDiscriminants)]
#[strum_discriminants(
    name(ProbeWord),
    derive(IntoStaticStr, EnumIter),
    strum(serialize_all = "snake_case"),
    doc = "A kind of probe, as written after `kind:`."
)]
pub enum ProbeKind {
    /// Every instance's readiness.
    Readiness,
    /// Every instance's `/metrics`: rates over a sliding window.
    Metrics {
        /// Length of the window, in runbook time.
        window_ms: i64,
    },
    /// What every instance exports by OpenTelemetry's protocol: the same, over a sliding window.
    Otlp(OtlpReceiver),
    /// The verification section's requests, through the fleet in turn.
    Synthetic,
    /// `pg_stat_activity` of the target.
    Pool,
    /// The instances' logs.
    Logs {
        /// First match decides.
        rules: Vec<LogRule>,
        /// A command that prints what is new in a log for as long as it runs; one for each instance where it names the instance. The
        /// fleet's log files where absent.
        follow: Option<Action>,
    },
    /// What goes on inside the target.
    Postgres {
        /// A statement that takes longer is slow; real time.
        slow_ms: i64,
        /// Over which deadlocks, temporary files and slow statements are counted, in runbook time.
        window_ms: i64,
    },
    /// A PgBouncer's console.
    #[strum_discriminants(strum(serialize = "pgbouncer"))]
    PgBouncer(PgBouncer),
    Prometheus(PrometheusServer),
    /// Anything that prints numbers.
    Command {
        /// A command or a shell line; its time limit is the probe's.
        action: Action,
        /// What its lines are called: the first line is the first signal.
        signals: Vec<String>,
    },
}

/// Where the application exports to by OpenTelemetry's protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpReceiver {
    pub listen: SocketAddr,
    /// Length of the window, in runbook time.
    pub window_ms: i64,
    /// How often the application exports; real time.
    pub every_ms: i64,
    /// The attribute of the resource that says which instance it is.
    pub attribute: String,
    /// What an instance calls itself there, where that is not its id.
    pub instances: Vec<(String, String)>,
    /// Sort records of logs; it takes none where there are no rules.
    pub rules: Vec<LogRule>,
    /// Names of the application's own, and routes that are no traffic. Its address is not asked.
    pub page: MetricsPage,
}

impl OtlpReceiver {
    /// An instance that sends nothing for so long is silent: one export may be late, or lost on its way.
    pub fn silent_ms(&self) -> i64 {
        2 * self.every_ms + 5_000
    }
}

/// A PgBouncer in front of the target. `Debug` does not show the URL.
#[derive(Clone)]
pub struct PgBouncer {
    /// Its console: a `postgres://` URL of the database `pgbouncer`.
    pub url: String,
    /// Only the pools of this database.
    pub database: Option<String>,
}

/// A Prometheus server and what it is asked. `Debug` does not show the headers.
#[derive(Clone)]
pub struct PrometheusServer {
    /// Below which `/api/v1/query` is.
    pub url: String,
    /// Sent along; values may be secrets and are never shown.
    pub headers: Vec<(String, String)>,
    /// Prints more of them.
    pub headers_command: Option<HeadersCommand>,
    /// Asked each time, all at once.
    pub queries: Vec<PromQuery>,
    /// How far back the baseline reaches, in runbook time; the baseline step's own window where absent.
    pub baseline_ms: Option<i64>,
}

/// One signal by PromQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromQuery {
    /// What the answer is called.
    pub signal: String,
    /// Must come to one number.
    pub query: String,
    /// How many requests stand behind a ratio: below `min_requests` it says nothing.
    pub requests: Option<String>,
}

/// Sorts log lines: all that it asks for must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRule {
    /// One of [`LogRule::CATEGORIES`].
    pub category: String,
    /// A regular expression that the line matches. What its group `endpoint` finds is the endpoint.
    pub pattern: Option<String>,
    /// Fields of a line that is a JSON object, as a path and a regular expression that the value matches.
    pub fields: Vec<(String, String)>,
    /// Paths of the field that names the endpoint; the first that is there.
    pub endpoint: Vec<String>,
}

impl LogRule {
    /// What the monitoring checklist knows.
    pub const CATEGORIES: [&str; 12] = [
        "host_booted",
        "services_initialised",
        "unhandled_exception",
        "endpoint_exception",
        "migration_completed",
        "pending_migration",
        "ddl_exception",
        "database_exception",
        "database_timeout",
        "database_deadlock",
        "database_authentication",
        "database_constraint",
    ];

    /// A signal for each.
    pub fn signals() -> impl Iterator<Item = String> {
        LogRule::CATEGORIES.iter().map(|c| format!("log_{c}"))
    }

    /// Kinds of database exception: each counts as one, too.
    pub const DATABASE_KINDS: [&str; 4] = [
        "database_timeout",
        "database_deadlock",
        "database_authentication",
        "database_constraint",
    ];
}

impl ProbeKind {
    /// Whether it tells what instances count of requests and of their pools.
    pub fn tells_of_requests(&self) -> bool {
        matches!(self, ProbeKind::Metrics { .. }) || self.receiver().is_some()
    }

    /// What listens for what the application sends; `None` of a kind that asks.
    pub fn receiver(&self) -> Option<&OtlpReceiver> {
        match self {
            ProbeKind::Otlp(receiver) => Some(receiver),
            ProbeKind::Readiness
            | ProbeKind::Metrics { .. }
            | ProbeKind::Synthetic
            | ProbeKind::Pool
            | ProbeKind::Logs { .. }
            | ProbeKind::Postgres { .. }
            | ProbeKind::PgBouncer(_)
            | ProbeKind::Prometheus(_)
            | ProbeKind::Command { .. } => None,
        }
    }
}

impl Probe {
    /// Real time between two samples that can differ, where runbook time runs so many times faster.
    pub fn real_news_ms(&self, speed: f64) -> i64 {
        let asked_ms = self.real_interval_ms(speed);
        let receiver = self.kind.receiver();
        receiver.map_or(asked_ms, |receiver| asked_ms.max(receiver.every_ms))
    }

    /// Real time between two samples, where runbook time runs so many times faster.
    pub fn real_interval_ms(&self, speed: f64) -> i64 {
        ((self.interval_ms as f64 / speed) as i64).max(MIN_INTERVAL_MS)
    }

    /// How far back its figures look, in runbook time; `None` where they are of the moment.
    pub fn window_ms(&self) -> Option<i64> {
        match &self.kind {
            ProbeKind::Metrics { window_ms } | ProbeKind::Postgres { window_ms, .. } => {
                Some(*window_ms)
            }
            ProbeKind::Otlp(receiver) => Some(receiver.window_ms),
            ProbeKind::Readiness
            | ProbeKind::Synthetic
            | ProbeKind::Pool
            | ProbeKind::Logs { .. }
            | ProbeKind::PgBouncer(_)
            | ProbeKind::Prometheus(_)
            | ProbeKind::Command { .. } => None,
        }
    }

    /// The same, to be changed.
    pub fn window_mut(&mut self) -> Option<&mut i64> {
        match &mut self.kind {
            ProbeKind::Metrics { window_ms } | ProbeKind::Postgres { window_ms, .. } => {
                Some(window_ms)
            }
            ProbeKind::Otlp(receiver) => Some(&mut receiver.window_ms),
            ProbeKind::Readiness
            | ProbeKind::Synthetic
            | ProbeKind::Pool
            | ProbeKind::Logs { .. }
            | ProbeKind::PgBouncer(_)
            | ProbeKind::Prometheus(_)
            | ProbeKind::Command { .. } => None,
        }
    }

    /// The signals that this probe makes. `ready` has one series per instance (`ready.<instance>`).
    pub fn signals(&self) -> Vec<String> {
        let fixed: &[&str] = match &self.kind {
            ProbeKind::Readiness => &["ready", "unready_ratio"],
            ProbeKind::Metrics { .. } => &OF_INSTANCES,
            ProbeKind::Otlp(receiver) => {
                let of_logs = LogRule::signals().filter(|_| !receiver.rules.is_empty());
                return OF_INSTANCES
                    .map(str::to_owned)
                    .into_iter()
                    .chain(of_logs)
                    .collect();
            }
            ProbeKind::Synthetic => &[
                "synthetic_failed_ratio",
                "synthetic_read_ms",
                "synthetic_write_ms",
            ],
            ProbeKind::Pool => &[
                "pg_active",
                "pg_idle",
                "pg_idle_in_transaction",
                "pg_waiting",
                "pg_max",
            ],
            ProbeKind::Postgres { .. } => &[
                "pg_used_ratio",
                "pg_lock_waits",
                "pg_lock_wait_ms",
                "pg_running_ms",
                "pg_slow_statements",
                "pg_deadlocks",
                "pg_conflicts",
                "pg_temp_files",
            ],
            ProbeKind::PgBouncer(_) => &[
                "bouncer_active",
                "bouncer_waiting",
                "bouncer_maxwait_ms",
                "bouncer_servers_active",
                "bouncer_servers_idle",
                "bouncer_queries_per_s",
                "bouncer_query_ms",
            ],
            ProbeKind::Prometheus(server) => {
                return server.queries.iter().map(|q| q.signal.clone()).collect();
            }
            ProbeKind::Command { signals, .. } => return signals.clone(),
            ProbeKind::Logs { .. } => {
                return LogRule::signals()
                    .chain(["instances_booted_ratio".to_owned()])
                    .collect();
            }
        };
        fixed.iter().map(|s| (*s).to_owned()).collect()
    }
}
