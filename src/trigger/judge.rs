//! All triggers of a session, judged together. Its verdicts become events; its memory survives the engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fuse::{Burn, Fuse, Seen};
use super::shadow;
use super::standing::{Measure, Standing};
use super::wording::duration;
use super::{Cadence, Sample};
use crate::runbook::{Bound, Condition, Trigger};
use crate::session::live::TriggerView;
use crate::session::{Charter, Event, Phase, Recorded, Session, TriggerPhase, Undo};

/// Judges samples by the charter's triggers of kind `signal`. Feed it every event ([`Judge::apply`]) and every sample
/// ([`Judge::observe`]) in the order in which they came, and ask it often ([`Judge::tick`]).
#[derive(Debug, Clone)]
pub struct Judge {
    fuses: Vec<(Rule, Fuse)>,
    /// Positions in `fuses` of those that judge a signal.
    by_signal: BTreeMap<String, Vec<usize>>,
    cadence: Cadence,
}

/// What must survive the engine: the fuses by id. Plain data, small.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory(BTreeMap<String, Fuse>);

/// One trigger on one signal.
#[derive(Debug, Clone)]
struct Rule {
    /// `T3a`, or `T1a.app-3`.
    id: String,
    /// Position in the charter.
    trigger: usize,
    /// `Some` where it judges one instance.
    instance: Option<String>,
    /// The signal's full name.
    signal: String,
    bound: Bound,
    /// In runbook time.
    for_ms: i64,
}

/// What the judge has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A trigger changed its state, other than by firing.
    Moved {
        /// `T3a`, or `T1a.app-3`.
        trigger: String,
        /// To what.
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
    /// A trigger has been blind for too long. Said once each time it goes blind.
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
        let mut memory = memory.unwrap_or_default();
        let rules = charter.triggers.iter().enumerate();
        let fuses: Vec<_> = rules
            .flat_map(|(n, trigger)| Rule::of(charter, n, trigger))
            .map(|rule| {
                let fuse = memory.0.remove(&rule.id).unwrap_or_default();
                (rule, fuse)
            })
            .collect();
        let mut by_signal: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (n, (rule, _)) in fuses.iter().enumerate() {
            by_signal.entry(rule.signal.clone()).or_default().push(n);
        }
        Judge {
            fuses,
            by_signal,
            cadence,
        }
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
            _ => {}
        }
    }

    /// Judges a sample.
    pub fn observe(&mut self, sample: &Sample, session: &Session) {
        let Some(positions) = self.by_signal.get(&sample.signal) else {
            return;
        };
        for &n in positions {
            let (rule, fuse) = &mut self.fuses[n];
            let (standing, mut text) = rule.measure(session).judge(&sample.reading);
            let in_shadow = standing == Standing::Unknown && shadow::lies_on(session, sample);
            if in_shadow {
                text.push_str("; answers of maintenance do not count");
            }
            let seen = Seen {
                at_ms: sample.at_ms,
                standing,
                text,
            };
            fuse.observe(seen, rule.burn(session, &self.cadence));
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
            fuse.alarmed = blind && (fuse.alarmed || alarm);
            if alarm {
                verdicts.push(Verdict::BlindTooLong {
                    trigger: trigger.clone(),
                    reason: reason.clone(),
                });
            }
            match phase {
                TriggerPhase::Fired => verdicts.push(Verdict::Fired { trigger, reason }),
                _ if phase != known => verdicts.push(Verdict::Moved {
                    trigger,
                    phase,
                    reason,
                }),
                _ => {}
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

impl Rule {
    /// The rules of a trigger: one, or one per instance; none where it judges a step's checks.
    fn of(charter: &Charter, n: usize, trigger: &Trigger) -> Vec<Rule> {
        let Condition::Signal {
            signal,
            per_instance,
            bound,
            for_ms,
        } = &trigger.when
        else {
            return Vec::new();
        };
        let rule = |instance: Option<&str>| {
            let of = |name: &str| instance.map_or(name.to_owned(), |i| format!("{name}.{i}"));
            Rule {
                id: of(&trigger.id),
                trigger: n,
                instance: instance.map(str::to_owned),
                signal: of(signal),
                bound: *bound,
                for_ms: *for_ms,
            }
        };
        if *per_instance {
            let instances = charter.instances.iter();
            instances.map(|i| rule(Some(&i.id))).collect()
        } else {
            vec![rule(None)]
        }
    }

    fn measure(&self, session: &Session) -> Measure<'_> {
        Measure {
            signal: &self.signal,
            bound: self.bound,
            baseline: session.baseline(&self.signal),
            min_requests: session.charter.limits.min_requests,
        }
    }

    /// What governs the fuse, while the trigger is armed: from the start of its step until release, rollback, or the end of the step
    /// that disarms it.
    fn burn(&self, session: &Session, cadence: &Cadence) -> Option<Burn> {
        Some(Burn {
            armed_ms: armed_ms(session, session.charter.triggers.get(self.trigger)?)?,
            full_ms: session.charter.real_ms(self.for_ms),
            rhythm: cadence.rhythm(&self.signal),
        })
    }

    fn reason(
        &self,
        fuse: &Fuse,
        phase: TriggerPhase,
        charter: &Charter,
        now_ms: i64,
        armed_ms: i64,
    ) -> String {
        let streak_ms = charter.runbook_ms(fuse.streak_ms);
        let so_far = match self.for_ms {
            0 => String::new(),
            full_ms => format!("{} of {}", duration(streak_ms), duration(full_ms)),
        };
        let text = fuse.last.as_ref().map(|last| last.text.as_str());
        match phase {
            TriggerPhase::Clear => text.unwrap_or_default().to_owned(),
            TriggerPhase::Burning if so_far.is_empty() || streak_ms == 0 => {
                text.unwrap_or_default().to_owned()
            }
            TriggerPhase::Burning => format!("{}, for {so_far}", text.unwrap_or_default()),
            TriggerPhase::Fired => {
                let text = fuse.fired.as_deref().unwrap_or_default();
                match self.for_ms {
                    0 => text.to_owned(),
                    full_ms => format!("{text}, for {}", duration(full_ms)),
                }
            }
            TriggerPhase::Blind => {
                let blind_ms = charter.runbook_ms(fuse.blind_for_ms(now_ms, armed_ms));
                let why = match &fuse.last {
                    Some(last) if last.standing == Standing::Unknown => &last.text,
                    Some(_) => "samples have stopped coming",
                    None => "no sample yet",
                };
                let frozen = match streak_ms {
                    0 => String::new(),
                    _ => format!(", its streak stands at {so_far}"),
                };
                format!("{why} (blind for {}{frozen})", duration(blind_ms))
            }
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
