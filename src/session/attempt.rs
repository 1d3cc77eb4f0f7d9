//! Whether the same target may be attempted again after a rollback (R6). Not in here: finding the sessions that came before.

use super::event::{RehearsalEvidence, RollbackCause};
use super::state::{Phase, Session};

/// Why it may not, yet. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// Nobody has said what was corrected.
    #[error(
        "session {session} was rolled back from this target ({cause}), and nobody has recorded what was corrected since. \
         `cutover correct {session} --what \"…\"` does; then rehearse anew"
    )]
    Uncorrected {
        /// The session that was rolled back.
        session: String,
        /// By whom or what, and why.
        cause: String,
    },
    /// The correction has not been rehearsed.
    #[error(
        "session {session} was rolled back from this target; {by} has recorded what was corrected ({what}), and no green rehearsal of \
         this runbook is newer than that. Run `cutover rehearse`"
    )]
    Unrehearsed {
        /// The session that was rolled back.
        session: String,
        /// Who recorded the correction.
        by: String,
        /// What they said.
        what: String,
    },
}

/// Whether `earlier` lets the target that it was on be attempted again, given the newest rehearsal of the runbook.
///
/// A session that ended before it touched the target is a no-go, not a rollback: it asks for nothing.
///
/// # Errors
/// What has to be done first.
pub fn may_follow(
    earlier: &Session,
    target: &str,
    rehearsal: Option<&RehearsalEvidence>,
) -> Result<(), NotYet> {
    let charter = &earlier.charter;
    let rolled_back = earlier.phase == Phase::RolledBack && !earlier.is_no_go();
    if charter.rehearsal || charter.target != target || !rolled_back {
        return Ok(());
    }
    let session = charter.session.clone();
    let Some(correction) = &earlier.correction else {
        return Err(NotYet::Uncorrected {
            session,
            cause: cause(earlier),
        });
    };
    let is_green = |r: &&RehearsalEvidence| r.parts.iter().all(|(_, ok, _)| *ok);
    match rehearsal.filter(is_green) {
        Some(r) if r.ended_unix_s > correction.unix_s => Ok(()),
        _ => Err(NotYet::Unrehearsed {
            session,
            by: correction.by.clone(),
            what: correction.what.clone(),
        }),
    }
}

fn cause(earlier: &Session) -> String {
    let Some(rollback) = &earlier.rollback else {
        return "nobody recorded why".to_owned();
    };
    match &rollback.cause {
        RollbackCause::Person { by } => format!("{by}: {}", rollback.reason),
        RollbackCause::Trigger { trigger } => format!("{trigger}: {}", rollback.reason),
    }
}
