//! The head of the chain, kept outside the file that holds the chain: number and hash of the last entry.
//!
//! Without it, cutting off the newest entries, or putting an older copy of the file in place, would leave a chain that verifies.
//! An append goes in three moves, the first two durable before the next begins:
//!
//! 1. the head names the last entry and, as `pending`, the one that is about to be written;
//! 2. SQLite commits;
//! 3. the head names the new last entry alone.
//!
//! A crash between two moves therefore leaves a file that ends exactly with the head or exactly with the pending one. Anything else
//! did not come from a crash.

use std::fs::File;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::canonical::{FORMAT, Hash};
use super::chain::Damage;
use super::error::Error;
use super::files::{self, Row};
use super::folder::Folder;

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the last entry; 0 before the first.
    pub seq: u64,
    /// Its hash; zeros before the first.
    pub hash: Hash,
}

impl Head {
    /// The head of a chain without entries.
    pub const EMPTY: Self = Self {
        seq: 0,
        hash: Hash::ZERO,
    };
}

/// What `journal.head` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadFile {
    pub format: u32,
    pub head: Head,
    pub pending: Option<Head>,
}

impl HeadFile {
    pub fn settled(head: Head) -> Self {
        Self {
            format: FORMAT,
            head,
            pending: None,
        }
    }

    pub fn about_to_write(head: Head, next: Head) -> Self {
        Self {
            format: FORMAT,
            head,
            pending: Some(next),
        }
    }

    /// Whether a chain that ends with `tail` holds what the owner's engine wrote. It may go on: members of the bridge record things once the
    /// session is over.
    pub fn check_begins(&self, tail: Head, at_head: Option<Hash>) -> Result<(), Damage> {
        match (tail.seq < self.head.seq, at_head == Some(self.head.hash)) {
            (true, _) => Err(Damage::Truncated {
                last_seq: tail.seq,
                head_seq: self.head.seq,
            }),
            (false, true) => Ok(()),
            (false, false) => Err(Damage::SealDiffers { seq: self.head.seq }),
        }
    }

    /// Whether a chain that ends with `tail`, and has the hash `at_head` at this head's number, is what this head stands for.
    pub fn check(&self, tail: Head, at_head: Option<Hash>) -> Result<(), Damage> {
        let named = self.pending.unwrap_or(self.head);
        if tail.seq < self.head.seq {
            return Err(Damage::Truncated {
                last_seq: tail.seq,
                head_seq: self.head.seq,
            });
        }
        if at_head != Some(self.head.hash) {
            return Err(Damage::HeadDiffers { seq: self.head.seq });
        }
        if tail == self.head || tail == named {
            return Ok(());
        }
        Err(match tail.seq.cmp(&named.seq) {
            std::cmp::Ordering::Less => Damage::Truncated {
                last_seq: tail.seq,
                head_seq: named.seq,
            },
            std::cmp::Ordering::Equal => Damage::HeadDiffers { seq: named.seq },
            std::cmp::Ordering::Greater => Damage::BeyondHead {
                last_seq: tail.seq,
                head_seq: named.seq,
            },
        })
    }
}

/// The head file; `None` where there is none yet.
pub(super) fn read(folder: &Folder) -> Result<Option<HeadFile>, Error> {
    let path = folder.head_path();
    parse(folder, &path, files::look(&path))
}

/// The owner's own record of the head; `None` where there is none, as in sessions of earlier versions.
pub(super) fn read_seal(folder: &Folder) -> Result<Option<HeadFile>, Error> {
    let path = files::SEAL.path(folder);
    parse(folder, &path, files::read(folder, &files::SEAL))
}

fn parse(
    folder: &Folder,
    path: &Path,
    read: io::Result<Vec<u8>>,
) -> Result<Option<HeadFile>, Error> {
    let text = match read {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", path)(e)),
    };
    let file: HeadFile = serde_json::from_slice(&text).map_err(|e| Error::Damaged {
        path: folder.journal_path(),
        damage: Damage::HeadUnreadable { why: e.to_string() },
    })?;
    if file.format > FORMAT {
        return Err(Error::Newer {
            path: path.to_owned(),
            found: file.format.into(),
        });
    }
    Ok(Some(file))
}

/// Up to which event the engine of the session's owner has written the journal, by its own record, which the group cannot write; `None`
/// where there is no such record.
///
/// # Errors
/// The record cannot be read, or could be somebody else's.
pub fn sealed(folder: &Folder) -> Result<Option<u64>, Error> {
    let seal = read_seal(folder)?;
    Ok(seal.map(|seal| seal.pending.unwrap_or(seal.head).seq))
}

/// Replaces the head file: at any moment the old bytes or the new ones are there. A head with something pending is on the disk when this
/// returns. A settled one may be lost to a power cut, which leaves the pending one before it: a state that opens. The session's owner
/// keeps a second one where the group cannot write.
pub(super) fn write(folder: &Folder, file: &HeadFile) -> Result<(), Error> {
    let text = serde_json::to_string(file).expect("BUG: a head is not JSON") + "\n";
    put(folder, &files::HEAD, file, &text)?;
    match folder.is_mine() {
        true => put(folder, &files::SEAL, file, &text),
        false => Ok(()),
    }
}

fn put(folder: &Folder, row: &Row, file: &HeadFile, text: &str) -> Result<(), Error> {
    let path = row.path(folder);
    files::replace_often(folder, row, text.as_bytes())
        .and_then(|()| match file.pending {
            Some(_) => sync_parent(&path),
            None => Ok(()),
        })
        .map_err(Error::io("write", &path))
}

/// Makes a rename or a creation in the folder of `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(seq: u64) -> Head {
        Head {
            seq,
            hash: Hash::of(&seq.to_be_bytes()),
        }
    }

    #[test]
    fn a_crash_leaves_the_head_or_the_pending_one_and_nothing_else() {
        let file = HeadFile::about_to_write(head(3), head(5));
        let at_head = Some(head(3).hash);
        assert_eq!(file.check(head(3), at_head), Ok(()));
        assert_eq!(file.check(head(5), at_head), Ok(()));
        assert_eq!(
            file.check(head(4), at_head),
            Err(Damage::Truncated {
                last_seq: 4,
                head_seq: 5
            })
        );
        assert_eq!(
            file.check(head(6), at_head),
            Err(Damage::BeyondHead {
                last_seq: 6,
                head_seq: 5
            })
        );
        let forged = Head {
            seq: 5,
            hash: Hash::of(b"x"),
        };
        assert_eq!(
            file.check(forged, at_head),
            Err(Damage::HeadDiffers { seq: 5 })
        );
        assert_eq!(
            file.check(head(2), None),
            Err(Damage::Truncated {
                last_seq: 2,
                head_seq: 3
            })
        );
    }

    #[test]
    fn what_the_owner_wrote_stays_and_may_be_gone_on_from() {
        let seal = HeadFile::about_to_write(head(3), head(5));
        for tail in [3, 5, 9] {
            assert_eq!(seal.check_begins(head(tail), Some(head(3).hash)), Ok(()));
        }
        assert_eq!(
            seal.check_begins(head(9), Some(Hash::ZERO)),
            Err(Damage::SealDiffers { seq: 3 })
        );
        assert_eq!(
            seal.check_begins(head(2), None),
            Err(Damage::Truncated {
                last_seq: 2,
                head_seq: 3
            })
        );
    }

    #[test]
    fn a_settled_head_takes_nothing_beyond_it() {
        let file = HeadFile::settled(head(3));
        assert_eq!(file.check(head(3), Some(head(3).hash)), Ok(()));
        assert_eq!(
            file.check(head(4), Some(head(3).hash)),
            Err(Damage::BeyondHead {
                last_seq: 4,
                head_seq: 3
            })
        );
        assert_eq!(
            file.check(head(4), Some(Hash::ZERO)),
            Err(Damage::HeadDiffers { seq: 3 })
        );
    }
}
