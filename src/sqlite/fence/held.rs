//! Which files this process holds a fence on. To close any descriptor of such a file would drop SQLite's lock, so that whoever opens a file
//! asks here first.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A file by device and inode, whatever its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::sqlite) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    #[cfg(test)]
    pub(in crate::sqlite) fn new(device: u64, inode: u64) -> Self {
        Self { device, inode }
    }

    /// The device that it is on.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(in crate::sqlite) fn device(self) -> u64 {
        self.device
    }

    /// Its number on its device.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(in crate::sqlite) fn inode(self) -> u64 {
        self.inode
    }

    pub(in crate::sqlite) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// The files that this process holds a fence on, with how many fences each.
static HELD: Mutex<Option<HashMap<FileIdentity, u32>>> = Mutex::new(None);

/// Whether this process holds a fence on the file, so that opening it raw would drop that fence.
pub(in crate::sqlite) fn is_held(identity: FileIdentity) -> bool {
    held_files()
        .as_ref()
        .is_some_and(|files| files.contains_key(&identity))
}

fn held_files() -> MutexGuard<'static, Option<HashMap<FileIdentity, u32>>> {
    // Every change below is a single call, so that a poisoned map is still a sound one.
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An entry in [`HELD`] for as long as it lives.
pub(in crate::sqlite) struct Held {
    pub(super) identity: FileIdentity,
}

impl Held {
    pub(super) fn enter(identity: FileIdentity) -> Self {
        *held_files()
            .get_or_insert_default()
            .entry(identity)
            .or_insert(0) += 1;
        Self { identity }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(files) = held_files().as_mut() {
            let fences = files.get(&self.identity).copied().unwrap_or(0);
            match fences {
                0 | 1 => files.remove(&self.identity),
                more => files.insert(self.identity, more - 1),
            };
        }
    }
}
