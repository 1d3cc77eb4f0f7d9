//! The backup (`A2`): an immutable, checked copy of the source with a checksum beside it.
//!
//! Made with SQLite's online backup, so that readers go on and a `-wal` is included. The copy is worked on under a temporary name
//! in the same folder and gets its final name only when it is complete, checked, hashed, read-only and on the disk; a crash leaves
//! no half-written file there. A copy that got its name and not its checksum is completed by [`super::adopt`]. Storing it elsewhere is
//! [`super::store`], proving it readable [`super::drill`].

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::StepResult;
use rusqlite::{Connection, ErrorCode};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::open::{open_read_only, sibling};
use super::{adopt, digest, disk, inspect};
use crate::clock;
use crate::ours::temporary;

/// Pages per step: small enough to be cancelled promptly, large enough to be fast (2 MiB of the usual pages).
const PAGES_PER_STEP: i32 = 512;
/// How long a locked source is waited for, in all.
const LOCKED_TIMEOUT_MS: i64 = 30_000;
const LOCKED_PAUSE: Duration = Duration::from_millis(20);
/// With less than this free, an I/O error is put down to the full disk.
const FULL_BELOW_BYTES: u64 = 64 << 10;
/// Readable by owner and group, writable by nobody.
pub(super) const READ_ONLY_MODE: u32 = 0o440;

/// How far a backup has come, in pages of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub pages_done: u64,
    /// To copy in all.
    pub pages_total: u64,
}

/// A finished backup; evidence for K1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its final name. The checksum is in the file beside it, with `.sha256` appended.
    pub path: PathBuf,
    pub size_bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
    pub pages: u64,
    /// Rows that point nowhere, by table: SQLite did not keep them out. A fact about the source, not a fault of the copy.
    pub orphans: Vec<inspect::Orphans>,
    /// From the first page to the final name.
    pub duration_ms: u64,
}

/// Backs `source` up to `destination`, with `integrity_check` passed and a checksum beside it. A whole copy of ours that is there and lacks
/// its checksum gets it. Blocks; cancellable.
///
/// # Errors
/// What [`open_read_only`] says about the source; [`Error::AlreadyThere`]; [`Error::DiskFull`] (before the first byte where it
/// can be known); [`Error::Corrupt`] when the copy's `integrity_check` finds anything. After an error nothing is at `destination`, or a
/// whole copy without its checksum, which the next call completes.
pub fn take(
    source: &Path,
    destination: &Path,
    progress: &mut dyn FnMut(Progress),
    cancel: &CancellationToken,
) -> Result<Backup, Error> {
    let began_ms = clock::now_ms();
    if let Some(complete) = adopt::copy_of(source, destination, cancel)? {
        return Ok(complete);
    }
    refuse_existing(destination)?;
    let from = open_read_only(source)?;
    let size_bytes = size_of(&from, source)?;
    require_room(destination, size_bytes)?;

    let partial = Partial::create(destination)?;
    let pages = copy_pages(&from, partial.path(), size_bytes, progress, cancel)?;
    drop(from);
    let orphans = {
        let mut copy = Connection::open(partial.path())
            .map_err(|error| writing(partial.path(), size_bytes, error))?;
        as_resting_file(&copy).map_err(|error| writing(partial.path(), size_bytes, error))?;
        inspect::integrity(&mut copy, destination, cancel)?;
        inspect::orphans(&copy, destination)?
    };
    let sha256 = partial.publish(destination, cancel)?;
    Ok(Backup {
        path: destination.to_path_buf(),
        size_bytes: destination
            .metadata()
            .map_or(size_bytes, |metadata| metadata.len()),
        sha256,
        pages,
        orphans,
        duration_ms: (clock::now_ms() - began_ms).cast_unsigned(),
    })
}

/// Checks that the file at `path` is the one whose checksum was recorded. Blocks.
///
/// # Errors
/// [`Error::Checksum`] with both sums, or the file cannot be read.
pub fn verify(path: &Path, sha256: &str) -> Result<(), Error> {
    let found = digest::of_file(path, &CancellationToken::new())?;
    if found.eq_ignore_ascii_case(sha256) {
        return Ok(());
    }
    Err(Error::Checksum {
        path: path.to_path_buf(),
        recorded: sha256.to_owned(),
        found,
    })
}

pub(super) fn refuse_existing(path: &Path) -> Result<(), Error> {
    for path in [path, &digest::file_beside(path)] {
        if path.symlink_metadata().is_ok() {
            return Err(Error::AlreadyThere {
                path: path.to_path_buf(),
            });
        }
    }
    Ok(())
}

/// Refuses before the first byte what cannot fit.
pub(super) fn require_room(destination: &Path, needed_bytes: u64) -> Result<(), Error> {
    let disk = disk::of(destination);
    match disk.free_bytes < needed_bytes {
        true => Err(Error::DiskFull {
            disk: disk.mount,
            needed_bytes,
            free_bytes: disk.free_bytes,
        }),
        false => Ok(()),
    }
}

fn size_of(connection: &Connection, path: &Path) -> Result<u64, Error> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let size = number("page_count").and_then(|pages| Ok(pages * number("page_size")?));
    size.map(i64::cast_unsigned)
        .map_err(|source| Error::Sqlite {
            doing: "read",
            path: path.to_path_buf(),
            source,
        })
}

/// The online backup itself. Returns the number of pages.
fn copy_pages(
    from: &Connection,
    to: &Path,
    size_bytes: u64,
    progress: &mut dyn FnMut(Progress),
    cancel: &CancellationToken,
) -> Result<u64, Error> {
    let fail = |error| writing(to, size_bytes, error);
    let mut copy = Connection::open(to).map_err(fail)?;
    // The file has no reader and is thrown away after a crash: a journal of its own would only cost time.
    copy.execute_batch("PRAGMA synchronous=OFF").map_err(fail)?;
    let backup = rusqlite::backup::Backup::new(from, &mut copy).map_err(fail)?;
    let mut locked_since_ms = None;
    loop {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        match backup.step(PAGES_PER_STEP).map_err(fail)? {
            StepResult::Done => break,
            StepResult::Busy | StepResult::Locked => {
                let since = *locked_since_ms.get_or_insert_with(clock::now_ms);
                let waited = clock::now_ms() - since;
                if waited > LOCKED_TIMEOUT_MS {
                    let path = from.path().map(PathBuf::from).unwrap_or_default();
                    let holders_found = super::holders::of(&path);
                    return Err(Error::Busy {
                        path,
                        waited_ms: waited.cast_unsigned(),
                        holders_found,
                    });
                }
                std::thread::sleep(LOCKED_PAUSE);
            }
            _ => {
                locked_since_ms = None;
                progress(pages(&backup));
            }
        }
    }
    let done = pages(&backup);
    progress(done);
    Ok(done.pages_total)
}

fn pages(backup: &rusqlite::backup::Backup<'_, '_>) -> Progress {
    let seen = backup.progress();
    let total = u64::try_from(seen.pagecount).unwrap_or(0);
    Progress {
        pages_done: total - u64::try_from(seen.remaining).unwrap_or(0).min(total),
        pages_total: total,
    }
}

/// A backup of a WAL database is a WAL database, and opening one, even to read, leaves files beside it. This ends that.
fn as_resting_file(copy: &Connection) -> rusqlite::Result<()> {
    copy.pragma_update(None, "synchronous", "FULL")?;
    copy.pragma_update(None, "journal_mode", "DELETE")
}

/// An error of SQLite while writing the copy, with a full disk told apart.
fn writing(path: &Path, needed_bytes: u64, source: rusqlite::Error) -> Error {
    let disk = disk::of(path);
    match source.sqlite_error_code() {
        // What SQLite keeps beside the file (its `-shm`) meets a full disk as an I/O error.
        Some(ErrorCode::SystemIoFailure) if disk.free_bytes >= FULL_BELOW_BYTES => Error::Sqlite {
            doing: "back up to",
            path: path.to_path_buf(),
            source,
        },
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => Error::DiskFull {
            disk: disk.mount,
            needed_bytes,
            free_bytes: disk.free_bytes,
        },
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => Error::Permission {
            doing: "create",
            path: path.to_path_buf(),
        },
        _ => Error::Sqlite {
            doing: "back up to",
            path: path.to_path_buf(),
            source,
        },
    }
}

/// A file under a temporary name in the folder of its final one. Gone on drop, with whatever SQLite put beside it.
pub(super) struct Partial {
    file: NamedTempFile,
    _beside: Beside,
}

/// The files that SQLite may leave beside a database.
struct Beside(PathBuf);

impl Partial {
    pub(super) fn create(destination: &Path) -> Result<Self, Error> {
        let folder = folder_of(destination);
        let create = |source| Error::from_io("create", destination, 0, source);
        std::fs::create_dir_all(folder).map_err(create)?;
        let file = temporary::file_in(folder).map_err(create)?;
        let beside = Beside(file.path().to_path_buf());
        Ok(Self {
            file,
            _beside: beside,
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Hashes the file, makes it read-only and durable, and gives it and its checksum their final names. Returns the SHA-256.
    pub(super) fn publish(
        mut self,
        destination: &Path,
        cancel: &CancellationToken,
    ) -> Result<String, Error> {
        let sha256 = digest::of_file(self.path(), cancel)?;
        self.settle(destination)?;
        self.place(destination)?;
        place_digest(destination, &sha256)?;
        Ok(sha256)
    }

    fn settle(&mut self, destination: &Path) -> Result<(), Error> {
        let file = self.file.as_file();
        file.set_permissions(Permissions::from_mode(READ_ONLY_MODE))
            .and_then(|()| file.sync_all())
            .map_err(|source| Error::from_io("write", destination, 0, source))
    }

    /// Renames without ever replacing what is there.
    fn place(self, destination: &Path) -> Result<(), Error> {
        match self.file.persist_noclobber(destination) {
            Ok(_) => sync_folder(destination),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Error::AlreadyThere {
                    path: destination.to_path_buf(),
                })
            }
            Err(error) => Err(Error::from_io("rename", destination, 0, error.error)),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        for suffix in ["-journal", "-wal", "-shm"] {
            // Most often there is none; and a leftover of a copy that failed harms nobody.
            let _ = crate::ours::file::remove(&sibling(&self.0, suffix));
        }
    }
}

/// Writes the `sha256sum` file. Its presence says that the backup beside it was finished.
pub(super) fn place_digest(destination: &Path, sha256: &str) -> Result<(), Error> {
    let beside = digest::file_beside(destination);
    let mut partial = Partial::create(&beside)?;
    let line = digest::line(destination, sha256);
    partial
        .file()
        .write_all(line.as_bytes())
        .map_err(|source| Error::from_io("write", &beside, 0, source))?;
    partial.settle(&beside)?;
    partial.place(&beside)
}

pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a rename durable.
fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = folder_of(path);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::from_io("write", folder, 0, source))
}
