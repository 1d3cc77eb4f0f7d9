//! Files of a bundle that somebody else has put together: opened without being led elsewhere or held up, and read up to a limit.
//!
//! A link, a pipe or a device in the place of a file is refused before anything is read of it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::manifest;
use crate::ours::below;

/// No file of a bundle is larger: outputs are capped, and databases are never in it.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 30;
/// Nor are all of them together.
pub(super) const MAX_BUNDLE_BYTES: u64 = 8 << 30;
/// Files beyond those of the list that are named before a check stops.
pub(super) const MAX_UNLISTED: usize = 100;
/// The list of files is no longer.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// A plain file of a bundle, by its name, and its size in bytes. No part of the name is a link either.
///
/// # Errors
/// It is not there, is not a plain file, or is too large; for people.
pub(super) fn open(bundle: &Path, name: &str) -> Result<(File, u64), String> {
    let kind = bundle.join(name).symlink_metadata();
    if !kind.map_err(|e| e.to_string())?.is_file() {
        return Err("is no plain file".to_owned());
    }
    // A pipe without a writer would hold up whoever opens it, and a link may lead anywhere.
    let file = below::open(bundle, Path::new(name)).map_err(|e| e.to_string())?;
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
pub(super) fn read(bundle: &Path, name: &str) -> Option<Vec<u8>> {
    read_up_to(bundle, name, MAX_FILE_BYTES)
}

/// All of the list of files.
pub(super) fn read_list(bundle: &Path) -> Option<Vec<u8>> {
    read_up_to(bundle, manifest::NAME, MAX_LIST_BYTES)
}

/// `None` also where the file grows while it is read.
fn read_up_to(bundle: &Path, name: &str, most: u64) -> Option<Vec<u8>> {
    let (file, size) = open(bundle, name).ok()?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).ok()?;
    (size <= most && bytes.len() as u64 <= most).then_some(bytes)
}
