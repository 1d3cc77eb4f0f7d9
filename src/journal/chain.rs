//! Reading the chain and checking every link of it; naming the first place where it does not hold, and how.

use rusqlite::{Connection, Row, params};

use super::canonical::{Hash, Link};
use super::error::Error;
use super::folder::Folder;
use super::head::{self, Head};
use super::record::Entry;
use super::schema;

/// What is wrong with a journal, at the first place where something is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// An entry does not match its hash.
    #[error("event {seq} is not what was written: its time, lease, kind or body has been changed")]
    Content { seq: u64 },
    /// The entry is as it was written; the hash beside it is not.
    #[error("the hash beside event {seq} has been changed; the event itself is as it was written")]
    HashColumn { seq: u64 },
    /// An entry was changed and its hash computed anew: the next one gives it away.
    #[error(
        "event {seq} has been rewritten, hash and all: what follows it does not follow from it"
    )]
    Rewritten { seq: u64 },
    /// An entry lies where another one was written.
    #[error("the order has been changed: where event {seq} belongs lies event {found}")]
    Order {
        seq: u64,
        /// The number under which what lies there was written.
        found: u64,
    },
    #[error("event {seq} is missing, though later ones are there")]
    Missing {
        /// The first number that is missing.
        seq: u64,
    },
    /// An entry with a number that no engine gives.
    #[error("an event numbered {seq} has been put in; events begin with 1")]
    Extra { seq: i64 },
    /// The chain is sound, but the number of its lease falls.
    #[error("event {seq} was written by an engine that had lost its lease")]
    Fencing { seq: u64 },
    /// The newest entries are gone.
    #[error(
        "the newest events are missing: it ends with event {last_seq}, its head outside the file names event {head_seq}"
    )]
    Truncated {
        /// The last entry that is there; 0 for none.
        last_seq: u64,
        /// The one that should be the last.
        head_seq: u64,
    },
    /// There are entries that no engine wrote.
    #[error(
        "events after {head_seq} were not written by an engine: it goes on to event {last_seq}, its head outside the file ends with event {head_seq}"
    )]
    BeyondHead {
        /// The last entry that is there.
        last_seq: u64,
        /// The one that should be the last.
        head_seq: u64,
    },
    /// The chain is sound in itself and is not the one that the head belongs to.
    #[error(
        "event {seq} is not the one that the head outside the file names: the whole chain has been rewritten, or the head has"
    )]
    HeadDiffers {
        /// The entry that the head names.
        seq: u64,
    },
    /// The chain and its head are sound, and are not what the engine of the session's owner wrote.
    #[error(
        "event {seq} is not the one that the engine of the session's owner wrote: somebody who may write the journal's file has rewritten it"
    )]
    SealDiffers {
        /// The entry that the owner's own record names.
        seq: u64,
    },
    /// There are entries and no head.
    #[error("its head outside the file is missing, though there are {last_seq} events")]
    HeadMissing {
        /// The last entry that is there.
        last_seq: u64,
    },
    /// The head file is no head.
    #[error("its head outside the file cannot be read: {why}")]
    HeadUnreadable {
        /// What the parser said.
        why: String,
    },
    /// SQLite cannot read the file, or it is not the file that was opened.
    #[error("{why}")]
    File { why: String },
}

/// A chain that has been checked from its first entry to its head.
#[derive(Debug, Clone)]
pub struct Verified {
    pub entries: Vec<Entry>,
    /// The last one's number and hash.
    pub head: Head,
}

/// Checks the whole chain of a session and its head; needs no engine and works beside one.
///
/// # Errors
/// [`Error::Damaged`] with the first place that does not hold; [`Error::Missing`], [`Error::Newer`] and [`Error::NotAJournal`] for
/// files that are not ours to judge.
pub fn verify(folder: &Folder) -> Result<Verified, Error> {
    verify_with(&schema::open_to_read(folder)?.conn, folder)
}

/// How often a check starts over because an engine wrote meanwhile.
const PATIENCE: u32 = 20;

/// [`verify`] on a connection that is open already.
///
/// File and head cannot be read in one moment. Where the head is the same before and after, nothing was settled between, and the file
/// must end with it exactly. Where an engine keeps writing, the file must at least hold the head that was read first.
pub(super) fn verify_with(conn: &Connection, folder: &Folder) -> Result<Verified, Error> {
    let damaged = |damage| Error::Damaged {
        path: folder.journal_path(),
        damage,
    };
    for attempt in 1.. {
        // Before the entries: what it names is among them.
        let seal = head::read_seal(folder)?;
        let before = head::read(folder)?;
        let mut chain = Chain::default();
        let entries = chain.read_on(conn, folder)?;
        let after = head::read(folder)?;
        let last = attempt == PATIENCE;
        if before != after && !last {
            continue;
        }
        let Some(file) = before else {
            if entries.is_empty() || last {
                return Ok(Verified {
                    entries,
                    head: chain.tail,
                });
            }
            return Err(damaged(Damage::HeadMissing {
                last_seq: chain.tail.seq,
            }));
        };
        let at_head = hash_at(&entries, file.head.seq);
        let end = match before == after {
            true => chain.tail,
            false => Head {
                seq: chain.tail.seq.min(file.head.seq),
                ..file.head
            },
        };
        file.check(end, at_head).map_err(damaged)?;
        if let Some(seal) = seal {
            let at_seal = hash_at(&entries, seal.head.seq);
            seal.check_begins(chain.tail, at_seal).map_err(damaged)?;
        }
        return Ok(Verified {
            entries,
            head: chain.tail,
        });
    }
    unreachable!("BUG: the last attempt returns")
}

fn hash_at(entries: &[Entry], seq: u64) -> Option<Hash> {
    match seq.checked_sub(1) {
        None => Some(Hash::ZERO),
        Some(index) => entries.get(usize::try_from(index).ok()?).map(|e| e.hash),
    }
}

/// How far a chain has been read and found sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    pub tail: Head,
    fencing: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            tail: Head::EMPTY,
            fencing: 0,
        }
    }
}

impl Chain {
    /// A chain that was read and checked up to `tail`.
    pub fn ending_with(tail: Head, entries: &[Entry]) -> Self {
        Self {
            tail,
            fencing: entries.last().map_or(0, |e| e.fencing),
        }
    }

    /// Every entry after the tail, each checked; the tail moves on to the last one.
    pub fn read_on(&mut self, conn: &Connection, folder: &Folder) -> Result<Vec<Entry>, Error> {
        let path = folder.journal_path();
        let failed = || Error::sqlite("read", &path);
        let damaged = |damage| Error::Damaged {
            path: path.clone(),
            damage,
        };
        // From the beginning without a lower bound, so that numbers below 1 show.
        let after = match self.tail.seq {
            0 => i64::MIN,
            seq => seq.cast_signed(),
        };
        let tx = conn.unchecked_transaction().map_err(failed())?;
        let mut statement = tx
            .prepare_cached(
                "SELECT seq, fencing, at_ms, wall, kind, body, previous, hash FROM entries WHERE seq > ?1 ORDER BY seq",
            )
            .map_err(failed())?;
        let mut rows = statement.query(params![after]).map_err(failed())?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next().map_err(failed())? {
            let stored = match Stored::read(row) {
                Ok(stored) => stored,
                Err(ReadFailure::Sqlite(e)) => return Err(failed()(e)),
                Err(ReadFailure::Odd(damage)) => return Err(damaged(damage)),
            };
            match self.accept(&stored) {
                Ok(entry) => entries.push(entry),
                Err(damage) => {
                    let damage = self.look_closer(&tx, &stored, damage).map_err(failed())?;
                    return Err(damaged(damage));
                }
            }
        }
        Ok(entries)
    }

    /// Whether the entry is the next link.
    pub fn accept(&mut self, stored: &Stored) -> Result<Entry, Damage> {
        let seq = self.tail.seq + 1;
        if stored.seq > seq {
            return Err(Damage::Missing { seq });
        }
        if stored.link(stored.previous, stored.seq).hash() != stored.hash {
            return Err(Damage::Content { seq });
        }
        if stored.previous != self.tail.hash {
            return Err(Damage::Rewritten {
                seq: self.tail.seq.max(1),
            });
        }
        if stored.fencing < self.fencing {
            return Err(Damage::Fencing { seq });
        }
        let entry = stored.entry().ok_or(Damage::Content { seq })?;
        self.tail = Head {
            seq,
            hash: stored.hash,
        };
        self.fencing = stored.fencing;
        Ok(entry)
    }

    /// Tells apart what a hash alone cannot: a changed entry, a changed hash, an entry in another's place.
    fn look_closer(
        &self,
        conn: &Connection,
        stored: &Stored,
        damage: Damage,
    ) -> rusqlite::Result<Damage> {
        let Damage::Content { seq } = damage else {
            return Ok(damage);
        };
        let last: i64 = conn.query_row("SELECT max(seq) FROM entries", [], |row| row.get(0))?;
        let moved = (1..=last.cast_unsigned())
            .find(|&n| stored.link(stored.previous, n).hash() == stored.hash);
        if let Some(found) = moved {
            return Ok(Damage::Order { seq, found });
        }
        let honest = stored.link(self.tail.hash, seq).hash();
        let next: Option<Vec<u8>> = conn
            .query_row(
                "SELECT previous FROM entries WHERE seq = ?1",
                params![(seq + 1).cast_signed()],
                |row| row.get(0),
            )
            .map(Some)
            .or_else(|e| match e {
                rusqlite::Error::QueryReturnedNoRows => Ok(None),
                e => Err(e),
            })?;
        let only_hash = stored.hash == honest || next.as_deref() == Some(honest.as_bytes());
        Ok(if only_hash {
            Damage::HashColumn { seq }
        } else {
            damage
        })
    }
}

/// The end of the chain as the file has it, unchecked.
pub(super) fn stored_tail(conn: &Connection) -> rusqlite::Result<Head> {
    let mut statement =
        conn.prepare_cached("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(Head::EMPTY);
    };
    let hash: Vec<u8> = row.get(1)?;
    Ok(Head {
        seq: row.get::<_, i64>(0)?.cast_unsigned(),
        hash: Hash::from_bytes(&hash).unwrap_or(Hash::ZERO),
    })
}

/// A row of `entries`, as it lies there.
pub(super) struct Stored {
    pub seq: u64,
    pub fencing: u64,
    pub at_ms: i64,
    pub wall: String,
    pub kind: String,
    pub body: String,
    pub previous: Hash,
    pub hash: Hash,
}

enum ReadFailure {
    Sqlite(rusqlite::Error),
    Odd(Damage),
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Self, ReadFailure> {
        let number: i64 = row.get(0).map_err(ReadFailure::Sqlite)?;
        let seq = u64::try_from(number)
            .ok()
            .filter(|&seq| seq > 0)
            .ok_or(ReadFailure::Odd(Damage::Extra { seq: number }))?;
        let columns = || -> rusqlite::Result<Option<Self>> {
            let (Ok(fencing), Some(previous), Some(hash)) = (
                u64::try_from(row.get::<_, i64>(1)?),
                Hash::from_bytes(row.get_ref(6)?.as_blob()?),
                Hash::from_bytes(row.get_ref(7)?.as_blob()?),
            ) else {
                return Ok(None);
            };
            Ok(Some(Self {
                seq,
                fencing,
                at_ms: row.get(2)?,
                wall: row.get(3)?,
                kind: row.get(4)?,
                body: row.get(5)?,
                previous,
                hash,
            }))
        };
        match columns() {
            Ok(Some(stored)) => Ok(stored),
            // Text that is not UTF-8, a hash of another length: nothing that an engine writes.
            Ok(None) => Err(ReadFailure::Odd(Damage::Content { seq })),
            Err(e) if e.sqlite_error_code().is_none() => {
                Err(ReadFailure::Odd(Damage::Content { seq }))
            }
            Err(e) => Err(ReadFailure::Sqlite(e)),
        }
    }

    pub fn link(&self, previous: Hash, seq: u64) -> Link<'_> {
        Link {
            previous,
            seq,
            fencing: self.fencing,
            at_ms: self.at_ms,
            wall: &self.wall,
            kind: &self.kind,
            body: &self.body,
        }
    }

    fn entry(&self) -> Option<Entry> {
        Some(Entry {
            seq: self.seq,
            fencing: self.fencing,
            at_ms: self.at_ms,
            wall: self.wall.parse().ok()?,
            kind: self.kind.clone(),
            body: serde_json::from_str(&self.body).ok()?,
            hash: self.hash,
        })
    }
}
