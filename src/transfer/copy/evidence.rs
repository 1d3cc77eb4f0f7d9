//! What an import did to values and rows, on record in the target: uses of policies, rows put aside.
//!
//! Written inside the transaction of the batch that it tells of. Counting rows at the end is [`super::account`]'s.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio_postgres::Client;

use crate::transfer::Error;
use crate::transfer::copy::record::storable;
use crate::transfer::error::server;
use crate::transfer::rows::Quarantined;

/// Puts quarantined rows and uses of policies on record, inside the batch's transaction.
pub async fn add(
    client: &Client,
    key: &str,
    table: &str,
    uses: &BTreeMap<String, u64>,
    rows: &[Quarantined],
) -> Result<(), Error> {
    let doing = || "recording the uses of policies";
    let table = storable(table);
    for (policy, count) in uses {
        client
            .execute(
                "INSERT INTO cutover.policy_use VALUES ($1, $2, $3, $4)
                 ON CONFLICT (import, source_table, policy) DO UPDATE SET uses = policy_use.uses + excluded.uses",
                &[&key, &table, &storable(policy), &(*count as i64)],
            )
            .await
            .map_err(server(doing()))?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    let column = |of: &dyn Fn(&Quarantined) -> String| -> Vec<String> {
        rows.iter().map(|row| storable(&of(row))).collect()
    };
    let (keys, columns) = (
        column(&|row| row.row.to_string()),
        column(&|row| row.column.clone()),
    );
    let (reasons, contents) = (
        column(&|row| row.reason.clone()),
        column(&|row| row.content.to_string()),
    );
    client
        .execute(
            "INSERT INTO cutover.quarantine
             SELECT $1, $2, k, c, r, content::jsonb FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS u(k, c, r, content)",
            &[&key, &table, &keys, &columns, &reasons, &contents],
        )
        .await
        .map_err(server(doing()))?;
    Ok(())
}

/// Uses of policies by `Table.Column: policy`, and the number of rows and values put aside.
pub async fn so_far(client: &Client, key: &str) -> Result<(BTreeMap<String, u64>, u64), Error> {
    let doing = || "reading the uses of policies";
    let rows = client
        .query(
            "SELECT source_table || '.' || policy, uses FROM cutover.policy_use WHERE import = $1",
            &[&key],
        )
        .await
        .map_err(server(doing()))?;
    let uses = rows
        .iter()
        .map(|row| (row.get(0), row.get::<_, i64>(1).unsigned_abs()))
        .collect();
    let aside = client
        .query_one(
            "SELECT count(*) FROM cutover.quarantine WHERE import = $1",
            &[&key],
        )
        .await
        .map_err(server(doing()))?;
    Ok((uses, aside.get::<_, i64>(0).unsigned_abs()))
}

/// What is in quarantine, by source table and column, with one of the reasons each. The policy is the caller's to say.
pub async fn put_aside(client: &Client, key: &str) -> Result<Vec<Aside>, Error> {
    let rows = client
        .query(
            "SELECT source_table, source_column, count(*), min(reason) FROM cutover.quarantine WHERE import = $1
             GROUP BY 1, 2 ORDER BY source_table COLLATE \"C\", source_column COLLATE \"C\"",
            &[&key],
        )
        .await
        .map_err(server("reading what was put aside"))?;
    let aside = rows.iter().map(|row| Aside {
        table: row.get(0),
        column: row.get(1),
        count: row.get::<_, i64>(2).unsigned_abs(),
        policy: "",
        reason: row.get(3),
    });
    Ok(aside.collect())
}

/// Rows, or single values, of one column that a policy put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    pub table: String,
    /// Source column at fault; empty for a rule of the whole row.
    pub column: String,
    pub count: u64,
    /// `on_problem: quarantine` for whole rows, `on_problem: null` for values alone.
    pub policy: &'static str,
    /// Why one of them does not fit.
    pub reason: String,
}
