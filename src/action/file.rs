//! Files that are written or removed at once and completely.

use std::fs::{File, Metadata, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate};

use super::output::Output;
use super::{Ended, Error};
use crate::ours::temporary;

/// Mode of a file that was not there before: the application has to be able to read it.
const NEW_MODE: u32 = 0o644;
/// Of one that holds a password: its owner alone reads it. Who needs another mode makes the file beforehand.
const NEW_SECRET_MODE: u32 = 0o600;

/// `path` as it is meant: absolute as written, relative inside `folder`.
pub(super) fn inside(folder: &Path, path: &Path) -> Result<PathBuf, Error> {
    let climbs = path
        .components()
        .any(|part| matches!(part, Component::ParentDir));
    if climbs && path.is_relative() {
        return Err(Error::PathEscapes {
            path: path.to_path_buf(),
        });
    }
    Ok(folder.join(path))
}

/// Creates or replaces a file; one with a secret in it is made for its owner alone.
pub(super) async fn write(
    path: PathBuf,
    content: Vec<u8>,
    secret: bool,
    output: &mut Output<'_>,
) -> Ended {
    let mode = if secret { NEW_SECRET_MODE } else { NEW_MODE };
    report(output, "write", path, move |path| {
        match replace_with(path, &content, mode) {
            // What lets users in again must not wait for room on the application's disk.
            Err(full) if has_no_room(&full) => overwrite(path, &content).map_err(|_| full),
            done => done,
        }
    })
    .await
}

/// Removes a file; one that is gone already is fine.
#[expect(
    clippy::disallowed_methods,
    reason = "the file that the runbook's action names"
)]
pub(super) async fn remove(path: PathBuf, output: &mut Output<'_>) -> Ended {
    report(output, "remove", path, |path| {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => sync_folder(path),
        }
    })
    .await
}

async fn report(
    output: &mut Output<'_>,
    doing: &str,
    path: PathBuf,
    effect: impl FnOnce(&Path) -> std::io::Result<()> + Send + 'static,
) -> Ended {
    let shown = path.display().to_string();
    let done = tokio::task::spawn_blocking(move || effect(&path))
        .await
        .unwrap_or_else(|error| Err(error.into()));
    match done {
        Ok(()) => Ended {
            ok: true,
            ..Ended::default()
        },
        Err(error) => {
            output.remark(&format!("cannot {doing} {shown}: {error}"));
            Ended::default()
        }
    }
}

/// Replaces the content of `path` in one step: readers see the old file or the new one. Mode and owner stay; a symbolic link stays
/// and its target is replaced. Durable when it returns.
pub(super) fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    replace_with(path, content, NEW_MODE)
}

/// The same, with a mode for a file that was not there before.
#[expect(
    clippy::disallowed_methods,
    reason = "the file that the runbook names: of an action, or with the configuration's key"
)]
fn replace_with(path: &Path, content: &[u8], new_mode: u32) -> std::io::Result<()> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_path_buf(),
        Err(error) => return Err(error),
    };
    let mut file = temporary::file_in(folder_of(&real))?;
    file.write_all(content)?;
    match real.metadata() {
        Ok(former) => dress_like(file.as_file(), &former)?,
        Err(_) => file
            .as_file()
            .set_permissions(Permissions::from_mode(new_mode))?,
    }
    file.as_file().sync_all()?;
    file.persist(&real)?;
    sync_folder(&real)
}

/// As [`replace`]; where the disk has no room for a second file, the bytes of the one that is there are overwritten. For what a rollback puts
/// back: a full disk must not keep the application on PostgreSQL.
pub(super) fn put_back(path: &Path, content: &[u8]) -> std::io::Result<()> {
    match replace(path, content) {
        Err(full) if has_no_room(&full) => overwrite(path, content).map_err(|_| full),
        done => done,
    }
}

fn has_no_room(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

/// Writes over a file that is there, in the room that it has. Where that is too little nothing is written. Not at once: for a moment, and
/// after a crash in it, readers see both contents mixed.
#[expect(
    clippy::disallowed_methods,
    reason = "the file that the runbook names: of an action, or with the configuration's key"
)]
fn overwrite(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let file = File::options()
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let length = content.len() as u64;
    if length > found.len()
        && let Err(full) = fallocate(&file, FallocateFlags::empty(), 0, length)
    {
        // Within its last block a file grows without room of its own; beyond it some systems have made it longer by then.
        file.set_len(found.len())?;
        return Err(full.into());
    }
    file.write_all_at(content, 0)?;
    file.set_len(length)?;
    file.sync_all()
}

fn dress_like(file: &File, former: &Metadata) -> std::io::Result<()> {
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (former.uid(), former.gid()) {
        fchown(file, Some(former.uid()), Some(former.gid()))?;
    }
    // After the owner, for a change of owner clears bits.
    file.set_permissions(former.permissions())
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
