//! Reading a journal from any process: beside the engine that writes it, after that engine died, or years later.
//!
//! A follower checks the whole chain when it opens and every new entry as it comes. It writes nothing and holds no lock that an
//! engine would wait for.

use rusqlite::{Connection, Row, params};

use super::artefact;
use super::canonical::Hash;
use super::chain::{self, Chain, Damage};
use super::error::Error;
use super::folder::Folder;
use super::head::Head;
use super::holder::{self, Beat, EngineState};
use super::record::{
    Artefact, Entry, Output, OutputLine, Progress, Reading, Sample, Stream, Thinned, within_reach,
};
use super::schema::{self, FileId, LogState};

/// The most samples that one poll returns.
const SAMPLES_PER_POLL: i64 = 50_000;

/// A reader of one session's journal.
pub struct Follower {
    folder: Folder,
    open: schema::Reading,
    chain: Chain,
    /// Entries that the check on opening has read and no poll has returned.
    unread: Vec<Entry>,
    data_version: i64,
    changes: u64,
    sample_cursor: i64,
}

impl Follower {
    /// Opens the journal to read and checks the whole chain and its head.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Damaged`], [`Error::Newer`], [`Error::NotAJournal`].
    pub fn open(folder: &Folder) -> Result<Self, Error> {
        let open = schema::open_to_read(folder)?;
        let data_version = data_version(&open.conn, folder)?;
        let verified = chain::verify_with(&open.conn, folder)?;
        Ok(Self {
            folder: folder.clone(),
            open,
            chain: Chain::ending_with(verified.head, &verified.entries),
            unread: verified.entries,
            data_version,
            changes: 0,
            sample_cursor: 0,
        })
    }

    /// The entries that have come since the last poll; the first poll returns all of them. Each is checked. Cheap when nothing was
    /// written.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a new entry does not follow from the last one, or entries have gone.
    pub fn poll(&mut self) -> Result<Vec<Entry>, Error> {
        self.reopen_if_replaced()?;
        let mut entries = std::mem::take(&mut self.unread);
        let version = data_version(&self.open.conn, &self.folder)?;
        if version == self.data_version {
            return Ok(entries);
        }
        self.data_version = version;
        self.changes += 1;
        self.check_tail()?;
        entries.extend(self.chain.read_on(&self.open.conn, &self.folder)?);
        Ok(entries)
    }

    /// A number that has changed if anything at all was written between the last two polls. While it has not, nothing that was read after
    /// the former of them can read otherwise now: entries, samples, output, progress and the board alike.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Number and hash of the last entry that was read.
    pub fn head(&self) -> Head {
        self.chain.tail
    }

    /// The folder this follower reads.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Whether an engine runs this session, and its latest sign of life. The lock is asked at every call: a death shows at once.
    pub fn engine(&self) -> Result<EngineState, Error> {
        let state = holder::engine_state(&self.folder)?;
        let EngineState::Alive { holder, .. } = state else {
            return Ok(state);
        };
        let beat = self
            .list(
                "SELECT fencing, boot_id, boot_ms FROM beat",
                params![],
                |row| {
                    Ok(Beat {
                        fencing: row.get::<_, i64>(0)?.cast_unsigned(),
                        boot_id: row.get(1)?,
                        boot_ms: row.get(2)?,
                    })
                },
            )?
            .pop()
            .filter(|beat| holder.as_ref().is_none_or(|h| h.fencing == beat.fencing));
        Ok(EngineState::Alive { holder, beat })
    }

    /// The same, where nothing was written since this state was found: only the lease can tell something else.
    ///
    /// # Errors
    /// As [`Follower::engine`].
    pub fn engine_since(&self, found: &EngineState) -> Result<EngineState, Error> {
        match found {
            EngineState::Alive {
                holder: Some(_), ..
            } if holder::is_engine_alive(&self.folder)? => Ok(found.clone()),
            EngineState::Alive { .. }
            | EngineState::Never
            | EngineState::Ended { .. }
            | EngineState::Died { .. } => self.engine(),
        }
    }

    /// The samples that have come since the last poll, in the order in which they were written; the first poll returns all that are kept.
    pub fn poll_samples(&mut self) -> Result<Vec<Sample>, Error> {
        let mut samples = Vec::new();
        loop {
            let some = self.list(
                "SELECT s.id, g.name, s.at_ms, s.value, s.no_data, s.n FROM samples s JOIN signals g ON g.id = s.signal
                 WHERE s.id > ?1 ORDER BY s.id LIMIT ?2",
                params![self.sample_cursor, SAMPLES_PER_POLL],
                |row| Ok((row.get::<_, i64>(0)?, sample(row, 1)?)),
            )?;
            let Some((last, _)) = some.last() else {
                return Ok(samples);
            };
            self.sample_cursor = *last;
            samples.extend(some.into_iter().map(|(_, sample)| sample));
        }
    }

    /// The samples of one signal with `from_ms <= at_ms < to_ms`, by time.
    pub fn samples(&self, signal: &str, from_ms: i64, to_ms: i64) -> Result<Vec<Sample>, Error> {
        self.list(
            "SELECT g.name, s.at_ms, s.value, s.no_data, s.n FROM samples s JOIN signals g ON g.id = s.signal
             WHERE g.name = ?1 AND s.at_ms >= ?2 AND s.at_ms < ?3 ORDER BY s.at_ms, s.id",
            params![signal, from_ms, to_ms],
            |row| sample(row, 0),
        )
    }

    /// What the retention has taken from the samples.
    pub fn thinned(&self) -> Result<Thinned, Error> {
        let known = |at_ms: i64| (at_ms != i64::MIN).then_some(at_ms);
        let rows = self.list(
            "SELECT before_ms, every_ms, gone_before_ms FROM thinned",
            params![],
            |row| {
                Ok(Thinned {
                    before_ms: known(row.get(0)?),
                    every_ms: row.get(1)?,
                    gone_before_ms: known(row.get(2)?),
                })
            },
        )?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    /// How far each part of each step has come.
    pub fn progress(&self) -> Result<Vec<Progress>, Error> {
        self.list(
            "SELECT step, item, done, total, unit, at_ms FROM progress ORDER BY step, item",
            params![],
            |row| {
                Ok(Progress {
                    step: row.get(0)?,
                    item: row.get(1)?,
                    done: row.get::<_, i64>(2)?.cast_unsigned(),
                    total: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                    unit: row.get(4)?,
                    at_ms: row.get(5)?,
                })
            },
        )
    }

    /// A value of the live board; `None` where it was never put up or is of another version.
    pub fn board<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let value = self.board_text(name)?;
        Ok(value.and_then(|v| serde_json::from_str(&v).ok()))
    }

    /// A value of the live board that has been put up since it read like this, which then is replaced: large ones are read as text many
    /// times and understood once. `None` where it reads the same, was never put up, or is of another version.
    pub fn board_if_new<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        read: &mut String,
    ) -> Result<Option<T>, Error> {
        let value = self.board_text(name)?;
        let Some(value) = value.filter(|value| value != read) else {
            return Ok(None);
        };
        *read = value;
        Ok(serde_json::from_str(read).ok())
    }

    fn board_text(&self, name: &str) -> Result<Option<String>, Error> {
        let mut values = self.list(
            "SELECT value FROM board WHERE name = ?1",
            params![name],
            |row| row.get::<_, String>(0),
        )?;
        Ok(values.pop())
    }

    /// What a step printed in one attempt, after the line with the id `after` (0: from the beginning).
    pub fn output(&self, step: &str, attempt: u32, after: i64) -> Result<Output, Error> {
        let lines = self.list(
            "SELECT id, step, attempt, stream, at_ms, line FROM outputs WHERE step = ?1 AND attempt = ?2 AND id > ?3 ORDER BY id",
            params![step, attempt, after],
            output_line,
        )?;
        let cut = self.list(
            "SELECT lines FROM output_cuts WHERE step = ?1 AND attempt = ?2",
            params![step, attempt],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(Output {
            lines,
            cut_lines: cut.first().copied().unwrap_or(0).cast_unsigned(),
        })
    }

    /// The last `count` lines that any step printed, oldest first.
    pub fn latest_output(&self, count: u32) -> Result<Vec<OutputLine>, Error> {
        let mut lines = self.list(
            "SELECT id, step, attempt, stream, at_ms, line FROM outputs ORDER BY id DESC LIMIT ?1",
            params![count],
            output_line,
        )?;
        lines.reverse();
        Ok(lines)
    }

    /// Every artefact, in the order in which they were published.
    pub fn artefacts(&self) -> Result<Vec<Artefact>, Error> {
        let rows = self.list(
            "SELECT sha256, name, kind, size_bytes, full_size_bytes, at_ms FROM artefacts ORDER BY rowid",
            params![],
            |row| {
                let Some(sha256) = Hash::from_bytes(&row.get::<_, Vec<u8>>(0)?) else {
                    return Ok(None);
                };
                Ok(Some(Artefact {
                    sha256,
                    name: row.get(1)?,
                    kind: row.get(2)?,
                    size_bytes: row.get::<_, i64>(3)?.cast_unsigned(),
                    full_size_bytes: row.get::<_, i64>(4)?.cast_unsigned(),
                    at_ms: row.get(5)?,
                }))
            },
        )?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// An artefact's bytes, checked against its hash.
    ///
    /// # Errors
    /// [`Error::Io`] when it is not there, [`Error::Artefact`] when its content is not what its name says.
    pub fn read_artefact(&self, sha256: Hash) -> Result<Vec<u8>, Error> {
        artefact::read(&self.folder, sha256)
    }

    /// Another file in the journal's place, or an engine that has begun to write where nobody could: open again, and go on only if the
    /// chain there holds what was read so far.
    fn reopen_if_replaced(&mut self) -> Result<(), Error> {
        let path = self.folder.journal_path();
        let file = FileId::of(&path).map_err(|_| Error::Missing { path: path.clone() })?;
        let thawed = self
            .open
            .frozen
            .is_some_and(|log| log != LogState::of(&path));
        if file == self.open.file && !thawed {
            return Ok(());
        }
        self.open = schema::open_to_read(&self.folder)?;
        self.data_version = data_version(&self.open.conn, &self.folder)?;
        self.changes += 1;
        let verified = chain::verify_with(&self.open.conn, &self.folder)?;
        let read = self.chain.tail;
        let kept = match read.seq {
            0 => true,
            seq => verified
                .entries
                .iter()
                .any(|e| e.seq == seq && e.hash == read.hash),
        };
        if !kept {
            return Err(self.damaged(Damage::HeadDiffers { seq: read.seq }));
        }
        self.chain = Chain::ending_with(verified.head, &verified.entries);
        let new = verified.entries.into_iter().filter(|e| e.seq > read.seq);
        self.unread.extend(new);
        Ok(())
    }

    /// The last entry that was read still is there, as it was.
    fn check_tail(&self) -> Result<(), Error> {
        let read = self.chain.tail;
        if read.seq == 0 {
            return Ok(());
        }
        let found = self.list(
            "SELECT hash FROM entries WHERE seq = ?1",
            params![read.seq.cast_signed()],
            |row| row.get::<_, Vec<u8>>(0),
        )?;
        match found.first() {
            Some(hash) if hash == read.hash.as_bytes() => Ok(()),
            Some(_) => Err(self.damaged(Damage::HashColumn { seq: read.seq })),
            None => {
                let last = chain::stored_tail(&self.open.conn)
                    .map_err(Error::sqlite("read", &self.folder.journal_path()))?;
                Err(self.damaged(Damage::Truncated {
                    last_seq: last.seq,
                    head_seq: read.seq,
                }))
            }
        }
    }

    fn damaged(&self, damage: Damage) -> Error {
        Error::Damaged {
            path: self.folder.journal_path(),
            damage,
        }
    }

    /// Reads several things as of one moment: the file is locked once and not for each of them, and no two of them can stand on either side
    /// of something that was written in between.
    ///
    /// # Errors
    /// As `read`, or from SQLite.
    pub fn at_once<T, E: From<Error>>(
        &mut self,
        read: impl FnOnce(&mut Follower) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction("BEGIN")?;
        let done = read(self);
        let ended = self.transaction("COMMIT");
        let done = done?;
        ended?;
        Ok(done)
    }

    fn transaction(&self, sql: &str) -> Result<(), Error> {
        let done = self.open.conn.execute_batch(sql);
        done.map_err(Error::sqlite("read", &self.folder.journal_path()))
    }

    fn list<T>(
        &self,
        sql: &str,
        params: &[&dyn rusqlite::ToSql],
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let list = || -> rusqlite::Result<Vec<T>> {
            self.open
                .conn
                .prepare_cached(sql)?
                .query_map(params, read)?
                .collect()
        };
        list().map_err(Error::sqlite("read", &self.folder.journal_path()))
    }
}

/// A number that changes whenever another connection has committed.
fn data_version(conn: &Connection, folder: &Folder) -> Result<i64, Error> {
    conn.pragma_query_value(None, "data_version", |row| row.get(0))
        .map_err(Error::sqlite("read", &folder.journal_path()))
}

fn sample(row: &Row<'_>, first: usize) -> rusqlite::Result<Sample> {
    let value: Option<f64> = row.get(first + 2)?;
    let no_data: Option<String> = row.get(first + 3)?;
    Ok(Sample {
        signal: row.get(first)?,
        at_ms: within_reach(row.get(first + 1)?),
        reading: match (value, no_data) {
            (Some(value), Some(why)) => Reading::Partial(value, why),
            (Some(value), None) => Reading::Value(value),
            (None, why) => Reading::NoData(why.unwrap_or_default()),
        },
        n: row
            .get::<_, Option<i64>>(first + 4)?
            .map(i64::cast_unsigned),
    })
}

fn output_line(row: &Row<'_>) -> rusqlite::Result<OutputLine> {
    Ok(OutputLine {
        id: row.get(0)?,
        step: row.get(1)?,
        attempt: row.get(2)?,
        stream: Stream::parse(&row.get::<_, String>(3)?),
        at_ms: row.get(4)?,
        line: row.get(5)?,
    })
}
