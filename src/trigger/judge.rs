//! All triggers of a session, judged together. Its verdicts become events; its memory survives the engine.

mod rule;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fuse::{Fuse, Seen};
use super::shadow;
use super::standing::Standing;
use super::{Cadence, Sample};
use crate::runbook::{Condition, Trigger};
use crate::session::live::TriggerView;
use crate::session::membership::{Change, Roster};
use crate::session::{Charter, Event, Phase, Recorded, Session, TriggerPhase, Undo};
use rule::Rule;

/// Judges samples by the charter's triggers of kind `signal`. Feed it every event ([`Judge::apply`]) and every sample
/// ([`Judge::observe`]) in the order in which they came, and ask it often ([`Judge::tick`]).
#[derive(Debug, Clone)]
pub struct Judge {
    fuses: Vec<(Rule, Fuse)>,
    /// Positions in `fuses` of those that judge a signal.
    by_signal: BTreeMap<String, Vec<usize>>,
    cadence: Cadence,
    triggers: Vec<Trigger>,
    /// Of slots that have not joined yet.
    earlier: Memory,
}

/// What must survive the engine: the fuses by id. Plain data, small.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory(BTreeMap<String, Fuse>);

/// What the judge has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A trigger changed its state, other than by firing.
    Moved {
        /// `T3a`, or `T1a.app-3`.
        trigger: String,
        phase: TriggerPhase,
        /// In words and numbers.
        reason: String,
    },
    /// A trigger fired. Final; said once.
    Fired {
        /// `T3a`, or `T1a.app-3`.
        trigger: String,
        /// In words and numbers.
        reason: String,
    },
    /// A trigger has been blind for too long. Said once, until it is known again how its signal stands.
    BlindTooLong {
        /// `T3a`, or `T1a.app-3`.
        trigger: String,
        /// In words and numbers.
        reason: String,
    },
}

impl From<Verdict> for Event {
    fn from(verdict: Verdict) -> Event {
        match verdict {
            Verdict::Moved {
                trigger,
                phase,
                reason,
            } => Event::TriggerMoved {
                trigger,
                state: phase,
                reason,
            },
            Verdict::Fired { trigger, reason } => Event::TriggerFired { trigger, reason },
            Verdict::BlindTooLong { trigger, reason } => Event::AlarmRaised {
                text: format!("{trigger} is blind: {reason}"),
                blind: Some(trigger),
            },
        }
    }
}

impl Judge {
    /// A judge that knows nothing yet, or goes on from what an earlier one knew.
    pub fn new(charter: &Charter, cadence: Cadence, memory: Option<Memory>) -> Judge {
        let mut judge = Judge {
            fuses: Vec::new(),
            by_signal: BTreeMap::new(),
            cadence,
            triggers: charter.triggers.clone(),
            earlier: memory.unwrap_or_default(),
        };
        for (n, trigger) in charter.triggers.iter().enumerate() {
            let rules = Rule::of(charter, n, trigger);
            rules.into_iter().for_each(|rule| judge.add(rule));
        }
        judge
    }

    /// A judge that takes up a session whose fleet is larger than at the opening.
    #[must_use]
    pub fn among(mut self, roster: &Roster) -> Judge {
        for slot in &roster.slots {
            if let Some(joined_ms) = slot.joined_ms {
                self.join(&slot.id, joined_ms);
            }
            if slot.is_retired {
                self.retire(&slot.id);
            }
        }
        self
    }

    fn add(&mut self, rule: Rule) {
        let fuse = self.earlier.0.remove(&rule.id).unwrap_or_default();
        let positions = self.by_signal.entry(rule.signal.clone()).or_default();
        positions.push(self.fuses.len());
        self.fuses.push((rule, fuse));
    }

    /// One more instance should be there: it is judged as those of the opening are.
    fn join(&mut self, slot: &str, joined_ms: i64) {
        let is_known = |rule: &Rule| rule.instance.as_deref() == Some(slot);
        if self.fuses.iter().any(|(rule, _)| is_known(rule)) {
            return;
        }
        let triggers = self.triggers.iter().enumerate();
        let rules = triggers.filter_map(|(n, trigger)| Rule::of_instance(n, trigger, slot));
        let rules: Vec<Rule> = rules.map(|rule| Rule { joined_ms, ..rule }).collect();
        rules.into_iter().for_each(|rule| self.add(rule));
    }

    /// It need not be there any more: nothing is expected of it.
    fn retire(&mut self, slot: &str) {
        let rules = self.fuses.iter_mut().map(|(rule, _)| rule);
        rules
            .filter(|rule| rule.instance.as_deref() == Some(slot))
            .for_each(|rule| rule.is_retired = true);
    }

    /// What the next engine needs to go on.
    pub fn memory(&self) -> Memory {
        let fuses = self.fuses.iter();
        Memory(fuses.map(|(r, f)| (r.id.clone(), f.clone())).collect())
    }

    /// Takes note of what an event means here: an instance restarted on purpose counts from there; the time before an engine
    /// started is blind.
    pub fn apply(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::UndoRecorded {
                undo: Undo::Restart { instance },
                ..
            } => {
                let of = |rule: &Rule| rule.instance.as_ref() == Some(instance);
                let fuses = self.fuses.iter_mut().filter(|(rule, _)| of(rule));
                fuses.for_each(|(_, fuse)| fuse.restart(recorded.at_ms));
            }
            Event::EngineStarted { .. } => {
                self.fuses.iter_mut().for_each(|(_, f)| f.interrupt());
            }
            Event::MembershipChanged { changes } => {
                for change in changes {
                    match change {
                        Change::Joined { slot } => self.join(slot, recorded.at_ms),
                        Change::Retired { slot } => self.retire(slot),
                        Change::Filled { .. }
                        | Change::Missing { .. }
                        | Change::Appeared { .. }
                        | Change::Left { .. } => {}
                    }
                }
            }
            Event::SessionOpened { .. }
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
            | Event::RollbackStarted { .. }
            | Event::RollbackRowStarted { .. }
            | Event::RollbackRowFinished { .. }
            | Event::RolledBack { .. }
            | Event::RollbackRetried { .. }
            | Event::SessionCompleted { .. }
            | Event::NoteWritten { .. }
            | Event::CorrectionRecorded { .. }
            | Event::SessionClosed { .. }
            | Event::AlarmRaised { .. } => {}
        }
    }

    pub fn observe(&mut self, sample: &Sample, session: &Session) {
        let Some(positions) = self.by_signal.get(&sample.signal) else {
            return;
        };
        for &n in positions {
            let (rule, fuse) = &mut self.fuses[n];
            let measure = rule.measure(session);
            let (standing, mut text) = measure.judge(&sample.reading);
            let rhythm = self.cadence.rhythm(&rule.signal);
            let full_ms = session.charter.real_ms(rule.for_ms);
            let in_shadow = standing == Standing::Unknown && shadow::lies_on(session, sample);
            if in_shadow {
                text.push_str("; answers of maintenance do not count");
            }
            let seen = Seen {
                at_ms: sample.at_ms,
                standing,
                text,
                settles_ms: measure.settles_ms(&sample.reading, rhythm.window_ms, full_ms),
            };
            fuse.observe(seen, rhythm, rule.burn(session, &self.cadence));
            if in_shadow {
                fuse.excuse(sample.at_ms);
            }
        }
    }

    /// What the session does not know yet; said again until it does, so that nothing is lost with an engine. A trigger that fired
    /// between two calls is told even if good samples came after.
    pub fn tick(&mut self, session: &Session, now_ms: i64) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for (rule, fuse) in &mut self.fuses {
            let known = session.triggers.get(&rule.id);
            let known = known.map_or(TriggerPhase::Clear, |t| t.phase);
            if known == TriggerPhase::Fired {
                continue;
            }
            let trigger = rule.id.clone();
            let Some(burn) = rule.burn(session, &self.cadence) else {
                if known != TriggerPhase::Clear && session.phase == Phase::Open {
                    verdicts.push(Verdict::Moved {
                        trigger,
                        phase: TriggerPhase::Clear,
                        reason: "no longer armed".to_owned(),
                    });
                }
                continue;
            };
            let phase = fuse.phase(now_ms, burn.rhythm);
            let reason = rule.reason(fuse, phase, &session.charter, now_ms, burn.armed_ms);
            let blind_ms = fuse.blind_for_ms(now_ms, burn.armed_ms);
            let limit_ms = session.charter.real_ms(session.charter.limits.blind_ms);
            let blind = phase == TriggerPhase::Blind;
            let alarm = blind && blind_ms > limit_ms && !fuse.alarmed;
            // Told until it is known again how the signal stands, which a bad sample among such that say nothing does not tell.
            fuse.alarmed = blind_ms > limit_ms && (fuse.alarmed || alarm);
            if alarm {
                verdicts.push(Verdict::BlindTooLong {
                    trigger: trigger.clone(),
                    reason: reason.clone(),
                });
            }
            match phase {
                TriggerPhase::Fired => verdicts.push(Verdict::Fired { trigger, reason }),
                TriggerPhase::Clear | TriggerPhase::Burning | TriggerPhase::Blind
                    if phase != known =>
                {
                    verdicts.push(Verdict::Moved {
                        trigger,
                        phase,
                        reason,
                    })
                }
                TriggerPhase::Clear | TriggerPhase::Burning | TriggerPhase::Blind => {}
            }
        }
        verdicts
    }

    /// The streaks of the triggers that judge a signal, by their ids, in real milliseconds.
    pub fn streaks(&self, signal: &str) -> impl Iterator<Item = (&str, i64)> {
        let positions = self.by_signal.get(signal).into_iter().flatten();
        positions.map(|n| {
            let (rule, fuse) = &self.fuses[*n];
            (rule.id.as_str(), fuse.streak_ms)
        })
    }

    /// Every trigger as a fuse, in the charter's order; those of kind `check` as the session knows them.
    pub fn views(&self, session: &Session, now_ms: i64) -> Vec<TriggerView> {
        let mut views = Vec::new();
        for (n, trigger) in session.charter.triggers.iter().enumerate() {
            match &trigger.when {
                Condition::Check { check } => views.push(check_view(session, trigger, check)),
                Condition::Signal { .. } => {
                    let fuses = self.fuses.iter().filter(|(rule, _)| rule.trigger == n);
                    views.extend(fuses.map(|(r, f)| self.view(r, f, session, now_ms)));
                }
            }
        }
        views
    }

    fn view(&self, rule: &Rule, fuse: &Fuse, session: &Session, now_ms: i64) -> TriggerView {
        let charter = &session.charter;
        let burn = rule.burn(session, &self.cadence);
        let fired = session.triggers.get(&rule.id);
        let fired = fired.filter(|t| t.phase == TriggerPhase::Fired);
        let phase = match fired {
            Some(_) => TriggerPhase::Fired,
            None => fuse.phase(now_ms, self.cadence.rhythm(&rule.signal)),
        };
        let armed_ms = burn.map_or(now_ms, |b| b.armed_ms);
        TriggerView {
            id: rule.id.clone(),
            armed: burn.is_some(),
            phase,
            streak_ms: charter.runbook_ms(fuse.streak_ms).min(rule.for_ms),
            full_ms: rule.for_ms,
            reason: match fired {
                Some(state) => state.reason.clone(),
                None => rule.reason(fuse, phase, charter, now_ms, armed_ms),
            },
        }
    }
}

/// Since when a trigger is armed; `None` while it is not.
pub fn armed_ms(session: &Session, trigger: &Trigger) -> Option<i64> {
    session.armed_ms(trigger)
}

fn check_view(session: &Session, trigger: &Trigger, check: &str) -> TriggerView {
    let state = session.triggers.get(&trigger.id);
    TriggerView {
        id: trigger.id.clone(),
        armed: armed_ms(session, trigger).is_some(),
        phase: state.map_or(TriggerPhase::Clear, |s| s.phase),
        streak_ms: 0,
        full_ms: 0,
        reason: state.map_or_else(
            || format!("check {} has not failed", check.replace('_', " ")),
            |s| s.reason.clone(),
        ),
    }
}
