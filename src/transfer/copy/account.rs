//! What an import owes at its end, per table: each row of the source is in the target or was put aside.
//!
//! Counted by other statements and connections than those that read and wrote, so that a row that the load lost is missed here,
//! whatever a checker says later. Values are compared by [`crate::parity`].

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use tokio_postgres::Client;

use crate::sqlite::schema::quoted;
use crate::text::printable;
use crate::transfer::copy::record::{Task, storable};
use crate::transfer::error::{read, server};
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::scan::open;
use crate::transfer::{Error, occupied};

/// The account of one table, in the shape of `copy --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableAccount {
    pub table: String,
    /// Rows that SQLite counts.
    pub source_rows: u64,
    /// Rows read and put aside by a policy.
    pub aside_rows: u64,
    /// Rows sent and committed, by the checkpoints.
    pub sent_rows: u64,
    /// Rows that PostgreSQL counts: the table's own, and of a partitioned one its partitions'.
    pub target_rows: u64,
}

impl TableAccount {
    /// Whether no row is missing and none is too many.
    pub fn adds_up(&self) -> bool {
        self.source_rows == self.sent_rows + self.aside_rows && self.target_rows == self.sent_rows
    }
}

impl std::fmt::Display for TableAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} rows in SQLite, {} sent, {} put aside, {} in PostgreSQL",
            printable(&self.table, 80),
            self.source_rows,
            self.sent_rows,
            self.aside_rows,
            self.target_rows
        )
    }
}

/// The whole account in one line.
pub fn summary(account: &[TableAccount]) -> String {
    let sum = |of: fn(&TableAccount) -> u64| account.iter().map(of).sum::<u64>();
    format!(
        "{} rows in SQLite = {} sent + {} put aside; PostgreSQL counts {}",
        sum(|table| table.source_rows),
        sum(|table| table.sent_rows),
        sum(|table| table.aside_rows),
        sum(|table| table.target_rows)
    )
}

/// Counts both sides. Where row security hides rows from a count, what is on record from the end of the import counts.
///
/// # Errors
/// [`Error::Account`] names each table that does not add up, with its numbers.
pub async fn take(
    client: &Client,
    source: &Path,
    schema: &str,
    layout: &std::sync::Arc<Layout>,
    key: &str,
    tasks: &[Task],
) -> Result<Vec<TableAccount>, Error> {
    let (path, shared) = (source.to_path_buf(), layout.clone());
    let in_source = tokio::task::spawn_blocking(move || count_source(&path, &shared))
        .await
        .expect("BUG: counting panicked")?;
    let on_record = recorded(client, key).await?;
    let mut account = Vec::new();
    for table in &layout.tables {
        let own = || {
            tasks
                .iter()
                .filter(|task| task.target_oid == table.target.oid)
        };
        let known = on_record.get(&storable(&table.source.name));
        let target_rows = match occupied::rows_there(client, schema, &table.target).await? {
            // What the runbook had done after the import is no loss of the import's.
            Some(rows) if known.is_some_and(|known| known.left == Some(rows)) => {
                known.map_or(rows, |known| known.counted)
            }
            Some(rows) => rows,
            None => known.map_or(0, |known| known.counted),
        };
        account.push(TableAccount {
            table: table.source.name.clone(),
            source_rows: in_source[&table.source.name],
            aside_rows: own().map(|task| task.aside).sum(),
            sent_rows: own().map(|task| task.rows).sum(),
            target_rows,
        });
    }
    let wrong: Vec<TableAccount> = account
        .iter()
        .filter(|table| !table.adds_up())
        .cloned()
        .collect();
    if wrong.is_empty() {
        Ok(account)
    } else {
        Err(Error::Account { wrong, account })
    }
}

/// Rows by source table. The table itself is counted and no index, which may lie.
fn count_source(source: &Path, layout: &Layout) -> Result<BTreeMap<String, u64>, Error> {
    let connection = open(source)?;
    let count = |table: &TableLayout| {
        let name = &table.source.name;
        let sql = format!("SELECT count(*) FROM {} NOT INDEXED", quoted(name));
        let rows = connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
        let rows = rows.map_err(read(source, name))?.unsigned_abs();
        Ok((name.clone(), rows))
    };
    layout.tables.iter().map(count).collect()
}

/// What is on record of one table's rows in the target.
pub struct Known {
    /// As they were counted at the end of the import.
    pub counted: u64,
    /// As they were counted once `after_import` was done; `None` where nothing was to be done.
    pub left: Option<u64>,
}

/// By source table, what is on record.
pub async fn recorded(client: &Client, key: &str) -> Result<BTreeMap<String, Known>, Error> {
    let rows = client
        .query(
            "SELECT source_table, target_rows, left_rows FROM cutover.account WHERE import = $1",
            &[&key],
        )
        .await
        .map_err(server("reading the account of the import"))?;
    let known = |row: &tokio_postgres::Row| Known {
        counted: row.get::<_, i64>(1).unsigned_abs(),
        left: row.get::<_, Option<i64>>(2).map(i64::unsigned_abs),
    };
    Ok(rows.iter().map(|row| (row.get(0), known(row))).collect())
}

/// Counts once more what `after_import` has left, and puts it on record: in the transaction that records the end, for an import that had ended
/// without this record would look as if somebody had taken rows from it. Each table that has another number now, in words.
pub async fn record_left(
    client: &Client,
    schema: &str,
    layout: &Layout,
    key: &str,
) -> Result<Vec<(String, String)>, Error> {
    let on_record = recorded(client, key).await?;
    let mut changed = Vec::new();
    for table in &layout.tables {
        let name = storable(&table.source.name);
        let there = occupied::rows_there(client, schema, &table.target).await?;
        let (Some(known), Some(left)) = (on_record.get(&name), there) else {
            continue;
        };
        if left == known.counted {
            continue;
        }
        changed.push((
            table.source.name.clone(),
            format!(
                "what was done after the import left {left} rows where {} had been loaded",
                known.counted
            ),
        ));
        client
            .execute(
                "UPDATE cutover.account SET left_rows = $3 WHERE import = $1 AND source_table = $2",
                &[&key, &name, &(left as i64)],
            )
            .await
            .map_err(server("recording what was done after the import"))?;
    }
    Ok(changed)
}

/// Puts the account on record.
pub async fn record(client: &Client, key: &str, account: &[TableAccount]) -> Result<(), Error> {
    for table in account {
        let [source_rows, aside_rows, sent_rows, target_rows] = [
            table.source_rows,
            table.aside_rows,
            table.sent_rows,
            table.target_rows,
        ]
        .map(|count| count as i64);
        client
            .execute(
                "INSERT INTO cutover.account (import, source_table, source_rows, aside_rows, sent_rows, target_rows) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (import, source_table) DO UPDATE SET source_rows = excluded.source_rows,
                   aside_rows = excluded.aside_rows, sent_rows = excluded.sent_rows, target_rows = excluded.target_rows",
                &[
                    &key,
                    &storable(&table.table),
                    &source_rows,
                    &aside_rows,
                    &sent_rows,
                    &target_rows,
                ],
            )
            .await
            .map_err(server("recording the account of the import"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::TableAccount;

    #[test]
    fn one_row_too_few_or_too_many_anywhere_does_not_add_up() {
        let account = |source_rows, aside_rows, sent_rows, target_rows| TableAccount {
            table: "t".to_owned(),
            source_rows,
            aside_rows,
            sent_rows,
            target_rows,
        };
        assert!(account(10, 3, 7, 7).adds_up());
        for wrong in [
            account(11, 3, 7, 7),
            account(9, 3, 7, 7),
            account(10, 4, 7, 7),
            account(10, 3, 8, 7),
            account(10, 3, 7, 6),
            account(10, 3, 7, 8),
        ] {
            assert!(!wrong.adds_up(), "{wrong}");
        }
    }
}
