//! Lists the keys of the backup's tables beside the reads, on a connection of its own, so that the first key that is noted of a large
//! table need not wait for it. A key that comes earlier has the reader list them itself.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::one_table::Learned;
use super::store::Store;
use crate::feed::Error;
use crate::parity::TablePair;
use crate::salvage;
use crate::salvage::backup::BackupTable;
use crate::sqlite::schema::Schema;

/// A table of which nothing was learned yet.
pub(super) struct Unlearned {
    pub(super) pair: Arc<TablePair>,
    pub(super) backup: PathBuf,
    /// A folder for scratch files.
    pub(super) scratch: PathBuf,
}

impl Unlearned {
    fn learn(&self, cancel: &CancellationToken) -> Result<Learned, Error> {
        let connection = crate::sqlite::open_read_only(&self.backup);
        let connection = connection.map_err(salvage::Error::from)?;
        let doing = format!("reading {}", self.backup.display());
        let schema = Schema::read(&connection).map_err(Error::sqlite(doing))?;
        let table = schema.table(&self.pair.source);
        let table =
            table.ok_or_else(|| salvage::Error::NotComparable("the backup lacks it".to_owned()))?;
        let mut backup = BackupTable::new(&connection, &self.pair, table, &self.scratch, cancel);
        let reverses = backup.reverses()?;
        backup.prepare()?;
        let keys = backup.into_keys();
        Ok(Learned::new(&self.pair, reverses, keys))
    }
}

/// Every table, one after the other. Blocks; the store is held only to ask which is next, and to give what was learned.
pub(super) fn all(store: &Mutex<Store>, cancel: &CancellationToken) {
    let mut tried = BTreeSet::new();
    while let Some(unlearned) = next(store, &tried) {
        tried.insert(unlearned.pair.source.clone());
        match unlearned.learn(cancel) {
            Ok(learned) => {
                held(store).learn(learned);
            }
            Err(_) if cancel.is_cancelled() => return,
            Err(error) => {
                tracing::debug!(%error, "the keys of a table were not listed");
            }
        }
    }
}

fn next(store: &Mutex<Store>, tried: &BTreeSet<String>) -> Option<Unlearned> {
    held(store).unlearned(tried)
}

fn held(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
