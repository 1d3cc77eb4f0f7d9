//! What a database file looked like, in a form that outlives the process, so that a restarted engine can tell whether it changed.
//!
//! In a rollback-journal database every commit moves the header's change counter. In WAL mode it does not; there the WAL's salts,
//! its number of committed frames and the last frame's running checksum say exactly which commits it holds. A checkpoint that
//! moved those into the file leaves a different WAL and the same data: that is *undecided*, never "same".

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::open::sibling;

const WAL_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The state of a database at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// `delete`, `wal`, …
    pub journal_mode: String,
    /// Pages, as a reader sees them.
    pub page_count: u64,
    /// Moves with every change of the schema.
    pub schema_version: i64,
    /// The header's change counter; meaningful only outside WAL mode.
    pub change_counter: Option<u32>,
    /// What the WAL holds; `None` when there is no WAL or it is empty.
    pub wal: Option<WalState>,
    /// When the file itself was last modified, in nanoseconds since 1970. With an empty WAL the only trace of a commit that was
    /// checkpointed; equal means untouched, different decides nothing.
    pub modified_ns: i64,
    /// Whether the file held all that its log held when a fence was raised: then nobody had a reason to touch it afterwards. False where
    /// it is not known.
    #[serde(default)]
    pub settled: bool,
}

/// Which commits a WAL holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalState {
    /// New with every restart of the WAL.
    pub salt: u64,
    /// Frames up to and with the last commit.
    pub committed_frames: u64,
    /// Running checksum of the last commit's frame: covers every frame before it.
    pub checksum: u64,
}

/// What two fingerprints say about what lies between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "why")]
pub enum Comparison {
    /// No commit happened.
    Same,
    /// At least one commit happened.
    Changed(String),
    /// A checkpoint or a clean close moved things; only comparing the content decides.
    Undecided(String),
}

impl Fingerprint {
    /// What happened between `self` and the later `now`.
    pub fn compare(&self, now: &Self) -> Comparison {
        let changed = |what: &str, before: String, after: String| {
            Comparison::Changed(format!("{what} was {before} and is {after}"))
        };
        if self.schema_version != now.schema_version {
            return changed(
                "schema version",
                self.schema_version.to_string(),
                now.schema_version.to_string(),
            );
        }
        if self.page_count != now.page_count {
            return changed(
                "page count",
                self.page_count.to_string(),
                now.page_count.to_string(),
            );
        }
        if self.journal_mode != now.journal_mode {
            let why = format!(
                "journal mode was {} and is {}",
                self.journal_mode, now.journal_mode
            );
            return Comparison::Undecided(why);
        }
        if self.journal_mode != "wal" {
            return match (self.change_counter, now.change_counter) {
                (Some(before), Some(after)) if before == after => Comparison::Same,
                (Some(before), Some(after)) => {
                    changed("change counter", before.to_string(), after.to_string())
                }
                _ => Comparison::Undecided("the change counter could not be read".to_owned()),
            };
        }
        match (&self.wal, &now.wal) {
            (Some(before), Some(after)) if before == after && after.committed_frames > 0 => {
                // The same log beside another content: a copy over the file, or commits through another name.
                match self.settled && self.modified_ns != now.modified_ns {
                    true => {
                        Comparison::Undecided("the file was written and its log was not".to_owned())
                    }
                    false => Comparison::Same,
                }
            }
            (Some(before), Some(after))
                if before.salt == after.salt
                    && before.committed_frames != after.committed_frames =>
            {
                changed(
                    "number of committed WAL frames",
                    before.committed_frames.to_string(),
                    after.committed_frames.to_string(),
                )
            }
            // A restarted WAL gets its new salts from the first commit that is written into it.
            (_, Some(after)) if after.committed_frames > 0 => {
                Comparison::Changed("the WAL was started anew and holds commits".to_owned())
            }
            // No commit in the WAL, and none was moved from it into the file.
            _ if self.modified_ns == now.modified_ns => Comparison::Same,
            _ => Comparison::Undecided(
                "the WAL was checkpointed, and what it held is in the file".to_owned(),
            ),
        }
    }
}

impl Fingerprint {
    /// The state that `connection` sees now. Stable only while nobody writes: take it under the fence, or of a resting file.
    pub fn take(connection: &Connection, path: &Path) -> Result<Self, Error> {
        let fail = |source| Error::Sqlite {
            doing: "read",
            path: path.to_path_buf(),
            source,
        };
        let number = |name: &str| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .map_err(fail)
        };
        let journal_mode: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .map_err(fail)?;
        let in_wal = journal_mode == "wal";
        Ok(Self {
            page_count: number("page_count")?.cast_unsigned(),
            schema_version: number("schema_version")?,
            change_counter: if in_wal { None } else { change_counter(path) },
            wal: if in_wal {
                wal_state(&sibling(path, "-wal"))?
            } else {
                None
            },
            modified_ns: modified_ns(path)?,
            journal_mode,
            settled: false,
        })
    }
}

/// When the file itself was last modified, in nanoseconds since 1970.
pub(super) fn modified_ns(path: &Path) -> Result<i64, Error> {
    let metadata = path
        .metadata()
        .map_err(|source| Error::from_io("read", path, 0, source))?;
    Ok(metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec())
}

/// The header's change counter, read by a child process: in this one, closing the file would drop the fence.
fn change_counter(path: &Path) -> Option<u32> {
    let output = std::process::Command::new("head")
        .args(["-c", "28", "--"])
        .arg(path)
        .output()
        .ok()?;
    let bytes: [u8; 4] = output.stdout.get(24..28)?.try_into().ok()?;
    output.status.success().then(|| u32::from_be_bytes(bytes))
}

/// The last commit in a WAL. No lock is ever on this file, so that reading it raw is safe.
fn wal_state(path: &Path) -> Result<Option<WalState>, Error> {
    let fail = |source| Error::from_io("read", path, 0, source);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let mut wal = BufReader::new(file);
    let mut header = [0; WAL_HEADER_BYTES];
    if !fill(&mut wal, &mut header).map_err(fail)? {
        return Ok(None);
    }
    let page_size = u32::from_be_bytes(header[8..12].try_into().expect("BUG: four bytes"));
    let salts: [u8; 8] = header[16..24].try_into().expect("BUG: eight bytes");
    let mut state = WalState {
        salt: u64::from_be_bytes(salts),
        committed_frames: 0,
        checksum: 0,
    };
    let mut frame = [0; FRAME_HEADER_BYTES];
    let mut frames = 0;
    // Frames of an earlier round carry other salts and end the walk.
    while fill(&mut wal, &mut frame).map_err(fail)? && frame[8..16] == salts {
        frames += 1;
        let ends_a_commit = frame[4..8] != [0; 4];
        if ends_a_commit {
            state.committed_frames = frames;
            state.checksum =
                u64::from_be_bytes(frame[16..24].try_into().expect("BUG: eight bytes"));
        }
        wal.seek_relative(i64::from(page_size)).map_err(fail)?;
    }
    Ok(Some(state))
}

/// Fills `buffer`, or says that the file ends before.
pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wal(salt: u64, frames: u64) -> Fingerprint {
        Fingerprint {
            journal_mode: "wal".into(),
            page_count: 3,
            schema_version: 1,
            change_counter: None,
            wal: Some(WalState {
                salt,
                committed_frames: frames,
                checksum: frames,
            }),
            modified_ns: 1,
            settled: true,
        }
    }

    #[test]
    fn a_file_that_was_written_beside_the_same_log_decides_nothing() {
        let before = wal(7, 4);
        let overwritten = Fingerprint {
            modified_ns: 2,
            ..before.clone()
        };
        assert!(matches!(
            before.compare(&overwritten),
            Comparison::Undecided(_)
        ));
        // Where the log still held what the file did not, moving that is no write.
        let unsettled = Fingerprint {
            settled: false,
            ..before
        };
        assert_eq!(unsettled.compare(&overwritten), Comparison::Same);
    }

    #[test]
    fn a_wal_that_is_gone_decides_nothing() {
        let before = wal(7, 4);
        assert_eq!(before.compare(&before.clone()), Comparison::Same);
        assert!(matches!(before.compare(&wal(7, 5)), Comparison::Changed(_)));
        assert!(matches!(before.compare(&wal(8, 1)), Comparison::Changed(_)));
        let checkpointed = Fingerprint {
            wal: None,
            modified_ns: 5,
            ..before.clone()
        };
        assert!(matches!(
            before.compare(&checkpointed),
            Comparison::Undecided(_)
        ));
        // Everything was in the file already, and the last connection only removed the WAL.
        let closed = Fingerprint {
            wal: None,
            ..before.clone()
        };
        assert_eq!(before.compare(&closed), Comparison::Same);
        assert_eq!(
            checkpointed.compare(&checkpointed.clone()),
            Comparison::Same
        );
        // Written, checkpointed and closed again: no WAL before, none after.
        let touched = Fingerprint {
            modified_ns: 2,
            ..checkpointed.clone()
        };
        assert!(matches!(
            checkpointed.compare(&touched),
            Comparison::Undecided(_)
        ));
    }

    #[test]
    fn outside_wal_mode_the_change_counter_decides() {
        let before = Fingerprint {
            journal_mode: "delete".into(),
            change_counter: Some(4),
            ..wal(0, 0)
        };
        assert_eq!(before.compare(&before.clone()), Comparison::Same);
        assert!(matches!(
            before.compare(&Fingerprint {
                change_counter: Some(5),
                ..before.clone()
            }),
            Comparison::Changed(_)
        ));
        assert!(matches!(
            before.compare(&Fingerprint {
                change_counter: None,
                ..before.clone()
            }),
            Comparison::Undecided(_)
        ));
    }
}
