//! Whether maintenance is still on while writes are to be frozen: when it is looked at, and what people are told of what was seen, once
//! per change. Pure.
//!
//! What was seen is one of three: it is on, it is off, or nobody can say. Not in here: asking (`engine::upkeep`), and the write fence on
//! the SQLite file, which holds whatever the application says.

use std::collections::BTreeMap;

use super::charter::LineKind;
use super::event::Undo;
use super::state::{Phase, Session, StepStatus};
use crate::text::printable;

/// How long an instance that is not being restarted may give no answer before people are told, in real milliseconds.
pub const SILENT_MS: i64 = 10_000;
/// Characters of what an instance, or the operating system, said.
const HOW_CHARS: usize = 240;

/// What was seen at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Writes are refused.
    On,
    /// Writes are let in.
    Off,
    /// It could not be asked, or what it said means neither.
    Unknown,
}

/// One place, looked at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// An instance's id, or the file that switches maintenance.
    pub place: String,
    pub sight: Sight,
    /// By what, or why nothing was; foreign text.
    pub how: String,
}

/// What people are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What is so, harmless.
    pub text: String,
    /// What to do; empty where nothing has to be done.
    pub act: String,
}

/// Whether maintenance has to be on now: from the end of the step that switches it on until the one that lifts it begins. A step that was
/// tried and failed may have lifted it in part; a rollback fences both databases' writers by itself.
pub fn has_to_be_on(session: &Session) -> bool {
    let status_of = |kind| session.step_of_kind(kind).map(|step| step.status);
    let frozen = status_of(&LineKind::Freeze) == Some(StepStatus::Done);
    let reopening = session.step_of_kind(&LineKind::Reopen);
    session.phase == Phase::Open && frozen && reopening.is_none_or(|step| step.attempt == 0)
}

/// Whether the step at work has restarted this place: E3 of a rehearsal, whose restart begins no start-up grace, and which waits for
/// `ready_within` itself.
fn is_restarted_by_the_step(session: &Session, place: &str) -> bool {
    let Some(step) = session.current_step().filter(|_| session.charter.rehearsal) else {
        return false;
    };
    session.undos.iter().any(|(of, undo)| {
        *of == step.id && matches!(undo, Undo::Restart { instance } if instance == place)
    })
}

/// What was said of each place, so that nothing is said twice.
#[derive(Debug, Clone, Default)]
pub struct Upkeep {
    said: BTreeMap<String, Sight>,
    /// Since when a place has been silent.
    silent: BTreeMap<String, i64>,
}

impl Upkeep {
    /// What these looks have to tell. `restarting` says of which places one of our own steps interrupts the answers just now.
    pub fn observe(
        &mut self,
        session: &Session,
        seen: &[Seen],
        restarting: &dyn Fn(&str) -> bool,
        at_ms: i64,
    ) -> Vec<Told> {
        if !has_to_be_on(session) {
            *self = Upkeep::default();
            return Vec::new();
        }
        let told = seen.iter().filter_map(|seen| {
            let before = self.said.get(&seen.place).copied().unwrap_or(Sight::On);
            if seen.sight == Sight::Unknown {
                let is_restarting =
                    restarting(&seen.place) || is_restarted_by_the_step(session, &seen.place);
                let since_ms = *self.silent.entry(seen.place.clone()).or_insert(at_ms);
                if is_restarting {
                    self.silent.insert(seen.place.clone(), at_ms);
                }
                if is_restarting || at_ms - since_ms < SILENT_MS {
                    return None;
                }
            } else {
                self.silent.remove(&seen.place);
            }
            self.said.insert(seen.place.clone(), seen.sight);
            (before != seen.sight).then(|| words(session, seen))
        });
        told.collect()
    }
}

fn words(session: &Session, seen: &Seen) -> Told {
    let (place, how) = (&seen.place, printable(&seen.how, HOW_CHARS));
    let name = &session.charter.session;
    let (text, act) = match seen.sight {
        Sight::On => (
            format!("{place} is in maintenance again ({how})"),
            String::new(),
        ),
        Sight::Off => {
            let writes = match session.switched_ms() {
                None => "SQLite is fenced, so that its writes fail, and users see errors",
                Some(_) => {
                    "where it serves from PostgreSQL, users write there before the release is verified"
                }
            };
            (
                format!(
                    "{place} is NOT in maintenance, though writes are stopped until they are reopened ({how}): {writes}"
                ),
                format!(
                    "Switch maintenance on there by hand, as the freeze did it; `cutover rollback {name}` ends the night"
                ),
            )
        }
        Sight::Unknown => (
            format!("whether {place} is in maintenance is not known ({how})"),
            "Look there by hand: nobody else sees whether it lets writes in".to_owned(),
        ),
    };
    Told { text, act }
}
