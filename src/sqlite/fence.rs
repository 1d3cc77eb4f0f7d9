//! The write fence (`A1`): proof that writes have stopped, a lock that keeps them stopped, and a watch that shows any drift.
//!
//! The fence is an open `BEGIN IMMEDIATE` on one connection held for the whole freeze. In both journal modes it shuts out every
//! other writer and lets readers go on. No row is written through it while it stands; a rollback ends it by writing through its connection
//! ([`super::writer`]). It dies with its process: a resumed engine raises it again and compares [`Fingerprint`]s. Maintenance mode is the
//! application's own and not in here.

mod held;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub(super) use self::held::{FileIdentity, Held, is_held};
use super::error::Error;
use super::fingerprint::{self, Fingerprint};
use super::names::{self, OtherName, Processes};
use super::open::{BUSY_TIMEOUT, Candidate, open_read_only};
use super::shape;
use super::traces::Traces;
use crate::clock;

/// How often the file is looked at during the quiet period.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A quiet period is seen by so many looks at least.
const LOOKS: u32 = 4;
/// How often the processes of this host are looked at while the fence is up.
const LOOK_AT_PROCESSES_EVERY_MS: i64 = 5_000;

/// What counts as proof that writes have stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// This long without a single commit. A commit starts it over, for requests under way may still finish. Time in which nobody looked, for
    /// this process stood still, counts for nothing: whoever writes may have stood still with it.
    pub period: Duration,
    /// After this long without such a period the fence is not raised.
    pub give_up_after: Duration,
    /// How long to wait for a writer that holds the lock.
    pub busy_timeout: Duration,
}

impl Default for Quiet {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(5),
            give_up_after: Duration::from_secs(60),
            busy_timeout: Duration::from_secs(10),
        }
    }
}

/// Something happened to the fenced file all the same. Whatever was built on the freeze is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// Somebody committed a change.
    #[error("the source was written after the freeze")]
    Written,
    /// The path names another file now.
    #[error("the source file was replaced by another one after the freeze")]
    Replaced,
    /// The lock's transaction has ended.
    #[error("the write fence was lost")]
    FenceLost,
    /// The file itself has changed, and no commit of this log says why: it was written by another name, or copied over.
    #[error(
        "the source file was changed after the freeze, and by no commit that its own log knows: something wrote or copied over it"
    )]
    Overwritten,
    /// The log beside the file was removed, replaced or written.
    #[error("the source's log (-wal) was removed, replaced or written after the freeze")]
    LogChanged,
    /// The index beside the log was removed, replaced or written: the fence's lock was in it.
    #[error(
        "the source's index (-shm), which holds the fence's lock, was removed, replaced or written after the freeze"
    )]
    IndexChanged,
    /// The file has another name since, through which the fence does not hold.
    #[error(
        "the source file got a second name after the freeze (a link, or a mount of the file alone), and through that the fence does not hold"
    )]
    SecondName,
    /// A process has the file open with a log that is not the one beside it.
    #[error(
        "a process has the source file open with another log than the one beside it, and the fence does not hold there"
    )]
    OtherLog,
}

/// A raised fence. Dropping it lets writers in again, as [`Fence::release`] does.
pub struct Fence {
    /// Holds the lock. Declared, and so dropped, before `held`.
    lock: Connection,
    /// Holds no lock between looks; its `data_version` moves with every foreign commit.
    watch: Connection,
    data_version: i64,
    fingerprint: Fingerprint,
    found_ns: i64,
    real: PathBuf,
    held: Held,
    traces: Traces,
    processes: Mutex<LastLook>,
}

/// The last look at the processes of this host.
struct LastLook {
    at_ms: i64,
    found: Processes,
}

impl Fence {
    /// Waits until nobody has written for the quiet period, then shuts writers out. Blocks; cancellable.
    ///
    /// # Errors
    /// [`Error::PastTheFence`] when somebody may write by another name; [`Error::StillWriting`] when there is no quiet period, [`Error::Busy`] when a writer keeps its lock, both naming the
    /// processes that have the file open where the system tells; [`Error::Cancelled`]; and what [`open_read_only`] says.
    pub fn raise(path: &Path, quiet: &Quiet, cancel: &CancellationToken) -> Result<Self, Error> {
        let file = Candidate::look(path)?;
        let past = |way| Error::PastTheFence {
            path: file.named.clone(),
            way,
        };
        if let Some(way) = names::second_link(&file.real) {
            return Err(past(way));
        }
        let watch = open_read_only(path)?;
        // From now on, nobody in this process reads the file raw.
        let held = Held::enter(FileIdentity::of(
            &file
                .real
                .metadata()
                .map_err(|e| Error::from_io("read", path, 0, e))?,
        ));
        let lock = open_for_locking(&file)?;
        let mut proof = Proof::begin(&file, &watch)?;
        let (data_version, settled, found_ns) = loop {
            proof.wait_for_quiet(quiet, cancel)?;
            let found_ns = fingerprint::modified_ns(&file.real)?;
            let settled = settle_wal(&lock);
            begin_immediate(&file, &lock, quiet.busy_timeout)?;
            // A commit may have slipped in between the last look and the lock.
            match proof.look()? {
                Look::Quiet => break (proof.data_version, settled, found_ns),
                Look::Written => {
                    lock.execute_batch("ROLLBACK")
                        .map_err(|error| file.explain(error))?;
                }
            }
        };
        watch
            .busy_timeout(BUSY_TIMEOUT)
            .map_err(|error| file.explain(error))?;
        let fingerprint = Fingerprint {
            settled,
            ..Fingerprint::take(&watch, &file.real)?
        };
        let traces = Traces::take(&file.real, fingerprint.journal_mode == "wal", settled)
            .map_err(|e| Error::from_io("read", path, 0, e))?;
        let found = names::processes(&file.real);
        if let Some(way) = found.past_the_fence {
            return Err(past(way));
        }
        let processes = Mutex::new(LastLook {
            at_ms: clock::now_ms(),
            found,
        });
        Ok(Self {
            lock,
            watch,
            data_version,
            fingerprint,
            found_ns,
            real: file.real,
            held,
            traces,
            processes,
        })
    }

    /// The state of the file when the fence was raised; goes into the journal.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The state in which the file was found, before the fence moved into it what its log held: for a comparison with an earlier one.
    pub fn found(&self) -> Fingerprint {
        Fingerprint {
            modified_ns: self.found_ns,
            ..self.fingerprint.clone()
        }
    }

    /// Of which processes it could not be proven that they do not write the file by another name; for people.
    pub fn unproven(&self) -> Option<String> {
        self.last_look().found.unproven_sentence()
    }

    fn last_look(&self) -> MutexGuard<'_, LastLook> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What its schema says; see [`shape`].
    pub fn shape(
        &self,
        stays_behind: &dyn Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, String>, Error> {
        shape::read(&self.watch, stays_behind).map_err(|error| self.unreadable(error))
    }

    /// Whether anything happened to the file since the fence was raised. Cheap; ask often.
    pub fn drift(&self) -> Result<Option<Drift>, Error> {
        let same_file = self
            .real
            .metadata()
            .is_ok_and(|now| FileIdentity::of(&now) == self.held.identity);
        if !same_file {
            return Ok(Some(Drift::Replaced));
        }
        match data_version(&self.watch) {
            Ok(version) if version == self.data_version => {}
            Ok(_) => return Ok(Some(Drift::Written)),
            // A file that was cut short cannot be read; what was done to it says more than SQLite's words.
            Err(error) => {
                let seen = self.traces.drift(&self.real);
                return seen.map(Some).ok_or_else(|| self.unreadable(error));
            }
        }
        if self.lock.is_autocommit() {
            return Ok(Some(Drift::FenceLost));
        }
        if names::second_link(&self.real).is_some() {
            return Ok(Some(Drift::SecondName));
        }
        Ok(self
            .traces
            .drift(&self.real)
            .or_else(|| self.drift_of_processes()))
    }

    /// Looks at the processes of this host, less often: that takes longer.
    fn drift_of_processes(&self) -> Option<Drift> {
        let mut last = self.last_look();
        let now_ms = clock::now_ms();
        if now_ms - last.at_ms >= LOOK_AT_PROCESSES_EVERY_MS {
            *last = LastLook {
                at_ms: now_ms,
                found: names::processes(&self.real),
            };
        }
        last.found.past_the_fence.as_ref().map(|way| match way {
            OtherName::Linked { .. } | OtherName::Mounted { .. } => Drift::SecondName,
            OtherName::OtherLog { .. } | OtherName::OtherFile { .. } => Drift::OtherLog,
        })
    }

    /// Lets writers in again. The file is as it was: nothing is checkpointed on the way out.
    ///
    /// # Errors
    /// The transaction could not be ended in order; the lock is gone all the same, for the connection is closed.
    pub fn release(self) -> Result<(), Error> {
        self.lock
            .execute_batch("ROLLBACK")
            .map_err(|error| self.unreadable(error))
    }

    /// The connection that holds the lock, its transaction still open, with what keeps this process from reading the file raw, and the file.
    pub(super) fn into_parts(self) -> (Connection, Held, PathBuf) {
        (self.lock, self.held, self.real)
    }

    fn unreadable(&self, source: rusqlite::Error) -> Error {
        Error::Sqlite {
            doing: "watch",
            path: self.real.clone(),
            source,
        }
    }
}

/// The quiet period as it is being observed.
struct Proof<'a> {
    file: &'a Candidate,
    watch: &'a Connection,
    data_version: i64,
    changes: u32,
    began_ms: i64,
    quiet_since_ms: i64,
}

enum Look {
    Quiet,
    Written,
}

impl<'a> Proof<'a> {
    fn begin(file: &'a Candidate, watch: &'a Connection) -> Result<Self, Error> {
        let first = || {
            let version = data_version(watch)?;
            // A look that has to wait for a writer has seen enough.
            watch.busy_timeout(LOOK_EVERY)?;
            Ok(version)
        };
        let data_version = first().map_err(|error| file.explain(error))?;
        let now = clock::now_ms();
        Ok(Self {
            file,
            watch,
            data_version,
            changes: 0,
            began_ms: now,
            quiet_since_ms: now,
        })
    }

    fn wait_for_quiet(&mut self, quiet: &Quiet, cancel: &CancellationToken) -> Result<(), Error> {
        let mut looked_ms = clock::now_ms();
        loop {
            let written = matches!(self.look()?, Look::Written);
            let now = clock::now_ms();
            let unseen_ms = unseen_ms(now - looked_ms, quiet.period);
            looked_ms = now;
            self.began_ms += unseen_ms;
            if !written {
                self.quiet_since_ms += unseen_ms;
            }
            if !written && now - self.quiet_since_ms >= millis(quiet.period) {
                return Ok(());
            }
            if now - self.began_ms >= millis(quiet.give_up_after.max(quiet.period)) {
                return Err(Error::StillWriting {
                    path: self.file.named.clone(),
                    changes: self.changes,
                    watched_ms: (now - self.began_ms).cast_unsigned(),
                    holders_found: super::holders::of(&self.file.real),
                });
            }
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// A look that finds the file locked by a writer finds it being written.
    fn look(&mut self) -> Result<Look, Error> {
        let seen = match data_version(self.watch) {
            Ok(version) => version,
            Err(error) if is_busy(&error) => -1,
            Err(error) => return Err(self.file.explain(error)),
        };
        if seen == self.data_version {
            return Ok(Look::Quiet);
        }
        if seen >= 0 {
            self.data_version = seen;
        }
        self.changes += 1;
        self.quiet_since_ms = clock::now_ms();
        Ok(Look::Written)
    }
}

/// How much of the time since the last look counts for nothing.
fn unseen_ms(since_ms: i64, period: Duration) -> i64 {
    let most = (period / LOOKS).max(LOOK_EVERY * 2);
    (since_ms - millis(most)).max(0)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn open_for_locking(file: &Candidate) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(&file.real, flags)?;
        // Closing the last connection would checkpoint and delete the WAL: the application's business, not ours.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(connection)
    };
    let connection = open().map_err(|error| file.explain(error))?;
    match connection.is_readonly("main") {
        Ok(false) => Ok(connection),
        // SQLite falls back to reading when it may not write; such a connection cannot fence anybody out.
        Ok(true) => Err(Error::Permission {
            doing: "lock for writing",
            path: file.named.clone(),
        }),
        Err(error) => Err(file.explain(error)),
    }
}

/// Moves what the WAL holds into the file, as SQLite itself does now and then, waiting for nobody. Should this process die, the
/// application closing its last connection then finds nothing left to move, the file stays untouched, and its fingerprint still
/// says that nothing was written.
///
/// Whether all of it was moved: then nobody has a reason to touch the file while the fence holds.
fn settle_wal(lock: &Connection) -> bool {
    // Where it cannot (a reader holds on to an older state, the disk is full), the fingerprint may later decide nothing.
    let moved = lock.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    match moved {
        Ok((in_log, moved)) => in_log == moved,
        Err(error) => {
            tracing::debug!(%error, "the WAL was not checkpointed before the fence");
            false
        }
    }
}

fn begin_immediate(file: &Candidate, lock: &Connection, wait: Duration) -> Result<(), Error> {
    let begin = || {
        lock.busy_timeout(wait)?;
        lock.execute_batch("BEGIN IMMEDIATE")
    };
    begin().map_err(|error| match is_busy(&error) {
        true => Error::Busy {
            path: file.named.clone(),
            waited_ms: millis(wait).cast_unsigned(),
            holders_found: super::holders::of(&file.real),
        },
        false => file.explain(error),
    })
}

fn data_version(watch: &Connection) -> rusqlite::Result<i64> {
    watch.pragma_query_value(None, "data_version", |row| row.get(0))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_nobody_looked_is_no_quiet_time() {
        let unseen = |since_ms, period_ms| unseen_ms(since_ms, Duration::from_millis(period_ms));
        assert_eq!(unseen(21, 5_000), 0);
        assert_eq!(unseen(4_000, 1_000), 3_750);
        assert_eq!(unseen(600, 60), 560);
        assert_eq!(unseen(40, 0), 0);
    }
}
