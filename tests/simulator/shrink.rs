//! What is left of a night that breaks a promise: the fewest deeds that still break it, as a file to replay, and what was recorded, as a
//! scenario in the language of the rules.
//!
//! Not in here: playing it (`play`).

use std::path::{Path, PathBuf};

use cutover::session::facts::Confirmed;
use cutover::session::{Event, Found, Outcome, Recorded, RollbackCause};

use super::play::night;
use super::script::{Sabotage, Script};
use super::world::Breach;

/// Rules that are about recorded events alone: what breaks them, the pure rules may be to blame for.
const OF_RULES: [&str; 2] = ["fired", "switch"];

/// Drops deeds as long as the same rule is broken.
pub fn smaller(script: &Script, breach: &Breach, sabotage: Option<Sabotage>) -> (Script, Breach) {
    let (mut script, mut breach) = (script.clone(), breach.clone());
    let mut at = 0;
    while at < script.deeds.len() {
        let mut fewer = script.clone();
        fewer.deeds.remove(at);
        match night(&fewer, sabotage).end {
            Err(still) if still.rule == breach.rule => (script, breach) = (fewer, still),
            _ => at += 1,
        }
    }
    (script, breach)
}

/// Leaves the night where it can be replayed; gives where.
pub fn keep(script: &Script, breach: &Breach) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("{}.deeds", script.seed));
    let text = format!("# {}: {}\n{}", breach.rule, breach.what, script.text());
    std::fs::write(&path, text).expect("a file");
    if OF_RULES.contains(&breach.rule) {
        let recorded = night(script, None).recorded;
        let path = folder.join(format!("{}.scenario", script.seed));
        let text = format!(
            "# {}: {}\n{}",
            breach.rule,
            breach.what,
            scenario(&recorded)
        );
        std::fs::write(path, text).expect("a file");
    }
    path
}

/// What was recorded, as lines of `tests/session/*.scenario`. What is due by itself is asked for, not told.
pub fn scenario(recorded: &[Recorded]) -> String {
    let mut text = String::new();
    let mut at_ms = 0;
    for one in recorded {
        let Some(line) = line(&one.event) else {
            continue;
        };
        // The simulator's clock runs sixty times as fast.
        let passed_s = (one.at_ms - at_ms) * 60 / 1_000;
        if passed_s > 0 {
            text.push_str(&format!("+{passed_s}s\n"));
            at_ms = one.at_ms;
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::RehearsalRecorded { .. } => "rehearsal".to_owned(),
        Event::StepStarted { step, by, .. } => match by {
            Some(by) => format!("{by}: start {step}"),
            None => "due".to_owned(),
        },
        Event::StepConfirmed { step, by, .. } => format!("{by}: confirm {step}"),
        // It follows from the last confirmation.
        Event::StepFinished { outcome, .. }
            if matches!(outcome.fact::<Confirmed>(""), Ok(Some(_))) =>
        {
            return None;
        }
        Event::StepFinished { step, outcome, .. } => format!("step {step} {}", ended(outcome)),
        Event::StepLost { step, .. } => format!("lost {step}"),
        Event::StepFoundOut { step, found, by } => found_line(step, found, by.as_deref()),
        Event::StepSkipped { step, by, reason } => format!("{by}: skip {step} {reason}"),
        Event::GateSigned { gate, signature } => {
            format!("{}: sign {gate} as {}", signature.by, signature.role.key())
        }
        Event::SignatureWithdrawn { gate, role, by } => {
            format!("{by}: withdraw {gate} as {}", role.key())
        }
        Event::SessionHeld { by, reason } => format!("{by}: hold {reason}"),
        Event::SessionResumed { by } => format!("{by}: resume"),
        Event::FreezeExtended { by, .. } => format!("{by}: extend 10m"),
        Event::DriftFound { detail } => format!("drift {detail}"),
        Event::WrittenAfterSwitch { detail } => format!("written {detail}"),
        Event::TriggerFired { trigger, reason } => format!("trigger {trigger} fired {reason}"),
        Event::RollbackStarted { cause, reason } => match cause {
            RollbackCause::Person { by } => format!("{by}: roll back \"tonight\" {reason}"),
            RollbackCause::Trigger { .. } => "due".to_owned(),
        },
        Event::RollbackRowStarted { .. }
        | Event::RolledBack { .. }
        | Event::FreezeOverran { .. } => "due".to_owned(),
        Event::RollbackRowFinished { row, outcome } => {
            format!("row {row} {}", if outcome.ok { "ok" } else { "failed" })
        }
        Event::SessionCompleted { by } => format!("{by}: complete"),
        Event::NoteWritten { by, text } => format!("{by}: note {text}"),
        Event::SessionOpened { .. }
        | Event::EngineStarted { .. }
        | Event::SourceSeen { .. }
        | Event::DiscardAgreed { .. }
        | Event::UndoRecorded { .. }
        | Event::SignatureVoided { .. }
        | Event::DeputyActed { .. }
        | Event::TriggerMoved { .. }
        | Event::RollbackRetried { .. }
        | Event::CorrectionRecorded { .. }
        | Event::SessionClosed { .. }
        | Event::MembershipChanged { .. }
        | Event::AlarmRaised { .. } => return None,
    })
}

fn ended(outcome: &Outcome) -> String {
    let red = outcome.checks.iter().find(|c| !c.ok);
    match (outcome.ok, red, outcome.passing) {
        (true, ..) => format!("ok {}", outcome.summary),
        (false, _, true) => format!("passing {}", outcome.summary),
        (false, Some(check), false) => format!("failed {} {}", check.name, check.detail),
        (false, None, false) => format!("failed - {}", outcome.summary),
    }
}

fn found_line(step: &str, found: &Found, by: Option<&str>) -> String {
    match (by, found) {
        (Some(by), Found::Done { .. }) => format!("{by}: decide {step} done because"),
        (Some(by), _) => format!("{by}: decide {step} again because"),
        (None, Found::Done { outcome }) => match outcome.checks.iter().find(|c| !c.ok) {
            Some(check) => format!("found {step} bad {} {}", check.name, check.detail),
            None => format!("found {step} done {}", outcome.summary),
        },
        (None, Found::RunAgain { detail }) => format!("found {step} again {detail}"),
        (None, Found::AskPerson { detail }) => format!("found {step} ask {detail}"),
    }
}
