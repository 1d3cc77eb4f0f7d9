//! Room on the disk of the session's folder, as the engine sees to it: a reserve is kept, and people are told when it had to be given
//! up and when there is room again.
//!
//! Not in here: giving it up, which the journal does at the first write for which there is no room (`journal::Reserve`).

use crate::journal::{Folder, RESERVE_BYTES, Reserve};

/// How often it is looked at.
const LOOK_EVERY_MS: i64 = 2_000;

/// The reserve, and what has been said about it.
pub struct Room {
    reserve: Reserve,
    folder: String,
    was_kept: bool,
    looked_ms: i64,
}

impl Room {
    /// Puts the reserve there. A disk without room for it is told of at the first look.
    pub fn begin(folder: &Folder) -> Room {
        let mut room = Room {
            reserve: Reserve::of(folder),
            folder: folder.dir().display().to_string(),
            was_kept: true,
            looked_ms: i64::MIN / 2,
        };
        room.keep();
        room
    }

    /// Whether what grows is not to be written.
    pub fn is_scarce(&self) -> bool {
        !self.was_kept
    }

    /// What people are to be told now. While events wait for room (`has_all` is false) the reserve is not put back: that it is there says
    /// that everything is in the journal's file.
    pub fn look(&mut self, now_ms: i64, has_all: bool) -> Option<String> {
        if now_ms - self.looked_ms < LOOK_EVERY_MS {
            return None;
        }
        self.looked_ms = now_ms;
        let (was_kept, is_kept) = (
            self.was_kept,
            self.reserve.is_kept() || (has_all && self.keep()),
        );
        self.was_kept = is_kept;
        match (was_kept, is_kept) {
            (true, false) => Some(format!(
                "no room on the disk of {}: the {} MiB that are kept for this are given up, or there was no room for them. A rollback has \
                 what it needs; samples and the output of steps are not kept until there is room. Free some space there",
                self.folder,
                RESERVE_BYTES / (1024 * 1024)
            )),
            (false, true) => Some(format!(
                "there is room again on the disk of {}; samples and output are kept again",
                self.folder
            )),
            _ => None,
        }
    }

    /// A session that is over needs no room.
    pub fn end(&self) {
        self.reserve.free();
    }

    /// A file system that cannot set room aside has none set aside; that is no reason to write less.
    fn keep(&mut self) -> bool {
        self.reserve.keep().unwrap_or_else(|error| {
            tracing::debug!(%error, "no room is set aside for the journal");
            true
        })
    }
}
