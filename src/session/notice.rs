//! What people who are not looking have to be told, each thing once, with what to do. Pure: who tells them is not in here.
//!
//! A [`Notices`] knows what was said. One that begins in the middle of a session takes what is so then as said, so that an engine that
//! comes back does not say everything again.

use std::collections::BTreeSet;

use super::advice::{Urgency, next_action};
use super::event::{Event, Recorded, TriggerPhase};
use super::live::TriggerView;
use super::roles::Act;
use super::state::{Phase, Session};
use crate::format::span;
use crate::runbook::{Occasion, Role};
use crate::text::printable;

/// Characters of a text that somebody else wrote.
const TEXT_CHARS: usize = 400;

/// Of the freeze's limit, in hundredths, beyond which it is near.
const NEAR: i64 = 80;

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What kind of thing.
    pub occasion: Occasion,
    /// What is so, made harmless.
    pub text: String,
    /// What to do about it, made harmless.
    pub act: String,
    /// Of whom something is wanted; empty where it concerns everybody.
    pub roles: Vec<Role>,
}

/// That nobody runs the session any more. Told by whoever finds it out, for an engine cannot.
pub fn engine_gone(session: &str, pid: u32) -> Notice {
    engine_lost(
        format!(
            "The engine (process {pid}) has died: nothing is watched, no step goes on, no trigger fires. The application runs as it was."
        ),
        format!(
            "On the bridge host `cutover run` or, in `cutover join {session}`, E starts another, which takes up where it ended; \
             `cutover rollback {session}` starts one that rolls back."
        ),
    )
}

/// That an engine has ended, and that nobody can read in what state it left the session.
pub fn folder_lost(session: &str, why: &str) -> Notice {
    engine_lost(
        format!(
            "The engine has ended and the session's folder cannot be read ({why}): nothing is watched, no step goes on, no trigger fires. The \
             application runs as it was."
        ),
        format!(
            "Bring the folder back (a disk, a mount), then `cutover rollback {session}` or `cutover run`. Without it, `cutover report --sheet` \
             of an earlier moment says how to roll back by hand."
        ),
    )
}

/// That an engine holds the session and does nothing.
pub fn engine_silent(session: &str, pid: u32) -> Notice {
    engine_lost(
        format!(
            "The engine (process {pid}) gives no sign of life: it hangs or is stopped, nothing is watched and no trigger fires."
        ),
        format!(
            "On the bridge host `kill -CONT {pid}` if it was stopped; else `kill -KILL {pid}`, then E in `cutover join {session}`."
        ),
    )
}

fn engine_lost(text: String, act: String) -> Notice {
    Notice {
        occasion: Occasion::Engine,
        text,
        act,
        roles: Vec::new(),
    }
}

/// What was said already.
#[derive(Debug, Clone, Default)]
pub struct Notices {
    said: BTreeSet<String>,
    /// Triggers that were said to burn and have not been clear since, without their instances.
    burning: BTreeSet<String>,
}

impl Notices {
    /// Takes what is so now as said, unless no engine has run yet: then nobody has said anything.
    pub fn begin(session: &Session, at_ms: i64) -> Notices {
        let mut notices = Notices::default();
        if session.engine.is_some() {
            notices.observe(session, &[], at_ms);
        }
        notices
    }

    /// What an event asks to be told. `session` is the state after it.
    pub fn take_event(&mut self, session: &Session, recorded: &Recorded) -> Vec<Notice> {
        let name = &session.charter.session;
        let notice = |occasion, text: &str, act: String| {
            vec![Notice {
                occasion,
                text: printable(text, TEXT_CHARS),
                act: printable(&act, TEXT_CHARS),
                roles: Vec::new(),
            }]
        };
        match &recorded.event {
            // The first one starts the rollback; those that follow change nothing.
            Event::TriggerFired { trigger, reason } if self.is_first(session, trigger) => notice(
                Occasion::Fired,
                &format!("{trigger} fired: {reason}."),
                format!(
                    "The rollback starts by itself in {}; `cutover rollback {name}` starts it now.",
                    span(session.charter.limits.countdown_ms)
                ),
            ),
            Event::AlarmRaised {
                text,
                blind: Some(_),
            } => notice(
                Occasion::Blind,
                &format!("{text}."),
                "Look by hand, and at the probe: nobody else is watching this.".to_owned(),
            ),
            Event::EngineStarted { pid, .. } if recorded.seq > 2 => notice(
                Occasion::Engine,
                &format!("The engine was gone and is back (process {pid})."),
                next_action(session, recorded.at_ms).sentence,
            ),
            Event::FreezeOverran { limit_ms } => notice(
                Occasion::Freeze,
                &format!(
                    "The freeze has lasted longer than the agreed {}.",
                    span(*limit_ms)
                ),
                format!(
                    "`cutover extend 15 {name}` gives it 15 minutes more, `cutover rollback {name}` ends it."
                ),
            ),
            Event::RolledBack { .. } => notice(
                Occasion::RolledBack,
                &next_action(session, recorded.at_ms).sentence,
                format!("`cutover report {name}` has the evidence."),
            ),
            Event::SessionCompleted { by } => notice(
                Occasion::AllClear,
                &format!("The release is complete; {by} completed it."),
                format!("`cutover close {name}` looks at what is left."),
            ),
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
            | Event::DriftFound { .. }
            | Event::WrittenAfterSwitch { .. }
            | Event::TriggerMoved { .. }
            | Event::TriggerFired { .. }
            | Event::RollbackStarted { .. }
            | Event::RollbackRowStarted { .. }
            | Event::RollbackRowFinished { .. }
            | Event::RollbackRetried { .. }
            | Event::NoteWritten { .. }
            | Event::CorrectionRecorded { .. }
            | Event::SessionClosed { .. }
            | Event::MembershipChanged { .. }
            | Event::AlarmRaised { .. } => Vec::new(),
        }
    }

    /// What the state asks to be told. To be asked often.
    pub fn observe(
        &mut self,
        session: &Session,
        triggers: &[TriggerView],
        at_ms: i64,
    ) -> Vec<Notice> {
        if session.phase != Phase::Open {
            return Vec::new();
        }
        let mut notices = self.signatures(session);
        notices.extend(self.decision(session, at_ms));
        notices.extend(self.freeze(session, at_ms));
        notices.extend(self.burning(session, triggers));
        notices
    }

    /// Whether this trigger is the one for which the rollback starts.
    fn is_first(&mut self, session: &Session, trigger: &str) -> bool {
        let first = session.fired.as_ref();
        first.is_some_and(|f| f.trigger == trigger) && self.said.insert("fired".to_owned())
    }

    fn once(
        &mut self,
        key: String,
        occasion: Occasion,
        text: String,
        act: String,
    ) -> Option<Notice> {
        self.said.insert(key).then(|| Notice {
            occasion,
            text: printable(&text, TEXT_CHARS),
            act: printable(&act, TEXT_CHARS),
            roles: Vec::new(),
        })
    }

    /// Gates whose evidence is green and that lack a signature.
    fn signatures(&mut self, session: &Session) -> Vec<Notice> {
        let name = &session.charter.session;
        let gates = session.gates().into_iter();
        let open = gates.filter(|gate| !gate.green && gate.evidence_is_green());
        let notices = open.filter_map(|gate| {
            // New evidence asks for a new signature.
            let key = |role: &str| format!("sign {} {role} {}", gate.id, gate.evidence_hash);
            let mut roles = gate.missing_roles();
            roles.retain(|role| self.said.insert(key(role.title())));
            let titles: Vec<_> = roles.iter().map(|r| r.title()).collect();
            (!roles.is_empty()).then(|| Notice {
                occasion: Occasion::Signature,
                text: format!(
                    "{} waits for the signature of: {}.",
                    gate.id,
                    titles.join(", ")
                ),
                act: format!("`cutover sign {} {name}`, or in the cockpit.", gate.id),
                roles,
            })
        });
        notices.collect()
    }

    /// A step that failed for good, or of which no machine can say how far it came.
    fn decision(&mut self, session: &Session, at_ms: i64) -> Option<Notice> {
        let advice = next_action(session, at_ms);
        let asks = match advice.act {
            Some(Act::Decide) => true,
            Some(Act::StartStep) => advice.urgency == Urgency::Alarm,
            _ => false,
        };
        let step = session.current_step().map(|s| (s.id.clone(), s.attempt));
        let step = step.or_else(|| session.next_step().map(|(l, s)| (l.id.clone(), s.attempt)));
        let (step, attempt) = step.filter(|_| asks)?;
        let text = format!("{step} needs a decision.");
        let key = format!("decide {step} {attempt}");
        self.once(key, Occasion::Decision, text, advice.sentence)
    }

    fn freeze(&mut self, session: &Session, at_ms: i64) -> Option<Notice> {
        let (since_ms, end) = session.freeze()?;
        let limit_ms = session.freeze_limit_ms();
        let passed_ms = session.charter.runbook_ms(at_ms - since_ms);
        if end.is_some() || passed_ms * 100 < limit_ms * NEAR {
            return None;
        }
        let (passed, limit) = (span(passed_ms), span(limit_ms));
        let name = &session.charter.session;
        self.once(
            format!("freeze {limit_ms}"),
            Occasion::Freeze,
            format!("Writes have been stopped for {passed} of the agreed {limit}."),
            format!("`cutover extend 15 {name}` gives it 15 minutes more, `cutover rollback {name}` ends it."),
        )
    }

    /// Triggers past half of their streak, and those that were and are clear again. One notice for all instances of a trigger.
    fn burning(&mut self, session: &Session, triggers: &[TriggerView]) -> Vec<Notice> {
        let name = &session.charter.session;
        let family = |view: &TriggerView| {
            let (family, _) = view.id.split_once('.').unwrap_or((&view.id, ""));
            family.to_owned()
        };
        let mut notices = Vec::new();
        for view in triggers.iter().filter(|view| is_past_half(view)) {
            if self.burning.insert(family(view)) {
                notices.push(Notice {
                    occasion: Occasion::Burning,
                    text: printable(&format!("{} burns: {}.", view.id, view.reason), TEXT_CHARS),
                    act: format!("Find the cause, or `cutover rollback {name}`: anyone may."),
                    roles: Vec::new(),
                });
            }
        }
        // Blind is not clear.
        let alight: BTreeSet<String> = triggers
            .iter()
            .filter(|view| view.phase != TriggerPhase::Clear)
            .map(family)
            .collect();
        let clear: Vec<_> = match triggers.is_empty() {
            true => Vec::new(),
            false => self.burning.difference(&alight).cloned().collect(),
        };
        for family in clear {
            self.burning.remove(&family);
            notices.push(Notice {
                occasion: Occasion::AllClear,
                text: format!("{family} is clear again."),
                act: "Nothing has to be done now.".to_owned(),
                roles: Vec::new(),
            });
        }
        notices
    }
}

fn is_past_half(view: &TriggerView) -> bool {
    let past_half = view.full_ms > 0 && 2 * view.streak_ms >= view.full_ms;
    view.armed && view.phase == TriggerPhase::Burning && past_half
}
