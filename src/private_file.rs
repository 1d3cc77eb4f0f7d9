//! A file that only its owner can read: all of it, on the disk, or nothing of it. For what holds secrets.

use std::io;
use std::path::Path;

use crate::ours::file;

/// Writes the file under another name beside it and gives it its own once it is whole; replaces what is there.
///
/// # Errors
/// The folder cannot be written, or is full; what was at `path` is still there then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    file::replace_private(path, bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn replaces_and_shows_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("orders.json");
        std::fs::write(&path, "former").expect("written");
        super::write(&path, b"secret").expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), b"secret");
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            1
        );
    }
}
