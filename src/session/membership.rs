//! Which place in the fleet each instance has while instances come and go. A *slot* is an instance that should be there; it keeps its id
//! and its streak whoever fills it. Pure.
//!
//! - There are as many slots as instances should be there: those of the opening, until an answer says how many are `wanted`.
//! - A slot whose instance is in no answer is *missing*. It is filled by the next instance that has no slot; of several the slot that has
//!   been missing for longest comes first.
//! - A slot that was restarted on purpose takes no instance that began before that, or that runs a revision of those that were not; and
//!   until it has the one that came of its restart, no other slot takes that.
//! - An instance that finds no slot is a *stranger*: it is looked at, and counts as nobody's place.
//!
//! Not in here: asking (`engine::muster`), what an answer is (`runbook::discovery`), what strangers mean to people (`strangers`).

mod change;
mod place;
mod strangers;

use serde::{Deserialize, Serialize};

use super::charter::InstanceLine;
use crate::runbook::Instance;
use crate::runbook::discovery::Member;

pub use change::{Change, words};
pub use place::{Stand, Whereabouts, newcomers};
pub use strangers::{Attention, Serves, Sight};

/// A start that was this much before the restart may be one after it, by another host's clock.
const CLOCKS_DIFFER_S: i64 = 5;

/// An instance that should be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// As triggers and screens name it; never changes.
    pub id: String,
    /// Restarted first.
    pub canary: bool,
    /// Who fills it, or filled it last. `None`: the instance of this id as it was at the opening, or nobody yet in a slot that came later.
    pub member: Option<Member>,
    /// Since when it should be there; `None` for those of the opening.
    pub joined_ms: Option<i64>,
    /// Since when its instance is in no answer.
    pub missing_ms: Option<i64>,
    /// It need not be there any more.
    pub is_retired: bool,
    /// When it was restarted on purpose: seconds since 1970.
    pub restarted_unix_s: Option<i64>,
}

/// The fleet as it should be, and who is there beside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// In the charter's order, then as they came.
    pub slots: Vec<Slot>,
    /// Instances without a slot, as they appeared.
    pub strangers: Vec<Member>,
}

/// A usable answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub members: Vec<Member>,
    /// How many should be there; `None` where it does not say.
    pub wanted: Option<usize>,
    /// The instances of the opening, which tell where a slot was before anything changed.
    pub opening: Vec<Instance>,
}

impl Slot {
    fn of(line: &InstanceLine) -> Slot {
        Slot {
            id: line.id.clone(),
            canary: line.canary,
            member: None,
            joined_ms: None,
            missing_ms: None,
            is_retired: false,
            restarted_unix_s: None,
        }
    }

    /// The name of who fills it, or filled it last; `None` while nobody has.
    pub fn name(&self) -> Option<&str> {
        match (&self.member, self.joined_ms) {
            (Some(member), _) => Some(&member.name),
            (None, None) => Some(&self.id),
            (None, Some(_)) => None,
        }
    }

    /// Since when nobody fills it.
    fn empty_ms(&self) -> Option<i64> {
        let unfilled_ms = self.joined_ms.filter(|_| self.member.is_none());
        self.missing_ms.or(unfilled_ms)
    }

    /// Whether this is the place in which the newest answer has its instance.
    fn is_at(&self, member: &Member, opening: &[Instance]) -> bool {
        match &self.member {
            Some(here) => here.url == member.url && here.host == member.host,
            None => {
                let before = opening.iter().find(|instance| instance.id == self.id);
                before.is_none_or(|i| i.url == member.url && i.host == member.host)
            }
        }
    }
}

/// Whether an instance can be the one that a restarted slot waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Proven,
    Possible,
    No,
}

impl Roster {
    /// As the charter names it.
    pub fn of(lines: &[InstanceLine]) -> Roster {
        Roster {
            slots: lines.iter().map(Slot::of).collect(),
            strangers: Vec::new(),
        }
    }

    /// Slots that should be there.
    pub fn standing(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| !slot.is_retired)
    }

    /// Whether everything is as it was at the opening.
    pub fn is_unchanged(&self) -> bool {
        let unchanged = |slot: &Slot| {
            slot.member.is_none()
                && slot.joined_ms.is_none()
                && slot.missing_ms.is_none()
                && !slot.is_retired
        };
        self.strangers.is_empty() && self.slots.iter().all(unchanged)
    }

    /// What an answer changes, in the order in which it is to be applied.
    pub fn changes_by(&self, answer: &Answer, at_ms: i64) -> Vec<Change> {
        let mut next = Next {
            roster: self.clone(),
            changes: Vec::new(),
            at_ms,
        };
        next.who_is_where(answer);
        next.who_should_be_there(answer.wanted);
        let newcomers = next.newcomers(answer);
        let left = next.fill(newcomers, answer);
        next.retire(answer.wanted);
        next.who_has_no_slot(left, answer);
        next.changes
    }

    /// Takes in a change.
    pub fn apply(&mut self, change: &Change, at_ms: i64) {
        match change {
            Change::Joined { slot } => self.slots.push(Slot {
                joined_ms: Some(at_ms),
                ..Slot::of(&InstanceLine {
                    id: slot.clone(),
                    canary: false,
                })
            }),
            Change::Filled { slot, by } => {
                self.strangers.retain(|stranger| stranger.name != by.name);
                self.change(slot, |slot| {
                    slot.member = Some(by.clone());
                    slot.missing_ms = None;
                });
            }
            Change::Missing { slot } => {
                self.change(slot, |slot| slot.missing_ms = Some(at_ms));
            }
            Change::Retired { slot } => self.change(slot, |slot| slot.is_retired = true),
            Change::Appeared { who } => {
                let mut known = self.strangers.iter_mut();
                match known.find(|stranger| stranger.name == who.name) {
                    Some(stranger) => stranger.clone_from(who),
                    None => self.strangers.push(who.clone()),
                }
            }
            Change::Left { name } => self.strangers.retain(|stranger| stranger.name != *name),
        }
    }

    /// A slot is about to be restarted on purpose.
    pub fn restarted(&mut self, id: &str, unix_s: i64) {
        self.change(id, |slot| slot.restarted_unix_s = Some(unix_s));
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Slot)) {
        self.slots.iter_mut().find(|slot| slot.id == id).map(change);
    }

    /// Whether a newcomer can be who fills an empty slot. One that was not restarted takes anybody but whom a restarted one waits for.
    fn fit(&self, slot: &Slot, who: &Member, answer: &Answer) -> Fit {
        if slot.restarted_unix_s.is_some() {
            return self.comes_of_restart(slot, who, answer);
        }
        let is_renewed = |other: &Slot| {
            let own = other.name().and_then(|name| member(&answer.members, name));
            own.is_some_and(|own| self.comes_of_restart(other, own, answer) == Fit::Proven)
        };
        let waits_for_it = |other: &Slot| {
            other.restarted_unix_s.is_some()
                && self.comes_of_restart(other, who, answer) == Fit::Proven
                && !is_renewed(other)
        };
        match self.standing().any(waits_for_it) {
            true => Fit::No,
            false => Fit::Possible,
        }
    }

    /// Whether an instance is what came of a slot's restart: it began after it, or runs what those that were not restarted do not run.
    fn comes_of_restart(&self, slot: &Slot, who: &Member, answer: &Answer) -> Fit {
        let Some(restarted_unix_s) = slot.restarted_unix_s else {
            return Fit::Possible;
        };
        if let Some(started_unix_s) = who.started_unix_s {
            return match started_unix_s >= restarted_unix_s - CLOCKS_DIFFER_S {
                true => Fit::Proven,
                false => Fit::No,
            };
        }
        let not_restarted = self.standing().filter(|s| s.restarted_unix_s.is_none());
        let named = not_restarted.filter_map(Slot::name);
        let of_before: Vec<&str> = named
            .filter_map(|name| member(&answer.members, name)?.revision.as_deref())
            .collect();
        match &who.revision {
            Some(revision) if of_before.contains(&revision.as_str()) => Fit::No,
            Some(_) if !of_before.is_empty() => Fit::Proven,
            Some(_) | None => Fit::Possible,
        }
    }
}

fn member<'m>(members: &'m [Member], name: &str) -> Option<&'m Member> {
    members.iter().find(|member| member.name == name)
}

/// A roster on its way to the next one.
struct Next {
    roster: Roster,
    changes: Vec<Change>,
    at_ms: i64,
}

impl Next {
    fn push(&mut self, change: Change) {
        self.roster.apply(&change, self.at_ms);
        self.changes.push(change);
    }

    /// Slots whose instance has moved, is back, or is in no answer any more.
    fn who_is_where(&mut self, answer: &Answer) {
        let mut changes = Vec::new();
        for slot in self.roster.standing() {
            let Some(name) = slot.name() else {
                continue;
            };
            let id = slot.id.clone();
            match member(&answer.members, name) {
                Some(by) if slot.missing_ms.is_some() || !slot.is_at(by, &answer.opening) => {
                    let by = by.clone();
                    changes.push(Change::Filled { slot: id, by });
                }
                None if slot.missing_ms.is_none() => changes.push(Change::Missing { slot: id }),
                Some(_) | None => {}
            }
        }
        changes.into_iter().for_each(|change| self.push(change));
    }

    fn who_should_be_there(&mut self, wanted: Option<usize>) {
        let standing = self.roster.standing().count();
        for _ in standing..wanted.unwrap_or(standing) {
            let slot = self.free_id();
            self.push(Change::Joined { slot });
        }
    }

    /// `slot-5` for the fifth, unless an instance has that id.
    fn free_id(&self) -> String {
        let is_free = |id: &String| self.roster.slots.iter().all(|slot| slot.id != *id);
        let first = self.roster.slots.len() + 1;
        let mut ids = (first..).map(|n| format!("slot-{n}"));
        ids.find(is_free)
            .expect("BUG: there are more numbers than slots")
    }

    /// Those of an answer that have no slot: strangers as they appeared, then who is new.
    fn newcomers(&self, answer: &Answer) -> Vec<Member> {
        let has_slot = |who: &&Member| {
            let mut names = self.roster.standing().filter_map(Slot::name);
            names.any(|name| name == who.name)
        };
        let without: Vec<&Member> = answer.members.iter().filter(|m| !has_slot(m)).collect();
        let known = |who: &&&Member| member(&self.roster.strangers, &who.name).is_some();
        let strangers = self.roster.strangers.iter();
        let strangers = strangers.filter_map(|s| without.iter().find(|m| m.name == s.name));
        let new = without.iter().filter(|who| !known(who));
        strangers.chain(new).map(|who| (**who).clone()).collect()
    }

    /// Fills empty slots: first those whose instance is proven to be the one, then by how long they have been empty. Gives who is left over.
    fn fill(&mut self, mut newcomers: Vec<Member>, answer: &Answer) -> Vec<Member> {
        for needs_proof in [true, false] {
            for id in self.empty() {
                let Some(slot) = self.roster.slots.iter().find(|slot| slot.id == id) else {
                    continue;
                };
                let fits = |who: &Member| match self.roster.fit(slot, who, answer) {
                    Fit::Proven => true,
                    Fit::Possible => !needs_proof,
                    Fit::No => false,
                };
                if let Some(at) = newcomers.iter().position(fits) {
                    let by = newcomers.remove(at);
                    self.push(Change::Filled { slot: id, by });
                }
            }
        }
        newcomers
    }

    /// Ids of empty slots, the one that has been so for longest first.
    fn empty(&self) -> Vec<String> {
        let standing = self.roster.standing();
        let mut empty: Vec<(i64, &str)> = standing
            .filter_map(|slot| Some((slot.empty_ms()?, slot.id.as_str())))
            .collect();
        // Stable: of several since the same time the first in the charter comes first.
        empty.sort_by_key(|(since_ms, _)| *since_ms);
        empty.into_iter().map(|(_, id)| id.to_owned()).collect()
    }

    /// Where fewer should be there, slots that are empty go; the one that has been so for longest goes last, for nobody has asked for its end.
    fn retire(&mut self, wanted: Option<usize>) {
        let standing = self.roster.standing().count();
        let surplus = standing.saturating_sub(wanted.unwrap_or(standing));
        let empty = self.empty();
        for slot in empty.into_iter().rev().take(surplus) {
            self.push(Change::Retired { slot });
        }
    }

    fn who_has_no_slot(&mut self, left: Vec<Member>, answer: &Answer) {
        for who in left {
            let known = member(&self.roster.strangers, &who.name);
            let is_same = known.is_some_and(|k| k.url == who.url && k.host == who.host);
            if !is_same {
                self.push(Change::Appeared { who });
            }
        }
        let gone = self.roster.strangers.iter();
        let gone = gone.filter(|stranger| member(&answer.members, &stranger.name).is_none());
        let gone: Vec<String> = gone.map(|stranger| stranger.name.clone()).collect();
        for name in gone {
            self.push(Change::Left { name });
        }
    }
}
