//! Files of our own, and files that somebody named for us to write: the first are replaced whole, the second are never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::below::{self, Modes};
use super::temporary;

/// How many names are tried for a file that may not take the place of another one.
const NAMES: u32 = 1_000;

/// Replaces a file that nobody but us writes (in a session's folder, or among the evidence) in one step: readers see the old one or the new
/// one, whole. When this returns the new one is on the disk, and so is its name.
///
/// # Errors
/// The folder cannot be written, or is full; what was at `path` is still there then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(temporary::shared_file_in(folder_of(path))?, path, bytes)
}

/// The same for a file that only its owner may read, from its first byte on.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(temporary::file_in(folder_of(path))?, path, bytes)
}

/// The same for a file with these permissions, which it has before it has its name.
pub fn replace_as(path: &Path, bytes: &[u8], permissions: fs::Permissions) -> io::Result<()> {
    let file = temporary::file_in(folder_of(path))?;
    file.as_file().set_permissions(permissions)?;
    put(file, path, bytes)
}

/// Replaces the file `name` of a folder by way of the file `NAME.new` in it, which is always ours: for what is replaced all the time, so that
/// a process that is killed leaves no more than one behind. Whoever needs its name on the disk sees to that.
pub fn replace_often(folder: &Path, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let fresh = format!("{name}.new");
    below::remove(folder, Path::new(&fresh))?;
    let modes = Modes {
        folder: mode,
        file: mode,
    };
    let mut file = below::create(folder, Path::new(&fresh), Some(modes))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(folder.join(fresh), folder.join(name))
}

fn put(mut file: tempfile::NamedTempFile, path: &Path, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_name(path)
}

/// Makes a name durable: what is called so since a moment ago still is after a power cut, which the bytes of the file alone do not promise.
///
/// # Errors
/// The disk does not confirm it. A folder that may be written to and not listed, and a file system that has no such thing, are none.
pub fn sync_name(path: &Path) -> io::Result<()> {
    let synced = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
    match synced {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Gives a file of ours the name `to` of another of ours, which from then on is called `before`, where nothing else may be. There is no moment at
/// which nothing is called `to`.
///
/// # Errors
/// Something else is called `before`, or the file system refuses; whatever was called `to` still is.
pub fn rename_instead(from: &Path, to: &Path, before: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let id = |path: &Path| fs::symlink_metadata(path).map(|m| (m.dev(), m.ino()));
    // Both names, where a process died in between.
    if id(before).ok() != Some(id(to)?) {
        fs::hard_link(to, before)?;
        sync_name(before)?;
    }
    fs::rename(from, to)
}

/// Begins a file that somebody named. One that is there and holds something is refused, and stays as it is.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`], or the folder cannot be written.
pub fn begin(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    if file.read(&mut [0])? > 0 {
        return Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "a file that is not empty is there already, and stays; name another one",
        ));
    }
    Ok(file)
}

/// Writes a file whole, under its name or, where something is, with the first number that is free before its ending. Without permissions of
/// its own it is readable by whom the umask lets. Returns where it is.
///
/// # Errors
/// The folder cannot be written, or is full; nothing was overwritten.
pub fn write_beside(
    path: &Path,
    bytes: &[u8],
    permissions: Option<fs::Permissions>,
) -> io::Result<PathBuf> {
    let mut file = match permissions {
        // Nobody reads it before it has them.
        Some(_) => temporary::file_in(folder_of(path))?,
        None => temporary::shared_file_in(folder_of(path))?,
    };
    file.write_all(bytes)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    for number in 1..=NAMES {
        let at = numbered(path, number);
        match file.persist_noclobber(&at) {
            Ok(_) => return sync_name(&at).map(|()| at),
            Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => file = refused.file,
            Err(refused) => return Err(refused.error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// `incident.md`, `incident.2.md`, …
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(ending) => format!("{stem}.{number}.{}", ending.to_string_lossy()),
        None => format!("{stem}.{number}"),
    };
    path.with_file_name(name)
}

/// Removes a file that nobody but us makes. One that is gone already is fine.
///
/// # Errors
/// It is there, and cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Gives a finished file its name, where nothing is.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`]; both files are as they were then.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system has no such rename.
        Err(Errno::INVAL | Errno::NOSYS) => match fs::symlink_metadata(to) {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(from, to),
        },
        other => other.map_err(io::Error::from),
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_wrote_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("incident.md"), "a review that people wrote").unwrap();
        assert_eq!(
            write_beside(&at("incident.md"), b"new", None).unwrap(),
            at("incident.2.md")
        );
        assert_eq!(
            write_beside(&at("incident.md"), b"new", None).unwrap(),
            at("incident.3.md")
        );
        assert_eq!(
            write_beside(&at("record"), b"new", None).unwrap(),
            at("record")
        );
        assert_eq!(
            write_beside(&at("record"), b"new", None).unwrap(),
            at("record.2")
        );
        let refused = begin(&at("incident.md")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        fs::write(at("from"), "x").unwrap();
        let refused = rename_new(&at("from"), &at("incident.md")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        let there = fs::read_to_string(at("incident.md")).unwrap();
        assert_eq!(there, "a review that people wrote");
        fs::write(at("empty"), "").unwrap();
        begin(&at("empty")).unwrap().write_all(b"lines").unwrap();
        begin(&at("new")).unwrap();
        replace(&at("record"), b"ours").unwrap();
        assert_eq!(fs::read(at("record")).unwrap(), b"ours");
        remove(&at("record")).unwrap();
        remove(&at("record")).unwrap();
        // Nothing that is not whole was left.
        let names = fs::read_dir(folder.path()).unwrap().flatten();
        assert!(
            names
                .into_iter()
                .all(|e| !e.file_name().to_string_lossy().starts_with('.'))
        );
    }
}
