//! What may still be written after a session's end: notes, and what was corrected after a rollback. For that moment this process is
//! the session's engine: it holds the lease, and asks the same rule as any other.
//!
//! Nothing is done in here but appending.

use std::time::{Duration, Instant};

use super::lease::{self, Lease};
use super::ledger::Ledger;
use super::outside::Moment;
use super::socket::user_of_this_process;
use super::{Error, LETS_GO_WITHIN, resume};
use crate::clock;
use crate::journal::{Folder, Journal};
use crate::session::roles::Actor;
use crate::session::{Command, Event, Refusal, Session, decide};

const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Records what somebody says of a session that is over. Who they are is the user that this process runs as; in the sandbox alone,
/// `claim` may name somebody else.
///
/// # Errors
/// Outer: an engine runs the session, or its journal cannot be written. Inner: the rule refuses. Nothing was written then.
pub fn amend(
    folder: &Folder,
    claim: Option<&str>,
    command: &Command,
) -> Result<Result<(), Refusal>, Error> {
    let lease = lease_of_the_last_engine(folder)?;
    let (journal, entries) = Journal::open(folder, lease.fencing())?;
    let session = resume::fold(folder, &entries)?;
    let now = Moment {
        at_ms: resume::session_clock(&session, &entries).now_ms(),
        wall: clock::wall(),
    };
    let mut ledger = Ledger::new(journal, session);
    let user = user_of_this_process();
    let answered = ledger.append_with(now, |session| answer(session, &user, claim, command))?;
    ledger.finish()?;
    lease.release()?;
    Ok(answered.map(drop))
}

/// Whether [`amend`] would record it, as things stand now.
pub fn may_amend(session: &Session, claim: Option<&str>, command: &Command) -> Result<(), Refusal> {
    answer(session, &user_of_this_process(), claim, command).map(drop)
}

fn answer(
    session: &Session,
    user: &str,
    claim: Option<&str>,
    command: &Command,
) -> Result<Vec<Event>, Refusal> {
    let not_here = || Refusal::NotOnBridge {
        user: user.to_owned(),
    };
    let actor = Actor::identify(&session.charter, user, claim).ok_or_else(not_here)?;
    decide(session, &actor, command)
}

/// An engine whose session has just ended is about to let go; it is waited for.
///
/// # Errors
/// It does not let go in time, or the lease cannot be taken.
pub fn lease_of_the_last_engine(folder: &Folder) -> Result<Lease, lease::Error> {
    let deadline = Instant::now() + LETS_GO_WITHIN;
    loop {
        match Lease::take(folder) {
            Err(lease::Error::Held { .. }) if Instant::now() < deadline => {
                std::thread::sleep(BETWEEN_TRIES);
            }
            taken => return taken,
        }
    }
}
