//! How many rows of one target table SQLite does not have: SQLite's keys, converted as the load converts them, go into a temporary
//! table of the caller's transaction, and the server looks for rows without a partner there.

use std::path::Path;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::postgres::catalogue::ConstraintKind;
use crate::postgres::quoted;
use crate::runbook::transfer::OnProblem;
use crate::text::printable;
use crate::transfer::error::server;
use crate::transfer::layout::{ColumnLayout, Layout, TableLayout};
use crate::transfer::occupied::{By, own_rows};
use crate::transfer::plan::probe;
use crate::transfer::{Error, session};

/// How rows of this table are recognised: by its primary key, else by another unique key without NULL, else by whole rows.
pub fn by(table: &TableLayout) -> By {
    let target = &table.target;
    let moves = |name: &String| {
        table
            .columns
            .iter()
            .any(|column| column.target.name == *name)
    };
    let primary = target
        .constraints
        .iter()
        .filter(|constraint| constraint.kind == ConstraintKind::Primary)
        .map(|constraint| constraint.columns.clone());
    let is_full = |name: &String| target.column(name).is_some_and(|column| column.not_null);
    let unique = target
        .indexes
        .iter()
        .filter(|index| index.unique && index.valid && index.predicate.is_none())
        .filter_map(|index| index.columns.iter().cloned().collect::<Option<Vec<_>>>())
        .filter(|columns| columns.iter().all(is_full));
    primary
        .chain(unique)
        .find(|columns| !columns.is_empty() && columns.iter().all(moves))
        .map_or(By::WholeRows, By::Key)
}

/// The number of rows of `table` without a partner in SQLite. Leaves nothing behind in the transaction.
pub async fn lacking(
    client: &Client,
    source: &Path,
    schema: &str,
    layout: &Layout,
    table: &TableLayout,
    by: &By,
    cancel: &CancellationToken,
) -> Result<u64, Error> {
    let doing = || {
        format!(
            "counting rows of {} that SQLite does not have",
            printable(&table.target.name, 80)
        )
    };
    let places: Vec<usize> = (0..table.columns.len())
        .filter(|place| match by {
            By::Key(columns) => columns.contains(&table.columns[*place].target.name),
            By::WholeRows | By::NotPlanned => true,
        })
        .collect();
    let names: Vec<String> = places
        .iter()
        .map(|place| quoted(&table.columns[*place].target.name))
        .collect();
    let there = own_rows(schema, &table.target);
    let sql = match by {
        By::Key(_) => {
            let equal: Vec<String> = names
                .iter()
                .map(|name| format!("k.{name} = t.{name}"))
                .collect();
            format!(
                "SELECT count(*) FROM {there} AS t WHERE NOT EXISTS (SELECT FROM pg_temp.cutover_probe AS k WHERE {})",
                equal.join(" AND ")
            )
        }
        // As text: not every type can be compared.
        By::WholeRows | By::NotPlanned => {
            let row = |of: &str| {
                let texts: Vec<String> = names
                    .iter()
                    .map(|name| format!("{of}.{name}::text"))
                    .collect();
                format!("ARRAY[{}]", texts.join(", "))
            };
            format!(
                "SELECT count(*) FROM (SELECT {} FROM {there} AS t EXCEPT ALL SELECT {} FROM pg_temp.cutover_probe AS k) AS alone",
                row("t"),
                row("k")
            )
        }
    };
    client
        .batch_execute("SAVEPOINT lacking")
        .await
        .map_err(server(doing()))?;
    // A row of SQLite that is put aside brings nothing back, whatever its key says.
    let is_put_aside =
        |column: &ColumnLayout| column.converter.policy.on_problem == Some(OnProblem::Quarantine);
    let sent: Vec<usize> = (0..table.columns.len())
        .filter(|place| places.contains(place) || is_put_aside(&table.columns[*place]))
        .collect();
    probe::fill(client, source, table, layout.encoding, &sent, cancel).await?;
    let rows = session::count(client, schema, &sql, doing).await?;
    client
        .batch_execute("ROLLBACK TO SAVEPOINT lacking; RELEASE SAVEPOINT lacking")
        .await
        .map_err(server(doing()))?;
    Ok(rows)
}
