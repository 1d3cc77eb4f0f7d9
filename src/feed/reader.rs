//! Reads what was noted in the target, and the rows of those keys, as of one snapshot after the other, and keeps them in the live file.
//!
//! State, not replay: whatever was done to a key, and in whichever order transactions ended, its row is read as the snapshot has it.
//! What is read twice changes nothing. Notes of a transaction that was open at one snapshot are read at the first one that sees it.
//!
//! Not in here: one read (`store`), how often (`following`), the notes' triggers (`capture`).

mod catalogue;
mod following;
mod notes;
mod one_table;
mod preparing;
mod store;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use following::{FeedState, run};

use super::capture::Captured;
use super::live::Inexact;
use super::{Error, Live};
use crate::parity::{Opening, Sides};
use crate::postgres::Endpoint;
use crate::runbook::transfer::Transfer;
use crate::salvage::{self, Search, Since, Sink, TableCost};
use store::Store;

/// How long PostgreSQL may take to let us in.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What one read has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Notes that were read.
    pub notes: u64,
    /// Rows that were looked at for them.
    pub rows: u64,
    /// Whether a table was read as a whole, and not by its noted keys.
    pub is_whole: bool,
    /// Rows that the live file holds now.
    pub rows_kept: u64,
    /// The snapshot that was read.
    pub snapshot: String,
    /// The one that is on the disk: notes that it sees are needed no more. It is older where nothing was written since.
    pub kept_snapshot: String,
    /// When the read began, by the boot clock ([`crate::clock::now_ms`]): what was committed before is in the live file.
    pub read_at_ms: i64,
    /// The tables that the live file does not have whole, and why.
    pub lacks: Vec<String>,
    /// The tables of which a rollback leaves rows in the salvage file.
    pub inexact: Vec<Inexact>,
}

/// Reads again and again, over one connection that is opened anew where it breaks.
pub struct Reader {
    since: Since,
    endpoint: Endpoint,
    tables: Vec<Captured>,
    store: Arc<Mutex<Store>>,
    waiting: Arc<AtomicU64>,
}

impl Reader {
    /// Pairs the tables of both sides, opens the backup, and goes on where `live` ends. Each statement of a read may take
    /// `since.statement_limit`; a few seconds are enough.
    ///
    /// # Errors
    /// One of them cannot be opened, or the server is not the one of the switch.
    pub async fn open(
        since: Since,
        endpoint: &Endpoint,
        live: Live,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let search = Search::open(since.clone(), endpoint, CONNECT_LIMIT, cancel).await?;
        let waiting = Arc::default();
        let reader = Self {
            since,
            endpoint: endpoint.clone(),
            tables: tables_of(&search.sides),
            store: Arc::new(Mutex::new(Store::new(live, Arc::clone(&waiting))?)),
            waiting,
        };
        reader.take(search).await?;
        Ok(reader)
    }

    /// The tables that are read, for `capture::install` and `capture::missing`.
    pub fn captured(&self) -> Vec<Captured> {
        self.tables.clone()
    }

    /// Notes that were found and whose rows are not kept yet; none where the last read has ended well.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Reads what was noted since the last read, and keeps it. On the disk when this returns.
    ///
    /// # Errors
    /// PostgreSQL does not answer or refuses, or the live file cannot be written: what was kept before stays as it was, and the next
    /// read goes on from there. A table that cannot be read is no error: the live file says what it lacks.
    pub async fn read(&mut self, cancel: &CancellationToken) -> Result<Reading, Error> {
        if !self.on_store(|store, _| Ok(store.is_connected())).await? {
            let since = self.since.clone();
            let search = Search::open(since, &self.endpoint, CONNECT_LIMIT, cancel).await?;
            self.take(search).await?;
        }
        let cancel = cancel.clone();
        self.on_store(move |store, handle| store.read(handle, &cancel))
            .await
    }

    /// Gives every row that is kept to `sink`, which comes back with the counts. Asks no PostgreSQL.
    ///
    /// # Errors
    /// `sink` refuses a row, or the live file cannot be read.
    pub async fn give<S: Sink + 'static>(&self, mut sink: S) -> Result<(Vec<TableCost>, S), Error> {
        self.on_store(move |store, _| {
            let costs = store.live().give(&mut sink)?;
            Ok((costs, sink))
        })
        .await
    }

    async fn take(&self, search: Search) -> Result<(), Error> {
        self.on_store(move |store, handle| store.take(search, handle))
            .await
    }

    /// Works where nobody else has to wait for the disk.
    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store, &Handle) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (store, handle) = (Arc::clone(&self.store), Handle::current());
        let run = move || {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut store, &handle)
        };
        let done = tokio::task::spawn_blocking(run).await;
        done.unwrap_or_else(|died| Err(Error::Died(died.to_string())))
    }
}

/// The tables whose writes are to be noted, before anything is: as [`Reader::captured`] will have them.
///
/// # Errors
/// Either side cannot be opened, or its schema not be read.
pub async fn captured(
    backup: &Path,
    target: &Endpoint,
    schema: &str,
    transfer: &Transfer,
) -> Result<Vec<Captured>, Error> {
    let sides = Sides::open(backup, target, schema, transfer, &Opening::default()).await;
    Ok(tables_of(&sides.map_err(salvage::Error::from)?))
}

fn tables_of(sides: &Sides) -> Vec<Captured> {
    let pairs = sides.pairing.pairs.iter();
    let captured = pairs.map(|pair| {
        let key = pair.columns.iter().take(pair.key_columns);
        Captured {
            number: number_of(sides, &pair.source),
            schema: pair.schema.clone(),
            table: pair.target.clone(),
            key: key.map(|column| column.target.clone()).collect(),
        }
    });
    captured.collect()
}

/// The number of a table: its place among the backup's, which stay as they are whatever becomes of the target.
fn number_of(sides: &Sides, source: &str) -> i32 {
    let mut tables = sides.source_schema.tables.iter();
    let place = tables.position(|table| table.name == source);
    let place = place.expect("BUG: a pair's table is one of the source's");
    i32::try_from(place + 1).expect("BUG: a file has fewer tables")
}
