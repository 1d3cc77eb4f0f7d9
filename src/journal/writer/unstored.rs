//! Events for which there is no room on the session's disk: kept in memory and on the spare folder, and written into the journal once
//! there is room. What may be kept in memory alone, the writer's owner says; what may not waits for room, or for a spare folder.
//!
//! Not in here: the spare folder's file (`spare`).

use std::io::ErrorKind;

use rusqlite::TransactionBehavior;
use serde_json::Value;

use super::super::canonical::{self, Link};
use super::super::chain::Damage;
use super::super::error::Error;
use super::super::head::{self, Head, HeadFile};
use super::super::record::Entry;
use super::super::reserve::Reserve;
use super::super::spare::{Hand, Spare};
use super::row::{body_text, store};
use super::{Journal, Pen, check_fencing, check_tail};
use crate::secret::mask_json;

/// Whether an event of this kind may be acted on while it is in memory alone.
pub type MayWait = fn(&str, &Value) -> bool;

/// What the journal's file lacks.
#[derive(Debug)]
pub(super) struct Unstored {
    entries: Vec<Entry>,
    spare: Option<Hand>,
    may_wait: MayWait,
}

impl Default for Unstored {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            spare: None,
            may_wait: |_, _| false,
        }
    }
}

impl Unstored {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether all of them lie on the spare folder.
    fn is_on_spare(&self) -> bool {
        let spare = self.spare.as_ref();
        self.entries.is_empty() || spare.is_some_and(|spare| spare.keeps(&self.entries))
    }
}

impl Journal {
    /// From now on, entries for which there is no room go into `spare`; if there is no room either, they stay in memory where `may_wait` allows it.
    /// Gives the entries that an earlier writer left in `spare`: they are part of the chain.
    ///
    /// A spare folder whose disk does not answer is passed over where nothing can lie there: it is written only once the [`Reserve`] is given
    /// up, which is put back only when everything is in the journal.
    ///
    /// # Errors
    /// The spare file cannot be read, or does not take up where the journal ends; [`Error::SpareSilent`] where its disk does not answer and
    /// something may lie there.
    pub fn keep_spare(
        &mut self,
        spare: Option<Spare>,
        may_wait: MayWait,
    ) -> Result<Vec<Entry>, Error> {
        self.unstored.may_wait = may_wait;
        let Some(spare) = spare else {
            return Ok(Vec::new());
        };
        let path = spare.path().to_owned();
        let mut hand = Hand::of(spare).map_err(Error::io("read", &path))?;
        let left = match hand.read() {
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                if !Reserve::of(&self.folder).is_kept() {
                    return Err(Error::SpareSilent { path });
                }
                tracing::warn!(%error, path = %path.display(), "nothing lies on the spare folder, and it cannot be used");
                None
            }
            read => Some(read.map_err(Error::io("read", &path))?),
        };
        let is_known = left.as_ref().is_some_and(|lying| lying.is_whole);
        let stored = self.stored.seq;
        let left = left.into_iter().flat_map(|lying| lying.entries);
        let left: Vec<Entry> = left.filter(|e| e.seq > stored).collect();
        for entry in &left {
            self.take_up(entry, hand.spare())?;
        }
        match is_known {
            true => hand.has(&left),
            // Half a line goes before another one stands behind it.
            false if left.is_empty() => {}
            false => {
                hand.keep(&left);
            }
        }
        self.unstored.entries = left.clone();
        self.unstored.spare = Some(hand);
        self.store_if_room()?;
        Ok(left)
    }

    /// Whether everything that was appended is in the journal's file or on the spare folder.
    pub fn is_kept(&self) -> bool {
        self.unstored.is_on_spare()
    }

    /// How many entries the journal's file lacks.
    pub fn unstored(&self) -> usize {
        self.unstored.entries.len()
    }

    /// Writes what the journal's file lacks, if there is room now. Gives whether it lacks nothing.
    ///
    /// # Errors
    /// As [`Self::append`], but for a full disk.
    pub fn store_if_room(&mut self) -> Result<bool, Error> {
        if self.unstored.is_empty() {
            return Ok(true);
        }
        if let Some(spare) = &mut self.unstored.spare {
            spare.look();
        }
        match self.store_now() {
            Ok(()) => {
                self.unstored.entries.clear();
                if let Some(spare) = &mut self.unstored.spare {
                    spare.clear();
                }
                Ok(true)
            }
            Err(Error::DiskFull { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn store_now(&mut self) -> Result<(), Error> {
        self.check_same_file()?;
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Error::sqlite("write", &self.path))?;
        check_fencing(&tx, &self.path, self.fencing)?;
        check_tail(&tx, &self.path, self.stored)?;
        let mut previous = self.stored;
        for entry in &self.unstored.entries {
            store(&tx, &self.path, previous, entry)?;
            previous = end_of(entry);
        }
        head::write(
            &self.folder,
            &HeadFile::about_to_write(self.stored, self.tail),
        )?;
        tx.commit().map_err(Error::sqlite("write", &self.path))?;
        self.stored = self.tail;
        match self.settle() {
            Ok(()) | Err(Error::DiskFull { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Keeps events for which there is no room. `full` is what is said where they cannot be kept.
    pub(super) fn hold(
        &mut self,
        pen: HeldPen,
        events: &[(String, Value)],
        full: Error,
    ) -> Result<Vec<Entry>, Error> {
        let entries = pen.entries(self.tail, events)?;
        let before = self.unstored.entries.len();
        let all: Vec<Entry> = [self.unstored.entries.as_slice(), &entries].concat();
        let on_spare = match &mut self.unstored.spare {
            Some(spare) => spare.keep(&all),
            None => false,
        };
        let may_wait = |(kind, body): &(String, Value)| (self.unstored.may_wait)(kind, body);
        if !on_spare && !events.iter().all(may_wait) {
            if let Some(spare) = &mut self.unstored.spare {
                spare.take_back(&self.unstored.entries);
            }
            return Err(full);
        }
        tracing::warn!(
            events = all.len() - before,
            on_spare,
            "no room on the session's disk"
        );
        self.unstored.entries = all;
        if let Some(last) = entries.last() {
            self.tail = end_of(last);
        }
        Ok(entries)
    }

    /// Takes an entry of the spare folder for the next of the chain.
    fn take_up(&mut self, entry: &Entry, spare: &Spare) -> Result<(), Error> {
        let text = canonical::json(&entry.body);
        let wall = canonical::wall_text(entry.wall);
        let link = Link {
            previous: self.tail.hash,
            seq: self.tail.seq + 1,
            fencing: entry.fencing,
            at_ms: entry.at_ms,
            wall: &wall,
            kind: &entry.kind,
            body: &text,
        };
        if entry.seq != link.seq || entry.hash != link.hash() {
            return Err(Error::Damaged {
                path: spare.path().to_owned(),
                damage: Damage::File {
                    why: format!(
                        "its event {} does not follow the journal's last one; nothing was done. Keep the file: it holds what the \
                         session's disk had no room for",
                        entry.seq
                    ),
                },
            });
        }
        self.tail = end_of(entry);
        Ok(())
    }
}

/// What entries are made with that are not written yet.
pub(super) struct HeldPen {
    pub(super) fencing: u64,
    pub(super) at_ms: i64,
    pub(super) wall: chrono::DateTime<chrono::Utc>,
    pub(super) reads: super::Reads,
}

impl HeldPen {
    pub(super) fn of(pen: &Pen<'_>) -> Self {
        Self {
            fencing: pen.fencing,
            at_ms: pen.at_ms,
            wall: pen.wall,
            reads: pen.reads,
        }
    }

    fn entries(&self, mut tail: Head, events: &[(String, Value)]) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::with_capacity(events.len());
        for (kind, body) in events {
            let mut body = body.clone();
            mask_json(&mut body, |body| (self.reads)(kind, body));
            let text = body_text(kind, &body)?;
            let wall = canonical::wall_text(self.wall);
            let link = Link {
                previous: tail.hash,
                seq: tail.seq + 1,
                fencing: self.fencing,
                at_ms: self.at_ms,
                wall: &wall,
                kind,
                body: &text,
            };
            let entry = Entry {
                seq: link.seq,
                fencing: self.fencing,
                at_ms: self.at_ms,
                wall: self.wall,
                kind: kind.clone(),
                hash: link.hash(),
                body,
            };
            tail = end_of(&entry);
            entries.push(entry);
        }
        Ok(entries)
    }
}

fn end_of(entry: &Entry) -> Head {
    Head {
        seq: entry.seq,
        hash: entry.hash,
    }
}

/// A full disk frees what was kept for it before anything else is tried.
pub(super) fn free_reserve(folder: &super::Folder) -> bool {
    Reserve::of(folder).free()
}
