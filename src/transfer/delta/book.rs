//! The record of the import, in the transaction that brings the changes: what an import of the older snapshot has put down becomes what one of
//! the newer snapshot would have.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use crate::ours::statements::{Name, delete_rows};
use crate::transfer::Error;
use crate::transfer::copy::evidence;
use crate::transfer::copy::record::{self, SCHEMA, Task, storable};
use crate::transfer::delta::refused;

const DOING: &str = "recording the import";

/// Uses of policies by one table, before and after.
#[derive(Debug, Clone, Default)]
pub struct Uses {
    /// The table was brought anew: what is on record of it counts no more.
    pub is_anew: bool,
    /// By rows as they were.
    pub before: BTreeMap<String, u64>,
    /// By rows as they are.
    pub after: BTreeMap<String, u64>,
}

/// Puts `after` in the place of `before`. What that import took away for its load, what the target promised when it began and how often it used its
/// policies stays on record; its tasks are `tasks`, all of them done.
pub async fn hand_over(
    client: &Client,
    before: &record::Import,
    after: &record::Import,
    schema: &str,
    tasks: &[Task],
) -> Result<(), Error> {
    let made_of = serde_json::to_string(&after.made_of).expect("BUG: names are always JSON");
    client
        .execute(
            "INSERT INTO cutover.import (key, target_schema, prepared, made_of, finished) VALUES ($1, $2, true, $3::text::jsonb, now())",
            &[&after.key, &schema, &made_of],
        )
        .await
        .map_err(refused(DOING))?;
    let promises = client
        .query_one("SELECT to_regclass('cutover.promise') IS NOT NULL", &[])
        .await
        .map_err(refused(DOING))?;
    let mut kept = vec!["definition", "policy_use", "account"];
    // An import that an earlier version began has none on record.
    kept.extend(promises.get::<_, bool>(0).then_some("promise"));
    for table in kept {
        let sql = format!("UPDATE {SCHEMA}.{table} SET import = $2 WHERE import = $1");
        client
            .execute(&sql, &[&before.key, &after.key])
            .await
            .map_err(refused(DOING))?;
    }
    client
        .execute(
            &delete_rows(&Name::new(SCHEMA, "import"), "key = $1"),
            &[&before.key],
        )
        .await
        .map_err(refused(DOING))?;
    for task in tasks {
        let position = serde_json::to_string(&task.cursor).expect("BUG: a cursor is always JSON");
        let [rows, bytes] = [task.rows, task.bytes].map(|count| count as i64);
        client
            .execute(
                "INSERT INTO cutover.task (import, number, source_table, target_oid, span_from, span_to, position, rows, bytes, done)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, true)",
                &[
                    &after.key,
                    &task.number,
                    &storable(&task.table),
                    &task.target_oid,
                    &task.span.from,
                    &task.span.to,
                    &position,
                    &rows,
                    &bytes,
                ],
            )
            .await
            .map_err(refused(DOING))?;
    }
    Ok(())
}

/// Counts the uses of policies by rows as they are, and no more those by rows as they were.
pub async fn count_uses(client: &Client, key: &str, table: &str, uses: &Uses) -> Result<(), Error> {
    let name = storable(table);
    let policy_use = Name::new(SCHEMA, "policy_use");
    if uses.is_anew {
        client
            .execute(
                &delete_rows(&policy_use, "import = $1 AND source_table = $2"),
                &[&key, &name],
            )
            .await
            .map_err(refused(DOING))?;
    }
    evidence::add(client, key, table, &uses.after, &[]).await?;
    for (policy, count) in &uses.before {
        client
            .execute(
                "UPDATE cutover.policy_use SET uses = uses - $4 WHERE import = $1 AND source_table = $2 AND policy = $3",
                &[&key, &name, &storable(policy), &(*count as i64)],
            )
            .await
            .map_err(refused(DOING))?;
    }
    client
        .execute(
            &delete_rows(
                &policy_use,
                "import = $1 AND source_table = $2 AND uses <= 0",
            ),
            &[&key, &name],
        )
        .await
        .map_err(refused(DOING))?;
    Ok(())
}
