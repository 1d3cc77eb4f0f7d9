//! Artefacts: files named by their own hash, so that an event that names one names its content.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::canonical::Hash;
use super::error::Error;
use super::folder::{FILE_MODE, Folder, share_file};
use super::head::sync_parent;
use super::record::Artefact;

/// The most that is kept of one artefact.
pub const ARTEFACT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most that a session's artefacts may take together.
pub const ARTEFACTS_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// The engine's side: puts artefacts into the folder.
#[derive(Debug)]
pub(super) struct Store {
    folder: Folder,
    stored_bytes: AtomicU64,
    /// Tells apart the temporary files of two who publish at once.
    turn: AtomicU64,
}

impl Store {
    pub fn new(folder: Folder, stored_bytes: u64) -> Self {
        Self {
            folder,
            stored_bytes: AtomicU64::new(stored_bytes),
            turn: AtomicU64::new(0),
        }
    }

    pub fn put(
        &self,
        name: String,
        kind: String,
        at_ms: i64,
        bytes: &[u8],
    ) -> Result<Artefact, Error> {
        let kept = &bytes[..bytes.len().min(ARTEFACT_MAX_BYTES)];
        let artefact = Artefact {
            sha256: Hash::of(kept),
            name,
            kind,
            size_bytes: kept.len() as u64,
            full_size_bytes: bytes.len() as u64,
            at_ms,
        };
        let path = self
            .folder
            .artefacts_dir()
            .join(artefact.sha256.to_string());
        if read(&self.folder, artefact.sha256).is_ok() {
            return Ok(artefact);
        }
        let before = self
            .stored_bytes
            .fetch_add(artefact.size_bytes, Ordering::Relaxed);
        if before + artefact.size_bytes > ARTEFACTS_MAX_BYTES {
            self.stored_bytes
                .fetch_sub(artefact.size_bytes, Ordering::Relaxed);
            return Err(Error::Artefact {
                name: artefact.name,
                why: format!(
                    "it was not kept: this session's artefacts have reached their limit of {ARTEFACTS_MAX_BYTES} bytes"
                ),
            });
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let fresh = self
            .folder
            .artefacts_dir()
            .join(format!(".{}.{turn}", std::process::id()));
        let put = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(FILE_MODE)
                .open(&fresh)?;
            share_file(&fresh)?;
            file.write_all(kept)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            sync_parent(&path)
        };
        put().map_err(Error::io("write", &path)).inspect_err(|_| {
            // Half a file under a temporary name; whether it can be removed changes nothing.
            let _ = fs::remove_file(&fresh);
        })?;
        Ok(artefact)
    }
}

/// An artefact's bytes, checked against its name.
pub(super) fn read(folder: &Folder, sha256: Hash) -> Result<Vec<u8>, Error> {
    let path = folder.artefacts_dir().join(sha256.to_string());
    let file = fs::File::open(&path).map_err(Error::io("read", &path))?;
    let mut bytes = Vec::new();
    file.take(ARTEFACT_MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", &path))?;
    if Hash::of(&bytes) == sha256 {
        Ok(bytes)
    } else {
        Err(Error::Artefact {
            name: sha256.to_string(),
            why: "its content is no longer what its name says: it has been damaged or changed"
                .to_owned(),
        })
    }
}
