//! Which rows of one target table `target_rows: replace` would take away, by name: those that SQLite does not have, and those that it has
//! by their key with other values. Counting the former is [`super::lacking`]'s.
//!
//! A row of SQLite that does not convert yet is compared with nothing: nobody knows its values.

use std::path::Path;

use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::occupied::{By, Occupied, own_rows};
use crate::transfer::plan::probe;
use crate::transfer::session::application_path;

/// Rows of a table that are named.
const NAMED: usize = 3;
/// Signs of a row that are shown.
const SHOWN: usize = 120;
/// A table that holds more is not one that migrations filled; its values are not compared.
const MOST_ROWS: u64 = 10_000;
/// PostgreSQL has no room for more columns beside those of the probe.
const MOST_COLUMNS: usize = 1_500;

/// Adds to `occupied` what would go of its table. Leaves nothing behind in the transaction.
pub(super) async fn name(
    client: &Client,
    source: &Path,
    layout: &Layout,
    table: &TableLayout,
    occupied: &mut Occupied,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let is_large = occupied.rows.is_none_or(|rows| rows > MOST_ROWS);
    if is_large || table.columns.len() > MOST_COLUMNS {
        return Ok(());
    }
    let names: Vec<String> = table
        .columns
        .iter()
        .map(|column| quoted(&column.target.name))
        .collect();
    let there = own_rows(&layout.schema, &table.target);
    let values = |of: &str| {
        let texts: Vec<String> = names
            .iter()
            .map(|name| format!("{of}.{name}::text"))
            .collect();
        format!("ARRAY[{}]", texts.join(", "))
    };
    let all: Vec<usize> = (0..table.columns.len()).collect();
    let look = Look {
        client,
        source,
        layout,
        table,
        cancel,
    };
    match &occupied.by {
        By::Key(key) => {
            let equal: Vec<String> = key
                .iter()
                .map(|name| format!("k.{0} = target_row.{0}", quoted(name)))
                .collect();
            let known = format!(
                "EXISTS (SELECT FROM pg_temp.cutover_probe AS k WHERE {})",
                equal.join(" AND ")
            );
            if occupied.lacking.unwrap_or(0) > 0 {
                let is_key = |place: &usize| key.contains(&table.columns[*place].target.name);
                let places: Vec<usize> = all.iter().copied().filter(is_key).collect();
                let sql = format!("FROM {there} AS target_row WHERE NOT {known}");
                occupied.going = look.ask(&places, "target_row::text", &sql).await?.1;
            }
            let same = format!(
                "EXISTS (SELECT FROM pg_temp.cutover_probe AS k WHERE {} AND {} IS NOT DISTINCT FROM {})",
                equal.join(" AND "),
                values("k"),
                values("target_row")
            );
            let sql = format!("FROM {there} AS target_row WHERE {known} AND NOT {same}");
            let (differing, rows) = look.ask(&all, "target_row::text", &sql).await?;
            occupied.differing = Some(differing);
            occupied.going.extend(rows);
            occupied.going.truncate(NAMED);
        }
        By::WholeRows if occupied.lacking.unwrap_or(0) > 0 => {
            let sql = format!(
                "FROM (SELECT {} FROM {there} AS target_row EXCEPT ALL SELECT {} FROM pg_temp.cutover_probe AS k) AS alone(held)",
                values("target_row"),
                values("k")
            );
            occupied.going = look.ask(&all, "alone.held::text", &sql).await?.1;
        }
        By::WholeRows | By::NotPlanned => {}
    }
    Ok(())
}

/// One table on both sides.
struct Look<'l> {
    client: &'l Client,
    source: &'l Path,
    layout: &'l Layout,
    table: &'l TableLayout,
    cancel: &'l CancellationToken,
}

impl Look<'_> {
    /// How many rows of the target a query over them and SQLite's columns at `places` gives, and some of them by the text `shown`.
    async fn ask(
        &self,
        places: &[usize],
        shown: &str,
        sql: &str,
    ) -> Result<(u64, Vec<String>), Error> {
        let name = printable(&self.table.target.name, 80);
        let doing = || server(format!("naming rows of {name} that SQLite does not have"));
        let client = self.client;
        client
            .batch_execute("SAVEPOINT going")
            .await
            .map_err(doing())?;
        let encoding = self.layout.encoding;
        probe::fill(
            client,
            self.source,
            self.table,
            encoding,
            places,
            self.cancel,
        )
        .await?;
        // The server looks into the indexes of a table whatever is asked of it, and a function of an index may name another without its schema.
        let path = application_path(client, &self.layout.schema).await?;
        let all = format!(
            "SET LOCAL search_path = {path}; SELECT count(*) OVER (), {shown} {sql} ORDER BY 2 LIMIT {NAMED}"
        );
        let answers = client.simple_query(&all).await.map_err(doing())?;
        // The path goes back with the savepoint.
        client
            .batch_execute("ROLLBACK TO SAVEPOINT going; RELEASE SAVEPOINT going")
            .await
            .map_err(doing())?;
        let (mut count, mut rows) = (0, Vec::new());
        for answer in &answers {
            if let SimpleQueryMessage::Row(row) = answer {
                count = row
                    .get(0)
                    .and_then(|count| count.parse().ok())
                    .unwrap_or(count);
                rows.push(printable(row.get(1).unwrap_or_default(), SHOWN));
            }
        }
        Ok((count, rows))
    }
}
