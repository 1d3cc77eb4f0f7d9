//! Which signals an application's pages can tell, and what those lack that the runbook needs: known before the night, since a checklist
//! item on a signal that never comes never turns green. Pure. Not in here: what the families mean ([`super`]).

use std::collections::{BTreeMap, BTreeSet};

use strum::IntoEnumIterator as _;

use super::families::is_announced;
use super::scrape::{Lacking, ScrapeError, Selection};
use super::text::{series, types};
use crate::monitor::maintenance::Marks;
use crate::runbook::{Condition, Figure, Probe, ProbeKind, Runbook, StepKind};
use crate::text::printable;

/// Characters of a foreign name.
const NAME_CHARS: usize = 80;

/// Of one page.
type Figures = BTreeMap<Figure, Result<String, String>>;

/// What P3 has to see.
const OF_BASELINE: [&str; 2] = ["http_5xx_ratio", "latency_p95_ms"];

/// Where the names stand.
const WHERE: &str = "docs/runbook.md, \"Names of metrics\"";

/// A signal that the runbook needs, and whether the pages tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    pub signal: String,
    /// Who needs it: `M3`, `T3a, T3b, M4`.
    pub by: Vec<String>,
    /// Instances that lack it, and what they lack.
    pub lacking: Vec<(String, String)>,
    /// Other names than those of our documentation, from which it is read.
    pub read_from: BTreeSet<String>,
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
            let names: Vec<&str> = self.read_from.iter().map(String::as_str).collect();
            return match names.as_slice() {
                [] => format!("comes; {by}"),
                names => format!("comes from {}; {by}", names.join(" and ")),
            };
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
            "{who} {what}; {by}{follows}. Expose it or map the name under which it stands there ({WHERE}), put a signal of another probe in its place (`prometheus` and `command` make \
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
    let selection = selection(runbook);
    let told: Vec<_> = pages
        .iter()
        .map(|(id, page)| (id, figures_of(&selection, page)))
        .collect();
    users(runbook)
        .into_iter()
        .filter(|(signal, _)| made.contains(signal))
        .map(|(signal, by)| {
            let lack = |(id, figures): &(&String, Figures)| {
                Some(((*id).clone(), lacking(figures, &signal)?))
            };
            let read = |(_, figures): &(&String, Figures)| unusual(figures, &signal);
            Need {
                lacking: told.iter().filter_map(lack).collect(),
                read_from: told.iter().flat_map(read).collect(),
                looked_at: pages.len(),
                signal,
                by,
            }
        })
        .collect()
}

/// A page as the runbook's `metrics` probe reads it; without such a probe nobody does, and it is as it is.
///
/// # Errors
/// The probe would refuse all of it; in words. One that holds nothing of what is watched is not refused: each signal says that it is not there.
pub fn read(runbook: &Runbook, page: &[u8]) -> Result<String, String> {
    let is_metrics = |p: &Probe| matches!(p.kind, ProbeKind::Metrics { .. });
    if !runbook.probes.iter().any(is_metrics) {
        return Ok(String::from_utf8_lossy(page).into_owned());
    }
    let page = std::str::from_utf8(page).map_err(|_| super::NOT_UTF8)?;
    match selection(runbook).scrape(page) {
        Ok(_) | Err(ScrapeError::Nothing) => Ok(page.to_owned()),
        Err(
            error @ (ScrapeError::Text(_)
            | ScrapeError::Value { .. }
            | ScrapeError::Duplicate { .. }),
        ) => Err(error.to_string()),
    }
}

/// What the `metrics` probe looks at.
fn selection(runbook: &Runbook) -> Selection {
    let fleet = &runbook.fleet;
    let selection = Selection::leaving_out(fleet.metrics.as_ref(), super::left_out(fleet));
    selection.marking(Marks::of(runbook).label())
}

/// What a signal lacks on a page.
fn lacking(figures: &Figures, signal: &str) -> Option<String> {
    made_of(signal)
        .iter()
        .find_map(|figure| figures.get(figure)?.as_ref().err().cloned())
}

/// The names from which a signal is read, where they are others than our documentation asks for.
fn unusual(figures: &Figures, signal: &str) -> Vec<String> {
    let of = |figure: &Figure| {
        let name = figures.get(figure)?.as_ref().ok()?;
        (name.strip_suffix("_bucket").unwrap_or(name) != figure.plain_name())
            .then(|| printable(name, NAME_CHARS))
    };
    made_of(signal).iter().filter_map(of).collect()
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

/// What a page tells of each figure: the name by which it is read, or what it lacks. A family that is announced and has no series yet is
/// there: nobody has used the application since it began.
fn figures_of(selection: &Selection, page: &str) -> Figures {
    let names: BTreeSet<&str> = series(page).flatten().map(|one| one.name).collect();
    let types = types(page);
    let scraped = selection.scrape(page).ok();
    let lacks = |figure: Figure| {
        let lacking = scraped
            .as_ref()?
            .counters
            .lacking()
            .find(|l| l.figure() == figure)?;
        match lacking {
            Lacking::Code { name, label } => Some(format!("the label `{label}` on {name}")),
            Lacking::Status { name, code } => {
                Some(format!("a status in the place of `{code}` on {name}"))
            }
            Lacking::Le { name } => Some(format!("the label `le` on {name}")),
        }
    };
    let of = |figure: Figure| {
        let known = selection.names(figure);
        let is_there = |name: &&&str| names.contains(**name) || is_announced(name, &types);
        match (known.iter().find(is_there), lacks(figure)) {
            (Some(_), Some(lacks)) => Err(lacks),
            (Some(name), None) => Ok((*name).to_owned()),
            (None, _) => Err(absent(figure, known.first().copied(), &types)),
        }
    };
    Figure::iter().map(|figure| (figure, of(figure))).collect()
}

/// What is not there, by the name that the runbook gives or that our own documentation asks for.
fn absent(figure: Figure, wanted: Option<&str>, types: &BTreeMap<&str, &str>) -> String {
    let wanted = wanted.unwrap_or_else(|| figure.plain_name());
    match figure {
        Figure::Latency => {
            let wanted = wanted.strip_suffix("_bucket").unwrap_or(wanted);
            let is_summary =
                |(family, kind): (&&str, &&str)| *kind == "summary" && is_of_requests(family);
            match types
                .iter()
                .find(|(family, kind)| is_summary((family, kind)))
            {
                Some((family, _)) => format!(
                    "{wanted}, a classic histogram ({} is a summary, whose quantiles cannot be added up: let its library make a histogram)",
                    printable(family, NAME_CHARS)
                ),
                None => format!("{wanted}, a classic histogram"),
            }
        }
        Figure::Requests
        | Figure::PoolActive
        | Figure::PoolIdle
        | Figure::PoolWaiting
        | Figure::PoolMax
        | Figure::PoolTimeouts => wanted.to_owned(),
    }
}

/// Whether a family tells how long requests took, by its name.
fn is_of_requests(family: &str) -> bool {
    family.contains("http") && family.contains("request") && family.contains("seconds")
}

/// The figures of which each signal is made, the one that is told of first where both lack.
fn made_of(signal: &str) -> &'static [Figure] {
    match signal {
        "http_5xx_ratio" | "http_4xx_ratio" | "requests_per_s" => &[Figure::Requests],
        "latency_p50_ms" | "latency_p95_ms" | "latency_p99_ms" => &[Figure::Latency],
        "pool_active" => &[Figure::PoolActive],
        "pool_idle" => &[Figure::PoolIdle],
        "pool_waiting" => &[Figure::PoolWaiting],
        "pool_max" => &[Figure::PoolMax],
        "pool_used_ratio" => &[Figure::PoolActive, Figure::PoolMax],
        "pool_timeouts" => &[Figure::PoolTimeouts],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::{Family, MetricsPage};

    #[test]
    fn a_page_says_what_it_lacks() {
        let lacks =
            |page: &str, signal: &str| lacking(&figures_of(&Selection::default(), page), signal);
        let is = |what: &str| Some(what.to_owned());
        let full = "http_requests_total{code=\"200\"} 1\nhttp_request_duration_seconds_bucket{le=\"+Inf\"} 1\n\
                    db_pool_active 1\ndb_pool_idle 1\ndb_pool_waiting 0\ndb_pool_max 5\ndb_pool_timeouts_total 0\n";
        assert!(
            figures_of(&Selection::default(), full)
                .values()
                .all(Result::is_ok)
        );
        let fresh =
            "# TYPE http_requests_total counter\n# TYPE http_request_duration_seconds histogram\n";
        assert_eq!(lacks(fresh, "http_5xx_ratio"), None);
        assert_eq!(lacks(fresh, "latency_p95_ms"), None);
        assert_eq!(lacks(fresh, "pool_waiting"), is("db_pool_waiting"));
        assert_eq!(lacks(fresh, "pool_used_ratio"), is("db_pool_active"));
        let half = "db_pool_active 1\nhttp_requests_total{result=\"ok\"} 1\n";
        assert_eq!(lacks(half, "pool_used_ratio"), is("db_pool_max"));
        assert_eq!(
            lacks(half, "http_5xx_ratio"),
            is("the label `code` on http_requests_total")
        );
        let odd = "http_requests_total{code=\"ok\"} 1\n";
        assert_eq!(
            lacks(odd, "http_5xx_ratio"),
            is("a status in the place of `ok` on http_requests_total")
        );
        assert_eq!(lacks("", "http_4xx_ratio"), is("http_requests_total"));
        let summary = "# TYPE http_request_duration_seconds summary\nhttp_request_duration_seconds{quantile=\"0.9\"} 1\n";
        let said = lacks(summary, "latency_p95_ms").expect("nothing to merge");
        assert!(
            said.contains("http_request_duration_seconds is a summary"),
            "{said}"
        );
    }

    #[test]
    fn every_signal_of_the_probe_is_made_of_something() {
        let kind = ProbeKind::Metrics { window_ms: 1 };
        let probe = Probe {
            id: String::new(),
            kind,
            interval_ms: 1,
            timeout_ms: 1,
        };
        for signal in probe.signals() {
            assert!(!made_of(&signal).is_empty(), "{signal}");
        }
    }

    #[test]
    fn a_page_lacks_what_the_runbook_maps_by_its_name() {
        let page = MetricsPage {
            map: vec![(
                Figure::PoolMax,
                Family::named("shop_pool_size".to_owned(), Figure::PoolMax),
            )],
            ..MetricsPage::at("{url}/metrics")
        };
        let selection = Selection::leaving_out(Some(&page), std::iter::empty());
        let figures = figures_of(&selection, "db_pool_active 1\ndb_pool_max 5\n");
        assert_eq!(figures[&Figure::PoolMax], Err("shop_pool_size".to_owned()));
        assert_eq!(
            figures[&Figure::PoolActive],
            Ok("db_pool_active".to_owned())
        );
    }
}
