//! Which signals an application's pages can tell, and what those lack that the runbook needs: known before the night, since a checklist
//! item on a signal that never comes never turns green. Pure. Not in here: what the families mean ([`super`]).

use std::collections::{BTreeMap, BTreeSet};

use super::scrape::Selection;
use super::text::series;
use crate::runbook::{Condition, Probe, ProbeKind, Runbook, StepKind};

/// What P3 has to see.
const OF_BASELINE: [&str; 2] = ["http_5xx_ratio", "latency_p95_ms"];

/// Where the names stand.
const WHERE: &str = "docs/runbook.md, \"Names of metrics\"";

/// A signal that the runbook needs, and whether the pages tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Which.
    pub signal: String,
    /// Who needs it: `M3`, `T3a, T3b, M4`.
    pub by: Vec<String>,
    /// Instances that lack it, and what they lack.
    pub lacking: Vec<(String, String)>,
    /// Instances that were looked at.
    pub looked_at: usize,
}

impl Need {
    /// Whether every instance has it.
    pub fn is_met(&self) -> bool {
        self.lacking.is_empty()
    }

    /// What is missing, who needs it, what follows and what to change.
    pub fn words(&self) -> String {
        let by = match self.by.len() {
            1 => format!("{} needs it", self.by[0]),
            _ => format!("{} need it", self.by.join(", ")),
        };
        let Some((first, what)) = self.lacking.first() else {
            return format!("comes; {by}");
        };
        let who = match self.lacking.len() {
            n if n == self.looked_at => "no instance exposes".to_owned(),
            n => format!(
                "{n} of {} instances, {first} the first, do not expose",
                self.looked_at
            ),
        };
        let item = self.by.iter().find(|id| id.starts_with('M'));
        let follows = item.map_or_else(String::new, |item| {
            format!("; without it {item} never turns green, and G2 cannot end but in a rollback")
        });
        format!(
            "{who} {what}; {by}{follows}. Expose it ({WHERE}), put a signal of another probe in its place (`prometheus` and `command` make \
             any), or take it out of {}",
            self.by.join(", ")
        )
    }
}

/// Every signal of the `metrics` probe that triggers, the checklist and P3 need, against the pages of instances by their ids. None where
/// no such probe is there.
pub fn needs(runbook: &Runbook, pages: &[(String, String)]) -> Vec<Need> {
    let is_metrics = |p: &&Probe| matches!(p.kind, ProbeKind::Metrics { .. });
    let made: BTreeSet<String> = runbook
        .probes
        .iter()
        .filter(is_metrics)
        .flat_map(Probe::signals)
        .collect();
    let lacking: Vec<_> = pages
        .iter()
        .map(|(id, page)| (id, lacking_in(page)))
        .collect();
    users(runbook)
        .into_iter()
        .filter(|(signal, _)| made.contains(signal))
        .map(|(signal, by)| {
            let lack = |(id, lacking): &(&String, BTreeMap<&'static str, &'static str>)| {
                let what = lacking.get(signal.as_str())?;
                Some(((*id).clone(), (*what).to_owned()))
            };
            Need {
                lacking: lacking.iter().filter_map(lack).collect(),
                looked_at: pages.len(),
                signal,
                by,
            }
        })
        .collect()
}

/// Who needs each signal, in the order of the runbook.
fn users(runbook: &Runbook) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    let mut uses = |signal: &str, id: &str| match all.iter_mut().find(|(known, _)| known == signal)
    {
        Some((_, by)) if by.iter().any(|known| known == id) => {}
        Some((_, by)) => by.push(id.to_owned()),
        None => all.push((signal.to_owned(), vec![id.to_owned()])),
    };
    for step in &runbook.steps {
        if let StepKind::Baseline { .. } = step.kind {
            OF_BASELINE.iter().for_each(|signal| uses(signal, &step.id));
        }
    }
    for trigger in &runbook.triggers {
        match &trigger.when {
            Condition::Signal { signal, .. } => uses(signal, &trigger.id),
            Condition::Check { .. } => {}
        }
    }
    for item in &runbook.monitoring {
        for (signal, _) in &item.conditions {
            uses(signal, &item.id);
        }
    }
    all
}

/// The signals that a page cannot tell, each with what it lacks. A family that is announced and has no series yet is there: nobody has
/// used the application since it began.
fn lacking_in(page: &str) -> BTreeMap<&'static str, &'static str> {
    let names: BTreeSet<&str> = series(page).flatten().map(|one| one.name).collect();
    let announces = |family: &str| {
        let declared = format!("# TYPE {family} ");
        page.lines().any(|line| line.starts_with(&declared))
    };
    let has = |family: &str| names.contains(family) || announces(family);
    let scraped = Selection::default().scrape(page).ok();
    let uncoded = names.contains("http_requests_total")
        && !scraped.is_some_and(|s| s.counters.has_requests());
    let requests = match (has("http_requests_total"), uncoded) {
        (true, false) => None,
        (true, true) => Some("the label `code` on http_requests_total"),
        (false, _) => Some("http_requests_total"),
    };
    let latency = names.contains("http_request_duration_seconds_bucket")
        || announces("http_request_duration_seconds");
    let latency = (!latency).then_some("http_request_duration_seconds, a classic histogram");
    let family = |name: &'static str| (!has(name)).then_some(name);
    let timeouts = has("db_pool_timeouts_total") || announces("db_pool_timeouts");
    let timeouts = (!timeouts).then_some("db_pool_timeouts_total");
    let used = family("db_pool_active").or(family("db_pool_max"));
    let signals = [
        ("http_5xx_ratio", requests),
        ("http_4xx_ratio", requests),
        ("requests_per_s", requests),
        ("latency_p50_ms", latency),
        ("latency_p95_ms", latency),
        ("latency_p99_ms", latency),
        ("pool_active", family("db_pool_active")),
        ("pool_idle", family("db_pool_idle")),
        ("pool_waiting", family("db_pool_waiting")),
        ("pool_max", family("db_pool_max")),
        ("pool_used_ratio", used),
        ("pool_timeouts", timeouts),
    ];
    let lacking = signals.into_iter();
    lacking.filter_map(|(s, what)| Some((s, what?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_it_lacks() {
        let lacks = |page: &str, signal: &str| lacking_in(page).get(signal).copied();
        let full = "http_requests_total{code=\"200\"} 1\nhttp_request_duration_seconds_bucket{le=\"+Inf\"} 1\n\
                    db_pool_active 1\ndb_pool_idle 1\ndb_pool_waiting 0\ndb_pool_max 5\ndb_pool_timeouts_total 0\n";
        assert_eq!(lacking_in(full), BTreeMap::new());
        let fresh =
            "# TYPE http_requests_total counter\n# TYPE http_request_duration_seconds histogram\n";
        assert_eq!(lacks(fresh, "http_5xx_ratio"), None);
        assert_eq!(lacks(fresh, "latency_p95_ms"), None);
        assert_eq!(lacks(fresh, "pool_waiting"), Some("db_pool_waiting"));
        assert_eq!(lacks(fresh, "pool_used_ratio"), Some("db_pool_active"));
        let half = "db_pool_active 1\nhttp_requests_total{status=\"200\"} 1\n";
        assert_eq!(lacks(half, "pool_used_ratio"), Some("db_pool_max"));
        let label = Some("the label `code` on http_requests_total");
        assert_eq!(lacks(half, "http_5xx_ratio"), label);
        assert_eq!(lacks("", "http_4xx_ratio"), Some("http_requests_total"));
    }
}
