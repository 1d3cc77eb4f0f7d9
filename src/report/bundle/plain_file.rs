//! Files of a bundle that somebody else has put together: opened without being led elsewhere or held up, and read up to a limit.
//!
//! A link, a pipe or a device in the place of a file is refused before anything is read of it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// No file of a bundle is larger: outputs are capped, and databases are never in it.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 30;
/// Nor are all of them together.
pub(super) const MAX_BUNDLE_BYTES: u64 = 8 << 30;
/// Files beyond those of the list that are named before a check stops.
pub(super) const MAX_UNLISTED: usize = 100;
/// The list of files is no longer.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// A plain file and its size in bytes.
///
/// # Errors
/// It is not there, is not a plain file, or is too large; for people.
pub(super) fn open(path: &Path) -> Result<(File, u64), String> {
    let mut options = File::options();
    // A pipe without a writer would hold up whoever opens it, and a link may lead anywhere.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    options.read(true).custom_flags(flags.bits().cast_signed());
    let kind = path.symlink_metadata().map_err(|e| e.to_string())?;
    if !kind.is_file() {
        return Err("is no plain file".to_owned());
    }
    let file = options.open(path).map_err(|e| e.to_string())?;
    let metadata = file.metadata().map_err(|e| e.to_string())?;
    // Looked at again: what was there a moment ago may have been replaced.
    if !metadata.is_file() {
        return Err("is no plain file".to_owned());
    }
    match metadata.len() {
        size if size > MAX_FILE_BYTES => Err(format!(
            "has {size} bytes, and no file of a bundle has more than {MAX_FILE_BYTES}: it was not read"
        )),
        size => Ok((file, size)),
    }
}

/// All of a plain file.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    read_up_to(path, MAX_FILE_BYTES)
}

/// All of the list of files.
pub(super) fn read_list(path: &Path) -> Option<Vec<u8>> {
    read_up_to(path, MAX_LIST_BYTES)
}

/// `None` also where the file grows while it is read.
fn read_up_to(path: &Path, most: u64) -> Option<Vec<u8>> {
    let (file, size) = open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).ok()?;
    (size <= most && bytes.len() as u64 <= most).then_some(bytes)
}
