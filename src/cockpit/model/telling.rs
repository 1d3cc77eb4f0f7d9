//! Events in words: one line each, with what it means for the bridge. Not in here: colours, and all of an event (`whole`).

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};

use crate::cockpit::theme::Meaning;
use crate::session::event::{left_to_do, written};
use crate::session::membership::{self, Change};
use crate::session::{Charter, Event, Found, Outcome, Recorded, RollbackCause, TriggerPhase};

/// An event in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its number in the journal.
    pub seq: u64,
    /// Session time.
    pub at_ms: i64,
    /// Wall clock.
    pub wall: DateTime<Utc>,
    pub meaning: Meaning,
    /// A sign for how it matters, one column wide.
    pub glyph: &'static str,
    /// The line. Holds foreign text.
    pub text: String,
    /// The event itself.
    pub entry: Arc<Recorded>,
    /// What is searched, once anybody searches: line and kind, in lower case.
    searched: OnceLock<String>,
}

impl Told {
    /// Whether every word of a filter, in lower case, is in the line or in the event's kind.
    pub fn has(&self, words: &[String]) -> bool {
        words.iter().all(|word| self.searched().contains(word))
    }

    fn searched(&self) -> &str {
        self.searched.get_or_init(|| {
            let (kind, _) = self.entry.event.parts();
            format!("{} {kind}", self.text).to_lowercase()
        })
    }
}

/// An event in words.
pub fn tell(recorded: &Recorded, charter: &Charter) -> Told {
    let (glyph, meaning, text) = words(&recorded.event, charter);
    Told {
        searched: OnceLock::new(),
        entry: Arc::new(recorded.clone()),
        seq: recorded.seq,
        at_ms: recorded.at_ms,
        wall: recorded.wall,
        meaning,
        glyph,
        text,
    }
}

type Words = (&'static str, Meaning, String);

fn words(event: &Event, charter: &Charter) -> Words {
    // Where the plain log says just the same.
    let said = || crate::session::words::words(event).unwrap_or_default();
    match event {
        Event::SessionOpened { charter } => plain(format!("session {} opened", charter.session)),
        Event::EngineStarted { pid, version, .. } => {
            plain(format!("engine {version} started (process {pid})"))
        }
        Event::SourceSeen { .. } => quiet(said()),
        Event::RehearsalRecorded { .. } | Event::DeputyActed { .. } => plain(said()),
        Event::UndoRecorded { step, undo } => quiet(format!(
            "{step} wrote down how to undo: {}",
            undo_words(undo)
        )),
        Event::GateSigned { gate, signature } => good(format!(
            "{} signed {gate} as {}{}",
            signature.by,
            signature.role.title(),
            signature
                .note
                .as_ref()
                .map_or_else(String::new, |n| format!(": {n}"))
        )),
        Event::SignatureWithdrawn { gate, role, by } => {
            wary(format!("{by} withdrew {gate} as {}", role.title()))
        }
        Event::SignatureVoided {
            gate,
            role,
            by,
            why,
        } => bad(format!(
            "{gate} is not signed by {by} as {}: {why}",
            role.title()
        )),
        Event::SessionHeld { by, reason } => wary(format!("{by} holds: {reason}")),
        Event::SessionResumed { by } => plain(format!("{by} resumed")),
        Event::FreezeExtended { by, by_ms } => plain(format!(
            "{by} extended the freeze by {} min",
            by_ms / 60_000
        )),
        Event::FreezeOverran { .. } => bad(said()),
        Event::DriftFound { detail } => bad(format!("DRIFT: {detail}")),
        Event::WrittenAfterSwitch { detail } => bad(written(detail)),
        Event::NoteWritten { .. } => ("»", Meaning::Accent, said()),
        Event::CorrectionRecorded { by, what, .. } => {
            good(format!("{by} recorded what was corrected: {what}"))
        }
        Event::SessionClosed {
            by,
            found,
            stays_open: true,
        } => wary(format!(
            "{by} looked at what is left, and the session is not closed: {}",
            found.join("; ")
        )),
        Event::SessionClosed { by, found, .. } if left_to_do(found) > 0 => {
            wary(format!("{by} closed the session: {}", found.join("; ")))
        }
        Event::SessionClosed { by, found, .. } => {
            good(format!("{by} closed the session: {}", found.join("; ")))
        }
        Event::DiscardAgreed { step, by, rows } => wary(format!(
            "{by} lets {step} delete rows that SQLite does not have: {}",
            crate::session::discard::words(rows)
        )),
        Event::RollbackRetried { by, rows } => {
            wary(format!("{by} has {} run again", rows.join(", ")))
        }
        Event::MembershipChanged { changes } if changes.iter().any(Change::is_wary) => {
            wary(membership::words(changes))
        }
        Event::MembershipChanged { changes } => plain(membership::words(changes)),
        Event::AlarmRaised { text, .. } => bad(text.clone()),
        Event::SessionCompleted { by } => good(format!("{by} completed the release")),
        Event::StepStarted { step, attempt, by } => started(step, *attempt, by.as_deref(), charter),
        Event::StepConfirmed { step, role, by } => {
            good(format!("{by} confirmed {step} as {}", role.title()))
        }
        Event::StepFinished {
            step: id, outcome, ..
        }
        | Event::RollbackRowFinished { row: id, outcome } => ended(id, outcome),
        Event::StepLost { step, .. } => (
            "?",
            Meaning::Unknown,
            format!("{step} was interrupted: how far it came is not known yet"),
        ),
        Event::StepFoundOut { step, found, by } => found_words(step, found, by.as_deref()),
        Event::StepSkipped { step, by, reason } => wary(format!("{by} skipped {step}: {reason}")),
        Event::TriggerMoved {
            trigger,
            state,
            reason,
        } => moved(trigger, *state, reason),
        Event::TriggerFired { trigger, reason } => moved(trigger, TriggerPhase::Fired, reason),
        Event::RollbackStarted { cause, reason } => {
            let (RollbackCause::Person { by } | RollbackCause::Trigger { trigger: by }) = cause;
            bad(format!("ROLLBACK began ({by}): {reason}"))
        }
        Event::RollbackRowStarted { row } => ("▸", Meaning::Running, format!("{row} started")),
        Event::RolledBack { healthy: true } => good("rolled back: SQLite serves again".into()),
        Event::RolledBack { healthy: false } => bad("rolled back, and NOT healthy".into()),
    }
}

fn started(step: &str, attempt: u32, by: Option<&str>, charter: &Charter) -> Words {
    let title = charter
        .step_index(step)
        .map_or("", |i| &charter.steps[i].title);
    let again = match attempt {
        0 | 1 => String::new(),
        again => format!(", attempt {again}"),
    };
    let by = by.map_or_else(String::new, |b| format!(" by {b}"));
    let text = format!("{step} started{by}{again}: {title}");
    ("▸", Meaning::Running, text)
}

fn ended(id: &str, outcome: &Outcome) -> Words {
    match outcome.ok {
        true => good(format!("{id} done: {}", outcome.summary)),
        false => bad(format!("{id} FAILED: {}", outcome.summary)),
    }
}

fn found_words(step: &str, found: &Found, by: Option<&str>) -> Words {
    let by = by.map_or_else(String::new, |b| format!(" ({b})"));
    match found {
        Found::Done { outcome } => good(format!("{step} had been done{by}: {}", outcome.summary)),
        Found::RunAgain { detail } => plain(format!("{step} may run again{by}: {detail}")),
        Found::AskPerson { detail } => (
            "?",
            Meaning::Unknown,
            format!("{step}: a person must decide: {detail}"),
        ),
    }
}

fn moved(trigger: &str, state: TriggerPhase, reason: &str) -> Words {
    match state {
        TriggerPhase::Clear => good(format!("{trigger} clear: {reason}")),
        TriggerPhase::Burning => ("▲", Meaning::Warn, format!("{trigger} burns: {reason}")),
        TriggerPhase::Blind => {
            let text = format!("{trigger} is blind: {reason}");
            ("?", Meaning::Unknown, text)
        }
        TriggerPhase::Fired => bad(format!("{trigger} FIRED: {reason}")),
    }
}

/// How something is undone, in words.
pub fn undo_words(undo: &crate::session::Undo) -> String {
    use crate::session::Undo;
    match undo {
        Undo::Maintenance => "maintenance off".to_owned(),
        Undo::Fence => "write fence released".to_owned(),
        Undo::Config { instance, path, .. } => {
            format!(
                "former configuration of {instance} back ({})",
                path.display()
            )
        }
        Undo::SwitchAction => "switch run backwards".to_owned(),
        Undo::Restart { instance } => format!("{instance} restarted"),
        Undo::Command => "the operator's own undo".to_owned(),
        Undo::TargetGrants { former } => {
            let tables = crate::format::counted(former.len() as u64, "table");
            format!("PostgreSQL's write rights on {tables} given back by `cutover close`")
        }
    }
}

fn plain(text: String) -> Words {
    ("·", Meaning::Text, text)
}

fn quiet(text: String) -> Words {
    ("·", Meaning::Muted, text)
}

fn good(text: String) -> Words {
    ("✓", Meaning::Ok, text)
}

fn wary(text: String) -> Words {
    ("▪", Meaning::Warn, text)
}

fn bad(text: String) -> Words {
    ("✗", Meaning::Danger, text)
}
