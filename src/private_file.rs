//! A file that only its owner can read: all of it, on the disk, or nothing of it. For what holds secrets.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes the file under another name beside it and gives it its own once it is whole; replaces what is there.
///
/// # Errors
/// The folder cannot be written, or is full; what was at `path` is still there then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&partial, path)
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
