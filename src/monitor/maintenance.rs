//! Where maintenance stands, for the probes that count errors: while it is on, its own refusals are no errors of the application, and
//! what was counted until its end says nothing about the time after it.
//!
//! Whose an answer is: before the switch begins (F1), what has maintenance's status is maintenance's, by the time alone. From then on, where
//! the runbook says what marks maintenance's answers (`fleet.maintenance`: a header, a body, a label), it is what bears the mark, and all
//! other errors are the application's; where it says nothing, the status has to do until maintenance is lifted.
//!
//! Not in here: which signals that concerns ([`shadow`]).
//!
//! [`shadow`]: crate::trigger::shadow

use std::sync::{Arc, Mutex};

use regex::Regex;

use super::metrics::scrape::Judged;
use crate::fleet::Answer;
use crate::runbook::{MaintenanceAnswer, Runbook};
use crate::trigger::Reading;

/// Where maintenance stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stage {
    /// It was never on.
    #[default]
    Usual,
    /// The step that turns it on has begun, the switch has not.
    On,
    /// It is on, and the switch has begun.
    Switched,
    /// It was lifted at this session time.
    Over { at_ms: i64 },
}

impl Stage {
    /// By when the freeze began and ended, and whether the switch has begun.
    pub fn of(freeze: Option<(i64, Option<i64>)>, has_switched: bool) -> Stage {
        match freeze {
            None => Stage::Usual,
            Some((_, None)) if has_switched => Stage::Switched,
            Some((_, None)) => Stage::On,
            Some((_, Some(at_ms))) => Stage::Over { at_ms },
        }
    }

    /// Whether what reaches back so far from this time still touches the maintenance.
    pub fn reaches(self, at_ms: i64, back_ms: i64) -> bool {
        match self {
            Stage::Usual => false,
            Stage::On | Stage::Switched => true,
            Stage::Over { at_ms: end_ms } => at_ms - back_ms < end_ms,
        }
    }
}

/// By what a runbook's maintenance is known.
#[derive(Debug, Clone)]
pub struct Marks {
    status: u16,
    header: Option<(String, Option<String>)>,
    /// What does not compile matches nothing; it was compiled when the runbook was read.
    body: Option<Regex>,
    label: Option<(String, String)>,
}

impl Marks {
    /// Those of a runbook.
    pub fn of(runbook: &Runbook) -> Marks {
        let MaintenanceAnswer {
            status: _,
            header,
            body,
            label,
        } = runbook.fleet.maintenance_answer.clone();
        Marks {
            status: runbook.maintenance_status(),
            header,
            body: body.and_then(|pattern| Regex::new(&pattern).ok()),
            label,
        }
    }

    /// The label of the series that count maintenance's answers, and nothing else.
    pub fn label(&self) -> Option<&(String, String)> {
        self.label.as_ref()
    }

    /// Whether a query leaves maintenance's answers out by itself: it names their status or their label.
    pub(super) fn is_named_in(&self, query: &str) -> bool {
        let label = self.label.as_ref();
        query.contains(&self.status.to_string())
            || label.is_some_and(|(label, _)| query.contains(label.as_str()))
    }

    /// Which answers between two looks at a page count, by where maintenance stood when the former began, when this one began, and when its
    /// page came: maintenance may begin while it is on its way. Series that bear the label never do.
    pub fn judged(&self, before: Stage, asked: Stage, came: Stage) -> Judged {
        match self.between(before, asked) {
            by_status @ Judged::Without(_) => by_status,
            Judged::All => self.between(asked, came),
        }
    }

    fn between(&self, before: Stage, now: Stage) -> Judged {
        let by_status = Judged::Without(self.status);
        match (before, now, &self.label) {
            (before, now, _) if before == now => match (now, &self.label) {
                (Stage::Usual | Stage::Over { .. }, _) | (Stage::Switched, Some(_)) => Judged::All,
                (Stage::On, _) | (Stage::Switched, None) => by_status,
            },
            // The mark is enough from the switch on.
            (Stage::Switched, Stage::Over { .. }, Some(_)) => Judged::All,
            // Maintenance was on for a part of the time at least.
            (_, Stage::Usual | Stage::On | Stage::Switched | Stage::Over { .. }, _) => by_status,
        }
    }

    /// Whether this answer, which came while maintenance stood there, is maintenance's.
    pub fn gave(&self, stage: Stage, answer: &Answer) -> bool {
        let has_status = answer.status == self.status;
        match stage {
            // One that is still given after maintenance was lifted is a failure like any other.
            Stage::Usual | Stage::Over { .. } => false,
            Stage::On => has_status,
            Stage::Switched => has_status && self.marks(answer),
        }
    }

    /// Whether an answer bears every mark that an answer can bear.
    fn marks(&self, answer: &Answer) -> bool {
        let header = self.header.as_ref().is_none_or(|(name, wanted)| {
            let mut values = answer.headers.get_all(name).iter();
            let is_one = |value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
            values.any(|value| value.to_str().is_ok_and(is_one))
        });
        let body = String::from_utf8_lossy(&answer.body);
        header && self.body.as_ref().is_none_or(|regex| regex.is_match(&body))
    }
}

/// The stage as the probes share it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Maintenance(Arc<Mutex<Stage>>);

impl Maintenance {
    pub(super) fn stands(&self, stage: Stage) {
        *self.0.lock().expect("BUG: no holder panics") = stage;
    }

    pub(super) fn stage(&self) -> Stage {
        *self.0.lock().expect("BUG: no holder panics")
    }
}

/// A share of 5xx of which nothing can be said yet: it is over no request, so that the rules find too few. Not *no data*: the probe
/// did ask, and its silence is no fault that somebody has to look after.
pub(super) fn nothing_yet() -> Reading {
    Reading::over(0.0, Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER: Stage = Stage::Over { at_ms: 0 };

    fn marks(header: Option<&str>, label: bool) -> Marks {
        Marks {
            status: 503,
            header: header.map(|name| (name.to_owned(), None)),
            body: None,
            label: label.then(|| ("maintenance".to_owned(), "on".to_owned())),
        }
    }

    /// A night in its stages: what is counted between two looks, with and without a label that tells.
    #[test]
    fn before_the_switch_the_time_tells_and_from_then_on_the_mark() {
        let (bare, marked) = (marks(None, false), marks(None, true));
        let without = Judged::Without(503);
        for (before, now, by_status, by_label) in [
            (Stage::Usual, Stage::Usual, Judged::All, Judged::All),
            (Stage::Usual, Stage::On, without, without),
            (Stage::On, Stage::On, without, without),
            (Stage::On, Stage::Switched, without, without),
            (Stage::Switched, Stage::Switched, without, Judged::All),
            (Stage::Switched, OVER, without, Judged::All),
            (Stage::On, OVER, without, without),
            (OVER, OVER, Judged::All, Judged::All),
        ] {
            let of = |marks: &Marks| marks.judged(before, now, now);
            let judged = (of(&bare), of(&marked));
            assert_eq!(judged, (by_status, by_label), "{before:?} {now:?}");
        }
    }

    #[test]
    fn maintenance_that_begins_while_a_page_is_on_its_way_tells_too() {
        let (bare, marked) = (marks(None, false), marks(None, true));
        let without = Judged::Without(503);
        for (asked, came, by_status, by_label) in [
            (Stage::Usual, Stage::Usual, Judged::All, Judged::All),
            (Stage::Usual, Stage::On, without, without),
            (Stage::Switched, OVER, without, Judged::All),
            (OVER, OVER, Judged::All, Judged::All),
        ] {
            let of = |marks: &Marks| marks.judged(asked, asked, came);
            let judged = (of(&bare), of(&marked));
            assert_eq!(judged, (by_status, by_label), "{asked:?} {came:?}");
        }
    }

    #[test]
    fn an_answer_is_maintenances_by_time_until_the_switch_and_by_its_mark_then() {
        let answer = |status, header: bool| Answer {
            status,
            headers: header
                .then(|| {
                    (
                        reqwest::header::HeaderName::from_static("x-maintenance"),
                        reqwest::header::HeaderValue::from_static("on"),
                    )
                })
                .into_iter()
                .collect(),
            body: b"back soon".to_vec(),
            location: None,
            ms: 1.0,
        };
        let (bare, marked) = (marks(None, false), marks(Some("X-Maintenance"), false));
        for (stage, header, by_status, by_header) in [
            (Stage::Usual, true, false, false),
            (Stage::On, false, true, true),
            (Stage::Switched, true, true, true),
            (Stage::Switched, false, true, false),
            (OVER, true, false, false),
        ] {
            let one = answer(503, header);
            let gave = (bare.gave(stage, &one), marked.gave(stage, &one));
            assert_eq!(gave, (by_status, by_header), "{stage:?} {header}");
            assert!(!marked.gave(stage, &answer(500, true)), "{stage:?}");
        }
        let by_body = Marks {
            body: Regex::new("back soon").ok(),
            ..marks(None, false)
        };
        assert!(by_body.gave(Stage::Switched, &answer(503, false)));
    }

    #[test]
    fn a_freeze_is_on_before_the_switch_and_from_it_on() {
        assert_eq!(Stage::of(None, false), Stage::Usual);
        assert_eq!(Stage::of(Some((1, None)), false), Stage::On);
        assert_eq!(Stage::of(Some((1, None)), true), Stage::Switched);
        assert_eq!(
            Stage::of(Some((1, Some(2))), true),
            Stage::Over { at_ms: 2 }
        );
    }
}
