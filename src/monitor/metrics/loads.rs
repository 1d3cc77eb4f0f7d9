//! What each instance carries, from the same pages and over the same window as the fleet's sums: for people, nothing judges it.

use std::collections::BTreeMap;

use super::scrape::Gauges;
use super::window::{Increment, Window};
use crate::runbook::{Figure, Instance};
use crate::session::live::{LoadView, LoadsView};
use crate::trigger::Reading;

/// Rounds that each instance's window keeps: hundreds of instances are asked as often as once a second.
const ROUNDS: i64 = 20;

/// The window of each instance.
pub(super) struct Loads {
    /// In real milliseconds.
    length_ms: i64,
    windows: BTreeMap<String, Window>,
}

impl Loads {
    pub(super) fn new(length_ms: i64) -> Loads {
        Loads {
            length_ms,
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
        let readings = window.readings();
        let signal = |name: &str| {
            let of_name = readings.iter().find(|(signal, _)| *signal == name);
            let of_requests = |(_, reading): &&(_, Reading)| reading.requests() != Some(0);
            let of_name = of_name.filter(of_requests);
            of_name.and_then(|(_, reading): &(_, Reading)| reading.number())
        };
        let gauge = |figure: Figure| gauges.get(&figure).copied();
        LoadView {
            id: id.to_owned(),
            requests_per_s: signal("requests_per_s"),
            errors_ratio: signal("http_5xx_ratio"),
            p95_ms: signal("latency_p95_ms"),
            pool_active: gauge(Figure::PoolActive),
            pool_idle: gauge(Figure::PoolIdle),
            pool_waiting: gauge(Figure::PoolWaiting),
            pool_max: gauge(Figure::PoolMax),
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
