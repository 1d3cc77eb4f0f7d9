//! Artefacts: files named by their own hash, so that an event that names one names its content.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::canonical::Hash;
use super::error::Error;
use super::files;
use super::folder::Folder;
use super::head::sync_parent;
use super::record::Artefact;
use crate::ours::below::{self, Modes};

/// The most that is kept of one artefact.
pub const ARTEFACT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most that a session's artefacts may take together.
pub const ARTEFACTS_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Their owner writes them, the group reads them.
const MODES: Modes = Modes {
    folder: files::ARTEFACTS.mode(),
    file: 0o640,
};

/// How the names of files begin that are not finished; no hash begins so.
const UNFINISHED: &str = ".new.";

/// The engine's side: puts artefacts into the folder.
#[derive(Debug)]
pub(super) struct Store {
    folder: Folder,
    stored_bytes: AtomicU64,
    /// Tells apart the temporary files of two who publish at once.
    turn: AtomicU64,
}

impl Store {
    /// The caller holds the lease, so that nobody else is writing there.
    pub fn new(folder: Folder, stored_bytes: u64) -> Self {
        sweep(&folder);
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
        self.reserve(&artefact)?;
        self.write(&path, kept).inspect_err(|_| {
            self.stored_bytes
                .fetch_sub(artefact.size_bytes, Ordering::Relaxed);
        })?;
        Ok(artefact)
    }

    fn reserve(&self, artefact: &Artefact) -> Result<(), Error> {
        let before = self
            .stored_bytes
            .fetch_add(artefact.size_bytes, Ordering::Relaxed);
        if before + artefact.size_bytes <= ARTEFACTS_MAX_BYTES {
            return Ok(());
        }
        self.stored_bytes
            .fetch_sub(artefact.size_bytes, Ordering::Relaxed);
        Err(Error::Artefact {
            name: artefact.name.clone(),
            why: format!(
                "it was not kept: this session's artefacts have reached their limit of {ARTEFACTS_MAX_BYTES} bytes"
            ),
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "named by its own hash, in the session's folder"
    )]
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let name = format!("{UNFINISHED}{}.{turn}", std::process::id());
        let fresh = self.folder.artefacts_dir().join(&name);
        let write = || -> io::Result<()> {
            let dir = files::folder(&self.folder, &files::ARTEFACTS)?;
            // One that a process of the same number left is gone since the sweep.
            let mut file = below::create(&dir, Path::new(&name), Some(MODES))?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&fresh, path)?;
            sync_parent(path)
        };
        write().map_err(Error::io("write", path)).inspect_err(|_| {
            // What the disk did not confirm must not be found there, and taken for published, by the next who publishes the same.
            let _ = fs::remove_file(&fresh);
            let _ = fs::remove_file(path);
        })
    }
}

/// Removes what an engine that died had not finished writing.
#[expect(
    clippy::disallowed_methods,
    reason = "unfinished artefacts of ours, in the session's folder"
)]
fn sweep(folder: &Folder) {
    let entries = fs::read_dir(folder.artefacts_dir());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            // Best effort: it is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// An artefact's bytes, checked against its name.
pub(super) fn read(folder: &Folder, sha256: Hash) -> Result<Vec<u8>, Error> {
    let path = folder.artefacts_dir().join(sha256.to_string());
    let file = files::look_into(&path).map_err(Error::io("read", &path))?;
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
