//! Numbers as people read them at 3 a.m.: `5xx 1.31 % of 4 210 requests`, `3:12`.

use crate::format::{count, size};
use crate::runbook::{Bound, disks};

/// A signal as people call it.
pub fn name(signal: &str) -> String {
    if let Some(instance) = signal.strip_prefix("ready.") {
        return instance.to_owned();
    }
    if let Some(spot) = disk(signal) {
        return format!("free on the disk of {spot}");
    }
    match signal {
        "http_5xx_ratio" => "5xx".to_owned(),
        "http_4xx_ratio" => "4xx".to_owned(),
        "unready_ratio" => "instances not ready".to_owned(),
        "instances_booted_ratio" => "instances with a boot marker".to_owned(),
        "pool_used_ratio" => "pool in use".to_owned(),
        "synthetic_failed_ratio" => "synthetic requests failed".to_owned(),
        _ => {
            let bare = signal.strip_suffix("_ms").unwrap_or(signal);
            match bare.strip_prefix("log_") {
                Some(category) => format!("log lines of {}", category.replace('_', " ")),
                None => bare.replace('_', " "),
            }
        }
    }
}

/// The disk whose room this is.
fn disk(signal: &str) -> Option<&str> {
    signal.strip_prefix(disks::FREE_BYTES)?.strip_prefix('.')
}

/// A value of a signal, in its unit.
pub fn value(signal: &str, value: f64) -> String {
    if signal.ends_with("_ratio") {
        percent(value)
    } else if signal.ends_with("_ms") {
        format!("{} ms", decimal(value))
    } else if disk(signal).is_some() {
        size(value.max(0.0) as u64)
    } else {
        decimal(value)
    }
}

/// A signal's name, its value, and how many requests it is over.
pub fn reading(signal: &str, number: f64, n: Option<u64>) -> String {
    if signal.starts_with("ready.") {
        let not = if number < 1.0 { "not " } else { "" };
        return format!("{} is {not}ready", name(signal));
    }
    let over = match n {
        Some(n) if signal.ends_with("_ratio") => format!(" of {} requests", count(n)),
        Some(n) => format!(" over {} requests", count(n)),
        None => String::new(),
    };
    format!("{} {}{over}", name(signal), value(signal, number))
}

/// What a bound allows. `limit` is what it comes to, `baseline` what a multiple is of. Nothing for readiness, which needs no number.
pub fn limit(signal: &str, bound: Bound, limit: f64, baseline: Option<f64>) -> String {
    let shown = value(signal, limit);
    match bound {
        _ if signal.starts_with("ready.") => String::new(),
        Bound::Above(_) => format!(", limit {shown}"),
        Bound::Below(_) => format!(", at least {shown}"),
        Bound::AboveBaseline { multiple, .. } => {
            let times = decimal(multiple);
            let base = value(signal, baseline.unwrap_or(0.0));
            format!(", limit {shown} ({times} × baseline {base}, with a floor)")
        }
    }
}

/// `1.31 %`, `20 %`, `<0.01 %`.
pub fn percent(fraction: f64) -> String {
    let percent = fraction * 100.0;
    if percent > 0.0 && percent < 0.01 {
        return "<0.01 %".to_owned();
    }
    format!("{} %", decimal(percent))
}

/// At most two decimals, none that say nothing.
fn decimal(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_it_as_people_do() {
        let ratio = |v, n| reading("http_5xx_ratio", v, Some(n));
        assert_eq!(ratio(0.0131, 4_210), "5xx 1.31 % of 4 210 requests");
        assert_eq!(
            ratio(0.00004, 1_000_000),
            "5xx <0.01 % of 1 000 000 requests"
        );
        assert_eq!(reading("ready.app-3", 0.0, None), "app-3 is not ready");
        assert_eq!(
            reading("latency_p95_ms", 12.0, Some(20)),
            "latency p95 12 ms over 20 requests"
        );
        assert_eq!(
            reading("log_ddl_exception", 2.0, None),
            "log lines of ddl exception 2"
        );
        assert_eq!(percent(0.2), "20 %");
        assert_eq!(reading("feed_lag_ms", 240.0, None), "feed lag 240 ms");
        let room = reading("disk_free_bytes.session", 314_572_800.0, None);
        assert_eq!(room, "free on the disk of session 300 MiB");
        let least = limit("disk_free_bytes.A2", Bound::Below(5e8), 5e8, None);
        assert_eq!(least, ", at least 476 MiB");
    }
}
