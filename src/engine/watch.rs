//! Watching: the judge and the checklist make of samples what the rules need, and the live board shows it. Not in here: how a probe asks
//! (`monitor`, `probes`), what a sample means (`trigger`).

use super::outside::Beside;
use crate::runbook::Runbook;
use crate::session::live::TriggerView;
use crate::session::{Event, Recorded, Session};
use crate::trigger::{Cadence, Checklist, Judge, Memory, Sample};

/// How often the board is brought up to date.
const SHOW_EVERY_MS: i64 = 200;
/// How often the judge's memory is put where the next engine finds it.
const KEEP_EVERY_MS: i64 = 1_000;

/// What watches a session.
pub struct Watch {
    judge: Judge,
    checklist: Checklist,
    shown_ms: i64,
    kept_ms: i64,
}

/// Under this name the judge's memory lies on the board, for the next engine.
pub const MEMORY: &str = "judge";

impl Watch {
    /// Has seen nothing yet. `memory` is what an earlier engine's judge knew.
    pub fn new(runbook: &Runbook, session: &Session, memory: Option<Memory>) -> Watch {
        let charter = &session.charter;
        let cadence = Cadence::of(runbook, charter.speed);
        Watch {
            checklist: Checklist::new(charter, &cadence),
            judge: Judge::new(charter, cadence, memory).among(&session.roster),
            shown_ms: 0,
            kept_ms: 0,
        }
    }

    /// What an event means for judging.
    pub fn apply(&mut self, recorded: &Recorded) {
        self.judge.apply(recorded);
    }

    /// Takes in a sample.
    pub fn observe(&mut self, sample: &Sample, session: &Session) {
        self.judge.observe(sample, session);
        self.checklist.observe(sample, session);
    }

    /// Every trigger as it stands.
    pub fn triggers(&self, session: &Session, now_ms: i64) -> Vec<TriggerView> {
        self.judge.views(session, now_ms)
    }

    /// What the judge has to say now; `note` takes what the board is to show.
    pub fn judge(
        &mut self,
        session: &Session,
        now_ms: i64,
        mut note: impl FnMut(Beside<'_>),
    ) -> Vec<Event> {
        let verdicts = self.judge.tick(session, now_ms);
        if now_ms - self.shown_ms >= SHOW_EVERY_MS {
            self.shown_ms = now_ms;
            note(Beside::Triggers(&self.judge.views(session, now_ms)));
            note(Beside::Checklist(&self.checklist.views(session, now_ms)));
        }
        if now_ms - self.kept_ms >= KEEP_EVERY_MS {
            self.kept_ms = now_ms;
            note(Beside::Memory(&self.judge.memory()));
        }
        verdicts.into_iter().map(Event::from).collect()
    }
}
