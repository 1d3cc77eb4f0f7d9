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

/// What a look at a disk shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What an unprivileged process may still write there.
    pub free_bytes: u64,
    /// Which disk it is: another number tells of another one.
    pub device: u64,
}

/// The room on the disk of `path`, or of the nearest folder above it that exists.
///
/// # Errors
/// The system does not say.
pub fn room(path: &Path) -> std::io::Result<Room> {
    let absolute = std::path::absolute(path)?;
    let existing = absolute.ancestors().find(|at| at.exists());
    let existing = existing.unwrap_or(Path::new("/"));
    let stat = rustix::fs::statvfs(existing)?;
    // By the folder: on an overlay a file has its layer's number, which is another one than its folder's and changes when it is first written.
    let real = existing.canonicalize()?;
    let folder = match real.parent() {
        Some(folder) if !real.is_dir() => folder,
        _ => real.as_path(),
    };
    Ok(Room {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        device: folder.metadata()?.dev(),
    })
}

/// What an unprivileged process may still write on the disk of `path`, or of the nearest folder above it that exists.
pub fn free_bytes(path: &Path) -> std::io::Result<u64> {
    room(path).map(|room| room.free_bytes)
}

/// The kind of a file system on which other hosts, or another kernel's idea of a lock, may come between us and a file; `None` for all
/// others. SQLite's locks hold on one host and one kernel: of such a place a fence proves nothing about writers elsewhere.
pub fn out_of_sight(path: &Path) -> Option<&'static str> {
    const KINDS: [(u32, &str); 10] = [
        (0x6969, "NFS"),
        (0xFF53_4D42, "CIFS"),
        (0xFE53_4D42, "SMB2"),
        (0x517B, "SMB"),
        (0x0102_1997, "9p"),
        (0x6573_5546, "FUSE"),
        (0x794C_7630, "overlay"),
        (0x00C3_6400, "Ceph"),
        (0x5346_414F, "AFS"),
        (0x786F_4256, "VirtualBox's shared folder"),
    ];
    kind_of(path).and_then(|kind| {
        KINDS
            .iter()
            .find(|(n, _)| *n == kind)
            .map(|(_, name)| *name)
    })
}

#[cfg(target_os = "linux")]
fn kind_of(path: &Path) -> Option<u32> {
    // The number's width differs between machines, and every one of these fits into 32 bits.
    let kind = rustix::fs::statfs(path).ok()?.f_type;
    Some(kind as u32)
}

#[cfg(not(target_os = "linux"))]
fn kind_of(_path: &Path) -> Option<u32> {
    None
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
        // Other programs write to the same disk between both looks.
        let of_folder = of(folder.path());
        assert_eq!(
            (disk.device, &disk.mount),
            (of_folder.device, &of_folder.mount)
        );
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
