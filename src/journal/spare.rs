//! The second folder of a session, on another disk: events for which its own disk has no room lie there, a line each, until there is
//! room. Each line carries its hash over the one before, so that they take up the chain where the journal's file ends.
//!
//! Not in here: when it is used, and how they come into the journal (`writer::unstored`); who waits for it, and for how long (`hand`).

mod hand;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

use super::canonical::Hash;
use super::head::sync_parent;
use super::record::Entry;
use crate::ours::file;
pub(super) use hand::Hand;

/// Its owner alone writes it, and reads it.
const FILE_MODE: u32 = 0o600;
/// By which somebody else than the owner can write.
const WRITABLE: u32 = 0o022;
/// Characters of the first entry's hash in the file's name: sessions of one name in several folders may share a spare one.
const NAME_CHARS: usize = 16;

/// What lies on a spare folder.
#[derive(Debug)]
pub struct Lying {
    /// The oldest first.
    pub entries: Vec<Entry>,
    /// No half of a line stands behind them.
    pub is_whole: bool,
}

impl Default for Lying {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            is_whole: true,
        }
    }
}

/// Why entries are not kept.
#[derive(Debug)]
struct NotKept {
    error: io::Error,
    /// What lay there before lies there still, and nothing else.
    is_as_before: bool,
}

fn lines(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut lines, entry)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

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

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds entries. They are on the disk when this returns. As everything that is done there, it takes as long as that disk takes.
    #[expect(
        clippy::disallowed_methods,
        reason = "half a line of this session, in its own spare file"
    )]
    fn add(&self, entries: &[Entry]) -> Result<(), NotKept> {
        let as_before = |error| NotKept {
            error,
            is_as_before: true,
        };
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(as_before)?;
        }
        let is_new = !self.path.exists();
        let mut options = OpenOptions::new();
        let file = self.open(options.create(true).append(true).mode(FILE_MODE));
        let mut file = file.map_err(as_before)?;
        let whole = file.metadata().map_err(as_before)?.len();
        let lines = lines(entries).map_err(as_before)?;
        let written = file.write_all(&lines).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Half a line would stand before the next one.
            let is_as_before = file.set_len(whole).is_ok();
            return Err(NotKept {
                error,
                is_as_before,
            });
        }
        if is_new {
            sync_parent(&self.path).map_err(|error| NotKept {
                error,
                is_as_before: false,
            })?;
        }
        Ok(())
    }

    /// Puts these entries in the place of whatever lies there.
    ///
    /// # Errors
    /// The folder cannot be written; nobody knows what lies there.
    fn replace(&self, entries: &[Entry]) -> Result<(), NotKept> {
        let unknown = |error| NotKept {
            error,
            is_as_before: false,
        };
        if entries.is_empty() {
            self.clear();
            return match self.path.exists() {
                true => Err(unknown(io::Error::other("it could not be removed"))),
                false => Ok(()),
            };
        }
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(unknown)?;
        }
        let lines = lines(entries).map_err(unknown)?;
        let mode = std::fs::Permissions::from_mode(FILE_MODE);
        let replaced = file::replace_as(&self.path, &lines, mode);
        replaced
            .and_then(|()| sync_parent(&self.path))
            .map_err(unknown)
    }

    /// What lies there. A last line without an end was never acknowledged.
    ///
    /// # Errors
    /// It cannot be read, or a line is none of ours.
    fn read(&self) -> io::Result<Lying> {
        let file = match self.open(OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Lying::default()),
            Err(error) => return Err(error),
        };
        let mut reader = BufReader::new(file);
        let mut entries = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            entries.push(serde_json::from_str(&line)?);
            line.clear();
        }
        Ok(Lying {
            entries,
            is_whole: line.is_empty(),
        })
    }

    /// Opens it where it is this user's alone. The folder may be anybody's, and what lies here becomes events that an engine acts on: whoever
    /// knows the end of the chain could go on with it. A link is not followed.
    fn open(&self, options: &mut OpenOptions) -> io::Result<File> {
        let no_link = OFlags::NOFOLLOW.bits().cast_signed();
        let file = options.custom_flags(no_link).open(&self.path)?;
        let found = file.metadata()?;
        let (owner, mode) = (found.uid(), found.mode() & 0o7777);
        if owner == geteuid().as_raw() && mode & WRITABLE == 0 {
            return Ok(file);
        }
        Err(io::Error::new(
            ErrorKind::PermissionDenied,
            format!(
                "is user {owner}'s with mode {mode:o}, so others than this user could have written it: it is not used. Look at it; if it is of \
                 this session, `chmod {FILE_MODE:o}` it as its owner, else remove it"
            ),
        ))
    }

    /// Removes it: everything is in the journal.
    fn clear(&self) {
        // A line that the journal has already is passed over when it is read again.
        if self.path.exists() {
            let _ = file::remove(&self.path);
        }
    }
}
