//! What the engine writes beside the chain: samples, progress, step output, the list of artefacts, its sign of life.
//!
//! Whoever makes such things holds a [`Notes`] and never waits: a note goes into memory. The [`Scribe`] writes all of them at once,
//! at least each second, and gives the engine's sign of life with them. A power cut may take the last batch; nothing that decides
//! depends on it.
//!
//! No secret gets in: texts, artefacts and the board are masked as they are noted.
//!
//! Everything is bounded. Samples keep their full resolution for [`Retention::full_ms`]; what is older is thinned, oldest first, and
//! the journal says from when to when. Output keeps the first and the last lines of every attempt and the number of those between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior, params};

use super::artefact::Store;
use super::error::Error;
use super::folder::Folder;
use super::record::{Artefact, Progress, Reading, Sample, Stream};
use super::reserve::Reserve;
use super::schema::{self, FileId};
use super::writer::{CHECKPOINT_AT_BYTES, Poison, check_fencing, check_same_file};
use crate::secret::{mask_json, masked, masked_bytes, masked_name};
use crate::text::printable;

/// Longest line of output that is kept, in characters.
pub const MAX_LINE_CHARS: usize = 2_000;
/// Lines kept from the beginning of an attempt's output.
pub const FIRST_LINES: usize = 500;
/// Lines kept from its end.
pub const LAST_LINES: usize = 2_000;
/// Samples that wait for the next flush; beyond, the oldest go.
const MAX_WAITING_SAMPLES: usize = 100_000;
const MAX_NAME_CHARS: usize = 200;
const MAX_REASON_CHARS: usize = 500;
/// How often the tables are looked through for what is past its time, by the session's clock.
const THIN_EVERY_MS: i64 = 60_000;

/// How long samples are kept, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Younger ones are all kept.
    pub full_ms: i64,
    /// Of older ones, per signal and span of this length, the first with a value and the first without.
    pub then_every_ms: i64,
    /// Beyond this many the oldest go.
    pub max_rows: i64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            full_ms: 6 * 3_600_000,
            then_every_ms: 10_000,
            max_rows: 2_000_000,
        }
    }
}

/// A handle for whoever makes samples, progress, output or artefacts. Cheap to clone, never waits for the disk except to publish.
#[derive(Debug, Clone)]
pub struct Notes {
    waiting: Arc<Mutex<Waiting>>,
    store: Arc<Store>,
}

#[derive(Debug, Default)]
struct Waiting {
    samples: Vec<Sample>,
    progress: BTreeMap<(String, String), Progress>,
    outputs: BTreeMap<(String, u32), Lines>,
    artefacts: Vec<Artefact>,
    board: BTreeMap<&'static str, serde_json::Value>,
}

/// The waiting lines of one attempt.
#[derive(Debug, Default)]
struct Lines {
    lines: Vec<(Stream, i64, String)>,
    dropped: u64,
}

impl Notes {
    /// Notes a sample. A number that is not finite becomes no data.
    pub fn sample(&self, sample: Sample) {
        let reason = |why: String| printable(&masked(&why), MAX_REASON_CHARS);
        let reading = match sample.reading {
            Reading::Value(value) => Reading::of(value),
            Reading::Partial(value, why) => match Reading::of(value) {
                Reading::Value(value) => Reading::Partial(value, reason(why)),
                none => none,
            },
            Reading::NoData(why) => Reading::NoData(reason(why)),
        };
        let mut waiting = self.lock();
        if waiting.samples.len() >= MAX_WAITING_SAMPLES {
            waiting.samples.drain(..MAX_WAITING_SAMPLES / 10);
        }
        waiting.samples.push(Sample {
            signal: name(&sample.signal),
            reading,
            ..sample
        });
    }

    /// Notes how far a part of a step has come; replaces what was noted for that part before.
    pub fn progress(&self, progress: Progress) {
        let progress = Progress {
            step: name(&progress.step),
            item: name(&progress.item),
            unit: name(&progress.unit),
            ..progress
        };
        let key = (progress.step.clone(), progress.item.clone());
        self.lock().progress.insert(key, progress);
    }

    /// Notes a line of a step's output. It is masked, made harmless and cut here.
    pub fn output(&self, step: &str, attempt: u32, stream: Stream, at_ms: i64, line: &str) {
        let line = printable(&masked(line), MAX_LINE_CHARS);
        let mut waiting = self.lock();
        let of_attempt = waiting.outputs.entry((name(step), attempt)).or_default();
        of_attempt.lines.push((stream, at_ms, line));
        // A command that floods between two flushes: keep as much of both ends as the table would.
        if of_attempt.lines.len() > 2 * (FIRST_LINES + LAST_LINES) {
            let cut = of_attempt.lines.len() - LAST_LINES;
            of_attempt.lines.drain(FIRST_LINES..cut);
            of_attempt.dropped += (cut - FIRST_LINES) as u64;
        }
    }

    /// Publishes bytes, masked, as an artefact: the file is durable and named by its hash when this returns, so that an event may refer to it.
    /// What exceeds [`super::ARTEFACT_MAX_BYTES`] is cut, and the artefact says so. Blocks on the disk.
    ///
    /// # Errors
    /// [`Error::Artefact`] when the session's artefacts would exceed their limit together, [`Error::DiskFull`], [`Error::Io`].
    pub fn publish(
        &self,
        name: &str,
        kind: &str,
        at_ms: i64,
        bytes: &[u8],
    ) -> Result<Artefact, Error> {
        let artefact = self.store.put(
            self::name(name),
            self::name(kind),
            at_ms,
            &masked_bytes(bytes),
        )?;
        self.lock().artefacts.push(artefact.clone());
        Ok(artefact)
    }

    /// Replaces a value on the live board (see `session::live`), which screens show and nothing depends on.
    pub fn board(&self, name: &'static str, value: &impl serde::Serialize) {
        let mut value =
            serde_json::to_value(value).expect("BUG: what goes on the board is plain data");
        mask_json(&mut value, |_| true);
        self.lock().board.insert(name, value);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A short text by which something is found.
fn name(text: &str) -> String {
    printable(&masked_name(text), MAX_NAME_CHARS)
}

/// Writes what the [`Notes`] hold. One per engine.
#[derive(Debug)]
pub struct Scribe {
    conn: Connection,
    path: std::path::PathBuf,
    file: FileId,
    fencing: u64,
    poison: Arc<Poison>,
    retention: Retention,
    notes: Notes,
    thinned_at_ms: Option<i64>,
    is_scarce: bool,
    reserve: Reserve,
}

impl Scribe {
    pub(super) fn new(
        conn: Connection,
        folder: Folder,
        fencing: u64,
        poison: Arc<Poison>,
        retention: Retention,
    ) -> Result<Self, Error> {
        let path = folder.journal_path();
        let reserve = Reserve::of(&folder);
        let file = FileId::of(&path).map_err(Error::io("read", &path))?;
        let stored_bytes: i64 = conn
            .query_row(
                "SELECT coalesce(sum(size_bytes), 0) FROM artefacts",
                [],
                |row| row.get(0),
            )
            .map_err(Error::sqlite("read", &path))?;
        let notes = Notes {
            waiting: Arc::default(),
            store: Arc::new(Store::new(folder, stored_bytes.cast_unsigned())),
        };
        Ok(Self {
            conn,
            path,
            file,
            fencing,
            poison,
            retention,
            notes,
            thinned_at_ms: None,
            is_scarce: false,
            reserve,
        })
    }

    /// From now on, only what does not grow is written (`is_scarce`), or everything again.
    pub fn spare_room(&mut self, is_scarce: bool) {
        self.is_scarce = is_scarce;
    }

    /// A handle to note with.
    pub fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Writes everything noted so far and the engine's sign of life: `boot_ms` on the clock of the boot `boot_id`. `at_ms` is the
    /// session's clock, against which samples age. To be called at least each second, for followers notice a silence of two. Where the
    /// [`Reserve`] has been given up, samples and output, which grow, are left out: the room is for the chain.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another engine holds the lease; [`Error::DiskFull`], after which the notes are lost, the [`Reserve`] is given
    /// up and the next flush may succeed; [`Error::Poisoned`] for good.
    pub fn flush(&mut self, at_ms: i64, boot_id: &str, boot_ms: i64) -> Result<(), Error> {
        self.poison.check(&self.path)?;
        let poison = Arc::clone(&self.poison);
        let outcome = self.flush_now(at_ms, boot_id, boot_ms);
        if matches!(outcome, Err(Error::DiskFull { .. })) {
            self.reserve.free();
        }
        poison.watch(&self.path, outcome)
    }

    fn flush_now(&mut self, at_ms: i64, boot_id: &str, boot_ms: i64) -> Result<(), Error> {
        check_same_file(&self.path, self.file)?;
        let mut waiting = std::mem::take(&mut *self.notes.lock());
        if self.is_scarce {
            waiting.samples.clear();
            waiting.outputs.clear();
        }
        let failed = || Error::sqlite("write", &self.path);
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed())?;
        check_fencing(&tx, &self.path, self.fencing)?;
        tx.execute(
            "INSERT INTO beat (only_row, fencing, boot_id, boot_ms) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT (only_row) DO UPDATE SET fencing = ?1, boot_id = ?2, boot_ms = ?3",
            params![self.fencing.cast_signed(), boot_id, boot_ms],
        )
        .map_err(failed())?;
        write(&tx, waiting).map_err(failed())?;
        if self
            .thinned_at_ms
            .is_none_or(|then| at_ms - then >= THIN_EVERY_MS)
        {
            thin(&tx, self.retention, at_ms).map_err(failed())?;
            self.thinned_at_ms = Some(at_ms);
        }
        tx.commit().map_err(failed())?;
        if schema::log_size_bytes(&self.path) >= CHECKPOINT_AT_BYTES {
            schema::checkpoint(&self.conn, &self.path)?;
        }
        Ok(())
    }
}

fn write(tx: &Connection, waiting: Waiting) -> rusqlite::Result<()> {
    write_samples(tx, &waiting.samples)?;
    let mut upsert = tx.prepare_cached(
        "INSERT INTO progress (step, item, done, total, unit, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (step, item) DO UPDATE SET done = ?3, total = ?4, unit = ?5, at_ms = ?6",
    )?;
    for p in waiting.progress.values() {
        upsert.execute(params![
            p.step,
            p.item,
            p.done.cast_signed(),
            p.total.map(u64::cast_signed),
            p.unit,
            p.at_ms
        ])?;
    }
    for ((step, attempt), lines) in &waiting.outputs {
        write_output(tx, step, *attempt, lines)?;
    }
    let mut show = tx.prepare_cached(
        "INSERT INTO board (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
    )?;
    for (name, value) in &waiting.board {
        show.execute(params![name, value.to_string()])?;
    }
    let mut insert = tx.prepare_cached(
        "INSERT OR IGNORE INTO artefacts (sha256, name, kind, size_bytes, full_size_bytes, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for a in &waiting.artefacts {
        insert.execute(params![
            a.sha256.as_bytes(),
            a.name,
            a.kind,
            a.size_bytes.cast_signed(),
            a.full_size_bytes.cast_signed(),
            a.at_ms
        ])?;
    }
    Ok(())
}

fn write_samples(tx: &Connection, samples: &[Sample]) -> rusqlite::Result<()> {
    let mut name = tx.prepare_cached("INSERT OR IGNORE INTO signals (name) VALUES (?1)")?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO samples (signal, at_ms, value, no_data, n) VALUES ((SELECT id FROM signals WHERE name = ?1), ?2, ?3, ?4, ?5)",
    )?;
    for s in samples {
        let no_data = match &s.reading {
            Reading::Value(_) => None,
            Reading::Partial(_, why) | Reading::NoData(why) => Some(why),
        };
        name.execute(params![s.signal])?;
        insert.execute(params![
            s.signal,
            s.at_ms,
            s.reading.value(),
            no_data,
            s.n.map(u64::cast_signed)
        ])?;
    }
    Ok(())
}

fn write_output(tx: &Connection, step: &str, attempt: u32, lines: &Lines) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO outputs (step, attempt, stream, at_ms, line) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (stream, at_ms, line) in &lines.lines {
        insert.execute(params![step, attempt, stream.as_str(), at_ms, line])?;
    }
    let deleted = tx
        .prepare_cached(
            "DELETE FROM outputs WHERE step = ?1 AND attempt = ?2
             AND id > (SELECT id FROM outputs WHERE step = ?1 AND attempt = ?2 ORDER BY id LIMIT 1 OFFSET ?3)
             AND id < (SELECT id FROM outputs WHERE step = ?1 AND attempt = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?4)",
        )?
        .execute(params![
            step,
            attempt,
            FIRST_LINES as i64 - 1,
            LAST_LINES as i64 - 1
        ])?;
    let cut = lines.dropped + deleted as u64;
    if cut > 0 {
        tx.execute(
            "INSERT INTO output_cuts (step, attempt, lines) VALUES (?1, ?2, ?3)
             ON CONFLICT (step, attempt) DO UPDATE SET lines = lines + ?3",
            params![step, attempt, cut.cast_signed()],
        )?;
    }
    Ok(())
}

/// Applies the retention: what has aged past full resolution since the last time is thinned, and beyond the limit the oldest go.
fn thin(tx: &Connection, retention: Retention, at_ms: i64) -> rusqlite::Result<()> {
    let every = retention.then_every_ms.max(1);
    // On a span's edge, so that no span is thinned in two parts.
    let before = (at_ms - retention.full_ms).div_euclid(every) * every;
    let (from, gone): (i64, i64) = tx
        .query_row("SELECT before_ms, gone_before_ms FROM thinned", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .or_else(|e| match e {
            rusqlite::Error::QueryReturnedNoRows => Ok((i64::MIN, i64::MIN)),
            e => Err(e),
        })?;
    let mut thinned = 0;
    if before > from {
        let mut signals = tx.prepare_cached("SELECT id FROM signals")?;
        let mut delete = tx.prepare_cached(
            "DELETE FROM samples WHERE signal = ?1 AND at_ms >= ?2 AND at_ms < ?3 AND id NOT IN
             (SELECT min(id) FROM samples WHERE signal = ?1 AND at_ms >= ?2 AND at_ms < ?3 GROUP BY at_ms / ?4, value IS NULL)",
        )?;
        let ids = signals
            .query_map([], |row| row.get::<_, i64>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for signal in ids {
            thinned += delete.execute(params![signal, from, before, every])?;
        }
    }
    let rows: i64 = tx.query_row("SELECT count(*) FROM samples", [], |row| row.get(0))?;
    let surplus = (rows - retention.max_rows).max(0);
    let gone = match surplus {
        0 => gone,
        surplus => {
            let newest_gone: i64 = tx.query_row(
                "SELECT max(at_ms) FROM (SELECT at_ms FROM samples ORDER BY id LIMIT ?1)",
                params![surplus],
                |row| row.get(0),
            )?;
            tx.execute(
                "DELETE FROM samples WHERE id IN (SELECT id FROM samples ORDER BY id LIMIT ?1)",
                params![surplus],
            )?;
            gone.max(newest_gone + 1)
        }
    };
    if thinned > 0 || surplus > 0 || from > i64::MIN {
        tx.execute(
            "INSERT INTO thinned (only_row, before_ms, every_ms, gone_before_ms) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT (only_row) DO UPDATE SET before_ms = ?1, every_ms = ?2, gone_before_ms = ?3",
            params![before.max(from), every, gone],
        )?;
    }
    Ok(())
}
