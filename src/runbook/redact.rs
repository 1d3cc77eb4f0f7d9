//! `Debug` for what holds secrets, so that none reaches a log by way of `{:?}`.

use std::fmt;

use super::model::{Channel, Means, PgBouncer, PrometheusServer, Rehearsal, Request, Target};

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("schema", &self.schema)
            .field("tls_required", &self.tls_required)
            .field("history", &self.history)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehearsal")
            .field("max_age_ms", &self.max_age_ms)
            .field("copy", &self.copy)
            .field("point", &self.point)
            .field("unpoint", &self.unpoint)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("name", &self.name)
            .field("class", &self.class)
            .field("method", &self.method)
            .field("url", &self.url)
            .field("status", &self.status)
            .field("contains", &self.contains)
            .field("compare_body", &self.compare_body)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PrometheusServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusServer")
            .field("url", &crate::secret::without_passwords(&self.url))
            .field("queries", &self.queries)
            .field("baseline_ms", &self.baseline_ms)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PgBouncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgBouncer")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let means = match self.means {
            Means::Webhook { .. } => "webhook",
            Means::Command(_) => "command",
            Means::Terminal(_) => "terminal",
        };
        f.debug_struct("Channel")
            .field("id", &self.id)
            .field("means", &means)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
