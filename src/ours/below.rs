//! Opening, making and removing a file below a folder, part by part, so that no part of the way can be a link, however quickly somebody
//! exchanges one.
//!
//! Not in here: whose the file must be (`journal::files`).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawMode, fchmod, mkdirat, openat, unlinkat};
use rustix::io::Errno;

/// A pipe without a writer would hold up whoever opens it, a terminal would become ours, and a link may lead anywhere.
const ALWAYS: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Opens a file below a folder to read it.
///
/// # Errors
/// It is not there, or is a link, or a part of the way to it is.
pub fn open(dir: &Path, relative: &Path) -> io::Result<File> {
    with(dir, relative, OFlags::RDONLY, Mode::empty())
}

/// The modes of what is made, whatever the umask.
#[derive(Debug, Clone, Copy)]
pub struct Modes {
    pub folder: u32,
    pub file: u32,
}

/// The bits of a mode as the system's calls take them, which have sixteen for it on macOS and thirty-two on Linux.
pub fn mode_of(bits: u32) -> Mode {
    Mode::from_raw_mode((bits & 0o7777) as RawMode)
}

/// Makes a new file below a folder, and the folders on the way that are missing. Without modes it is as the umask lets.
///
/// # Errors
/// Something is there, or a part of the way is a link.
pub fn create(dir: &Path, relative: &Path, modes: Option<Modes>) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let (folder, file) = modes.map_or((0o777, 0o666), |m| (m.folder & 0o777, m.file & 0o777));
    let (mut at, parts, name) = begin(dir, relative)?;
    for part in parts {
        let made = mkdirat(&at, part, mode_of(folder));
        at = match made {
            Ok(()) | Err(Errno::EXIST) => enter(&at, part)?,
            Err(error) => return Err(error.into()),
        };
        if let (Ok(()), Some(modes)) = (made, modes) {
            fchmod(&at, mode_of(modes.folder))?;
        }
    }
    let made = openat(&at, name, flags | ALWAYS, mode_of(file)).map_err(in_words)?;
    if let Some(modes) = modes {
        fchmod(&made, mode_of(modes.file))?;
    }
    Ok(made.into())
}

/// Removes a file of ours below a folder. One that is gone already is fine.
///
/// # Errors
/// It is there, and cannot be removed, or a part of the way is a link.
pub fn remove(dir: &Path, relative: &Path) -> io::Result<()> {
    let (mut at, parts, name) = begin(dir, relative)?;
    for part in parts {
        at = enter(&at, part)?;
    }
    match unlinkat(&at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a file below a folder, with these flags besides.
pub fn with(dir: &Path, relative: &Path, flags: OFlags, mode: Mode) -> io::Result<File> {
    let (mut at, parts, name) = begin(dir, relative)?;
    for part in parts {
        at = enter(&at, part)?;
    }
    openat(&at, name, flags | ALWAYS, mode)
        .map(File::from)
        .map_err(in_words)
}

/// The folder itself, the folders below it on the way, and the file's name.
fn begin<'p>(dir: &Path, relative: &'p Path) -> io::Result<(OwnedFd, Vec<&'p OsStr>, &'p OsStr)> {
    let mut parts = Vec::new();
    for part in relative.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::ParentDir => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "is no plain name",
                ));
            }
        }
    }
    let name = parts
        .pop()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "has no name"))?;
    // The way to the folder is whoever's who named it.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok((openat(CWD, dir, flags, Mode::empty())?, parts, name))
}

fn enter(at: &OwnedFd, part: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    openat(at, part, flags | ALWAYS, Mode::empty()).map_err(in_words)
}

/// What the operating system calls too many links is one link too many.
fn in_words(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => io::Error::new(
            io::ErrorKind::PermissionDenied,
            "is a symbolic link, which no file of a session is: it is not followed",
        ),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_part_of_the_way_may_be_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        std::fs::write(at("real/file"), "x").unwrap();
        symlink(at("real"), at("to-folder")).unwrap();
        symlink(at("real/file"), at("to-file")).unwrap();
        let open = |name: &str| open(folder.path(), Path::new(name));
        let mut text = String::new();
        open("real/file")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "x");
        for refused in ["to-file", "to-folder/file", "../x", "/etc/passwd", "."] {
            assert!(open(refused).is_err(), "{refused}");
        }
        let modes = Modes {
            folder: 0o2770,
            file: 0o660,
        };
        let create = |name: &str| create(folder.path(), Path::new(name), Some(modes));
        create("new/file").unwrap().write_all(b"y").unwrap();
        assert_eq!(std::fs::read(at("new/file")).unwrap(), b"y");
        for refused in ["real/file", "to-folder/other", "to-file"] {
            assert!(create(refused).is_err(), "{refused}");
        }
        assert!(remove(folder.path(), Path::new("to-folder/file")).is_err());
        assert_eq!(std::fs::read_dir(at("real")).unwrap().count(), 1);
        remove(folder.path(), Path::new("real/file")).unwrap();
        remove(folder.path(), Path::new("real/file")).unwrap();
        assert_eq!(std::fs::read_dir(at("real")).unwrap().count(), 0);
    }
}
