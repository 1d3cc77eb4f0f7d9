//! The application's own figures, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

#[derive(Debug, Default, Clone)]
struct Histogram {
    /// Per bound, how many were at most that.
    at_most: [u64; BOUNDS.len()],
    count: u64,
    sum_seconds: f64,
}

impl Histogram {
    fn observe(&mut self, seconds: f64) {
        for (bound, count) in BOUNDS.iter().zip(&mut self.at_most) {
            *count += u64::from(seconds <= *bound);
        }
        self.count += 1;
        self.sum_seconds += seconds;
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// By endpoint, method and status code.
    requests: BTreeMap<(String, String, u16), u64>,
    /// By endpoint and method.
    durations: BTreeMap<(String, String), Histogram>,
    /// By kind.
    exceptions: BTreeMap<&'static str, u64>,
}

/// What has been counted since the process began.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    counts: Mutex<Counts>,
    pool_timeouts: AtomicU64,
}

impl Metrics {
    /// A request was answered.
    pub(super) fn answered(&self, endpoint: &str, method: &str, status: u16, took: Duration) {
        let mut counts = self.lock();
        let (endpoint, method) = (endpoint.to_string(), method.to_string());
        *counts
            .requests
            .entry((endpoint.clone(), method.clone(), status))
            .or_default() += 1;
        counts
            .durations
            .entry((endpoint, method))
            .or_default()
            .observe(took.as_secs_f64());
    }

    /// A database exception of this kind.
    pub(super) fn exception(&self, kind: &'static str) {
        *self.lock().exceptions.entry(kind).or_default() += 1;
    }

    /// A request waited for a connection in vain.
    pub(super) fn pool_timed_out(&self) {
        self.pool_timeouts.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Everything, with the pool's figures as they are now.
    pub(super) fn text(&self, pool: deadpool::Status, started_at_seconds: i64) -> String {
        let counts = self.lock();
        let mut out = String::new();
        requests(&mut out, &counts);
        durations(&mut out, &counts);
        heading(
            &mut out,
            "db_exceptions_total",
            "counter",
            "Database exceptions by kind.",
        );
        for (kind, count) in &counts.exceptions {
            line(
                &mut out,
                format_args!("db_exceptions_total{{kind=\"{kind}\"}} {count}"),
            );
        }
        let active = pool.size.saturating_sub(pool.available);
        for (name, value, help) in [
            ("db_pool_active", active, "Connections in use."),
            ("db_pool_idle", pool.available, "Connections open and free."),
            (
                "db_pool_waiting",
                pool.waiting,
                "Requests that wait for a connection.",
            ),
            (
                "db_pool_max",
                pool.max_size,
                "The most connections there can be.",
            ),
        ] {
            heading(&mut out, name, "gauge", help);
            line(&mut out, format_args!("{name} {value}"));
        }
        heading(
            &mut out,
            "db_pool_timeouts_total",
            "counter",
            "Requests that waited for a connection in vain.",
        );
        line(
            &mut out,
            format_args!(
                "db_pool_timeouts_total {}",
                self.pool_timeouts.load(Ordering::Relaxed)
            ),
        );
        heading(
            &mut out,
            "process_start_time_seconds",
            "gauge",
            "When the process began, in Unix time.",
        );
        line(
            &mut out,
            format_args!("process_start_time_seconds {started_at_seconds}"),
        );
        out
    }
}

fn requests(out: &mut String, counts: &Counts) {
    heading(out, "http_requests_total", "counter", "Requests answered.");
    for ((endpoint, method, code), count) in &counts.requests {
        line(
            out,
            format_args!(
                "http_requests_total{{code=\"{code}\",endpoint=\"{endpoint}\",method=\"{method}\"}} {count}"
            ),
        );
    }
}

fn durations(out: &mut String, counts: &Counts) {
    const NAME: &str = "http_request_duration_seconds";
    heading(out, NAME, "histogram", "How long requests took.");
    for ((endpoint, method), histogram) in &counts.durations {
        let labels = format!("endpoint=\"{endpoint}\",method=\"{method}\"");
        for (bound, count) in BOUNDS.iter().zip(&histogram.at_most) {
            line(
                out,
                format_args!("{NAME}_bucket{{{labels},le=\"{bound}\"}} {count}"),
            );
        }
        line(
            out,
            format_args!("{NAME}_bucket{{{labels},le=\"+Inf\"}} {}", histogram.count),
        );
        line(
            out,
            format_args!("{NAME}_sum{{{labels}}} {}", histogram.sum_seconds),
        );
        line(
            out,
            format_args!("{NAME}_count{{{labels}}} {}", histogram.count),
        );
    }
}

fn heading(out: &mut String, name: &str, kind: &str, help: &str) {
    line(out, format_args!("# HELP {name} {help}"));
    line(out, format_args!("# TYPE {name} {kind}"));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("BUG: a String takes text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative() {
        let metrics = Metrics::default();
        for milliseconds in [2, 30, 7000] {
            metrics.answered("/tools", "GET", 200, Duration::from_millis(milliseconds));
        }
        let text = metrics.text(
            deadpool::Status {
                max_size: 5,
                size: 3,
                available: 1,
                waiting: 0,
            },
            7,
        );
        for expected in [
            "http_requests_total{code=\"200\",endpoint=\"/tools\",method=\"GET\"} 3",
            "http_request_duration_seconds_bucket{endpoint=\"/tools\",method=\"GET\",le=\"0.0025\"} 1",
            "http_request_duration_seconds_bucket{endpoint=\"/tools\",method=\"GET\",le=\"5\"} 2",
            "http_request_duration_seconds_bucket{endpoint=\"/tools\",method=\"GET\",le=\"+Inf\"} 3",
            "db_pool_active 2",
            "db_pool_idle 1",
        ] {
            assert!(
                text.lines().any(|line| line == expected),
                "{expected} not in\n{text}"
            );
        }
    }
}
