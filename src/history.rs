//! A session as its journal tells of it: entries read as events, and the state they come to. The one way from a session's folder to both.
//! Not in here: what an event does to a session (`session`), and whether the chain of entries holds (`journal`).

use crate::journal::{self, Entry, Folder, Follower, Sample, within_reach};
use crate::session::{Recorded, Session, state::NotASession};
use crate::text::printable;

/// Why a journal tells of no session.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read, or its chain does not hold.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// Its entries are not those of a session.
    #[error(transparent)]
    NotASession(#[from] NotASession),
    /// An entry is of a version that this one does not know.
    #[error("entry {seq} (`{kind}`) of the journal is unknown to this version of cutover: {why}")]
    Unknown {
        seq: u64,
        kind: String,
        /// Why it cannot be read.
        why: String,
    },
}

/// A session's journal, read as events as far as it goes, and on from there as it grows.
pub struct History {
    follower: Follower,
    events: Vec<Recorded>,
}

impl History {
    /// Opens a session's journal to read; no event is read yet.
    pub fn open(folder: &Folder) -> Result<Self, Error> {
        Ok(Self {
            follower: Follower::open(folder)?,
            events: Vec::new(),
        })
    }

    /// Reads what has come since the last time, and gives it back; the first time, everything.
    ///
    /// # Errors
    /// [`Error::Journal`], [`Error::Unknown`]
    pub fn read_on(&mut self) -> Result<&[Recorded], Error> {
        let known = self.events.len();
        self.events.extend(events(&self.follower.poll()?)?);
        Ok(&self.events[known..])
    }

    /// The state that the events come to that were read.
    ///
    /// # Errors
    /// [`Error::NotASession`], also as long as nothing was read.
    pub fn session(&self) -> Result<Session, Error> {
        Ok(Session::replay(&self.events)?)
    }

    /// The events that were read.
    pub fn events(&self) -> &[Recorded] {
        &self.events
    }

    /// What lies beside the events: the board, and whether an engine runs the session.
    pub fn follower(&self) -> &Follower {
        &self.follower
    }

    /// The samples that have come since the last time, some at a time; none where no more are there.
    pub fn samples(&mut self) -> Result<Vec<Sample>, Error> {
        Ok(self.follower.poll_samples()?)
    }
}

/// A whole journal, as far as it goes now, and the state it comes to.
pub fn of(folder: &Folder) -> Result<(History, Session), Error> {
    let mut history = History::open(folder)?;
    history.read_on()?;
    let session = history.session()?;
    Ok((history, session))
}

/// The state that a session's journal comes to now.
pub fn session(folder: &Folder) -> Result<Session, Error> {
    of(folder).map(|(_, session)| session)
}

/// Entries as events.
///
/// # Errors
/// [`Error::Unknown`], for the first that this version does not know.
pub fn events(entries: &[Entry]) -> Result<Vec<Recorded>, Error> {
    let event = |entry: &Entry| {
        let body = entry.body.clone();
        let at_ms = within_reach(entry.at_ms);
        Recorded::read(entry.seq, at_ms, entry.wall, &entry.kind, body).map_err(|why| {
            Error::Unknown {
                seq: entry.seq,
                kind: printable(&entry.kind, 80),
                why: why.to_string(),
            }
        })
    };
    entries.iter().map(event).collect()
}
