//! One trigger on one signal: which one, what governs its fuse, and how it reads. Not in here: the fuse itself (`fuse`).

use super::armed_ms;
use crate::format::span;
use crate::runbook::{Bound, Condition, Trigger};
use crate::session::{Charter, Session, TriggerPhase};
use crate::trigger::Cadence;
use crate::trigger::fuse::{Burn, Fuse};
use crate::trigger::standing::{Measure, Standing};

/// One trigger on one signal.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// `T3a`, or `T1a.app-3`.
    pub(super) id: String,
    /// Position in the charter.
    pub(super) trigger: usize,
    /// `Some` where it judges one instance.
    pub(super) instance: Option<String>,
    /// The signal's full name.
    pub(super) signal: String,
    pub(super) bound: Bound,
    /// In runbook time.
    pub(super) for_ms: i64,
    /// Since when its instance should be there; 0 for those of the opening.
    pub(super) joined_ms: i64,
    /// Its instance need not be there any more.
    pub(super) is_retired: bool,
}

impl Rule {
    /// The rules of a trigger: one, or one per instance; none where it judges a step's checks.
    pub(super) fn of(charter: &Charter, n: usize, trigger: &Trigger) -> Vec<Rule> {
        if let Some(whole) = Rule::whole(n, trigger) {
            return vec![whole];
        }
        let instances = charter.instances.iter();
        instances
            .filter_map(|i| Rule::of_instance(n, trigger, &i.id))
            .collect()
    }

    /// The rule of a trigger that judges the fleet as a whole.
    fn whole(n: usize, trigger: &Trigger) -> Option<Rule> {
        match &trigger.when {
            Condition::Signal {
                signal,
                per_instance: false,
                bound,
                for_ms,
            } => Some(Rule {
                id: trigger.id.clone(),
                trigger: n,
                instance: None,
                signal: signal.clone(),
                bound: *bound,
                for_ms: *for_ms,
                joined_ms: 0,
                is_retired: false,
            }),
            Condition::Signal {
                per_instance: true, ..
            }
            | Condition::Check { .. } => None,
        }
    }

    /// The rule of a trigger that judges each instance, for this one.
    pub(super) fn of_instance(n: usize, trigger: &Trigger, instance: &str) -> Option<Rule> {
        match &trigger.when {
            Condition::Signal {
                signal,
                per_instance: true,
                bound,
                for_ms,
            } => Some(Rule {
                id: format!("{}.{instance}", trigger.id),
                trigger: n,
                instance: Some(instance.to_owned()),
                signal: format!("{signal}.{instance}"),
                bound: *bound,
                for_ms: *for_ms,
                joined_ms: 0,
                is_retired: false,
            }),
            Condition::Signal {
                per_instance: false,
                ..
            }
            | Condition::Check { .. } => None,
        }
    }

    pub(super) fn measure(&self, session: &Session) -> Measure<'_> {
        Measure {
            signal: &self.signal,
            bound: self.bound,
            baseline: session.baseline(&self.signal),
            min_requests: session.charter.limits.min_requests,
        }
    }

    /// What governs the fuse, while the trigger is armed: from the start of its step until release, rollback, or the end of the step
    /// that disarms it; and of an instance for as long as it should be there.
    pub(super) fn burn(&self, session: &Session, cadence: &Cadence) -> Option<Burn> {
        if self.is_retired {
            return None;
        }
        let armed_ms = armed_ms(session, session.charter.triggers.get(self.trigger)?)?;
        Some(Burn {
            armed_ms: armed_ms.max(self.joined_ms),
            full_ms: session.charter.real_ms(self.for_ms),
            rhythm: cadence.rhythm(&self.signal),
        })
    }

    pub(super) fn reason(
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
            full_ms => format!("{} of {}", span(streak_ms), span(full_ms)),
        };
        let text = fuse.last.as_ref().map(|last| last.text.as_str());
        match phase {
            TriggerPhase::Clear => text.unwrap_or_default().to_owned(),
            TriggerPhase::Burning if so_far.is_empty() || streak_ms == 0 => {
                text.unwrap_or_default().to_owned()
            }
            TriggerPhase::Burning => {
                let text = text.unwrap_or_default();
                match fuse
                    .last
                    .as_ref()
                    .filter(|last| last.standing == Standing::Good)
                {
                    None => format!("{text}, for {so_far}"),
                    Some(last) => format!(
                        "{text}: so few that it takes {} without an error to clear; burning for {so_far}",
                        span(charter.runbook_ms(last.settles_ms))
                    ),
                }
            }
            TriggerPhase::Fired => {
                let text = fuse.fired.as_deref().unwrap_or_default();
                match self.for_ms {
                    0 => text.to_owned(),
                    full_ms => format!("{text}, for {}", span(full_ms)),
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
                format!("{why} (blind for {}{frozen})", span(blind_ms))
            }
        }
    }
}
