//! Whether a file that was hashed is still that file, told without reading it again. Not in here: the checksum itself (`digest`).

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub use crate::identity::Stamp;

impl Stamp {
    /// Of the file that is at `path` now.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        let ns = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.len(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::Stamp;

    #[test]
    fn whatever_is_done_to_a_file_moves_its_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup.db");
        let harms: [(&str, &dyn Fn()); 4] = [
            ("a byte in place, with its time put back", &|| {
                let before = path.metadata().unwrap().modified().unwrap();
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                std::os::unix::fs::FileExt::write_at(&file, b"X", 1).unwrap();
                file.set_modified(before).unwrap();
            }),
            ("another file at its name", &|| {
                let other = folder.path().join("other");
                std::fs::copy(&path, &other).unwrap();
                std::fs::rename(&other, &path).unwrap();
            }),
            ("away and back again", &|| {
                let away = folder.path().join("away");
                std::fs::rename(&path, &away).unwrap();
                std::fs::rename(&away, &path).unwrap();
            }),
            ("its rights", &|| {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            }),
        ];
        for (what, harm) in harms {
            std::fs::write(&path, "rows").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            let before = Stamp::of(&path).unwrap();
            assert_eq!(Stamp::of(&path).unwrap(), before);
            // The clock of a file system moves in steps of a few milliseconds.
            let began = std::time::Instant::now();
            while Stamp::of(&path).unwrap() == before && began.elapsed().as_secs() < 60 {
                harm();
            }
            assert_ne!(Stamp::of(&path).unwrap(), before, "{what}");
        }
    }
}
