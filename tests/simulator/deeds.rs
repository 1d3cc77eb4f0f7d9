//! Does what a script says at the moment that it names.
//!
//! Not in here: the script (`script`).

use cutover::claim::{self, Claim};
use cutover::engine::Input;
use cutover::journal::Folder;

use super::people;
use super::play::Play;
use super::script::{Deed, Sabotage};

impl Play<'_> {
    pub(super) fn deeds(&mut self, passed_ms: i64) {
        for at in 0..self.done.len() {
            let (when, deed) = &self.script.deeds[at];
            let due = match &when.row {
                None => passed_ms >= when.delay_ms,
                Some(row) => {
                    let world = self.world.borrow();
                    let begun_ms = world.begun_ms.get(row);
                    begun_ms.is_some_and(|ms| world.now_ms >= ms + when.delay_ms)
                }
            };
            if due && !std::mem::replace(&mut self.done[at], true) {
                self.deed(deed);
            }
        }
        if let Some((until_ms, lifts)) = self.by_hand
            && self.now_ms() >= until_ms
        {
            self.by_hand = None;
            let world = &mut *self.world.borrow_mut();
            if world.lifts == lifts {
                world.maintenance = true;
            }
            world.faults.by_hand = false;
        }
    }

    fn deed(&mut self, deed: &Deed) {
        let newest = self.engines.last().map(|e| e.id);
        let now_ms = self.now_ms();
        self.world.borrow_mut().count(deed.name());
        match deed {
            Deed::Crash { after } | Deed::Reboot { after } => {
                let reboots = matches!(deed, Deed::Reboot { .. });
                let faults = &mut self.world.borrow_mut().faults;
                faults.crash = newest.map(|id| (id, *after, reboots));
            }
            Deed::DiskFull { for_ms } if !self.script.real => {
                self.world.borrow_mut().faults.disk_full_until_ms = now_ms + for_ms;
            }
            Deed::DiskFull { .. } => {}
            Deed::Step(mishap) => self.world.borrow_mut().faults.next = Some(*mishap),
            Deed::Late { for_ms, by_ms } => {
                let faults = &mut self.world.borrow_mut().faults;
                (faults.late_until_ms, faults.late_by_ms) = (now_ms + for_ms, *by_ms);
            }
            Deed::Silent { for_ms } => {
                self.world.borrow_mut().faults.silent_until_ms = now_ms + for_ms;
            }
            Deed::Errors { for_ms } => {
                self.world.borrow_mut().faults.errors_until_ms = now_ms + for_ms;
            }
            Deed::Down { instance, for_ms } => {
                let world = &mut *self.world.borrow_mut();
                world.instances[*instance].down_until_ms = now_ms + for_ms;
            }
            // Whoever deletes the lease file lets a second one begin.
            Deed::SecondEngine => {
                if self.engines.len() == 1 {
                    self.start();
                }
            }
            Deed::SecondSession => self.second_session(),
            Deed::Drift => self.world.borrow_mut().write_past_fence(),
            Deed::ByHand { for_ms } => {
                let world = &mut *self.world.borrow_mut();
                if world.maintenance && self.by_hand.is_none() {
                    world.maintenance = false;
                    world.faults.by_hand = true;
                    self.by_hand = Some((now_ms + for_ms, world.lifts));
                }
            }
            Deed::Untold => {
                if let Some(id) = newest {
                    let text = "chat could not be told".to_owned();
                    self.turn(id, Input::Untold { text });
                }
            }
            Deed::Person { who, what } => {
                if let Some(engine) = self.engines.last() {
                    let command = people::meddle(engine.conduct.session(), *what);
                    self.ask(people::NAMES[*who], command);
                }
            }
        }
    }

    /// It must not get what this session has.
    fn second_session(&mut self) {
        let claimed = self.world.borrow().claimed;
        let gets = match &self.root {
            Some(root) if claimed => {
                let other = Folder::create(root.path(), "other").expect("a folder");
                claim::source::take(&self.source(), &Claim::of(&other)).is_ok()
            }
            Some(_) => false,
            None => !claimed,
        };
        let world = &mut *self.world.borrow_mut();
        let gets = gets || world.is_sabotaged(Sabotage::TwoSessions);
        if gets && !self.is_over && world.engines > 0 {
            world.broken("sessions", "a second session gets the source");
        }
    }
}
