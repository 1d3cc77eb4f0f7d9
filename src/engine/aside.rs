//! What the engine looks at beside its steps and probes: whether maintenance is still on, how much room there is on every disk, what
//! silent steps wait for, and whether there is room for events that wait for some. What was seen becomes alarms, samples and lines.
//!
//! Not in here: the rules (`session::maintenance`, `session::room`, `heartbeat`), the asking (`upkeep`, `disks`).

use tokio::sync::mpsc;

use super::conduct::Conduct;
use super::disks::Disks;
use super::heartbeat::{self, Heartbeat};
use super::input::Input;
use super::upkeep::Lookout;
use super::{Error, Orders};
use crate::clock;
use crate::journal::{Reading, Sample, Stream};
use crate::runbook::Occasion;
use crate::session::maintenance::{Seen, Upkeep, has_to_be_on};
use crate::session::notice::Notice;
use crate::session::room::{Look, Rooms, spots};
use crate::session::{Event, Session};

/// How often it is tried to write what waits for room.
const STORE_EVERY_MS: i64 = 1_000;

/// Who looks, and what was said of it.
pub struct Aside {
    lookout: Lookout,
    upkeep: Upkeep,
    _disks: Disks,
    rooms: Rooms,
    stored_ms: i64,
    silence_looked_ms: i64,
    pub(super) heartbeat: Heartbeat,
}

impl Aside {
    /// Begins to look.
    pub fn begin(orders: &Orders, inputs: mpsc::UnboundedSender<Input>) -> Aside {
        let spots = spots(&orders.runbook, &orders.base, orders.folder.dir());
        let source = orders.base.join(&orders.runbook.source.file);
        Aside {
            lookout: Lookout::begin(&orders.runbook, &orders.base, inputs.clone()),
            upkeep: Upkeep::default(),
            _disks: Disks::watch(spots, source, inputs),
            rooms: Rooms::default(),
            stored_ms: i64::MIN / 2,
            silence_looked_ms: i64::MIN / 2,
            heartbeat: Heartbeat::default(),
        }
    }

    /// What the session's state asks to be looked at now.
    pub fn heed(&self, session: &Session) {
        self.lookout.heed(has_to_be_on(session));
    }
}

impl Conduct {
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
        let running: Vec<_> = self.ledger.session().running().collect();
        let rows: Vec<String> = running.iter().map(|row| row.id.clone()).collect();
        let waits = match rows.is_empty() {
            true => Vec::new(),
            false => heartbeat::look(clock::now_ms()),
        };
        for (row, text) in self.aside.heartbeat.looked(&rows, &waits, now_ms) {
            let attempt = running
                .iter()
                .find(|r| r.id == row)
                .map_or(1, |r| r.attempt);
            self.notes
                .output(&row, attempt, Stream::Step, now_ms, &text);
        }
    }

    /// Takes in whether instances are in maintenance.
    pub(super) fn upkeep(&mut self, seen: &[Seen]) -> Result<(), Error> {
        let (now_ms, monitor) = (self.ledger.clock.now_ms(), self.watch.monitor());
        let coming_up = |place: &str| monitor.is_coming_up(place);
        let session = self.ledger.session();
        let told = self.aside.upkeep.looked(session, seen, &coming_up, now_ms);
        for told in told {
            let text = match told.act.is_empty() {
                true => told.text.clone(),
                false => format!("{}. {}", told.text, told.act),
            };
            self.append(vec![Event::alarm(text)])?;
            if !told.act.is_empty() {
                self.notifier.tell(&Notice {
                    occasion: Occasion::Freeze,
                    text: format!("{}.", told.text),
                    act: format!("{}.", told.act),
                    roles: Vec::new(),
                });
            }
        }
        Ok(())
    }

    /// Takes in how much room there is.
    pub(super) fn disks(&mut self, looks: &[Look], source_bytes: u64) -> Result<(), Error> {
        let at_ms = self.ledger.clock.now_ms();
        for look in looks {
            self.notes.sample(Sample {
                signal: look.spot.signal(),
                at_ms,
                reading: match &look.free_bytes {
                    Ok(free) => Reading::of(*free as f64),
                    Err(why) => Reading::NoData(why.clone()),
                },
                n: None,
            });
        }
        let session = self.ledger.session();
        let told = self.aside.rooms.looked(session, looks, source_bytes);
        for text in told {
            self.append(vec![Event::alarm(text)])?;
        }
        Ok(())
    }
}
