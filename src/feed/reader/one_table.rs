//! One table in one read: the rows of its noted keys, or all of it, against the backup, into the live file.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::runtime::Handle;

use super::catalogue::Columns;
use crate::feed::live::Met;
use crate::feed::{Error, Live};
use crate::parity::{Canonical, TablePair, from_source, from_target};
use crate::salvage::back::Reverse;
use crate::salvage::backup::{BackupTable, Scratch};
use crate::salvage::search::{Asked, KeyColumn, TargetTable, difference};
use crate::salvage::{self, Operation, Row, Search, Sink, TableCost};
use crate::sqlite::schema::Table;

/// Keys that are asked for at a time, and bytes of them.
const KEYS_PER_STATEMENT: usize = 1_000;
const BYTES_PER_STATEMENT: usize = 1 << 20;

/// A table whose notes are read.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    pub(super) pair: Arc<TablePair>,
    /// The columns of its key; fewer than the pair's where one is not in the catalogue any more.
    keys: Vec<KeyColumn>,
}

impl Followed {
    pub(super) fn of(pair: &Arc<TablePair>, columns: &Columns) -> Self {
        let key = pair.columns.iter().take(pair.key_columns);
        let key = key.filter_map(|part| columns.get(&(pair.target.clone(), part.target.clone())));
        Self {
            pair: Arc::clone(pair),
            keys: key.cloned().collect(),
        }
    }

    pub(super) fn source(&self) -> String {
        self.pair.source.clone()
    }

    /// As the live file meets it.
    pub(super) fn met(&self, number: i32) -> Met {
        let pair = &self.pair;
        let names = pair.columns.iter().take(pair.key_columns);
        let names: Vec<&str> = names.map(|column| column.target.as_str()).collect();
        let types = self.keys.iter().map(|column| column.type_sql.as_str());
        let types: Vec<&str> = types.collect();
        let is_whole = types.len() == names.len();
        let gone = || "a column of its key is not in PostgreSQL any more".to_owned();
        Met {
            table: pair.source.clone(),
            target: pair.target.clone(),
            key_columns: pair.key_columns,
            definition: serde_json::json!([number, pair.target, names, types]).to_string(),
            lacks: (!is_whole).then(gone),
        }
    }
}

/// What one table of the backup has taught.
pub(super) struct Learned {
    pair: Arc<TablePair>,
    reverses: Vec<Reverse>,
    keys: Option<Scratch>,
}

impl Learned {
    pub(super) fn new(
        pair: &Arc<TablePair>,
        reverses: Vec<Reverse>,
        keys: Option<Scratch>,
    ) -> Self {
        Self {
            pair: Arc::clone(pair),
            reverses,
            keys,
        }
    }

    /// Its table in the source.
    pub(super) fn source(&self) -> &str {
        &self.pair.source
    }

    /// Whether it is right for a pair that was made by another connection.
    pub(super) fn holds_for(&self, pair: &TablePair) -> bool {
        let columns = |pair: &TablePair| {
            let columns = pair.columns.iter();
            let told = columns.map(|c| (c.source.clone(), c.target.clone(), c.rule.clone()));
            told.collect::<Vec<_>>()
        };
        self.pair.key_columns == pair.key_columns
            && columns(&self.pair) == columns(pair)
            && self.pair.aside == pair.aside
            && self.pair.nulled == pair.nulled
    }
}

/// One table, with both sides of it.
pub(super) struct OneTable<'a> {
    pub(super) search: &'a Search,
    pub(super) handle: &'a Handle,
    pub(super) backup: &'a Connection,
    pub(super) table: &'a Table,
    pub(super) followed: &'a Followed,
}

impl<'a> OneTable<'a> {
    fn backup_table(&self) -> BackupTable<'a> {
        let (search, followed) = (self.search, self.followed);
        let scratch = &search.since.scratch;
        BackupTable::new(
            self.backup,
            &followed.pair,
            self.table,
            scratch,
            &search.cancel,
        )
    }

    /// What the backup teaches without its keys.
    pub(super) fn learn(&self) -> Result<Learned, salvage::Error> {
        let reverses = self.backup_table().reverses()?;
        Ok(Learned::new(&self.followed.pair, reverses, None))
    }

    /// Reads the rows of these keys; how many were looked at.
    pub(super) fn by_keys(
        &self,
        keys: &[Vec<Option<String>>],
        learned: &mut Learned,
        live: &mut Live,
    ) -> Result<u64, Error> {
        let mut backup = self.backup_table().knowing(learned.keys.take());
        let read = self.all_keys(keys, &learned.reverses, &mut backup, live);
        learned.keys = backup.into_keys();
        Ok(read?)
    }

    fn all_keys(
        &self,
        keys: &[Vec<Option<String>>],
        reverses: &[Reverse],
        backup: &mut BackupTable<'_>,
        live: &mut Live,
    ) -> Result<u64, salvage::Error> {
        let (mut rows, mut rest) = (0, keys);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest));
            rows += self.some_keys(now, reverses, backup, live)?;
            rest = later;
        }
        Ok(rows)
    }

    fn some_keys(
        &self,
        keys: &[Vec<Option<String>>],
        reverses: &[Reverse],
        backup: &mut BackupTable<'_>,
        live: &mut Live,
    ) -> Result<u64, salvage::Error> {
        let pair = &*self.followed.pair;
        let key_columns = pair.key_columns;
        let target = TargetTable {
            search: self.search,
            handle: self.handle,
            pair,
        };
        let mut rows = 0;
        // Where each key lies that has a row, and the keys that were asked for and have none of their own.
        let mut found: HashMap<Vec<u8>, String> = HashMap::new();
        let mut missed = Vec::new();
        target.by_key(&self.followed.keys, keys, |asked: Asked| {
            let wanted = asked.key.canonical.concat();
            let Some((place, row)) = asked.row else {
                missed.push((wanted, asked.key.texts));
                return Ok(());
            };
            let key = row.canonical[..key_columns].concat();
            if key != wanted {
                missed.push((wanted, asked.key.texts));
            }
            let other = found.insert(key.clone(), place.clone());
            if other.is_some_and(|other| other != place) {
                return Err(salvage::Error::NotComparable(format!(
                    "{} has several rows of one key: they cannot be told apart",
                    pair.target
                )));
            }
            rows += 1;
            let spelled = difference::spelled(&row.texts[..key_columns], reverses);
            let before = backup.find(&key, &spelled)?;
            let now = difference::present(pair, &row, before.as_ref(), reverses);
            keep(live, pair, &key, now.as_ref())
        })?;
        for (key, texts) in missed {
            if found.contains_key(&key) {
                continue;
            }
            rows += 1;
            let before = backup.find(&key, &difference::spelled(&texts, reverses))?;
            let before = before.filter(|row| !row.aside);
            let now = before.map(|before| difference::absent(pair, before));
            keep(live, pair, &key, now.as_ref())?;
        }
        Ok(rows)
    }

    /// Reads all of it; how many rows differ.
    pub(super) fn whole(&self, learned: &mut Learned, live: &mut Live) -> Result<u64, Error> {
        let pair = &*self.followed.pair;
        let forgotten = live.forget_all(&pair.source);
        forgotten.map_err(Error::sqlite("writing the live file"))?;
        let mut backup = self.backup_table().knowing(learned.keys.take());
        let mut keeping = Keeping {
            live,
            pair,
            rows: 0,
        };
        let read = self
            .search
            .whole(self.handle, &mut backup, pair, &mut keeping);
        learned.keys = backup.into_keys();
        read?;
        Ok(keeping.rows)
    }
}

/// How many of the first keys go into one statement; at least one.
fn fitting(keys: &[Vec<Option<String>>]) -> usize {
    let mut bytes = 0;
    let size = |key: &Vec<Option<String>>| key.iter().flatten().map(String::len).sum::<usize>();
    let few = keys.iter().take(KEYS_PER_STATEMENT).take_while(|key| {
        bytes += size(key);
        bytes <= BYTES_PER_STATEMENT
    });
    few.count().max(1)
}

/// Keeps how a row differs; where it does not, nothing is kept of it.
fn keep(
    live: &mut Live,
    pair: &TablePair,
    key: &[u8],
    row: Option<&Row<'_>>,
) -> Result<(), salvage::Error> {
    let kept = match row {
        Some(row) => live.put(key, row),
        None => live.forget(&pair.source, key),
    };
    kept.map_err(|source| salvage::Error::NotKept { source })
}

/// Keeps the rows of one table.
struct Keeping<'a> {
    live: &'a mut Live,
    pair: &'a TablePair,
    rows: u64,
}

impl Sink for Keeping<'_> {
    fn row(&mut self, row: &Row<'_>) -> Result<(), salvage::Error> {
        self.rows += 1;
        let key = key_of(self.pair, row)?;
        keep(self.live, self.pair, &key, Some(row))
    }

    fn table(&mut self, _: &TableCost) -> Result<(), salvage::Error> {
        Ok(())
    }
}

/// The key of a row that was found, in canonical form: PostgreSQL's, but for a row that it no longer has.
fn key_of(pair: &TablePair, row: &Row<'_>) -> Result<Vec<u8>, salvage::Error> {
    let mut form = Canonical::default();
    let parts = pair.columns.iter().zip(&row.columns);
    for (column, value) in parts.take(pair.key_columns) {
        match row.operation {
            Operation::Deleted => {
                from_source(value.was.value(), &column.rule, &mut form);
            }
            Operation::Inserted | Operation::Changed => {
                let text = value.target.as_deref().map(str::as_bytes);
                from_target(text, &column.rule.kind, &mut form).map_err(|_| {
                    salvage::Error::NotComparable(format!(
                        "{}.{}: PostgreSQL wrote a key that cannot be read as one of the column's type",
                        pair.target, column.target
                    ))
                })?;
            }
        }
    }
    Ok(form.bytes().to_vec())
}
