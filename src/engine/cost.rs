//! What a rollback would cost, kept up to date from `F4` on: PostgreSQL's counters against those that `F4` recorded, and the ids that it
//! has given out. Asks on a connection of its own, with a short time limit, and stops for good once a rollback has begun: a dying target
//! delays nothing.
//!
//! Not in here: how counters are read (`postgres::written`), and how the cost is shown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::postgres::Endpoint;
use crate::postgres::written::{Counters, CountersProbe, Written};
use crate::runbook::Runbook;
use crate::session::facts::Unreadable;
use crate::session::live::{CostView, WrittenTable};
use crate::session::{Event, Session};
use crate::step::context::SessionClock;
use crate::step::facts::WrittenBefore;
use crate::text::printable;

/// How often PostgreSQL is asked. Its own counters are some seconds late: a session adds what it wrote when it is idle.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The running estimate.
pub struct Cost {
    runbook: Arc<Runbook>,
    clock: SessionClock,
    view: Arc<Mutex<Option<CostView>>>,
    asking: Option<DropGuard>,
}

impl Cost {
    /// Begins at once where `F4` is behind us already.
    pub fn new(runbook: &Arc<Runbook>, clock: SessionClock, session: &Session) -> Self {
        let mut cost = Self {
            runbook: Arc::clone(runbook),
            clock,
            view: Arc::default(),
            asking: None,
        };
        if session.rollback.is_none() {
            cost.begin(session.fact());
        }
        cost
    }

    /// What an event means for it.
    pub fn apply(&mut self, event: &Event) {
        match event {
            // An F4 that is tried again finds what users have written since the first.
            Event::StepFinished { step, outcome, .. } if self.asking.is_none() => {
                self.begin(outcome.fact(step));
            }
            Event::RollbackStarted { .. } | Event::SessionCompleted { .. } => self.asking = None,
            Event::SessionOpened { .. }
            | Event::EngineStarted { .. }
            | Event::SourceSeen { .. }
            | Event::RehearsalRecorded { .. }
            | Event::StepStarted { .. }
            | Event::DiscardAgreed { .. }
            | Event::StepConfirmed { .. }
            | Event::StepFinished { .. }
            | Event::StepLost { .. }
            | Event::StepFoundOut { .. }
            | Event::StepSkipped { .. }
            | Event::UndoRecorded { .. }
            | Event::GateSigned { .. }
            | Event::SignatureWithdrawn { .. }
            | Event::SignatureVoided { .. }
            | Event::DeputyActed { .. }
            | Event::SessionHeld { .. }
            | Event::SessionResumed { .. }
            | Event::FreezeExtended { .. }
            | Event::FreezeOverran { .. }
            | Event::DriftFound { .. }
            | Event::WrittenAfterSwitch { .. }
            | Event::TriggerMoved { .. }
            | Event::TriggerFired { .. }
            | Event::RollbackRowStarted { .. }
            | Event::RollbackRowFinished { .. }
            | Event::RolledBack { .. }
            | Event::RollbackRetried { .. }
            | Event::NoteWritten { .. }
            | Event::CorrectionRecorded { .. }
            | Event::SessionClosed { .. }
            | Event::MembershipChanged { .. }
            | Event::AlarmRaised { .. } => {}
        }
    }

    /// The estimate as it stands; `None` before `F4`.
    pub fn view(&self) -> Option<CostView> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.clone()
    }

    /// With what `F4` recorded, once it has.
    fn begin(&mut self, recorded: Result<Option<WrittenBefore>, Unreadable>) {
        let earlier = match recorded {
            Ok(Some(WrittenBefore(counters))) => counters,
            Ok(None) => return,
            Err(unreadable) => {
                let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
                *view = Some(CostView {
                    at_ms: self.clock.now_ms(),
                    tables: Vec::new(),
                    unknown: Some(unreadable.to_string()),
                    given_out: BTreeMap::new(),
                });
                return;
            }
        };
        let Ok(endpoint) = Endpoint::parse(&self.runbook.target.url) else {
            return;
        };
        let probe = CountersProbe::new(endpoint, &self.runbook.target.schema, ANSWER_LIMIT);
        let cancel = CancellationToken::new();
        let asking = ask(probe, earlier, self.clock, Arc::clone(&self.view));
        tokio::spawn(cancel.clone().run_until_cancelled_owned(asking));
        self.asking = Some(cancel.drop_guard());
    }
}

async fn ask(
    mut probe: CountersProbe,
    earlier: Counters,
    clock: SessionClock,
    view: Arc<Mutex<Option<CostView>>>,
) {
    let mut last = earlier.clone();
    let mut reset = None;
    loop {
        let at_ms = clock.now_ms();
        let counted = probe.read().await;
        let given_out = match &counted {
            Ok(_) => probe.given_out().await.ok(),
            Err(_) => None,
        };
        {
            let mut view = view.lock().unwrap_or_else(PoisonError::into_inner);
            let before = view.take().unwrap_or(CostView {
                at_ms,
                tables: Vec::new(),
                unknown: None,
                given_out: BTreeMap::new(),
            });
            *view = Some(match counted {
                Ok(now) => {
                    // Once they have begun anew, they will pass those of F4 again some day and mean nothing.
                    reset = reset.or_else(|| reset_since(&last, &now));
                    let next = match &reset {
                        None => CostView {
                            given_out: given_out.unwrap_or(before.given_out),
                            ..estimate(&earlier, &now, at_ms)
                        },
                        Some(why) => CostView {
                            unknown: Some(why.clone()),
                            ..before
                        },
                    };
                    last = now;
                    next
                }
                Err(error) => CostView {
                    unknown: Some(error.to_string()),
                    ..before
                },
            });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Why two readings of the counters cannot be compared, in words: one is lower than before, or its table is gone.
fn reset_since(last: &Counters, now: &Counters) -> Option<String> {
    let is_lower = |(table, before): (&String, &Written)| {
        now.get(table)
            .is_none_or(|now| now.since(*before).is_none())
    };
    let table = last.iter().find(|one| is_lower(*one))?.0;
    Some(format!(
        "the counters of {} were reset on the server since writes were reopened",
        printable(table, 80)
    ))
}

/// The counters of now against those of `F4`.
fn estimate(earlier: &Counters, now: &Counters, at_ms: i64) -> CostView {
    let mut tables = Vec::new();
    for (table, written) in now {
        let before = earlier.get(table).copied().unwrap_or_default();
        let since = written.since(before).unwrap_or_default();
        if since != Default::default() {
            tables.push(WrittenTable {
                table: table.clone(),
                inserted: since.inserted,
                changed: since.changed,
                deleted: since.deleted,
            });
        }
    }
    tables.sort_by_key(|t| std::cmp::Reverse(t.inserted + t.changed + t.deleted));
    CostView {
        at_ms,
        tables,
        unknown: None,
        given_out: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(all: &[(&str, u64, u64, u64)]) -> Counters {
        let one = |&(table, inserted, changed, deleted): &(&str, u64, u64, u64)| {
            let written = Written {
                inserted,
                changed,
                deleted,
            };
            (table.to_owned(), written)
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn only_what_was_written_since_counts_the_most_written_first() {
        let earlier = counters(&[("a", 10, 0, 0), ("b", 5, 5, 5), ("c", 1, 1, 1)]);
        let now = counters(&[
            ("a", 11, 0, 0),
            ("b", 5, 9, 6),
            ("c", 1, 1, 1),
            ("d", 0, 0, 2),
        ]);
        let view = estimate(&earlier, &now, 7);
        let told: Vec<_> = view
            .tables
            .iter()
            .map(|t| (t.table.as_str(), t.inserted, t.changed, t.deleted))
            .collect();
        assert_eq!(told, [("b", 0, 4, 1), ("d", 0, 0, 2), ("a", 1, 0, 0)]);
        assert_eq!((view.at_ms, view.unknown), (7, None));
    }

    #[test]
    fn counters_that_were_reset_are_no_estimate() {
        let seen = counters(&[("a", 10, 0, 0)]);
        let lower = reset_since(&seen, &counters(&[("a", 3, 0, 0)]));
        assert!(lower.expect("a reason").contains("counters of a"));
        assert!(
            reset_since(&seen, &counters(&[])).is_some(),
            "the table is gone"
        );
        assert_eq!(
            reset_since(&seen, &counters(&[("a", 10, 1, 0), ("b", 1, 0, 0)])),
            None
        );
    }
}
