//! A session that is over: what it is and what can still be done, in one sentence, for every command that comes too late. Not in here:
//! when a session is over (`claim::is_over`).

use crate::claim;
use crate::journal::{Folder, Follower};
use crate::session::attempt::unsalvaged;
use crate::session::{Phase, Session};

/// What a session is that is over, and what can be done; `None` where it is not over, or nothing can be read of it.
pub fn sentence(folder: &Folder) -> Option<String> {
    let session = crate::history::session(folder).ok()?;
    let engine = Follower::open(folder).ok()?.engine().ok()?;
    claim::is_over(&session, engine.is_alive()).then(|| of(&session))
}

/// The sentence for a session that is over.
pub fn of(session: &Session) -> String {
    let name = &session.charter.session;
    if session.charter.rehearsal {
        let (how, then) = match (session.phase, session.is_closed) {
            (Phase::RolledBack | Phase::Completed, _) => ("has ended", ""),
            (Phase::Open | Phase::RollingBack, true) => ("was interrupted, and is closed", ""),
            (Phase::Open | Phase::RollingBack, false) => (
                "was interrupted",
                ", `cutover close` with its name puts its end on record",
            ),
        };
        return format!(
            "{name} is a rehearsal that {how}: it is over, so that nothing of it can be resumed or rolled back; `cutover rehearse` begins a \
             new one{then}"
        );
    }
    match (session.phase, session.is_closed) {
        (Phase::Completed, false) => format!(
            "session {name} is over, its release is complete: there is no way back to SQLite by `cutover` any more; `cutover report` tells of \
             it, `cutover close` looks at what is left"
        ),
        (Phase::Completed, true) => format!(
            "session {name} is over, its release is complete and it is closed: there is no way back to SQLite by `cutover` any more; `cutover \
             report` tells of it"
        ),
        (Phase::RolledBack, true) => format!(
            "session {name} is over, it was rolled back and is closed: nothing is left to resume or roll back; `cutover report` tells of it, \
             `cutover run` opens a new session"
        ),
        (Phase::RolledBack, false) if unsalvaged(session).is_some() => format!(
            "session {name} is over, it was rolled back, and not all that users wrote to PostgreSQL was kept then: once PostgreSQL answers, \
             `cutover salvage make` looks for it and `cutover salvage apply` brings it in. Nothing is left to resume; `cutover retry` runs rows of \
             the rollback that failed, `cutover close` looks at what is left and ends that"
        ),
        (Phase::RolledBack, false) => format!(
            "session {name} is over, it was rolled back: nothing is left to resume; `cutover retry` runs rows of the rollback that failed, \
             `cutover close` looks at what is left, `cutover run` opens a new session"
        ),
        (Phase::Open | Phase::RollingBack, _) => {
            format!("session {name} is not over")
        }
    }
}
