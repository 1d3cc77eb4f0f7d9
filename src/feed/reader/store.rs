//! One read: a moment of the target is opened, its new notes are counted, their tables are read, and all of it goes into the live file
//! together with the moment's snapshot. Blocks; runs where blocking is allowed.
//!
//! Not in here: how one table is read (`one_table`).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::notes::Noted;
use super::one_table::{Followed, Learned, OneTable};
use super::preparing::Unlearned;
use super::{Reading, catalogue, notes, number_of};
use crate::clock;
use crate::feed::live::{Inexact, LastRead, Met, NO_KEY};
use crate::feed::{Error, Live};
use crate::salvage::{self, Search};
use crate::sqlite::schema::Schema;

/// How often the snapshot goes to the disk although nothing was written.
const KEEP_EVERY_MS: i64 = 1_000;
/// If one read finds this many notes of a table, they are not held in memory: the whole table is read, row by row.
const MOST_NOTES: u64 = 250_000;
/// How long one statement may take that reads all of a table.
const WHOLE_LIMIT: Duration = Duration::from_secs(300);
/// How often a read is begun in all, where tables are emptied meanwhile. The first finds out in which files they are.
const MOST_TRIES: usize = 6;
/// How long to wait before a table that could not be read is tried again, at first and at last.
const TRY_AGAIN_MS: (i64, i64) = (2_000, 60_000);

/// Everything that a read works on.
pub(super) struct Store {
    live: Live,
    opened: Option<Opened>,
    learned: BTreeMap<String, Learned>,
    /// The last snapshot that was read by this connection, and the last one on the disk.
    snapshot: String,
    kept_snapshot: String,
    kept_ms: i64,
    rows_kept: u64,
    lacks: Vec<String>,
    inexact: Vec<Inexact>,
    /// Tables that could not be read: when to try again, and how long to wait after that.
    again: BTreeMap<String, (i64, i64)>,
    waiting: Arc<AtomicU64>,
}

struct Opened {
    search: Search,
    backup: Connection,
    schema: Schema,
    /// The tables whose notes can be read, by their numbers.
    tables: BTreeMap<i32, Followed>,
    /// In which files their rows were at the last look.
    files: BTreeMap<String, String>,
}

impl Store {
    pub(super) fn new(live: Live, waiting: Arc<AtomicU64>) -> Result<Self, Error> {
        let snapshot = live.snapshot()?;
        Ok(Self {
            rows_kept: live.rows()?,
            lacks: live.lacking()?,
            inexact: live.inexact()?,
            live,
            opened: None,
            learned: BTreeMap::new(),
            kept_snapshot: snapshot.clone(),
            snapshot,
            kept_ms: clock::now_ms(),
            again: BTreeMap::new(),
            waiting,
        })
    }

    pub(super) fn live(&self) -> &Live {
        &self.live
    }

    pub(super) fn is_connected(&self) -> bool {
        self.opened.as_ref().is_some_and(Opened::is_connected)
    }

    /// Reads by these connections from now on.
    pub(super) fn take(&mut self, search: Search, handle: &Handle) -> Result<(), Error> {
        let columns = catalogue::columns(&search, handle)?;
        let now = notes::present_snapshot(&search, handle)?;
        search.within(handle, "ending a read", search.sides.let_go())?;
        notes::is_no_earlier(&now, &self.kept_snapshot)?;
        let backup = crate::sqlite::open_read_only(&search.since.backup);
        let backup = backup.map_err(salvage::Error::from)?;
        let doing = format!("reading {}", search.since.backup.display());
        let schema = Schema::read(&backup).map_err(Error::sqlite(doing))?;
        let mut met: Vec<Met> = Vec::new();
        let mut followed = BTreeMap::new();
        for unpaired in &search.sides.pairing.unpaired {
            met.push(Met {
                table: unpaired.table.clone(),
                target: unpaired.target.clone(),
                key_columns: 0,
                definition: String::new(),
                lacks: Some(unpaired.problem.clone()),
            });
        }
        for pair in &search.sides.pairing.pairs {
            let number = number_of(&search.sides, &pair.source);
            let one = Followed::of(pair, &columns);
            met.push(one.met(number));
            followed.insert(number, one);
        }
        let readable = self.live.meet(&met)?;
        followed.retain(|_, one| readable.contains(&one.pair.source));
        self.learned.retain(|table, learned| {
            let mut now = followed.values();
            now.any(|one| one.pair.source == *table && learned.holds_for(&one.pair))
        });
        self.lacks = self.live.lacking()?;
        // Once more what is noted: a server that took over may have given the same numbers to other transactions.
        notes::SEES_NOTHING.clone_into(&mut self.snapshot);
        self.opened = Some(Opened {
            search,
            backup,
            schema,
            tables: followed,
            files: BTreeMap::new(),
        });
        Ok(())
    }

    /// One read, all of it or nothing.
    pub(super) fn read(
        &mut self,
        handle: &Handle,
        cancel: &CancellationToken,
    ) -> Result<Reading, Error> {
        let Some(mut opened) = self.opened.take() else {
            let lost = "the connection was lost".to_owned();
            return Err(salvage::Error::NotComparable(lost).into());
        };
        opened.search.cancel = cancel.clone();
        let read = self.read_sound_moment(&mut opened, handle);
        if read.is_err() {
            self.live.take_back();
        }
        // Whoever did not answer in time is not asked for more.
        let is_answering = !matches!(
            &read,
            Err(Error::Salvage(
                salvage::Error::Silent { .. } | salvage::Error::Cancelled
            ))
        );
        if is_answering && opened.let_go(handle).is_ok() {
            self.opened = Some(opened);
        }
        read
    }

    /// One moment. A read in which a table was emptied is of no moment, and is begun again.
    fn read_sound_moment(
        &mut self,
        opened: &mut Opened,
        handle: &Handle,
    ) -> Result<Reading, Error> {
        for _ in 0..MOST_TRIES {
            if let Some(reading) = self.read_moment(opened, handle)? {
                return Ok(reading);
            }
            self.live.take_back();
            opened.let_go(handle)?;
        }
        let why = "tables are emptied again and again, so that no moment of them can be read";
        Err(salvage::Error::NotComparable(why.to_owned()).into())
    }

    /// `None` where a table was emptied meanwhile: rows that the snapshot sees may be gone from it, and nothing was kept.
    fn read_moment(
        &mut self,
        opened: &mut Opened,
        handle: &Handle,
    ) -> Result<Option<Reading>, Error> {
        let mut now = LastRead::begins();
        let search = &opened.search;
        search.within(handle, "beginning a read", search.sides.look_again())?;
        now.snapshot = notes::present_snapshot(search, handle)?;
        let noted = match self.snapshot.as_str() {
            notes::SEES_NOTHING => notes::all_noted(&mut opened.search, handle)?,
            before => notes::noted(&opened.search, handle, before)?,
        };
        let count: u64 = noted.iter().map(|one| one.notes).sum();
        self.waiting.store(count, Ordering::Relaxed);
        let due = self.live.due()?;
        let is_now = |table: &String| {
            let again = self.again.get(table);
            again.is_none_or(|(at_ms, _)| *at_ms <= now.at_ms)
        };
        let at_once: Vec<String> = due.iter().filter(|table| is_now(table)).cloned().collect();
        let mut all_of = noted.iter().map(|one| one.is_all || one.notes > MOST_NOTES);
        let is_whole = !at_once.is_empty() || all_of.any(|is_all| is_all);
        let mut rows = 0;
        if !noted.is_empty() || !at_once.is_empty() {
            self.live.begin()?;
            // What is due as a whole is not read by its keys besides.
            let by_note = noted
                .iter()
                .filter(|one| !opened.is_one_of(one.number, &due));
            for one in by_note.collect::<Vec<_>>() {
                rows += self.table(opened, handle, one.number, Some(one))?;
            }
            for number in opened.numbers(&at_once) {
                rows += self.table(opened, handle, number, None)?;
            }
            if !opened.is_as_before(handle)? {
                return Ok(None);
            }
            self.keep(&now)?;
            self.lacks = self.live.lacking()?;
            self.inexact = self.live.inexact()?;
            self.rows_kept = self.live.rows()?;
        } else if now.at_ms - self.kept_ms >= KEEP_EVERY_MS {
            self.live.begin()?;
            self.keep(&now)?;
        }
        self.snapshot.clone_from(&now.snapshot);
        self.waiting.store(0, Ordering::Relaxed);
        Ok(Some(Reading {
            notes: count,
            rows,
            is_whole,
            rows_kept: self.rows_kept,
            snapshot: now.snapshot,
            kept_snapshot: self.kept_snapshot.clone(),
            read_at_ms: now.at_ms,
            lacks: self.lacks.clone(),
            inexact: self.inexact.clone(),
        }))
    }

    fn keep(&mut self, read: &LastRead) -> Result<(), Error> {
        self.live.commit(read)?;
        self.kept_snapshot.clone_from(&read.snapshot);
        self.kept_ms = read.at_ms;
        Ok(())
    }

    /// Reads one table: the keys that were noted, or all of it. What keeps it from being read alone does not keep the others. How many
    /// rows were looked at.
    fn table(
        &mut self,
        opened: &mut Opened,
        handle: &Handle,
        number: i32,
        noted: Option<&Noted>,
    ) -> Result<u64, Error> {
        let Some(source) = opened.tables.get(&number).map(Followed::source) else {
            return Ok(0);
        };
        let by_key = noted.filter(|one| !one.is_all && one.notes <= MOST_NOTES);
        self.live.table_begins()?;
        let before = opened.search.since.statement_limit;
        if by_key.is_none() {
            opened.search.since.statement_limit = before.max(WHOLE_LIMIT);
        }
        let read = self.read_table(opened, handle, number, by_key.is_some());
        let ended = match read {
            Ok(rows) => {
                self.again.remove(&source);
                self.live.table_ends().map(|()| rows)
            }
            Err(error) => self.table_failed(opened, handle, &source, error),
        };
        opened.search.since.statement_limit = before;
        ended
    }

    fn read_table(
        &mut self,
        opened: &Opened,
        handle: &Handle,
        number: i32,
        by_key: bool,
    ) -> Result<u64, Error> {
        let search = &opened.search;
        let limit_ms = search.since.statement_limit.as_millis();
        let begin = format!("SAVEPOINT table_begins; SET LOCAL statement_timeout = {limit_ms}");
        let begun = search.sides.client.batch_execute(&begin);
        search.within(handle, "beginning a table", begun)?;
        let followed = opened
            .tables
            .get(&number)
            .expect("BUG: its name was just asked for");
        let source = &followed.pair.source;
        if followed.pair.key_columns == 0 {
            return self.live.set_lacks(source, Some(NO_KEY), false).map(|()| 0);
        }
        let keys = match by_key {
            true => Some(notes::keys(
                search,
                handle,
                number,
                &followed.pair,
                &self.snapshot,
            )?),
            false => None,
        };
        let table = opened.schema.table(source);
        let table =
            table.ok_or_else(|| salvage::Error::NotComparable("the backup lacks it".to_owned()))?;
        let one = OneTable {
            search,
            handle,
            backup: &opened.backup,
            table,
            followed,
        };
        let learned = match self.learned.entry(source.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(one.learn()?),
        };
        match keys {
            Some(keys) => one.by_keys(&keys, learned, &mut self.live),
            None => {
                let rows = one.whole(learned, &mut self.live)?;
                self.live.set_lacks(source, None, false)?;
                Ok(rows)
            }
        }
    }

    /// Goes on with the others, where the error is about this table alone.
    fn table_failed(
        &mut self,
        opened: &Opened,
        handle: &Handle,
        source: &str,
        error: Error,
    ) -> Result<u64, Error> {
        let why = match error {
            Error::Salvage(why) if is_of_one_table(&why) => why,
            other => return Err(other),
        };
        if opened.search.undo(handle).is_err() {
            return Err(why.into());
        }
        self.live.table_fails()?;
        let why = format!("what was written since is not known: {why}");
        self.live.set_lacks(source, Some(&why), true)?;
        let (first, longest) = TRY_AGAIN_MS;
        let wait = self.again.get(source).map_or(first, |(_, wait)| *wait);
        let next = (clock::now_ms() + wait, (2 * wait).min(longest));
        self.again.insert(source.to_owned(), next);
        Ok(0)
    }

    /// A table that nothing was learned of, and that was not tried yet.
    pub(super) fn unlearned(&self, tried: &BTreeSet<String>) -> Option<Unlearned> {
        let opened = self.opened.as_ref()?;
        let is_open = |one: &&Followed| {
            let source = &one.pair.source;
            one.pair.key_columns > 0
                && !tried.contains(source)
                && !self.learned.contains_key(source)
        };
        let followed = opened.tables.values().find(is_open)?;
        Some(Unlearned {
            pair: Arc::clone(&followed.pair),
            backup: opened.search.since.backup.clone(),
            scratch: opened.search.since.scratch.clone(),
        })
    }

    /// Takes what was learned of a table, unless its rows have been asked for meanwhile.
    pub(super) fn learn(&mut self, learned: Learned) {
        let source = learned.source().to_owned();
        let is_followed = self.opened.as_ref().is_some_and(|opened| {
            let mut tables = opened.tables.values();
            tables.any(|one| one.pair.source == source && learned.holds_for(&one.pair))
        });
        if is_followed {
            self.learned.entry(source).or_insert(learned);
        }
    }
}

/// Whether other tables may be readable all the same. Where the live file cannot be written, or a scratch file has no room, the moment is not kept: it
/// would be named as the one until which everything is there.
fn is_of_one_table(error: &salvage::Error) -> bool {
    match error {
        salvage::Error::Server { source, .. } => source.as_db_error().is_some(),
        salvage::Error::NotComparable(_) => true,
        salvage::Error::Sqlite { .. } | salvage::Error::File { .. } => !error.is_full(),
        salvage::Error::NotKept { .. }
        | salvage::Error::Sides(_)
        | salvage::Error::Source(_)
        | salvage::Error::Silent { .. }
        | salvage::Error::AnotherTarget { .. }
        | salvage::Error::NotASalvageFile { .. }
        | salvage::Error::IndexLate { .. }
        | salvage::Error::Cancelled => false,
    }
}

impl Opened {
    fn is_connected(&self) -> bool {
        !self.search.sides.client.is_closed()
    }

    /// Whether the rows of every table are still in the files in which they were before this read. The next one goes by those of now.
    fn is_as_before(&mut self, handle: &Handle) -> Result<bool, Error> {
        let now = catalogue::files(&self.search, handle)?;
        let is_same = now == self.files;
        self.files = now;
        Ok(is_same)
    }

    /// Ends the moment, so that nothing is held on the server until the next.
    fn let_go(&self, handle: &Handle) -> Result<(), salvage::Error> {
        let end = self.search.sides.let_go();
        self.search.within(handle, "ending a read", end)
    }

    fn numbers(&self, tables: &[String]) -> Vec<i32> {
        let wanted = |one: &Followed| tables.contains(&one.pair.source);
        let followed = self.tables.iter().filter(|(_, one)| wanted(one));
        followed.map(|(number, _)| *number).collect()
    }

    fn is_one_of(&self, number: i32, tables: &[String]) -> bool {
        let table = self.tables.get(&number);
        table.is_some_and(|one| tables.contains(&one.pair.source))
    }
}
