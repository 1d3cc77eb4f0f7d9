//! Who runs a session: what the lease file says about the engine, and whether that engine lives.
//!
//! Not in here: taking the lease. That is the engine's, in `engine::lease`.

use std::io;

use chrono::{DateTime, Utc};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::files;
use super::folder::Folder;

/// What an engine writes about itself into `engine.lease`. Information for people; that it holds the lease is told by the lock alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id on `host`.
    pub pid: u32,
    /// The name of its machine.
    pub host: String,
    /// Which boot of that machine.
    pub boot_id: String,
    /// When it took the lease.
    pub started: DateTime<Utc>,
    /// The lease's number.
    pub fencing: u64,
    /// It let go in an orderly way. `false` and no lock: it died.
    pub ended: bool,
}

/// The engine's latest sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The lease under which it was given.
    pub fencing: u64,
    /// Which boot `boot_ms` counts from.
    pub boot_id: String,
    /// Milliseconds since that boot.
    pub boot_ms: i64,
}

impl Beat {
    /// How long ago it was; `None` where another boot (or machine) gave it, whose clock says nothing here.
    pub fn age_ms(&self, boot_id: &str, now_boot_ms: i64) -> Option<i64> {
        (self.boot_id == boot_id).then(|| (now_boot_ms - self.boot_ms).max(0))
    }
}

/// Whether an engine runs a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineState {
    /// None ever has.
    Never,
    /// One holds the lease. Its `beat` tells whether it also works: one that is stopped or hangs holds the lease and gives no sign.
    Alive {
        /// Who; `None` in the moment between its lock and its record.
        holder: Option<Holder>,
        /// Its latest sign of life; `None` before the first.
        beat: Option<Beat>,
    },
    /// The last one let go of the lease in an orderly way.
    Ended { holder: Holder },
    /// The last one died.
    Died { holder: Holder },
}

impl EngineState {
    /// Whether some engine holds the lease.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Alive { .. })
    }
}

/// Whether some engine holds the lease of this session now: by the lock, which the operating system ends with the process.
pub fn is_engine_alive(folder: &Folder) -> Result<bool, Error> {
    let path = folder.lease_path();
    let file = match files::look_into(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(Error::io("read", &path)(e)),
    };
    // Shared, so that two who look do not see each other. One who takes the lease waits out this moment.
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            // Closing unlocks too, unless a child was forked just now.
            let _ = flock(&file, FlockOperation::Unlock);
            Ok(false)
        }
        Err(e) if e == rustix::io::Errno::WOULDBLOCK => Ok(true),
        Err(e) => Err(Error::io("look at the lock of", &path)(e.into())),
    }
}

/// What the lease file says; `None` where there is no file, or nothing legible in it (an engine is just writing it).
pub fn read_holder(folder: &Folder) -> Option<Holder> {
    let text = files::look(&folder.lease_path()).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Lock and record together. The beat is filled in by [`super::Follower::engine`].
pub(super) fn engine_state(folder: &Folder) -> Result<EngineState, Error> {
    if is_engine_alive(folder)? {
        return Ok(EngineState::Alive {
            holder: read_holder(folder),
            beat: None,
        });
    }
    Ok(match read_holder(folder) {
        None => EngineState::Never,
        Some(holder) if holder.ended => EngineState::Ended { holder },
        Some(holder) => EngineState::Died { holder },
    })
}
