//! Every file of a session's folder: who writes it, who reads it, and what a forged one would do; and the one way to open them. Nothing
//! here follows a link, waits at a pipe, or acts on a file that somebody else than the session's owner could have written.
//!
//! The folder belongs to whoever opened the session, and nobody else can make, rename or remove anything in it, but for the two folders in
//! which the bridge's group works: `shared/` and `report/`.
//!
//! Not in here: what is inside the files, which folders there are and how a session is found (`folder`).

mod table;

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::folder::Folder;
use crate::ours::{below, file};

pub use table::*;

/// No file that is read whole is longer.
const MAX_BYTES: u64 = 64 << 20;

impl Row {
    /// The mode that it is made with.
    pub const fn mode(&self) -> u32 {
        match (self.kind, self.writer, self.reader) {
            (Kind::Plain | Kind::Socket, Hands::Owner, Hands::Owner) => 0o600,
            (Kind::Plain | Kind::Socket, Hands::Owner, Hands::Group) => 0o640,
            (Kind::Plain | Kind::Socket, Hands::Group, _) => 0o660,
            (Kind::Folder, Hands::Owner, Hands::Owner) => 0o700,
            (Kind::Folder, Hands::Owner, Hands::Group) => 0o2750,
            (Kind::Folder, Hands::Group, _) => 0o2770,
        }
    }

    /// Where it is in a session's folder.
    pub fn path(&self, folder: &Folder) -> PathBuf {
        self.home(folder).join(self.name)
    }

    fn home<'f>(&self, folder: &'f Folder) -> &'f Path {
        match self.is_shared {
            true => folder.shared_dir(),
            false => folder.dir(),
        }
    }

    /// The bits of a mode that nobody must have.
    const fn forbidden(&self) -> u32 {
        match (self.writer, self.reader) {
            (Hands::Owner, Hands::Owner) => 0o077,
            (Hands::Owner, Hands::Group) => 0o022,
            (Hands::Group, _) => 0o002,
        }
    }

    /// Whether something that is there may be acted on; in words if not.
    fn examine(&self, found: &Metadata, folder: &Folder) -> io::Result<()> {
        if self.kind == Kind::Plain && !found.is_file() {
            return refused("is no plain file".to_owned());
        }
        if self.kind == Kind::Folder && !found.is_dir() {
            return refused("is no folder".to_owned());
        }
        let owner = std::fs::symlink_metadata(folder.dir())?.uid();
        if self.writer == Hands::Owner && found.uid() != owner {
            return refused(format!(
                "is user {}'s, and the session is user {owner}'s: it is not used",
                found.uid()
            ));
        }
        let mode = found.mode() & 0o7777;
        if mode & self.forbidden() != 0 {
            return refused(format!(
                "has mode {mode:o}, so others than user {owner} could have written or read it: it is not used. `chmod {:o}` it once you \
                 have looked at it",
                self.mode()
            ));
        }
        Ok(())
    }
}

fn refused<T>(why: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

fn made_with(row: &Row) -> Mode {
    below::mode_of(row.mode() & 0o777)
}

/// Opens a file to act on what it says.
///
/// # Errors
/// It is not there, is a link, a pipe or a device, is somebody else's, or others could have written it.
pub fn open(folder: &Folder, row: &Row) -> io::Result<File> {
    let file = below::open(row.home(folder), Path::new(row.name))?;
    row.examine(&file.metadata()?, folder)?;
    Ok(file)
}

/// Looks at a file that SQLite is to open, and does not open it: to close it again would drop the locks that this process holds on it.
/// Says whether it is there.
pub fn look_at(folder: &Folder, row: &Row) -> io::Result<bool> {
    match std::fs::symlink_metadata(row.path(folder)) {
        Ok(found) => row.examine(&found, folder).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// All of a file that is acted on.
///
/// # Errors
/// As [`open`]; it is larger than any file of ours.
pub fn read(folder: &Folder, row: &Row) -> io::Result<Vec<u8>> {
    all_of(open(folder, row)?)
}

/// All of a file in a folder of such.
///
/// # Errors
/// As [`read`], of the folder or the file.
pub fn read_in(folder: &Folder, row: &Row, name: &str) -> io::Result<Vec<u8>> {
    row.examine(&std::fs::symlink_metadata(row.path(folder))?, folder)?;
    let file = below::open(&row.path(folder), Path::new(name))?;
    let plain = Row {
        kind: Kind::Plain,
        ..*row
    };
    plain.examine(&file.metadata()?, folder)?;
    all_of(file)
}

/// All of a file that is only shown, or that proves itself: a plain file, whoever has written it.
///
/// # Errors
/// It is not there, is no plain file, or is larger than any file of ours.
pub fn look(path: &Path) -> io::Result<Vec<u8>> {
    all_of(look_into(path)?)
}

/// The file that [`look`] reads.
pub fn look_into(path: &Path) -> io::Result<File> {
    let (dir, name) = (path.parent(), path.file_name());
    let dir = dir.filter(|d| !d.as_os_str().is_empty());
    look_below(
        dir.unwrap_or(Path::new(".")),
        Path::new(name.unwrap_or_default()),
    )
}

/// As [`look_into`], and no part of the way below `dir` is a link.
pub fn look_below(dir: &Path, relative: &Path) -> io::Result<File> {
    let file = below::open(dir, relative)?;
    if !file.metadata()?.is_file() {
        return refused("is no plain file".to_owned());
    }
    Ok(file)
}

fn all_of(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return refused(format!("has more than {MAX_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Makes a file that is not there, empty; `None` where something is.
pub fn make(folder: &Folder, row: &Row) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    match below::with(row.home(folder), Path::new(row.name), flags, made_with(row)) {
        Ok(file) => {
            // Whatever the umask says.
            file.set_permissions(permissions(row))?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

fn permissions(row: &Row) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(row.mode())
}

/// Opens a file to read and write it in place; one that is not there is made.
///
/// # Errors
/// As [`open`]; it has a second name.
pub fn edit(folder: &Folder, row: &Row) -> io::Result<File> {
    write_with(folder, row, OFlags::RDWR)
}

/// Opens a file to write at its end; one that is not there is made.
pub fn append(folder: &Folder, row: &Row) -> io::Result<File> {
    write_with(folder, row, OFlags::WRONLY | OFlags::APPEND)
}

fn write_with(folder: &Folder, row: &Row, flags: OFlags) -> io::Result<File> {
    // Not by one call: where a folder is sticky, systems refuse to open with O_CREAT what somebody else made.
    if let Some(made) = make(folder, row)? {
        drop(made);
    }
    let file = below::with(row.home(folder), Path::new(row.name), flags, Mode::empty())?;
    let found = file.metadata()?;
    row.examine(&found, folder)?;
    if found.nlink() > 1 {
        return refused("has a second name, which may be anybody's: it is not written".to_owned());
    }
    Ok(file)
}

/// Replaces a file in one step: readers see the old one or the new one, whole.
///
/// # Errors
/// The folder cannot be written, or is full; what was there is still there then.
pub fn replace(folder: &Folder, row: &Row, bytes: &[u8]) -> io::Result<()> {
    file::replace_as(&row.path(folder), bytes, permissions(row))
}

/// [`replace`] for what is replaced with every event.
pub fn replace_often(folder: &Folder, row: &Row, bytes: &[u8]) -> io::Result<()> {
    file::replace_often(row.home(folder), row.name, bytes, row.mode())
}

/// A folder of files, made where it is missing, and nobody else's.
///
/// # Errors
/// It cannot be made; what is there is a link, somebody else's, or others can write it.
pub fn folder(folder: &Folder, row: &Row) -> io::Result<PathBuf> {
    let path = row.path(folder);
    match std::fs::create_dir(&path) {
        Ok(()) => {
            std::fs::set_permissions(&path, permissions(row))?;
            file::sync_name(&path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    row.examine(&std::fs::symlink_metadata(&path)?, folder)
        .map_err(|error| named(&path, &error))?;
    Ok(path)
}

/// The same error, with the path before it.
pub fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
