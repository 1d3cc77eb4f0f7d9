//! The engine's pen: appends entries to the chain, and nothing else does. No secret gets in: bodies are masked before they are hashed.

mod row;
mod unstored;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde_json::Value;

use super::canonical;
use super::chain::{self, Damage};
use super::error::Error;
use super::folder::Folder;
use super::head::{self, Head, HeadFile};
use super::notes::{Retention, Scribe};
use super::record::Entry;
use super::reserve::Reserve;
use super::schema::{self, Durability, FileId};
use crate::secret::mask_json;
use row::insert;
pub use unstored::MayWait;
use unstored::{HeldPen, Unstored, free_reserve};

/// The largest body an entry may have. What is larger belongs into an artefact.
const MAX_BODY_BYTES: usize = 1024 * 1024;
const MAX_KIND_BYTES: usize = 64;

/// The log is copied into the file when it has grown beyond this.
pub(super) const CHECKPOINT_AT_BYTES: u64 = 4 * 1024 * 1024;

/// The chain, open to write. One per session, in the engine that holds the lease.
#[derive(Debug)]
pub struct Journal {
    conn: Connection,
    folder: Folder,
    path: PathBuf,
    file: FileId,
    fencing: u64,
    /// The last entry of the journal's file.
    stored: Head,
    /// The last entry of the chain; there are more than in the file while its disk is full.
    tail: Head,
    unstored: Unstored,
    poison: Arc<Poison>,
    reads: Reads,
}

/// Whether an entry of this kind can be read with this body.
pub type Reads = fn(&str, &Value) -> bool;

/// What `decide` sees while the transaction that will hold its events is open.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The last entry; a state folded up to it is the current one.
    pub head: Head,
    /// The lease under which the events will be written.
    pub fencing: u64,
}

impl Journal {
    /// Opens the chain under the lease with this fencing number, making the file where there is none, and checks every link and the
    /// head. Returns the entries, from which the state is folded.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the first place that does not hold, [`Error::Newer`] for a later format, [`Error::Fenced`] when the lease
    /// is not the current one.
    pub fn open(folder: &Folder, fencing: u64) -> Result<(Self, Vec<Entry>), Error> {
        Reserve::of(folder).with_room(|| Self::open_now(folder, fencing))
    }

    fn open_now(folder: &Folder, fencing: u64) -> Result<(Self, Vec<Entry>), Error> {
        let path = folder.journal_path();
        let conn = schema::open_to_write(folder, Durability::Full)?;
        check_fencing(&conn, &path, fencing)?;
        let verified = chain::verify_with(&conn, folder)?;
        let file = FileId::of(&path).map_err(Error::io("read", &path))?;
        let journal = Self {
            conn,
            folder: folder.clone(),
            path,
            file,
            fencing,
            stored: verified.head,
            tail: verified.head,
            unstored: Unstored::default(),
            poison: Arc::default(),
            reads: |_, _| true,
        };
        // After a crash the head may still name what was pending; from here on it names what is there.
        journal.settle()?;
        Ok((journal, verified.entries))
    }

    /// From now on, text without which an entry could not be read back is not masked: a secret may equal a word of the format.
    pub fn keep_readable(&mut self, reads: Reads) {
        self.reads = reads;
    }

    /// Appends events that are decided already: all of them in one transaction, or none.
    ///
    /// `at_ms` is the session's clock, `wall` the wall clock, each event a kind and a body.
    ///
    /// # Errors
    /// [`Error::Fenced`], [`Error::DiskFull`] (once the [`Reserve`] is given up) and [`Error::Entry`] leave the journal as it was. [`Error::Poisoned`] and
    /// [`Error::Damaged`] end this writer for good: the engine stops, and the next one looks at what is really there.
    pub fn append(
        &mut self,
        at_ms: i64,
        wall: DateTime<Utc>,
        events: &[(&str, &Value)],
    ) -> Result<Vec<Entry>, Error> {
        let decided = self.append_with(at_ms, wall, |_| {
            let owned = events
                .iter()
                .map(|(kind, body)| ((*kind).to_owned(), (*body).clone()));
            Ok::<_, std::convert::Infallible>(owned.collect())
        })?;
        match decided {
            Ok(entries) => Ok(entries),
            Err(never) => match never {},
        }
    }

    /// Asks `decide` for events inside the transaction that appends them, so that nothing can come between the decision and its
    /// record. A refusal by `decide` is the inner error and writes nothing.
    pub fn append_with<E>(
        &mut self,
        at_ms: i64,
        wall: DateTime<Utc>,
        decide: impl FnOnce(View) -> Result<Vec<(String, Value)>, E>,
    ) -> Result<Result<Vec<Entry>, E>, Error> {
        self.poison.check(&self.path)?;
        let poison = Arc::clone(&self.poison);
        let outcome = self.append_now(at_ms, wall, decide);
        poison.watch(&self.path, outcome)
    }

    fn append_now<E>(
        &mut self,
        at_ms: i64,
        wall: DateTime<Utc>,
        decide: impl FnOnce(View) -> Result<Vec<(String, Value)>, E>,
    ) -> Result<Result<Vec<Entry>, E>, Error> {
        self.check_same_file()?;
        let has_room = self.store_if_room()?;
        let pen = Pen {
            folder: &self.folder,
            path: &self.path,
            fencing: self.fencing,
            tail: self.tail,
            at_ms,
            wall: canonical::wall_cut(wall),
            reads: self.reads,
        };
        let held = HeldPen::of(&pen);
        let tx = match has_room {
            true => Some(pen.begin(&mut self.conn)?),
            false => None,
        };
        let view = View {
            head: self.tail,
            fencing: self.fencing,
        };
        let events = match decide(view) {
            Ok(events) if events.is_empty() => return Ok(Ok(Vec::new())),
            Ok(events) => events,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let written = tx.map(|tx| pen.write(tx, &events));
        let written = written.unwrap_or_else(|| {
            Err(Error::DiskFull {
                path: self.path.clone(),
            })
        });
        let written = match written {
            // What was decided still holds: the second transaction begins only on the same last entry.
            Err(Error::DiskFull { .. }) if has_room && free_reserve(&self.folder) => {
                pen.write(pen.begin(&mut self.conn)?, &events)
            }
            written => written,
        };
        let (entries, tail) = match written {
            Err(full @ Error::DiskFull { .. }) => return self.hold(held, &events, full).map(Ok),
            written => written?,
        };
        (self.stored, self.tail) = (tail, tail);
        match self.settle() {
            // The events are durable, and the head names them as pending: a state that opens. The next append writes the head again.
            Ok(()) | Err(Error::DiskFull { .. }) => {}
            Err(e) => return Err(e),
        }
        self.checkpoint_if_due()?;
        Ok(Ok(entries))
    }

    /// The last entry's number and hash.
    pub fn head(&self) -> Head {
        self.tail
    }

    /// The lease this journal is written under.
    pub fn fencing(&self) -> u64 {
        self.fencing
    }

    /// The writer for what lies beside the chain: a connection of its own, so that samples wait for nobody's fsync. An fsync error on
    /// either ends both.
    ///
    /// # Errors
    /// As [`Self::open`], without the check of the chain.
    pub fn scribe(&self, retention: Retention) -> Result<Scribe, Error> {
        let conn = schema::open_to_write(&self.folder, Durability::Batched)?;
        Scribe::new(
            conn,
            self.folder.clone(),
            self.fencing,
            Arc::clone(&self.poison),
            retention,
        )
    }

    /// Ends the journal of a session that is over: the log goes into the file, which then is complete in itself and can be read from a
    /// medium that nobody can write to. Where a follower still reads, the log stays beside it, which is as sound.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when the disk does not confirm it.
    pub fn finish(mut self) -> Result<(), Error> {
        self.poison.check(&self.path)?;
        self.store_if_room()?;
        self.poison.watch(
            &self.path,
            schema::checkpoint(&self.conn, &self.path).and_then(|()| {
                match self
                    .conn
                    .pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
                {
                    Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                        Ok(())
                    }
                    other => other.map_err(Error::sqlite("finish", &self.path)),
                }
            }),
        )
    }

    fn settle(&self) -> Result<(), Error> {
        let settled = HeadFile::settled(self.stored);
        if head::read(&self.folder)? == Some(settled) {
            return Ok(());
        }
        head::write(&self.folder, &settled)
    }

    fn checkpoint_if_due(&self) -> Result<(), Error> {
        if schema::log_size_bytes(&self.path) < CHECKPOINT_AT_BYTES {
            return Ok(());
        }
        schema::checkpoint(&self.conn, &self.path)
    }

    fn check_same_file(&self) -> Result<(), Error> {
        check_same_file(&self.path, self.file)
    }
}

/// What one append writes with.
struct Pen<'j> {
    folder: &'j Folder,
    path: &'j Path,
    fencing: u64,
    tail: Head,
    at_ms: i64,
    wall: DateTime<Utc>,
    reads: Reads,
}

impl Pen<'_> {
    /// A transaction in which nobody else has appended anything.
    fn begin<'c>(&self, conn: &'c mut Connection) -> Result<Transaction<'c>, Error> {
        let tx = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Error::sqlite("write", self.path))?;
        check_fencing(&tx, self.path, self.fencing)?;
        check_tail(&tx, self.path, self.tail)?;
        Ok(tx)
    }

    /// All of them, or none. Gives the entries and the new end of the chain.
    fn write(
        &self,
        tx: Transaction<'_>,
        events: &[(String, Value)],
    ) -> Result<(Vec<Entry>, Head), Error> {
        let mut tail = self.tail;
        let mut entries = Vec::with_capacity(events.len());
        for (kind, body) in events {
            let mut body = body.clone();
            mask_json(&mut body, |body| (self.reads)(kind, body));
            let entry = insert(
                &tx,
                self.path,
                (tail, self.fencing),
                (self.at_ms, self.wall),
                kind.clone(),
                body,
            )?;
            tail = Head {
                seq: entry.seq,
                hash: entry.hash,
            };
            entries.push(entry);
        }
        head::write(self.folder, &HeadFile::about_to_write(self.tail, tail))?;
        tx.commit().map_err(Error::sqlite("write", self.path))?;
        Ok((entries, tail))
    }
}

/// Counts a new lease in the journal, making the file where there is none, and returns its number: larger than every one before. From
/// then on a writer with a smaller number is refused. `holder` is what the lease says about its holder.
///
/// # Errors
/// As [`Journal::open`], without the check of the chain.
pub fn count_lease(folder: &Folder, holder: &Value) -> Result<u64, Error> {
    Reserve::of(folder).with_room(|| count_lease_now(folder, holder))
}

fn count_lease_now(folder: &Folder, holder: &Value) -> Result<u64, Error> {
    let path = folder.journal_path();
    let failed = || Error::sqlite("write", &path);
    let mut conn = schema::open_to_write(folder, Durability::Full)?;
    let tx = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed())?;
    let next: i64 = tx
        .query_row(
            "SELECT 1 + max(coalesce((SELECT max(fencing) FROM leases), 0), coalesce((SELECT max(fencing) FROM entries), 0))",
            [],
            |row| row.get(0),
        )
        .map_err(failed())?;
    tx.execute(
        "INSERT INTO leases (fencing, holder) VALUES (?1, ?2)",
        params![next, canonical::json(holder)],
    )
    .map_err(failed())?;
    tx.commit().map_err(failed())?;
    Ok(next.cast_unsigned())
}

/// Refuses a writer whose lease is not the last one counted.
pub(super) fn check_fencing(conn: &Connection, path: &Path, mine: u64) -> Result<(), Error> {
    let current: i64 = conn
        .prepare_cached("SELECT coalesce(max(fencing), 0) FROM leases")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(Error::sqlite("read", path))?;
    let current = current.cast_unsigned();
    if current == mine {
        Ok(())
    } else {
        Err(Error::Fenced { mine, current })
    }
}

/// Refuses to write into a file that has taken the place of the one that was opened.
pub(super) fn check_same_file(path: &Path, opened: FileId) -> Result<(), Error> {
    match FileId::of(path) {
        Ok(found) if found == opened => Ok(()),
        _ => Err(Error::Damaged {
            path: path.to_owned(),
            damage: Damage::File {
                why: "it was removed or replaced while an engine was writing it".to_owned(),
            },
        }),
    }
}

fn check_tail(conn: &Connection, path: &Path, mine: Head) -> Result<(), Error> {
    let found = chain::stored_tail(conn).map_err(Error::sqlite("read", path))?;
    let damage = match found.seq.cmp(&mine.seq) {
        _ if found == mine => return Ok(()),
        std::cmp::Ordering::Less => Damage::Truncated {
            last_seq: found.seq,
            head_seq: mine.seq,
        },
        std::cmp::Ordering::Equal => Damage::HashColumn { seq: mine.seq },
        std::cmp::Ordering::Greater => Damage::BeyondHead {
            last_seq: found.seq,
            head_seq: mine.seq,
        },
    };
    Err(Error::Damaged {
        path: path.to_owned(),
        damage,
    })
}

/// Remembers the first write that the disk did not confirm. What the kernel dropped then, a second fsync would report as written.
#[derive(Debug, Default)]
pub(super) struct Poison(OnceLock<String>);

impl Poison {
    pub fn check(&self, path: &Path) -> Result<(), Error> {
        match self.0.get() {
            None => Ok(()),
            Some(why) => Err(Error::Poisoned {
                path: path.to_owned(),
                why: why.clone(),
            }),
        }
    }

    /// Passes the outcome of a write through; after an unconfirmed one every later [`Self::check`] fails.
    pub fn watch<T>(&self, path: &Path, outcome: Result<T, Error>) -> Result<T, Error> {
        match outcome {
            Err(e) if e.is_unconfirmed_write() => {
                let why = self.0.get_or_init(|| e.to_string()).clone();
                match e {
                    Error::Damaged { .. } => Err(e),
                    _ => Err(Error::Poisoned {
                        path: path.to_owned(),
                        why,
                    }),
                }
            }
            outcome => outcome,
        }
    }
}

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
