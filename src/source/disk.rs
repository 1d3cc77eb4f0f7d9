//! The disk that a path is on: its mount point and what is free there.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A disk as far as a copy onto it cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Where it is mounted; what a person calls it by.
    pub mount: PathBuf,
    /// What an unprivileged process may still write, in bytes; 0 when the system does not say.
    pub free_bytes: u64,
    /// The device number: equal for two paths on the same disk.
    pub device: u64,
}

/// The disk of `path`, or of the nearest folder above it that exists.
pub fn of(path: &Path) -> Disk {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let existing = absolute
        .ancestors()
        .find_map(|at| at.canonicalize().ok())
        .unwrap_or_else(|| PathBuf::from("/"));
    let device = device_of(&existing).unwrap_or(0);
    let mount = existing
        .ancestors()
        .take_while(|at| device_of(at) == Some(device))
        .last()
        .unwrap_or(&existing);
    let free_bytes = rustix::fs::statvfs(&existing)
        .map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    Disk {
        mount: mount.to_path_buf(),
        free_bytes,
        device,
    }
}

fn device_of(path: &Path) -> Option<u64> {
    Some(path.metadata().ok()?.dev())
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_path_that_does_not_exist_yet_is_on_the_disk_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let disk = of(&folder.path().join("not/yet/there.db"));
        assert_eq!(disk, of(folder.path()));
        assert!(
            folder
                .path()
                .canonicalize()
                .unwrap()
                .starts_with(&disk.mount)
        );
        assert!(disk.free_bytes > 0);
    }
}
