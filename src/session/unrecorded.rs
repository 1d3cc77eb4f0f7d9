//! Which events may be acted on while the session's disk is full and they are in memory alone: what a rollback needs, and facts that are
//! found out again where they are lost. Pure.
//!
//! Not in here: where they are kept meanwhile (`journal::spare`).

use super::event::Event;

/// Whether it may wait for its record. What lets a step begin, says how to undo it, or is a person's word may not: an engine that dies
/// would forget it, and the next one would do otherwise.
pub fn may_wait(event: &Event) -> bool {
    match event {
        // The rollback's rows find out themselves what they have done, and run again.
        Event::TriggerFired { .. }
        | Event::RollbackStarted { .. }
        | Event::RollbackRowStarted { .. }
        | Event::RollbackRowFinished { .. }
        | Event::RollbackRetried { .. }
        | Event::RolledBack { .. } => true,
        // A step whose end is lost is unknown, and is looked into.
        Event::EngineStarted { .. }
        | Event::SourceSeen { .. }
        | Event::RehearsalRecorded { .. }
        | Event::StepFinished { .. }
        | Event::StepLost { .. }
        | Event::StepFoundOut { .. }
        | Event::SignatureVoided { .. }
        | Event::FreezeOverran { .. }
        | Event::DriftFound { .. }
        | Event::WrittenAfterSwitch { .. }
        | Event::TriggerMoved { .. }
        | Event::MembershipChanged { .. }
        | Event::AlarmRaised { .. } => true,
        // It comes with what the deputy does, which says whether both may wait.
        Event::DeputyActed { .. } => true,
        Event::SessionOpened { .. }
        | Event::StepStarted { .. }
        | Event::DiscardAgreed { .. }
        | Event::StepConfirmed { .. }
        | Event::StepSkipped { .. }
        | Event::UndoRecorded { .. }
        | Event::GateSigned { .. }
        | Event::SignatureWithdrawn { .. }
        | Event::SessionHeld { .. }
        | Event::SessionResumed { .. }
        | Event::FreezeExtended { .. }
        | Event::SessionCompleted { .. }
        | Event::NoteWritten { .. }
        | Event::CorrectionRecorded { .. }
        | Event::SessionClosed { .. } => false,
    }
}
