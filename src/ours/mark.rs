//! By what a file or a folder is known as the one that we made: its device, its inode and when it was born. A copy has another inode, and a
//! file that got a former one's inode has another birth.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// What tells one file or folder from every other one on this machine, also from one that comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Number of the device that holds it.
    pub device: u64,
    pub inode: u64,
    /// Nanoseconds since 1970; `None` where the file system does not keep it.
    pub born_ns: Option<u64>,
}

impl Mark {
    /// Of what is at `path` itself: a symbolic link is not followed.
    ///
    /// # Errors
    /// Nothing is there, or the folder may not be searched.
    pub fn of(path: &Path) -> std::io::Result<Mark> {
        let found = std::fs::symlink_metadata(path)?;
        let born = found
            .created()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Ok(Mark {
            device: found.dev(),
            inode: found.ino(),
            born_ns: born.and_then(|since| u64::try_from(since.as_nanos()).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn a_renamed_file_is_the_same_and_a_copy_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a"), "rows").unwrap();
        let made = Mark::of(&at("a")).unwrap();
        std::fs::copy(at("a"), at("copy")).unwrap();
        std::fs::rename(at("a"), at("b")).unwrap();
        assert_eq!(Mark::of(&at("b")).unwrap(), made);
        assert_ne!(Mark::of(&at("copy")).unwrap(), made);
        std::fs::remove_file(at("b")).unwrap();
        // It may get the inode that has become free.
        std::fs::write(at("b"), "rows").unwrap();
        assert_ne!(Mark::of(&at("b")).unwrap(), made);
    }
}
