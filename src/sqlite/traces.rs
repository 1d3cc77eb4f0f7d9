//! What the fenced file and the files beside it look like from outside, so that a write that went past SQLite's own counters is
//! seen: a copy over the file, a write through another name, a log or an index that was removed.
//!
//! While the fence holds nobody commits, so that none of this may change. Not in here: SQLite's own counters (`fence`).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::fence::{Drift, FileIdentity};
use super::open::sibling;

/// Both copies of the header of the index: which commits the log holds. Behind them are the marks of readers, which move.
const INDEX_HEADER_BYTES: usize = 96;

/// The state of a file from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileState {
    identity: FileIdentity,
    size_bytes: u64,
    modified_ns: i64,
}

impl FileState {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self {
            identity: FileIdentity::of(&metadata),
            size_bytes: metadata.len(),
            modified_ns: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
        })
    }

    /// `None` where there is no such file.
    fn if_there(path: &Path) -> io::Result<Option<Self>> {
        match Self::of(path) {
            Ok(state) => Ok(Some(state)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How everything looked when the fence was raised.
pub(super) struct Traces {
    file: FileState,
    /// Only in WAL mode.
    beside: Option<Beside>,
    /// Whether the file already held all that its log held. If not, a checkpoint may still write to it.
    settled: bool,
}

struct Beside {
    log: Option<FileState>,
    index_path: PathBuf,
    index: FileIdentity,
    header: [u8; INDEX_HEADER_BYTES],
}

impl Traces {
    /// Looks while the fence is up.
    pub(super) fn take(real: &Path, in_wal_mode: bool, settled: bool) -> io::Result<Self> {
        let beside = match in_wal_mode {
            false => None,
            true => {
                let index_path = sibling(real, "-shm");
                let index = FileIdentity::of(&index_path.metadata()?);
                Some(Beside {
                    log: FileState::if_there(&sibling(real, "-wal"))?,
                    header: index_header(&index_path, index)?,
                    index_path,
                    index,
                })
            }
        };
        Ok(Self {
            file: FileState::of(real)?,
            beside,
            settled: settled || !in_wal_mode,
        })
    }

    /// What has changed since.
    pub(super) fn drift(&self, real: &Path) -> Option<Drift> {
        if let Some(beside) = &self.beside {
            let log = FileState::if_there(&sibling(real, "-wal"));
            if log.ok() != Some(beside.log) {
                return Some(Drift::LogChanged);
            }
            if !beside.is_same_index() {
                return Some(Drift::IndexChanged);
            }
        }
        let Ok(now) = FileState::of(real) else {
            return Some(Drift::Replaced);
        };
        let touched = now.modified_ns != self.file.modified_ns && self.settled;
        (now.size_bytes != self.file.size_bytes || touched).then_some(Drift::Overwritten)
    }
}

impl Beside {
    fn is_same_index(&self) -> bool {
        let at_its_name = self.index_path.metadata();
        at_its_name.is_ok_and(|m| FileIdentity::of(&m) == self.index)
            && index_header(&self.index_path, self.index).is_ok_and(|h| h == self.header)
    }
}

/// One descriptor for each index that this process has looked into. None of them is ever closed: closing one would drop every lock
/// that SQLite holds there in this process, the fence among them. An engine looks into one index.
static KEPT_OPEN: Mutex<Option<HashMap<FileIdentity, File>>> = Mutex::new(None);

/// The first bytes of an index.
fn index_header(path: &Path, identity: FileIdentity) -> io::Result<[u8; INDEX_HEADER_BYTES]> {
    let mut kept = KEPT_OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    if !kept.contains_key(&identity) {
        let file = File::open(path)?;
        // Kept under what it is, which need not be what was there a moment ago.
        let opened = FileIdentity::of(&file.metadata()?);
        kept.insert(opened, file);
    }
    let file = kept
        .get(&identity)
        .ok_or_else(|| io::Error::other("the index was replaced while it was looked at"))?;
    let mut header = [0; INDEX_HEADER_BYTES];
    file.read_exact_at(&mut header, 0)?;
    Ok(header)
}
