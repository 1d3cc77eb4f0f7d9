//! Folders with the mode and the group that they need, whatever the process's umask is. Not in here: which folder gets which (`folder`).

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::ours::file::sync_name;

use super::{Error, Folder, ROOT_MODE, SHARED_MODE, WRITABLE, io_error};

/// Whoever may write in a folder removes and renames their own alone.
const STICKY: u32 = 0o1000;

/// The folder itself, however quickly somebody puts a link in its place.
fn handle(dir: &Path) -> io::Result<fs::File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    fs::File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(dir)
}

/// Gives a folder in which the group works its mode, whatever the process's umask was when it was made.
pub(crate) fn share_dir(dir: &Path) -> io::Result<()> {
    handle(dir)?.set_permissions(fs::Permissions::from_mode(SHARED_MODE))
}

pub(super) fn set_mode(dir: &Path, mode: u32) -> Result<(), Error> {
    handle(dir)
        .and_then(|dir| dir.set_permissions(fs::Permissions::from_mode(mode)))
        .map_err(io_error("set the mode of", dir))
}

/// Members of a group who may write in the folder of all sessions remove and rename their own alone. One that is another's stays as it is.
pub(super) fn make_sticky(root: &Path) -> Result<(), Error> {
    let found = fs::metadata(root).map_err(io_error("look at", root))?;
    let mode = found.mode() & 0o7777;
    if found.uid() != geteuid().as_raw() || mode & WRITABLE == 0 || mode & STICKY != 0 {
        return Ok(());
    }
    set_mode(root, mode | STICKY)
}

/// Gives a folder to a group.
pub(super) fn give(dir: &Path, group: u32, mode: u32) -> Result<(), Error> {
    if fs::metadata(dir).map_err(io_error("look at", dir))?.gid() != group {
        handle(dir)
            .and_then(|dir| fchown(dir, None, Some(group)))
            .map_err(io_error("give the bridge's group", dir))?;
    }
    // After the group: somebody who is not in it would lose the set-group-ID bit.
    set_mode(dir, mode)
}

/// Lets a group through the folder of all sessions, unless sessions of another group are in it.
pub(super) fn give_root(root: &Path, group: u32) -> Result<(), Error> {
    let found = fs::metadata(root).map_err(io_error("look at", root))?.gid();
    if found == group {
        return Ok(());
    }
    if Folder::list(root)?.is_empty() {
        return give(root, group, ROOT_MODE);
    }
    Err(Error::AnothersRoot {
        root: root.to_owned(),
        found,
        wanted: group,
    })
}

pub(super) fn mode(path: &Path) -> Result<u32, Error> {
    let found = fs::metadata(path).map_err(io_error("look at", path))?;
    Ok(found.permissions().mode())
}

/// Makes the folder of all sessions, or one in it that several people write to; one that is there stays as it is.
pub fn make_root(dir: &Path) -> Result<(), Error> {
    make_dir(dir, ROOT_MODE)
}

/// Makes a directory and its parents; what this call made gets its mode whatever the umask, what is there is left as it is.
pub(super) fn make_dir(dir: &Path, mode: u32) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent()
        && !parent.as_os_str().is_empty()
    {
        make_dir(parent, ROOT_MODE)?;
    }
    match fs::DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => {
            set_mode(dir, mode)?;
            sync_name(dir).map_err(io_error("make the folder", dir))
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(e) => Err(io_error("make the folder", dir)(e)),
    }
}
