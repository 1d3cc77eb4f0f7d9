//! A file lock that says who holds it. The operating system ends it with the process, however that ends.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::journal::files;
use crate::journal::folder::FILE_MODE;

/// How long a lock that is about to go is waited out: of somebody who only looks, or of a child that a dead process forked and that has not
/// begun its own program yet.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// Who holds a lock, for people: that it is held is told by the lock alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    /// What it does, and where.
    pub what: String,
}

/// A lock that is held for as long as this is kept.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else holds it.
    #[error("{}", held(holder.as_ref(), path))]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// Who; `None` in the moment before they have said.
        holder: Option<Holder>,
    },
    /// The operating system said no.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock's file.
        path: PathBuf,
        source: io::Error,
    },
}

fn held(holder: Option<&Holder>, path: &Path) -> String {
    match holder {
        Some(holder) => format!(
            "process {} is at work there: {}",
            holder.pid,
            crate::text::printable(&holder.what, 400)
        ),
        None => format!("another process holds {}", path.display()),
    }
}

impl Lock {
    /// Takes the lock whose file is `path`, within half a second or not at all. The file stays when the lock goes.
    pub fn take(path: &Path, holder: &Holder) -> Result<Lock, Error> {
        let io_error = |source: io::Error| Error::Io {
            path: path.to_owned(),
            source,
        };
        let file = open(path).map_err(io_error)?;
        if !try_to_lock(&file).map_err(io_error)? {
            return Err(Error::Held {
                path: path.to_owned(),
                holder: read(path),
            });
        }
        let mut text = serde_json::to_string(holder).expect("BUG: a holder is plain data");
        text.push('\n');
        file.set_len(0)
            .and_then(|()| file.write_all_at(text.as_bytes(), 0))
            .map_err(io_error)?;
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a child that was forked and has not begun its own program yet.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Locks a file; `false` where somebody else has locked it and keeps it so.
fn try_to_lock(file: &File) -> io::Result<bool> {
    for _ in 0..TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => thread::sleep(BETWEEN_TRIES),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// One that is there is not opened as if it had to be made: in a sticky folder systems refuse that of what somebody else made.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(flags.bits().cast_signed());
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    match options.create_new(true).mode(FILE_MODE).open(path) {
        Ok(made) => {
            // Whoever is on the bridge may hold it next.
            made.set_permissions(Permissions::from_mode(FILE_MODE))?;
            Ok(made)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.create_new(false).open(path)
        }
        Err(error) => Err(error),
    }
}

/// Whether somebody holds the lock whose file is `path`.
pub fn is_held(path: &Path) -> bool {
    let file = match files::look_into(path) {
        Ok(file) => file,
        // What may not be looked at is not taken for free.
        Err(error) => return error.kind() != io::ErrorKind::NotFound,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            let _ = flock(&file, FlockOperation::Unlock);
            false
        }
        Err(error) => error == Errno::WOULDBLOCK,
    }
}

fn read(path: &Path) -> Option<Holder> {
    serde_json::from_slice(&files::look(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn one_holds_it_and_the_other_is_told_who() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let holder = |pid| Holder {
            pid,
            what: "a rehearsal in /srv/app".into(),
        };
        assert!(!is_held(&path));
        let first = Lock::take(&path, &holder(7)).unwrap();
        assert!(is_held(&path));
        let refused = Lock::take(&path, &holder(8)).unwrap_err().to_string();
        assert!(
            refused.contains("process 7") && refused.contains("/srv/app"),
            "{refused}"
        );
        drop(first);
        assert!(!is_held(&path));
        Lock::take(&path, &holder(8)).unwrap();
    }

    #[test]
    fn those_who_look_keep_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("lock");
        let holder = Holder {
            pid: 7,
            what: "a rehearsal in /srv/app".into(),
        };
        drop(Lock::take(path, &holder).unwrap());
        thread::scope(|scope| {
            let (done, is_done) = mpsc::channel::<()>();
            scope.spawn(move || {
                while is_done.try_recv() == Err(mpsc::TryRecvError::Empty) {
                    let _ = is_held(path);
                }
            });
            for _ in 0..50 {
                Lock::take(path, &holder).expect("the lock, while others look");
            }
            drop(done);
        });
    }
}
