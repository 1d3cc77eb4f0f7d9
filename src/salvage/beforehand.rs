//! Which values of which columns a rollback could not bring back exactly, told before the night: by the pairs of the checker, and by the
//! examples in SQLite from which a rollback would learn each column's form. Reads both sides and writes nothing.
//!
//! Not in here: what is exact ([`super::back`]), and what people read of it (`cli::plan`).

use std::path::Path;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::back::Exactness;
use super::backup::BackupTable;
use super::error::Error;
use crate::parity::{Opening, Sides};
use crate::postgres::Endpoint;
use crate::runbook::transfer::Transfer;
use crate::sqlite::schema::Schema;

/// What would come back, column by column.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Beforehand {
    /// Every column that a rollback would write, in the order of the tables' names.
    pub columns: Vec<Column>,
    /// Tables of SQLite that have no partner, so that nobody can tell.
    pub unpaired: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Column {
    /// Its table in SQLite.
    pub table: String,
    pub column: String,
    /// Which values would not come back exactly.
    #[serde(flatten)]
    pub exactness: Exactness,
}

impl Beforehand {
    /// Whether every value of every column would come back exactly.
    pub fn is_exact(&self) -> bool {
        let mut columns = self.columns.iter();
        self.unpaired.is_empty() && columns.all(|column| column.exactness.is_exact())
    }

    /// Whether every value would that an application usually writes.
    pub fn is_exact_but_for_rare(&self) -> bool {
        let mut columns = self.columns.iter();
        self.unpaired.is_empty() && columns.all(|column| column.exactness.is_exact_but_for_rare())
    }
}

/// Looks at both schemas and at the first and last rows of each table of `source`.
///
/// # Errors
/// One of the sides cannot be read. Nothing was changed.
pub async fn look(
    source: &Path,
    target: &Endpoint,
    schema: &str,
    transfer: &Transfer,
) -> Result<Beforehand, Error> {
    let sides = Sides::open(source, target, schema, transfer, &Opening::default()).await?;
    let source = source.to_owned();
    let look = move || of_sides(&source, &sides);
    tokio::task::spawn_blocking(look)
        .await
        .expect("BUG: looking at the columns panicked")
}

fn of_sides(source: &Path, sides: &Sides) -> Result<Beforehand, Error> {
    let doing = format!("reading {}", source.display());
    let connection = crate::sqlite::open_read_only(source)?;
    let schema = Schema::read(&connection).map_err(Error::sqlite(doing))?;
    let cancel = CancellationToken::new();
    let unpaired = sides.pairing.unpaired.iter();
    let mut found = Beforehand {
        columns: Vec::new(),
        unpaired: unpaired.map(|table| table.table.clone()).collect(),
    };
    for pair in &sides.pairing.pairs {
        let Some(table) = schema.table(&pair.source) else {
            found.unpaired.push(pair.source.clone());
            continue;
        };
        // Forms are learned without a scratch file.
        let backup = BackupTable::new(&connection, pair, table, Path::new(""), &cancel);
        let reverses = backup.reverses()?;
        for (column, reverse) in pair.columns.iter().zip(reverses) {
            // What SQLite computes is not written.
            let place = table.column(&column.source);
            if place.is_some_and(|place| table.columns[place].generated) {
                continue;
            }
            found.columns.push(Column {
                table: pair.source.clone(),
                column: column.source.clone(),
                exactness: reverse.exactness(),
            });
        }
    }
    found.columns.sort_by(|a, b| a.table.cmp(&b.table));
    Ok(found)
}
