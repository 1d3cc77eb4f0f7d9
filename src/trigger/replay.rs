//! Rules over what was recorded: when each trigger would have fired, and why. Pure. Not in here: where the records come from.
//!
//! The session is told what had happened, less what was judged then; judging is done anew. It ends where the recorded session was
//! rolled back or over: what came after would not have come so.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Cadence, Checklist, Judge, Sample};
use crate::session::due::check_triggers;
use crate::session::state::NotASession;
use crate::session::{Charter, Event, Outcome, Recorded, Session, TriggerPhase};

/// Between two looks at what the judge has to say, by the session's clock.
const TICK_MS: i64 = 250;

/// Something that was recorded, in the order of its time.
#[derive(Debug, Clone)]
pub enum Moment {
    /// Something happened in the session.
    Happened(Event),
    /// A probe saw something.
    Sampled(Sample),
}

/// What a trigger would have done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Story {
    /// `T3a`, or `T1a.app-3`.
    pub trigger: String,
    /// Session time from which it was armed; never where absent.
    pub armed_ms: Option<i64>,
    /// Session time at which it would have fired.
    pub fired_ms: Option<i64>,
    /// Why it would have, or what was said last.
    pub reason: String,
    /// Its longest streak, in runbook time.
    pub longest_streak_ms: i64,
    /// The streak that fires it, in runbook time; 0 for one that fires at once.
    pub full_ms: i64,
    /// For how long it was blind, in runbook time.
    pub blind_ms: i64,
    /// How often it began to burn.
    pub burned: u32,
}

/// What an item of the checklist would have done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ItemStory {
    /// `M4`.
    pub item: String,
    /// Session time at which it was first red, and why.
    pub red: Option<(i64, String)>,
    /// For how long it was red, and for how long blind, in runbook time.
    pub red_ms: i64,
    /// See `red_ms`.
    pub blind_ms: i64,
}

/// What the rules would have said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// Every trigger, in the runbook's order.
    pub triggers: Vec<Story>,
    /// Every item, in the runbook's order.
    pub checklist: Vec<ItemStory>,
    /// Session time of the first moment and of the last.
    pub from_ms: i64,
    /// See `from_ms`.
    pub to_ms: i64,
}

struct Player {
    session: Session,
    judge: Judge,
    checklist: Checklist,
    stories: BTreeMap<String, Story>,
    items: Vec<ItemStory>,
    now_ms: i64,
    /// When the last moment was that can make a trigger fire.
    judged_ms: i64,
    wall: DateTime<Utc>,
}

/// Plays moments, which are sorted by time, to the rules of this charter.
///
/// # Errors
/// The charter does not open a session.
pub fn replay(
    charter: &Charter,
    cadence: &Cadence,
    moments: &[(i64, Moment)],
) -> Result<Replay, NotASession> {
    let from_ms = moments.first().map_or(0, |(at_ms, _)| *at_ms);
    let mut player = Player::new(charter, cadence, from_ms)?;
    for (n, (at_ms, moment)) in moments.iter().enumerate() {
        player.pass_to(*at_ms);
        match moment {
            Moment::Sampled(sample) => player.sampled(sample),
            Moment::Happened(event) if is_judgement(event) => {}
            Moment::Happened(event) => {
                player.take_event(event.clone());
                if let Event::StepFinished { step, outcome, .. } = event
                    && !is_tried_again(step, &moments[n + 1..])
                {
                    player.checks(outcome);
                }
            }
        }
    }
    // The last samples have their say.
    player.pass_to(player.now_ms + TICK_MS);
    Ok(player.told(from_ms))
}

/// What was judged then, and is judged again now.
fn is_judgement(event: &Event) -> bool {
    matches!(
        event,
        Event::SessionOpened { .. } | Event::TriggerMoved { .. } | Event::TriggerFired { .. }
    )
}

/// Triggers judge a step's final outcome.
fn is_tried_again(step: &str, later: &[(i64, Moment)]) -> bool {
    later.iter().any(|(_, moment)| {
        matches!(moment, Moment::Happened(Event::StepStarted { step: s, .. }) if s == step)
    })
}

impl Player {
    fn new(charter: &Charter, cadence: &Cadence, now_ms: i64) -> Result<Player, NotASession> {
        let opened = Recorded {
            seq: 1,
            at_ms: now_ms,
            wall: DateTime::UNIX_EPOCH,
            event: Event::SessionOpened {
                charter: Box::new(charter.clone()),
            },
        };
        let items = charter.monitoring.iter().map(|item| ItemStory {
            item: item.id.clone(),
            red: None,
            red_ms: 0,
            blind_ms: 0,
        });
        Ok(Player {
            session: Session::open(&opened)?,
            judge: Judge::new(charter, cadence.clone(), None),
            checklist: Checklist::new(charter, cadence),
            stories: BTreeMap::new(),
            items: items.collect(),
            now_ms,
            judged_ms: now_ms,
            wall: opened.wall,
        })
    }

    fn pass_to(&mut self, at_ms: i64) {
        while self.now_ms < at_ms {
            let step_ms = TICK_MS.min(at_ms - self.now_ms);
            self.now_ms += step_ms;
            self.tick(step_ms);
        }
    }

    fn tick(&mut self, passed_ms: i64) {
        for verdict in self.judge.tick(&self.session, self.now_ms) {
            self.take_event(verdict.into());
        }
        let passed_ms = self.session.charter.runbook_ms(passed_ms);
        for (id, state) in &self.session.triggers {
            if state.phase == TriggerPhase::Blind {
                self.stories.entry(id.clone()).or_default().blind_ms += passed_ms;
            }
        }
        let views = self.checklist.views(&self.session, self.now_ms);
        for (story, view) in self.items.iter_mut().zip(views) {
            match view.green {
                Some(true) => {}
                None => story.blind_ms += passed_ms,
                Some(false) => {
                    story.red_ms += passed_ms;
                    story.red.get_or_insert((self.now_ms, view.reason));
                }
            }
        }
    }

    fn sampled(&mut self, sample: &Sample) {
        self.judged_ms = self.now_ms;
        self.judge.observe(sample, &self.session);
        self.checklist.observe(sample, &self.session);
        for (id, streak_ms) in self.judge.streaks(&sample.signal) {
            let streak_ms = self.session.charter.runbook_ms(streak_ms);
            let story = self.stories.entry(id.to_owned()).or_default();
            story.longest_streak_ms = story.longest_streak_ms.max(streak_ms);
        }
    }

    fn checks(&mut self, outcome: &Outcome) {
        self.judged_ms = self.now_ms;
        for fired in check_triggers(&self.session, outcome) {
            self.take_event(fired);
        }
    }

    fn take_event(&mut self, event: Event) {
        match &event {
            Event::TriggerMoved {
                trigger,
                state,
                reason,
            } => {
                let story = self.stories.entry(trigger.clone()).or_default();
                story.burned += u32::from(*state == TriggerPhase::Burning);
                story.reason.clone_from(reason);
            }
            Event::TriggerFired { trigger, reason } => {
                let story = self.stories.entry(trigger.clone()).or_default();
                if story.fired_ms.is_none() {
                    story.fired_ms = Some(self.judged_ms);
                    story.reason.clone_from(reason);
                }
            }
            _ => {}
        }
        let recorded = Recorded {
            seq: self.session.seq + 1,
            at_ms: self.now_ms,
            wall: self.wall,
            event,
        };
        self.session.apply(&recorded);
        self.judge.apply(&recorded);
        self.armed();
    }

    /// Notes which triggers have become armed.
    fn armed(&mut self) {
        for trigger in &self.session.charter.triggers {
            let Some(armed_ms) = self.session.armed_ms(trigger) else {
                continue;
            };
            let story = self.stories.entry(trigger.id.clone()).or_default();
            story.armed_ms.get_or_insert(armed_ms);
        }
    }

    fn told(self, from_ms: i64) -> Replay {
        let views = self.judge.views(&self.session, self.now_ms);
        let story = |id: String, full_ms: i64| {
            let family = id.split_once('.').map_or(id.as_str(), |(family, _)| family);
            let armed_ms = self.stories.get(family).and_then(|s| s.armed_ms);
            let story = self.stories.get(&id).cloned().unwrap_or_default();
            Story {
                longest_streak_ms: story.longest_streak_ms.min(full_ms),
                trigger: id,
                full_ms,
                armed_ms,
                ..story
            }
        };
        Replay {
            triggers: views.into_iter().map(|v| story(v.id, v.full_ms)).collect(),
            checklist: self.items,
            from_ms,
            to_ms: self.now_ms - TICK_MS,
        }
    }
}
