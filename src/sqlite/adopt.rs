//! A whole copy without the checksum beside it: what is left where an attempt ends between giving the file its name and writing the checksum,
//! because the disk was full or the process was killed (`A2`, `A3`).
//!
//! Such a file is known by what it holds and by how we leave files, never by its place alone. Nothing is removed or replaced: all that is
//! done is to write the checksum.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::backup::{Backup, READ_ONLY_MODE, place_digest};
use super::error::Error;
use super::open::{open_read_only, sibling};
use super::{content, digest, inspect};
use crate::clock;

/// Completes a backup of `source`, if one that lacks its checksum is at `path`; `None` where something else is, or nothing. Blocks.
///
/// # Errors
/// The copy does not pass its check, the checksum cannot be written, or cancelled. The file is as it was then.
pub(super) fn copy_of(
    source: &Path,
    path: &Path,
    cancel: &CancellationToken,
) -> Result<Option<Backup>, Error> {
    let began_ms = clock::now_ms();
    if !lacks_its_checksum(path) || !is_resting_file(path) {
        return Ok(None);
    }
    if !content::digest(path).is_ok_and(|held| content::digest(source).is_ok_and(|own| own == held))
    {
        return Ok(None);
    }
    let mut copy = open_read_only(path)?;
    inspect::integrity(&mut copy, path, cancel)?;
    let orphans = inspect::orphans(&copy, path)?;
    let read = |source| Error::Sqlite {
        doing: "read",
        path: path.to_path_buf(),
        source,
    };
    let pages = copy.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0));
    let pages = pages.map_err(read)?.unsigned_abs();
    drop(copy);
    let sha256 = digest::of_file(path, cancel)?;
    let size_bytes = path
        .metadata()
        .map_err(|source| Error::from_io("read", path, 0, source))?
        .len();
    place_digest(path, &sha256)?;
    Ok(Some(Backup {
        path: path.to_path_buf(),
        size_bytes,
        sha256,
        pages,
        orphans,
        duration_ms: (clock::now_ms() - began_ms).cast_unsigned(),
    }))
}

/// Completes a copy whose bytes are to have this checksum; whether it did. Blocks.
///
/// # Errors
/// The file cannot be read, the checksum cannot be written, or cancelled.
pub(super) fn copy_with(
    path: &Path,
    sha256: &str,
    cancel: &CancellationToken,
) -> Result<bool, Error> {
    if !lacks_its_checksum(path) || digest::of_file(path, cancel)? != sha256 {
        return Ok(false);
    }
    place_digest(path, sha256)?;
    Ok(true)
}

/// Whether the file is one as we leave it (its own, ours, read-only) and nothing is where its checksum belongs.
fn lacks_its_checksum(path: &Path) -> bool {
    let is_free = |path: &Path| {
        let found = path.symlink_metadata();
        found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    let is_as_we_leave_it = path.symlink_metadata().is_ok_and(|found| {
        found.is_file()
            && found.uid() == rustix::process::geteuid().as_raw()
            && found.permissions().mode() & 0o777 == READ_ONLY_MODE
    });
    is_as_we_leave_it && is_free(&digest::file_beside(path))
}

/// Whether the database is in this one file, and stays so when it is read: SQLite's mark of a write-ahead log is not in its header, and none
/// of its files is beside it.
fn is_resting_file(path: &Path) -> bool {
    use std::io::Read as _;
    let mut header = [0; 20];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let beside = ["-journal", "-wal", "-shm"].map(|suffix| sibling(path, suffix));
    read.is_ok()
        && header[18..20] == [1, 1]
        && beside.iter().all(|path| {
            path.symlink_metadata()
                .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        })
}
