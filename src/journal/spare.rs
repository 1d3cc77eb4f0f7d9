//! The second folder of a session, on another disk: events for which its own disk has no room lie there, a line each, until there is
//! room. Each line carries its hash over the one before, so that they take up the chain where the journal's file ends.
//!
//! Not in here: when it is used, and how they come into the journal (`writer::unstored`).

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::canonical::Hash;
use super::folder::FILE_MODE;
use super::head::sync_parent;
use super::record::Entry;
use crate::ours::file;

/// Characters of the first entry's hash in the file's name: sessions of one name in several folders may share a spare one.
const NAME_CHARS: usize = 16;

/// The file of one session in a spare folder.
#[derive(Debug, Clone)]
pub struct Spare {
    path: PathBuf,
}

impl Spare {
    /// That of the session whose first entry has this hash, whether or not it is there.
    pub fn of(folder: &Path, session: &str, first: Hash) -> Self {
        let hash: String = first.to_string().chars().take(NAME_CHARS).collect();
        Self {
            path: folder.join(format!("{session}-{hash}.events")),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds entries. They are on the disk when this returns.
    ///
    /// # Errors
    /// The folder cannot be written; a line may have been left unfinished, which nobody reads.
    #[expect(
        clippy::disallowed_methods,
        reason = "half a line of this session, in its own spare file"
    )]
    pub(super) fn add(&self, entries: &[Entry]) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(FILE_MODE)
            .open(&self.path)?;
        let whole = file.metadata()?.len();
        let mut lines = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        let written = file.write_all(&lines).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half a line would stand before the next one.
            file.set_len(whole)?;
            return Err(error);
        }
        if is_new {
            sync_parent(&self.path)?;
        }
        Ok(())
    }

    /// What lies there, the oldest first. A last line without an end was never acknowledged.
    ///
    /// # Errors
    /// It cannot be read, or a line is none of ours.
    pub(super) fn read(&self) -> io::Result<Vec<Entry>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut reader = BufReader::new(file);
        let mut entries = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            entries.push(serde_json::from_str(&line)?);
            line.clear();
        }
        Ok(entries)
    }

    /// Removes it: everything is in the journal.
    pub(super) fn clear(&self) {
        // A line that the journal has already is passed over when it is read again.
        if self.path.exists() {
            let _ = file::remove(&self.path);
        }
    }
}
