//! What a search has found, summed up table by table, so that it can be told whether another one, or a salvage file, has the same rows without
//! holding any of them. The sum of their hashes does not depend on the order in which they come, and a row that is there twice counts twice.
//!
//! Not in here: finding rows (`search`), and what follows where they are not the same (`step::salvage`).

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};

use super::cell::Cell;
use super::error::Error;
use super::file::{Salvaged, take_in};
use super::search::{Row, Sink};
use super::{Operation, TableCost};
use crate::text::printable;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(BTreeMap<String, Sum>);

/// Of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    /// The sums of the hashes' words.
    of_hashes: [u64; 4],
}

impl Seen {
    /// The rows of a salvage file.
    pub fn in_file(salvaged: &Salvaged) -> Result<Self, Error> {
        let mut seen = Self::default();
        salvaged.each(|number| {
            let row = salvaged.row(number)?;
            let values = row.values.iter();
            let values = values.map(|v| (v.name.as_str(), &v.was, v.target.as_deref()));
            seen.add(&row.table, row.operation, values);
            Ok(())
        })?;
        Ok(seen)
    }

    /// Of all tables.
    pub fn rows(&self) -> u64 {
        self.0.values().map(|sum| sum.rows).sum()
    }

    /// The tables whose rows are not the same in both, in words.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let none = Sum::default();
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let told = names.into_iter().filter_map(|name| {
            let (here, there) = (
                self.0.get(name).unwrap_or(&none),
                other.0.get(name).unwrap_or(&none),
            );
            let numbers = match here.rows == there.rows {
                true => format!("{} rows, not the same ones", here.rows),
                false => format!("{} rows, not {}", here.rows, there.rows),
            };
            (here != there).then(|| format!("{}: {numbers}", printable(name, 80)))
        });
        told.collect()
    }

    /// What the backup has of each value and PostgreSQL's own text are what was found; the rest follows from them.
    fn add<'v>(
        &mut self,
        table: &str,
        operation: Operation,
        values: impl Iterator<Item = (&'v str, &'v Cell, Option<&'v str>)>,
    ) {
        let text = |text: &'v str| ValueRef::Text(text.as_bytes());
        let mut hasher = Sha256::new();
        take_in(&mut hasher, ValueRef::Text(operation.word().as_bytes()));
        for (name, was, target) in values {
            take_in(&mut hasher, text(name));
            take_in(&mut hasher, was.value());
            take_in(&mut hasher, target.map_or(ValueRef::Null, text));
        }
        let hash = hasher.finalize();
        let sum = self.0.entry(table.to_owned()).or_default();
        sum.rows += 1;
        for (word, bytes) in sum.of_hashes.iter_mut().zip(hash.chunks_exact(8)) {
            let bytes: [u8; 8] = bytes.try_into().expect("BUG: a chunk has eight bytes");
            *word = word.wrapping_add(u64::from_be_bytes(bytes));
        }
    }
}

impl Sink for Seen {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let values = row.columns.iter();
        let values = values.map(|c| (c.name, &c.was, c.target.as_deref()));
        self.add(row.table, row.operation, values);
        Ok(())
    }

    fn table(&mut self, _: &TableCost) -> Result<(), Error> {
        Ok(())
    }
}
