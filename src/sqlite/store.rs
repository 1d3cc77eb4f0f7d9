//! The second place of a backup (`A3`): a copy in another folder, read back from the disk and compared.
//!
//! A place that is reached by a command instead of a folder is the step's business; it verifies with [`super::backup::verify`].

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::backup::{Partial, refuse_existing, require_room};
use super::error::Error;
use super::{adopt, backup, digest, disk};
use crate::clock;

const CHUNK_BYTES: usize = 1 << 20;

/// A stored copy; evidence for A3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Where it is. The checksum is beside it.
    pub path: PathBuf,
    /// As recorded and as read back.
    pub sha256: String,
    pub size_bytes: u64,
    /// Whether it is on another disk than the first copy.
    pub on_another_disk: bool,
    /// How long it took, reading back included.
    pub duration_ms: u64,
}

/// Copies the backup at `from`, whose checksum is `sha256`, into `folder` under the same name, then reads it back from the disk
/// and verifies it. A copy that is already there and has the right checksum is kept; one of ours that lacks the file with it gets that.
/// Blocks; cancellable.
///
/// # Errors
/// [`Error::DiskFull`], [`Error::AlreadyThere`] with other content, [`Error::Checksum`]. After an error no half-written file is
/// at the final name.
pub fn store_directory(
    from: &Path,
    sha256: &str,
    folder: &Path,
    progress: &mut dyn FnMut(backup::Progress),
    cancel: &CancellationToken,
) -> Result<Stored, Error> {
    let began_ms = clock::now_ms();
    let name = from.file_name().ok_or(Error::NotAFile {
        path: from.to_path_buf(),
        what: "directory",
    })?;
    let to = folder.join(name);
    let size_bytes = from
        .metadata()
        .map_err(|source| Error::from_io("read", from, 0, source))?
        .len();
    if !already_stored(&to, sha256) && !adopt::copy_with(&to, sha256, cancel)? {
        refuse_existing(&to)?;
        require_room(&to, size_bytes)?;
        copy(from, &to, sha256, size_bytes, progress, cancel)?;
    }
    forget_cached(&to);
    backup::verify(&to, sha256)?;
    Ok(Stored {
        on_another_disk: disk::of(&to).device != disk::of(from).device,
        path: to,
        sha256: sha256.to_owned(),
        size_bytes,
        duration_ms: (clock::now_ms() - began_ms).cast_unsigned(),
    })
}

/// A finished copy from an earlier attempt.
fn already_stored(path: &Path, sha256: &str) -> bool {
    digest::recorded(path).is_ok_and(|recorded| recorded == sha256) && path.is_file()
}

fn copy(
    from: &Path,
    to: &Path,
    sha256: &str,
    size_bytes: u64,
    progress: &mut dyn FnMut(backup::Progress),
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let mut source = File::open(from).map_err(|error| Error::from_io("read", from, 0, error))?;
    let mut partial = Partial::create(to)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut done_bytes = 0;
    loop {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let count = source
            .read(&mut buffer)
            .map_err(|error| Error::from_io("read", from, 0, error))?;
        if count == 0 {
            break;
        }
        let wrote = partial.file().write_all(&buffer[..count]);
        wrote.map_err(|error| Error::from_io("write", to, size_bytes, error))?;
        done_bytes += count as u64;
        let total = size_bytes.div_ceil(CHUNK_BYTES as u64);
        progress(backup::Progress {
            pages_done: done_bytes.div_ceil(CHUNK_BYTES as u64),
            pages_total: total,
        });
    }
    let found = digest::of_file(partial.path(), cancel)?;
    if found != sha256 {
        return Err(Error::Checksum {
            path: from.to_path_buf(),
            recorded: sha256.to_owned(),
            found,
        });
    }
    partial.publish(to, cancel).map(drop)
}

/// Asks the system to drop its cached pages, so that reading back reads the disk.
#[cfg(target_os = "linux")]
fn forget_cached(path: &Path) {
    if let Ok(file) = File::open(path) {
        // Advice only: where it is not taken, the comparison still stands, if against the cache.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
}

#[cfg(not(target_os = "linux"))]
fn forget_cached(_path: &Path) {}
