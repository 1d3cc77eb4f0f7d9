//! Where each slot is to be asked. Pure. Not in here: who fills a slot (`membership`).

use super::{Roster, Slot};
use crate::runbook::Instance;
use crate::runbook::discovery::Member;

/// Whether there is anybody to ask for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// At its instance's address; where it is missing, at the last one, for an answer may have forgotten it.
    Known,
    /// Another instance is at its last address: whoever answers there is not it.
    TakenOver,
    /// Nobody has filled it yet.
    Unfilled,
}

/// A slot that should be there, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// With the slot's id, and the address and name of who fills it, or filled it last.
    pub instance: Instance,
    /// Whether it is to be asked there.
    pub whereabouts: Whereabouts,
    /// Since when it should be there; `None` for those of the opening.
    pub joined_ms: Option<i64>,
}

impl Stand {
    /// An instance where the opening knows it.
    pub fn of(instance: &Instance) -> Stand {
        Stand {
            instance: instance.clone(),
            whereabouts: Whereabouts::Known,
            joined_ms: None,
        }
    }
}

impl Roster {
    /// Every slot that should be there: those of the opening in its order, then as they came.
    pub fn stands(&self, opening: &[Instance]) -> Vec<Stand> {
        let of_opening = opening.iter().filter_map(|instance| {
            let slot = self.slots.iter().find(|slot| slot.id == instance.id);
            match slot {
                None => Some(Stand::of(instance)),
                Some(slot) if slot.is_retired => None,
                Some(slot) => Some(self.stand(slot, instance.clone(), opening)),
            }
        });
        let came = self.standing().filter(|slot| slot.joined_ms.is_some());
        let came = came.map(|slot| {
            let nowhere = Instance {
                id: slot.id.clone(),
                url: String::new(),
                host: String::new(),
                canary: slot.canary,
                called: None,
            };
            self.stand(slot, nowhere, opening)
        });
        of_opening.chain(came).collect()
    }

    /// The instances of all slots that somebody fills or has filled, by where they are now: what is done to the fleet is done to these.
    pub fn instances(&self, opening: &[Instance]) -> Vec<Instance> {
        let stands = self.stands(opening).into_iter();
        stands
            .filter(|stand| stand.whereabouts != Whereabouts::Unfilled)
            .map(|stand| stand.instance)
            .collect()
    }

    fn stand(&self, slot: &Slot, mut instance: Instance, opening: &[Instance]) -> Stand {
        if let Some(member) = &slot.member {
            instance.url.clone_from(&member.url);
            instance.host.clone_from(&member.host);
            instance.called = Some(member.name.clone()).filter(|name| *name != slot.id);
        }
        let whereabouts = match slot.name() {
            None => Whereabouts::Unfilled,
            Some(_) if slot.missing_ms.is_none() => Whereabouts::Known,
            Some(_) if self.is_somebody_at(&instance.url, slot, opening) => Whereabouts::TakenOver,
            Some(_) => Whereabouts::Known,
        };
        Stand {
            instance,
            whereabouts,
            joined_ms: slot.joined_ms,
        }
    }

    /// Whether an instance that the newest answer names is at this address, and does not fill this slot.
    fn is_somebody_at(&self, url: &str, but: &Slot, opening: &[Instance]) -> bool {
        let others = self
            .standing()
            .filter(|slot| slot.id != but.id && slot.missing_ms.is_none());
        let mut urls = others.filter_map(|slot| match &slot.member {
            Some(member) => Some(member.url.as_str()),
            None => {
                let before = opening.iter().find(|instance| instance.id == slot.id);
                before.map(|instance| instance.url.as_str())
            }
        });
        urls.any(|other| other == url) || self.strangers.iter().any(|who| who.url == url)
    }
}

/// Instances of an answer that are not where the opening has one of their name.
pub fn newcomers(opening: &[Instance], members: &[Member]) -> Vec<Instance> {
    let is_of_opening = |member: &Member| {
        let mut known = opening.iter();
        known.any(|i| i.id == member.name && i.url == member.url)
    };
    let new = members.iter().filter(|member| !is_of_opening(member));
    new.map(|member| Instance {
        id: member.name.clone(),
        url: member.url.clone(),
        host: member.host.clone(),
        canary: false,
        called: None,
    })
    .collect()
}
