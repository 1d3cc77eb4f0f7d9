//! Reading what a runbook names as a file, and only where it is one: a pipe that nobody writes to would hold whoever opens it for ever.
//!
//! Not in here: files on a disk that does not answer; whoever reads those waits in a thread of its own, for so long and no longer.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens it for reading.
///
/// # Errors
/// It cannot be read, or is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let kind = file.metadata()?.file_type();
    match (kind.is_file(), kind.is_fifo()) {
        (true, _) => Ok(file),
        (false, true) => Err(io::Error::other(
            "it is a pipe (FIFO), which cannot be read as a file: name a file",
        )),
        (false, false) => Err(io::Error::other("it is no regular file")),
    }
}

/// All of it.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All of it, as text.
///
/// # Errors
/// As [`open`]; it is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| io::Error::other(error.utf8_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_and_a_folder_are_refused_at_once_and_a_file_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, pipe) = (folder.path().join("file"), folder.path().join("pipe"));
        std::fs::write(&file, "text").expect("written");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        assert_eq!(read_to_string(&file).expect("text"), "text");
        let refused = read(&pipe).expect_err("a pipe");
        assert!(refused.to_string().contains("it is a pipe"), "{refused}");
        assert!(read(folder.path()).is_err());
        let missing = read(&folder.path().join("none")).expect_err("nothing");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
