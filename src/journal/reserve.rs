//! Room that the journal keeps for the night on which its disk is full: a file of its own in the session's folder, given up at the first
//! write for which there is no room. A rollback's events need far less than that.
//!
//! Not in here: who is told that it was given up (`engine::conduct`).

use std::io;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};

use super::error::Error;
use super::files;
use super::folder::Folder;
use crate::ours::file;
use crate::sqlite::disk;

/// How much is kept, in bytes.
pub const RESERVE_BYTES: u64 = 16 * 1024 * 1024;
/// A disk with less free than this is too small to take anything from.
const NEEDED_BYTES: u64 = 4 * RESERVE_BYTES;

/// The file `reserve` of a session's folder.
#[derive(Debug, Clone)]
pub struct Reserve {
    folder: Folder,
    path: PathBuf,
}

impl Reserve {
    /// That of a folder, whether or not it is there.
    pub fn of(folder: &Folder) -> Self {
        Self {
            folder: folder.clone(),
            path: files::RESERVE.path(folder),
        }
    }

    /// Whether it is there, whole: a process that was killed, or a power cut, may leave a file that keeps no room.
    pub fn is_kept(&self) -> bool {
        let found = self.path.symlink_metadata();
        found.is_ok_and(|m| m.is_file() && m.len() == RESERVE_BYTES)
    }

    /// Puts it there, if there is room for it and for more. Gives whether it is there.
    pub fn keep(&self) -> io::Result<bool> {
        if self.is_kept() {
            return Ok(true);
        }
        if disk::of(&self.path).free_bytes < NEEDED_BYTES {
            return Ok(false);
        }
        file::remove(&self.path)?;
        let Some(made) = files::make(&self.folder, &files::RESERVE)? else {
            return Ok(self.is_kept());
        };
        let reserved = fallocate(&made, FallocateFlags::empty(), 0, RESERVE_BYTES)
            .map_err(io::Error::from)
            .and_then(|()| made.sync_all())
            .and_then(|()| file::sync_name(&self.path));
        if let Err(error) = reserved {
            file::remove(&self.path)?;
            return Err(error);
        }
        Ok(true)
    }

    /// Gives it up. Gives whether there was anything to give up. From then on something may lie on the spare folder, so that the name must
    /// not come back by a power cut; a disk that does not confirm it keeps nobody.
    pub fn free(&self) -> bool {
        let is_there = self.path.symlink_metadata().is_ok();
        let is_gone = is_there && file::remove(&self.path).is_ok();
        if is_gone && let Err(error) = file::sync_name(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the disk does not confirm that the reserve is given up");
        }
        is_gone
    }

    /// Does what may find no room; once more in the room that was kept.
    pub(super) fn with_room<T>(
        &self,
        mut work: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        match work() {
            Err(Error::DiskFull { .. }) if self.free() => work(),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_once_and_the_work_is_done_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(dir.path(), "tonight").expect("a session's folder");
        let reserve = Reserve::of(&folder);
        assert!(reserve.keep().expect("room"));
        assert_eq!(
            reserve.path.metadata().expect("a file").len(),
            RESERVE_BYTES
        );
        let full = || Error::DiskFull { path: "/a".into() };
        let mut tries = 0;
        let done = reserve.with_room(|| {
            tries += 1;
            if tries == 1 { Err(full()) } else { Ok(()) }
        });
        assert!(done.is_ok() && tries == 2 && !reserve.is_kept());
        let done = reserve.with_room(|| Err::<(), _>(full()));
        assert!(matches!(done, Err(Error::DiskFull { .. })));
        assert!(reserve.keep().expect("room") && reserve.is_kept());
    }

    /// As a process leaves it that is killed between both moves.
    #[test]
    fn a_file_that_keeps_no_room_is_no_reserve() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(dir.path(), "tonight").expect("a session's folder");
        let reserve = Reserve::of(&folder);
        drop(files::make(&folder, &files::RESERVE).expect("a file"));
        assert!(!reserve.is_kept());
        assert!(reserve.keep().expect("room") && reserve.is_kept());
        let bytes = reserve.path.metadata().expect("a file").len();
        assert_eq!(bytes, RESERVE_BYTES);
    }
}
