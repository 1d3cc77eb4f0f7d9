//! The state and its journal, kept together: what is appended is folded in, and nothing is folded in that was not appended. Not
//! in here: deciding what to append.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::outside::Moment;
use crate::history;
use crate::journal::{self, Entry, Journal};
use crate::session::{Event, Recorded, Session, unrecorded};

/// Where a ledger keeps its events: the journal, and in tests whatever behaves like it.
pub trait Book {
    /// Asks `decide` for entries inside the transaction that appends them; all are kept, or none.
    ///
    /// # Errors
    /// Outer: they could not be kept. Inner: `decide` refused.
    fn append_with<E>(
        &mut self,
        at_ms: i64,
        wall: DateTime<Utc>,
        decide: impl FnOnce() -> Result<Vec<(String, Value)>, E>,
    ) -> Result<Result<Vec<Entry>, E>, journal::Error>;

    /// Writes what waits for room, if there is room now. Gives whether nothing waits.
    ///
    /// # Errors
    /// It cannot be written, and this engine must end.
    fn store_if_room(&mut self) -> Result<bool, journal::Error>;

    /// Whether everything is where it outlives this process.
    fn is_kept(&self) -> bool;

    /// How many events wait for room.
    fn unstored(&self) -> usize;
}

impl Book for Journal {
    fn append_with<E>(
        &mut self,
        at_ms: i64,
        wall: DateTime<Utc>,
        decide: impl FnOnce() -> Result<Vec<(String, Value)>, E>,
    ) -> Result<Result<Vec<Entry>, E>, journal::Error> {
        Journal::append_with(self, at_ms, wall, |_| decide())
    }

    fn store_if_room(&mut self) -> Result<bool, journal::Error> {
        Journal::store_if_room(self)
    }

    fn is_kept(&self) -> bool {
        Journal::is_kept(self)
    }

    fn unstored(&self) -> usize {
        Journal::unstored(self)
    }
}

/// A session and the journal that it is the fold of.
pub struct Ledger<B: Book = Journal> {
    book: B,
    session: Session,
}

impl Ledger {
    /// The ledger over a journal that is already open and folded.
    pub fn new(mut journal: Journal, session: Session) -> Ledger {
        journal.keep_readable(reads);
        Ledger::over(journal, session)
    }

    /// Head of the chain, in hex.
    pub fn head(&self) -> String {
        self.book.head().hash.to_string()
    }

    /// Ends the journal of a session that is over.
    pub fn finish(self) -> Result<(), journal::Error> {
        self.book.finish()
    }
}

impl<B: Book> Ledger<B> {
    /// The ledger over any book; `session` is what its entries come to.
    pub fn over(book: B, session: Session) -> Ledger<B> {
        Ledger { book, session }
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Asks a rule for events inside the transaction that appends them; then folds them in. Returns them as recorded.
    ///
    /// # Errors
    /// Outer: the journal cannot be written, and this engine must end. Inner: the rule refused, and nothing was written.
    pub fn append_with<R>(
        &mut self,
        now: Moment,
        rule: impl FnOnce(&Session) -> Result<Vec<Event>, R>,
    ) -> Result<Result<Vec<Recorded>, R>, journal::Error> {
        let at_ms = now.at_ms.max(self.session.at_ms);
        let session = &self.session;
        let entries = match self.book.append_with(at_ms, now.wall, || {
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
    pub fn append(
        &mut self,
        now: Moment,
        events: Vec<Event>,
    ) -> Result<Vec<Recorded>, journal::Error> {
        match self.append_with(now, |_| Ok::<_, std::convert::Infallible>(events))? {
            Ok(recorded) => Ok(recorded),
            Err(never) => match never {},
        }
    }

    /// Writes what waits for room, if there is room now. Gives whether nothing waits.
    ///
    /// # Errors
    /// The journal cannot be written, and this engine must end.
    pub fn store_if_room(&mut self) -> Result<bool, journal::Error> {
        self.book.store_if_room()
    }

    /// Whether everything is in the journal or on the spare folder, so that this engine may end.
    pub fn is_kept(&self) -> bool {
        self.book.is_kept()
    }

    /// How many events the journal's file lacks.
    pub fn unstored(&self) -> usize {
        self.book.unstored()
    }
}

/// An event as the journal keeps it: its kind, and the rest.
pub fn to_entry(event: &Event) -> (String, Value) {
    event.parts()
}

/// The same, read back before anybody relies on it: what is chained and not understood could never be folded in.
fn written(event: &Event) -> (String, Value) {
    let (kind, body) = to_entry(event);
    assert!(
        reads(&kind, &body),
        "BUG: an event `{kind}` cannot be read back"
    );
    (kind, body)
}

/// Whether an entry may be acted on while it is in memory alone.
pub fn may_wait(kind: &str, body: &Value) -> bool {
    Recorded::read(0, 0, DateTime::UNIX_EPOCH, kind, body.clone())
        .is_ok_and(|recorded| unrecorded::may_wait(&recorded.event))
}

/// Whether an entry is an event.
pub fn reads(kind: &str, body: &Value) -> bool {
    Recorded::read(0, 0, DateTime::UNIX_EPOCH, kind, body.clone()).is_ok()
}
