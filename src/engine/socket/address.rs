//! Where the socket lies. The operating system allows a socket's path some hundred bytes; where the session's folder lies deeper, the
//! socket goes into a short folder of its own and a pointer file in the session's folder names it.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::START_LIMIT;
use crate::journal::files::Row;
use crate::journal::folder::{FILE_MODE, FOLDER_MODE};
use crate::journal::{Folder, files};
use crate::ours::file;

/// The shortest limit of the field is 104 bytes with the closing zero (macOS); Linux has 108.
const MAX_PATH_BYTES: usize = 100;
const SHORT_PREFIX: &str = "cutover-";
const SHORT_NAME: &str = "engine.sock";

/// Whose socket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listener {
    Engine,
    /// That of a guard whose engine is dead.
    Guard,
}

impl Listener {
    /// From the request to the answer. A guard's comes once the engine that it started listens.
    pub(super) fn answer_limit(self) -> Duration {
        match self {
            Listener::Engine => Duration::from_secs(20),
            Listener::Guard => START_LIMIT.saturating_add(Duration::from_secs(10)),
        }
    }

    fn socket(self, folder: &Folder) -> PathBuf {
        match self {
            Listener::Engine => files::SOCKET.path(folder),
            Listener::Guard => files::GUARD_SOCKET.path(folder),
        }
    }

    fn pointer(self) -> &'static Row {
        match self {
            Listener::Engine => &files::SOCKET_POINTER,
            Listener::Guard => &files::GUARD_POINTER,
        }
    }
}

/// The socket's path as a client finds it.
pub(super) fn find(folder: &Folder, of: Listener) -> PathBuf {
    read_pointer(folder, of).unwrap_or_else(|| of.socket(folder))
}

/// A free path to bind to. What a dead engine left there is removed; the caller holds the lease, so nobody listens on it. A guard takes the
/// place of the one before it.
pub(super) fn clear(folder: &Folder, of: Listener) -> io::Result<PathBuf> {
    if let Some(old) = read_pointer(folder, of) {
        remove_short(&old);
        file::remove(&of.pointer().path(folder))?;
    }
    let path = of.socket(folder);
    remove_socket(&path)?;
    if path.as_os_str().len() <= MAX_PATH_BYTES {
        return Ok(path);
    }
    let short = make_short(folder)?;
    let mut line = short.clone().into_os_string().into_encoded_bytes();
    line.push(b'\n');
    files::replace(folder, of.pointer(), &line)?;
    Ok(short)
}

/// Lets the folder's group, and nobody else, speak to a socket that was just bound.
pub(super) fn share(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(FILE_MODE))
}

/// By what a socket that was just bound is known: another one may take its place.
pub(super) fn number(path: &Path) -> Option<(u64, u64)> {
    let about = fs::symlink_metadata(path).ok()?;
    Some((about.dev(), about.ino()))
}

/// Removes what [`clear`] made room for, if it is still the one with this number.
pub(super) fn remove(folder: &Folder, of: Listener, path: &Path, bound: Option<(u64, u64)>) {
    if number(path) != bound {
        return;
    }
    // Best effort on the way out: the next engine clears what stays.
    let _ = remove_socket(path);
    if read_pointer(folder, of).as_deref() == Some(path) {
        remove_short(path);
        let _ = file::remove(&of.pointer().path(folder));
    }
}

fn read_pointer(folder: &Folder, of: Listener) -> Option<PathBuf> {
    // Written before the engine takes its lease anew, and by the session's owner: somebody else's leads to somebody else.
    let text = files::read(folder, of.pointer()).ok()?;
    let text = String::from_utf8(text).ok()?;
    let path = PathBuf::from(text.trim_end_matches('\n'));
    path.is_absolute().then_some(path)
}

/// A folder with a name that nobody can foresee, in the system's temporary one, open to the same group as the session's.
fn make_short(folder: &Folder) -> io::Result<PathBuf> {
    let system = std::env::temp_dir();
    let fits = system.as_os_str().len() + SHORT_PREFIX.len() + SHORT_NAME.len() + 16
        <= MAX_PATH_BYTES
        && system.is_absolute();
    let base = if fits {
        system.as_path()
    } else {
        Path::new("/tmp")
    };
    let dir = tempfile::Builder::new()
        .prefix(SHORT_PREFIX)
        .tempdir_in(base)?
        .keep();
    let group = fs::metadata(folder.dir())?.gid();
    // Where the group cannot be given, the owner alone can speak to this engine; that is a refusal, not a danger.
    let _ = chown(&dir, None, Some(group));
    fs::set_permissions(&dir, fs::Permissions::from_mode(FOLDER_MODE))?;
    Ok(dir.join(SHORT_NAME))
}

/// Removes the socket and its folder, if they are what [`make_short`] makes.
#[expect(
    clippy::disallowed_methods,
    reason = "a folder that `make_short` made, and only where it is empty"
)]
fn remove_short(path: &Path) {
    let Some(dir) = path.parent() else { return };
    let is_ours = path.file_name().is_some_and(|name| name == SHORT_NAME)
        && dir
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(SHORT_PREFIX));
    if is_ours {
        // It may be gone already; `remove_dir` removes nothing that has other content.
        let _ = remove_socket(path);
        let _ = fs::remove_dir(dir);
    }
}

fn remove_socket(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(meta) if meta.file_type().is_socket() => file::remove(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something that is not a socket lies there",
        )),
    }
}
