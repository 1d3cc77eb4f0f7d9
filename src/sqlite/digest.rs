//! SHA-256 of files, and the `sha256sum` file beside a backup.
//!
//! Never of the live database: closing it would drop the locks that this process holds on it.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::open::sibling;
use crate::format::hex;
use crate::regular_file;

const CHUNK_BYTES: usize = 1 << 20;

/// SHA-256 in lower-case hexadecimal, 64 characters.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a whole file.
///
/// # Errors
/// It cannot be read, or the work was cancelled.
pub fn of_file(path: &Path, cancel: &CancellationToken) -> Result<String, Error> {
    let read = |source| Error::from_io("read", path, 0, source);
    let mut file = regular_file::open(path).map_err(read)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        match file.read(&mut buffer).map_err(read)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Where the checksum of `path` is kept: its name with `.sha256` appended.
pub fn file_beside(path: &Path) -> PathBuf {
    sibling(path, ".sha256")
}

/// One line that `sha256sum --check` understands.
pub(super) fn line(path: &Path, sha256: &str) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    format!("{sha256}  {name}\n")
}

/// The checksum recorded beside `path`.
///
/// # Errors
/// The `.sha256` file is missing, or has no line for this file.
pub fn recorded(path: &Path) -> Result<String, Error> {
    let beside = file_beside(path);
    let text = regular_file::read_to_string(&beside)
        .map_err(|source| Error::from_io("read", &beside, 0, source))?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let found = text
        .lines()
        .find_map(|line| parse(line).filter(|(_, named)| *named == name));
    found
        .map(|(sha256, _)| sha256.to_ascii_lowercase())
        .ok_or(Error::ChecksumFile { path: beside })
}

/// `<64 hex digits>`, then a blank, then a blank or `*`, then the name.
fn parse(line: &str) -> Option<(&str, &str)> {
    let (sha256, rest) = line.split_at_checked(64)?;
    let name = rest
        .strip_prefix("  ")
        .or_else(|| rest.strip_prefix(" *"))?;
    sha256
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then_some((sha256, name))
}
