//! `Debug` for what holds secrets, so that none reaches a log by way of `{:?}`.

use std::fmt;

use super::model::{Channel, Means, PgBouncer, PrometheusServer, Rehearsal, Request, Target};

/// Shows these fields and no others.
macro_rules! show_only {
    ($($what:ident { $($field:ident),+ })+) => {$(
        impl fmt::Debug for $what {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($what))
                    $(.field(stringify!($field), &self.$field))+
                    .finish_non_exhaustive()
            }
        }
    )+};
}

show_only! {
    Target { schema, tls_required, history, required }
    Rehearsal { max_age_ms, copy, point, unpoint }
    Request { name, class, method, url, status, contains, compare_body }
    PgBouncer { database }
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
