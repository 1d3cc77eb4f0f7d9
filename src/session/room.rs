//! Room on the disks that a session writes to: how much each has to have, when one has too little or is another disk than before, and what
//! people are told, once per change. Pure.
//!
//! Not in here: which disks there are (`runbook::disks`), asking the operating system (`sqlite::disk`, `engine::room`), and the reserve that
//! the journal keeps (`journal::reserve`).

use std::collections::BTreeMap;

use super::state::Session;
use crate::format::size;
pub use crate::runbook::disks::{Spot, spots};
use crate::text::printable;

/// Less than this is too little on any disk: SQLite's log, the journal and what steps print grow by less in a night.
pub const LEAST_BYTES: u64 = 64 * MIB;
/// A copy takes the file's size; its log and SQLite's own needs come on top, in hundredths.
const COPY_HUNDREDTHS: u64 = 120;
/// There is room again once there is so much more than what is needed, in hundredths, so that nobody is told twice a minute.
const AGAIN_HUNDREDTHS: u64 = 110;
const MIB: u64 = 1024 * 1024;

/// What was seen of one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub spot: Spot,
    /// What is free, or why nobody can say; foreign text.
    pub free_bytes: Result<u64, String>,
    /// Which disk it is, by the system's number; `None` where nobody can say.
    pub device: Option<u64>,
}

/// How much a spot needs now. Before its copy is made, that copy; afterwards what a night writes by the way.
pub fn needed_bytes(session: &Session, spot: &Spot, source_bytes: u64) -> u64 {
    let step = spot.until.as_ref().and_then(|id| session.step(id));
    match step {
        Some(step) if !step.is_over() => copy_bytes(source_bytes).max(LEAST_BYTES),
        Some(_) | None => LEAST_BYTES,
    }
}

/// Room for a copy of a file of this size.
pub fn copy_bytes(source_bytes: u64) -> u64 {
    (source_bytes / 100).saturating_mul(COPY_HUNDREDTHS)
        + source_bytes % 100 * COPY_HUNDREDTHS / 100
}

/// How a disk stood when it was last told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Enough,
    Little,
    Unknown,
}

/// What was said of each disk.
#[derive(Debug, Clone, Default)]
pub struct Rooms {
    said: BTreeMap<String, Standing>,
    /// The disk that each was on when it was first looked at, and whether it is there now.
    disks: BTreeMap<String, (u64, bool)>,
}

impl Rooms {
    /// What these looks have to tell, each disk once per change. `source_bytes` is the source's size.
    pub fn observe(&mut self, session: &Session, looks: &[Look], source_bytes: u64) -> Vec<String> {
        let told = looks.iter().filter_map(|look| {
            let needed = needed_bytes(session, &look.spot, source_bytes);
            let before = self.said.get(&look.spot.name).copied();
            let before = before.unwrap_or(Standing::Enough);
            let now = match (&look.free_bytes, before) {
                (Err(_), _) => Standing::Unknown,
                (Ok(free), _) if *free < needed => Standing::Little,
                // Little until there is clearly more.
                (Ok(free), Standing::Little) if *free < needed / 100 * AGAIN_HUNDREDTHS => {
                    Standing::Little
                }
                (Ok(_), _) => Standing::Enough,
            };
            self.said.insert(look.spot.name.clone(), now);
            (now != before).then(|| words(look, needed, now))
        });
        let mut told: Vec<String> = told.collect();
        told.extend(looks.iter().filter_map(|look| self.moved(look)));
        told
    }

    /// A place that is on another disk than at first, or on that one again.
    fn moved(&mut self, look: &Look) -> Option<String> {
        let device = look.device?;
        let known = self.disks.entry(look.spot.name.clone());
        let (first, was_there) = known.or_insert((device, true));
        let is_there = device == *first;
        if std::mem::replace(was_there, is_there) == is_there {
            return None;
        }
        let path = printable(&look.spot.path.display().to_string(), 200);
        let (name, what) = (&look.spot.name, look.spot.what);
        Some(match is_there {
            false => format!(
                "{path} ({name}, {what}) is on another disk than before: what was mounted there is not any more, or something else is mounted \
                 over it. What is written there now is not where it was meant to be, and what was written is not to be seen. Look there by hand"
            ),
            true => format!("{path} ({name}) is on its disk again"),
        })
    }
}

fn words(look: &Look, needed: u64, now: Standing) -> String {
    let path = printable(&look.spot.path.display().to_string(), 200);
    let (name, what) = (&look.spot.name, look.spot.what);
    let free = match &look.free_bytes {
        Ok(free) => size(*free),
        Err(why) => printable(why, 200),
    };
    match now {
        Standing::Little => format!(
            "little room on the disk of {path} ({name}, {what}): {free} free, {} needed. Free some space there; what is under way goes on",
            size(needed)
        ),
        Standing::Enough => {
            format!("there is room again on the disk of {path} ({name}): {free} free")
        }
        Standing::Unknown => format!(
            "how much room there is on the disk of {path} ({name}, {what}) is not known: {free}. Look there by hand"
        ),
    }
}
