//! The state and its journal, kept together: what is appended is folded in, and nothing is folded in that was not appended. Not
//! in here: deciding what to append.

use chrono::DateTime;

use crate::clock;
use crate::history;
use crate::journal::{self, Journal};
use crate::session::{Event, Recorded, Session, unrecorded};
use crate::step::context::SessionClock;

/// A session and the journal that it is the fold of.
pub struct Ledger {
    journal: Journal,
    session: Session,
    /// The session's clock.
    pub clock: SessionClock,
}

impl Ledger {
    /// The ledger over a journal that is already open and folded.
    pub fn new(mut journal: Journal, session: Session, clock: SessionClock) -> Ledger {
        journal.keep_readable(reads);
        Ledger {
            journal,
            session,
            clock,
        }
    }

    /// The state.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Asks a rule for events inside the transaction that appends them; then folds them in. Returns them as recorded.
    ///
    /// # Errors
    /// Outer: the journal cannot be written, and this engine must end. Inner: the rule refused, and nothing was written.
    pub fn append_with<R>(
        &mut self,
        rule: impl FnOnce(&Session) -> Result<Vec<Event>, R>,
    ) -> Result<Result<Vec<Recorded>, R>, journal::Error> {
        let at_ms = self.clock.now_ms().max(self.session.at_ms);
        let session = &self.session;
        let entries = match self.journal.append_with(at_ms, clock::wall(), |_| {
            rule(session).map(|events| events.iter().map(written).collect())
        })? {
            Ok(entries) => entries,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let recorded = history::events(&entries).expect("BUG: what was written was read before");
        recorded.iter().for_each(|r| self.session.apply(r));
        Ok(Ok(recorded))
    }

    /// Appends events that are facts, not requests.
    ///
    /// # Errors
    /// The journal cannot be written, and this engine must end.
    pub fn append(&mut self, events: Vec<Event>) -> Result<Vec<Recorded>, journal::Error> {
        match self.append_with(|_| Ok::<_, std::convert::Infallible>(events))? {
            Ok(recorded) => Ok(recorded),
            Err(never) => match never {},
        }
    }

    /// Writes what waits for room, if there is room now. Gives whether nothing waits.
    ///
    /// # Errors
    /// The journal cannot be written, and this engine must end.
    pub fn store_if_room(&mut self) -> Result<bool, journal::Error> {
        self.journal.store_if_room()
    }

    /// Whether everything is in the journal or on the spare folder, so that this engine may end.
    pub fn is_kept(&self) -> bool {
        self.journal.is_kept()
    }

    /// How many events the journal's file lacks.
    pub fn unstored(&self) -> usize {
        self.journal.unstored()
    }

    /// Head of the chain, in hex.
    pub fn head(&self) -> String {
        self.journal.head().hash.to_string()
    }

    /// Ends the journal of a session that is over.
    ///
    /// # Errors
    /// The disk does not confirm it.
    pub fn finish(self) -> Result<(), journal::Error> {
        self.journal.finish()
    }
}

/// An event as the journal keeps it: its kind, and the rest.
pub fn to_entry(event: &Event) -> (String, serde_json::Value) {
    event.parts()
}

/// The same, read back before anybody relies on it: what is chained and not understood could never be folded in.
fn written(event: &Event) -> (String, serde_json::Value) {
    let (kind, body) = to_entry(event);
    assert!(
        reads(&kind, &body),
        "BUG: an event `{kind}` cannot be read back"
    );
    (kind, body)
}

/// Whether an entry may be acted on while it is in memory alone.
pub fn may_wait(kind: &str, body: &serde_json::Value) -> bool {
    Recorded::read(0, 0, DateTime::UNIX_EPOCH, kind, body.clone())
        .is_ok_and(|recorded| unrecorded::may_wait(&recorded.event))
}

/// Whether an entry is an event.
pub fn reads(kind: &str, body: &serde_json::Value) -> bool {
    Recorded::read(0, 0, DateTime::UNIX_EPOCH, kind, body.clone()).is_ok()
}
