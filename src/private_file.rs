//! A file that only its owner can read: all of it, on the disk, or nothing of it. For what holds secrets.

use std::io::{self, Write};
use std::path::Path;

use crate::ours::temporary;

/// Writes the file under another name beside it and gives it its own once it is whole; replaces what is there.
///
/// # Errors
/// The folder cannot be written, or is full; what was at `path` is still there then.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    // Its mode is 0600 from the beginning.
    let mut file = temporary::file_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
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
