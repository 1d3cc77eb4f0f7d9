//! The signals of the application's own connection pool: sums of gauges over the fleet, and the share of it that is used. Pure. Not in here:
//! which series are its gauges (`families`).

use super::scrape::Gauges;
use super::{NOT_EXPOSED, named};
use crate::runbook::Figure;
use crate::trigger::Reading;

/// Sums of the pool's gauges. Instances that do not expose one make its sum partial.
pub(super) fn pool_readings(gauges: &[(String, Gauges)]) -> Vec<(&'static str, Reading)> {
    let sum = |figure: Figure| {
        let family = figure.plain_name();
        let with = gauges.iter().map(|(id, g)| (id, g.get(&figure).copied()));
        let (mut sum, mut without) = (0.0, Vec::new());
        for (id, value) in with {
            match value {
                Some(value) => sum += value,
                None => without.push(id.clone()),
            }
        }
        match without.len() {
            0 => Reading::value(sum),
            n if n == gauges.len() => Reading::no_data(format!("{NOT_EXPOSED} {family}")),
            _ => {
                let missing = named(&format!("{family} is not exposed by"), &without);
                Reading::value(sum).partial(missing.unwrap_or_default())
            }
        }
    };
    let (active, max) = (sum(Figure::PoolActive), sum(Figure::PoolMax));
    vec![
        ("pool_used_ratio", ratio(&active, &max)),
        ("pool_active", active),
        ("pool_idle", sum(Figure::PoolIdle)),
        ("pool_waiting", sum(Figure::PoolWaiting)),
        ("pool_max", max),
    ]
}

/// One sum by another.
fn ratio(active: &Reading, max: &Reading) -> Reading {
    match (active, max) {
        (_, Reading::NoData { .. }) => max.clone(),
        (Reading::NoData { .. }, _) => active.clone(),
        (Reading::Value { value: a, .. }, Reading::Value { value: m, .. }) if *m > 0.0 => {
            Reading::value(a / m)
        }
        (Reading::Value { .. }, Reading::Value { .. }) => {
            Reading::no_data("no instance has a pool: db_pool_max is 0")
        }
        // Which instances each sum is over may differ.
        (Reading::Partial { reason, .. }, _) | (_, Reading::Partial { reason, .. }) => {
            Reading::no_data(reason)
        }
    }
}
