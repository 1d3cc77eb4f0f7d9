//! The claim on a SQLite file: a file beside it, named after it. Another name of the file has no claim beside it; the fence refuses
//! those (`source::names`).

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Claim, Refused};
use crate::ours::file;
use crate::regular_file;

/// Appended to the SQLite file's name.
const SUFFIX: &str = ".cutover-session";
/// A claim is not longer.
const MAX_BYTES: usize = 64 << 10;

/// Why a file cannot be claimed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another session has it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The claim cannot be read or written.
    #[error("{path}, which says which session has it, cannot be read or written: {source}. Nothing was touched", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Where the claim on a SQLite file is; `None` where there is no such file.
fn place(file: &Path) -> Option<PathBuf> {
    let mut name = file.canonicalize().ok()?.into_os_string();
    name.push(SUFFIX);
    Some(PathBuf::from(name))
}

/// The claim on a SQLite file whose session is not over.
///
/// # Errors
/// A claim is there and cannot be read.
pub fn holder(file: &Path) -> Result<Option<Claim>, Error> {
    place(file).map_or(Ok(None), |path| holder_at(&path))
}

/// That nobody but this session, if any, has the file.
///
/// # Errors
/// [`Error::Refused`] where another session has it.
pub fn is_free_for(file: &Path, mine: Option<&Claim>) -> Result<(), Error> {
    place(file).map_or(Ok(()), |path| is_free_at(&path, mine, &what(file)))
}

/// Claims a file; a claim of this session, or of one that is over, is taken over. Nothing is done where there is no such file.
///
/// # Errors
/// [`Error::Refused`] where another session has it.
pub fn take(file: &Path, mine: &Claim) -> Result<(), Error> {
    place(file).map_or(Ok(()), |path| take_at(&path, mine, &what(file)))
}

/// Lets go of a file; another session's claim stays.
pub fn leave(file: &Path, mine: &Claim) -> Result<(), Error> {
    place(file).map_or(Ok(()), |path| leave_at(&path, mine))
}

fn what(file: &Path) -> String {
    format!("the SQLite file {}", file.display())
}

fn holder_at(path: &Path) -> Result<Option<Claim>, Error> {
    Ok(read(path)?.filter(|claim| !claim.is_over()))
}

/// That nobody but this session, if any, has what the claim at `path` is on.
pub(super) fn is_free_at(path: &Path, mine: Option<&Claim>, what: &str) -> Result<(), Error> {
    match holder_at(path)? {
        Some(other) if Some(&other) != mine => Err(refused(&other, what)),
        _ => Ok(()),
    }
}

/// Writes the claim at `path`.
pub(super) fn take_at(path: &Path, mine: &Claim, what: &str) -> Result<(), Error> {
    let failed = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path);
    match made {
        Ok(mut claim) => {
            let text = serde_json::to_vec(mine).expect("BUG: a claim is plain data");
            claim
                .write_all(&text)
                .and_then(|()| claim.sync_all())
                .and_then(|()| file::sync_name(path))
                .map_err(failed)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            match read(path)? {
                Some(other) if other == *mine => Ok(()),
                Some(other) if !other.is_over() => Err(refused(&other, what)),
                _ => {
                    // The session that left it is over: this is its file, and goes.
                    file::remove(path).map_err(failed)?;
                    take_at(path, mine, what)
                }
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// Removes the claim at `path`, where it is this session's.
pub(super) fn leave_at(path: &Path, mine: &Claim) -> Result<(), Error> {
    match read(path)? {
        Some(claim) if claim == *mine => file::remove(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn refused(other: &Claim, what: &str) -> Error {
    Error::Refused(other.refuse(what.to_owned()))
}

/// `None` where there is no claim, or none that anybody could read: a process that died while it wrote one.
fn read(path: &Path) -> Result<Option<Claim>, Error> {
    let bytes = match regular_file::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Error::Io {
                path: path.to_owned(),
                source,
            });
        }
    };
    Ok(serde_json::from_slice(&bytes[..bytes.len().min(MAX_BYTES)]).ok())
}
