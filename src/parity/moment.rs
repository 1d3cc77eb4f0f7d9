//! The target at one moment, and what was written since: a count per moved table beside PostgreSQL's snapshot, and later the rows that
//! this snapshot does not see. `F1` asks it about what `E1` saw.

use super::error::{Error, server};
use super::sides::{self, Opening, Sides};
use super::snapshot::Snapshot;
use crate::postgres::Endpoint;
use serde::{Deserialize, Serialize};

/// The target at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// `pg_current_snapshot()::text`.
    pub snapshot: String,
    /// Every moved table.
    pub tables: Vec<Counted>,
}

/// A moved table at that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Its name in the source.
    pub source: String,
    /// Its name in the target, quoted and with its schema.
    pub target: String,
    pub rows: u64,
}

/// How a table differs from what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its name in the source.
    pub table: String,
    /// Rows that were inserted or changed since.
    pub newer: u64,
    /// Rows then.
    pub before: u64,
    /// Rows now.
    pub now: u64,
}

/// The moment of these sides.
pub async fn of(sides: &Sides) -> Result<Moment, Error> {
    let failed = server("asking for the present snapshot");
    let asked = sides
        .client
        .query_one("SELECT pg_current_snapshot()::text", &[]);
    let snapshot = asked.await.map_err(failed)?.get(0);
    let mut tables = Vec::new();
    for pair in &sides.pairing.pairs {
        let doing = format!("counting the rows of {}", pair.target);
        let sql = format!("SELECT count(*) FROM {}", pair.target_sql());
        tables.push(Counted {
            source: pair.source.clone(),
            target: pair.target_sql(),
            rows: sides.count(&doing, &sql).await?,
        });
    }
    Ok(Moment { snapshot, tables })
}

/// The tables that are no longer as they were then: a row was inserted, changed or deleted. `looked` hears of each table.
pub async fn moved_since(
    target: &Endpoint,
    then: &Moment,
    looked: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Moved>, Error> {
    let newer = then.snapshot.parse::<Snapshot>()?.new_row_sql("");
    let client = sides::connect(target).await?;
    // The schema is in the names; only what functions of indexes name has to be found.
    let path = sides::application_path(&client, "public").await?;
    sides::begin(&client, &Opening::default(), None).await?;
    let set = format!("SET LOCAL search_path = {path}");
    let doing = "setting the search path".to_owned();
    let failed = |source| Error::Server { doing, source };
    client.batch_execute(&set).await.map_err(failed)?;
    let mut moved = Vec::new();
    for (n, table) in then.tables.iter().enumerate() {
        looked(n);
        let sql = format!(
            "SELECT count(*) FILTER (WHERE {newer}), count(*) FROM {}",
            table.target
        );
        let asked = client.query_one(&sql, &[]).await;
        let row = asked.map_err(|source| Error::Server {
            doing: format!(
                "looking for rows of {} that are newer than E1",
                table.target
            ),
            source,
        })?;
        let count = |at: usize| row.get::<_, i64>(at).unsigned_abs();
        let (newer, now) = (count(0), count(1));
        if newer > 0 || now != table.rows {
            moved.push(Moved {
                table: table.source.clone(),
                newer,
                before: table.rows,
                now,
            });
        }
    }
    Ok(moved)
}

impl Moved {
    /// In words: `Tags: 2 rows were inserted or changed since E1; 9 rows, not 8`.
    pub fn words(&self) -> String {
        let rows = match self.now == self.before {
            true => format!("{} rows, as before", self.now),
            false => format!("{} rows, not {}", self.now, self.before),
        };
        format!(
            "{}: {} rows were inserted or changed since E1; {rows}",
            crate::text::printable(&self.table, 80),
            self.newer
        )
    }
}
