//! What the engine looks at beside its steps and probes: whether maintenance is still on, how much room there is on every disk, what
//! silent steps wait for, and whether there is room for events that wait for some. What was seen becomes alarms, samples and lines.
//!
//! Not in here: the rules (`session::maintenance`, `session::room`, `heartbeat`), the asking (`upkeep`, `disks`).

use super::Error;
use super::conduct::Conduct;
use super::heartbeat::{self, Heartbeat};
use super::outside::{Beside, Effect, Outside};
use crate::runbook::Occasion;
use crate::session::Event;
use crate::session::maintenance::{Seen, Told, Upkeep, has_to_be_on};
use crate::session::membership::{Answer, Attention, Sight};
use crate::session::notice::Notice;
use crate::session::room::{Look, Rooms};
use crate::trigger::{Reading, Sample};

/// How often it is tried to write what waits for room.
const STORE_EVERY_MS: i64 = 1_000;

/// What was said of what is looked at, and when it was looked at last.
pub struct Aside {
    upkeep: Upkeep,
    attention: Attention,
    rooms: Rooms,
    stored_ms: i64,
    silence_looked_ms: i64,
    pub(super) heartbeat: Heartbeat,
}

impl Default for Aside {
    fn default() -> Aside {
        Aside {
            upkeep: Upkeep::default(),
            attention: Attention::default(),
            rooms: Rooms::default(),
            stored_ms: i64::MIN / 2,
            silence_looked_ms: i64::MIN / 2,
            heartbeat: Heartbeat::default(),
        }
    }
}

impl<O: Outside> Conduct<O> {
    /// Has instances asked whether maintenance is on, while it has to be.
    pub(super) fn look_at_maintenance(&mut self) {
        let wanted = has_to_be_on(self.session());
        self.carry_out(Effect::LookAtMaintenance(wanted));
    }

    /// Whether everything is recorded where it outlives this process.
    pub fn is_kept(&self) -> bool {
        self.ledger.is_kept()
    }

    /// Writes what waited for room, once there is some.
    pub(super) fn store_what_waits(&mut self, now_ms: i64) -> Result<(), Error> {
        let waiting = self.ledger.unstored();
        if waiting == 0 || now_ms - self.aside.stored_ms < STORE_EVERY_MS {
            return Ok(());
        }
        self.aside.stored_ms = now_ms;
        if self.ledger.store_if_room()? {
            self.append(vec![Event::alarm(format!(
                "{waiting} events for which there was no room are in the journal now"
            ))])?;
        }
        Ok(())
    }

    /// What steps wait for that say nothing, as lines of their output.
    pub(super) fn look_for_silence(&mut self, now_ms: i64) {
        if now_ms - self.aside.silence_looked_ms < heartbeat::LOOK_EVERY_MS {
            return;
        }
        self.aside.silence_looked_ms = now_ms;
        let running = self.ledger.session().running();
        let attempts: Vec<(String, u32)> = running.map(|r| (r.id.clone(), r.attempt)).collect();
        let rows: Vec<String> = attempts.iter().map(|(row, _)| row.clone()).collect();
        let waits = match rows.is_empty() {
            true => Vec::new(),
            false => self.outside.waits(),
        };
        for (row, text) in self.aside.heartbeat.observe(&rows, &waits, now_ms) {
            let found = attempts.iter().find(|(id, _)| *id == row);
            self.note(Beside::Line {
                row: &row,
                attempt: found.map_or(1, |(_, attempt)| *attempt),
                at_ms: now_ms,
                text: &text,
            });
        }
    }

    /// Takes in whether instances are in maintenance.
    pub(super) fn upkeep(&mut self, seen: &[Seen]) -> Result<(), Error> {
        let (now_ms, outside) = (self.now_ms(), &self.outside);
        let coming_up = |place: &str| outside.is_coming_up(place);
        let session = self.ledger.session();
        let told = self.aside.upkeep.observe(session, seen, &coming_up, now_ms);
        self.alarm(told, Occasion::Freeze)
    }

    /// Takes in which instances there are, or why nobody knows.
    pub(super) fn membership(
        &mut self,
        asked: &Result<(Answer, Vec<Sight>), String>,
    ) -> Result<(), Error> {
        if self.is_over() {
            return Ok(());
        }
        let now_ms = self.now_ms();
        let session = self.ledger.session();
        let attention = &mut self.aside.attention;
        let (answer, sights) = match asked {
            Ok(asked) => asked,
            Err(why) => {
                let told = attention.unanswered(session, why, now_ms);
                return self.alarm(told.into_iter().collect(), Occasion::Blind);
            }
        };
        let changes = session.roster.changes_by(answer, now_ms);
        let told = attention.observe(session, sights, now_ms);
        if !changes.is_empty() {
            self.append(vec![Event::MembershipChanged { changes }])?;
        }
        self.alarm(told, Occasion::Freeze)
    }

    /// Raises alarms, and tells people of those that want something done.
    fn alarm(&mut self, told: Vec<Told>, occasion: Occasion) -> Result<(), Error> {
        for told in told {
            let text = match told.act.is_empty() {
                true => told.text.clone(),
                false => format!("{}. {}", told.text, told.act),
            };
            self.append(vec![Event::alarm(text)])?;
            if !told.act.is_empty() {
                self.tell(&[Notice {
                    occasion,
                    text: format!("{}.", told.text),
                    act: format!("{}.", told.act),
                    roles: Vec::new(),
                }]);
            }
        }
        Ok(())
    }

    /// Takes in how much room there is: triggers and the checklist judge it like every signal.
    pub(super) fn disks(&mut self, looks: &[Look], source_bytes: u64) -> Result<(), Error> {
        let at_ms = self.now_ms();
        for look in looks {
            let reading = match &look.free_bytes {
                Ok(free) => Reading::value(*free as f64),
                Err(why) => Reading::no_data(why.clone()),
            };
            self.sampled(&Sample::new(look.spot.signal(), at_ms, reading));
        }
        let session = self.ledger.session();
        let told = self.aside.rooms.observe(session, looks, source_bytes);
        for text in told {
            self.append(vec![Event::alarm(text)])?;
        }
        Ok(())
    }
}
