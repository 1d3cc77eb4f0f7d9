//! What the engine looks at beside its steps and probes: whether maintenance is still on, and how much room there is on every disk. What
//! was seen becomes alarms and samples.
//!
//! Not in here: the rules (`session::maintenance`, `session::room`), the asking (`upkeep`, `disks`).

use tokio::sync::mpsc;

use super::conduct::Conduct;
use super::disks::Disks;
use super::input::Input;
use super::upkeep::Lookout;
use super::{Error, Orders};
use crate::journal::{Reading, Sample};
use crate::runbook::Occasion;
use crate::session::maintenance::{Seen, Upkeep, has_to_be_on};
use crate::session::notice::Notice;
use crate::session::room::{Look, Rooms, spots};
use crate::session::{Event, Session};

/// Who looks, and what was said of it.
pub struct Aside {
    lookout: Lookout,
    upkeep: Upkeep,
    _disks: Disks,
    rooms: Rooms,
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
        }
    }

    /// What the session's state asks to be looked at now.
    pub fn heed(&self, session: &Session) {
        self.lookout.heed(has_to_be_on(session));
    }
}

impl Conduct {
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
