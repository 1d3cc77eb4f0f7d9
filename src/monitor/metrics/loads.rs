//! What each instance carries, from the same pages and over the same window as the fleet's sums: for people, nothing judges it.

use std::collections::BTreeMap;

use super::scrape::Gauges;
use super::window::{Increment, Window};
use crate::runbook::Instance;
use crate::session::live::{LoadView, LoadsView};
use crate::trigger::Reading;

/// Rounds that each instance's window keeps: hundreds of instances are asked as often as once a second.
const ROUNDS: i64 = 20;

/// The window of each instance.
pub(super) struct Loads {
    /// In real milliseconds.
    length_ms: i64,
    /// In runbook time.
    window_ms: i64,
    windows: BTreeMap<String, Window>,
}

impl Loads {
    pub(super) fn new(length_ms: i64, window_ms: i64) -> Loads {
        Loads {
            length_ms,
            window_ms,
            windows: BTreeMap::new(),
        }
    }

    /// What an instance counted since it was last scraped, and its gauges now.
    pub(super) fn scraped(
        &mut self,
        id: &str,
        at_ms: i64,
        mut increment: Increment,
        gauges: &Gauges,
    ) -> LoadView {
        // Endpoints are told of the fleet alone.
        increment.failed_at = Default::default();
        let window = self.windows.entry(id.to_owned());
        let window = window.or_insert_with(|| Window::coarse(self.length_ms, ROUNDS));
        window.push(at_ms, increment);
        let readings = window.readings(self.window_ms);
        let signal = |name: &str| {
            let of_name = readings.iter().find(|(signal, _)| *signal == name);
            of_name.and_then(|(_, reading): &(_, Reading)| reading.number())
        };
        let gauge = |family: &str| gauges.get(family).copied();
        LoadView {
            id: id.to_owned(),
            requests_per_s: signal("requests_per_s"),
            errors_ratio: signal("http_5xx_ratio"),
            p95_ms: signal("latency_p95_ms"),
            pool_active: gauge("db_pool_active"),
            pool_idle: gauge("db_pool_idle"),
            pool_waiting: gauge("db_pool_waiting"),
            pool_max: gauge("db_pool_max"),
        }
    }
}

/// A fleet of which nothing is known.
pub(in crate::monitor) fn unknown(instances: &[Instance], at_ms: i64) -> LoadsView {
    let instances = instances.iter().map(|i| LoadView::unknown(&i.id));
    LoadsView {
        at_ms,
        instances: instances.collect(),
    }
}
