//! The monitoring checklist: each item green, red or blind, and for how long it has been *seen* to be green without a break.
//!
//! It has no memory beyond its engine: the time for which no engine ran is blind, and blind is not green.

use super::cadence::Rhythm;
use super::fuse::Seen;
use super::standing::{Measure, Standing};
use super::{Cadence, Sample};
use crate::runbook::Bound;
use crate::session::live::ItemView;
use crate::session::{Charter, Session};

/// Judges samples by the charter's checklist (M rows).
#[derive(Debug, Clone)]
pub struct Checklist {
    items: Vec<(String, Vec<Watched>)>,
}

/// One condition of an item.
#[derive(Debug, Clone)]
struct Watched {
    signal: String,
    bound: Bound,
    rhythm: Rhythm,
    /// Since when every sample was good and none was missing.
    good_since_ms: Option<i64>,
    last: Option<Seen>,
}

impl Checklist {
    /// A checklist that has seen nothing: all of it is blind.
    pub fn new(charter: &Charter, cadence: &Cadence) -> Checklist {
        let watched = |(signal, bound): &(String, Bound)| Watched {
            signal: signal.clone(),
            bound: *bound,
            rhythm: cadence.rhythm(signal),
            good_since_ms: None,
            last: None,
        };
        let items = charter.monitoring.iter().map(|item| {
            let conditions = item.conditions.iter().map(watched).collect();
            (item.id.clone(), conditions)
        });
        Checklist {
            items: items.collect(),
        }
    }

    pub fn observe(&mut self, sample: &Sample, session: &Session) {
        let conditions = self.items.iter_mut().flat_map(|(_, conditions)| conditions);
        for watched in conditions.filter(|w| w.signal == sample.signal) {
            let measure = Measure {
                signal: &sample.signal,
                bound: watched.bound,
                baseline: session.baseline(&sample.signal),
                min_requests: session.charter.limits.min_requests,
            };
            let (standing, text) = measure.judge(&sample.reading);
            watched.observe(Seen {
                at_ms: sample.at_ms,
                standing,
                text,
                settles_ms: 0,
            });
        }
    }

    /// Every item, in the charter's order.
    pub fn views(&self, session: &Session, now_ms: i64) -> Vec<ItemView> {
        let items = self.items.iter();
        items
            .map(|(id, conditions)| view(id, conditions, &session.charter, now_ms))
            .collect()
    }
}

impl Watched {
    fn observe(&mut self, seen: Seen) {
        let newest_ms = self.last.as_ref().map(|last| last.at_ms);
        if let Some(newest_ms) = newest_ms.filter(|newest| self.rhythm.is_late(seen.at_ms, *newest))
        {
            self.came_late(&seen, newest_ms);
            return;
        }
        let unbroken = self.last.as_ref().is_some_and(|last| {
            let gap_ms = seen.at_ms - last.at_ms;
            (0..=self.rhythm.fresh_ms()).contains(&gap_ms)
        });
        self.good_since_ms = match seen.standing {
            Standing::Good => Some(
                self.good_since_ms
                    .filter(|_| unbroken)
                    .unwrap_or(seen.at_ms),
            ),
            Standing::Bad | Standing::Unknown => None,
        };
        self.last = Some(seen);
    }

    /// A sample that was taken before the newest and came after it says nothing of now, but green time before it was not unbroken where it is
    /// not good.
    fn came_late(&mut self, seen: &Seen, newest_ms: i64) {
        if seen.standing != Standing::Good {
            self.good_since_ms = self
                .good_since_ms
                .map(|since_ms| match since_ms <= seen.at_ms {
                    true => newest_ms,
                    false => since_ms,
                });
        }
    }

    fn standing(&self, now_ms: i64) -> Standing {
        match &self.last {
            Some(last) if (now_ms - last.at_ms).abs() <= self.rhythm.stale_ms() => last.standing,
            _ => Standing::Unknown,
        }
    }

    fn text(&self, now_ms: i64) -> String {
        match &self.last {
            Some(last) if self.standing(now_ms) == last.standing => last.text.clone(),
            Some(_) => format!("{}: samples have stopped coming", self.signal),
            None => format!("{}: no sample yet", self.signal),
        }
    }
}

fn view(id: &str, conditions: &[Watched], charter: &Charter, now_ms: i64) -> ItemView {
    let having = |standing| {
        let which = conditions.iter();
        let which = which.filter(move |w| w.standing(now_ms) == standing);
        which.map(|w| w.text(now_ms)).collect::<Vec<_>>()
    };
    let (bad, unknown) = (having(Standing::Bad), having(Standing::Unknown));
    let (green, reasons) = if !bad.is_empty() {
        (Some(false), bad)
    } else if !unknown.is_empty() || conditions.is_empty() {
        (None, unknown)
    } else {
        (Some(true), having(Standing::Good))
    };
    ItemView {
        id: id.to_owned(),
        green,
        green_for_ms: match green {
            Some(true) => charter.runbook_ms(green_for_ms(conditions)),
            _ => 0,
        },
        reason: reasons.join("; "),
    }
}

/// From when the last condition became good until the oldest of the newest samples: what was seen, not what is hoped for.
fn green_for_ms(conditions: &[Watched]) -> i64 {
    let since = conditions.iter().filter_map(|w| w.good_since_ms).max();
    let seen = conditions.iter().filter_map(|w| w.last.as_ref());
    let until = seen.map(|last| last.at_ms).min();
    match (since, until) {
        (Some(since_ms), Some(until_ms)) => (until_ms - since_ms).max(0),
        _ => 0,
    }
}
