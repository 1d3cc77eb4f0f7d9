//! One engine per session. The lease is a lock that the operating system ends with the process, and a number that grows with every
//! lease and goes into every write.
//!
//! The lock decides who may begin; it cannot be lost while its holder lives, not even while the holder is stopped (`SIGSTOP`), so
//! nothing is taken over from a process that may wake up. The number decides who may write: should two ever hold a lock each (the file
//! was deleted, the file system's locks are broken), the journal refuses the one with the smaller number.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde_json::json;

use crate::claim::host_name;
use crate::clock;
use crate::journal::{self, Folder, Holder, count_lease, files, holder};

/// The record has a fixed length, so that one write replaces it whole.
const RECORD_BYTES: usize = 1024;
/// How long a lock that is about to go is waited out: of somebody who only looks, or of a child that a dead engine forked and that has
/// not begun its own program yet.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// The right to run a session. Let go by [`Lease::release`], by dropping it, or by the process's end.
#[derive(Debug)]
pub struct Lease {
    file: File,
    path: PathBuf,
    holder: Holder,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another engine runs this session.
    #[error("{}", held(*pid, host.as_deref(), *is_stopped))]
    Held {
        /// Its process; `None` in the moment before it has said.
        pid: Option<u32>,
        /// Its machine.
        host: Option<String>,
        /// It is stopped (`SIGSTOP`): it holds the lease, and does nothing until it is continued.
        is_stopped: bool,
    },
    /// The lease file was deleted or replaced while this engine held it: another may believe that it holds the lease.
    #[error(
        "the lease file {} was deleted or replaced while this engine held it. This engine must stop; the journal refuses whichever engine took the older lease", path.display()
    )]
    Lost { path: PathBuf },
    /// The lease could not be counted in the journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The lease file could not be written or locked.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

fn held(pid: Option<u32>, host: Option<&str>, is_stopped: bool) -> String {
    let who = match (pid, host) {
        (Some(pid), Some(host)) => format!("process {pid} on {host}"),
        (Some(pid), None) => format!("process {pid}"),
        _ => "a process that is just starting".to_owned(),
    };
    match (is_stopped, pid) {
        (true, Some(pid)) => format!(
            "another engine runs this session: {who}. It is stopped and does nothing; it keeps the lease, for it may wake up. Continue it with `kill -CONT {pid}`, or end it with `kill -KILL {pid}` and start again"
        ),
        _ => format!(
            "another engine runs this session: {who}. Join it with `cutover join`; a second one is not needed"
        ),
    }
}

impl Lease {
    /// Takes the lease of a session, within half a second or not at all, and counts it in the journal (which is made where there is none).
    ///
    /// # Errors
    /// [`Error::Held`] while any process holds it, also a stopped one.
    pub fn take(folder: &Folder) -> Result<Self, Error> {
        let path = folder.lease_path();
        let file = lock(folder, &path)?;
        let mut holder = Holder {
            pid: std::process::id(),
            host: host_name(),
            boot_id: clock::boot_id(),
            started: clock::wall(),
            fencing: 0,
            ended: false,
        };
        holder.fencing = count_lease(
            folder,
            &json!({"pid": holder.pid, "host": holder.host, "boot_id": holder.boot_id, "started": holder.started}),
        )?;
        let lease = Self { file, path, holder };
        lease.record()?;
        Ok(lease)
    }

    /// The lease's number, which every write of this engine carries.
    pub fn fencing(&self) -> u64 {
        self.holder.fencing
    }

    /// What the lease says about this engine.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Whether the lease file still is the one that this engine has locked. To be asked with every sign of life.
    pub fn check(&self) -> Result<(), Error> {
        if is_same_file(&self.file, &self.path) {
            Ok(())
        } else {
            Err(Error::Lost {
                path: self.path.clone(),
            })
        }
    }

    /// Lets go in an orderly way, so that followers see an end and not a death.
    ///
    /// # Errors
    /// [`Error::Io`] when the record cannot be written; the lease is let go nevertheless.
    pub fn release(mut self) -> Result<(), Error> {
        self.holder.ended = true;
        self.record()
    }

    fn record(&self) -> Result<(), Error> {
        let mut text = serde_json::to_string(&self.holder).expect("BUG: a holder is not JSON");
        assert!(
            text.len() < RECORD_BYTES,
            "BUG: a holder's record is too long"
        );
        text.extend(std::iter::repeat_n(' ', RECORD_BYTES - 1 - text.len()));
        text.push('\n');
        self.file
            .write_all_at(text.as_bytes(), 0)
            .and_then(|()| self.file.sync_data())
            .map_err(io_error("write", &self.path))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a child that was forked and has not begun its own program yet.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Opens and locks the lease file; sees to it that what is locked is what the path leads to.
fn lock(folder: &Folder, path: &Path) -> Result<File, Error> {
    for _ in 0..TRIES {
        let file = files::edit(folder, &files::LEASE).map_err(io_error("open", path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_same_file(&file, path) => return Ok(file),
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => thread::sleep(BETWEEN_TRIES),
            Err(e) => return Err(io_error("lock", path)(e.into())),
        }
    }
    Err(held_by(folder))
}

fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
        _ => false,
    }
}

fn held_by(folder: &Folder) -> Error {
    let record = holder::read_holder(folder).filter(|h| !h.ended);
    let is_stopped = record
        .as_ref()
        .is_some_and(|h| h.host == host_name() && is_stopped(h.pid));
    let (pid, host) = record.map(|h| (h.pid, h.host)).unzip();
    Error::Held {
        pid,
        host,
        is_stopped,
    }
}

/// Whether a process on this machine is stopped. Known on Linux; elsewhere nobody is said to be.
fn is_stopped(pid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return false;
    };
    status
        .lines()
        .find_map(|line| line.strip_prefix("State:"))
        .is_some_and(|state| state.trim_start().starts_with(['T', 't']))
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}
